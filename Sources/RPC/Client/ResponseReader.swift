/// Makes sense of the header blocks and data of one response. Knows nothing of connections.
struct ResponseReader: ~Copyable {
  private let limits: ClientLimits
  private var httpStatus: Int?
  private var hasGRPCContentType = false
  private var isCompressed = false
  private var grpcStatus: RPCStatus.Code?
  private var grpcMessage = ""
  private var details: [UInt8] = []
  private var headerListBytes = 0
  /// Past the header block that is not informational (1xx).
  private var headersDone = false
  private var body = ByteStore(capacity: 512)

  init(_ limits: ClientLimits) { self.limits = limits }

  // MARK: Headers

  /// A header block begins. Only the last one's status counts.
  mutating func beginHeaders() {
    grpcStatus = nil
    grpcMessage = ""
    details = []
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
    } else if equals(name, "grpc-encoding") {
      isCompressed = !equals(value, "identity")
    } else if equals(name, "grpc-status") {
      let number = Int(String(decoding: value, as: UTF8.self))
      grpcStatus = number.map { RPCStatus.Code(number: $0) } ?? .unknown
    } else if equals(name, "grpc-message") {
      grpcMessage = GRPCCoding.percentDecode(value)
    } else if equals(name, "grpc-status-details-bin") {
      // Details that can't be read are dropped: the code and the message say enough.
      details = GRPCCoding.base64Decode(value) ?? []
    }
  }

  /// The header block is whole. Fails on a response that can't be gRPC's.
  mutating func endHeaders(isLast: Bool) throws(RPCStatus) {
    if headersDone { return }
    let status = httpStatus ?? 0
    if (100..<200).contains(status), !isLast { return }
    headersDone = true
    // With a status that ends the call, no more is asked of the response.
    if isLast, grpcStatus != nil { return }
    guard status == 200 else { throw ResponseStatus.status(http: status) }
    guard hasGRPCContentType else {
      throw RPCStatus(.unknown, "the server's answer is not application/grpc")
    }
    if isCompressed {
      throw RPCStatus(.internalError, "the server chose a grpc-encoding that was not offered")
    }
  }

  // MARK: Message

  mutating func data(_ bytes: UnsafeRawPointer, count: Int) throws(RPCStatus) {
    guard headersDone else { throw RPCStatus(.internalError, "data before the response's headers") }
    let prefix = min(count, max(0, HTTP2Stream.prefixLength - body.count))
    body.append(bytes, count: prefix)
    guard let length = try announcedLength() else { return }
    guard body.count + count - prefix <= HTTP2Stream.prefixLength + length else {
      throw RPCStatus(.unimplemented, "the server answered a unary call with several messages")
    }
    body.append(bytes + prefix, count: count - prefix)
  }

  /// The length in the message's prefix, once that is here.
  private func announcedLength() throws(RPCStatus) -> Int? {
    let bytes = body.bytes
    guard bytes.count >= HTTP2Stream.prefixLength else { return nil }
    guard bytes[0] == 0 else {
      throw RPCStatus(.internalError, "the response message has unknown flags")
    }
    let length = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 1, as: UInt32.self)))
    guard length <= limits.maximumMessageBytes else {
      throw RPCStatus(
        .resourceExhausted,
        "the response message is larger than \(limits.maximumMessageBytes) bytes")
    }
    return length
  }

  // MARK: End

  /// What a response that ended in order amounts to.
  func result() -> Result<[UInt8], RPCStatus> {
    guard let grpcStatus else {
      return .failure(RPCStatus(.unknown, "the response ended without grpc-status"))
    }
    guard grpcStatus == .ok else {
      return .failure(RPCStatus(grpcStatus, grpcMessage, details: details))
    }
    let bytes = body.bytes
    if bytes.isEmpty {
      return .failure(RPCStatus(.unimplemented, "the server answered a unary call with no message"))
    }
    guard bytes.count >= HTTP2Stream.prefixLength,
      UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 1, as: UInt32.self))
        == UInt32(bytes.count - HTTP2Stream.prefixLength)
    else { return .failure(RPCStatus(.internalError, "the response message is cut short")) }
    return .success(Array(bytes[HTTP2Stream.prefixLength...]))
  }
}
