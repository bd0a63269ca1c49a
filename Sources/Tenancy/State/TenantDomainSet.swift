/// The domains that tenants have and claim. A value with shared structure: a change costs the same among ten and among
/// a million.
public struct TenantDomainSet: Sendable {
  /// By the tenant's id.
  private var byTenant = ByteTable<OrderedTree<TenantDomain>>()
  /// The verified ones, by their names.
  private var verified = ByteTable<TenantDomain>()

  /// There are none.
  public init() {}

  // MARK: Reading

  /// Of the domain of this host, in lower case, the one whose it is.
  @inline(__always)
  public func holder(of host: RawSpan) -> TenantDomain? { verified.find(host) }

  /// Whether nobody has one, as where they are not used.
  public var hasNoneVerified: Bool { verified.isEmpty }

  /// The one whose it is.
  public func holder(of name: DomainName) -> TenantDomain? { verified[name.text] }

  /// What a tenant has of this name, be it verified or not.
  public func find(_ name: DomainName, of tenant: TenantID) -> TenantDomain? {
    byTenant[tenant.description]?.find(name.text)
  }

  /// Those of one tenant in the order of their names, those behind `name` if it is given.
  public func domains(of tenant: TenantID, after name: String? = nil) -> Cursor<TenantDomain> {
    byTenant[tenant.description]?.cursor(after: name) ?? Cursor()
  }

  /// How many a tenant has, claims that are over included.
  public func count(of tenant: TenantID) -> Int { byTenant[tenant.description]?.count ?? 0 }

  // MARK: Changing

  mutating func put(_ domain: TenantDomain) {
    remove(domain.name.text, of: domain.tenant)
    edit(domain.tenantText) { _ = $0.put(domain) }
    if domain.isVerified { verified[domain.name.text] = domain }
  }

  mutating func remove(_ name: String, of tenant: TenantID) {
    let owner = tenant.description
    guard let former = byTenant[owner]?.find(name) else { return }
    edit(owner) { _ = $0.remove(name) }
    // One whose it is by now stays.
    if former.isVerified, verified[name]?.tenant == tenant { verified[name] = nil }
  }

  private mutating func edit(
    _ owner: String, _ body: (inout OrderedTree<TenantDomain>) -> Void
  ) {
    var tree = byTenant[owner] ?? OrderedTree()
    body(&tree)
    byTenant[owner] = tree.isEmpty ? nil : tree
  }

  func unsharedNodes(with other: Self) -> Int {
    byTenant.unshared(with: other.byTenant).nodes + verified.unshared(with: other.verified).nodes
  }
}

extension ControlState {
  /// Whose domain a host is, in either case.
  func holder(ofDomain host: RawSpan) -> TenantRecord? {
    var isLower = true
    for offset in 0..<host.byteCount
    where SelectorParsing.lowercase(host.byte(offset)) != host.byte(offset) {
      isLower = false
    }
    if isLower { return domains.holder(of: host).flatMap { find($0.tenantText) } }
    let text = (0..<host.byteCount).map { SelectorParsing.lowercase(host.byte($0)) }
    return unsafe domains.holder(of: text.span.bytes).flatMap { find($0.tenantText) }
  }
}
