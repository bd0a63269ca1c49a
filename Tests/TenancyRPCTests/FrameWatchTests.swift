import NIOCore
import NIOEmbedded
import Testing

@testable import TenancyLoop
@testable import TenancyRPCServer

/// What `FrameWatch` makes of frames, through the session that it belongs to.
@Suite("Frames that cost too much, or name streams that are over")
struct FrameWatchTests {
  private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
  private static let ping = Frame.raw(type: 6, stream: 0, Array(repeating: 7, count: 8))

  private static func session(
    _ change: (inout ServerLimits) -> Void = { _ in }
  ) -> HTTP2ServerSession {
    var limits = ServerLimits()
    change(&limits)
    return HTTP2ServerSession(
      methods: MethodTable(serving: EchoService.methods), limits: limits,
      timers: TimerQueue(loop: EmbeddedEventLoop()), memory: ConnectionMemory(limits))
  }

  /// Why the session wants its connection to end after these bytes, or nil.
  private static func failure(_ session: HTTP2ServerSession, _ bytes: [UInt8]) -> String? {
    if case .failed(let reason) = bytes.withUnsafeBytes({ session.receive($0) }) { return reason }
    var output = ByteBuffer()
    if case .failed(let reason) = session.produce(into: &output) { return reason }
    return nil
  }

  private static func opening() -> [UInt8] { preface + Frame.settings }

  private static func request(_ stream: UInt32, end: Bool = true) -> [UInt8] {
    var block: [UInt8] = []
    let fields = [
      (":method", "POST"), (":scheme", "http"), (":path", "/test.Echo/Inline"),
      (":authority", "a"), ("content-type", "application/grpc"), ("te", "trailers"),
    ]
    for (name, value) in fields {
      block += [0, UInt8(name.utf8.count)] + name.utf8 + [UInt8(value.utf8.count)] + value.utf8
    }
    return Frame.raw(type: 1, flags: end ? 5 : 4, stream: stream, block)
  }

  private static func reset(_ stream: UInt32) -> [UInt8] {
    Frame.raw(type: 3, stream: stream, Frame.bigEndian(8))
  }

  /// The limit is the last that is allowed; one more is not.
  @Test(arguments: [
    Frame.raw(type: 8, stream: 0, [0, 0, 0, 1]),  // WINDOW_UPDATE
    Frame.raw(type: 2, stream: 9, [0, 0, 0, 0, 1]),  // PRIORITY
    Frame.raw(type: 6, flags: 1, stream: 0, Array(repeating: 7, count: 8)),  // PING, ACK
    Frame.raw(type: 0xB7, stream: 3, [1, 2, 3]),  // unknown
    Frame.raw(type: 4, flags: 1, stream: 0, []),  // SETTINGS, ACK
  ])
  func uselessFrames(_ frame: [UInt8]) {
    let session = Self.session {
      $0.maximumUselessFrameBurst = 40
      $0.uselessFramesPerSecond = 1
    }
    // The opening's SETTINGS count as 16.
    #expect(Self.failure(session, Self.opening()) == nil)
    for _ in 0..<24 { #expect(Self.failure(session, frame) == nil) }
    #expect(Self.failure(session, frame) == "too many frames that ask for nothing")
  }

  @Test func callsPayForFrames() {
    let session = Self.session {
      $0.maximumUselessFrameBurst = 20
      $0.uselessFramesPerSecond = 1
    }
    #expect(Self.failure(session, Self.opening()) == nil)
    let update = Frame.raw(type: 8, stream: 0, [0, 0, 0, 1])
    for call in 0..<200 {
      let bytes = Self.request(UInt32(2 * call + 1)) + update + update
      #expect(Self.failure(session, bytes) == nil)
    }
  }

  @Test func pings() {
    let session = Self.session { $0.maximumPingStrikes = 2 }
    #expect(Self.failure(session, Self.opening()) == nil)
    for _ in 0..<3 { #expect(Self.failure(session, Self.ping) == nil) }
    #expect(Self.failure(session, Self.ping) == "too_many_pings")
  }

  @Test func resetsOfThePeer() {
    let session = Self.session {
      $0.maximumResetBurst = 5
      $0.resetsPerSecond = 1
    }
    #expect(Self.failure(session, Self.opening()) == nil)
    for call in 0..<5 {
      let stream = UInt32(2 * call + 1)
      #expect(Self.failure(session, Self.request(stream, end: false) + Self.reset(stream)) == nil)
    }
    let bytes = Self.request(11, end: false) + Self.reset(11)
    #expect(Self.failure(session, bytes) == "too many resets")
  }

  /// The peer overflows a stream's window, and we must reset the stream.
  @Test func resetsThatThePeerCauses() {
    let session = Self.session {
      $0.maximumResetBurst = 5
      $0.resetsPerSecond = 1
    }
    #expect(Self.failure(session, Self.opening()) == nil)
    func overflow(_ stream: UInt32) -> [UInt8] {
      Self.request(stream, end: false)
        + Frame.raw(type: 8, stream: stream, [0x7F, 0xFF, 0xFF, 0xFF])
    }
    for call in 0..<5 { #expect(Self.failure(session, overflow(UInt32(2 * call + 1))) == nil) }
    #expect(Self.failure(session, overflow(11)) == "too many resets")
  }

  /// A request whose header list is `bytes` larger than that of the others.
  private static func request(_ stream: UInt32, with bytes: Int) -> [UInt8] {
    let value = [UInt8](repeating: 0x61, count: bytes - 33)
    // A literal with a name of one byte; the value's length takes two bytes more (RFC 7541 §5.1).
    let rest = value.count - 127
    let block =
      Array(Self.request(stream).dropFirst(9)) + [0, 1, 0x62, 127, UInt8(rest & 127 | 128)]
      + [UInt8(rest >> 7)] + value
    return Frame.raw(type: 1, flags: 5, stream: stream, block)
  }

  /// What every call may have is free; beyond it, the limit is the last that is allowed.
  @Test func bytesOfHeaders() throws {
    let session = Self.session {
      $0.maximumHeaderBurst = 10_000
      $0.headerBytesPerSecond = 1
    }
    #expect(Self.failure(session, Self.opening() + Self.request(1)) == nil)
    let plain = try #require(session.nextReady()?.headerListBytes)
    let large = HeaderBudget.free - plain + 2_500
    for call in 0..<50 {
      #expect(Self.failure(session, Self.request(UInt32(3 + 2 * call))) == nil)
    }
    for call in 0..<4 {
      #expect(Self.failure(session, Self.request(UInt32(201 + 2 * call), with: large)) == nil)
    }
    let next = Self.request(301, with: large - 2_400)
    #expect(Self.failure(session, next) == "too many bytes of headers")
  }

  /// A peer that opens its window by a byte at a time makes us send frames that hold next to nothing.
  @Test(arguments: [1, 100, FrameWatch.scrap])
  func scraps(_ window: Int) throws {
    let session = Self.session {
      $0.maximumUselessFrameBurst = 100
      $0.uselessFramesPerSecond = 1
    }
    let noWindow = Frame.raw(type: 4, stream: 0, [0, 4, 0, 0, 0, 0])
    let message = [UInt8](repeating: 7, count: 100_000)
    #expect(Self.failure(session, Self.preface + noWindow + Self.request(1, end: false)) == nil)
    let body = [0] + Frame.bigEndian(UInt32(message.count)) + message
    for part in stride(from: 0, to: body.count, by: 16_000) {
      let end = min(part + 16_000, body.count)
      let data = Frame.raw(
        type: 0, flags: end == body.count ? 1 : 0, stream: 1, Array(body[part..<end]))
      #expect(Self.failure(session, data) == nil)
    }
    #expect(session.serveEcho() == 1)
    let update = Frame.raw(type: 8, stream: 1, Frame.bigEndian(UInt32(window)))
    var sent = 0
    while sent < 90, Self.failure(session, update) == nil { sent += 1 }
    // 16 for SETTINGS; each WINDOW_UPDATE counts as one, and each scrap that it lets us send as well.
    #expect(window < FrameWatch.scrap ? (35...50).contains(sent) : sent == 90, "\(sent)")
  }

  @Test func headersForAClosedStream() {
    let session = Self.session()
    let bytes = Self.opening() + Self.request(1, end: false) + Self.reset(1)
    #expect(Self.failure(session, bytes) == nil)
    #expect(Self.failure(session, Self.request(1)) == "HEADERS for a stream that is closed")
  }

  @Test func identifiersThatGoBack() {
    let session = Self.session()
    #expect(Self.failure(session, Self.opening() + Self.request(5, end: false)) == nil)
    #expect(Self.failure(session, Self.request(3)) == "stream identifiers go back")
  }

  /// DATA that was under way when we reset the stream is no mistake; DATA behind the peer's own reset is.
  @Test func dataForAClosedStream() {
    let session = Self.session()
    let data = Frame.raw(type: 0, stream: 1, [1, 2, 3])
    let reset: [UInt8] = [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 5]  // STREAM_CLOSED
    _ = Self.failure(session, Self.opening() + Self.request(1, end: false))
    _ = session.output()
    #expect(Self.failure(session, Self.reset(1)) == nil)
    _ = data.withUnsafeBytes { session.receive($0) }
    #expect(session.output() == reset)
    // Told once: it was our reset that came last.
    _ = data.withUnsafeBytes { session.receive($0) }
    #expect(session.output().isEmpty)
  }

  /// The answer comes at once, the reset a moment later: what the peer does wrong in between is seen.
  @Test func readsOnBehindAnAnswerThatIsNoRPC() {
    let session = Self.session()
    var block: [UInt8] = []
    for (name, value) in [
      (":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a"),
    ] {
      block += [0, UInt8(name.utf8.count)] + name.utf8 + [UInt8(value.utf8.count)] + value.utf8
    }
    _ = Self.failure(session, Self.opening() + Frame.raw(type: 1, flags: 4, stream: 1, block))
    #expect(session.serveEcho() == 1)
    let reset: [UInt8] = [0, 0, 4, 3, 0, 0, 0, 0, 1]
    let answer = session.output()
    #expect(!answer.isEmpty && !answer.suffix(13).starts(with: reset))
    for _ in 0..<2 {
      #expect(session.supervise(refusingAfter: 100))
      #expect(session.output().isEmpty)
    }
    #expect(session.supervise(refusingAfter: 100))
    #expect(session.output() == reset + [0, 0, 0, 0])
  }

  @Test func knowsWhatIsUnfinished() {
    let session = Self.session()
    var bytes = Self.opening()
    bytes += Frame.raw(type: 0xB7, stream: 0, [1, 2, 3]) + Self.request(1) + Self.ping
    // Where frames end, and so does the opening's SETTINGS.
    let ends = Set([33, 45, 45 + Self.request(1).count, bytes.count])
    for (index, byte) in bytes.enumerated() {
      #expect(Self.failure(session, [byte]) == nil)
      #expect(session.progress.isInputPartial == !ends.contains(index + 1), "after \(index + 1)")
    }
    let block = Frame.raw(type: 1, flags: 1, stream: 3, [0x82])  // Without END_HEADERS.
    #expect(Self.failure(session, block) == nil)
    #expect(session.progress.isInputPartial && session.progress.isBlockPartial)
    // The block counts as one, however many frames continue it.
    let begun = session.progress.framesBegun
    for _ in 0..<5 {
      #expect(Self.failure(session, Frame.raw(type: 9, stream: 3, [])) == nil)
      #expect(session.progress.framesBegun == begun)
    }
    #expect(Self.failure(session, Frame.raw(type: 9, flags: 4, stream: 3, [])) == nil)
    #expect(!session.progress.isInputPartial && !session.progress.isBlockPartial)
    #expect(Self.failure(session, Self.ping) == nil)
    #expect(session.progress.framesBegun == begun + 1)
  }

  /// One frame of a block is one as well, while it is not whole.
  @Test func knowsABlockInOneFrame() {
    let session = Self.session()
    let request = Self.request(1)
    #expect(Self.failure(session, Self.opening() + request.dropLast()) == nil)
    #expect(session.progress.isBlockPartial)
    #expect(Self.failure(session, request.suffix(1)) == nil)
    #expect(!session.progress.isBlockPartial)
    #expect(Self.failure(session, Array(Self.ping.dropLast())) == nil)
    #expect(session.progress.isInputPartial && !session.progress.isBlockPartial)
  }
}
