/// What the certificates of one trust domain may name. `*` stands for all.
public struct TrustDomainGrant: Sendable, Hashable {
  public static let all = "*"

  public var platformRoles: Set<String>
  /// Ids or slugs, as the SPIFFE IDs have them.
  public var tenants: Set<String>

  public init(platformRoles: Set<String> = [], tenants: Set<String> = []) {
    self.platformRoles = platformRoles
    self.tenants = tenants
  }

  public static let everything = TrustDomainGrant(platformRoles: [all], tenants: [all])
  public static let nothing = TrustDomainGrant()

  func covers(platformRole role: String) -> Bool {
    platformRoles.contains(Self.all) || platformRoles.contains(role)
  }

  func covers(tenant: String) -> Bool {
    tenants.contains(Self.all) || tenants.contains(tenant)
  }
}
