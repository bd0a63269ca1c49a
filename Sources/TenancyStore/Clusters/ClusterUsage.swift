internal import Tenancy

/// What a tenant's data takes up in a cluster.
extension ClusterWork {
  /// Looks at what is the tenant's alone: what it costs does not grow with what others have there.
  func usage(of tenant: Tenant) throws -> DataUsage {
    let role = ClusterNames.role(of: tenant.id)
    // A tenant may hold its tables locked: nobody waits for that.
    try run("SELECT set_config('lock_timeout', '\(Self.lockMilliseconds)ms', false)")
    var usage = DataUsage(bytes: 0)
    func add(_ bytes: Int64?) {
      usage.bytes = bytes.flatMap { more in usage.bytes.map { $0 + more } }
    }
    if tenant.usesDatabase { add(try databaseBytes(ClusterNames.database(of: tenant.id))) }
    if tenant.usesSchema, let name = tenant.configuration.schema?.schemaName {
      add(try schemaBytes(name))
    }
    for category in tenant.dataCategories {
      switch category.model {
      case .database: add(try databaseBytes(ClusterNames.database(of: tenant.id, category.name)))
      case .schema: add(try schemaBytes(ClusterNames.schema(of: tenant.id, category.name)))
      case .shared, .hybrid: continue
      }
    }
    if usage.bytes == nil { usage.problem = "its database or its schema is missing" }
    if tenant.usesShared {
      // What there is of others is in the same pages.
      if tenant.models == [.shared] { usage.bytes = nil }
      let rows = "its rows in shared tables are not measured"
      usage.problem = usage.problem.isEmpty ? rows : "\(usage.problem); \(rows)"
    }
    usage.sessions = try run(
      """
      SELECT count(*)::bigint FROM pg_catalog.pg_stat_activity
      WHERE usename = $1::text OR usename LIKE $1::text || '\\_%'
      """, [.text(role)]
    ).row(0).integer(0)
    return usage
  }

  private static let lockMilliseconds = 100

  /// Nil: there is none.
  private func databaseBytes(_ name: String) throws -> Int64? {
    let found = try run(
      "SELECT pg_database_size(oid)::bigint FROM pg_catalog.pg_database WHERE datname = $1::text",
      [.text(name)])
    return found.rowCount == 1 ? found.row(0).integer(0) : nil
  }

  /// Nil: there is none. By what depends on the schema: the catalog has no index of relations by their schemas.
  private func schemaBytes(_ name: String) throws -> Int64? {
    let found = try run(
      """
      SELECT (SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)
        FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class c ON c.oid = d.objid
        WHERE d.refclassid = 'pg_catalog.pg_namespace'::regclass AND d.refobjid = n.oid
          AND d.classid = 'pg_catalog.pg_class'::regclass AND c.relkind IN ('r', 'm', 'S'))::bigint
      FROM pg_catalog.pg_namespace n WHERE n.nspname = $1::text
      """, [.text(name)])
    return found.rowCount == 1 ? found.row(0).integer(0) : nil
  }
}
