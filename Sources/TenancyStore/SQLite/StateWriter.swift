internal import Tenancy

/// Writes log entries and their changes inside the caller's transaction. Keeps its statements.
struct StateWriter {
  private let connection: SQLiteConnection
  private let json: JSONCoding
  private let lastRevision: SQLiteStatement
  private let insertEntry: SQLiteStatement
  private let putTenant: SQLiteStatement
  private let reserveName: SQLiteStatement
  private let retireSlug: SQLiteStatement
  private let putRole: SQLiteStatement
  private let deleteRole: SQLiteStatement
  private let putAssignment: SQLiteStatement
  private let deleteAssignment: SQLiteStatement
  private let putStep: SQLiteStatement
  private let clearSteps: SQLiteStatement
  private let rememberRequest: SQLiteStatement
  private let forgetRequests: SQLiteStatement

  private let secrets: SecretTables

  init(
    _ connection: SQLiteConnection, json: JSONCoding, secrets: SecretTables
  ) throws(SQLiteError) {
    self.connection = connection
    self.json = json
    self.secrets = secrets
    lastRevision = try connection.prepare("SELECT max(revision) FROM log")
    insertEntry = try connection.prepare(SQL.insertEntry)
    putTenant = try connection.prepare(SQL.putTenant)
    reserveName = try connection.prepare(SQL.reserveName)
    retireSlug = try connection.prepare(
      "UPDATE reserved_names SET retired = 1 WHERE kind = 'slug' AND name = ?1 AND tenant_id = ?2")
    putRole = try connection.prepare(SQL.putRole)
    deleteRole = try connection.prepare("DELETE FROM roles WHERE tenant_id = ?1 AND id = ?2")
    putAssignment = try connection.prepare(SQL.putAssignment)
    deleteAssignment = try connection.prepare(
      "DELETE FROM assignments WHERE tenant_id = ?1 AND id = ?2")
    putStep = try connection.prepare(SQL.putStep)
    clearSteps = try connection.prepare("DELETE FROM provisioning_steps WHERE tenant_id = ?1")
    rememberRequest = try connection.prepare(SQL.rememberRequest)
    forgetRequests = try connection.prepare("DELETE FROM requests WHERE time < ?1")
  }

  /// - Throws: `.conflict` unless the entries' revisions follow the last one.
  func write(_ entries: [LogEntry]) throws(StoreError) {
    var last = try storedRevision()
    for entry in entries {
      guard last < Int64.max, entry.revision == UInt64(last) + 1 else {
        throw StoreError(.conflict, "revision \(entry.revision) does not follow \(last)")
      }
      last += 1
      let changes = try json.text(entry.changes.map(ChangeDocument.init))
      try run(
        insertEntry, .integer(last), .time(entry.time), .text(entry.actor), .text(entry.action),
        entry.tenant.map(SQLiteValue.id) ?? .null, .text(changes))
      for change in entry.changes { try apply(change) }
    }
  }

  private func storedRevision() throws(StoreError) -> Int64 {
    let revision = try asStoreError { () throws(SQLiteError) in
      defer { lastRevision.reset() }
      // There is always a row; it is null, read as 0, while the log is empty.
      return try lastRevision.step() ? lastRevision.integer(0) : 0
    }
    guard revision >= 0 else {
      throw StoreError(.corrupt, "table log, row \(revision): not a revision")
    }
    return revision
  }

  private func apply(_ change: Change) throws(StoreError) {
    switch change {
    case .putTenant(let tenant):
      try put(tenant)
    case .putRole(let tenant, let role):
      try put(role, of: tenant)
    case .deleteRole(let tenant, let id):
      try run(deleteRole, .id(tenant), .text(id))
    case .putAssignment(let tenant, let assignment):
      try run(
        putAssignment, .id(tenant), .text(assignment.id), .text(assignment.subject),
        .text(assignment.role), .time(assignment.createTime), .optionalTime(assignment.expireTime))
    case .deleteAssignment(let tenant, let id):
      try run(deleteAssignment, .id(tenant), .text(id))
    case .putProvisioningStep(let tenant, let name):
      try run(putStep, .id(tenant), .text(name))
    case .clearProvisioningSteps(let tenant):
      try run(clearSteps, .id(tenant))
    case .reserveName(let name, let tenant):
      try reserve(name, for: tenant)
    case .retireSlug(let slug, let tenant):
      try run(retireSlug, .text(slug.text), .id(tenant))
    case .rememberRequest(let request):
      try run(
        rememberRequest, .text(request.actor), .text(request.requestID), .text(request.digest),
        .id(request.tenant), .time(request.time))
    case .forgetRequests(let moment):
      try run(forgetRequests, .time(moment))
    case .putSecret(let tenant, let purpose, let reference, let sealed):
      try secrets.put(
        reference, sealed, at: SecretPlace(tenant: tenant, purpose: purpose))
    case .deleteSecret(let tenant, let purpose):
      try secrets.delete(at: SecretPlace(tenant: tenant, purpose: purpose))
    case .putDataKey(let key):
      try secrets.put(key)
    }
  }

  private func put(_ tenant: Tenant) throws(StoreError) {
    try run(
      putTenant, .id(tenant.id), .text(tenant.slug.text), .text(tenant.displayName),
      .text(tenant.state.rawValue), .text(tenant.isolationModel.rawValue),
      .text(try json.faithfulText(tenant.configuration)), .counter(tenant.version),
      .counter(tenant.epoch), .time(tenant.createTime), .time(tenant.updateTime),
      .optionalTime(tenant.deleteTime), .optionalTime(tenant.purgeTime), .text(tenant.stateReason))
  }

  private func put(_ role: Role, of tenant: TenantID) throws(StoreError) {
    try run(
      putRole, .id(tenant), .text(role.id), .text(role.title), .text(role.summary),
      .text(try json.faithfulText(role.permissions)), .counter(role.version),
      .time(role.createTime), .time(role.updateTime))
  }

  private func reserve(_ name: ReservedName, for tenant: TenantID) throws(StoreError) {
    try run(reserveName, .text(name.kind.rawValue), .text(name.text), .id(tenant))
    guard connection.changedRows == 1 else {
      throw StoreError(
        .conflict, "the \(name.kind.rawValue) \(name.text) is reserved for another tenant")
    }
  }

  private func run(_ statement: SQLiteStatement, _ values: SQLiteValue...) throws(StoreError) {
    try asStoreError { () throws(SQLiteError) in try statement.run(values) }
  }
}

/// A put replaces by updating in place: REPLACE would delete the row first and trip over the foreign
/// keys that point to it.
private enum SQL {
  static let insertEntry = """
    INSERT INTO log (revision, time, actor, action, tenant_id, changes)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    """

  static let putTenant = """
    INSERT INTO tenants (id, slug, display_name, state, isolation_model, configuration, version,
      epoch, create_time, update_time, delete_time, purge_time, state_reason)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
    ON CONFLICT (id) DO UPDATE SET slug = excluded.slug, display_name = excluded.display_name,
      state = excluded.state, isolation_model = excluded.isolation_model,
      configuration = excluded.configuration, version = excluded.version, epoch = excluded.epoch,
      create_time = excluded.create_time, update_time = excluded.update_time,
      delete_time = excluded.delete_time, purge_time = excluded.purge_time,
      state_reason = excluded.state_reason
    """

  /// Changes no row when the name is another tenant's.
  static let reserveName = """
    INSERT INTO reserved_names (kind, name, tenant_id) VALUES (?1, ?2, ?3)
    ON CONFLICT (kind, name) DO UPDATE SET retired = 0
    WHERE tenant_id = excluded.tenant_id
    """

  static let putRole = """
    INSERT INTO roles (tenant_id, id, title, summary, permissions, version, create_time,
      update_time)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    ON CONFLICT (tenant_id, id) DO UPDATE SET title = excluded.title, summary = excluded.summary,
      permissions = excluded.permissions, version = excluded.version,
      create_time = excluded.create_time, update_time = excluded.update_time
    """

  static let putAssignment = """
    INSERT INTO assignments (tenant_id, id, subject, role, create_time, expire_time)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (tenant_id, id) DO UPDATE SET subject = excluded.subject, role = excluded.role,
      create_time = excluded.create_time, expire_time = excluded.expire_time
    """

  static let putStep = """
    INSERT INTO provisioning_steps (tenant_id, name) VALUES (?1, ?2)
    ON CONFLICT (tenant_id, name) DO NOTHING
    """

  static let rememberRequest = """
    INSERT INTO requests (actor, request_id, digest, tenant_id, time) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (actor, request_id) DO UPDATE SET digest = excluded.digest,
      tenant_id = excluded.tenant_id, time = excluded.time
    """
}
