import Synchronization

/// Reads that wait for a revision. Each is woken when it is there, or when the store says that it has none
/// such, or when it is cancelled. Thread-safe.
final class ReadWaiters: Sendable {
  /// At a time, on this node and of one caller.
  struct Limits: Sendable {
    var total = 1024
    var perCaller = 128
  }

  enum Verdict: Sendable {
    case reached
    /// The store was asked after the read had come, and does not have it.
    case unknown
    case cancelled
    case tooMany
  }

  private struct Waiter {
    let revision: UInt64
    let caller: String
    let continuation: CheckedContinuation<Verdict, Never>
  }

  private struct State {
    var waiters: [UInt64: Waiter] = [:]
    var perCaller: [String: Int] = [:]
    var next: UInt64 = 0
    /// Somebody will look into the store.
    var isScheduled = false

    mutating func remove(where isDone: (UInt64, Waiter) -> Bool) -> [Waiter] {
      let done = waiters.filter { isDone($0.key, $0.value) }
      for (number, waiter) in done {
        waiters[number] = nil
        let left = (perCaller[waiter.caller] ?? 1) - 1
        perCaller[waiter.caller] = left > 0 ? left : nil
      }
      return Array(done.values)
    }
  }

  private let limits: Limits
  private let state = Mutex(State())
  /// So that a writer for whom nobody waits takes no lock.
  private let count = Atomic(0)

  init(_ limits: Limits = Limits()) { self.limits = limits }

  var isEmpty: Bool { count.load(ordering: .acquiring) == 0 }

  /// Waits for a revision.
  /// - Parameters:
  ///   - isThere: asked once more when the wait can't be missed any more.
  ///   - look: has somebody look into the store; called unless that is to happen anyway.
  func wait(
    for revision: UInt64, _ caller: String, isThere: () -> Bool, look: () -> Void
  ) async -> Verdict {
    let number = state.withLock { state in
      state.next += 1
      return state.next
    }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let waiter = Waiter(revision: revision, caller: caller, continuation: continuation)
        if let verdict = add(waiter, number, isThere: isThere) {
          return continuation.resume(returning: verdict)
        }
        let mustLook = state.withLock { state in
          defer { state.isScheduled = true }
          return !state.isScheduled
        }
        if mustLook { look() }
      }
    } onCancel: {
      end(.cancelled) { found, _ in found == number }
    }
  }

  /// Returns why it need not or can't wait.
  private func add(_ waiter: Waiter, _ number: UInt64, isThere: () -> Bool) -> Verdict? {
    state.withLock { state in
      // Who is cancelled later finds the waiter; who was before is seen here.
      if Task.isCancelled { return .cancelled }
      let own = state.perCaller[waiter.caller] ?? 0
      guard state.waiters.count < limits.total, own < limits.perCaller else { return .tooMany }
      state.waiters[number] = waiter
      state.perCaller[waiter.caller] = own + 1
      count.store(state.waiters.count, ordering: .sequentiallyConsistent)
      // What is published from now on finds the waiter.
      guard isThere() else { return nil }
      _ = state.remove { found, _ in found == number }
      count.store(state.waiters.count, ordering: .releasing)
      return .reached
    }
  }

  /// A revision is in the state.
  func published(_ revision: UInt64) {
    if isEmpty { return }
    end(.reached) { _, waiter in waiter.revision <= revision }
  }

  /// Somebody begins to look into the store. Returns up to whom that is an answer.
  func beginLooking() -> UInt64 {
    state.withLock { state in
      state.isScheduled = false
      return state.next
    }
  }

  /// The store has been looked into, and all that was there is published.
  func endLooking(upTo number: UInt64, at revision: UInt64) {
    published(revision)
    end(.unknown) { found, _ in found <= number }
  }

  /// The store could not be looked into. Returns whether it is to be tried again.
  func mustLookAgain() -> Bool {
    state.withLock { state in
      guard !state.waiters.isEmpty, !state.isScheduled else { return false }
      state.isScheduled = true
      return true
    }
  }

  private func end(_ verdict: Verdict, where isDone: (UInt64, Waiter) -> Bool) {
    let done = state.withLock { state in
      defer { count.store(state.waiters.count, ordering: .releasing) }
      return state.remove(where: isDone)
    }
    for waiter in done { waiter.continuation.resume(returning: verdict) }
  }
}
