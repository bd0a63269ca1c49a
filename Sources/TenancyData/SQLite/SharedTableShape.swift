internal import CTenancySQLite
internal import TenancyDatabase

/// What a table of all tenants is made of, as far as their rows can be kept apart in it.
struct SharedTableShape {
  struct Column {
    let name: String
    /// SQL's text of what it is without a value.
    let defaultValue: String?
    let isGenerated: Bool
  }

  let table: SQLitePlace.SharedTable
  let columns: [Column]
  /// Of the primary key.
  let key: [String]

  /// - Throws: with `unsafePlace` where one tenant could learn of another's rows.
  init(_ connection: SQLiteConnection, _ table: SQLitePlace.SharedTable) throws(DataError) {
    self.table = table
    do throws(SQLiteError) {
      let name = Self.literal(table.table)
      let found = try Self.rows(
        connection,
        """
        SELECT name, dflt_value, hidden, pk, type FROM pragma_table_xinfo(\(name), 'main') ORDER BY cid
        """)
      columns = found.filter { $0[2] != "1" }.map {
        Column(name: $0[0] ?? "", defaultValue: $0[1], isGenerated: $0[2] != "0")
      }
      key = found.filter { $0[3] != "0" }.map { $0[0] ?? "" }
      let type = found.first { $0[0] == table.tenantColumn }?[4]
      let isTable = try Self.rows(
        connection, "SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = \(name)")
      let problem = try Self.problem(
        connection, table, key, type: isTable.isEmpty ? nil : type ?? nil)
      if let problem { throw SQLiteError(code: SQLITE_ERROR, message: problem, sql: "") }
    } catch {
      throw DataError(.unsafePlace, "the shared table \(table.table): \(error.message)")
    }
  }

  private static func problem(
    _ connection: SQLiteConnection, _ table: SQLitePlace.SharedTable, _ key: [String],
    type: String?
  ) throws(SQLiteError) -> String? {
    guard let type else { return "it is not there, or has no \(table.tenantColumn)" }
    // Otherwise 1 and 01 would be the same, where tenants' identifiers are numbers.
    let isText = ["CHAR", "CLOB", "TEXT"].contains { type.uppercased().contains($0) }
    guard isText, !type.uppercased().contains("INT") else {
      return "\(table.tenantColumn) has to be TEXT"
    }
    guard key.contains(table.tenantColumn) else {
      return
        "its primary key has to have \(table.tenantColumn), or tenants learn which keys others have"
    }
    let name = literal(table.table)
    let indexes = try rows(
      connection, "SELECT name FROM pragma_index_list(\(name), 'main') WHERE \"unique\"")
    for index in indexes {
      let columns = try rows(
        connection, "SELECT name FROM pragma_index_info(\(literal(index[0] ?? "")), 'main')")
      guard columns.contains(where: { $0[0] == table.tenantColumn }) else {
        return "its unique index \(index[0] ?? "") has to have \(table.tenantColumn), or tenants "
          + "learn which values others have"
      }
    }
    let foreignKeys = try rows(
      connection,
      """
      SELECT id, max("from" = \(literal(table.tenantColumn)))
      FROM pragma_foreign_key_list(\(name), 'main') GROUP BY id
      """)
    guard foreignKeys.allSatisfy({ $0[1] == "1" }) else {
      return
        "its foreign keys have to have \(table.tenantColumn), or rows refer to other tenants' rows"
    }
    return nil
  }

  private static func rows(
    _ connection: SQLiteConnection, _ sql: String
  ) throws(SQLiteError) -> [[String?]] {
    let statement = try connection.prepare(sql)
    defer { statement.reset() }
    var rows: [[String?]] = []
    while try statement.step() {
      rows.append(
        (0..<sqlite3_column_count(statement.handle)).map { column in
          sqlite3_column_text(statement.handle, column).map { String(cString: $0) }
        })
    }
    return rows
  }

  static func quoted(_ name: String) -> String {
    "\"\(name.replacing("\"", with: "\"\""))\""
  }

  static func literal(_ text: String) -> String {
    "'\(text.replacing("'", with: "''"))'"
  }
}
