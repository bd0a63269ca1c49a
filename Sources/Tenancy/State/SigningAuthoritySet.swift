/// The signing authorities of a store, which are few.
public struct SigningAuthoritySet: Sendable {
  /// In the order of their ids; without those that are revoked.
  public private(set) var all: [SigningAuthority] = []
  /// Those taken away by force whose certificates have not ended: what they vouch for is refused.
  public private(set) var revoked: [SigningAuthority] = []

  /// There are none.
  public init() {}

  /// One by its id.
  public func find(_ id: String) -> SigningAuthority? { all.first { $0.id == id } }

  /// The one that signs for a trust domain.
  public func active(_ kind: SigningAuthority.Kind, for domain: String) -> SigningAuthority? {
    all.first { $0.state == .active && $0.kind == kind && $0.trustDomain == domain }
  }

  /// Whether there is one for a trust domain, or was.
  public func know(domain: String) -> Bool {
    all.contains { $0.trustDomain == domain } || revoked.contains { $0.trustDomain == domain }
  }

  /// Those that bundles have, of all trust domains.
  public func trusted(_ kind: SigningAuthority.Kind, at now: Timestamp) -> [SigningAuthority] {
    all.filter { $0.kind == kind && $0.isTrusted(at: now) }
  }

  /// Those whose time in bundles is over, and revoked ones whose certificates have ended.
  public func expired(at now: Timestamp) -> [SigningAuthority] {
    all.filter { $0.state == .retiring && !$0.isTrusted(at: now) }
      + revoked.filter { $0.expireTime.map { $0 <= now } ?? false }
  }

  mutating func put(_ authority: SigningAuthority) {
    remove(authority.id)
    if authority.state == .revoked {
      Self.insert(authority, into: &revoked)
    } else {
      Self.insert(authority, into: &all)
    }
  }

  private static func insert(_ authority: SigningAuthority, into list: inout [SigningAuthority]) {
    let at = list.firstIndex { authority.id < $0.id } ?? list.count
    list.insert(authority, at: at)
  }

  mutating func remove(_ id: String) {
    all.removeAll { $0.id == id }
    revoked.removeAll { $0.id == id }
  }
}
