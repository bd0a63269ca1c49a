internal import CTenancyNghttp2

/// The C side of `HTTP2ServerSession`: callbacks that find the session and note what happened. They
/// capture nothing, never throw, and never call back into nghttp2 except to read stream data and to
/// queue frames.
enum HTTP2Callbacks {
  /// `:status 200` and the content type, the same for every answer.
  static nonisolated(unsafe) let responseHeaders = [  // Pointers to literals; never written to.
    HeaderFields.field(":status", "200"), HeaderFields.field("content-type", "application/grpc"),
  ]
  private static nonisolated(unsafe) let okTrailers = [  // Likewise.
    HeaderFields.field("grpc-status", "0")
  ]

  /// - Parameter memory: lives as long as the session.
  static func makeServerSession(
    userData: UnsafeMutableRawPointer, limits: ServerLimits, memory: HTTP2Memory
  ) -> OpaquePointer? {
    var callbacks: OpaquePointer?
    nghttp2_session_callbacks_new(&callbacks)
    defer { nghttp2_session_callbacks_del(callbacks) }
    install(in: callbacks)

    var options: OpaquePointer?
    nghttp2_option_new(&options)
    defer { nghttp2_option_del(options) }
    nghttp2_option_set_no_closed_streams(options, 1)
    nghttp2_option_set_no_auto_window_update(options, 1)
    // Whether requests are well-formed is judged by `RequestForm`.
    nghttp2_option_set_no_http_messaging(options, 1)
    nghttp2_option_set_max_outbound_ack(options, 1000)
    nghttp2_option_set_max_send_header_block_length(options, 64 * 1024)
    // Resets are counted by `FrameWatch`, those that the peer makes us send included.
    nghttp2_option_set_stream_reset_rate_limit(options, .max, .max)
    nghttp2_option_set_max_continuations(options, limits.maximumContinuations)

    var session: OpaquePointer?
    var functions = memory.functions
    nghttp2_session_server_new3(&session, callbacks, userData, options, &functions)
    let settings = [
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue),
        value: UInt32(clamping: limits.maximumConcurrentStreams)),
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE.rawValue),
        value: UInt32(clamping: limits.maximumHeaderListBytes)),
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE.rawValue), value: 256 * 1024),
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES.rawValue), value: 1),
    ]
    nghttp2_submit_settings(
      session, UInt8(NGHTTP2_FLAG_NONE.rawValue), settings, settings.count)
    nghttp2_session_set_local_window_size(
      session, UInt8(NGHTTP2_FLAG_NONE.rawValue), 0, 1024 * 1024)
    return session
  }

  private static func install(in callbacks: OpaquePointer?) {
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, frame, user in
      guard let frame, frame.pointee.headers.cat == NGHTTP2_HCAT_REQUEST else { return 0 }
      return HTTP2Callbacks.withSession(user) { $0.beginStream(frame.pointee.hd.stream_id) }
    }
    nghttp2_session_callbacks_set_on_header_callback(callbacks) {
      _, frame, name, nameLength, value, valueLength, _, user in
      guard let frame else { return 0 }
      return HTTP2Callbacks.withStream(user, frame.pointee.hd.stream_id) { session, stream in
        session.header(
          stream, UnsafeRawBufferPointer(start: name, count: nameLength),
          UnsafeRawBufferPointer(start: value, count: valueLength))
      }
    }
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, user in
      guard let frame else { return 0 }
      return HTTP2Callbacks.frameReceived(frame, user)
    }
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) {
      _, flags, id, bytes, count, user in
      guard let bytes else { return 0 }
      let isLast = flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
      return HTTP2Callbacks.withSession(user) { session in
        guard let stream = session.open(id) else { return session.dataOfNoCall(count: count) }
        stream._withUnsafeGuaranteedRef { session.data($0, bytes, count: count, isLast: isLast) }
      }
    }
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks) { _, frame, user in
      guard let frame else { return 0 }
      return HTTP2Callbacks.frameSent(frame, user)
    }
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks) { native, frame, _, user in
      // An answer that nghttp2 will not send would leave the call open for ever.
      guard let frame, UInt32(frame.pointee.hd.type) == NGHTTP2_HEADERS.rawValue else { return 0 }
      return HTTP2Callbacks.withStream(user, frame.pointee.hd.stream_id) { _, stream in
        nghttp2_submit_rst_stream(
          native, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, NGHTTP2_INTERNAL_ERROR.rawValue)
      }
    }
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, id, _, user in
      HTTP2Callbacks.withSession(user) { session in
        // Held here: the session gives the stream up.
        if let stream = session.open(id)?.takeUnretainedValue() { session.closed(stream) }
      }
    }
  }

  private static func frameReceived(
    _ frame: UnsafePointer<nghttp2_frame>, _ user: UnsafeMutableRawPointer?
  ) -> Int32 {
    let header = frame.pointee.hd
    let endsStream = header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
    switch UInt32(header.type) {
    case NGHTTP2_HEADERS.rawValue:
      return withStream(user, header.stream_id) { session, stream in
        session.headersEnded(stream, isLast: endsStream)
        if endsStream { session.requestEnded(stream) }
      }
    case NGHTTP2_DATA.rawValue where endsStream:
      return withStream(user, header.stream_id) { $0.requestEnded($1) }
    case NGHTTP2_PING.rawValue where header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0:
      let mark = frame.pointee.ping.opaque_data.0
      return withSession(user) { $0.pingAcknowledged(mark) }
    default:
      return 0
    }
  }

  private static func frameSent(
    _ frame: UnsafePointer<nghttp2_frame>, _ user: UnsafeMutableRawPointer?
  ) -> Int32 {
    let header = frame.pointee.hd
    switch UInt32(header.type) {
    case NGHTTP2_HEADERS.rawValue, NGHTTP2_DATA.rawValue:
      let result = withSession(user) { $0.frames.sentAnswer() }
      guard header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0 else { return result }
      return withStream(user, header.stream_id) { $0.answerSent($1) }
    case NGHTTP2_RST_STREAM.rawValue:
      return withSession(user) { $0.frames.sentReset(header.stream_id) }
    case NGHTTP2_GOAWAY.rawValue:
      let goAway = frame.pointee.goaway
      let reason = UnsafeRawBufferPointer(start: goAway.opaque_data, count: goAway.opaque_data_len)
      return withSession(user) {
        $0.goAwaySent(
          goAway.error_code, last: goAway.last_stream_id,
          reason: String(decoding: reason, as: UTF8.self))
      }
    default:
      return 0
    }
  }

  /// Copies the next part of a stream's reply; after the last, the trailers follow.
  static let readReply: nghttp2_data_source_read_callback = {
    native, id, buffer, length, flags, source, user in
    guard let source, let buffer, let flags, let data = source.pointee.ptr, let user else {
      return Int(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue)
    }
    // nghttp2 reads only from streams that it has not closed, which the session still holds.
    return Unmanaged<HTTP2Stream>.fromOpaque(data)._withUnsafeGuaranteedRef { stream in
      // The session owns the nghttp2 session that calls back.
      Unmanaged<HTTP2ServerSession>.fromOpaque(user)._withUnsafeGuaranteedRef { session in
        read(stream, session, native, buffer, length, flags)
      }
    }
  }

  @inline(__always)
  private static func read(
    _ stream: HTTP2Stream, _ session: HTTP2ServerSession, _ native: OpaquePointer?,
    _ buffer: UnsafeMutablePointer<UInt8>, _ length: Int, _ flags: UnsafeMutablePointer<UInt32>
  ) -> Int {
    // A reset is on its way, or the end.
    if stream.isReplyGivenUp || stream.trailersSubmitted {
      return Int(NGHTTP2_ERR_DEFERRED.rawValue)
    }
    let count = min(length, stream.reply.count - stream.replySent)
    if count > 0 {
      UnsafeMutableRawPointer(buffer).copyMemory(
        from: stream.reply.base + stream.replySent, byteCount: count)
      session.taken(stream, count)
    }
    guard stream.replySent == stream.reply.count else {
      if count < FrameWatch.scrap { session.frames.sendsScrap() }
      return count
    }
    if stream.replyIsOpen {
      if count > 0 { return count }
      stream.isDeferred = true
      return Int(NGHTTP2_ERR_DEFERRED.rawValue)
    }
    flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
    if !stream.replyIsText {
      flags.pointee |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
      submitTrailers(native, stream)
    }
    return count
  }

  static func submitTrailers(_ native: OpaquePointer?, _ stream: HTTP2Stream) {
    guard let trailers = stream.trailers else {
      return okTrailers.withUnsafeBufferPointer {
        _ = nghttp2_submit_trailer(native, stream.id, $0.baseAddress, $0.count)
      }
    }
    HeaderFields.withFields(trailers) { base, count in
      _ = nghttp2_submit_trailer(native, stream.id, base, count)
    }
  }

  // MARK: From C to Swift

  /// Lends the session to a callback of its own nghttp2 session, which it owns, so that it is alive.
  /// Without retains, which took 9 % of a call.
  @inline(__always)
  private static func withSession(
    _ user: UnsafeMutableRawPointer?, _ body: (HTTP2ServerSession) -> Void
  ) -> Int32 {
    guard let user else { return 0 }
    Unmanaged<HTTP2ServerSession>.fromOpaque(user)._withUnsafeGuaranteedRef(body)
    return 0
  }

  /// Likewise with a stream that is open: the session holds it until nghttp2 closes it.
  @inline(__always)
  private static func withStream(
    _ user: UnsafeMutableRawPointer?, _ id: Int32, _ body: (HTTP2ServerSession, HTTP2Stream) -> Void
  ) -> Int32 {
    withSession(user) { session in
      session.open(id)?._withUnsafeGuaranteedRef { body(session, $0) }
    }
  }
}
