import ArgumentParser
import Foundation
import Tenancy
import TenancyRPC
import TenancyWire

/// When an assignment holds.
struct ConditionOptions: ParsableArguments {
  @Option(help: ArgumentHelp("When it holds, in CEL.", valueName: "expression"))
  var condition = ""
  @Option(help: ArgumentHelp("A file that has the condition; - for stdin.", valueName: "file"))
  var conditionFile: String?

  func text() throws(UsageError) -> String {
    guard let conditionFile else { return condition }
    guard condition.isEmpty else {
      throw UsageError("--condition and --condition-file contradict each other")
    }
    // Without the newline that editors put behind it; one that says nothing would hold always.
    return try InputFile.secret(conditionFile)
  }
}

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
  @Option(help: "Of which resources: TYPE, TYPE/PATH, or TYPE/PATH/* for what is below.")
  var resource = ""
  @OptionGroup var when: ConditionOptions
  @Option(help: "Why, for people.") var reason = ""
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func request(now: Int64) throws(UsageError) -> V1.CreateRoleAssignmentRequest {
    V1.CreateRoleAssignmentRequest(
      parent: try tenant.name(),
      assignment: V1.RoleAssignment(
        subject: subject, role: role,
        expireTime: expiresIn.map { GoogleProtobuf.Timestamp(seconds: now + $0.seconds) },
        resource: resource, condition: try when.text(), reason: reason),
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
    discussion: """
      Either the assignment's id, or --subject and --role, with --resource where the subject has the role several times.
      """)

  @OptionGroup var tenant: TenantArgument
  @Argument(help: "The assignment's id.") var assignment: String?
  @Option(help: "Who has the role.") var subject: String?
  @Option(help: "The role's id.") var role: String?
  @Option(help: "Of which resources it is held, as the list shows it.") var resource: String?
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func validate() throws {
    let byID = assignment != nil && subject == nil && role == nil && resource == nil
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

  /// - Throws: `UsageError` where there are several: which is meant, is not guessed. Pages may be empty.
  private func find(in tenant: String, _ connection: Connection) async throws -> String? {
    func page(_ token: String) async throws -> (items: [V1.RoleAssignment], next: String) {
      let page = try await connection.authorization.listRoleAssignments(
        V1.ListRoleAssignmentsRequest(
          parent: tenant, pageToken: token, subject: subject ?? "", role: role ?? ""),
        options: connection.options)
      return (page.assignments, page.nextPageToken)
    }
    let (items, next) = try await page("")
    return try Self.one(of: try await PageOptions.follow(items, next, page).items, resource)?.name
  }

  /// The one of these that is of a resource; nil of any.
  static func one(
    of found: [V1.RoleAssignment], _ resource: String?
  ) throws(UsageError) -> V1.RoleAssignment? {
    let meant = found.filter { one in
      resource.map { one.resource.hasSameBytes(as: $0) } ?? true
    }
    guard meant.count <= 1 else {
      let ids = meant.map { ResourceName.last($0.name) }.joined(separator: ", ")
      throw UsageError("the subject has the role \(meant.count) times: name one of \(ids)")
    }
    return meant.first
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
