internal import Synchronization
public import Tenancy
import TenancyDatabase

/// The control plane in one schema of a PostgreSQL database, which several nodes may share.
///
/// How it keeps the promises of `ControlStore`: a batch is one transaction that first locks the one row
/// with the last revision, so that revisions are consecutive and visible in order, on all nodes. A commit
/// is acknowledged when the server's disk has it and, where the server is told to wait for a standby, the
/// standby's. Where it stays open whether that is so (the connection was lost, or the wait was cancelled,
/// which the server reports as a success with a warning), the outcome is unknown, and `load` and `entries`
/// tell: what they have read they return only after a commit of their own, which is as durable and comes
/// after.
///
/// Every wait ends: `append` takes two answers at most, each `statementTimeout` and two seconds, and the
/// time to connect. There are up to four connections, so that reading the log does not wait for a write, neither it
/// nor a lease for who reads audit records, and requests' limits for none of them.
public final class PostgreSQLStore: AuditedStore {
  let configuration: PostgreSQLConfiguration
  private let isAudited: Bool
  private let sealer: (any SecretSealer)?
  private let json = JSONCoding()
  /// Absent when the store is closed.
  let writer: Mutex<PostgreSQLSession?>
  private let reader: Mutex<PostgreSQLSession?>
  /// Connects when it is first needed.
  let auditReader: Mutex<PostgreSQLSession?>
  /// Connects when it is first needed.
  let ledger: Mutex<PostgreSQLSession?>
  private let seen = Mutex(Seen())

  private struct Seen {
    /// What this store has seen to be durable: a database that has less has lost it.
    var durable: Int64 = 0
    var storeID: String?
  }

  /// Connects, makes the schema when it is missing, and takes the steps to its newest version.
  /// - Parameter sealer: takes in the store's data keys.
  /// - Throws: `StoreError`: `.corrupt` when the schema is newer or not ours, `.unavailable` also if there are
  ///   secrets and no sealer or not the one that they were sealed by.
  public convenience init(
    _ configuration: PostgreSQLConfiguration, sealer: (any SecretSealer)? = nil
  ) throws(StoreError) {
    try self.init(configuration, sealer: sealer, isAudited: true)
  }

  /// - Parameter isAudited: whether loading refuses rows that no command can have made. The promises of
  ///   `ControlStore` hold for all others as well.
  init(
    _ configuration: PostgreSQLConfiguration, sealer: (any SecretSealer)? = nil, isAudited: Bool
  ) throws(StoreError) {
    if let problem = configuration.problem { throw StoreError(.unavailable, problem) }
    self.configuration = configuration
    self.isAudited = isAudited
    self.sealer = sealer
    let reach = PostgreSQLReach()
    var session = PostgreSQLSession(
      configuration, statements: PostgreSQLBatch.statements, reach: reach)
    try session.withConnection { _ throws(StoreError) in }
    writer = Mutex(session)
    reader = Mutex(PostgreSQLSession(configuration, statements: [], reach: reach))
    auditReader = Mutex(PostgreSQLSession(configuration, statements: [], reach: reach))
    ledger = Mutex(PostgreSQLSession(configuration, statements: [], reach: reach))
    try withSecrets { secrets throws(StoreError) in
      try SecretAudit.installKeys(of: secrets, in: sealer)
    }
  }

  public var incarnationID: String { seen.withLock { $0.storeID ?? "" } }

  public func close() {
    writer.withLock { $0 = nil }
    reader.withLock { $0 = nil }
    auditReader.withLock { $0 = nil }
    ledger.withLock { $0 = nil }
  }

  func withConnection<Result: Sendable>(
    of session: borrowing Mutex<PostgreSQLSession?>,
    _ body: (PostgreSQLConnection) throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    try session.withLock { (held: inout PostgreSQLSession?) throws(StoreError) -> Result in
      guard var session = held else { throw StoreError(.unavailable, "the store is closed") }
      defer { held = session }
      do throws(StoreError) {
        return try session.withConnection(body)
      } catch {
        // It may be the wrong server: the next connection finds the one that takes writes.
        if error.code == .corrupt { session.letGo() }
        throw error
      }
    }
  }

  func batch(_ connection: PostgreSQLConnection) -> PostgreSQLBatch {
    PostgreSQLBatch(connection: connection, configuration: configuration)
  }

  /// Whether it is the store that this one has worked on so far.
  func check(_ row: RevisionRow) throws(StoreError) {
    try check(row, against: seen.withLock { $0.durable })
  }

  /// - Parameter durable: the revision that was known to be durable before the row was read: while it is read,
  ///   more may become durable.
  private func check(_ row: RevisionRow, against durable: Int64) throws(StoreError) {
    guard row.schemaVersion <= PostgreSQLMigrations.latest else {
      throw StoreError(
        .corrupt,
        "the database's schema \(configuration.schema) has version \(row.schemaVersion) by now; this "
          + "program, \(Version.text), knows up to \(PostgreSQLMigrations.latest): run the newer one"
      )
    }
    let isSame = seen.withLock { seen in
      if seen.storeID == nil { seen.storeID = row.storeID }
      return seen.storeID == row.storeID
    }
    guard isSame else {
      throw StoreError(.corrupt, "another store is in the place of the one that was there")
    }
    guard row.revision >= durable else {
      throw StoreError(
        .corrupt,
        "the database has gone back to revision \(row.revision), \(durable) was there: writes are "
          + "lost, or it is an older copy")
    }
  }

  private func setDurable(_ revision: UInt64) {
    seen.withLock { $0.durable = max($0.durable, Int64(clamping: revision)) }
  }

  // MARK: Writing

  public func append(_ entries: [LogEntry]) throws(StoreError) {
    guard let last = entries.last else { return }
    var recorder = StatementRecorder()
    // Before anything is locked.
    let first = try PostgreSQLBatch.record(entries, in: &recorder)
    try withConnection(of: writer) { connection throws(StoreError) in
      try batch(connection).write(
        recorder.steps, after: first, to: Int64(clamping: last.revision), check: check)
    }
    setDurable(last.revision)
  }

  public func append(_ entries: [LogEntry], audit: AuditBatch) throws(StoreError) {
    guard !entries.isEmpty || !audit.chains.isEmpty else { return }
    try withConnection(of: writer) { connection throws(StoreError) in
      try batch(connection).write(entries, audit: audit, check: check)
    }
    if let last = entries.last { setDurable(last.revision) }
  }

  public func compact(through revision: UInt64) throws(StoreError) {
    try withConnection(of: writer) { connection throws(StoreError) in
      try batch(connection).compact(through: Int64(clamping: revision), check: check)
    }
  }

  /// What is read after it has at least its revision, or is refused: the connection for reading may still be
  /// to a server that was deposed, which would let itself be read for ever.
  public func checkWritable() throws(StoreError) {
    let revision = try withConnection(of: writer) { connection throws(StoreError) in
      try batch(connection).touch(check: check)
    }
    setDurable(UInt64(revision))
  }

  // MARK: Reading

  public func load() throws(StoreError) -> StoredState {
    try withConnection(of: writer) { connection throws(StoreError) in
      let stored = try read(connection) { row throws(StoreError) in
        let revision = try log(connection).checkBounds(last: row.revision)
        let rows = PostgreSQLRows(connection: connection, timeout: configuration.answerTimeout)
        // Another node may have made keys since.
        try SecretAudit.installKeys(of: SecretReader(source: rows, json: json), in: sealer)
        return try StateReader(source: rows, json: json).read(
          revision: revision, audited: isAudited, sealer: sealer)
      }
      try prove(stored.revision, connection)
      return stored
    }
  }

  public func entries(after revision: UInt64, limit: Int) throws(StoreError) -> [LogEntry] {
    let rows = try withConnection(of: reader) { connection throws(StoreError) in
      let rows = try read(connection) { _ throws(StoreError) in
        try log(connection).entries(after: revision, limit: limit)
      }
      if let last = rows.last?.mark.revision { try prove(last, connection) }
      return rows
    }
    return try rows.entries(json)
  }

  public func pastEntries(
    of tenant: TenantID?, after revision: UInt64, through last: UInt64, limit: Int
  ) throws(StoreError) -> LogPart {
    let (rows, end) = try withConnection(of: auditReader) { connection throws(StoreError) in
      let part = try read(connection) { _ throws(StoreError) in
        try log(connection).part(of: tenant, after: revision, through: last, limit: limit)
      }
      try prove(part.end, connection)
      return part
    }
    return LogPart(entries: try rows.entries(json), end: end)
  }

  public func tenantEntry(_ query: TenantLogQuery) throws(StoreError) -> LogEntry? {
    let row = try withConnection(of: auditReader) { connection throws(StoreError) in
      let row = try read(connection) { _ throws(StoreError) in
        try log(connection).tenantEntry(query)
      }
      if let row { try prove(row.mark.revision, connection) }
      return row
    }
    return try row?.entry(json)
  }

  public func oldestEntries(limit: Int) throws(StoreError) -> [LogMark] {
    try withConnection(of: reader) { connection throws(StoreError) in
      try read(connection) { _ throws(StoreError) in try log(connection).oldest(limit: limit) }
    }
  }

  public func leases(limit: Int) throws(StoreError) -> [StoredLease] {
    try withConnection(of: reader) { connection throws(StoreError) in
      try read(connection) { _ throws(StoreError) in
        let rows = PostgreSQLRows(connection: connection, timeout: configuration.answerTimeout)
        return try LeaseReader(source: rows, json: json).leases(.postgreSQL, limit: limit)
      }
    }
  }

  /// By the connection for reading: it must not wait for writes.
  public func renew(_ lease: Lease, lasting duration: Duration) throws(StoreError) {
    try withConnection(of: reader) { connection throws(StoreError) in
      try batch(connection).renew(lease, lasting: duration)
    }
  }

  public func secret(
    _ purpose: SecretPurpose, of tenant: TenantID
  ) throws(StoreError) -> StoredSecret? {
    try withSecrets { secrets throws(StoreError) in
      try secrets.secret(at: SecretPlace(tenant: tenant, purpose: purpose))
    }
  }

  public func dataKeys() throws(StoreError) -> [WrappedDataKey] {
    try withSecrets { secrets throws(StoreError) in try secrets.dataKeys() }
  }

  public func operations(
    of tenant: TenantID
  ) throws(StoreError) -> [TenantOperation] {
    try withRows(of: auditReader) { rows throws(StoreError) in
      try OperationReader(source: rows, json: json).operations(of: tenant)
    }
  }

  private func withSecrets<Result: Sendable>(
    _ body: (SecretReader<PostgreSQLRows>) throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    try withRows(of: reader) { rows throws(StoreError) in
      try body(SecretReader(source: rows, json: json))
    }
  }

  private func withRows<Result: Sendable>(
    of session: borrowing Mutex<PostgreSQLSession?>,
    _ body: (PostgreSQLRows) throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    try withConnection(of: session) { connection throws(StoreError) in
      let (result, revision) = try read(connection) { row throws(StoreError) in
        let rows = PostgreSQLRows(connection: connection, timeout: configuration.answerTimeout)
        return (try body(rows), row.revision)
      }
      try prove(UInt64(revision), connection)
      return result
    }
  }

  private func log(_ connection: PostgreSQLConnection) -> LogReader<PostgreSQLRows> {
    let rows = PostgreSQLRows(
      connection: connection, timeout: configuration.answerTimeout,
      perFetch: PostgreSQLRows.entriesPerFetch)
    return LogReader(source: rows, json: json)
  }

  /// What was read may be on this server only. When a later commit is not, neither is that.
  private func prove(_ revision: UInt64, _ connection: PostgreSQLConnection) throws(StoreError) {
    guard Int64(clamping: revision) > seen.withLock({ $0.durable }) else { return }
    try batch(connection).prove()
    setDurable(revision)
  }

  /// Reads in one transaction, on one state of the store that this one has worked on so far.
  /// - Parameter deadline: of all of it; nil: each answer has a time of its own.
  func read<Result>(
    _ connection: PostgreSQLConnection, until deadline: Deadline? = nil,
    _ body: (RevisionRow) throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    func run(_ sql: String) throws(StoreError) -> PostgreSQLResult {
      try asStoreError { () throws(PostgreSQLError) in
        try connection.run(sql, until: deadline ?? Deadline(in: configuration.answerTimeout))
      }
    }
    let durable = seen.withLock { $0.durable }
    _ = try run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    let result = Swift.Result { () throws(StoreError) in
      let row = try RevisionRow(try run("SELECT \(RevisionRow.columns) FROM tenancy_revision"))
      try check(row, against: durable)
      return try body(row)
    }
    // Ends a transaction that only read. Where it can't, the connection is let go.
    if connection.isUsable { _ = try run("ROLLBACK") }
    return try result.get()
  }

  // MARK: Listening

  var pollInterval: Duration { configuration.pollInterval }

  /// Calls `onChange` when the log may have grown, by this node or another: for each notification, each
  /// time a connection for them was made, and at the poll interval when there is none.
  public func listen(
    _ onChange: @escaping @Sendable () -> Void,
    onFailure: @escaping @Sendable (StoreError) -> Void = { _ in }
  ) throws(StoreError) -> PostgreSQLListener {
    try listen(onRevision: { _ in onChange() }, onFailure: onFailure)
  }

  /// As above.
  /// - Parameter onRevision: is told up to where the log has grown, where that is known.
  func listen(
    onRevision: @escaping @Sendable (UInt64?) -> Void,
    onFailure: @escaping @Sendable (StoreError) -> Void
  ) throws(StoreError) -> PostgreSQLListener {
    try PostgreSQLListener(configuration, onChange: onRevision, onFailure: onFailure)
  }
}
