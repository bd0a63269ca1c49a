import Synchronization

/// What has become of requests of AuthZEN. Thread-safe.
public final class AuthZENTally: Sendable {
  /// Statuses that are counted, each for itself.
  public static let statuses = [200, 400, 401, 403, 404, 405, 413, 429, 500, 501, 503]

  private struct Counts {
    var statuses: [Int: UInt64] = [:]
    var allowed: UInt64 = 0
    var denied: UInt64 = 0
  }

  private let counts = Mutex(Counts())

  init() {}

  func note(status: Int) { counts.withLock { $0.statuses[status, default: 0] += 1 } }

  func note(allowed: Int, denied: Int) {
    counts.withLock { counts in
      counts.allowed += UInt64(allowed)
      counts.denied += UInt64(denied)
    }
  }

  /// Requests that were answered so.
  public func count(ofStatus status: Int) -> UInt64 {
    counts.withLock { $0.statuses[status] ?? 0 }
  }

  /// Evaluations that were decided so.
  public func count(ofDecision decision: Bool) -> UInt64 {
    counts.withLock { decision ? $0.allowed : $0.denied }
  }
}
