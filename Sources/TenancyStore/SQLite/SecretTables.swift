internal import Tenancy

/// Sealed secrets and wrapped data keys, inside the caller's transaction. Keeps its statements.
struct SecretTables {
  private let json: JSONCoding
  private let putSecret: SQLiteStatement
  private let deleteSecret: SQLiteStatement
  private let putDataKey: SQLiteStatement
  private let readSecret: SQLiteStatement
  private let readSecrets: SQLiteStatement
  private let readDataKeys: SQLiteStatement

  init(_ connection: SQLiteConnection, json: JSONCoding) throws(SQLiteError) {
    self.json = json
    putSecret = try connection.prepare(SQL.putSecret)
    deleteSecret = try connection.prepare(
      "DELETE FROM secrets WHERE tenant_id = ?1 AND purpose = ?2")
    putDataKey = try connection.prepare(SQL.putDataKey)
    readSecret = try connection.prepare(SQL.secrets + " WHERE tenant_id = ?1 AND purpose = ?2")
    readSecrets = try connection.prepare(SQL.secrets)
    readDataKeys = try connection.prepare(SQL.dataKeys)
  }

  func put(
    _ reference: SecretReference, _ sealed: SealedSecret?, at place: SecretPlace
  ) throws(StoreError) {
    guard let sealed else {
      throw StoreError(.conflict, "the secret of \(place.tenant) has no content")
    }
    try run(
      putSecret, .id(place.tenant), .text(place.purpose.rawValue), .counter(reference.version),
      .text(reference.key.description), .blob(sealed.bytes))
  }

  func delete(at place: SecretPlace) throws(StoreError) {
    try run(deleteSecret, .id(place.tenant), .text(place.purpose.rawValue))
  }

  func put(_ key: WrappedDataKey) throws(StoreError) {
    guard !key.wrapped.isEmpty else {
      throw StoreError(.conflict, "the data key \(key.id) has no content")
    }
    try run(
      putDataKey, .text(key.id.description), .blob(key.wrapped), .text(key.masterKey.description),
      .time(key.createTime), .text(key.state.rawValue))
  }

  func secret(at place: SecretPlace) throws(StoreError) -> StoredSecret? {
    defer { readSecret.reset() }
    try asStoreError { () throws(SQLiteError) in
      try readSecret.bind([.id(place.tenant), .text(place.purpose.rawValue)])
    }
    return try next(readSecret)?.1
  }

  /// Gives each secret to `body`, one at a time: together they may be large.
  func eachSecret(
    _ body: (SecretPlace, StoredSecret) throws(StoreError) -> Void
  ) throws(StoreError) {
    defer { readSecrets.reset() }
    while let (place, secret) = try next(readSecrets) { try body(place, secret) }
  }

  private func next(
    _ statement: SQLiteStatement
  ) throws(StoreError) -> (SecretPlace, StoredSecret)? {
    guard try asStoreError({ () throws(SQLiteError) in try statement.step() }) else { return nil }
    var row = RowReader(statement, table: "secrets", keyColumns: 2, json: json)
    let place = SecretPlace(tenant: try row.tenantID(), purpose: try row.name())
    let reference = SecretReference(version: try row.counter(), key: try row.keyID())
    return (
      place,
      StoredSecret(reference: reference, sealed: SealedSecret(bytes: try row.bytes()))
    )
  }

  func dataKeys() throws(StoreError) -> [WrappedDataKey] {
    defer { readDataKeys.reset() }
    var keys: [WrappedDataKey] = []
    while try asStoreError({ () throws(SQLiteError) in try readDataKeys.step() }) {
      var row = RowReader(readDataKeys, table: "data_keys", keyColumns: 1, json: json)
      keys.append(
        WrappedDataKey(
          id: try row.keyID(), masterKey: try row.keyID(), wrapped: try row.bytes(),
          createTime: try row.time(), state: try row.name()))
    }
    return keys
  }

  private func run(_ statement: SQLiteStatement, _ values: SQLiteValue...) throws(StoreError) {
    try asStoreError { () throws(SQLiteError) in try statement.run(values) }
  }

  private enum SQL {
    static let secrets = "SELECT tenant_id, purpose, version, key_id, sealed FROM secrets"

    static let dataKeys = """
      SELECT id, master_key_id, wrapped, create_time, state FROM data_keys ORDER BY id
      """

    static let putSecret = """
      INSERT INTO secrets (tenant_id, purpose, version, key_id, sealed) VALUES (?1, ?2, ?3, ?4, ?5)
      ON CONFLICT (tenant_id, purpose) DO UPDATE SET version = excluded.version,
        key_id = excluded.key_id, sealed = excluded.sealed
      """

    static let putDataKey = """
      INSERT INTO data_keys (id, wrapped, master_key_id, create_time, state)
      VALUES (?1, ?2, ?3, ?4, ?5)
      ON CONFLICT (id) DO UPDATE SET wrapped = excluded.wrapped,
        master_key_id = excluded.master_key_id, create_time = excluded.create_time,
        state = excluded.state
      """
  }
}
