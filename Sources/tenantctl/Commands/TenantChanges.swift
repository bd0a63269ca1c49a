import ArgumentParser
import TenancyWire

struct UpdateTenantCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "update", abstract: "Changes a tenant's names, labels, annotations or isolation.",
    discussion: "Labels and annotations that are not named stay.")

  @OptionGroup var tenant: TenantArgument
  @Option(help: "Its new name for people.") var displayName: String?
  @Option(help: "Its new name in URLs. The old one goes on to stand for it: see retire-slug.")
  var slug: String?
  @Option(help: "Possible before resources are provisioned.") var isolation: Isolation?
  @Option(help: "When its maintenance is expected to be over. A time, or from now on, such as 2h.")
  var maintenanceEnd: Moment?
  @OptionGroup var metadata: MetadataOptions
  @OptionGroup var removals: MetadataRemovals
  @OptionGroup var etag: EtagOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func request() throws(UsageError) -> V1.UpdateTenantRequest {
    var change = V1.Tenant(name: try tenant.name(), etag: etag.etag)
    var paths: [String] = []
    if let displayName {
      change.displayName = displayName
      paths.append("display_name")
    }
    if let slug {
      change.slug = slug
      paths.append("slug")
    }
    if let isolation {
      change.isolationModel = isolation.model
      paths.append("isolation_model")
    }
    if let maintenanceEnd {
      change.maintenanceEndTime = maintenanceEnd.timestamp
      paths.append("maintenance_end_time")
    }
    try metadata.apply(to: &change)
    paths += try removals.paths(with: change)
    // An empty mask would mean something else.
    guard !paths.isEmpty else {
      throw UsageError(
        "nothing to change: give --display-name, --slug, --isolation, --label, --annotation or what to unset"
      )
    }
    return V1.UpdateTenantRequest(
      tenant: change, updateMask: GoogleProtobuf.FieldMask(paths: paths),
      validateOnly: trial.dryRun, requestId: repetition.requestID)
  }

  func run() async throws {
    let request = try request()
    let updated = try await server.connected {
      try await $0.tenants.updateTenant(request, options: $0.options)
    }
    output.show(updated)
    if slug != nil, !trial.dryRun { output.remark(Self.remarks(on: updated)) }
  }

  /// What still goes by a name that the tenant had.
  static func remarks(on tenant: V1.Tenant) -> [String] {
    tenant.formerSlugs.flatMap { former in
      [
        "\(former.slug) goes on to stand for \(tenant.slug): in certificates"
          + " (spiffe://.../tenant/\(former.slug)/...), paths, hosts, headers, environments and"
          + " configurations that carry it. Used \(former.recentUses) times in the last seven days.",
        "When `tenantctl tenant get \(tenant.slug)` counts no more uses,"
          + " `tenantctl tenant retire-slug \(tenant.slug) \(former.slug)` ends it.",
      ]
    }
  }
}

struct RetireSlugCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "retire-slug", abstract: "Ends that a former slug stands for its tenant.",
    discussion: """
      Certificates, paths, hosts and configurations that carry it are refused from then on. \
      `tenant get` shows how often it was used of late. What roles grant stays.
      """)

  @OptionGroup var tenant: TenantArgument
  @Argument(help: "One of the tenant's former slugs.") var slug: String
  @OptionGroup var etag: EtagOptions
  @OptionGroup var confirmation: ConfirmationOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    try confirmation.confirm(unless: trial.dryRun, "Refuse all that still carries \(slug)?")
    let request = V1.RetireTenantSlugRequest(
      name: try tenant.name(), slug: slug, etag: etag.etag, validateOnly: trial.dryRun,
      requestId: repetition.requestID)
    output.show(
      try await server.connected {
        try await $0.tenants.retireTenantSlug(request, options: $0.options)
      })
  }
}

struct ConfigureTenantCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "configure", abstract: "Changes parts of a tenant's configuration.",
    discussion: "What is not named stays. The database is replaced as a whole.")

  @OptionGroup var tenant: TenantArgument
  @OptionGroup(title: "Configuration") var settings: ConfigurationOptions
  @Option(help: ArgumentHelp("Removes a setting. May be repeated.", valueName: "key"))
  var unsetSetting: [String] = []
  @Option(help: ArgumentHelp("Removes a flag. May be repeated.", valueName: "name"))
  var unsetFlag: [String] = []
  @Flag(help: "Removes all routes.") var unsetRoutes = false
  @Flag(help: "Removes the plan and all limits: the usual plan's hold.") var unsetLimits = false
  @OptionGroup var etag: EtagOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func request() throws(UsageError) -> V1.UpdateTenantConfigurationRequest {
    let change = try ConfigurationChange(
      setting: try settings.message(), unsetSettings: unsetSetting, unsetFlags: unsetFlag,
      unsetsRoutes: unsetRoutes, unsetsLimits: unsetLimits)
    return V1.UpdateTenantConfigurationRequest(
      name: try tenant.name(), configuration: change.configuration, updateMask: change.mask,
      etag: etag.etag, validateOnly: trial.dryRun, requestId: repetition.requestID)
  }

  func run() async throws {
    let request = try request()
    output.show(
      try await server.connected {
        try await $0.tenants.updateTenantConfiguration(request, options: $0.options)
      })
  }
}
