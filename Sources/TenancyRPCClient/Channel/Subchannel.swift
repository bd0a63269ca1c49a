internal import NIOCore
internal import TenancyRPCCore

/// The making of one connection, as a subchannel sees it.
protocol ConnectionSetUp: AnyObject {
  func owns(_ connection: ClientConnection) -> Bool
  /// `onFailure` is called at most once, and not after `succeed` or `abandon`.
  func start(on loop: any EventLoop, onFailure: @escaping (String) -> Void)
  /// The connection works.
  func succeed()
  func fail(_ reason: String)
  /// Gives up without telling anyone.
  func abandon()
}

/// Who picks among subchannels. Called on the event loop.
protocol SubchannelOwner: AnyObject {
  /// `availability` is another one, or the connection behind it.
  func subchannelChanged(_ subchannel: Subchannel)
  /// The last connection is gone, after `close` or `retire`.
  func subchannelEmptied(_ subchannel: Subchannel)
  /// The connection to the server was lost, or can't be made: the address may have changed.
  func subchannelFailed(_ subchannel: Subchannel)
}

/// The connection to one address: makes it, watches its health, and replaces it. Confined to the
/// channel's event loop.
final class Subchannel: ClientConnectionOwner {
  typealias MakeSetUp = @Sendable (ServerAddress, any ClientConnectionOwner) -> any ConnectionSetUp

  /// What there is for calls.
  enum Availability {
    case ready(ClientConnection)
    /// It is worth waiting: an attempt is under way.
    case connecting
    /// Not asked to connect yet, or free to try again.
    case idle
    /// Not before `until`, if that is known.
    case failed(RPCStatus, until: NIODeadline?)
  }

  private enum State {
    case idle
    case connecting(any ConnectionSetUp)
    case ready(ClientConnection)
    case backingOff(until: NIODeadline, status: RPCStatus)
    case closed
  }

  let address: ServerAddress
  private let makeSetUp: MakeSetUp
  private let health: HealthWatch?
  private let loop: any EventLoop
  private let random: () -> Double
  private weak var owner: (any SubchannelOwner)?
  private var state = State.idle
  private var backoff = Backoff()
  /// Open connections: the one in use, and old ones whose calls are not over yet.
  private var connections: [ObjectIdentifier: ClientConnection] = [:]

  init(
    _ address: ServerAddress, loop: any EventLoop, health: HealthWatch?,
    random: @escaping () -> Double, owner: any SubchannelOwner, makeSetUp: @escaping MakeSetUp
  ) {
    self.address = address
    self.loop = loop
    self.health = health
    self.random = random
    self.owner = owner
    self.makeSetUp = makeSetUp
    health?.onChange = { [weak self] in
      guard let self else { return }
      self.owner?.subchannelChanged(self)
    }
  }

  var isEmpty: Bool { connections.isEmpty }

  var availability: Availability {
    switch state {
    case .ready(let connection):
      guard connection.acceptsCalls else { return .idle }
      return switch health?.verdict {
      case nil, .healthy: .ready(connection)
      case .unknown: .connecting
      case .unhealthy(let status): .failed(status, until: nil)
      }
    case .connecting: return .connecting
    case .backingOff(let until, let status):
      return loop.now < until ? .failed(status, until: until) : .idle
    case .idle: return .idle
    case .closed: return .failed(RPCStatus(.unavailable, "the address is gone"), until: nil)
    }
  }

  /// Makes a connection, if it is time to.
  func connect() {
    guard case .idle = availability else { return }
    health?.stop()
    let setUp = makeSetUp(address, self)
    state = .connecting(setUp)
    setUp.start(on: loop) { [weak self, weak setUp] reason in
      if let self, let setUp { self.failed(setUp, reason) }
    }
  }

  private func failed(_ failed: any ConnectionSetUp, _ reason: String) {
    guard case .connecting(let setUp) = state, setUp === failed else { return }
    let status = RPCStatus(.unavailable, "cannot connect to \(address): \(reason)")
    state = .backingOff(until: loop.now + .bounded(backoff.next(random())), status: status)
    owner?.subchannelChanged(self)
    owner?.subchannelFailed(self)
  }

  // MARK: Connections

  func connectionReady(_ connection: ClientConnection) {
    guard case .connecting(let setUp) = state, setUp.owns(connection) else {
      return connection.close(ClientCall.cancelled)
    }
    setUp.succeed()
    backoff.reset()
    connections[ObjectIdentifier(connection)] = connection
    state = .ready(connection)
    health?.start(on: connection)
    owner?.subchannelChanged(self)
  }

  /// The server is going away: it must not wait for us to stop watching its health.
  func connectionLeaving(_ connection: ClientConnection) {
    guard case .ready(let current) = state, current === connection else { return }
    health?.stop()
    owner?.subchannelChanged(self)
  }

  func connectionClosed(_ connection: ClientConnection, reason: String) {
    let wasOpen = connections.removeValue(forKey: ObjectIdentifier(connection)) != nil
    switch state {
    case .ready(let current) where current === connection:
      health?.stop()
      state = .idle
      owner?.subchannelChanged(self)
      owner?.subchannelFailed(self)
    case .connecting(let setUp) where setUp.owns(connection): setUp.fail(reason)
    case .idle, .ready, .connecting, .backingOff, .closed: break
    }
    if case .closed = state, wasOpen, isEmpty { owner?.subchannelEmptied(self) }
  }

  // MARK: Ending

  /// Ends all calls.
  func close(_ status: RPCStatus) {
    leave()
    for connection in connections.values { connection.close(status) }
  }

  /// Lets calls finish.
  func retire() {
    leave()
    for connection in connections.values { connection.retire() }
  }

  private func leave() {
    if case .connecting(let setUp) = state { setUp.abandon() }
    health?.stop()
    state = .closed
  }
}
