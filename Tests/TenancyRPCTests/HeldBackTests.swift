import NIOCore
import NIOEmbedded
import Synchronization
import Testing

@testable import TenancyRPCClient
@testable import TenancyRPCCore
@testable import TenancyRPCServer

/// Calls whose handlers may not begin yet, and those behind them that are answered at once.
@Suite("Calls that are held back")
struct HeldBackTests {
  /// The handlers that have begun, by the first byte of their messages. They end when they are let go.
  private final class Begun: Sendable {
    private let state = Mutex(
      (messages: [UInt8](), waiting: [CheckedContinuation<Void, Never>]()))

    var messages: [UInt8] { state.withLock { $0.messages } }

    func begin(_ message: [UInt8]) async {
      await withCheckedContinuation { waiting in
        state.withLock {
          $0.messages.append(message.first ?? 0)
          $0.waiting.append(waiting)
        }
      }
    }

    func letGo() {
      let waiting = state.withLock { state in
        defer { state.waiting = [] }
        return state.waiting
      }
      for one in waiting { one.resume() }
    }
  }

  private final class Counter: Sendable {
    private let counted = Mutex(0)

    var value: Int { counted.withLock { $0 } }

    func count() { counted.withLock { $0 += 1 } }
  }

  /// A socket that is closed by a write that fails, as a peer's leaving makes it be.
  private final class BreakablePipe: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer

    var isBroken = false

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
      guard isBroken else { return context.write(data, promise: promise) }
      promise?.fail(ChannelError.ioOnClosedChannel)
      // Sockets say so before the write returns.
      context.fireChannelInactive()
      context.close(promise: nil)
    }
  }

  private final class Peer<Engine: ServerEngine> {
    let begun = Begun()
    /// Calls that an in-memory handler has looked at.
    let seen = Counter()
    private let handler: ServerConnectionHandler<Engine>
    private let channel = EmbeddedChannel()
    private let pipe = BreakablePipe()
    private let state: LoopState

    init(limits: ServerLimits = ServerLimits()) throws {
      let loop = channel.embeddedEventLoop
      loop.advanceTime(to: .now())
      let (begun, seen) = (begun, seen)
      let methods: [TestMethod] = [
        .async(path: HeldBackTests.wait) { _, message in
          await begun.begin(message)
          return message
        },
        .inline(
          path: HeldBackTests.either,
          orElse: { _, message in
            await begun.begin(message)
            return message
          },
          { call, _ in
            seen.count()
            call.putOff()
          }),
      ]
      let core = ServerCore(
        methods: EchoService.methods + methods, limits: limits, delegate: PlainDelegate(),
        pool: LoopExecutor(loop))
      state = LoopState(loop, embedder: core.embedder.makeLoop())
      handler = try ServerConnectionHandler(core: core, peer: .user(1), loop: state)
      try channel.pipeline.syncOperations.addHandlers(pipe, handler)
      try channel.connect(to: SocketAddress(unixDomainSocketPath: "/test")).wait()
      if Engine.wire == .grpc {
        receive(Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + Frame.settings)
      }
    }

    func end() throws {
      begun.letGo()
      channel.embeddedEventLoop.run()
      _ = try channel.finish(acceptAlreadyClosed: true)
      channel.embeddedEventLoop.run()
      try channel.embeddedEventLoop.syncShutdownGracefully()
    }

    private func receive(_ bytes: [UInt8]) {
      channel.pipeline.fireChannelRead(ByteBuffer(bytes: bytes))
      channel.pipeline.fireChannelReadComplete()
      channel.embeddedEventLoop.run()
    }

    /// In one read. The first byte of each message is its stream's number.
    func call(_ calls: [(stream: UInt32, path: String)], size: Int = 1) {
      receive(
        calls.flatMap { stream, path in
          let message = [UInt8](repeating: UInt8(stream), count: size)
          let metadata = [("first", "wait")]
          guard Engine.wire == .grpc else {
            return TTRPCTestFrame.request(stream, path, message, metadata: ["first": "wait"]).bytes
          }
          let fields = [
            (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "a"),
            ("content-type", "application/grpc"), ("te", "trailers"),
          ]
          return Frame.headers(fields + metadata, stream: stream)
            + Frame.data(
              [0] + Frame.bigEndian(UInt32(size)) + message, end: true, stream: stream)
        })
    }

    /// The peer is gone: writing finds out.
    func breakPipe() { pipe.isBroken = true }

    var isOpen: Bool { channel.isActive }

    func giveUpRequests(_ bytes: Int) { _ = handler.engine.giveUp(.requests, bytes) }

    /// Until there is nothing to do without time going by.
    func run() { channel.embeddedEventLoop.run() }

    func advance() { channel.embeddedEventLoop.advanceTime(by: .milliseconds(1)) }

    /// The streams that have been answered since the last time.
    func answered() throws -> [UInt32] {
      var bytes: [UInt8] = []
      while let part = try channel.readOutbound(as: ByteBuffer.self) {
        bytes += Array(buffer: part)
      }
      guard Engine.wire == .grpc else { return TTRPCTestFrame.parse(bytes).map(\.stream) }
      return Frame.parse(bytes).filter { $0.type == 0 }.map(\.stream)
    }

    /// Whether it would be read from.
    var isRead: Bool {
      channel.read()
      return !handler.isReadHeld
    }
  }

  private static let wait = "/test.Held/Wait"
  private static let either = "/test.Held/Either"
  private static let atOnce = "/test.Echo/Inline"

  private func othersGoBefore<Engine: ServerEngine>(_ engine: Engine.Type) throws {
    let peer = try Peer<Engine>()
    peer.call([1, 3, 5, 7].map { ($0, Self.wait) } + [(9, Self.atOnce)])
    #expect(peer.begun.messages == [1, 3])
    #expect(try peer.answered() == [9])
    #expect(peer.isRead)
    peer.call([(11, Self.atOnce), (13, Self.wait), (15, Self.atOnce)])
    #expect(try peer.answered() == [11, 15])
    for _ in 0..<4 { peer.advance() }
    #expect(peer.begun.messages == [1, 3, 5, 7, 13])
    peer.begun.letGo()
    peer.advance()
    #expect(try peer.answered() == [1, 3, 5, 7, 13])
    try peer.end()
  }

  @Test func othersGoBefore() throws {
    try othersGoBefore(HTTP2ServerSession.self)
    try othersGoBefore(TTRPCServerSession.self)
  }

  /// Calls that turn out to have to wait are held back, too, and are looked at once.
  private func putOffCallsAreHeldBack<Engine: ServerEngine>(_ engine: Engine.Type) throws {
    let peer = try Peer<Engine>()
    peer.call([(1, Self.wait), (3, Self.wait), (5, Self.either), (7, Self.wait), (9, Self.atOnce)])
    #expect(peer.begun.messages == [1, 3])
    #expect(try peer.answered() == [9])
    peer.advance()
    peer.advance()
    #expect(peer.begun.messages == [1, 3, 5, 7])
    #expect(peer.seen.value == 1)
    peer.begun.letGo()
    peer.advance()
    #expect(try peer.answered() == [1, 3, 5, 7])
    try peer.end()
  }

  @Test func putOffCallsAreHeldBack() throws {
    try putOffCallsAreHeldBack(HTTP2ServerSession.self)
    try putOffCallsAreHeldBack(TTRPCServerSession.self)
  }

  /// What is more stays in the socket.
  private func onlySoMuchIsHeld<Engine: ServerEngine>(_ engine: Engine.Type) throws {
    let peer = try Peer<Engine>()
    peer.call([1, 3, 5].map { ($0, Self.wait) }, size: 10_000)
    #expect(peer.begun.messages == [1, 3])
    #expect(peer.isRead)
    peer.call([(7, Self.wait), (9, Self.atOnce)], size: 10_000)
    #expect(!peer.isRead)
    for _ in 0..<4 { peer.advance() }
    #expect(peer.begun.messages == [1, 3, 5, 7])
    #expect(try peer.answered() == [9])
    #expect(peer.isRead)
    try peer.end()
  }

  @Test func onlySoMuchIsHeld() throws {
    try onlySoMuchIsHeld(HTTP2ServerSession.self)
    try onlySoMuchIsHeld(TTRPCServerSession.self)
  }

  /// Nor is a call refused because of those that are held: it stays where it is while they wait.
  @Test func heldCallsAreNotTooMany() throws {
    var limits = ServerLimits()
    limits.maximumConcurrentStreams = 8
    let peer = try Peer<TTRPCServerSession>(limits: limits)
    let streams = (0..<20).map { UInt32(2 * $0 + 1) }
    peer.call(streams.map { ($0, $0 % 3 == 0 ? Self.either : Self.wait) })
    // Two are at work, and six wait for their turn.
    #expect(peer.begun.messages == [1, 3])
    #expect(try peer.answered().isEmpty)
    try peer.end()
  }

  /// When memory runs out, no more of them are given up than it takes.
  @Test func noMoreIsGivenUpThanNeeded() throws {
    let peer = try Peer<TTRPCServerSession>()
    peer.call([1, 3, 5, 7, 9].map { ($0, Self.wait) }, size: 3_000)
    #expect(peer.begun.messages == [1, 3])
    peer.giveUpRequests(1)
    for _ in 0..<4 { peer.advance() }
    peer.begun.letGo()
    peer.advance()
    #expect(peer.begun.messages.count == 4)
    #expect(try Set(peer.answered()) == [1, 3, 5, 7, 9])
    try peer.end()
  }

  /// When the write of an answer finds out that the peer has gone, those that are held back have nobody to be
  /// answered to, and the event loop goes on.
  private func nothingIsServedWhenThePeerHasGone<Engine: ServerEngine>(
    _ engine: Engine.Type
  ) throws {
    // What is answered leaves no room for other answers until it is written.
    var limits = ServerLimits()
    limits.maximumWaitingReplyBytes = 1_000
    let peer = try Peer<Engine>(limits: limits)
    peer.call([1, 3, 5, 7].map { ($0, Self.wait) }, size: 3_000)
    #expect(peer.begun.messages == [1, 3])
    peer.breakPipe()
    peer.begun.letGo()
    peer.run()
    #expect(!peer.isOpen)
    #expect(peer.begun.messages == [1, 3])
    try peer.end()
  }

  @Test func nothingIsServedWhenThePeerHasGone() throws {
    try nothingIsServedWhenThePeerHasGone(HTTP2ServerSession.self)
    try nothingIsServedWhenThePeerHasGone(TTRPCServerSession.self)
  }

  /// Metadata are held with the call.
  @Test func aCallIsHeldAsItCame() async throws {
    let slow: TestMethod = .async(path: Self.wait) { call, message in
      try await Task.sleep(for: .milliseconds(2))
      return message + Array(call.metadata["x"].joined(separator: ",").utf8)
    }
    for wire in [WireProtocol.grpc, .ttrpc] {
      try await withEcho([slow], wire: wire) { channel async throws in
        try await withThrowingTaskGroup { group in
          for number: UInt8 in 0..<100 {
            group.addTask {
              let options = RPCCallOptions(metadata: ["x": "\(number)"])
              let answer = try await channel.ask(Self.wait, [number, 0], options)
              #expect(answer == [number, 0] + Array("\(number)".utf8))
            }
          }
          try await group.waitForAll()
        }
      }
    }
  }
}
