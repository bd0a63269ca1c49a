internal import TenancyLoop
internal import TenancyRPCCore
internal import TenancyRPCFraming

/// What a ttrpc connection has to send: whole frames, and at the end perhaps an answer that is being
/// written. Confined to one event loop.
///
/// `@exclusivity(unchecked)`: see `TTRPCServerSession`.
final class TTRPCOutput {
  /// Memory that is kept when all is sent.
  private static let idleCapacity = 16 * 1024

  @exclusivity(unchecked) var bytes = ByteStore(capacity: 1024)
  @exclusivity(unchecked) private var head = 0
  /// Where an answer begins that is not final yet, or -1, and how long its message is.
  @exclusivity(unchecked) private var replyStart = -1
  @exclusivity(unchecked) private var replyCount = 0

  /// Bytes that wait for the peer.
  var waiting: Int { bytes.count - head }

  /// Bytes of the message of the answer that was begun last.
  var lastReplyCount: Int { replyCount }

  /// Room for the message of an answer. One begun before is forgotten. A message that no frame can hold
  /// is room only: `commit` says so.
  @inline(__always)
  func beginReply(stream: UInt32, count: Int) -> UnsafeMutableRawPointer {
    rollBack()
    replyStart = bytes.count
    replyCount = count
    guard TTRPCResponse.fits(count) else { return bytes.extend(by: count) }
    return TTRPCResponse.open(in: &bytes, stream: stream, count: count)
  }

  /// What becomes of an answer that was begun.
  enum Outcome {
    case done
    /// None was.
    case nothing
    case tooLarge
    /// More than allowed waited before it.
    case tooMuchWaiting
  }

  /// The answer that was begun is final. It is sent only if `.done`.
  @inline(__always)
  func commit(behind limit: Int) -> Outcome {
    guard replyStart >= 0 else { return .nothing }
    guard TTRPCResponse.fits(replyCount) else { return .tooLarge }
    guard replyStart - head <= limit else { return .tooMuchWaiting }
    replyStart = -1
    return .done
  }

  /// Forgets an answer that is not final.
  @inline(__always)
  func rollBack() {
    if replyStart >= 0 {
      bytes.removeLast(bytes.count - replyStart)
      replyStart = -1
    }
  }

  /// Lends up to `limit` bytes, and then counts them as sent.
  func send(_ limit: Int, _ body: (UnsafeRawBufferPointer) -> Void) {
    let count = min(limit, waiting)
    guard count > 0 else { return }
    body(UnsafeRawBufferPointer(rebasing: bytes.bytes[head..<head + count]))
    head += count
    if head == bytes.count {
      bytes.clear(keeping: Self.idleCapacity)
      head = 0
    } else if head >= bytes.count / 2 {
      // At most as much is moved as was sent.
      bytes.removeFirst(head)
      head = 0
    }
  }
}

/// One call on a ttrpc connection. Objects are reused by their connection; confined to its event loop.
final class TTRPCStream: ServerStream {
  private let output: TTRPCOutput

  @exclusivity(unchecked) var id: UInt32 = 0
  /// No message follows from the client.
  @exclusivity(unchecked) var requestEnded = false
  /// In the connection's table: an asynchronous handler serves it.
  @exclusivity(unchecked) var isOpen = false
  /// Has responses, for which there is no room in the output.
  var isBlocked = false
  /// What the connection counts as buffered for this call.
  var countedBytes = 0
  /// The message of a response that is not a stream, until its handler returns.
  var heldReply: [UInt8]?

  /// The envelope, until the next frame is read: handlers that go on have their copy by then.
  @exclusivity(unchecked) var request: TTRPCRequest?

  /// The envelope of a call that is held back.
  @exclusivity(unchecked) private var envelope: ByteStore?

  init(output: TTRPCOutput) { self.output = output }

  /// Keeps the envelope, which others follow, until `releaseRequest`.
  func keepRequest() {
    guard let request, let base = request.envelope.baseAddress else { return }
    var kept = ByteStore(capacity: request.envelope.count)
    kept.append(base, count: request.envelope.count)
    envelope = consume kept
    guard let bytes = envelope?.bytes else { return }
    do {
      self.request = try TTRPCRequest(reading: bytes)
    } catch {
      // In range: it has been read before.
      preconditionFailure("the envelope was read before")
    }
  }

  func releaseRequest() {
    request = nil
    if envelope != nil { envelope = nil }
  }

  func prepare(id: UInt32, requestEnded: Bool) {
    prepareCall()
    self.id = id
    self.requestEnded = requestEnded
    isDispatched = true
  }

  /// Lets go of what the call held.
  func release() {
    releaseHandler()
    releaseRequest()
    heldReply = nil
    countedBytes = 0
    isOpen = false
    isBlocked = false
  }

  override func beginReply(count: Int) -> UnsafeMutableRawPointer {
    output.beginReply(stream: id, count: count)
  }

  /// One that is not open serves a call that is over before the next frame is read.
  override var mayWait: Bool { isOpen }

  override func metadata() -> RPCMetadata { request?.metadata() ?? RPCMetadata() }

  override func hasMetadata(_ name: StaticString) -> Bool {
    guard let request, request.metadataCount > 0 else { return false }
    return request.metadata().has(name)
  }

  override func forEachValue(
    of name: StaticString, _ body: (UnsafeRawBufferPointer) -> Void
  ) { request?.forEachValue(of: name, body) }

  override func unknownPath() -> String? {
    guard method < 0, let request else { return nil }
    return "/" + ReceivedMetadata.text(request.service) + "/"
      + ReceivedMetadata.text(request.method)
  }

  /// One that is not there is an empty one: that is how proto3 writes it.
  override func message() throws(RPCStatus) -> UnsafeRawBufferPointer {
    request?.payload ?? UnsafeRawBufferPointer(start: nil, count: 0)
  }
}
