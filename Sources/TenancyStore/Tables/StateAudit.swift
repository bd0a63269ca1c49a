internal import Dispatch
internal import Synchronization
internal import Tenancy

/// What every write makes sure of, checked anew for a file that others may have changed: two tenants of one
/// name would answer as each other, and a role without its tenant would be served by chance. Sees each row
/// once.
struct StateAudit {
  private let revision: UInt64
  private var tenants: Set<TenantID> = []
  private var slugs: [Slug: TenantID] = [:]
  private var names: [ReservedName: TenantID] = [:]
  private var roles: Set<Key> = []
  /// The rows of tenants.
  private var named: [Change] = []
  /// Tenants that are there, though their rows can't be read: what refers to them is not wrong for that.
  private var unreadable: Set<TenantID> = []

  private struct Key: Hashable {
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
      slugs.reserveCapacity(rows.count)
      named = rows
    case .reserveName: names.reserveCapacity(rows.count)
    default: break  // There are few of others, or none.
    }
    for change in rows { try check(change) }
  }

  /// What needs all rows.
  func finish() throws(StoreError) {
    for change in named {
      if case .putTenant(let tenant) = change { try checkNames(of: tenant) }
    }
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
    for change in stored.changes { note { () throws(StoreError) in try audit.check(change) } }
    for change in stored.changes {
      guard case .putTenant(let tenant) = change else { continue }
      note { () throws(StoreError) in try audit.checkNames(of: tenant) }
    }
    return errors
  }

  private mutating func check(_ change: Change) throws(StoreError) {
    switch change {
    case .putTenant(let tenant):
      try check(tenant, Row("tenants", tenant.id))
    case .reserveName(let name, let id):
      try check(name, id, Row("reserved_names", name.kind.rawValue, name.text))
    case .retireSlug(let slug, let id):
      let row = Row("reserved_names", "slug", slug.text)
      try row.require(slugs[slug] != id, "it is retired, and is the slug of \(id)")
    case .putRole(let id, let role):
      try check(role, of: id, Row("roles", id, role.id))
    case .putAssignment(let id, let assignment):
      try check(assignment, of: id, Row("assignments", id, assignment.id))
    case .putProvisioningStep(let id, let name):
      try requireTenant(id, Row("provisioning_steps", id, name))
    case .rememberRequest(let request):
      let row = Row("requests", request.actor, request.requestID)
      try requireTenant(request.tenant, row)
      try row.require(Self.isDigest(request.digest), "its digest is none")
    case .deleteRole, .deleteAssignment, .clearProvisioningSteps, .forgetRequests, .putSecret,
      .deleteSecret, .putDataKey:
      break  // A state that is stored has none of these.
    }
  }

  private mutating func check(_ tenant: Tenant, _ row: Row) throws(StoreError) {
    try row.require(tenants.insert(tenant.id).inserted, "it is there twice")
    let other = slugs.updateValue(tenant.id, forKey: tenant.slug)
    try row.require(
      other == nil, "it and \(other.map { "\($0)" } ?? "") have the slug \(tenant.slug)")
    try checkVersion(tenant.version, row)
    try row.require(
      (1...tenant.version).contains(tenant.epoch),
      "its epoch \(tenant.epoch) is none of its version")
    if let version = tenant.configuration.database?.password?.version {
      try row.require(
        (1...tenant.version).contains(version), "its password's version \(version) is none of it")
    }
    let isDeleted = tenant.state == .deleted
    try row.require(
      isDeleted == (tenant.deleteTime != nil) && isDeleted == (tenant.purgeTime != nil),
      "its state \(tenant.state.rawValue) does not fit its times of deletion")
    let (model, configuration) = (tenant.isolationModel, tenant.configuration)
    try row.require(
      model.usesSchema == (configuration.schema != nil)
        && model.usesShared == (configuration.shared != nil)
        && (model.usesDatabase || configuration.database == nil),
      "its configuration does not fit its isolation model \(model.rawValue)")
  }

  private mutating func check(_ name: ReservedName, _ id: TenantID, _ row: Row) throws(StoreError) {
    try requireTenant(id, row)
    let isName =
      switch name.kind {
      case .slug: Slug(parsing: name.text) != nil
      case .schema: TenantRules.isSchemaName(name.text)
      case .tenantIdentifier: TenantRules.isTenantIdentifier(name.text)
      }
    try row.require(isName, "it is no such name")
    try row.require(names.updateValue(id, forKey: name) == nil, "it is there twice")
  }

  /// What a tenant is called by now is reserved for it.
  private func checkNames(of tenant: Tenant) throws(StoreError) {
    let configuration = tenant.configuration
    let current = [
      ReservedName(.slug, tenant.slug.text),
      configuration.schema.map { ReservedName(.schema, $0.schemaName) },
      configuration.shared.map { ReservedName(.tenantIdentifier, $0.tenantIdentifier) },
    ]
    for name in current.compactMap(\.self) where names[name] != tenant.id {
      let owner = names[name].map { "reserved for \($0)" } ?? "not reserved"
      throw Row("tenants", tenant.id).corruption(
        "its \(name.kind.rawValue) \(name.text) is \(owner)")
    }
  }

  private mutating func check(_ role: Role, of id: TenantID, _ row: Row) throws(StoreError) {
    // First of all: assignments of a role that is wrong are not wrong for that.
    try row.require(
      roles.insert(Key(tenant: id, id: role.id)).inserted, "it is there twice")
    try requireTenant(id, row)
    try row.require(RoleCommands.isRoleID(role.id), "it is no id of a role")
    try row.require(!RoleCommands.isBuiltIn(role: role.id), "the role is built in")
    try checkVersion(role.version, row)
    try row.require(
      role.permissions.allSatisfy { Permission(parsing: $0) != nil }, "it has what is no permission"
    )
    let isSorted = zip(role.permissions, role.permissions.dropFirst()).allSatisfy { $0 < $1 }
    try row.require(isSorted, "its permissions are not in order, each once")
  }

  private func check(
    _ assignment: RoleAssignment, of id: TenantID, _ row: Row
  ) throws(StoreError) {
    try requireTenant(id, row)
    try row.require(TenantID(parsing: assignment.id) != nil, "its id is none")
    try row.require(RoleCommands.isSubject(assignment.subject), "its subject is none")
    try row.require(
      roles.contains(Key(tenant: id, id: assignment.role))
        || RoleCommands.isBuiltIn(role: assignment.role),
      "the tenant has no role \(assignment.role)")
  }

  private func requireTenant(_ id: TenantID, _ row: Row) throws(StoreError) {
    try row.require(
      tenants.contains(id) || unreadable.contains(id), "there is no tenant \(id)")
  }

  /// Each version took a revision.
  private func checkVersion(_ version: UInt64, _ row: Row) throws(StoreError) {
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

/// An audit that goes on while the next table is read.
final class BackgroundAudit: Sendable {
  private let queue = DispatchQueue(label: "tenancy.store.audit")
  private let state: Mutex<(audit: StateAudit, failure: StoreError?)>

  init(revision: UInt64) { state = Mutex((StateAudit(revision: revision), nil)) }

  /// In the order of the calls.
  func check(_ rows: [Change]) {
    queue.async { [self] in run { audit throws(StoreError) in try audit.check(rows) } }
  }

  /// Waits for what was given.
  /// - Throws: `.corrupt` with the first row that no write can have left.
  func finish() throws(StoreError) {
    queue.sync { [self] in run { audit throws(StoreError) in try audit.finish() } }
    if let failure = state.withLock({ $0.failure }) { throw failure }
  }

  private func run(_ body: (inout StateAudit) throws(StoreError) -> Void) {
    state.withLock { state in
      guard state.failure == nil else { return }
      do throws(StoreError) {
        try body(&state.audit)
      } catch {
        state.failure = error
      }
    }
  }
}

/// A row, for a message that is made only where it is needed.
private struct Row {
  let table: StaticString
  let first: any CustomStringConvertible & Sendable
  let second: String?

  init(
    _ table: StaticString, _ first: any CustomStringConvertible & Sendable, _ second: String? = nil
  ) {
    self.table = table
    self.first = first
    self.second = second
  }

  func require(
    _ condition: Bool, _ what: @autoclosure () -> String
  ) throws(StoreError) {
    if !condition { throw corruption(what()) }
  }

  func corruption(_ what: String) -> StoreError {
    let key = "\(first)\(second.map { "/\($0)" } ?? "")"
    return StoreError(corrupt: StoreError.Place(table: "\(table)", row: key, what: what))
  }
}
