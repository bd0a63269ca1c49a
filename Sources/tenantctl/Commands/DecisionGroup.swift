import ArgumentParser
import Foundation
import Tenancy
import TenancyWire

/// `tenantctl decision …`.
struct DecisionGroup: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "decision", abstract: "What was answered to whom, and what would be now.",
    subcommands: [ListDecisions.self, ReplayDecisions.self, Simulate.self])
}

/// Which decisions are asked for.
struct DecisionOptions: ParsableArguments {
  @Option(help: "Only those about this subject.") var subject = ""
  @Option(help: "Only those of this permission.") var permission = ""
  @Flag(help: "Only what was allowed.") var allowed = false
  @Flag(help: "Only what was denied.") var denied = false

  func validate() throws {
    guard !allowed || !denied else { throw ValidationError("Give --allowed or --denied.") }
  }

  /// Whether there may be others.
  var isFilter: Bool { filter != V1.DecisionFilter() }

  var filter: V1.DecisionFilter {
    V1.DecisionFilter(
      subject: subject, permission: permission,
      outcome: allowed ? .allowed : denied ? .denied : .unspecified)
  }
}

extension DecisionGroup {
  struct ListDecisions: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list", abstract: "Lists decisions that the node has recorded, oldest first.",
      discussion: """
        With --follow every decision is a line of JSON, and those that come later are as well, until the command is \
        ended. What the node has not recorded is told on standard error; of all decisions, not of those that are \
        asked for, also what was overwritten before it was shown.
        """)

    @OptionGroup var tenant: TenantArgument
    @OptionGroup var options: DecisionOptions
    @Flag(help: "Go on with those that come later.") var follow = false
    @Option(help: "With --follow: end after so many.") var count = 0
    @OptionGroup var pages: PageOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Server") var server: ServerOptions

    /// Between two questions for later ones.
    private static let pause = Duration.seconds(1)

    func validate() throws {
      guard count >= 0 else { throw ValidationError("--count must not be negative") }
    }

    func run() async throws {
      var request = V1.ListDecisionsRequest(
        tenant: try tenant.name(), filter: options.filter, pageSize: pages.pageSize)
      if follow { return try await follow(request) }
      var last = V1.ListDecisionsResponse()
      let (decisions, next) = try await server.connected { connection in
        try await pages.collect { token in
          request.pageToken = token
          last = try await connection.authorization.listDecisions(
            request, options: connection.options)
          return (last.decisions, last.nextPageToken)
        }
      }
      (last.decisions, last.nextPageToken) = (decisions, next)
      output.show(last, next: next, of: pages)
    }

    private func follow(_ request: V1.ListDecisionsRequest) async throws {
      var (request, shown, gaps) = (request, 0, DecisionGaps(isFiltered: options.isFilter))
      try await server.connected { connection in
        while true {
          let page = try await connection.authorization.listDecisions(
            request, options: connection.options)
          for note in gaps.notes(page) { FileHandle.standardError.write(Data("\(note)\n".utf8)) }
          for decision in page.decisions {
            // At once, also into a pipe.
            let line = Printable.json(decision.json().text()) + "\n"
            FileHandle.standardOutput.write(Data(line.utf8))
            shown += 1
            if shown == count { return }
          }
          request.after = max(request.after, page.lastSequence)
          if page.nextPageToken.isEmpty { try await Task.sleep(for: Self.pause) }
        }
      }
    }
  }

  struct ReplayDecisions: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "replay",
      abstract:
        "Asks the policy again what recorded decisions were asked: what is answered otherwise?",
      discussion: "Exits with 3 if something is.")

    @OptionGroup var tenant: TenantArgument
    @OptionGroup var options: DecisionOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Server") var server: ServerOptions

    func run() async throws {
      var request = V1.ReplayDecisionsRequest(
        tenant: try tenant.name(), filter: options.filter, pageSize: 1_000)
      var all = V1.ReplayDecisionsResponse()
      try await server.connected { connection in
        repeat {
          let page = try await connection.authorization.replayDecisions(
            request, options: connection.options)
          all.differences += page.differences
          all.replayed += page.replayed
          all.inexact += page.inexact
          all.unanswered += page.unanswered
          all.revision = page.revision
          request.pageToken = page.nextPageToken
        } while !request.pageToken.isEmpty
      }
      output.show(all)
      if !all.differences.isEmpty { throw ExitCode(3) }
    }
  }

  struct Simulate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "simulate",
      abstract:
        "What of recorded decisions would be answered otherwise if the policy were changed?",
      discussion:
        "Nothing is changed. Roles come before assignments. Exits with 3 if something would be.")

    @OptionGroup var tenant: TenantArgument
    @Option(
      help:
        "Add a role, or replace it: its id and what it allows, as in reader=docs:read,docs:list.")
    var putRole: [String] = []
    @Option(help: "Take a role away, with its assignments.") var deleteRole: [String] = []
    @Option(help: "Give somebody a role, as in user:al=reader.") var assign: [String] = []
    @Option(help: "Take an assignment away, by its id.") var unassign: [String] = []
    @Option(help: "Ask this as well, as in user:al=docs:read or user:al=docs:read=42.")
    var query: [String] = []
    @OptionGroup var options: DecisionOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Server") var server: ServerOptions

    func run() async throws {
      var request = V1.SimulateRequest(
        tenant: try tenant.name(), changes: try changes(), queries: try queries(),
        recorded: options.filter, pageSize: 1_000)
      var all = V1.SimulateResponse()
      try await server.connected { connection in
        repeat {
          let page = try await connection.authorization.simulate(
            request, options: connection.options)
          all.differences += page.differences
          all.compared += page.compared
          all.inexact += page.inexact
          all.unanswered += page.unanswered
          all.revision = page.revision
          request.pageToken = page.nextPageToken
        } while !request.pageToken.isEmpty
      }
      output.show(all)
      if !all.differences.isEmpty { throw ExitCode(3) }
    }

    private func changes() throws(UsageError) -> [V1.PolicyChange] {
      var changes: [V1.PolicyChange] = []
      for text in putRole {
        let parts = try Self.parts(of: text, "--put-role is {role}={permission},…")
        let role = V1.Role(
          name: parts[0],
          permissions: parts[1].split(separator: ",").map(String.init))
        changes.append(V1.PolicyChange(change: .putRole(role)))
      }
      for text in assign {
        let parts = try Self.parts(of: text, "--assign is {subject}={role}")
        changes.append(
          V1.PolicyChange(
            change: .putAssignment(V1.RoleAssignment(subject: parts[0], role: parts[1]))))
      }
      changes += unassign.map { V1.PolicyChange(change: .deleteAssignment($0)) }
      return changes + deleteRole.map { V1.PolicyChange(change: .deleteRole($0)) }
    }

    private func queries() throws(UsageError) -> [V1.BatchCheckItem] {
      var queries: [V1.BatchCheckItem] = []
      for text in query {
        let parts = try Self.parts(of: text, "--query is {subject}={permission} or …={resource}")
        let question = parts[1].split(separator: "=", maxSplits: 1).map(String.init)
        queries.append(
          V1.BatchCheckItem(
            subject: parts[0], permission: question.first ?? "",
            resource: question.dropFirst().first ?? ""))
      }
      return queries
    }

    /// Two.
    private static func parts(
      of text: String, _ problem: String
    ) throws(UsageError) -> [String] {
      let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
      guard parts.count == 2 else { throw UsageError(problem) }
      return parts
    }
  }
}
