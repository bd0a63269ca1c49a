internal import Tenancy

/// Whether the log has every revision that it must have, and each row of it parses.
struct LogCheck {
  let connection: SQLiteConnection
  let findings: StoreFindings

  /// - Returns: the last revision.
  func run(_ incarnations: [StoreIncarnation]) throws(StoreError) -> UInt64 {
    let removed = try removed()
    var last = removed
    let statement = try asStoreError { () throws(SQLiteError) in
      try connection.prepare(
        """
        SELECT revision, time, actor, action, tenant_id,
          CASE WHEN json_valid(changes) THEN json_type(changes) END
        FROM log ORDER BY revision
        """)
    }
    defer { statement.reset() }
    while try asStoreError({ () throws(SQLiteError) in try statement.step() }) {
      let revision = statement.integer(0)
      findings.note { () throws(StoreError) in
        var row = RowReader(statement, table: "log", keyColumns: 1, json: JSONCoding())
        _ = try row.counter()
        _ = try row.time()
        _ = try row.text()
        _ = try row.text()
        if !statement.isNull(4) { _ = try row.tenantID() }
        guard statement.text(5) == "array" else {
          throw row.corruption("its changes do not parse")
        }
      }
      if !Self.follows(revision, last, incarnations) {
        let what = last == 0 ? "the revisions before it are missing" : "does not follow \(last)"
        findings.add(StoreFinding(table: "log", row: "\(revision)", what))
      }
      last = max(last, revision)
    }
    return UInt64(max(0, last))
  }

  /// Whether a revision may come next: the one behind `last`, or the first after a restore.
  static func follows(
    _ revision: Int64, _ last: Int64, _ incarnations: [StoreIncarnation]
  ) -> Bool {
    guard let revision = UInt64(exactly: revision), let last = UInt64(exactly: last),
      revision > last
    else { return false }
    return revision == last + 1
      || incarnations.contains {
        $0.firstRevision == revision && $0.inheritedRevision == last
      }
  }

  /// Revisions up to it were taken out of the log.
  private func removed() throws(StoreError) -> Int64 {
    try asStoreError { () throws(SQLiteError) in
      guard
        try connection.integer("SELECT count(*) FROM sqlite_schema WHERE name = 'log_floor'") > 0
      else { return 0 }
      return try connection.integer("SELECT removed FROM log_floor")
    }
  }
}
