import ArgumentParser
import TenancyWire

/// `tenantctl domain …`.
struct DomainGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "domain", abstract: "Domains of tenants' own, whose requests are for them.",
    discussion: """
      A domain is claimed, then the record or the document that `claim` and `get` show is set, and \
      then it is verified.
      """,
    subcommands: [
      ClaimDomainCommand.self, VerifyDomainCommand.self, GetDomainCommand.self,
      ListDomainsCommand.self, ReleaseDomainCommand.self,
    ])
}

/// The domain that a command is about.
struct DomainArguments: ParsableArguments {
  @Argument(help: "The tenant: its slug or id, with or without tenants/.") var tenant: String
  @Argument(help: "The domain, such as shop.example.com.") var domain: String

  func name() throws(UsageError) -> String { try ResourceName.domain(domain, of: tenant) }
}

struct ClaimDomainCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "claim", abstract: "Claims a domain for a tenant, and shows what proves it.",
    discussion: """
      The claim waits 7 days for `verify`. Claiming a domain again shows the claim that stands. \
      Letters of other scripts are written as A-labels: xn--….
      """)

  @OptionGroup var domain: DomainArguments
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.ClaimTenantDomainRequest(
      parent: try ResourceName.tenant(domain.tenant), domain: domain.domain,
      requestId: repetition.requestID, validateOnly: trial.dryRun)
    output.show(
      try await server.connected {
        try await $0.domains.claimTenantDomain(request, options: $0.options)
      })
  }
}

/// Where a domain's challenge is looked for.
enum DomainMethod: String, ExpressibleByArgument, CaseIterable {
  case dns, http

  var wire: V1.DomainProofMethod {
    switch self {
    case .dns: .dns
    case .http: .http
    }
  }
}

struct VerifyDomainCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Has the server look for a domain's challenge.",
    discussion: """
      If it is there, the domain is the tenant's from now on, and no other tenant's any more. If it \
      is not, the error says what is there instead.
      """)

  @OptionGroup var domain: DomainArguments
  @Option(help: "Where: dns, the TXT record, or http, the document.") var method = DomainMethod.dns
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.VerifyTenantDomainRequest(
      name: try domain.name(), method: method.wire, requestId: repetition.requestID,
      validateOnly: trial.dryRun)
    output.show(
      try await server.connected {
        try await $0.domains.verifyTenantDomain(request, options: $0.options)
      })
  }
}

struct GetDomainCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "get", abstract: "Shows a domain, and while it is pending what proves it.")

  @OptionGroup var domain: DomainArguments
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.GetTenantDomainRequest(name: try domain.name())
    output.show(
      try await server.connected {
        try await $0.domains.getTenantDomain(request, options: $0.options)
      })
  }
}

struct ListDomainsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists a tenant's domains and claims.")

  @Argument(help: "The tenant: its slug or id, with or without tenants/.") var tenant: String
  @OptionGroup var pages: PageOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let parent = try ResourceName.tenant(tenant)
    let (domains, next) = try await server.connected { connection in
      try await pages.collect { token in
        let page = try await connection.domains.listTenantDomains(
          V1.ListTenantDomainsRequest(parent: parent, pageSize: pages.pageSize, pageToken: token),
          options: connection.options)
        return (page.domains, page.nextPageToken)
      }
    }
    output.show(
      V1.ListTenantDomainsResponse(domains: domains, nextPageToken: next), next: next, of: pages)
  }
}

struct ReleaseDomainCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "release", abstract: "Gives a domain or a claim up, at once.")

  @OptionGroup var domain: DomainArguments
  @OptionGroup var confirmation: ConfirmationOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let name = try domain.name()
    try confirmation.confirm(
      unless: trial.dryRun, "Release \(name)? Its requests are not the tenant's any more.")
    let request = V1.ReleaseTenantDomainRequest(
      name: name, requestId: repetition.requestID, validateOnly: trial.dryRun)
    output.show(
      try await server.connected {
        try await $0.domains.releaseTenantDomain(request, options: $0.options)
      }, done: trial.done("released \(name)"))
  }
}
