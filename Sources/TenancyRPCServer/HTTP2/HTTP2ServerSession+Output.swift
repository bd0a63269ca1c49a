internal import CTenancyNghttp2
internal import TenancyRPCCore
internal import TenancyRPCFraming

/// How calls are answered.
extension HTTP2ServerSession {
  func succeed(_ stream: HTTP2Stream) {
    stream.awaitsResponse = false
    if stream.isScheduled { timers.cancel(stream) }
    count(stream)
    if let control = stream.control {
      compressReply(stream, control)
      stream.trailers = HeaderFields.trailers(nil, custom: control.snapshot().trailers)
    }
    if observation.isObserved {
      stream.tally.responseBytes = stream.reply.count
      stream.tally.responseMessages = 1
      observation.end(stream, .ok)
    }
    submitHeaders(stream)
  }

  func fail(_ stream: HTTP2Stream, _ status: RPCStatus) {
    end(stream, status.code, status)
    let custom = stream.control?.snapshot()
    guard stream.headersSubmitted else {
      var fields = HeaderFields.responseHeaders(custom?.headers)
      fields += HeaderFields.trailers(status, custom: custom?.trailers)
      return submitWithoutBody(stream, fields)
    }
    if stream.waitingReplyBytes > 0, status.code == .deadlineExceeded || status.code == .cancelled {
      // What the peer has not taken in time is not waited for.
      nghttp2_submit_rst_stream(
        session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, NGHTTP2_CANCEL.rawValue)
      return
    }
    // What the peer has not begun to take is not for it any more.
    stream.forgetUnbegun()
    count(stream)
    stream.trailers = HeaderFields.trailers(status, custom: custom?.trailers)
    guard stream.waitingReplyBytes == 0 else { return closeReply(stream) }
    // At once, also where the peer's windows are shut: nothing is before them.
    stream.replyIsOpen = false
    stream.trailersSubmitted = true
    HTTP2Callbacks.submitTrailers(session, stream)
  }

  /// With a line of text for people.
  func fail(_ stream: HTTP2Stream, http status: Int) {
    end(stream, Self.code(http: status))
    let text = HeaderFields.text(http: status)
    var fields = [
      (name: Array(":status".utf8), value: Array(String(status).utf8)),
      (Array("content-type".utf8), Array("text/plain; charset=utf-8".utf8)),
      (Array("content-length".utf8), Array(String(text.utf8.count).utf8)),
    ]
    // RFC 9110 §15.5.6.
    if status == 405 { fields.append((Array("allow".utf8), Array("POST".utf8))) }
    if stream.isHead { return submitWithoutBody(stream, fields) }
    stream.isAnsweredEarly = !stream.requestDone
    stream.replyIsText = true
    stream.reply.clear()
    var copy = text
    copy.withUTF8 { bytes in
      if let base = bytes.baseAddress { stream.reply.append(base, count: bytes.count) }
    }
    count(stream)
    HeaderFields.withFields(fields) { base, count in submit(stream, base, count) }
  }

  func transfer(_ stream: HTTP2Stream) {
    guard let pipe = stream.pipe else { return }
    let news = pipe.transfer()
    // After that: what the handler takes from here on is told anew.
    if !stream.requestDone || stream.countedBytes > 0 { grantWindow(stream) }
    guard stream.awaitsResponse else { return }
    if let refusal = news.refusal {
      judgeOverdrafts()
      return refuse(stream, refusal)
    }
    append(news.messages, to: stream)
    if news.isEnded {
      stream.task = nil
      // Without messages the status is all there is: trailers only.
      if let status = news.end, !stream.headersSubmitted, stream.waitingReplyBytes == 0 {
        return fail(stream, status)
      }
      end(stream, news.end?.code ?? .ok, news.end)
      stream.trailers = HeaderFields.trailers(
        news.end, custom: pipe.control.snapshot().trailers)
      if stream.headersSubmitted { closeReply(stream) } else { submitHeaders(stream) }
    } else if stream.headersSubmitted {
      if !news.messages.isEmpty { resume(stream) }
    } else if !news.messages.isEmpty || pipe.headersRequested {
      stream.replyIsOpen = true
      submitHeaders(stream)
    }
  }

  private func append(_ messages: [CallPipe.Outgoing], to stream: HTTP2Stream) {
    guard !messages.isEmpty else { return }
    if stream.replySent == stream.reply.count {
      stream.clearReply(keeping: 2 * CallPipe.maximumWaitingBytes)
    } else if stream.replySent >= CallPipe.maximumWaitingBytes {
      stream.forgetSent()
    }
    for message in messages {
      let target = stream.appendMessage(
        count: message.bytes.count, isCompressed: message.isCompressed)
      stream.tally.responseBytes &+= HTTP2Stream.prefixLength + message.bytes.count
      stream.tally.responseMessages &+= 1
      message.bytes.withUnsafeBytes { bytes in
        if let base = bytes.baseAddress { target.copyMemory(from: base, byteCount: bytes.count) }
      }
    }
    count(stream)
  }

  private func compressReply(_ stream: HTTP2Stream, _ control: ResponseControl) {
    guard stream.takesGzip, control.snapshot().compresses,
      let packed = Gzip.compress(Array(stream.reply.bytes[HTTP2Stream.prefixLength...]))
    else { return }
    stream.reply.clear()
    let target = stream.appendMessage(count: packed.count, isCompressed: true)
    packed.withUnsafeBytes { bytes in
      if let base = bytes.baseAddress { target.copyMemory(from: base, byteCount: bytes.count) }
    }
    count(stream)
  }

  /// What a gRPC client makes of it (gRPC, "HTTP to gRPC Status Code Mapping").
  private static func code(http status: Int) -> RPCStatus.Code {
    switch status {
    case 400: .internalError
    case 404: .unimplemented
    default: .unknown
    }
  }

  // MARK: Frames

  /// Submits the initial metadata, and what is in `reply` behind it.
  private func submitHeaders(_ stream: HTTP2Stream) {
    guard let control = stream.control else {
      return HTTP2Callbacks.responseHeaders.withUnsafeBufferPointer {
        submit(stream, $0.baseAddress, $0.count)
      }
    }
    let said = control.snapshot()
    var fields = HeaderFields.responseHeaders(said.headers)
    if said.compresses, stream.takesGzip {
      fields.append((Array("grpc-encoding".utf8), Array("gzip".utf8)))
    }
    HeaderFields.withFields(fields) { base, count in submit(stream, base, count) }
  }

  @inline(__always)
  private func submit(_ stream: HTTP2Stream, _ fields: UnsafePointer<nghttp2_nv>?, _ count: Int) {
    stream.headersSubmitted = true
    var provider = nghttp2_data_provider(
      source: nghttp2_data_source(ptr: Unmanaged.passUnretained(stream).toOpaque()),
      read_callback: HTTP2Callbacks.readReply)
    nghttp2_submit_response(session, stream.id, fields, count, &provider)
  }

  private func submitWithoutBody(_ stream: HTTP2Stream, _ fields: [(name: [UInt8], value: [UInt8])])
  {
    stream.headersSubmitted = true
    stream.isAnsweredEarly = !stream.requestDone
    HeaderFields.withFields(fields) { base, count in
      _ = nghttp2_submit_response(session, stream.id, base, count, nil)
    }
  }

  private func resume(_ stream: HTTP2Stream) {
    guard stream.isDeferred else { return }
    stream.isDeferred = false
    nghttp2_session_resume_data(session, stream.id)
  }

  /// No message follows: the trailers do.
  private func closeReply(_ stream: HTTP2Stream) {
    stream.replyIsOpen = false
    resume(stream)
  }

  /// The final status is known.
  private func end(_ stream: HTTP2Stream, _ code: RPCStatus.Code, _ status: RPCStatus? = nil) {
    if let status { observation.end(stream, status) } else { observation.end(stream, code) }
    stream.awaitsResponse = false
    stream.isAnsweredEarly = !stream.requestDone
    if stream.isScheduled { timers.cancel(stream) }
  }

  /// Counts what waits in `reply`.
  @inline(__always)
  private func count(_ stream: HTTP2Stream) {
    let waiting = stream.reply.count - stream.replySent
    waitingReplyBytes += waiting - stream.waitingReplyBytes
    stream.waitingReplyBytes = waiting
  }

  /// nghttp2 has taken `count` bytes of `reply`.
  @inline(__always)
  func taken(_ stream: HTTP2Stream, _ count: Int) {
    takenBytes &+= UInt64(count)
    stream.replySent += count
    stream.waitingReplyBytes -= count
    waitingReplyBytes -= count
    if stream.pipe != nil { drained.append(stream.key) }
  }

  /// The last frame of an answer has gone. The rest of a request that was answered early is not waited
  /// for (RFC 9113 §8.1). Not sooner: from a reset on, nghttp2 sends nothing else for the stream.
  func answerSent(_ stream: HTTP2Stream) {
    guard stream.isAnsweredEarly, !stream.requestDone else { return }
    // What is not an RPC is read on for a moment: the rest of it may break rules that its sender must hear
    // of, and some clients overlook an answer that a reset follows. The supervisor ends it.
    if case .http = stream.refusal { return }
    nghttp2_submit_rst_stream(
      session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, NGHTTP2_NO_ERROR.rawValue)
  }
}
