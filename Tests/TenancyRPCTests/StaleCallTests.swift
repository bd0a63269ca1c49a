import NIOCore
import NIOEmbedded
import Testing

@testable import TenancyLoop
@testable import TenancyRPCCore
@testable import TenancyRPCServer

/// What a peer does to calls that wait to be served, are over, or were never taken.
@Suite("Calls that are not there are not served")
struct StaleCallTests {
  private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
  private static let collect = "/test.Stream/Collect"
  /// `:method GET` of the static table: a byte that stands for 42 of a header list.
  private static let indexed: UInt8 = 0x82

  private static func session() -> HTTP2ServerSession {
    let methods =
      EchoService.methods + [
        .streaming(path: collect, kind: .clientStreaming) { _, _, _ in }
      ]
    return HTTP2ServerSession(
      methods: MethodTable(serving: methods), limits: ServerLimits(),
      timers: TimerQueue(loop: EmbeddedEventLoop()), memory: ConnectionMemory(ServerLimits()))
  }

  private static func fields(_ path: String) -> [(String, String)] {
    [
      (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "a"),
      ("content-type", "application/grpc"), ("te", "trailers"),
    ]
  }

  private static func head(_ stream: UInt32, _ path: String = "/test.Echo/Inline") -> [UInt8] {
    Frame.headers(fields(path), stream: stream)
  }

  private static func request(_ stream: UInt32) -> [UInt8] {
    head(stream) + Frame.data([0, 0, 0, 0, 1, 7], end: true, stream: stream)
  }

  /// A block that is not HTTP, and too large as well.
  private static func badBlock(_ stream: UInt32) -> [UInt8] {
    Frame.raw(
      type: 1, flags: 4, stream: stream,
      [0, 1, UInt8(ascii: "X"), 1, UInt8(ascii: "y")]
        + [UInt8](repeating: indexed, count: 400))
  }

  /// The beginning of a request: its header block goes on.
  private static func openHead(_ stream: UInt32) -> [UInt8] {
    var head = head(stream)
    head[4] = 0
    return head
  }

  private static func feed(_ session: HTTP2ServerSession, _ bytes: [UInt8]) -> Bool {
    if case .proceed = bytes.withUnsafeBytes({ session.receive($0) }) { return true }
    return false
  }

  /// The calls that would be served now, by stream.
  private static func serve(_ session: HTTP2ServerSession) -> [Int32] {
    var served: [Int32] = []
    _ = session.serveEcho { served.append($0.id) }
    return served
  }

  private static func opened() -> HTTP2ServerSession {
    let session = session()
    #expect(feed(session, preface + Frame.settings))
    _ = session.output()
    return session
  }

  @Test(arguments: [0x7FFF_FFFE, 0x7FFF_FFFD] as [UInt32], [0, 4, 5] as [UInt8])
  func theHighestNumbers(first: UInt32, flags: UInt8) {
    let session = Self.session()
    let frames = [first, 0x7FFF_FFFF].flatMap { Frame.raw(type: 1, flags: flags, stream: $0, []) }
    _ = Self.feed(session, Self.preface + Frame.settings + frames)
    #expect(Self.serve(session).isEmpty)
    // The connection ends, and its peer is told.
    #expect(Frame.parse(session.output()).contains { $0.type == 7 || $0.type == 3 })
  }

  @Test func aMalformedCallThatIsReset() {
    let session = Self.opened()
    #expect(Self.feed(session, Self.badBlock(1) + Frame.reset(8) + Self.openHead(3)))
    #expect(!session.hasReady)
    #expect(Self.serve(session).isEmpty)
  }

  @Test func aMalformedCallBeforeAWholeOne() {
    let session = Self.opened()
    #expect(Self.feed(session, Self.badBlock(1) + Frame.reset(8) + Self.request(3)))
    var served: [StreamKey] = []
    // As a handler that answers later would.
    while let stream = session.nextReady() { served.append(stream.key) }
    #expect(served.count == 1)
    #expect(session.stream(served[0])?.id == 3)
  }

  /// What a client says of a call after its answer.
  @Test(arguments: [true, false]) func anAnsweredCall(endsInTrailers: Bool) {
    let session = Self.opened()
    #expect(Self.feed(session, Self.head(1, Self.collect)))
    #expect(Self.serve(session) == [1])
    let rest =
      endsInTrailers
      ? Frame.raw(type: 1, flags: 5, stream: 1, [UInt8](repeating: Self.indexed, count: 400))
      : Frame.data([0, 0, 0, 0, 9, 1], end: true)
    #expect(Self.feed(session, rest))
    #expect(!session.hasReady)
    _ = session.output()
    #expect(session.openCalls == 0)
    #expect(Self.feed(session, Self.openHead(3)))
    #expect(Self.serve(session).isEmpty)
  }

  /// The message is too large; the call waits for its turn meanwhile.
  @Test func aCallThatIsRefusedWhileItWaits() {
    let session = Self.opened()
    let tooLarge: [UInt8] = [0, 0xFF, 0xFF, 0xFF, 0xFF]
    #expect(Self.feed(session, Self.head(1, Self.collect) + Frame.data(tooLarge)))
    let stream = session.nextReady()
    #expect(stream?.id == 1)
    if let stream { session.fail(stream, RPCStatus(.resourceExhausted, "")) }
    #expect(!session.hasReady)
    _ = session.output()
    #expect(session.openCalls == 0)
    #expect(Self.feed(session, Self.openHead(3)))
    #expect(Self.serve(session).isEmpty)
  }

  @Test func aQueueHoldsFewCallsThatAreOver() {
    let session = Self.opened()
    for stream in stride(from: UInt32(1), to: 4_001, by: 2) {
      #expect(Self.feed(session, Self.request(stream) + Frame.reset(8, stream: stream)))
      _ = session.output()
    }
    #expect(session.ready.held <= 64)
    #expect(Self.serve(session).isEmpty)
  }

  // MARK: GOAWAY

  private static func lastOwned(_ output: [UInt8]) -> UInt32? {
    Frame.parse(output).last { $0.type == 7 }.map {
      $0.payload[0..<4].reduce(0) { $0 << 8 | UInt32($1) }
    }
  }

  /// The peer does not read for a while: calls come in between the decision to go and its news.
  @Test func aCallThatComesBeforeTheNewsIsLeftAlone() {
    let session = Self.opened()
    #expect(Self.feed(session, Self.request(1)))
    #expect(Self.serve(session) == [1])
    session.beginDrain()
    session.finishDrain()
    #expect(Self.feed(session, Self.request(3) + Self.request(5)))
    #expect(Self.serve(session).isEmpty)
    let output = session.output()
    #expect(Self.lastOwned(output) == 1)
    // 7: REFUSED_STREAM.
    let resets = Frame.parse(output).filter { $0.type == 3 }
    #expect(resets.map(\.stream) == [3, 5] || resets.isEmpty)
    #expect(resets.allSatisfy { $0.payload == [0, 0, 0, 7] })
  }

  @Test func whatIsOwnedNeverGrows() {
    let session = Self.opened()
    #expect(Self.feed(session, Self.request(1)))
    session.finishDrain()
    #expect(Self.feed(session, Self.request(3)))
    session.finishDrain()
    // Priority of a stream on itself: the connection ends with an error.
    #expect(!Self.feed(session, Frame.raw(type: 2, stream: 5, [0, 0, 0, 5, 1])))
    #expect(Self.serve(session) == [1])
    var buffer = ByteBuffer()
    _ = session.produce(into: &buffer)
    let announced = Frame.parse(Array(buffer.readableBytesView)).filter { $0.type == 7 }
    #expect(announced.count == 2)
    #expect(announced.allSatisfy { Array($0.payload[0..<4]) == [0, 0, 0, 1] })
  }

  /// What more is said of them is no mistake: their peer has not heard yet. The calls that are owned go on.
  @Test func disownedCallsDoNotEndTheConnection() {
    let session = Self.opened()
    #expect(Self.feed(session, Self.request(1)))
    session.finishDrain()
    #expect(Self.feed(session, Self.head(3)))
    let trailers = Frame.headers([("x-trailer", "1")], end: true, stream: 3)
    #expect(Self.feed(session, Frame.data([0], stream: 3)))
    #expect(Self.feed(session, trailers))
    #expect(Self.serve(session) == [1])
    let resets = Frame.parse(session.output()).filter { $0.type == 3 }
    #expect(resets.allSatisfy { $0.stream == 3 && $0.payload == [0, 0, 0, 7] })
  }

  /// Their requests do not hold the window of the calls that are served.
  @Test func disownedCallsGiveTheWindowBack() {
    let session = Self.opened()
    #expect(Self.feed(session, Self.head(1, Self.collect)))
    #expect(Self.serve(session) == [1])
    session.finishDrain()
    let part = [UInt8](repeating: 0, count: 16_000)
    #expect(Self.feed(session, Self.head(3)))
    for _ in 0..<60 { #expect(Self.feed(session, Frame.data(part, stream: 3))) }
    #expect(Frame.parse(session.output()).contains { $0.type == 8 && $0.stream == 0 })
  }
}
