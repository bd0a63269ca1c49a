import Dispatch
import Synchronization

/// Where a blocking call waits until a test opens it.
package final class Barrier: Sendable {
  private struct State {
    var isReached = false
    var waiter: CheckedContinuation<Void, Never>?
  }
  private let state = Mutex(State())
  private let opened = DispatchSemaphore(value: 0)

  package init() {}

  /// Returns when the call has come.
  package func reached() async {
    await withCheckedContinuation { continuation in
      let isReached = state.withLock { state in
        if !state.isReached { state.waiter = continuation }
        return state.isReached
      }
      if isReached { continuation.resume() }
    }
  }

  package func open() { opened.signal() }

  package func pass() {
    let waiter = state.withLock { state in
      state.isReached = true
      return state.waiter
    }
    waiter?.resume()
    opened.wait()
  }

  /// For other fakes that block.
  package func wait() { pass() }
}
