import ArgumentParser
import TenancyWire

/// `tenantctl identity …`.
struct IdentityGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "identity", abstract: "Which processes are whose.",
    subcommands: [EntryGroup.self])
}

/// `tenantctl identity entry …`.
struct EntryGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "entry",
    abstract: "Registration entries: which processes get which identity from the Workload API.",
    subcommands: [
      CreateEntryCommand.self, GetEntryCommand.self, ListEntriesCommand.self,
      DeleteEntryCommand.self,
    ])
}

/// Whose entries: a tenant's, or the platform's.
struct EntryOwner: ParsableArguments {
  @Option(help: "The tenant: its slug or id, with or without tenants/.") var tenant: String?
  @Flag(help: "The platform itself, in place of a tenant.") var platform = false

  func validate() throws {
    guard tenant == nil || !platform else {
      throw ValidationError("--tenant and --platform: give one of them")
    }
  }

  func name() throws(UsageError) -> String? {
    guard let tenant else { return nil }
    return try ResourceName.tenant(tenant)
  }
}

/// The entry that a command is about.
struct EntryArgument: ParsableArguments {
  @Argument(help: "The entry's id, with or without workloadEntries/.") var entry: String

  func name() throws(UsageError) -> String { try ResourceName.entry(entry) }
}

struct CreateEntryCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Gives processes an identity.",
    discussion: """
      All that is given of --uid, --gid, --binary, --unit and --node must match, and --uid or \
      --binary is needed. The identity is spiffe://{trust domain}/tenant/{id}/{path}, and for \
      --platform spiffe://{trust domain}/platform/{path}.
      """)

  @OptionGroup var owner: EntryOwner
  @Option(
    help: "What is behind the tenant: web/frontend; for the platform {role} or {role}/{workload}.")
  var path: String
  @Option(help: "The number of the process's user.") var uid: UInt32?
  @Option(help: "The number of its group.") var gid: UInt32?
  @Option(help: ArgumentHelp("Its program: an absolute path without links.", valueName: "path"))
  var binary = ""
  @Option(help: "Its unit of the system's systemd, such as web.service.") var unit = ""
  @Option(help: "The node that it runs on, as workload_api.node there names it.") var node = ""
  @Option(
    help: ArgumentHelp("Of its certificates; an hour if absent.", valueName: "seconds"))
  var lifetime: Int64?
  @Option(help: "What it may tell several identities apart by.") var hint = ""
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func validate() throws {
    guard owner.tenant != nil || owner.platform else {
      throw ValidationError("whose workload is it? Give --tenant, or --platform")
    }
  }

  func run() async throws {
    let selectors = V1.WorkloadSelectors(
      uid: uid, gid: gid, binaryPath: binary, systemdUnit: unit, node: node)
    let entry = V1.WorkloadEntry(
      tenant: try owner.name() ?? "", path: path, selectors: selectors,
      lifetime: lifetime.map { GoogleProtobuf.Duration(seconds: $0) }, hint: hint)
    let request = V1.CreateWorkloadEntryRequest(
      entry: entry, requestId: repetition.requestID, validateOnly: trial.dryRun)
    output.show(
      try await server.connected {
        try await $0.workloads.createWorkloadEntry(request, options: $0.options)
      })
  }
}

struct GetEntryCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "get", abstract: "Shows an entry.")

  @OptionGroup var entry: EntryArgument
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.GetWorkloadEntryRequest(name: try entry.name())
    output.show(
      try await server.connected {
        try await $0.workloads.getWorkloadEntry(request, options: $0.options)
      })
  }
}

struct ListEntriesCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists entries: all, a tenant's, or the platform's.")

  @OptionGroup var owner: EntryOwner
  @OptionGroup var pages: PageOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let owned = owner.platform ? "platform" : try owner.name() ?? ""
    let (entries, next) = try await server.connected { connection in
      try await pages.collect { token in
        let page = try await connection.workloads.listWorkloadEntries(
          V1.ListWorkloadEntriesRequest(owner: owned, pageSize: pages.pageSize, pageToken: token),
          options: connection.options)
        return (page.entries, page.nextPageToken)
      }
    }
    output.show(
      V1.ListWorkloadEntriesResponse(entries: entries, nextPageToken: next), next: next, of: pages)
  }
}

struct DeleteEntryCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete", abstract: "Takes an identity away from processes, at once.",
    discussion: "Certificates that were given out last until their end.")

  @OptionGroup var entry: EntryArgument
  @OptionGroup var confirmation: ConfirmationOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let name = try entry.name()
    try confirmation.confirm(
      unless: trial.dryRun, "Delete \(name)? Its processes lose their identity.")
    let request = V1.DeleteWorkloadEntryRequest(
      name: name, requestId: repetition.requestID, validateOnly: trial.dryRun)
    output.show(
      try await server.connected {
        try await $0.workloads.deleteWorkloadEntry(request, options: $0.options)
      }, done: trial.done("deleted \(name)"))
  }
}
