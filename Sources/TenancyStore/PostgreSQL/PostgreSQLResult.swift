internal import CTenancyPostgreSQL

/// Owns what one statement gave: rows, or why it failed. Values are in binary form.
final class PostgreSQLResult {
  private let handle: OpaquePointer

  /// Takes the result over.
  init(owning handle: OpaquePointer) { self.handle = handle }

  deinit { PQclear(handle) }

  var status: ExecStatusType { PQresultStatus(handle) }
  var rowCount: Int32 { PQntuples(handle) }
  /// What was done, such as `INSERT 0 1`.
  var commandTag: String { PQcmdStatus(handle).map { String(cString: $0) } ?? "" }
  /// How many rows were changed.
  var changedRows: Int { PQcmdTuples(handle).flatMap { Int(String(cString: $0)) } ?? 0 }

  var hasFailed: Bool {
    switch status {
    case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY: false
    default: true
    }
  }

  /// - Throws: unless the statement succeeded.
  func check(_ statement: String) throws(PostgreSQLError) {
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

  private func field(_ field: ResultField) -> String { field.text(of: handle) }

  func row(_ index: Int32) -> PostgreSQLRow { PostgreSQLRow(result: self, index: index) }

  // MARK: Values

  fileprivate func type(_ column: Int32) -> Oid { PQftype(handle, column) }

  fileprivate func isNull(_ row: Int32, _ column: Int32) -> Bool {
    PQgetisnull(handle, row, column) != 0
  }

  /// Lends a value's bytes; none for NULL.
  fileprivate func withBytes<Result>(
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
enum ResultField: UInt8 {
  /// In English, whatever the server's language is.
  case severity = 0x56  // PG_DIAG_SEVERITY_NONLOCALIZED, 'V'
  case sqlState = 0x43  // PG_DIAG_SQLSTATE, 'C'
  /// Without details, which quote values.
  case message = 0x4D  // PG_DIAG_MESSAGE_PRIMARY, 'M'

  func text(of result: OpaquePointer) -> String {
    PQresultErrorField(result, Int32(rawValue)).map { String(cString: $0) } ?? ""
  }
}

/// One row of a result, which it keeps alive.
struct PostgreSQLRow: TableRow {
  fileprivate let result: PostgreSQLResult
  fileprivate let index: Int32

  func isNull(_ column: Int32) -> Bool { result.isNull(index, column) }

  /// Nil unless the column is an integer.
  func integer(_ column: Int32) -> Int64? {
    guard !isNull(column) else { return nil }
    let type = result.type(column)
    guard type == TypeID.int8 || type == TypeID.int4 else { return nil }
    return result.withBytes(index, column) { bytes in
      // Big-endian, of the type's size.
      let value = bytes.reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
      return type == TypeID.int8
        ? Int64(bitPattern: value) : Int64(Int32(truncatingIfNeeded: value))
    }
  }

  /// Nil unless the column is text.
  func text(_ column: Int32) -> String? {
    guard !isNull(column), result.type(column) == TypeID.text else { return nil }
    return result.withBytes(index, column) { bytes in
      String(validating: bytes, as: UTF8.self).flatMap(NULFreeText.decode)
    }
  }

  /// Text with NUL is stored in another form: it is lent as it was.
  func withText<Result>(_ column: Int32, _ body: (RawSpan) -> Result?) -> Result? {
    text(column).flatMap { body($0.utf8Span.span.bytes) }
  }

  /// Nil unless the column is BYTEA.
  func bytes(_ column: Int32) -> [UInt8]? {
    guard !isNull(column), result.type(column) == TypeID.bytea else { return nil }
    return result.withBytes(index, column) { Array($0) }
  }
}

/// The object identifiers of built-in types, which never change.
private enum TypeID {
  static let bytea: Oid = 17
  static let int8: Oid = 20
  static let int4: Oid = 23
  static let text: Oid = 25
}

extension String {
  /// Without the line's end, and with lines run together, as the library's messages have them.
  var trimmed: String {
    split(whereSeparator: \.isNewline).map { String($0.drop { $0 == "\t" || $0 == " " }) }
      .joined(separator: " ")
  }
}
