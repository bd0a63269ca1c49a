internal import Synchronization
internal import Tenancy

/// How often something is done for one user: so often at once, and so often more each second. Thread-safe.
final class UserPace: Sendable {
  /// Users that are kept apart. Beyond that all others are one.
  static let maximumUsers = 4_096

  private struct Account {
    var left: Double
    var time: Timestamp
  }

  private let burst, perSecond: Double
  private let accounts = Mutex<[UInt32?: Account]>([:])

  init(_ rate: (burst: Int, perSecond: Int)) {
    (burst, perSecond) = (Double(rate.burst), Double(rate.perSecond))
  }

  /// - Returns: whether it is allowed, and counted.
  func take(for user: UInt32, at now: Timestamp) -> Bool {
    accounts.withLock { accounts in
      if accounts[user] == nil, accounts.count >= Self.maximumUsers {
        accounts = accounts.filter { refilled($0.value, now) < burst }
      }
      let isKnown = accounts[user] != nil || accounts.count < Self.maximumUsers
      let key = isKnown ? user : nil
      let left = accounts[key].map { refilled($0, now) } ?? burst
      // Also of who is refused: a clock that is set back does not silence anybody for long.
      accounts[key] = Account(left: left >= 1 ? left - 1 : left, time: now)
      return left >= 1
    }
  }

  /// A clock that is set back gives nothing.
  private func refilled(_ account: Account, _ now: Timestamp) -> Double {
    let passed = Double(max(0, now.nanoseconds - account.time.nanoseconds)) / 1e9
    return min(burst, account.left + passed * perSecond)
  }
}
