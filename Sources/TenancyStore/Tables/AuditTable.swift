internal import Tenancy

/// Audit records, of all chains. The last of a chain is its head.
extension Table {
  static let auditRecords = Table(
    name: "audit_records",
    columns: [.text("chain"), .integer("sequence"), .blob("record"), .blob("hash")], keyCount: 2)
}

/// What is asked of the table, in either database.
enum AuditQuery {
  /// Of a chain: its last record's sequence and hash.
  static func head(_ dialect: SQLDialect) -> String {
    "SELECT sequence, hash FROM audit_records WHERE chain = \(dialect.parameter(1)) "
      + "ORDER BY sequence DESC LIMIT 1"
  }

  /// Records of one page, roughly: it ends with the one that goes beyond. More than what is sent in one.
  static let maximumPageBytes = 512 * 1024

  /// Of a chain, after a sequence, at most so many: sequence, record and hash.
  static func page(_ dialect: SQLDialect) -> String {
    "SELECT sequence, record, hash FROM audit_records WHERE chain = \(dialect.parameter(1)) "
      + "AND sequence > \(dialect.parameter(2)) ORDER BY sequence LIMIT \(dialect.parameter(3))"
  }

  /// As above, up to `maximumPageBytes`, for a server that sends all that was asked for.
  static func boundedPage(_ dialect: SQLDialect) -> String {
    """
    SELECT sequence, record, hash FROM (
      SELECT sequence, record, hash,
        sum(octet_length(record)) OVER (ORDER BY sequence) - octet_length(record) AS bytes_before
      FROM (\(page(dialect))) AS page) AS summed
    WHERE bytes_before < \(maximumPageBytes) ORDER BY sequence
    """
  }

  static func head(_ row: some TableRow, of chain: AuditChain) throws(StoreError) -> AuditHead {
    guard let sequence = row.integer(0), sequence > 0, sequence < .max, let hash = row.bytes(1),
      hash.count == AuditEncoding.hashBytes
    else { throw corruption(chain, row.integer(0)) }
    return AuditHead(sequence: UInt64(sequence), hash: hash)
  }

  /// What is wrong with a record is told by who verifies it: here it only has to be there.
  static func record(
    _ row: some TableRow, of chain: AuditChain
  ) throws(StoreError) -> StoredAuditRecord {
    guard let sequence = row.integer(0), let bytes = row.bytes(1), let hash = row.bytes(2) else {
      throw corruption(chain, row.integer(0))
    }
    return StoredAuditRecord(
      chain: chain, sequence: UInt64(bitPattern: sequence), bytes: bytes, hash: hash)
  }

  private static func corruption(_ chain: AuditChain, _ sequence: Int64?) -> StoreError {
    let row = sequence.map { "\($0)" } ?? "?"
    return StoreError(.corrupt, "table audit_records, row \(chain)/\(row): does not parse")
  }
}

extension StateWriter {
  /// Adds audit records, inside the caller's transaction.
  /// - Parameter ends: where the batch's chains end, inside the same transaction or so that another's
  ///   records make this one fail.
  func write(
    _ batch: AuditBatch, after ends: AuditEnds, to runner: inout some StatementRunner
  ) throws(StoreError) {
    let records = batch.records(after: ends.heads)
    for record in records {
      try runner.run(
        .insertAuditRecord,
        [
          .text(record.chain.description), .counter(record.sequence), .blob(record.bytes),
          .blob(record.hash),
        ], refusal: nil)
    }
    try note(records, after: ends, to: &runner)
  }
}
