public import Tenancy

/// Keeps a control plane up with what other nodes write to its store, until it is stopped or let go: at each
/// notification, and at the poll interval where notifications are lost. Thread-safe.
public final class LogFollower: Sendable {
  private let listener: PostgreSQLListener
  private let changes: AsyncStream<Void>.Continuation
  private let task: Task<Void, Never>

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
    task = Task {
      for await _ in stream {
        // What it throws is that the store has failed, which the plane's health says.
        _ = try? await plane.catchUp()
      }
    }
    listener = try store.listen({ changes.yield() }, onFailure: onFailure)
  }

  deinit { changes.finish() }

  /// Returns when the plane is not being caught up any more.
  public func stop() async {
    listener.stop()
    changes.finish()
    await task.value
  }
}
