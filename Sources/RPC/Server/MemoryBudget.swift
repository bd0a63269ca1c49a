import Synchronization

/// Bytes that all connections of a server may hold for one purpose. Thread-safe.
///
/// Each connection may hold `MemoryShare.allowance` whatever the others do, so that one which sends
/// small messages does not suffer from those which fill the memory.
final class MemoryBudget: Sendable {
  private let limit: Int
  private let used = Atomic(0)

  init(limit: Int) { self.limit = limit }

  /// Nobody should take more than its allowance.
  var isExhausted: Bool { used.load(ordering: .relaxed) > limit }

  fileprivate func change(by bytes: Int) { used.add(bytes, ordering: .relaxed) }
}

/// What one connection holds of a `MemoryBudget`; given back when it goes. Confined to its event
/// loop.
struct MemoryShare: ~Copyable {
  /// Bytes that every connection may hold.
  static let allowance = 64 * 1024
  /// The budget hears of changes by so much: the atomic would be felt in each call.
  private static let step = 64 * 1024

  private let budget: MemoryBudget
  /// What the budget counts for this connection: whole steps.
  private var counted = 0

  init(of budget: MemoryBudget) { self.budget = budget }

  deinit { if counted > 0 { budget.change(by: -counted) } }

  /// Tells how much is held. Returns whether the connection may take more.
  @inline(__always)
  mutating func hold(_ bytes: Int) -> Bool {
    bytes <= Self.allowance && counted == 0 || update(bytes)
  }

  private mutating func update(_ bytes: Int) -> Bool {
    let steps = max(0, bytes - Self.allowance + Self.step - 1) / Self.step * Self.step
    // Given back only when it is more than a step, or calls that come and go would move it all the time.
    if steps > counted || steps == 0 || steps < counted - Self.step {
      budget.change(by: steps - counted)
      counted = steps
    }
    return bytes <= Self.allowance || !budget.isExhausted
  }
}

/// The budgets of a server.
final class ServerMemory: Sendable {
  let requests: MemoryBudget
  let replies: MemoryBudget

  init(_ limits: ServerLimits) {
    requests = MemoryBudget(limit: limits.maximumTotalBufferedBytes)
    replies = MemoryBudget(limit: limits.maximumTotalWaitingReplyBytes)
  }
}
