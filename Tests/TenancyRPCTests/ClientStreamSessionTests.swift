import Testing

@testable import TenancyRPCClient

@Suite("Streams of a client's HTTP/2 engine")
struct ClientStreamSessionTests {
  static let ok = Frame.headers(ClientSessionTests.ok)
  static let trailers = Frame.headers([("grpc-status", "0")], end: true)

  static func client(_ limits: ClientLimits = ClientLimits()) -> HTTP2ClientSession {
    let client = HTTP2ClientSession(scheme: "http", authority: "a", limits: limits)
    _ = client.output()
    client.feed(Frame.settings)
    _ = client.output()
    return client
  }

  static func message(_ bytes: [UInt8], flags: UInt8 = 0) -> [UInt8] {
    [flags] + Frame.bigEndian(UInt32(bytes.count)) + bytes
  }

  // MARK: Requests

  @Test func requestsGoOutAsTheyCome() throws {
    let client = Self.client()
    let call = try SessionCall(client, nil, kind: .clientStreaming)
    let stream = try #require(call.stream)
    #expect(Frame.parse(client.output()).map(\.type) == [1])
    // Nothing to send is no reason to wake up.
    #expect(client.output().isEmpty)
    for bytes in [[], [1], [2, 3]] as [[UInt8]] {
      client.send(OutboundMessage(bytes: bytes), on: stream)
      let frames = Frame.parse(client.output())
      #expect(frames.map(\.type) == [0])
      #expect(frames.first?.payload == Self.message(bytes))
      #expect(frames.first?.flags == 0)
    }
    client.send(OutboundMessage(bytes: [4], isCompressed: true), on: stream)
    client.finishRequests(of: stream)
    let last = Frame.parse(client.output())
    #expect(last.map(\.payload) == [Self.message([4], flags: 1)])
    #expect(last.map(\.flags) == [1])
  }

  @Test func endWithoutMessageIsOneEmptyFrame() throws {
    let client = Self.client()
    let call = try SessionCall(client, nil, kind: .clientStreaming)
    _ = client.output()
    client.finishRequests(of: try #require(call.stream))
    let frames = Frame.parse(client.output())
    #expect(frames.map(\.type) == [0])
    #expect(frames.map(\.flags) == [1])
    #expect(frames.map(\.payload) == [[]])
  }

  /// The server's window is what bounds requests; what it lets through is told as sent.
  @Test func requestsStopAtTheServersWindow() throws {
    let client = Self.client()
    let call = try SessionCall(client, nil, kind: .clientStreaming)
    let stream = try #require(call.stream)
    let big = OutboundMessage(bytes: [UInt8](repeating: 7, count: 40_000))
    client.send(big, on: stream)
    client.send(big, on: stream)
    let first = Frame.parse(client.output())
    #expect(first.filter { $0.type == 0 }.reduce(0) { $0 + $1.payload.count } == 65_535)
    #expect(stream.sentCost == big.cost)
    client.feed(Frame.window(stream: 0, 100_000) + Frame.window(stream: 1, 100_000))
    let second = Frame.parse(client.output())
    #expect(second.reduce(0) { $0 + $1.payload.count } == 80_010 - 65_535)
    #expect(stream.sentCost == 2 * big.cost)
  }

  // MARK: Responses

  @Test func deliversTheSameHoweverItIsCut() throws {
    let messages = [[], [1], [UInt8](repeating: 9, count: 300), [], [4, 5]] as [[UInt8]]
    let body = messages.flatMap { Self.message($0) }
    for size in [1, 2, 3, 5, 7, 64, 1000] {
      let client = Self.client()
      let call = try SessionCall(client, kind: .serverStreaming)
      _ = client.output()
      var bytes = Self.ok
      for start in stride(from: 0, to: body.count, by: size) {
        bytes += Frame.data(Array(body[start..<min(start + size, body.count)]))
      }
      for byte in bytes + Self.trailers { client.feed([byte]) }
      #expect(call.messages == messages)
      #expect(call.headers.count == 1)
      #expect(call.ends.map(\.status.code) == [.ok])
      #expect(client.openStreams == 0)
    }
  }

  @Test func givesMetadataOfBothEnds() throws {
    let client = Self.client()
    let call = try SessionCall(client, kind: .serverStreaming)
    _ = client.output()
    let head = Frame.headers(
      ClientSessionTests.ok + [("x-a", "1"), ("x-a", "2"), ("grpc-encoding", "identity")])
    let end = Frame.headers([("grpc-status", "3"), ("x-b", "3")], end: true)
    client.feed(head + end)
    #expect(call.headers == [["x-a": "1", "x-a": "2"]])
    #expect(call.ends.first?.trailers == ["x-b": "3"])
    #expect(call.code == .invalidArgument)
  }

  @Test func responseOfNothingButAnEndHasNoHeaders() throws {
    let client = Self.client()
    let call = try SessionCall(client, kind: .serverStreaming)
    _ = client.output()
    client.feed(
      Frame.headers(ClientSessionTests.ok + [("grpc-status", "0"), ("x-b", "3")], end: true))
    #expect(call.headers.isEmpty)
    #expect(call.ends.first?.trailers == ["x-b": "3"])
    #expect(call.code == .ok)
  }

  @Test func lastMessageCutShortIsNoSuccess() throws {
    let client = Self.client()
    let call = try SessionCall(client, kind: .serverStreaming)
    _ = client.output()
    client.feed(Self.ok + Frame.data(Self.message([1]) + [0, 0, 0]) + Self.trailers)
    #expect(call.messages == [[1]])
    #expect(call.code == .internalError)
  }

  // MARK: Flow control

  /// A stream's window opens as messages are taken, the connection's as bytes come in.
  @Test func windowOpensAsMessagesAreTaken() throws {
    var limits = ClientLimits()
    limits.streamWindowBytes = 65_536
    limits.connectionWindowBytes = 100_000
    let client = Self.client(limits)
    let call = try SessionCall(client, kind: .serverStreaming)
    let stream = try #require(call.stream)
    _ = client.output()
    client.feed(Self.ok)
    let message = Self.message([UInt8](repeating: 1, count: 16_000))
    for _ in 0..<4 { client.feed(Frame.data(message)) }
    #expect(call.messages.count == 4)
    // Nobody has taken any: only the connection's window opens.
    #expect(Set(Frame.parse(client.output()).map(\.stream)) == [0])
    for _ in 0..<4 {
      client.consumed(message.count, of: stream)
      client.tellObservers()
    }
    let updates = Frame.parse(client.output()).filter { $0.stream == 1 }
    #expect(updates.allSatisfy { $0.type == 8 })
    #expect(updates.count >= 1)
  }

  @Test func serverThatIgnoresTheWindowIsCut() throws {
    var limits = ClientLimits()
    limits.streamWindowBytes = 1000
    let client = Self.client(limits)
    let call = try SessionCall(client, kind: .serverStreaming)
    _ = client.output()
    // A server must have seen our settings before their window counts.
    client.feed(Frame.raw(type: 4, flags: 1, stream: 0, []))
    client.feed(Self.ok + Frame.data(Self.message([UInt8](repeating: 1, count: 995))))
    #expect(call.ends.isEmpty)
    client.feed(Frame.data([0]))
    _ = client.output()
    client.feed([])
    #expect(call.ends.count == 1)
  }

  /// A message larger than the window must not wait for itself.
  @Test func windowOpensWithinAMessage() throws {
    var limits = ClientLimits()
    limits.streamWindowBytes = 65_536
    let client = Self.client(limits)
    let call = try SessionCall(client, kind: .serverStreaming)
    _ = client.output()
    client.feed(Self.ok)
    let message = Self.message([UInt8](repeating: 1, count: 1_000_000))
    var window = 65_536
    var rest = message[...]
    while !rest.isEmpty {
      let part = rest.prefix(min(window, 16_000))
      try #require(!part.isEmpty)
      rest = rest.dropFirst(part.count)
      window -= part.count
      client.feed(Frame.data(Array(part)))
      for frame in Frame.parse(client.output()) where frame.type == 8 && frame.stream == 1 {
        window += frame.payload.reduce(0) { $0 << 8 | Int($1) }
      }
    }
    #expect(call.messages.map(\.count) == [1_000_000])
  }

  // MARK: Ends

  @Test func cancelIsSentAtEveryStage() throws {
    let stages: [[UInt8]] = [
      [], Self.ok, Self.ok + Frame.data(Self.message([1])), Self.ok + Frame.data([0, 0]),
    ]
    for stage in stages {
      let client = Self.client()
      let call = try SessionCall(client, nil, kind: .bidirectional)
      _ = client.output()
      client.feed(stage)
      client.cancel(try #require(call.stream), ClientCall.cancelled)
      client.tellObservers()
      #expect(call.ends.map(\.status) == [ClientCall.cancelled])
      #expect(Frame.parse(client.output()).contains { $0.type == 3 && $0.payload == [0, 0, 0, 8] })
      client.feed(Frame.data(Self.message([2])) + Self.trailers)
      #expect(call.ends.count == 1)
      #expect(client.openStreams == 0)
    }
    // Before it left: the server never hears of it.
    let client = Self.client()
    let call = try SessionCall(client, nil, kind: .bidirectional)
    client.cancel(try #require(call.stream), ClientCall.cancelled)
    client.tellObservers()
    _ = client.output()
    client.tellObservers()
    #expect(call.ends.count == 1)
    #expect(client.openStreams == 0)
  }

  @Test func tellsHowFarACallGot() throws {
    typealias Case = (before: [[UInt8]], reach: StreamEnd.Reach)
    let cases: [Case] = [
      ([Frame.reset(7)], .refused), ([Frame.reset(8)], .processed),
      ([Frame.goAway(last: 0)], .refused),
      ([Self.ok, Frame.goAway(last: 1), Frame.reset(2)], .processed),
    ]
    for (bytes, reach) in cases {
      let client = Self.client()
      let call = try SessionCall(client)
      _ = client.output()
      client.feed(bytes.flatMap(\.self))
      #expect(call.ends.map(\.reach) == [reach])
    }
    let client = Self.client()
    client.feed(Frame.raw(type: 4, stream: 0, [0, 3] + Frame.bigEndian(1)))
    _ = try SessionCall(client)
    let second = try SessionCall(client)
    _ = client.output()
    client.feed(Frame.goAway(last: 0x7FFF_FFFF))
    #expect(second.ends.map(\.reach) == [.neverSent])
  }

  /// GOAWAY amid a stream: it goes on to its end, and no other begins.
  @Test func goAwayLetsStreamsFinish() throws {
    let client = Self.client()
    let call = try SessionCall(client, kind: .serverStreaming)
    _ = client.output()
    client.feed(Self.ok + Frame.data(Self.message([1])) + Frame.goAway(last: 1))
    #expect(call.ends.isEmpty)
    #expect(!client.acceptsCalls)
    let late = try SessionCall(client)
    client.tellObservers()
    #expect(late.ends.map(\.reach) == [.neverSent])
    client.feed(Frame.data(Self.message([2])) + Self.trailers)
    #expect(call.messages == [[1], [2]])
    #expect(call.code == .ok)
    _ = client.output()
    #expect(client.wantsToClose)
  }

  @Test func pingIsSentAndAnswersAreSwallowed() throws {
    let client = Self.client()
    #expect(client.ping())
    let frames = Frame.parse(client.output())
    #expect(frames.map(\.type) == [6])
    #expect(client.feed(Frame.raw(type: 6, flags: 1, stream: 0, [UInt8](repeating: 0, count: 8))))
  }

  /// Any byte may be wrong: that may cost the connection, never the process or a second end.
  @Test func damagedStreamsDoNoHarm() throws {
    let answer =
      Self.ok + Frame.data(Self.message([1]) + Self.message([2, 3])) + Self.trailers
    for mask: UInt8 in [0x01, 0x10, 0x80, 0xFF] {
      for index in answer.indices {
        var damaged = answer
        damaged[index] ^= mask
        let client = Self.client()
        let call = try SessionCall(client, nil, kind: .bidirectional)
        _ = client.output()
        client.feed(damaged)
        _ = client.output()
        client.tellObservers()
        #expect(call.ends.count <= 1)
      }
    }
  }
}
