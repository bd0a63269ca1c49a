internal import CTenancySQLite
import TenancyDatabase

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
