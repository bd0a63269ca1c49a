internal import CTenancyNghttp2

/// The C side of `HTTP2ClientSession`: callbacks that find the session and note what happened. They
/// capture nothing, never throw, and never call back into nghttp2.
enum HTTP2ClientCallbacks {
  static func makeSession(
    userData: UnsafeMutableRawPointer, limits: ClientLimits
  ) -> OpaquePointer? {
    var callbacks: OpaquePointer?
    nghttp2_session_callbacks_new(&callbacks)
    defer { nghttp2_session_callbacks_del(callbacks) }
    installHeaders(in: callbacks)
    installOthers(in: callbacks)

    var options: OpaquePointer?
    nghttp2_option_new(&options)
    defer { nghttp2_option_del(options) }
    nghttp2_option_set_no_closed_streams(options, 1)
    nghttp2_option_set_max_outbound_ack(options, 1000)
    nghttp2_option_set_no_auto_window_update(options, 1)

    var session: OpaquePointer?
    nghttp2_session_client_new2(&session, callbacks, userData, options)
    let settings = [
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_ENABLE_PUSH.rawValue), value: 0),
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE.rawValue),
        value: UInt32(clamping: limits.maximumHeaderListBytes)),
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE.rawValue),
        value: UInt32(clamping: limits.streamWindowBytes)),
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES.rawValue), value: 1),
    ]
    nghttp2_submit_settings(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), settings, settings.count)
    nghttp2_session_set_local_window_size(
      session, UInt8(NGHTTP2_FLAG_NONE.rawValue), 0,
      Int32(clamping: limits.connectionWindowBytes))
    return session
  }

  private static func installHeaders(in callbacks: OpaquePointer?) {
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, frame, user in
      guard let frame, let session = HTTP2ClientCallbacks.session(user),
        let stream = session.stream(frame.pointee.hd.stream_id)
      else { return 0 }
      stream.response.beginHeaders()
      return 0
    }
    nghttp2_session_callbacks_set_on_header_callback(callbacks) {
      _, frame, name, nameLength, value, valueLength, _, user in
      guard let frame, let session = HTTP2ClientCallbacks.session(user),
        let stream = session.stream(frame.pointee.hd.stream_id)
      else { return 0 }
      session.header(
        stream, UnsafeRawBufferPointer(start: name, count: nameLength),
        UnsafeRawBufferPointer(start: value, count: valueLength))
      return 0
    }
  }

  private static func installOthers(in callbacks: OpaquePointer?) {
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, user in
      guard let frame, let session = HTTP2ClientCallbacks.session(user) else { return 0 }
      if UInt32(frame.pointee.hd.type) == NGHTTP2_GOAWAY.rawValue {
        session.goAwayReceived(lastStream: frame.pointee.goaway.last_stream_id)
      } else {
        HTTP2ClientCallbacks.frameReceived(frame.pointee.hd, session)
      }
      return 0
    }
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks) { _, frame, user in
      guard let frame, let session = HTTP2ClientCallbacks.session(user),
        let stream = session.stream(frame.pointee.hd.stream_id)
      else { return 0 }
      switch UInt32(frame.pointee.hd.type) {
      case NGHTTP2_HEADERS.rawValue: stream.isSent = true
      case NGHTTP2_DATA.rawValue: session.sent(stream)
      default: break
      }
      return 0
    }
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) {
      _, _, id, bytes, count, user in
      guard let session = HTTP2ClientCallbacks.session(user), let bytes else { return 0 }
      session.data(session.stream(id), bytes, count: count)
      return 0
    }
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, id, error, user in
      guard let session = HTTP2ClientCallbacks.session(user), let stream = session.stream(id) else {
        return 0
      }
      session.closed(stream, error: error)
      return 0
    }
  }

  private static func frameReceived(_ header: nghttp2_frame_hd, _ session: HTTP2ClientSession) {
    let endsStream = header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
    switch UInt32(header.type) {
    case NGHTTP2_SETTINGS.rawValue:
      if header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) == 0 { session.settingsReceived() }
    case NGHTTP2_HEADERS.rawValue:
      guard let stream = session.stream(header.stream_id) else { return }
      session.headersEnded(stream, isLast: endsStream)
    case NGHTTP2_DATA.rawValue:
      if endsStream, let stream = session.stream(header.stream_id) { session.dataEnded(stream) }
    default:
      break
    }
  }

  /// Copies the next part of a call's request; the last ends the stream.
  static let readRequest: nghttp2_data_source_read_callback = {
    _, _, buffer, length, flags, source, _ in
    guard let source, let buffer, let flags, let data = source.pointee.ptr else {
      return Int(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue)
    }
    // nghttp2 reads only from streams that it has not closed, which the session still holds.
    let stream = Unmanaged<HTTP2ClientStream>.fromOpaque(data).takeUnretainedValue()
    var isLast = false
    let count = stream.fill(buffer, length, isLast: &isLast)
    if isLast { flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue }
    return count
  }

  private static func session(_ user: UnsafeMutableRawPointer?) -> HTTP2ClientSession? {
    guard let user else { return nil }
    // The session owns the nghttp2 session that calls back, so it is alive here.
    return Unmanaged<HTTP2ClientSession>.fromOpaque(user).takeUnretainedValue()
  }
}
