internal import NIOCore

/// One that has many calls does not keep the others of its event loop waiting: when its turn is over, the
/// rest waits in the line of `LoopTurns`.
extension ServerConnectionHandler: TurnTaker {
  /// Calls between looks at the clock: a power of two.
  private static var callsPerLook: Int { 4 }
  /// Bytes of request and response that count as a call.
  private static var bytesPerCall: Int { 1024 }

  /// Input has come.
  @inline(__always)
  func beginTurn() {
    if isInLine { return }
    callsInTurn = 0
    turnBegan = nil
    if hadMuch { joinLine() }
  }

  /// Others wait: who had much to do a moment ago has no turn before them.
  private func joinLine() {
    if loop.turns.isEmpty { hadMuch = false } else { endOwnTurn() }
  }

  @inline(__always)
  func countInTurn() {
    callsInTurn += 1
    let isOver = callsInTurn >= core.limits.maximumCallsPerTurn
    if isOver || callsInTurn & (Self.callsPerLook - 1) == 0 { lookAtTurn() }
  }

  @inline(__always)
  func countBytes(_ count: Int) {
    guard count >= Self.bytesPerCall else { return }
    callsInTurn += count / Self.bytesPerCall
    lookAtTurn()
  }

  private func lookAtTurn() {
    if callsInTurn >= core.limits.maximumCallsPerTurn { return endOwnTurn() }
    let now = NIODeadline.now()
    guard let began = turnBegan else { return turnBegan = now }
    if now - began > LoopTurns.slice { endOwnTurn() }
  }

  func endOwnTurn() {
    callsInTurn = core.limits.maximumCallsPerTurn
    hadMuch = true
    guard !isInLine, context != nil else { return }
    isInLine = true
    loop.turns.enter(self, of: engine.memory.peer)
  }

  func takeTurn() {
    isInLine = false
    guard let context, context.channel.isActive else { return }
    loop.timers.beginTurn()
    hadMuch = false
    callsInTurn = 0
    turnBegan = nil
    serveReady()
    flush()
  }
}
