internal import Tenancy

/// What a cluster needs before it has tenants. Making it again changes nothing.
struct ClusterSetup {
  let configuration: ClusterConfiguration

  private var deadline: Deadline { Deadline(in: configuration.server.answerTimeout) }

  func run(_ connection: PostgreSQLConnection) throws(PostgreSQLError) {
    try connection.runScript(registry, until: deadline)
    for table in configuration.sharedTables { try prepare(table, connection) }
  }

  /// Two nodes may do it at once.
  private static let lock = "SELECT pg_advisory_xact_lock(7237123446850545);"

  private var registry: String {
    let (schema, tenants, sharers) = (
      ClusterNames.schema, ClusterNames.tenants, ClusterNames.sharers
    )
    let database = ClusterNames.quoted(configuration.server.database)
    return """
      BEGIN; \(Self.lock)
      CREATE SCHEMA IF NOT EXISTS \(schema);
      CREATE TABLE IF NOT EXISTS \(schema).tenants (
        tenant_id uuid PRIMARY KEY, database_name text UNIQUE, schema_name text UNIQUE,
        schema_made boolean NOT NULL DEFAULT false, tenant_identifier text UNIQUE, create_time timestamptz NOT NULL DEFAULT now());
      CREATE TABLE IF NOT EXISTS \(schema).logins (
        role_name text PRIMARY KEY,
        tenant_id uuid NOT NULL REFERENCES \(schema).tenants ON DELETE CASCADE);
      CREATE INDEX IF NOT EXISTS logins_tenant ON \(schema).logins (tenant_id);
      CREATE OR REPLACE FUNCTION \(schema).tenant_identifier() RETURNS text
        LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE SET search_path = pg_catalog, pg_temp
        AS $$
          SELECT t.tenant_identifier FROM \(schema).logins l
          JOIN \(schema).tenants t ON t.tenant_id = l.tenant_id
          WHERE l.role_name = session_user
        $$;
      DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '\(tenants)') THEN
          CREATE ROLE \(tenants) NOLOGIN;
        END IF;
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '\(sharers)') THEN
          CREATE ROLE \(sharers) NOLOGIN;
        END IF;
      END $$;
      REVOKE ALL ON SCHEMA \(schema) FROM PUBLIC;
      REVOKE ALL ON FUNCTION \(schema).tenant_identifier() FROM PUBLIC;
      GRANT USAGE ON SCHEMA \(schema) TO \(sharers);
      GRANT EXECUTE ON FUNCTION \(schema).tenant_identifier() TO \(sharers);
      REVOKE CONNECT, TEMPORARY ON DATABASE \(database) FROM PUBLIC;
      GRANT CONNECT ON DATABASE \(database) TO \(tenants);
      REVOKE CREATE ON SCHEMA public FROM PUBLIC;
      COMMIT
      """
  }

  /// Rows are whose login it is. Not the role that is set counts, which SQL that was smuggled in may change, but the one
  /// that has logged in. The owner is bound by policies, too, and has one of its own.
  private func prepare(
    _ table: ClusterConfiguration.SharedTable, _ connection: PostgreSQLConnection
  ) throws(PostgreSQLError) {
    let found = try connection.run(
      """
      SELECT format_type(a.atttypid, a.atttypmod)::text,
        EXISTS (SELECT FROM pg_catalog.pg_index i
          WHERE i.indrelid = c.oid AND i.indisvalid AND i.indkey[0] = a.attnum)::int,
        c.relkind::text
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      WHERE n.nspname = $1 AND c.relname = $2 AND a.attname = $3 AND c.relkind IN ('r', 'p')
      """, [.text(table.schema), .text(table.table), .text(table.tenantColumn)], until: deadline)
    guard found.rowCount == 1, let type = found.row(0).text(0) else {
      throw PostgreSQLError(
        .server, "the shared table \(table.quoted) is not there, or has no \(table.tenantColumn)")
    }
    guard found.row(0).integer(1) == 1 else {
      throw PostgreSQLError(
        .server, "no index of the shared table \(table.quoted) begins with \(table.tenantColumn)")
    }
    let (column, sharers) = (ClusterNames.quoted(table.tenantColumn), ClusterNames.sharers)
    let isOwn = "\(column) = (SELECT \(ClusterNames.schema).tenant_identifier())::\(type)"
    try connection.runScript(
      """
      BEGIN; \(Self.lock)
      ALTER TABLE \(table.quoted) ENABLE ROW LEVEL SECURITY;
      ALTER TABLE \(table.quoted) FORCE ROW LEVEL SECURITY;
      DROP POLICY IF EXISTS tenancy_tenant ON \(table.quoted);
      CREATE POLICY tenancy_tenant ON \(table.quoted) TO \(sharers)
        USING (\(isOwn)) WITH CHECK (\(isOwn));
      DROP POLICY IF EXISTS tenancy_owner ON \(table.quoted);
      CREATE POLICY tenancy_owner ON \(table.quoted) TO CURRENT_USER USING (true) WITH CHECK (true);
      REVOKE ALL ON \(table.quoted) FROM PUBLIC;
      GRANT USAGE ON SCHEMA \(ClusterNames.quoted(table.schema)) TO \(sharers);
      GRANT SELECT, INSERT, UPDATE, DELETE ON \(table.quoted) TO \(sharers);
      COMMIT
      """, until: deadline)
  }
}
