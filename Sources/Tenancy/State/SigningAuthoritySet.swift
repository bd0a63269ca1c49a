/// The signing authorities of a store, which are few.
public struct SigningAuthoritySet: Sendable {
  /// In the order of their ids.
  public private(set) var all: [SigningAuthority] = []

  /// There are none.
  public init() {}

  /// One by its id.
  public func find(_ id: String) -> SigningAuthority? { all.first { $0.id == id } }

  /// The one that signs for a trust domain.
  public func active(for domain: String) -> SigningAuthority? {
    all.first { $0.state == .active && $0.trustDomain == domain }
  }

  /// Those that bundles have, of all trust domains.
  public func trusted(at now: Timestamp) -> [SigningAuthority] {
    all.filter { $0.isTrusted(at: now) }
  }

  /// Those whose time in bundles is over.
  public func expired(at now: Timestamp) -> [SigningAuthority] {
    all.filter { $0.state == .retiring && !$0.isTrusted(at: now) }
  }

  mutating func put(_ authority: SigningAuthority) {
    remove(authority.id)
    let at = all.firstIndex { authority.id < $0.id } ?? all.count
    all.insert(authority, at: at)
  }

  mutating func remove(_ id: String) { all.removeAll { $0.id == id } }
}
