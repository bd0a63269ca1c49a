import ArgumentParser
import TenancyWire

/// `tenantctl flag …`.
struct FlagGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "flag", abstract: "Feature flags: for whom they are on.",
    discussion: """
      What a tenant's configuration says (`tenant configure --flag`) counts before its plan, and \
      that before what is declared here.
      """,
    subcommands: [
      CreateFlagCommand.self, GetFlagCommand.self, ListFlagsCommand.self, UpdateFlagCommand.self,
      DeleteFlagCommand.self, EvaluateFlagsCommand.self,
    ])
}

/// The flag that a command is about.
struct FlagArgument: ParsableArguments {
  @Argument(help: "The flag's key, with or without featureFlags/.") var flag: String

  func name() throws(UsageError) -> String { try ResourceName.flag(flag) }
}

/// What is said of a flag.
struct FlagOptions: ParsableArguments {
  @Option(help: "For people.") var description: String?
  @Option(help: "For how many of 10,000 buckets it is on: 100 is 1 %.") var rollout: UInt32?
  @Option(
    name: .customLong("tenant"),
    help: ArgumentHelp("A tenant's id for which it is on. May be repeated.", valueName: "id"))
  var tenants: [String] = []
  @Option(
    name: .customLong("subject"),
    help: ArgumentHelp(
      "A subject for which it is on, in whichever tenant. May be repeated.", valueName: "subject"))
  var subjects: [String] = []
  @Option(help: "What buckets are made of: another one deals them anew.") var salt: String?
  @Option(help: "Who may say otherwise in a tenant's configuration: platform or tenant.")
  var editor: SettingEditorOption?

  /// Sets what is given.
  /// - Returns: the fields that are.
  func apply(to flag: inout V1.FeatureFlag) -> [String] {
    var fields: [String] = []
    func note<Value>(_ value: Value?, _ field: String, _ set: (Value) -> Void) {
      guard let value else { return }
      set(value)
      fields.append(field)
    }
    note(description, "description") { flag.description = $0 }
    note(rollout, "rollout_basis_points") { flag.rolloutBasisPoints = $0 }
    note(tenants.isEmpty ? nil : tenants, "tenants") { flag.tenants = $0 }
    note(subjects.isEmpty ? nil : subjects, "subjects") { flag.subjects = $0 }
    note(salt, "salt") { flag.salt = $0 }
    note(editor, "editor") { flag.editor = $0.wire }
    return fields
  }
}

struct CreateFlagCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Declares a feature flag.")

  @OptionGroup var flag: FlagArgument
  @OptionGroup(title: "Flag") var options: FlagOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    var new = V1.FeatureFlag()
    _ = options.apply(to: &new)
    let request = V1.CreateFeatureFlagRequest(
      featureFlagId: ResourceName.last(try flag.name()), featureFlag: new,
      validateOnly: trial.dryRun, requestId: repetition.requestID)
    output.show(
      try await server.connected {
        try await $0.flags.createFeatureFlag(request, options: $0.options)
      })
  }
}

struct GetFlagCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "get", abstract: "Shows what is declared of a flag.")

  @OptionGroup var flag: FlagArgument
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.GetFeatureFlagRequest(name: try flag.name())
    output.show(
      try await server.connected {
        try await $0.flags.getFeatureFlag(request, options: $0.options)
      })
  }
}

struct ListFlagsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists the declared flags.")

  @OptionGroup var pages: PageOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let (flags, next) = try await server.connected { connection in
      try await pages.collect { token in
        let page = try await connection.flags.listFeatureFlags(
          V1.ListFeatureFlagsRequest(pageSize: pages.pageSize, pageToken: token),
          options: connection.options)
        return (page.featureFlags, page.nextPageToken)
      }
    }
    output.show(
      V1.ListFeatureFlagsResponse(featureFlags: flags, nextPageToken: next), next: next, of: pages)
  }
}

struct UpdateFlagCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "update", abstract: "Declares a flag otherwise.",
    discussion: "A greater rollout leaves nobody out. Lists are replaced as a whole.")

  @OptionGroup var flag: FlagArgument
  @OptionGroup(title: "Flag") var options: FlagOptions
  @Option(
    name: .customLong("unset"),
    help: ArgumentHelp(
      "Empties a field, such as tenants or subjects. May be repeated.", valueName: "field"))
  var unset: [String] = []
  @OptionGroup var etag: EtagOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    var change = V1.FeatureFlag(name: try flag.name(), etag: etag.etag)
    let mask = try FieldNames.mask(set: options.apply(to: &change), unset: unset)
    let request = V1.UpdateFeatureFlagRequest(
      featureFlag: change, updateMask: mask, validateOnly: trial.dryRun,
      requestId: repetition.requestID)
    output.show(
      try await server.connected {
        try await $0.flags.updateFeatureFlag(request, options: $0.options)
      })
  }
}

struct DeleteFlagCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete", abstract: "Declares a flag no more.")

  @OptionGroup var flag: FlagArgument
  @OptionGroup var etag: EtagOptions
  @OptionGroup var confirmation: ConfirmationOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let name = try flag.name()
    try confirmation.confirm(
      unless: trial.dryRun, "Delete \(name)? It is off where nothing else says otherwise.")
    let request = V1.DeleteFeatureFlagRequest(
      name: name, etag: etag.etag, validateOnly: trial.dryRun, requestId: repetition.requestID)
    output.show(
      try await server.connected {
        try await $0.flags.deleteFeatureFlag(request, options: $0.options)
      }, done: trial.done("deleted \(name)"))
  }
}

struct EvaluateFlagsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate", abstract: "Shows which flags are on for a tenant or a subject of it.")

  @OptionGroup var tenant: TenantArgument
  @Argument(help: "The flags; all of them if none is given.") var flags: [String] = []
  @Option(help: "For whom, such as user:alice; the tenant itself if absent.") var subject = ""
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.EvaluateFeatureFlagsRequest(
      name: try tenant.name(), subject: subject, flags: flags)
    output.show(
      try await server.connected {
        try await $0.configurations.evaluateFeatureFlags(request, options: $0.options)
      })
  }
}
