internal import CTenancyNghttp2
internal import NIOCore
internal import TenancyRPCCore
internal import TenancyRPCFraming

/// gRPC over HTTP/2 as a client engine. Owns the nghttp2 session.
///
/// nghttp2's callbacks only record; `settle` acts on it and says what came of it. Each call has its own
/// window, which opens as its caller takes messages; the connection's window never closes, so that a
/// caller that is slow does not hold up the others.
final class HTTP2ClientSession: ClientEngine {
  let limits: ClientLimits
  private let scheme: String
  private let authority: String
  private var session: OpaquePointer?
  /// Streams that nghttp2 knows, until it closes them.
  private var streams: [Int32: HTTP2ClientStream] = [:]
  private var changed: [HTTP2ClientStream] = []
  /// Decided streams that the server has yet to be told of.
  private var resets: [HTTP2ClientStream] = []
  /// Bytes of DATA since the connection's window was opened last.
  private var receivedBytes = 0
  /// The server's first SETTINGS are here: it does speak HTTP/2.
  private(set) var isEstablished = false
  private(set) var isGoingAway = false

  /// - Parameter authority: the host, and port, that calls are for.
  init(scheme: String, authority: String, limits: ClientLimits) {
    self.scheme = scheme
    self.authority = authority
    self.limits = limits
    session = HTTP2ClientCallbacks.makeSession(
      userData: Unmanaged.passUnretained(self).toOpaque(), limits: limits)
  }

  deinit { nghttp2_session_del(session) }

  var openStreams: Int { streams.count }
  var maximumOutputBytes: Int { limits.maximumOutputBytes }
  /// Flow control bounds what can come in.
  var isInputPaused: Bool { false }

  var acceptsCalls: Bool { !isGoingAway && nghttp2_session_check_request_allowed(session) != 0 }

  var wantsToClose: Bool {
    nghttp2_session_want_read(session) == 0 && nghttp2_session_want_write(session) == 0
  }

  // MARK: Calls

  /// Beyond the server's limit of concurrent streams the call waits in nghttp2.
  func open(_ head: RequestHead, timeout: UInt64?) -> ClientStream {
    let stream = HTTP2ClientStream(head.kind, limits: limits)
    let data = Unmanaged.passUnretained(stream).toOpaque()
    var provider = nghttp2_data_provider(
      source: nghttp2_data_source(ptr: data), read_callback: HTTP2ClientCallbacks.readRequest)
    // After GOAWAY nghttp2 would take it, and never send it.
    let id =
      isGoingAway
      ? 0
      : fields(head, timeout).withNative { base, count in
        nghttp2_submit_request(session, nil, base, count, &provider, data)
      }
    if id > 0 {
      stream.id = id
      streams[id] = stream
    } else {
      fail(stream, RPCStatus(.unavailable, "the connection takes no more calls"), .neverSent)
    }
    return stream
  }

  private func fields(_ head: RequestHead, _ timeout: UInt64?) -> RequestFields {
    var fields = RequestFields()
    fields.add(":method", "POST")
    fields.add(":scheme", scheme)
    fields.add(":path", head.path)
    fields.add(":authority", authority)
    fields.add("te", "trailers")
    fields.add("content-type", "application/grpc")
    fields.add("user-agent", "grpc-swift-tenancy/1.0")
    if head.usesGzip { fields.add("grpc-encoding", "gzip") }
    fields.add("grpc-accept-encoding", "identity,gzip")
    if head.previousAttempts > 0 {
      fields.add("grpc-previous-rpc-attempts", "\(head.previousAttempts)")
    }
    if let timeout {
      // Nearly every call has another one: not worth a place in the compression table.
      fields.add("grpc-timeout", GRPCCoding.formatTimeout(nanoseconds: timeout), isIndexed: false)
    }
    for entry in head.metadata.entries {
      // Credentials stay out of the compression table (RFC 7541 §7.1.3).
      fields.add(entry.name, entry.value, isIndexed: entry.name != "authorization")
    }
    return fields
  }

  func send(_ message: OutboundMessage, on stream: ClientStream) {
    guard stream.end == nil else { return }
    stream.enqueue(message)
    resume(stream)
  }

  func finishRequests(of stream: ClientStream) {
    guard stream.end == nil else { return }
    stream.finishRequests()
    resume(stream)
  }

  private func resume(_ stream: ClientStream) {
    guard let stream = stream as? HTTP2ClientStream, stream.isDeferred else { return }
    stream.isDeferred = false
    nghttp2_session_resume_data(session, stream.id)
  }

  func consumed(_ bytes: Int, of stream: ClientStream) {
    guard let stream = stream as? HTTP2ClientStream else { return }
    stream.heldBytes -= bytes
    note(stream)
  }

  func cancel(_ stream: ClientStream, _ status: RPCStatus) {
    if let stream = stream as? HTTP2ClientStream { fail(stream, status) }
  }

  func endAll(_ status: RPCStatus) {
    for stream in streams.values.sorted(by: { $0.id < $1.id }) { fail(stream, status) }
  }

  func goAway() {
    guard !isGoingAway else { return }
    isGoingAway = true
    nghttp2_submit_goaway(
      session, UInt8(NGHTTP2_FLAG_NONE.rawValue), 0, NGHTTP2_NO_ERROR.rawValue, nil, 0)
  }

  func ping() -> Bool {
    nghttp2_submit_ping(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), nil)
    return true
  }

  // MARK: Bytes

  func receive(_ bytes: UnsafeRawBufferPointer) -> EngineOutcome {
    let used = nghttp2_session_mem_recv(
      session, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count)
    guard used >= 0 else {
      return .failed(String(cString: nghttp2_strerror(Int32(truncatingIfNeeded: used))))
    }
    return .proceed
  }

  func produce(into buffer: inout ByteBuffer) -> EngineOutcome {
    while buffer.readableBytes < limits.maximumOutputBytes {
      var data: UnsafePointer<UInt8>?
      let count = nghttp2_session_mem_send(session, &data)
      if count == 0 { return .proceed }
      guard count > 0 else {
        return .failed(String(cString: nghttp2_strerror(Int32(truncatingIfNeeded: count))))
      }
      buffer.writeBytes(UnsafeRawBufferPointer(start: data, count: count))
    }
    return .proceed
  }

  func settle() -> [ClientStream] {
    for stream in resets where streams[stream.id] === stream {
      nghttp2_submit_rst_stream(
        session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, NGHTTP2_CANCEL.rawValue)
    }
    resets.removeAll(keepingCapacity: true)
    if receivedBytes > 0 {
      nghttp2_session_consume_connection(session, receivedBytes)
      receivedBytes = 0
    }
    guard !changed.isEmpty else { return [] }
    defer { changed.removeAll(keepingCapacity: true) }
    for stream in changed {
      stream.isListed = false
      let credit = stream.takeCredit()
      if credit > 0, stream.end == nil {
        nghttp2_session_consume_stream(session, stream.id, credit)
      }
    }
    return changed
  }

  // MARK: What the callbacks record

  func stream(_ id: Int32) -> HTTP2ClientStream? { streams[id] }

  func settingsReceived() { isEstablished = true }

  /// Streams that the server will not look at are over now; nghttp2 never sends those that wait.
  func goAwayReceived(lastStream: Int32) {
    isGoingAway = true
    for stream in streams.values.sorted(by: { $0.id < $1.id })
    where stream.id > lastStream || !stream.isSent {
      fail(stream, RPCStatus(.unavailable, "the server is going away"), .refused)
    }
  }

  func header(
    _ stream: HTTP2ClientStream, _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
  ) {
    guard stream.end == nil else { return }
    do throws(RPCStatus) {
      try stream.response.header(name, value)
    } catch {
      fail(stream, error)
    }
  }

  func headersEnded(_ stream: HTTP2ClientStream, isLast: Bool) {
    guard stream.end == nil else { return }
    do throws(RPCStatus) {
      switch try stream.response.endHeaders(isLast: isLast) {
      case .interim: break
      case .initial(let metadata):
        stream.note(headers: metadata)
        note(stream)
      case .end(let end): finish(stream, end)
      }
    } catch {
      fail(stream, error)
    }
  }

  func data(_ stream: HTTP2ClientStream?, _ bytes: UnsafePointer<UInt8>, count: Int) {
    receivedBytes += count
    guard let stream, stream.end == nil else { return }
    stream.receivedBytes += count
    note(stream)
    do throws(RPCStatus) {
      try stream.response.data(bytes, count: count) { message throws(RPCStatus) in
        stream.heldBytes += message.wireBytes
        try stream.note(message)
      }
    } catch {
      fail(stream, error)
    }
  }

  /// The stream ended with data, and not with trailers as it should.
  func dataEnded(_ stream: HTTP2ClientStream) {
    guard stream.end == nil else { return }
    fail(stream, RPCStatus(.unknown, "the response ended without grpc-status"))
  }

  func sent(_ stream: HTTP2ClientStream) { note(stream) }

  func closed(_ stream: HTTP2ClientStream, error: UInt32) {
    if stream.isSent {
      let wasRefused = error == NGHTTP2_REFUSED_STREAM.rawValue
      fail(stream, ResponseStatus.status(reset: error), wasRefused ? .refused : .processed)
    } else {
      fail(stream, RPCStatus(.unavailable, "the connection takes no more calls"))
    }
    streams[stream.id] = nil
  }

  private func fail(
    _ stream: HTTP2ClientStream, _ status: RPCStatus, _ reach: StreamEnd.Reach = .processed
  ) {
    finish(stream, StreamEnd(status: status, reach: stream.isSent ? reach : .neverSent))
  }

  private func finish(_ stream: HTTP2ClientStream, _ end: StreamEnd) {
    guard stream.finish(end) else { return }
    note(stream)
    // One that nghttp2 has closed by then needs no reset.
    resets.append(stream)
  }

  private func note(_ stream: HTTP2ClientStream) {
    guard !stream.isListed else { return }
    stream.isListed = true
    changed.append(stream)
  }
}
