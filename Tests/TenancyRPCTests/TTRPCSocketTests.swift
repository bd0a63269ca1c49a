import Foundation
import TenancyTestSupport
import Testing

@testable import TenancyCrypto
@testable import TenancyRPCCore
@testable import TenancyRPCFraming
@testable import TenancyRPCServer

/// ttrpc through a real server on a Unix socket.
@Suite("ttrpc over a socket")
struct TTRPCSocketTests {
  static func withServer(
    _ extra: [TestMethod] = [], limits: ServerLimits = ServerLimits(),
    _ body: (TestServer, RawSocket) async throws -> Void
  ) async throws {
    let server = try await TestServer.start(TTRPCTestService.methods + extra, limits: limits)
    let socket = try RawSocket(server.path)
    defer { socket.close() }
    try await outcome {
      try await body(server, socket)
    } then: {
      try await server.stop()
    }
  }

  /// Waits for `count` frames.
  static func frames(_ socket: RawSocket, _ count: Int) async throws -> [TTRPCTestFrame] {
    var frames: [TTRPCTestFrame] = []
    for _ in 0..<count {
      let header = try await socket.receive(exactly: TTRPCFrameHeader.length)
      let length = header.withUnsafeBytes { bytes in
        bytes.baseAddress.map { TTRPCFrameHeader(reading: $0).payloadCount } ?? 0
      }
      frames += TTRPCTestFrame.parse(header + (try await socket.receive(exactly: length)))
    }
    return frames
  }

  @Test func allKindsOfCalls() async throws {
    try await Self.withServer { _, socket in
      let frames: [TTRPCTestFrame] = [
        .request(1, "/test.Echo/Inline", [1]), .request(3, "/test.Echo/Async", [2]),
        .request(5, "/test.Echo/RefuseAsync"),
        .request(
          7, "/test.Echo/RPCMetadata", Array("key".utf8), metadata: ["Key": "a", "key": "b"]),
        .request(9, "/test.Streams/Sum", flags: .remoteOpen), .data(9, [4]), .data(9, [5]),
        .end(9), .request(11, "/test.Streams/Count", [2], flags: .remoteClosed),
        .request(13, "/test.Streams/Echo", [6], flags: .remoteOpen), .end(13),
      ]
      try socket.send(frames.flatMap(\.bytes))
      let answers = Dictionary(grouping: try await Self.frames(socket, 10), by: \.stream)
      #expect(answers[1] == [.ok(1, [1])])
      #expect(answers[3] == [.ok(3, [2])])
      #expect(answers[5]?.map(\.status?.message) == [EchoService.refusal.message])
      #expect(answers[7] == [.ok(7, Array("a,b".utf8))])
      #expect(answers[9] == [.ok(9, [9])])
      #expect(answers[11] == [.data(11, [0]), .data(11, [1]), .end(11)])
      #expect(answers[13] == [.data(13, [6]), .end(13)])
    }
  }

  @Test func bothProtocolsOnOneListener() async throws {
    try await Self.withServer { server, socket in
      // First: one that stays silent while the other is served may be closed on a busy machine.
      try socket.send(TTRPCTestFrame.request(1, "/test.Echo/Inline", [2]).bytes)
      #expect(try await Self.frames(socket, 1) == [.ok(1, [2])])
      let channel = server.channel()
      #expect(try await channel.ask("/test.Echo/Inline", [1]) == [1])
      await channel.close()
    }
  }

  @Test func overTLSByALPN() async throws {
    let pki = try TestPKI()
    let files = try pki.save(pki.issue(.server), "server")
    var configuration = Server.Configuration(
      listeners: [.tcp(host: "127.0.0.1", port: 0)], tls: try TLSContext(.server, files))
    configuration.eventLoops = 1
    let server = try await Server(
      configuration, methods: EchoService.methods, delegate: PlainDelegate())
    guard case .tcp(_, let port, _, _)? = try await server.start().first else {
      throw TestPKI.Failure()
    }
    let socket = try TLSSocket(
      .tcp(host: "127.0.0.1", port: port), pki.save(pki.issue(.client()), "client"),
      offering: [.ttrpc])
    let answer = TTRPCTestFrame.ok(1, [2])
    socket.send(TTRPCTestFrame.request(1, "/test.Echo/Inline", [2]).bytes)
    #expect(
      TTRPCTestFrame.parse(try socket.receive(exactly: answer.bytes.count)) == [answer])
    await server.stop(within: .seconds(5))
  }

  @Test func deadlineCancelsTheHandler() async throws {
    let gate = Gate()
    try await Self.withServer([gate.method]) { _, socket in
      try socket.send(TTRPCTestFrame.request(1, "/test.Gate/Wait", timeout: 20_000_000).bytes)
      #expect(try await Self.frames(socket, 1).map(\.code) == [.deadlineExceeded])
      #expect(await gate.next(2) == [.started, .cancelled])
    }
  }

  @Test func closingCancelsTheHandler() async throws {
    let gate = Gate()
    try await Self.withServer([gate.method]) { server, _ in
      let second = try RawSocket(server.path)
      try second.send(TTRPCTestFrame.request(1, "/test.Gate/Wait").bytes)
      #expect(await gate.next(1) == [.started])
      second.close()
      #expect(await gate.next(1) == [.cancelled])
    }
  }

  /// A frame that is never finished holds up nobody.
  @Test func truncatedFrameAtTheEnd() async throws {
    try await Self.withServer { server, socket in
      for length in [1, 9, 10, 12] {
        let cut = try RawSocket(server.path)
        try cut.send(Array(TTRPCTestFrame.request(1, "/test.Echo/Inline").bytes[..<length]))
        cut.close()
      }
      try socket.send(TTRPCTestFrame.request(1, "/test.Echo/Inline", [2]).bytes)
      #expect(try await Self.frames(socket, 1) == [.ok(1, [2])])
    }
  }

  @Test func drainLetsCallsFinish() async throws {
    let gate = Gate()
    let server = try await TestServer.start([gate.method])
    let socket = try RawSocket(server.path)
    defer { socket.close() }
    try socket.send(TTRPCTestFrame.request(1, "/test.Gate/Wait", [7]).bytes)
    #expect(await gate.next(1) == [.started])
    async let stopped: Void = server.stop()
    // The drain is under way when a call is refused.
    var id: UInt32 = 3
    var answer: TTRPCTestFrame?
    repeat {
      try socket.send(TTRPCTestFrame.request(id, "/test.Echo/Inline").bytes)
      answer = try await Self.frames(socket, 1).first
      id += 2
    } while answer?.code == nil
    #expect(answer?.code == .unavailable)
    gate.open()
    #expect(try await Self.frames(socket, 1) == [.ok(1, [7])])
    #expect(try await socket.isAtEnd())
    try await stopped
  }

  /// A peer that does not read what it asks for is not read from, and costs bounded memory.
  @Test func peerThatDoesNotReadIsNotRead() async throws {
    var limits = ServerLimits()
    limits.maximumWaitingReplyBytes = 1024 * 1024
    try await Self.withServer(limits: limits) { server, socket in
      let count = withUnsafeBytes(of: 1_000_000) { Array($0) }
      let request = TTRPCTestFrame.request(1, "/test.Streams/Zeros", count).bytes
      // More requests than the socket holds: in the end, the server takes no more.
      var sent = 0
      var id: UInt32 = 1
      while sent < 64 * 1024 * 1024 {
        var frame = request
        withUnsafeBytes(of: id.bigEndian) { frame.replaceSubrange(4..<8, with: $0) }
        guard try await socket.trySend(frame) else { break }
        sent += frame.count
        id += 2
      }
      #expect(sent < 64 * 1024 * 1024)
      let other = try RawSocket(server.path)
      try other.send(TTRPCTestFrame.request(1, "/test.Echo/Inline", [2]).bytes)
      #expect(try await Self.frames(other, 1) == [.ok(1, [2])])
      other.close()
    }
  }
}
