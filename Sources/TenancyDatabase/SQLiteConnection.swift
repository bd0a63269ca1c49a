internal import CTenancySQLite

/// Why SQLite refused. Holds the SQL text but never the values bound to it: they may be secrets.
package struct SQLiteError: Error, CustomStringConvertible {
  /// The extended result code.
  package let code: Int32
  package let message: String
  package let sql: String

  package init(code: Int32, message: String, sql: String) {
    self.code = code
    self.message = message
    self.sql = sql
  }

  /// The result code without its extension.
  package var primaryCode: Int32 { code & 0xFF }
  /// The file holds no database, or not the one that it should: no table of that name, for instance.
  package var meansLoss: Bool {
    [SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_ERROR].contains(primaryCode)
  }
  package var description: String {
    sql.isEmpty
      ? "SQLite \(code): \(message)" : "SQLite \(code): \(message) in: \(sql.quotedStatement)"
  }
}

/// Owns one database handle. Not thread-safe: the handle is opened without SQLite's own mutex.
package final class SQLiteConnection {
  package let handle: OpaquePointer

  /// Opens a file that exists.
  package convenience init(path: String) throws(SQLiteError) {
    try self.init(Self.plainName(of: path), of: path, SQLITE_OPEN_READWRITE)
  }

  /// Opens a file that exists to read it, and nothing else.
  /// - Parameter isStill: whether nobody else can change it meanwhile: then no other file is made or read.
  package convenience init(reading path: String, isStill: Bool) throws(SQLiteError) {
    let options = isStill ? "?mode=ro&immutable=1" : "?mode=ro"
    try self.init(
      Self.uri(of: path) + options, of: path, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI)
  }

  private init(_ name: String, of path: String, _ mode: Int32) throws(SQLiteError) {
    let flags = mode | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
    var opened: OpaquePointer?
    let code = sqlite3_open_v2(name, &opened, flags, nil)
    guard code == SQLITE_OK, let opened else {
      let message = String(cString: sqlite3_errstr(code))
      // A handle that failed to open must be closed all the same; nil is allowed.
      sqlite3_close_v2(opened)
      throw SQLiteError(code: code, message: "\(message): \(path)", sql: "")
    }
    handle = opened
  }

  deinit {
    // Statements keep their connection alive, so that none is left and closing really closes.
    sqlite3_close_v2(handle)
  }

  /// Whether a transaction is open. SQLite rolls some failed ones back by itself.
  package var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

  /// How many rows the last INSERT, UPDATE or DELETE changed.
  package var changedRows: Int64 { sqlite3_changes64(handle) }

  /// Runs statements that have no parameters, ignoring any rows.
  package func execute(_ sql: String) throws(SQLiteError) {
    let code = sqlite3_exec(handle, sql, nil, nil, nil)
    guard code == SQLITE_OK else { throw lastError(sql: sql) }
  }

  /// Compiles one statement, to be used many times.
  package func prepare(_ sql: String) throws(SQLiteError) -> SQLiteStatement {
    try SQLiteStatement(sql, on: self)
  }

  /// The first column of the only row of a statement such as a PRAGMA.
  package func integer(_ sql: String) throws(SQLiteError) -> Int64 {
    let statement = try prepare(sql)
    defer { statement.reset() }
    return try statement.step() ? sqlite3_column_int64(statement.handle, 0) : 0
  }

  /// Likewise, as text; empty when there is no row.
  package func text(_ sql: String) throws(SQLiteError) -> String {
    let statement = try prepare(sql)
    defer { statement.reset() }
    guard try statement.step(), let text = sqlite3_column_text(statement.handle, 0) else {
      return ""
    }
    return String(cString: text)
  }

  package func lastError(sql: String) -> SQLiteError {
    SQLiteError(
      code: sqlite3_extended_errcode(handle), message: String(cString: sqlite3_errmsg(handle)),
      sql: sql)
  }

  /// SQLite reads `file:…` as a URI with options and `:memory:` as no file at all. A path is a path.
  private static func plainName(of path: String) -> String {
    path.hasPrefix("/") ? path : "./" + path
  }

  /// In it, `?` begins the options, `#` ends the name, and `%` introduces a byte.
  private static func uri(of path: String) -> String {
    // What follows two slashes is a host, and then comes the path.
    let start = path.hasPrefix("/") ? "file://" : "file:"
    let escapes: [Character: String] = ["?": "%3f", "#": "%23", "%": "%25"]
    return plainName(of: path).reduce(into: start) { $0 += escapes[$1] ?? String($1) }
  }
}
