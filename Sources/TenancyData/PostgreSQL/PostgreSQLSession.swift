internal import CTenancyPostgreSQL
internal import TenancyDatabase

/// A connection to a PostgreSQL server, as one tenant's login.
actor PostgreSQLSession: DataSession {
  private enum Phase {
    case idle
    /// A statement's results are being read.
    case running
    /// `DISCARD ALL` was sent, and not answered.
    case cleaning
  }

  nonisolated let place: TenantPlace
  nonisolated let interruption = Interruption()
  nonisolated let cleansAtOnce = false
  private let parameters: PostgreSQLParameters
  /// Nil: not connected, or no more.
  private var handle: PostgreSQLHandle?
  private var phase = Phase.idle
  /// While something is waited for it closes by itself.
  private var workers = 0
  private var columns = DataColumns([])
  private var failure: DataError?

  init(_ place: TenantPlace, _ site: PostgreSQLPlace, _ configuration: DataConfiguration) {
    self.place = place
    parameters = PostgreSQLParameters(place: site, configuration: configuration)
  }

  var isOpen: Bool { handle?.isOpen == true && !interruption.isRevoked }
  var isInTransaction: Bool { handle.map { $0.transaction != .none } ?? false }

  var isUsableInTransaction: Bool { handle?.transaction == .open }

  // MARK: Connecting

  func open(until deadline: ContinuousClock.Instant) async throws(DataError) {
    if let problem = parameters.problem { throw problem }
    workers += 1
    defer { workers -= 1 }
    var failures: [String] = []
    for host in parameters.place.hosts {
      let isName = !host.name.hasPrefix("/")
      // The library would look it up by itself, and block.
      let addresses: [String?] =
        isName
        ? await BlockingWork.lookups.run { HostNames.addresses(of: host.name) } : [nil]
      if addresses.isEmpty { failures.append("\(host.name): no such host") }
      for address in addresses {
        do throws(DataError) {
          let until = min(deadline, .now + parameters.configuration.connectTimeout)
          try await connect(host, address, until: until)
          return try await verify(until: until)
        } catch {
          handle = nil
          if deadline <= .now { throw Interruption.Reason.deadline.error }
          // Another host would say the same, or nobody wants to know.
          if [.unsafePlace, .cancelled, .revoked].contains(error.code) { throw error }
          failures.append("\(host.name):\(host.port): \(error.message)")
        }
      }
    }
    throw DataError(.connection, failures.joined(separator: "; "))
  }

  private func connect(
    _ host: PostgreSQLPlace.Host, _ address: String?, until deadline: ContinuousClock.Instant
  ) async throws(DataError) {
    do throws(PostgreSQLError) {
      let connecting = try PostgreSQLHandle(parameters.keywords(for: host, address: address))
      handle = connecting
    } catch {
      throw DataError(error)
    }
    while let readiness = try connectMore() {
      switch await wait(for: readiness, until: deadline, interruption) {
      case .ready: continue
      case .timedOut: throw DataError(.connection, "no connection in time")
      case .interrupted: throw stopReason.error
      }
    }
  }

  private func connectMore() throws(DataError) -> PostgreSQLHandle.Readiness? {
    guard let handle else { throw lost() }
    do throws(PostgreSQLError) {
      return try handle.connect()
    } catch {
      throw DataError(error)
    }
  }

  /// That it is the tenant's login, which no policy lets off, and whose rows are the tenant's.
  private func verify(until deadline: ContinuousClock.Instant) async throws(DataError) {
    let place = parameters.place
    let identifier =
      place.tenantIdentifier == nil ? "NULL::text" : "tenancy_cluster.tenant_identifier()::text"
    let statement = Statement(
      sql: """
        SELECT session_user::text, current_user::text, pg_catalog.current_database()::text,
          (r.rolsuper OR r.rolbypassrls)::text, \(identifier)
        FROM pg_catalog.pg_roles r WHERE r.rolname = session_user
        """, parameters: [])
    let found: [DataValue]
    do throws(DataError) {
      try await start(statement, until: deadline)
      var rows: [DataRow] = []
      while true {
        let batch = try await next(until: deadline)
        rows += batch.rows
        if batch.isLast { break }
      }
      found = rows.first?.values ?? []
    } catch  where error.code == .statement || error.code == .denied {
      throw DataError(.unsafePlace, "whose login it is can't be seen: \(error.message)")
    }
    let wanted: [DataValue] = [
      .text(place.user), .text(place.user), .text(place.database), .text("false"),
      DataValue(place.tenantIdentifier),
    ]
    guard found == wanted else {
      throw DataError(
        .unsafePlace, "the session is not that of the tenant's login, or has rights beyond it")
    }
  }

  // MARK: Statements

  func start(
    _ statement: Statement, until deadline: ContinuousClock.Instant
  ) async throws(DataError) {
    let strings = try PostgreSQLValues.strings(statement.parameters)
    guard !statement.sql.utf8.contains(0) else {
      throw DataError(.statement, "a statement has no U+0000")
    }
    guard let handle, phase == .idle, !interruption.isRevoked else { throw lost() }
    guard handle.send(statement.sql, strings, binaryResults: false), handle.takeRowsSingly() else {
      throw lost()
    }
    begin()
  }

  private func begin() {
    phase = .running
    columns = DataColumns([])
    failure = nil
  }

  func next(until deadline: ContinuousClock.Instant) async throws(DataError) -> RowBatch {
    guard phase == .running else { throw lost() }
    workers += 1
    defer { workers -= 1 }
    var batch = RowBatch(columns: columns)
    while true {
      guard let handle, let isSent = handle.flush() else { throw lost() }
      if handle.isBusy {
        if !batch.rows.isEmpty { return batch }
        let readiness = PostgreSQLHandle.Readiness(reads: true, writes: !isSent)
        switch await wait(for: readiness, until: deadline, interruption) {
        case .ready: break
        case .timedOut: throw await stop(.deadline)
        case .interrupted: throw await stop(stopReason)
        }
        // What was sent last, such as why the server ends the connection, is a result still.
        guard handle.consumeInput() || !handle.isBusy else { throw lost() }
        continue
      }
      guard let result = handle.nextResult() else {
        phase = .idle
        if let failure { throw failure }
        if interruption.isRevoked { throw revoked() }
        batch.isLast = true
        return batch
      }
      try take(result, into: &batch)
      if batch.rows.count >= Self.rowsAtOnce { return batch }
    }
  }

  private static let rowsAtOnce = 256

  private func take(_ result: PostgreSQLResult, into batch: inout RowBatch) throws(DataError) {
    switch result.status {
    case PGRES_SINGLE_TUPLE, PGRES_TUPLES_OK:
      if columns.names.isEmpty {
        columns = PostgreSQLValues.columns(of: result)
        batch.columns = columns
      }
      for row in 0..<result.rowCount where failure == nil {
        do throws(DataError) {
          batch.rows.append(DataRow(columns, try PostgreSQLValues.values(result, row: row)))
        } catch {
          failure = error
        }
      }
      batch.changedRows = Self.changedRows(result)
    case PGRES_COMMAND_OK: batch.changedRows = Self.changedRows(result)
    case PGRES_EMPTY_QUERY: failure = DataError(.notOneStatement, "there is no statement")
    case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
      // It waits for data, or has some that nobody reads.
      close(now: ())
      throw DataError(.unsupported, "COPY can't be run as a statement")
    default:
      let error = DataError(result)
      // Made by the library: the connection was lost.
      guard error.code != .connection else {
        close(now: ())
        throw interruption.isRevoked ? Interruption.Reason.revoked.error : error
      }
      failure = failure ?? error
    }
  }

  /// Of SELECT the server counts rows as well: those are not changed.
  private static func changedRows(_ result: PostgreSQLResult) -> Int {
    result.commandTag.hasPrefix("SELECT") ? 0 : result.changedRows
  }

  func abandon() async {
    guard phase == .running else { return }
    workers += 1
    defer { workers -= 1 }
    await cancelAndDrain()
  }

  func run(
    _ command: SessionCommand, until deadline: ContinuousClock.Instant
  ) async throws(DataError) {
    let sql = command.postgreSQL
    try await start(Statement(sql: sql, parameters: []), until: deadline)
    while try await !next(until: deadline).isLast {}
  }

  // MARK: Ending

  private var stopReason: Interruption.Reason { interruption.reason ?? .cancelled }

  /// Ends the statement in the server.
  private func stop(_ reason: Interruption.Reason) async -> DataError {
    await cancelAndDrain()
    if reason == .revoked { close(now: ()) }
    return reason.error
  }

  /// Whether or not the statement was faster than the request to end it: what comes is thrown away. When that is done,
  /// the server has dealt with the request, so that it ends nothing else.
  private func cancelAndDrain() async {
    guard let handle, let canceller = handle.canceller() else { return close(now: ()) }
    let isTaken = await BlockingWork.cancellations.run { canceller.cancel() }
    let end = ContinuousClock.now + Self.patience
    while isTaken, let isSent = handle.flush() {
      if handle.isBusy {
        let readiness = PostgreSQLHandle.Readiness(reads: true, writes: !isSent)
        let outcome = await wait(for: readiness, until: end, nil)
        guard outcome == .ready, handle.consumeInput() || !handle.isBusy else { break }
        continue
      }
      guard let result = handle.nextResult() else {
        phase = .idle
        if interruption.isRevoked { close(now: ()) }
        return
      }
      if [PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH].contains(result.status) { break }
    }
    close(now: ())
  }

  /// How long a server may take to end a statement, and to clean up.
  private static let patience = Duration.seconds(2)

  func clean() async -> Bool {
    guard let handle, isOpen, phase == .idle, handle.transaction == .none,
      handle.send(script: "DISCARD ALL"), handle.flush() == true
    else { return false }
    phase = .cleaning
    return true
  }

  func isClean(until deadline: ContinuousClock.Instant) async -> Bool {
    guard phase == .cleaning else { return isOpen && phase == .idle && !isInTransaction }
    _ = interruption.begin()
    begin()
    do throws(DataError) {
      let end = min(deadline, .now + Self.patience)
      while try await !next(until: end).isLast {}
    } catch {
      return false
    }
    // That the server has ended it meanwhile is to be read behind that.
    return handle?.consumeInput() == true && isOpen
      && handle?.transaction == PostgreSQLHandle.Transaction.none
      && handle?.parameter("session_authorization") == parameters.place.user
  }

  func close() async {
    interruption.revoke()
    // What is waited for ends now, and closes it.
    if workers == 0 { close(now: ()) }
  }

  private func close(now: Void) {
    handle = nil
    phase = .idle
  }

  private func revoked() -> DataError {
    close(now: ())
    return Interruption.Reason.revoked.error
  }

  private func lost() -> DataError {
    let message = handle?.message ?? "it is closed"
    close(now: ())
    return interruption.isRevoked
      ? Interruption.Reason.revoked.error : DataError(.connection, message)
  }

  private func wait(
    for readiness: PostgreSQLHandle.Readiness, until deadline: ContinuousClock.Instant,
    _ interruption: Interruption?
  ) async -> SocketWaiter.Outcome {
    guard let handle else { return .ready }
    return await SocketWaiter.shared.wait(
      handle.descriptor, reads: readiness.reads, writes: readiness.writes, until: deadline,
      interruption)
  }
}

extension SessionCommand {
  fileprivate var postgreSQL: String {
    switch self {
    case .begin(let options):
      let isolation =
        switch options.isolation {
        case .readCommitted: "READ COMMITTED"
        case .repeatableRead: "REPEATABLE READ"
        case .serializable: "SERIALIZABLE"
        }
      return "BEGIN ISOLATION LEVEL \(isolation) \(options.isReadOnly ? "READ ONLY" : "READ WRITE")"
    case .commit: return "COMMIT"
    case .rollback: return "ROLLBACK"
    case .savepoint(let number): return "SAVEPOINT tenancy_\(number)"
    case .release(let number): return "RELEASE SAVEPOINT tenancy_\(number)"
    case .rollbackTo(let number): return "ROLLBACK TO SAVEPOINT tenancy_\(number)"
    }
  }
}
