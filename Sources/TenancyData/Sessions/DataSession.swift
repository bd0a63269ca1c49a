internal import Tenancy

/// One statement, with its parameters.
struct Statement: Sendable {
  let sql: String
  let parameters: [DataValue]
}

/// Some rows of a result.
struct RowBatch: Sendable {
  var columns: DataColumns
  var rows: [DataRow] = []
  /// What the statement changed, once it is known.
  var changedRows = 0
  /// Whether there are no more.
  var isLast = false
}

/// What a session is told besides statements.
enum SessionCommand: Sendable {
  case begin(TransactionOptions)
  case commit
  case rollback
  case savepoint(Int)
  case release(Int)
  case rollbackTo(Int)
}

/// A connection to a tenant's data, which does one thing at a time: whoever holds it sees to that. What it does ends
/// when its `interruption` says so, and at deadlines; after that it is as before, or closed.
protocol DataSession: Actor {
  nonisolated var place: TenantPlace { get }
  nonisolated var interruption: Interruption { get }

  /// Whether it can be used.
  var isOpen: Bool { get }
  /// Whether it is within a transaction.
  var isInTransaction: Bool { get }
  /// Whether it is, and more statements can be run in it.
  var isUsableInTransaction: Bool { get }

  /// Connects, and makes sure that it is where it should be.
  func open(until deadline: ContinuousClock.Instant) async throws(DataError)
  /// Begins a statement.
  func start(
    _ statement: Statement, until deadline: ContinuousClock.Instant
  ) async throws(DataError)
  /// The next rows of the statement that was begun. After the last, or a failure, there is no such statement.
  func next(until deadline: ContinuousClock.Instant) async throws(DataError) -> RowBatch
  /// Ends the statement that was begun, as far as it is not at its end.
  func abandon() async
  /// Does what statements may not.
  func run(
    _ command: SessionCommand, until deadline: ContinuousClock.Instant
  ) async throws(DataError)

  /// Begins to forget all that its borrower has left.
  /// - Returns: whether it may be used again, as far as is known.
  func clean() async -> Bool
  /// Whether `clean` has done it all.
  nonisolated var cleansAtOnce: Bool { get }
  /// Makes sure that it has forgotten.
  func isClean(until deadline: ContinuousClock.Instant) async -> Bool
  /// Closes it, which undoes what is not committed; at once unless it is at something, which ends then.
  func close() async
}
