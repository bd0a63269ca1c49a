import Synchronization

/// Lets so many at once, in the order in which they come; the others wait without a thread. Thread-safe.
final class Turns: Sendable {
  private struct State {
    var free: Int
    var waiting = Fifo<CheckedContinuation<Void, Never>>()
  }

  private let state: Mutex<State>

  /// - Parameter count: at least one.
  init(_ count: Int) { state = Mutex(State(free: max(count, 1))) }

  /// Waits for a turn. Whoever has one gives it back by `end`.
  func begin() async {
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      let isFree = state.withLock { state -> Bool in
        guard state.free == 0 else {
          state.free -= 1
          return true
        }
        state.waiting.append(continuation)
        return false
      }
      if isFree { continuation.resume() }
    }
  }

  /// Gives a turn back.
  func end() {
    let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
      guard let next = state.waiting.popFirst() else {
        state.free += 1
        return nil
      }
      return next
    }
    next?.resume()
  }
}
