internal import Glibc
internal import Tenancy

/// What every write makes sure of, checked anew for a file that others may have changed: two tenants of one
/// name would answer as each other, and a role without its tenant would be served by chance. Sees rows once.
///
/// That names are unique is seen from their order, and that they are their tenants' where the name is: no
/// table of names is made, which would take as long as reading them.
struct StateAudit {
  typealias Row = AuditRow

  private let revision: UInt64
  private var positions = TenantPositions()
  /// The rows of tenants and of names, tenants by their positions.
  private var tenants: [Change] = []
  private var names: [Change] = []
  private var lastName: ReservedName?
  /// Of each tenant: which of its current names are reserved for it.
  private var reserved: [Names] = []
  var roles: Set<Key> = []
  /// Roles that others name, and the rows of those.
  var namedRoles: [(role: Key, row: Row)] = []
  private var groups = GroupAudit()
  /// Trust domains that an authority signs for.
  private var signedDomains: Set<String> = []
  /// Domains that are somebody's.
  private var verifiedDomains: Set<DomainName> = []
  private var lastRevocation: (tenant: TenantID, target: Revocation.Target)?
  /// Tenants that are there, though their rows can't be read: what refers to them is not wrong for that.
  private var unreadable: Set<TenantID> = []

  private struct Names: OptionSet {
    let rawValue: UInt8
    static let slug = Names(rawValue: 1)
    static let schema = Names(rawValue: 2)
    static let identifier = Names(rawValue: 4)

    init(rawValue: UInt8) { self.rawValue = rawValue }

    init(_ kind: ReservedName.Kind) {
      self =
        switch kind {
        case .slug: .slug
        case .schema: .schema
        case .tenantIdentifier: .identifier
        }
    }
  }

  struct Key: Hashable {
    let tenant: TenantID
    let id: String
  }

  init(revision: UInt64) { self.revision = revision }

  /// - Parameter rows: of one table, as `StateReader` makes them: tenants first, and roles before assignments.
  /// - Throws: `.corrupt` with the first row that no write can have left.
  mutating func check(_ rows: [Change]) throws(StoreError) {
    switch rows.first {
    case .putTenant:
      tenants.reserveCapacity(rows.count)
      reserved.reserveCapacity(rows.count)
    case .reserveName: names = rows
    default: break
    }
    for change in rows { try check(change) }
  }

  /// What needs all rows.
  func finish() throws(StoreError) {
    for at in tenants.indices { try checkNames(at, owner: owner) }
    for named in namedRoles { try checkNamed(named) }
    try groups.finish()
  }

  /// All that is wrong: each row that is, with the first that is wrong with it.
  /// - Parameter unreadable: tenants whose rows do not parse.
  static func findings(in stored: StoredState, unreadable: Set<TenantID>) -> [StoreError] {
    var audit = StateAudit(revision: stored.revision)
    audit.unreadable = unreadable
    var errors: [StoreError] = []
    func note(_ body: () throws(StoreError) -> Void) {
      do { try body() } catch { errors.append(error) }
    }
    for rows in stored.tables {
      if case .reserveName = rows.first { audit.names = rows }
      for change in rows { note { () throws(StoreError) in try audit.check(change) } }
    }
    // For messages only, of which there may be one for each tenant.
    lazy var owners = audit.owners
    for at in audit.tenants.indices {
      note { () throws(StoreError) in try audit.checkNames(at) { owners[$0] } }
    }
    for named in audit.namedRoles {
      note { () throws(StoreError) in try audit.checkNamed(named) }
    }
    note { () throws(StoreError) in try audit.groups.finish() }
    return errors
  }

  /// - Parameters:
  ///   - at: a tenant's position.
  ///   - owner: for whom a name is reserved.
  private func checkNames(
    _ at: Int, owner: (ReservedName) -> TenantID?
  ) throws(StoreError) {
    guard case .putTenant(let tenant) = tenants[at] else { return }
    let missing = Self.currentNames(of: tenant).subtracting(reserved[at])  // In range: one each.
    for kind in ReservedName.Kind.allCases where missing.contains(Names(kind)) {
      let name = Self.name(kind, of: tenant) ?? ""
      let owner = owner(ReservedName(kind, name)).map { "reserved for \($0)" } ?? "not reserved"
      throw Row("tenants", tenant.id).corruption("its \(kind.rawValue) \(name) is \(owner)")
    }
  }

  /// What a tenant is called by now is reserved for it.
  private static func currentNames(of tenant: borrowing Tenant) -> Names {
    var names = Names.slug
    if tenant.configuration.schema != nil { names.insert(.schema) }
    if tenant.configuration.shared != nil { names.insert(.identifier) }
    return names
  }

  private static func name(
    _ kind: ReservedName.Kind, of tenant: borrowing Tenant
  ) -> String? {
    switch kind {
    case .slug: tenant.slug.text
    case .schema: tenant.configuration.schema?.schemaName
    case .tenantIdentifier: tenant.configuration.shared?.tenantIdentifier
    }
  }

  /// For one message: looks at all.
  private func owner(of wanted: ReservedName) -> TenantID? {
    for case .reserveName(wanted, let id) in names { return id }
    return nil
  }

  private var owners: [ReservedName: TenantID] {
    var owners: [ReservedName: TenantID] = [:]
    for case .reserveName(let name, let id) in names { owners[name] = id }
    return owners
  }

  private mutating func check(_ change: Change) throws(StoreError) {
    switch change {
    case .putTenant(let tenant):
      let row = Row("tenants", tenant.id)
      try row.require(
        positions.ids.last.map { $0 < tenant.id } ?? true, "it is there twice, or out of order")
      // Together, and before anything else can be wrong with it: positions are those of all three.
      _ = positions.append(tenant.id)
      tenants.append(change)
      reserved.append([])
      try check(tenant, row)
    case .reserveName(let name, let id):
      try check(name, id, Row("reserved_names", name.kind.rawValue, name.text))
    case .retireSlug(let slug, let id):
      let row = Row("reserved_names", "slug", slug.text)
      if let at = positions.find(id), case .putTenant(let tenant) = tenants[at] {
        try row.require(tenant.slug != slug, "it is retired, and is the slug of \(id)")
      }
    case .putRole(let id, let role):
      try check(role, of: id, Row("roles", id, role.id))
    case .putAssignment(let id, let assignment):
      try check(assignment, of: id, Row("assignments", id, assignment.id))
    case .putGroup(let id, let group):
      let row = Row("groups", id, group.id)
      try groups.check(group, of: id, row)
      try requireTenant(id, row)
      try checkVersion(group.version, row)
    case .putGroupMember(let id, let member):
      let row = Row("group_members", id, member.id)
      try requireTenant(id, row)
      try groups.check(member, of: id, row)
    case .putProvisioningStep(let id, let name):
      try requireTenant(id, Row("provisioning_steps", id, name))
    case .rememberRequest(let request):
      let row = Row("requests", request.payerText + request.actor, request.requestID)
      if let tenant = request.tenant { try requireTenant(tenant, row) }
      try row.require(Self.isDigest(request.digest), "its digest is none")
    case .putRevocation(let id, let revocation):
      let target = revocation.target
      try check(
        revocation, of: id, Row("revocations", id, "\(target.kind.rawValue)/\(target.text)"))
    case .putWorkloadEntry(let entry):
      try check(entry, Row("workload_entries", entry.id))
    case .putDomain(let domain):
      try check(domain, Row("tenant_domains", domain.tenant, domain.name.text))
    case .putAuthority(let authority):
      try check(authority, Row("signing_authorities", authority.id))
    case .putConfigurationItem(let item): try ConfigurationItems.check(item)
    case .deleteRole, .deleteAssignment, .deleteGroup, .deleteGroupMember,
      .clearProvisioningSteps, .forgetRequests, .putSecret,
      .deleteSecret, .putDataKey, .forgetRevocations, .deleteWorkloadEntry, .deleteDomain,
      .deleteAuthority, .deleteConfigurationItem, .putOperation, .deleteOperations:
      break  // A state that is loaded has none of these.
    }
  }

  private func check(_ tenant: Tenant, _ row: Row) throws(StoreError) {
    try checkVersion(tenant.version, row)
    try row.require(
      (1...tenant.version).contains(tenant.epoch),
      "its epoch \(tenant.epoch) is none of its version")
    if let version = tenant.configuration.database?.password?.version {
      try row.require(
        (1...tenant.version).contains(version), "its password's version \(version) is none of it")
    }
    try checkKeys(of: tenant, row)
    try checkAuthentication(of: tenant, row)
    let isDeleted = tenant.state.isGone
    try row.require(
      isDeleted == (tenant.deleteTime != nil) && isDeleted == (tenant.purgeTime != nil),
      "its state \(tenant.state.rawValue) does not fit its times of deletion")
    let (model, configuration) = (tenant.isolationModel, tenant.configuration)
    try row.require(
      configuration.usesSchema(model) == (configuration.schema != nil)
        && configuration.usesShared(model) == (configuration.shared != nil)
        && (model == .hybrid || configuration.dataCategories.isEmpty)
        && (model.usesDatabase || configuration.database == nil),
      "its configuration does not fit its isolation model \(model.rawValue)")
  }

  private func checkAuthentication(of tenant: Tenant, _ row: Row) throws(StoreError) {
    guard !tenant.authentication.isDefault else { return }
    try row.require(
      !tenant.state.isGone, "it is deleted, and has authentication settings")
    let wrong = AuthenticationRules.violations(
      of: tenant.authentication, isStored: true
    ).map(\.field)
    try row.require(wrong.isEmpty, "its authentication settings are none: \(wrong)")
  }

  private func checkKeys(of tenant: Tenant, _ row: Row) throws(StoreError) {
    let keys = tenant.tokenKeys
    guard !keys.isEmpty else { return }
    try row.require(keys.count <= TokenKey.maximumCount, "it has \(keys.count) keys for tokens")
    try row.require(!tenant.state.isGone, "it is deleted, and has keys for tokens")
    try row.require(Set(keys.map(\.id)).count == keys.count, "a key for tokens is there twice")
    try row.require(
      keys.dropFirst().allSatisfy { !$0.signs }, "a key for tokens signs, and is not the first")
    for key in keys {
      try row.require(TokenKey.isID(key.id), "a key for tokens has an id that is none")
      try row.require(
        TokenKey.isPublicKey(key.publicKey), "the public key of \(key.id) is none")
      try row.require(
        (key.retireTime == nil) == (key.verifyUntil == nil), "\(key.id) is half retired")
      try row.require(
        (1...tenant.version).contains(key.reference.version),
        "the version \(key.reference.version) of \(key.id) is none of it")
    }
  }

  private mutating func check(
    _ revocation: Revocation, of id: TenantID, _ row: Row
  ) throws(StoreError) {
    try requireTenant(id, row)
    let target = revocation.target
    if let (tenant, last) = lastRevocation {
      let isOrdered =
        tenant != id
        ? tenant < id
        : last.kind != target.kind
          ? last.kind.rawValue < target.kind.rawValue : Self.precedes(last.text, target.text)
      try row.require(isOrdered, "it is there twice, or out of order")
    }
    lastRevocation = (id, target)
    let isTarget =
      switch target {
      case .token(let id): Revocation.isTokenID(id)
      case .subject(let subject): RoleCommands.isSubject(subject)
      case .tenant: true
      }
    try row.require(isTarget, "it is of nothing that can be revoked")
    try row.require(Revocation.isReason(revocation.reason), "its reason is none")
    // At the end of time there is none that would be forgotten.
    try row.require(revocation.expireTime.nanoseconds < .max, "it never expires")
  }

  /// Who reads one that says less than what was registered gives an identity to those who were not meant.
  private func check(_ entry: WorkloadEntry, _ row: Row) throws(StoreError) {
    if let id = entry.tenant {
      try requireTenant(id, row)
      if let at = positions.find(id), case .putTenant(let tenant) = tenants[at] {
        try row.require(!tenant.state.isGone, "its tenant is deleted")
      }
    }
    try row.require(TenantID(parsing: entry.id) != nil, "its id is none")
    try row.require(entry.isSound, "it is none that can be registered")
  }

  private mutating func check(_ domain: TenantDomain, _ row: Row) throws(StoreError) {
    try requireTenant(domain.tenant, row)
    try row.require(domain.challenge.isSound, "its challenge is none that was made")
    guard domain.isVerified else { return }
    try row.require(
      verifiedDomains.insert(domain.name).inserted, "it is another tenant's as well")
  }

  private mutating func check(_ authority: SigningAuthority, _ row: Row) throws(StoreError) {
    try row.require(authority.isSound, "it is none that can be prepared")
    guard authority.state == .active else { return }
    try row.require(
      signedDomains.insert("\(authority.kind.rawValue)/\(authority.trustDomain)").inserted,
      "another signs for \(authority.trustDomain) as well")
  }

  private mutating func check(_ name: ReservedName, _ id: TenantID, _ row: Row) throws(StoreError) {
    let at = try requireTenant(id, row)
    let isName =
      switch name.kind {
      case .slug: Slug(parsing: name.text) != nil
      case .schema: TenantRules.isSchemaName(name.text)
      case .tenantIdentifier: TenantRules.isTenantIdentifier(name.text)
      }
    try row.require(isName, "it is no such name")
    try row.require(
      lastName.map { Self.isOrdered($0, name) } ?? true, "it is there twice, or out of order")
    lastName = name
    if let at, case .putTenant(let tenant) = tenants[at],
      Self.name(name.kind, of: tenant) == name.text
    {
      reserved[at].insert(Names(name.kind))
    }
  }

  /// As the databases have it: byte by byte.
  private static func isOrdered(_ first: ReservedName, _ second: ReservedName) -> Bool {
    guard first.kind == second.kind else { return first.kind.rawValue < second.kind.rawValue }
    return precedes(first.text, second.text)
  }

  private static func precedes(_ first: String, _ second: String) -> Bool {
    first.utf8Span.span.bytes.withUnsafeBytes { first in
      second.utf8Span.span.bytes.withUnsafeBytes { second in
        guard let one = first.baseAddress, let other = second.baseAddress else {
          return first.isEmpty && !second.isEmpty
        }
        let order = memcmp(one, other, min(first.count, second.count))
        return order < 0 || order == 0 && first.count < second.count
      }
    }
  }

  /// - Returns: its position, which is one of `tenants` and of `reserved`; nil where its row can't be read.
  @discardableResult
  func requireTenant(_ id: TenantID, _ row: Row) throws(StoreError) -> Int? {
    if let at = positions.find(id) { return at }
    try row.require(unreadable.contains(id), "there is no tenant \(id)")
    return nil
  }

  func isPurging(_ at: Int) -> Bool {
    guard case .putTenant(let tenant) = tenants[at] else { return false }
    return tenant.state == .purging
  }

  /// Each version took a revision.
  func checkVersion(_ version: UInt64, _ row: Row) throws(StoreError) {
    try row.require(
      version >= 1 && version <= revision,
      "its version \(version) is none that the log's \(revision) revisions can have made")
  }

  private static func isDigest(_ text: String) -> Bool {
    text.utf8.count == 64
      && text.utf8.allSatisfy { byte in
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
          || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
      }
  }
}
