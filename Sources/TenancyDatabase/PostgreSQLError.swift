/// Why PostgreSQL did not do as asked. Holds the text of statements but never the values bound to them:
/// they may be secrets.
package struct PostgreSQLError: Error, CustomStringConvertible {
  package enum Kind {
    /// The server was not reached, or the connection to it was lost.
    case connection
    /// It did not answer in time. The connection is of no use any more.
    case timeout
    /// It refused a statement. The connection is as before.
    case server
  }
  package let kind: Kind
  /// Five characters, or none when the server said nothing.
  package let sqlState: String
  package let message: String
  package let statement: String

  package init(_ kind: Kind, _ message: String, sqlState: String = "", statement: String = "") {
    self.kind = kind
    self.sqlState = sqlState
    self.message = message
    self.statement = statement
  }

  package var description: String {
    let code = sqlState.isEmpty ? "" : " \(sqlState)"
    let place = statement.isEmpty ? "" : " in: \(statement.quotedStatement)"
    return "PostgreSQL\(code): \(message)\(place)"
  }
}

extension PostgreSQLError {
  /// The classes whose messages quote values: bad data, and whatever functions raise by themselves.
  package static func quotesValues(_ sqlState: String) -> Bool {
    sqlState.hasPrefix("22") || sqlState.hasPrefix("P0")
  }
}
