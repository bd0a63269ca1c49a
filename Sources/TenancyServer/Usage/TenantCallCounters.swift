import Synchronization
public import Tenancy
public import TenancyRPC

/// Counts the calls and connections of each tenant, of so many of them at most. Each event loop counts for itself, in
/// plain integers, and is asked for them. Thread-safe.
public final class TenantCallCounters: ServerObserver {
  /// How many tenants are counted by default.
  public static let defaultTenants = 10_000

  private struct State {
    var loops: [LoopBound<LoopCallCounters>] = []
    var summary: (value: UsageSummary, time: UInt64)?
    var current: Task<UsageSummary, Never>?
    /// Of requests that come by no event loop of the server; nil: there were none.
    var others: TenantCallTable?
  }

  private let tenants: Int
  /// Since when it counts.
  let begin: UInt64
  private let state = Mutex(State())

  /// For how long a summary is given to all who ask.
  private static let summaryLifetime: UInt64 = 250_000_000

  /// - Parameter tenants: on each event loop; 0: none.
  public init(tenants: Int = TenantCallCounters.defaultTenants) {
    self.tenants = tenants
    begin = CallRecord.now
  }

  /// Whether anything is counted.
  public var counts: Bool { tenants > 0 }

  public func makeLoopObserver(methods: [String], loop: ObservedLoop) -> LoopObserver {
    let counters = LoopCallCounters(tenants: tenants)
    let bound = loop.bind(counters)
    state.withLock { $0.loops.append(bound) }
    return counters
  }

  public func loopsEnd() { state.withLock { $0.loops = [] } }

  /// Counts a request that has come by no event loop of the server.
  func note(_ tag: CallTag, _ code: RPCStatus.Code) {
    guard counts else { return }
    state.withLock { state in
      if state.others == nil { state.others = TenantCallTable(limit: tenants) }
      state.others?.add(tag, CallOutcome(code, .byStatus), at: CallRecord.now)
    }
  }

  // MARK: Reading

  /// What is counted of one tenant. Costs each event loop a look at its place.
  public func usage(of tenant: TenantID) async -> TenantCallUsage {
    let tag = CallTag(tenant)
    let usage = Collected(TenantCallUsage(since: begin))
    if let (entry, lastForgotten) = state.withLock({ state in
      state.others.map { ($0[tag], $0.lastForgotten) }
    }) {
      usage.value.withLock { $0.add(entry, lastForgotten: lastForgotten, connections: 0) }
    }
    for loop in state.withLock({ $0.loops }) {
      // One that has ended counts no more. Nothing is answered across: large values are not to be.
      try? await loop.read { counters in
        let (entry, lastForgotten) = (counters.table[tag], counters.table.lastForgotten)
        let connections = counters.connections[tag] ?? 0
        usage.value.withLock {
          $0.add(entry, lastForgotten: lastForgotten, connections: connections)
        }
      }
    }
    return usage.value.withLock { $0 }
  }

  /// What is counted of all. Looks at each tenant, once for all who ask within a moment: not for event loops.
  public func summary() async -> UsageSummary {
    let now = CallRecord.now
    let task = state.withLock { state -> Task<UsageSummary, Never>? in
      if let known = state.summary, now < known.time &+ Self.summaryLifetime { return nil }
      if let current = state.current { return current }
      // Ends when it is made; those who ask wait for it.
      let task = Task { await self.makeSummary() }
      state.current = task
      return task
    }
    guard let task else {
      return state.withLock { $0.summary?.value } ?? UsageSummary(since: begin)
    }
    return await task.value
  }

  private func makeSummary() async -> UsageSummary {
    let collected = Collected<[(TenantCallTable, [CallTag: Int])]>([])
    for loop in state.withLock({ $0.loops }) {
      try? await loop.read { counters in
        let (table, connections) = (counters.table, counters.connections)
        collected.value.withLock { $0.append((table, connections)) }
      }
    }
    let others = state.withLock { $0.others.map { [($0, [CallTag: Int]())] } ?? [] }
    let tables = collected.value.withLock { $0 } + others
    var summary = UsageSummary(since: begin)
    for (table, connections) in tables { summary.add(table, connections) }
    summary.end(loops: tables.count, lastForgotten: tables.compactMap(\.0.lastForgotten).max())
    let made = summary
    state.withLock { state in
      state.summary = (made, CallRecord.now)
      state.current = nil
    }
    return made
  }
}

/// What event loops have told, one after the other.
private final class Collected<Value: Sendable>: Sendable {
  let value: Mutex<Value>
  init(_ value: Value) { self.value = Mutex(value) }
}

/// What is counted of one tenant, on all event loops.
public struct TenantCallUsage: Sendable {
  /// All calls since then are in `counts`: by the clock of `CallRecord`.
  public internal(set) var since: UInt64
  /// Of calls that are over.
  public internal(set) var counts = CallCounts()
  /// Of the tenant's own identities.
  public internal(set) var connections = 0
  /// Event loops that know of it.
  var loops = 0

  /// Nothing, since then.
  init(since: UInt64) { self.since = since }

  /// Adds what one event loop knows.
  /// - Parameter lastForgotten: when that has forgotten somebody last; nil: never.
  mutating func add(
    _ entry: TenantCallTable.Entry?, lastForgotten: UInt64?, connections: Int
  ) {
    self.connections += connections
    if let entry { counts.add(entry.counts) }
    // Whoever is there since before anybody was forgotten was there from the first call on.
    guard let lastForgotten else { return }
    since = max(since, entry?.since ?? lastForgotten)
  }
}

/// What is counted of all tenants.
public struct UsageSummary: Sendable {
  /// By the clock of `CallRecord`.
  public let since: UInt64
  /// Of all tenants, those that are forgotten included.
  public internal(set) var calls: UInt64 = 0
  /// Tenants of whom calls were forgotten, as often as they were.
  public internal(set) var forgotten: UInt64 = 0
  /// Each that is known.
  public private(set) var tenants: [TenantID: TenantCallUsage] = [:]

  init(since: UInt64) { self.since = since }

  /// Nil: nothing is known, for somebody was forgotten.
  func usage(of tenant: TenantID) -> TenantCallUsage? {
    tenants[tenant] ?? (forgotten == 0 ? TenantCallUsage(since: since) : nil)
  }

  fileprivate mutating func add(_ table: TenantCallTable, _ connections: [CallTag: Int]) {
    calls &+= table.calls
    forgotten &+= table.forgotten
    table.forEach { entry in
      let id = TenantID(high: entry.tag.high, low: entry.tag.low)
      var usage = tenants[id] ?? TenantCallUsage(since: since)
      usage.add(entry, lastForgotten: table.lastForgotten, connections: 0)
      usage.loops += 1
      tenants[id] = usage
    }
    for (tag, count) in connections {
      let id = TenantID(high: tag.high, low: tag.low)
      tenants[id, default: TenantCallUsage(since: since)].connections += count
    }
  }

  /// Of loops that don't know a tenant, one may have forgotten it.
  fileprivate mutating func end(loops: Int, lastForgotten: UInt64?) {
    guard let lastForgotten else { return }
    for (id, usage) in tenants where usage.loops < loops {
      tenants[id]?.since = max(usage.since, lastForgotten)
    }
  }
}

/// One event loop's.
final class LoopCallCounters: LoopObserver {
  @exclusivity(unchecked) private(set) var table: TenantCallTable
  /// As many tenants as there are connections, at most.
  @exclusivity(unchecked) private(set) var connections: [CallTag: Int] = [:]

  init(tenants: Int) { table = TenantCallTable(limit: tenants) }

  override func callEnded(_ call: borrowing CallRecord, _ details: borrowing CallDetails) {
    // One that was refused before it was known what it is about is of who has sent it.
    let tag = call.tag.isZero && call.code != .ok ? call.origin : call.tag
    table.add(tag, CallOutcome(call.code, call.verdict), at: call.endTime)
  }

  override func connectionBegan(of tag: CallTag) {
    connections[tag, default: 0] += 1
  }

  override func connectionEnded(of tag: CallTag) {
    guard let count = connections[tag] else { return }
    connections[tag] = count > 1 ? count - 1 : nil
  }
}
