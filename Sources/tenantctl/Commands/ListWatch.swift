import Foundation
import Synchronization
import TenancyClient
import TenancyRPC
import TenancyWire

/// A list of tenants that follows what happens: on a terminal a table that stays where it is, else a line for each
/// change.
struct TenantListWatch: Sendable {
  /// Between two tries to connect again.
  static let pauses: [Duration] = [.milliseconds(200), .seconds(1), .seconds(3)]
  /// Between two looks at whether there is something new to show.
  static let pace = Duration.milliseconds(100)

  let request: V1.WatchTenantsRequest
  let server: ServerOptions
  let screen: any TenantListScreen

  /// Until it is cancelled, or fails for good.
  func run() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await follow() }
      group.addTask {
        while true {
          screen.refresh()
          try await Task.sleep(for: Self.pace)
        }
      }
      defer { group.cancelAll() }
      try await group.next()
    }
  }

  /// Watch after watch, each from where the one before has come to.
  private func follow() async throws {
    var request = request
    var (failures, hasBegun) = (0, false)
    while true {
      let known = request.resumeToken
      do {
        try await watch(&request)
      } catch let failure as CallFailure {
        // The first connection is nothing that got lost.
        hasBegun = hasBegun || !request.resumeToken.isEmpty
        guard hasBegun else { throw failure }
        switch failure.status.code {
        case .outOfRange:
          // What was missed is nowhere any more.
          (request.resumeToken, request.snapshot) = ("", true)
          screen.begin()
        case .unavailable, .deadlineExceeded, .aborted, .resourceExhausted, .unknown: break
        default: throw failure
        }
        screen.isConnected(false, "\(failure.status.code)")
      }
      failures = request.resumeToken == known ? failures + 1 : 0
      // In range: the last for all that come after.
      try await Task.sleep(for: Self.pauses[min(failures, Self.pauses.count - 1)])
    }
  }

  private func watch(_ request: inout V1.WatchTenantsRequest) async throws {
    let sent = request
    var (token, isSnapshot) = (sent.resumeToken, sent.snapshot)
    // A snapshot that was begun is gone on with by its token.
    defer { (request.resumeToken, request.snapshot) = (token, isSnapshot) }
    try await server.connected { connection in
      var options = connection.options
      // It goes on for as long as one likes.
      options.timeout = nil
      try await connection.tenants.watchTenants(sent, options: options) { messages in
        for try await message in messages {
          if token == sent.resumeToken { screen.isConnected(true, "") }
          (token, isSnapshot) = (message.resumeToken, false)
          screen.show(message)
        }
      }
    }
  }
}

/// Where a watched list is shown.
protocol TenantListScreen: Sendable {
  func show(_ message: V1.WatchTenantsResponse)
  /// All that was shown is told anew.
  func begin()
  /// - Parameter why: it is not.
  func isConnected(_ isConnected: Bool, _ why: String)
  /// Comes again and again.
  func refresh()
}

/// A line for each tenant and each change.
final class TenantListLines: TenantListScreen {
  private let columns: [TenantColumn]
  private let isJSON: Bool
  private let table: Mutex<GrowingTable>
  private let isLost = Atomic(false)

  init(_ columns: [TenantColumn], isJSON: Bool) {
    self.columns = columns
    self.isJSON = isJSON
    table = Mutex(GrowingTable(["CHANGE"] + columns.map(\.header)))
  }

  func show(_ message: V1.WatchTenantsResponse) {
    // At once, also into a pipe.
    let text = lines(of: message).map { $0 + "\n" }.joined()
    FileHandle.standardOutput.write(Data(text.utf8))
  }

  /// What a message is shown as.
  func lines(of message: V1.WatchTenantsResponse) -> [String] {
    if isJSON { return [Printable.json(message.json().text(pretty: false))] }
    var rows = message.tenants.map { tenant in ["PRESENT"] + columns.map { $0.value(tenant) } }
    if let change = message.change {
      let tenant = change.tenant ?? V1.Tenant()
      rows.append([change.kind.shortName] + columns.map { $0.value(tenant) })
    }
    if rows.isEmpty { return [] }
    return table.withLock { $0.lines(rows, width: nil) }
  }

  func begin() { remark("the log does not go back so far: all that there is comes again") }

  func isConnected(_ isConnected: Bool, _ why: String) {
    guard isLost.exchange(!isConnected, ordering: .relaxed) == isConnected else { return }
    remark(isConnected ? "connected again" : "the connection is lost (\(why)); trying again")
  }

  private func remark(_ text: String) {
    FileHandle.standardError.write(Data("\(text)\n".utf8))
  }

  func refresh() {}
}
