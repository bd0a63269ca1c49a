import ArgumentParser
import Foundation
import TenancyWire

/// `tenantctl top`.
struct TopCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "top", abstract: "Shows the busiest tenants, again and again.",
    discussion: """
      On a terminal the table stays where it is, else one comes after the other; as JSON each is a \
      line. What is shown was counted by the node that answers: ask each for its own. ? is what \
      is not known.
      """)

  /// What comes first.
  enum Order: String, ExpressibleByArgument, CaseIterable {
    case calls, denials, rate, storage

    var wire: V1.ListBusiestTenantsRequest.Order {
      switch self {
      case .calls: .calls
      case .denials: .denied
      case .rate: .lastMinute
      case .storage: .storage
      }
    }
  }

  @Option(name: [.customLong("sort"), .customLong("order-by")], help: "Who comes first.")
  var sort = Order.rate
  @Option(parsing: .unconditional, help: "So many tenants at most, up to 1000.")
  var limit = 20
  @Option(
    name: [.customShort("n"), .long], parsing: .unconditional,
    help: "Ends after so many tables; 0: never.")
  var count = 0
  @Flag(help: "One table, and no more.") var once = false
  @Option(
    parsing: .unconditional, help: ArgumentHelp("Between two tables.", valueName: "seconds"))
  var interval = 2.0
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func validate() throws {
    guard count >= 0 else { throw ValidationError("--count must not be negative") }
    guard (1...1000).contains(limit) else { throw ValidationError("--limit is 1 to 1000") }
    // In a day something may have become of it.
    guard (0.1...86_400).contains(interval) else {
      throw ValidationError("--interval is 0.1 to 86400")
    }
  }

  func run() async throws {
    let request = V1.ListBusiestTenantsRequest(order: sort.wire, pageSize: Int32(limit))
    let rounds = once ? 1 : count
    try await server.connected { connection in
      var screen = LiveTable(inPlace: output.output == .table && rounds != 1)
      for round in 1... {
        let answer = try await connection.tenants.listBusiestTenants(
          request, options: connection.options)
        switch output.output {
        case .table: screen.show(answer.lines())
        case .json: print(Printable.json(answer.json().text(pretty: rounds == 1)))
        }
        // Who reads it through a pipe is to see it now.
        fflush(nil)
        if round == rounds { return }
        try await Task.sleep(for: .seconds(interval))
      }
    }
  }
}

/// A table that takes the place of the one before, where there is a terminal.
struct LiveTable {
  private let inPlace: Bool
  private var shown = 0

  /// - Parameter inPlace: whether it may.
  init(inPlace: Bool) { self.inPlace = inPlace && isatty(STDOUT_FILENO) == 1 }

  mutating func show(_ lines: [String]) {
    if inPlace {
      print(Self.frame(lines, height: Terminal.height ?? lines.count + 1), terminator: "")
    } else {
      if shown > 0 { print("") }
      for line in lines { print(line) }
    }
    shown += 1
  }

  /// From the top: of each line what is left of the former one is cleared, and what is below the last. No more than
  /// there is room for.
  static func frame(_ lines: [String], height: Int) -> String {
    let visible = lines.prefix(max(1, height - 1))
    return "\u{1B}[H" + visible.map { "\u{1B}[2K\($0)\n" }.joined() + "\u{1B}[J"
  }
}

extension V1.ListBusiestTenantsResponse: Presentable {
  func lines() -> [String] {
    var table = Table(
      "TENANT", "STATE", "CALLS", "LAST MIN", "DENIED", "LIMITED", "FAILED", "CONNS", "STREAMS",
      "DATA", "SESSIONS")
    for one in tenants {
      let calls = one.calls
      func number(_ value: (V1.CallUsage) -> Int64) -> String {
        calls.map { String(value($0)) } ?? "?"
      }
      table.add(
        one.slug.isEmpty ? one.tenant : one.slug, one.state.shortName, number(\.calls),
        number(\.lastMinuteCalls), number(\.deniedCalls), number(\.limitedCalls),
        number(\.failedCalls), number(\.openConnections), number(\.openStreams),
        one.storage?.size ?? "?", one.storage?.sessions.map { String($0) } ?? "?")
    }
    return [Printable.text(summary)] + table.lines()
  }

  private var summary: String {
    guard let sinceTime else { return "\(node): calls are not counted" }
    let lost = forgottenTenants == 0 ? "" : ", \(forgottenTenants) forgotten"
    return "\(node): \(calls) calls of \(countedTenants) tenants\(lost) since \(sinceTime.text)"
  }
}

extension V1.StorageUsage {
  /// For people; `?` where it is not known.
  var size: String { bytes.map(Self.text) ?? "?" }

  static func text(bytes: Int64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
    var (value, unit) = (Double(bytes), 0)
    while value >= 1024, unit < units.count - 1 { (value, unit) = (value / 1024, unit + 1) }
    if unit == 0 { return "\(bytes) B" }
    let tenths = Int((value * 10).rounded())
    return "\(tenths / 10).\(tenths % 10) \(units[unit])"
  }
}
