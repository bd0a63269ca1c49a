import NIOCore
import NIOEmbedded
import Testing

@testable import TenancyRPCServer

/// Connections on which something is under way are supervised, and no others.
@Suite("Connections that rest")
struct RestTests {
  /// A connection of a server without sockets, supervised when the test says so.
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

    /// Supervises it; returns whether that is to be done again soon.
    func staysActive() throws -> Bool {
      handler.supervise()
      try read()
      return isActive
    }

    private func read() throws {
      while let part = try channel.readOutbound(as: ByteBuffer.self) {
        output += Array(buffer: part)
      }
    }

    /// Seconds until something is due; nil: nothing is before something happens.
    var nextDue: Double? {
      handler.lifetime.deadline.map { Double(($0 - channel.eventLoop.now).nanoseconds) / 1e9 }
    }

    /// When its timer fires.
    var timer: NIODeadline { handler.lifetimeTimer.deadline }

    /// Time passes, and whatever is due happens.
    func advance(seconds: Int64) throws {
      channel.embeddedEventLoop.advanceTime(by: .seconds(seconds))
      try read()
    }

    var isActive: Bool { handler.lifetimeTimer.isScheduled && nextDue ?? .infinity < 1 }
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
    #expect(try peer.staysActive())
    try peer.send(Self.opening.dropLast(1))
    #expect(try peer.staysActive())
    try peer.send(Self.opening.suffix(1))
    #expect(try !peer.staysActive())
  }

  /// Nothing is under way: what is due next is a ping, or the end of the connection's time.
  @Test func nothingIsDueBeforeItsTimeHasCome() throws {
    let peer = try Self.open()
    #expect(try !peer.staysActive())
    #expect((299...301).contains(try #require(peer.nextDue)))
    let aging = try Self.open { $0.maximumConnectionAge = .seconds(60) }
    #expect(try !aging.staysActive())
    #expect((53...67).contains(try #require(aging.nextDue)))
    let idle = try Self.open { $0.idleTimeout = .seconds(30) }
    #expect(try !idle.staysActive())
    #expect((29...31).contains(try #require(idle.nextDue)))
    let endless = try Self.open {
      $0.idleTimeout = nil
      $0.keepaliveInterval = nil
    }
    #expect(try !endless.staysActive())
    #expect(endless.nextDue == nil)
    // Whatever comes in wakes it.
    try endless.send(Array(Frame.settings.prefix(3)))
    #expect(endless.isActive)
    #expect(try endless.staysActive())
    try endless.send(Array(Frame.settings.dropFirst(3)))
    #expect(try !endless.staysActive())
  }

  @Test func whileARequestIsNotWhole() throws {
    let peer = try Self.open()
    try peer.send(Self.headers("/test.Echo/Inline", 1))
    #expect(try peer.staysActive())
    try peer.send(Self.data([0, 0, 0, 0, 1], 1))
    #expect(try peer.staysActive())
    try peer.send(Self.data([7], 1, end: true))
    #expect(try !peer.staysActive())
  }

  @Test func whileAHeaderBlockIsNotWhole() throws {
    let peer = try Self.open()
    try peer.send(Self.headers("/test.Echo/Inline", 1, flags: 1))
    #expect(try peer.staysActive())
    try peer.send(Frame.raw(type: 9, flags: 4, stream: 1, []))
    #expect(try !peer.staysActive())
  }

  /// A stream may rest between messages, and not in one.
  @Test func whileAMessageIsNotWhole() async throws {
    let peer = try Self.open()
    try peer.send(Self.headers(StreamService.count, 1))
    #expect(try !peer.staysActive())
    try peer.send(Self.data([0, 0, 0], 1))
    #expect(peer.isActive)
    #expect(try peer.staysActive())
    try peer.send(Self.data([0, 0], 1))
    #expect(try !peer.staysActive())
  }

  @Test func whileAnAnswerWaitsForThePeer() throws {
    let peer = try Peer<HTTP2ServerSession>()
    let noWindow = Frame.raw(type: 4, stream: 0, [0, 4, 0, 0, 0, 0])
    try peer.send(Self.opening.prefix(24) + noWindow)
    try peer.send(
      Self.headers("/test.Echo/Inline", 1) + Self.data([0, 0, 0, 0, 1, 7], 1, end: true))
    #expect(try peer.staysActive())
    try peer.send(Frame.raw(type: 8, stream: 1, [0, 0, 0, 100]))
    #expect(try !peer.staysActive())
  }

  @Test func whileASignOfLifeIsAwaited() throws {
    let peer = try Self.open { $0.keepaliveInterval = .seconds(30) }
    let before = peer.output.count
    try peer.advance(seconds: 29)
    #expect(peer.output.count == before)
    try peer.advance(seconds: 3)
    let ping = Frame.parse(Array(peer.output[before...]))
    #expect(ping.map(\.type) == [6])
    #expect((17...20).contains(try #require(peer.nextDue)))
  }

  /// A deadline that moves with each read costs no timer each time.
  @Test func readsLeaveTheTimer() throws {
    let peer = try Self.open { $0.idleTimeout = .seconds(30) }
    let timer = peer.timer
    for call in 0..<50 {
      let stream = UInt32(2 * call + 1)
      try peer.send(
        Self.headers("/test.Echo/Inline", stream)
          + Self.data([0, 0, 0, 0, 1, 7], stream, end: true))
      #expect(peer.timer == timer)
    }
    #expect(try !peer.staysActive())
    #expect((29...31).contains(try #require(peer.nextDue)))
  }

  @Test func overTTRPC() throws {
    let peer = try Peer<TTRPCServerSession>()
    #expect(try !peer.staysActive())
    let frame = TTRPCTestFrame(1, .request, [], [1, 2, 3]).bytes
    try peer.send(Array(frame.prefix(11)))
    #expect(peer.isActive)
    #expect(try peer.staysActive())
    try peer.send(Array(frame.dropFirst(11)))
    #expect(try !peer.staysActive())
    // It has no pings: what is due next is the end of its time without calls.
    #expect((3599...3601).contains(try #require(peer.nextDue)))
  }
}
