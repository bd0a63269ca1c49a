import Logging
import RPCServices
import Synchronization
import Tenancy
import TenancyWire

/// Keeps what the health service tells in line with the store.
enum StoreHealth {
  /// Between two attempts to read a store that has failed.
  static let interval = Duration.seconds(1)

  /// What is answered from memory while the store fails, where other nodes can write meanwhile: whoever asks
  /// for the whole server is told that it does not serve.
  static let answering = [
    V1.TenantResolver.name, V1.Authorization.name, V1.Identity.name,
  ]

  /// Runs until cancelled. The log hears of a failure once, and of its end; and of a state that is too old to
  /// answer from.
  static func follow(_ plane: ControlPlane, _ health: HealthStatus, _ logger: Logger) async {
    let hasFailed = Atomic(false)
    plane.observeHealth { failure in
      tell(hasFailed: failure != nil, isStale: plane.isStale(at: plane.now), plane, health)
      if let failure {
        logger.error("the store has failed", metadata: ["reason": "\(failure.description)"])
      } else if hasFailed.load(ordering: .relaxed) {
        logger.notice("the store works again")
      }
      hasFailed.store(failure != nil, ordering: .relaxed)
    }
    guard let maximum = plane.maximumStaleness else {
      while !Task.isCancelled {
        // A cancelled sleep ends the loop at its condition.
        try? await Task.sleep(for: interval)
        if !plane.isHealthy { _ = await plane.recover() }
      }
      return
    }
    await followStaleness(plane, health, logger, maximum)
  }

  private static func followStaleness(
    _ plane: ControlPlane, _ health: HealthStatus, _ logger: Logger, _ maximum: Duration
  ) async {
    var wasStale = false
    while !Task.isCancelled {
      try? await Task.sleep(for: min(interval, maximum / 8))
      let isStale = await !plane.confirmCurrent(ifNotWithin: maximum / 4)
      guard isStale != wasStale else { continue }
      wasStale = isStale
      tell(hasFailed: !plane.isHealthy, isStale: isStale, plane, health)
      if isStale {
        logger.error("the state is older than nodes.maximum_staleness_seconds: nothing is answered")
      } else {
        logger.notice("the state is current again")
      }
    }
  }

  /// A node that has lost its database goes on answering for a while, and says so of what it answers.
  private static func tell(
    hasFailed: Bool, isStale: Bool, _ plane: ControlPlane, _ health: HealthStatus
  ) {
    guard plane.maximumStaleness != nil else { return health.setSuspended(hasFailed) }
    health.setSuspended(isStale)
    for service in health.services where !answering.contains(service) {
      health.set(hasFailed ? .notServing : .serving, for: service)
    }
  }
}
