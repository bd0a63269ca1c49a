internal import TenancyLoop
internal import TenancyRPCCore
internal import TenancyRPCFraming

/// One gRPC call on an HTTP/2 connection. Objects are reused by their connection; confined to its
/// event loop.
///
/// `@exclusivity(unchecked)`: the checks at run time cost 6 % of a call, and no access spans a call out.
final class HTTP2Stream: ServerStream {
  static let prefixLength = MessageReader.prefixLength
  /// For the next call's headers.
  private static let keptHeaderBytes = 1024

  @exclusivity(unchecked) var id: Int32 = 0
  var isPost = false
  @exclusivity(unchecked) var isHead = false
  var hasGRPCContentType = false
  @exclusivity(unchecked) var headersDone = false
  /// The whole request is here (END_STREAM).
  @exclusivity(unchecked) var requestDone = false
  /// The client takes packed messages (`grpc-accept-encoding`).
  @exclusivity(unchecked) var takesGzip = false
  var headerListBytes = 0
  /// When the request began, or the message that is being gathered: the session's tick.
  @exclusivity(unchecked) var beginTick: UInt32 = 0
  /// Messages of a streaming request so far.
  @exclusivity(unchecked) var messagesRead: UInt64 = 0
  /// How many there were when it was last supervised, while another was gathered.
  @exclusivity(unchecked) var messagesSeen = UInt64.max

  /// Whether the request is HTTP.
  @exclusivity(unchecked) var form = RequestForm()
  @exclusivity(unchecked) var isMalformed = false

  /// Names and values of custom metadata, end to end in `headerBytes`.
  @exclusivity(unchecked) private var headerEnds: [(name: Int32, value: Int32)] = []
  @exclusivity(unchecked) private var headerBytes = ByteStore(capacity: 256)

  // MARK: Request

  /// The framed message of a request that is not a stream.
  @exclusivity(unchecked) var body = ByteStore(capacity: 512)
  /// Cuts a streaming request into messages.
  @exclusivity(unchecked) var reader: MessageReader
  /// Messages that came before the handler was started.
  @exclusivity(unchecked) var early: [FramedMessage] = []
  /// What they are, as `CallPipe.held` would say.
  var earlyHeld: (bytes: Int, cost: Int) {
    let bytes = early.reduce(0) { $0 + CallPipe.weight($1) }
    return (bytes, bytes + early.count * CallPipe.messageOverhead)
  }
  /// The request can't be read on; nothing more is delivered.
  @exclusivity(unchecked) var requestFailed = false
  /// DATA bytes for which the peer has not been given window again.
  @exclusivity(unchecked) var unconsumedBytes = 0
  /// What the connection counts as buffered for this stream.
  @exclusivity(unchecked) var countedBytes = 0
  /// Of these, for headers that are larger than most.
  @exclusivity(unchecked) var countedHeaderBytes = 0

  // MARK: Response

  /// Framed messages that nghttp2 has not taken, from `replySent` on.
  @exclusivity(unchecked) var reply = ByteStore(capacity: 512)
  @exclusivity(unchecked) var replySent = 0
  /// A place of `reply` where a message begins or the last ends, before which all is sent or being sent.
  @exclusivity(unchecked) private var messageStart = 0
  /// Bytes of `reply` that the connection counts as waiting.
  @exclusivity(unchecked) var waitingReplyBytes = 0
  /// The initial metadata is submitted.
  @exclusivity(unchecked) var headersSubmitted = false
  /// More messages may follow those in `reply`.
  @exclusivity(unchecked) var replyIsOpen = false
  /// They need no room in the peer's windows, and have not waited for it.
  @exclusivity(unchecked) var trailersSubmitted = false
  /// nghttp2 waits for `resume`: there was nothing to send.
  @exclusivity(unchecked) var isDeferred = false
  /// The response was given up: nothing of it is sent any more.
  @exclusivity(unchecked) var isReplyGivenUp = false
  /// `reply` is text for people, and ends the response.
  @exclusivity(unchecked) var replyIsText = false
  /// What ends the response, when that is more than OK.
  @exclusivity(unchecked) var trailers: [(name: [UInt8], value: [UInt8])]?
  /// The call was answered before the whole request was here.
  @exclusivity(unchecked) var isAnsweredEarly = false

  init(limits: ServerLimits) {
    reader = MessageReader(limit: limits.maximumMessageBytes)
  }

  func prepare(id: Int32) {
    prepareCall()
    self.id = id
    isPost = false
    isHead = false
    hasGRPCContentType = false
    form = RequestForm()
    isMalformed = false
    headersDone = false
    requestDone = false
    takesGzip = false
    headerListBytes = 0
    messagesRead = 0
    messagesSeen = .max
    // Emptied when it was released.
    releaseRequest()
    requestFailed = false
    unconsumedBytes = 0
    countedBytes = 0
    countedHeaderBytes = 0
    clearReply(keeping: 4096)
    waitingReplyBytes = 0
    headersSubmitted = false
    replyIsOpen = false
    isDeferred = false
    trailersSubmitted = false
    isReplyGivenUp = false
    replyIsText = false
    isAnsweredEarly = false
  }

  /// Gives what a large call took back.
  func releaseBuffers() {
    releaseRequest()
    reply.clear()
    if trailers != nil { trailers = nil }
    releaseHandler()
  }

  /// Nobody will ask for the request any more.
  func releaseRequest() {
    if !headerEnds.isEmpty { headerEnds.removeAll(keepingCapacity: true) }
    headerBytes.clear(keeping: Self.keptHeaderBytes)
    body.clear()
    reader.clear()
    if !early.isEmpty { early = [] }
  }

  // MARK: Metadata

  override func releaseMetadata() {
    guard headerBytes.count > 0 else { return }
    headerEnds.removeAll(keepingCapacity: true)
    headerBytes.clear(keeping: Self.keptHeaderBytes)
  }

  func addHeader(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    if let base = name.baseAddress { headerBytes.append(base, count: name.count) }
    if let base = value.baseAddress, value.count > 0 {
      headerBytes.append(base, count: value.count)
    }
    // In range: header lists have a limit.
    headerEnds.append((Int32(headerBytes.count - value.count), Int32(headerBytes.count)))
  }

  override func metadata() -> RPCMetadata {
    headerEnds.isEmpty
      ? RPCMetadata() : RPCMetadata(ReceivedMetadata(headerBytes.bytes, ends: headerEnds))
  }

  override func hasMetadata(_ name: StaticString) -> Bool {
    if headerEnds.isEmpty { return false }
    return ReceivedMetadata.has(name, in: headerBytes.bytes, ends: headerEnds)
  }

  override func forEachValue(
    of name: StaticString, _ body: (UnsafeRawBufferPointer) -> Void
  ) {
    if headerEnds.isEmpty { return }
    ReceivedMetadata.forEachValue(of: name, in: headerBytes.bytes, ends: headerEnds, body)
  }

  override func unknownPath() -> String? {
    guard method < 0 else { return nil }
    var path: String?
    forEachValue(of: ":path") { path = ReceivedMetadata.text($0) }
    return path
  }

  // MARK: Messages

  override func beginReply(count: Int) -> UnsafeMutableRawPointer {
    reply.clear(keeping: 1 << 16)
    return appendMessage(count: count, isCompressed: false)
  }

  func clearReply(keeping limit: Int) {
    reply.clear(keeping: limit)
    replySent = 0
    messageStart = 0
  }

  /// Gives up the memory of what is sent.
  func forgetSent() {
    skipToUnbegun()
    reply.removeFirst(replySent)
    messageStart -= replySent
    replySent = 0
  }

  /// Forgets the messages of which nothing is sent yet, and keeps no more memory than the rest of one that is being
  /// sent takes.
  func forgetUnbegun() {
    skipToUnbegun()
    let count = messageStart - replySent
    var rest = ByteStore(capacity: count)
    if count > 0 { rest.append(reply.base + replySent, count: count) }
    reply = rest
    replySent = 0
    messageStart = count
  }

  /// Moves `messageStart` to the first message of which nothing is sent yet, or behind all.
  private func skipToUnbegun() {
    while messageStart < replySent {
      let length = reply.bytes.loadUnaligned(fromByteOffset: messageStart + 1, as: UInt32.self)
      messageStart += Self.prefixLength + Int(UInt32(bigEndian: length))
    }
  }

  /// Room for one more response message.
  func appendMessage(count: Int, isCompressed: Bool) -> UnsafeMutableRawPointer {
    let start = reply.extend(by: Self.prefixLength + count)
    start.storeBytes(of: isCompressed ? 1 : 0, as: UInt8.self)
    (start + 1).storeBytes(of: UInt32(truncatingIfNeeded: count).bigEndian, as: UInt32.self)
    return start + Self.prefixLength
  }

  override func message() throws(RPCStatus) -> UnsafeRawBufferPointer {
    let bytes = body.bytes
    guard bytes.count >= Self.prefixLength else {
      throw bytes.isEmpty
        ? RPCStatus(.unimplemented, "a unary request has exactly one message")
        : RPCStatus(.internalError, "the request message is cut short")
    }
    let length = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 1, as: UInt32.self)))
    guard length == bytes.count - Self.prefixLength else {
      throw RPCStatus(
        length < bytes.count - Self.prefixLength ? .unimplemented : .internalError,
        "a unary request has exactly one whole message")
    }
    guard bytes[0] == 0 else {
      throw RPCStatus(
        .internalError,
        bytes[0] == 1
          ? "compressed message without grpc-encoding" : "unknown message flags")
    }
    return UnsafeRawBufferPointer(rebasing: bytes[Self.prefixLength...])
  }

  override func framedMessage() throws(RPCStatus) -> FramedMessage {
    guard let packed = packedMessage else { return FramedMessage(bytes: Array(try message())) }
    return FramedMessage(bytes: Array(packed), isPacked: true)
  }

  /// The message of a request that is not a stream, if it is whole and packed.
  var packedMessage: UnsafeRawBufferPointer? {
    let bytes = body.bytes
    guard mayBePacked, bytes.count >= Self.prefixLength, bytes[0] == 1 else { return nil }
    let length = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 1, as: UInt32.self)))
    guard length == bytes.count - Self.prefixLength else { return nil }
    return UnsafeRawBufferPointer(rebasing: bytes[Self.prefixLength...])
  }

  /// Replaces `packedMessage` by what it unpacks to: `size` bytes.
  func replaceMessage(
    _ size: Int, _ fill: (UnsafeMutableRawBufferPointer) throws(RPCStatus) -> Void
  ) throws(RPCStatus) {
    var unpacked = ByteStore(capacity: Self.prefixLength + size + 1)
    let start = unpacked.extend(by: Self.prefixLength + size + 1)
    start.storeBytes(of: 0, as: UInt8.self)
    // In range: no message is larger than 4 GiB.
    (start + 1).storeBytes(of: UInt32(size).bigEndian, as: UInt32.self)
    try fill(UnsafeMutableRawBufferPointer(start: start + Self.prefixLength, count: size + 1))
    unpacked.removeLast(1)
    body = unpacked
    requestWasCompressed = true
  }
}
