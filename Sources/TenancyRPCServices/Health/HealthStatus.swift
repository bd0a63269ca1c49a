import Synchronization

/// Whether services can be called, for `grpc.health.v1.Health` to tell. The embedder says what is so; those
/// who watch hear of it. Thread-safe.
///
/// The empty name stands for the server as a whole. What is told of a service is what was last set for it;
/// but while the server is suspended, and for good once it is shut down, NOT_SERVING is told of all.
public final class HealthStatus: Sendable {
  /// As `grpc.health.v1` has it.
  public typealias Status = GRPCHealth.HealthCheckResponse.ServingStatus

  /// One watcher's view: the newest status, and whether it is the last one. Only the newest is kept.
  typealias Updates = AsyncStream<Status>

  private struct Watcher {
    let service: String
    let updates: Updates.Continuation
  }

  private struct State {
    var services: [String: Status]
    var isSuspended = false
    var isShutDown = false
    var watchers: [UInt64: Watcher] = [:]
    var nextWatcher: UInt64 = 0

    /// nil: not known.
    func status(of service: String) -> Status? {
      guard let status = services[service] else { return nil }
      return isSuspended || isShutDown ? .notServing : status
    }

    /// Tells watchers, all of them or those of one service. Whoever has not yet read what was told
    /// before gets this instead.
    func notify(_ service: String? = nil) {
      for watcher in watchers.values where service == nil || watcher.service == service {
        watcher.updates.yield(status(of: watcher.service) ?? .serviceUnknown)
      }
    }
  }

  private let state: Mutex<State>

  /// The server and the services are SERVING.
  ///
  /// - Parameter services: `package.Service` each.
  public init(serving services: some Sequence<String>) {
    var all: [String: Status] = ["": .serving]
    for service in services { all[service] = .serving }
    state = Mutex(State(services: all))
  }

  /// Those that are known, "" for the server among them.
  public var services: [String] { state.withLock { Array($0.services.keys) } }

  /// Sets the status of a service, which becomes known with it.
  public func set(_ status: Status, for service: String) {
    state.withLock { state in
      state.services[service] = status
      state.notify(service)
    }
  }

  /// While true, NOT_SERVING is told of all, whatever else is set.
  public func setSuspended(_ isSuspended: Bool) {
    state.withLock { state in
      guard state.isSuspended != isSuspended else { return }
      state.isSuspended = isSuspended
      state.notify()
    }
  }

  /// NOT_SERVING is told of all from now on, and then every Watch ends, so that clients look elsewhere
  /// and a drain need not wait for them.
  public func shutDown() {
    let watchers = state.withLock { state -> [Watcher] in
      state.isShutDown = true
      state.notify()
      defer { state.watchers = [:] }
      return Array(state.watchers.values)
    }
    for watcher in watchers { watcher.updates.finish() }
  }

  /// nil: the service is not known.
  public func status(of service: String) -> Status? {
    state.withLock { $0.status(of: service) }
  }

  /// By service.
  var all: [String: Status] {
    state.withLock { state in
      state.services.reduce(into: [:]) { $0[$1.key] = state.status(of: $1.key) }
    }
  }

  /// The status of a service now and whenever it may have changed; ends after the last one, at shutdown.
  /// However slow its reader is, it holds one status.
  func updates(of service: String) -> Updates {
    let (stream, continuation) = Updates.makeStream(bufferingPolicy: .bufferingNewest(1))
    let id = state.withLock { state -> UInt64? in
      continuation.yield(state.status(of: service) ?? .serviceUnknown)
      guard !state.isShutDown else { return nil }
      state.nextWatcher += 1
      state.watchers[state.nextWatcher] = Watcher(service: service, updates: continuation)
      return state.nextWatcher
    }
    if let id {
      continuation.onTermination = { [weak self] _ in
        // A watcher that shutdown has dropped is gone already.
        _ = self?.state.withLock { $0.watchers.removeValue(forKey: id) }
      }
    } else {
      continuation.finish()
    }
    return stream
  }

  /// Of Watch calls, for tests.
  var watcherCount: Int { state.withLock { $0.watchers.count } }
}
