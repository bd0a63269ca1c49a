internal import NIOCore
internal import NIOPosix

/// The connection of an `RPCChannel`: makes it, hands calls to it, and replaces it. Confined to the
/// channel's event loop.
final class ClientConnector: ClientConnectionOwner {
  private enum State {
    case idle
    /// Calls wait for the connection.
    case connecting(ConnectionAttempt, waiting: [ChannelCall])
    case ready(HTTP2ClientHandler)
    /// Calls fail with `status` until the time has come to try again.
    case backingOff(until: NIODeadline, status: RPCStatus)
    case closed
  }

  private let target: RPCChannel.Target
  private let tls: TLSContext?
  private let limits: ClientLimits
  private let loop: any EventLoop
  private var state = State.idle
  private var backoff = Backoff()
  /// Open connections: the one in use, and old ones whose calls are not over yet.
  private var connections: [ObjectIdentifier: HTTP2ClientHandler] = [:]
  private var whenClosed: [() -> Void] = []
  private var openCalls = 0

  init(
    _ target: RPCChannel.Target, tls: TLSContext?, limits: ClientLimits, loop: any EventLoop
  ) {
    self.target = target
    self.tls = tls
    self.limits = limits
    self.loop = loop
  }

  // MARK: Calls

  func start(_ call: ChannelCall, onEnd: @escaping () -> Void) {
    openCalls += 1
    call.begin(on: loop) { [self] in
      openCalls -= 1
      onEnd()
    }
    guard openCalls <= limits.maximumCalls else {
      let text = "the channel has \(limits.maximumCalls) calls in flight already"
      return call.finish(.failure(RPCStatus(.resourceExhausted, text)))
    }
    place(call)
  }

  private func place(_ call: ChannelCall) {
    switch state {
    case .ready(let connection) where connection.acceptsCalls:
      call.submit(to: connection)
    case .connecting(let attempt, var waiting):
      state = .idle  // Gives the array up, so that it is not copied.
      // Calls that ran into their deadline are still there.
      if waiting.count >= limits.maximumCalls { waiting.removeAll { $0.isDone } }
      waiting.append(call)
      state = .connecting(attempt, waiting: waiting)
    case .backingOff(let until, let status) where NIODeadline.now() < until:
      call.finish(.failure(status))
    case .idle, .ready, .backingOff:
      connect(for: call)
    case .closed:
      call.finish(.failure(RPCStatus(.unavailable, "the channel is closed")))
    }
  }

  // MARK: Connecting

  private func connect(for call: ChannelCall) {
    let attempt = ConnectionAttempt(target: target, tls: tls, limits: limits, owner: self)
    state = .connecting(attempt, waiting: [call])
    attempt.start(on: loop) { [self] reason in attemptFailed(attempt, reason) }
  }

  private func attemptFailed(_ failed: ConnectionAttempt, _ reason: String) {
    guard case .connecting(let attempt, let waiting) = state, attempt === failed else { return }
    var random = SystemRandomNumberGenerator()
    let status = RPCStatus(.unavailable, "cannot connect to \(target): \(reason)")
    let delay = TimeAmount.bounded(backoff.next(using: &random))
    state = .backingOff(until: .now() + delay, status: status)
    for call in waiting { call.finish(.failure(status)) }
  }

  func connectionReady(_ connection: HTTP2ClientHandler) {
    guard case .connecting(let attempt, let waiting) = state, attempt.owns(connection) else {
      return connection.close(CallTicket.cancelled)
    }
    attempt.succeed()
    backoff.reset()
    connections[ObjectIdentifier(connection)] = connection
    state = .ready(connection)
    for call in waiting { place(call) }
  }

  func connectionClosed(_ connection: HTTP2ClientHandler, reason: String) {
    connections[ObjectIdentifier(connection)] = nil
    switch state {
    case .ready(let current) where current === connection: state = .idle
    case .connecting(let attempt, _) where attempt.owns(connection): attempt.fail(reason)
    case .idle, .ready, .connecting, .backingOff, .closed: break
    }
    notifyIfClosed()
  }

  // MARK: Closing

  func close(_ done: @escaping () -> Void) {
    whenClosed.append(done)
    let old = state
    state = .closed
    let status = RPCStatus(.cancelled, "the channel was closed")
    if case .connecting(let attempt, let waiting) = old {
      attempt.abandon()
      for call in waiting { call.finish(.failure(status)) }
    }
    for connection in connections.values { connection.close(status) }
    notifyIfClosed()
  }

  private func notifyIfClosed() {
    guard case .closed = state, connections.isEmpty else { return }
    let done = whenClosed
    whenClosed = []
    for callback in done { callback() }
  }
}
