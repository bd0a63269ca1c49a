import Logging
import RPCServices
import Synchronization
import Tenancy

/// Keeps what the health service tells in line with the store.
enum StoreHealth {
  /// Between two attempts to read a store that has failed.
  static let interval = Duration.seconds(1)

  /// Runs until cancelled. The log hears of a failure once, and of its end.
  static func follow(_ plane: ControlPlane, _ health: HealthStatus, _ logger: Logger) async {
    let hasFailed = Atomic(false)
    plane.observeHealth { failure in
      health.setSuspended(failure != nil)
      if let failure {
        logger.error("the store has failed", metadata: ["reason": "\(failure.description)"])
      } else if hasFailed.load(ordering: .relaxed) {
        logger.notice("the store works again")
      }
      hasFailed.store(failure != nil, ordering: .relaxed)
    }
    while !Task.isCancelled {
      // A cancelled sleep ends the loop at its condition.
      try? await Task.sleep(for: interval)
      if !plane.isHealthy { _ = await plane.recover() }
    }
  }
}
