import ArgumentParser
import TenancyWire

/// `tenantctl setting …`.
struct SettingGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "setting", abstract: "What the platform declares of tenants' settings.",
    subcommands: [
      CreateSettingCommand.self, GetSettingCommand.self, ListSettingsCommand.self,
      UpdateSettingCommand.self, DeleteSettingCommand.self, SettingConflictsCommand.self,
    ])
}

/// The setting that a command is about.
struct SettingArgument: ParsableArguments {
  @Argument(help: "The setting's key, with or without settingDefinitions/.") var setting: String

  func name() throws(UsageError) -> String { try ResourceName.setting(setting) }
}

/// `tenantctl setting create --type …`.
enum SettingTypeOption: String, ExpressibleByArgument, CaseIterable {
  case string, integer, number, bool, duration, list, json

  var wire: V1.SettingType {
    switch self {
    case .string: .string
    case .integer: .integer
    case .number: .number
    case .bool: .bool
    case .duration: .duration
    case .list: .stringList
    case .json: .json
    }
  }
}

/// Who may change a tenant's value.
enum SettingEditorOption: String, ExpressibleByArgument, CaseIterable {
  case platform, tenant

  var wire: V1.SettingEditor {
    switch self {
    case .platform: .platform
    case .tenant: .tenant
    }
  }
}

/// What is said of a setting.
struct SettingOptions: ParsableArguments {
  @Option(help: "For people.") var description: String?
  @Option(help: "What a tenant has without a value of its own: JSON, or text if it is not JSON.")
  var `default`: String?
  @Option(help: "The least number, or seconds of a duration.") var minimum: Double?
  @Option(help: "The greatest.") var maximum: Double?
  @Option(
    name: .customLong("allow"),
    help: ArgumentHelp("The only texts that are allowed. May be repeated.", valueName: "text"))
  var allowed: [String] = []
  @Option(help: "Characters of a text, or elements of a list, at least.")
  var minimumLength: UInt32?
  @Option(help: "And at most.") var maximumLength: UInt32?
  @Option(help: "Who may change a tenant's value: platform or tenant, which is both.")
  var editor: SettingEditorOption?
  @Option(help: "Since which version of the application there is the setting.") var since: String?

  /// Sets what is given.
  /// - Returns: the fields that are.
  func apply(to definition: inout V1.SettingDefinition) throws(UsageError) -> [String] {
    var fields: [String] = []
    func note<Value>(_ value: Value?, _ field: String, _ set: (Value) -> Void) {
      guard let value else { return }
      set(value)
      fields.append(field)
    }
    note(description, "description") { definition.description = $0 }
    if let text = `default` {
      definition.defaultValue = try KeyValue(parsing: "default=\(text)").json()
      fields.append("default_value")
    }
    note(minimum, "minimum") { definition.minimum = $0 }
    note(maximum, "maximum") { definition.maximum = $0 }
    note(allowed.isEmpty ? nil : allowed, "allowed_values") { definition.allowedValues = $0 }
    note(minimumLength, "minimum_length") { definition.minimumLength = $0 }
    note(maximumLength, "maximum_length") { definition.maximumLength = $0 }
    note(editor, "editor") { definition.editor = $0.wire }
    note(since, "since_version") { definition.sinceVersion = $0 }
    return fields
  }
}

struct CreateSettingCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Declares a setting.",
    discussion: """
      Values that tenants have already are not looked at: `conflicts` finds those that don't fit, \
      also before.
      """)

  @OptionGroup var setting: SettingArgument
  @Option(help: "What values are.") var type: SettingTypeOption
  @OptionGroup(title: "Definition") var options: SettingOptions
  @Flag(help: "It is a secret: values are sealed, and told to nobody but who may read them.")
  var secret = false
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    var definition = V1.SettingDefinition(type: type.wire, secret: secret)
    _ = try options.apply(to: &definition)
    let request = V1.CreateSettingDefinitionRequest(
      settingDefinitionId: ResourceName.last(try setting.name()), settingDefinition: definition,
      validateOnly: trial.dryRun, requestId: repetition.requestID)
    output.show(
      try await server.connected {
        try await $0.settings.createSettingDefinition(request, options: $0.options)
      })
  }
}

struct GetSettingCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "get", abstract: "Shows what is declared of a setting.")

  @OptionGroup var setting: SettingArgument
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.GetSettingDefinitionRequest(name: try setting.name())
    output.show(
      try await server.connected {
        try await $0.settings.getSettingDefinition(request, options: $0.options)
      })
  }
}

struct ListSettingsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists the declared settings.")

  @OptionGroup var pages: PageOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let (definitions, next) = try await server.connected { connection in
      try await pages.collect { token in
        let page = try await connection.settings.listSettingDefinitions(
          V1.ListSettingDefinitionsRequest(pageSize: pages.pageSize, pageToken: token),
          options: connection.options)
        return (page.settingDefinitions, page.nextPageToken)
      }
    }
    output.show(
      V1.ListSettingDefinitionsResponse(settingDefinitions: definitions, nextPageToken: next),
      next: next, of: pages)
  }
}

struct UpdateSettingCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "update", abstract: "Declares a setting otherwise.",
    discussion: "What is not named stays. Values that tenants have are not looked at: see create.")

  @OptionGroup var setting: SettingArgument
  @Option(help: "What values are.") var type: SettingTypeOption?
  @OptionGroup(title: "Definition") var options: SettingOptions
  @Option(
    name: .customLong("unset"),
    help: ArgumentHelp(
      "Removes a bound or another field, such as maximum_length. May be repeated.",
      valueName: "field"))
  var unset: [String] = []
  @OptionGroup var etag: EtagOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    var definition = V1.SettingDefinition(name: try setting.name(), etag: etag.etag)
    var fields = try options.apply(to: &definition)
    if let type {
      definition.type = type.wire
      fields.append("type")
    }
    let request = V1.UpdateSettingDefinitionRequest(
      settingDefinition: definition, updateMask: try FieldNames.mask(set: fields, unset: unset),
      validateOnly: trial.dryRun, requestId: repetition.requestID)
    output.show(
      try await server.connected {
        try await $0.settings.updateSettingDefinition(request, options: $0.options)
      })
  }
}

struct DeleteSettingCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete", abstract: "Declares a setting no more. Tenants' values stay.")

  @OptionGroup var setting: SettingArgument
  @OptionGroup var etag: EtagOptions
  @OptionGroup var confirmation: ConfirmationOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let name = try setting.name()
    try confirmation.confirm(unless: trial.dryRun, "Delete \(name)? Its values are any JSON then.")
    let request = V1.DeleteSettingDefinitionRequest(
      name: name, etag: etag.etag, validateOnly: trial.dryRun, requestId: repetition.requestID)
    output.show(
      try await server.connected {
        try await $0.settings.deleteSettingDefinition(request, options: $0.options)
      }, done: trial.done("deleted \(name)"))
  }
}

struct SettingConflictsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "conflicts", abstract: "Lists tenants whose value does not fit.",
    discussion: """
      Without --type: those that don't fit what is declared. With it: those that would not fit what \
      the options say.
      """)

  @OptionGroup var setting: SettingArgument
  @Option(help: "What values would be.") var type: SettingTypeOption?
  @OptionGroup(title: "Definition") var options: SettingOptions
  @OptionGroup var pages: PageOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let name = try setting.name()
    var definition = V1.SettingDefinition(type: type?.wire ?? .unspecified)
    let fields = try options.apply(to: &definition)
    guard type != nil || fields.isEmpty else {
      throw UsageError("the options say nothing without --type")
    }
    let proposed = type == nil ? nil : definition
    let (conflicts, next) = try await server.connected { connection in
      try await pages.collect { token in
        let page = try await connection.settings.listSettingConflicts(
          V1.ListSettingConflictsRequest(
            name: name, settingDefinition: proposed, pageSize: pages.pageSize, pageToken: token),
          options: connection.options)
        return (page.conflicts, page.nextPageToken)
      }
    }
    output.show(
      V1.ListSettingConflictsResponse(conflicts: conflicts, nextPageToken: next), next: next,
      of: pages)
  }
}
