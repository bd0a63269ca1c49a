internal import TenancyRPCCore
internal import TenancyRPCFraming

/// What a connection holds, and what becomes of it when others need the memory.
extension TTRPCServerSession {
  var noRoom: RPCStatus { memory.noRoom }

  /// Request bytes held, those included of frames that are not whole or not read yet.
  private var heldBytes: Int { bufferedBytes + reader.unreadBytes }

  // MARK: Room

  /// Whether a frame begins a call that an asynchronous handler serves, and that can't be held back: messages would
  /// follow, or too much is held. Nor is a call refused because of those that are held.
  func mustStay(_ event: TTRPCFrameReader.Event) -> Bool {
    guard case .frame(let header, let payload) = event, header.type == .request else {
      return false
    }
    do {
      let request = try TTRPCRequest(reading: payload)
      let method = methods.find(service: request.service, method: request.method)
      if !isAnsweredAtOnce(request, method), streams.count >= limits.maximumConcurrentStreams,
        !held.isEmpty(streams)
      {
        return true
      }
      if methods.answersAtOnce(method) { return false }
      return methods.clientStreams(method)
        || bufferedBytes + payload.count > MemoryBudget.allowance
    } catch {
      return false  // It is refused.
    }
  }

  /// What it costs to hold a message of `count` bytes, as its pipe reckons.
  static func cost(_ count: Int) -> Int {
    count + MessageReader.prefixLength + CallPipe.messageOverhead
  }

  /// Counts request bytes that are held for a call.
  @inline(__always)
  func count(_ stream: TTRPCStream, _ added: Int) {
    stream.countedBytes += added
    bufferedBytes += added
  }

  func hasRoom(forReply count: Int) -> Bool {
    output.waiting == 0
      || output.waiting + count <= limits.maximumWaitingReplyBytes
        && replyShare.mayHold(output.waiting + socketBytes + count)
  }

  /// Whether a message of a new call (nil) or of an open one has room. One that is alone always has its
  /// call's.
  func hasRoom(_ count: Int, for stream: TTRPCStream? = nil) -> Bool {
    if fits(count, stream) { return true }
    deliver()
    // Handlers take messages without a word. All of them are asked once, and not for each frame.
    if !isRecounted {
      isRecounted = true
      recounts += 1
      streams.forEach { recount($0) }
    }
    return fits(count, stream)
  }

  @inline(__always)
  private func fits(_ count: Int, _ stream: TTRPCStream?) -> Bool {
    let held = stream?.countedBytes ?? 0
    return bufferedBytes + count <= limits.maximumBufferedBytes
      && requestShare.mayHold(heldBytes + count)
      && (held == 0 || held + count <= limits.maximumStreamBufferedBytes)
  }

  /// Counts what the handler has not taken.
  func recount(_ stream: TTRPCStream) {
    guard let pipe = stream.pipe else { return }
    count(stream, pipe.held.cost - stream.countedBytes)
  }

  func handOver(_ stream: TTRPCStream) {
    if stream.pipe == nil { count(stream, -stream.countedBytes) } else { recount(stream) }
  }

  /// Tells the budgets what is held.
  func tellHeld() {
    _ = replyShare.holds(output.waiting + socketBytes)
    let excess = requestShare.holds(heldBytes)
    if excess > 0 { giveUpRequests(excess) }
  }

  func socketHolds(_ bytes: Int) {
    socketBytes = bytes
    tellHeld()
  }

  // MARK: Giving up

  func judgeOverdrafts() {
    if memory.overdrafts.isSpent { fail("too much asked for, again and again") }
  }

  func giveUp(_ kind: ConnectionMemory.Kind, _ bytes: Int) -> Bool {
    memory.overdrafts.count()
    judgeOverdrafts()
    switch kind {
    case .requests:
      giveUpRequests(bytes)
      return false
    case .replies:
      // Frames can't be taken back.
      return output.waiting + socketBytes > MemoryBudget.allowance
    }
  }

  /// First the frame that is not whole, then the calls whose handlers do not take their messages, the
  /// largest first, until so many bytes are free.
  private func giveUpRequests(_ bytes: Int) {
    let before = heldBytes
    if abandoned == nil, let header = reader.abandon() { abandoned = header }
    var calls: [TTRPCStream] = []
    streams.forEach { if $0.countedBytes > 0, $0.awaitsResponse { calls.append($0) } }
    calls.sort { $0.countedBytes > $1.countedBytes }
    for stream in calls where before - heldBytes < bytes {
      let status = RPCStatus(.resourceExhausted, "the server needs the memory of this request")
      stream.pipe?.fail(status)
      handOver(stream)
      abort(stream, status)
    }
    requestShare.gaveUp(before - heldBytes, left: heldBytes)
  }
}
