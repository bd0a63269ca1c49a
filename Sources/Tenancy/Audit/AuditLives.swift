/// The lives of the store that exported chains tell of; see `AuditEncoding`.
public struct AuditLives {
  /// `AuditEvent.action` of a restore.
  public static let restoreAction = "store.restore"

  private var restores: [(record: UInt64, incarnation: String, time: Timestamp)] = []
  /// The checkpoint that says where the platform's chain begins. What was restored after it is told of behind it;
  /// of lives that ended before it, the records of their restores may have been removed.
  private var begin: AuditCheckpoint?
  /// Nil: not known, and all checkpoints are held to be of this one.
  private var current: String?
  /// Checkpoints that are of what a restore gave up.
  private var formers = 0

  /// Takes an event of the platform's chain.
  mutating func note(_ event: AuditEvent, at sequence: UInt64) {
    guard Self.isRestore(event) else { return }
    restores.append((sequence, event.named, event.time))
  }

  static func isRestore(_ event: AuditEvent) -> Bool {
    event.action == restoreAction && event.decision == .allowed && event.origin.home == nil
  }

  /// Says which life it is now, when all records have been taken.
  /// - Parameter begin: behind which record the platform's chain begins, which tells of restores; 0: it is whole;
  ///   nil: it is not there. Where no record tells of a restore, it is the life in which that begin was signed:
  ///   whoever changes a store's incarnation can't sign one. Without the chain, the newest checkpoint tells.
  mutating func settle(platformBegin begin: UInt64?, _ checkpoints: [AuditCheckpoint]) {
    let newest = { (some: [AuditCheckpoint]) in some.max { $0.time < $1.time } }
    if let begin, begin > 0 {
      self.begin = newest(
        checkpoints.filter {
          $0.chain == .platform && $0.kind == .begin && $0.head.sequence == begin
        })
    }
    if let last = restores.last {
      current = last.incarnation
    } else if begin == nil {
      current = newest(checkpoints)?.incarnation
    } else {
      current = self.begin?.incarnation
    }
  }

  func isFormer(_ checkpoint: AuditCheckpoint) -> Bool {
    guard let current, checkpoint.incarnation != current else { return false }
    guard let last = restores.last else {
      // One of the form that names no life says nothing of a restore: it holds.
      guard checkpoint.incarnation != nil else { return false }
      return begin.map { checkpoint.time <= $0.time } ?? true
    }
    // A life that began after the last restore that is told of: what tells of its beginning was cut off.
    return restores.contains { $0.incarnation == checkpoint.incarnation }
      || checkpoint.time.seconds <= last.time.seconds
  }

  mutating func countFormer() { formers += 1 }

  var notes: [String] {
    guard formers > 0 else { return [] }
    let told = restores.map { "\($0.record)" }.joined(separator: ", ")
    let place =
      told.isEmpty
      ? "the restore that ended it is in none of these records"
      : "see record \(told) of the platform's chain"
    return [
      "\(formers) checkpoints are of the former life of the store, of records that a restore gave up: \(place)"
    ]
  }

  /// Up to where the chains of former lives are those of this one.
  struct Ends {
    fileprivate let restores: [(record: UInt64, incarnation: String, time: Timestamp)]
    /// Before each restore.
    fileprivate let tenants: [[AuditChain: UInt64]]
    fileprivate let begin: AuditCheckpoint?

    /// The last record that the chain had before the restore that ended the checkpoint's life.
    func end(of checkpoint: AuditCheckpoint) -> UInt64 {
      let (chain, incarnation) = (checkpoint.chain, checkpoint.incarnation)
      let began = restores.firstIndex { $0.incarnation == incarnation }
      if let begin, began == nil, incarnation != nil, incarnation != begin.incarnation,
        checkpoint.time <= begin.time,
        !restores.contains(where: { $0.incarnation == begin.incarnation })
      {
        // It ended before the life in which the chain's begin was signed.
        return 0
      }
      let ending = began.map { $0 + 1 } ?? 0
      guard ending < restores.count else { return 0 }
      guard chain != .platform else { return restores[ending].record - 1 }
      return tenants[ending][chain] ?? 0
    }
  }

  /// - Parameter heads: of the platform's chain, in order.
  func ends(_ heads: [(record: UInt64, head: AuditRecord.TenantHead)]) -> Ends {
    let tenants = restores.map { restore in
      heads.prefix { $0.record < restore.record }.reduce(into: [AuditChain: UInt64]()) {
        $0[.tenant($1.head.tenant)] = $1.head.head.sequence
      }
    }
    return Ends(restores: restores, tenants: tenants, begin: begin)
  }
}
