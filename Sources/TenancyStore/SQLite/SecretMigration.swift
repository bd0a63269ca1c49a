internal import Tenancy
import TenancyDatabase

/// Once, passwords of tenants' databases were stored as they are, in tenants' configurations. They are
/// sealed, and what is left of them in the files' unused space is removed.
enum SecretMigration {
  /// As all steps, it may find what it makes: a file whose version was set back. Entries of the log up to now
  /// don't have the references that tenants get here: it can be followed from here on.
  static let tables = """
    CREATE TABLE IF NOT EXISTS data_keys (
      id TEXT PRIMARY KEY NOT NULL,
      wrapped BLOB NOT NULL,
      master_key_id TEXT NOT NULL,
      create_time INTEGER NOT NULL,
      state TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE UNIQUE INDEX IF NOT EXISTS one_active_data_key ON data_keys (state)
      WHERE state = 'active';

    CREATE TABLE IF NOT EXISTS secrets (
      tenant_id TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      purpose TEXT NOT NULL,
      version INTEGER NOT NULL,
      key_id TEXT NOT NULL REFERENCES data_keys (id) DEFERRABLE INITIALLY DEFERRED,
      sealed BLOB NOT NULL,
      PRIMARY KEY (tenant_id, purpose)
    ) STRICT, WITHOUT ROWID;

    UPDATE log_floor SET revision = max(revision, coalesce((SELECT max(revision) FROM log), 0));
    """

  /// Inside the step's transaction.
  static func seal(
    _ connection: SQLiteConnection, _ sealer: (any SecretSealer)?
  ) throws(StoreError) {
    let json = JSONCoding()
    let update = try asStoreError { () throws(SQLiteError) in
      try connection.prepare(
        """
        UPDATE tenants SET configuration =
          json_set(configuration, '$.database.password', json(?2)) WHERE id = ?1
        """)
    }
    let holders = try holders(connection, json)
    if !holders.isEmpty {
      let put = try asStoreError { () throws(SQLiteError) in
        try connection.prepare(Table.secrets.put(.sqlite))
      }
      let sealer = try prepare(sealer, connection, json, holders.count)
      for (id, version) in holders {
        let password = try clearPassword(of: id, connection, json)
        let place = SecretPlace(tenant: id, purpose: .databasePassword)
        let secret = try sealed(password, for: place, version, sealer)
        let reference = try json.text(secret.reference)
        try asStoreError { () throws(SQLiteError) in
          try put.run([
            .id(id), .text(place.purpose.rawValue), .counter(secret.reference.version),
            .text(secret.reference.key.description), .blob(secret.sealed.bytes),
          ])
          try update.run([.id(id), .text(reference)])
        }
      }
    }
    // An empty one was none.
    try asStoreError { () throws(SQLiteError) in
      try connection.execute(
        """
        UPDATE tenants SET configuration = json_remove(configuration, '$.database.password')
        WHERE json_type(configuration, '$.database.password') = 'text'
        """)
    }
  }

  /// Rebuilds the file and empties its log, where there can have been passwords. Outside of a transaction,
  /// before the step's own, so that it is done again when it was cut short.
  static func emptySpace(_ connection: SQLiteConnection) throws(StoreError) {
    let isBusy = try asStoreError { () throws(SQLiteError) in
      let hadDatabases = try connection.integer(
        """
        SELECT EXISTS (SELECT 1 FROM tenants WHERE isolation_model = 'database')
          OR EXISTS (SELECT 1 FROM log WHERE changes LIKE '%"isolationModel":"database"%')
        """)
      guard hadDatabases != 0 else { return false }
      try connection.execute("VACUUM")
      return try connection.integer("PRAGMA wal_checkpoint(TRUNCATE)") != 0
    }
    guard !isBusy else {
      throw StoreError(
        .unavailable,
        "another process reads the database, so that passwords in its log can't be removed: end it")
    }
  }

  private struct Configuration: Decodable {
    struct Database: Decodable { let password: String }
    let database: Database
  }

  /// The tenants that have a password in the clear, with their versions.
  private static func holders(
    _ connection: SQLiteConnection, _ json: JSONCoding
  ) throws(StoreError) -> [(TenantID, UInt64)] {
    let statement = try asStoreError { () throws(SQLiteError) in
      try connection.prepare(
        """
        SELECT id, version FROM tenants
        WHERE json_type(configuration, '$.database.password') = 'text'
          AND configuration -> '$.database.password' <> '""'
        """)
    }
    defer { statement.reset() }
    var holders: [(TenantID, UInt64)] = []
    while try asStoreError({ () throws(SQLiteError) in try statement.step() }) {
      var row = RowReader(statement, table: "tenants", keyColumns: 1, json: json)
      holders.append((try row.tenantID(), try row.counter()))
    }
    return holders
  }

  private static func clearPassword(
    of id: TenantID, _ connection: SQLiteConnection, _ json: JSONCoding
  ) throws(StoreError) -> ClearSecret {
    let statement = try asStoreError { () throws(SQLiteError) in
      try connection.prepare("SELECT id, configuration FROM tenants WHERE id = ?1")
    }
    defer { statement.reset() }
    let isThere = try asStoreError { () throws(SQLiteError) in
      try statement.bind([.id(id)])
      return try statement.step()
    }
    var row = RowReader(statement, table: "tenants", keyColumns: 1, json: json)
    guard isThere else { throw row.corruption("it is gone") }
    _ = try row.tenantID()
    let configuration: Configuration = try row.json()
    return ClearSecret(configuration.database.password)
  }

  /// A sealer with an active key that is stored.
  private static func prepare(
    _ sealer: (any SecretSealer)?, _ connection: SQLiteConnection, _ json: JSONCoding,
    _ count: Int
  ) throws(StoreError) -> any SecretSealer {
    guard let sealer else {
      throw StoreError(
        .unavailable,
        "the store holds \(count) tenants' passwords in the clear, which this version seals: set "
          + "secrets.master_key")
    }
    let keys = SecretReader(source: connection, json: json, hasPlatform: false)
    try SecretAudit.installKeys(of: keys, in: sealer)
    guard sealer.activeKey == nil else { return sealer }
    let seconds = try asStoreError { () throws(SQLiteError) in
      try connection.integer("SELECT unixepoch()")
    }
    let now = Timestamp(seconds: seconds, subsecondNanoseconds: 0)
    let key = Result { () throws(SecretError) in try sealer.makeDataKey(at: now) }
    switch key {
    case .success(let key):
      try asStoreError { () throws(SQLiteError) in
        try connection.prepare(Table.dataKeys.put(.sqlite)).run([
          .text(key.id.description), .text(key.masterKey.description), .blob(key.wrapped),
          .time(key.createTime), .text(key.state.rawValue),
        ])
      }
    case .failure(let error):
      throw StoreError(.unavailable, "there can be no data key: \(error)")
    }
    try SecretAudit.installKeys(of: keys, in: sealer)
    return sealer
  }

  private static func sealed(
    _ password: ClearSecret, for place: SecretPlace, _ version: UInt64, _ sealer: any SecretSealer
  ) throws(StoreError) -> StoredSecret {
    do throws(SecretError) {
      return try sealer.seal(password, for: place, version: version)
    } catch {
      throw StoreError(.unavailable, "the password of \(place.tenant) can't be sealed: \(error)")
    }
  }
}
