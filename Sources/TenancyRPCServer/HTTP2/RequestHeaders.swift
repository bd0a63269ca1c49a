internal import TenancyLoop
internal import TenancyRPCCore
internal import TenancyRPCFraming

/// What the header fields of a request mean to a gRPC server.
enum RequestHeaders {
  /// Notes one field, which is well-formed.
  static func apply(
    _ field: RequestField, _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer,
    to stream: HTTP2Stream, methods: MethodTable
  ) {
    switch field {
    case .path:
      stream.method = methods.find(value)
      // For observers: no handler will see it.
      if stream.method < 0 { stream.addHeader(name, value) }
    case .method:
      stream.isPost = equals(value, "POST")
      stream.isHead = equals(value, "HEAD")
    case .contentType: stream.hasGRPCContentType = isGRPC(value)
    case .timeout:
      stream.timeout = GRPCCoding.parseTimeout(value)
      if stream.timeout == nil {
        stream.refusal = .status(RPCStatus(.internalError, "malformed grpc-timeout"))
      }
    case .encoding: applyEncoding(value, to: stream)
    case .acceptEncoding: stream.takesGzip = stream.takesGzip || listsGzip(value)
    case .custom, .contentLength, .host: stream.addHeader(name, value)
    case .scheme, .authority, .te, .userAgent, .reserved: break
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

  private static func applyEncoding(_ name: UnsafeRawBufferPointer, to stream: HTTP2Stream) {
    if let encoding = MessageEncoding(name) {
      stream.reader.encoding = encoding
      stream.mayBePacked = encoding == .gzip
    } else {
      stream.refusal = .status(
        RPCStatus(.unimplemented, "this grpc-encoding is not supported; use gzip or identity"))
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
