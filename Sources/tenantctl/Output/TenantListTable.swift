import Foundation
import Synchronization
import TenancyWire

/// How a watched table is sorted: as the server sorts lists.
struct TenantListOrder: Sendable {
  private let key: @Sendable (V1.Tenant) -> String
  let isDescending: Bool

  /// - Parameter text: `slug`, `create_time desc`; empty: the oldest first.
  init(parsing text: String) throws(UsageError) {
    let words = text.split(separator: " ").map(String.init)
    isDescending = words.count == 2 && words[1] == "desc"  // In range: there are two.
    guard words.count < 2 || isDescending || (words.count == 2 && words[1] == "asc") else {
      throw UsageError("--sort: one field, and ' desc' behind it or not")
    }
    switch words.first ?? "create_time" {
    case "create_time": key = { Self.text($0.createTime) }
    case "update_time": key = { Self.text($0.updateTime) }
    case "slug": key = { $0.slug }
    case "display_name": key = { $0.displayName }
    default: throw UsageError("--sort: create_time, update_time, slug or display_name")
    }
  }

  func text(_ tenant: V1.Tenant) -> String { key(tenant) }

  /// Moments in the order of their texts.
  private static func text(_ time: GoogleProtobuf.Timestamp?) -> String {
    guard let time else { return "" }
    func digits(_ number: some BinaryInteger, _ count: Int) -> String {
      let text = String(number)
      return String(repeating: "0", count: max(0, count - text.count)) + text
    }
    return digits(time.seconds, 12) + digits(time.nanos, 9)
  }
}

/// What a watched table has.
struct TenantListRows: Sendable {
  private struct Row: Sendable {
    let key: String
    let cells: [String]
  }

  private let columns: [TenantColumn]
  private let order: TenantListOrder
  /// Rows at most; nil: as many as there are.
  private let limit: Int?
  private var rows: [String: Row] = [:]
  private var isWhole = false
  private var revision: UInt64 = 0
  /// Why it is not connected; nil: it is.
  var isLost: String?

  init(_ columns: [TenantColumn], order: TenantListOrder, limit: Int?) {
    self.columns = columns
    self.order = order
    self.limit = limit
  }

  mutating func apply(_ message: V1.WatchTenantsResponse) {
    for tenant in message.tenants { put(tenant) }
    if let change = message.change, let tenant = change.tenant {
      if change.kind == .removed { rows[tenant.name] = nil } else { put(tenant) }
    }
    if message.snapshotComplete { isWhole = true }
    revision = message.revision
  }

  mutating func removeAll() {
    rows = [:]
    isWhole = false
  }

  private mutating func put(_ tenant: V1.Tenant) {
    rows[tenant.name] = Row(key: order.text(tenant), cells: columns.map { $0.value(tenant) })
  }

  /// A line about all of them, then the table.
  /// - Parameter height: lines that can be seen; nil: all of them.
  func lines(width: Int?, height: Int? = nil) -> [String] {
    let state = isLost.map { ", not connected (\($0)): trying again" } ?? ""
    let reading = isWhole ? "" : ", still reading"
    let summary = "\(rows.count) tenants at revision \(revision)\(reading)\(state)"
    let sorted = rows.sorted { a, b in
      let isBefore = (a.value.key, a.key) < (b.value.key, b.key)
      return order.isDescending ? !isBefore : isBefore
    }
    var table = GrowingTable(columns.map(\.header), expendable: TenantColumn.expendable)
    // Behind the summary and the header.
    let room = height.map { max(0, $0 - 2) } ?? .max
    let shown = sorted.prefix(min(limit ?? .max, room)).map(\.value.cells)
    return [summary] + table.lines(Array(shown), width: width)
  }
}

/// A table on a screen of its own: what was on the terminal comes back when it ends, however that comes.
final class TenantListTable: TenantListScreen {
  private struct State {
    var rows: TenantListRows
    var isDirty = true
  }

  private let state: Mutex<State>
  /// Whether it is shown: who writes to the terminal holds it, and what happens meanwhile need not wait for that.
  private let screen = Mutex(false)
  private let signals = Mutex<[any DispatchSourceSignal]>([])

  init(_ rows: TenantListRows) { state = Mutex(State(rows: rows)) }

  func show(_ message: V1.WatchTenantsResponse) { change { $0.apply(message) } }
  func begin() { change { $0.removeAll() } }
  func isConnected(_ isConnected: Bool, _ why: String) {
    change { $0.isLost = isConnected ? nil : why }
  }

  private func change(_ body: (inout TenantListRows) -> Void) {
    state.withLock { state in
      body(&state.rows)
      state.isDirty = true
    }
  }

  func refresh() {
    screen.withLock { isShown in
      guard isShown else { return }
      let (width, height) = (Terminal.width, Terminal.height)
      let lines = state.withLock { state -> [String]? in
        guard state.isDirty else { return nil }
        state.isDirty = false
        return state.rows.lines(width: width, height: height.map { $0 - 1 })
      }
      if let lines { Self.write(LiveTable.frame(lines, height: height ?? lines.count + 1)) }
    }
  }

  // MARK: The terminal

  /// Another screen, without a cursor, and lines that end at its border; and back.
  private static let (entry, exit) = (
    "\u{1B}[?1049h\u{1B}[?25l\u{1B}[?7l", "\u{1B}[?7h\u{1B}[?25h\u{1B}[?1049l"
  )

  /// Takes the screen, until `leave`. What ends or stops the program gives it back first.
  func enter() {
    signals.withLock { signals in
      signals = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH].map { number in
        // The source sees it all the same.
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
        source.setEventHandler { [weak self] in self?.heard(number) }
        source.resume()
        return source
      }
    }
    take()
  }

  func leave() {
    screen.withLock { isShown in
      guard isShown else { return }
      isShown = false
      Self.write(Self.exit)
    }
  }

  private func take() {
    change { _ in }
    screen.withLock { isShown in
      isShown = true
      Self.write(Self.entry)
    }
    refresh()
  }

  private func heard(_ number: Int32) {
    switch number {
    case SIGWINCH:
      change { _ in }
      refresh()
    case SIGTSTP:
      leave()
      // Returns when it is continued.
      raise(SIGSTOP)
      take()
    default:
      leave()
      // Whoever waits for it sees what has ended it.
      signal(number, SIG_DFL)
      kill(getpid(), number)
    }
  }

  private static func write(_ text: String) {
    FileHandle.standardOutput.write(Data(text.utf8))
  }
}
