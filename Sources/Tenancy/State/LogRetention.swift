/// How much of the log is kept for those who follow it.
public struct LogRetention: Sendable {
  /// The newest entries, kept however old they are.
  public static let minimumEntries = 1000

  /// Entries that are older may go.
  public var days: Days
  /// What is beyond so many goes, however new it is. At least `minimumEntries`.
  public var entries: Int

  /// Entries above `entries` go even if they are new, but never below `minimumEntries`.
  public init(days: Days = Days(30), entries: Int = 1_000_000) {
    self.days = days
    self.entries = max(entries, Self.minimumEntries)
  }

  /// The last of the oldest entries that may go. What was written by a clock that was ahead is as old as what
  /// follows it.
  /// - Parameters:
  ///   - oldest: the begin of the log.
  ///   - end: what is before that is old.
  func removable(
    of oldest: [LogMark], last: UInt64, now: Timestamp, before end: Timestamp
  ) -> UInt64? {
    var gone: UInt64?
    for mark in oldest {
      let behind = last - min(last, mark.revision)
      let isOld = behind >= UInt64(Self.minimumEntries) && mark.time < end
      if behind >= UInt64(entries) || isOld {
        gone = mark.revision
      } else if mark.time <= now {
        break
      }
    }
    return gone
  }
}

extension ControlPlane {
  /// Entries removed in one go, so that no write waits long for it.
  static let compactionStep = 256

  /// Removes from the log what need not be kept, in small steps between which writes have their turn. To be
  /// called now and then.
  /// - Throws: `StoreError`; what was removed by then is.
  public func compactLog() async throws(StoreError) {
    while true {
      let outcome: Result<Bool, StoreError> = await withCheckedContinuation { continuation in
        queue.async { [self] in
          continuation.resume(
            returning: Result { () throws(StoreError) in try compactOneStep() })
        }
      }
      guard try outcome.get(), !Task.isCancelled else { return }
    }
  }

  /// Returns whether there may be more to remove.
  private func compactOneStep() throws(StoreError) -> Bool {
    guard isHealthy, !tail.isClosed else { return false }
    let oldest = try store.oldestEntries(limit: Self.compactionStep)
    guard let first = oldest.first else { return false }
    let (retention, now) = (options.retention, clock())
    let end = ageing.withLock { pace in
      pace.end(
        wanted: now + Days(-retention.days.count), oldest: first.time, gap: retention.days,
        at: options.instant())
    }
    let gone = retention.removable(of: oldest, last: revision, now: now, before: end)
    guard let gone else { return false }
    try store.compact(through: gone)
    return gone == oldest.last?.revision
  }
}
