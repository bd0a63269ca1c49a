import NIOCore
import NIOEmbedded
import Testing

@testable import TenancyLoop
@testable import TenancyRPCCore
@testable import TenancyRPCServer

/// What a client waits for begins when its headers arrive.
@Suite("Deadlines hold while requests come in and wait")
struct DeadlineTests {
  private static func head(_ stream: UInt32, timeout: String) -> [UInt8] {
    Frame.headers(
      [
        (":method", "POST"), (":scheme", "http"), (":path", "/test.Echo/Inline"),
        (":authority", "a"), ("content-type", "application/grpc"), ("grpc-timeout", timeout),
      ], stream: stream)
  }

  /// A whole request with the window of its answer shut, or open.
  private static func opening(window: UInt32) -> [UInt8] {
    Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
      + Frame.raw(type: 4, stream: 0, [0, 4] + Frame.bigEndian(window))
  }

  private static let message: [UInt8] = [0, 0, 0, 0, 3, 1, 2, 3]

  /// What became of calls according to what the server wrote: an answer, or a status alone.
  private static func statuses(_ output: [UInt8]) -> [UInt32: String] {
    var found: [UInt32: String] = [:]
    for frame in Frame.parse(output) where frame.type == 1 && found[frame.stream] == nil {
      found[frame.stream] = frame.flags & 1 == 0 ? "answered" : "late"
    }
    return found
  }

  @Test func aRequestThatComesInSlowly() throws {
    let server = try EmbeddedServer(methods: EchoService.methods)
    try server.receive(Self.opening(window: 65_535) + Self.head(1, timeout: "100m"))
    server.loop.advanceTime(by: .milliseconds(60))
    try server.receive(Frame.data(Array(Self.message[..<4])))
    server.loop.advanceTime(by: .milliseconds(39))
    #expect(try Self.statuses(server.output()) == [:])
    server.loop.advanceTime(by: .milliseconds(1))
    #expect(try Self.statuses(server.output()) == [1: "late"])
    try server.receive(Frame.data(Array(Self.message[4...]), end: true))
    #expect(try Self.statuses(server.output()) == [:])
    try server.close()
  }

  @Test func aRequestThatComesInTime() throws {
    let server = try EmbeddedServer(methods: EchoService.methods)
    try server.receive(Self.opening(window: 65_535) + Self.head(1, timeout: "100m"))
    server.loop.advanceTime(by: .milliseconds(99))
    try server.receive(Frame.data(Self.message, end: true))
    server.loop.advanceTime(by: .milliseconds(10))
    #expect(try Self.statuses(server.output()) == [1: "answered"])
    #expect(server.state.timers.count <= 1)  // The supervisor's.
    try server.close()
  }

  /// The answer before it waits for its peer, and no more calls are served meanwhile.
  @Test func aRequestThatWaitsForItsTurn() throws {
    var limits = ServerLimits()
    limits.maximumWaitingReplyBytes = 4
    let server = try EmbeddedServer(methods: EchoService.methods, limits: limits)
    let call = { (stream: UInt32) in
      Self.head(stream, timeout: "100m") + Frame.data(Self.message, end: true, stream: stream)
    }
    try server.receive(Self.opening(window: 0) + call(1) + call(3))
    #expect(try Self.statuses(server.output()) == [1: "answered"])
    server.loop.advanceTime(by: .milliseconds(100))
    #expect(try Self.statuses(server.output()) == [3: "late"])
    try server.close()
  }

  /// Frames of ttrpc that wait keep the time when they came.
  @Test func framesThatWait() throws {
    let loop = EmbeddedEventLoop()
    let session = TTRPCServerSession(
      methods: MethodTable(serving: EchoService.methods), limits: ServerLimits(),
      timers: TimerQueue(loop: loop), memory: ConnectionMemory(ServerLimits()))
    let frames = TTRPCTestFrame.request(1, "/test.Echo/Inline", [1], timeout: 5_000_000_000).bytes
    let came = loop.now
    _ = frames.withUnsafeBytes { session.receive($0) }
    session.inputEnded { _ in }
    loop.advanceTime(by: .seconds(3))
    session.timers.beginTurn()
    let stream = try #require(session.nextReady())
    #expect(stream.expiry == came + .seconds(5))
    session.fail(stream, RPCStatus(.cancelled, ""))
  }
}
