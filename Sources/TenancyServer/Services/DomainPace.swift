import Synchronization
import Tenancy

/// How often it is looked for the challenges of a tenant's domains: each time others' servers are asked on its behalf.
/// Thread-safe.
final class DomainPace: Sendable {
  /// Of those who have asked lately. Beyond that all others are one.
  private static let maximumTenants = 4096

  private struct Account {
    /// Nanoseconds, of which each costs some, and all of a minute's come back in one.
    var left: Int64
    var time: Timestamp
  }

  private struct Accounts {
    var ofTenants: [TenantID: Account] = [:]
    var ofOthers: Account?
  }

  private static let full: Int64 = 60_000_000_000

  private let perMinute: Int
  private let accounts = Mutex(Accounts())

  init(perMinute: Int) { self.perMinute = max(1, perMinute) }

  /// After which one more may be asked for.
  static func secondsBetween(_ perMinute: Int) -> Int64 {
    Int64((60 + max(1, perMinute) - 1) / max(1, perMinute))
  }

  /// - Throws: RESOURCE_EXHAUSTED.
  func take(for tenant: TenantID, at now: Timestamp) throws(TenancyError) {
    let isTaken = accounts.withLock { accounts in
      if accounts.ofTenants[tenant] == nil, accounts.ofTenants.count >= Self.maximumTenants {
        accounts.ofTenants = accounts.ofTenants.filter { Self.refilled($0.value, now) < Self.full }
      }
      let isKnown =
        accounts.ofTenants[tenant] != nil || accounts.ofTenants.count < Self.maximumTenants
      let former = isKnown ? accounts.ofTenants[tenant] : accounts.ofOthers
      let left = former.map { Self.refilled($0, now) } ?? Self.full
      let cost = Self.full / Int64(perMinute)
      // Also of who is refused: a clock that is set back does not silence anybody for long.
      let account = Account(left: left >= cost ? left - cost : left, time: now)
      if isKnown { accounts.ofTenants[tenant] = account } else { accounts.ofOthers = account }
      return left >= cost
    }
    guard isTaken else {
      throw .exhausted(
        .domainVerifications, of: .tenant(tenant), limit: perMinute, hint: "wait",
        retryAfterSeconds: Self.secondsBetween(perMinute))
    }
  }

  /// A clock that is set back gives nothing.
  private static func refilled(_ account: Account, _ now: Timestamp) -> Int64 {
    let (passed, overflow) = now.nanoseconds.subtractingReportingOverflow(account.time.nanoseconds)
    return overflow ? full : min(full, account.left + min(full, max(0, passed)))
  }
}
