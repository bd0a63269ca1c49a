internal import Synchronization
public import Tenancy

/// Keeps a control plane up with what other nodes write to its store, until it is stopped or let go: at each
/// notification, and at the poll interval where notifications are lost. Thread-safe.
public final class LogFollower: Sendable {
  private let listener: PostgreSQLListener
  private let changes: AsyncStream<Void>.Continuation
  private let task: Task<Void, Never>
  /// Looks at the interval, whatever has become of the connection for notifications.
  private let polling: Task<Void, Never>
  private let news: News

  /// - Parameters:
  ///   - store: the plane's.
  ///   - onFailure: called when the connection for notifications is lost or can't be made; the store's own
  ///     failures are a matter of the plane's health.
  public init(
    _ plane: ControlPlane, on store: PostgreSQLStore,
    onFailure: @escaping @Sendable (StoreError) -> Void = { _ in }
  ) throws(StoreError) {
    // However many changes come while it catches up: once more is enough.
    let (stream, changes) = AsyncStream.makeStream(
      of: Void.self, bufferingPolicy: .bufferingNewest(1))
    self.changes = changes
    let news = News()
    self.news = news
    task = Task {
      for await _ in stream {
        // What it throws is that the store has failed, which the plane's health says. What this node has
        // written itself is there already.
        _ = try? await plane.catchUp(to: news.take())
      }
    }
    let interval = store.pollInterval
    polling = Task {
      // A cancelled sleep ends it.
      while (try? await Task.sleep(for: interval)) != nil {
        news.add(nil)
        changes.yield()
      }
    }
    listener = try store.listen(
      onRevision: {
        news.add($0)
        changes.yield()
      }, onFailure: onFailure)
  }

  /// The newest revision that this node was told of.
  public var heard: UInt64 { news.heard }

  deinit {
    polling.cancel()
    changes.finish()
  }

  /// Returns when the plane is not being caught up any more.
  public func stop() async {
    listener.stop()
    polling.cancel()
    changes.finish()
    await task.value
  }
}

/// What was heard since it was last acted upon.
private final class News: Sendable {
  private struct State {
    var revision: UInt64 = 0
    /// It is not known up to where the log has grown.
    var mustLook = false
  }
  private let state = Mutex(State())

  var heard: UInt64 { state.withLock { $0.revision } }

  func add(_ revision: UInt64?) {
    state.withLock { state in
      if let revision {
        state.revision = max(state.revision, revision)
      } else {
        state.mustLook = true
      }
    }
  }

  /// Up to which revision to catch up; nil: as far as there is.
  func take() -> UInt64? {
    state.withLock { state in
      defer { state.mustLook = false }
      return state.mustLook ? nil : state.revision
    }
  }
}
