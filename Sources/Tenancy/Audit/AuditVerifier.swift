/// What is wrong with exported audit records, with the first record that is.
public struct AuditFault: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String
  init(_ description: String) { self.description = description }

  /// A line that has no end.
  public init(cutOff place: String) { self.init("\(place): the line is cut off") }
}

/// Verifies exported chains against each other and against signed checkpoints, with nothing else at hand. The
/// checkpoints are taken first: they tell where a chain may begin.
public struct AuditVerifier {
  private let hash: AuditHash
  private let isSigned: ([UInt8], _ signature: [UInt8]) -> Bool
  private var chains: [AuditChain: VerifiedChain] = [:]
  private var heads: [(record: UInt64, head: AuditRecord.TenantHead)] = []
  private var checkpoints: [AuditCheckpoint] = []
  /// The hashes of the records behind which chains may begin.
  private var begins: [AuditChain: [UInt64: [UInt8]]] = [:]
  private var lives = AuditLives()
  /// What is not wrong, and yet to be known.
  public private(set) var notes: [String] = []

  /// - Parameters:
  ///   - hash: SHA-256.
  ///   - isSigned: whether a message has an Ed25519 signature of the key that checkpoints are signed with.
  public init(
    hash: @escaping AuditHash, isSigned: @escaping ([UInt8], _ signature: [UInt8]) -> Bool
  ) {
    self.hash = hash
    self.isSigned = isSigned
  }

  /// Records that were taken, of all chains.
  public var recordCount: Int { chains.values.reduce(0) { $0 + $1.count } }
  /// Chains of which records were taken.
  public var chainCount: Int { chains.count }

  // MARK: Taking lines

  /// Takes a line of the file of checkpoints, before all records. One whose begin was cut off when the disk was
  /// full, and is followed by a whole one, is noted, and the whole one taken.
  public mutating func add(checkpoint line: String, at place: String) throws(AuditFault) {
    guard let checkpoint = AuditCheckpoint(parsing: line) ?? afterCutOff(line, place) else {
      throw AuditFault("\(place): no checkpoint, or a changed one")
    }
    guard isSigned(checkpoint.signedBytes, checkpoint.signature) else {
      throw AuditFault("\(place): the checkpoint is not signed with this key")
    }
    checkpoints.append(checkpoint)
    if checkpoint.kind == .begin {
      begins[checkpoint.chain, default: [:]][checkpoint.head.sequence] = checkpoint.head.hash
    }
  }

  /// Takes the last line of the file of checkpoints where it has no end: it was not written to its end, and is none.
  public mutating func add(cutOffCheckpoint line: String, at place: String) {
    notes.append("\(place): the line is cut off, and left out")
  }

  private mutating func afterCutOff(_ line: String, _ place: String) -> AuditCheckpoint? {
    guard let checkpoint = AuditCheckpoint(afterCutOff: line) else { return nil }
    notes.append("\(place): a line is cut off, and left out; what follows it there is whole")
    return checkpoint
  }

  /// Takes the next line of an export.
  /// - Parameter place: names the line.
  public mutating func add(line: String, at place: String) throws(AuditFault) {
    guard let record = AuditLine(parsing: line)?.record else {
      throw AuditFault("\(place): no record, or a changed one\(next(line))")
    }
    let (name, sequence) = (record.chain, record.sequence)
    if chains[name] == nil { chains[name] = begin(of: name, at: sequence) }
    let expected = (chains[name]?.last ?? 0) + 1
    guard sequence == expected else {
      let found = "record \(sequence) is in its place"
      throw AuditFault(
        sequence > expected
          ? "\(place): chain \(name): record \(expected) is missing: \(found)"
          : "\(place): chain \(name): record \(expected) is missing or moved: \(found)")
    }
    guard
      hash(AuditEncoding.hashInput(record.bytes, after: chains[name]?.lastHash ?? []))
        == record.hash
    else {
      throw AuditFault(
        "\(place): chain \(name): record \(sequence) is not the one that was written: its hash does not "
          + "fit")
    }
    guard let content = AuditEncoding.decode(record.bytes), content.chain == name,
      content.sequence == sequence
    else {
      throw AuditFault("\(place): chain \(name): record \(sequence) is of another place")
    }
    chains[name]?.append(record.hash)
    switch content.content {
    case .heads(let ends, _): heads += ends.map { (record: sequence, head: $0) }
    case .event(let event): if name == .platform { lives.note(event, at: sequence) }
    }
  }

  /// Where a chain begins whose first record is this: behind the last record before it that a checkpoint says to
  /// have been removed, or at 1.
  private func begin(of chain: AuditChain, at sequence: UInt64) -> VerifiedChain {
    let removed = begins[chain]?.filter { $0.key < sequence }.max { $0.key < $1.key }
    return VerifiedChain(
      after: removed.map { AuditHead(sequence: $0.key, hash: $0.value) } ?? .start)
  }

  /// Which record the line should have been, if its begin tells the chain.
  private func next(_ line: String) -> String {
    let parts = line.split(separator: "\"", omittingEmptySubsequences: false)
    guard parts.count > 3, let chain = AuditChain(parsing: String(parts[3])) else { return "" }
    return ", where record \((chains[chain]?.last ?? 0) + 1) of chain \(chain) should be"
  }

  // MARK: Judging

  /// Judges the chains' ends, when all lines have been taken.
  /// - Parameter isPartial: whether chains may be missing, as for a tenant that sees only its own.
  public mutating func finish(isPartial: Bool) throws(AuditFault) {
    guard !chains.isEmpty else { throw AuditFault("there are no records") }
    for (record, head) in heads {
      try check(
        head.head, of: .tenant(head.tenant), isPartial, "record \(record) of the platform's chain")
    }
    lives.settle(platformBegin: chains[.platform]?.begin, checkpoints)
    let ends = lives.ends(heads)
    var isCovered = false
    for checkpoint in checkpoints {
      if try holds(checkpoint, ends, isPartial) { isCovered = true }
    }
    notes += lives.notes
    guard isCovered else {
      throw AuditFault(
        "no checkpoint is about these chains: nothing shows that their ends are not cut off")
    }
    if chains[.platform] != nil { try checkEnds() }
  }

  /// Whether a checkpoint is about the end of one of the chains, in this life of the store.
  private mutating func holds(
    _ checkpoint: AuditCheckpoint, _ ends: AuditLives.Ends, _ isPartial: Bool
  ) throws(AuditFault) -> Bool {
    let (name, head) = (checkpoint.chain, checkpoint.head)
    let isFormer = lives.isFormer(checkpoint)
    if isFormer, head.sequence > ends.end(of: checkpoint) {
      if chains[name]?.hash(of: head.sequence) != head.hash { lives.countFormer() }
      return false
    }
    guard checkpoint.count == head.sequence else {
      throw AuditFault("chain \(name): the checkpoint's count is not its record's number")
    }
    try check(
      head, of: name, isPartial,
      "the checkpoint of \(checkpoint.time.seconds) seconds after 1970")
    return checkpoint.kind == .end && chains[name] != nil && !isFormer
  }

  /// Whether a chain has a record, with this hash; what was removed can't be judged.
  private func check(
    _ head: AuditHead, of name: AuditChain, _ isPartial: Bool, _ who: @autoclosure () -> String
  ) throws(AuditFault) {
    guard let chain = chains[name] else {
      if isPartial { return }
      throw AuditFault(
        "chain \(name): record 1 is missing, and all after it: it has \(head.sequence), says \(who())"
      )
    }
    guard head.sequence <= chain.last else {
      throw AuditFault(
        "chain \(name): record \(chain.last + 1) is missing: it has \(head.sequence), says \(who())"
      )
    }
    if head.sequence > 0, head.sequence < chain.begin { return }
    guard chain.hash(of: head.sequence) == head.hash, head.sequence > 0 else {
      throw AuditFault(
        "chain \(name): record \(head.sequence), or one before it, is another, says \(who())")
    }
  }

  /// Every record is written together with a head that covers it.
  private func checkEnds() throws(AuditFault) {
    let ends = heads.reduce(into: [AuditChain: UInt64]()) {
      $0[.tenant($1.head.tenant)] = max($0[.tenant($1.head.tenant)] ?? 0, $1.head.head.sequence)
    }
    for (name, chain) in chains.sorted(by: { "\($0.key)" < "\($1.key)" }) where name != .platform {
      let end = ends[name] ?? 0
      guard chain.last <= end else {
        throw AuditFault("chain \(name): record \(end + 1) is in no head of the platform's chain")
      }
    }
  }
}

/// The hashes of a chain's records, in order, from its begin on.
private struct VerifiedChain {
  /// The last record that was removed; 0: none was.
  let begin: UInt64
  private let beginHash: [UInt8]
  private var hashes: [[UInt8]] = []

  init(after head: AuditHead) {
    begin = head.sequence
    beginHash = head.hash
  }

  var count: Int { hashes.count }
  var last: UInt64 { begin + UInt64(hashes.count) }
  var lastHash: [UInt8] { hashes.last ?? beginHash }

  mutating func append(_ hash: [UInt8]) { hashes.append(hash) }

  /// Nil where there is none.
  func hash(of sequence: UInt64) -> [UInt8]? {
    guard sequence >= begin, sequence <= last else { return nil }
    return sequence == begin ? beginHash : hashes[Int(sequence - begin) - 1]
  }
}
