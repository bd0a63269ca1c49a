internal import CTenancyNghttp2
internal import TenancyRPCCore
internal import TenancyRPCFraming

/// What nghttp2's callbacks record.
extension HTTP2ServerSession {
  func beginStream(_ id: Int32) {
    // The peer has been told, or will be, that this call is not taken: it may make it elsewhere, and here
    // nobody may hear of it (RFC 9113 §6.8).
    guard id <= lastAnnounced else {
      nghttp2_submit_rst_stream(
        session, UInt8(NGHTTP2_FLAG_NONE.rawValue), id, NGHTTP2_REFUSED_STREAM.rawValue)
      return
    }
    let stream = streams.open { HTTP2Stream(limits: limits) }
    stream.prepare(id: id)
    stream.beginTick = tick
    latest = (id, Unmanaged.passUnretained(stream))
    nghttp2_session_set_stream_user_data(
      session, id, Unmanaged.passUnretained(stream).toOpaque())
  }

  /// The open stream of this number: held in `streams` until nghttp2 closes it.
  @inline(__always)
  func open(_ id: Int32) -> Unmanaged<HTTP2Stream>? {
    if latest.id == id { return latest.stream }
    guard let data = nghttp2_session_get_stream_user_data(session, id) else { return nil }
    latest = (id, Unmanaged<HTTP2Stream>.fromOpaque(data))
    return latest.stream
  }

  func header(
    _ stream: HTTP2Stream, _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
  ) {
    stream.headerListBytes += name.count + value.count + 32
    if stream.headerListBytes > limits.maximumHeaderListBytes {
      // Entries of the table can be named again and again, a byte each.
      if stream.headerListBytes > Self.hopelessHeaderLists * limits.maximumHeaderListBytes {
        frames.endForHeaders()
      }
      guard stream.refusal == nil else { return }
      refuse(stream, RPCStatus(.resourceExhausted, "the header list is too large"))
      return
    }
    if stream.headerListBytes > Self.usualHeaderBytes {
      guard countHeader(stream, name.count + value.count) else { return }
    }
    guard let field = RequestField(name) else { return malformed(stream) }
    if stream.headersDone {
      // Trailers mean nothing to gRPC.
      if !RequestForm.takesTrailer(field, value) { malformed(stream) }
    } else if stream.form.take(field, value) {
      RequestHeaders.apply(field, name, value, to: stream, methods: methods)
    } else {
      malformed(stream)
    }
  }

  /// The stream is not HTTP: it is reset, and no handler hears of it (RFC 9113 §8.1.1).
  private func malformed(_ stream: HTTP2Stream) {
    guard !stream.isMalformed else { return }
    stream.isMalformed = true
    stream.isDispatched = true
    stream.awaitsResponse = false
    nghttp2_submit_rst_stream(
      session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, NGHTTP2_PROTOCOL_ERROR.rawValue)
  }

  /// A header block is whole.
  ///
  /// - Parameter isLast: nothing of the request follows.
  func headersEnded(_ stream: HTTP2Stream, isLast: Bool) {
    frames.gotHeaders(stream.headerListBytes)
    if stream.isMalformed { return }
    if stream.headersDone {
      // A second block is the trailers.
      if !isLast { malformed(stream) }
      return
    }
    stream.headersDone = true
    observation.begin(stream)
    // Of a header list that is too large, not all was looked at.
    guard stream.refusal != nil || stream.form.headersAreWhole else { return malformed(stream) }
    if stream.refusal == nil { stream.refusal = RequestHeaders.refusal(of: stream) }
    if stream.timeout != nil {
      stream.startClock(at: timers.turnTime)
      timed.append(stream.key)
    }
    if stream.refusal != nil || streamsRequest(stream) { dispatch(stream) }
  }

  /// DATA of a call that was never taken: only the connection's window is given back.
  func dataOfNoCall(count: Int) { nghttp2_session_consume_connection(session, count) }

  /// - Parameter isLast: of the request's last frame.
  func data(
    _ stream: HTTP2Stream, _ bytes: UnsafePointer<UInt8>, count: Int, isLast: Bool
  ) {
    if !stream.form.data(count) { malformed(stream) }
    stream.tally.requestBytes &+= count
    guard stream.refusal == nil, stream.awaitsResponse, !stream.requestFailed else {
      return consume(stream, count)
    }
    guard hasRoomForRequest(count) else {
      consume(stream, count)
      return refuse(stream, noRoom)
    }
    if streamsRequest(stream) {
      read(stream, UnsafeRawBufferPointer(start: bytes, count: count))
    } else if stream.body.count + count > limits.maximumMessageBytes + HTTP2Stream.prefixLength {
      consume(stream, count)
      refuse(stream, MessageReader.tooLarge(limits.maximumMessageBytes))
    } else {
      stream.body.append(bytes, count: count)
      stream.countedBytes += count
      bufferedBytes += count
      // Where nothing follows, the stream's window is not needed any more.
      if isLast {
        nghttp2_session_consume_connection(session, count)
      } else {
        consume(stream, count)
      }
    }
  }

  func requestEnded(_ stream: HTTP2Stream) {
    if !stream.isMalformed, !stream.form.bodyIsWhole { malformed(stream) }
    if stream.isMalformed { return }
    stream.requestDone = true
    if stream.body.count > 0 { stream.tally.requestMessages = 1 }
    guard stream.refusal == nil, streamsRequest(stream) else { return dispatch(stream) }
    do throws(RPCStatus) {
      try stream.reader.finish()
      stream.pipe?.endRequests()
    } catch {
      refuse(stream, error)
    }
  }

  /// The call can't go on. The handler of one that is being served is stopped when the refusal is met
  /// among those to serve.
  func refuse(_ stream: HTTP2Stream, _ status: RPCStatus) {
    guard stream.refusal == nil, stream.awaitsResponse else { return }
    stream.refusal = .status(status)
    // Of its request nothing is wanted any more; a handler's messages go with its pipe.
    stream.releaseRequest()
    stream.countedHeaderBytes = 0
    recount(stream, stream.pipe?.held.cost ?? 0)
    if stream.isDispatched {
      ready.append(stream, streams)
    } else if stream.headersDone {
      dispatch(stream)
    }
  }

  func closed(_ stream: HTTP2Stream) {
    if latest.id == stream.id { latest = (0, nil) }
    bufferedBytes -= stream.countedBytes
    waitingReplyBytes -= stream.waitingReplyBytes
    if stream.isScheduled { timers.cancel(stream) }
    // Reset by the peer, or because it broke the protocol: of others the end was told before.
    observation.end(stream, .cancelled)
    orphan(stream)
    stream.releaseBuffers()
    streams.close(stream)
  }

  private func dispatch(_ stream: HTTP2Stream) {
    guard !stream.isDispatched else { return }
    stream.isDispatched = true
    ready.append(stream, streams)
  }

  private func streamsRequest(_ stream: HTTP2Stream) -> Bool {
    methods.clientStreams(stream.method)
  }

  /// Times the limit that a header list may have before its connection ends.
  private static var hopelessHeaderLists: Int { 16 }

  // MARK: Supervision

  var progress: ConnectionProgress {
    ConnectionProgress(
      isInputPartial: frames.isPartial, isBlockPartial: frames.isBlockPartial,
      framesBegun: frames.begun, waitingBytes: waitingReplyBytes, takenBytes: takenBytes,
      openCalls: streams.count, callsBegun: streams.opened, pingsAcknowledged: pingsAcknowledged)
  }

  /// How long the rest of a request that is not an RPC is read after its answer.
  private static var ticksPastAnswer: UInt32 { 3 }

  func supervise(refusingAfter ticks: UInt32) -> Bool {
    tick &+= 1
    let isUnderWay =
      frames.isPartial || waitingReplyBytes > 0 || !ready.isEmpty(streams)
      || !held.isEmpty(streams)
    if streams.count == 0 {
      // A connection without calls does not keep what many at once have needed.
      streams.trim()
      blocks.trim()
      return isUnderWay
    }
    return superviseCalls(refusingAfter: ticks) || isUnderWay
  }

  /// Returns whether a request is not whole.
  private func superviseCalls(refusingAfter ticks: UInt32) -> Bool {
    var isUnderWay = false
    var late: [HTTP2Stream] = []
    var answered: [Int32] = []
    streams.forEach { stream in
      if !stream.awaitsResponse, !stream.requestDone, case .http = stream.refusal {
        isUnderWay = true
        if tick &- stream.beginTick >= Self.ticksPastAnswer { answered.append(stream.id) }
      }
      guard stream.awaitsResponse, !stream.requestDone, stream.refusal == nil else { return }
      if streamsRequest(stream) {
        // Between messages a stream may rest as long as it likes.
        isUnderWay = isUnderWay || stream.reader.partialBytes > 0
        guard stream.reader.partialBytes > 0, stream.messagesSeen == stream.messagesRead else {
          stream.messagesSeen = stream.reader.partialBytes > 0 ? stream.messagesRead : .max
          stream.beginTick = tick
          return
        }
      }
      isUnderWay = true
      if tick &- stream.beginTick >= ticks { late.append(stream) }
    }
    for id in answered {
      nghttp2_submit_rst_stream(
        session, UInt8(NGHTTP2_FLAG_NONE.rawValue), id, NGHTTP2_NO_ERROR.rawValue)
    }
    for stream in late {
      stream.requestFailed = true
      refuse(stream, RPCStatus(.deadlineExceeded, "the request did not come in whole in time"))
    }
    return isUnderWay
  }

  // MARK: Flow control

  /// The peer may send as much again.
  private func consume(_ stream: HTTP2Stream, _ count: Int) {
    nghttp2_session_consume(session, stream.id, count)
  }

  /// Cuts streaming requests into messages. The connection's window is given back at once, so that no
  /// call waits for another's handler; the stream's as its handler takes the messages.
  private func read(_ stream: HTTP2Stream, _ bytes: UnsafeRawBufferPointer) {
    nghttp2_session_consume_connection(session, bytes.count)
    stream.unconsumedBytes += bytes.count
    do throws(RPCStatus) {
      try stream.reader.feed(bytes) { incoming.append($0) }
    } catch {
      stream.requestFailed = true
      refuse(stream, error)
    }
    stream.messagesRead &+= UInt64(incoming.count)
    stream.tally.requestMessages &+= incoming.count
    if let pipe = stream.pipe {
      if !incoming.isEmpty { pipe.deliver(incoming) }
    } else if stream.refusal == nil {
      stream.early += incoming
    }
    incoming.removeAll(keepingCapacity: true)
    grantWindow(stream)
  }

  /// Gives window back for what the handler has taken, and for the message that is being gathered.
  func grantWindow(_ stream: HTTP2Stream) {
    let held = stream.pipe?.held ?? stream.earlyHeld
    recount(stream, held.cost + stream.reader.partialBytes + stream.countedHeaderBytes)
    let consumed = stream.unconsumedBytes - held.bytes
    guard consumed > 0 else { return }
    stream.unconsumedBytes -= consumed
    nghttp2_session_consume_stream(session, stream.id, consumed)
  }
}
