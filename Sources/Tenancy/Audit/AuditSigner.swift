/// Where checkpoints are kept: lines that are only added.
public protocol AuditCheckpointLog: Sendable {
  /// Adds them durably, in order, all of them or none.
  func add(_ checkpoints: [AuditCheckpoint]) throws
  /// The newest end of a chain.
  func last(of chain: AuditChain) throws -> AuditCheckpoint?
  /// The first ones, or those behind a place; nil: there are no more.
  /// - Returns: some of them, in order, and the place behind them.
  func read(after place: Int64) throws -> (checkpoints: [AuditCheckpoint], place: Int64)?
}

/// Signs where chains end and begin, and adds that to a log. What it could not write it tries again the next time.
///
/// Where records are removed, it holds the store to what it signed before: a chain goes on from its last signed end,
/// record by record, or nothing of it is signed any more, and nothing removed. So the newest signed end of a chain
/// stands for all before it.
public actor AuditSigner {
  /// Signs with Ed25519.
  public typealias Sign = @Sendable ([UInt8]) throws -> [UInt8]

  private let plane: ControlPlane
  private let log: any AuditCheckpointLog
  private let signature: Sign
  private let terms: Terms
  private let report: @Sendable (String) -> Void
  /// Up to here of the platform's chain, checkpoints are made.
  private var last: AuditHead?
  /// Nil: not read yet, and nothing but the platform's end at the start is signed.
  private var signed: SignedPlaces?
  /// Chains that are not as they were signed. They stay so until a start finds them to be.
  private var faults: [AuditChain: AuditFault] = [:]
  /// Whether it is known with which restore this life of the store began.
  private var isTold: Bool?
  /// Whether the log could not be read the last time.
  private var isUnreadable = false
  private var isBusy = false
  private var waiting: [CheckedContinuation<Void, Never>] = []

  /// What of the installation's settings matters to the signer.
  public struct Terms: Sendable {
    /// Whether records are removed, and the store therefore held to what was signed.
    public var removes: Bool
    /// Whether other nodes remove records as well, and sign that in logs of their own.
    public var isShared: Bool

    /// Neither can change while the signer is at work.
    public init(removes: Bool, isShared: Bool) {
      self.removes = removes
      self.isShared = isShared
    }
  }

  /// - Parameter report: told, for the operator, of chains that are not as they were signed: once.
  public init(
    _ plane: ControlPlane, _ log: any AuditCheckpointLog, _ terms: Terms,
    report: @escaping @Sendable (String) -> Void, sign: @escaping Sign
  ) {
    self.plane = plane
    self.log = log
    self.terms = terms
    self.report = report
    signature = sign
  }

  // MARK: At the start

  /// Chains that are signed in one go.
  private static let chainsPerPart = 1024
  /// Before anything is served: a second, about.
  private static let partsAtStart = 10
  /// The ends of chains behind this one are not signed yet in this life of the store; nil: all are.
  private var unsigned: AuditChain?

  /// A first one of the platform's chain, which runs over all others: an ending before this start shows. Where the
  /// log has none of this life of the store, as after a restore, the ends of all chains are signed before: a tenant
  /// that has its own chain only could not verify it before the chain grows.
  /// Of many chains the rest is left to `finishBeginning`: a start does not wait for it.
  /// - Returns: how many chains were signed, if it was more than the platform's.
  public func begin() async throws -> Int {
    let former = try log.last(of: .platform)
    let isNewLife = former?.incarnation != plane.incarnationID
    let count = isNewLife ? try await signEnds(parts: Self.partsAtStart) : 0
    let head = try await end(
      of: .platform, from: terms.removes && !isNewLife ? former?.head : nil)
    guard let head else { return count }
    // The last: with it, all others are there.
    try add([(.platform, head, .end)])
    last = head
    return count
  }

  /// Signs the ends that `begin` has left. If that is cut short, the others are signed when their chains grow.
  /// - Returns: how many.
  public func finishBeginning() async throws -> Int {
    try await load()
    guard unsigned != nil else { return 0 }
    return try await signEnds(parts: .max)
  }

  private func signEnds(parts: Int) async throws -> Int {
    var (count, done) = (0, 0)
    while true {
      guard done < parts, !Task.isCancelled else { return count }
      done += 1
      let ends = try await plane.auditEnds(after: unsigned, limit: Self.chainsPerPart)
      guard let end = ends.last else {
        unsigned = nil
        return count
      }
      // What was signed meanwhile goes on with `write`.
      let tenants = ends.filter { $0.chain != .platform && signed?.end(of: $0.chain) == nil }
      try add(tenants.map { ($0.chain, $0.head, .end) })
      count += tenants.count
      unsigned = end.chain
    }
  }

  /// Reads what was signed before, once. Meanwhile others have their turn.
  private func load() async throws {
    guard terms.removes, signed == nil else { return }
    isUnreadable = false
    do { try await readSigned() } catch {
      isUnreadable = !(error is CancellationError)
      throw error
    }
  }

  private func readSigned() async throws {
    var places = SignedPlaces(incarnation: plane.incarnationID)
    var place: Int64 = 0
    while let (checkpoints, next) = try log.read(after: place) {
      for checkpoint in checkpoints { places.note(checkpoint) }
      place = next
      // Not behind the last part: what is added meanwhile is read as well.
      await Task.yield()
      try Task.checkCancellation()
    }
    signed = places
  }

  // MARK: Signing

  /// One at a time: what goes after the one has held a chain, the other must not be following.
  private func enter() async {
    while isBusy { await withCheckedContinuation { waiting.append($0) } }
    isBusy = true
  }

  private func leave() {
    isBusy = false
    for continuation in waiting { continuation.resume() }
    waiting = []
  }

  /// One for the platform's chain and each that has grown since the last time.
  public func write() async throws {
    await enter()
    defer { leave() }
    try await writeGrown()
  }

  private func writeGrown() async throws {
    // It may fail to be read, and is then read again. While it is being read, nothing is signed.
    if isUnreadable { try await load() }
    if terms.removes, signed == nil { return }
    guard let (platform, grown) = try await grown() else { return }
    var made: [(AuditChain, AuditHead, AuditCheckpoint.Kind)] = [(.platform, platform, .end)]
    for (tenant, head) in grown.sorted(by: { $0.key < $1.key }) {
      let chain = AuditChain.tenant(tenant)
      guard let start = signed?.end(of: chain) else {
        made.append((chain, head, .end))
        continue
      }
      guard let end = try await end(of: chain, from: start) else { continue }
      made.append((chain, end, .end))
    }
    try add(made)
    last = platform
  }

  /// Where the platform's chain ends, and those of which it tells that they have grown.
  private func grown() async throws -> (platform: AuditHead, tenants: [TenantID: AuditHead])? {
    guard faults[.platform] == nil else { return nil }
    let done = last?.sequence ?? 0
    var grown: [TenantID: AuditHead] = [:]
    var link = plane.auditLink(
      .platform, from: terms.removes ? last : nil, mayBeRemoved: terms.isShared)
    var place = terms.removes ? link.place : done
    var end: AuditHead?
    while true {
      let records = try await plane.auditRecords(of: .platform, after: place, limit: 256)
      guard let newest = records.last else { break }
      for record in records {
        if terms.removes {
          do throws(AuditFault) { try link.take(record) } catch {
            fail(.platform, error)
            return nil
          }
        }
        guard record.sequence > done,
          case .heads(let heads, _) = AuditEncoding.decode(record.bytes)?.content
        else { continue }
        for head in heads { grown[head.tenant] = head.head }
      }
      place = newest.sequence
      end = AuditHead(sequence: newest.sequence, hash: newest.hash)
    }
    if let fault = link.ending {
      fail(.platform, fault)
      return nil
    }
    guard let end, end.sequence > done else { return nil }
    return (end, grown)
  }

  /// Where a chain ends, if it goes on from what was signed.
  private func end(of chain: AuditChain, from start: AuditHead?) async throws -> AuditHead? {
    guard faults[chain] == nil else { return nil }
    switch try await plane.followAudit(chain, from: start, mayBeRemoved: terms.isShared) {
    case .success(let end): return end
    case .failure(let fault):
      fail(chain, fault)
      return nil
    }
  }

  // MARK: Before records are removed

  /// Holds chains of which records may go to what was signed of them, and signs where they end now: what goes is on
  /// the way there.
  /// - Returns: those of which nothing may go, and others that are not as they were signed; told of already.
  public func hold(_ begins: [AuditBegin]) async throws -> Set<AuditChain> {
    await enter()
    defer { leave() }
    try await load()
    guard try await isLifeTold() else { return Set(begins.map(\.chain)) }
    if begins.contains(where: { $0.chain == .platform }) { try await writeGrown() }
    var made: [(AuditChain, AuditHead, AuditCheckpoint.Kind)] = []
    for begin in begins {
      let chain = begin.chain
      if let fault = signed?.fault(begin, isShared: terms.isShared), try await !isSaid(begin) {
        fail(chain, fault)
      }
      let start = signed?.end(of: chain)
      guard let end = try await end(of: chain, from: start), end != start else { continue }
      // What has come since `write` is signed with the chains that have grown.
      if chain != .platform { made.append((chain, end, .end)) }
    }
    try add(made)
    return Set(faults.keys)
  }

  /// Behind which records chains begin. When it returns, that is durable.
  public func begin(_ ends: [AuditEnd]) async throws {
    await enter()
    defer { leave() }
    // Records that tell which chains have grown must not go before their ends are signed.
    if ends.contains(where: { $0.chain == .platform }) { try await writeGrown() }
    try await signBehind(ends)
    for end in ends { if let fault = faults[end.chain] { throw fault } }
    try add(ends.map { ($0.chain, $0.head, .begin) })
  }

  /// What goes must be before an end that was signed: a chain may have grown since it was held, and so may what is
  /// to go of it.
  private func signBehind(_ ends: [AuditEnd]) async throws {
    var made: [(AuditChain, AuditHead, AuditCheckpoint.Kind)] = []
    for end in ends where end.chain != .platform {
      guard let start = signed?.end(of: end.chain), start.sequence <= end.head.sequence,
        let now = try await self.end(of: end.chain, from: start), now != start
      else { continue }
      made.append((end.chain, now, .end))
    }
    try add(made)
  }

  /// Whether an older begin says where a chain begins: a store that was restored has those of its backup.
  private func isSaid(_ begin: AuditBegin) async throws -> Bool {
    var place: Int64 = 0
    while let (checkpoints, next) = try log.read(after: place) {
      let says = checkpoints.contains {
        $0.kind == .begin && $0.chain == begin.chain && $0.head == begin.floor
      }
      if says { return true }
      place = next
      await Task.yield()
    }
    return false
  }

  /// A life of the store that only its own checkpoints tell of is that of whoever changed the incarnation in it: when
  /// a begin is signed in it, it must be known which restore it began with.
  private func isLifeTold() async throws -> Bool {
    if let isTold { return isTold }
    guard let signed, signed.hasFormerLife, !signed.hasBegun else {
      isTold = true
      return true
    }
    let end = signed.firstEnd ?? last?.sequence ?? 0
    let isTold = try await plane.tellsOfThisLife(before: end)
    self.isTold = isTold
    if !isTold {
      report(
        "chain \(AuditChain.platform): it does not tell of the restore with which this life of the store "
          + "began")
    }
    return isTold
  }

  private func fail(_ chain: AuditChain, _ fault: AuditFault) {
    guard faults.updateValue(fault, forKey: chain) == nil else { return }
    report("chain \(chain): \(fault)")
  }

  private func add(_ ends: [(AuditChain, AuditHead, AuditCheckpoint.Kind)]) throws {
    guard !ends.isEmpty else { return }
    let time = plane.now
    let made = try ends.map { chain, head, kind in
      try AuditCheckpoint(
        chain, head, kind: kind, time: time, incarnation: plane.incarnationID, sign: signature)
    }
    try log.add(made)
    for checkpoint in made { signed?.note(checkpoint) }
  }
}
