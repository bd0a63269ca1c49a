internal import CTenancyNghttp2
internal import TenancyRPCCore

/// How a call's end is told when the server did not say it in gRPC's words (the gRPC documents
/// "HTTP to gRPC Status Code Mapping" and "gRPC over HTTP2", section "Errors").
enum ResponseStatus {
  /// A response without `grpc-status`.
  static func status(http status: Int) -> RPCStatus {
    let code: RPCStatus.Code =
      switch status {
      case 400: .internalError
      case 401: .unauthenticated
      case 403: .permissionDenied
      case 404: .unimplemented
      case 429, 502, 503, 504: .unavailable
      default: .unknown
      }
    return RPCStatus(code, "the server answered with HTTP status \(status) and no grpc-status")
  }

  /// A stream that was reset before the response was whole.
  static func status(reset error: UInt32) -> RPCStatus {
    let code: RPCStatus.Code =
      switch error {
      case NGHTTP2_REFUSED_STREAM.rawValue: .unavailable
      case NGHTTP2_CANCEL.rawValue: .cancelled
      case NGHTTP2_ENHANCE_YOUR_CALM.rawValue: .resourceExhausted
      case NGHTTP2_INADEQUATE_SECURITY.rawValue: .permissionDenied
      case NGHTTP2_STREAM_CLOSED.rawValue, NGHTTP2_HTTP_1_1_REQUIRED.rawValue: .unknown
      default: .internalError
      }
    let name = String(cString: nghttp2_http2_strerror(error))
    return RPCStatus(code, "the stream was reset with \(name)")
  }
}
