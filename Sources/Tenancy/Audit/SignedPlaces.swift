/// What is in the file of checkpoints, as far as the store is held to it: of each chain the newest end that was
/// signed in this life of the store, and the newest begin. Some hundred bytes for each chain.
struct SignedPlaces: Sendable {
  private let incarnation: String
  private var ends: [AuditChain: Place] = [:]
  /// Of any life: a backup's chains begin where they did.
  private var begins: [AuditChain: Place] = [:]
  /// Whether there are checkpoints of the platform's chain of another life.
  private(set) var hasFormerLife = false
  /// The first of the platform's chain that was signed in this life.
  private(set) var firstEnd: UInt64?
  /// Whether the platform's chain has a begin of this life: that it is told of was made sure of then.
  private(set) var hasBegun = false

  /// Without an allocation for each.
  private struct Place {
    let sequence: UInt64
    private let hash: (UInt64, UInt64, UInt64, UInt64)

    init?(_ head: AuditHead) {
      guard head.hash.count == AuditEncoding.hashBytes else { return nil }
      sequence = head.sequence
      let words = (0..<4).map { word in
        head.hash[word * 8..<word * 8 + 8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      }
      hash = (words[0], words[1], words[2], words[3])
    }

    var head: AuditHead {
      let bytes = [hash.0, hash.1, hash.2, hash.3].flatMap { word in
        (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * $0)) }
      }
      return AuditHead(sequence: sequence, hash: bytes)
    }
  }

  init(incarnation: String) { self.incarnation = incarnation }

  func end(of chain: AuditChain) -> AuditHead? { ends[chain]?.head }

  /// In the order in which they were signed.
  mutating func note(_ checkpoint: AuditCheckpoint) {
    let (chain, place) = (checkpoint.chain, Place(checkpoint.head))
    if checkpoint.kind == .begin { begins[chain] = place }
    guard checkpoint.incarnation == incarnation else {
      // One of the form that names no life says nothing of a restore.
      if chain == .platform, checkpoint.incarnation != nil { hasFormerLife = true }
      return
    }
    switch checkpoint.kind {
    case .begin: if chain == .platform { hasBegun = true }
    case .end:
      if chain == .platform, firstEnd == nil { firstEnd = checkpoint.head.sequence }
      if ends[chain].map({ $0.sequence < checkpoint.head.sequence }) ?? true { ends[chain] = place }
    }
  }

  /// What is wrong with where a chain begins. It may begin before the newest begin: what was signed was not done.
  /// - Parameter isShared: whether other nodes sign in files of their own.
  func fault(_ begin: AuditBegin, isShared: Bool) -> AuditFault? {
    let (floor, signed) = (begin.floor, begins[begin.chain]?.head ?? .start)
    if floor.sequence < signed.sequence || floor == signed { return nil }
    if floor.sequence == signed.sequence {
      return AuditFault("it begins behind another record \(floor.sequence) than was signed")
    }
    guard !isShared else { return nil }
    return AuditFault("it begins behind record \(floor.sequence), which no checkpoint says")
  }
}
