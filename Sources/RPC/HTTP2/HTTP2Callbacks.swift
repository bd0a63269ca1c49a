internal import CNghttp2

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

  static func makeServerSession(
    userData: UnsafeMutableRawPointer, limits: ServerLimits
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
    nghttp2_option_set_max_outbound_ack(options, 1000)
    nghttp2_option_set_max_send_header_block_length(options, 64 * 1024)
    nghttp2_option_set_stream_reset_rate_limit(
      options, UInt64(limits.maximumResetBurst), UInt64(limits.resetsPerSecond))
    nghttp2_option_set_max_continuations(options, limits.maximumContinuations)

    var session: OpaquePointer?
    nghttp2_session_server_new2(&session, callbacks, userData, options)
    let settings = [
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue),
        value: UInt32(limits.maximumConcurrentStreams)),
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE.rawValue),
        value: UInt32(limits.maximumHeaderListBytes)),
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
      guard let frame, let session = HTTP2Callbacks.session(user),
        frame.pointee.headers.cat == NGHTTP2_HCAT_REQUEST
      else { return 0 }
      session.beginStream(frame.pointee.hd.stream_id)
      return 0
    }
    nghttp2_session_callbacks_set_on_header_callback(callbacks) {
      _, frame, name, nameLength, value, valueLength, _, user in
      guard let frame, let session = HTTP2Callbacks.session(user),
        let stream = session.stream(frame.pointee.hd.stream_id), !stream.headersDone
      else { return 0 }
      session.header(
        stream, UnsafeRawBufferPointer(start: name, count: nameLength),
        UnsafeRawBufferPointer(start: value, count: valueLength))
      return 0
    }
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, user in
      guard let frame, let session = HTTP2Callbacks.session(user) else { return 0 }
      HTTP2Callbacks.frameReceived(frame.pointee.hd, session)
      return 0
    }
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) {
      _, _, id, bytes, count, user in
      guard let session = HTTP2Callbacks.session(user), let stream = session.stream(id), let bytes
      else { return 0 }
      session.data(stream, bytes, count: count)
      return 0
    }
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks) { _, frame, user in
      guard let frame, let session = HTTP2Callbacks.session(user) else { return 0 }
      switch UInt32(frame.pointee.hd.type) {
      case NGHTTP2_HEADERS.rawValue, NGHTTP2_DATA.rawValue:
        guard frame.pointee.hd.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0 else { break }
        if let stream = session.stream(frame.pointee.hd.stream_id) { session.answerSent(stream) }
      case NGHTTP2_GOAWAY.rawValue:
        let goAway = frame.pointee.goaway
        let reason = UnsafeRawBufferPointer(
          start: goAway.opaque_data, count: goAway.opaque_data_len)
        session.goAwaySent(goAway.error_code, reason: String(decoding: reason, as: UTF8.self))
      default:
        break
      }
      return 0
    }
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks) { native, frame, _, user in
      // An answer that nghttp2 will not send would leave the call open for ever.
      guard let frame, UInt32(frame.pointee.hd.type) == NGHTTP2_HEADERS.rawValue,
        let session = HTTP2Callbacks.session(user),
        session.stream(frame.pointee.hd.stream_id) != nil
      else { return 0 }
      nghttp2_submit_rst_stream(
        native, UInt8(NGHTTP2_FLAG_NONE.rawValue), frame.pointee.hd.stream_id,
        NGHTTP2_INTERNAL_ERROR.rawValue)
      return 0
    }
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, id, _, user in
      guard let session = HTTP2Callbacks.session(user), let stream = session.stream(id) else {
        return 0
      }
      session.closed(stream)
      return 0
    }
  }

  private static func frameReceived(_ header: nghttp2_frame_hd, _ session: HTTP2ServerSession) {
    let endsStream = header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
    switch UInt32(header.type) {
    case NGHTTP2_HEADERS.rawValue:
      guard let stream = session.stream(header.stream_id) else { return }
      session.headersEnded(stream)
      if endsStream { session.requestEnded(stream) }
    case NGHTTP2_DATA.rawValue:
      if endsStream, let stream = session.stream(header.stream_id) { session.requestEnded(stream) }
    case NGHTTP2_PING.rawValue:
      if header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0 { session.pingAcknowledged() }
    default:
      break
    }
  }

  /// Copies the next part of a stream's reply; after the last, the trailers follow.
  static let readReply: nghttp2_data_source_read_callback = {
    native, id, buffer, length, flags, source, user in
    guard let source, let buffer, let flags, let data = source.pointee.ptr,
      let session = HTTP2Callbacks.session(user)
    else { return Int(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue) }
    // nghttp2 reads only from streams that it has not closed, which the session still holds.
    let stream = Unmanaged<HTTP2Stream>.fromOpaque(data).takeUnretainedValue()
    let count = min(length, stream.reply.count - stream.replySent)
    if count > 0 {
      buffer.withMemoryRebound(to: UInt8.self, capacity: count) {
        UnsafeMutableRawPointer($0).copyMemory(
          from: stream.reply.base + stream.replySent, byteCount: count)
      }
      session.taken(stream, count)
    }
    guard stream.replySent == stream.reply.count else { return count }
    if stream.replyIsOpen {
      if count > 0 { return count }
      stream.isDeferred = true
      return Int(NGHTTP2_ERR_DEFERRED.rawValue)
    }
    flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
    if !stream.replyIsText {
      flags.pointee |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
      HTTP2Callbacks.submitTrailers(native, stream)
    }
    return count
  }

  private static func submitTrailers(_ native: OpaquePointer?, _ stream: HTTP2Stream) {
    guard let trailers = stream.trailers else {
      return okTrailers.withUnsafeBufferPointer {
        _ = nghttp2_submit_trailer(native, stream.id, $0.baseAddress, $0.count)
      }
    }
    HeaderFields.withFields(trailers) { base, count in
      _ = nghttp2_submit_trailer(native, stream.id, base, count)
    }
  }

  @inline(__always)
  private static func session(_ user: UnsafeMutableRawPointer?) -> HTTP2ServerSession? {
    guard let user else { return nil }
    // The session owns the nghttp2 session that calls back, so it is alive here.
    return Unmanaged<HTTP2ServerSession>.fromOpaque(user).takeUnretainedValue()
  }
}
