import Synchronization

/// Somebody who waits for a page, until the first answer: what comes later finds nobody. Thread-safe.
final class AuditPage<Value: Sendable>: Sendable {
  typealias Answer = Result<Value, TenancyError>

  private enum State {
    case begins
    case waits(CheckedContinuation<Answer, Never>)
    /// With what there was to say before anybody waited.
    case ended(Answer)
  }

  private let state = Mutex(State.begins)

  var isWaitedFor: Bool {
    state.withLock { if case .waits = $0 { true } else { false } }
  }

  /// - Returns: whether it is still to be read; it is answered otherwise.
  func begin(_ continuation: CheckedContinuation<Answer, Never>) -> Bool {
    let answer = state.withLock { state -> Answer? in
      if case .ended(let answer) = state { return answer }
      state = .waits(continuation)
      return nil
    }
    guard let answer else { return true }
    continuation.resume(returning: answer)
    return false
  }

  func end(_ answer: Answer) {
    let waiting = state.withLock { state -> CheckedContinuation<Answer, Never>? in
      switch state {
      case .begins, .ended:
        state = .ended(answer)
        return nil
      case .waits(let continuation):
        state = .ended(answer)
        return continuation
      }
    }
    waiting?.resume(returning: answer)
  }
}
