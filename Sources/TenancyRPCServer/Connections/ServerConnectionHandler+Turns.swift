internal import NIOCore

/// What a connection has done in its turn.
struct TurnCount {
  /// Large ones count as several.
  var calls = 0
  /// When it began; nil: not known.
  var began: NIODeadline?
  /// Calls that had been then.
  var callsBefore = 0
  /// Of `calls`: when to read the clock.
  var nextReading = 1
  /// Calls from one reading to the next.
  var stride = 1
  /// Its last turn was not enough for all that it had to do.
  var hadMuch = false
}

/// One that has many calls does not keep the others of its event loop waiting: when its turn is over, the
/// rest waits in the line of `LoopTurns`.
extension ServerConnectionHandler: TurnTaker {
  /// Most calls between readings of the clock.
  private static var longestStride: Int { 32 }
  /// Time between readings of the clock.
  private static var timePerReading: TimeAmount { .microseconds(40) }
  /// Bytes of request and response that count as a call.
  private static var bytesPerCall: Int { 1024 }

  /// Input has come.
  @inline(__always)
  func beginTurn() {
    if isInLine { return }
    startTurn()
    if turns.hadMuch { joinLine() }
  }

  @inline(__always)
  private func startTurn() {
    // To read the clock is felt in turns of a few calls.
    turns.began = turns.calls > turns.stride / 2 ? loop.turns.now() : nil
    turns.callsBefore = 0
    turns.calls = 0
    turns.nextReading = min(turns.stride, core.limits.maximumCallsPerTurn)
  }

  /// Others wait: who had much to do a moment ago has no turn before them.
  private func joinLine() {
    if loop.turns.isEmpty { turns.hadMuch = false } else { endOwnTurn() }
  }

  @inline(__always)
  func countInTurn() {
    turns.calls += 1
    if turns.calls >= turns.nextReading { judgeTurn() }
  }

  @inline(__always)
  func countBytes(_ count: Int) {
    guard count >= Self.bytesPerCall else { return }
    turns.calls += count / Self.bytesPerCall
    if turns.calls >= turns.nextReading { judgeTurn() }
  }

  private func judgeTurn() {
    let most = core.limits.maximumCallsPerTurn
    if turns.calls >= most { return endOwnTurn() }
    let now = loop.turns.now()
    if let began = turns.began {
      let time = now - began
      if time > LoopTurns.slice { endOwnTurn() }
      let timePerCall = time.nanoseconds / Int64(turns.calls - turns.callsBefore)
      let stride = Int(Self.timePerReading.nanoseconds / max(timePerCall, 1))
      // Cheap calls may be followed by others.
      turns.stride = min(max(stride, 1), 2 * turns.stride, Self.longestStride)
    } else {
      turns.began = now
      turns.callsBefore = turns.calls
    }
    turns.nextReading = min(turns.calls + turns.stride, most)
  }

  func endOwnTurn() {
    turns.calls = core.limits.maximumCallsPerTurn
    turns.hadMuch = true
    guard !isInLine, context != nil else { return }
    isInLine = true
    loop.turns.enter(self, of: engine.memory.peer)
  }

  /// The turn goes on after it has waited for something.
  func resumeTurn() {
    guard !isInLine else { return }
    turns.began = nil
    turns.nextReading = min(turns.calls + turns.stride, core.limits.maximumCallsPerTurn)
  }

  @specialized(where Engine == HTTP2ServerSession)
  @specialized(where Engine == TTRPCServerSession)
  func takeTurn() {
    isInLine = false
    guard let context, context.channel.isActive else { return }
    loop.timers.beginTurn()
    turns.hadMuch = false
    startTurn()
    serveReady()
    flush()
  }
}
