internal import Tenancy

/// Reads the table `log`, inside the caller's transaction.
struct LogReader<Source: RowSource> {
  let source: Source
  let json: JSONCoding

  /// The ends of the log, as they must be where only this program has written. What is between them is told
  /// when it is read.
  /// - Parameter revision: the last one, where it is known otherwise.
  /// - Returns: the last revision.
  func checkBounds(last revision: Int64? = nil) throws(StoreError) -> UInt64 {
    let ends = try ends()
    let (floor, removed) = (ends.floor, ends.removed)
    guard ends.floors == 1, 0 <= removed, removed <= floor else {
      throw StoreError(.corrupt, "table log_floor: \(ends.floors) rows, \(removed) to \(floor)")
    }
    let last = ends.last ?? floor
    guard let checked = UInt64(exactly: last) else {
      throw StoreError(.corrupt, "table log, row \(last): not a revision")
    }
    guard ends.first.map({ $0 &- 1 }) ?? floor == removed else {
      throw StoreError(
        .corrupt, "table log, row \(ends.first ?? floor): the revisions before it are missing")
    }
    guard last >= floor, last == revision ?? last else {
      let expected = revision ?? floor
      throw StoreError(.corrupt, "table log ends at \(last), but the last revision is \(expected)")
    }
    return checked
  }

  struct Ends {
    let first, last: Int64?
    let floors, floor, removed: Int64
  }

  func ends() throws(StoreError) -> Ends {
    let sql = """
      SELECT (SELECT min(revision) FROM log), (SELECT max(revision) FROM log),
        (SELECT count(*) FROM log_floor), (SELECT max(revision) FROM log_floor),
        (SELECT max(removed) FROM log_floor)
      """
    var ends = Ends(first: nil, last: nil, floors: 0, floor: 0, removed: 0)
    try source.readRows(sql) { (row: Source.Row) throws(StoreError) -> Void in
      ends = Ends(
        first: row.isNull(0) ? nil : row.integer(0), last: row.isNull(1) ? nil : row.integer(1),
        floors: row.integer(2) ?? 0, floor: row.integer(3) ?? 0, removed: row.integer(4) ?? 0)
    }
    return ends
  }

  /// Consecutive entries behind a revision, fewer than asked for if they are large.
  /// - Throws: `.compacted`, or `.corrupt` if a row is missing or does not parse.
  func entries(after revision: UInt64, limit: Int) throws(StoreError) -> [LogRow] {
    let floor = try ends().floor
    guard floor >= 0 else { throw StoreError(.corrupt, "table log_floor: \(floor)") }
    guard revision >= UInt64(floor) else {
      throw StoreError(
        .compacted(floor: UInt64(floor)), "the log can be followed from revision \(floor) on")
    }
    guard revision < Int64.max, limit > 0 else { return [] }
    let sql = """
      SELECT \(LogRow.columns) FROM log WHERE revision > \(revision) ORDER BY revision LIMIT \(limit)
      """
    var (found, bytes): ([LogRow], Int) = ([], 0)
    try source.readRows(
      sql,
      while: { (row: Source.Row) throws(StoreError) -> Bool in
        let next = revision + UInt64(found.count) + 1
        var reader = RowReader(row, table: "log", keyColumns: 1, json: json)
        let entry = try LogRow(&reader)
        guard entry.mark.revision == next else {
          throw StoreError(.corrupt, "table log, row \(next): is missing")
        }
        bytes += entry.changes.utf8.count
        found.append(entry)
        return bytes < LogRow.bytesPerRead
      })
    return found
  }

  /// Entries that put a tenant, behind a revision and up to another.
  /// - Returns: at most `limit` of them, fewer if they are large, and up to which revision these are all.
  /// - Throws: as `entries`.
  func puts(
    of tenant: TenantID, after revision: UInt64, through last: UInt64, limit: Int
  ) throws(StoreError) -> (rows: [LogRow], end: UInt64) {
    let floor = try ends().floor
    guard revision >= UInt64(clamping: floor) else {
      throw StoreError(
        .compacted(floor: UInt64(clamping: floor)),
        "the log can be followed from revision \(floor) on")
    }
    guard revision < last, limit > 0 else { return ([], revision) }
    var found: [LogRow] = []
    for concern in Self.concerns(tenant) {
      let sql = """
        SELECT \(LogRow.columns) FROM log WHERE \(concern) AND \(LogIndexes.puts)
          AND revision > \(Int64(clamping: revision)) AND revision <= \(Int64(clamping: last))
        ORDER BY revision LIMIT \(limit)
        """
      try source.readRows(sql) { (row: Source.Row) throws(StoreError) -> Void in
        var reader = RowReader(row, table: "log", keyColumns: 1, json: json)
        found.append(try LogRow(&reader))
      }
    }
    found.sort { $0.mark.revision < $1.mark.revision }
    var (count, bytes) = (0, 0)
    while count < min(limit, found.count), bytes < LogRow.bytesPerRead {
      // In range: below their number.
      bytes += found[count].changes.utf8.count
      count += 1
    }
    let isAll = count == found.count && count < limit
    let rows = Array(found.prefix(count))
    return (rows, isAll ? last : rows.last?.mark.revision ?? revision)
  }

  /// The same of one tenant, or of all.
  func part(
    of tenant: TenantID?, after revision: UInt64, through last: UInt64, limit: Int
  ) throws(StoreError) -> (rows: [LogRow], end: UInt64) {
    if let tenant { return try puts(of: tenant, after: revision, through: last, limit: limit) }
    let most = min(UInt64(clamping: limit), last > revision ? last - revision : 0)
    let rows = try entries(after: revision, limit: Int(clamping: most))
    return (rows, rows.last?.mark.revision ?? revision)
  }

  /// Entries about one tenant alone, and those about several.
  static func concerns(_ tenant: TenantID) -> [String] {
    // In canonical text: nothing in it is more than a letter to a database.
    ["tenant_id = '\(tenant)'", "tenant_ids IS NOT NULL AND tenant_ids LIKE '%\"\(tenant)\"%'"]
  }

  /// The entry that puts a tenant, next to a moment.
  /// - Throws: `.compacted`, or `.corrupt` if a row does not parse.
  func tenantEntry(_ query: TenantLogQuery) throws(StoreError) -> LogRow? {
    let floor = try ends().floor
    if try begins(at: floor, after: query.moment) {
      throw StoreError(
        .compacted(floor: UInt64(clamping: floor)), "the log begins at revision \(floor)")
    }
    var found: LogRow?
    for concern in Self.concerns(query.tenant) {
      // No nearer one of several tenants is farther away than one of this alone.
      let nearer = found.map { "AND revision \(query.isLater ? "<" : ">") \($0.mark.revision)" }
      let sql = """
        SELECT \(LogRow.columns) FROM log WHERE \(concern) AND revision > \(floor)
          AND \(query.condition) \(nearer ?? "") AND \(LogIndexes.puts)
        ORDER BY revision \(query.isLater ? "ASC" : "DESC") LIMIT 1
        """
      try source.readRows(sql) { (row: Source.Row) throws(StoreError) -> Void in
        var reader = RowReader(row, table: "log", keyColumns: 1, json: json)
        found = try LogRow(&reader)
      }
    }
    return found
  }

  /// Whether what can be followed begins behind a moment.
  private func begins(at floor: Int64, after moment: LogMoment) throws(StoreError) -> Bool {
    guard floor > 0 else { return false }
    switch moment {
    case .revision(let revision): return revision < UInt64(clamping: floor)
    case .time(let time):
      var first: Timestamp?
      let sql = "SELECT revision, time FROM log WHERE revision > \(floor) ORDER BY revision LIMIT 1"
      try source.readRows(sql) { (row: Source.Row) throws(StoreError) -> Void in
        var reader = RowReader(row, table: "log", keyColumns: 1, json: json)
        _ = try reader.counter()
        first = try reader.time()
      }
      return first.map { time < $0 } ?? true
    }
  }

  /// The begin of the log, also of what can't be followed any more.
  func oldest(limit: Int) throws(StoreError) -> [LogMark] {
    let sql = "SELECT revision, time FROM log ORDER BY revision LIMIT \(max(0, limit))"
    var marks: [LogMark] = []
    try source.readRows(sql) { (row: Source.Row) throws(StoreError) -> Void in
      var reader = RowReader(row, table: "log", keyColumns: 1, json: json)
      marks.append(LogMark(revision: try reader.counter(), time: try reader.time()))
    }
    return marks
  }
}

/// A row of the log whose changes are yet to be decoded: that needs no database, so that no write waits.
struct LogRow: Sendable {
  /// Of changes, more or less: a log of large entries is read in smaller parts.
  static let bytesPerRead = 1 << 20

  static let columns = "revision, time, form, actor, action, changes, tenant_id, tenant_ids"

  let mark: LogMark
  private let form: Int64
  private let actor, action: String
  fileprivate let changes: String
  private let tenant, several: String?

  init(_ row: inout RowReader<some TableRow>) throws(StoreError) {
    mark = LogMark(revision: try row.counter(), time: try row.time())
    form = try row.integer()
    actor = try row.text()
    action = try row.text()
    changes = try row.text()
    tenant = try row.optionalText()
    several = try row.optionalText()
  }

  /// - Throws: `.corrupt`.
  func entry(_ json: JSONCoding) throws(StoreError) -> LogEntry {
    guard form == ChangeDocument.form else {
      throw corruption("form \(form), this program knows \(ChangeDocument.form)")
    }
    return LogEntry(
      revision: mark.revision, time: mark.time, actor: actor, action: action,
      tenants: try tenants(json), changes: try decodedChanges(json))
  }

  /// - Throws: `.corrupt`.
  func tenants(_ json: JSONCoding) throws(StoreError) -> [TenantID] {
    var names = tenant.map { [$0] } ?? []
    if let several {
      guard let list = json.decode([String].self, several) else {
        throw corruption("its tenants do not parse")
      }
      names = list
    }
    let tenants = names.compactMap(TenantID.init(parsing:))
    guard tenants.count == names.count else { throw corruption("its tenants do not parse") }
    return tenants
  }

  private func decodedChanges(_ json: JSONCoding) throws(StoreError) -> [Change] {
    do {
      return try json.value([ChangeDocument].self, changes).map(\.change)
    } catch ChangeDecodingError.redacted {
      throw corruption("a secret was left out of its changes, above the log's floor")
    } catch {
      // What is wrong is not told: it may quote what tenants have set.
      throw corruption("its changes do not parse")
    }
  }

  private func corruption(_ what: String) -> StoreError {
    StoreError(corrupt: StoreError.Place(table: "log", row: "\(mark.revision)", what: what))
  }
}

extension TenantLogQuery {
  /// Of rows that come into question.
  fileprivate var condition: String {
    switch moment {
    case .revision(let revision): "revision \(isLater ? ">" : "<=") \(Int64(clamping: revision))"
    case .time(let time): "time \(isLater ? ">" : "<=") \(time.nanoseconds)"
    }
  }
}

/// How the entries about one tenant are found.
enum LogIndexes {
  /// That an entry puts a tenant, in the words of the index: other words would not find it.
  static let puts = "changes LIKE '%\"change\":\"putTenant\"%'"

  /// Only those that put a tenant are asked for: what else was done to it costs nothing.
  static let ofPuts = """
    DROP INDEX IF EXISTS log_tenant;
    CREATE INDEX IF NOT EXISTS log_puts ON log (tenant_id, revision, time) WHERE tenant_id IS NOT NULL AND \(puts);
    DROP INDEX IF EXISTS log_several;
    CREATE INDEX IF NOT EXISTS log_several ON log (revision)
      WHERE tenant_ids IS NOT NULL AND \(puts);
    """

  static let all = """
    CREATE INDEX IF NOT EXISTS log_tenant ON log (tenant_id, revision) WHERE tenant_id IS NOT NULL;
    CREATE INDEX IF NOT EXISTS log_several ON log (revision) WHERE tenant_ids IS NOT NULL;
    """
}

extension [LogRow] {
  /// Outside of any lock, which others may wait for.
  func entries(_ json: JSONCoding) throws(StoreError) -> [LogEntry] {
    var entries: [LogEntry] = []
    entries.reserveCapacity(count)
    for row in self { entries.append(try row.entry(json)) }
    return entries
  }
}
