internal import Tenancy

/// The table of what is, and was, done to make and to destroy tenants' resources.
enum TenantOperations {
  static let sqlite = """
    CREATE TABLE IF NOT EXISTS tenant_operations (
      tenant_id TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      number INTEGER NOT NULL,
      document TEXT NOT NULL,
      PRIMARY KEY (tenant_id, number)
    ) STRICT, WITHOUT ROWID;
    """

  static let postgreSQL = """
    CREATE TABLE tenant_operations (
      tenant_id TEXT COLLATE "C" NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      number BIGINT NOT NULL,
      document TEXT COLLATE "C" NOT NULL,
      PRIMARY KEY (tenant_id, number)
    );
    """
}

/// Reads them, inside the caller's transaction.
struct OperationReader<Source: RowSource> {
  let source: Source
  let json: JSONCoding

  /// Those of one tenant, the newest first.
  func operations(of tenant: TenantID) throws(StoreError) -> [TenantOperation] {
    var found: [TenantOperation] = []
    let table = Table.tenantOperations
    // An id is of digits, letters and dashes only.
    try source.readRows(
      "\(table.select) WHERE tenant_id = '\(tenant)' ORDER BY number DESC"
    ) { (row: Source.Row) throws(StoreError) -> Void in
      var row = RowReader(
        row, table: table.name, keyColumns: Int32(table.keyCount), json: json)
      let (id, number) = (try row.tenantID(), try row.counter())
      let operation: TenantOperation = try row.json()
      guard operation.tenant == id, operation.number == number else {
        throw row.corruption("it is another's")
      }
      found.append(operation)
    }
    return found
  }
}
