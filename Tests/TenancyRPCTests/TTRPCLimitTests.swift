import NIOCore
import Testing

@testable import TenancyLoop
@testable import TenancyRPCCore
@testable import TenancyRPCFraming
@testable import TenancyRPCServer

@Suite("ttrpc limits")
struct TTRPCLimitTests {
  private static let echo = "/test.Echo/Inline"
  private static let stream = "/test.Streams/Echo"
  private static let hold = "/test.Streams/Hold"

  static func connection(
    _ change: (inout ServerLimits) -> Void
  ) throws -> TTRPCTestConnection {
    var limits = ServerLimits()
    change(&limits)
    return try TTRPCTestConnection(limits: limits)
  }

  @Test func concurrentStreams() throws {
    let connection = try Self.connection { $0.maximumConcurrentStreams = 2 }
    connection.send(
      .request(1, Self.stream, flags: .remoteOpen), .request(3, Self.stream, flags: .remoteOpen),
      .request(5, Self.stream, flags: .remoteOpen), .data(5, [1]))
    let frames = connection.frames()
    #expect(frames.map(\.stream) == [5])
    #expect(frames.map(\.code) == [.resourceExhausted])
    // Calls in memory do not count: they are over before the next is read.
    connection.send(.request(7, Self.echo, [1]), .end(1))
    #expect(connection.frames() == [.ok(7, [1]), .end(1)])
    connection.send(.request(9, Self.stream, [3], flags: .remoteOpen))
    #expect(connection.frames() == [.data(9, [3])])
  }

  @Test func messageBytes() throws {
    let connection = try Self.connection { $0.maximumMessageBytes = 4 }
    connection.send(
      .request(1, Self.echo, [1, 2, 3, 4]), .request(3, Self.echo, [1, 2, 3, 4, 5]),
      .request(5, Self.stream, [1, 2, 3, 4], flags: .remoteOpen), .data(5, [1, 2, 3, 4, 5]))
    let frames = connection.frames()
    #expect(frames.filter { $0.stream < 5 }.map(\.code) == [nil, .resourceExhausted])
    #expect(frames.filter { $0.stream == 5 }.map(\.code).last == .resourceExhausted)
    #expect(connection.engine.streams.count == 0)
  }

  @Test func metadataBytes() throws {
    let connection = try Self.connection { $0.maximumHeaderListBytes = 40 }
    connection.send(
      .request(1, Self.echo, metadata: ["key": "12345"]),
      .request(3, Self.echo, metadata: ["key": "123456"]))
    #expect(connection.frames().map(\.code) == [nil, .resourceExhausted])
  }

  /// What every call may have is free; beyond it, the limit is the last that is allowed.
  @Test func bytesOfMetadata() throws {
    let connection = try Self.connection {
      $0.maximumHeaderBurst = 3000
      $0.headerBytesPerSecond = 1
    }
    func call(_ id: UInt32, _ bytes: Int) -> TTRPCTestFrame {
      .request(id, Self.echo, metadata: ["k": String(repeating: "v", count: bytes - 33)])
    }
    connection.send(call(1, HeaderBudget.free), call(3, HeaderBudget.free))
    connection.send(call(5, HeaderBudget.free + 1500), call(7, HeaderBudget.free + 1500))
    #expect(connection.frames().map(\.code) == [nil, nil, nil, nil])
    #expect(connection.engine.failure == nil)
    connection.send(call(9, HeaderBudget.free + 100))
    #expect(connection.engine.failure == "too many bytes of metadata")
  }

  /// When there is no room, what handlers have taken is counted once, and not for each frame.
  @Test func fullCallsAreCountedOnce() throws {
    let connection = try Self.connection { $0.maximumBufferedBytes = 100 }
    let refused = (1...50).map { number in
      TTRPCTestFrame.request(
        UInt32(1 + 2 * number), "/test.Echo/Async", [UInt8](repeating: 7, count: 20))
    }
    let held = TTRPCTestFrame.request(
      1, "/test.Streams/Ignore", [UInt8](repeating: 7, count: 90), flags: .remoteOpen)
    connection.send(([held] + refused).flatMap(\.bytes))
    let codes = connection.frames().filter { $0.stream > 1 }.map(\.code)
    #expect(codes == Array(repeating: .resourceExhausted, count: 50))
    #expect(connection.engine.recounts == 1)
  }

  @Test func responseOverTheFrameLimit() throws {
    let connection = try TTRPCTestConnection()
    // A key, a length of four bytes, and the message.
    let fitting = TTRPCFrameHeader.maximumPayload - 5
    for (id, count) in [(UInt32(1), fitting), (3, fitting + 1), (5, 100_000_000)] {
      connection.send(
        .request(id, "/test.Streams/Zeros", withUnsafeBytes(of: count) { Array($0) }))
    }
    let frames = connection.frames()
    #expect(frames.map(\.code) == [nil, .resourceExhausted, .resourceExhausted])
    #expect(frames.first?.payload.count == TTRPCFrameHeader.maximumPayload)
    connection.send(.request(7, Self.echo, [1]))
    #expect(connection.frames() == [.ok(7, [1])])
  }

  @Test func streamedResponseOverTheFrameLimit() throws {
    for excess in [0, 1] {
      let connection = try TTRPCTestConnection([
        .streaming(path: "/a/A", kind: .serverStreaming) { _, _, responses in
          try await responses.send(
            [UInt8](repeating: 1, count: TTRPCFrameHeader.maximumPayload + excess))
        }
      ])
      connection.send(.request(1, "/a/A"))
      let frames = connection.frames()
      #expect(frames.map(\.code) == (excess == 0 ? [nil, nil] : [.resourceExhausted]))
      #expect(connection.engine.streams.count == 0)
    }
  }

  @Test func uselessFrames() throws {
    let connection = try Self.connection {
      $0.maximumUselessFrameBurst = 3
      $0.uselessFramesPerSecond = 0
    }
    connection.send(
      .data(1), TTRPCTestFrame(3, TTRPCFrameType(rawValue: 9)), .request(2, Self.echo),
      .request(5, Self.echo, [1]), .request(7, "/test.None/None"))
    #expect(
      connection.frames().map(\.code) == [.invalidArgument, .invalidArgument, nil, .unimplemented])
    #expect(connection.engine.failure == nil)
    connection.send(.data(9), .request(11, Self.echo))
    #expect(connection.frames().map(\.code) == [.invalidArgument])
    #expect(connection.engine.failure != nil)
  }

  @Test func uselessFramesAreForgivenWithTime() {
    var limit = RateLimit(burst: 2, perSecond: 10)
    let start = NIODeadline.now()
    let taken = [0, 0, 50, 110, 120].map { limit.take(at: start + .milliseconds($0)) }
    #expect(taken == [true, true, false, true, false])
  }

  // MARK: Request bytes that handlers do not take

  /// Never reads.
  private static func idle(_ limits: ServerLimits) throws -> TTRPCTestConnection {
    try TTRPCTestConnection(
      EchoService.methods + TTRPCTestService.methods + [
        .streaming(path: "/test.Idle/Stream", kind: .bidirectional) { _, _, _ in
          let (never, source) = AsyncStream.makeStream(of: Void.self)
          for await _ in never {}
          withExtendedLifetime(source) {}
        }
      ], limits: limits)
  }

  /// First the connection is not read, then the call is ended, and the others go on.
  @Test func stalledHandlerEndsItsCallOnly() throws {
    var limits = ServerLimits()
    limits.maximumStreamBufferedBytes = 1000
    limits.maximumHandlerStall = .nanoseconds(1)
    let connection = try Self.idle(limits)
    connection.send(
      .request(1, Self.stream, flags: .remoteOpen),
      .request(3, "/test.Idle/Stream", flags: .remoteOpen),
      .data(3, [UInt8](repeating: 1, count: 931)), .data(1, [1]))
    #expect(connection.frames() == [.data(1, [1])])
    #expect(connection.engine.takesInput)
    connection.send(.data(3, [1]), .data(1, [2]))
    if connection.engine.takesInput { connection.run() }
    connection.run()
    let frames = connection.frames()
    #expect(frames.map(\.stream) == [3, 1])
    #expect(frames.map(\.code) == [.resourceExhausted, nil])
    #expect(connection.engine.takesInput)
    connection.send(.data(3, [1]), .data(1, [3]), .end(1))
    #expect(connection.frames() == [.data(1, [3]), .end(1)])
  }

  @Test func stalledConnectionIsNotRead() throws {
    var limits = ServerLimits()
    limits.maximumStreamBufferedBytes = 1000
    limits.maximumHandlerStall = .seconds(3600)
    let connection = try Self.idle(limits)
    connection.send(
      .request(3, "/test.Idle/Stream", flags: .remoteOpen),
      .data(3, [UInt8](repeating: 1, count: 2000)), .data(3), .request(5, Self.echo))
    // The first message may be of any size; the second finds no room.
    #expect(!connection.engine.takesInput)
    #expect(connection.frames() == [])
    try connection.close()
  }

  /// A handler that takes its messages, if late, loses none of them.
  @Test func slowHandlerIsWaitedFor() throws {
    var limits = ServerLimits()
    limits.maximumStreamBufferedBytes = 200
    limits.maximumHandlerStall = .seconds(3600)
    let connection = try TTRPCTestConnection(limits: limits)
    // All in one read: the handler has its turn only after that.
    connection.send(
      TTRPCTestFrame.request(1, "/test.Streams/Sum", flags: .remoteOpen).bytes
        + (0..<100).flatMap { _ in TTRPCTestFrame.data(1, [1]).bytes }
        + TTRPCTestFrame.end(1).bytes)
    for _ in 0..<200 { connection.run() }
    #expect(connection.frames() == [.ok(1, [100])])
    #expect(connection.engine.takesInput)
    #expect(connection.engine.bufferedBytes == 0)
  }

  @Test func bufferedBytes() throws {
    var limits = ServerLimits()
    limits.maximumBufferedBytes = 2000
    limits.maximumHandlerStall = .nanoseconds(1)
    let connection = try Self.idle(limits)
    for id: UInt32 in [1, 3] {
      connection.send(.request(id, "/test.Idle/Stream", flags: .remoteOpen))
      connection.send(.data(id, [UInt8](repeating: 1, count: 931)))
    }
    #expect(connection.engine.bufferedBytes == 2000)
    connection.run()
    #expect(connection.frames() == [])
    connection.send(.request(5, "/test.Idle/Stream", [1]))
    #expect(connection.frames().map(\.code) == [.resourceExhausted])
    connection.send(.data(3))
    connection.run()
    connection.run()
    #expect(connection.frames().map(\.stream) == [3])
    connection.send(.request(7, "/test.Idle/Stream", [1], flags: .remoteOpen))
    #expect(connection.frames() == [])
  }

  @Test func unfinishedStreamsAreRemembered() {
    var recent = RecentStreams()
    for id in 0..<UInt32(RecentStreams.capacity) { recent.insert(id) }
    #expect(recent.contains(0))
    recent.insert(5000)
    #expect(!recent.contains(0) && recent.contains(1) && recent.contains(5000))
    recent.remove(1)
    #expect(!recent.contains(1))
  }
}

@Suite("What a ttrpc connection gives up")
struct TTRPCGiveUpTests {
  private static let echo = "/test.Echo/Inline"

  /// A frame that is not whole counts, and is skipped when others need the memory.
  @Test func unfinishedFrames() throws {
    let connection = try TTRPCTestConnection()
    let budget = connection.core.memory.requests
    let limit = budget.room
    let whole = TTRPCTestFrame.request(1, Self.echo, [UInt8](repeating: 1, count: 100_000)).bytes
    connection.send(Array(whole.prefix(90_000)))
    #expect(budget.room < limit - 80_000)
    #expect(!connection.engine.giveUp(.requests, 1))
    #expect(budget.room == limit && connection.engine.reader.capacity < 20_000)
    connection.run()
    connection.send(Array(whole.dropFirst(90_000)))
    connection.send(.request(3, Self.echo, [5]))
    let frames = connection.frames()
    #expect(frames.map(\.stream) == [1, 3] && frames.map(\.code) == [.resourceExhausted, nil])
  }

  /// What can't be skipped because its header is not here is little.
  @Test func unfinishedHeaders() throws {
    let connection = try TTRPCTestConnection()
    let whole = TTRPCTestFrame.request(1, Self.echo, [7]).bytes
    connection.send(Array(whole.prefix(9)))
    _ = connection.engine.giveUp(.requests, 1)
    connection.send(Array(whole.dropFirst(9)))
    #expect(connection.frames() == [.ok(1, [7])])
  }

  @Test func whoIsAskedTooOftenIsCut() throws {
    var limits = ServerLimits()
    limits.maximumOverdrafts = 2
    let connection = try TTRPCTestConnection(limits: limits)
    for expected in [false, false, true] {
      _ = connection.engine.giveUp(.requests, 1)
      #expect((connection.engine.failure != nil) == expected)
    }
  }
}
