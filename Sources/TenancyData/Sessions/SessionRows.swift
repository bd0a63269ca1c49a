extension DataSession {
  /// Runs a statement, and takes all of its rows.
  /// - Parameter isWithin: whether it is in a transaction, which it must not end; else it must not begin one.
  func collect(
    _ statement: Statement, until deadline: ContinuousClock.Instant, maximumBytes: Int,
    isWithin: Bool
  ) async throws(DataError) -> DataResult {
    do throws(DataError) {
      let result = try await interruption.guarding { () async throws(DataError) in
        try await self.start(statement, until: deadline)
        return try await self.rest(until: deadline, maximumBytes)
      }
      if interruption.isRevoked { throw Interruption.Reason.revoked.error }
      guard isInTransaction == isWithin else {
        throw isWithin
          ? DataError(.transactionEnded, "the statement has ended the transaction")
          : DataError(.denied, "transactions are begun by beginTransaction or withTransaction")
      }
      return result
    } catch {
      await endEarly()
      throw error
    }
  }

  private func rest(
    until deadline: ContinuousClock.Instant, _ maximumBytes: Int
  ) async throws(DataError) -> DataResult {
    var result = DataResult(rows: [], columns: [], changedRows: 0)
    var size = 0
    while true {
      let batch = try await next(until: deadline)
      for row in batch.rows { size += row.size }
      guard size <= maximumBytes else {
        throw DataError(
          .resultTooLarge, "the rows take more than \(maximumBytes) bytes: read them by withRows")
      }
      result.rows += batch.rows
      guard batch.isLast else { continue }
      result.columns = batch.columns.names
      result.changedRows = batch.changedRows
      return result
    }
  }

  /// Runs a statement, and lends its rows.
  nonisolated func streaming<Result: Sendable>(
    _ statement: Statement, until deadline: ContinuousClock.Instant,
    _ body: (DataRows) async throws -> Result
  ) async -> Swift.Result<Result, any Error> {
    do throws(DataError) {
      try await interruption.guarding { () async throws(DataError) in
        try await self.start(statement, until: deadline)
      }
    } catch {
      await endEarly()
      return .failure(error)
    }
    let source = RowSource(self, until: deadline)
    do {
      let result = try await body(DataRows(source))
      await source.end()
      return .success(result)
    } catch {
      await source.end()
      return .failure(error)
    }
  }

  /// Also where the task is cancelled.
  func endEarly() async {
    _ = interruption.begin()
    await abandon()
  }
}

/// Where the rows of a statement come from, until it is over.
actor RowSource {
  private let session: any DataSession
  private let deadline: ContinuousClock.Instant
  private var rows = FirstInFirstOut<DataRow>()
  private var isOver = false
  private var isFetching = false

  init(_ session: any DataSession, until deadline: ContinuousClock.Instant) {
    self.session = session
    self.deadline = deadline
  }

  func next() async throws(DataError) -> DataRow? {
    while true {
      if let row = rows.removeFirst() { return row }
      if isOver { return nil }
      guard !isFetching else {
        throw DataError(.unsupported, "the rows of one statement are read by one task at a time")
      }
      isFetching = true
      defer { isFetching = false }
      do throws(DataError) {
        let (session, deadline) = (session, deadline)
        let batch = try await session.interruption.guarding { () async throws(DataError) in
          try await session.next(until: deadline)
        }
        for row in batch.rows { rows.append(row) }
        if batch.isLast { isOver = true }
      } catch {
        isOver = true
        await session.endEarly()
        throw error
      }
    }
  }

  /// What nobody has read is not there any more.
  func end() async {
    rows = FirstInFirstOut()
    guard !isOver else { return }
    isOver = true
    await session.endEarly()
  }
}

/// The rows of a statement, as they come. For one task, and for as long as the call that lends them.
public struct DataRows: AsyncSequence, Sendable {
  private let source: RowSource

  init(_ source: RowSource) { self.source = source }

  /// Takes the next row; what was fetched with it waits.
  public struct AsyncIterator: AsyncIteratorProtocol {
    fileprivate let source: RowSource

    public mutating func next() async throws(DataError) -> DataRow? { try await source.next() }

    public mutating func next(
      isolation actor: isolated (any Actor)?
    ) async throws(DataError) -> DataRow? { try await source.next() }
  }

  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(source: source) }
}
