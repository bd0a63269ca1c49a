internal import Tenancy
import TenancyDatabase

/// The steps that make a schema what this program expects. A step that was released is never changed:
/// what it should have done differently, the next one does.
struct PostgreSQLMigrations {
  static let latest = Int64(all.count)
  /// How long a step may take, and how long another node's is waited for.
  static let timeout = Duration.seconds(120)

  let connection: PostgreSQLConnection
  let configuration: PostgreSQLConfiguration

  private var schema: String { configuration.schema }

  /// Refuses a schema that is not ours or too new, and takes the steps not yet taken.
  func run() throws(StoreError) {
    var version = try checkedVersion()
    while version < Self.latest { version = try takeStep() }
    try refuseCode()
  }

  private func checkedVersion() throws(StoreError) -> Int64 {
    let version = try asStoreError { () throws(PostgreSQLError) in try storedVersion() }
    guard let version else { return 0 }
    guard version.number <= Self.latest else {
      throw StoreError(
        .corrupt,
        "the database's schema \(schema) has version \(version.number), made by version "
          + "\(version.program) of this program; this one, \(Version.text), knows up to \(Self.latest): "
          + "run the newer one")
    }
    return version.number
  }

  /// Nil when no step was taken.
  private func storedVersion() throws(PostgreSQLError) -> (number: Int64, program: String)? {
    let tables = try query(
      """
      SELECT count(*), count(*) FILTER (WHERE relname = 'tenancy_migrations')
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1
      """, [.text(schema)])
    guard tables.integer(1) == 1 else {
      guard tables.integer(0) == 0 else {
        // In the class of what does not fit.
        throw PostgreSQLError(
          .server, "the schema \(schema) belongs to another application", sqlState: "42P07")
      }
      return nil
    }
    let result = try connection.run(
      "SELECT version, program FROM \(schema).tenancy_migrations ORDER BY version DESC LIMIT 1",
      until: deadline)
    guard result.rowCount == 1 else { return nil }
    return (result.row(0).integer(0) ?? 0, result.row(0).text(1) ?? "?")
  }

  /// One step, with its number, in one transaction; one node at a time.
  /// - Returns: the version that the schema has now, by this node or another.
  private func takeStep() throws(StoreError) -> Int64 {
    try begin()
    let version = try checkedVersion()
    guard version < Self.latest else {
      try asStoreError { () throws(PostgreSQLError) in
        _ = try connection.run("ROLLBACK", until: deadline)
      }
      return version
    }
    let step = Self.all[Int(version)]
    try asStoreError { () throws(PostgreSQLError) in
      if version == 0 { try createSchema() }
      try connection.runScript(step, until: Deadline(in: Self.timeout))
      try connection.run(
        "INSERT INTO tenancy_migrations (version, program) VALUES ($1, $2)",
        [.integer(version + 1), .text(Version.text)], until: deadline)
      // A node of the older version that waits for this row sees it with the new version.
      try connection.run(
        "UPDATE tenancy_revision SET schema_version = $1", [.integer(version + 1)], until: deadline)
    }
    let doubt = try asStoreError { () throws(PostgreSQLError) in
      try connection.commit(until: Deadline(in: Self.timeout))
    }
    if let doubt { throw StoreError(.unknownOutcome, doubt.description) }
    return version + 1
  }

  /// Takes the lock. A failure leaves the transaction open; the connection is then let go.
  private func begin() throws(StoreError) {
    let milliseconds = Self.timeout.components.seconds * 1000
    try asStoreError { () throws(PostgreSQLError) in
      try connection.runScript(
        """
        BEGIN ISOLATION LEVEL READ COMMITTED;
        SET LOCAL statement_timeout = \(milliseconds);
        SET LOCAL lock_timeout = \(milliseconds);
        """, until: deadline)
      try connection.run(
        "SELECT pg_advisory_xact_lock(\(Self.lock), hashtext($1))", [.text(schema)],
        until: Deadline(in: Self.timeout))
    }
  }

  /// "Tncy", as in the header of our SQLite files.
  static let lock: Int32 = 0x546E_6379

  /// Not with IF NOT EXISTS: that needs the right to make one even when it is there.
  private func createSchema() throws(PostgreSQLError) {
    let row = try query(
      "SELECT count(*) FROM pg_catalog.pg_namespace WHERE nspname = $1", [.text(schema)])
    if row.integer(0) == 0 { try connection.run("CREATE SCHEMA \(schema)", until: deadline) }
  }

  /// Triggers and rules would change what is written, views and policies what is read; we make none.
  private func refuseCode() throws(StoreError) {
    let name = try asStoreError { () throws(PostgreSQLError) in
      try query(
        """
        SELECT min(c.relname::text) FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND (c.relkind IN ('v', 'm', 'f') OR c.relhasrules OR c.relrowsecurity
          OR EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid
            AND NOT t.tgisinternal))
        """, [.text(schema)]
      ).text(0)
    }
    if let name {
      throw StoreError(
        .corrupt,
        "the schema \(schema) has a view, trigger, rule or policy that this program did not make: "
          + name)
    }
  }

  private func query(
    _ sql: String, _ values: [SQLValue]
  ) throws(PostgreSQLError) -> PostgreSQLRow {
    try connection.run(sql, values, until: deadline).row(0)
  }

  private var deadline: Deadline { Deadline(in: configuration.answerTimeout) }

  private static let all = [
    initial, secrets, auditRecords, leases, marksOfLeftData, auditChains, tokens, settings,
    workloadEntries, LimitCounts.postgreSQL, signingAuthorities, DomainMigration.postgreSQL, plans,
    tokenAuthorities, labels, ConfigurationItems.postgreSQL, HistoryQuery.postgreSQL,
    TenantOperations.postgreSQL, LogIndexes.all, LogIndexes.ofPuts, RequestTable.postgreSQL,
    PolicyMigration.postgreSQL, GroupTables.postgreSQL,
  ]

  /// Nothing to be made: who does not know of plans would destroy what must be kept, and drop them, or labels.
  private static let (plans, labels) = ("SELECT", "SELECT")

  /// Authentication settings and routes are among what is there: a program that does not know of them would take tokens
  /// that a tenant has switched off, let requests through that it asks more of, and drop both with the tenant's next
  /// change.
  private static let settings = "SELECT"

  /// A program that does not know of revocations would take tokens that are void. `target` is a token's id or a
  /// subject, and empty for the whole tenant.
  private static let tokens = """
    ALTER TABLE tenants ADD COLUMN token_keys TEXT COLLATE "C";

    CREATE TABLE revocations (
      tenant_id TEXT COLLATE "C" NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      kind TEXT COLLATE "C" NOT NULL,
      target TEXT COLLATE "C" NOT NULL,
      issued_before BIGINT NOT NULL,
      expire_time BIGINT NOT NULL,
      reason TEXT COLLATE "C" NOT NULL,
      PRIMARY KEY (tenant_id, kind, target)
    );

    CREATE INDEX revocations_by_end ON revocations (tenant_id, expire_time);
    """

  /// A program that does not know of registration entries would not delete them with their tenants. `tenant_id` is
  /// null where it is the platform's; `lifetime` is in seconds.
  private static let workloadEntries = """
    CREATE TABLE workload_entries (
      id TEXT COLLATE "C" PRIMARY KEY,
      tenant_id TEXT COLLATE "C" REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      path TEXT COLLATE "C" NOT NULL,
      selectors TEXT COLLATE "C" NOT NULL,
      lifetime BIGINT NOT NULL,
      hint TEXT COLLATE "C" NOT NULL,
      create_time BIGINT NOT NULL
    );
    """

  /// A program that does not know of signing authorities would not seal their keys anew with the others. `document`
  /// is JSON: see `AuthorityDocument`.
  private static let signingAuthorities = """
    CREATE TABLE signing_authorities (
      id TEXT COLLATE "C" PRIMARY KEY,
      document TEXT COLLATE "C" NOT NULL
    );

    CREATE TABLE platform_secrets (
      purpose TEXT COLLATE "C" PRIMARY KEY,
      version BIGINT NOT NULL,
      key_id TEXT COLLATE "C" NOT NULL REFERENCES data_keys (id) DEFERRABLE INITIALLY DEFERRED,
      sealed BYTEA NOT NULL
    );
    """

  /// They are among the steps of tenants: a program that does not know them would take such data for what it has
  /// just made.
  private static let marksOfLeftData = "SELECT"

  /// They are among signing authorities: a program that does not know them would take them for such without a
  /// certificate.
  private static let tokenAuthorities = "SELECT"

  /// A password in a configuration is a reference from here on. No version that was released has stored one
  /// in the clear here.
  private static let secrets = """
    CREATE TABLE data_keys (
      id TEXT COLLATE "C" PRIMARY KEY,
      master_key_id TEXT COLLATE "C" NOT NULL,
      wrapped BYTEA NOT NULL,
      create_time BIGINT NOT NULL,
      state TEXT COLLATE "C" NOT NULL
    );

    CREATE UNIQUE INDEX one_active_data_key ON data_keys (state) WHERE state = 'active';

    CREATE TABLE secrets (
      tenant_id TEXT COLLATE "C" NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      purpose TEXT COLLATE "C" NOT NULL,
      version BIGINT NOT NULL,
      key_id TEXT COLLATE "C" NOT NULL REFERENCES data_keys (id) DEFERRABLE INITIALLY DEFERRED,
      sealed BYTEA NOT NULL,
      PRIMARY KEY (tenant_id, purpose)
    );
    """

  /// `AuditEncoding` tells what the records are. Without a foreign key: a chain outlasts its tenant.
  private static let auditRecords = """
    CREATE TABLE audit_records (
      chain TEXT COLLATE "C" NOT NULL,
      sequence BIGINT NOT NULL,
      record BYTEA NOT NULL,
      hash BYTEA NOT NULL,
      PRIMARY KEY (chain, sequence)
    );
    """

  /// Of chains that are there, the oldest time is not known: each is looked at once.
  private static let auditChains = """
    CREATE TABLE audit_chains (
      chain TEXT COLLATE "C" PRIMARY KEY,
      floor BIGINT NOT NULL,
      floor_hash BYTEA NOT NULL,
      oldest_time BIGINT,
      latest BIGINT NOT NULL
    );

    CREATE INDEX audit_chains_by_time ON audit_chains (oldest_time);
    CREATE INDEX audit_chains_by_length ON audit_chains ((latest - floor));

    INSERT INTO audit_chains (chain, floor, floor_hash, oldest_time, latest)
      SELECT chain, 0, decode(repeat('00', 32), 'hex'), 0, max(sequence)
      FROM audit_records GROUP BY chain;
    """

  /// Times are milliseconds since 1970 by the server's clock.
  private static let leases = """
    CREATE TABLE leases (
      name TEXT COLLATE "C" PRIMARY KEY,
      holder TEXT COLLATE "C" NOT NULL,
      fencing_number BIGINT NOT NULL,
      expire_time BIGINT NOT NULL
    );
    """

  /// Texts are compared by their bytes, as SQLite does. Foreign keys are checked at the commit: the order
  /// of changes within a batch is free. The log has none, for it tells the past and not the present.
  private static let initial = """
    CREATE TABLE tenancy_migrations (
      version BIGINT PRIMARY KEY,
      time TIMESTAMPTZ NOT NULL DEFAULT now(),
      program TEXT NOT NULL
    );

    CREATE TABLE tenancy_revision (
      only_row BOOLEAN PRIMARY KEY DEFAULT true CHECK (only_row),
      revision BIGINT NOT NULL,
      schema_version BIGINT NOT NULL,
      store_id TEXT NOT NULL
    );

    INSERT INTO tenancy_revision (revision, schema_version, store_id)
      VALUES (0, 1, md5(random()::text || clock_timestamp()::text || pg_backend_pid()::text));

    CREATE TABLE log (
      revision BIGINT PRIMARY KEY,
      time BIGINT NOT NULL,
      actor TEXT COLLATE "C" NOT NULL,
      action TEXT COLLATE "C" NOT NULL,
      tenant_id TEXT COLLATE "C",
      changes TEXT COLLATE "C" NOT NULL,
      form BIGINT NOT NULL,
      tenant_ids TEXT COLLATE "C"
    );

    CREATE TABLE log_floor (
      id BIGINT PRIMARY KEY CHECK (id = 0),
      revision BIGINT NOT NULL,
      removed BIGINT NOT NULL
    );

    INSERT INTO log_floor (id, revision, removed) VALUES (0, 0, 0);

    CREATE TABLE tenants (
      id TEXT COLLATE "C" PRIMARY KEY,
      slug TEXT COLLATE "C" NOT NULL,
      display_name TEXT COLLATE "C" NOT NULL,
      state TEXT COLLATE "C" NOT NULL,
      isolation_model TEXT COLLATE "C" NOT NULL,
      configuration TEXT COLLATE "C" NOT NULL,
      version BIGINT NOT NULL,
      epoch BIGINT NOT NULL,
      create_time BIGINT NOT NULL,
      update_time BIGINT NOT NULL,
      delete_time BIGINT,
      purge_time BIGINT,
      state_reason TEXT COLLATE "C" NOT NULL
    );

    CREATE TABLE reserved_names (
      kind TEXT COLLATE "C" NOT NULL,
      name TEXT COLLATE "C" NOT NULL,
      tenant_id TEXT COLLATE "C" NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      retired BIGINT NOT NULL DEFAULT 0,
      PRIMARY KEY (kind, name)
    );

    CREATE TABLE roles (
      tenant_id TEXT COLLATE "C" NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      id TEXT COLLATE "C" NOT NULL,
      title TEXT COLLATE "C" NOT NULL,
      summary TEXT COLLATE "C" NOT NULL,
      permissions TEXT COLLATE "C" NOT NULL,
      version BIGINT NOT NULL,
      create_time BIGINT NOT NULL,
      update_time BIGINT NOT NULL,
      PRIMARY KEY (tenant_id, id)
    );

    CREATE TABLE assignments (
      tenant_id TEXT COLLATE "C" NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      id TEXT COLLATE "C" NOT NULL,
      subject TEXT COLLATE "C" NOT NULL,
      role TEXT COLLATE "C" NOT NULL,
      create_time BIGINT NOT NULL,
      expire_time BIGINT,
      PRIMARY KEY (tenant_id, id)
    );

    CREATE TABLE provisioning_steps (
      tenant_id TEXT COLLATE "C" NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      name TEXT COLLATE "C" NOT NULL,
      PRIMARY KEY (tenant_id, name)
    );

    CREATE TABLE requests (
      actor TEXT COLLATE "C" NOT NULL,
      request_id TEXT COLLATE "C" NOT NULL,
      digest TEXT COLLATE "C" NOT NULL,
      tenant_id TEXT COLLATE "C" NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      time BIGINT NOT NULL,
      PRIMARY KEY (actor, request_id)
    );

    CREATE INDEX requests_by_time ON requests (time);
    """
}
