internal import TenancyContext

/// Tenants' data: statements run in the database of the tenant of the current `TenantContext`, whichever isolation model
/// it has, and the database sees to it that they reach nobody else's. Without a tenant they fail. Thread-safe.
public final class MultiTenantDatabaseAdapter: Sendable {
  let core: AdapterCore
  private let watching: Task<Void, Never>
  private let sweeping: Task<Void, Never>

  /// Connects to nothing yet.
  /// - Parameter places: where tenants' data is.
  public init(places: any TenantPlaces, configuration: DataConfiguration = DataConfiguration()) {
    let core = AdapterCore(places, configuration.sound)
    self.core = core
    // Both are this object's, and end with it.
    watching = Task { await core.watch() }
    sweeping = Task { await core.sweep() }
  }

  deinit {
    watching.cancel()
    sweeping.cancel()
  }

  // MARK: Statements

  /// Runs one statement.
  ///
  /// - Parameters:
  ///   - sql: with `$1`, `$2` … where parameters go; it is never put together of values. In SQLite as well.
  ///   - parameters: their values, in this order.
  /// - Returns: all rows; of many see `withRows`.
  @discardableResult
  public func query(
    _ sql: String, _ parameters: [DataValue] = [], options: QueryOptions = QueryOptions()
  ) async throws(DataError) -> DataResult {
    let deadline = core.deadline(options.timeout)
    return try await core.withSession(until: deadline) { (session) async throws(DataError) in
      try await session.collect(
        Statement(sql: sql, parameters: parameters), until: deadline,
        maximumBytes: self.core.configuration.maximumResultBytes, isWithin: false)
    }
  }

  /// Runs one statement, and reads its rows as `type`: see `DataRow.decode`.
  public func query<Row: Decodable>(
    _ sql: String, _ parameters: [DataValue] = [], as type: Row.Type,
    options: QueryOptions = QueryOptions()
  ) async throws(DataError) -> [Row] {
    try await query(sql, parameters, options: options).decode(as: type)
  }

  /// Runs one statement, and hands out its rows as they come: the database is not asked for more than are taken.
  ///
  /// - Parameter body: must not use the rows after it has returned. Where it leaves some, the statement is ended.
  @discardableResult
  public func withRows<Result: Sendable>(
    _ sql: String, _ parameters: [DataValue] = [], options: QueryOptions = QueryOptions(),
    _ body: (DataRows) async throws -> Result
  ) async throws -> Result {
    let deadline = core.deadline(options.timeout)
    let session = try await core.session(until: deadline)
    let outcome = await session.streaming(
      Statement(sql: sql, parameters: parameters), until: deadline, body)
    await core.giveBack(session)
    return try outcome.get()
  }

  // MARK: Transactions

  /// Begins a transaction of the current tenant. It ends with `commitTransaction` or `rollbackTransaction`; one that is
  /// just forgotten is rolled back.
  public func beginTransaction(
    options: TransactionOptions = TransactionOptions()
  ) async throws(DataError) -> DataTransaction {
    let deadline = core.deadline(options.timeout)
    let tenant = try AdapterCore.currentTenant()
    let session = try await core.session(until: deadline)
    do throws(DataError) {
      try await session.interruption.guarding { () async throws(DataError) in
        try await session.run(.begin(options), until: deadline)
      }
    } catch {
      await core.giveBack(session)
      throw error
    }
    return DataTransaction(core, session, tenant, options)
  }

  /// Makes what the transaction did last.
  /// - Throws: `unknownOutcome` where that is not known; with all others it was rolled back.
  public func commitTransaction(_ transaction: DataTransaction) async throws(DataError) {
    try await transaction.commit()
  }

  /// Undoes what the transaction did. Of one that is over nothing is left to undo.
  public func rollbackTransaction(_ transaction: DataTransaction) async {
    await transaction.rollBack()
  }

  /// Runs `body` in a transaction of the current tenant: committed when it returns, rolled back when it throws.
  ///
  /// - Parameter body: runs again, up to `options.retries` times, after a serialization failure, its own or that of
  ///   COMMIT. What it does besides the transaction it must be able to do again.
  @discardableResult
  public func withTransaction<Result: Sendable>(
    options: TransactionOptions = TransactionOptions(),
    _ body: (DataTransaction) async throws -> Result
  ) async throws -> Result {
    var attempt = 0
    while true {
      do {
        return try await run(options, body)
      } catch let error as DataError
        where error.isSerializationFailure && attempt < options.retries && !Task.isCancelled
      {
        // Those who were in each other's way should not be so again.
        let longest = 1 << min(attempt, 8)
        attempt += 1
        // Cancelled while it sleeps, the next attempt says so.
        try? await Task.sleep(for: .milliseconds(Int.random(in: 1...(2 * longest))))
      }
    }
  }

  private func run<Result: Sendable>(
    _ options: TransactionOptions, _ body: (DataTransaction) async throws -> Result
  ) async throws -> Result {
    let transaction = try await beginTransaction(options: options)
    let result: Result
    do {
      result = try await TenantContext.locked { _ in try await body(transaction) }
    } catch {
      await transaction.rollBack()
      throw error
    }
    try await transaction.commit()
    return result
  }

  // MARK: Ending

  /// Closes all connections: what is at work ends, and is undone if it was not committed. What comes later fails.
  public func close() async {
    watching.cancel()
    sweeping.cancel()
    await core.pool.close()
  }

  /// How many connections there are, in use or not.
  public var connections: Int { core.pool.count }
}
