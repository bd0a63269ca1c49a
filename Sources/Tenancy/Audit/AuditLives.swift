/// The lives of the store that exported chains tell of; see `AuditEncoding`.
public struct AuditLives {
  /// `AuditEvent.action` of a restore.
  public static let restoreAction = "store.restore"

  private var restores: [(record: UInt64, incarnation: String, time: Timestamp)] = []
  /// Nil: not known, and all checkpoints are held to be of this one.
  private var current: String?
  /// Checkpoints that are of what a restore gave up.
  private var formers = 0

  /// Takes an event of the platform's chain.
  mutating func note(_ event: AuditEvent, at sequence: UInt64) {
    guard event.action == Self.restoreAction, event.decision == .allowed, event.origin.home == nil
    else { return }
    restores.append((sequence, event.named, event.time))
  }

  /// Says which life it is now, when all records have been taken.
  /// - Parameter isPlatformKnown: whether the platform's chain is there, which tells of restores. Without it, or
  ///   where it does not reach back so far, the newest checkpoint tells.
  mutating func settle(isPlatformKnown: Bool, _ checkpoints: [AuditCheckpoint]) {
    let isWhole =
      isPlatformKnown && !checkpoints.contains { $0.chain == .platform && $0.kind == .begin }
    if let last = restores.last {
      current = last.incarnation
    } else if !isWhole {
      current = checkpoints.max { $0.time < $1.time }?.incarnation
    }
  }

  func isFormer(_ checkpoint: AuditCheckpoint) -> Bool {
    guard let current, checkpoint.incarnation != current else { return false }
    guard let last = restores.last else {
      // One of the form that names no life says nothing of a restore: it holds.
      return checkpoint.incarnation != nil
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

    /// The last record that the chain had before the restore that ended the life.
    func end(of chain: AuditChain, in incarnation: String?) -> UInt64 {
      let began = restores.firstIndex { $0.incarnation == incarnation }
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
    return Ends(restores: restores, tenants: tenants)
  }
}
