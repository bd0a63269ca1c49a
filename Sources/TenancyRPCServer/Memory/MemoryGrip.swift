internal import NIOCore

/// A large request message in the hands of a handler. Thread-safe; counts for as long as it is held.
final class MemoryGrip: Sendable {
  private let budget: MemoryBudget
  private let holder: MemoryBudget.Holder

  /// How long a handler may hold a message before it counts as one of the largest holders.
  static let grace = TimeAmount.seconds(1)

  /// nil: there is no room.
  ///
  /// - Parameter giveUp: the call must end.
  init?(
    _ budget: MemoryBudget, _ bytes: Int, peer: PeerKey, giveUp: @escaping @Sendable () -> Void
  ) {
    self.budget = budget
    holder = MemoryBudget.Holder(peer: peer, grace: Self.grace) { _ in giveUp() }
    let now = NIODeadline.now()
    guard budget.mayHold(holder, bytes, since: now, at: now) else { return nil }
  }

  deinit { budget.release(holder) }
}

/// A large response on its way from its handler to its connection. Thread-safe; counts for as long as it
/// is held.
final class ReplyInFlight: Sendable {
  private let budget: MemoryBudget
  private let holder: MemoryBudget.Holder

  /// nil for a response that is not worth it.
  @inline(__always)
  static func note(_ bytes: Int, _ memory: ConnectionMemory) -> ReplyInFlight? {
    bytes > MemoryBudget.allowance ? ReplyInFlight(bytes, memory) : nil
  }

  private init(_ bytes: Int, _ memory: ConnectionMemory) {
    budget = memory.server.replies
    // It is there for a moment only, and nobody could take it back.
    holder = MemoryBudget.Holder(peer: memory.peer, grace: .hours(1)) { _ in }
    let now = NIODeadline.now()
    _ = budget.holds(holder, bytes, since: now, at: now)
  }

  deinit { budget.release(holder) }
}
