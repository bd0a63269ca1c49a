import Logging
import Tenancy

/// What the audit trail needs besides the transactions that write it: from time to time what was denied is
/// written, the chains' ends are signed, and what need not be kept any more is removed.
struct AuditTrail: Sendable {
  let plane: ControlPlane
  let settings: AuditSettings
  let checkpoints: AuditSigner?
  let holder: String
  let logger: Logger

  /// - Throws: `PKIError`, `ConfigurationError` or `TenancyError` when checkpoints can't be made.
  /// - Parameters:
  ///   - holder: as whom leases are taken; see `Provisioner.Terms`.
  ///   - isShared: whether other nodes have the store as well.
  init(
    _ plane: ControlPlane, _ settings: AuditSettings, as holder: String, isShared: Bool,
    _ logger: Logger
  ) async throws {
    self.plane = plane
    self.holder = holder
    self.settings = settings
    self.logger = logger
    guard let checkpoints = settings.checkpoints else {
      self.checkpoints = nil
      return
    }
    let writer = try AuditSigner(
      plane, checkpoints,
      AuditSigner.Terms(removes: settings.retention.removes, isShared: isShared),
      report: { Self.tell(of: $0, to: logger) })
    let count = try await writer.begin()
    if count > 0 {
      logger.info("the ends of chains were signed", metadata: ["chains": "\(count)"])
    }
    self.checkpoints = writer
  }

  /// Of what is not as it was written or signed.
  static func tell(of what: String, to logger: Logger) {
    logger.critical(
      "audit records are not removed: they were changed", metadata: ["reason": "\(what)"])
  }

  /// Until cancelled.
  func run() async {
    await withTaskGroup { group in
      group.addTask { await every(settings.window) { await writeDenials() } }
      if let interval = settings.checkpoints?.interval {
        group.addTask { await every(interval) { await writeCheckpoint() } }
      }
      group.addTask {
        await signRest()
        await retain()
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

  private func signRest() async {
    do {
      guard let count = try await checkpoints?.finishBeginning(), count > 0 else { return }
      logger.info("the ends of the other chains were signed", metadata: ["chains": "\(count)"])
    } catch {
      logger.error("not all ends of chains were signed", metadata: ["reason": "\(error)"])
    }
  }

  private func writeCheckpoint() async {
    do {
      try await checkpoints?.write()
    } catch {
      logger.error("no audit checkpoint", metadata: ["reason": "\(error)"])
    }
  }
}
