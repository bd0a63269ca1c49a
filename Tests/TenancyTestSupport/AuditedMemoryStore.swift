package import Tenancy

/// Each append with records counts as a batch, also one without entries.
extension MemoryStore: AuditedStore {
  package func append(_ entries: [LogEntry], audit: AuditBatch) throws(StoreError) {
    try append(entries)
    disk.state.withLock { state in
      var heads: [AuditChain: AuditHead] = [:]
      for chain in audit.chains { heads[chain] = Self.head(state.audit[chain]) }
      for record in audit.records(after: heads) {
        state.audit[record.chain, default: []].append(record)
      }
    }
  }

  package func auditRecords(
    of chain: AuditChain, after sequence: UInt64, limit: Int
  ) throws(StoreError) -> [StoredAuditRecord] {
    beginAuditRead()
    return disk.state.withLock { state in
      Array((state.audit[chain] ?? []).filter { $0.sequence > sequence }.prefix(limit))
    }
  }

  package func auditHead(of chain: AuditChain) throws(StoreError) -> AuditHead? {
    disk.state.withLock { Self.head($0.audit[chain]) }
  }

  package func dueAuditBegins(
    before moment: Timestamp?, longerThan length: AuditLength?, limit: Int
  ) throws(StoreError) -> [AuditBegin] {
    disk.state.withLock { state in
      let due = state.audit.filter { chain, records in
        let oldest = records.first.flatMap { AuditEncoding.decode($0.bytes)?.time }
        let isOld = moment.map { oldest ?? $0 < $0 } ?? false
        return isOld && records.count > 1
          || length.map { UInt64(records.count) > $0.of(chain) } ?? false
      }
      return due.keys.sorted { "\($0)" < "\($1)" }.prefix(limit).map {
        AuditBegin(chain: $0, floor: state.auditFloors[$0] ?? .start)
      }
    }
  }

  package func auditEnds(after chain: AuditChain?, limit: Int) throws(StoreError) -> [AuditEnd] {
    disk.state.withLock { state in
      let ends = state.audit.compactMap { chain, records in
        Self.head(records).map { AuditEnd(chain: chain, head: $0) }
      }
      let later = ends.filter { "\($0.chain)" > chain?.description ?? "" }
      return Array(later.sorted { "\($0.chain)" < "\($1.chain)" }.prefix(limit))
    }
  }

  package func trimAudit(_ trims: [AuditTrim], _ hold: LeaseHold?) throws(StoreError) {
    try append([])
    try disk.state.withLock { state throws(StoreError) in
      var (audit, floors, leases) = (state.audit, state.auditFloors, state.leases)
      if let hold {
        try leases.apply(.hold(hold.lease, lasting: hold.duration), revision: 0)
      }
      for trim in trims {
        guard let through = trim.through else { continue }
        let records = audit[trim.begin.chain] ?? []
        let isThere = records.dropLast().contains {
          $0.sequence == through.sequence && $0.hash == through.hash
        }
        guard isThere, floors[trim.begin.chain] ?? .start == trim.begin.floor else {
          throw StoreError(.conflict, "the chain does not begin there")
        }
        audit[trim.begin.chain] = records.filter { $0.sequence > through.sequence }
        floors[trim.begin.chain] = through
      }
      (state.audit, state.auditFloors, state.leases) = (audit, floors, leases)
    }
  }

  private static func head(_ records: [StoredAuditRecord]?) -> AuditHead? {
    records?.last.map { AuditHead(sequence: $0.sequence, hash: $0.hash) }
  }

  /// All records, of all chains.
  package var audit: [StoredAuditRecord] { disk.state.withLock { $0.audit.values.flatMap(\.self) } }

  /// What the records of events tell, of all chains.
  package var auditedEvents: [AuditEvent] {
    audit.compactMap { record in
      guard case .event(let event) = AuditEncoding.decode(record.bytes)?.content else { return nil }
      return event
    }
  }
}
