import ArgumentParser
import Foundation
import TenancyCrypto
import TenancyWire

/// `tenantctl token …`.
struct TokenGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "token", abstract: "Tokens that carry a tenant's identity.",
    discussion: "`inspect` and `verify` need no server.",
    subcommands: [
      IssueTokenCommand.self, ExchangeTokenCommand.self, InspectTokenCommand.self,
      VerifyTokenCommand.self, RevokeTokensCommand.self,
    ])
}

/// What a new token is good for.
struct NewTokenOptions: ParsableArguments {
  @Option(help: "Who may take it; the server itself if absent. May be repeated.")
  var audience: [String] = []
  @Option(help: "What it may be used for at most: resource:action. May be repeated.")
  var permission: [String] = []
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("How long it lives; as long as can be if absent.", valueName: "seconds"))
  var lifetime: Int64?
  @Flag(help: "Prints the token and nothing else.") var bare = false

  var duration: GoogleProtobuf.Duration? {
    lifetime.map { GoogleProtobuf.Duration(seconds: $0) }
  }
}

/// A certificate that a token is bound to.
enum BoundCertificate {
  /// Its SHA-256.
  static func digest(_ file: String?) throws -> [UInt8] {
    try file.map { try CertificateThumbprint.sha256(file: $0) } ?? []
  }
}

struct IssueTokenCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "issue", abstract: "Issues a token for a subject of a tenant.",
    discussion: "It is bound to the caller's own certificate, unless another is named.")

  @OptionGroup var tenant: TenantArgument
  @Argument(help: "For whom: user:alice, or a SPIFFE ID of the tenant.") var subject: String
  @OptionGroup var new: NewTokenOptions
  @Option(
    help: ArgumentHelp("PEM: the certificate that it is bound to.", valueName: "file"),
    completion: .file())
  var certificate: String?
  @Flag(help: "Bound to no certificate: whoever has it can use it where that is allowed.")
  var unbound = false
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func validate() throws {
    guard certificate == nil || !unbound else {
      throw ValidationError("--certificate or --unbound, not both.")
    }
  }

  func request() throws -> V1.IssueTokenRequest {
    V1.IssueTokenRequest(
      parent: try tenant.name(), subject: subject, audiences: new.audience,
      permissions: new.permission, lifetime: new.duration,
      certificateSha256: try BoundCertificate.digest(certificate), unbound: unbound)
  }

  func run() async throws {
    let request = try request()
    let made = try await server.connected {
      try await $0.tokens.issueToken(request, options: $0.options)
    }
    new.bare ? print(Printable.text(made.token)) : output.show(made)
  }
}

struct ExchangeTokenCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "exchange", abstract: "Exchanges what the caller is for a token.",
    discussion: """
      The caller's certificate for a token of its own tenant, or a token for a narrower one. What comes \
      out is bound to the caller's certificate, can do no more and lives no longer.
      """)

  @Option(
    help: ArgumentHelp("A token to narrow; - for stdin.", valueName: "file"), completion: .file())
  var subjectToken: String?
  @OptionGroup var new: NewTokenOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func request() throws(UsageError) -> V1.ExchangeTokenRequest {
    V1.ExchangeTokenRequest(
      subjectToken: try subjectToken.map { file throws(UsageError) in
        try InputFile.secret(file)
      } ?? "",
      audiences: new.audience, permissions: new.permission, lifetime: new.duration)
  }

  func run() async throws {
    let request = try request()
    let made = try await server.connected {
      try await $0.tokens.exchangeToken(request, options: $0.options)
    }
    new.bare ? print(Printable.text(made.token)) : output.show(made)
  }
}

struct RevokeTokensCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "revoke", abstract: "Ends tokens before their time.",
    discussion: """
      One that is in a file, or that --token-id names; all of a subject; or all of the tenant. (--token \
      is the caller's own, as for every command.)
      """)

  @OptionGroup var tenant: TenantArgument
  @Argument(help: "A file with the token to end; - for stdin.", completion: .file())
  var file: String?
  // An id may begin with a dash.
  @Option(parsing: .unconditional, help: "The token's id (jti).") var tokenId: String?
  @Option(help: "Ends all that the subject has.") var subject: String?
  @Flag(help: "Ends all that the tenant has.") var all = false
  @Option(help: "For the audit trail.") var reason = ""
  @OptionGroup var confirmation: ConfirmationOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func validate() throws {
    let targets = [file != nil, tokenId != nil, subject != nil, all].filter(\.self)
    guard targets.count == 1 else {
      throw ValidationError("Give one of FILE, --token-id, --subject and --all.")
    }
  }

  func request() throws(UsageError) -> V1.RevokeTokensRequest {
    let target: V1.RevokeTokensRequest.Target? =
      if let file {
        .token(try InputFile.secret(file))
      } else if let tokenId {
        .tokenId(tokenId)
      } else if let subject {
        .subject(subject)
      } else {
        .all(all)
      }
    return V1.RevokeTokensRequest(
      parent: try tenant.name(), target: target, reason: reason, requestId: repetition.requestID,
      validateOnly: trial.dryRun)
  }

  func run() async throws {
    let request = try request()
    if all {
      try confirmation.confirm(unless: trial.dryRun, "End all tokens of \(tenant.tenant)?")
    } else if let subject {
      try confirmation.confirm(
        unless: trial.dryRun, "End all tokens of \(subject) in \(tenant.tenant)?")
    }
    output.show(
      try await server.connected {
        try await $0.tokens.revokeTokens(request, options: $0.options)
      }, done: trial.done("revoked"))
  }
}
