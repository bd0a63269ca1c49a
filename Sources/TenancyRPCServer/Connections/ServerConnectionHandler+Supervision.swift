internal import NIOCore

/// Peers that do not take part any more are cut off, old and idle connections are told to go.
extension ServerConnectionHandler {
  func beginSupervision() {
    isUnwatched = false
    loop.timers.schedule(watchTimer, in: ConnectionJudge.interval(core.limits))
  }

  /// Something has come in, or is to be sent: from now on there may be something under way.
  @inline(__always)
  func watch() {
    if isUnwatched { beginSupervision() }
  }

  func endSupervision() {
    loop.timers.cancel(watchTimer)
    loop.timers.cancel(graceTimer)
    loop.timers.cancel(freshTimer)
  }

  func look() {
    guard let context else { return }
    // Sockets have this option: without it, what peers do not read is known by their windows alone.
    let buffered = (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    let verdict = judge.judge(
      engine.progress, buffered: buffered, written: writtenBytes, at: loop.eventLoop.now)
    switch verdict {
    case .fine: break
    case .stalled(let reason):
      core.log(.peerStalled, embedder.connection.label, reason)
      return closeNow()
    case .retire(let reason): retire(reason)
    case .ping: engine.ping()
    }
    isUnwatched = false
    loop.timers.beginTurn()
    resumeTurn()
    let isUnderWay = engine.look(refusingAfter: looksPerRequest)
    serveReady()
    flush()
    if isUnderWay || buffered > 0 || isReadHeld {
      beginSupervision()
    } else {
      rest()
    }
  }

  /// A connection on which nothing is under way costs nothing until something happens, or its time has
  /// come.
  private func rest() {
    isUnwatched = true
    guard let next = judge.nextLook else { return loop.timers.cancel(watchTimer) }
    let soonest = loop.eventLoop.now + ConnectionJudge.interval(core.limits)
    loop.timers.schedule(watchTimer, at: max(next, soonest))
  }

  private func retire(_ reason: String) {
    guard !engine.isDraining else { return }
    loop.timers.schedule(graceTimer, in: TimeAmount.bounded(core.limits.connectionAgeGrace))
    drain()
  }

  /// How many looks a request may take.
  private var looksPerRequest: UInt32 {
    let timeout = TimeAmount.bounded(core.limits.requestTimeout).nanoseconds
    return UInt32(clamping: timeout / ConnectionJudge.interval(core.limits).nanoseconds + 1)
  }
}
