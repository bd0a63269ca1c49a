/// How long a channel leaves a server alone that could not be reached: exponential with jitter, so
/// that the clients of a restarted server do not come back all at once.
struct Backoff {
  static let first = Duration.milliseconds(100)
  static let longest = Duration.seconds(30)
  static let factor = 1.6
  /// Each delay is within this part of its nominal length, either way.
  static let jitter = 0.2

  private var nominal = Self.first

  mutating func reset() { nominal = Self.first }

  /// The delay after one more failure.
  ///
  /// - Parameter random: from 0 to 1.
  mutating func next(_ random: Double) -> Duration {
    defer { nominal = min(nominal * Self.factor, Self.longest) }
    return nominal * (1 - Self.jitter + 2 * Self.jitter * random)
  }
}
