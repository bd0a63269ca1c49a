import Logging
import PKI
import Tenancy

/// What the audit trail needs besides the transactions that write it: from time to time what was denied is
/// written, and the chains' ends are signed.
struct AuditTrail: Sendable {
  private let plane: ControlPlane
  private let settings: AuditSettings
  private let checkpoints: CheckpointWriter?
  private let logger: Logger

  /// - Throws: `PKIError`, `ConfigurationError` or `TenancyError` when checkpoints can't be made.
  init(_ plane: ControlPlane, _ settings: AuditSettings, _ logger: Logger) async throws {
    self.plane = plane
    self.settings = settings
    self.logger = logger
    guard let checkpoints = settings.checkpoints else {
      self.checkpoints = nil
      return
    }
    let writer = try CheckpointWriter(plane, checkpoints)
    try await writer.begin()
    self.checkpoints = writer
  }

  /// Until cancelled.
  func run() async {
    await withTaskGroup { group in
      group.addTask { await every(settings.window) { await writeDenials() } }
      if let interval = settings.checkpoints?.interval {
        group.addTask { await every(interval) { await writeCheckpoint() } }
      }
    }
  }

  /// What is left to do before the control plane is closed.
  func finish() async {
    await writeDenials()
    await writeCheckpoint()
  }

  private func every(_ interval: Duration, _ body: () async -> Void) async {
    // Cancellation ends the sleep with an error.
    while (try? await Task.sleep(for: interval)) != nil { await body() }
  }

  private func writeDenials() async {
    guard let failure = await plane.writeDenials() else { return }
    logger.error("denied calls not written yet", metadata: ["reason": "\(failure.description)"])
  }

  private func writeCheckpoint() async {
    do {
      try await checkpoints?.write()
    } catch {
      logger.error("no audit checkpoint", metadata: ["reason": "\(error)"])
    }
  }
}

/// Signs where chains end, and adds that to a file. What it could not write it tries again the next time.
private actor CheckpointWriter {
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

  /// A first one of the platform's chain, which runs over all others: an ending before this start shows.
  func begin() async throws {
    guard let head = try await plane.auditHead(of: .platform) else { return }
    try file.add([sign(.platform, head, at: plane.now)])
    last = head.sequence
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
    _ chain: AuditChain, _ head: AuditHead, at time: Timestamp
  ) throws -> AuditCheckpoint {
    try AuditCheckpoint(
      chain, head, time: time, incarnation: plane.incarnationID, sign: key.sign)
  }
}
