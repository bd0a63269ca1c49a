/// How many calls are told of in a second: so many in all, and of those a quarter at most of whoever is one account,
/// so that one tenant's flood does not hide what happens to others.
struct FairBudget {
  /// Accounts share places: two that do share their part as well.
  private static let places = 256

  let perSecond: Int
  /// Of one account.
  let share: Int
  private var second: UInt64 = 0
  private var used = 0
  private var shares = [Int](repeating: 0, count: places)

  init(perSecond: Int) {
    self.perSecond = perSecond
    share = max(1, perSecond / 4)
  }

  /// - Parameters:
  ///   - time: nanoseconds of a clock that does not go back.
  ///   - account: a number of whoever has caused it.
  /// - Returns: whether it is told of.
  mutating func take(at time: UInt64, account: Int) -> Bool {
    let now = time / 1_000_000_000
    // Event loops read their clocks themselves: one may be a moment behind.
    if now > second {
      second = now
      used = 0
      for place in shares.indices where shares[place] > 0 { shares[place] = 0 }
    }
    let place = Int(UInt(bitPattern: account) % UInt(Self.places))
    guard used < perSecond, shares[place] < share else { return false }
    used += 1
    shares[place] += 1
    return true
  }
}
