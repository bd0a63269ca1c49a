internal import CTenancySQLite
internal import TenancyDatabase

/// How values are in SQLite.
enum SQLiteValues {
  static func parameters(_ values: [DataValue]) -> [SQLValue] {
    values.map { value in
      switch value {
      case .null: .null
      case .bool(let bool): .integer(bool ? 1 : 0)
      case .integer(let integer): .integer(integer)
      case .real(let number): .real(number)
      case .text(let text): .text(text)
      case .bytes(let bytes): .blob(bytes)
      }
    }
  }

  static func columns(of statement: SQLiteStatement) -> DataColumns {
    DataColumns(
      (0..<sqlite3_column_count(statement.handle)).map { column in
        sqlite3_column_name(statement.handle, column).map { String(cString: $0) } ?? ""
      })
  }

  /// Of the current row. Text that is not valid is repaired.
  static func values(_ statement: SQLiteStatement) -> [DataValue] {
    let handle = statement.handle
    return (0..<sqlite3_column_count(handle)).map { column in
      switch sqlite3_column_type(handle, column) {
      case SQLITE_INTEGER: return .integer(sqlite3_column_int64(handle, column))
      case SQLITE_FLOAT: return .real(sqlite3_column_double(handle, column))
      case SQLITE_TEXT:
        guard let text = sqlite3_column_text(handle, column) else { return .text("") }
        let count = Int(sqlite3_column_bytes(handle, column))
        // SQLite's until the next step; copied here.
        return .text(
          String(decoding: UnsafeBufferPointer(start: text, count: count), as: UTF8.self))
      case SQLITE_BLOB:
        let start = sqlite3_column_blob(handle, column)
        let count = Int(sqlite3_column_bytes(handle, column))
        return .bytes(Array(UnsafeRawBufferPointer(start: start, count: count)))
      default: return .null
      }
    }
  }
}
