import ArgumentParser
import TenancyWire

/// `tenantctl config …`.
struct ConfigGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "config", abstract: "A tenant's settings, and where their values come from.",
    subcommands: [
      GetConfigCommand.self, SetConfigCommand.self, UnsetConfigCommand.self,
      ExplainConfigCommand.self, SecretConfigCommand.self, ConfigHistoryCommand.self,
      DiffConfigCommand.self,
      RevertConfigCommand.self,
    ])
}

struct GetConfigCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "get", abstract: "Shows the settings that count for a tenant.")

  @OptionGroup var tenant: TenantArgument
  @Argument(help: "Only this one.") var setting: String?
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.GetEffectiveConfigurationRequest(name: try tenant.name())
    var found = try await server.connected {
      try await $0.configurations.getEffectiveConfiguration(request, options: $0.options)
    }
    if let setting { found.settings = found.settings?.filter { $0.key == setting } }
    output.show(found)
  }
}

struct SetConfigCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "set", abstract: "Gives settings of a tenant values of its own.",
    discussion: """
      A value of a secret setting is read from a file or the standard input: on the command line, others \
      could see it.
      """)

  @OptionGroup var tenant: TenantArgument
  @Argument(
    help: ArgumentHelp("Settings: JSON, or text if it is not JSON.", valueName: "key=value"),
    transform: KeyValue.init(parsing:))
  var settings: [KeyValue] = []
  @Option(
    name: .customLong("secret-file"),
    help: ArgumentHelp(
      "A secret setting, and the file that holds its value, - for stdin. May be repeated.",
      valueName: "key=file"),
    transform: KeyValue.init(parsing:))
  var secrets: [KeyValue] = []
  @OptionGroup var etag: EtagOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let values = try KeyValue.dictionary(settings, option: "the command") {
      pair throws(UsageError) in try pair.json()
    }
    guard secrets.count(where: { $0.value == "-" }) <= 1 else {
      throw UsageError("the standard input is one secret's only")
    }
    let clear = try KeyValue.dictionary(secrets, option: "--secret-file") {
      pair throws(UsageError) in try InputFile.secret(pair.value)
    }
    try await configure(
      setting: V1.TenantConfiguration(
        customSettings: values.isEmpty ? nil : values, secretValues: clear), unset: [],
      of: tenant, etag, trial, repetition, server, output)
  }
}

struct UnsetConfigCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "unset", abstract: "Takes values of its own away from a tenant.",
    discussion: "Its plan's count then, or the defaults.")

  @OptionGroup var tenant: TenantArgument
  @Argument(help: "The settings.") var settings: [String] = []
  @Option(
    name: .customLong("secret"),
    help: ArgumentHelp("A secret setting. May be repeated.", valueName: "key"))
  var secrets: [String] = []
  @OptionGroup var etag: EtagOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    try await configure(
      setting: V1.TenantConfiguration(), unset: settings, unsetSecrets: secrets, of: tenant, etag,
      trial, repetition, server, output)
  }
}

struct ExplainConfigCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain", abstract: "Shows which level says what of a tenant's settings.",
    discussion: "The tenant's own value counts before its plan's, and that before the default.")

  @OptionGroup var tenant: TenantArgument
  @Argument(help: "Only this one.") var setting: String?
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.ExplainConfigurationRequest(
      name: try tenant.name(), setting: setting ?? "")
    output.show(
      try await server.connected {
        try await $0.configurations.explainConfiguration(request, options: $0.options)
      })
  }
}

/// Changes settings of a tenant, and nothing else of it.
private func configure(
  setting configuration: V1.TenantConfiguration, unset: [String], unsetSecrets: [String] = [],
  of tenant: TenantArgument, _ etag: EtagOptions, _ trial: DryRunOptions,
  _ repetition: RepetitionOptions,
  _ server: ServerOptions,
  _ output: OutputOptions
) async throws {
  let change = try ConfigurationChange(
    setting: configuration, unsetSettings: unset, unsetSecrets: unsetSecrets)
  let request = V1.UpdateTenantConfigurationRequest(
    name: try tenant.name(), configuration: change.configuration, updateMask: change.mask,
    etag: etag.etag, validateOnly: trial.dryRun, requestId: repetition.requestID)
  output.show(
    try await server.connected {
      try await $0.tenants.updateTenantConfiguration(request, options: $0.options)
    })
}
