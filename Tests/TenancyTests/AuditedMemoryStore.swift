@testable import Tenancy

/// Each append with records counts as a batch, also one without entries.
extension MemoryStore: AuditedStore {
  func append(_ entries: [LogEntry], audit: AuditBatch) throws(StoreError) {
    try append(entries)
    disk.state.withLock { state in
      var heads: [AuditChain: AuditHead] = [:]
      for chain in audit.chains { heads[chain] = Self.head(state.audit[chain]) }
      for record in audit.records(after: heads) {
        state.audit[record.chain, default: []].append(record)
      }
    }
  }

  func auditRecords(
    of chain: AuditChain, after sequence: UInt64, limit: Int
  ) throws(StoreError) -> [StoredAuditRecord] {
    beginAuditRead()
    return disk.state.withLock { state in
      Array((state.audit[chain] ?? []).filter { $0.sequence > sequence }.prefix(limit))
    }
  }

  func auditHead(of chain: AuditChain) throws(StoreError) -> AuditHead? {
    disk.state.withLock { Self.head($0.audit[chain]) }
  }

  private static func head(_ records: [StoredAuditRecord]?) -> AuditHead? {
    records?.last.map { AuditHead(sequence: $0.sequence, hash: $0.hash) }
  }

  /// All records, of all chains.
  var audit: [StoredAuditRecord] { disk.state.withLock { $0.audit.values.flatMap(\.self) } }

  /// What the records of events tell, of all chains.
  var auditedEvents: [AuditEvent] {
    audit.compactMap { record in
      guard case .event(let event) = AuditEncoding.decode(record.bytes)?.content else { return nil }
      return event
    }
  }
}
