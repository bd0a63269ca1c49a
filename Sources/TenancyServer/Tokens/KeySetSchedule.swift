/// When the keys of one issuer are fetched, and until when they count. Times are nanoseconds of a clock that is never
/// set.
struct KeySetSchedule: Sendable {
  /// Seconds for which keys are kept, whatever their server says.
  static let ages = 60...86_400
  /// Nanoseconds between two times that a token with an unknown key has them fetched before their time.
  static let earlyInterval: Int64 = 60_000_000_000
  /// Nanoseconds from a first failure to the next attempt, doubled with each further one, …
  private static let firstRetry: Int64 = 1_000_000_000
  /// … and at most.
  private static let lastRetry: Int64 = 300_000_000_000

  /// When they are to be fetched.
  private(set) var next: Int64
  /// When they were; nil: never.
  private(set) var fetched: Int64?
  /// Since the last success.
  private(set) var failures = 0
  private let refresh: Int64
  private let stale: Int64
  private var lastEarly: Int64?

  /// They are to be fetched at once.
  /// - Parameters:
  ///   - refresh: nanoseconds for which keys are kept where their server says nothing of that.
  ///   - stale: nanoseconds from a success for which they count when it stays the last one.
  init(refresh: Int64, stale: Int64, at now: Int64) {
    self.refresh = refresh
    self.stale = stale
    next = now
  }

  /// When they count no more, whatever happens.
  var end: Int64? { fetched.map { $0 + stale } }

  /// Whether they are there and count.
  func isGood(at now: Int64) -> Bool { end.map { now < $0 } ?? false }

  /// - Parameter maximumAge: seconds for which they may be kept, by their server; nil: it doesn't say.
  mutating func succeeded(at now: Int64, maximumAge: Int?) {
    fetched = now
    failures = 0
    let age = maximumAge.map { age in
      Int64(min(max(age, Self.ages.lowerBound), Self.ages.upperBound)) * 1_000_000_000
    }
    // Before they count no more.
    next = now + min(age ?? refresh, max(stale / 2, 1_000_000_000))
  }

  /// - Parameter chance: 0 to 1, at random, so that those who fail at the same time are not tried again at the same time.
  mutating func failed(at now: Int64, chance: Double) {
    // In range: 2 to the 9th is more than the last of them.
    let pause = min(Self.firstRetry << Int64(min(failures, 9)), Self.lastRetry)
    failures += 1
    next = now + pause / 2 + Int64(Double(pause / 2) * min(max(chance, 0), 1))
  }

  /// A token is of a key that is not among them: they are fetched now, unless that was so a moment ago.
  /// - Returns: whether they will be.
  mutating func hasten(at now: Int64) -> Bool {
    if let lastEarly, now - lastEarly < Self.earlyInterval { return false }
    lastEarly = now
    next = min(next, now)
    return true
  }

  /// They can't be fetched for want of a budget.
  mutating func putOff(until time: Int64) { next = max(next, time) }
}
