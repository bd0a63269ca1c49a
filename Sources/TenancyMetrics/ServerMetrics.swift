import Synchronization
public import TenancyRPC

/// Counts a server's calls and connections for whoever scrapes. Each event loop counts for itself, in plain
/// integers, and is asked for them. Thread-safe.
public final class ServerMetrics: ServerObserver {
  /// How many tenants have series of their own by default.
  public static let defaultTenants = 20
  /// Places that a loop has for each tenant that is shown: of who has none, counts are lost to `other`.
  private static let keptPerShown = 16

  private struct State {
    var methods: [String] = []
    var loops: [LoopBound<LoopMetrics>] = []
    var tenants: TenantSeries
  }

  private let state: Mutex<State>
  private let tenants: Int

  /// - Parameter tenants: how many have series of their own; the rest is one.
  public init(tenants: Int = ServerMetrics.defaultTenants) {
    self.tenants = tenants
    state = Mutex(State(tenants: TenantSeries(limit: tenants)))
  }

  public func makeLoopObserver(methods: [String], loop: ObservedLoop) -> LoopObserver {
    let metrics = LoopMetrics(methods: methods.count, tenants: Self.keptPerShown * tenants)
    let bound = loop.bind(metrics)
    state.withLock { state in
      state.methods = methods
      state.loops.append(bound)
    }
    return metrics
  }

  public func loopsEnd() { state.withLock { $0.loops = [] } }

  /// What has been seen so far. A server whose loops have ended has nothing to say any more.
  ///
  /// - Parameter name: of a tenant.
  public func render(
    into text: inout MetricsText, tenant name: @Sendable (CallTag) -> String
  ) async {
    let (methods, loops) = state.withLock { ($0.methods, $0.loops) }
    var seen: [LoopMetrics.Counts] = []
    for loop in loops {
      // A loop that has ended counts no more.
      if let counts = try? await loop.read({ unsafe $0.counts }) { seen.append(counts) }
    }
    var calls = CallTable(methods: methods.count)
    for counts in seen { calls.add(counts.calls) }
    CallMetricsText.render(calls, methods, into: &text)
    CallMetricsText.render(connections: seen, into: &text)
    let (shown, others) = state.withLock { state in
      state.tenants.update(seen.map(\.tenants))
      return (state.tenants.shown, state.tenants.others)
    }
    let named = shown.map { (name($0.key), $0.value) }.sorted { $0.0 < $1.0 }
    CallMetricsText.render(tenants: named + [("other", others)], into: &text)
  }
}

/// One event loop's.
final class LoopMetrics: LoopObserver {
  struct Counts: Sendable {
    var calls: CallTable
    var tenants: TopTenants
    var inFlight = 0
    /// By protocol and kind of peer.
    var open: [Int]
    var accepted: [UInt64]
    var handshakes: UInt64 = 0
    var failedHandshakes: UInt64 = 0
    var lateness = [UInt64](repeating: 0, count: CallTable.bounds.count + 1)
    var latenessNanoseconds: UInt64 = 0

    static func place(_ wire: CallRecord.Wire, _ peer: CallRecord.PeerKind) -> Int {
      wire.rawValue * CallRecord.PeerKind.allCases.count + peer.rawValue
    }
  }

  @exclusivity(unchecked) private(set) var counts: Counts

  init(methods: Int, tenants: Int) {
    let kinds = CallRecord.Wire.allCases.count * CallRecord.PeerKind.allCases.count
    unsafe counts = Counts(
      calls: CallTable(methods: methods), tenants: TopTenants(kept: tenants),
      open: Array(repeating: 0, count: kinds), accepted: Array(repeating: 0, count: kinds))
  }

  override func callBegan() { unsafe counts.inFlight &+= 1 }

  override func callEnded(_ call: borrowing CallRecord, _ details: borrowing CallDetails) {
    unsafe counts.inFlight &-= 1
    unsafe counts.calls.add(call)
    unsafe counts.tenants.add(call.tag, isError: call.code != .ok)
  }

  override func connectionBegan(_ wire: CallRecord.Wire, _ peer: CallRecord.PeerKind) {
    unsafe counts.open[Counts.place(wire, peer)] += 1  // In range: see `init`.
    unsafe counts.accepted[Counts.place(wire, peer)] += 1  // In range: see `init`.
  }

  override func connectionEnded(_ wire: CallRecord.Wire, _ peer: CallRecord.PeerKind) {
    unsafe counts.open[Counts.place(wire, peer)] -= 1  // In range: see `init`.
  }

  override func handshakeEnded(succeeded: Bool) {
    if succeeded { unsafe counts.handshakes &+= 1 } else { unsafe counts.failedHandshakes &+= 1 }
  }

  override func loopWasLate(by nanoseconds: UInt64) {
    unsafe counts.lateness[CallTable.bucket(nanoseconds)] &+= 1  // In range: see `bucket`.
    unsafe counts.latenessNanoseconds &+= nanoseconds
  }
}
