internal import Tenancy
import TenancyDatabase

/// The histories of configurations, of all owners. `place` is where an entry ends in its owner's history, in bytes since
/// that began, so that one number bounds how long it is and how many entries it has.
///
/// One row is of no owner: its revision is the one behind which histories begin.
extension Table {
  static let configurationHistory = Table(
    name: "configuration_history",
    columns: [
      .text("owner"), .integer("place"), .integer("bytes"), .integer("revision"),
      .integer("time"), .text("actor"), .text("action"), .text("request"), .text("edits"),
    ], keyCount: 2)

  /// Parameters: those of the columns, without the place.
  static func insertEdit(_ dialect: SQLDialect) -> String {
    let (owner, bytes) = (dialect.parameter(1), dialect.parameter(2))
    let rest = (2...8).map(dialect.parameter).joined(separator: ", ")
    return """
      INSERT INTO configuration_history
        (owner, place, bytes, revision, time, actor, action, request, edits)
      VALUES (\(owner), coalesce((SELECT max(place) FROM configuration_history
        WHERE owner = \(owner)), 0) + \(bytes), \(rest))
      """
  }

  /// The newest stays. Parameters: the owner, and what its history may have.
  static func trimEdits(_ dialect: SQLDialect) -> String {
    let (owner, bytes) = (dialect.parameter(1), dialect.parameter(2))
    return """
      DELETE FROM configuration_history WHERE owner = \(owner)
        AND place <= (SELECT max(place) FROM configuration_history WHERE owner = \(owner)) - \(bytes)
      """
  }
}

/// What is asked of the table, in either database, and how it is made.
enum HistoryQuery {
  /// A program that does not know of histories would go on without them, and leave them behind a purge.
  static let sqlite = """
    CREATE TABLE IF NOT EXISTS configuration_history (
      owner TEXT NOT NULL,
      place INTEGER NOT NULL,
      bytes INTEGER NOT NULL,
      revision INTEGER NOT NULL,
      time INTEGER NOT NULL,
      actor TEXT NOT NULL,
      action TEXT NOT NULL,
      request TEXT NOT NULL,
      edits TEXT NOT NULL,
      PRIMARY KEY (owner, place)
    ) STRICT, WITHOUT ROWID;

    INSERT OR IGNORE INTO configuration_history
      SELECT '', 0, 0, max(coalesce((SELECT max(revision) FROM log), 0),
        coalesce((SELECT max(removed) FROM log_floor), 0)), 0, '', '', '', '[]';
    """

  static let postgreSQL = """
    CREATE TABLE configuration_history (
      owner TEXT COLLATE "C" NOT NULL,
      place BIGINT NOT NULL,
      bytes BIGINT NOT NULL,
      revision BIGINT NOT NULL,
      time BIGINT NOT NULL,
      actor TEXT COLLATE "C" NOT NULL,
      action TEXT COLLATE "C" NOT NULL,
      request TEXT COLLATE "C" NOT NULL,
      edits TEXT COLLATE "C" NOT NULL,
      PRIMARY KEY (owner, place)
    );

    INSERT INTO configuration_history
      SELECT '', 0, 0, revision, 0, '', '', '', '[]' FROM tenancy_revision;
    """

  static let begin = "SELECT revision FROM configuration_history WHERE owner = ''"

  /// Of one look, roughly: it ends with the entry that goes beyond.
  static let maximumPageBytes = 256 * 1024

  private static let columns = "place, bytes, revision, time, actor, action, request, edits"

  /// Of an owner, before a place, at most so many, the newest first.
  static func page(_ dialect: SQLDialect) -> String {
    "SELECT \(columns) FROM configuration_history WHERE owner = \(dialect.parameter(1)) "
      + "AND place < \(dialect.parameter(2)) ORDER BY place DESC LIMIT \(dialect.parameter(3))"
  }

  /// As above, up to `maximumPageBytes`, for a server that sends all that was asked for.
  static func boundedPage(_ dialect: SQLDialect) -> String {
    """
    SELECT \(columns) FROM (
      SELECT \(columns), sum(bytes) OVER (ORDER BY place DESC) - bytes AS bytes_before
      FROM (\(page(dialect))) AS page) AS summed
    WHERE bytes_before < \(maximumPageBytes) ORDER BY place DESC
    """
  }

  /// All entries, with their owners behind the columns of a page.
  static let all = "SELECT \(columns), owner FROM configuration_history WHERE owner <> ''"

  static func values(
    _ owner: ConfigurationOwner, _ place: UInt64?, _ limit: Int
  ) -> [SQLValue] {
    [
      .text(owner.text), .integer(place.map { Int64(clamping: $0) } ?? .max),
      .integer(Int64(max(0, limit))),
    ]
  }

  static func entry(
    _ row: some TableRow, of owner: String, _ json: JSONCoding
  ) throws(StoreError) -> RecordedEdit {
    guard let place = row.integer(0), let bytes = row.integer(1), let revision = row.integer(2),
      let time = row.integer(3), let actor = row.text(4), let action = row.text(5),
      let request = row.text(6),
      let edits = row.text(7).flatMap({ json.decode([SettingEdit].self, $0) }), bytes > 0,
      place >= bytes, revision > 0
    else {
      throw StoreError(
        corrupt: StoreError.Place(
          table: Table.configurationHistory.name,
          row: "\(owner)/\(row.integer(0).map { "\($0)" } ?? "?")", what: "does not parse"))
    }
    return RecordedEdit(
      place: UInt64(place), bytes: UInt64(bytes), revision: UInt64(revision),
      time: Timestamp(nanoseconds: time), actor: actor, action: action, request: request,
      edits: edits)
  }
}

extension StateWriter {
  /// Adds what an entry does to configurations to their histories.
  func write(
    history: [ConfigurationEdit], of entry: LogEntry, revision: Int64,
    to runner: inout some StatementRunner
  ) throws(StoreError) {
    for edit in history {
      let owner = SQLValue.text(edit.owner.text)
      try runner.run(
        .insertEdit,
        [
          owner, .counter(edit.bytes), .integer(revision), .time(entry.time), .text(entry.actor),
          .text(entry.action), .text(edit.request), .text(try json.faithfulText(edit.edits)),
        ], refusal: nil)
      try runner.run(
        .trimEdits, [owner, .counter(ConfigurationEdit.maximumBytes)], refusal: nil)
    }
  }

  /// Removes the history of what is gone for good.
  func endHistory(of change: Change, in runner: inout some StatementRunner) throws(StoreError) {
    let owner: ConfigurationOwner
    switch change {
    case .putTenant(let tenant) where tenant.state == .purged: owner = .tenant(tenant.id)
    case .deleteConfigurationItem(.plan, let name): owner = .plan(name)
    default: return
    }
    try runner.run(.deleteEdits, [.text(owner.text)], refusal: nil)
  }
}
