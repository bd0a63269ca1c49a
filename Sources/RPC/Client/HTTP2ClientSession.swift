internal import CNghttp2
internal import NIOCore

/// The HTTP/2 engine of one client connection: calls in, bytes out; bytes in, results out. Does no
/// I/O. Owns the nghttp2 session. Confined to one event loop.
///
/// nghttp2's callbacks only record; `takeEnded` says what came of it.
final class HTTP2ClientSession {
  enum Outcome {
    case proceed
    /// The peer broke the protocol beyond repair.
    case failed(String)
  }

  let limits: ClientLimits
  private let scheme: String
  private let authority: String
  private var session: OpaquePointer?
  /// Streams that nghttp2 knows, until it closes them.
  private var streams: [Int32: HTTP2ClientStream] = [:]
  private var ended: [HTTP2ClientStream] = []
  /// Decided streams that the server has yet to be told of.
  private var resets: [HTTP2ClientStream] = []
  /// The server's first SETTINGS are here: it does speak HTTP/2.
  private(set) var isEstablished = false
  /// The server or this side said GOAWAY.
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

  /// Whether a call may be submitted.
  var acceptsCalls: Bool { !isGoingAway && nghttp2_session_check_request_allowed(session) != 0 }

  var wantsToClose: Bool {
    nghttp2_session_want_read(session) == 0 && nghttp2_session_want_write(session) == 0
  }

  // MARK: Calls

  /// Begins a call. Beyond the server's limit of concurrent streams it waits in nghttp2.
  ///
  /// - Parameter timeout: nanoseconds, for `grpc-timeout`.
  func submit(
    _ request: ClientRequest, timeout: UInt64?, completion: @escaping HTTP2ClientStream.Completion
  ) -> HTTP2ClientStream {
    let stream = HTTP2ClientStream(request.message, limits: limits, completion: completion)
    let data = Unmanaged.passUnretained(stream).toOpaque()
    var provider = nghttp2_data_provider(
      source: nghttp2_data_source(ptr: data), read_callback: HTTP2ClientCallbacks.readRequest)
    let id = fields(request, timeout).withNative { base, count in
      nghttp2_submit_request(session, nil, base, count, &provider, data)
    }
    if id > 0 {
      stream.id = id
      streams[id] = stream
    } else {
      end(stream, .failure(RPCStatus(.unavailable, "the connection takes no more calls")))
    }
    return stream
  }

  private func fields(_ request: ClientRequest, _ timeout: UInt64?) -> RequestFields {
    var fields = RequestFields()
    fields.add(":method", "POST")
    fields.add(":scheme", scheme)
    fields.add(":path", request.path)
    fields.add(":authority", authority)
    fields.add("te", "trailers")
    fields.add("content-type", "application/grpc")
    fields.add("user-agent", "grpc-swift-tenancy/1.0")
    if let timeout {
      // Nearly every call has another one: not worth a place in the compression table.
      fields.add("grpc-timeout", GRPCCoding.formatTimeout(nanoseconds: timeout), isIndexed: false)
    }
    for entry in request.metadata.entries { fields.add(entry.name, entry.value) }
    return fields
  }

  /// Gives a call up with `status`, and tells the server.
  func cancel(_ stream: HTTP2ClientStream, _ status: RPCStatus) {
    end(stream, .failure(status))
  }

  /// Streams that have a result, in order. Their owner is told by `complete`.
  func takeEnded() -> [HTTP2ClientStream] {
    for stream in resets where streams[stream.id] === stream {
      nghttp2_submit_rst_stream(
        session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, NGHTTP2_CANCEL.rawValue)
    }
    resets.removeAll(keepingCapacity: true)
    guard !ended.isEmpty else { return [] }
    defer { ended.removeAll(keepingCapacity: true) }
    return ended
  }

  /// Ends all calls: the connection is gone or about to go.
  func endAll(_ status: RPCStatus) {
    for stream in streams.values.sorted(by: { $0.id < $1.id }) { end(stream, .failure(status)) }
  }

  /// Tells the server that no more will come.
  func goAway() {
    guard !isGoingAway else { return }
    isGoingAway = true
    nghttp2_submit_goaway(
      session, UInt8(NGHTTP2_FLAG_NONE.rawValue), 0, NGHTTP2_NO_ERROR.rawValue, nil, 0)
  }

  // MARK: Bytes

  func receive(_ bytes: UnsafeRawBufferPointer) -> Outcome {
    let used = nghttp2_session_mem_recv(
      session, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count)
    guard used >= 0 else { return .failed(String(cString: nghttp2_strerror(Int32(used)))) }
    return .proceed
  }

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

  // MARK: What the callbacks record

  func stream(_ id: Int32) -> HTTP2ClientStream? { streams[id] }

  func settingsReceived() { isEstablished = true }

  /// Streams that the server will not look at are over now; nghttp2 never sends those that wait.
  func goAwayReceived(lastStream: Int32) {
    isGoingAway = true
    for stream in streams.values.sorted(by: { $0.id < $1.id })
    where stream.id > lastStream || !stream.isSent {
      end(stream, .failure(RPCStatus(.unavailable, "the server is going away")))
    }
  }

  func header(
    _ stream: HTTP2ClientStream, _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
  ) {
    guard stream.result == nil else { return }
    do throws(RPCStatus) {
      try stream.response.header(name, value)
    } catch {
      end(stream, .failure(error))
    }
  }

  func headersEnded(_ stream: HTTP2ClientStream, isLast: Bool) {
    guard stream.result == nil else { return }
    do throws(RPCStatus) {
      try stream.response.endHeaders(isLast: isLast)
    } catch {
      end(stream, .failure(error))
    }
  }

  func data(_ stream: HTTP2ClientStream, _ bytes: UnsafePointer<UInt8>, count: Int) {
    guard stream.result == nil else { return }
    do throws(RPCStatus) {
      try stream.response.data(bytes, count: count)
    } catch {
      end(stream, .failure(error))
    }
  }

  func responseEnded(_ stream: HTTP2ClientStream) {
    guard stream.result == nil else { return }
    end(stream, stream.response.result())
  }

  func closed(_ stream: HTTP2ClientStream, error: UInt32) {
    let status =
      stream.isSent
      ? ResponseStatus.status(reset: error)
      : RPCStatus(.unavailable, "the connection takes no more calls")
    end(stream, .failure(status))
    streams[stream.id] = nil
  }

  private func end(_ stream: HTTP2ClientStream, _ result: Result<[UInt8], RPCStatus>) {
    guard stream.end(result) else { return }
    ended.append(stream)
    // One that nghttp2 has closed by then needs no reset.
    resets.append(stream)
  }
}
