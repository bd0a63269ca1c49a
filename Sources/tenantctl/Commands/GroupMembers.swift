import ArgumentParser
import Foundation
import TenancyRPC
import TenancyWire

/// `tenantctl group member …`.
struct GroupMemberGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "member", abstract: "Who is in which group.",
    subcommands: [
      AddGroupMemberCommand.self, RemoveGroupMemberCommand.self, ListGroupMembersCommand.self,
    ])
}

struct AddGroupMemberCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add", abstract: "Makes somebody a member of a group.")

  @OptionGroup var group: GroupArguments
  @Argument(help: "Who: user:alice, a SPIFFE ID, or group:GROUP for all members of another group.")
  var member: String
  @Option(
    help: ArgumentHelp("Ends by itself: 90m, 8h, 30d.", valueName: "time"),
    transform: TimeSpan.init(parsing:))
  var expiresIn: TimeSpan?
  @Flag(help: "In the place of the membership that there is, at once.") var replace = false
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func request(now: Int64) throws(UsageError) -> V1.CreateGroupMemberRequest {
    V1.CreateGroupMemberRequest(
      parent: try group.tenant.name(),
      groupMember: V1.GroupMember(
        group: group.group, member: member,
        expireTime: expiresIn.map { GoogleProtobuf.Timestamp(seconds: now + $0.seconds) }),
      validateOnly: trial.dryRun, requestId: repetition.requestID, replace: replace)
  }

  func run() async throws {
    let request = try request(now: Int64(Date.now.timeIntervalSince1970))
    output.show(
      try await server.connected {
        try await $0.authorization.createGroupMember(request, options: $0.options)
      })
  }
}

struct RemoveGroupMemberCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Takes somebody out of a group.",
    discussion: "Either the membership's id, or --group and --member.")

  @OptionGroup var tenant: TenantArgument
  @Argument(help: "The membership's id.") var id: String?
  @Option(help: "The group's id.") var group: String?
  @Option(help: "Who is in it.") var member: String?
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func validate() throws {
    let byID = id != nil && group == nil && member == nil
    let byContent = id == nil && group != nil && member != nil
    guard byID || byContent else {
      throw ValidationError("Give the membership's id, or --group and --member.")
    }
  }

  func run() async throws {
    let tenantName = try tenant.name()
    let known = try id.map { id throws(UsageError) in
      try ResourceName.groupMember(id, in: tenant.tenant)
    }
    let (response, name) = try await server.connected { connection in
      var name = known
      if name == nil { name = try await find(in: tenantName, connection) }
      guard let name else {
        throw RPCStatus(.notFound, "\(member ?? "") is not in the group \(group ?? "")")
      }
      return (
        try await connection.authorization.deleteGroupMember(
          V1.DeleteGroupMemberRequest(
            name: name, validateOnly: trial.dryRun, requestId: repetition.requestID),
          options: connection.options), name
      )
    }
    output.show(response, done: trial.done("deleted \(name)"))
  }

  private func find(in tenant: String, _ connection: Connection) async throws -> String? {
    func page(_ token: String) async throws -> (items: [V1.GroupMember], next: String) {
      let page = try await connection.authorization.listGroupMembers(
        V1.ListGroupMembersRequest(
          parent: tenant, pageToken: token, group: group ?? "", member: member ?? ""),
        options: connection.options)
      return (page.groupMembers, page.nextPageToken)
    }
    let (items, next) = try await page("")
    return try await PageOptions.follow(items, next, page).items.first?.name
  }
}

struct ListGroupMembersCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists who is directly in which group.")

  @OptionGroup var tenant: TenantArgument
  @Option(help: "Only those of this group.") var group = ""
  @Option(help: "Only this subject's: which groups it is in.") var member = ""
  @OptionGroup var pages: PageOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let parent = try tenant.name()
    let (members, next) = try await server.connected { connection in
      try await pages.collect { token in
        let page = try await connection.authorization.listGroupMembers(
          V1.ListGroupMembersRequest(
            parent: parent, pageSize: pages.pageSize, pageToken: token, group: group,
            member: member),
          options: connection.options)
        return (page.groupMembers, page.nextPageToken)
      }
    }
    output.show(
      V1.ListGroupMembersResponse(groupMembers: members, nextPageToken: next), next: next,
      of: pages)
  }
}
