internal import NIOCore

/// Peers that do not take part any more are cut off, old and idle connections are told to go.
extension ServerConnectionHandler {
  func beginSupervision() {
    loop.timers.schedule(watchTimer, in: ConnectionJudge.interval(core.limits))
  }

  func endSupervision() {
    loop.timers.cancel(watchTimer)
    loop.timers.cancel(graceTimer)
    loop.timers.cancel(freshTimer)
    loop.timers.cancel(turnTimer)
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
      core.log(.peerStalled, call.connection.label, reason)
      return closeNow()
    case .retire(let reason): retire(reason)
    case .ping: if engine.ping() { flush() }
    }
    loop.timers.beginTurn()
    engine.look(refusingAfter: looksPerRequest)
    serveReady()
    flush()
    beginSupervision()
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
