/// Why a statement was not run, or failed.
public struct DataError: Error, Sendable, CustomStringConvertible {
  /// What kind of failure it is. Once published a code keeps its meaning.
  public struct Code: Hashable, Sendable, CustomStringConvertible {
    /// In lower case with underscores.
    public let rawValue: String
    private init(_ rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }

    /// The task has no `TenantContext`: nobody's data is what it gets.
    public static let noTenant = Self("no_tenant")
    /// A transaction is one tenant's, and the task is at work for another.
    public static let tenantMismatch = Self("tenant_mismatch")
    /// The tenant has no data that could be reached now: it is not there, or not in service.
    public static let tenantUnavailable = Self("tenant_unavailable")
    /// Where the tenant's data is could not be learnt.
    public static let placeUnknown = Self("place_unknown")
    /// What the place has is not what the tenant should have: another tenant's login or file, a role that no policy
    /// binds, a table whose rows could not be kept apart.
    public static let unsafePlace = Self("unsafe_place")
    /// The tenant's state or place has changed meanwhile: what was begun is undone.
    public static let revoked = Self("revoked")
    /// All connections that there may be are in use, and waited for.
    public static let poolExhausted = Self("pool_exhausted")
    /// The adapter was closed.
    public static let closed = Self("closed")
    /// The database was not reached, or the connection was lost: a statement that was sent may have been run.
    public static let connection = Self("connection")
    /// The time given was over; the statement was ended in the database.
    public static let deadlineExceeded = Self("deadline_exceeded")
    /// The task was cancelled; the statement was ended in the database.
    public static let cancelled = Self("cancelled")
    /// The database refused the statement: see `sqlState`.
    public static let statement = Self("statement")
    /// Transactions were in each other's way: it may be tried again, from its beginning.
    public static let serialization = Self("serialization")
    /// Something that the database checks is not so: a unique index, a foreign key, a condition.
    public static let constraint = Self("constraint")
    /// The statement does what a tenant's statements may not.
    public static let denied = Self("denied")
    /// It is more than one statement, or none.
    public static let notOneStatement = Self("not_one_statement")
    /// The transaction is over, or must be rolled back.
    public static let transactionEnded = Self("transaction_ended")
    /// Whether the transaction was committed is not known: the connection was lost meanwhile.
    public static let unknownOutcome = Self("unknown_outcome")
    /// More rows or bytes than are kept in memory: read them as a stream.
    public static let resultTooLarge = Self("result_too_large")
    /// A row is not what it is to be read as.
    public static let decoding = Self("decoding")
    /// A parameter can't be had in that database.
    public static let invalidParameter = Self("invalid_parameter")
    /// Not yet possible.
    public static let unsupported = Self("unsupported")
  }

  /// What kind of failure it is.
  public let code: Code
  /// For people. What the database says may quote values.
  public let message: String
  /// PostgreSQL's code, of five characters; empty where there is none.
  public let sqlState: String

  /// - Parameters:
  ///   - message: for people.
  ///   - sqlState: PostgreSQL's code, or empty.
  public init(_ code: Code, _ message: String, sqlState: String = "") {
    self.code = code
    self.message = message
    self.sqlState = sqlState
  }

  /// Whether the same transaction, from its beginning, may succeed.
  public var isSerializationFailure: Bool { code == .serialization }

  public var description: String {
    sqlState.isEmpty ? "\(code): \(message)" : "\(code) \(sqlState): \(message)"
  }
}
