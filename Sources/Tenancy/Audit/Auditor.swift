import Dispatch
import Synchronization

/// Writes a control plane's audit records and reads them back.
final class Auditor: Sendable {
  /// Records that are read in one go.
  static let maximumPage = 512

  private let store: any AuditedStore
  private let hash: AuditHash
  let denials: DenialTable
  /// Taken from the table, and not written as far as is known.
  private let unwritten = Mutex<[AuditNote]>([])
  /// Where those wait who read, beside the writer.
  let reader = DispatchQueue(label: "tenancy.control-plane.audit-reader")

  init(_ store: any AuditedStore, hash: @escaping AuditHash, limits: DenialTable.Limits) {
    self.store = store
    self.hash = hash
    denials = DenialTable(limits)
  }

  func append(_ entries: [LogEntry], _ notes: [AuditNote], at now: Timestamp) throws(StoreError) {
    try store.append(entries, audit: AuditBatch(notes, time: now, hash: hash))
  }

  /// Writes what was denied. What can't be written is tried again the next time; after an unknown outcome it
  /// may then be there twice, which is better than not at all. On the writer only.
  func flush(at now: Timestamp) throws(StoreError) {
    let notes = unwritten.withLock { unwritten in
      // One after the other, so that what waits is bounded.
      if unwritten.isEmpty { unwritten = denials.drain() }
      return unwritten
    }
    guard !notes.isEmpty else { return }
    try append([], notes, at: now)
    unwritten.withLock { $0 = [] }
  }

  func records(
    of chain: AuditChain, after sequence: UInt64, limit: Int
  ) throws(StoreError) -> [StoredAuditRecord] {
    try store.auditRecords(of: chain, after: sequence, limit: min(limit, Self.maximumPage))
  }

  func head(of chain: AuditChain) throws(StoreError) -> AuditHead? {
    try store.auditHead(of: chain)
  }
}

extension ControlPlane {
  /// Counts a call that was denied; it is written with the next `writeDenials`. Cheap and never waits for the
  /// store. Without an audit trail it does nothing.
  /// - Parameters:
  ///   - named: the tenant as the request names it; only its begin is kept.
  ///   - target: the tenant that it is, if there is one besides the caller's own.
  public func noteDenial(
    by origin: AuditOrigin, action: String, named: String, target: TenantID?, reason: String
  ) {
    guard let auditor else { return }
    let time = now
    let event = AuditEvent(
      origin: origin, action: action,
      named: named.prefix(bytes: DenialTable.maximumNameBytes), decision: .denied, reason: reason,
      firstTime: time, time: time)
    var note = AuditNote(
      event: event, chains: [origin.home.map(AuditChain.tenant) ?? .platform])
    if let target, target != origin.home { note.chains.append(.tenant(target)) }
    note.concerned = target.map { [$0] } ?? []
    auditor.denials.note(note)
  }

  /// Writes what was denied since the last time, and returns when that is durable or has failed.
  /// - Returns: with what it failed; it is tried again the next time.
  @discardableResult
  public func writeDenials() async -> StoreError? {
    guard let auditor else { return nil }
    return await withCheckedContinuation { continuation in
      queue.async { [self] in
        do throws(StoreError) {
          try auditor.flush(at: now)
          continuation.resume(returning: nil)
        } catch {
          continuation.resume(returning: error)
        }
      }
    }
  }

  /// Records of a chain, from `sequence` + 1 on, at most `limit` and not more than 512.
  /// - Throws: UNAVAILABLE when the store fails, UNIMPLEMENTED without an audit trail.
  public func auditRecords(
    of chain: AuditChain, after sequence: UInt64, limit: Int
  ) async throws(TenancyError) -> [StoredAuditRecord] {
    try await readAudit { (auditor) throws(StoreError) in
      try auditor.records(of: chain, after: sequence, limit: limit)
    }
  }

  /// Where a chain ends; nil: it has no records.
  /// - Throws: as `auditRecords`.
  public func auditHead(of chain: AuditChain) async throws(TenancyError) -> AuditHead? {
    try await readAudit { (auditor) throws(StoreError) in try auditor.head(of: chain) }
  }

  private func readAudit<Value: Sendable>(
    _ body: @escaping @Sendable (Auditor) throws(StoreError) -> Value
  ) async throws(TenancyError) -> Value {
    guard let auditor else {
      throw TenancyError(.unimplemented, .notImplemented, "there is no audit trail")
    }
    let result: Result<Value, StoreError> = await withCheckedContinuation { continuation in
      auditor.reader.async {
        continuation.resume(
          returning: Result { () throws(StoreError) in try body(auditor) })
      }
    }
    do {
      return try result.get()
    } catch {
      throw TenancyError(
        .unavailable, .storeUnavailable, "the store can't be read now", retryAfterSeconds: 1)
    }
  }
}

extension String {
  /// As many whole characters as fit.
  func prefix(bytes limit: Int) -> String {
    if utf8.count <= limit { return self }
    var result = ""
    var count = 0
    for character in self {
      count += character.utf8.count
      if count > limit { break }
      result.append(character)
    }
    return result
  }
}
