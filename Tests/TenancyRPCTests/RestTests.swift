import NIOCore
import NIOEmbedded
import Testing

@testable import TenancyRPCServer

/// The supervisor looks at connections on which something is under way, and at no others.
@Suite("Connections that rest")
struct RestTests {
  /// A connection of a server without sockets, of which the supervisor looks when the test says so.
  private final class Peer<Engine: ServerEngine> {
    let handler: ServerConnectionHandler<Engine>
    private let channel = EmbeddedChannel()
    private(set) var output: [UInt8] = []

    init(_ limits: ServerLimits = ServerLimits()) throws {
      let methods = EchoService.methods + StreamService.methods
      let core = ServerCore(methods: methods, limits: limits, delegate: PlainDelegate())
      channel.embeddedEventLoop.advanceTime(to: .now())
      handler = try ServerConnectionHandler(
        core: core, peer: .user(1),
        loop: LoopState(channel.embeddedEventLoop, embedder: core.embedder.makeLoop()))
      try channel.pipeline.syncOperations.addHandler(handler)
      try channel.connect(to: SocketAddress(unixDomainSocketPath: "/test")).wait()
    }

    deinit {
      _ = try? channel.finish(acceptAlreadyClosed: true)
      try? channel.embeddedEventLoop.syncShutdownGracefully()
    }

    func send(_ bytes: [UInt8]) throws {
      try channel.writeInbound(ByteBuffer(bytes: bytes))
      try read()
    }

    /// The supervisor looks; returns whether it comes again soon.
    func isWatchedAfterLook() throws -> Bool {
      handler.look()
      try read()
      return isWatched
    }

    private func read() throws {
      while let part = try channel.readOutbound(as: ByteBuffer.self) {
        output += Array(buffer: part)
      }
    }

    /// Seconds until the next look.
    var nextLook: Double {
      Double((handler.watchTimer.deadline - channel.eventLoop.now).nanoseconds) / 1e9
    }

    /// Time passes, and whatever is due happens.
    func advance(seconds: Int64) throws {
      channel.embeddedEventLoop.advanceTime(by: .seconds(seconds))
      try read()
    }

    var isWatched: Bool { handler.watchTimer.isScheduled && nextLook < 1 }
  }

  private static let opening = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + Frame.settings

  private static func headers(_ path: String, _ stream: UInt32, flags: UInt8 = 4) -> [UInt8] {
    var block: [UInt8] = []
    let fields = [
      (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "a"),
      ("content-type", "application/grpc"), ("te", "trailers"),
    ]
    for (name, value) in fields {
      block += [0, UInt8(name.utf8.count)] + name.utf8 + [UInt8(value.utf8.count)] + value.utf8
    }
    return Frame.raw(type: 1, flags: flags, stream: stream, block)
  }

  private static func data(_ bytes: [UInt8], _ stream: UInt32, end: Bool = false) -> [UInt8] {
    Frame.raw(type: 0, flags: end ? 1 : 0, stream: stream, bytes)
  }

  private static func open(
    _ change: (inout ServerLimits) -> Void = { _ in }
  ) throws -> Peer<HTTP2ServerSession> {
    var limits = ServerLimits()
    change(&limits)
    let peer = try Peer<HTTP2ServerSession>(limits)
    try peer.send(opening)
    return peer
  }

  @Test func untilTheOpeningIsWhole() throws {
    let peer = try Peer<HTTP2ServerSession>()
    #expect(try peer.isWatchedAfterLook())
    try peer.send(Self.opening.dropLast(1))
    #expect(try peer.isWatchedAfterLook())
    try peer.send(Self.opening.suffix(1))
    #expect(try !peer.isWatchedAfterLook())
  }

  /// Nothing is under way: the next look is when a sign of life is due, or the connection's time is over.
  @Test func theNextLookIsWhenItsTimeHasCome() throws {
    let peer = try Self.open()
    #expect(try !peer.isWatchedAfterLook())
    #expect((299...301).contains(peer.nextLook), "\(peer.nextLook)")
    let aging = try Self.open { $0.maximumConnectionAge = .seconds(60) }
    #expect(try !aging.isWatchedAfterLook())
    #expect((53...67).contains(aging.nextLook), "\(aging.nextLook)")
    let idle = try Self.open { $0.idleTimeout = .seconds(30) }
    #expect(try !idle.isWatchedAfterLook())
    #expect((29...31).contains(idle.nextLook), "\(idle.nextLook)")
    let endless = try Self.open {
      $0.idleTimeout = nil
      $0.keepaliveInterval = nil
    }
    #expect(try !endless.isWatchedAfterLook())
    #expect(!endless.handler.watchTimer.isScheduled)
    // Whatever comes in wakes the supervisor.
    try endless.send(Array(Frame.settings.prefix(3)))
    #expect(endless.isWatched)
    #expect(try endless.isWatchedAfterLook())
    try endless.send(Array(Frame.settings.dropFirst(3)))
    #expect(try !endless.isWatchedAfterLook())
  }

  @Test func whileARequestIsNotWhole() throws {
    let peer = try Self.open()
    try peer.send(Self.headers("/test.Echo/Inline", 1))
    #expect(try peer.isWatchedAfterLook())
    try peer.send(Self.data([0, 0, 0, 0, 1], 1))
    #expect(try peer.isWatchedAfterLook())
    try peer.send(Self.data([7], 1, end: true))
    #expect(try !peer.isWatchedAfterLook())
  }

  @Test func whileAHeaderBlockIsNotWhole() throws {
    let peer = try Self.open()
    try peer.send(Self.headers("/test.Echo/Inline", 1, flags: 1))
    #expect(try peer.isWatchedAfterLook())
    try peer.send(Frame.raw(type: 9, flags: 4, stream: 1, []))
    #expect(try !peer.isWatchedAfterLook())
  }

  /// A stream may rest between messages, and not in one.
  @Test func whileAMessageIsNotWhole() async throws {
    let peer = try Self.open()
    try peer.send(Self.headers(StreamService.count, 1))
    #expect(try !peer.isWatchedAfterLook())
    try peer.send(Self.data([0, 0, 0], 1))
    #expect(peer.isWatched)
    #expect(try peer.isWatchedAfterLook())
    try peer.send(Self.data([0, 0], 1))
    #expect(try !peer.isWatchedAfterLook())
  }

  @Test func whileAnAnswerWaitsForThePeer() throws {
    let peer = try Peer<HTTP2ServerSession>()
    let noWindow = Frame.raw(type: 4, stream: 0, [0, 4, 0, 0, 0, 0])
    try peer.send(Self.opening.prefix(24) + noWindow)
    try peer.send(
      Self.headers("/test.Echo/Inline", 1) + Self.data([0, 0, 0, 0, 1, 7], 1, end: true))
    #expect(try peer.isWatchedAfterLook())
    try peer.send(Frame.raw(type: 8, stream: 1, [0, 0, 0, 100]))
    #expect(try !peer.isWatchedAfterLook())
  }

  @Test func whileASignOfLifeIsAwaited() throws {
    let peer = try Self.open { $0.keepaliveInterval = .seconds(30) }
    let before = peer.output.count
    try peer.advance(seconds: 29)
    #expect(peer.output.count == before)
    try peer.advance(seconds: 3)
    let ping = Frame.parse(Array(peer.output[before...]))
    #expect(ping.map(\.type) == [6])
    #expect((17...20).contains(peer.nextLook), "\(peer.nextLook)")
  }

  @Test func overTTRPC() throws {
    let peer = try Peer<TTRPCServerSession>()
    #expect(try !peer.isWatchedAfterLook())
    let frame = TTRPCTestFrame(1, .request, [], [1, 2, 3]).bytes
    try peer.send(Array(frame.prefix(11)))
    #expect(peer.isWatched)
    #expect(try peer.isWatchedAfterLook())
    try peer.send(Array(frame.dropFirst(11)))
    #expect(try !peer.isWatchedAfterLook())
    // It has no pings: the next look is at the end of its time without calls.
    #expect((3599...3601).contains(peer.nextLook), "\(peer.nextLook)")
  }
}
