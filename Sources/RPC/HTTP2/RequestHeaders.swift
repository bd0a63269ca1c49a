/// What the header fields of a request mean to a gRPC server.
enum RequestHeaders {
  /// Notes one field. Names are in lower case: nghttp2 refuses others (RFC 9113 §8.2.1).
  static func apply(
    _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, to stream: HTTP2Stream,
    methods: MethodTable
  ) {
    guard let first = name.first else { return }
    if first == UInt8(ascii: ":") {
      if equals(name, ":path") {
        stream.method = methods.find(value)
      } else if equals(name, ":method") {
        stream.isPost = equals(value, "POST")
        stream.isHead = equals(value, "HEAD")
      }
      return
    }
    if equals(name, "content-type") {
      stream.hasGRPCContentType = isGRPC(value)
    } else if hasPrefix(name, "grpc-") {
      applyReserved(name, value, to: stream)
    } else if !equals(name, "te") && !equals(name, "user-agent") {
      stream.addHeader(name, value)
    }
  }

  /// Why a request whose headers are complete can't be served, if so.
  static func refusal(of stream: HTTP2Stream) -> ServerStream.Refusal? {
    guard stream.hasGRPCContentType else {
      // "gRPC over HTTP2", section "Requests", for whatever path.
      if stream.isPost { return .http(415) }
      return .http(stream.method < 0 ? 404 : 405)
    }
    if !stream.isPost { return .http(405) }
    if stream.method < 0 { return .status(RPCStatus(.unimplemented, "unknown method")) }
    if stream.timeout == 0 {
      return .status(RPCStatus(.deadlineExceeded, "the deadline had passed on arrival"))
    }
    return nil
  }

  /// `application/grpc`, alone or with `+proto` or parameters.
  private static func isGRPC(_ value: UnsafeRawBufferPointer) -> Bool {
    // Media types are compared without regard to case (RFC 9110 §8.3.1).
    guard hasPrefix(value, "application/grpc") || hasPrefixIgnoringCase(value, "application/grpc")
    else { return false }
    let rest = UnsafeRawBufferPointer(rebasing: value[16...])
    return rest.isEmpty || rest[0] == UInt8(ascii: ";") || equals(rest, "+proto")
      || hasPrefix(rest, "+proto;")
  }

  private static func applyReserved(
    _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, to stream: HTTP2Stream
  ) {
    if equals(name, "grpc-timeout") {
      if let timeout = GRPCCoding.parseTimeout(value) {
        stream.timeout = timeout
      } else {
        stream.refusal = .status(RPCStatus(.internalError, "malformed grpc-timeout"))
      }
    } else if equals(name, "grpc-encoding") {
      if let encoding = MessageEncoding(value) {
        stream.reader.encoding = encoding
      } else {
        stream.refusal = .status(
          RPCStatus(.unimplemented, "this grpc-encoding is not supported; use gzip or identity"))
      }
    } else if equals(name, "grpc-accept-encoding") {
      stream.takesGzip = stream.takesGzip || listsGzip(value)
    }
  }

  /// Whether `gzip` is among names between commas.
  private static func listsGzip(_ value: UnsafeRawBufferPointer) -> Bool {
    value.split(separator: UInt8(ascii: ",")).contains { part in
      var part = part
      while part.first == UInt8(ascii: " ") { part = part.dropFirst() }
      while part.last == UInt8(ascii: " ") { part = part.dropLast() }
      return equals(UnsafeRawBufferPointer(rebasing: part), "gzip")
    }
  }
}
