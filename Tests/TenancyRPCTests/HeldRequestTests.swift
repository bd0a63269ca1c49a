import NIOCore
import NIOEmbedded
import Testing

@testable import TenancyLoop
@testable import TenancyRPCCore
@testable import TenancyRPCFraming
@testable import TenancyRPCServer

/// What an HTTP/2 connection holds of requests and responses, and gives up for others.
@Suite("What a connection gives up")
struct HeldRequestTests {
  private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + Frame.settings
  private static let inline = "/test.Echo/Inline"
  private static let stream = StreamService.echo

  private static func session(
    _ change: (inout ServerLimits) -> Void = { _ in }
  ) -> HTTP2ServerSession {
    var limits = ServerLimits()
    change(&limits)
    let session = HTTP2ServerSession(
      methods: MethodTable(serving: EchoService.methods + StreamService.methods), limits: limits,
      timers: TimerQueue(loop: EmbeddedEventLoop()), memory: ConnectionMemory(limits))
    feed(session, preface)
    _ = session.output()
    return session
  }

  private static func feed(_ session: HTTP2ServerSession, _ bytes: [UInt8]) {
    _ = bytes.withUnsafeBytes { session.receive($0) }
  }

  private static func headers(
    _ stream: UInt32, _ path: String, _ more: [(String, String)] = []
  ) -> [UInt8] {
    let fields = [
      (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "a"),
      ("content-type", "application/grpc"), ("te", "trailers"),
    ]
    return Frame.headers(fields + more, stream: stream)
  }

  private static func framed(_ message: [UInt8], packed: Bool = false) -> [UInt8] {
    [packed ? 1 : 0] + Frame.bigEndian(UInt32(message.count)) + message
  }

  /// `count` bytes of a request whose message is one byte longer.
  private static func unfinished(_ stream: UInt32, _ count: Int) -> [UInt8] {
    let message = [0] + Frame.bigEndian(UInt32(count + 1)) + [UInt8](repeating: 7, count: count)
    let parts = stride(from: 0, to: message.count, by: 16_384).map { at in
      Frame.data(Array(message[at..<min(at + 16_384, message.count)]), stream: stream)
    }
    return headers(stream, inline) + parts.flatMap(\.self)
  }

  private static func bomb(_ size: Int) throws -> [UInt8] {
    framed(try #require(Gzip.compress([UInt8](repeating: 0, count: size))), packed: true)
  }

  /// The refusals among what is ready.
  private static func refused(_ session: HTTP2ServerSession) -> [(id: Int32, status: RPCStatus)] {
    var found: [(id: Int32, status: RPCStatus)] = []
    while let stream = session.nextReady() {
      guard case .status(let status) = stream.refusal else { continue }
      found.append((stream.id, status))
      session.fail(stream, status)
    }
    return found
  }

  @Test func theLargestUnfinishedRequestsAreRefused() {
    let session = Self.session()
    for (index, count) in [10_000, 30_000, 20_000].enumerated() {
      Self.feed(session, Self.unfinished(UInt32(2 * index + 1), count))
    }
    #expect(session.bufferedBytes == 60_015)
    #expect(!session.giveUp(.requests, 40_000))
    #expect(session.bufferedBytes == 10_005)
    let refused = Self.refused(session)
    #expect(refused.map(\.id) == [3, 5])
    for (_, status) in refused {
      #expect(status.code == .resourceExhausted)
      #expect(status.retryAfter == session.limits.retryDelay)
    }
  }

  @Test func theOldestGoBeforeTheLargest() {
    let session = Self.session()
    Self.feed(session, Self.unfinished(1, 10_000))
    for _ in 0..<5 { _ = session.supervise(refusingAfter: 100) }
    Self.feed(session, Self.unfinished(3, 30_000))
    _ = session.giveUp(.requests, 1)
    #expect(Self.refused(session).map(\.id) == [1])
  }

  /// A connection of many users: those that do not come on make room for those that come.
  @Test func staleRequestsOfTheSameConnectionMakeRoom() {
    let session = Self.session { $0.maximumBufferedBytes = 30_000 }
    Self.feed(session, Self.unfinished(1, 25_000))
    Self.feed(session, Self.unfinished(3, 10_000))
    #expect(Self.refused(session).map(\.id) == [3])
    for _ in 0..<3 { _ = session.supervise(refusingAfter: 100) }
    Self.feed(session, Self.unfinished(5, 10_000))
    #expect(Self.refused(session).map(\.id) == [1])
    #expect(session.bufferedBytes == 10_005)
  }

  @Test func whatIsUnpackedCounts() throws {
    let session = Self.session { $0.maximumBufferedBytes = 200_000 }
    let packed = [("grpc-encoding", "gzip")]
    for (id, size) in [(UInt32(1), 150_000), (3, 150_000)] {
      Self.feed(
        session,
        Self.headers(id, Self.inline, packed)
          + Frame.data(try Self.bomb(size), end: true, stream: id))
    }
    #expect(session.bufferedBytes < 2000)
    let first = try #require(session.nextReady())
    try session.unpack(first)
    #expect(session.bufferedBytes > 150_000)
    #expect(try first.message().count == 150_000 && first.requestWasCompressed)
    let second = try #require(session.nextReady())
    let status = #expect(throws: RPCStatus.self) { try session.unpack(second) }
    #expect(status?.code == .resourceExhausted && status?.retryAfter != nil)
    session.handOver(first)
    #expect(session.bufferedBytes < 1000)
    try session.unpack(second)
  }

  /// Streams hold what was sent: it is unpacked when a handler takes it.
  @Test func messagesOfStreamsWaitPacked() throws {
    let session = Self.session()
    Self.feed(session, Self.headers(1, Self.stream, [("grpc-encoding", "gzip")]))
    let bomb = try Self.bomb(4_000_000)
    Self.feed(session, Frame.data(bomb))
    #expect(session.bufferedBytes < bomb.count + 200)
  }

  @Test func largeMetadataCounts() {
    let session = Self.session()
    let large = (0..<20).map { ("x-\($0)", String(repeating: "v", count: 100)) }
    Self.feed(session, Self.headers(1, Self.stream))
    #expect(session.bufferedBytes == 0)
    Self.feed(session, Self.headers(3, Self.stream, large))
    // All but the first KiB of the list, twice.
    #expect((2000...3600).contains(session.bufferedBytes))
    _ = session.giveUp(.requests, 1)
    #expect(session.bufferedBytes == 0)
    while let stream = session.nextReady() {
      #expect((stream.refusal != nil) == (stream.id == 3))
    }
  }

  @Test func responsesThatAreNotTakenAreReset() throws {
    let session = Self.session()
    Self.feed(session, Frame.raw(type: 4, stream: 0, [0, 4, 0, 0, 0, 0]))
    for id: UInt32 in [1, 3] {
      let message = Self.framed([UInt8](repeating: 1, count: id == 1 ? 5000 : 9000))
      Self.feed(session, Self.headers(id, Self.inline) + Frame.data(message, end: true, stream: id))
    }
    #expect(session.serveEcho() == 2)
    _ = session.output()
    #expect(session.waitingReplyBytes == 14_010)
    #expect(!session.giveUp(.replies, 1))
    #expect(session.waitingReplyBytes == 5005)
    let resets = Frame.parse(session.output()).filter { $0.type == 3 }
    #expect(resets.map(\.stream) == [3] && resets.map(\.payload) == [[0, 0, 0, 11]])
    // Nothing of it comes when there is room again; the other comes whole.
    Self.feed(session, Frame.raw(type: 4, stream: 0, [0, 4, 0, 1, 0, 0]))
    let frames = Frame.parse(session.output())
    #expect(frames.filter { $0.type == 0 }.allSatisfy { $0.stream == 1 })
    #expect(frames.filter { $0.type == 0 }.map(\.payload.count).reduce(0, +) == 5005)
    #expect(session.streams.count == 0 && session.waitingReplyBytes == 0)
  }

  @Test func whatTheSocketHasCantBeTakenBack() {
    let session = Self.session()
    session.socketHolds(100_000)
    #expect(session.giveUp(.replies, 1))
    session.socketHolds(0)
    #expect(!session.giveUp(.replies, 1))
  }

  @Test func whoIsAskedTooOftenIsCut() {
    let session = Self.session {
      $0.maximumOverdrafts = 2
      $0.overdraftsPerSecond = 1
    }
    for expected in [false, false, true] {
      _ = session.giveUp(.requests, 1)
      let goAways = Frame.parse(session.cutOutput()).filter { $0.type == 7 }
      #expect(goAways.isEmpty != expected)
      if expected { #expect(goAways.first.map { Array($0.payload[4..<8]) } == [0, 0, 0, 11]) }
    }
  }
}

extension HTTP2ServerSession {
  /// What there is to send, whether or not the connection goes on.
  fileprivate func cutOutput() -> [UInt8] {
    var bytes: [UInt8] = []
    for _ in 0..<2 {
      var part = ByteBuffer()
      _ = produce(into: &part)
      bytes += Array(part.readableBytesView)
    }
    return bytes
  }
}
