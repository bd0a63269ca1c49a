import Synchronization
import Tenancy

/// How often it is looked for the challenges of a tenant's domains: each time others' servers are asked on its behalf.
/// Thread-safe.
final class DomainPace: Sendable {
  /// Of those who have asked lately. Beyond that all others are one.
  private static let maximumTenants = 4096

  private struct Account {
    var left: Double
    var time: Timestamp
  }

  private struct Accounts {
    var ofTenants: [TenantID: Account] = [:]
    var ofOthers: Account?
  }

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
        accounts.ofTenants = accounts.ofTenants.filter { refilled($0.value, now) < full }
      }
      let isKnown =
        accounts.ofTenants[tenant] != nil || accounts.ofTenants.count < Self.maximumTenants
      let former = isKnown ? accounts.ofTenants[tenant] : accounts.ofOthers
      let left = former.map { refilled($0, now) } ?? full
      let account = Account(left: left >= 1 ? left - 1 : left, time: now)
      if isKnown { accounts.ofTenants[tenant] = account } else { accounts.ofOthers = account }
      return left >= 1
    }
    guard isTaken else {
      throw .exhausted(
        .domainVerifications, of: .tenant(tenant), limit: perMinute, hint: "wait",
        retryAfterSeconds: Self.secondsBetween(perMinute))
    }
  }

  private var full: Double { Double(perMinute) }

  /// A clock that is set back gives nothing.
  private func refilled(_ account: Account, _ now: Timestamp) -> Double {
    let passed = Double(max(0, now.nanoseconds - account.time.nanoseconds)) / 60e9
    return min(full, account.left + passed * full)
  }
}
