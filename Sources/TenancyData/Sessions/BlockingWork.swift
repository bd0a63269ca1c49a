internal import Synchronization

/// Runs what blocks on threads of its own, a few at once; what comes more waits. Thread-safe.
final class BlockingWork: Sendable {
  private struct State {
    var waiting: [@Sendable () -> Void] = []
    var threads = 0
  }
  private let state = Mutex(State())
  private let maximumThreads: Int

  /// To look up names.
  static let lookups = BlockingWork(maximumThreads: 4)
  /// To ask servers to end statements. By themselves: a name server that does not answer holds none of these up.
  static let cancellations = BlockingWork(maximumThreads: 8)

  init(maximumThreads: Int) { self.maximumThreads = maximumThreads }

  /// Where the system has no thread to give it is done at once, rather than never.
  func run<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
    await withCheckedContinuation { continuation in
      let starts = state.withLock { state in
        state.waiting.append { continuation.resume(returning: body()) }
        guard state.threads < maximumThreads else { return false }
        state.threads += 1
        return true
      }
      if starts, !OwnThread.run({ self.work() }) { work() }
    }
  }

  /// A thread's: until nothing is waiting.
  private func work() {
    while let next = next() { next() }
  }

  private func next() -> (@Sendable () -> Void)? {
    state.withLock { state in
      guard !state.waiting.isEmpty else {
        state.threads -= 1
        return nil
      }
      return state.waiting.removeFirst()
    }
  }
}
