internal import Tenancy

/// Reads sealed secrets and wrapped data keys, inside the caller's transaction.
struct SecretReader<Source: RowSource> {
  let source: Source
  let json: JSONCoding
  /// Whether the schema is of a version in which the platform has secrets.
  var hasPlatform = true

  func secret(at place: SecretPlace) throws(StoreError) -> StoredSecret? {
    // Both are of letters, digits and a few marks only. What is no purpose has no secret.
    guard SecretPurpose(rawValue: place.purpose.rawValue) == place.purpose else { return nil }
    var found: StoredSecret?
    let purpose = "purpose = '\(place.purpose.rawValue)'"
    if place.tenant == SecretPlace.platform {
      let sql = "\(Table.platformSecrets.select) WHERE \(purpose)"
      try read(sql, of: .platformSecrets) { _, secret in found = secret }
    } else {
      let sql = "\(Table.secrets.select) WHERE tenant_id = '\(place.tenant)' AND \(purpose)"
      try read(sql, of: .secrets) { _, secret in found = secret }
    }
    return found
  }

  /// Gives each secret to `body`, one at a time: together they may be large.
  func eachSecret(
    _ body: (SecretPlace, StoredSecret) throws(StoreError) -> Void
  ) throws(StoreError) {
    try read(Table.secrets.selectAll, of: .secrets, body)
    if hasPlatform { try read(Table.platformSecrets.selectAll, of: .platformSecrets, body) }
  }

  private func read(
    _ sql: String, of table: Table,
    _ body: (SecretPlace, StoredSecret) throws(StoreError) -> Void
  ) throws(StoreError) {
    try source.readRows(sql) { (row: Source.Row) throws(StoreError) -> Void in
      var row = RowReader(
        row, table: table.name, keyColumns: Int32(table.keyCount), json: json)
      let tenant =
        table.name == Table.secrets.name ? try row.tenantID() : SecretPlace.platform
      let place = SecretPlace(tenant: tenant, purpose: try row.purpose())
      let reference = SecretReference(version: try row.counter(), key: try row.keyID())
      let sealed = SealedSecret(bytes: try row.bytes())
      try body(place, StoredSecret(reference: reference, sealed: sealed))
    }
  }

  /// In order of their ids.
  func dataKeys() throws(StoreError) -> [WrappedDataKey] {
    var keys: [WrappedDataKey] = []
    let table = Table.dataKeys
    try source.readRows(table.selectAll) { (row: Source.Row) throws(StoreError) -> Void in
      var row = RowReader(
        row, table: table.name, keyColumns: Int32(table.keyCount), json: json)
      keys.append(
        WrappedDataKey(
          id: try row.keyID(), masterKey: try row.keyID(), wrapped: try row.bytes(),
          createTime: try row.time(), state: try row.name()))
    }
    return keys
  }
}
