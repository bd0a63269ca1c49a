import Synchronization
import Tenancy

/// How many tokens are made or looked at on behalf of whom: so many at once, and so many more each second.
/// Thread-safe.
final class TokenPace: Sendable {
  static let burst = 1000.0
  static let perSecond = 200.0
  /// Of those who have asked lately. Beyond that all others are one.
  private static let maximumPayers = 4096

  private struct Account {
    var left = TokenPace.burst
    var time: Timestamp
  }

  private let accounts = Mutex<[String: Account]>([:])

  /// - Throws: RESOURCE_EXHAUSTED.
  func take(for payer: String, at now: Timestamp) throws(TenancyError) {
    let isTaken = accounts.withLock { accounts in
      if accounts[payer] == nil, accounts.count >= Self.maximumPayers {
        accounts = accounts.filter { Self.refilled($0.value, now) < Self.burst }
      }
      let key = accounts[payer] == nil && accounts.count >= Self.maximumPayers ? "" : payer
      let left = accounts[key].map { Self.refilled($0, now) } ?? Self.burst
      // Also of who is refused: a clock that is set back does not silence anybody for long.
      accounts[key] = Account(left: left >= 1 ? left - 1 : left, time: now)
      return left >= 1
    }
    guard isTaken else {
      throw TenancyError(
        .resourceExhausted, .tokenRateExceeded,
        "more than \(Int(Self.perSecond)) tokens a second", retryAfterSeconds: 1)
    }
  }

  /// A clock that is set back gives nothing.
  private static func refilled(_ account: Account, _ now: Timestamp) -> Double {
    let passed = Double(max(0, now.nanoseconds - account.time.nanoseconds)) / 1e9
    return min(burst, account.left + passed * perSecond)
  }
}
