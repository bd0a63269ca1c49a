import Testing

@testable import TenancyRPCCore
@testable import TenancyRPCFraming
@testable import TenancyRPCServer

@Suite("ttrpc server engine")
struct TTRPCServerTests {
  @Test func unaryCallsAreAnsweredInOrder() throws {
    let connection = try TTRPCTestConnection()
    connection.send(
      .request(1, "/test.Echo/Inline", [1, 2, 3]), .request(3, "/test.Echo/Inline"),
      .request(5, "/test.Echo/Inline", [UInt8](repeating: 9, count: 100_000)))
    #expect(
      connection.frames() == [
        .ok(1, [1, 2, 3]), .ok(3, []), .ok(5, [UInt8](repeating: 9, count: 100_000)),
      ])
  }

  @Test func refusalsCarryTheirDetails() throws {
    let status = RPCStatus(
      .failedPrecondition, "no", details: [8, 9, 0x12, 2, 0x6E, 0x6F, 0x1A, 2, 0x0A, 0])
    let connection = try TTRPCTestConnection([
      .inline(path: "/a/A") { _, _ throws(RPCStatus) in throw status }
    ])
    connection.send(.request(1, "/a/A"))
    #expect(connection.frames().map(\.status) == [status])
  }

  @Test func answersThatAreNotFinalAreForgotten() throws {
    let connection = try TTRPCTestConnection()
    connection.send(
      .request(1, "/test.Streams/ReplyAndRefuse"), .request(3, "/test.Streams/ReplyTwice"),
      .request(5, "/test.Streams/Silent"))
    let frames = connection.frames()
    #expect(frames.map(\.code) == [.failedPrecondition, nil, nil])
    #expect(Array(frames.dropFirst()) == [.ok(3, [2]), .ok(5, [])])
  }

  @Test func metadataReachesTheHandler() throws {
    let connection = try TTRPCTestConnection()
    connection.send(
      .request(1, "/test.Streams/RPCMetadata", metadata: ["Key": "one", "key": "two", "x": "é"]))
    #expect(connection.frames() == [.ok(1, Array("key=one;key=two;x=é;".utf8))])
  }

  @Test func idleConnectionHoldsNoLargeBuffers() throws {
    let connection = try TTRPCTestConnection()
    let large = [UInt8](repeating: 7, count: 1_000_000)
    connection.send(.request(1, "/test.Echo/Inline", large))
    #expect(connection.frames() == [.ok(1, large)])
    #expect(connection.engine.reader.capacity <= 16 * 1024)
    #expect(connection.engine.output.bytes.capacity <= 16 * 1024)
  }

  // MARK: Streams

  @Test func bidirectional() throws {
    let connection = try TTRPCTestConnection()
    connection.send(.request(1, "/test.Streams/Echo", flags: .remoteOpen))
    #expect(connection.frames() == [])
    connection.send(.data(1, [1]), .data(1))
    #expect(connection.frames() == [.data(1, [1]), .data(1)])
    connection.send(.data(1, [2], flags: .remoteClosed))
    #expect(connection.frames() == [.data(1, [2]), .end(1)])
    #expect(connection.engine.streams.count == 0)
    #expect(connection.engine.bufferedBytes == 0)
  }

  /// The first message may come with the request; then it is the only one unless the stream is open.
  @Test(arguments: [TTRPCFlags(), .remoteClosed, .remoteOpen])
  func firstMessageInTheRequest(flags: TTRPCFlags) throws {
    let connection = try TTRPCTestConnection()
    connection.send(.request(1, "/test.Streams/Echo", [7], flags: flags))
    let isOpen = flags == .remoteOpen
    #expect(connection.frames() == [.data(1, [7])] + (isOpen ? [] : [.end(1)]))
    guard isOpen else { return }
    connection.send(.end(1))
    #expect(connection.frames() == [.end(1)])
  }

  @Test func clientStreaming() throws {
    let connection = try TTRPCTestConnection()
    connection.send(
      .request(1, "/test.Streams/Sum", flags: .remoteOpen), .data(1, [1, 2]), .data(1, [3]),
      .end(1))
    #expect(connection.frames() == [.ok(1, [6])])
  }

  @Test(arguments: [TTRPCFlags(), .remoteClosed])
  func serverStreaming(flags: TTRPCFlags) throws {
    let connection = try TTRPCTestConnection()
    connection.send(.request(1, "/test.Streams/Count", [3], flags: flags))
    #expect(connection.frames() == [.data(1, [0]), .data(1, [1]), .data(1, [2]), .end(1)])
    // An empty message, as proto3 writes it.
    connection.send(.request(3, "/test.Streams/Count", flags: flags))
    #expect(connection.frames() == [.end(3)])
  }

  @Test func streamsOfOneConnectionAreMixed() throws {
    let connection = try TTRPCTestConnection()
    connection.send(
      .request(1, "/test.Streams/Echo", flags: .remoteOpen),
      .request(3, "/test.Streams/Sum", flags: .remoteOpen), .data(1, [1]), .data(3, [2]),
      .data(1, [3]), .request(5, "/test.Echo/Inline", [4]), .data(3, [5]), .end(3), .end(1))
    let frames = connection.frames()
    #expect(frames.filter { $0.stream == 1 } == [.data(1, [1]), .data(1, [3]), .end(1)])
    #expect(frames.filter { $0.stream == 3 } == [.ok(3, [7])])
    #expect(frames.filter { $0.stream == 5 } == [.ok(5, [4])])
  }

  /// The client may not know yet that its call is over: what it sends is dropped, and not answered.
  @Test func dataBehindAnEarlyAnswer() throws {
    let connection = try TTRPCTestConnection()
    connection.send(
      .request(1, "/test.Streams/Refuse", [1], flags: .remoteOpen),
      .request(3, "/test.Unknown/Unknown", flags: .remoteOpen))
    #expect(connection.frames().map(\.code) == [.unimplemented, .failedPrecondition])
    connection.send(.data(1, [1]), .data(3, [1]), .end(1), .data(3, [2]), .end(3))
    #expect(connection.frames() == [])
    // Now it has said that it is at the end.
    connection.send(.data(1, [1]), .end(3))
    #expect(connection.frames().map(\.code) == [.invalidArgument, .invalidArgument])
  }

  @Test func responsesHaveTheirNumberOfMessages() throws {
    let connection = try TTRPCTestConnection()
    connection.send(.request(1, "/test.Streams/Nothing"), .request(3, "/test.Streams/Twice"))
    #expect(connection.frames().map(\.code) == [.internalError, .internalError])
    #expect(connection.engine.streams.count == 0)
  }

  // MARK: Time

  @Test func deadlineEndsAStream() throws {
    let connection = try TTRPCTestConnection()
    connection.send(.request(1, "/test.Streams/Echo", flags: .remoteOpen, timeout: 1))
    connection.run()
    #expect(connection.frames().map(\.code) == [.deadlineExceeded])
    connection.run()
    #expect(connection.core.handlersAtWork == 0)
    #expect(connection.engine.streams.count == 0)
  }

  @Test func deadlineThatHasPassedOnArrival() throws {
    let connection = try TTRPCTestConnection()
    connection.send(
      .request(1, "/test.Echo/Inline", timeout: -1), .request(3, "/test.Echo/Inline", timeout: 0),
      .request(5, "/test.Echo/Inline", timeout: .max))
    #expect(connection.frames().map(\.code) == [.deadlineExceeded, nil, nil])
  }

  @Test func closingCancelsStreams() throws {
    let connection = try TTRPCTestConnection()
    connection.send(.request(1, "/test.Streams/Echo", flags: .remoteOpen))
    #expect(connection.core.handlersAtWork == 1)
    try connection.close()
    connection.run()
    #expect(connection.core.handlersAtWork == 0)
  }

  // MARK: Draining

  @Test func drainFinishesCallsAndRefusesOthers() throws {
    let connection = try TTRPCTestConnection()
    connection.send(.request(1, "/test.Streams/Echo", flags: .remoteOpen))
    connection.handler.drain()
    #expect(!connection.engine.wantsToClose)
    connection.send(.request(3, "/test.Echo/Inline"), .data(1, [5]))
    let frames = connection.frames()
    #expect(frames.map(\.code) == [.unavailable, nil])
    #expect(frames.last == .data(1, [5]))
    connection.send(.end(1))
    #expect(connection.frames() == [.end(1)])
    #expect(connection.engine.wantsToClose)
  }

  @Test func idleConnectionDrainsAtOnce() throws {
    let connection = try TTRPCTestConnection()
    connection.handler.drain()
    #expect(connection.engine.wantsToClose)
  }
}
