import Dispatch
import Synchronization

/// Writes a control plane's audit records and reads them back.
final class Auditor: Sendable {
  /// Records that are read in one go.
  static let maximumPage = 512
  /// Denials that are written in one transaction.
  static let maximumPortion = 256

  let store: any AuditedStore
  let hash: AuditHash
  let denials: DenialTable
  /// What was allowed and has changed nothing that the log would tell of.
  let allowed: DenialTable
  /// Taken from the table, and not written as far as is known.
  private let unwritten = Mutex<[AuditNote]>([])
  let reads: AuditReads

  init(
    _ store: any AuditedStore, hash: @escaping AuditHash, limits: DenialTable.Limits,
    reads: AuditReads.Limits = AuditReads.Limits()
  ) {
    self.store = store
    self.hash = hash
    denials = DenialTable(limits)
    allowed = DenialTable(limits)
    self.reads = AuditReads(reads)
  }

  func append(_ entries: [LogEntry], _ notes: [AuditNote], at now: Timestamp) throws(StoreError) {
    try store.append(entries, audit: AuditBatch(notes, time: now, hash: hash))
  }

  /// Writes the next portion of what was denied. What can't be written is tried again the next time; after an
  /// unknown outcome it may then be there twice, which is better than not at all. On the writer only.
  /// - Parameter isFirst: whether what was denied since the last time is taken up: as often as it is, records
  ///   are made of what is alike.
  /// - Returns: whether there is more to write.
  func flushPortion(isFirst: Bool, at now: Timestamp) throws(StoreError) -> Bool {
    let portion = unwritten.withLock { unwritten in
      // One after the other, so that what waits is bounded.
      if unwritten.isEmpty, isFirst { unwritten = denials.drain() + allowed.drain() }
      return Array(unwritten.prefix(Self.maximumPortion))
    }
    guard !portion.isEmpty else { return false }
    try append([], portion, at: now)
    return unwritten.withLock { unwritten in
      unwritten.removeFirst(portion.count)
      return !unwritten.isEmpty
    }
  }

  /// Writes all that was denied. On the writer only.
  func flush(at now: Timestamp) throws(StoreError) {
    // What was left from the last time, and what was denied since.
    for _ in 0..<2 {
      var isFirst = true
      while try flushPortion(isFirst: isFirst, at: now) { isFirst = false }
    }
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
  /// Of the store: see `ControlStore.incarnationID`.
  public var incarnationID: String { store.incarnationID }

  /// Counts a call that was denied; it is written with the next `writeDenials`. Cheap and never waits for the
  /// store. Without an audit trail it does nothing.
  /// - Parameters:
  ///   - named: the tenant as the request names it; only its begin is kept.
  ///   - target: the tenant that it is, if there is one besides the caller's own.
  public func noteDenial(
    by origin: AuditOrigin, action: String, named: String, target: TenantID?, reason: String
  ) {
    guard let auditor else { return }
    auditor.denials.note(
      note(
        origin, action, named: named.withoutControls.prefix(bytes: DenialTable.maximumNameBytes),
        target, .denied, reason))
  }

  /// Tells the audit trail of what was done and is no change: alike ones are counted, as denials are.
  /// - Parameters:
  ///   - target: the tenant that it was done in; nil: it is the platform's.
  ///   - remark: what is to be known of it, without secrets.
  public func noteAllowed(
    by origin: AuditOrigin, action: String, target: TenantID?, remark: String
  ) {
    guard let auditor else { return }
    auditor.allowed.note(
      note(
        origin, action, named: "", target, .allowed,
        remark.withoutControls.prefix(bytes: DenialTable.maximumNameBytes)))
  }

  private func note(
    _ origin: AuditOrigin, _ action: String, named: String, _ target: TenantID?,
    _ decision: AuditEvent.Decision, _ reason: String
  ) -> AuditNote {
    let time = now
    let event = AuditEvent(
      origin: origin, action: action, named: named, decision: decision, reason: reason,
      firstTime: time, time: time)
    var note = AuditNote(
      event: event, chains: [origin.home.map(AuditChain.tenant) ?? .platform])
    if let target, target != origin.home { note.chains.append(.tenant(target)) }
    note.concerned = target.map { [$0] } ?? []
    return note
  }

  /// Writes what was denied since the last time, and returns when that is durable or has failed: in portions,
  /// between which writes have their turns, and behind the revocations that wait.
  /// - Returns: with what it failed; it is tried again the next time.
  @discardableResult
  public func writeDenials() async -> StoreError? {
    guard auditor != nil else { return nil }
    var isFirst = true
    while true {
      switch await nextDenials(isFirst: isFirst) {
      case .success(true): isFirst = false
      case .success(false): return nil
      case .failure(let error): return error
      }
    }
  }

  /// Runs what may wait on the writer, when no revocation does. Whoever revokes without end delays it by so many
  /// batches only: it has to be done as well.
  func behindRevocations(
    afterBatches limit: Int = 64, _ body: @escaping @Sendable () -> Void
  ) {
    queue.async { [self] in
      guard limit > 0, hasWaitingRevocations else { return body() }
      // The next batch is in the queue already, and then it is this one's turn again.
      behindRevocations(afterBatches: limit - 1, body)
    }
  }

  private func nextDenials(isFirst: Bool) async -> Result<Bool, StoreError> {
    await withCheckedContinuation { continuation in
      behindRevocations { [self] in
        continuation.resume(
          returning: Result { () throws(StoreError) in
            try auditor?.flushPortion(isFirst: isFirst, at: now) ?? false
          })
      }
    }
  }

  /// Records of a chain, from `sequence` + 1 on, at most `limit` and not more than 512, and fewer where they are
  /// large.
  /// - Parameters:
  ///   - reader: who reads them, one page at a time.
  ///   - isPatient: whether it waits however many of the reader's pages do. For who asks for one page after the
  ///     other, and of whom there are only so many.
  /// - Throws: UNAVAILABLE when the store fails, UNIMPLEMENTED without an audit trail, RESOURCE_EXHAUSTED when
  ///   the reader asks for more pages before it has those that it asked for, CANCELLED at once when the task is
  ///   cancelled: a page that is under way is read to its end, and one that waits is not read.
  public func auditRecords(
    of chain: AuditChain, after sequence: UInt64, limit: Int, by reader: WritePayer = .server,
    isPatient: Bool = false
  ) async throws(TenancyError) -> [StoredAuditRecord] {
    try await readAudit(reader, isPatient: isPatient) { (auditor) throws(StoreError) in
      try auditor.records(of: chain, after: sequence, limit: limit)
    }
  }

  /// Where a chain ends; nil: it has no records.
  /// - Throws: as `auditRecords`.
  public func auditHead(
    of chain: AuditChain, by reader: WritePayer = .server, isPatient: Bool = false
  ) async throws(TenancyError) -> AuditHead? {
    try await readAudit(reader, isPatient: isPatient) { (auditor) throws(StoreError) in
      try auditor.head(of: chain)
    }
  }

  func readAudit<Value: Sendable>(
    _ reader: WritePayer, isPatient: Bool = false,
    _ body: @escaping @Sendable (Auditor) throws(StoreError) -> Value
  ) async throws(TenancyError) -> Value {
    guard let auditor else {
      throw TenancyError(.unimplemented, .notImplemented, "there is no audit trail")
    }
    return try await wait(for: auditor.reads, reader, isPatient: isPatient, .auditPages) {
      () throws(StoreError) in try body(auditor)
    }
  }

  /// Reads when it is the reader's turn.
  func wait<Value: Sendable>(
    for reads: AuditReads, _ reader: WritePayer, isPatient: Bool, _ quota: Quota,
    _ body: @escaping @Sendable () throws(StoreError) -> Value
  ) async throws(TenancyError) -> Value {
    let page = AuditPage<Value>()
    let result = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        guard page.begin(continuation) else { return }
        let refusal = reads.read(reader, isPatient: isPatient) {
          // Nobody waits for it: the store's time is for those who do.
          guard page.isWaitedFor else { return }
          guard !reads.isClosed else {
            return page.end(.failure(TenancyError(.closed, of: reader)))
          }
          let read = Result { () throws(StoreError) in try body() }
          page.end(read.mapError { _ in Self.unreadable })
        }
        if let refusal { page.end(.failure(TenancyError(refusal, of: reader, pages: quota))) }
      }
    } onCancel: {
      page.end(.failure(Self.cancelled))
    }
    return try result.get()
  }

  private static let unreadable = TenancyError(
    .unavailable, .storeUnavailable, "the store can't be read now", retryAfterSeconds: 1)
}

extension String {
  /// With U+FFFD for each control character: whoever reads a chain is not to stumble over what a caller of
  /// another tenant wrote.
  var withoutControls: String {
    let isControl = { (scalar: Unicode.Scalar) in scalar.properties.generalCategory == .control }
    guard unicodeScalars.contains(where: isControl) else { return self }
    return String(String.UnicodeScalarView(unicodeScalars.map { isControl($0) ? "\u{FFFD}" : $0 }))
  }

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
