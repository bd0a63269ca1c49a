/// What roles and assignments have beside what they began with: a program that does not know of it would allow what is
/// denied, and everywhere and always what is allowed at some places and at some times.
enum PolicyMigration {
  /// Tables, and the column of texts that each gets.
  static let columns = [("roles", "rules"), ("assignments", "terms")]

  static let postgreSQL = columns.map { table, column in
    "ALTER TABLE \(table) ADD COLUMN \(column) TEXT COLLATE \"C\";"
  }.joined(separator: "\n")
}
