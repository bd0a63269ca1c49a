internal import Tenancy

/// The table of what the platform declares of tenants' configurations. A program that does not know of it would let
/// tenants have what the platform has ruled out.
enum ConfigurationItems {
  static let sqlite = """
    CREATE TABLE IF NOT EXISTS configuration_items (
      kind TEXT NOT NULL,
      id TEXT NOT NULL,
      document TEXT NOT NULL,
      PRIMARY KEY (kind, id)
    ) STRICT, WITHOUT ROWID;
    """

  static let postgreSQL = """
    CREATE TABLE configuration_items (
      kind TEXT COLLATE "C" NOT NULL,
      id TEXT COLLATE "C" NOT NULL,
      document TEXT COLLATE "C" NOT NULL,
      PRIMARY KEY (kind, id)
    );
    """

  /// - Throws: `.corrupt` for one that no write can have left.
  static func check(_ item: ConfigurationItem) throws(StoreError) {
    guard !item.isSound else { return }
    throw StoreError(
      corrupt: StoreError.Place(
        table: Table.configurationItems.name, row: "\(item.kind.rawValue)/\(item.id)",
        what: "it is none that can be declared"))
  }
}
