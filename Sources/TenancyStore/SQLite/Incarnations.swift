internal import Glibc
internal import Tenancy
import TenancyDatabase

/// One life of a store: from its making or a restore to the next restore. Revisions, versions and epochs of a
/// later life are above all that were given out in an earlier one, as far as anyone can tell.
public struct StoreIncarnation: Codable, Hashable, Sendable {
  /// Raw values are those stored on disk.
  public enum State: String, CaseIterable, Codable, Sendable {
    /// A server may serve it.
    case current
    /// It is a backup: a server must not serve it.
    case copy
    /// It was restored, and the operator has not said yet that what came later is given up.
    case restored
  }

  /// From 1.
  public let number: Int64
  /// 128 random bits, lower-case hex.
  public let id: String
  public let state: State
  /// The last revision of the state that it began with: 0 in a new store.
  public let inheritedRevision: UInt64
  /// The first that it has itself: what is between the two was never in this store's log.
  public let firstRevision: UInt64
  /// The store that a restore has put aside, if it could be read.
  public let replacedID: String?
  public let replacedRevision: UInt64?
}

/// The table of them.
enum Incarnations {
  /// Made by a migration, and by the restoring of a store from before it.
  static let table = """
    CREATE TABLE IF NOT EXISTS incarnations (
      number INTEGER PRIMARY KEY,
      id TEXT NOT NULL UNIQUE,
      state TEXT NOT NULL,
      inherited_revision INTEGER NOT NULL,
      first_revision INTEGER NOT NULL,
      replaced_id TEXT,
      replaced_revision INTEGER,
      time INTEGER NOT NULL
    ) STRICT;

    INSERT INTO incarnations (number, id, state, inherited_revision, first_revision, time)
      SELECT 1, lower(hex(randomblob(16))), 'current', 0, 1, unixepoch() * 1000000000
      WHERE NOT EXISTS (SELECT * FROM incarnations);
    """

  /// The newest; nil in a store from before there were any.
  static func newest(_ connection: SQLiteConnection) throws(StoreError) -> StoreIncarnation? {
    guard try hasTable(connection) else { return nil }
    let all = try read(connection, "ORDER BY number DESC LIMIT 1")
    guard let newest = all.first else {
      throw StoreError(.corrupt, "table incarnations: it is empty")
    }
    return newest
  }

  /// - Parameter tail: what follows the table's name.
  static func read(
    _ connection: SQLiteConnection, _ tail: String
  ) throws(StoreError) -> [StoreIncarnation] {
    let statement = try asStoreError { () throws(SQLiteError) in
      try connection.prepare(
        """
        SELECT number, id, state, inherited_revision, first_revision, replaced_id,
          replaced_revision
        FROM incarnations \(tail)
        """)
    }
    defer { statement.reset() }
    var all: [StoreIncarnation] = []
    while try asStoreError({ () throws(SQLiteError) in try statement.step() }) {
      var row = RowReader(statement, table: "incarnations", keyColumns: 1, json: JSONCoding())
      let number = Int64(bitPattern: try row.counter())
      let id = try row.text()
      guard isID(id) else { throw row.corruption("its id is none") }
      all.append(
        StoreIncarnation(
          number: number, id: id, state: try row.name(), inheritedRevision: try row.counter(),
          firstRevision: try row.counter(), replacedID: statement.text(5),
          replacedRevision: statement.integer(6).map(UInt64.init(bitPattern:))))
    }
    return all
  }

  static func hasTable(_ connection: SQLiteConnection) throws(StoreError) -> Bool {
    try asStoreError { () throws(SQLiteError) in
      try connection.integer("SELECT count(*) FROM sqlite_schema WHERE name = 'incarnations'") > 0
    }
  }

  /// Refuses what must not be served.
  static func requireCurrent(
    _ connection: SQLiteConnection, _ path: String
  ) throws(StoreError) -> StoreIncarnation {
    guard let newest = try newest(connection) else {
      throw StoreError(.corrupt, "table incarnations: it is missing")
    }
    switch newest.state {
    case .current:
      return newest
    case .copy:
      throw StoreError(
        .unavailable,
        "\(path) is a backup, not a store: put it in place with `tenantctl restore`")
    case .restored:
      throw StoreError(
        .unavailable,
        "\(path) was restored to revision \(newest.inheritedRevision): what was acknowledged later "
          + "is not in it. Nothing is served until you say that this is meant: "
          + "`tenantd serve --accept-restored`, or `tenantctl restore --accept`")
    }
  }

  /// Sets the newest's state, in a transaction of its own.
  static func set(
    _ state: StoreIncarnation.State, _ connection: SQLiteConnection
  ) throws(SQLiteError) {
    try connection.prepare(
      "UPDATE incarnations SET state = ?1 WHERE number = (SELECT max(number) FROM incarnations)"
    ).run([.text(state.rawValue)])
  }

  private static func isID(_ text: String) -> Bool {
    text.utf8.count == 32 && text.allSatisfy { $0.isHexDigit && !$0.isUppercase }
  }
}
