import Tenancy

/// How much of an event loop's time goes into tokens that were not seen before: so much on behalf of one peer, and of
/// that so much for tokens of one tenant. Those that are refused count many times. Confined to an event loop.
struct VerifyingAllowance {
  struct Share: Sendable {
    /// Of the loop's time.
    var fraction: Double
    /// Nanoseconds at once.
    var burst: Double
  }

  /// On behalf of whom.
  private struct Key: Hashable {
    let peer: Int
    let tenant: TenantID?
  }

  private struct Account {
    var left: Double
    var time: Int64
  }

  static let peerShare = Share(fraction: 0.3, burst: 300e6)
  static let tenantShare = Share(fraction: 0.1, burst: 100e6)
  /// What refused ones count.
  static let refusalFactor = 4.0
  /// Accounts that are kept. Beyond that peers are one, and so are tenants.
  private static let maximumAccounts = 4096

  private var accounts: [Key: Account] = [:]

  var count: Int { accounts.count }

  /// Whether a token may be looked at.
  /// - Parameters:
  ///   - peer: a number that all have in common who are one.
  ///   - tenant: whose token it says it is.
  ///   - now: nanoseconds of a clock that is never set.
  func admits(peer: Int, _ tenant: TenantID?, at now: Int64) -> Bool {
    left(Key(peer: peer, tenant: nil), Self.peerShare, now) > 0
      && (tenant == nil || left(Key(peer: peer, tenant: tenant), Self.tenantShare, now) > 0)
  }

  /// - Parameter time: nanoseconds that it took.
  mutating func charge(
    peer: Int, _ tenant: TenantID?, _ time: Int64, isRefused: Bool, at now: Int64
  ) {
    let cost = Double(max(time, 0))
    charge(Key(peer: peer, tenant: nil), Self.peerShare, cost, now)
    if let tenant {
      let factor = isRefused ? Self.refusalFactor : 1
      charge(Key(peer: peer, tenant: tenant), Self.tenantShare, cost * factor, now)
    }
  }

  /// Forgets those who have all of their share again.
  mutating func sweep(at now: Int64) {
    accounts = accounts.filter { key, account in
      let share = key.tenant == nil ? Self.peerShare : Self.tenantShare
      return Self.refilled(account, share, now) < share.burst
    }
  }

  private func left(_ key: Key, _ share: Share, _ now: Int64) -> Double {
    accounts[kept(key)].map { Self.refilled($0, share, now) } ?? share.burst
  }

  private mutating func charge(_ key: Key, _ share: Share, _ cost: Double, _ now: Int64) {
    let key = kept(key)
    let left = accounts[key].map { Self.refilled($0, share, now) } ?? share.burst
    // Whoever goes on all the same does not have to wait for longer in the end.
    accounts[key] = Account(left: max(left - cost, -share.burst / 10), time: now)
  }

  private func kept(_ key: Key) -> Key {
    if accounts[key] != nil || accounts.count < Self.maximumAccounts { return key }
    return Key(peer: 0, tenant: key.tenant == nil ? nil : TenantID(high: 0, low: 0))
  }

  private static func refilled(_ account: Account, _ share: Share, _ now: Int64) -> Double {
    min(share.burst, account.left + Double(max(0, now - account.time)) * share.fraction)
  }
}
