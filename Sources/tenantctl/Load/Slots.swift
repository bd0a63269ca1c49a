import Synchronization

/// Bounds the calls in flight. One task takes, any number give back.
final class Slots: Sendable {
  private struct State {
    var free: Int
    var waiter: CheckedContinuation<Void, Never>?
  }

  private let state: Mutex<State>
  let count: Int

  init(_ count: Int) {
    self.count = count
    state = Mutex(State(free: count))
  }

  var inUse: Int { state.withLock { count - $0.free } }

  /// Waits until there is one.
  /// - Precondition: nobody else waits.
  func take() async {
    if tryTake() { return }
    await withCheckedContinuation { continuation in
      let isFree = state.withLock { state in
        precondition(state.waiter == nil)
        guard state.free == 0 else {
          state.free -= 1
          return true
        }
        state.waiter = continuation
        return false
      }
      if isFree { continuation.resume() }
    }
  }

  private func tryTake() -> Bool {
    state.withLock { state in
      guard state.free > 0 else { return false }
      state.free -= 1
      return true
    }
  }

  func giveBack() {
    let waiter = state.withLock { state in
      // A slot that somebody waits for passes on without becoming free.
      guard let waiter = state.waiter.take() else {
        state.free += 1
        return nil as CheckedContinuation<Void, Never>?
      }
      return waiter
    }
    waiter?.resume()
  }
}
