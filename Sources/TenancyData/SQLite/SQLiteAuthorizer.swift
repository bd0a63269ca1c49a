internal import CTenancySQLite

/// What statements of tenants may do, which SQLite asks while it compiles them. Confined to its session.
final class SQLiteAuthorizer {
  /// While true, statements are the adapter's own.
  private(set) var isTrusting = true
  var reach: Reach

  /// What statements reach.
  enum Reach {
    /// All tables of the file, but for those of SQLite and of the platform.
    case whole
    /// These views, whose names are in lower case, and the tables beneath them by those views and triggers only whose names nobody else knows.
    case views(Set<String>, tables: Set<String>, secrets: Set<String>)
  }

  init(_ reach: Reach) { self.reach = reach }

  /// Ends the time in which all statements are the adapter's own.
  func distrust() { isTrusting = false }

  /// Runs the adapter's own statements.
  func trusting<Result, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    isTrusting = true
    defer { isTrusting = false }
    return try body()
  }

  /// Has the connection ask this one, from now on. It must not outlive it.
  func attach(to connection: OpaquePointer) {
    let ask:
      @convention(c) (
        UnsafeMutableRawPointer?, Int32, UnsafePointer<CChar>?, UnsafePointer<CChar>?,
        UnsafePointer<CChar>?, UnsafePointer<CChar>?
      ) -> Int32 = { context, action, first, second, database, cause in
        guard let context else { return SQLITE_DENY }
        let authorizer = Unmanaged<SQLiteAuthorizer>.fromOpaque(context).takeUnretainedValue()
        if authorizer.isTrusting { return SQLITE_OK }
        func text(_ pointer: UnsafePointer<CChar>?) -> String {
          pointer.map { String(cString: $0) } ?? ""
        }
        let isAllowed = authorizer.allows(
          action, text(first), text(second), text(database), cause: text(cause))
        return isAllowed ? SQLITE_OK : SQLITE_DENY
      }
    sqlite3_set_authorizer(connection, ask, Unmanaged.passUnretained(self).toOpaque())
  }

  /// - Parameters:
  ///   - first: of reads and writes the table's name.
  ///   - cause: of which view or trigger it is; empty: of the statement itself.
  private func allows(
    _ action: Int32, _ first: String, _ second: String, _ database: String, cause: String
  ) -> Bool {
    switch action {
    case SQLITE_SELECT, SQLITE_RECURSIVE: true
    case SQLITE_READ, SQLITE_INSERT, SQLITE_UPDATE, SQLITE_DELETE:
      reaches(first, database, cause, reads: action == SQLITE_READ)
    case SQLITE_FUNCTION: Self.allows(function: second)
    // ATTACH, PRAGMA, transactions, and whatever makes, changes or drops something; and what is not known.
    default: false
    }
  }

  /// - Parameter database: none, where no column of what is named without its database is used: then it is of any, or an
  ///   expression of that name, and the name is as the statement has it.
  private func reaches(
    _ table: String, _ database: String, _ cause: String, reads: Bool
  ) -> Bool {
    let name = table.lowercased()
    if reads, Self.tableFunctions.contains(name) { return true }
    switch reach {
    case .whole:
      return database == "main" || reads && database.isEmpty
        ? !Self.foreignPrefixes.contains { name.hasPrefix($0) }
          && !Self.foreignTables.contains(name)
        : false
    case .views(let views, let tables, let secrets):
      switch database {
      case "temp": return views.contains(name) || reads && secrets.contains(table)
      case "main": return tables.contains(table) && secrets.contains(cause)
      // Temporary views come first.
      case "": return reads && views.contains(name)
      default: return false
      }
    }
  }

  /// Of a parameter.
  private static let tableFunctions: Set = ["json_each", "json_tree"]
  private static let foreignPrefixes = ["sqlite_", "tenancy_", "pragma_"]
  /// What shows the file's pages, or the connection's statements.
  private static let foreignTables: Set = [
    "bytecode", "csv", "completion", "dbstat", "fsdir", "tables_used", "zipfile",
  ]

  private static func allows(function: String) -> Bool {
    let name = function.lowercased()
    return !name.hasPrefix("sqlite_") && !deniedFunctions.contains(name)
  }

  /// What reaches files or memory, where it is there at all.
  private static let deniedFunctions: Set = [
    "edit", "eval", "fts3_tokenizer", "load_extension", "lsdir", "readfile", "writefile",
  ]
}
