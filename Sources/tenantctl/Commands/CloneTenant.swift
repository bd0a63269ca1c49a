import ArgumentParser
import TenancyWire

struct CloneTenantCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "clone", abstract: "Creates a tenant after the pattern of another.",
    discussion: """
      With its settings, flags, routes, limits, labels, roles and groups. Not with who has these, and nothing that \
      tells who it or its callers are: domains, keys, logins, passwords.
      """)

  @Argument(help: "The pattern: a tenant's slug or id, with or without tenants/.") var source:
    String
  @Option(help: "Its name for people.") var displayName: String
  @Option(help: "Its name in URLs; made of the display name if absent.") var slug = ""
  @Option(help: "How its data is kept apart; that of the pattern if absent.") var isolation:
    Isolation?
  @OptionGroup var metadata: MetadataOptions
  @OptionGroup(title: "Where its data is") var place: PlaceOptions
  @OptionGroup var repetition: RepetitionOptions
  @Flag(help: "Checks only, changes nothing.") var validateOnly = false
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func request() throws(UsageError) -> V1.CloneTenantRequest {
    let configuration = try place.message()
    var tenant = V1.Tenant(
      slug: slug, displayName: displayName, isolationModel: isolation?.model ?? .unspecified,
      configuration: configuration == V1.TenantConfiguration() ? nil : configuration)
    try metadata.apply(to: &tenant)
    return V1.CloneTenantRequest(
      source: try ResourceName.tenant(source), tenant: tenant, requestId: repetition.requestID,
      validateOnly: validateOnly)
  }

  func run() async throws {
    let request = try request()
    output.show(
      try await server.connected { try await $0.tenants.cloneTenant(request, options: $0.options) }
    )
  }
}
