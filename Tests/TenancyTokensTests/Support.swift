import Tenancy
import TenancyCrypto
import TenancyTestSupport

@testable import TenancyTokens

/// An issuer with one key, and what is expected of its tokens.
struct Issuer {
  static let now: Int64 = 1_800_000_000
  static let certificate = SHA256Digest.bytes(Array("certificate".utf8))
  static let other = SHA256Digest.bytes(Array("another".utf8))

  let signer: MessageSigner
  let tokens: TokenSigner
  let keys: JWKSet

  init(_ algorithm: SignatureAlgorithm = .es256) throws {
    signer = try MessageSigner(generating: algorithm)
    tokens = try TokenSigner(signer)
    keys = try JWKSet([tokens.key])
  }

  static func moment(_ offset: Int64 = 0) -> Timestamp {
    Timestamp(seconds: now + offset, subsecondNanoseconds: 0)
  }

  static func expectations(
    type: TokenType = .accessToken, skew: Int64 = 0, requiresBinding: Bool = false
  ) -> TokenExpectations {
    TokenExpectations(
      issuer: "https://issuer.test", audiences: ["tenancy", "other"], type: type, skew: skew,
      requiresBinding: requiresBinding)
  }

  static func claims() -> TokenClaims {
    var claims = TokenClaims(
      issuer: "https://issuer.test", subject: "spiffe://example.test/tenant/acme/api",
      audience: ["tenancy"], issuedAt: moment(-60), expires: moment(600))
    claims.tenant = "acme"
    claims.tenantEpoch = 7
    return claims
  }

  /// Claims as JSON that would be accepted, with some replaced by JSON text; nil takes one away.
  static func payload(_ changes: [String: String?] = [:]) -> String {
    var members: [String: String] = [
      "iss": #""https://issuer.test""#, "sub": #""api""#, "aud": #""tenancy""#,
      "iat": "\(now - 60)", "exp": "\(now + 600)",
    ]
    for (name, value) in changes { members[name] = value }
    let texts = members.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\($0.value)" }
    return "{" + texts.joined(separator: ",") + "}"
  }

  /// A header that would be accepted, and more members as JSON text.
  func header(_ more: String = "", alg: String? = nil, typ: String = "\"at+jwt\"") -> String {
    let kid = tokens.key.keyID?.text ?? ""
    return
      "{\"alg\":\"\(alg ?? signer.algorithm.rawValue)\",\"typ\":\(typ),\"kid\":\"\(kid)\"\(more)}"
  }

  /// Signed as it should be, whatever it says.
  func token(_ header: String, _ payload: String) throws -> [UInt8] {
    try token(Array(header.utf8), Array(payload.utf8))
  }

  func token(_ header: [UInt8], _ payload: [UInt8]) throws -> [UInt8] {
    let signed = Base64URL.encode(header) + [UInt8(ascii: ".")] + Base64URL.encode(payload)
    return signed + [UInt8(ascii: ".")] + Base64URL.encode(try signer.sign(signed[...]))
  }

  /// Nil: it is accepted.
  func refusal(
    _ token: [UInt8], expecting: TokenExpectations = expectations(), certificate: [UInt8]? = nil,
    keys: JWKSet? = nil, at offset: Int64 = 0
  ) -> TokenRefusal.Reason? {
    do throws(TokenRefusal) {
      _ = try TokenVerifier.verify(
        token, keys: keys ?? self.keys, expecting: expecting, certificate: certificate,
        now: Self.moment(offset))
      return nil
    } catch {
      return error.reason
    }
  }

  func refusal(payload: String) throws -> TokenRefusal.Reason? {
    refusal(try token(header(), payload))
  }
}

extension String {
  var bytes: [UInt8] { Array(utf8) }
}
