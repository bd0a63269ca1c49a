public import NIOCore

/// So many at once, and so many more for each second after that.
public struct RateLimit: Sendable {
  private let burst: Double
  private let perSecond: Double
  private var left: Double
  private var time: NIODeadline?

  public init(burst: Int, perSecond: Int) {
    self.burst = Double(burst)
    self.perSecond = Double(perSecond)
    left = Double(burst)
  }

  /// Counts so many; false if they are too many.
  ///
  /// - Parameter members: those who share it, each having a limit of its own made like this one: what
  ///   counts here is one part of so many.
  public mutating func take(_ count: Int = 1, at now: NIODeadline = .now(), among members: Int = 1)
    -> Bool
  {
    refill(at: now, among: members)
    guard left >= Double(count) else { return false }
    left -= Double(count)
    return true
  }

  /// What was taken was not used.
  public mutating func giveBack(_ count: Int) { left = min(burst, left + Double(count)) }

  /// Whether it is as if nothing had been taken.
  public mutating func isFull(at now: NIODeadline) -> Bool {
    refill(at: now, among: 1)
    return left >= burst
  }

  private mutating func refill(at now: NIODeadline, among members: Int) {
    if let time, now > time {
      let seconds = Double((now - time).nanoseconds) / 1e9
      left += seconds * perSecond / Double(members)
    }
    left = min(burst / Double(members), left)
    // Who has asked for the time first may come later.
    time = max(now, time ?? now)
  }
}
