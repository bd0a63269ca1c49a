import ArgumentParser
import Foundation
import TenancyRPC
import TenancyWire

/// `tenantctl operation …`.
struct OperationGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "operation",
    abstract: "What is, and was, done to make and to destroy tenants' resources.",
    subcommands: [
      ListOperationsCommand.self, GetOperationCommand.self, WatchOperationCommand.self,
    ])
}

/// The operation that a command is about.
struct OperationArgument: ParsableArguments {
  @Argument(
    help: "The tenant, whose newest it is, or tenants/ID/operations/NUMBER.")
  var operation: String

  func name() throws(UsageError) -> String {
    operation.contains("/operations/") ? operation : try ResourceName.tenant(operation)
  }
}

struct ListOperationsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Lists a tenant's operations, the newest first, or those that are going on.")

  @Argument(help: "The tenant: its slug or id. Without it: those that a node is at work on.")
  var tenant: String?
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.ListTenantOperationsRequest(
      parent: try tenant.map { try ResourceName.tenant($0) } ?? "")
    output.show(
      try await server.connected {
        try await $0.operations.listTenantOperations(request, options: $0.options)
      })
  }
}

struct GetOperationCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "get", abstract: "Shows an operation with its steps.")

  @OptionGroup var operation: OperationArgument
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.GetTenantOperationRequest(name: try operation.name())
    output.show(
      try await server.connected {
        try await $0.operations.getTenantOperation(request, options: $0.options)
      })
  }
}

struct WatchOperationCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "watch",
    abstract: "Shows an operation's steps as they are done, until it is over.",
    discussion: """
      With --output json each state is a line of its own. Exits with \(OperationProgress.failed) \
      if it has failed. --timeout is for the whole of it.
      """)

  @OptionGroup var operation: OperationArgument
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.WatchTenantOperationRequest(name: try operation.name())
    let progress = OperationProgress(output.output)
    let last = try await server.connected { connection in
      try await progress.follow(request, connection)
    }
    if last?.state == .failed { throw ExitCode(OperationProgress.failed) }
  }
}

/// Shows an operation while it goes on: on a terminal in place, else each step when it is done.
struct OperationProgress {
  /// The exit code where it has failed.
  static let failed: Int32 = 3

  private let format: OutputFormat
  private let isTerminal = isatty(STDOUT_FILENO) == 1

  init(_ format: OutputFormat) { self.format = format }

  /// - Returns: how it ended; nil: nothing is known of it.
  func follow(
    _ request: V1.WatchTenantOperationRequest, _ connection: Connection
  ) async throws -> V1.TenantOperation? {
    try await connection.operations.watchTenantOperation(request, options: connection.options) {
      responses in
      var last: V1.TenantOperation?
      var shown = 0
      for try await operation in responses {
        shown = show(operation, after: last, over: shown)
        last = operation
      }
      return last
    }
  }

  /// - Parameter lines: that are on the terminal of what came before.
  /// - Returns: those that are there now.
  private func show(
    _ operation: V1.TenantOperation, after last: V1.TenantOperation?, over lines: Int
  ) -> Int {
    switch format {
    case .json:
      print(Printable.json(operation.json().text(pretty: false)))
    case .table where isTerminal:
      let text = operation.lines()
      // Up, and for each line what is left of the former one is cleared.
      if lines > 0 { print("\u{1B}[\(lines)A", terminator: "") }
      for line in text { print("\u{1B}[2K\(line)") }
      return text.count
    case .table:
      for line in operation.news(since: last) { print(line) }
    }
    // Who reads it through a pipe is to see it when it happens.
    fflush(nil)
    return 0
  }
}

extension V1.TenantOperation {
  /// What has happened, a line for each.
  fileprivate func news(since last: V1.TenantOperation?) -> [String] {
    var lines: [String] = []
    if last == nil {
      lines.append("\(name): \(kind.shortName) begun by \(Printable.text(subject))")
    }
    let known = Set(last?.steps.filter { $0.state == .done }.map(\.name) ?? [])
    for step in steps where step.state == .done && !known.contains(step.name) {
      lines.append("\(Printable.text(step.name)): done\(step.duration.map { " in \($0)" } ?? "")")
    }
    if let failure, failure != last?.failure {
      lines.append(
        Printable.text(
          "\(failure.step.isEmpty ? "failed" : "\(failure.step): failed"): \(failure.reason)"))
    }
    if state != last?.state, state != .running { lines.append(state.shortName) }
    return lines
  }
}
