internal import Tenancy
import TenancyDatabase

/// How what a cluster has of a tenant goes.
extension ClusterWork {
  /// Takes away what the cluster has of a tenant, and makes sure that nothing is left.
  /// - Parameter isRegistered: whether only what the registry has of it can be there. Else all schemas are looked at.
  func destroy(
    _ id: TenantID, isRegistered: Bool, _ permit: () throws -> Void
  ) throws {
    let registered = try run(
      """
      SELECT tenant_identifier FROM tenancy_cluster.tenants WHERE tenant_id = $1::uuid
      """, [.id(id)])
    let row = registered.rowCount == 1 ? registered.row(0) : nil
    let schemas = try isRegistered ? registeredSchemas(of: id) : schemas(of: id)
    let identifier = row?.text(0)
    if row == nil, schemas.isEmpty, try isNothing(of: id) { return }
    try permit()
    let roles = try endSessions(of: id)
    for database in try databases(of: id) { try drop(database, of: id, permit) }
    for schema in schemas {
      try permit()
      try run("DROP SCHEMA \(ClusterNames.quoted(schema)) CASCADE")
    }
    if let identifier { try removeRows(of: identifier, permit) }
    try permit()
    try drop(roles, of: id)
    let left = try isRegistered ? registeredSchemas(of: id) : self.schemas(of: id)
    guard try isNothing(of: id), left.isEmpty else {
      throw StoreError(.conflict, "something is left of the tenant, or came back meanwhile")
    }
    try run("DELETE FROM tenancy_cluster.tenants WHERE tenant_id = $1::uuid", [.id(id)])
  }

  /// What the login has made, such as large objects, is the tenant's.
  /// - Parameter inDatabase: runs a script in the tenant's own database, if it has one.
  func dropLogin(
    _ number: UInt32, of id: TenantID, inDatabase: (String) throws -> Void
  ) throws {
    let name = ClusterNames.login(number, of: id)
    guard try roles([name], of: id) == [name] else { return }
    let role = ClusterNames.role(of: id)
    try endSessions(of: [name])
    try run("GRANT \(role) TO CURRENT_USER")
    let leaving = "REASSIGN OWNED BY \(name) TO \(role)"
    try inDatabase(leaving)
    try run(leaving)
    try drop([name], of: id)
    try run("DELETE FROM tenancy_cluster.logins WHERE role_name = $1", [.text(name)])
  }

  /// The logins first, so that nobody comes back.
  private func endSessions(of id: TenantID) throws -> [String] {
    let result = try run(
      """
      SELECT rolname::text FROM pg_catalog.pg_roles
      WHERE rolname = $1::text OR rolname LIKE $1::text || '\\_%' ORDER BY length(rolname) DESC, rolname
      """, [.text(ClusterNames.role(of: id))])
    let names = try Array(roles(result.texts, of: id)).sorted { $0.utf8.count > $1.utf8.count }
    try endSessions(of: names)
    return names
  }

  private func endSessions(of roles: [String]) throws(PostgreSQLError) {
    for name in roles { try run("ALTER ROLE \(name) NOLOGIN") }
    // To end sessions of a role, and to take away what it has, one must be a member.
    for name in roles { try run("GRANT \(name) TO CURRENT_USER") }
    try run(
      """
      SELECT pg_terminate_backend(pid, 5000) FROM pg_catalog.pg_stat_activity
      WHERE usename::text = ANY (string_to_array($1, ','))
      """, [.text(roles.joined(separator: ","))])
  }

  private func drop(
    _ name: String, of id: TenantID, _ permit: () throws -> Void
  ) throws {
    let mark = try run(
      """
      SELECT coalesce(shobj_description(oid, 'pg_database'), '')::text
      FROM pg_catalog.pg_database WHERE datname = $1::text
      """, [.text(name)]
    ).firstText
    guard let mark else { return }
    // One without a mark is one whose making was cut short: the name is the tenant's, so it is too.
    guard mark.isEmpty || mark == ClusterNames.mark(of: id) else {
      throw StoreError(.conflict, "the database \(name) is not this tenant's")
    }
    try permit()
    try run("DROP DATABASE \(ClusterNames.quoted(name)) WITH (FORCE)")
  }

  /// Rows removed by one statement.
  private static let maximumRows = 5000

  /// Of all tables that were ever shared, and in whichever order their foreign keys allow.
  /// - Parameter isStray: whether only those go that nobody is registered with, at the moment of each statement.
  func removeRows(
    of identifier: String, isStray: Bool = false, _ permit: () throws -> Void
  ) throws {
    var tables = try sharedTables()
    while !tables.isEmpty {
      var (left, failure): ([ClusterConfiguration.SharedTable], PostgreSQLError?) = ([], nil)
      for table in tables {
        do {
          try removeRows(of: identifier, table, isStray: isStray, permit)
        } catch let error as PostgreSQLError where error.sqlState == Self.foreignKeyViolation {
          left.append(table)
          failure = error
        }
      }
      if left.count == tables.count, let failure { throw failure }
      tables = left
    }
  }

  private static let foreignKeyViolation = "23503"

  /// All that were ever shared and are there.
  func sharedTables() throws -> [ClusterConfiguration.SharedTable] {
    let result = try run(
      """
      SELECT t.schema_name, t.table_name, t.tenant_column FROM tenancy_cluster.shared_tables t
      JOIN pg_catalog.pg_namespace n ON n.nspname = t.schema_name
      JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = t.table_name
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = t.tenant_column
        AND NOT a.attisdropped
      """)
    return (0..<result.rowCount).map { index in
      let row = result.row(index)
      return ClusterConfiguration.SharedTable(
        schema: row.text(0) ?? "", table: row.text(1) ?? "", tenantColumn: row.text(2) ?? "")
    }
  }

  private func removeRows(
    of identifier: String, _ table: ClusterConfiguration.SharedTable,
    isStray: Bool, _ permit: () throws -> Void
  ) throws {
    let column = ClusterNames.quoted(table.tenantColumn)
    let condition =
      isStray
      ? "AND NOT EXISTS (SELECT FROM tenancy_cluster.tenants WHERE tenant_identifier = $1)" : ""
    while true {
      try permit()
      let result = try run(
        """
        DELETE FROM \(table.quoted) WHERE (tableoid, ctid) IN (
          SELECT tableoid, ctid FROM \(table.quoted) WHERE \(column) = $1 \(condition)
          LIMIT \(Self.maximumRows))
        """, [.text(identifier)])
      if result.changedRows < Self.maximumRows { break }
    }
    let left = try run(
      "SELECT FROM \(table.quoted) WHERE \(column) = $1 LIMIT 1", [.text(identifier)])
    guard left.rowCount == 0 else {
      throw StoreError(
        .conflict, "rows of the tenant in \(table.quoted) came while they were removed")
    }
  }

  private func drop(_ roles: [String], of id: TenantID) throws {
    guard !roles.isEmpty else { return }
    try script(
      ["BEGIN"] + roles.map { "DROP OWNED BY \($0)" } + roles.map { "DROP ROLE \($0)" }
        + ["COMMIT"])
  }

  private func isNothing(of id: TenantID) throws -> Bool {
    try run(
      """
      SELECT FROM pg_catalog.pg_roles WHERE rolname = $1::text OR rolname LIKE $1::text || '\\_%'
      UNION ALL SELECT FROM pg_catalog.pg_database
      WHERE datname = $1::text OR datname LIKE $1::text || '\\_%'
      """, [.text(ClusterNames.role(of: id))]
    ).rowCount == 0
  }

  /// Those that the registry knows to be made, and are there.
  private func registeredSchemas(of id: TenantID) throws -> [String] {
    let made = try run(
      """
      SELECT schema_name FROM tenancy_cluster.tenants WHERE tenant_id = $1::uuid AND schema_made
      UNION ALL
      SELECT schema_name FROM tenancy_cluster.categories WHERE tenant_id = $1::uuid AND schema_made
      """, [.id(id)]
    ).texts
    return try made.filter { name in
      guard let owner = try schemaOwner(name) else { return false }
      guard owner == ClusterNames.mark(of: id) else {
        throw StoreError(.conflict, "the schema \(name) is not this tenant's")
      }
      return true
    }
  }

  /// Those that say that they are this tenant's, also one whose name was changed between two attempts to make it.
  private func schemas(of id: TenantID) throws -> [String] {
    try run(
      """
      SELECT n.nspname::text FROM pg_catalog.pg_description d
      JOIN pg_catalog.pg_namespace n ON n.oid = d.objoid
      WHERE d.classoid = 'pg_catalog.pg_namespace'::regclass AND d.description = $1::text
      """, [.text(ClusterNames.mark(of: id))]
    ).texts
  }
}
