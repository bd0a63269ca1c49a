import ArgumentParser
import TenancyWire

/// `tenantctl group …`.
struct SubjectGroupGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "group", abstract: "Groups of a tenant's subjects, and who is in them.",
    discussion: """
      A group is a subject itself: `tenantctl role assign TENANT group:GROUP ROLE` gives the role to
      all of its members.
      """,
    subcommands: [
      CreateGroupCommand.self, GetGroupCommand.self, ListGroupsCommand.self,
      UpdateGroupCommand.self, DeleteGroupCommand.self, GroupMemberGroup.self,
    ])
}

/// The group that a command is about.
struct GroupArguments: ParsableArguments {
  @OptionGroup var tenant: TenantArgument
  @Argument(help: "The group's id in the tenant.") var group: String

  func name() throws(UsageError) -> String { try ResourceName.group(group, in: tenant.tenant) }
}

struct CreateGroupCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Creates a group without members.")

  @OptionGroup var group: GroupArguments
  @Option(help: "Its name for people.") var title = ""
  @Option(help: "What it is for.") var description = ""
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.CreateGroupRequest(
      parent: try group.tenant.name(), groupId: group.group,
      group: V1.Group(title: title, description: description),
      validateOnly: trial.dryRun, requestId: repetition.requestID)
    output.show(
      try await server.connected {
        try await $0.authorization.createGroup(request, options: $0.options)
      })
  }
}

struct GetGroupCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "get", abstract: "Shows a group.")

  @OptionGroup var group: GroupArguments
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.GetGroupRequest(name: try group.name())
    output.show(
      try await server.connected {
        try await $0.authorization.getGroup(request, options: $0.options)
      })
  }
}

struct ListGroupsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists a tenant's groups.")

  @OptionGroup var tenant: TenantArgument
  @OptionGroup var pages: PageOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let parent = try tenant.name()
    let (groups, next) = try await server.connected { connection in
      try await pages.collect { token in
        let page = try await connection.authorization.listGroups(
          V1.ListGroupsRequest(parent: parent, pageSize: pages.pageSize, pageToken: token),
          options: connection.options)
        return (page.groups, page.nextPageToken)
      }
    }
    output.show(V1.ListGroupsResponse(groups: groups, nextPageToken: next), next: next, of: pages)
  }
}

struct UpdateGroupCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "update", abstract: "Changes what a group is called.")

  @OptionGroup var group: GroupArguments
  @Option(help: "Its new name for people.") var title: String?
  @Option(help: "What it is for.") var description: String?
  @OptionGroup var etag: EtagOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func request() throws(UsageError) -> V1.UpdateGroupRequest {
    var change = V1.Group(name: try group.name(), etag: etag.etag)
    var paths: [String] = []
    if let title {
      change.title = title
      paths.append("title")
    }
    if let description {
      change.description = description
      paths.append("description")
    }
    guard !paths.isEmpty else {
      throw UsageError("nothing to change: give --title or --description")
    }
    return V1.UpdateGroupRequest(
      group: change, updateMask: GoogleProtobuf.FieldMask(paths: paths),
      validateOnly: trial.dryRun, requestId: repetition.requestID)
  }

  func run() async throws {
    let request = try request()
    output.show(
      try await server.connected {
        try await $0.authorization.updateGroup(request, options: $0.options)
      })
  }
}

struct DeleteGroupCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete", abstract: "Deletes a group.")

  @OptionGroup var group: GroupArguments
  @Flag(help: "Also with its members, its memberships and what it is assigned.") var force = false
  @OptionGroup var etag: EtagOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.DeleteGroupRequest(
      name: try group.name(), etag: etag.etag, force: force, validateOnly: trial.dryRun,
      requestId: repetition.requestID)
    output.show(
      try await server.connected {
        try await $0.authorization.deleteGroup(request, options: $0.options)
      }, done: trial.done("deleted \(request.name)"))
  }
}
