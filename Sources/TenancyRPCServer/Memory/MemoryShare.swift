internal import NIOCore

/// What one connection holds of a `MemoryBudget`; given back when it goes. Confined to its event
/// loop.
struct MemoryShare: ~Copyable {
  private let budget: MemoryBudget
  private let holder: MemoryBudget.Holder
  /// What the budget knows of this connection: whole steps.
  private var listed = 0
  /// What was held last.
  private var last = 0
  /// When what is held was last something else altogether.
  private var since = NIODeadline.distantPast
  /// Bytes that have gone their way since then.
  private var passed = 0

  /// - Parameter giveUp: as `MemoryBudget.Holder` has it.
  init(
    of budget: MemoryBudget, peer: PeerKey, giveUp: @escaping @Sendable (_ bytes: Int) -> Void
  ) {
    self.budget = budget
    holder = MemoryBudget.Holder(peer: peer, giveUp: giveUp)
  }

  deinit { if listed > 0 { budget.release(holder) } }

  /// Whether the connection may hold so much; then that is what it holds.
  @inline(__always)
  mutating func mayHold(_ bytes: Int) -> Bool {
    bytes <= MemoryBudget.allowance && listed == 0 || ask(bytes)
  }

  /// Tells how much is held. Returns how much of that must be given up.
  @inline(__always)
  mutating func holds(_ bytes: Int) -> Int {
    bytes <= MemoryBudget.allowance && listed == 0 ? 0 : tell(bytes)
  }

  /// Tells how much is held. Returns whether the connection may go on with that: not when it is more than
  /// its allowance while all have too much.
  @inline(__always)
  mutating func mayGoOn(_ bytes: Int) -> Bool {
    _ = holds(bytes)
    return bytes <= MemoryBudget.allowance || !budget.isExhausted
  }

  /// So many bytes have been given up because the budget wanted it, and `left` are held now. What was
  /// given up has not gone its way.
  mutating func gaveUp(_ bytes: Int, left: Int) {
    last = max(0, last - bytes)
    _ = holds(left)
    if listed > 0 { budget.settle(holder) }
  }

  private mutating func ask(_ bytes: Int) -> Bool {
    let before = last
    let (steps, now) = note(bytes)
    guard let steps else { return true }
    guard budget.mayHold(holder, steps, since: since, at: now) else {
      last = before
      return false
    }
    listed = steps
    return true
  }

  private mutating func tell(_ bytes: Int) -> Int {
    let (steps, now) = note(bytes)
    guard let steps else { return 0 }
    listed = steps
    return budget.holds(holder, steps, since: since, at: now)
  }

  /// - Returns: what the budget has to hear, if anything.
  private mutating func note(_ bytes: Int) -> (steps: Int?, now: NIODeadline) {
    let steps =
      bytes > MemoryBudget.allowance
      ? (bytes + MemoryBudget.step - 1) / MemoryBudget.step * MemoryBudget.step : 0
    passed += max(0, last - bytes)
    last = bytes
    // Told of less only when it is more than a step, or calls that come and go would move it all the time.
    guard steps > listed || steps == 0 && listed > 0 || steps < listed - MemoryBudget.step else {
      return (nil, since)
    }
    let now = NIODeadline.now()
    if listed == 0 || passed >= listed {
      since = now
      passed = 0
    }
    return (steps, now)
  }
}
