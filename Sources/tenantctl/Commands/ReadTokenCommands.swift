import ArgumentParser
import Foundation
import Tenancy
import TenancyCrypto
import TenancyTokens
import TenancyWire

struct InspectTokenCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Shows what a token claims.",
    discussion: """
      Nothing is verified: anybody can claim anything. `token verify` verifies; with --server, the server \
      says whether it accepts the token now, and the exit code is 3 if not.
      """)

  @Argument(help: "A file with the token; - for stdin.", completion: .file()) var file = "-"
  @Flag(name: .customLong("server"), help: "Asks the server.") var asksServer = false
  @Option(help: "With --server: whom the token has to be for.") var audience = ""
  @Option(
    help: ArgumentHelp(
      "PEM, with --server: the certificate of whoever has presented it.", valueName: "file"),
    completion: .file())
  var certificate: String?
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func validate() throws {
    guard asksServer || (audience.isEmpty && certificate == nil) else {
      throw ValidationError("--audience and --certificate are for --server.")
    }
  }

  func run() async throws {
    guard asksServer else {
      output.show(try ForeignToken(parsing: try InputFile.token(file)))
      return output.remark(["Nothing of this was verified."])
    }
    let request = V1.IntrospectTokenRequest(
      token: try InputFile.secret(file), audience: audience,
      certificateSha256: try BoundCertificate.digest(certificate))
    let answer = try await server.connected {
      try await $0.tokens.introspectToken(request, options: $0.options)
    }
    output.show(answer)
    if !answer.active { throw ExitCode(Failure.answerIsNo) }
  }
}

struct VerifyTokenCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Verifies a token by its issuer's public keys, without a server.",
    discussion: """
      Exits with 0 only if the token is accepted, else with 1 and the reason on stderr. The keys are what \
      is trusted: without --issuer the token's own iss is taken, without --audience it may be for anybody. \
      Revocation is the server's to know: see `token inspect --server`.
      """)

  /// Seconds that a token may live, if nothing else is said: a day.
  static let defaultMaximumLife: Int64 = 86_400

  @Argument(help: "A file with the token; - for stdin.", completion: .file()) var file = "-"
  @Option(
    help: ArgumentHelp("The issuer's JWK set: see `keys list --jwks`.", valueName: "file"),
    completion: .file())
  var jwks: String
  @Option(help: "What iss has to be.") var issuer: String?
  @Option(help: "Whom the token has to be for.") var audience: String?
  @Option(
    help: ArgumentHelp("PEM: the certificate of whoever presents it.", valueName: "file"),
    completion: .file())
  var certificate: String?
  @Flag(help: "Accepts tokens that are bound to no certificate.") var allowUnbound = false
  @Option(help: "What typ has to be.") var type = "at+jwt"
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("From iat to exp at most.", valueName: "seconds"))
  var maximumLife = defaultMaximumLife
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("By how much the issuer's clock may differ.", valueName: "seconds"))
  var skew: Int64 = 0
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard (0...TokenExpectations.maximumSkew).contains(skew) else {
      throw ValidationError("--skew is 0 to \(TokenExpectations.maximumSkew) seconds.")
    }
    guard maximumLife > 0 else { throw ValidationError("--maximum-life is at least a second.") }
  }

  func run() throws {
    let set = try InputFile.bytes(jwks, atMost: JWKSet.maximumBytes)
    let keys: JWKSet
    do throws(JWKError) {
      keys = try JWKSet(parsing: set)
    } catch {
      throw InputFailure(reason: "\(jwks): \(error.description)")
    }
    let digest = try certificate.map { try CertificateThumbprint.sha256(file: $0) }
    let now = Timestamp(nanoseconds: Int64(Date.now.timeIntervalSince1970 * 1e9))
    output.show(
      try verify(try InputFile.token(file), keys: keys, certificate: digest, now: now))
  }

  /// - Throws: `TokenRefusal`.
  func verify(
    _ token: [UInt8], keys: JWKSet, certificate: [UInt8]?, now: Timestamp
  ) throws -> ForeignToken {
    let claims = try ClaimedToken(parsing: token).claims
    let expected = TokenExpectations(
      issuer: issuer.map { ExactText($0) } ?? claims.issuer,
      audiences: audience.map { [ExactText($0)] } ?? Set(claims.audience),
      type: TokenType(name: type), maximumLife: maximumLife, skew: skew,
      requiresBinding: !allowUnbound)
    _ = try TokenVerifier.verify(
      token, keys: keys, expecting: expected, certificate: certificate, now: now)
    return try ForeignToken(parsing: token)
  }
}
