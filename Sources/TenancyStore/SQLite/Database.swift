internal import CTenancySQLite
internal import Tenancy
import TenancyDatabase

/// An open database of the latest version, with all settings made.
struct Database {
  let connection: SQLiteConnection
  private let json = JSONCoding()
  private let runner: SQLiteStateRunner
  private let sealer: (any SecretSealer)?

  /// - Parameter sealer: takes in the data keys.
  init(path: String, sealer: (any SecretSealer)?) throws(StoreError) {
    let connection = try asStoreError { () throws(SQLiteError) in
      try SQLiteConnection(path: path)
    }
    self.connection = connection
    self.sealer = sealer
    try asStoreError { () throws(SQLiteError) in
      try connection.execute(Self.settings)
    }
    try Migrations.check(connection)
    try Self.makeDurable(connection)
    try Migrations.run(on: connection, sealer: sealer)
    try asStoreError { () throws(SQLiteError) in try Self.syncRecovered(connection) }
    try SecretAudit.installKeys(of: SecretReader(source: connection, json: json), in: sealer)
    runner = try asStoreError { () throws(SQLiteError) in try SQLiteStateRunner(connection) }
  }

  /// - Throws: `.unavailable` unless it may be served.
  func firstIncarnation() throws(StoreError) -> String? {
    try Incarnations.read(connection, "ORDER BY number LIMIT 1").first?.id
  }

  func incarnation(_ path: String) throws(StoreError) -> StoreIncarnation {
    try Incarnations.requireCurrent(connection, path)
  }

  /// Inside one read transaction, so that another process' writes do not show halfway.
  /// - Parameter isAudited: whether rows that parse are held to what writes promise.
  func load(audited isAudited: Bool) throws(StoreError) -> StoredState {
    try asStoreError { () throws(SQLiteError) in try connection.execute("BEGIN") }
    let result = Result { () throws(StoreError) in
      let reader = StateReader(source: connection, json: json)
      return try reader.read(
        revision: try log.checkBounds(), audited: isAudited, sealer: sealer)
    }
    // Ends a transaction that only read.
    try asStoreError { () throws(SQLiteError) in
      if connection.isInTransaction { try connection.execute("ROLLBACK") }
    }
    return try result.get()
  }

  private var secrets: SecretReader<SQLiteConnection> {
    SecretReader(source: connection, json: json)
  }

  func secret(at place: SecretPlace) throws(StoreError) -> StoredSecret? {
    try secrets.secret(at: place)
  }

  func dataKeys() throws(StoreError) -> [WrappedDataKey] { try secrets.dataKeys() }

  private var log: LogReader<SQLiteConnection> { LogReader(source: connection, json: json) }

  func entries(after revision: UInt64, limit: Int) throws(StoreError) -> [LogRow] {
    try log.entries(after: revision, limit: limit)
  }

  func oldestEntries(limit: Int) throws(StoreError) -> [LogMark] { try log.oldest(limit: limit) }

  func compact(through revision: UInt64) throws(StoreError) {
    try commit { () throws(StoreError) in
      var runner = runner
      let revision = min(Int64(clamping: revision), try runner.storedRevision())
      try StateWriter(json: json).compact(through: revision, with: &runner)
    }
  }

  func leases(limit: Int) throws(StoreError) -> [StoredLease] {
    try LeaseReader(source: connection, json: json).leases(.sqlite, limit: limit)
  }

  func renew(_ lease: Lease, lasting duration: Duration) throws(StoreError) {
    try commit { () throws(StoreError) in
      var runner = runner
      try StateWriter(json: json).hold(lease, lasting: duration, with: &runner)
    }
  }

  /// Adds a batch in one transaction.
  func append(_ entries: [LogEntry], audit: AuditBatch? = nil) throws(StoreError) {
    guard !entries.isEmpty || audit != nil else { return }
    try commit { () throws(StoreError) in
      var runner = runner
      let writer = StateWriter(json: json)
      try writer.write(entries, after: try runner.storedRevision(), to: &runner)
      if let audit {
        let ends = try runner.auditEnds(of: audit.chains)
        try writer.write(audit, after: ends, to: &runner)
      }
    }
  }

  func trimAudit(_ trims: [AuditTrim], _ hold: LeaseHold?) throws(StoreError) {
    try commit { () throws(StoreError) in
      var runner = runner
      try StateWriter(json: json).trim(trims, hold, with: &runner)
    }
  }

  /// Commits the first page as it is: a number in it is written again.
  func checkWritable() throws(StoreError) {
    try commit { () throws(StoreError) in
      try asStoreError { () throws(SQLiteError) in try Migrations.rewriteVersion(connection) }
    }
  }

  func commit(_ body: () throws(StoreError) -> Void) throws(StoreError) {
    try asStoreError { () throws(SQLiteError) in try connection.execute("BEGIN IMMEDIATE") }
    do {
      try body()
    } catch {
      try rollBack(after: error)
    }
    do {
      try connection.execute("COMMIT")
    } catch {
      guard Self.provesNothingCommitted(error) else {
        throw StoreError(.unknownOutcome, error.description)
      }
      try rollBack(after: StoreError(error))
    }
  }

  /// Whether a failed COMMIT surely left nothing. A broken foreign key and a lock held by another are
  /// found before anything is written. A full disk stops the writing of the log before its last frame,
  /// which is the one that commits, is complete. After an I/O error that frame may be there.
  private static func provesNothingCommitted(_ error: SQLiteError) -> Bool {
    switch error.primaryCode {
    case SQLITE_CONSTRAINT, SQLITE_BUSY, SQLITE_FULL: true
    default: false
    }
  }

  private func rollBack(after error: StoreError) throws(StoreError) -> Never {
    do {
      // After some errors SQLite has done it by itself.
      if connection.isInTransaction { try connection.execute("ROLLBACK") }
    } catch let failure {
      throw StoreError(.unknownOutcome, "\(failure.description), after: \(error.description)")
    }
    throw error
  }

  /// `trusted_schema=OFF` and `cell_size_check=ON`: a damaged or doctored file is met with care.
  /// `cache_size=-512` (KiB): reads are answered from our own memory, writes touch few pages.
  /// `secure_delete=ON`: what was deleted does not linger in free space.
  private static let settings = """
    PRAGMA cache_size = -512;
    PRAGMA busy_timeout = 5000;
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
    PRAGMA foreign_keys = ON;
    PRAGMA secure_delete = ON;
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 1000;
    """

  /// Makes everything that can be read durable: a commit cut short by a crash may be in the page cache
  /// only. A checkpoint syncs the log, then copies it into the file and syncs that.
  private static func syncRecovered(_ connection: SQLiteConnection) throws(SQLiteError) {
    do {
      // Another process that reads the file at this moment, such as a shell, keeps the log from being
      // emptied, which is no error, but not from being synced.
      try connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    } catch  where error.primaryCode == SQLITE_FULL {
      // There was no room for the copying; the log is synced by then. What is stored can be read.
    }
  }

  /// Durability rests on the first two, so SQLite's answer is checked: on a file system without shared
  /// memory, for instance, it would silently stay in another mode.
  private static func makeDurable(_ connection: SQLiteConnection) throws(StoreError) {
    let (journal, synchronous, foreignKeys) = try asStoreError { () throws(SQLiteError) in
      (
        try connection.text("PRAGMA journal_mode = WAL"),
        try connection.integer("PRAGMA synchronous"),
        try connection.integer("PRAGMA foreign_keys")
      )
    }
    guard journal == "wal", synchronous == 2, foreignKeys == 1 else {
      throw StoreError(
        .unavailable,
        "SQLite does not accept the settings: journal_mode=\(journal), "
          + "synchronous=\(synchronous), foreign_keys=\(foreignKeys)")
    }
  }
}
