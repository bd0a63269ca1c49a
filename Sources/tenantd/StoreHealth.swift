import Logging
import TenancyRPCServices
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
    let teller = HealthTeller(plane, health)
    plane.observeHealth { failure in
      teller.tell()
      if let failure {
        logger.error("the store has failed", metadata: ["reason": "\(failure.description)"])
      } else if hasFailed.load(ordering: .relaxed) {
        logger.notice("the store works again")
      }
      hasFailed.store(failure != nil, ordering: .relaxed)
    }
    guard let maximum = plane.maximumStaleness else {
      while !Task.isCancelled {
        do { try await Task.sleep(for: interval) } catch { return }
        if !plane.isHealthy { _ = await plane.recover() }
      }
      return
    }
    await followStaleness(plane, teller, logger, maximum)
  }

  private static func followStaleness(
    _ plane: ControlPlane, _ teller: HealthTeller, _ logger: Logger, _ maximum: Duration
  ) async {
    var wasStale = false
    while !Task.isCancelled {
      do { try await Task.sleep(for: min(interval, maximum / 8)) } catch { return }
      let isStale = await !plane.confirmCurrent(ifNotWithin: maximum / 4)
      // Also when this has not seen it change: whoever looks at the store may have, for a moment.
      teller.tell()
      guard isStale != wasStale else { continue }
      wasStale = isStale
      if isStale {
        logger.error("the state is older than nodes.maximum_staleness_seconds: nothing is answered")
      } else {
        logger.notice("the state is current again")
      }
    }
  }
}

/// Tells the health service how things are, and nothing when they are as before. Thread-safe.
private final class HealthTeller: Sendable {
  private struct Told: Equatable {
    let hasFailed, isStale: Bool
  }

  private let plane: ControlPlane
  private let health: HealthStatus
  private let told = Mutex(Told(hasFailed: false, isStale: false))

  init(_ plane: ControlPlane, _ health: HealthStatus) {
    self.plane = plane
    self.health = health
  }

  /// A node that has lost its database goes on answering for a while, and says so of what it answers.
  func tell() {
    told.withLock { told in
      let now = Told(hasFailed: !plane.isHealthy, isStale: plane.isStale(at: plane.now))
      guard now != told else { return }
      told = now
      guard plane.maximumStaleness != nil else { return health.setSuspended(now.hasFailed) }
      health.setSuspended(now.isStale)
      for service in health.services where !StoreHealth.answering.contains(service) {
        health.set(now.hasFailed ? .notServing : .serving, for: service)
      }
    }
  }
}
