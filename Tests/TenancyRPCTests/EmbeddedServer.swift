import NIOCore
import NIOEmbedded
import Testing

@testable import TenancyRPCServer

/// A server's side of one plain connection, without sockets, on a loop whose clock is set by hand. For
/// methods that answer on the event loop.
struct EmbeddedServer {
  let core: ServerCore
  let loop = EmbeddedEventLoop()
  let state: LoopState
  let channel: EmbeddedChannel

  init(methods: [TestMethod], limits: ServerLimits = ServerLimits()) throws {
    core = ServerCore(methods: methods, limits: limits, delegate: PlainDelegate())
    state = LoopState(loop, embedder: core.embedder.makeLoop())
    channel = EmbeddedChannel(loop: loop)
    let acceptor = ConnectionAcceptor(
      core: core, loop: state, tls: nil, plainPeer: .anonymous, origin: .unknown, channel: channel,
      label: "test")
    try channel.pipeline.syncOperations.addHandler(ProtocolSniffer(acceptor))
    try channel.connect(to: SocketAddress(unixDomainSocketPath: "/test")).wait()
  }

  func receive(_ bytes: [UInt8]) throws {
    channel.pipeline.fireChannelRead(ByteBuffer(bytes: bytes))
    channel.pipeline.fireChannelReadComplete()
    loop.run()
  }

  /// What the server has written since the last time.
  func output() throws -> [UInt8] {
    var output: [UInt8] = []
    while let part = try channel.readOutbound(as: ByteBuffer.self) { output += Array(buffer: part) }
    return output
  }

  func close() throws {
    if channel.isActive { channel.pipeline.fireChannelInactive() }
    _ = try? channel.finish()  // What it still holds is not looked at.
    try loop.syncShutdownGracefully()
  }
}

extension ServerConnectionHandler {
  /// Of a plain connection that its server's delegate takes.
  convenience init(core: ServerCore, peer: PeerKey, loop: LoopState) throws {
    let embedder = try #require(loop.embedder.open(Connection(peer: .anonymous, label: "test")))
    self.init(core: core, embedder: embedder, peer: peer, credential: nil, loop: loop)
  }
}
