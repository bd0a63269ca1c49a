internal import CTenancySQLite

/// Owns one compiled statement.
package final class SQLiteStatement {
  /// Of what else is done with it, while this lives.
  package let handle: OpaquePointer
  private let sql: String
  /// The database must outlive the statement.
  private let connection: SQLiteConnection

  /// - Parameter isSingle: whether what is behind the first statement is refused, and not just ignored.
  package init(
    _ sql: String, on connection: SQLiteConnection, isSingle: Bool = false
  ) throws(SQLiteError) {
    // With its length: what is behind a NUL would not be seen.
    let text = Array(sql.utf8CString)
    guard !isSingle || !sql.utf8.contains(0), let count = Int32(exactly: text.count) else {
      throw SQLiteError(code: SQLITE_MISUSE, message: Self.notOneStatement, sql: sql)
    }
    var compiled: OpaquePointer?
    var isMore = false
    let flags = UInt32(SQLITE_PREPARE_PERSISTENT)
    let code = text.withUnsafeBufferPointer { text in
      var rest: UnsafePointer<CChar>?
      let code = sqlite3_prepare_v3(
        connection.handle, text.baseAddress, count, flags, &compiled, &rest)
      // Only blanks, comments and semicolons make no statement and no error.
      while code == SQLITE_OK, isSingle, !isMore, let from = rest, from.pointee != 0 {
        var other: OpaquePointer?
        let end = sqlite3_prepare_v3(connection.handle, from, -1, 0, &other, &rest)
        isMore = end != SQLITE_OK || other != nil
        sqlite3_finalize(other)
      }
      return code
    }
    guard code == SQLITE_OK else { throw connection.lastError(sql: sql) }
    guard let compiled, !isMore else {
      sqlite3_finalize(compiled)
      throw SQLiteError(
        code: SQLITE_MISUSE, message: isSingle ? Self.notOneStatement : "empty statement", sql: sql)
    }
    handle = compiled
    self.sql = sql
    self.connection = connection
  }

  package static let notOneStatement = "it is not one statement"

  deinit {
    // Its result repeats the last step's error, which was reported then.
    sqlite3_finalize(handle)
  }

  /// Runs a statement to its end.
  package func run(_ values: [SQLValue]) throws(SQLiteError) {
    defer { reset() }
    try bind(values)
    while try step() {}
  }

  /// Binds all parameters, from the first.
  package func bind(_ values: [SQLValue]) throws(SQLiteError) {
    for (index, value) in values.enumerated() {
      try bind(value, at: Int32(index + 1))
    }
  }

  /// Advances to the next row. Returns false at the end.
  package func step() throws(SQLiteError) -> Bool {
    switch sqlite3_step(handle) {
    case SQLITE_ROW: return true
    case SQLITE_DONE: return false
    default: throw connection.lastError(sql: sql)
    }
  }

  /// Makes the statement ready to run again and lets go of what was bound to it.
  package func reset() {
    // Its result repeats the last step's error, which was reported then.
    sqlite3_reset(handle)
    sqlite3_clear_bindings(handle)
  }

  private func bind(_ value: SQLValue, at index: Int32) throws(SQLiteError) {
    let code =
      switch value {
      case .null: sqlite3_bind_null(handle, index)
      case .integer(let integer): sqlite3_bind_int64(handle, index, integer)
      case .real(let number): sqlite3_bind_double(handle, index, number)
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
