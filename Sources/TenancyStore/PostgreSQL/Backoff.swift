/// When to try again what has failed: after a time that doubles with each failure, up to a limit, of
/// which a random part is left out so that many who lost the same server do not come back together.
struct Backoff: Sendable {
  static let first = Duration.milliseconds(50)
  static let limit = Duration.seconds(5)

  private var next = Self.first
  private var nextAttempt: ContinuousClock.Instant?

  /// How long not to try; nil when it may be tried.
  var remaining: Duration? {
    guard let nextAttempt, nextAttempt > .now else { return nil }
    return nextAttempt - .now
  }

  /// - Returns: how long it waits now: between a half of the doubled time and all of it.
  @discardableResult
  mutating func fail(using random: inout some RandomNumberGenerator) -> Duration {
    let wait = next * Double.random(in: 0.5...1, using: &random)
    next = min(next * 2, Self.limit)
    nextAttempt = .now + wait
    return wait
  }

  mutating func succeed() { self = Backoff() }
}
