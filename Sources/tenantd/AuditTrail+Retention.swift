import Logging
import Tenancy

/// Keeps chains of audit records within their bounds.
extension AuditTrail {
  /// Between two times: a chain is over its bound by what is written meanwhile.
  private static let retentionInterval = Duration.seconds(10)

  /// Until cancelled. A failure is told once, until it works again.
  func retain() async {
    guard let checkpoints else { return await tellOfUnsigned() }
    let logger = logger
    let trimmer = AuditTrimmer(
      plane, settings.retention, holder: holder,
      report: { Self.tell(of: $0, to: logger) }, signer: checkpoints)
    var hasFailed = false
    while !Task.isCancelled {
      do {
        try await trimmer.run()
        hasFailed = false
      } catch {
        if !hasFailed, !Task.isCancelled {
          logger.error("old audit records not removed", metadata: ["reason": "\(error)"])
        }
        hasFailed = true
      }
      // A cancelled sleep ends the loop at its condition.
      try? await Task.sleep(for: Self.retentionInterval)
    }
  }

  /// Without a signature, nobody could tell what was removed for its age from what was cut off. Said once, when
  /// there is something to remove.
  private func tellOfUnsigned() async {
    while !Task.isCancelled {
      // A store that fails is told of by others, and asked again.
      if (try? await plane.hasDueAuditRecords(settings.retention)) == true {
        return logger.warning(
          "audit records that need not be kept are not removed: that takes audit.checkpoint_key")
      }
      // A cancelled sleep ends the loop at its condition.
      try? await Task.sleep(for: Self.retentionInterval)
    }
  }
}
