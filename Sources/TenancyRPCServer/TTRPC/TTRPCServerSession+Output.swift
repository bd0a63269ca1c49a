internal import TenancyRPCCore
internal import TenancyRPCFraming

/// How calls are answered.
extension TTRPCServerSession {
  func succeed(_ stream: TTRPCStream) {
    switch output.commit(behind: limits.maximumWaitingReplyBytes) {
    case .done:
      stream.tally.responseBytes = output.lastReplyCount
      stream.tally.responseMessages = 1
      observation.end(stream, .ok)
      close(stream)
    case .nothing:
      stream.tally.responseMessages = 1
      observation.end(stream, .ok)
      _ = TTRPCResponse.open(in: &output.bytes, stream: stream.id, count: 0)
      close(stream)
    case .tooLarge: fail(stream, Self.responseTooLarge)
    case .tooMuchWaiting:
      fail(stream, RPCStatus(.resourceExhausted, "too many responses of this connection wait"))
    }
  }

  func fail(_ stream: TTRPCStream, _ status: RPCStatus) {
    output.rollBack()
    observation.end(stream, status)
    TTRPCResponse.write(status, to: &output.bytes, stream: stream.id)
    close(stream)
  }

  /// Nothing that comes as ttrpc is HTTP.
  func fail(_ stream: TTRPCStream, http status: Int) {
    fail(stream, RPCStatus(.internalError, "HTTP status \(status)"))
  }

  /// The call is over.
  @inline(__always)
  private func close(_ stream: TTRPCStream) {
    stream.awaitsResponse = false
    stream.request = nil
    if !stream.requestEnded { unfinished.insert(stream.id) }
    if stream.isOpen { release(stream) }
  }

  private func release(_ stream: TTRPCStream) {
    if stream.isScheduled { timers.cancel(stream) }
    if latest === stream {
      latest = nil
      incoming.removeAll(keepingCapacity: true)
    }
    open[stream.id] = nil
    bufferedBytes -= stream.countedBytes
    stream.release()
    streams.close(stream)
    retryStalled()
  }

  // MARK: Streaming

  func transfer(_ stream: TTRPCStream) {
    guard let pipe = stream.pipe, stream.refusal == nil else { return }
    guard output.waiting < limits.maximumOutputBytes else {
      // The rest stays in the pipe, and its handler waits.
      if !stream.isBlocked {
        stream.isBlocked = true
        blocked.append(stream, streams)
      }
      return
    }
    let news = pipe.transfer()
    // In this order: of messages that the handler takes from now on, the pipe tells again.
    recount(stream)
    retryStalled()
    if let refusal = news.refusal { return abort(stream, refusal) }
    let isStream = methods.serverStreams(stream.method)
    for message in news.messages {
      if let status = isStream ? send(stream, message) : hold(stream, message) {
        return abort(stream, status)
      }
    }
    pipe.sent(stillWaiting: 0)
    if news.isEnded { end(stream, news.end) }
  }

  private static let responseTooLarge = RPCStatus(
    .resourceExhausted,
    "the response message is larger than a frame of \(TTRPCFrameHeader.maximumPayload) bytes")

  /// Sends a message of a stream; returns why that can't be, if so.
  private func send(_ stream: TTRPCStream, _ message: CallPipe.Outgoing) -> RPCStatus? {
    guard message.bytes.count <= TTRPCFrameHeader.maximumPayload else {
      return Self.responseTooLarge
    }
    let header = TTRPCFrameHeader(
      payloadCount: message.bytes.count, stream: stream.id, type: .data)
    let target = header.open(in: &output.bytes)
    stream.tally.responseBytes &+= message.bytes.count
    stream.tally.responseMessages &+= 1
    message.bytes.withUnsafeBytes { bytes in
      if let base = bytes.baseAddress { target.copyMemory(from: base, byteCount: bytes.count) }
    }
    return nil
  }

  /// Keeps the message of a response that is not a stream: it is part of the frame that ends the call.
  private func hold(_ stream: TTRPCStream, _ message: CallPipe.Outgoing) -> RPCStatus? {
    guard stream.heldReply == nil else {
      return RPCStatus(.internalError, "the response has more than one message")
    }
    stream.heldReply = message.bytes
    return nil
  }

  /// The handler has returned.
  private func end(_ stream: TTRPCStream, _ status: RPCStatus?) {
    stream.task = nil
    if let status { return fail(stream, status) }
    if methods.serverStreams(stream.method) {
      let header = TTRPCFrameHeader(
        payloadCount: 0, stream: stream.id, type: .data, flags: [.remoteClosed, .noData])
      _ = header.open(in: &output.bytes)
      observation.end(stream, .ok)
      return close(stream)
    }
    guard let reply = stream.heldReply else {
      return abort(stream, RPCStatus(.internalError, "the response has no message"))
    }
    let target = stream.beginReply(count: reply.count)
    reply.withUnsafeBytes { bytes in
      if let base = bytes.baseAddress { target.copyMemory(from: base, byteCount: bytes.count) }
    }
    succeed(stream)
  }

  /// The call can't go on because of us; its handler is stopped when it is met among those to serve.
  func abort(_ stream: TTRPCStream, _ status: RPCStatus) {
    stream.refusal = .status(status)
    failing.append(stream, streams)
  }
}
