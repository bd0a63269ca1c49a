internal import NIOCore
import Synchronization

/// Bytes that all connections of a server may hold for one purpose. Thread-safe.
///
/// Who holds no more than `allowance` is not counted. The others are listed; when they hold too much, the
/// largest and oldest give up what they hold, so that it is never those who come with something small
/// who wait. What counts is bytes times seconds: first all that a peer holds, then each of its holders.
/// Those who ask for more and are like all others are refused.
final class MemoryBudget: Sendable {
  /// Bytes that nobody asks about: every connection may hold so much.
  static let allowance = 16 * 1024
  /// The budget hears of changes by so much: a lock would be felt in each call.
  static let step = 16 * 1024

  /// Someone who may hold more than `allowance`.
  final class Holder: Sendable {
    let peer: PeerKey
    /// How long it is spared.
    let grace: TimeAmount
    /// Asks it to give up so many bytes. Called from any thread, and not while it waits for the budget.
    let giveUp: @Sendable (_ bytes: Int) -> Void

    init(
      peer: PeerKey, grace: TimeAmount = .zero, giveUp: @escaping @Sendable (_ bytes: Int) -> Void
    ) {
      self.peer = peer
      self.grace = grace
      self.giveUp = giveUp
    }
  }

  private struct Entry {
    let holder: Holder
    var bytes = 0
    var since: NIODeadline
    /// Bytes that it was asked to give up, and still has.
    var asked = 0

    /// What speaks for asking its peer: byte-seconds.
    func weight(at now: NIODeadline) -> Double {
      let age = now - since
      guard age >= holder.grace else { return 0 }
      return Double(bytes - asked) * (Double((age + MemoryBudget.newborn).nanoseconds) / 1e9)
    }

    /// What speaks for asking it of all that its peer has. Size counts for more than age: who holds little
    /// may have to wait for its turn, where there is much to do.
    func ownWeight(at now: NIODeadline) -> Double { Double(bytes - asked) * weight(at: now) }
  }

  private struct Request {
    let holder: Holder
    let bytes: Int
  }

  private struct State {
    var entries: [ObjectIdentifier: Entry] = [:]
    var used = 0
    /// Of these, what will be given up.
    var asked = 0
    /// For whom the last look that was in vain was, and when.
    var vain: (peer: PeerKey, weight: Double, at: NIODeadline)?
  }

  /// What has just come is not lighter than anything else only because of that.
  private static let newborn = TimeAmount.milliseconds(10)
  /// How long a look at all holders is good for.
  private static let memory = TimeAmount.milliseconds(10)
  /// Times what speaks for asking others that must speak for asking one of them.
  private static let multiple = 2.0
  /// What is little: one part in so many.
  private static let partOfSmall = 128
  /// A look makes room for more than who asks needs: one part in so many.
  private static let slack = 8

  private let limit: Int
  /// Bytes.
  private let small: Int
  private let state = Mutex(State())
  private let used = Atomic(0)

  init(limit: Int) {
    self.limit = limit
    small = limit / Self.partOfSmall
  }

  /// Nobody should take more than its allowance.
  var isExhausted: Bool { used.load(ordering: .relaxed) > limit }

  /// So much is held that nobody can be let in before others have given up what they hold.
  var isOverfull: Bool { used.load(ordering: .relaxed) > limit + limit / 2 }

  /// What is left.
  var room: Int { max(0, limit - used.load(ordering: .relaxed)) }

  /// A holder wants to hold so many bytes, in place of what it has said before.
  ///
  /// - Parameter since: since when it has held about as much.
  /// - Returns: whether it may. If not, nothing is changed.
  func mayHold(_ holder: Holder, _ bytes: Int, since: NIODeadline, at now: NIODeadline) -> Bool {
    let (mayHold, requests) = state.withLock { state -> (Bool, [Request]) in
      let before = set(&state, holder, bytes, since)
      guard bytes > before, state.used > limit else { return (true, []) }
      let mustAsk = state.used - state.asked > limit
      let requests = mustAsk ? makeRoom(&state, for: holder, at: now) : []
      if isBearable(state, bytes) { return (true, requests) }
      set(&state, holder, before, since)
      return (false, requests)
    }
    for request in requests { request.holder.giveUp(request.bytes) }
    return mayHold
  }

  /// Whether a holder may hold so much beyond the limit: those who were asked need a moment. Who holds
  /// little is let in when nobody was found to ask, too, as all may be as new as it is; and those who hold
  /// much can't use up what is for them.
  private func isBearable(_ state: State, _ bytes: Int) -> Bool {
    let isSmall = bytes <= small
    let isAsked = state.used - state.asked <= limit
    switch (isAsked, isSmall) {
    case (true, true): return state.used <= limit + limit / 4 * 3
    case (false, true): return state.used <= limit + limit / 2
    case (true, false): return state.used <= limit + limit / 4
    case (false, false): return false
    }
  }

  /// A holder holds so many bytes.
  ///
  /// - Returns: how many of them it must give up: it is itself the largest.
  func holds(_ holder: Holder, _ bytes: Int, since: NIODeadline, at now: NIODeadline) -> Int {
    let (excess, requests) = state.withLock { state -> (Int, [Request]) in
      let before = set(&state, holder, bytes, since)
      guard bytes > before, state.used - state.asked > limit else { return (0, []) }
      let requests = makeRoom(&state, for: holder, at: now)
      return (max(0, state.used - state.asked - limit), requests)
    }
    for request in requests { request.holder.giveUp(request.bytes) }
    return min(excess, bytes)
  }

  /// Asks the largest and oldest for what is held beyond the limit, for nobody in particular.
  func makeRoom(at now: NIODeadline) {
    let requests = state.withLock { state -> [Request] in
      guard state.used - state.asked > limit else { return [] }
      return ask(&state, heaviestFirst(state, at: now), for: state.used - state.asked - limit)
    }
    for request in requests { request.holder.giveUp(request.bytes) }
  }

  /// A holder has given up what it can.
  func settle(_ holder: Holder) {
    state.withLock { state in
      let id = ObjectIdentifier(holder)
      state.asked -= state.entries[id]?.asked ?? 0
      state.entries[id]?.asked = 0
    }
  }

  /// A holder holds nothing any more.
  func release(_ holder: Holder) {
    state.withLock { state in _ = set(&state, holder, 0, .now()) }
  }

  /// Returns what it was before.
  @discardableResult
  private func set(
    _ state: inout State, _ holder: Holder, _ bytes: Int, _ since: NIODeadline
  ) -> Int {
    let id = ObjectIdentifier(holder)
    var entry = state.entries[id] ?? Entry(holder: holder, since: since)
    let before = entry.bytes
    state.used += bytes - before
    let given = min(entry.asked, max(0, before - bytes))
    state.asked -= given
    entry.asked -= given
    entry.bytes = bytes
    entry.since = since
    if bytes == 0 { state.entries[id] = nil } else { state.entries[id] = entry }
    used.store(state.used, ordering: .relaxed)
    return before
  }

  /// Finds who has to give up something for `asker`: those that weigh a multiple.
  private func makeRoom(
    _ state: inout State, for asker: Holder, at now: NIODeadline
  ) -> [Request] {
    let own = state.entries[ObjectIdentifier(asker)]?.ownWeight(at: now) ?? 0
    // For who weighs more there is nobody either.
    if let (peer, weight, then) = state.vain, now - then < Self.memory, peer == asker.peer,
      weight <= own
    {
      return []
    }
    let heaviest = heaviestFirst(state, for: asker, own, at: now)
    if heaviest.isEmpty { state.vain = (asker.peer, own, now) }
    return ask(&state, heaviest, for: state.used - state.asked - limit + limit / Self.slack)
  }

  /// Asks for so many bytes.
  private func ask(
    _ state: inout State, _ heaviest: [ObjectIdentifier], for target: Int
  ) -> [Request] {
    var found: [Request] = []
    var freed = 0
    for id in heaviest where freed < target {
      guard var entry = state.entries[id] else { continue }
      let bytes = min(entry.bytes - entry.asked, target - freed)
      guard bytes > 0 else { continue }
      entry.asked += bytes
      state.entries[id] = entry
      state.asked += bytes
      freed += bytes
      found.append(Request(holder: entry.holder, bytes: bytes))
    }
    return found
  }

  /// Whom to ask, in order: of peers that weigh a multiple of the asker's, and of its own peer holders that
  /// weigh a multiple of the asker. Not of those that are like it, or they would ask one another for ever.
  private func heaviestFirst(
    _ state: State, for asker: Holder, _ own: Double, at now: NIODeadline
  ) -> [ObjectIdentifier] {
    let peers = peerWeights(state, at: now)
    let ownPeer = Self.multiple * (peers[asker.peer] ?? 0)
    return heaviestFirst(state, peers, at: now) { entry, weight in
      entry.holder.peer == asker.peer
        ? weight > Self.multiple * own : peers[entry.holder.peer] ?? 0 > ownPeer
    }
  }

  /// All that can be asked, in order.
  private func heaviestFirst(_ state: State, at now: NIODeadline) -> [ObjectIdentifier] {
    heaviestFirst(state, peerWeights(state, at: now), at: now) { _, _ in true }
  }

  private func heaviestFirst(
    _ state: State, _ peers: [PeerKey: Double], at now: NIODeadline,
    where isHeavy: (Entry, _ weight: Double) -> Bool
  ) -> [ObjectIdentifier] {
    var found: [(id: ObjectIdentifier, peer: Double, own: Double)] = []
    for (id, entry) in state.entries {
      let weight = entry.ownWeight(at: now)
      guard weight > 0, isHeavy(entry, weight) else { continue }
      found.append((id, peers[entry.holder.peer] ?? 0, weight))
    }
    return found.sorted { ($0.peer, $0.own) > ($1.peer, $1.own) }.map(\.id)
  }

  private func peerWeights(_ state: State, at now: NIODeadline) -> [PeerKey: Double] {
    var peers: [PeerKey: Double] = [:]
    for entry in state.entries.values {
      peers[entry.holder.peer, default: 0] += entry.weight(at: now)
    }
    return peers
  }
}
