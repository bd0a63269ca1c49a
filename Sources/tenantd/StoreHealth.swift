import RPCServices
import Tenancy

/// Keeps what the health service tells in line with the store.
enum StoreHealth {
  /// Between two attempts to read a store that has failed.
  static let interval = Duration.seconds(1)

  /// Runs until cancelled.
  static func follow(_ plane: ControlPlane, _ health: HealthStatus) async {
    plane.observeHealth { health.setSuspended(!$0) }
    while !Task.isCancelled {
      // A cancelled sleep ends the loop at its condition.
      try? await Task.sleep(for: interval)
      if !plane.isHealthy { _ = await plane.recover() }
    }
  }
}
