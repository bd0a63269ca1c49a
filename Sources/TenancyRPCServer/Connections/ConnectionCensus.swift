internal import NIOCore
import Synchronization

/// Who a connection counts for.
enum PeerKey: Hashable, Sendable {
  /// The first URI name of a certificate, or its fingerprint when it has none.
  case workload(String)
  case user(UInt32)
  /// Without a certificate: the address that it comes from.
  case address(String)

  init(_ peer: Peer, address: @autoclosure () -> String) {
    switch peer {
    case .certificate(let certificate):
      self = .workload(certificate.uriNames.first ?? certificate.fingerprintText)
    case .unixProcess(let process): self = .user(process.userID)
    case .anonymous: self = .address(address())
    case .uncertified(let address): self = .address(address)
    }
  }
}

/// Counts a server's connections: all, those of each peer, and those that have not proven anything yet.
/// Of the last the oldest go when there are many, or when room is short, so that newcomers are served.
/// Thread-safe.
final class ConnectionCensus: Sendable {
  /// How far a connection has come that has not proven anything. Each kind has its own limits: to keep
  /// many of one does not drive out the other.
  enum Stage: Sendable {
    /// It has said nothing, or not enough for an answer.
    case silent
    /// In a TLS handshake, of which it has our part.
    case answered
  }

  /// How many there may be.
  struct Limits: Hashable {
    /// Connections.
    let maximum: Int
    let maximumPerPeer: Int
    /// For how many the process has descriptors.
    let descriptors: Int
    /// Of each stage.
    let unproven: Int
    let unprovenPerOrigin: Int
  }

  private struct State: ~Copyable {
    var all = 0
    /// Those of `all` that were told to go, and have not gone yet.
    var leaving = 0
    var byPeer: [PeerKey: Int] = [:]
    /// Listeners that wait until there is a descriptor for the next connection.
    var waiting: [@Sendable () -> Void] = []
    var silent: Newcomers
    var answered: Newcomers
  }

  private let state: Mutex<State>
  private let limits: Limits

  init(_ limits: Limits) {
    self.limits = limits
    state = Mutex(
      State(
        silent: Newcomers(
          maximum: limits.unproven, maximumPerOrigin: limits.unprovenPerOrigin),
        answered: Newcomers(
          maximum: limits.unproven, maximumPerOrigin: limits.unprovenPerOrigin)))
  }

  // MARK: All

  /// Whether there is a descriptor for one more connection. If not, `resume` is called once when there may
  /// be, from any thread.
  func mayAccept(_ resume: @escaping @Sendable () -> Void) -> Bool {
    state.withLock { state in
      if state.all < limits.descriptors { return true }
      state.waiting.append(resume)
      return false
    }
  }

  /// Newcomers have waited for a moment: where there is no descriptor still, some connections that have
  /// not proven anything have to go.
  func makeRoom() {
    let evicted = state.withLock { state -> [@Sendable () -> Void] in
      guard state.all - state.leaving >= limits.descriptors else { return [] }
      return (0..<limits.evictedAtOnce).compactMap { _ in Self.evict(&state) }
    }
    for close in evicted { close() }
  }

  /// Counts a connection that has come. False if there is no room, and nobody who has to make some.
  func enter() -> Bool {
    let (hasRoom, evicted) = state.withLock { state -> (Bool, (@Sendable () -> Void)?) in
      var evicted: (@Sendable () -> Void)?
      if state.all - state.leaving >= limits.maximum {
        evicted = Self.evict(&state)
        guard evicted != nil else { return (false, nil) }
      }
      state.all += 1
      return (true, evicted)
    }
    evicted?()
    return hasRoom
  }

  private static func evict(_ state: inout State) -> (@Sendable () -> Void)? {
    let close = state.silent.removeOldest() ?? state.answered.removeOldest()
    if close != nil { state.leaving += 1 }
    return close
  }

  /// One that was counted has gone.
  func leave() {
    let waiting = state.withLock { state -> [@Sendable () -> Void] in
      state.all -= 1
      guard state.all < limits.descriptors, !state.waiting.isEmpty else { return [] }
      defer { state.waiting = [] }
      return state.waiting
    }
    for resume in waiting { resume() }
  }

  // MARK: Of a peer

  /// Counts a connection for its peer. False if the peer has as many as it may.
  func enter(_ peer: PeerKey) -> Bool {
    state.withLock { state in
      let count = state.byPeer[peer, default: 0]
      guard count < limits.maximumPerPeer else { return false }
      state.byPeer[peer] = count + 1
      return true
    }
  }

  func leave(_ peer: PeerKey) {
    state.withLock { state in
      guard let count = state.byPeer[peer] else { return }
      state.byPeer[peer] = count > 1 ? count - 1 : nil
    }
  }

  // MARK: Not proven

  /// Connections that have not proven anything.
  var unproven: Int { state.withLock { $0.silent.count + $0.answered.count } }

  /// Counts a connection that has not said anything yet.
  ///
  /// - Parameter close: how it has to go if it must. Called from any thread, once at most.
  func admit(
    _ origin: Origin, at now: NIODeadline = .now(), _ close: @escaping Newcomers.Close
  ) -> Newcomers.Ticket {
    let (ticket, evicted) = state.withLock { state in
      let (ticket, evicted) = state.silent.add(from: origin, at: now, close)
      state.leaving += evicted.count
      return (ticket, evicted)
    }
    for close in evicted { close() }
    return ticket
  }

  /// A connection has said enough for an answer. Nil if it had to go before.
  func advance(
    _ ticket: Newcomers.Ticket, _ origin: Origin, at now: NIODeadline = .now()
  ) -> Newcomers.Ticket? {
    let (next, evicted) = state.withLock {
      state -> (Newcomers.Ticket?, [Newcomers.Close]) in
      guard let close = state.silent.remove(ticket) else { return (nil, []) }
      let (next, evicted) = state.answered.add(from: origin, at: now, close)
      state.leaving += evicted.count
      return (next, evicted)
    }
    for close in evicted { close() }
    return next
  }

  /// A connection has proven what it must, or has gone. Returns whether it was still to be counted.
  @discardableResult
  func settle(_ ticket: Newcomers.Ticket, _ stage: Stage) -> Bool {
    state.withLock { state in
      switch stage {
      case .silent: state.silent.remove(ticket) != nil
      case .answered: state.answered.remove(ticket) != nil
      }
    }
  }

  /// One that had to go has gone.
  func evictedHasLeft() { state.withLock { $0.leaving -= 1 } }
}

extension ConnectionCensus.Limits {
  /// As many newcomers are let in at least for each moment that they wait, and an eighth of all: a backlog
  /// full of silent ones is worked off in a second.
  var evictedAtOnce: Int { max(Int(AcceptGate.acceptedPerRead), descriptors / 8) }

  /// Below this a few that come at once would drive each other out before anybody looks at them.
  static let fewestUnproven = 2 * Int(AcceptGate.acceptedPerRead)

  init(_ limits: ServerLimits, descriptors: Int) {
    maximum = limits.maximumConnections
    maximumPerPeer = limits.maximumConnectionsPerPeer
    self.descriptors = descriptors
    // Both stages together have a half of the room at most, and one origin three quarters of that.
    let room = min(maximum, descriptors)
    unproven = min(limits.maximumUnprovenConnections, max(room / 4, Self.fewestUnproven))
    unprovenPerOrigin = min(
      limits.maximumUnprovenPerOrigin, max(unproven * 3 / 4, min(unproven, Self.fewestUnproven)))
  }
}

/// A connection that has not proven anything yet. Confined to its event loop.
final class Newcomer {
  private let census: ConnectionCensus
  private let origin: Origin
  private var ticket: Newcomers.Ticket?
  private var stage = ConnectionCensus.Stage.silent
  private var hadToGo = false

  init(_ census: ConnectionCensus, from origin: Origin, _ close: @escaping @Sendable () -> Void) {
    self.census = census
    self.origin = origin
    ticket = census.admit(origin, close)
  }

  /// It is in a handshake.
  func answered() {
    guard let ticket, stage == .silent else { return }
    stage = .answered
    self.ticket = census.advance(ticket, origin)
    hadToGo = self.ticket == nil
  }

  /// It has proven what it must.
  func proven() {
    guard let ticket else { return }
    hadToGo = !census.settle(ticket, stage)
    self.ticket = nil
  }

  func left() {
    proven()
    if hadToGo { census.evictedHasLeft() }
    hadToGo = false
  }
}
