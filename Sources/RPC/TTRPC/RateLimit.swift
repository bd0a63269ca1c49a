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

  /// Counts one; false if it is one too many.
  mutating func take(at now: NIODeadline = .now()) -> Bool {
    if let time {
      let seconds = Double((now - time).nanoseconds) / 1e9
      left = min(burst, left + seconds * perSecond)
    }
    time = now
    guard left >= 1 else { return false }
    left -= 1
    return true
  }
}
