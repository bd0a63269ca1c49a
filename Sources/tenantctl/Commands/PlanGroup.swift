import ArgumentParser
import TenancyWire

/// `tenantctl plan …`.
struct PlanGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan", abstract: "Plans: what all tenants have that name one.",
    discussion: "`tenant configure TENANT --plan PLAN` gives a tenant one.",
    subcommands: [
      CreatePlanCommand.self, GetPlanCommand.self, ListPlansCommand.self, UpdatePlanCommand.self,
      DeletePlanCommand.self, PlanHistoryCommand.self,
    ])
}

/// The plan that a command is about.
struct PlanArgument: ParsableArguments {
  @Argument(help: "The plan, with or without plans/.") var plan: String

  func name() throws(UsageError) -> String { try ResourceName.plan(plan) }
}

/// What a plan says. Each list is written as a whole.
struct PlanOptions: ParsableArguments {
  @Option(help: "For people.") var displayName: String?
  @Option(
    name: .customLong("setting"),
    help: ArgumentHelp(
      "A setting: JSON, or text if it is not JSON. May be repeated.", valueName: "key=value"),
    transform: KeyValue.init(parsing:))
  var settings: [KeyValue] = []
  @Option(
    name: .customLong("flag"),
    help: ArgumentHelp("A feature flag. May be repeated.", valueName: "name=true|false"),
    transform: KeyValue.init(parsing:))
  var flags: [KeyValue] = []
  @Option(
    name: .customLong("limit"),
    help: ArgumentHelp(
      "A limit in place of the usual plan's, such as 100/second. May be repeated.",
      valueName: "[NAME] NUMBER/PERIOD [BURST]"),
    transform: LimitText.parse)
  var limits: [V1.RequestLimit] = []

  /// Sets what is given.
  /// - Returns: the fields that are.
  func apply(to plan: inout V1.Plan) throws(UsageError) -> [String] {
    var fields: [String] = []
    if let displayName {
      plan.displayName = displayName
      fields.append("display_name")
    }
    if !settings.isEmpty {
      plan.settings = try KeyValue.dictionary(settings, option: "--setting") {
        pair throws(UsageError) in try pair.json()
      }
      fields.append("settings")
    }
    if !flags.isEmpty {
      plan.featureFlags = try KeyValue.dictionary(flags, option: "--flag") {
        pair throws(UsageError) in try pair.bool()
      }
      fields.append("feature_flags")
    }
    if !limits.isEmpty {
      plan.limits = limits
      fields.append("limits")
    }
    return fields
  }
}

struct CreatePlanCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "create", abstract: "Makes a plan.")

  @OptionGroup var plan: PlanArgument
  @OptionGroup(title: "Plan") var options: PlanOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    var new = V1.Plan()
    _ = try options.apply(to: &new)
    let request = V1.CreatePlanRequest(
      planId: ResourceName.last(try plan.name()), plan: new, validateOnly: trial.dryRun,
      requestId: repetition.requestID)
    output.show(
      try await server.connected { try await $0.plans.createPlan(request, options: $0.options) })
  }
}

struct GetPlanCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "get", abstract: "Shows a plan.")

  @OptionGroup var plan: PlanArgument
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.GetPlanRequest(name: try plan.name())
    output.show(
      try await server.connected { try await $0.plans.getPlan(request, options: $0.options) })
  }
}

struct ListPlansCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists the plans, those of the server's configuration first.")

  @OptionGroup var pages: PageOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let (plans, next) = try await server.connected { connection in
      try await pages.collect { token in
        let page = try await connection.plans.listPlans(
          V1.ListPlansRequest(pageSize: pages.pageSize, pageToken: token),
          options: connection.options)
        return (page.plans, page.nextPageToken)
      }
    }
    output.show(V1.ListPlansResponse(plans: plans, nextPageToken: next), next: next, of: pages)
  }
}

struct UpdatePlanCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "update", abstract: "Makes a plan otherwise, for all tenants that have it.",
    discussion: "Settings, flags and limits are replaced as a whole if one of them is given.")

  @OptionGroup var plan: PlanArgument
  @OptionGroup(title: "Plan") var options: PlanOptions
  @Option(
    name: .customLong("unset"),
    help: ArgumentHelp(
      "Empties settings, feature_flags or limits. May be repeated.", valueName: "field"))
  var unset: [String] = []
  @OptionGroup var etag: EtagOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    var change = V1.Plan(name: try plan.name(), etag: etag.etag)
    let fields = try options.apply(to: &change)
    let mask = try FieldNames.mask(set: fields, unset: unset)
    let request = V1.UpdatePlanRequest(
      plan: change, updateMask: mask, validateOnly: trial.dryRun, requestId: repetition.requestID)
    output.show(
      try await server.connected { try await $0.plans.updatePlan(request, options: $0.options) })
  }
}

struct DeletePlanCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete", abstract: "Removes a plan that no tenant has.")

  @OptionGroup var plan: PlanArgument
  @OptionGroup var etag: EtagOptions
  @OptionGroup var confirmation: ConfirmationOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let name = try plan.name()
    try confirmation.confirm(unless: trial.dryRun, "Delete \(name)?")
    let request = V1.DeletePlanRequest(
      name: name, etag: etag.etag, validateOnly: trial.dryRun, requestId: repetition.requestID)
    output.show(
      try await server.connected { try await $0.plans.deletePlan(request, options: $0.options) },
      done: trial.done("deleted \(name)"))
  }
}

/// Fields of an update, as the command line names them.
enum FieldNames {
  static func mask(
    set: [String], unset: [String]
  ) throws(UsageError) -> GoogleProtobuf.FieldMask {
    if let both = unset.first(where: set.contains) {
      throw UsageError("'\(both)' can't be both set and unset")
    }
    // An empty mask would mean something else.
    guard !set.isEmpty || !unset.isEmpty else { throw UsageError("nothing to change") }
    return GoogleProtobuf.FieldMask(paths: set + unset)
  }
}
