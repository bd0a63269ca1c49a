import Synchronization

/// Whether the state may be older than is allowed, where others write to the store as well: then nothing is
/// answered from it any more. Thread-safe.
final class Staleness: Sendable {
  /// Nil: nobody else writes, and the state is never stale.
  let maximum: Duration?
  /// Until when, by the clock on the wall: looked at for each call.
  private let end = Atomic<Int64>(.max)
  /// By a clock that is not set: looked at now and then.
  private let isOverdue = Atomic(false)
  private let last = Mutex(ContinuousClock.now)

  /// A moment by both clocks.
  struct Moment: Sendable {
    fileprivate let time: Timestamp
    fileprivate let instant: ContinuousClock.Instant
  }

  init(_ maximum: Duration?) { self.maximum = maximum }

  static func moment(_ time: Timestamp) -> Moment { Moment(time: time, instant: .now) }

  /// The state is what the store had at this moment, or newer, and the store was the true one.
  func noteCurrent(at moment: Moment) {
    guard let maximum else { return }
    let nanoseconds = maximum.wholeMilliseconds.multipliedReportingOverflow(by: 1_000_000)
    let (end, overflow) = moment.time.nanoseconds.addingReportingOverflow(nanoseconds.partialValue)
    last.withLock { last in
      guard moment.instant >= last else { return }
      last = moment.instant
      self.end.store(overflow || nanoseconds.overflow ? .max : end, ordering: .relaxed)
      isOverdue.store(moment.instant.duration(to: .now) > maximum, ordering: .relaxed)
    }
  }

  /// A clock on the wall that is set back must not lengthen it: to be called now and then.
  func look() {
    guard let maximum else { return }
    last.withLock { last in
      isOverdue.store(last.duration(to: .now) > maximum, ordering: .relaxed)
    }
  }

  /// How long ago the state was known to be current.
  var age: Duration { last.withLock { $0.duration(to: .now) } }

  @inline(__always)
  func isStale(at now: Timestamp) -> Bool {
    now.nanoseconds > end.load(ordering: .relaxed) || isOverdue.load(ordering: .relaxed)
  }
}
