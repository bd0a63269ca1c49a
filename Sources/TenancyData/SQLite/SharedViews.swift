internal import CTenancySQLite
internal import TenancyDatabase

/// A tenant's view of tables that it shares with others.
///
/// What statements call `orders` is a view of the session's. Beneath it is another, of a name that nobody knows, which has
/// the tenant's rows of the file's table, and that table is readable by that one view only. Were it readable by `orders`,
/// whoever begins a statement by `WITH orders AS (SELECT * FROM main.all_orders)` would read all: SQLite tells views and
/// such expressions apart by their names. It is the same with triggers.
struct SharedViews {
  private let connection: SQLiteConnection
  private let identifier: String
  private let tables: [SQLitePlace.SharedTable]
  /// The part of names that nobody knows, of this session.
  private let secret: String

  init(
    _ connection: SQLiteConnection, _ identifier: String, _ tables: [SQLitePlace.SharedTable]
  ) {
    self.connection = connection
    self.identifier = identifier
    self.tables = tables
    var random = SystemRandomNumberGenerator()
    let numbers: [UInt64] = [random.next(), random.next()]
    secret = numbers.map { String($0, radix: 36) }.joined(separator: "_")
  }

  var reach: SQLiteAuthorizer.Reach {
    .views(
      Set(tables.map { $0.name.lowercased() }), tables: Set(tables.map(\.table)),
      secrets: Set(secrets))
  }

  /// Names that are not to be seen.
  var secrets: [String] {
    tables.indices.flatMap { index in Name.allCases.map { name($0, index) } }
  }

  private enum Name: String, CaseIterable {
    case rows, insert, update, delete
  }

  private func name(_ name: Name, _ index: Int) -> String { "\(name.rawValue)_\(secret)_\(index)" }

  // MARK: Making

  func make() throws(DataError) {
    guard !identifier.isEmpty, !identifier.utf8.contains(0) else {
      throw DataError(.unsafePlace, "the tenant has no identifier")
    }
    for (index, table) in tables.enumerated() {
      guard table.name.lowercased() != table.table.lowercased() else {
        throw DataError(
          .unsafePlace,
          "the shared table \(table.table) has to be called otherwise in statements: its triggers would not reach it"
        )
      }
      let shape = try SharedTableShape(connection, table)
      do throws(SQLiteError) {
        for statement in statements(shape, index) { try connection.execute(statement) }
      } catch {
        throw DataError(.unsafePlace, "the shared table \(table.table): \(error.message)")
      }
    }
  }

  private func statements(_ shape: SharedTableShape, _ index: Int) -> [String] {
    let table = shape.table
    let (view, base) = (quoted(table.name), quoted(table.table))
    let (own, tenant) = (literal(identifier), quoted(table.tenantColumn))
    let columns = shape.columns.map { quoted($0.name) }.joined(separator: ", ")
    let written = shape.columns.filter { !$0.isGenerated }
    let isOwnRow = "\(tenant) COLLATE BINARY = \(own)"
    let isSameRow = shape.key.map { "\(quoted($0)) IS OLD.\(quoted($0))" }.joined(
      separator: " AND ")
    let refusal = "SELECT RAISE(ABORT, 'the row would be another tenant''s')"
    let values = written.map { column in
      if column.name == table.tenantColumn { return own }
      let new = "NEW.\(quoted(column.name))"
      return column.defaultValue.map { "coalesce(\(new), \($0))" } ?? new
    }
    let changes = written.filter { $0.name != table.tenantColumn }.map {
      "\(quoted($0.name)) = NEW.\(quoted($0.name))"
    }
    var statements = [
      "CREATE TEMP VIEW \(quoted(name(.rows, index))) AS SELECT \(columns) FROM main.\(base) WHERE \(isOwnRow)",
      "CREATE TEMP VIEW \(view) AS SELECT \(columns) FROM temp.\(quoted(name(.rows, index)))",
      """
      CREATE TEMP TRIGGER \(quoted(name(.insert, index))) INSTEAD OF INSERT ON temp.\(view) BEGIN
        \(refusal) WHERE NEW.\(tenant) IS NOT NULL AND NEW.\(tenant) COLLATE BINARY IS NOT \(own);
        INSERT INTO \(base) (\(written.map { quoted($0.name) }.joined(separator: ", ")))
          VALUES (\(values.joined(separator: ", ")));
      END
      """,
      """
      CREATE TEMP TRIGGER \(quoted(name(.delete, index))) INSTEAD OF DELETE ON temp.\(view) BEGIN
        DELETE FROM \(base) WHERE \(isOwnRow) AND \(isSameRow);
      END
      """,
    ]
    if !changes.isEmpty {
      statements.append(
        """
        CREATE TEMP TRIGGER \(quoted(name(.update, index))) INSTEAD OF UPDATE ON temp.\(view) BEGIN
          \(refusal) WHERE NEW.\(tenant) COLLATE BINARY IS NOT \(own);
          UPDATE \(base) SET \(changes.joined(separator: ", ")) WHERE \(isOwnRow) AND \(isSameRow);
        END
        """)
    }
    return statements
  }

  private func quoted(_ name: String) -> String { SharedTableShape.quoted(name) }
  private func literal(_ text: String) -> String { SharedTableShape.literal(text) }
}
