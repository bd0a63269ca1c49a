internal import Tenancy
import TenancyDatabase

/// Reads audit records, what was, and histories of configurations, by a connection of its own, which sees what is
/// committed and keeps no write waiting: in WAL mode neither waits for the other. Not thread-safe.
final class SQLiteAuditReader {
  private let connection: SQLiteConnection
  private let head: SQLiteStatement
  private let page: SQLiteStatement
  /// Of chains.
  private let old, long, ends: SQLiteStatement
  /// Of configurations.
  private let history, historyBegin: SQLiteStatement
  private let json = JSONCoding()

  /// The database must be open, by whoever writes: it has been recovered then.
  init(path: String) throws(StoreError) {
    (connection, head, page, old, long, ends, history, historyBegin) = try asStoreError {
      () throws(SQLiteError) in
      let connection = try SQLiteConnection(reading: path, isStill: false)
      try connection.execute(Self.settings)
      return (
        connection, try connection.prepare(AuditQuery.head(.sqlite)),
        try connection.prepare(AuditQuery.page(.sqlite)),
        try connection.prepare(AuditQuery.old(.sqlite)),
        try connection.prepare(AuditQuery.long(.sqlite)),
        try connection.prepare(AuditQuery.ends(.sqlite)),
        try connection.prepare(HistoryQuery.page(.sqlite)),
        try connection.prepare(HistoryQuery.begin)
      )
    }
  }

  /// As those of `Database`: a damaged or doctored file is met with care.
  private static let settings = """
    PRAGMA cache_size = -512;
    PRAGMA busy_timeout = 5000;
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
    """

  /// Reads several things of one moment: a compaction between them would be an answer with gaps.
  func atOnce<Result>(_ body: () throws(StoreError) -> Result) throws(StoreError) -> Result {
    try asStoreError { () throws(SQLiteError) in try connection.execute("BEGIN") }
    let result: Result
    do throws(StoreError) {
      result = try body()
    } catch {
      // It has read only; one that does not end is noticed by whoever begins the next.
      try? connection.execute("ROLLBACK")
      throw error
    }
    try asStoreError { () throws(SQLiteError) in try connection.execute("COMMIT") }
    return result
  }

  /// The log, as it is committed.
  func log(_ json: JSONCoding) -> LogReader<SQLiteConnection> {
    LogReader(source: connection, json: json)
  }

  func auditHead(of chain: AuditChain) throws(StoreError) -> AuditHead? {
    var found: AuditHead?
    try head.read([.text(chain.description)]) { row throws(StoreError) in
      found = try AuditQuery.head(row, of: chain)
      return false
    }
    return found
  }

  func dueAuditBegins(
    before moment: Timestamp?, longerThan length: AuditLength?, limit: Int
  ) throws(StoreError) -> [AuditBegin] {
    var found: [AuditBegin] = []
    for (statement, values) in AuditQuery.bounds(moment, length, limit: limit, old, long) {
      try statement.read(values) { row throws(StoreError) in
        found.append(try AuditQuery.begin(row))
        return true
      }
    }
    return AuditQuery.each(found)
  }

  func auditEnds(after chain: AuditChain?, limit: Int) throws(StoreError) -> [AuditEnd] {
    var found: [AuditEnd] = []
    let values: [SQLValue] = [.text(chain?.description ?? ""), .integer(Int64(limit))]
    try ends.read(values) { row throws(StoreError) in
      found.append(try AuditQuery.end(row))
      return true
    }
    return found
  }

  func auditRecords(
    of chain: AuditChain, after sequence: UInt64, limit: Int
  ) throws(StoreError) -> [StoredAuditRecord] {
    var (records, bytes): ([StoredAuditRecord], Int) = ([], 0)
    let values: [SQLValue] = [
      .text(chain.description), .integer(Int64(clamping: sequence)), .integer(Int64(limit)),
    ]
    try page.read(values) { row throws(StoreError) in
      let record = try AuditQuery.record(row, of: chain)
      records.append(record)
      bytes += record.bytes.count
      return bytes < AuditQuery.maximumPageBytes
    }
    return records
  }
}

extension SQLiteAuditReader {
  func configurationHistory(
    of owner: ConfigurationOwner, before place: UInt64?, limit: Int
  ) throws(StoreError) -> [RecordedEdit] {
    var (entries, bytes): ([RecordedEdit], UInt64) = ([], 0)
    try history.read(HistoryQuery.values(owner, place, limit)) { row throws(StoreError) in
      let entry = try HistoryQuery.entry(row, of: owner.text, json)
      entries.append(entry)
      bytes += entry.bytes
      return bytes < HistoryQuery.maximumPageBytes
    }
    return entries
  }

  func operations(of tenant: TenantID) throws(StoreError) -> [TenantOperation] {
    try OperationReader(source: connection, json: json).operations(of: tenant)
  }

  func configurationHistoryBegin() throws(StoreError) -> UInt64 {
    var begin: UInt64 = 0
    try historyBegin.read([]) { row throws(StoreError) in
      begin = UInt64(clamping: row.integer(0) ?? 0)
      return false
    }
    return begin
  }
}

extension SQLiteStatement {
  /// Runs it, and ends when `body` says so.
  func read(
    _ values: [SQLValue], while body: (SQLiteStatement) throws(StoreError) -> Bool
  ) throws(StoreError) {
    defer { reset() }
    try asStoreError { () throws(SQLiteError) in try bind(values) }
    while try asStoreError({ () throws(SQLiteError) in try step() }) {
      guard try body(self) else { return }
    }
  }
}
