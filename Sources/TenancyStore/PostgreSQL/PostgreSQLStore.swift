internal import Synchronization
public import Tenancy

/// The control plane in one schema of a PostgreSQL database, which several nodes may share.
///
/// How it keeps the promises of `ControlStore`: a batch is one transaction that first locks the one row
/// with the last revision, so that revisions are consecutive and visible in order, on all nodes. A commit
/// is acknowledged when the server's disk has it and, where the server is told to wait for a standby, the
/// standby's. Where it stays open whether that is so (the connection was lost, or the wait was cancelled,
/// which the server reports as a success with a warning), the outcome is unknown, and `load` tells: what
/// it has read it returns only after a commit of its own, which is as durable and comes after.
///
/// Every wait ends: `append` takes two answers at most, each `statementTimeout` and two seconds, and the
/// time to connect.
public final class PostgreSQLStore: ControlStore {
  private let configuration: PostgreSQLConfiguration
  private let isAudited: Bool
  private let state: Mutex<State>

  private struct State {
    /// Absent when the store is closed.
    var session: PostgreSQLSession?
    /// What this store has seen to be durable: a database that has less has lost it.
    var durable: Int64 = 0
    var storeID: String?
  }

  /// Connects, makes the schema when it is missing, and takes the steps to its newest version.
  /// - Throws: `StoreError`: `.corrupt` when the schema is newer or not ours.
  public convenience init(_ configuration: PostgreSQLConfiguration) throws(StoreError) {
    try self.init(configuration, isAudited: true)
  }

  /// - Parameter isAudited: whether loading refuses rows that no command can have made. The promises of
  ///   `ControlStore` hold for all others as well.
  init(_ configuration: PostgreSQLConfiguration, isAudited: Bool) throws(StoreError) {
    if let problem = configuration.problem { throw StoreError(.unavailable, problem) }
    self.configuration = configuration
    self.isAudited = isAudited
    var session = PostgreSQLSession(configuration, statements: PostgreSQLBatch.statements)
    try session.withConnection { _ throws(StoreError) in }
    state = Mutex(State(session: session))
  }

  public func load() throws(StoreError) -> StoredState {
    try withConnection { (state, connection) throws(StoreError) in
      let stored = try read(&state, connection)
      // What was read may be on this server only: after a commit that is not so is its whole past.
      try batch(connection).touch()
      state.durable = max(state.durable, Int64(clamping: stored.revision))
      return stored
    }
  }

  public func append(_ entries: [LogEntry]) throws(StoreError) {
    guard let last = entries.last else { return }
    var recorder = StatementRecorder()
    // Before anything is locked.
    let first = try PostgreSQLBatch.record(entries, in: &recorder)
    try withConnection { (state, connection) throws(StoreError) in
      try batch(connection).write(recorder.steps, after: first, to: Int64(clamping: last.revision))
      {
        (row) throws(StoreError) in try check(row, &state)
      }
      state.durable = max(state.durable, Int64(clamping: last.revision))
    }
  }

  public func checkWritable() throws(StoreError) {
    try withConnection { (_, connection) throws(StoreError) in try batch(connection).touch() }
  }

  public func close() {
    state.withLock { $0.session = nil }
  }

  /// Calls `onChange` when the log may have grown, by this node or another: for each notification, each
  /// time a connection for them was made, and at the poll interval when there is none.
  public func listen(
    _ onChange: @escaping @Sendable () -> Void,
    onFailure: @escaping @Sendable (StoreError) -> Void = { _ in }
  ) throws(StoreError) -> PostgreSQLListener {
    try PostgreSQLListener(configuration, onChange: onChange, onFailure: onFailure)
  }

  private func batch(_ connection: PostgreSQLConnection) -> PostgreSQLBatch {
    PostgreSQLBatch(connection: connection, configuration: configuration)
  }

  private func withConnection<Result: Sendable>(
    _ body: (inout State, PostgreSQLConnection) throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    try state.withLock { (state: inout State) throws(StoreError) -> Result in
      guard var session = state.session else {
        throw StoreError(.unavailable, "the store is closed")
      }
      defer { state.session = session }
      return try session.withConnection { connection throws(StoreError) in
        try body(&state, connection)
      }
    }
  }

  /// Whether it is the store that this one has worked on so far.
  private func check(_ row: RevisionRow, _ state: inout State) throws(StoreError) {
    guard row.schemaVersion <= PostgreSQLMigrations.latest else {
      throw StoreError(
        .corrupt,
        "the database's schema \(configuration.schema) has version \(row.schemaVersion) by now; this "
          + "program, \(Version.text), knows up to \(PostgreSQLMigrations.latest): run the newer one"
      )
    }
    guard state.storeID ?? row.storeID == row.storeID else {
      throw StoreError(.corrupt, "another store is in the place of the one that was there")
    }
    state.storeID = row.storeID
    guard row.revision >= state.durable else {
      throw StoreError(
        .corrupt,
        "the database has gone back to revision \(row.revision), \(state.durable) was there: writes are "
          + "lost, or it is an older copy")
    }
  }

  private func read(
    _ state: inout State, _ connection: PostgreSQLConnection
  ) throws(StoreError) -> StoredState {
    try reading(&state, connection) { (last) throws(StoreError) in
      let rows = PostgreSQLRows(connection: connection, timeout: configuration.answerTimeout)
      let revision = try LogReader(source: rows, json: JSONCoding()).checkBounds(last: last)
      let reader = StateReader(source: rows, json: JSONCoding())
      let stored = StoredState(revision: revision, changes: try reader.changes())
      if isAudited { try StateAudit.check(stored) }
      return stored
    }
  }

  /// On one snapshot of the database.
  private func reading<Result: Sendable>(
    _ state: inout State, _ connection: PostgreSQLConnection,
    _ body: (_ last: Int64) throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    func run(_ sql: String) throws(StoreError) -> PostgreSQLResult {
      try asStoreError { () throws(PostgreSQLError) in
        try connection.run(sql, until: Deadline(in: configuration.answerTimeout))
      }
    }
    _ = try run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    let result = Swift.Result { () throws(StoreError) in
      let row = try RevisionRow(try run("SELECT \(RevisionRow.columns) FROM tenancy_revision"))
      try check(row, &state)
      return try body(row.revision)
    }
    // Ends a transaction that only read. Where it can't, the connection is let go.
    if connection.isUsable { _ = try run("ROLLBACK") }
    return try result.get()
  }

  private func readLog<Result: Sendable>(
    _ body: (LogReader<PostgreSQLRows>) throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    try withConnection { (state, connection) throws(StoreError) in
      try reading(&state, connection) { (_) throws(StoreError) in
        let rows = PostgreSQLRows(
          connection: connection, timeout: configuration.answerTimeout,
          perFetch: PostgreSQLRows.entriesPerFetch)
        return try body(LogReader(source: rows, json: JSONCoding()))
      }
    }
  }

  /// What others see is durable on a standby as well, but where the wait for it was cut short. So whoever
  /// looks up what became of a batch makes a durable write of its own before relying on it.
  public func entries(after revision: UInt64, limit: Int) throws(StoreError) -> [LogEntry] {
    let rows = try readLog { (log) throws(StoreError) in
      try log.entries(after: revision, limit: limit)
    }
    let json = JSONCoding()
    var entries: [LogEntry] = []
    for row in rows { entries.append(try row.entry(json)) }
    return entries
  }

  public func oldestEntries(limit: Int) throws(StoreError) -> [LogMark] {
    try readLog { (log) throws(StoreError) in try log.oldest(limit: limit) }
  }

  public func compact(through revision: UInt64) throws(StoreError) {
    try withConnection { (state, connection) throws(StoreError) in
      let last = try reading(&state, connection) { (last) throws(StoreError) in last }
      var recorder = StatementRecorder()
      try StateWriter(json: JSONCoding()).compact(
        through: min(last, Int64(clamping: revision)), with: &recorder)
      try batch(connection).run(recorder.steps)
    }
  }
}
