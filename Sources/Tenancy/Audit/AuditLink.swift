/// Follows a chain from a record that was signed, record by record: that one must be there, as it was, and each
/// further one must go on from the one before.
struct AuditLink {
  private let chain: AuditChain
  private let start: AuditHead?
  /// Whether the signed record may have been removed, by another node.
  private let mayBeRemoved: Bool
  private let hash: AuditHash
  /// The last record that was taken.
  private(set) var end: AuditHead?

  /// - Parameter start: nil: nothing was signed, and the first record is taken as it is.
  init(
    _ chain: AuditChain, from start: AuditHead?, mayBeRemoved: Bool, hash: @escaping AuditHash
  ) {
    self.chain = chain
    self.start = start
    self.mayBeRemoved = mayBeRemoved
    self.hash = hash
  }

  /// Behind which record the next is to be read.
  var place: UInt64 { end?.sequence ?? start.map { $0.sequence - 1 } ?? 0 }

  /// - Parameter stored: the first behind `place`.
  mutating func take(_ stored: StoredAuditRecord) throws(AuditFault) {
    if let end {
      try check(stored, after: end)
    } else if let start {
      if stored.sequence != start.sequence {
        guard mayBeRemoved, stored.sequence > start.sequence else {
          throw AuditFault("record \(start.sequence), which was signed, is missing")
        }
      } else if stored.hash != start.hash {
        throw AuditFault(
          "record \(start.sequence), or one before it, is not the one that was signed")
      }
    }
    end = AuditHead(sequence: stored.sequence, hash: stored.hash)
  }

  /// Nil: nothing is missing. To be asked when all records were taken.
  var ending: AuditFault? {
    guard end == nil, let start else { return nil }
    return AuditFault("it ends before record \(start.sequence), which was signed")
  }

  private func check(
    _ stored: StoredAuditRecord, after last: AuditHead
  ) throws(AuditFault) {
    let sequence = last.sequence + 1
    // Another node has removed what was between two pages.
    if mayBeRemoved, stored.sequence > sequence { return }
    guard stored.sequence == sequence,
      hash(AuditEncoding.hashInput(stored.bytes, after: last.hash)) == stored.hash
    else { throw AuditFault("record \(sequence) is not the one that was written") }
  }
}

extension ControlPlane {
  /// Follows a chain to its end.
  /// - Parameters:
  ///   - start: which of its records was signed last; nil: none.
  ///   - mayBeRemoved: whether that one may have been removed, by another node.
  /// - Returns: where it ends, nil: it has no records; or what is wrong.
  /// - Throws: as `auditRecords`.
  func followAudit(
    _ chain: AuditChain, from start: AuditHead?, mayBeRemoved: Bool
  ) async throws(TenancyError) -> Result<AuditHead?, AuditFault> {
    guard let start else { return .success(try await auditHead(of: chain)) }
    let found = try await followAudit(chain, from: start, mayBeRemoved)
    // Another node may have removed records while they were read.
    guard case .failure = found, mayBeRemoved else { return found }
    return try await followAudit(chain, from: start, mayBeRemoved)
  }

  private func followAudit(
    _ chain: AuditChain, from start: AuditHead, _ mayBeRemoved: Bool
  ) async throws(TenancyError) -> Result<AuditHead?, AuditFault> {
    var link = auditLink(chain, from: start, mayBeRemoved: mayBeRemoved)
    while true {
      let records = try await auditRecords(of: chain, after: link.place, limit: Auditor.maximumPage)
      if records.isEmpty {
        if let fault = link.ending { return .failure(fault) }
        return .success(link.end)
      }
      do throws(AuditFault) {
        for record in records { try link.take(record) }
      } catch {
        return .failure(error)
      }
    }
  }

  func auditLink(
    _ chain: AuditChain, from start: AuditHead?, mayBeRemoved: Bool
  ) -> AuditLink {
    // Without an audit trail there are no records to be taken.
    let none: AuditHash = { _ in [] }
    let hash: AuditHash = auditor?.hash ?? none
    return AuditLink(chain, from: start, mayBeRemoved: mayBeRemoved, hash: hash)
  }

  /// Tenants' chains that are not as heads say which only records tell of that are to be removed: whoever removes
  /// those and can't say the heads again hides that.
  func auditFault(_ heads: [TenantID: AuditHead]) async throws(TenancyError) -> AuditFault? {
    for (tenant, head) in heads.sorted(by: { $0.key < $1.key }) {
      let found = try await auditRecords(
        of: .tenant(tenant), after: head.sequence - 1, limit: 1
      ).first
      guard let found else {
        return AuditFault("it names record \(head.sequence) of \(tenant), which is missing")
      }
      // What was removed can't be judged.
      guard found.sequence > head.sequence || found.hash == head.hash else {
        return AuditFault("it names another record \(head.sequence) of \(tenant)")
      }
    }
    return nil
  }

  /// Whether the platform's chain tells of the restore with which this life of the store began.
  /// - Parameter end: a record of the platform's chain that was signed in this life; the records before it are
  ///   looked at, the latest first.
  func tellsOfThisLife(before end: UInt64) async throws(TenancyError) -> Bool {
    var end = end
    while end > 0 {
      let start = end - min(end, UInt64(Auditor.maximumPage))
      var place = start
      var seen = false
      while place < end {
        let records = try await auditRecords(
          of: .platform, after: place, limit: Int(end - place))
        for record in records where record.sequence <= end {
          seen = true
          guard case .event(let event) = AuditEncoding.decode(record.bytes)?.content else {
            continue
          }
          if AuditLives.isRestore(event), event.named == incarnationID { return true }
        }
        guard let last = records.last, last.sequence > place else { break }
        place = last.sequence
      }
      guard seen else { return false }
      end = start
    }
    return false
  }
}
