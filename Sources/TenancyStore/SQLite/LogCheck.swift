internal import Tenancy
import TenancyDatabase

/// Whether the log has every revision that it must have, and each row of it parses.
struct LogCheck {
  let connection: SQLiteConnection
  let findings: StoreFindings
  private let json = JSONCoding()

  init(connection: SQLiteConnection, findings: StoreFindings) {
    self.connection = connection
    self.findings = findings
  }

  /// - Returns: the last revision.
  func run(_ incarnations: [StoreIncarnation]) throws(StoreError) -> UInt64 {
    let floor = try Floor(connection)
    if let what = floor.problem {
      findings.add(StoreFinding(table: "log_floor", what))
    }
    var last = floor.removed
    try connection.readRows(floor.selectAll) { (row: SQLiteStatement) throws(StoreError) -> Void in
      let revision = row.integer(0) ?? 0
      findings.note { () throws(StoreError) in
        try check(row, isFollowable: revision > floor.revision)
      }
      if !Self.follows(revision, last, incarnations) {
        let what = last == 0 ? "the revisions before it are missing" : "does not follow \(last)"
        findings.add(StoreFinding(table: "log", row: "\(revision)", what))
      }
      last = max(last, revision)
    }
    if floor.exists, last < floor.revision {
      findings.add(
        StoreFinding(table: "log", "it ends at \(last), below its floor, \(floor.revision)"))
    }
    return UInt64(max(0, last))
  }

  /// What can be followed is held to what followers are given; the rest is for people.
  private func check(_ row: SQLiteStatement, isFollowable: Bool) throws(StoreError) {
    var reader = RowReader(row, table: "log", keyColumns: 1, json: json)
    let entry = try LogRow(&reader)
    if isFollowable {
      _ = try entry.entry(json)
    } else {
      _ = try entry.tenants(json)
      guard row.text(8) == "array" else { throw reader.corruption("its changes do not parse") }
    }
  }

  /// Where the log begins.
  private struct Floor {
    /// Not in a store of an earlier schema, none of whose entries can be followed.
    let exists: Bool
    /// What is up to it can't be followed.
    let revision: Int64
    /// What is up to it was taken out.
    let removed: Int64
    let problem: String?

    init(_ connection: SQLiteConnection) throws(StoreError) {
      exists = try asStoreError { () throws(SQLiteError) in
        try connection.integer("SELECT count(*) FROM sqlite_schema WHERE name = 'log_floor'") > 0
      }
      guard exists else {
        (revision, removed, problem) = (.max, 0, nil)
        return
      }
      let ends = try LogReader(source: connection, json: JSONCoding()).ends()
      (revision, removed) = (ends.floor, ends.removed)
      let isSound = ends.floors == 1 && 0 <= removed && removed <= revision
      problem = isSound ? nil : "\(ends.floors) rows, \(removed) to \(revision)"
    }

    var selectAll: String {
      let old = "revision, time, 0, actor, action, changes, tenant_id, NULL"
      return """
        SELECT \(exists ? LogRow.columns : old),
          CASE WHEN json_valid(changes) THEN json_type(changes) END
        FROM log ORDER BY revision
        """
    }
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
}
