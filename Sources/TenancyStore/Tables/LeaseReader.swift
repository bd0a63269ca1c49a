internal import Tenancy

/// Reads the table `leases`, inside the caller's transaction.
struct LeaseReader<Source: RowSource> {
  let source: Source
  let json: JSONCoding

  func leases(_ dialect: SQLDialect, limit: Int) throws(StoreError) -> [StoredLease] {
    var leases: [StoredLease] = []
    let sql = Table.selectLeases(dialect, limit: limit)
    try source.readRows(sql) { (row: Source.Row) throws(StoreError) -> Void in
      var reader = RowReader(row, table: Table.leases.name, keyColumns: 1, json: json)
      let (name, holder) = (try reader.text(), try reader.text())
      let lease = Lease(name: name, fencingNumber: try reader.counter())
      leases.append(
        StoredLease(
          lease: lease, holder: holder, remaining: .milliseconds(try reader.integer())))
    }
    return leases
  }
}
