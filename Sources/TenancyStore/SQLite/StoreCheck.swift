internal import Glibc
public import Tenancy
import TenancyDatabase

/// How many rows a store has.
public struct StoreCounts: Codable, Hashable, Sendable {
  public let tenants, roles, assignments, logEntries: Int64

  init(_ connection: SQLiteConnection) throws(StoreError) {
    let counts = try asStoreError { () throws(SQLiteError) in
      (
        try connection.integer("SELECT count(*) FROM tenants"),
        try connection.integer("SELECT count(*) FROM roles"),
        try connection.integer("SELECT count(*) FROM assignments"),
        try connection.integer("SELECT count(*) FROM log")
      )
    }
    (tenants, roles, assignments, logEntries) = counts
  }
}

/// What a check has found.
public struct StoreReport: Encodable, Sendable {
  public let path: String
  public internal(set) var schemaVersion: Int64 = 0
  /// The last.
  public internal(set) var revision: UInt64 = 0
  public internal(set) var incarnation: StoreIncarnation?
  public internal(set) var counts: StoreCounts?
  /// Whether the rows were judged as well as read: not in a store of an older schema.
  public internal(set) var isAudited = false
  /// Each row that is wrong, with the first that is wrong with it; and what is wrong with the file.
  public internal(set) var findings: [StoreFinding] = []
  /// More findings than are listed.
  public internal(set) var omittedFindings = 0

  public var isSound: Bool { findings.isEmpty && isAudited }
}

/// Looks at all that a store holds, and changes nothing.
public enum StoreCheck {
  /// Also beside a server that runs. Makes and changes no file in the store's directory. Blocks for as long as
  /// reading everything takes.
  /// - Throws: `StoreError` if the store can't be read at all.
  public static func run(path: String) throws(StoreError) -> StoreReport {
    var report = try StillStore.read(path) { (connection) throws(StoreError) in
      try check(connection, path: path)
    }
    if access(path + SQLiteRestore.waiting, F_OK) == 0 {
      report.findings.append(
        StoreFinding("a restore was cut short: it may be half of what it was, and is not served"))
    }
    return report
  }

  /// In one read transaction.
  static func check(
    _ connection: SQLiteConnection, path: String
  ) throws(StoreError) -> StoreReport {
    try asStoreError { () throws(SQLiteError) in
      try connection.execute("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; BEGIN")
    }
    defer {
      // Only read: there is nothing that could be lost.
      if connection.isInTransaction { try? connection.execute("ROLLBACK") }
    }
    var report = StoreReport(path: path)
    let findings = StoreFindings()
    do throws(StoreError) {
      try Migrations.check(connection)
      try look(connection, &report, findings)
    } catch {
      // What can't be read for a reason that may go away tells nothing of the store.
      guard error.code == .corrupt else { throw error }
      findings.add(error)
    }
    report.findings = findings.all
    report.omittedFindings = findings.omitted
    return report
  }

  private static func look(
    _ connection: SQLiteConnection, _ report: inout StoreReport, _ findings: StoreFindings
  ) throws(StoreError) {
    report.schemaVersion = try asStoreError { () throws(SQLiteError) in
      try connection.integer("PRAGMA user_version")
    }
    guard report.schemaVersion > 0 else {
      findings.add(StoreFinding("it is empty: no server has made a store of it yet"))
      return
    }
    // One part that can't be read keeps none of the others from being looked at.
    findings.note { () throws(StoreError) in try checkFile(connection, findings) }
    var incarnations: [StoreIncarnation] = []
    findings.note { () throws(StoreError) in
      incarnations = try checkIncarnations(connection, findings)
    }
    report.incarnation = incarnations.last
    var revision: UInt64?
    findings.note { () throws(StoreError) in
      revision = try LogCheck(connection: connection, findings: findings).run(incarnations)
    }
    report.revision = revision ?? 0
    findings.note { () throws(StoreError) in report.counts = try StoreCounts(connection) }
    // Older rows are not read as they are: a server migrates them when it starts.
    guard report.schemaVersion >= Migrations.oldestReadable else { return }
    findings.note { () throws(StoreError) in
      // Without the log, no version is known to be too high.
      try checkRows(
        connection, revision ?? .max, findings, version: report.schemaVersion)
    }
    // A schema from before there were chains has none to look at.
    if report.schemaVersion >= Migrations.firstWithAudit {
      findings.note { () throws(StoreError) in
        try AuditCheck(connection: connection, findings: findings).run()
      }
    }
    report.isAudited = true
  }

  /// What SQLite knows to be wrong.
  private static func checkFile(
    _ connection: SQLiteConnection, _ findings: StoreFindings
  ) throws(StoreError) {
    try each(connection, "PRAGMA integrity_check(\(StoreFindings.maximum))") { row in
      let what = row.text(0) ?? "?"
      if what != "ok" { findings.add(StoreFinding("integrity check: \(what)")) }
    }
    let sql = """
      SELECT "table", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2
      """
    try each(connection, sql) { row in
      findings.add(
        StoreFinding(
          table: row.text(0),
          "\(row.integer(2) ?? 0) rows refer to rows of \(row.text(1) ?? "?") that are not there"))
    }
  }

  private static func each(
    _ connection: SQLiteConnection, _ sql: String, _ body: (SQLiteStatement) -> Void
  ) throws(StoreError) {
    try asStoreError { () throws(SQLiteError) in
      let statement = try connection.prepare(sql)
      defer { statement.reset() }
      while try statement.step() { body(statement) }
    }
  }

  private static func checkIncarnations(
    _ connection: SQLiteConnection, _ findings: StoreFindings
  ) throws(StoreError) -> [StoreIncarnation] {
    guard try Incarnations.hasTable(connection) else { return [] }
    let all = try Incarnations.read(connection, "ORDER BY number")
    if all.isEmpty { findings.add(StoreFinding(table: "incarnations", "it is empty")) }
    var last: UInt64 = 0
    for (index, one) in all.enumerated() {
      func wrong(_ what: String) {
        findings.add(StoreFinding(table: "incarnations", row: "\(one.number)", what))
      }
      if one.number != Int64(index + 1) { wrong("does not follow \(index)") }
      if one.firstRevision <= one.inheritedRevision || one.inheritedRevision < last {
        wrong("its revisions do not follow those before")
      }
      if one.state != .current, index + 1 < all.count { wrong("it was never accepted") }
      last = one.firstRevision
    }
    return all
  }

  /// Every row, read as the server reads it, and judged as it does.
  private static func checkRows(
    _ connection: SQLiteConnection, _ revision: UInt64, _ findings: StoreFindings,
    version: Int64
  ) throws(StoreError) {
    let before = findings.all.count
    let reader = StateReader(
      source: connection, json: JSONCoding(), findings: findings,
      hasTokens: version >= Migrations.firstWithTokens,
      hasWorkloads: version >= Migrations.firstWithWorkloads,
      hasDomains: version >= Migrations.firstWithDomains,
      hasConfigurationItems: version >= Migrations.firstWithConfigurationItems,
      hasAuthorities: version >= Migrations.firstWithAuthorities,
      hasRules: version >= Migrations.firstWithRules,
      hasPayers: version >= Migrations.firstWithPayers,
      hasGroups: version >= Migrations.firstWithGroups)
    let stored = StoredState(revision: revision, tables: try reader.tables())
    var unreadable: Set<TenantID> = []
    if findings.all.count > before {
      try each(connection, "SELECT id FROM tenants") { row in
        if let id = row.text(0).flatMap(TenantID.init(parsing:)) { unreadable.insert(id) }
      }
    }
    for error in StateAudit.findings(in: stored, unreadable: unreadable) { findings.add(error) }
    findings.note { () throws(StoreError) in
      let secrets = SecretReader(
        source: connection, json: JSONCoding(), hasPlatform: reader.hasAuthorities)
      // Keys and what they open are the server's to prove: there is no master key here.
      try SecretAudit.check(
        secrets, tenants: stored.tables.first ?? [], authorities: stored.tables.last ?? [], nil)
    }
    if version >= Migrations.firstWithHistories {
      let json = JSONCoding()
      try each(connection, HistoryQuery.all) { row in
        findings.note { () throws(StoreError) in
          _ = try HistoryQuery.entry(row, of: row.text(8) ?? "?", json)
        }
      }
    }
    guard findings.all.count == before else { return }
    // As the server does it: what it would trip over, this trips over.
    let state = ControlState(stored)
    // Of those that are purged the state has the names only.
    let purged = (stored.tables.first ?? []).count { change in
      if case .putTenant(let tenant) = change { tenant.state == .purged } else { false }
    }
    if state.tenantCount + purged != Int(clamping: try StoreCounts(connection).tenants) {
      findings.add(StoreFinding(table: "tenants", "the state has \(state.tenantCount) of them"))
    }
  }
}
