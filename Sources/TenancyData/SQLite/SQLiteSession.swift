internal import CTenancySQLite
internal import TenancyDatabase

/// A connection to a file, of one tenant. All of it is on its own thread.
actor SQLiteSession: DataSession {
  nonisolated let place: TenantPlace
  nonisolated let interruption = Interruption()
  nonisolated let cleansAtOnce = true
  private nonisolated let thread: SessionThread
  nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  private let site: SQLitePlace
  // The connection calls back into both: it goes first.
  private let authorizer: SQLiteAuthorizer
  private let limits: SQLiteLimits
  private var connection: SQLiteConnection?
  private var secrets: [String] = []
  /// What was begun.
  private var statement: SQLiteStatement?
  private var columns = DataColumns([])
  private var changesBefore: Int64 = 0

  /// - Throws: `connection` where the system has no thread to give.
  init(_ place: TenantPlace, _ site: SQLitePlace) throws(DataError) {
    guard let thread = SessionThread() else {
      throw DataError(.connection, "there are no more threads")
    }
    self.place = place
    self.site = site
    self.thread = thread
    limits = SQLiteLimits(interruption)
    switch site.share {
    case .whole: authorizer = SQLiteAuthorizer(.whole)
    case .rows:
      authorizer = SQLiteAuthorizer(.views([], tables: [], secrets: []))
    }
  }

  deinit { thread.end() }

  var isOpen: Bool { connection != nil && !interruption.isRevoked }
  var isInTransaction: Bool { connection?.isInTransaction ?? false }

  var isUsableInTransaction: Bool { isInTransaction }

  // MARK: Opening

  func open(until deadline: ContinuousClock.Instant) throws(DataError) {
    limits.deadline = deadline
    do throws(SQLiteError) {
      let opened = try SQLiteConnection(path: site.path)
      limits.attach(to: opened.handle)
      authorizer.attach(to: opened.handle)
      try opened.execute(Self.settings)
      connection = opened
    } catch {
      throw DataError(.connection, "SQLite \(error.code): \(error.message)")
    }
    do throws(DataError) {
      try verify()
      authorizer.distrust()
    } catch {
      connection = nil
      throw error
    }
  }

  /// The last has SQLite know these functions, which it can't learn later: that would write to the catalog, as far as the
  /// authorizer is asked.
  private static let settings = """
    PRAGMA foreign_keys = ON;
    PRAGMA temp_store = MEMORY;
    PRAGMA cell_size_check = ON;
    PRAGMA synchronous = FULL;
    PRAGMA cache_size = -2048;
    SELECT 1 FROM json_each('[]'), json_tree('[]');
    """

  /// That the file is the tenant's, or what of it is.
  private func verify() throws(DataError) {
    guard let connection else { throw lost() }
    switch site.share {
    case .whole:
      let owner: String
      do throws(SQLiteError) {
        owner = try connection.text("SELECT tenant_id FROM tenancy_owner")
      } catch {
        throw DataError(.unsafePlace, "the file does not say whose it is")
      }
      guard owner == place.tenant.description else {
        throw DataError(.unsafePlace, "the file is another tenant's")
      }
    case .rows(let identifier, let tables):
      try verifyRegistered(identifier)
      let views = SharedViews(connection, identifier, tables)
      try views.make()
      authorizer.reach = views.reach
      secrets = views.secrets
    }
  }

  private func verifyRegistered(_ identifier: String) throws(DataError) {
    let owner: String
    do throws(SQLiteError) {
      guard let connection else { throw SQLiteError(code: SQLITE_MISUSE, message: "", sql: "") }
      let query = try connection.prepare(
        "SELECT tenant_id FROM tenancy_tenants WHERE tenant_identifier = ?")
      defer { query.reset() }
      try query.bind([.text(identifier)])
      let isThere = try query.step()
      let text = isThere ? sqlite3_column_text(query.handle, 0) : nil
      owner = text.map { String(cString: $0) } ?? ""
    } catch {
      throw DataError(.unsafePlace, "the file does not say which tenants it has")
    }
    guard owner == place.tenant.description else {
      throw DataError(.unsafePlace, "the identifier is not this tenant's")
    }
  }

  // MARK: Statements

  func start(
    _ statement: Statement, until deadline: ContinuousClock.Instant
  ) throws(DataError) {
    guard let connection, isOpen, self.statement == nil else { throw lost() }
    limits.deadline = deadline
    do throws(SQLiteError) {
      let compiled = try SQLiteStatement(
        statement.sql, on: connection, isSingle: true)
      guard sqlite3_stmt_isexplain(compiled.handle) == 0 else {
        throw SQLiteError(
          code: SQLITE_AUTH, message: "EXPLAIN shows what is not to be seen", sql: "")
      }
      let count = Int(sqlite3_bind_parameter_count(compiled.handle))
      guard count == statement.parameters.count else {
        throw SQLiteError(
          code: SQLITE_RANGE,
          message: "the statement has \(count) parameters, not \(statement.parameters.count)",
          sql: "")
      }
      try compiled.bind(SQLiteValues.parameters(statement.parameters))
      columns = SQLiteValues.columns(of: compiled)
      changesBefore = sqlite3_total_changes64(connection.handle)
      self.statement = compiled
    } catch {
      throw failure(error)
    }
  }

  func next(until deadline: ContinuousClock.Instant) throws(DataError) -> RowBatch {
    guard let connection, let statement else { throw lost() }
    limits.deadline = deadline
    if let reason = interruption.reason {
      self.statement = nil
      throw ended(reason)
    }
    var batch = RowBatch(columns: columns)
    var size = 0
    do throws(SQLiteError) {
      while batch.rows.count < Self.rowsAtOnce, size < Self.bytesAtOnce {
        guard try statement.step() else {
          batch.isLast = true
          batch.changedRows = Int(sqlite3_total_changes64(connection.handle) - changesBefore)
          self.statement = nil
          return batch
        }
        let row = DataRow(columns, SQLiteValues.values(statement))
        size += row.size
        batch.rows.append(row)
      }
    } catch {
      let reason = limits.reason
      self.statement = nil
      if error.primaryCode == SQLITE_INTERRUPT || error.primaryCode == SQLITE_BUSY, let reason {
        throw ended(reason)
      }
      throw failure(error)
    }
    return batch
  }

  private static let rowsAtOnce = 256
  private static let bytesAtOnce = 1 << 20

  func abandon() { statement = nil }

  func run(
    _ command: SessionCommand, until deadline: ContinuousClock.Instant
  ) throws(DataError) {
    guard let connection, isOpen else { throw lost() }
    statement = nil
    limits.deadline = deadline
    do throws(SQLiteError) {
      for sql in command.sqlite(isInTransaction: connection.isInTransaction) {
        try authorizer.trusting { () throws(SQLiteError) in try connection.execute(sql) }
      }
    } catch {
      if error.primaryCode == SQLITE_INTERRUPT || error.primaryCode == SQLITE_BUSY,
        let reason = limits.reason
      {
        throw ended(reason)
      }
      throw failure(error)
    }
  }

  // MARK: Ending

  /// Statements leave nothing but a transaction: they can't make temporary things, nor change settings.
  func clean() -> Bool {
    statement = nil
    return isOpen && !isInTransaction
  }

  func isClean(until deadline: ContinuousClock.Instant) -> Bool { clean() }

  func close() {
    interruption.revoke()
    statement = nil
    connection = nil
  }

  private func ended(_ reason: Interruption.Reason) -> DataError {
    if reason == .revoked { close() }
    return reason.error
  }

  private func lost() -> DataError {
    interruption.isRevoked
      ? Interruption.Reason.revoked.error : DataError(.connection, "it is closed")
  }

  /// Without the names that nobody is to know.
  private func failure(_ error: SQLiteError) -> DataError {
    var message = error.message
    for secret in secrets { message = message.replacing(secret, with: "…") }
    let code: DataError.Code =
      switch error.primaryCode {
      case SQLITE_AUTH, SQLITE_PERM: .denied
      case SQLITE_CONSTRAINT: .constraint
      case SQLITE_BUSY, SQLITE_LOCKED: .serialization
      case SQLITE_MISUSE where error.message == SQLiteStatement.notOneStatement: .notOneStatement
      case SQLITE_RANGE: .invalidParameter
      case SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_IOERR, SQLITE_CANTOPEN, SQLITE_FULL: .connection
      default: .statement
      }
    // Of a write that failed as a whole: nothing of it is left, and the transaction may be over.
    return DataError(code, message.isEmpty ? "SQLite \(error.code)" : message)
  }
}

extension SessionCommand {
  fileprivate func sqlite(isInTransaction: Bool) -> [String] {
    switch self {
    // What writes waits for its turn at the beginning: later it could not, for what it has read would be old.
    case .begin(let options): [options.isReadOnly ? "BEGIN" : "BEGIN IMMEDIATE"]
    case .commit: ["COMMIT"]
    // After some failures SQLite has done it by itself.
    case .rollback: isInTransaction ? ["ROLLBACK"] : []
    case .savepoint(let number): ["SAVEPOINT tenancy_\(number)"]
    case .release(let number): ["RELEASE tenancy_\(number)"]
    case .rollbackTo(let number): ["ROLLBACK TO tenancy_\(number)"]
    }
  }
}
