internal import NIOCore
import Synchronization
internal import TenancyRPCCore

/// Lets handlers begin a few at a time while responses take too much memory: what they will answer must
/// have a place, and nobody knows how much it is. Whose turn it is say `ReplyTurns`. Thread-safe.
final class ReplyGate: Sendable {
  /// Held by who was let in until its response counts, or it has ended.
  final class Passage: Sendable {
    private let gate: ReplyGate
    private let round: Int

    fileprivate init(_ gate: ReplyGate, _ round: Int) {
      self.gate = gate
      self.round = round
    }

    deinit { gate.settle(round) }
  }

  private typealias Waiter = CheckedContinuation<Passage?, Never>

  private struct State {
    var turns = ReplyTurns()
    /// Of those in `turns`, who still waits.
    var waiters: [UInt64: Waiter] = [:]
    var lastWaiter: UInt64 = 0
    /// `letIn` runs.
    var isOpening = false
    var begun = BegunCalls()
  }

  static let interval = Duration.milliseconds(2)
  /// How many may be at work whether there is room or not: others must make room, and whoever waits here
  /// waits for a while only.
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
  func wait(_ memory: ConnectionMemory) async throws(RPCStatus) -> Passage {
    let waiter = state.withLock { state in
      state.lastWaiter += 1
      return state.lastWaiter
    }
    let passage = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        enter(waiter, memory, continuation)
      }
    } onCancel: {
      let continuation = state.withLock { $0.waiters.removeValue(forKey: waiter) }
      continuation?.resume(returning: nil)
    }
    guard let passage, !Task.isCancelled else {
      throw RPCStatus(.cancelled, "the call is over")
    }
    return passage
  }

  private func enter(_ waiter: UInt64, _ memory: ConnectionMemory, _ continuation: Waiter) {
    let (isCancelled, isFirst) = state.withLock { state in
      // Who is cancelled later is found among the waiters.
      guard !Task.isCancelled else { return (true, false) }
      state.waiters[waiter] = continuation
      state.turns.append(waiter, of: memory.peer, ObjectIdentifier(memory))
      isQueueing.store(true, ordering: .relaxed)
      defer { state.isOpening = true }
      return (false, !state.isOpening)
    }
    if isCancelled { continuation.resume(returning: nil) }
    // Ends when nobody waits; everybody's turn comes.
    if isFirst { Task { await letIn() } }
  }

  private func letIn() async {
    repeat {
      do { try await Task.sleep(for: Self.interval) } catch {}  // Nobody cancels it.
    } while admit(at: .now())
  }

  /// Lets those in whose turn it is. Returns whether anybody is left.
  private func admit(at now: NIODeadline) -> Bool {
    // Those whom nobody asks for room otherwise: who might is waiting here.
    let isOverfull = budget.isOverfull
    if isOverfull { budget.makeRoom(at: now) }
    let (admitted, round, isOver) = state.withLock { state in
      state.begun.beginRound()
      let least = isOverfull ? 0 : Self.least
      let count = max(least, budget.room / Self.largeResponse) - state.begun.count
      var admitted: [Waiter] = []
      while admitted.count < count, let waiter = state.turns.next() {
        if let continuation = state.waiters.removeValue(forKey: waiter) {
          admitted.append(continuation)
        }
      }
      state.begun.add(admitted.count)
      if state.waiters.isEmpty { state.turns = ReplyTurns() }
      state.isOpening = !state.waiters.isEmpty
      isQueueing.store(state.isOpening, ordering: .relaxed)
      return (admitted, state.begun.round, !state.isOpening)
    }
    for continuation in admitted { continuation.resume(returning: Passage(self, round)) }
    return !isOver
  }

  private func settle(_ round: Int) {
    state.withLock { $0.begun.settle(round) }
  }
}

/// How many of those that were let in a short while ago have not answered. Who takes long is not counted
/// for ever, or handlers that wait for something would keep all others out.
struct BegunCalls {
  /// Rounds that one counts for. They pass slowly where the handlers' threads have little time.
  static let rounds = 16

  private(set) var round = 0
  private(set) var count = 0
  private var counts = [Int](repeating: 0, count: rounds)

  /// The oldest count no more.
  mutating func beginRound() {
    round += 1
    count -= counts[round % Self.rounds]  // In range: a remainder.
    counts[round % Self.rounds] = 0  // In range: a remainder.
  }

  mutating func add(_ begun: Int) {
    count += begun
    counts[round % Self.rounds] += begun  // In range: a remainder.
  }

  /// One that began in `round` has answered.
  mutating func settle(_ round: Int) {
    guard self.round - round < Self.rounds else { return }
    count -= 1
    counts[round % Self.rounds] -= 1  // In range: a remainder.
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
  func pass(_ key: StreamKey) async throws(RPCStatus) -> ReplyGate.Passage {
    defer {
      count.subtract(1, ordering: .releasing)
      mailbox.post(key)
    }
    return try await memory.server.replyGate.wait(memory)
  }
}
