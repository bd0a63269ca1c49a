internal import Synchronization
public import Tenancy
import TenancyDatabase

/// How audit records are read, and removed; and how histories of configurations are read.
extension PostgreSQLStore {
  public func auditRecords(
    of chain: AuditChain, after sequence: UInt64, limit: Int
  ) throws(StoreError) -> [StoredAuditRecord] {
    let values: [SQLValue] = [
      .text(chain.description), .integer(Int64(clamping: sequence)), .integer(Int64(limit)),
    ]
    return try audit(AuditQuery.boundedPage(.postgreSQL), values) { row throws(StoreError) in
      try AuditQuery.record(row, of: chain)
    }
  }

  public func auditHead(of chain: AuditChain) throws(StoreError) -> AuditHead? {
    try audit(AuditQuery.head(.postgreSQL), [.text(chain.description)]) { row throws(StoreError) in
      try AuditQuery.head(row, of: chain)
    }.first
  }

  public func dueAuditBegins(
    before moment: Timestamp?, longerThan length: AuditLength?, limit: Int
  ) throws(StoreError) -> [AuditBegin] {
    var found: [AuditBegin] = []
    let (old, long) = (AuditQuery.old(.postgreSQL), AuditQuery.long(.postgreSQL))
    for (sql, values) in AuditQuery.bounds(moment, length, limit: limit, old, long) {
      found += try audit(sql, values) { row throws(StoreError) in
        try AuditQuery.begin(row)
      }
    }
    return AuditQuery.each(found)
  }

  public func auditEnds(
    after chain: AuditChain?, limit: Int
  ) throws(StoreError) -> [AuditEnd] {
    let values: [SQLValue] = [.text(chain?.description ?? ""), .integer(Int64(limit))]
    return try audit(AuditQuery.ends(.postgreSQL), values) { row throws(StoreError) in
      try AuditQuery.end(row)
    }
  }

  public func configurationHistory(
    of owner: ConfigurationOwner, before place: UInt64?, limit: Int
  ) throws(StoreError) -> [RecordedEdit] {
    let json = JSONCoding()
    return try audit(
      HistoryQuery.boundedPage(.postgreSQL), HistoryQuery.values(owner, place, limit)
    ) { row throws(StoreError) in try HistoryQuery.entry(row, of: owner.text, json) }
  }

  public func configurationHistoryBegin() throws(StoreError) -> UInt64 {
    try audit(HistoryQuery.begin, []) { row throws(StoreError) in
      UInt64(clamping: row.integer(0) ?? 0)
    }.first ?? 0
  }

  public func trimAudit(_ trims: [AuditTrim], _ hold: LeaseHold?) throws(StoreError) {
    try withConnection(of: writer) { connection throws(StoreError) in
      try batch(connection).trim(trims, hold, check: check)
    }
  }

  /// What a checkpoint signs must be there after a failover, too. All of it has the time of one answer: closing
  /// the store waits for it.
  private func audit<Found: Sendable>(
    _ sql: String, _ values: [SQLValue], _ body: (PostgreSQLRow) throws(StoreError) -> Found
  ) throws(StoreError) -> [Found] {
    try withConnection(of: auditReader) { connection throws(StoreError) in
      let deadline = Deadline(in: configuration.answerTimeout)
      let found = try read(connection, until: deadline) { _ throws(StoreError) in
        let result = try asStoreError { () throws(PostgreSQLError) in
          try connection.run(sql, values, until: deadline)
        }
        var found: [Found] = []
        for index in 0..<result.rowCount { found.append(try body(result.row(index))) }
        return found
      }
      if !found.isEmpty { try batch(connection).prove(until: deadline) }
      return found
    }
  }
}
