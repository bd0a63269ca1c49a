/// What roles and assignments have beside what they began with: a program that does not know of it would allow what is
/// denied, and everywhere and always what is allowed at some places and at some times.
enum PolicyMigration {
  static let sqlite = """
    ALTER TABLE roles ADD COLUMN rules TEXT;
    ALTER TABLE assignments ADD COLUMN terms TEXT;
    """

  static let postgreSQL = """
    ALTER TABLE roles ADD COLUMN rules TEXT COLLATE "C";
    ALTER TABLE assignments ADD COLUMN terms TEXT COLLATE "C";
    """
}
