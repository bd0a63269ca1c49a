internal import NIOCore

/// One gRPC call on an HTTP/2 connection. Objects are reused by their connection; confined to its
/// event loop.
///
/// `@exclusivity(unchecked)`: the checks at run time cost 6 % of a call, and no access spans a call out.
final class HTTP2Stream: CallStream {
  /// gRPC's message prefix: one byte of flags and the length, big-endian.
  static let prefixLength = 5

  /// A reason to answer without running a handler.
  enum Refusal {
    case status(RPCStatus)
    /// Not a gRPC request: an HTTP status.
    case http(Int)
  }

  var id: Int32 = 0
  /// Where the connection keeps this stream.
  var slot = 0
  /// Index into the method table, or -1.
  var method: Int32 = -1
  var isPost = false
  var hasGRPCContentType = false
  var headersDone = false
  /// The whole request is here (END_STREAM).
  var requestDone = false
  /// In the connection's list of streams to dispatch, or dispatched already.
  var isDispatched = false
  /// Until a response is submitted.
  var awaitsResponse = true
  var refusal: Refusal?
  /// Answered before the whole request was here.
  var isRefusedEarly = false
  /// Nanoseconds from `grpc-timeout`.
  var timeout: UInt64?
  var headerListBytes = 0

  /// Names and values of custom metadata, end to end in `headerBytes`.
  @exclusivity(unchecked) private var headerEnds: [(name: Int32, value: Int32)] = []
  @exclusivity(unchecked) private var headerBytes = ByteStore(capacity: 256)

  @exclusivity(unchecked) var body = ByteStore(capacity: 512)
  @exclusivity(unchecked) var reply = ByteStore(capacity: 512)
  var replySent = 0
  /// Bytes of `reply` that the connection counts as waiting.
  var waitingReplyBytes = 0

  /// Work for this call off the event loop.
  var task: Task<Void, Never>?
  /// Ends `task` at the deadline. Holds the connection until it fires or is cancelled.
  var timer: Scheduled<Void>?
  /// Grows with each reuse, so that a late completion finds out that its call is gone.
  var generation: UInt64 = 0

  func prepare(id: Int32) {
    self.id = id
    method = -1
    isPost = false
    hasGRPCContentType = false
    headersDone = false
    requestDone = false
    isDispatched = false
    awaitsResponse = true
    refusal = nil
    isRefusedEarly = false
    timeout = nil
    headerListBytes = 0
    headerEnds.removeAll(keepingCapacity: true)
    headerBytes.clear()
    body.clear()
    reply.clear()
    replySent = 0
    waitingReplyBytes = 0
    task = nil
    timer = nil
    generation &+= 1
  }

  /// Gives what a large call took back.
  func releaseBuffers() {
    headerBytes.clear()
    body.clear()
    reply.clear()
  }

  func addHeader(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    if let base = name.baseAddress { headerBytes.append(base, count: name.count) }
    if let base = value.baseAddress, value.count > 0 {
      headerBytes.append(base, count: value.count)
    }
    headerEnds.append((Int32(headerBytes.count - value.count), Int32(headerBytes.count)))
  }

  override func metadata() -> Metadata {
    var metadata = Metadata()
    var start = 0
    let bytes = headerBytes.bytes
    for (name, value) in headerEnds {
      metadata.add(
        String(decoding: bytes[start..<Int(name)], as: UTF8.self),
        String(decoding: bytes[Int(name)..<Int(value)], as: UTF8.self))
      start = Int(value)
    }
    return metadata
  }

  override func beginReply(count: Int) -> UnsafeMutableRawPointer {
    reply.clear(keeping: 1 << 16)
    let start = reply.extend(by: Self.prefixLength + count)
    start.storeBytes(of: 0, as: UInt8.self)
    (start + 1).storeBytes(of: UInt32(count).bigEndian, as: UInt32.self)
    return start + Self.prefixLength
  }

  /// The one message of a unary request.
  func message() throws(RPCStatus) -> UnsafeRawBufferPointer {
    let bytes = body.bytes
    guard bytes.count >= Self.prefixLength else {
      throw RPCStatus(.unimplemented, "a unary request has exactly one message")
    }
    guard bytes[0] == 0 else {
      throw bytes[0] == 1
        ? RPCStatus(.internalError, "compressed message without grpc-encoding")
        : RPCStatus(.internalError, "unknown message flags")
    }
    let length = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 1, as: UInt32.self))
    guard Int(length) == bytes.count - Self.prefixLength else {
      throw RPCStatus(
        Int(length) < bytes.count - Self.prefixLength ? .unimplemented : .internalError,
        "a unary request has exactly one whole message")
    }
    return UnsafeRawBufferPointer(rebasing: bytes[Self.prefixLength...])
  }
}
