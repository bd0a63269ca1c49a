import Synchronization
import TenancyRPC

/// Spans on their way from event loops to the exporter. Bounded: what is too much is counted. Thread-safe.
final class SpanQueue: Sendable {
  /// Spans that wait.
  static let maximumSpans = 4096

  /// Spans of sampled calls that were not exported.
  struct Dropped: Sendable, Equatable {
    /// More than are taken in a second, altogether or of one account.
    var overRate: UInt64 = 0
    /// The exporter does not keep up, or the collector is away.
    var overflown: UInt64 = 0
    /// The collector did not want them.
    var refused: UInt64 = 0

    var isEmpty: Bool { self == Dropped() }
  }

  private struct State {
    var spans: [CallSpan] = []
    var dropped = Dropped()
    var budget: FairBudget
  }

  private let state: Mutex<State>
  /// Something waits where nothing did.
  let arrivals: AsyncStream<Void>
  private let arrival: AsyncStream<Void>.Continuation

  init(spansPerSecond: Int) {
    state = Mutex(State(budget: FairBudget(perSecond: spansPerSecond)))
    (arrivals, arrival) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// Whether the span of a sampled call is made; one that is not is counted.
  func admits(at time: UInt64, account: Int) -> Bool {
    state.withLock { state in
      if state.budget.take(at: time, account: account) { return true }
      state.dropped.overRate &+= 1
      return false
    }
  }

  func add(_ span: CallSpan) {
    let isFirst = state.withLock { state in
      guard state.spans.count < Self.maximumSpans else {
        state.dropped.overflown &+= 1
        return false
      }
      state.spans.append(span)
      return state.spans.count == 1
    }
    if isFirst { arrival.yield() }
  }

  /// Takes up to `limit` spans, the oldest first.
  func take(_ limit: Int) -> [CallSpan] {
    state.withLock { state in
      let taken = Array(state.spans.prefix(limit))
      state.spans.removeFirst(taken.count)
      return taken
    }
  }

  func drop(refused count: Int) {
    state.withLock { $0.dropped.refused &+= UInt64(clamping: count) }
  }

  /// For who is about to end: what waits will not be sent.
  func dropAll(and count: Int) {
    state.withLock { state in
      state.dropped.overflown &+= UInt64(clamping: state.spans.count + count)
      state.spans = []
    }
  }

  /// What was dropped since it was last asked for.
  func takeDropped() -> Dropped {
    state.withLock { state in
      defer { state.dropped = Dropped() }
      return state.dropped
    }
  }
}
