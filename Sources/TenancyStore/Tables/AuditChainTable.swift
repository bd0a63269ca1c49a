internal import Tenancy
import TenancyDatabase

/// One row for each chain of audit records. It tells where the chain begins, and finds those of which something
/// may go, without a look at the others. A write touches it only when a chain gets a second record, as its last is
/// never removed, and for each sixteenth.
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
  /// Those that have two records and more: their rows tell of an oldest.
  private var noted: Set<AuditChain> = []

  /// - Parameter row: the next of `AuditQuery.end`.
  /// - Returns: whether a further one would be of use.
  mutating func add(_ row: some TableRow, of chain: AuditChain) throws(StoreError) -> Bool {
    guard heads[chain] == nil else {
      noted.insert(chain)
      return false
    }
    let head = try AuditQuery.head(row, of: chain)
    heads[chain] = head
    return head.sequence > 1
  }

  /// - Returns: of what time the oldest record is to be noted to be, at least; nil: nothing is to be noted.
  func note(_ first: StoredAuditRecord, last: UInt64) -> Timestamp? {
    let unknown = Timestamp(nanoseconds: 0)
    guard let head = heads[first.chain] else {
      guard last > first.sequence else { return nil }
      return AuditEncoding.decode(first.bytes)?.time ?? unknown
    }
    let interval = Table.auditNoteInterval
    // When it is looked at, the time becomes the one that it is.
    return noted.contains(first.chain) && head.sequence / interval == last / interval
      ? nil : unknown
  }
}

extension AuditQuery {
  /// Of a chain: its last record's sequence and hash, and those of the one before.
  static func end(_ dialect: SQLDialect) -> String {
    "SELECT sequence, hash FROM audit_records WHERE chain = \(dialect.parameter(1)) "
      + "ORDER BY sequence DESC LIMIT 2"
  }

  private static let begin = "SELECT chain, floor, floor_hash FROM audit_chains"

  /// Chains whose oldest record may be older than a time, at most so many.
  static func old(_ dialect: SQLDialect) -> String {
    "\(begin) WHERE oldest_time < \(dialect.parameter(1)) ORDER BY oldest_time "
      + "LIMIT \(dialect.parameter(2))"
  }

  /// Chains that have more records than this, at most so many. Last: how many the platform's may have.
  static func long(_ dialect: SQLDialect) -> String {
    "\(begin) WHERE latest - floor > \(dialect.parameter(1)) "
      + "AND (chain <> '\(AuditChain.platform)' OR latest - floor > \(dialect.parameter(3))) "
      + "ORDER BY latest - floor DESC LIMIT \(dialect.parameter(2))"
  }

  static let allBegins = "\(begin) ORDER BY chain"

  /// Chains with their ends, behind one, at most so many. From each to the next by the index: other records are not
  /// looked at.
  static func ends(_ dialect: SQLDialect) -> String {
    """
    WITH RECURSIVE chains (chain, number) AS (
      SELECT (SELECT min(chain) FROM audit_records WHERE chain > \(dialect.parameter(1))),
        CAST(1 AS BIGINT)
      UNION ALL
      SELECT (SELECT min(next.chain) FROM audit_records AS next WHERE next.chain > chains.chain),
        chains.number + 1
      FROM chains WHERE chains.chain IS NOT NULL AND chains.number < \(dialect.parameter(2)))
    SELECT chains.chain, audit_records.sequence, audit_records.hash
    FROM chains JOIN audit_records ON audit_records.chain = chains.chain
      AND audit_records.sequence = (
        SELECT max(last.sequence) FROM audit_records AS last WHERE last.chain = chains.chain)
    ORDER BY chains.chain
    """
  }

  /// The questions that are to be asked, each with its parameters.
  static func bounds<Question>(
    _ moment: Timestamp?, _ length: AuditLength?, limit: Int, _ old: Question, _ long: Question
  ) -> [(Question, [SQLValue])] {
    let limit = SQLValue.integer(Int64(limit))
    let number = { (count: UInt64) in SQLValue.integer(Int64(clamping: count)) }
    return [
      moment.map { (old, [.time($0), limit]) },
      length.map { (long, [number($0.tenants), limit, number($0.platform)]) },
    ].compactMap(\.self)
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
    var added: [(first: StoredAuditRecord, last: UInt64)] = []
    var places: [AuditChain: Int] = [:]
    for record in records {
      if let at = places[record.chain] {
        added[at].last = record.sequence
      } else {
        places[record.chain] = added.count
        added.append((record, record.sequence))
      }
    }
    for (first, last) in added {
      guard let time = ends.note(first, last: last) else { continue }
      try runner.run(
        .noteAuditChain,
        [
          .text(first.chain.description), .integer(0), .blob(AuditHead.start.hash), .time(time),
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
