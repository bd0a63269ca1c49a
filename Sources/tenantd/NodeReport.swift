import Logging
import Tenancy
import TenancyStore

/// Tells the log at intervals how a node gets on that is one of several: how fresh its state is, how far it is
/// behind, who holds leases and who waits for revisions.
struct NodeReport: Sendable {
  let plane: ControlPlane
  let follower: LogFollower
  /// As whom this node takes leases.
  let holder: String
  let logger: Logger

  /// Until cancelled.
  func run(every interval: Duration) async {
    while !Task.isCancelled {
      await tell()
      // A cancelled sleep ends the loop at its condition.
      try? await Task.sleep(for: interval)
    }
  }

  private func tell() async {
    let status = plane.nodeStatus
    let heard = follower.heard
    var told: Logger.Metadata = [
      "revision": "\(status.revision)",
      "revisions_behind": "\(heard > status.revision ? heard - status.revision : 0)",
      "seconds_since_current": "\(status.age.components.seconds)", "stale": "\(status.isStale)",
      "store_works": "\(status.isHealthy)", "reads_waiting": "\(status.waits.waiting)",
      "reads_reached": "\(status.waits.reached)", "reads_unknown": "\(status.waits.unknown)",
      "reads_ended": "\(status.waits.ended)", "reads_refused": "\(status.waits.refused)",
      "looks": "\(status.waits.looks)",
    ]
    // While the store fails nobody can say.
    if let leases = try? await plane.leaseCounts(of: holder) {
      told["leases_own"] = "\(leases.own)"
      told["leases_others"] = "\(leases.others)"
      told["leases_expired"] = "\(leases.expired)"
    }
    logger.info("node status", metadata: told)
  }
}
