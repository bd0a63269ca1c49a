/// One call on a client's HTTP/2 connection. Confined to the connection's event loop.
final class HTTP2ClientStream {
  /// Receives the call's result, once.
  typealias Completion = (Result<[UInt8], RPCStatus>) -> Void

  /// 0 until nghttp2 has given it one.
  var id: Int32 = 0
  /// The framed request, and how much of it nghttp2 has taken.
  var request: ByteStore
  var requestSent = 0
  /// Its HEADERS went out: the server may know of the call.
  var isSent = false
  var response: ResponseReader
  private(set) var result: Result<[UInt8], RPCStatus>?
  private var completion: Completion?

  init(_ message: [UInt8], limits: ClientLimits, completion: @escaping Completion) {
    request = ByteStore(capacity: HTTP2Stream.prefixLength + message.count)
    response = ResponseReader(limits)
    self.completion = completion
    let start = request.extend(by: HTTP2Stream.prefixLength + message.count)
    start.storeBytes(of: 0, as: UInt8.self)
    (start + 1).storeBytes(of: UInt32(message.count).bigEndian, as: UInt32.self)
    message.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return }
      (start + HTTP2Stream.prefixLength).copyMemory(from: base, byteCount: bytes.count)
    }
  }

  /// Decides the result. Returns false if it was decided before.
  func end(_ result: Result<[UInt8], RPCStatus>) -> Bool {
    guard self.result == nil else { return false }
    self.result = result
    return true
  }

  /// Tells the caller.
  func complete() {
    guard let result, let completion else { return }
    self.completion = nil
    completion(result)
  }
}
