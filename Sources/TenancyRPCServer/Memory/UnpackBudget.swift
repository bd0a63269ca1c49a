internal import NIOCore
import Synchronization
internal import TenancyLoop

/// What peers make us unpack, all of them and each: a few packed bytes can stand for a thousand times as
/// many. Thread-safe.
///
/// Half of what there is goes to who comes first. The other half is kept for those who are too late for
/// that: in equal parts, for the peers that send packed messages, and of what is a peer's for its
/// connections. Messages that unpack to more than honest content does have budgets of their own, so that
/// they do not use up those of the others.
final class UnpackBudget: Sendable {
  enum Density: Sendable {
    case plain
    /// Unpacks to more than `ServerLimits.maximumUnpackedRatio` times its size.
    case dense
  }

  /// One limit for each density.
  struct Limits {
    private var plain: RateLimit
    private var dense: RateLimit

    /// - Parameter part: of the burst and the rate, one in so many.
    init(_ burst: Int, _ perSecond: Int, part: Int = 1, _ limits: ServerLimits) {
      // The largest message has to fit.
      func limit(_ divisor: Int) -> RateLimit {
        RateLimit(
          burst: max(burst / divisor, limits.maximumMessageBytes), perSecond: perSecond / divisor)
      }
      plain = limit(part)
      dense = limit(part * UnpackBudget.partOfDense)
    }

    subscript(density: Density) -> RateLimit {
      get { density == .plain ? plain : dense }
      set { if density == .plain { plain = newValue } else { dense = newValue } }
    }

    mutating func isFull(at now: NIODeadline) -> Bool {
      let isPlainFull = plain.isFull(at: now)
      return dense.isFull(at: now) && isPlainFull
    }
  }

  /// What some members share.
  struct Pool {
    /// For who comes first.
    private var common: Limits
    /// For who is too late.
    private var kept: Limits
    var members = 0

    init(_ burst: Int, _ perSecond: Int, _ limits: ServerLimits) {
      common = Limits(burst, perSecond, part: 2, limits)
      kept = common
    }

    /// - Parameter own: the member's part of what is kept, if there were no other members.
    mutating func take(
      _ bytes: Int, _ density: Density, _ own: inout Limits, at now: NIODeadline
    ) -> Bool {
      if common[density].take(bytes, at: now) { return true }
      guard own[density].take(bytes, at: now, among: max(members, 1)) else { return false }
      if kept[density].take(bytes, at: now) { return true }
      own[density].giveBack(bytes)
      return false
    }

    /// What was taken last was not used.
    mutating func giveBack(_ bytes: Int, _ density: Density) { common[density].giveBack(bytes) }

    mutating func isFull(at now: NIODeadline) -> Bool {
      let isCommonFull = common.isFull(at: now)
      return kept.isFull(at: now) && isCommonFull
    }
  }

  private struct PeerState {
    /// For its connections.
    var pool: Pool
    /// Of what is for all peers.
    var own: Limits
  }

  private struct State {
    var pool: Pool
    var peers: [PeerKey: PeerState] = [:]
    /// How many peers are too many to remember those that do nothing.
    var crowd = UnpackBudget.smallestCrowd
  }

  /// Dense messages have one in so many bytes of the budgets.
  static let partOfDense = 4
  /// Peers that are remembered without a look at what they do.
  private static let smallestCrowd = 64

  private let limits: ServerLimits
  private let state: Mutex<State>

  init(_ limits: ServerLimits) {
    self.limits = limits
    state = Mutex(
      State(
        pool: Pool(limits.maximumTotalUnpackedBurst, limits.totalUnpackedBytesPerSecond, limits)))
  }

  /// The limits of one connection of a peer, as a member.
  func makeMember() -> Limits {
    Limits(
      limits.maximumUnpackedBurstPerPeer, limits.unpackedBytesPerSecondPerPeer, part: 2, limits)
  }

  /// One more connection of a peer sends packed messages.
  func join(_ peer: PeerKey, at now: NIODeadline = .now()) {
    state.withLock { state in
      if state.peers[peer] == nil {
        if state.peers.count >= state.crowd { Self.forgetIdle(&state, at: now) }
        let pool = Pool(
          limits.maximumUnpackedBurstPerPeer, limits.unpackedBytesPerSecondPerPeer, limits)
        let own = Limits(
          limits.maximumTotalUnpackedBurst, limits.totalUnpackedBytesPerSecond, part: 2, limits)
        state.peers[peer] = PeerState(pool: pool, own: own)
        state.pool.members += 1
      }
      state.peers[peer]?.pool.members += 1
    }
  }

  /// One that had joined is gone. What it has used is remembered for its peer.
  func leave(_ peer: PeerKey) {
    state.withLock { $0.peers[peer]?.pool.members -= 1 }
  }

  /// Counts what a connection's peer makes us unpack; false if it is too much.
  func take(
    _ bytes: Int, _ density: Density, _ peer: PeerKey, _ own: inout Limits,
    at now: NIODeadline = .now()
  ) -> Bool {
    var member = own
    defer { own = member }
    return state.withLock { state in
      guard var account = state.peers[peer] else { return false }
      defer { state.peers[peer] = account }
      guard account.pool.take(bytes, density, &member, at: now) else { return false }
      if state.pool.take(bytes, density, &account.own, at: now) { return true }
      account.pool.giveBack(bytes, density)
      return false
    }
  }

  /// Peers of which an account is kept.
  var peerCount: Int { state.withLock { $0.peers.count } }

  private static func forgetIdle(_ state: inout State, at now: NIODeadline) {
    for (peer, found) in state.peers where found.pool.members == 0 {
      var account = found
      let isIdle = account.pool.isFull(at: now)
      if isIdle { state.peers[peer] = nil }
    }
    state.pool.members = state.peers.count
    state.crowd = max(smallestCrowd, 2 * state.peers.count)
  }
}
