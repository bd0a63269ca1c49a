internal import TenancyRPCCore
internal import NIOCore

/// Does what the connection's lifetime wants done.
extension ServerConnectionHandler {
  /// Something has come in, or is to be sent.
  @inline(__always)
  func noteActivity() {
    if lifetime.isQuiet { wake() }
  }

  private func wake() {
    lifetime.activity(at: loop.eventLoop.now)
    setLifetimeTimer()
  }

  /// After each change of the lifetime. A timer that is set too early is left: there will be nothing due
  /// then, and it is set anew.
  func setLifetimeTimer() {
    guard context != nil, let deadline = lifetime.deadline else { return }
    if lifetimeTimer.isScheduled, lifetimeTimer.deadline <= deadline { return }
    loop.timers.schedule(lifetimeTimer, at: deadline)
  }

  func runDue() {
    guard context != nil else { return }
    let now = loop.eventLoop.now
    while let due = lifetime.nextDue(at: now) {
      switch due {
      case .supervision: supervise()
      case .credentialCheck: checkCredential()
      case .finalGoAway: sayFinalGoAway()
      case .lingerCheck: if lifetime.lingers(buffered: bufferedBytes) { closeChannel() }
      case .close: closeChannel()
      }
    }
    setLifetimeTimer()
  }

  private func closeChannel() { context?.close(mode: .all, promise: nil) }
}

// MARK: Supervision

/// Peers that do not take part any more are cut off, old and idle connections are drained.
extension ServerConnectionHandler {
  func supervise() {
    guard context != nil else { return }
    let buffered = bufferedBytes
    let action = lifetime.supervise(
      engine.progress, buffered: buffered, written: writtenBytes, at: loop.eventLoop.now)
    switch action {
    case .none: return
    case .proceed: break
    case .ping: engine.ping()
    case .drain: beginDrain()
    case .close(let reason):
      core.log(.peerStalled, embedder.connection.label, reason)
      return closeChannel()
    }
    loop.timers.beginTurn()
    resumeTurn()
    let isUnderWay = engine.supervise(refusingAfter: supervisionsPerRequest)
    serveReady()
    flush()
    if !isUnderWay, buffered == 0, !isReadHeld { lifetime.becameQuiet(at: loop.eventLoop.now) }
    setLifetimeTimer()
  }

  /// How many of them a request may take.
  private var supervisionsPerRequest: UInt32 {
    let timeout = TimeAmount.bounded(core.limits.requestTimeout).nanoseconds
    return UInt32(clamping: timeout / ConnectionJudge.interval(core.limits).nanoseconds + 1)
  }
}

// MARK: Draining

extension ServerConnectionHandler: ServerConnection {
  func drain() {
    guard context != nil else { return }
    switch lifetime.drain(at: loop.eventLoop.now) {
    case .none: break
    case .notifyHandlers: signal?.fire()
    case .drain: beginDrain()
    }
  }

  private func beginDrain() {
    signal?.fire()
    engine.beginDrain()
    setLifetimeTimer()
    flush()
  }

  var drainSignal: DrainSignal {
    if let signal { return signal }
    let signal = DrainSignal()
    if lifetime.handlersAreNotified { signal.fire() }
    self.signal = signal
    return signal
  }

  func drainAcknowledged() {
    if lifetime.drainAcknowledged() { sayFinalGoAway() }
  }

  private func sayFinalGoAway() {
    engine.finishDrain()
    flush()
  }

  /// TLS peers may say that they send no more, and still read the answers to what they have sent.
  func inputClosed() {
    switch lifetime.inputClosed(at: loop.eventLoop.now) {
    case .none: break
    case .finishCalls:
      setLifetimeTimer()
      // Not the first step of a drain: calls whose turn has not come were made all the same.
      sayFinalGoAway()
    case .close: closeChannel()
    }
  }

  func outputClosed() {
    if lifetime.outputGone(at: loop.eventLoop.now) { closeChannel() } else { setLifetimeTimer() }
  }

  /// Serves what has been asked, and nothing else.
  private func finishCalls() {
    if !engine.isDraining { engine.beginDrain() }
    setLifetimeTimer()
    sayFinalGoAway()
  }

  func closeNow() {
    if lifetime.close() { closeChannel() }
  }
}

// MARK: The peer's credential

extension ServerConnectionHandler {
  /// Ends the connection when the peer's certificates have ended, or are not trusted any more.
  private func checkCredential() {
    guard let credential else { return }
    if let reason = credential.refusalNow() { return end(because: reason) }
    lifetime.credentialAccepted(
      nextCheck: loop.eventLoop.now + .bounded(credential.timeToNextCheck))
    if credential.hasEnded { endStreams() }
  }

  func end(because reason: String) {
    guard context != nil, lifetime.credentialRefused(at: loop.eventLoop.now) else { return }
    core.log(.peerRefused, embedder.connection.label, reason)
    endStreams()
    finishCalls()
  }

  /// They may go on for ever, and what they say is not for this peer any more.
  private func endStreams() {
    for stream in engine.streamingCalls { fail(stream, Self.refused) }
    flush()
  }

  private static var refused: RPCStatus {
    RPCStatus(.unauthenticated, "the certificate is not accepted any more")
  }
}
