import Synchronization
import Tenancy

/// How many tokens are made or looked at on behalf of whom: so many at once, and so many more each second.
/// Thread-safe.
final class TokenPace: Sendable {
  /// Of a tenant.
  static let burst = 1000.0
  static let perSecond = 200.0
  /// What the platform's own, who ask on behalf of many, have of it.
  static let platformFactor = 25.0
  /// Of those who have asked lately. Beyond that all others are one.
  private static let maximumPayers = 4096

  private struct Account {
    var left: Double
    var time: Timestamp
  }

  private let accounts = Mutex<[String: Account]>([:])

  /// - Parameter isPlatform: whether it is one of the platform's own.
  /// - Throws: RESOURCE_EXHAUSTED.
  func take(
    for payer: String, isPlatform: Bool = false, at now: Timestamp
  ) throws(TenancyError) {
    let factor = isPlatform ? Self.platformFactor : 1
    let isTaken = accounts.withLock { accounts in
      if accounts[payer] == nil, accounts.count >= Self.maximumPayers {
        accounts = accounts.filter { Self.refilled($0.value, factor, now) < Self.burst }
      }
      let key = accounts[payer] == nil && accounts.count >= Self.maximumPayers ? "" : payer
      let left = accounts[key].map { Self.refilled($0, factor, now) } ?? Self.burst * factor
      // Also of who is refused: a clock that is set back does not silence anybody for long.
      accounts[key] = Account(left: left >= 1 ? left - 1 : left, time: now)
      return left >= 1
    }
    guard isTaken else {
      throw TenancyError(
        .resourceExhausted, .tokenRateExceeded,
        "more than \(Int(Self.perSecond * factor)) tokens a second", retryAfterSeconds: 1)
    }
  }

  /// A clock that is set back gives nothing.
  private static func refilled(_ account: Account, _ factor: Double, _ now: Timestamp) -> Double {
    let passed = Double(max(0, now.nanoseconds - account.time.nanoseconds)) / 1e9
    return min(burst * factor, account.left + passed * perSecond * factor)
  }
}
