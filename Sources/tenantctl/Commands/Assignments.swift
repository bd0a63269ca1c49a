import ArgumentParser
import Foundation
import TenancyRPC
import TenancyWire

struct AssignRoleCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "assign", abstract: "Gives somebody a role.")

  @OptionGroup var tenant: TenantArgument
  @Argument(help: "Who: user:alice, a SPIFFE ID, or group:GROUP.") var subject: String
  @Argument(help: "The role's id.") var role: String
  @Option(
    help: ArgumentHelp("Ends by itself: 90m, 8h, 30d.", valueName: "time"),
    transform: TimeSpan.init(parsing:))
  var expiresIn: TimeSpan?
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func request(now: Int64) throws(UsageError) -> V1.CreateRoleAssignmentRequest {
    V1.CreateRoleAssignmentRequest(
      parent: try tenant.name(),
      assignment: V1.RoleAssignment(
        subject: subject, role: role,
        expireTime: expiresIn.map { GoogleProtobuf.Timestamp(seconds: now + $0.seconds) }),
      validateOnly: trial.dryRun, requestId: repetition.requestID)
  }

  func run() async throws {
    let request = try request(now: Int64(Date.now.timeIntervalSince1970))
    output.show(
      try await server.connected {
        try await $0.authorization.createRoleAssignment(request, options: $0.options)
      })
  }
}

struct UnassignRoleCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "unassign", abstract: "Takes a role from somebody.",
    discussion: "Either the assignment's id, or --subject and --role.")

  @OptionGroup var tenant: TenantArgument
  @Argument(help: "The assignment's id.") var assignment: String?
  @Option(help: "Who has the role.") var subject: String?
  @Option(help: "The role's id.") var role: String?
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func validate() throws {
    let byID = assignment != nil && subject == nil && role == nil
    let byContent = assignment == nil && subject != nil && role != nil
    guard byID || byContent else {
      throw ValidationError("Give the assignment's id, or --subject and --role.")
    }
  }

  func run() async throws {
    let tenantName = try tenant.name()
    let known = try assignment.map { id throws(UsageError) in
      try ResourceName.assignment(id, in: tenant.tenant)
    }
    let (response, name) = try await server.connected { connection in
      var name = known
      if name == nil { name = try await find(in: tenantName, connection) }
      guard let name else {
        throw RPCStatus(.notFound, "\(subject ?? "") does not have the role \(role ?? "")")
      }
      return (
        try await connection.authorization.deleteRoleAssignment(
          V1.DeleteRoleAssignmentRequest(
            name: name, validateOnly: trial.dryRun, requestId: repetition.requestID),
          options: connection.options), name
      )
    }
    output.show(response, done: trial.done("deleted \(name)"))
  }

  /// The server lets a subject have a role once at most; pages before it may be empty.
  private func find(in tenant: String, _ connection: Connection) async throws -> String? {
    func page(_ token: String) async throws -> (items: [V1.RoleAssignment], next: String) {
      let page = try await connection.authorization.listRoleAssignments(
        V1.ListRoleAssignmentsRequest(
          parent: tenant, pageToken: token, subject: subject ?? "", role: role ?? ""),
        options: connection.options)
      return (page.assignments, page.nextPageToken)
    }
    let (items, next) = try await page("")
    return try await PageOptions.follow(items, next, page).items.first?.name
  }
}

struct ListAssignmentsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "assignments", abstract: "Lists who has which role.")

  @OptionGroup var tenant: TenantArgument
  @Option(help: "Only those of this subject.") var subject = ""
  @Option(help: "Only those of this role id.") var role = ""
  @OptionGroup var pages: PageOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let parent = try tenant.name()
    let (assignments, next) = try await server.connected { connection in
      try await pages.collect { token in
        let page = try await connection.authorization.listRoleAssignments(
          V1.ListRoleAssignmentsRequest(
            parent: parent, pageSize: pages.pageSize, pageToken: token, subject: subject,
            role: role),
          options: connection.options)
        return (page.assignments, page.nextPageToken)
      }
    }
    output.show(
      V1.ListRoleAssignmentsResponse(assignments: assignments, nextPageToken: next), next: next,
      of: pages)
  }
}
