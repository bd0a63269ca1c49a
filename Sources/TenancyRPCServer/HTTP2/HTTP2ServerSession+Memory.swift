internal import CTenancyNghttp2
internal import TenancyRPCCore
internal import TenancyRPCFraming

/// What a connection holds, and what becomes of it when others need the memory.
extension HTTP2ServerSession {
  /// Bytes of a header list that are not worth counting.
  static var usualHeaderBytes: Int { 1024 }
  /// Ticks after which a request is the first to be given up.
  private static var patience: UInt32 { 2 }

  var noRoom: RPCStatus { memory.noRoom }

  // MARK: Room

  /// Whether what waits for the peer leaves room for more.
  var hasRoomForReplies: Bool {
    waitingReplyBytes <= limits.maximumWaitingReplyBytes
      && replyShare.mayGoOn(waitingReplyBytes + socketBytes)
  }

  var mayHoldMore: Bool { bufferedBytes <= MemoryBudget.allowance }

  func hasRoom(forReply count: Int) -> Bool {
    waitingReplyBytes == 0
      || waitingReplyBytes + count <= limits.maximumWaitingReplyBytes
        && replyShare.mayHold(waitingReplyBytes + socketBytes + count)
  }

  /// Whether there is room for `count` bytes of requests more.
  @inline(__always)
  func hasRoomForRequest(_ count: Int) -> Bool { mayHold(count) || makeRoom(for: count) }

  @inline(__always)
  private func mayHold(_ count: Int) -> Bool {
    bufferedBytes + count <= limits.maximumBufferedBytes
      && requestShare.mayHold(bufferedBytes + count)
  }

  /// Others of this connection that do not come on make room, if there are any.
  private func makeRoom(for count: Int) -> Bool {
    guard giveUpTick != tick else { return false }
    giveUpTick = tick
    giveUpRequests(max(count, bufferedBytes / 4), olderThan: Self.patience)
    return mayHold(count)
  }

  /// What the connection counts for a stream.
  @inline(__always)
  func recount(_ stream: HTTP2Stream, _ bytes: Int) {
    bufferedBytes += bytes - stream.countedBytes
    stream.countedBytes = bytes
  }

  /// Headers are held until the call's handler is started, and metadata for as long as that has it.
  ///
  /// - Returns: whether there is room for the next.
  func countHeader(_ stream: HTTP2Stream, _ count: Int) -> Bool {
    guard stream.refusal == nil else { return false }
    // As it came, and as the handler gets it.
    let count = 2 * count
    guard hasRoomForRequest(count) else {
      refuse(stream, noRoom)
      return false
    }
    stream.countedHeaderBytes += count
    recount(stream, stream.countedBytes + count)
    return true
  }

  /// Tells the budgets what is held.
  func tellHeld() {
    let excess = replyShare.holds(waitingReplyBytes + socketBytes)
    if excess > 0 { giveUpReplies(excess, sparing: 1) }
    _ = requestShare.holds(bufferedBytes)
  }

  func socketHolds(_ bytes: Int) {
    socketBytes = bytes
    tellHeld()
  }

  // MARK: Messages

  func unpack(_ stream: HTTP2Stream) throws(RPCStatus) {
    guard let packed = stream.packedMessage else { return }
    let size = try MessageReader.unpackedSize(packed, limit: limits.maximumMessageBytes)
    guard hasRoomForRequest(size) else { throw noRoom }
    defer { judgeOverdrafts() }
    let meter = memory.meter
    try stream.replaceMessage(size) { target throws(RPCStatus) in
      try meter.unpack(packed, size, into: target)
    }
    recount(stream, stream.body.count + stream.countedHeaderBytes)
  }

  func handOver(_ stream: HTTP2Stream) {
    stream.body.clear()
    recount(stream, (stream.pipe?.held.cost ?? 0) + stream.countedHeaderBytes)
  }

  // MARK: Giving up

  func judgeOverdrafts() {
    if memory.overdrafts.isSpent { frames.endForOverdrafts() }
  }

  func giveUp(_ kind: ConnectionMemory.Kind, _ bytes: Int) -> Bool {
    memory.overdrafts.count()
    judgeOverdrafts()
    switch kind {
    case .requests:
      giveUpRequests(bytes)
      return false
    case .replies:
      giveUpReplies(bytes)
      // What the socket has can't be taken back.
      return socketBytes > MemoryBudget.allowance && waitingReplyBytes == 0
    }
  }

  /// Refuses calls until so many bytes are free: those first that no handler has begun, and of these the
  /// largest and oldest.
  ///
  /// - Parameter ticks: calls that were not there yet so many ticks ago are spared.
  private func giveUpRequests(_ bytes: Int, olderThan ticks: UInt32 = 0) {
    var calls: [(stream: HTTP2Stream, isBegun: Bool, weight: Int)] = []
    streams.forEach { stream in
      let age = tick &- stream.beginTick
      guard stream.countedBytes > 0, stream.awaitsResponse, age >= ticks else { return }
      calls.append((stream, stream.task != nil, stream.countedBytes * (1 + Int(age))))
    }
    calls.sort { a, b in a.isBegun == b.isBegun ? a.weight > b.weight : b.isBegun }
    let before = bufferedBytes
    for call in calls where before - bufferedBytes < bytes {
      // Who has begun it may have done something that is not to be done twice.
      let status = RPCStatus(
        .resourceExhausted, "the server needs the memory of this request",
        retryAfter: call.isBegun ? nil : limits.retryDelay)
      call.stream.requestFailed = true
      call.stream.pipe?.fail(status)
      refuse(call.stream, status)
    }
    requestShare.gaveUp(before - bufferedBytes, left: bufferedBytes)
  }

  /// Resets calls until so many bytes of responses are free, the largest first.
  ///
  /// - Parameter spared: so many are left in any case.
  private func giveUpReplies(_ bytes: Int, sparing spared: Int = 0) {
    var calls: [HTTP2Stream] = []
    streams.forEach { if $0.waitingReplyBytes > 0 { calls.append($0) } }
    calls.sort { $0.waitingReplyBytes > $1.waitingReplyBytes }
    let before = waitingReplyBytes
    for stream in calls.dropLast(spared) where before - waitingReplyBytes < bytes {
      giveUpReply(stream)
    }
    replyShare.gaveUp(before - waitingReplyBytes, left: waitingReplyBytes + socketBytes)
  }

  private func giveUpReply(_ stream: HTTP2Stream) {
    waitingReplyBytes -= stream.waitingReplyBytes
    stream.waitingReplyBytes = 0
    stream.clearReply(keeping: 4096)
    stream.isReplyGivenUp = true
    stream.awaitsResponse = false
    observation.end(stream, .resourceExhausted)
    if stream.isScheduled { timers.cancel(stream) }
    orphan(stream)
    // gRPC clients read it as RESOURCE_EXHAUSTED.
    nghttp2_submit_rst_stream(
      session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, NGHTTP2_ENHANCE_YOUR_CALM.rawValue)
  }
}
