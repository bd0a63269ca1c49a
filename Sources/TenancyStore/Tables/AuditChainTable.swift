internal import Tenancy

/// One row for each chain of audit records. It tells where the chain begins, and finds those of which something
/// may go, without a look at the others. A write touches it only when a chain has its first or second record, and
/// for each sixteenth.
///
/// Without a row, nothing was removed.
extension Table {
  static let auditChains = Table(
    name: "audit_chains",
    columns: [
      .text("chain"),
      // The last record that was removed, and its hash.
      .integer("floor"), .blob("floor_hash"),
      // The oldest record is not older. Null: there is one record only, and it stays.
      .nullable(.integer("oldest_time")),
      // The chain has at least these records.
      .integer("latest"),
    ], keyCount: 1)

  /// How much longer a chain may be than its row tells.
  static let auditNoteInterval: UInt64 = 16

  static func noteAuditChain(_ dialect: SQLDialect) -> String {
    "\(auditChains.insert(dialect)) ON CONFLICT (chain) DO UPDATE SET latest = excluded.latest, "
      + "oldest_time = coalesce(audit_chains.oldest_time, excluded.oldest_time)"
  }

  /// Parameters: chain, floor, the oldest time, the last record known. That there is only one is not noted when
  /// more have come since.
  static func noteAuditBegin(_ dialect: SQLDialect) -> String {
    let (chain, floor, time, last) = (
      dialect.parameter(1), dialect.parameter(2), dialect.parameter(3), dialect.parameter(4)
    )
    return """
      UPDATE audit_chains SET oldest_time = CAST(\(time) AS BIGINT),
        latest = CASE WHEN latest < \(last) THEN \(last) ELSE latest END
      WHERE chain = \(chain) AND floor = \(floor) AND (CAST(\(time) AS BIGINT) IS NOT NULL
        OR NOT EXISTS (SELECT 1 FROM audit_records WHERE chain = \(chain) AND sequence > \(last)))
      """
  }

  /// Parameters: chain, floor, the new floor and its hash, the oldest time.
  static func moveAuditBegin(_ dialect: SQLDialect) -> String {
    let (chain, floor, through, hash, time) = (
      dialect.parameter(1), dialect.parameter(2), dialect.parameter(3), dialect.parameter(4),
      dialect.parameter(5)
    )
    return """
      UPDATE audit_chains SET floor = \(through), floor_hash = \(hash), oldest_time = \(time)
      WHERE chain = \(chain) AND floor = \(floor)
        AND EXISTS (SELECT 1 FROM audit_records
          WHERE chain = \(chain) AND sequence = \(through) AND hash = \(hash))
        AND EXISTS (SELECT 1 FROM audit_records WHERE chain = \(chain) AND sequence > \(through))
      """
  }
}

/// Where the chains of a batch end, and which of them are to be noted.
struct AuditEnds {
  /// Those without records are left out.
  private(set) var heads: [AuditChain: AuditHead] = [:]
  /// Whose rows tell of an oldest record.
  private var noted: Set<AuditChain> = []

  /// - Parameter row: of `AuditQuery.end`.
  mutating func add(_ row: some TableRow, of chain: AuditChain) throws(StoreError) {
    heads[chain] = try AuditQuery.head(row, of: chain)
    if !row.isNull(2) { noted.insert(chain) }
  }

  /// - Returns: of what time the oldest record is to be noted to be, at least; nil: nothing is to be noted.
  func note(_ first: StoredAuditRecord, last: UInt64) -> Timestamp? {
    let chain = first.chain
    guard let head = heads[chain] else {
      return AuditEncoding.decode(first.bytes)?.time ?? Timestamp(nanoseconds: 0)
    }
    let interval = Table.auditNoteInterval
    // When it is looked at, the time becomes the one that it is.
    return noted.contains(chain) && head.sequence / interval == last / interval
      ? nil : Timestamp(nanoseconds: 0)
  }
}

extension AuditQuery {
  /// Of a chain: its last record's sequence and hash, and whether its row tells of an oldest (not null).
  static func end(_ dialect: SQLDialect) -> String {
    "SELECT ending.sequence, ending.hash, audit_chains.oldest_time FROM (\(head(dialect))) AS ending "
      + "LEFT JOIN audit_chains ON audit_chains.chain = \(dialect.parameter(1))"
  }

  private static let begin = "SELECT chain, floor, floor_hash FROM audit_chains"

  /// Chains whose oldest record may be older than a time, at most so many.
  static func old(_ dialect: SQLDialect) -> String {
    "\(begin) WHERE oldest_time < \(dialect.parameter(1)) ORDER BY oldest_time "
      + "LIMIT \(dialect.parameter(2))"
  }

  /// Chains that have more records than this, at most so many.
  static func long(_ dialect: SQLDialect) -> String {
    "\(begin) WHERE latest - floor > \(dialect.parameter(1)) ORDER BY latest - floor DESC "
      + "LIMIT \(dialect.parameter(2))"
  }

  static let allBegins = "\(begin) ORDER BY chain"

  /// Chains with their ends, behind one, at most so many.
  static func ends(_ dialect: SQLDialect) -> String {
    """
    SELECT audit_chains.chain, audit_records.sequence, audit_records.hash
    FROM audit_chains JOIN audit_records ON audit_records.chain = audit_chains.chain
      AND audit_records.sequence = (
        SELECT max(last.sequence) FROM audit_records AS last WHERE last.chain = audit_chains.chain)
    WHERE audit_chains.chain > \(dialect.parameter(1)) ORDER BY audit_chains.chain
    LIMIT \(dialect.parameter(2))
    """
  }

  /// The questions that are to be asked, each with its first parameter.
  static func bounds<Question>(
    _ moment: Timestamp?, _ length: UInt64?, _ old: Question, _ long: Question
  ) -> [(Question, SQLValue)] {
    [moment.map { (old, .time($0)) }, length.map { (long, .integer(Int64(clamping: $0))) }]
      .compactMap(\.self)
  }

  static func each(_ begins: [AuditBegin]) -> [AuditBegin] {
    var seen: Set<AuditChain> = []
    return begins.filter { seen.insert($0.chain).inserted }
  }

  static func begin(_ row: some TableRow) throws(StoreError) -> AuditBegin {
    let (chain, head) = try place(row, least: 0)
    return AuditBegin(chain: chain, floor: head)
  }

  static func end(_ row: some TableRow) throws(StoreError) -> AuditEnd {
    let (chain, head) = try place(row, least: 1)
    return AuditEnd(chain: chain, head: head)
  }

  private static func place(
    _ row: some TableRow, least: UInt64
  ) throws(StoreError) -> (AuditChain, AuditHead) {
    guard let name = row.text(0), let chain = AuditChain(parsing: name),
      let sequence = row.integer(1).flatMap(UInt64.init(exactly:)), sequence >= least,
      let hash = row.bytes(2), hash.count == AuditEncoding.hashBytes
    else {
      throw StoreError(
        corrupt: StoreError.Place(
          table: Table.auditChains.name, row: row.text(0) ?? "?", what: "does not parse"))
    }
    return (chain, AuditHead(sequence: sequence, hash: hash))
  }
}

extension StateWriter {
  /// Notes what is to be known of the chains that these records were added to.
  func note(
    _ records: [StoredAuditRecord], after ends: AuditEnds, to runner: inout some StatementRunner
  ) throws(StoreError) {
    var added: [AuditChain: (first: StoredAuditRecord, last: UInt64)] = [:]
    for record in records {
      added[record.chain] = (added[record.chain]?.first ?? record, record.sequence)
    }
    // In the order of their names, so that tests find the same each time.
    for (chain, (first, last)) in added.sorted(by: { "\($0.key)" < "\($1.key)" }) {
      guard let time = ends.note(first, last: last) else { continue }
      try runner.run(
        .noteAuditChain,
        [
          .text(chain.description), .integer(0), .blob(AuditHead.start.hash), .time(time),
          .counter(last),
        ], refusal: nil)
    }
  }

  /// Inside the caller's transaction.
  func trim(
    _ trims: [AuditTrim], _ hold: LeaseHold?, with runner: inout some StatementRunner
  ) throws(StoreError) {
    if let hold { try self.hold(hold.lease, lasting: hold.duration, with: &runner) }
    for trim in trims {
      let chain = SQLValue.text(trim.begin.chain.description)
      let floor = SQLValue.counter(trim.begin.floor.sequence)
      guard let through = trim.through else {
        try runner.run(
          .noteAuditBegin,
          [chain, floor, .optionalTime(trim.oldestTime), .counter(trim.last)], refusal: nil)
        continue
      }
      try runner.run(
        .moveAuditBegin,
        [
          chain, floor, .counter(through.sequence), .blob(through.hash),
          .optionalTime(trim.oldestTime),
        ],
        refusal:
          "the chain \(trim.begin.chain) does not begin behind \(trim.begin.floor.sequence), or has no "
          + "such record \(through.sequence) with others behind it")
      try runner.run(.removeAuditRecords, [chain, .counter(through.sequence)], refusal: nil)
    }
  }
}
