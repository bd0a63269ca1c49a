internal import NIOCore
import Synchronization
internal import TenancyLoop
internal import TenancyRPCCore
internal import TenancyRPCFraming

/// Counts what one connection's peer makes us unpack, before it is done. Thread-safe: messages are
/// unpacked where their handlers run.
final class UnpackMeter: Sendable {
  private struct State {
    /// Of the connection alone.
    var limits: UnpackBudget.Limits
    /// Of what is its peer's.
    var member: UnpackBudget.Limits
    var hasJoined = false
  }

  /// What a block of the format costs beyond its content: tables, which some have for none. It is taken
  /// from what is for dense messages, as honest ones have few.
  static let costOfBlock = 1024

  private let budget: UnpackBudget
  private let peer: PeerKey
  private let ratio: Int
  private let delay: Duration
  private let overdrafts: Overdrafts
  private let state: Mutex<State>

  init(_ budget: UnpackBudget, _ peer: PeerKey, _ limits: ServerLimits, _ overdrafts: Overdrafts) {
    self.budget = budget
    self.peer = peer
    self.overdrafts = overdrafts
    ratio = limits.maximumUnpackedRatio
    delay = limits.retryDelay
    state = Mutex(
      State(
        limits: UnpackBudget.Limits(
          limits.maximumUnpackedBurst, limits.unpackedBytesPerSecond, limits),
        member: budget.makeMember()))
  }

  deinit {
    if state.withLock({ $0.hasJoined }) { budget.leave(peer) }
  }

  /// Unpacks a message that is whole in `packed`, of which `size` has been found to be acceptable. The
  /// budgets pay first.
  ///
  /// - Parameter target: as `Gzip.unpack` has it.
  /// - Throws: what the call ends with.
  func unpack(
    _ packed: UnsafeRawBufferPointer, _ size: Int, into target: UnsafeMutableRawBufferPointer
  ) throws(RPCStatus) {
    try pay(size, size > packed.count * ratio ? .dense : .plain)
    do {
      try Gzip.unpack(packed, into: target) { blocks in
        take(blocks * Self.costOfBlock, .dense, at: .now())
      }
    } catch {
      throw error == .refused ? refusal() : MessageReader.status(error, limit: size)
    }
  }

  /// - Throws: when it is too much.
  func pay(
    _ bytes: Int, _ density: UnpackBudget.Density, at now: NIODeadline = .now()
  ) throws(RPCStatus) {
    guard take(bytes, density, at: now) else { throw refusal() }
  }

  private func take(_ bytes: Int, _ density: UnpackBudget.Density, at now: NIODeadline) -> Bool {
    state.withLock { state in
      guard state.limits[density].take(bytes, at: now) else { return false }
      if !state.hasJoined {
        budget.join(peer, at: now)
        state.hasJoined = true
      }
      if budget.take(bytes, density, peer, &state.member, at: now) { return true }
      state.limits[density].giveBack(bytes)
      return false
    }
  }

  private func refusal() -> RPCStatus {
    overdrafts.count()
    return RPCStatus(
      .resourceExhausted, "too much has been sent that had to be unpacked", retryAfter: delay)
  }
}

/// How often a connection's peer has asked for more than there was for it. Thread-safe.
final class Overdrafts: Sendable {
  private struct State {
    var limit: RateLimit
    var isSpent = false
  }

  private let state: Mutex<State>

  init(_ limits: ServerLimits) {
    state = Mutex(
      State(
        limit: RateLimit(
          burst: limits.maximumOverdrafts, perSecond: limits.overdraftsPerSecond)))
  }

  func count(at now: NIODeadline = .now()) {
    state.withLock { state in
      if !state.limit.take(at: now) { state.isSpent = true }
    }
  }

  /// The connection is to end.
  var isSpent: Bool { state.withLock { $0.isSpent } }
}
