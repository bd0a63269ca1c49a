internal import NIOCore
internal import TenancyLoop
internal import TenancyRPCCore
internal import TenancyRPCFraming

/// ttrpc 1.2 as a client engine (containerd/ttrpc, PROTOCOL.md).
///
/// ttrpc has no flow control, no cancellation and no word for going away. So:
/// - The connection is not read while its callers have not taken `ClientLimits.streamWindowBytes`.
/// - A call that is given up ends its requests, if they are a stream, and what still comes for it is
///   ignored; the server has been told its deadline.
/// - Response metadata and compression do not exist.
final class TTRPCClientSession: ClientEngine {
  private let limits: ClientLimits
  private var reader = TTRPCFrameReader()
  /// Frames that were written and not taken.
  private var output = ByteStore(capacity: 4096)
  private var nextID: UInt32 = 1
  private var nextOrder = 0
  /// Calls that are not over.
  private var open: [ObjectIdentifier: TTRPCClientStream] = [:]
  /// Those that the server knows.
  private var known: [UInt32: TTRPCClientStream] = [:]
  /// Streams that have something to write, which take turns.
  private var writable = FIFO<TTRPCClientStream>()
  /// Calls that wait until the server works on fewer.
  private var waiting = FIFO<TTRPCClientStream>()
  private var changed: [TTRPCClientStream] = []
  private var heldBytes = 0
  private(set) var isGoingAway = false

  init(limits: ClientLimits) { self.limits = limits }

  /// There is no greeting to wait for.
  var isEstablished: Bool { true }
  var acceptsCalls: Bool { !isGoingAway }
  var openStreams: Int { open.count }
  var wantsToClose: Bool { isGoingAway && open.isEmpty && output.count == 0 }
  var isInputPaused: Bool { heldBytes >= limits.streamWindowBytes }
  var maximumOutputBytes: Int { limits.maximumOutputBytes }

  // MARK: Calls

  func open(_ head: RequestHead, timeout: UInt64?) -> ClientStream {
    let stream = TTRPCClientStream(head, timeout: timeout, order: nextOrder)
    nextOrder += 1
    open[ObjectIdentifier(stream)] = stream
    if isGoingAway {
      fail(stream, RPCStatus(.unavailable, "the connection takes no more calls"), .neverSent)
    }
    queue(stream)
    return stream
  }

  func send(_ message: OutboundMessage, on stream: ClientStream) {
    guard stream.end == nil, let stream = stream as? TTRPCClientStream else { return }
    stream.enqueue(message)
    queue(stream)
  }

  func finishRequests(of stream: ClientStream) {
    guard stream.end == nil, let stream = stream as? TTRPCClientStream else { return }
    stream.finishRequests()
    if !stream.kind.clientStreams { stream.isClosed = true }  // Its request says so.
    queue(stream)
  }

  func consumed(_ bytes: Int, of stream: ClientStream) {
    guard let stream = stream as? TTRPCClientStream else { return }
    let taken = min(bytes, stream.heldBytes)  // Those of a stream that is over count no more.
    stream.heldBytes -= taken
    heldBytes -= taken
  }

  func cancel(_ stream: ClientStream, _ status: RPCStatus) {
    guard stream.end == nil, let stream = stream as? TTRPCClientStream else { return }
    if stream.id != 0, stream.kind.clientStreams, !stream.isClosed { writeClose(stream) }
    fail(stream, status)
  }

  func endAll(_ status: RPCStatus) {
    for stream in open.values.sorted(by: { $0.order < $1.order }) { fail(stream, status) }
  }

  func goAway() { isGoingAway = true }

  func ping() -> Bool { false }

  func settle() -> [ClientStream] {
    guard !changed.isEmpty else { return [] }
    defer { changed.removeAll(keepingCapacity: true) }
    for stream in changed { stream.isListed = false }
    return changed
  }

  // MARK: Output

  func produce(into buffer: inout ByteBuffer) -> EngineOutcome {
    while output.count < limits.maximumOutputBytes, let stream = writable.popFirst() {
      if stream.id == 0, known.count >= limits.maximumTTRPCCalls, stream.end == nil {
        waiting.append(stream)
        continue
      }
      stream.isQueued = false
      guard stream.canWrite else { continue }
      do throws(RPCStatus) {
        try write(stream)
        note(stream)
        queue(stream)
      } catch {
        fail(stream, error)
      }
    }
    buffer.writeBytes(output.bytes)
    output.clear(keeping: 64 * 1024)
    return .proceed
  }

  /// Writes one frame.
  private func write(_ stream: TTRPCClientStream) throws(RPCStatus) {
    if stream.id == 0 { return try writeRequest(stream) }
    guard let message = stream.outbound.first else { return writeClose(stream) }
    guard message.bytes.count <= TTRPCFrameHeader.maximumPayload else {
      let limit = TTRPCFrameHeader.maximumPayload
      throw RPCStatus(.resourceExhausted, "a request message is larger than \(limit) bytes")
    }
    let header = TTRPCFrameHeader(
      payloadCount: message.bytes.count, stream: stream.id, type: .data)
    let target = header.open(in: &output)
    message.bytes.withUnsafeBytes { bytes in
      if let base = bytes.baseAddress { target.copyMemory(from: base, byteCount: bytes.count) }
    }
    taken(stream, message)
  }

  private func writeRequest(_ stream: TTRPCClientStream) throws(RPCStatus) {
    let message = stream.kind.clientStreams ? nil : stream.outbound.first
    let flags: TTRPCFlags =
      switch stream.kind {
      case .unary: []
      case .serverStreaming: .remoteClosed
      case .clientStreaming, .bidirectional: .remoteOpen
      }
    let id = nextID
    let timeout = stream.timeout.map { Int64(clamping: $0) }
    let written = (message?.bytes ?? []).withUnsafeBytes { bytes in
      Result { () throws(RPCStatus) in
        try TTRPCRequest.write(
          to: &output, stream: id, flags: flags, path: stream.head.path,
          payload: message == nil ? nil : bytes, timeoutNanoseconds: timeout,
          metadata: stream.head.metadata)
      }
    }
    try written.get()
    stream.id = id
    known[id] = stream
    if let message { taken(stream, message) }
    // Client's numbers are odd, and used once.
    // In range: looked at first.
    if nextID > UInt32.max - 2 { isGoingAway = true } else { nextID += 2 }
  }

  private func taken(_ stream: TTRPCClientStream, _ message: OutboundMessage) {
    stream.outbound.popFirst()
    stream.sentCost += message.cost
  }

  private func writeClose(_ stream: TTRPCClientStream) {
    let header = TTRPCFrameHeader(
      payloadCount: 0, stream: stream.id, type: .data, flags: [.remoteClosed, .noData])
    _ = header.open(in: &output)
    stream.isClosed = true
  }

  private func queue(_ stream: TTRPCClientStream) {
    guard stream.canWrite, !stream.isQueued else { return }
    stream.isQueued = true
    writable.append(stream)
  }

  // MARK: Input

  func receive(_ bytes: UnsafeRawBufferPointer) -> EngineOutcome {
    reader.append(bytes)
    while let event = reader.next() {
      switch event {
      case .frame(let header, let payload):
        guard let stream = known[header.stream] else { continue }
        do throws(RPCStatus) {
          try received(header, payload, stream)
        } catch {
          fail(stream, error)
        }
      case .tooLarge(let header):
        if let stream = known[header.stream] { fail(stream, tooLarge) }
      case .broken(let header):
        return .failed("a frame of \(header.payloadCount) bytes")
      }
    }
    return .proceed
  }

  private var tooLarge: RPCStatus {
    let limit = min(limits.maximumMessageBytes, TTRPCFrameHeader.maximumPayload)
    return RPCStatus(.resourceExhausted, "a response message is larger than \(limit) bytes")
  }

  private func received(
    _ header: TTRPCFrameHeader, _ payload: UnsafeRawBufferPointer, _ stream: TTRPCClientStream
  ) throws(RPCStatus) {
    switch header.type {
    case .data:
      guard stream.kind.serverStreams else {
        throw RPCStatus(.internalError, "the server sent a stream where one message is due")
      }
      if !header.flags.contains(.noData) { try message(payload, stream) }
      if header.flags.contains(.remoteClosed) { finish(stream, StreamEnd(status: Self.ok)) }
    case .response: try response(payload, stream)
    default: break  // Kept for extensions.
    }
  }

  private static let ok = RPCStatus(.ok, "")

  private func response(
    _ envelope: UnsafeRawBufferPointer, _ stream: TTRPCClientStream
  ) throws(RPCStatus) {
    let response: TTRPCResponse
    do throws(ProtobufReader.Malformed) {
      response = try TTRPCResponse(reading: envelope)
    } catch {
      throw RPCStatus(.internalError, "the server's response can't be read")
    }
    if let status = response.status { return finish(stream, StreamEnd(status: status)) }
    // At the end of a stream an empty response is no message: it says that there are no more.
    if !stream.kind.serverStreams || !response.payload.isEmpty {
      try message(response.payload, stream)
    }
    finish(stream, StreamEnd(status: Self.ok))
  }

  private func message(
    _ bytes: UnsafeRawBufferPointer, _ stream: TTRPCClientStream
  ) throws(RPCStatus) {
    guard bytes.count <= limits.maximumMessageBytes else { throw tooLarge }
    if !stream.hasBegun {
      stream.hasBegun = true
      stream.note(headers: RPCMetadata())
    }
    let size = bytes.count + TTRPCFrameHeader.length
    try stream.note(InboundMessage(bytes: Array(bytes), isCompressed: false, wireBytes: size))
    stream.heldBytes += size
    heldBytes += size
    note(stream)
  }

  // MARK: Ends

  private func fail(
    _ stream: TTRPCClientStream, _ status: RPCStatus, _ reach: StreamEnd.Reach? = nil
  ) {
    // What is wrong with a call itself would be wrong again, wherever it got.
    let isOwnFault = status.code == .resourceExhausted
    let known: StreamEnd.Reach = stream.id == 0 && !isOwnFault ? .neverSent : .processed
    finish(stream, StreamEnd(status: status, reach: reach ?? known))
  }

  private func finish(_ stream: TTRPCClientStream, _ end: StreamEnd) {
    guard stream.finish(end) else { return }
    open[ObjectIdentifier(stream)] = nil
    consumed(stream.heldBytes, of: stream)
    note(stream)
    if known.removeValue(forKey: stream.id) != nil { wakeWaiting() }
  }

  private func wakeWaiting() {
    while let stream = waiting.popFirst() {
      guard stream.end == nil else { continue }
      return writable.append(stream)
    }
  }

  private func note(_ stream: TTRPCClientStream) {
    guard !stream.isListed else { return }
    stream.isListed = true
    changed.append(stream)
  }
}
