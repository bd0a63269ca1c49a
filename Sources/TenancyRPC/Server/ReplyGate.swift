import Synchronization

/// Lets handlers begin a few at a time while responses take too much memory: what they will answer must
/// have a place, and nobody knows how much it is. Whose turn it is say `ReplyTurns`. Thread-safe.
final class ReplyGate: Sendable {
  private struct State {
    var turns = ReplyTurns()
    /// Of those in `turns`, who still waits.
    var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
    var lastWaiter: UInt64 = 0
    /// `letIn` runs.
    var isOpening = false
  }

  static let interval = Duration.milliseconds(2)
  /// Who begins in each interval whether there is room or not: others must make room, and whoever waits
  /// here waits for a while only.
  static let least = 2
  /// Room for so much lets one more begin.
  private static let largeResponse = 1024 * 1024

  private let budget: MemoryBudget
  private let state = Mutex(State())
  private let isQueueing = Atomic(false)

  init(_ budget: MemoryBudget) { self.budget = budget }

  /// Whether a handler has to wait before it begins.
  @inline(__always)
  var isClosed: Bool { budget.isExhausted || isQueueing.load(ordering: .relaxed) }

  /// Waits until it is the caller's turn.
  ///
  /// - Parameter memory: the connection's that the call is of.
  /// - Throws: when the task is cancelled: nobody waits for the call any more.
  func wait(_ memory: ConnectionMemory) async throws(RPCStatus) {
    let waiter = state.withLock { state in
      state.lastWaiter += 1
      return state.lastWaiter
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        enter(waiter, memory, continuation)
      }
    } onCancel: {
      let continuation = state.withLock { $0.waiters.removeValue(forKey: waiter) }
      continuation?.resume()
    }
    if Task.isCancelled { throw RPCStatus(.cancelled, "the call is over") }
  }

  private func enter(
    _ waiter: UInt64, _ memory: ConnectionMemory, _ continuation: CheckedContinuation<Void, Never>
  ) {
    let (isCancelled, isFirst) = state.withLock { state in
      // Who is cancelled later is found among the waiters.
      guard !Task.isCancelled else { return (true, false) }
      state.waiters[waiter] = continuation
      state.turns.append(waiter, of: memory.peer, ObjectIdentifier(memory))
      isQueueing.store(true, ordering: .relaxed)
      defer { state.isOpening = true }
      return (false, !state.isOpening)
    }
    if isCancelled { continuation.resume() }
    // Ends when nobody waits; everybody's turn comes.
    if isFirst { Task { await letIn() } }
  }

  private func letIn() async {
    repeat {
      do { try await Task.sleep(for: Self.interval) } catch {}  // Nobody cancels it.
    } while admit()
  }

  /// Lets those in whose turn it is. Returns whether anybody is left.
  private func admit() -> Bool {
    let (admitted, isOver) = state.withLock { state in
      let count = max(Self.least, budget.room / Self.largeResponse)
      var admitted: [CheckedContinuation<Void, Never>] = []
      while admitted.count < count, let waiter = state.turns.next() {
        if let continuation = state.waiters.removeValue(forKey: waiter) {
          admitted.append(continuation)
        }
      }
      if state.waiters.isEmpty { state.turns = ReplyTurns() }
      state.isOpening = !state.waiters.isEmpty
      isQueueing.store(state.isOpening, ordering: .relaxed)
      return (admitted, !state.isOpening)
    }
    for continuation in admitted { continuation.resume() }
    return !isOver
  }
}

/// The calls of one connection that wait at the gate. Thread-safe.
final class GatedCalls: Sendable {
  private let memory: ConnectionMemory
  private let mailbox: ConnectionMailbox
  private let count = Atomic(0)

  /// - Parameter mailbox: told when a call has passed: the connection's next may go there.
  init(_ memory: ConnectionMemory, _ mailbox: ConnectionMailbox) {
    self.memory = memory
    self.mailbox = mailbox
  }

  var isEmpty: Bool { count.load(ordering: .acquiring) == 0 }

  /// A call goes there.
  func enter() { count.add(1, ordering: .relaxed) }

  /// Waits until it may go on.
  ///
  /// - Throws: as `ReplyGate.wait` does.
  func pass(_ key: StreamKey) async throws(RPCStatus) {
    defer {
      count.subtract(1, ordering: .releasing)
      mailbox.post(key)
    }
    try await memory.server.replyGate.wait(memory)
  }
}
