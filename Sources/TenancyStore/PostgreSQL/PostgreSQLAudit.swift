internal import Tenancy
import TenancyDatabase

/// Audit records in the transaction of what they tell.
extension PostgreSQLBatch {
  static let auditEnd = PreparedStatement(name: "audit_end", sql: AuditQuery.end(.postgreSQL))

  /// First all chains' ends are read, under the lock that every write takes, then everything is sent at once.
  /// - Parameter check: whether it is the right store.
  func write(
    _ entries: [LogEntry], audit: AuditBatch, check: (RevisionRow) throws(StoreError) -> Void
  ) throws(StoreError) {
    var recorder = StatementRecorder()
    let first = entries.isEmpty ? nil : try Self.record(entries, in: &recorder)
    let chains = Array(audit.chains)
    let locked = try pipeline { () throws(PostgreSQLError) in
      try connection.queue(Self.begin)
      try connection.queue(Self.lock, [])
      for chain in chains { try connection.queue(Self.auditEnd, [.text(chain.description)]) }
    }
    try commit { () throws(StoreError) in
      let row = try lockedRow(locked)
      try check(row)
      if let first, row.revision != first {
        throw StoreError(.conflict, "revision \(first + 1) does not follow \(row.revision)")
      }
      let ends = try ends(of: chains, in: locked.dropFirst(2))
      try StateWriter(json: JSONCoding()).write(audit, after: ends, to: &recorder)
      try run(recorder.steps, last: entries.last.map { Int64(clamping: $0.revision) })
    }
  }

  private func ends(
    of chains: [AuditChain], in results: ArraySlice<PostgreSQLResult>
  ) throws(StoreError) -> AuditEnds {
    var ends = AuditEnds()
    for (chain, result) in zip(chains, results) {
      try asStoreError { () throws(PostgreSQLError) in try result.check(Self.auditEnd.sql) }
      for index in 0..<result.rowCount {
        guard try ends.add(result.row(index), of: chain) else { break }
      }
    }
    return ends
  }

  /// Under the lock that every write takes, which adds records.
  func trim(
    _ trims: [AuditTrim], _ hold: LeaseHold?, check: (RevisionRow) throws(StoreError) -> Void
  ) throws(StoreError) {
    var recorder = StatementRecorder()
    try StateWriter(json: JSONCoding()).trim(trims, hold, with: &recorder)
    let locked = try pipeline { () throws(PostgreSQLError) in
      try connection.queue(Self.begin)
      try connection.queue(Self.lock, [])
    }
    try commit { () throws(StoreError) in
      try check(try lockedRow(locked))
      try run(recorder.steps, last: nil)
    }
  }

  /// - Parameter last: the revision that is the last then; nil: it stays.
  private func run(_ steps: [StatementRecorder.Step], last: Int64?) throws(StoreError) {
    let results = try pipeline { () throws(PostgreSQLError) in
      for step in steps { try connection.queue(step.statement.prepared, step.values) }
      guard let last else { return }
      try connection.queue(Self.advance, [.integer(last)])
      try connection.queue(Self.notify, [.text(configuration.channel), .text("\(last)")])
    }
    for (step, result) in zip(steps, results) {
      try asStoreError { () throws(PostgreSQLError) in
        try result.check(step.statement.prepared.sql)
      }
      if let refusal = step.refusal, result.changedRows != 1 {
        throw StoreError(step.statement.refusalCode, refusal)
      }
    }
    for result in results.dropFirst(steps.count) {
      try asStoreError { () throws(PostgreSQLError) in try result.check(Self.advance.sql) }
    }
  }
}
