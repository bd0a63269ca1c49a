/// SHA-256: 32 bytes for any. The domain has no library for it.
public typealias AuditHash = @Sendable ([UInt8]) -> [UInt8]

/// An event, and the chains that it stands in.
public struct AuditNote: Hashable, Sendable {
  /// As the platform knows it: what a chain may not tell is left out of that chain's record.
  public var event: AuditEvent
  /// In each as far as that chain may tell it.
  public var chains: [AuditChain]

  /// - Parameter chains: each once.
  public init(event: AuditEvent, chains: [AuditChain]) {
    self.event = event
    self.chains = chains
  }

  /// Of a change: in the chains of the tenants that it is about and in that of who made it. What concerns no
  /// tenant stands in the platform's.
  init(_ entry: LogEntry, by origin: AuditOrigin?) {
    let tenants = entry.tenants
    let origin = origin ?? AuditOrigin(subject: entry.actor)
    event = AuditEvent(
      origin: origin, action: entry.action, decision: .allowed, revision: entry.revision,
      firstTime: entry.time, time: entry.time)
    var chains = tenants.map(AuditChain.tenant)
    if let home = origin.home, !tenants.contains(home) { chains.append(.tenant(home)) }
    self.chains = chains.isEmpty ? [.platform] : chains
    concerned = tenants
  }

  /// The tenants that it is about, if not only the chains' own.
  var concerned: [TenantID]?

  func event(in chain: AuditChain) -> AuditEvent {
    guard let concerned else { return event }
    var copy = event
    copy.tenant = chain.tenant.flatMap { concerned.contains($0) ? $0 : nil }
    return copy
  }
}

/// Events that are stored in one transaction, and how they become records.
public struct AuditBatch: Sendable {
  /// Tenants in one record of heads.
  public static let maximumHeads = 256

  /// The events to be recorded, in order.
  public let notes: [AuditNote]
  /// Where tenants' chains ended, to be said again where they still do.
  public let restated: [AuditRecord.TenantHead]
  /// When the batch is made; the records of heads carry it.
  public let time: Timestamp
  private let hash: AuditHash

  /// - Parameters:
  ///   - heads: of chains that get no record, to be said again in the platform's chain.
  ///   - hash: SHA-256.
  public init(
    _ notes: [AuditNote], restating heads: [AuditRecord.TenantHead] = [], time: Timestamp,
    hash: @escaping AuditHash
  ) {
    self.notes = notes
    restated = heads
    self.time = time
    self.hash = hash
  }

  /// The chains that get records, or whose ends are said again.
  public var chains: Set<AuditChain> {
    guard !notes.isEmpty || !restated.isEmpty else { return [] }
    return notes.reduce(into: Set(restated.map { .tenant($0.tenant) } + [.platform])) {
      $0.formUnion($1.chains)
    }
  }

  /// The records, each chain's in order: the events, then the tenants' new heads in the platform's chain.
  /// - Parameter heads: where each of `chains` ends so far; absent: it is empty.
  public func records(after heads: [AuditChain: AuditHead]) -> [StoredAuditRecord] {
    var heads = heads
    var records: [StoredAuditRecord] = []
    func add(_ content: AuditRecord.Content, to chain: AuditChain) {
      let last = heads[chain] ?? .start
      let record = AuditRecord(chain: chain, sequence: last.sequence + 1, content: content)
      let bytes = AuditEncoding.encode(record)
      let digest = hash(AuditEncoding.hashInput(bytes, after: last.hash))
      heads[chain] = AuditHead(sequence: record.sequence, hash: digest)
      records.append(
        StoredAuditRecord(chain: chain, sequence: record.sequence, bytes: bytes, hash: digest))
    }
    var changed: [TenantID] = []
    var seen: Set<TenantID> = []
    for note in notes {
      for chain in note.chains {
        add(.event(note.event(in: chain)), to: chain)
        if let tenant = chain.tenant, seen.insert(tenant).inserted { changed.append(tenant) }
      }
    }
    for end in restated where heads[.tenant(end.tenant)] == end.head {
      if seen.insert(end.tenant).inserted { changed.append(end.tenant) }
    }
    for start in stride(from: 0, to: changed.count, by: Self.maximumHeads) {
      let part = changed[start..<min(start + Self.maximumHeads, changed.count)]
      let ends = part.map { tenant in
        AuditRecord.TenantHead(tenant: tenant, head: heads[.tenant(tenant)] ?? .start)
      }
      add(.heads(ends, time: time), to: .platform)
    }
    return records
  }
}

/// A control store that keeps audit records as well. It promises what `ControlStore` does, and:
/// 1. A batch's log entries and records are stored together or not at all.
/// 2. Each chain's sequences are consecutive from 1, and each record's hash covers the one before, whoever
///    else writes at the same time.
/// 3. `auditRecords` gives back what was stored, byte by byte, in order. Neither a write nor who follows the log
///    waits for it.
/// 4. Only `trimAudit` removes records, the oldest of a chain and never its last: together with where the chain
///    begins then, or not at all.
public protocol AuditedStore: ControlStore {
  /// As `append(_:)`, and adds the batch's records to their chains. Without entries, the records alone.
  /// - Throws: as `append(_:)`.
  func append(_ entries: [LogEntry], audit: AuditBatch) throws(StoreError)

  /// Records of a chain, from `sequence` + 1 on, at most `limit`, and fewer where they are large, but none
  /// only if there are none. May be called while the writer writes.
  /// - Throws: `StoreError`.
  func auditRecords(
    of chain: AuditChain, after sequence: UInt64, limit: Int
  ) throws(StoreError) -> [StoredAuditRecord]

  /// Where a chain ends; nil: it has no records.
  /// - Throws: `StoreError`.
  func auditHead(of chain: AuditChain) throws(StoreError) -> AuditHead?

  /// Chains that may have records to be removed, at most `limit` of each kind and each once: whose oldest is
  /// older than a moment, or which have more records than this by at least 15. Some may have none. What
  /// other chains have costs nothing.
  /// - Throws: `StoreError`.
  func dueAuditBegins(
    before moment: Timestamp?, longerThan length: AuditLength?, limit: Int
  ) throws(StoreError) -> [AuditBegin]

  /// Chains with their ends, in order of their names, behind one or from the first on, at most `limit`.
  /// - Throws: `StoreError`.
  func auditEnds(after chain: AuditChain?, limit: Int) throws(StoreError) -> [AuditEnd]

  /// Moves chains' begins, and removes the records before them, all or none.
  /// - Parameter hold: a lease that must not have been lost, and is held on.
  /// - Throws: `StoreError`: `.conflict` if a begin is not where it was, or the last record to be removed is not
  ///   there, another, or the chain's last; `.leaseLost`.
  func trimAudit(_ trims: [AuditTrim], _ hold: LeaseHold?) throws(StoreError)
}
