import PKI
import Tenancy

/// Signs where chains end, and adds that to a file. What it could not write it tries again the next time.
actor CheckpointWriter {
  private let plane: ControlPlane
  private let key: SigningKey
  private let file: CheckpointFile
  /// Up to here of the platform's chain, checkpoints are made.
  private var last: UInt64 = 0

  init(_ plane: ControlPlane, _ settings: AuditSettings.Checkpoints) throws {
    self.plane = plane
    try OwnFiles.checkSecret(settings.key, "audit key")
    key = try SigningKey(file: settings.key)
    file = try CheckpointFile(settings.file)
  }

  /// Chains that are signed in one go.
  private static let chainsPerPart = 1024
  /// Before anything is served: a second, about.
  private static let partsAtStart = 10
  /// The ends of chains behind this one are not signed yet in this life of the store; nil: all are.
  private var unsigned: AuditChain?

  /// A first one of the platform's chain, which runs over all others: an ending before this start shows. Where the
  /// file has none of this life of the store, as after a restore, the ends of all chains are signed before: a tenant
  /// that has its own chain only could not verify it before the chain grows.
  /// Of many chains the rest is left to `finishBeginning`: a start does not wait for it.
  /// - Returns: how many chains were signed, if it was more than the platform's.
  func begin() async throws -> Int {
    let isNewLife = try file.lastIncarnation(of: .platform) != plane.incarnationID
    let count = isNewLife ? try await signEnds(parts: Self.partsAtStart) : 0
    guard let head = try await plane.auditHead(of: .platform) else { return count }
    // The last: with it, all others are there.
    try file.add([sign(.platform, head, at: plane.now)])
    last = head.sequence
    return count
  }

  /// Signs the ends that `begin` has left. If that is cut short, the others are signed when their chains grow.
  /// - Returns: how many.
  func finishBeginning() async throws -> Int {
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
      let tenants = ends.filter { $0.chain != .platform }
      let time = plane.now
      if !tenants.isEmpty { try file.add(tenants.map { try sign($0.chain, $0.head, at: time) }) }
      count += tenants.count
      unsigned = end.chain
    }
  }

  /// Behind which records chains begin. When it returns, that is durable.
  func begin(_ ends: [AuditEnd]) async throws {
    // Records that tell which chains have grown must not go before their ends are signed.
    if ends.contains(where: { $0.chain == .platform }) { try await write() }
    let time = plane.now
    try file.add(ends.map { try sign($0.chain, $0.head, kind: .begin, at: time) })
  }

  /// One for the platform's chain and each that has grown since the last time.
  func write() async throws {
    var (platform, grown): (AuditHead?, [TenantID: AuditHead]) = (nil, [:])
    while true {
      let after = platform?.sequence ?? last
      let records = try await plane.auditRecords(of: .platform, after: after, limit: 256)
      guard let newest = records.last else { break }
      platform = AuditHead(sequence: newest.sequence, hash: newest.hash)
      for record in records {
        guard case .heads(let heads, _) = AuditEncoding.decode(record.bytes)?.content else {
          continue
        }
        for head in heads { grown[head.tenant] = head.head }
      }
    }
    guard let platform else { return }
    let time = plane.now
    var made = [try sign(.platform, platform, at: time)]
    for (tenant, head) in grown.sorted(by: { $0.key < $1.key }) {
      made.append(try sign(.tenant(tenant), head, at: time))
    }
    try file.add(made)
    last = platform.sequence
  }

  private func sign(
    _ chain: AuditChain, _ head: AuditHead, kind: AuditCheckpoint.Kind = .end, at time: Timestamp
  ) throws -> AuditCheckpoint {
    try AuditCheckpoint(
      chain, head, kind: kind, time: time, incarnation: plane.incarnationID, sign: key.sign)
  }
}
