import NIOCore
import NIOEmbedded
import Testing

@testable import TenancyRPCServer

/// What the handler of a connection does at its end, without sockets.
@Suite("The end of a server's connection")
struct ConnectionEndingTests {
  private final class Peer {
    let handler: ServerConnectionHandler<HTTP2ServerSession>
    private let channel = EmbeddedChannel()
    private let state: LoopState

    init(_ method: String, _ limits: ServerLimits = ServerLimits()) throws {
      let loop = channel.embeddedEventLoop
      let core = ServerCore(
        methods: EchoService.methods + StreamService.methods, limits: limits,
        delegate: PlainDelegate(), pool: LoopExecutor(loop))
      loop.advanceTime(to: .now())
      state = LoopState(loop, embedder: core.embedder.makeLoop())
      handler = try ServerConnectionHandler(core: core, peer: .user(1), loop: state)
      try channel.pipeline.syncOperations.addHandler(handler)
      try channel.connect(to: SocketAddress(unixDomainSocketPath: "/test")).wait()
      // A call whose request is not whole.
      let fields = [
        (":method", "POST"), (":scheme", "http"), (":path", method), (":authority", "a"),
        ("content-type", "application/grpc"), ("te", "trailers"),
      ]
      let opening = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + Frame.settings
      try channel.writeInbound(ByteBuffer(bytes: opening + Frame.headers(fields, stream: 1)))
      loop.run()
      _ = try frames()
    }

    deinit {
      _ = try? channel.finish(acceptAlreadyClosed: true)
      try? channel.embeddedEventLoop.syncShutdownGracefully()
    }

    var isOpen: Bool { channel.isActive }
    /// Of its loop.
    var timers: Int { state.timers.count }

    func endInput() {
      channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    }

    func advance(by time: TimeAmount) { channel.embeddedEventLoop.advanceTime(by: time) }

    func acknowledgePing(_ mark: UInt8) throws {
      let payload = [mark] + [UInt8](repeating: 0, count: 7)
      try channel.writeInbound(
        ByteBuffer(bytes: [0, 0, 8, ConnectionEndingTests.ping, 1, 0, 0, 0, 0] + payload))
    }

    /// The types of the frames sent since the last time.
    func frames() throws -> [UInt8] {
      var bytes: [UInt8] = []
      while let part = try channel.readOutbound(as: ByteBuffer.self) {
        bytes += Array(buffer: part)
      }
      return Frame.parse(bytes).map(\.type)
    }
  }

  private static let goAway: UInt8 = 7
  private static let ping: UInt8 = 6
  private static let headers: UInt8 = 1

  @Test func halfClosedCallsHaveTheirTime() throws {
    let peer = try Peer("/test.Echo/Inline")
    peer.endInput()
    #expect(try peer.frames().filter { $0 == Self.goAway }.count == 1)
    peer.advance(by: .seconds(29))
    #expect(peer.isOpen)
    peer.advance(by: .seconds(1))
    #expect(!peer.isOpen)
    #expect(peer.timers == 0)
  }

  @Test func refusedCallsHaveAMoment() throws {
    let peer = try Peer("/test.Echo/Inline")
    peer.handler.end(because: "test")
    peer.advance(by: .milliseconds(1_999))
    #expect(peer.isOpen)
    peer.advance(by: .milliseconds(1))
    #expect(!peer.isOpen)
  }

  /// It can't answer, and its calls have their time all the same.
  @Test func halfClosedPeersAreNotAskedForALifeSign() throws {
    var limits = ServerLimits()
    limits.keepaliveInterval = .seconds(5)
    limits.keepaliveTimeout = .seconds(5)
    let peer = try Peer("/test.Echo/Inline", limits)
    peer.endInput()
    _ = try peer.frames()
    peer.advance(by: .seconds(29))
    #expect(peer.isOpen)
    #expect(try peer.frames() == [])
  }

  /// What was asked in the same breath is answered.
  @Test func theLastAnswersGoOut() throws {
    let channel = EmbeddedChannel()
    let loop = channel.embeddedEventLoop
    let core = ServerCore(
      methods: EchoService.methods, limits: ServerLimits(), delegate: PlainDelegate())
    let state = LoopState(loop, embedder: core.embedder.makeLoop())
    let handler = try ServerConnectionHandler<TTRPCServerSession>(
      core: core, peer: .user(1), loop: state)
    try channel.pipeline.syncOperations.addHandler(handler)
    try channel.connect(to: SocketAddress(unixDomainSocketPath: "/test")).wait()
    let request = TTRPCTestFrame.request(1, "/test.Echo/Inline", [7, 8])
    channel.pipeline.fireChannelRead(ByteBuffer(bytes: request.bytes))
    channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    channel.pipeline.fireChannelReadComplete()
    let output = try channel.readOutbound(as: ByteBuffer.self).map { Array(buffer: $0) } ?? []
    #expect(TTRPCTestFrame.parse(output) == [.ok(1, [7, 8])])
    #expect(!channel.isActive)
    _ = try? channel.finish(acceptAlreadyClosed: true)
    try loop.syncShutdownGracefully()
  }

  /// To close its half gives a peer that is refused no more time.
  @Test func aRefusedPeerGainsNothingByEndingItsInput() throws {
    let peer = try Peer("/test.Echo/Inline")
    peer.handler.end(because: "test")
    peer.advance(by: .seconds(1))
    peer.endInput()
    peer.advance(by: .seconds(1))
    #expect(!peer.isOpen)
  }

  /// Nor does a peer that is refused later hear more of its streams.
  @Test func aHalfClosedPeerIsRefused() throws {
    let peer = try Peer(StreamService.echo)
    peer.endInput()
    #expect(try !peer.frames().contains(Self.headers))
    peer.handler.end(because: "test")
    #expect(try peer.frames().contains(Self.headers), "the status of its stream")
    peer.advance(by: .seconds(2))
    #expect(!peer.isOpen)
  }

  /// The peer is asked whether it knows, and is told once more when it does not say so.
  @Test func aDrainIsSaidTwice() throws {
    let peer = try Peer("/test.Echo/Inline")
    peer.handler.drain()
    #expect(try peer.frames().sorted() == [Self.ping, Self.goAway])
    peer.handler.drain()
    peer.advance(by: .milliseconds(999))
    #expect(try peer.frames() == [])
    peer.advance(by: .milliseconds(1))
    #expect(try peer.frames() == [Self.goAway])
    #expect(peer.isOpen, "the server says when")
    peer.handler.closeNow()
    #expect(!peer.isOpen)
    peer.advance(by: .seconds(1))
    #expect(peer.timers == 0)
  }

  /// A keepalive's acknowledgement that is on its way says nothing of the drain.
  @Test func onlyTheDrainsPingIsItsAcknowledgement() throws {
    let peer = try Peer("/test.Echo/Inline")
    peer.handler.drain()
    _ = try peer.frames()
    try peer.acknowledgePing(0)
    #expect(try peer.frames() == [])
    try peer.acknowledgePing(1)
    #expect(try peer.frames() == [Self.goAway])
    peer.handler.closeNow()
  }
}
