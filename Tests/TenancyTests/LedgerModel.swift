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
  }
  private struct State {
    var counts: [LimitKey: Count] = [:]
    var nodes: [String: Int64] = [:]
    var fails = false
    var settlements = 0
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
      var used: [LimitKey: Double] = [:]
      for use in uses {
        let begin = use.period?.begin(of: clock.wall) ?? 0
        var count = state.counts[use.key] ?? Count(used: 0, time: now, begin: begin)
        if begin > count.begin { count = Count(used: 0, time: now, begin: begin) }
        let drained = Double(now - count.time) / 1e9 * use.rate
        count.used = min(use.most, max(0, count.used - drained) + use.spent)
        count.time = now
        state.counts[use.key] = count
        used[use.key] = count.used
      }
      return LimitSettlement(
        nodes: isShared ? state.nodes.count { $0.value > now } : 1, used: used)
    }
  }

  func quotas(limit: Int) -> [LimitKey: UsedQuota] {
    state.withLock {
      $0.counts.filter { $0.value.begin > 0 }
        .mapValues { UsedQuota(used: $0.used, begin: $0.begin) }
    }
  }

  func prune() {}

  func leave(_ node: String) { state.withLock { $0.nodes[node] = nil } }
}
