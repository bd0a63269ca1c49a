import ArgumentParser
import Foundation
import TenancyWire

/// `tenantctl pki authority …`.
struct AuthorityGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "authority",
    abstract: "The server's own CAs and keys, which sign the certificates and tokens of workloads.",
    discussion: """
      One after the other: `prepare` a new one (with --external, have its `csr` signed and `import` \
      the answer), wait until all have the new bundle, `activate` it. The former one retires by itself. A key \
      of JWT-SVIDs (--kind jwt) goes the same way.
      """,
    subcommands: [
      PrepareAuthorityCommand.self, RequestAuthorityCommand.self, ImportAuthorityCommand.self,
      ActivateAuthorityCommand.self, RetireAuthorityCommand.self, GetAuthorityCommand.self,
      ListAuthoritiesCommand.self,
    ])
}

/// The authority that a command is about.
struct AuthorityArgument: ParsableArguments {
  @Argument(help: "The authority's id, with or without certificateAuthorities/.")
  var authority: String

  func name() throws(UsageError) -> String { try ResourceName.authority(authority) }
}

struct PrepareAuthorityCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prepare", abstract: "Makes a CA, or a key of tokens, which signs nothing yet.",
    discussion: "Its key is made by the server, sealed, and never leaves it.")

  @Option(help: "What it signs: x509 for certificates, jwt for JWT-SVIDs.") var kind = Kind.x509
  @Option(help: "The SPIFFE trust domain; the server's own if absent.") var trustDomain = ""
  @Option(help: "Its name for people; made if absent.") var name = ""
  @Flag(help: "Makes a request for another CA to sign, in place of a root.") var external = false
  @Option(help: "How long a root is good; 10 years if absent.") var days: Int64?
  @Option(
    help: ArgumentHelp(
      "How long it has to be in all bundles before it signs; an hour if absent.",
      valueName: "seconds"))
  var propagation: Int64?
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  enum Kind: String, ExpressibleByArgument, CaseIterable {
    case x509, jwt
  }

  func validate() throws {
    if kind == .jwt, external || days != nil || !name.isEmpty {
      throw ValidationError("--name, --external, --days: are of certificates, not of --kind jwt")
    }
    if let days {
      guard !external else {
        throw ValidationError("--days: is for the CA to say that signs the request")
      }
      guard (1...36_500).contains(days) else { throw ValidationError("--days: 1 to 36500") }
    }
  }

  func run() async throws {
    let request = V1.PrepareCertificateAuthorityRequest(
      trustDomain: trustDomain, commonName: name, external: external,
      lifetime: days.map { GoogleProtobuf.Duration(seconds: $0 * 86_400) },
      propagation: propagation.map { GoogleProtobuf.Duration(seconds: $0) },
      kind: kind == .jwt ? .jwt : .x509, requestId: repetition.requestID, validateOnly: trial.dryRun
    )
    output.show(
      try await server.connected {
        try await $0.authorities.prepareCertificateAuthority(request, options: $0.options)
      })
  }
}

struct RequestAuthorityCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "csr", abstract: "Prints what the company's own CA is asked to sign (PKCS #10).")

  @OptionGroup var authority: AuthorityArgument
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.GetCertificateAuthorityRequest(name: try authority.name())
    let found = try await server.connected {
      try await $0.authorities.getCertificateAuthority(request, options: $0.options)
    }
    guard !found.certificateRequest.isEmpty else {
      throw InputFailure(
        reason: found.kind == .jwt
          ? "\(found.name) signs tokens: it has no certificate"
          : "\(found.name) is its own root: there is nothing to sign")
    }
    print(found.certificateRequest, terminator: "")
  }
}

struct ImportAuthorityCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import", abstract: "Takes the certificate that a request was answered with.")

  @OptionGroup var authority: AuthorityArgument
  @Argument(
    help: "PEM: its certificate first, then that of whoever signed it, the root last; - is stdin.")
  var file: String
  @OptionGroup var etag: EtagOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.ImportCertificateAuthorityRequest(
      name: try authority.name(), certificateChain: try InputFile.text(file), etag: etag.etag,
      requestId: repetition.requestID, validateOnly: trial.dryRun)
    output.show(
      try await server.connected {
        try await $0.authorities.importCertificateAuthority(request, options: $0.options)
      })
  }
}

struct ActivateAuthorityCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "activate", abstract: "Signs by this one from now on.",
    discussion: "The one that did stays in bundles until the last that it has signed is over.")

  @OptionGroup var authority: AuthorityArgument
  @Flag(help: "Also before all can have the bundle that it is in: some may refuse what it signs.")
  var force = false
  @OptionGroup var etag: EtagOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.ActivateCertificateAuthorityRequest(
      name: try authority.name(), force: force, etag: etag.etag, requestId: repetition.requestID,
      validateOnly: trial.dryRun)
    output.show(
      try await server.connected {
        try await $0.authorities.activateCertificateAuthority(request, options: $0.options)
      })
  }
}

struct RetireAuthorityCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "retire", abstract: "Takes a CA, or a key of tokens, away that signs nothing.",
    discussion: """
      At once where it has signed nothing. One that has goes by itself when the last that it has \
      signed is over, and at once with --force: for a key that is lost. Listeners of the server then \
      refuse what it has signed. Workloads do as well, unless it is under the company's own CA: \
      their bundles have its root, and they go on until the company revokes the authority. Of \
      tokens, nothing verifies what the key has signed.
      """)

  @OptionGroup var authority: AuthorityArgument
  @Flag(help: "At once: the server refuses what it has signed.") var force = false
  @OptionGroup var etag: EtagOptions
  @OptionGroup var confirmation: ConfirmationOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let name = try authority.name()
    if force {
      try confirmation.confirm(
        unless: trial.dryRun,
        "Retire \(name) at once? The server refuses what it has signed from then on, and "
          + "so do workloads, unless it is under the company's own CA: then they go on until the "
          + "company revokes it.")
    }
    let request = V1.RetireCertificateAuthorityRequest(
      name: name, force: force, etag: etag.etag, requestId: repetition.requestID,
      validateOnly: trial.dryRun)
    let answer = try await server.connected {
      try await $0.authorities.retireCertificateAuthority(request, options: $0.options)
    }
    guard let left = answer.authority else {
      output.show(answer, done: trial.done("retired \(name)"))
      return
    }
    let until = left.trustUntil?.text ?? ""
    output.show(answer, done: trial.done("retiring \(name): in bundles until \(until)"))
  }
}

struct GetAuthorityCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "get", abstract: "Shows a CA, or a key of tokens.")

  @OptionGroup var authority: AuthorityArgument
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.GetCertificateAuthorityRequest(name: try authority.name())
    output.show(
      try await server.connected {
        try await $0.authorities.getCertificateAuthority(request, options: $0.options)
      })
  }
}

struct ListAuthoritiesCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists the CAs and keys of tokens, in all states.")

  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    output.show(
      try await server.connected {
        try await $0.authorities.listCertificateAuthorities(
          V1.ListCertificateAuthoritiesRequest(), options: $0.options)
      })
  }
}
