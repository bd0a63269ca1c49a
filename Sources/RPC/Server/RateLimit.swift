internal import NIOCore

/// So many at once, and so many more for each second after that.
struct RateLimit {
  private let burst: Double
  private let perSecond: Double
  private var left: Double
  private var time: NIODeadline?

  init(burst: Int, perSecond: Int) {
    self.burst = Double(burst)
    self.perSecond = Double(perSecond)
    left = Double(burst)
  }

  /// Counts so many; false if they are too many.
  mutating func take(_ count: Int = 1, at now: NIODeadline = .now()) -> Bool {
    if let time {
      let seconds = Double((now - time).nanoseconds) / 1e9
      left = min(burst, left + seconds * perSecond)
    }
    time = now
    guard left >= Double(count) else { return false }
    left -= Double(count)
    return true
  }
}
