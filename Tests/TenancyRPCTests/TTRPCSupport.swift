import NIOCore
import NIOEmbedded
import Testing

@testable import TenancyLoop
@testable import TenancyRPCCore
@testable import TenancyRPCFraming
@testable import TenancyRPCServer

/// A frame, for tests to send and to compare.
struct TTRPCTestFrame: Equatable, CustomStringConvertible {
  var stream: UInt32
  var type: TTRPCFrameType
  var flags: TTRPCFlags
  var payload: [UInt8]

  init(
    _ stream: UInt32, _ type: TTRPCFrameType, _ flags: TTRPCFlags = [], _ payload: [UInt8] = []
  ) {
    self.stream = stream
    self.type = type
    self.flags = flags
    self.payload = payload
  }

  static func request(
    _ stream: UInt32, _ path: String, _ payload: [UInt8]? = nil, flags: TTRPCFlags = [],
    timeout: Int64? = nil, metadata: RPCMetadata = [:]
  ) -> TTRPCTestFrame {
    var output = ByteStore(capacity: 64)
    do {
      try (payload ?? []).withUnsafeBytes { bytes in
        try TTRPCRequest.write(
          to: &output, stream: stream, flags: flags, path: path,
          payload: payload == nil ? nil : bytes, timeoutNanoseconds: timeout, metadata: metadata)
      }
    } catch {
      Issue.record(error)
    }
    return TTRPCTestFrame(stream, .request, flags, Array(output.bytes.dropFirst(10)))
  }

  static func data(
    _ stream: UInt32, _ payload: [UInt8] = [], flags: TTRPCFlags = []
  ) -> TTRPCTestFrame {
    TTRPCTestFrame(stream, .data, flags, payload)
  }

  static func end(_ stream: UInt32) -> TTRPCTestFrame {
    TTRPCTestFrame(stream, .data, [.remoteClosed, .noData])
  }

  /// An answer: OK with a message.
  static func ok(_ stream: UInt32, _ payload: [UInt8]) -> TTRPCTestFrame {
    var output = ByteStore(capacity: 64)
    let target = TTRPCResponse.open(in: &output, stream: stream, count: payload.count)
    UnsafeMutableRawBufferPointer(start: target, count: payload.count).copyBytes(from: payload)
    return TTRPCTestFrame(stream, .response, [], Array(output.bytes.dropFirst(10)))
  }

  var bytes: [UInt8] {
    var output = ByteStore(capacity: 64)
    let header = TTRPCFrameHeader(
      payloadCount: payload.count, stream: stream, type: type, flags: flags)
    let target = header.open(in: &output)
    UnsafeMutableRawBufferPointer(start: target, count: payload.count).copyBytes(from: payload)
    return Array(output.bytes)
  }

  /// The status of an answer; nil if it is OK, or not an answer.
  var status: RPCStatus? {
    guard type == .response else { return nil }
    return payload.withUnsafeBytes { bytes in
      do {
        return try TTRPCResponse(reading: bytes).status
      } catch {
        Issue.record("malformed answer")
        return nil
      }
    }
  }

  var code: RPCStatus.Code? { status?.code }

  var description: String {
    let shown = payload.count <= 40 ? "\(payload)" : "\(payload.count) bytes"
    return
      "\(stream): type \(type.rawValue) flags \(flags.rawValue) \(status?.description ?? shown)"
  }

  /// Cuts bytes into frames; nothing may be left over.
  static func parse(_ bytes: [UInt8]) -> [TTRPCTestFrame] {
    var reader = TTRPCFrameReader()
    bytes.withUnsafeBytes { reader.append($0) }
    var frames: [TTRPCTestFrame] = []
    while case .frame(let header, let payload)? = reader.next() {
      frames.append(
        TTRPCTestFrame(header.stream, header.type, header.flags, Array(payload)))
    }
    #expect(reader.unreadBytes == 0)
    return frames
  }
}

/// A ttrpc connection of a server, without sockets, threads or a clock: whatever it does, it does in
/// `send` and `run`.
final class TTRPCTestConnection {
  let core: ServerCore
  let handler: ServerConnectionHandler<TTRPCServerSession>
  private let channel = EmbeddedChannel()
  private(set) var output: [UInt8] = []
  private var seen = 0

  init(
    _ methods: [TestMethod] = EchoService.methods + TTRPCTestService.methods,
    limits: ServerLimits = ServerLimits()
  ) throws {
    core = ServerCore(methods: methods, limits: limits, delegate: PlainDelegate())
    // From here on the loop's clock follows the real one.
    channel.embeddedEventLoop.advanceTime(to: .now())
    handler = try ServerConnectionHandler(
      core: core, peer: .address(""),
      loop: LoopState(channel.embeddedEventLoop, embedder: core.embedder.makeLoop()))
    try channel.pipeline.syncOperations.addHandler(handler)
    try channel.connect(to: SocketAddress(unixDomainSocketPath: "/test")).wait()
  }

  var engine: TTRPCServerSession { handler.engine }

  /// Our side of the connection has been closed.
  private(set) var isClosed = false

  func send(_ bytes: some Sequence<UInt8>) {
    do {
      try channel.writeInbound(ByteBuffer(bytes: bytes))
    } catch {
      Issue.record(error)
    }
    run()
  }

  func send(_ frames: TTRPCTestFrame...) { send(frames.flatMap(\.bytes)) }

  /// Does what is due.
  func run() {
    channel.embeddedEventLoop.advanceTime(to: .now())
    do {
      while let buffer = try channel.readOutbound(as: ByteBuffer.self) {
        output += Array(buffer: buffer)
      }
    } catch {
      Issue.record(error)
    }
  }

  /// The frames that have been sent since the last time.
  func frames() -> [TTRPCTestFrame] {
    defer { seen = output.count }
    return TTRPCTestFrame.parse(Array(output[seen...]))
  }

  func close() throws {
    _ = try channel.finish(acceptAlreadyClosed: true)
  }

  deinit {
    // Otherwise channel, pipeline and loop hold one another for ever. Errors are the test's to look for.
    _ = try? channel.finish(acceptAlreadyClosed: true)
    try? channel.embeddedEventLoop.syncShutdownGracefully()
  }
}

/// Streams that run on the event loop.
enum TTRPCTestService {
  static let methods: [TestMethod] = [
    .streaming(path: "/test.Streams/Echo", kind: .bidirectional) { _, requests, responses in
      for try await message in requests { try await responses.send(message.bytes) }
    },
    .streaming(path: "/test.Streams/Sum", kind: .clientStreaming) { _, requests, responses in
      var sum: UInt8 = 0
      for try await message in requests { for byte in message.bytes { sum &+= byte } }
      try await responses.send([sum])
    },
    .streaming(path: "/test.Streams/Count", kind: .serverStreaming) { _, requests, responses in
      let count = try await requests.next()?.bytes.first ?? 0
      for number in 0..<count { try await responses.send([number]) }
    },
    .streaming(path: "/test.Streams/Refuse", kind: .bidirectional) { _, requests, _ in
      _ = try await requests.next()
      throw EchoService.refusal
    },
    .streaming(path: "/test.Streams/Nothing", kind: .clientStreaming) { _, _, _ in },
    .streaming(path: "/test.Streams/Twice", kind: .clientStreaming) { _, _, responses in
      try await responses.send([1])
      try await responses.send([2])
    },
    .streaming(path: "/test.Streams/Hold", kind: .bidirectional) { _, requests, _ in
      for try await _ in requests {}
      await untilCancelled()
    },
    // Takes none of its messages.
    .streaming(path: "/test.Streams/Ignore", kind: .bidirectional) { _, _, _ in
      await untilCancelled()
    },
    .inline(path: "/test.Streams/Silent") { _, _ in },
    .inline(path: "/test.Streams/ReplyAndRefuse") { call, _ throws(RPCStatus) in
      call.reply(count: 3) { $0.initializeMemory(as: UInt8.self, repeating: 1, count: 3) }
      throw EchoService.refusal
    },
    .inline(path: "/test.Streams/ReplyTwice") { call, _ in
      call.reply(count: 300) { $0.initializeMemory(as: UInt8.self, repeating: 1, count: 300) }
      call.reply(count: 1) { $0.storeBytes(of: 2, as: UInt8.self) }
    },
    .inline(path: "/test.Streams/Zeros") { call, message in
      let count = message.loadUnaligned(as: Int.self)
      call.reply(count: count) { $0.initializeMemory(as: UInt8.self, repeating: 0, count: count) }
    },
    .inline(path: "/test.Streams/RPCMetadata") { call, _ in
      let text = call.metadata.entries.map { "\($0.name)=\($0.value);" }.joined()
      call.reply(count: text.utf8.count) { target in
        UnsafeMutableRawBufferPointer(start: target, count: text.utf8.count)
          .copyBytes(from: text.utf8)
      }
    },
  ]

  private static func untilCancelled() async {
    let (never, source) = AsyncStream.makeStream(of: Void.self)
    for await _ in never {}
    withExtendedLifetime(source) {}
  }
}
