internal import Tenancy
import TenancyDatabase

/// What a cluster needs before it has tenants. What is there is looked at and left alone.
struct ClusterSetup {
  let configuration: ClusterConfiguration

  private var deadline: Deadline { Deadline(in: configuration.server.answerTimeout) }

  func run(_ connection: PostgreSQLConnection) throws(PostgreSQLError) {
    try requireVersion(connection)
    try whileOthersDoTheSame { () throws(PostgreSQLError) in
      guard try !hasRegistry(connection) else { return }
      // One that is another's stays as it is.
      if try isThere(connection) { try requireName(connection) }
      try connection.runScript(registry, until: deadline)
    }
    try requireIdentity(connection)
    try requireClosed(connection)
    for table in configuration.sharedTables {
      try whileOthersDoTheSame { () throws(PostgreSQLError) in try prepare(table, connection) }
    }
  }

  /// Of the registry and of what goes with it.
  private static let version = 2
  /// Of the policies of shared tables, which are made anew where it is another.
  private static let policyVersion = 1
  /// The first whose schema `public` nobody but the database's owner makes things in, and whose logins can't give
  /// themselves away.
  private static let oldestServer: Int64 = 150_000

  private func requireVersion(_ connection: PostgreSQLConnection) throws(PostgreSQLError) {
    let found = try connection.run(
      "SELECT current_setting('server_version_num')::int", until: deadline)
    guard let version = found.row(0).integer(0), version >= Self.oldestServer else {
      throw PostgreSQLError(.server, "a server of version 15 or newer is needed for clusters")
    }
  }

  /// Nodes may make it at once: who comes later finds it made. No lock that tenants could hold keeps them apart.
  private func whileOthersDoTheSame(
    _ body: () throws(PostgreSQLError) -> Void
  ) throws(PostgreSQLError) {
    for attempt in 1... {
      do throws(PostgreSQLError) {
        return try body()
      } catch {
        let races = ["23505", "42710", "42P06", "42P07", "42723", "40P01", "XX000"]
        guard attempt < 5, races.contains(error.sqlState) else { throw error }
      }
    }
  }

  private func hasRegistry(_ connection: PostgreSQLConnection) throws(PostgreSQLError) -> Bool {
    guard try isThere(connection) else { return false }
    let found = try connection.run(
      "SELECT setup FROM \(ClusterNames.schema).cluster", until: deadline)
    return found.rowCount == 1 && found.row(0).integer(0) == Int64(Self.version)
  }

  private func isThere(_ connection: PostgreSQLConnection) throws(PostgreSQLError) -> Bool {
    try connection.runScript("ROLLBACK", until: deadline)
    let there = try connection.run(
      "SELECT (to_regclass('\(ClusterNames.schema).cluster') IS NOT NULL)::int", until: deadline)
    return there.row(0).integer(0) == 1
  }

  /// What tenants read while they use shared tables, `tenants` and `logins`, is never changed in its form: that would
  /// wait for all of them, and they for it.
  private var registry: String {
    let (schema, tenants, sharers) = (
      ClusterNames.schema, ClusterNames.tenants, ClusterNames.sharers
    )
    let database = ClusterNames.quoted(configuration.server.database)
    return """
      BEGIN;
      CREATE SCHEMA IF NOT EXISTS \(schema);
      CREATE TABLE IF NOT EXISTS \(schema).cluster (
        name text PRIMARY KEY, setup integer NOT NULL);
      ALTER TABLE \(schema).cluster ADD COLUMN IF NOT EXISTS store text;
      CREATE TABLE IF NOT EXISTS \(schema).tenants (
        tenant_id uuid PRIMARY KEY, database_name text UNIQUE, schema_name text UNIQUE,
        schema_made boolean NOT NULL DEFAULT false, tenant_identifier text UNIQUE,
        create_time timestamptz NOT NULL DEFAULT now());
      CREATE TABLE IF NOT EXISTS \(schema).logins (
        role_name text PRIMARY KEY,
        tenant_id uuid NOT NULL REFERENCES \(schema).tenants ON DELETE CASCADE);
      CREATE INDEX IF NOT EXISTS logins_tenant ON \(schema).logins (tenant_id);
      CREATE TABLE IF NOT EXISTS \(schema).epochs (
        tenant_id uuid PRIMARY KEY REFERENCES \(schema).tenants ON DELETE CASCADE,
        epoch numeric(20) NOT NULL);
      CREATE TABLE IF NOT EXISTS \(schema).categories (
        tenant_id uuid NOT NULL REFERENCES \(schema).tenants ON DELETE CASCADE,
        category text NOT NULL, database_name text UNIQUE, schema_name text UNIQUE,
        schema_made boolean NOT NULL DEFAULT false, PRIMARY KEY (tenant_id, category));
      CREATE TABLE IF NOT EXISTS \(schema).shared_tables (
        schema_name text, table_name text, tenant_column text,
        PRIMARY KEY (schema_name, table_name, tenant_column));
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
      INSERT INTO \(schema).cluster (name, setup)
        VALUES (\(ClusterNames.literal(configuration.name)), \(Self.version))
        ON CONFLICT (name) DO UPDATE SET setup = excluded.setup;
      COMMIT
      """
  }

  /// Under another name all that there is would be taken for orphans.
  private func requireName(_ connection: PostgreSQLConnection) throws(PostgreSQLError) {
    let names = try connection.run(
      "SELECT name FROM \(ClusterNames.schema).cluster", until: deadline
    ).texts
    guard names == [configuration.name] else {
      throw PostgreSQLError(
        .server,
        "this database is that of the cluster \(names.sorted().joined(separator: ", ")): a cluster keeps its "
          + "name, and has one")
    }
  }

  private func requireIdentity(_ connection: PostgreSQLConnection) throws(PostgreSQLError) {
    try requireName(connection)
    if configuration.store.isEmpty { return }
    // The first that comes has it.
    try connection.run(
      "UPDATE \(ClusterNames.schema).cluster SET store = $1 WHERE store IS NULL",
      [.text(configuration.store)], until: deadline)
    let store = try connection.run(
      "SELECT store FROM \(ClusterNames.schema).cluster", until: deadline
    ).firstText
    guard store == configuration.store else {
      throw PostgreSQLError(
        .server,
        "the cluster \(configuration.name) is another control plane's, whose store is \(store ?? "unknown"), and "
          + "this one's is \(configuration.store)")
    }
  }

  /// Logins reach what is open to all as well: there they could keep databases from being made, and leave things that
  /// keep them from going.
  private func requireClosed(_ connection: PostgreSQLConnection) throws(PostgreSQLError) {
    let open = try connection.run(
      """
      SELECT quote_ident(datname)::text FROM pg_catalog.pg_database
      WHERE datallowconn AND has_database_privilege('public', oid, 'CONNECT') ORDER BY 1 LIMIT 8
      """, until: deadline
    ).texts
    guard open.isEmpty else {
      throw PostgreSQLError(
        .server,
        "all logins may connect to \(open.joined(separator: ", ")): REVOKE CONNECT, TEMPORARY ON DATABASE "
          + "\(open.joined(separator: ", ")) FROM PUBLIC")
    }
    let isOpen = try connection.run(
      "SELECT has_schema_privilege('public', 'public', 'CREATE')::int", until: deadline)
    guard isOpen.row(0).integer(0) == 0 else {
      throw PostgreSQLError(.server, "all logins may make things in the schema public")
    }
  }

  /// Rows are whose login it is. Not the role that is set counts, which SQL that was smuggled in may change, but the one
  /// that has logged in. The owner is bound by policies, too, and has one of its own.
  private func prepare(
    _ table: ClusterConfiguration.SharedTable, _ connection: PostgreSQLConnection
  ) throws(PostgreSQLError) {
    try connection.runScript("ROLLBACK", until: deadline)
    try check(table, connection)
    let (column, sharers) = (ClusterNames.quoted(table.tenantColumn), ClusterNames.sharers)
    let isOwn = "\(column) = (SELECT \(ClusterNames.schema).tenant_identifier())"
    // Changing a table waits for all who read it, and all others for that.
    let mark = "tenancy \(Self.policyVersion): \(isOwn)"
    if try isPrepared(table, mark, connection) { return }
    // The owner is a member of tenants' roles while it takes them away.
    let isOwner = "session_user = \(ClusterNames.literal(configuration.server.user))"
    let policies = [
      ("tenancy_tenant", "TO \(sharers)", isOwn),
      // So that no other policy gives more.
      ("tenancy_tenant_only", "AS RESTRICTIVE TO \(sharers)", "\(isOwn) OR \(isOwner)"),
      ("tenancy_owner", "TO CURRENT_USER", "true"),
    ].map { name, to, rows in
      """
      DROP POLICY IF EXISTS \(name) ON \(table.quoted);
      CREATE POLICY \(name) ON \(table.quoted) \(to) USING (\(rows)) WITH CHECK (\(rows));
      """
    }
    let names = [table.schema, table.table, table.tenantColumn].map(ClusterNames.literal)
    try connection.runScript(
      """
      BEGIN;
      ALTER TABLE \(table.quoted) ENABLE ROW LEVEL SECURITY;
      ALTER TABLE \(table.quoted) FORCE ROW LEVEL SECURITY;
      \(policies.joined(separator: "\n"))
      REVOKE ALL ON \(table.quoted) FROM PUBLIC;
      GRANT USAGE ON SCHEMA \(ClusterNames.quoted(table.schema)) TO \(sharers);
      GRANT SELECT, INSERT, UPDATE, DELETE ON \(table.quoted) TO \(sharers);
      INSERT INTO \(ClusterNames.schema).shared_tables VALUES (\(names.joined(separator: ", ")))
        ON CONFLICT DO NOTHING;
      COMMENT ON POLICY tenancy_tenant ON \(table.quoted) IS \(ClusterNames.literal(mark));
      COMMIT
      """, until: deadline)
  }

  private func isPrepared(
    _ table: ClusterConfiguration.SharedTable, _ mark: String, _ connection: PostgreSQLConnection
  ) throws(PostgreSQLError) -> Bool {
    try connection.run(
      """
      SELECT FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relname = $2 AND p.polname = 'tenancy_tenant'
        AND c.relrowsecurity AND c.relforcerowsecurity
        AND obj_description(p.oid, 'pg_policy') = $3::text
      """, [.text(table.schema), .text(table.table), .text(mark)], until: deadline
    ).rowCount == 1
  }

  /// Identifiers have to be equal in the table where they are equal in the registry, and nowhere else.
  private func check(
    _ table: ClusterConfiguration.SharedTable, _ connection: PostgreSQLConnection
  ) throws(PostgreSQLError) {
    let found = try connection.run(
      """
      SELECT (a.atttypid IN ('text'::regtype, 'varchar'::regtype) AND a.atttypmod = -1
          AND coalesce((SELECT l.collisdeterministic FROM pg_catalog.pg_collation l
            WHERE l.oid = a.attcollation), true))::int,
        EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisvalid
          AND i.indpred IS NULL AND i.indkey[0] = a.attnum)::int
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      WHERE n.nspname = $1 AND c.relname = $2 AND a.attname = $3 AND c.relkind IN ('r', 'p')
      """, [.text(table.schema), .text(table.table), .text(table.tenantColumn)], until: deadline)
    guard found.rowCount == 1 else {
      throw PostgreSQLError(
        .server, "the shared table \(table.quoted) is not there, or has no \(table.tenantColumn)")
    }
    guard found.row(0).integer(0) == 1 else {
      throw PostgreSQLError(
        .server,
        "\(table.tenantColumn) of the shared table \(table.quoted) has to be text without a length, with a "
          + "deterministic collation")
    }
    guard found.row(0).integer(1) == 1 else {
      throw PostgreSQLError(
        .server, "no index of the shared table \(table.quoted) begins with \(table.tenantColumn)")
    }
  }
}
