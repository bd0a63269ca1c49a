internal import Tenancy

/// The table `log` and what is kept of it. Keeps its statements.
struct LogTable {
  /// Bytes of changes read in one go, more or less: a log of large entries is read in smaller parts.
  static let readBytes = 1 << 20

  private let json: JSONCoding
  private let lastRevision: SQLiteStatement
  private let insertEntry: SQLiteStatement
  private let selectFloor: SQLiteStatement
  private let raiseFloor: SQLiteStatement
  private let selectEntries: SQLiteStatement
  private let selectOldest: SQLiteStatement
  private let deleteEntries: SQLiteStatement

  init(_ connection: SQLiteConnection, json: JSONCoding) throws(SQLiteError) {
    self.json = json
    lastRevision = try connection.prepare(SQL.lastRevision)
    insertEntry = try connection.prepare(SQL.insertEntry)
    selectFloor = try connection.prepare("SELECT revision FROM log_floor")
    raiseFloor = try connection.prepare(SQL.raiseFloor)
    selectEntries = try connection.prepare(SQL.selectEntries)
    selectOldest = try connection.prepare(
      "SELECT revision, time FROM log ORDER BY revision LIMIT ?1")
    deleteEntries = try connection.prepare("DELETE FROM log WHERE revision <= ?1")
  }

  // MARK: Writing, inside the caller's transaction

  /// The revision that the next entry follows: 0 in a new store.
  func last() throws(StoreError) -> Int64 {
    let revision = try integer(lastRevision)
    guard revision >= 0 else {
      throw StoreError(.corrupt, "table log, row \(revision): not a revision")
    }
    return revision
  }

  func insert(_ entry: LogEntry, revision: Int64) throws(StoreError) {
    let changes = try json.text(entry.changes.map(ChangeDocument.init))
    let tenant = entry.tenants.count == 1 ? entry.tenants.first : nil
    let several = entry.tenants.count > 1 ? try json.text(entry.tenants.map(\.description)) : nil
    try run(
      insertEntry, .integer(revision), .time(entry.time), .text(entry.actor), .text(entry.action),
      tenant.map(SQLiteValue.id) ?? .null, .text(changes), .integer(ChangeDocument.form),
      several.map(SQLiteValue.text) ?? .null)
    if entry.changes.contains(where: \.isRedactedInLog) {
      try run(raiseFloor, .integer(revision), .null)
    }
  }

  func remove(through revision: UInt64) throws(StoreError) {
    let revision = min(Int64(clamping: revision), try last())
    try run(deleteEntries, .integer(revision))
    try run(raiseFloor, .integer(revision), .integer(revision))
  }

  // MARK: Reading

  /// A row whose changes are yet to be decoded.
  struct RawEntry: Sendable {
    fileprivate let mark: LogMark
    fileprivate let form: Int64
    fileprivate let actor, action, changes: String
    fileprivate let tenant, several: String?
  }

  /// - Throws: `.compacted`, `.corrupt` if a row is missing, or what SQLite says.
  func entries(after revision: UInt64, limit: Int) throws(StoreError) -> [RawEntry] {
    let floor = try integer(selectFloor)
    guard floor >= 0 else { throw StoreError(.corrupt, "table log_floor: \(floor)") }
    guard revision >= UInt64(floor) else {
      throw StoreError(
        .compacted(floor: UInt64(floor)), "the log can be followed from revision \(floor) on")
    }
    guard revision < Int64.max, limit > 0 else { return [] }
    defer { selectEntries.reset() }
    try asStoreError { () throws(SQLiteError) in
      try selectEntries.bind([.integer(Int64(revision)), .integer(Int64(limit))])
    }
    var found: [RawEntry] = []
    var bytes = 0
    while bytes < Self.readBytes, try step(selectEntries) {
      let next = revision + UInt64(found.count) + 1
      let row = try rawEntry(selectEntries)
      guard row.mark.revision == next else {
        throw StoreError(.corrupt, "table log, row \(next): is missing")
      }
      bytes += row.changes.utf8.count
      found.append(row)
    }
    return found
  }

  private func rawEntry(_ statement: SQLiteStatement) throws(StoreError) -> RawEntry {
    var row = RowReader(statement, table: "log", keyColumns: 1, json: json)
    return RawEntry(
      mark: LogMark(revision: try row.counter(), time: try row.time()), form: try row.integer(),
      actor: try row.text(), action: try row.text(), changes: try row.text(),
      tenant: try row.optionalText(), several: try row.optionalText())
  }

  /// Needs no database: the writer need not wait for it.
  static func decode(_ row: RawEntry, _ json: JSONCoding) throws(StoreError) -> LogEntry {
    func corruption(_ what: String) -> StoreError {
      StoreError(.corrupt, "table log, row \(row.mark.revision): \(what)")
    }
    guard row.form == ChangeDocument.form else {
      throw corruption("form \(row.form), this program knows \(ChangeDocument.form)")
    }
    let names = try row.several.map { (text) throws(StoreError) in
      guard let names = json.decode([String].self, text) else {
        throw corruption("its tenants do not parse")
      }
      return names
    }
    let tenants = (names ?? row.tenant.map { [$0] } ?? []).map(TenantID.init(parsing:))
    guard tenants.allSatisfy({ $0 != nil }) else { throw corruption("its tenants do not parse") }
    return LogEntry(
      revision: row.mark.revision, time: row.mark.time, actor: row.actor, action: row.action,
      tenants: tenants.compactMap(\.self), changes: try changes(row.changes, json, corruption))
  }

  private static func changes(
    _ text: String, _ json: JSONCoding, _ corruption: (String) -> StoreError
  ) throws(StoreError) -> [Change] {
    do {
      return try json.value([ChangeDocument].self, text).map(\.change)
    } catch ChangeDecodingError.redacted {
      throw corruption("a secret was left out of its changes, above the log's floor")
    } catch {
      // What is wrong is not told: it may quote what tenants have set.
      throw corruption("its changes do not parse")
    }
  }

  func oldest(limit: Int) throws(StoreError) -> [LogMark] {
    defer { selectOldest.reset() }
    try asStoreError { () throws(SQLiteError) in
      try selectOldest.bind([.integer(Int64(limit))])
    }
    var marks: [LogMark] = []
    while try step(selectOldest) {
      var row = RowReader(selectOldest, table: "log", keyColumns: 1, json: json)
      marks.append(LogMark(revision: try row.counter(), time: try row.time()))
    }
    return marks
  }

  // MARK: Statements

  private func step(_ statement: SQLiteStatement) throws(StoreError) -> Bool {
    try asStoreError { () throws(SQLiteError) in try statement.step() }
  }

  private func integer(_ statement: SQLiteStatement) throws(StoreError) -> Int64 {
    defer { statement.reset() }
    // Each has one row.
    return try step(statement) ? statement.integer(0) : 0
  }

  private func run(_ statement: SQLiteStatement, _ values: SQLiteValue...) throws(StoreError) {
    try asStoreError { () throws(SQLiteError) in try statement.run(values) }
  }
}

/// The ends of the log, as they must be in a file that only this program has written. What is between them
/// is told when it is read.
enum LogBounds {
  /// - Returns: the last revision.
  static func check(_ connection: SQLiteConnection) throws(StoreError) -> UInt64 {
    let (rows, first, last, floors, floor, removed) = try asStoreError { () throws(SQLiteError) in
      (
        try connection.integer("SELECT EXISTS (SELECT * FROM log)") == 1,
        try connection.integer("SELECT min(revision) FROM log"),
        try connection.integer("SELECT max(revision) FROM log"),
        try connection.integer("SELECT count(*) FROM log_floor"),
        try connection.integer("SELECT revision FROM log_floor"),
        try connection.integer("SELECT removed FROM log_floor")
      )
    }
    guard floors == 1, 0 <= removed, removed <= floor else {
      throw StoreError(.corrupt, "table log_floor: \(floors) rows, \(removed) to \(floor)")
    }
    guard rows else {
      guard removed == floor else {
        throw StoreError(.corrupt, "table log: the revisions after \(removed) are missing")
      }
      return UInt64(floor)
    }
    guard let revision = UInt64(exactly: last) else {
      throw StoreError(.corrupt, "table log, row \(last): not a revision")
    }
    guard first == removed + 1 else {
      throw StoreError(.corrupt, "table log, row \(first): does not follow \(removed)")
    }
    guard last >= floor else {
      throw StoreError(.corrupt, "table log, row \(last): the revisions up to \(floor) are missing")
    }
    return revision
  }
}

private enum SQL {
  static let lastRevision = """
    SELECT max(coalesce((SELECT max(revision) FROM log), 0), (SELECT revision FROM log_floor))
    """

  static let insertEntry = """
    INSERT INTO log (revision, time, actor, action, tenant_id, changes, form, tenant_ids)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    """

  static let selectEntries = """
    SELECT revision, time, form, actor, action, changes, tenant_id, tenant_ids
    FROM log WHERE revision > ?1 ORDER BY revision LIMIT ?2
    """

  static let raiseFloor = """
    UPDATE log_floor
    SET revision = max(revision, ?1), removed = max(removed, coalesce(?2, removed))
    """
}
