import NIOCore
import NIOEmbedded
import TenancyTestSupport

@testable import TenancyLoop
@testable import TenancyRPCClient
@testable import TenancyRPCCore
@testable import TenancyRPCServer

/// HTTP/2 engines, without sockets. What the bytes are is up to the peer; what the engines count of
/// them, and that every call ends once, is up to us.
let http2Targets: [FuzzTarget] = [
  FuzzTarget("http2-server") {
    try Conversation.seeds().map(\.request)
  } run: {
    try runServer($0.pieces())
  },
  // As above, but the input says what is in frames, whose lengths are right.
  FuzzTarget("http2-server-frames") {
    FrameScript.seeds
  } run: { input in
    try runServer([Conversation.preface] + FrameScript.frames(input))
  },
  FuzzTarget("http2-client") {
    try Conversation.seeds().map(\.response)
  } run: {
    try runClient($0.pieces())
  },
  FuzzTarget("http2-client-frames") {
    FrameScript.seeds
  } run: { input in
    try runClient([FrameScript.settings] + FrameScript.frames(input))
  },
]

private func runServer(_ pieces: [[UInt8]]) throws {
  var limits = ServerLimits()
  limits.maximumConcurrentStreams = 8
  limits.maximumMessageBytes = 2_000
  limits.maximumBufferedBytes = 4_000
  limits.maximumHeaderListBytes = 1_000
  limits.maximumWaitingReplyBytes = 3_000
  limits.maximumResetBurst = 10
  let server = HTTP2ServerSession(
    methods: MethodTable(serving: EchoMethods.inline), limits: limits,
    timers: TimerQueue(loop: EmbeddedEventLoop()), memory: ConnectionMemory(limits))
  for piece in pieces {
    guard case .proceed = piece.withUnsafeBytes({ server.receive($0) }) else { break }
    server.serve()
    try check(server.bufferedBytes >= 0, "buffered \(server.bufferedBytes)")
    try check(
      server.bufferedBytes <= limits.maximumBufferedBytes, "over the limit of request bytes")
    var output = ByteBuffer()
    guard case .proceed = server.produce(into: &output) else { break }
    try check(server.waitingReplyBytes >= 0, "waiting \(server.waitingReplyBytes)")
    try check(server.streams.count <= limits.maximumConcurrentStreams, "too many streams")
    if server.streams.count == 0 {
      try checkEqual(server.bufferedBytes, 0, "request bytes of no stream")
      try checkEqual(server.waitingReplyBytes, 0, "response bytes of no stream")
      try check(!server.hasReady, "calls of no stream")
    }
  }
  server.abandonCalls()
}

private func runClient(_ pieces: [[UInt8]]) throws {
  var limits = ClientLimits()
  limits.maximumMessageBytes = 2_000
  limits.maximumHeaderListBytes = 1_000
  let client = HTTP2ClientSession(scheme: "http", authority: "localhost", limits: limits)
  let calls = [CallKind.unary, .serverStreaming, .bidirectional].map { ($0, EndCount()) }
  for (kind, call) in calls {
    let head = try RequestHead(
      path: EchoMethods.path, kind: kind, metadata: ["x-a": "b"], limits: limits)
    let stream = client.open(head, timeout: 5_000_000_000)
    stream.observer = call
    client.send(OutboundMessage(bytes: [1, 2, 3]), on: stream)
    client.finishRequests(of: stream)
  }
  func step() throws {
    for stream in client.settle() { stream.observer?.streamChanged(stream) }
    try check(calls.allSatisfy { $0.1.ends <= 1 }, "a call ends twice")
    var output = ByteBuffer()
    _ = client.produce(into: &output)
    for stream in client.settle() { stream.observer?.streamChanged(stream) }
  }
  try step()
  for piece in pieces {
    guard case .proceed = piece.withUnsafeBytes({ client.receive($0) }) else { break }
    try step()
  }
  client.endAll(RPCStatus(.unavailable, "lost"))
  try step()
  try checkEqual(calls.map(\.1.ends), [1, 1, 1], "ends")
}

/// How often a call has ended. Takes messages as they come.
private final class EndCount: ClientStreamObserver {
  private(set) var ends = 0

  func streamChanged(_ stream: ClientStream) {
    for case .ended in stream.takeEvents() { ends += 1 }
  }
}

extension ConnectionMemory {
  /// For an engine that is alone.
  convenience init(_ limits: ServerLimits) {
    self.init(ServerMemory(limits), peer: .user(1), limits: limits) { _, _ in }
  }
}

extension HTTP2ServerSession {
  /// Answers what is ready, as the connection's handler does.
  func serve() {
    while let stream = nextReady() {
      guard stream.awaitsResponse else { continue }
      switch stream.refusal {
      case .status(let status): fail(stream, status)
      case .http(let status): fail(stream, http: status)
      case nil: answer(stream)
      }
    }
  }

  private func answer(_ stream: HTTP2Stream) {
    do throws(RPCStatus) {
      try unpack(stream)
      let message = try stream.message()
      let target = stream.beginReply(count: message.count)
      if let base = message.baseAddress { target.copyMemory(from: base, byteCount: message.count) }
      succeed(stream)
    } catch {
      fail(stream, error)
    }
  }
}

/// A call, as both sides write it.
struct Conversation {
  static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

  let request: [UInt8]
  let response: [UInt8]

  init(_ path: String, _ message: [UInt8], _ metadata: RPCMetadata) throws {
    let client = HTTP2ClientSession(
      scheme: "http", authority: "localhost", limits: ClientLimits())
    let server = HTTP2ServerSession(
      methods: MethodTable(serving: EchoMethods.inline), limits: ServerLimits(),
      timers: TimerQueue(loop: EmbeddedEventLoop()), memory: ConnectionMemory(ServerLimits()))
    let head = try RequestHead(
      path: path, kind: .unary, metadata: metadata, limits: client.limits)
    for timeout in [1_000_000, nil] as [UInt64?] {
      let stream = client.open(head, timeout: timeout)
      client.send(OutboundMessage(bytes: message), on: stream)
      client.finishRequests(of: stream)
    }
    var request = ByteBuffer()
    var response = ByteBuffer()
    for _ in 0..<3 {
      var sent = ByteBuffer()
      _ = client.produce(into: &sent)
      _ = sent.readableBytesView.withUnsafeBytes { server.receive($0) }
      server.serve()
      var received = ByteBuffer()
      _ = server.produce(into: &received)
      _ = received.readableBytesView.withUnsafeBytes { client.receive($0) }
      _ = client.settle()
      request.writeBuffer(&sent)
      response.writeBuffer(&received)
    }
    self.request = Array(request.readableBytesView)
    self.response = Array(response.readableBytesView)
  }

  static func seeds() throws -> [Conversation] {
    [
      try Conversation(EchoMethods.path, [1, 2, 3], [:]),
      try Conversation("/no/such", [], ["x-bin": "AAEC"]),
      try Conversation(EchoMethods.path, [UInt8](repeating: 7, count: 1_500), ["a": "b", "c": ""]),
    ]
  }
}

/// Reads the input as a list of frames: type, flags, stream, length and payload, one byte each but for
/// the payload. HEADERS may be written in words.
enum FrameScript {
  static let settings = encode(type: 4, flags: 0, stream: 0, [])

  static func frames(_ input: [UInt8]) -> [[UInt8]] {
    var rest = input[...]
    var frames: [[UInt8]] = []
    while rest.count >= 4, frames.count < 64 {
      let head = [UInt8](rest.prefix(4))
      rest = rest.dropFirst(4)
      var payload = [UInt8](rest.prefix(Int(head[3])))
      rest = rest.dropFirst(payload.count)
      // The high bit of the type stands for a block of fields that is known to be good.
      if head[0] & 0x80 != 0 { payload = block(head[0] >> 4 & 7) + payload }
      frames.append(
        encode(type: head[0] & 0x0F, flags: head[1], stream: UInt32(head[2]), payload))
    }
    return frames
  }

  static func encode(type: UInt8, flags: UInt8, stream: UInt32, _ payload: [UInt8]) -> [UInt8] {
    let length = UInt32(payload.count)
    return [16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) } + [type, flags]
      + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: stream >> $0) } + payload
  }

  private static func block(_ number: UInt8) -> [UInt8] {
    let request = [
      (":method", "POST"), (":scheme", "http"), (":path", EchoMethods.path),
      (":authority", "localhost"), ("te", "trailers"), ("content-type", "application/grpc"),
    ]
    let fields: [(String, String)] =
      switch number {
      case 0: request
      case 1: request + [("grpc-timeout", "1m"), ("grpc-encoding", "gzip"), ("a-bin", "AAEC")]
      case 2: request.map { $0.0 == ":path" ? ($0.0, "/no/such") : $0 }
      case 3: request.map { $0.0 == ":method" ? ($0.0, "HEAD") : $0 }
      case 4: [(":status", "200"), ("content-type", "application/grpc")]
      case 5: [("grpc-status", "0")]
      case 6: [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "5")]
      default: [("grpc-status", "7"), ("grpc-message", "a%20b"), ("x-bin", "AA==")]
      }
    return fields.flatMap { name, value in
      [0, UInt8(name.utf8.count)] + name.utf8 + [UInt8(value.utf8.count)] + value.utf8
    }
  }

  static let seeds: [[UInt8]] = {
    let settings: [UInt8] = [4, 0, 0, 0]
    let message = frame([1, 2, 3])
    let request = settings + [0x81, 4, 1, 0] + [0, 1, 1, UInt8(message.count)] + message
    let response =
      [0xC1, 4, 1, 0] + [0, 0, 1, UInt8(message.count)] + message + [0xD1, 5, 1, 0]
    // A client that opens its windows late, or never.
    let shut: [UInt8] = [4, 0, 0, 6, 0, 4, 0, 0, 0, 0]
    let open: [UInt8] = [8, 0, 1, 4, 0, 0, 0, 4]
    return [
      shut + request + open + open, shut + request + [3, 0, 1, 4, 0, 0, 0, 8], request, response,
      settings + [0x91, 5, 1, 0], settings + [0xA1, 5, 1, 0],
      request + [0x81, 4, 3, 0] + [3, 0, 3, 4, 0, 0, 0, 8], settings + [0xB1, 5, 1, 0],
      [6, 0, 0, 8] + [UInt8](repeating: 1, count: 8), [7, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0],
      [8, 0, 0, 4, 0, 1, 0, 0], response + [0xE1, 5, 3, 0], [0xF1, 5, 1, 0],
    ]
  }()
}
