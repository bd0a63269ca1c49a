internal import Tenancy
import TenancyDatabase

/// The steps that make a database what this program expects. A step that was released is never
/// changed: what it should have done differently, the next one does.
enum Migrations {
  /// Marks the file as ours in SQLite's header: "Tncy".
  static let applicationID: Int64 = 0x546E_6379
  static let latest = Int64(all.count)
  /// The oldest version whose rows `StateReader` reads as they are.
  static let oldestReadable: Int64 = 6
  /// From here on there are audit records.
  static let firstWithAudit: Int64 = 8
  /// From here on chains may begin behind removed records.
  static let firstWithAuditBegins: Int64 = 12
  /// From here on tenants have keys for tokens, and revocations.
  static let firstWithTokens: Int64 = 13
  /// From here on tenants have authentication settings, and horizons.
  static let firstWithSettings: Int64 = 14
  /// From here on there are registration entries of workloads.
  static let firstWithWorkloads: Int64 = 15
  /// From here on there are signing authorities, and secrets of the platform.
  static let firstWithAuthorities: Int64 = 17
  /// From here on tenants have domains.
  static let firstWithDomains: Int64 = 18
  /// From here on there is what the platform declares of configurations.
  static let firstWithConfigurationItems: Int64 = 22
  /// From here on there are histories of configurations.
  static let firstWithHistories: Int64 = 23
  /// From here on requests of tenants' callers are remembered, too.
  static let firstWithPayers: Int64 = 27
  /// From here on roles have rules, and assignments terms.
  static let firstWithRules: Int64 = 28
  /// From here on there are groups.
  static let firstWithGroups: Int64 = 29

  /// Refuses a file that is not ours or too new. Only reads, so that a foreign file stays untouched.
  static func check(_ connection: SQLiteConnection) throws(StoreError) {
    let (application, version, objects) = try asStoreError { () throws(SQLiteError) in
      (
        try connection.integer("PRAGMA application_id"),
        try connection.integer("PRAGMA user_version"),
        try connection.integer("SELECT count(*) FROM sqlite_schema")
      )
    }
    let isNew = application == 0 && version == 0 && objects == 0
    guard isNew || application == applicationID else {
      throw StoreError(.corrupt, "the database belongs to another application: \(application)")
    }
    guard (0...latest).contains(version) else {
      throw StoreError(
        .corrupt, "the database has version \(version), this program knows up to \(latest)")
    }
    try refuseCode(in: connection)
  }

  /// Triggers would change what is written, and views what is read; we make neither.
  private static func refuseCode(in connection: SQLiteConnection) throws(StoreError) {
    let name = try asStoreError { () throws(SQLiteError) in
      try connection.text(
        "SELECT name FROM sqlite_schema WHERE type IN ('trigger', 'view') LIMIT 1")
    }
    guard name.isEmpty else {
      throw StoreError(
        .corrupt, "the database has a trigger or view that this program did not make: \(name)")
    }
  }

  /// Takes the steps not yet taken, each in a transaction of its own together with its number.
  /// - Parameter sealer: for secrets that were stored in the clear.
  static func run(
    on connection: SQLiteConnection, sealer: (any SecretSealer)?
  ) throws(StoreError) {
    let version = try asStoreError { () throws(SQLiteError) in
      try connection.integer("PRAGMA user_version")
    }
    for (index, step) in all.enumerated().dropFirst(Int(version)) {
      try step.before?(connection)
      // A failure leaves the transaction open; opening then fails, and closing rolls it back.
      try asStoreError { () throws(SQLiteError) in
        try connection.execute("BEGIN IMMEDIATE")
        try connection.execute(step.sql)
      }
      try step.after?(connection, sealer)
      try asStoreError { () throws(SQLiteError) in
        try connection.execute("PRAGMA application_id = \(applicationID)")
        try connection.execute("PRAGMA user_version = \(index + 1)")
        try connection.execute("COMMIT")
      }
    }
  }

  private struct Step: Sendable {
    /// What can't be done in a transaction. It may be done again.
    var before: (@Sendable (SQLiteConnection) throws(StoreError) -> Void)?
    let sql: String
    /// What SQL can't do, in the same transaction.
    var after: (@Sendable (SQLiteConnection, (any SecretSealer)?) throws(StoreError) -> Void)?
  }

  /// Writes the version again, in a transaction that the caller has begun.
  static func rewriteVersion(_ connection: SQLiteConnection) throws(SQLiteError) {
    try connection.execute("PRAGMA user_version = \(latest)")
  }

  private static let all = [
    Step(sql: initial), Step(sql: retiredSlugs), Step(sql: stateReasons),
    Step(sql: digestsOfPasswords), Step(sql: followableLog),
    Step(sql: SecretMigration.tables, after: SecretMigration.seal),
    Step(before: SecretMigration.emptySpace, sql: ""), Step(sql: auditRecords),
    Step(sql: Incarnations.table),
    Step(sql: leases),
    // Marks of data that is left to be destroyed are among the steps of tenants: a program that does not know
    // them would take such data for what it has just made.
    Step(sql: ""),
    // A program that does not know of begins would take chains for cut off, and count on from what is left.
    Step(sql: auditChains),
    // A program that does not know of revocations would take tokens that are void.
    Step(sql: revocations, after: addTokenKeys),
    // A program that does not know of authentication settings and routes would take tokens that a tenant has switched
    // off, let requests through that it asks more of, and drop both with the tenant's next change.
    Step(sql: ""),
    // A program that does not know of registration entries would not delete them with their tenants.
    Step(sql: workloadEntries),
    // A program that does not know of limits would drop them with the tenant's next change.
    Step(sql: requestCounts),
    // A program that does not know of signing authorities would not seal their keys anew with the others.
    Step(sql: signingAuthorities),
    Step(sql: DomainMigration.sqlite),
    // A program that does not know of plans would destroy what must be kept, and drop them with the tenant's next
    // change; and of states, it would not start.
    Step(sql: ""),
    // A program that does not know of signing keys of tokens would take them for authorities without a certificate.
    Step(sql: ""),
    // A program that does not know of labels, annotations and logins would drop them with the tenant's next change.
    Step(sql: ""),
    Step(sql: ConfigurationItems.sqlite),
    Step(sql: HistoryQuery.sqlite),
    // A program that does not know of operations could not follow the log.
    Step(sql: TenantOperations.sqlite),
    Step(sql: LogIndexes.all),
    // A program that does not know that logins are closed would not open them again.
    Step(sql: LogIndexes.ofPuts),
    Step(sql: RequestTable.sqlite),
    // See `PolicyMigration`.
    Step(sql: "", after: addPolicyColumns),
    Step(sql: GroupTables.sqlite),
  ]

  /// `LimitCounts` tells what the counts are. Without a foreign key: a count is of no use to a tenant that is gone, and
  /// ends by itself.
  private static let requestCounts = """
    CREATE TABLE IF NOT EXISTS request_counts (
      tenant_id TEXT NOT NULL,
      name TEXT NOT NULL,
      used INTEGER NOT NULL,
      most INTEGER NOT NULL,
      rate REAL NOT NULL,
      time INTEGER NOT NULL,
      begin INTEGER NOT NULL,
      node TEXT NOT NULL,
      other_time INTEGER NOT NULL,
      age INTEGER NOT NULL,
      PRIMARY KEY (tenant_id, name)
    ) STRICT, WITHOUT ROWID;
    """

  /// Times are nanoseconds since 1970. `target` is a token's id or a subject, and empty for the whole tenant.
  private static let revocations = """
    CREATE TABLE IF NOT EXISTS revocations (
      tenant_id TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      kind TEXT NOT NULL,
      target TEXT NOT NULL,
      issued_before INTEGER NOT NULL,
      expire_time INTEGER NOT NULL,
      reason TEXT NOT NULL,
      PRIMARY KEY (tenant_id, kind, target)
    ) STRICT, WITHOUT ROWID;

    CREATE INDEX IF NOT EXISTS revocations_by_end ON revocations (tenant_id, expire_time);
    """

  /// `tenant_id` is null where it is the platform's; `lifetime` is in seconds.
  private static let workloadEntries = """
    CREATE TABLE IF NOT EXISTS workload_entries (
      id TEXT PRIMARY KEY NOT NULL,
      tenant_id TEXT REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      path TEXT NOT NULL,
      selectors TEXT NOT NULL,
      lifetime INTEGER NOT NULL,
      hint TEXT NOT NULL,
      create_time INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    """

  /// `document` is JSON: see `AuthorityDocument`.
  private static let signingAuthorities = """
    CREATE TABLE IF NOT EXISTS signing_authorities (
      id TEXT PRIMARY KEY NOT NULL,
      document TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE IF NOT EXISTS platform_secrets (
      purpose TEXT PRIMARY KEY NOT NULL,
      version INTEGER NOT NULL,
      key_id TEXT NOT NULL REFERENCES data_keys (id) DEFERRABLE INITIALLY DEFERRED,
      sealed BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    """

  /// A file whose version was set back has the column by now, and SQLite has no `IF NOT EXISTS` for one.
  private static func addTokenKeys(
    _ connection: SQLiteConnection, _: (any SecretSealer)?
  ) throws(StoreError) {
    try add("token_keys", to: "tenants", connection)
  }

  private static func addPolicyColumns(
    _ connection: SQLiteConnection, _: (any SecretSealer)?
  ) throws(StoreError) {
    for (table, column) in PolicyMigration.columns { try add(column, to: table, connection) }
  }

  /// Adds a column of texts, if it is not there.
  private static func add(
    _ column: String, to table: String, _ connection: SQLiteConnection
  ) throws(StoreError) {
    try asStoreError { () throws(SQLiteError) in
      let sql = "SELECT count(*) FROM pragma_table_info('\(table)') WHERE name = '\(column)'"
      guard try connection.integer(sql) == 0 else { return }
      try connection.execute("ALTER TABLE \(table) ADD COLUMN \(column) TEXT")
    }
  }

  /// Of chains that are there, the oldest time is not known: each is looked at once.
  private static let auditChains = """
    CREATE TABLE IF NOT EXISTS audit_chains (
      chain TEXT PRIMARY KEY NOT NULL,
      floor INTEGER NOT NULL,
      floor_hash BLOB NOT NULL,
      oldest_time INTEGER,
      latest INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE INDEX IF NOT EXISTS audit_chains_by_time ON audit_chains (oldest_time);
    CREATE INDEX IF NOT EXISTS audit_chains_by_length ON audit_chains (latest - floor);

    INSERT INTO audit_chains (chain, floor, floor_hash, oldest_time, latest)
      SELECT chain, 0, zeroblob(32), 0, max(sequence) FROM audit_records GROUP BY chain
      ON CONFLICT DO NOTHING;
    """

  /// Times are milliseconds since 1970.
  private static let leases = """
    CREATE TABLE IF NOT EXISTS leases (
      name TEXT PRIMARY KEY NOT NULL,
      holder TEXT NOT NULL,
      fencing_number INTEGER NOT NULL,
      expire_time INTEGER NOT NULL
    ) STRICT;
    """

  /// Entries up to now are for people only: form 0. The log can be followed from `log_floor.revision` on, and
  /// what is up to `removed` is gone. `tenant_ids`, a JSON array, is there where an entry concerns several
  /// tenants, and `tenant_id` where it concerns one.
  private static let followableLog = """
    ALTER TABLE log ADD COLUMN form INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE log ADD COLUMN tenant_ids TEXT;

    CREATE TABLE log_floor (
      id INTEGER PRIMARY KEY CHECK (id = 0),
      revision INTEGER NOT NULL,
      removed INTEGER NOT NULL
    ) STRICT;

    INSERT INTO log_floor (id, revision, removed)
      SELECT 0, coalesce(max(revision), 0), 0 FROM log;
    """

  /// `AuditEncoding` tells what the records are. What was done before is in the log, and in no chain. Without
  /// a foreign key: a chain outlasts its tenant.
  static let auditRecords = """
    CREATE TABLE IF NOT EXISTS audit_records (
      chain TEXT NOT NULL,
      sequence INTEGER NOT NULL,
      record BLOB NOT NULL,
      hash BLOB NOT NULL,
      PRIMARY KEY (chain, sequence)
    ) STRICT, WITHOUT ROWID;
    """

  /// Digests of requests once covered the database's password, so that guesses could be tried on them. They
  /// go for every tenant that has a database, or had one when it was made: requests are forgotten, and in
  /// the log the digest is taken out.
  private static let digestsOfPasswords = """
    CREATE TEMP TABLE makings AS
      SELECT revision FROM log
      WHERE changes LIKE '%"change":"rememberRequest"%'
        AND changes LIKE '%"isolationModel":"database"%';

    DELETE FROM requests WHERE tenant_id IN (
      SELECT id FROM tenants WHERE isolation_model = 'database'
      UNION SELECT value ->> '$.tenant' FROM log JOIN makings USING (revision), json_each(changes)
        WHERE value ->> '$.change' = 'rememberRequest');

    UPDATE log SET changes = (
      SELECT json_group_array(json(
        CASE WHEN value ->> '$.change' = 'rememberRequest'
          THEN json_set(value, '$.request.digest', '[redacted]') ELSE value END))
      FROM json_each(log.changes))
    WHERE revision IN (SELECT revision FROM makings);

    DROP TABLE makings;
    """

  private static let stateReasons = """
    ALTER TABLE tenants ADD COLUMN state_reason TEXT NOT NULL DEFAULT '';
    """

  private static let retiredSlugs = """
    ALTER TABLE reserved_names ADD COLUMN retired INTEGER NOT NULL DEFAULT 0;
    """

  /// Times are nanoseconds since 1970. Foreign keys are checked at the commit: the order of changes
  /// within a batch is free. The log has none, for it tells the past and not the present.
  private static let initial = """
    CREATE TABLE log (
      revision INTEGER PRIMARY KEY,
      time INTEGER NOT NULL,
      actor TEXT NOT NULL,
      action TEXT NOT NULL,
      tenant_id TEXT,
      changes TEXT NOT NULL
    ) STRICT;

    CREATE TABLE tenants (
      id TEXT PRIMARY KEY NOT NULL,
      slug TEXT NOT NULL,
      display_name TEXT NOT NULL,
      state TEXT NOT NULL,
      isolation_model TEXT NOT NULL,
      configuration TEXT NOT NULL,
      version INTEGER NOT NULL,
      epoch INTEGER NOT NULL,
      create_time INTEGER NOT NULL,
      update_time INTEGER NOT NULL,
      delete_time INTEGER,
      purge_time INTEGER
    ) STRICT;

    CREATE TABLE reserved_names (
      kind TEXT NOT NULL,
      name TEXT NOT NULL,
      tenant_id TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      PRIMARY KEY (kind, name)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE roles (
      tenant_id TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      id TEXT NOT NULL,
      title TEXT NOT NULL,
      summary TEXT NOT NULL,
      permissions TEXT NOT NULL,
      version INTEGER NOT NULL,
      create_time INTEGER NOT NULL,
      update_time INTEGER NOT NULL,
      PRIMARY KEY (tenant_id, id)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE assignments (
      tenant_id TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      id TEXT NOT NULL,
      subject TEXT NOT NULL,
      role TEXT NOT NULL,
      create_time INTEGER NOT NULL,
      expire_time INTEGER,
      PRIMARY KEY (tenant_id, id)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE provisioning_steps (
      tenant_id TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      name TEXT NOT NULL,
      PRIMARY KEY (tenant_id, name)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE requests (
      actor TEXT NOT NULL,
      request_id TEXT NOT NULL,
      digest TEXT NOT NULL,
      tenant_id TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      time INTEGER NOT NULL,
      PRIMARY KEY (actor, request_id)
    ) STRICT, WITHOUT ROWID;

    CREATE INDEX requests_by_time ON requests (time);
    """
}
