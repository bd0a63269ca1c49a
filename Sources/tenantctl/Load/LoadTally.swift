import Synchronization
import TenancyRPC

/// What came of a number of calls.
struct LoadTally: Sendable {
  /// Nanoseconds, from 1 µs to 60 s, to three digits.
  static let emptyHistogram = Histogram(
    lowest: 1_000, highest: 60_000_000_000, significantDigits: 3)

  /// Calls that were answered OK, by method: nanoseconds from when they were due.
  var latencies: [Histogram]
  /// The same of those that failed.
  var failures = emptyHistogram
  /// By method and then by status code.
  var codes: [[UInt64]]
  /// How long after they were due calls were sent.
  var lag = emptyHistogram

  init(methods: Int) {
    latencies = Array(repeating: Self.emptyHistogram, count: methods)
    codes = Array(repeating: Array(repeating: 0, count: 17), count: methods)
  }

  mutating func record(_ call: FinishedCall) {
    codes[call.method][Int(call.code.rawValue)] += 1
    lag.record(call.lag)
    if call.code == .ok {
      latencies[call.method].record(call.latency)
    } else {
      failures.record(call.latency)
    }
  }

  mutating func merge(_ other: LoadTally) {
    for method in latencies.indices {
      latencies[method].merge(other.latencies[method])
      for code in codes[method].indices { codes[method][code] += other.codes[method][code] }
    }
    failures.merge(other.failures)
    lag.merge(other.lag)
  }

  mutating func reset() {
    for method in latencies.indices {
      latencies[method].reset()
      for code in codes[method].indices { codes[method][code] = 0 }
    }
    failures.reset()
    lag.reset()
  }

  var calls: UInt64 { codes.joined().reduce(0, +) }
  var succeeded: UInt64 { codes.reduce(0) { $0 + $1[Int(RPCStatus.Code.ok.rawValue)] } }
  var failed: UInt64 { calls - succeeded }

  /// Of all methods.
  var allLatencies: Histogram {
    latencies.reduce(into: Self.emptyHistogram) { $0.merge($1) }
  }
}

/// One call, as it is counted.
struct FinishedCall: Sendable {
  let method: Int
  let code: RPCStatus.Code
  /// Nanoseconds from when the call was due.
  let latency: UInt64
  let lag: UInt64
}

/// Gathers what calls on many threads come to. The calls are spread over several tallies, so that
/// threads seldom wait for one another.
final class LoadRecorder: Sendable {
  private final class Shard: Sendable {
    let tally: Mutex<LoadTally>
    init(methods: Int) { tally = Mutex(LoadTally(methods: methods)) }
  }

  private static let shardCount = 4
  private let shards: [Shard]
  private let methods: Int

  init(methods: Int) {
    self.methods = methods
    shards = (0..<Self.shardCount).map { _ in Shard(methods: methods) }
  }

  func record(_ number: UInt64, _ call: FinishedCall) {
    shards[Int(number % UInt64(Self.shardCount))].tally.withLock { $0.record(call) }
  }

  /// What was recorded since the last time.
  func take() -> LoadTally {
    var taken = LoadTally(methods: methods)
    for shard in shards {
      shard.tally.withLock { tally in
        taken.merge(tally)
        tally.reset()
      }
    }
    return taken
  }
}
