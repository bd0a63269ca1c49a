internal import CTenancySQLite

/// Owns one compiled statement.
final class SQLiteStatement {
  private let handle: OpaquePointer
  private let sql: String
  /// The database must outlive the statement.
  private let connection: SQLiteConnection

  init(_ sql: String, on connection: SQLiteConnection) throws(SQLiteError) {
    var compiled: OpaquePointer?
    let flags = UInt32(SQLITE_PREPARE_PERSISTENT)
    let code = sqlite3_prepare_v3(connection.handle, sql, -1, flags, &compiled, nil)
    guard code == SQLITE_OK else { throw connection.lastError(sql: sql) }
    guard let compiled else {
      throw SQLiteError(code: SQLITE_MISUSE, message: "empty statement", sql: sql)
    }
    handle = compiled
    self.sql = sql
    self.connection = connection
  }

  deinit {
    // Its result repeats the last step's error, which was reported then.
    sqlite3_finalize(handle)
  }

  /// Runs a statement to its end.
  func run(_ values: [SQLValue]) throws(SQLiteError) {
    defer { reset() }
    try bind(values)
    while try step() {}
  }

  /// Binds all parameters, from the first.
  func bind(_ values: [SQLValue]) throws(SQLiteError) {
    for (index, value) in values.enumerated() {
      try bind(value, at: Int32(index + 1))
    }
  }

  /// Advances to the next row. Returns false at the end.
  func step() throws(SQLiteError) -> Bool {
    switch sqlite3_step(handle) {
    case SQLITE_ROW: return true
    case SQLITE_DONE: return false
    default: throw connection.lastError(sql: sql)
    }
  }

  /// Makes the statement ready to run again and lets go of what was bound to it.
  func reset() {
    // Its result repeats the last step's error, which was reported then.
    sqlite3_reset(handle)
    sqlite3_clear_bindings(handle)
  }

  private func bind(_ value: SQLValue, at index: Int32) throws(SQLiteError) {
    let code =
      switch value {
      case .null: sqlite3_bind_null(handle, index)
      case .integer(let integer): sqlite3_bind_int64(handle, index, integer)
      case .text(let text):
        // With its length, for it may contain NUL.
        text.withCString { bytes in
          sqlite3_bind_text64(
            handle, index, bytes, UInt64(text.utf8.count), Self.transient, UInt8(SQLITE_UTF8))
        }
      case .blob(let bytes):
        // Of nothing there is no address, and with none SQLite binds null.
        bytes.isEmpty
          ? sqlite3_bind_zeroblob(handle, index, 0)
          : sqlite3_bind_blob64(handle, index, bytes, UInt64(bytes.count), Self.transient)
      }
    guard code == SQLITE_OK else { throw connection.lastError(sql: sql) }
  }

  /// Tells SQLite to copy the text. The C macro is a cast of -1 to a function pointer, which Swift
  /// does not import; SQLite compares it and never calls it.
  private static var transient: sqlite3_destructor_type {
    unsafeBitCast(-1, to: sqlite3_destructor_type.self)
  }
}

/// The current row's columns, counted from 0.
extension SQLiteStatement: TableRow {
  func isNull(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }

  /// Nil unless the column is an integer.
  func integer(_ column: Int32) -> Int64? {
    guard sqlite3_column_type(handle, column) == SQLITE_INTEGER else { return nil }
    return sqlite3_column_int64(handle, column)
  }

  /// Nil unless the column is a blob.
  func bytes(_ column: Int32) -> [UInt8]? {
    guard sqlite3_column_type(handle, column) == SQLITE_BLOB else { return nil }
    let start = sqlite3_column_blob(handle, column)
    let count = Int(sqlite3_column_bytes(handle, column))
    return Array(UnsafeRawBufferPointer(start: start, count: count))
  }

  /// Nil unless the column is text in valid UTF-8.
  func text(_ column: Int32) -> String? {
    guard sqlite3_column_type(handle, column) == SQLITE_TEXT,
      let bytes = sqlite3_column_text(handle, column)
    else { return nil }
    let count = Int(sqlite3_column_bytes(handle, column))
    // SQLite's until the next step; copied here.
    let span = Span(_unsafeStart: bytes, count: count)
    // Text that is not valid is none, as promised.
    guard let utf8 = try? UTF8Span(validating: span) else { return nil }
    return String(copying: utf8)
  }

  func withText<Result>(_ column: Int32, _ body: (RawSpan) -> Result?) -> Result? {
    guard sqlite3_column_type(handle, column) == SQLITE_TEXT,
      let bytes = sqlite3_column_text(handle, column)
    else { return nil }
    let count = Int(sqlite3_column_bytes(handle, column))
    // SQLite's until the next step.
    return body(Span(_unsafeStart: bytes, count: count).bytes)
  }
}
