internal import TenancyLoop
internal import TenancyRPCCore
internal import TenancyRPCFraming

/// Makes sense of the header blocks and data of one response. Knows nothing of connections.
struct ResponseReader: ~Copyable {
  /// What a whole header block turned out to be.
  enum Block {
    /// Informational (1xx): the response is yet to come.
    case interim
    case initial(RPCMetadata)
    case end(StreamEnd)
  }

  private let limits: ClientLimits
  private var httpStatus: Int?
  private var hasGRPCContentType = false
  private var grpcStatus: RPCStatus.Code?
  private var grpcMessage = ""
  private var details: [UInt8] = []
  private var metadata = RPCMetadata()
  private var headerListBytes = 0
  /// Past the header block that is not informational (1xx).
  private var headersDone = false
  private var messages: MessageReader
  /// The server named an encoding that was not offered.
  private var hasUnknownEncoding = false

  init(_ limits: ClientLimits) {
    self.limits = limits
    messages = MessageReader(limit: limits.maximumMessageBytes)
  }

  // MARK: Headers

  /// A header block begins. Only the last one's status counts.
  mutating func beginHeaders() {
    grpcStatus = nil
    grpcMessage = ""
    details = []
    metadata = RPCMetadata()
    if !headersDone { httpStatus = nil }
  }

  /// Notes one field. Names are in lower case: nghttp2 refuses others (RFC 9113 §8.2.1).
  mutating func header(
    _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
  ) throws(RPCStatus) {
    headerListBytes += name.count + value.count + 32
    if headerListBytes > limits.maximumHeaderListBytes {
      throw RPCStatus(.resourceExhausted, "the response's header list is too large")
    }
    if equals(name, ":status") {
      httpStatus = Int(String(decoding: value, as: UTF8.self))
    } else if equals(name, "content-type") {
      hasGRPCContentType = hasPrefix(value, "application/grpc")
    } else if hasPrefix(name, "grpc-") {
      reserved(name, value)
    } else {
      metadata.add(
        String(decoding: name, as: UTF8.self), String(decoding: value, as: UTF8.self))
    }
  }

  private mutating func reserved(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    if equals(name, "grpc-encoding") {
      let encoding = MessageEncoding(value)
      hasUnknownEncoding = encoding == nil
      messages.encoding = encoding ?? .identity
    } else if equals(name, "grpc-status") {
      let number = Int(String(decoding: value, as: UTF8.self))
      grpcStatus = number.map { RPCStatus.Code(number: $0) } ?? .unknown
    } else if equals(name, "grpc-message") {
      grpcMessage = GRPCCoding.percentDecode(value)
    } else if equals(name, "grpc-status-details-bin") {
      // Details that can't be read are dropped: the code and the message say enough.
      details = GRPCCoding.base64Decode(value) ?? []
    } else if equals(name, RetryPushback.headerName) {
      metadata.add(RetryPushback.name, String(decoding: value, as: UTF8.self))
    }
  }

  /// The header block is whole. Fails on a response that can't be gRPC's.
  mutating func endHeaders(isLast: Bool) throws(RPCStatus) -> Block {
    if headersDone { return isLast ? .end(try end()) : .interim }
    let status = httpStatus ?? 0
    if (100..<200).contains(status), !isLast { return .interim }
    headersDone = true
    // With a status that ends the call, no more is asked of the response.
    if isLast, grpcStatus != nil { return .end(try end()) }
    guard status == 200 else { throw ResponseStatus.status(http: status) }
    guard hasGRPCContentType else {
      throw RPCStatus(.unknown, "the server's answer is not application/grpc")
    }
    if hasUnknownEncoding {
      throw RPCStatus(.internalError, "the server chose a grpc-encoding that was not offered")
    }
    return isLast ? .end(try end()) : .initial(metadata)
  }

  // MARK: Messages

  /// Takes in the bytes of a DATA frame; `deliver` gets each message that they complete.
  mutating func data(
    _ bytes: UnsafeRawPointer, count: Int, _ deliver: (InboundMessage) throws(RPCStatus) -> Void
  ) throws(RPCStatus) {
    guard headersDone else { throw RPCStatus(.internalError, "data before the response's headers") }
    try messages.cut(UnsafeRawBufferPointer(start: bytes, count: count)) {
      framed throws(RPCStatus) in
      try deliver(
        InboundMessage(
          bytes: Array(framed[MessageReader.prefixLength...]), isCompressed: framed[0] == 1,
          wireBytes: framed.count))
    }
  }

  // MARK: End

  /// What a response that ended in order amounts to.
  func end() throws(RPCStatus) -> StreamEnd {
    guard let grpcStatus else {
      throw RPCStatus(.unknown, "the response ended without grpc-status")
    }
    guard grpcStatus == .ok else {
      let status = RPCStatus(grpcStatus, grpcMessage, details: details)
      return StreamEnd(status: status, trailers: metadata)
    }
    try messages.finish()
    return StreamEnd(status: RPCStatus(.ok, grpcMessage), trailers: metadata)
  }
}
