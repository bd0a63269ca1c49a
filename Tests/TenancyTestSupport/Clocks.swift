import Synchronization

package import Tenancy

/// A clock that tests set.
package final class TestClock: Sendable {
  private let moment: Mutex<Timestamp>

  package init(seconds: Int64 = 1_800_000_000) {
    moment = Mutex(Timestamp(nanoseconds: seconds * 1_000_000_000))
  }

  package var now: Timestamp { moment.withLock { $0 } }

  package func advance(seconds: Int64) {
    moment.withLock { $0 = Timestamp(nanoseconds: $0.nanoseconds + seconds * 1_000_000_000) }
  }
}

/// A clock that nobody sets: it moves on when a test says so.
package final class SteadyClock: Sendable {
  private let moment = Mutex(ContinuousClock.now)
  package init() {}
  package var now: ContinuousClock.Instant { moment.withLock { $0 } }
  package func advance(by duration: Duration) { moment.withLock { $0 += duration } }
}
