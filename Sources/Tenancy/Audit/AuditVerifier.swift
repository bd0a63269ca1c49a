/// What is wrong with exported audit records, with the first record that is.
public struct AuditFault: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String
  init(_ description: String) { self.description = description }

  /// A file whose last line has no end.
  public init(cutOff file: String, line: Int) {
    self.init("\(file):\(line): the line is cut off")
  }
}

/// Verifies exported chains against each other and against signed checkpoints, with nothing else at hand.
public struct AuditVerifier {
  private let hash: AuditHash
  private let isSigned: ([UInt8], _ signature: [UInt8]) -> Bool
  /// The hashes of each chain's records, in order.
  private var chains: [AuditChain: [[UInt8]]] = [:]
  private var heads: [(record: UInt64, head: AuditRecord.TenantHead)] = []
  private var checkpoints: [AuditCheckpoint] = []

  /// - Parameters:
  ///   - hash: SHA-256.
  ///   - isSigned: whether a message has an Ed25519 signature of the key that checkpoints are signed with.
  public init(
    hash: @escaping AuditHash, isSigned: @escaping ([UInt8], _ signature: [UInt8]) -> Bool
  ) {
    self.hash = hash
    self.isSigned = isSigned
  }

  public var recordCount: Int { chains.values.reduce(0) { $0 + $1.count } }
  public var chainCount: Int { chains.count }

  /// Takes the next line of an export.
  /// - Parameter place: names the line.
  public mutating func add(line: String, at place: String) throws(AuditFault) {
    guard let record = AuditLine(parsing: line)?.record else {
      throw AuditFault("\(place): no record, or a changed one\(next(line))")
    }
    let (chain, sequence) = (record.chain, record.sequence)
    let expected = UInt64(chains[chain]?.count ?? 0) + 1
    guard sequence == expected else {
      let found = "record \(sequence) is in its place"
      throw AuditFault(
        sequence > expected
          ? "\(place): chain \(chain): record \(expected) is missing: \(found)"
          : "\(place): chain \(chain): record \(expected) is missing or moved: \(found)")
    }
    let previous = chains[chain]?.last ?? AuditHead.start.hash
    guard hash(AuditEncoding.hashInput(record.bytes, after: previous)) == record.hash else {
      throw AuditFault(
        "\(place): chain \(chain): record \(sequence) is not the one that was written: its hash does not "
          + "fit")
    }
    guard let content = AuditEncoding.decode(record.bytes), content.chain == chain,
      content.sequence == sequence
    else {
      throw AuditFault("\(place): chain \(chain): record \(sequence) is of another place")
    }
    chains[chain, default: []].append(record.hash)
    if case .heads(let ends, _) = content.content {
      heads += ends.map { (record: sequence, head: $0) }
    }
  }

  /// Which record the line should have been, if its begin tells the chain.
  private func next(_ line: String) -> String {
    let parts = line.split(separator: "\"", omittingEmptySubsequences: false)
    guard parts.count > 3, let chain = AuditChain(parsing: String(parts[3])) else { return "" }
    return ", where record \((chains[chain]?.count ?? 0) + 1) of chain \(chain) should be"
  }

  /// Takes a line of the file of checkpoints.
  public mutating func add(checkpoint line: String, at place: String) throws(AuditFault) {
    guard let checkpoint = AuditCheckpoint(parsing: line) else {
      throw AuditFault("\(place): no checkpoint, or a changed one")
    }
    guard isSigned(checkpoint.signedBytes, checkpoint.signature) else {
      throw AuditFault("\(place): the checkpoint is not signed with this key")
    }
    checkpoints.append(checkpoint)
  }

  /// Judges the chains' ends, when all lines have been taken.
  /// - Parameter isPartial: whether chains may be missing, as for a tenant that sees only its own.
  public func finish(isPartial: Bool) throws(AuditFault) {
    guard !chains.isEmpty else { throw AuditFault("there are no records") }
    for (record, head) in heads { try check(head, record, isPartial) }
    var isCovered = false
    for checkpoint in checkpoints {
      if try check(checkpoint, isPartial) { isCovered = true }
    }
    guard isCovered else {
      throw AuditFault(
        "no checkpoint is about these chains: nothing shows that their ends are not cut off")
    }
    if chains[.platform] != nil { try checkEnds() }
  }

  private func check(
    _ end: AuditRecord.TenantHead, _ record: UInt64, _ isPartial: Bool
  ) throws(AuditFault) {
    let says = "says record \(record) of the platform's chain"
    guard let hashes = chains[.tenant(end.tenant)] else {
      if isPartial { return }
      throw AuditFault(
        "chain \(end.tenant): record 1 is missing, and all after it: it has \(end.head.sequence), \(says)"
      )
    }
    guard end.head.sequence <= hashes.count else {
      throw AuditFault(
        "chain \(end.tenant): record \(hashes.count + 1) is missing: it has \(end.head.sequence), \(says)"
      )
    }
    guard end.head.sequence > 0, hashes[Int(end.head.sequence) - 1] == end.head.hash else {
      throw AuditFault(
        "chain \(end.tenant): record \(end.head.sequence), or one before it, is another, \(says)")
    }
  }

  /// Every record is written together with a head that covers it.
  private func checkEnds() throws(AuditFault) {
    let ends = heads.reduce(into: [AuditChain: UInt64]()) {
      $0[.tenant($1.head.tenant)] = max($0[.tenant($1.head.tenant)] ?? 0, $1.head.head.sequence)
    }
    for (chain, hashes) in chains.sorted(by: { "\($0.key)" < "\($1.key)" })
    where chain != .platform {
      let end = ends[chain] ?? 0
      guard hashes.count <= end else {
        throw AuditFault(
          "chain \(chain): record \(end + 1) is in no head of the platform's chain")
      }
    }
  }

  /// Whether the checkpoint is about one of the chains.
  private func check(
    _ checkpoint: AuditCheckpoint, _ isPartial: Bool
  ) throws(AuditFault) -> Bool {
    let says = "says the checkpoint of \(checkpoint.time.seconds) seconds after 1970"
    let (chain, head) = (checkpoint.chain, checkpoint.head)
    guard let hashes = chains[chain] else {
      if isPartial { return false }
      throw AuditFault(
        "chain \(chain): record 1 is missing, and all after it: it has \(checkpoint.count), \(says)"
      )
    }
    guard head.sequence <= hashes.count, checkpoint.count == head.sequence else {
      throw AuditFault(
        "chain \(chain): record \(hashes.count + 1) is missing: it has \(checkpoint.count), \(says)"
      )
    }
    guard head.sequence > 0, hashes[Int(head.sequence) - 1] == head.hash else {
      throw AuditFault(
        "chain \(chain): record \(head.sequence), or one before it, is another, \(says)")
    }
    return true
  }
}
