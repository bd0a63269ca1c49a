import ArgumentParser
import TenancyWire

/// A setting as the history calls it.
enum SettingText {
  /// As update masks have it: a bare name is that of a setting.
  static func field(_ text: String) -> String {
    let isField =
      text == "limits.plan" || text == "limits.limits"
      || ["custom_settings.", "feature_flags."].contains { text.hasPrefix($0) }
    return isField || text.isEmpty ? text : "custom_settings.\(text)"
  }
}

/// Which changes are listed.
struct HistoryOptions: ParsableArguments {
  @Argument(help: "Only this setting, or feature_flags.NAME, limits.plan or limits.limits.")
  var setting: String?
  @OptionGroup var pages: PageOptions
}

struct ConfigHistoryCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "history",
    abstract: "Shows who changed which setting of a tenant, the newest change first.",
    discussion: "`config diff` and `config revert` take the revisions that it shows.")

  @OptionGroup var tenant: TenantArgument
  @OptionGroup var options: HistoryOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let name = try tenant.name()
    let (changes, next) = try await server.connected { connection in
      try await options.pages.collect { token in
        let page = try await connection.configurations.listSettingHistory(
          V1.ListSettingHistoryRequest(
            name: name, setting: SettingText.field(options.setting ?? ""),
            pageSize: options.pages.pageSize, pageToken: token), options: connection.options)
        return (page.changes, page.nextPageToken)
      }
    }
    output.show(
      V1.ListSettingHistoryResponse(changes: changes, nextPageToken: next), next: next,
      of: options.pages)
  }
}

struct PlanHistoryCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "history",
    abstract: "Shows who changed which setting of a plan, the newest change first.")

  @OptionGroup var plan: PlanArgument
  @OptionGroup var options: HistoryOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let name = try plan.name()
    let (changes, next) = try await server.connected { connection in
      try await options.pages.collect { token in
        let page = try await connection.plans.listPlanHistory(
          V1.ListPlanHistoryRequest(
            name: name, setting: SettingText.field(options.setting ?? ""),
            pageSize: options.pages.pageSize, pageToken: token), options: connection.options)
        return (page.changes, page.nextPageToken)
      }
    }
    output.show(
      V1.ListSettingHistoryResponse(changes: changes, nextPageToken: next), next: next,
      of: options.pages)
  }
}

struct DiffConfigCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff", abstract: "Shows what is different between two revisions.")

  @OptionGroup var tenant: TenantArgument
  @Option(help: "The earlier revision.") var from: UInt64
  @Option(help: "The later one; now without it.") var to: UInt64?
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.DiffTenantConfigurationRequest(
      name: try tenant.name(), fromRevision: from, toRevision: to ?? 0)
    output.show(
      try await server.connected {
        try await $0.configurations.diffTenantConfiguration(request, options: $0.options)
      })
  }
}

struct RevertConfigCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "revert",
    abstract: "Gives settings of a tenant the values that they had after a revision.",
    discussion: """
      To undo the change of revision 7, revert to 6. The values have to fit what is declared now. \
      `config history` shows revisions.
      """)

  @OptionGroup var tenant: TenantArgument
  @Argument(
    help: "Only these, each as history shows it. Without them: all that were changed since.")
  var settings: [String] = []
  @Option(help: "The revision.") var to: UInt64
  @Flag(help: "Says what would be changed, and changes nothing.") var validateOnly = false
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var etag: EtagOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.RevertTenantConfigurationRequest(
      name: try tenant.name(), revision: to, settings: settings.map(SettingText.field),
      etag: etag.etag, requestId: repetition.requestID, validateOnly: validateOnly)
    output.show(
      try await server.connected {
        try await $0.configurations.revertTenantConfiguration(request, options: $0.options)
      })
  }
}

struct SecretConfigCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "secret", abstract: "Shows a tenant's value of a secret setting.",
    discussion: "That it was shown is in the audit trail. `config set --secret-file` sets one.")

  @OptionGroup var tenant: TenantArgument
  @Argument(help: "The setting.") var setting: String
  @Flag(help: "Writes the value alone, for other programs.") var bare = false
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.AccessSecretSettingRequest(name: try tenant.name(), setting: setting)
    let answer = try await server.connected {
      try await $0.configurations.accessSecretSetting(request, options: $0.options)
    }
    if bare { print(answer.value) } else { output.show(answer) }
  }
}
