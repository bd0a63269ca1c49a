internal import Tenancy

/// Rows of shared tables that are no registered tenant's.
extension ClusterWork {
  /// Identifiers looked at by one statement.
  private static let identifiersPerLook = 2_000

  /// Whose rows there are and is not in the registry, with the tables.
  func strayRows(limit: Int) throws -> [String: [String]] {
    var found: [String: [String]] = [:]
    for table in try sharedTables() {
      var last: String?
      repeat {
        let (strays, end) = try strays(in: table, after: last)
        for identifier in strays where found[identifier] != nil || found.count < limit {
          found[identifier, default: []].append(table.quoted)
        }
        last = end
      } while last != nil && found.count < limit
    }
    return found
  }

  /// From one identifier to the next, by the index that begins with the column: what it costs grows with tenants and not
  /// with rows.
  /// - Returns: where to go on; nil: there are no more.
  private func strays(
    in table: ClusterConfiguration.SharedTable, after last: String?
  ) throws -> (strays: [String], end: String?) {
    let column = ClusterNames.quoted(table.tenantColumn)
    func next(_ condition: String) -> String {
      "SELECT \(column) AS id FROM \(table.quoted) WHERE \(condition) ORDER BY \(column) LIMIT 1"
    }
    let result = try run(
      """
      WITH RECURSIVE ids (id, number) AS (
        SELECT id, 1 FROM (\(next(last == nil ? "\(column) IS NOT NULL AND $1::text IS NULL" : "\(column) > $1"))) AS first
        UNION ALL
        SELECT (\(next("\(column) > ids.id"))), number + 1 FROM ids
        WHERE ids.id IS NOT NULL AND number < \(Self.identifiersPerLook)
      )
      SELECT id, (NOT EXISTS (SELECT FROM tenancy_cluster.tenants t
        WHERE t.tenant_identifier = ids.id))::int
      FROM ids WHERE id IS NOT NULL ORDER BY number
      """, [last.map { .text($0) } ?? .null])
    var strays: [String] = []
    for index in 0..<result.rowCount where result.row(index).integer(1) == 1 {
      if let id = result.row(index).text(0) { strays.append(id) }
    }
    // In range: there are so many.
    let end =
      result.rowCount == Self.identifiersPerLook ? result.row(result.rowCount - 1).text(0) : nil
    return (strays, end)
  }

  /// Removes rows of an identifier that nobody is registered with: not even one who comes meanwhile loses any.
  func removeStrays(of identifier: String, _ permit: () throws -> Void) throws {
    let registered = try run(
      "SELECT FROM tenancy_cluster.tenants WHERE tenant_identifier = $1", [.text(identifier)])
    guard registered.rowCount == 0 else {
      throw StoreError(.conflict, "a tenant was registered with it meanwhile")
    }
    try removeRows(of: identifier, isStray: true, permit)
  }
}
