internal import Tenancy

/// Why PostgreSQL did not do as asked. Holds the text of statements but never the values bound to them:
/// they may be secrets.
struct PostgreSQLError: Error, CustomStringConvertible {
  enum Kind {
    /// The server was not reached, or the connection to it was lost.
    case connection
    /// It did not answer in time. The connection is of no use any more.
    case timeout
    /// It refused a statement. The connection is as before.
    case server
  }
  let kind: Kind
  /// Five characters, or none when the server said nothing.
  let sqlState: String
  let message: String
  let statement: String

  init(_ kind: Kind, _ message: String, sqlState: String = "", statement: String = "") {
    self.kind = kind
    self.sqlState = sqlState
    self.message = message
    self.statement = statement
  }

  var description: String {
    let code = sqlState.isEmpty ? "" : " \(sqlState)"
    let place = statement.isEmpty ? "" : " in: \(statement.quotedStatement)"
    return "PostgreSQL\(code): \(message)\(place)"
  }
}

extension PostgreSQLError {
  /// What a failure means for the caller, by the class of its SQLSTATE. Codes that say the program and
  /// the schema do not fit together, such as a missing table, count as corruption.
  var storeCode: StoreError.Code {
    guard kind == .server else { return .unavailable }
    switch (sqlState.prefix(2), sqlState) {
    case (_, "42501"): return .unavailable  // Privileges can be given.
    case ("23", _), ("40", _): return .conflict
    case ("22", _), ("42", _), ("3F", _), (_, "XX001"), (_, "XX002"): return .corrupt
    default: return .unavailable
    }
  }

  /// The classes whose messages quote values: bad data, and whatever functions raise by themselves.
  static func quotesValues(_ sqlState: String) -> Bool {
    sqlState.hasPrefix("22") || sqlState.hasPrefix("P0")
  }
}

extension StoreError {
  init(_ error: PostgreSQLError) { self.init(error.storeCode, error.description) }
}

/// Runs something on PostgreSQL with its failure as the store's.
func asStoreError<Result>(
  _ body: () throws(PostgreSQLError) -> Result
) throws(StoreError) -> Result {
  do {
    return try body()
  } catch {
    throw StoreError(error)
  }
}
