internal import CNghttp2
internal import NIOCore

/// The HTTP/2 engine of one server connection: bytes in, calls out; answers in, bytes out. Does no
/// I/O. Owns the nghttp2 session. Confined to one event loop.
///
/// nghttp2's callbacks only record; what they recorded is acted upon after `receive` returns.
///
/// `@exclusivity(unchecked)`: the checks at run time cost 6 % of a call, and no access spans a call out.
final class HTTP2ServerSession {
  enum Outcome {
    case proceed
    /// The peer broke the protocol beyond repair; send what is pending, then close.
    case failed(String)
  }

  /// Stream objects kept for reuse.
  private static let maximumIdleStreams = 64

  let limits: HTTP2Limits
  private let methods: MethodTable
  private var session: OpaquePointer?
  @exclusivity(unchecked) private var streams: [HTTP2Stream?] = []
  @exclusivity(unchecked) private var freeSlots: [Int] = []
  @exclusivity(unchecked) private var idle: [HTTP2Stream] = []
  /// Streams whose request is whole or refused, in order of arrival.
  @exclusivity(unchecked) private var ready: [HTTP2Stream] = []
  @exclusivity(unchecked) private var bufferedBytes = 0
  @exclusivity(unchecked) private var waitingReplyBytes = 0
  private(set) var isDraining = false
  /// Set by a PING acknowledgement while draining.
  private(set) var drainPingAcknowledged = false
  /// The open stream that frames were last about: the next is most often about the same.
  @exclusivity(unchecked) private var latest: HTTP2Stream?
  /// The error with which nghttp2 ended the connection, if it did.
  private(set) var sentError: String?
  /// Streams that ended while a task worked for them.
  private var endedTasks: [Task<Void, Never>] = []

  init(methods: MethodTable, limits: HTTP2Limits) {
    self.methods = methods
    self.limits = limits
    session = HTTP2Callbacks.makeServerSession(
      userData: Unmanaged.passUnretained(self).toOpaque(), limits: limits)
  }

  deinit {
    nghttp2_session_del(session)
    cancelTasks()
  }

  var wantsToClose: Bool {
    nghttp2_session_want_read(session) == 0 && nghttp2_session_want_write(session) == 0
  }

  // MARK: Input

  func receive(_ bytes: UnsafeRawBufferPointer) -> Outcome {
    let used = nghttp2_session_mem_recv(
      session, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count)
    guard used >= 0 else {
      // The peer is told why; what it sends from now on is not looked at.
      nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM.rawValue)
      return .failed(String(cString: nghttp2_strerror(Int32(used))))
    }
    return .proceed
  }

  /// The next call to serve, if any: none while too many answers wait for the peer.
  func nextReady() -> HTTP2Stream? {
    guard readyHead < ready.count else {
      ready.removeAll(keepingCapacity: true)
      readyHead = 0
      return nil
    }
    guard hasReady else {
      ready.removeFirst(readyHead)
      readyHead = 0
      return nil
    }
    readyHead += 1
    return ready[readyHead - 1]
  }

  /// Whether `nextReady` would return a call.
  var hasReady: Bool {
    readyHead < ready.count && waitingReplyBytes <= limits.maximumWaitingReplyBytes
  }

  @exclusivity(unchecked) private var readyHead = 0

  /// Work for calls that nobody waits for any more: the connection is gone.
  func cancelTasks() {
    for case let stream? in streams {
      stream.task?.cancel()
      stream.timer?.cancel()
    }
  }

  func takeEndedTasks() -> [Task<Void, Never>] {
    guard !endedTasks.isEmpty else { return [] }
    defer { endedTasks.removeAll() }
    return endedTasks
  }

  // MARK: Output

  /// Appends frames to `buffer` until nothing is pending or it holds `limits.maximumOutputBytes`.
  func produce(into buffer: inout ByteBuffer) -> Outcome {
    while buffer.readableBytes < limits.maximumOutputBytes {
      var data: UnsafePointer<UInt8>?
      let count = nghttp2_session_mem_send(session, &data)
      if count == 0 { return .proceed }
      guard count > 0 else { return .failed(String(cString: nghttp2_strerror(Int32(count)))) }
      buffer.writeBytes(UnsafeRawBufferPointer(start: data, count: count))
    }
    return .proceed
  }

  /// Answers OK with the message in `stream.reply`.
  func succeed(_ stream: HTTP2Stream) {
    stream.awaitsResponse = false
    stream.waitingReplyBytes = stream.reply.count
    waitingReplyBytes += stream.waitingReplyBytes
    var provider = nghttp2_data_provider(
      source: nghttp2_data_source(ptr: Unmanaged.passUnretained(stream).toOpaque()),
      read_callback: HTTP2Callbacks.readReply)
    _ = HTTP2Callbacks.responseHeaders.withUnsafeBufferPointer {
      nghttp2_submit_response(session, stream.id, $0.baseAddress, $0.count, &provider)
    }
  }

  /// Answers with trailers only.
  func fail(_ stream: HTTP2Stream, _ status: RPCStatus) {
    submitWithoutBody(
      stream,
      [
        (Array(":status".utf8), Array("200".utf8)),
        (Array("content-type".utf8), Array("application/grpc".utf8)),
        // Needed where an encoding was refused; true of every answer.
        (Array("grpc-accept-encoding".utf8), Array("identity".utf8)),
      ] + HeaderFields.trailers(status))
  }

  /// Answers a request that is not gRPC.
  func fail(_ stream: HTTP2Stream, http status: Int) {
    var fields = [(name: Array(":status".utf8), value: Array(String(status).utf8))]
    // RFC 9110 §15.5.6.
    if status == 405 { fields.append((Array("allow".utf8), Array("POST".utf8))) }
    submitWithoutBody(stream, fields)
  }

  private func submitWithoutBody(_ stream: HTTP2Stream, _ fields: [(name: [UInt8], value: [UInt8])])
  {
    stream.awaitsResponse = false
    stream.isRefusedEarly = !stream.requestDone
    HeaderFields.withFields(fields) { base, count in
      _ = nghttp2_submit_response(session, stream.id, base, count, nil)
    }
  }

  /// The rest of a request that was refused early is not waited for (RFC 9113 §8.1). Not before the
  /// answer has gone: from the moment of a reset on, nghttp2 sends nothing else for the stream.
  func answerSent(_ stream: HTTP2Stream) {
    guard stream.isRefusedEarly, !stream.requestDone else { return }
    nghttp2_submit_rst_stream(
      session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, NGHTTP2_NO_ERROR.rawValue)
  }

  // MARK: Ending

  /// First step of a graceful end: the peer is told that no new calls will be taken, and a PING finds
  /// out when it knows (RFC 9113 §6.8).
  func beginDrain() {
    guard !isDraining else { return }
    isDraining = true
    nghttp2_submit_shutdown_notice(session)
    nghttp2_submit_ping(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), nil)
  }

  /// Second step: calls that were begun in between still count.
  func finishDrain() {
    nghttp2_submit_goaway(
      session, UInt8(NGHTTP2_FLAG_NONE.rawValue), nghttp2_session_get_last_proc_stream_id(session),
      NGHTTP2_NO_ERROR.rawValue, nil, 0)
  }

  // MARK: What the callbacks record

  func beginStream(_ id: Int32) {
    let stream = idle.popLast() ?? HTTP2Stream()
    stream.prepare(id: id)
    if let slot = freeSlots.popLast() {
      stream.slot = slot
      streams[slot] = stream
    } else {
      stream.slot = streams.count
      streams.append(stream)
    }
    latest = stream
    nghttp2_session_set_stream_user_data(
      session, id, Unmanaged.passUnretained(stream).toOpaque())
  }

  func stream(_ id: Int32) -> HTTP2Stream? {
    if let latest, latest.id == id { return latest }
    guard let data = nghttp2_session_get_stream_user_data(session, id) else { return nil }
    // Streams are held in `streams` until nghttp2 closes them.
    let stream = Unmanaged<HTTP2Stream>.fromOpaque(data).takeUnretainedValue()
    latest = stream
    return stream
  }

  func header(
    _ stream: HTTP2Stream, _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
  ) {
    stream.headerListBytes += name.count + value.count + 32
    if stream.headerListBytes > limits.maximumHeaderListBytes {
      refuse(stream, .status(RPCStatus(.resourceExhausted, "the header list is too large")))
      return
    }
    RequestHeaders.apply(name, value, to: stream, methods: methods)
  }

  func headersEnded(_ stream: HTTP2Stream) {
    guard !stream.headersDone else { return }
    stream.headersDone = true
    if stream.refusal == nil { stream.refusal = RequestHeaders.refusal(of: stream) }
    if stream.refusal != nil { dispatch(stream) }
  }

  func data(_ stream: HTTP2Stream, _ bytes: UnsafePointer<UInt8>, count: Int) {
    guard stream.refusal == nil, !stream.isDispatched else { return }
    if stream.body.count + count > limits.maximumMessageBytes + HTTP2Stream.prefixLength {
      refuse(
        stream,
        .status(
          RPCStatus(
            .resourceExhausted,
            "the request message is larger than \(limits.maximumMessageBytes) bytes")))
    } else if bufferedBytes + count > limits.maximumBufferedBytes {
      refuse(
        stream,
        .status(RPCStatus(.resourceExhausted, "this connection has too many request bytes waiting"))
      )
    } else {
      stream.body.append(bytes, count: count)
      bufferedBytes += count
    }
  }

  func requestEnded(_ stream: HTTP2Stream) {
    stream.requestDone = true
    dispatch(stream)
  }

  func refuse(_ stream: HTTP2Stream, _ refusal: HTTP2Stream.Refusal) {
    if stream.refusal == nil { stream.refusal = refusal }
    if stream.headersDone { dispatch(stream) }
  }

  func closed(_ stream: HTTP2Stream) {
    if latest === stream { latest = nil }
    bufferedBytes -= stream.body.count
    waitingReplyBytes -= stream.waitingReplyBytes
    stream.waitingReplyBytes = 0
    if stream.awaitsResponse, stream.isDispatched { removeFromReady(stream) }
    stream.generation &+= 1
    streams[stream.slot] = nil
    freeSlots.append(stream.slot)
    stream.timer?.cancel()
    if let task = stream.task {
      endedTasks.append(task)
      stream.task = nil
    }
    // One without an answer is not reused: its task may still hold it.
    if !stream.awaitsResponse, idle.count < Self.maximumIdleStreams {
      stream.releaseBuffers()
      idle.append(stream)
    }
    stream.awaitsResponse = false
  }

  private func removeFromReady(_ stream: HTTP2Stream) {
    if let position = ready[readyHead...].firstIndex(where: { $0 === stream }) {
      ready.remove(at: position)
    }
  }

  func goAwaySent(_ code: UInt32, reason: String) {
    guard code != NGHTTP2_NO_ERROR.rawValue else { return }
    sentError = "\(String(cString: nghttp2_http2_strerror(code))) \(reason)"
  }

  func pingAcknowledged() {
    if isDraining { drainPingAcknowledged = true }
  }

  private func dispatch(_ stream: HTTP2Stream) {
    guard !stream.isDispatched else { return }
    stream.isDispatched = true
    ready.append(stream)
  }
}
