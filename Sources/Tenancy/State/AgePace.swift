/// How far ageing has come. A clock that is far ahead for a moment would make everything old at once, and what is
/// removed stays away when the clock is right again: so what counts as old grows `speed` times as fast as time
/// passes by a clock that nobody sets, at most, from the oldest that is there at the start. A value; time is the
/// caller's.
struct AgePace: Sendable {
  /// An operator has a day for each `speed` days of the log before a wrong clock has cost them, and a node that was
  /// away for a month is done with what has grown old meanwhile within two days.
  static let speed = 24

  private var last: (end: Timestamp, instant: ContinuousClock.Instant)?

  /// - Parameters:
  ///   - wanted: what is before that is old by the clock on the wall.
  ///   - oldest: the time of the oldest that is there.
  ///   - gap: with so much between it and what is old already, its time or an earlier one was wrong: it is gone
  ///     on from there.
  ///   - instant: by a clock that is not set.
  /// - Returns: what is before that is old.
  mutating func end(
    wanted: Timestamp, oldest: Timestamp, gap: Days, at instant: ContinuousClock.Instant
  ) -> Timestamp {
    var reached = oldest
    if let last {
      let (passed, overflow) = last.instant.duration(to: instant).wholeMilliseconds
        .multipliedReportingOverflow(by: Int64(Self.speed) * 1_000_000)
      let (end, carry) = last.end.nanoseconds.addingReportingOverflow(max(0, passed))
      reached = Timestamp(nanoseconds: overflow || carry ? .max : end)
      if reached + gap < oldest { reached = oldest }
    }
    let end = min(wanted, reached)
    last = (end, instant)
    return end
  }
}
