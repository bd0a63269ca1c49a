internal import Synchronization
public import Tenancy

/// A transaction of one tenant. Statements of tasks that use it at once run one after the other.
public final class DataTransaction: Sendable {
  private enum Phase {
    case open
    /// A statement failed: what was done so far can only be undone.
    case failed
    case over
  }

  /// Whose it is.
  public let tenant: TenantID
  private let core: AdapterCore
  private let session: any DataSession
  private let options: TransactionOptions
  private let gate = SerialGate()
  private let phase = Mutex(Phase.open)
  private let savepoints = Atomic<Int>(0)
  /// While rows are lent, whoever has them must not wait for the end of that.
  private let isLending = Atomic<Bool>(false)

  init(
    _ core: AdapterCore, _ session: any DataSession, _ tenant: TenantID,
    _ options: TransactionOptions
  ) {
    self.core = core
    self.session = session
    self.tenant = tenant
    self.options = options
  }

  deinit {
    guard phase.withLock({ $0 != .over }) else { return }
    // Nobody can end it any more.
    let (core, session) = (core, session)
    session.interruption.revoke()
    // Ends at once, for the session is closed without waiting.
    Task { await core.pool.discard(session) }
  }

  // MARK: Statements

  /// As `MultiTenantDatabaseAdapter.query`, in this transaction. The task has to be at work for its tenant.
  @discardableResult
  public func query(
    _ sql: String, _ parameters: [DataValue] = [], options: QueryOptions = QueryOptions()
  ) async throws(DataError) -> DataResult {
    let deadline = core.deadline(options.timeout ?? self.options.timeout)
    return try await alone { () async throws(DataError) in
      try await self.session.collect(
        Statement(sql: sql, parameters: parameters), until: deadline,
        maximumBytes: self.core.configuration.maximumResultBytes, isWithin: true)
    }
  }

  /// As `MultiTenantDatabaseAdapter.query`, in this transaction.
  public func query<Row: Decodable>(
    _ sql: String, _ parameters: [DataValue] = [], as type: Row.Type,
    options: QueryOptions = QueryOptions()
  ) async throws(DataError) -> [Row] {
    try await query(sql, parameters, options: options).decode(as: type)
  }

  /// As `MultiTenantDatabaseAdapter.withRows`, in this transaction, in which `body` can run nothing else meanwhile.
  @discardableResult
  public func withRows<Result: Sendable>(
    _ sql: String, _ parameters: [DataValue] = [], options: QueryOptions = QueryOptions(),
    _ body: (DataRows) async throws -> Result
  ) async throws -> Result {
    let deadline = core.deadline(options.timeout ?? self.options.timeout)
    try await enter()
    do {
      try check()
      isLending.store(true, ordering: .releasing)
      let outcome = await session.streaming(
        Statement(sql: sql, parameters: parameters), until: deadline, body)
      isLending.store(false, ordering: .releasing)
      await look()
      await gate.leave()
      return try outcome.get()
    } catch {
      await gate.leave()
      throw error
    }
  }

  /// Runs `body`, and undoes what it did in this transaction, and nothing else of it, when it throws.
  @discardableResult
  public func withSavepoint<Result: Sendable>(
    _ body: () async throws -> Result
  ) async throws -> Result {
    let number = savepoints.add(1, ordering: .relaxed).newValue
    try await run(.savepoint(number))
    do {
      let result = try await body()
      try await run(.release(number))
      return result
    } catch {
      // Where that fails the transaction has failed.
      try? await run(.rollbackTo(number), evenIfFailed: true)
      throw error
    }
  }

  // MARK: Ending

  func commit() async throws(DataError) {
    try await enter()
    do throws(DataError) {
      try await commitAlone()
      await gate.leave()
    } catch {
      await gate.leave()
      throw error
    }
  }

  private func commitAlone() async throws(DataError) {
    switch phase.withLock({ $0 }) {
    case .over: throw DataError(.transactionEnded, "the transaction is over")
    case .failed:
      await rollBackAlone()
      throw DataError(.transactionEnded, "a statement has failed: it was rolled back")
    case .open: break
    }
    guard await session.isUsableInTransaction else {
      await rollBackAlone()
      throw DataError(.transactionEnded, "it is over already, and was not committed here")
    }
    _ = session.interruption.begin()
    let deadline = core.deadline(options.timeout)
    do throws(DataError) {
      try await session.run(.commit, until: deadline)
      phase.withLock { $0 = .over }
      await core.giveBack(session)
    } catch {
      let isDoubtful = [.connection, .deadlineExceeded, .cancelled, .revoked].contains(error.code)
      await rollBackAlone()
      throw isDoubtful ? DataError(.unknownOutcome, error.message, sqlState: error.sqlState) : error
    }
  }

  func rollBack() async {
    if isLending.load(ordering: .acquiring) {
      // What lends the rows ends, and then this one with it.
      return session.interruption.revoke()
    }
    await gate.enter()
    await rollBackAlone()
    await gate.leave()
  }

  private func rollBackAlone() async {
    guard
      phase.withLock({ phase in
        defer { phase = .over }
        return phase != .over
      })
    else { return }
    // Whether or not the task is cancelled.
    _ = session.interruption.begin()
    // Where it fails the session ends, which rolls back as well.
    try? await session.run(.rollback, until: .now + Self.patience)
    await core.giveBack(session)
  }

  private static let patience = Duration.seconds(2)

  // MARK: One at a time

  private func enter() async throws(DataError) {
    guard !isLending.load(ordering: .acquiring) else {
      throw DataError(.unsupported, "the rows of a statement of this transaction are being read")
    }
    await gate.enter()
  }

  private func alone<Result: Sendable>(
    _ body: () async throws(DataError) -> Result
  ) async throws(DataError) -> Result {
    try await enter()
    do throws(DataError) {
      try check()
      let result = try await body()
      await gate.leave()
      return result
    } catch {
      await look()
      await gate.leave()
      throw error
    }
  }

  private func run(
    _ command: SessionCommand, evenIfFailed: Bool = false
  ) async throws(DataError) {
    let deadline = core.deadline(options.timeout)
    try await enter()
    do throws(DataError) {
      if evenIfFailed { try revive() } else { try check() }
      _ = session.interruption.begin()
      try await session.run(command, until: deadline)
      await gate.leave()
    } catch {
      await look()
      await gate.leave()
      throw error
    }
  }

  /// - Throws: unless statements can be run, by this task.
  private func check() throws(DataError) {
    guard try AdapterCore.currentTenant() == tenant else {
      throw DataError(.tenantMismatch, "the transaction is another tenant's than the task's")
    }
    let phase = self.phase.withLock { $0 }
    if phase != .over, session.interruption.isRevoked { throw Interruption.Reason.revoked.error }
    switch phase {
    case .open: return
    case .failed: throw DataError(.transactionEnded, "a statement has failed: roll it back")
    case .over: throw DataError(.transactionEnded, "the transaction is over")
    }
  }

  /// Before what undoes a failure.
  private func revive() throws(DataError) {
    let isOver = phase.withLock { phase in
      if phase == .failed { phase = .open }
      return phase == .over
    }
    if isOver { throw DataError(.transactionEnded, "the transaction is over") }
  }

  /// After a failure: of the database's, or of one that leaves the transaction as it was.
  private func look() async {
    if await !session.isUsableInTransaction { phase.withLock { if $0 == .open { $0 = .failed } } }
  }
}
