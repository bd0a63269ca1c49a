import Synchronization

/// On whose account a read waits for a fresher state.
public enum ReadPayer: Hashable, Sendable {
  /// Who would be answered from the state that is there: a tenant, by its id, or a platform identity.
  case admitted(String)
  /// Who would not, and may be on a fresher state, for all that is known: such calls can cost little only.
  case stranger(String)

  fileprivate var isStranger: Bool {
    switch self {
    case .admitted: false
    case .stranger: true
    }
  }
}

/// Reads that wait for a revision. Each is woken when it is there, or when the store says that it has none
/// such, or when it is cancelled. The store is looked into for all of them together, and not too often, so that
/// it costs the same however many ask for what there is not. Thread-safe.
final class ReadWaiters: Sendable {
  /// Reads at a time, on this node and on one account.
  struct Limits: Sendable {
    var total = 1024
    var perCaller = 128
    var strangers = 128
    var perStranger = 16
    /// Between the beginnings of two looks into the store.
    var lookInterval = Duration.milliseconds(50)
  }

  /// What has become of those who waited, since the start.
  struct Totals: Hashable, Sendable {
    var reached: UInt64 = 0
    var unknown: UInt64 = 0
    var cancelled: UInt64 = 0
    var refused: UInt64 = 0
    /// Into the store.
    var looks: UInt64 = 0

    fileprivate mutating func count(_ verdict: Verdict, _ number: Int = 1) {
      switch verdict {
      case .reached: reached += UInt64(number)
      case .unknown: unknown += UInt64(number)
      case .cancelled: cancelled += UInt64(number)
      case .tooMany: refused += UInt64(number)
      }
    }
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
    let payer: ReadPayer
    let continuation: CheckedContinuation<Verdict, Never>
  }

  private struct State {
    var waiters: [UInt64: Waiter] = [:]
    var perPayer: [ReadPayer: Int] = [:]
    var strangers = 0
    var next: UInt64 = 0
    /// Somebody will look into the store.
    var isScheduled = false
    /// When that was begun the last time.
    var lastLook: ContinuousClock.Instant?
    var totals = Totals()

    func hasRoom(for payer: ReadPayer, _ limits: Limits) -> Bool {
      let own = perPayer[payer] ?? 0
      guard waiters.count < limits.total else { return false }
      if payer.isStranger { return strangers < limits.strangers && own < limits.perStranger }
      return own < limits.perCaller
    }

    mutating func add(_ waiter: Waiter, _ number: UInt64) {
      waiters[number] = waiter
      perPayer[waiter.payer, default: 0] += 1
      if waiter.payer.isStranger { strangers += 1 }
    }

    mutating func remove(where isDone: (UInt64, Waiter) -> Bool) -> [Waiter] {
      let done = waiters.filter { isDone($0.key, $0.value) }
      for (number, waiter) in done {
        waiters[number] = nil
        let left = (perPayer[waiter.payer] ?? 1) - 1
        perPayer[waiter.payer] = left > 0 ? left : nil
        if waiter.payer.isStranger { strangers -= 1 }
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

  /// How many wait now.
  var waiting: Int { count.load(ordering: .acquiring) }

  var totals: Totals { state.withLock { $0.totals } }

  /// Waits for a revision.
  /// - Parameters:
  ///   - isThere: asked once more when the wait can't be missed any more.
  ///   - look: has somebody look into the store; called unless that is to happen anyway.
  func wait(
    for revision: UInt64, _ payer: ReadPayer, isThere: () -> Bool, look: () -> Void
  ) async -> Verdict {
    let number = state.withLock { state in
      state.next += 1
      return state.next
    }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let waiter = Waiter(revision: revision, payer: payer, continuation: continuation)
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
      let verdict = admit(waiter, number, isThere: isThere, &state)
      if let verdict { state.totals.count(verdict) }
      return verdict
    }
  }

  private func admit(
    _ waiter: Waiter, _ number: UInt64, isThere: () -> Bool, _ state: inout State
  ) -> Verdict? {
    // Who is cancelled later finds the waiter; who was before is seen here.
    if Task.isCancelled { return .cancelled }
    guard state.hasRoom(for: waiter.payer, limits) else { return .tooMany }
    state.add(waiter, number)
    count.store(state.waiters.count, ordering: .sequentiallyConsistent)
    // What is published from now on finds the waiter.
    guard isThere() else { return nil }
    _ = state.remove { found, _ in found == number }
    count.store(state.waiters.count, ordering: .releasing)
    return .reached
  }

  /// How long to wait with the look into the store that is due.
  func pauseBeforeLooking() -> Duration {
    state.withLock { state in
      guard let last = state.lastLook else { return .zero }
      return max(.zero, limits.lookInterval - last.duration(to: .now))
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
      state.lastLook = .now
      state.totals.looks += 1
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
      let done = state.remove(where: isDone)
      state.totals.count(verdict, done.count)
      return done
    }
    for waiter in done { waiter.continuation.resume(returning: verdict) }
  }
}
