import Synchronization

/// One who waits for an answer, and whoever gives it: until that has come, or nobody needs it. Thread-safe.
final class OneAnswer<Value: Sendable>: Sendable {
  private enum State {
    case new
    case waiting(CheckedContinuation<Value, Never>)
    case over
  }

  private let state = Mutex(State.new)

  private init() {}

  /// - Parameters:
  ///   - cancelled: what is answered where the task is cancelled before.
  ///   - begin: has it given, once, from wherever. What is given again, or too late, is dropped.
  static func of(
    ifCancelled cancelled: Value, begin: (_ give: @escaping @Sendable (Value) -> Void) -> Void
  ) async -> Value {
    let one = OneAnswer()
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        guard one.wait(continuation) else { return continuation.resume(returning: cancelled) }
        begin { one.give($0) }
      }
    } onCancel: {
      one.give(cancelled)
    }
  }

  /// - Returns: whether there is something to wait for.
  private func wait(_ continuation: CheckedContinuation<Value, Never>) -> Bool {
    state.withLock { state in
      guard case .new = state else { return false }
      state = .waiting(continuation)
      return true
    }
  }

  private func give(_ value: Value) {
    let waiting = state.withLock { state in
      defer { state = .over }
      return state
    }
    if case .waiting(let continuation) = waiting { continuation.resume(returning: value) }
  }
}
