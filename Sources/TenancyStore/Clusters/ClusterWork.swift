internal import Tenancy
import TenancyDatabase

/// What is done for one tenant on a connection to a cluster's database. Not thread-safe.
struct ClusterWork {
  let configuration: ClusterConfiguration
  private let connection: PostgreSQLConnection

  init(_ configuration: ClusterConfiguration, _ connection: PostgreSQLConnection) {
    self.configuration = configuration
    self.connection = connection
  }

  private var deadline: Deadline { Deadline(in: configuration.server.answerTimeout) }

  @discardableResult
  func run(
    _ sql: String, _ values: [SQLValue] = []
  ) throws(PostgreSQLError) -> PostgreSQLResult {
    try connection.run(sql, values, until: deadline)
  }

  func script(_ statements: [String]) throws(PostgreSQLError) {
    try connection.runScript(statements.joined(separator: ";\n"), until: deadline)
  }

  // MARK: Making

  /// Says what the tenant is to have, before anything is made.
  func register(_ tenant: Tenant) throws {
    let settings = tenant.configuration
    let names: [SQLValue] = [
      tenant.usesDatabase ? .text(ClusterNames.database(of: tenant.id)) : .null,
      tenant.usesSchema ? settings.schema.map { .text($0.schemaName) } ?? .null : .null,
      tenant.usesShared ? settings.shared.map { .text($0.tenantIdentifier) } ?? .null : .null,
    ]
    guard
      let owner = try run(
        """
        SELECT t.tenant_id::text FROM tenancy_cluster.tenants t
        WHERE t.tenant_id <> $1::uuid AND (t.schema_name = $2 OR t.tenant_identifier = $3) LIMIT 1
        """, [.id(tenant.id)] + names.dropFirst()
      ).firstText
    else {
      try run(
        """
        INSERT INTO tenancy_cluster.tenants
          (tenant_id, database_name, schema_name, tenant_identifier) VALUES ($1, $2, $3, $4)
        ON CONFLICT (tenant_id) DO UPDATE SET database_name = excluded.database_name,
          schema_name = excluded.schema_name, tenant_identifier = excluded.tenant_identifier
        """, [.id(tenant.id)] + names)
      return try registerCategories(of: tenant)
    }
    throw StoreError(.conflict, "the schema or identifier is that of the tenant \(owner)")
  }

  /// Their names are made of the tenant's id, so that nobody else has them.
  private func registerCategories(of tenant: Tenant) throws(PostgreSQLError) {
    for category in tenant.dataCategories {
      let name: SQLValue = .text(ClusterNames.database(of: tenant.id, category.name))
      let names: [SQLValue]
      switch category.model {
      case .database: names = [name, .null]
      case .schema: names = [.null, name]
      case .shared, .hybrid: continue
      }
      try run(
        """
        INSERT INTO tenancy_cluster.categories (tenant_id, category, database_name, schema_name)
        VALUES ($1, $2, $3, $4) ON CONFLICT (tenant_id, category) DO UPDATE
          SET database_name = excluded.database_name, schema_name = excluded.schema_name
        """, [.id(tenant.id), .text(category.name)] + names)
    }
  }

  /// The role that has the tenant's rights, and a login that has no others.
  func createRoles(_ tenant: Tenant, _ number: UInt32, _ password: ClearSecret) throws {
    let (role, name) = (
      ClusterNames.role(of: tenant.id), ClusterNames.login(number, of: tenant.id)
    )
    guard let text = String(validating: password.reveal(), as: UTF8.self) else {
      throw StoreError(.corrupt, "the password of the tenant's login is no text")
    }
    let verifier = try connection.scramVerifier(of: text, for: name)
    let there = try roles([role, name], of: tenant.id)
    let rights = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
    let mark = ClusterNames.literal(ClusterNames.mark(of: tenant.id))
    let database = ClusterNames.quoted(configuration.server.database)
    var statements = ["BEGIN", fence(tenant)]
    if !there.contains(role) { statements.append("CREATE ROLE \(role) NOLOGIN \(rights)") }
    // Only a superuser may say of a role that is there that it is none.
    let login = there.contains(name) ? "ALTER ROLE \(name)" : "CREATE ROLE \(name) \(rights)"
    statements += [
      "COMMENT ON ROLE \(role) IS \(mark)",
      "\(login) \(tenant.hasClosedLogins ? "NOLOGIN" : "LOGIN") INHERIT PASSWORD '\(verifier)'"
        + " CONNECTION LIMIT \(configuration.connectionsPerTenant)",
      "COMMENT ON ROLE \(name) IS \(mark)", "GRANT \(role) TO \(name)",
      "INSERT INTO tenancy_cluster.logins (role_name, tenant_id) VALUES ('\(name)', '\(tenant.id)')"
        + " ON CONFLICT DO NOTHING",
    ]
    let path = configuration.searchPath(of: tenant)
    if !tenant.usesDatabase, !path.isEmpty {
      statements += [
        // Not each to the database, whose list of rights is one value.
        "GRANT \(ClusterNames.tenants) TO \(role)",
        "ALTER ROLE \(name) IN DATABASE \(database) SET search_path = "
          + path.map(ClusterNames.quoted).joined(separator: ", "),
      ]
    }
    do throws(PostgreSQLError) {
      try script(statements + ["COMMIT"])
    } catch {
      // Its statement has what a password is found by.
      throw PostgreSQLError(error.kind, error.message, sqlState: error.sqlState)
    }
  }

  /// Not in a transaction: the server allows none.
  func createDatabase(_ tenant: Tenant, _ category: String?) throws {
    let name = ClusterNames.database(of: tenant.id, category)
    let quoted = ClusterNames.quoted(name)
    let owner = try run(
      """
      SELECT coalesce(shobj_description(oid, 'pg_database'), '')::text
      FROM pg_catalog.pg_database WHERE datname = $1::text
      """, [.text(name)]
    ).firstText
    if let owner, !owner.isEmpty, owner != ClusterNames.mark(of: tenant.id) {
      throw StoreError(.conflict, "the database \(name) is not this tenant's")
    }
    // Open to nobody before it is known who may. Not of the template that others may have been in.
    if owner == nil {
      try run("CREATE DATABASE \(quoted) TEMPLATE template0 ALLOW_CONNECTIONS false")
    }
    let mark = ClusterNames.literal(ClusterNames.mark(of: tenant.id))
    try script([
      "BEGIN", "COMMENT ON DATABASE \(quoted) IS \(mark)",
      "REVOKE ALL ON DATABASE \(quoted) FROM PUBLIC",
      "ALTER DATABASE \(quoted) ALLOW_CONNECTIONS true",
      "GRANT CONNECT ON DATABASE \(quoted) TO \(ClusterNames.role(of: tenant.id))", "COMMIT",
    ])
  }

  /// In the tenant's own database.
  func prepareDatabase(_ tenant: Tenant) throws {
    try script(
      ["BEGIN", "REVOKE ALL ON SCHEMA public FROM PUBLIC"]
        + grants(in: "public", to: ClusterNames.role(of: tenant.id)) + ["COMMIT"])
  }

  func createSchema(_ tenant: Tenant, _ category: String?) throws {
    let own = category.map { ClusterNames.schema(of: tenant.id, $0) }
    guard let name = own ?? tenant.configuration.schema?.schemaName else {
      throw StoreError(.conflict, "the tenant has no schema name")
    }
    let table = category == nil ? "tenants" : "categories"
    let owner = try schemaOwner(name)
    if let owner, owner != ClusterNames.mark(of: tenant.id) {
      throw StoreError(.conflict, "the schema \(name) is not this tenant's")
    }
    let mark = ClusterNames.literal(ClusterNames.mark(of: tenant.id))
    try script(
      ["BEGIN"] + (owner == nil ? ["CREATE SCHEMA \(ClusterNames.quoted(name))"] : [])
        + ["COMMENT ON SCHEMA \(ClusterNames.quoted(name)) IS \(mark)"]
        + grants(in: ClusterNames.quoted(name), to: ClusterNames.role(of: tenant.id))
        + [
          "UPDATE tenancy_cluster.\(table) SET schema_made = true WHERE tenant_id = '\(tenant.id)'"
            + (category == nil ? "" : " AND schema_name = \(ClusterNames.literal(name))"),
          "COMMIT",
        ])
  }

  /// To use what the platform makes there, now or later; to make nothing.
  private func grants(in schema: String, to role: String) -> [String] {
    let alter = "ALTER DEFAULT PRIVILEGES IN SCHEMA \(schema) GRANT"
    return [
      "GRANT USAGE ON SCHEMA \(schema) TO \(role)",
      "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA \(schema) TO \(role)",
      "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA \(schema) TO \(role)",
      "\(alter) SELECT, INSERT, UPDATE, DELETE ON TABLES TO \(role)",
      "\(alter) USAGE, SELECT ON SEQUENCES TO \(role)",
    ]
  }

  func grantShared(_ tenant: Tenant) throws {
    try run("GRANT \(ClusterNames.sharers) TO \(ClusterNames.role(of: tenant.id))")
  }

  // MARK: Looking

  func count() throws -> Int {
    Int(try run("SELECT count(*)::bigint FROM tenancy_cluster.tenants").row(0).integer(0) ?? 0)
  }

  /// Those that are called as this tenant's are.
  func databases(of id: TenantID) throws -> [String] {
    try run(
      """
      SELECT datname::text FROM pg_catalog.pg_database
      WHERE datname = $1::text OR datname LIKE $1::text || '\\_%' ORDER BY 1
      """, [.text(ClusterNames.database(of: id))]
    ).texts
  }

  /// - Returns: which of these roles there are.
  /// - Throws: if one is there that is not this tenant's.
  func roles(_ names: [String], of id: TenantID) throws -> Set<String> {
    var found: Set<String> = []
    for name in names {
      let mark = try run(
        """
        SELECT coalesce(shobj_description(oid, 'pg_authid'), '')::text
        FROM pg_catalog.pg_roles WHERE rolname = $1::text
        """, [.text(name)]
      ).firstText
      guard let mark else { continue }
      guard mark == ClusterNames.mark(of: id) else {
        throw StoreError(.conflict, "the role \(name) is not this tenant's")
      }
      found.insert(name)
    }
    return found
  }

  /// The schema's mark, empty where it has none; nil: there is no such schema.
  func schemaOwner(_ name: String) throws -> String? {
    try run(
      """
      SELECT coalesce(obj_description(oid, 'pg_namespace'), '')::text
      FROM pg_catalog.pg_namespace WHERE nspname = $1::text
      """, [.text(name)]
    ).firstText
  }

  func missing(among tenants: ArraySlice<Tenant>) throws -> [TenantID: String] {
    let ids = "{" + tenants.map(\.id.description).joined(separator: ",") + "}"
    let result = try run(
      """
      SELECT t.tenant_id::text,
        (t.database_name IS NOT NULL AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_database d WHERE d.datname = t.database_name))::int,
        (t.schema_name IS NOT NULL AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname = t.schema_name))::int,
        (NOT EXISTS (SELECT FROM tenancy_cluster.logins l
          JOIN pg_catalog.pg_roles r ON r.rolname = l.role_name
          WHERE l.tenant_id = t.tenant_id))::int,
        array_to_string(ARRAY(
          SELECT c.category FROM tenancy_cluster.categories c WHERE c.tenant_id = t.tenant_id
            AND (EXISTS (
              SELECT FROM pg_catalog.pg_database d WHERE d.datname = c.database_name)
            OR EXISTS (
              SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname = c.schema_name))), ',')
      FROM tenancy_cluster.tenants t WHERE t.tenant_id = ANY ($1::uuid[])
      """, [.text(ids)])
    var found: [String: [String]] = [:]
    var categories: [String: Set<Substring>] = [:]
    for index in 0..<result.rowCount {
      let row = result.row(index)
      var lost: [String] = []
      categories[row.text(0) ?? ""] = Set((row.text(4) ?? "").split(separator: ","))
      if row.integer(1) == 1 { lost.append("its database") }
      if row.integer(2) == 1 { lost.append("its schema") }
      if row.integer(3) == 1 { lost.append("its login") }
      found[row.text(0) ?? ""] = lost
    }
    var missing: [TenantID: String] = [:]
    for tenant in tenants {
      let id = tenant.id.description
      var lost = found[id] ?? ["all that was made for it"]
      if let there = categories[id] {
        lost += tenant.dataCategories.filter {
          $0.model != .shared && !there.contains(Substring($0.name))
        }.map { "its \($0.model) of \($0.name)" }
      }
      if lost.isEmpty { continue }
      missing[tenant.id] =
        "\(lost.joined(separator: " and ")) is missing in the cluster \(configuration.name)"
    }
    return missing
  }

  /// All that says that it is a tenant's, or is called as a tenant's things are.
  func inventory() throws -> [TenantID: [String]] {
    let result = try run(
      """
      SELECT 'role ' || rolname, substr(shobj_description(oid, 'pg_authid'), 8), substr(rolname, 8, 32)
        FROM pg_catalog.pg_roles WHERE rolname LIKE 'tenant\\_%'
      UNION ALL
      SELECT 'database ' || datname, substr(shobj_description(oid, 'pg_database'), 8), substr(datname, 8, 32)
        FROM pg_catalog.pg_database WHERE datname LIKE 'tenant\\_%'
      UNION ALL
      SELECT 'schema ' || nspname, substr(obj_description(oid, 'pg_namespace'), 8), NULL
        FROM pg_catalog.pg_namespace WHERE obj_description(oid, 'pg_namespace') LIKE 'tenant %'
      UNION ALL
      SELECT 'registration', tenant_id::text, NULL FROM tenancy_cluster.tenants
      """)
    var found: [TenantID: [String]] = [:]
    for index in 0..<result.rowCount {
      let row = result.row(index)
      // What was cut short has a name and no mark.
      guard let thing = row.text(0),
        let id = row.text(1).flatMap(TenantID.init(parsing:))
          ?? row.text(2).flatMap(ClusterNames.tenant)
      else { continue }
      found[id, default: []].append(thing)
    }
    return found
  }
}

extension PostgreSQLResult {
  /// The first row's first value; nil without rows.
  var firstText: String? { rowCount == 0 ? nil : row(0).text(0) }

  /// The first value of each row.
  var texts: [String] { (0..<rowCount).compactMap { row($0).text(0) } }
}
