internal import Synchronization

/// Ends what a session is at, from elsewhere. Thread-safe.
final class Interruption: Sendable {
  /// Raw values tell them apart in an atomic.
  enum Reason: UInt8 {
    case cancelled = 1
    case deadline = 2
    /// For ever: the session is not to be used any more.
    case revoked = 3
  }

  private struct State {
    /// What of is to be ended: late calls are of what is over.
    var turn: UInt64 = 0
    var wake: (@Sendable () -> Void)?
  }
  private let state = Mutex(State())
  private let raw = Atomic<UInt8>(0)

  /// Why it is to end; nil: it is not. Cheap, for what asks all the time.
  var reason: Reason? { Reason(rawValue: raw.load(ordering: .acquiring)) }
  var isRevoked: Bool { reason == .revoked }

  /// Begins something that can be ended.
  /// - Returns: what `stop` has to be given.
  func begin() -> UInt64 {
    state.withLock { state in
      state.turn += 1
      if !isRevoked { raw.store(0, ordering: .releasing) }
      return state.turn
    }
  }

  /// Ends what has begun with `turn`, if it is still at that.
  func stop(_ turn: UInt64, _ reason: Reason) {
    let wake: (@Sendable () -> Void)? = state.withLock { state in
      guard state.turn == turn, self.reason == nil else { return nil }
      raw.store(reason.rawValue, ordering: .releasing)
      return state.wake
    }
    wake?()
  }

  /// Ends whatever it is at, and all that comes.
  func revoke() {
    let wake = state.withLock { state in
      raw.store(Reason.revoked.rawValue, ordering: .releasing)
      return state.wake
    }
    wake?()
  }

  /// Has `wake` called when it is to end, also if that is so already; until `forget`. It must not block, nor call back.
  func onStop(_ wake: @escaping @Sendable () -> Void) {
    let isDue = state.withLock { state in
      state.wake = wake
      return reason != nil
    }
    if isDue { wake() }
  }

  func forget() { state.withLock { $0.wake = nil } }
}

extension Interruption.Reason {
  var error: DataError {
    switch self {
    case .cancelled: DataError(.cancelled, "the task was cancelled")
    case .deadline: DataError(.deadlineExceeded, "the statement took longer than it may")
    case .revoked: DataError(.revoked, "the tenant's data is not where it was, or not in service")
    }
  }
}

extension Interruption {
  /// Runs what the task's cancellation ends.
  nonisolated(nonsending) func guarding<Result: Sendable>(
    _ body: nonisolated(nonsending) () async throws(DataError) -> Result
  ) async throws(DataError) -> Result {
    let turn = begin()
    let outcome: Swift.Result<Result, DataError> = await withTaskCancellationHandler {
      do throws(DataError) {
        return .success(try await body())
      } catch {
        return .failure(error)
      }
    } onCancel: {
      stop(turn, .cancelled)
    }
    return try outcome.get()
  }
}
