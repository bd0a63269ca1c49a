internal import Tenancy

/// Reads the whole state. Runs once per start, so that its statements are not kept.
struct StateReader {
  let connection: SQLiteConnection
  let json: JSONCoding
  /// Whether rows that parse are held to what writes promise.
  let isAudited: Bool
  /// Takes what is wrong, one row after the other; without it, the first is thrown.
  var findings: StoreFindings?

  /// Inside one read transaction, so that another process' writes do not show halfway.
  func read() throws(StoreError) -> StoredState {
    try asStoreError { () throws(SQLiteError) in try connection.execute("BEGIN") }
    let result = Result { () throws(StoreError) in
      let stored = StoredState(revision: try lastRevision(), changes: try changes())
      if isAudited { try StateAudit.check(stored) }
      return stored
    }
    // Ends a transaction that only read.
    try asStoreError { () throws(SQLiteError) in
      if connection.isInTransaction { try connection.execute("ROLLBACK") }
    }
    return try result.get()
  }

  private func lastRevision() throws(StoreError) -> UInt64 {
    let revision = try asStoreError { () throws(SQLiteError) in
      try connection.integer("SELECT max(revision) FROM log")
    }
    guard let revision = UInt64(exactly: revision) else {
      throw StoreError(.corrupt, "table log, row \(revision): not a revision")
    }
    // Both are at an end of the table; what is between could be told by reading all of it only.
    let first = try asStoreError { () throws(SQLiteError) in
      try connection.integer("SELECT min(revision) FROM log")
    }
    guard revision == 0 || first == 1 else {
      throw StoreError(.corrupt, "table log, row \(first): the revisions before it are missing")
    }
    return revision
  }

  /// Tenants first: everything else refers to them.
  func changes() throws(StoreError) -> [Change] {
    try tenants() + names() + retiredSlugs() + roles() + assignments() + steps() + requests()
  }

  private func tenants() throws(StoreError) -> [Change] {
    let sql = """
      SELECT id, slug, display_name, state, isolation_model, configuration, version, epoch,
        create_time, update_time, delete_time, purge_time, state_reason
      FROM tenants ORDER BY id
      """
    return try rows(sql, of: "tenants", keyColumns: 1) { row throws(StoreError) in
      .putTenant(
        Tenant(
          id: try row.tenantID(), slug: try row.slug(), displayName: try row.text(),
          state: try row.name(), isolationModel: try row.name(),
          configuration: try row.configuration(),
          version: try row.counter(), epoch: try row.counter(), createTime: try row.time(),
          updateTime: try row.time(), deleteTime: try row.optionalTime(),
          purgeTime: try row.optionalTime(), stateReason: try row.text()))
    }
  }

  private func names() throws(StoreError) -> [Change] {
    let sql = "SELECT kind, name, tenant_id FROM reserved_names ORDER BY kind, name"
    return try rows(sql, of: "reserved_names", keyColumns: 2) { row throws(StoreError) in
      .reserveName(ReservedName(try row.name(), try row.text()), try row.tenantID())
    }
  }

  private func retiredSlugs() throws(StoreError) -> [Change] {
    let sql = "SELECT name, tenant_id FROM reserved_names WHERE kind = 'slug' AND retired <> 0"
    return try rows(sql, of: "reserved_names", keyColumns: 1) { row throws(StoreError) in
      .retireSlug(try row.slug(), try row.tenantID())
    }
  }

  private func roles() throws(StoreError) -> [Change] {
    let sql = """
      SELECT tenant_id, id, title, summary, permissions, version, create_time, update_time
      FROM roles ORDER BY tenant_id, id
      """
    return try rows(sql, of: "roles", keyColumns: 2) { row throws(StoreError) in
      .putRole(
        try row.tenantID(),
        Role(
          id: try row.text(), title: try row.text(), summary: try row.text(),
          permissions: try row.json(), version: try row.counter(), createTime: try row.time(),
          updateTime: try row.time()))
    }
  }

  private func assignments() throws(StoreError) -> [Change] {
    let sql = """
      SELECT tenant_id, id, subject, role, create_time, expire_time
      FROM assignments ORDER BY tenant_id, id
      """
    return try rows(sql, of: "assignments", keyColumns: 2) { row throws(StoreError) in
      .putAssignment(
        try row.tenantID(),
        RoleAssignment(
          id: try row.text(), subject: try row.text(), role: try row.text(),
          createTime: try row.time(), expireTime: try row.optionalTime()))
    }
  }

  private func steps() throws(StoreError) -> [Change] {
    let sql = "SELECT tenant_id, name FROM provisioning_steps ORDER BY tenant_id, name"
    return try rows(sql, of: "provisioning_steps", keyColumns: 2) { row throws(StoreError) in
      .putProvisioningStep(try row.tenantID(), name: try row.text())
    }
  }

  private func requests() throws(StoreError) -> [Change] {
    let sql = """
      SELECT actor, request_id, digest, tenant_id, time FROM requests ORDER BY actor, request_id
      """
    return try rows(sql, of: "requests", keyColumns: 2) { row throws(StoreError) in
      .rememberRequest(
        RememberedRequest(
          actor: try row.text(), requestID: try row.text(), digest: try row.text(),
          tenant: try row.tenantID(), time: try row.time()))
    }
  }

  private func rows(
    _ sql: String, of table: String, keyColumns: Int32,
    decode: (inout RowReader) throws(StoreError) -> Change
  ) throws(StoreError) -> [Change] {
    let statement = try asStoreError { () throws(SQLiteError) in try connection.prepare(sql) }
    defer { statement.reset() }
    var changes: [Change] = []
    func next() throws(StoreError) -> Bool {
      try tolerating(orElse: false) { () throws(StoreError) in
        try asStoreError { () throws(SQLiteError) in try statement.step() }
      }
    }
    while try next() {
      let change: Change? = try tolerating(orElse: nil) { () throws(StoreError) in
        var row = RowReader(statement, table: table, keyColumns: keyColumns, json: json)
        return try decode(&row)
      }
      if let change { changes.append(change) }
    }
    return changes
  }

  private func tolerating<Value>(
    orElse value: Value, _ body: () throws(StoreError) -> Value
  ) throws(StoreError) -> Value {
    do throws(StoreError) {
      return try body()
    } catch {
      guard let findings else { throw error }
      findings.add(error)
      return value
    }
  }
}
