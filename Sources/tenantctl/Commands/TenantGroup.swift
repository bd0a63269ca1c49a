import ArgumentParser
import Foundation
import TenancyWire

/// `tenantctl tenant …`.
struct TenantGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tenant", abstract: "Creates tenants and moves them through their lives.",
    subcommands: [
      CreateTenantCommand.self, CloneTenantCommand.self, GetTenantCommand.self,
      ListTenantsCommand.self, ExportTenantsCommand.self, ImportTenantsCommand.self,
      WatchTenantsCommand.self, BatchGetTenantsCommand.self, BatchCreateTenantsCommand.self,
      UpdateTenantCommand.self, ConfigureTenantCommand.self, ProvisionTenantCommand.self,
      ActivateTenantCommand.self, DeactivateTenantCommand.self, DeprovisionTenantCommand.self,
      BeginMaintenanceCommand.self, EndMaintenanceCommand.self, ScheduleTenantCommand.self,
      DeleteTenantCommand.self, UndeleteTenantCommand.self, HoldTenantCommand.self,
      ReleaseTenantCommand.self, PurgeTenantCommand.self, RetireSlugCommand.self,
      TenantUsageCommand.self, TenantDataCommand.self,
      RotateLoginCommand.self, RetireLoginCommand.self,
    ])
}

/// The tenant that a command is about.
struct TenantArgument: ParsableArguments {
  @Argument(help: "The tenant: its slug or id, with or without tenants/.")
  var tenant: String

  func name() throws(UsageError) -> String { try ResourceName.tenant(tenant) }
}

/// For what can't be taken back.
struct ConfirmationOptions: ParsableArguments {
  @Flag(name: [.customShort("y"), .long], help: "Does not ask, which it does at a terminal only.")
  var yes = false

  /// - Throws: `UsageError` unless the answer is yes.
  func confirm(unless isTrial: Bool = false, _ question: String) throws(UsageError) {
    guard !yes, !isTrial, isatty(STDIN_FILENO) == 1 else { return }
    FileHandle.standardError.write(Data("\(Printable.text(question)) [y/N] ".utf8))
    guard ["y", "yes"].contains(readLine()?.lowercased() ?? "") else {
      throw UsageError("nothing was changed")
    }
  }
}

/// For changes that must not overwrite somebody else's.
struct EtagOptions: ParsableArguments {
  @Option(help: "Fails with ABORTED unless this is the current etag.")
  var etag = ""
}

struct CreateTenantCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Creates a tenant in state PENDING.")

  @Option(help: "Its name for people.") var displayName: String
  @Option(help: "Its name in URLs; made of the display name if absent.") var slug = ""
  @Option(help: "How its data is kept apart.") var isolation: Isolation
  @OptionGroup var metadata: MetadataOptions
  @OptionGroup(title: "Configuration") var settings: ConfigurationOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func request() throws(UsageError) -> V1.CreateTenantRequest {
    let configuration = try settings.message()
    var tenant = V1.Tenant(
      slug: slug, displayName: displayName, isolationModel: isolation.model,
      configuration: configuration == V1.TenantConfiguration() ? nil : configuration)
    try metadata.apply(to: &tenant)
    return V1.CreateTenantRequest(
      tenant: tenant, requestId: repetition.requestID, validateOnly: trial.dryRun)
  }

  func run() async throws {
    let request = try request()
    output.show(
      try await server.connected { try await $0.tenants.createTenant(request, options: $0.options) }
    )
  }
}

struct GetTenantCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "get", abstract: "Shows a tenant.")

  @OptionGroup var tenant: TenantArgument
  @Option(
    help: ArgumentHelp(
      "As it was at this revision, or time: 2027-01-31T12:00:00Z.", valueName: "revision|time"))
  var at: PastMoment?
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    var request = V1.GetTenantRequest(name: try tenant.name())
    switch at {
    case .revision(let revision): request.revision = revision
    case .time(let time): request.readTime = time
    case nil: break
    }
    output.show(
      try await server.connected { try await $0.tenants.getTenant(request, options: $0.options) })
  }
}

struct TenantUsageCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "usage", abstract: "Shows what a tenant uses: calls, data and quotas.")

  @OptionGroup var tenant: TenantArgument
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.GetTenantUsageRequest(name: try tenant.name())
    output.show(
      try await server.connected {
        try await $0.tenants.getTenantUsage(request, options: $0.options)
      })
  }
}
