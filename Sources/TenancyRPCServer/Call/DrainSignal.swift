import Synchronization

/// Tells the calls of a connection that it is about to end for reasons of the server, which stops or lets
/// connections live only so long. Calls that are over soon need not care. One that may last as long as its
/// client likes, such as a watch, ends at once, so that the client goes on elsewhere; otherwise the server
/// waits for it until its patience ends. Thread-safe.
public final class DrainSignal: Sendable {
  private struct State {
    var isDraining = false
    var observers: [UInt64: @Sendable () -> Void] = [:]
    var last: UInt64 = 0
  }

  private let state = Mutex(State())

  /// For a server that goes on.
  public init() {}

  /// Whether the drain has begun. It never ends.
  public var isDraining: Bool { state.withLock { $0.isDraining } }

  /// Runs `operation` in a child task, which is cancelled when the drain begins, or has begun.
  ///
  /// - Returns: what it returns; nil if it ended by an error after the drain had begun.
  /// - Throws: what it throws before.
  public func cancelling<Result: Sendable>(
    _ operation: @escaping @Sendable () async throws -> Result
  ) async throws -> Result? {
    do {
      return try await withThrowingTaskGroup(of: Result?.self) { group in
        group.addTask { try await operation() }
        group.addTask {
          await self.begun()
          return nil
        }
        while let outcome = try await group.next() {
          group.cancelAll()
          if let outcome { return outcome }
        }
        return nil
      }
    } catch {
      if isDraining { return nil }
      throw error
    }
  }

  /// Returns when the drain begins, or the task is cancelled.
  private func begun() async {
    let (news, told) = AsyncStream.makeStream(of: Never.self)
    let observer = observe { told.finish() }
    defer { forget(observer) }
    for await _ in news {}
  }

  /// Calls `body` once, when the drain begins, on an event loop: it must be quick. At once if it has begun.
  ///
  /// - Returns: for `forget`.
  public func observe(_ body: @escaping @Sendable () -> Void) -> UInt64 {
    let (number, isDraining) = state.withLock { state in
      state.last += 1
      if !state.isDraining { state.observers[state.last] = body }
      return (state.last, state.isDraining)
    }
    if isDraining { body() }
    return number
  }

  /// Whoever observes and is not told yet will not be.
  public func forget(_ observer: UInt64) {
    // Given up outside of the lock.
    let body = state.withLock { $0.observers.removeValue(forKey: observer) }
    withExtendedLifetime(body) {}
  }

  func fire() {
    let observers = state.withLock { state in
      state.isDraining = true
      defer { state.observers = [:] }
      return state.observers
    }
    for body in observers.values { body() }
  }
}
