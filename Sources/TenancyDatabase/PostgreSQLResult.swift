package import CTenancyPostgreSQL

/// Owns what one statement gave: rows, or why it failed. Values are in binary form.
package final class PostgreSQLResult {
  private let handle: OpaquePointer

  /// Takes the result over.
  package init(owning handle: OpaquePointer) { self.handle = handle }

  deinit { PQclear(handle) }

  package var status: ExecStatusType { PQresultStatus(handle) }
  package var rowCount: Int32 { PQntuples(handle) }
  /// What was done, such as `INSERT 0 1`.
  package var commandTag: String { PQcmdStatus(handle).map { String(cString: $0) } ?? "" }
  /// How many rows were changed.
  package var changedRows: Int { PQcmdTuples(handle).flatMap { Int(String(cString: $0)) } ?? 0 }

  package var hasFailed: Bool {
    switch status {
    case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY: false
    default: true
    }
  }

  /// - Throws: unless the statement succeeded.
  package func check(_ statement: String) throws(PostgreSQLError) {
    if hasFailed { throw error(statement) }
  }

  private func error(_ statement: String) -> PostgreSQLError {
    let code = field(.sqlState)
    let message =
      PostgreSQLError.quotesValues(code) ? "a value was refused" : field(.message)
    // Made by the library, not by the server: the connection was lost.
    guard !code.isEmpty else {
      let text = PQresultErrorMessage(handle).map { String(cString: $0) } ?? ""
      let cause = status == PGRES_PIPELINE_ABORTED ? "an earlier statement failed" : text.trimmed
      return PostgreSQLError(.connection, cause, statement: statement)
    }
    return PostgreSQLError(.server, message, sqlState: code, statement: statement)
  }

  /// What the server says of a failure.
  package func field(_ field: ResultField) -> String { field.text(of: handle) }

  // MARK: Columns

  package var columnCount: Int32 { PQnfields(handle) }

  package func columnName(_ column: Int32) -> String {
    PQfname(handle, column).map { String(cString: $0) } ?? ""
  }

  // MARK: Values

  package func type(_ column: Int32) -> Oid { PQftype(handle, column) }

  package func isNull(_ row: Int32, _ column: Int32) -> Bool {
    PQgetisnull(handle, row, column) != 0
  }

  /// Lends a value's bytes; none for NULL.
  /// - Parameter body: must not let them out.
  package func withBytes<Result>(
    _ row: Int32, _ column: Int32, _ body: (UnsafeBufferPointer<UInt8>) -> Result
  ) -> Result {
    let count = Int(PQgetlength(handle, row, column))
    guard let value = PQgetvalue(handle, row, column) else {
      return body(UnsafeBufferPointer(start: nil, count: 0))
    }
    return value.withMemoryRebound(to: UInt8.self, capacity: count) { bytes in
      body(UnsafeBufferPointer(start: bytes, count: count))
    }
  }
}

/// Parts of what the server says: the C macros are characters, which Swift does not import.
package enum ResultField: UInt8 {
  /// In English, whatever the server's language is.
  case severity = 0x56  // PG_DIAG_SEVERITY_NONLOCALIZED, 'V'
  case sqlState = 0x43  // PG_DIAG_SQLSTATE, 'C'
  /// Without details, which quote values.
  case message = 0x4D  // PG_DIAG_MESSAGE_PRIMARY, 'M'

  package func text(of result: OpaquePointer) -> String {
    PQresultErrorField(result, Int32(rawValue)).map { String(cString: $0) } ?? ""
  }
}

extension String {
  /// Without the line's end, and with lines run together, as the library's messages have them.
  package var trimmed: String {
    split(whereSeparator: \.isNewline).map { String($0.drop { $0 == "\t" || $0 == " " }) }
      .joined(separator: " ")
  }
}
