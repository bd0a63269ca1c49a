import Synchronization
import TenancyTestSupport

@testable import Tenancy

/// Both of a limiter's clocks, moved by the test.
final class LimitClock: Sendable {
  private let state = Mutex((steady: Int64(0), wall: Sample.moment.nanoseconds))

  var steady: Int64 { state.withLock { $0.steady } }
  var wall: Timestamp { Timestamp(nanoseconds: state.withLock { $0.wall }) }

  func advance(seconds: Double) {
    let nanoseconds = Int64((seconds * 1e9).rounded())
    state.withLock {
      $0.steady += nanoseconds
      $0.wall += nanoseconds
    }
  }

  func set(wall: Timestamp) { state.withLock { $0.wall = wall.nanoseconds } }
}

/// A ledger as the documentation has it, in memory.
final class LedgerModel: LimitLedger {
  private struct Count {
    var used: Double
    var time: Int64
    var begin: Int64
    var node: String
    var otherTime: Int64
  }
  private struct State {
    var counts: [LimitKey: Count] = [:]
    var nodes: [String: Int64] = [:]
    var fails = false
    var settlements = 0
    /// Nanoseconds by which its calendar is behind.
    var behind: Int64 = 0
  }

  let isShared: Bool
  private let clock: LimitClock
  private let state = Mutex(State())

  init(_ clock: LimitClock, isShared: Bool) {
    self.clock = clock
    self.isShared = isShared
  }

  var fails: Bool {
    get { state.withLock { $0.fails } }
    set { state.withLock { $0.fails = newValue } }
  }
  var behind: Duration {
    get { .nanoseconds(state.withLock { $0.behind }) }
    set { state.withLock { $0.behind = newValue.wholeMilliseconds * 1_000_000 } }
  }
  var settlements: Int { state.withLock { $0.settlements } }
  var nodes: Int { state.withLock { $0.nodes.count } }

  func used(_ tenant: Tenant, _ text: String) -> Double? {
    state.withLock { $0.counts[LimitKey(tenant: tenant.id, text: text)]?.used }
  }

  func settle(_ uses: [LimitUse], by node: String) throws(StoreError) -> LimitSettlement {
    try state.withLock { (state: inout State) throws(StoreError) in
      guard !state.fails else { throw StoreError(.unavailable, "as the test has it") }
      state.settlements += 1
      let now = clock.steady
      state.nodes[node] = now + 15_000_000_000
      var found: [LimitKey: LimitCount] = [:]
      for use in uses {
        let begin =
          use.period?.begin(of: Timestamp(nanoseconds: clock.wall.nanoseconds - state.behind)) ?? 0
        var count =
          state.counts[use.key]
          ?? Count(used: 0, time: now, begin: begin, node: node, otherTime: now)
        if begin > count.begin { count.used = 0 }
        count.begin = begin
        if count.node != node { count.otherTime = count.time }
        count.node = node
        let elapsed = Double(now - count.time) / 1e9
        let age = min(Double(use.age) / 1000, elapsed)
        let before = max(0, count.used - (elapsed - age) * use.rate)
        count.used = min(use.most, max(0, before + use.spent - age * use.rate))
        count.time = now
        state.counts[use.key] = count
        found[use.key] = LimitCount(
          used: count.used, begin: count.begin,
          isAlone: now - count.otherTime > 5_000_000_000)
      }
      return LimitSettlement(
        nodes: isShared ? state.nodes.count { $0.value > now } : 1, counts: found)
    }
  }

  func quotas(limit: Int) -> [LimitKey: LimitCount] {
    state.withLock {
      $0.counts.filter { $0.value.begin > 0 }
        .mapValues { LimitCount(used: $0.used, begin: $0.begin, isAlone: false) }
    }
  }

  func prune() {}

  func leave(_ node: String) { state.withLock { $0.nodes[node] = nil } }
}
