import NIOCore
import NIOEmbedded
import Synchronization
import TenancyCrypto

@testable import TenancyRPCCore
@testable import TenancyRPCServer

/// Whole connections: sniffing, TLS, HTTP/2, handlers of every kind, deadlines and the end.
let connectionTargets: [FuzzTarget] = [
  FuzzTarget("connection") {
    try Conversation.seeds().map(\.request) + FuzzTLS.helloSeeds()
      + TTRPCScript.seeds.map { TTRPCScript.frames($0).flatMap(\.self) }
      + [[0], [0x16, 3, 1], [0xFF]]
  } run: {
    _ = try Connections.run($0.pieces())
  },
  FuzzTarget("connection-frames") {
    FrameScript.seeds.flatMap { seed in EchoMethods.all.indices.map { [UInt8($0)] + seed } }
  } run: { input in
    var script = input
    let method = EchoMethods.all[Int(script.takeFirst()) % EchoMethods.all.count]
    // The path of the frames is that of the inline method: the table decides what it is.
    _ = try Connections.run(
      [Conversation.preface] + FrameScript.frames(script), methods: [method.at(EchoMethods.path)])
  },
]

/// Services that send back what they get.
enum EchoMethods {
  static let path = "/test.Echo/Inline"

  static let inline: [FuzzMethod] = [
    .inline(path: path) { call, message throws(RPCStatus) in
      call.reply(count: message.count) { target in
        if let base = message.baseAddress {
          target.copyMemory(from: base, byteCount: message.count)
        }
      }
    }
  ]

  static let all: [FuzzMethod] =
    inline
    + [CallKind.clientStreaming, .serverStreaming, .bidirectional].map { kind in
      .streaming(path: "/test.Echo/\(kind)", kind: kind) { _, requests, responses in
        responses.sendHeaders(["x-initial": "1"])
        for try await request in requests {
          try await responses.send(request.bytes, compress: request.wasCompressed)
        }
        responses.addTrailers(["x-trailing-bin": "AAEC"])
      }
    }
}

extension FuzzMethod {
  fileprivate func at(_ path: String) -> FuzzMethod {
    FuzzMethod(path: path, kind: kind, handler: handler)
  }
}

enum Connections {
  /// What the server writes, until the connection is closed.
  static func run(
    _ pieces: [[UInt8]], methods: [FuzzMethod] = EchoMethods.all
  ) throws -> [UInt8] {
    var limits = ServerLimits()
    limits.maximumConcurrentStreams = 8
    limits.maximumMessageBytes = 2_000
    limits.maximumBufferedBytes = 4_000
    limits.maximumWaitingReplyBytes = 3_000
    let core = ServerCore(methods: methods, limits: limits, delegate: FuzzDelegate())
    let loop = EmbeddedEventLoop()
    let state = LoopState(loop, embedder: core.embedder.makeLoop())
    let channel = EmbeddedChannel(loop: loop)
    let acceptor = ConnectionAcceptor(
      core: core, loop: state, tls: try FuzzTLS.server(), plainPeer: .anonymous,
      origin: .unknown, channel: channel, label: "fuzz")
    try channel.pipeline.syncOperations.addHandler(ProtocolSniffer(acceptor))
    try channel.connect(to: SocketAddress(unixDomainSocketPath: "/fuzz")).wait()
    var output: [UInt8] = []
    for piece in pieces where channel.isActive {
      channel.pipeline.fireChannelRead(ByteBuffer(bytes: piece))
      channel.pipeline.fireChannelReadComplete()
      loop.run()
      // Read, so that not all of it stays in memory.
      while let part = try channel.readOutbound(as: ByteBuffer.self) {
        output += Array(buffer: part)
      }
    }
    // Deadlines, and connections that said nothing.
    loop.advanceTime(by: .seconds(60))
    if channel.isActive { channel.pipeline.fireChannelInactive() }
    _ = try? channel.finish()
    loop.run()
    // What the loop still holds would look like a leak.
    try loop.syncShutdownGracefully()
    try checkEqual(
      core.handlersAtWork, 0, "handlers of a connection that is gone")
    try checkEqual(core.census.unproven, 0, "a connection that is gone is counted")
    return output
  }
}
