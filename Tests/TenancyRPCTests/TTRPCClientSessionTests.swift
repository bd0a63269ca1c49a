import NIOCore
import Testing

@testable import TenancyLoop
@testable import TenancyRPCClient
@testable import TenancyRPCCore
@testable import TenancyRPCFraming

extension TTRPCClientSession {
  /// The frames that the session has to send.
  func frames() -> [TTRPCTestFrame] {
    var buffer = ByteBuffer()
    guard case .proceed = produce(into: &buffer) else { return [] }
    tellObservers()
    return TTRPCTestFrame.parse(Array(buffer.readableBytesView))
  }

  @discardableResult
  func feed(_ frames: [TTRPCTestFrame]) -> Bool { feed(frames.flatMap(\.bytes)) }
}

@Suite("The ttrpc engine of a client")
struct TTRPCClientSessionTests {
  static let path = "/test.Echo/Inline"
  static let timeout: Int64 = 5_000_000_000

  static func client(_ limits: ClientLimits = ClientLimits()) -> TTRPCClientSession {
    TTRPCClientSession(limits: limits)
  }

  static func request(
    _ stream: UInt32, _ payload: [UInt8]?, _ flags: TTRPCFlags = []
  ) -> TTRPCTestFrame {
    .request(
      stream, path, payload, flags: flags, timeout: timeout, metadata: ["x-a": "b"])
  }

  // MARK: Requests

  @Test func requestsAreFramedByTheirKind() throws {
    let client = Self.client()
    _ = try SessionCall(client, [1])
    _ = try SessionCall(client, [2], kind: .serverStreaming)
    #expect(client.frames() == [Self.request(1, [1]), Self.request(3, [2], .remoteClosed)])
    let call = try SessionCall(client, nil, kind: .bidirectional)
    let stream = try #require(call.stream)
    #expect(client.frames() == [Self.request(5, nil, .remoteOpen)])
    client.send(OutboundMessage(bytes: []), on: stream)
    client.send(OutboundMessage(bytes: [3]), on: stream)
    client.finishRequests(of: stream)
    #expect(client.frames() == [.data(5), .data(5, [3]), .end(5)])
    #expect(client.frames().isEmpty)
  }

  /// Servers can't say how many calls they take.
  @Test func callsPastLimitWait() throws {
    var limits = ClientLimits()
    limits.maximumTTRPCCalls = 2
    let client = Self.client(limits)
    let calls = try (0..<5).map { _ in try SessionCall(client) }
    #expect(client.frames().map(\.stream) == [1, 3])
    client.cancel(try #require(calls[2].stream), ClientCall.cancelled)
    #expect(client.frames().isEmpty)
    client.feed([.ok(3, [1])])
    #expect(client.frames().map(\.stream) == [5])
    client.feed([.ok(1, [1])])
    #expect(client.frames().map(\.stream) == [7])
    client.feed([.ok(5, [1]), .ok(7, [1])])
    let done = try [0, 1, 3, 4].map { try #require(calls[$0].results.first) }
    #expect(done.allSatisfy { $0 == .success([1]) })
    #expect(client.openStreams == 0)
  }

  /// A call that is not the first to be opened may be the first to be written.
  @Test func numbersGrowOnTheWire() throws {
    let client = Self.client()
    let early = try SessionCall(client, nil, kind: .unary)
    _ = try SessionCall(client, [2])
    #expect(client.frames() == [Self.request(1, [2])])
    client.send(OutboundMessage(bytes: [1]), on: try #require(early.stream))
    #expect(client.frames() == [Self.request(3, [1])])
  }

  @Test func streamsTakeTurns() throws {
    let client = Self.client()
    let calls = try (0..<2).map { _ in try SessionCall(client, nil, kind: .clientStreaming) }
    _ = client.frames()
    for call in calls {
      for byte in 0..<3 as Range<UInt8> {
        client.send(OutboundMessage(bytes: [byte]), on: try #require(call.stream))
      }
    }
    #expect(client.frames().map(\.stream) == [1, 3, 1, 3, 1, 3])
  }

  @Test func outputIsProducedInParts() throws {
    var limits = ClientLimits()
    limits.maximumOutputBytes = 100_000
    let client = Self.client(limits)
    let call = try SessionCall(client, nil, kind: .clientStreaming)
    _ = client.frames()
    let stream = try #require(call.stream)
    for _ in 0..<10 {
      client.send(OutboundMessage(bytes: [UInt8](repeating: 1, count: 40_000)), on: stream)
    }
    #expect(client.frames().count == 3)
    #expect(stream.sentCost == 3 * (40_000 + OutboundMessage(bytes: []).cost))
    #expect(client.frames().count == 3)
  }

  @Test func messagePastFrameLimitIsRefused() throws {
    let limit = TTRPCFrameHeader.maximumPayload
    let client = Self.client()
    let unary = try SessionCall(client, [UInt8](repeating: 1, count: limit))
    #expect(client.frames().isEmpty)
    #expect(unary.code == .resourceExhausted)
    #expect(unary.ends.first?.reach == .processed)
    let call = try SessionCall(client, nil, kind: .clientStreaming)
    _ = client.frames()
    let stream = try #require(call.stream)
    client.send(OutboundMessage(bytes: [UInt8](repeating: 1, count: limit)), on: stream)
    #expect(client.frames().map(\.payload.count) == [limit])
    client.send(OutboundMessage(bytes: [UInt8](repeating: 1, count: limit + 1)), on: stream)
    #expect(client.frames().isEmpty)
    #expect(call.code == .resourceExhausted)
    #expect(client.openStreams == 0)
  }

  // MARK: Responses

  @Test func readsResponsesOfAllKindsHoweverTheyAreCut() throws {
    typealias Case = (kind: CallKind, frames: [TTRPCTestFrame], messages: [[UInt8]])
    let status = RPCStatus(.notFound, "no")
    var output = ByteStore(capacity: 64)
    TTRPCResponse.write(status, to: &output, stream: 1)
    let failure = TTRPCTestFrame.parse(Array(output.bytes))
    let cases: [(Case, RPCStatus.Code)] = [
      ((.unary, [.ok(1, [7])], [[7]]), .ok), ((.unary, [.ok(1, [])], [[]]), .ok),
      ((.clientStreaming, [.ok(1, [7])], [[7]]), .ok), ((.unary, failure, []), .notFound),
      ((.serverStreaming, [.data(1, [1]), .data(1), .end(1)], [[1], []]), .ok),
      ((.serverStreaming, [.data(1, [1], flags: .remoteClosed)], [[1]]), .ok),
      ((.serverStreaming, [.end(1)], []), .ok), ((.serverStreaming, [.ok(1, [])], []), .ok),
      ((.serverStreaming, [.ok(1, [5])], [[5]]), .ok),
      ((.bidirectional, [.data(1, [1])] + failure, [[1]]), .notFound),
    ]
    for ((kind, frames, messages), code) in cases {
      let client = Self.client()
      let call = try SessionCall(client, kind: kind)
      _ = client.frames()
      for byte in frames.flatMap(\.bytes) { #expect(client.feed([byte])) }
      #expect(call.messages == messages)
      #expect(call.code == code)
      #expect(call.ends.count == 1)
      #expect(client.openStreams == 0)
    }
  }

  @Test func refusesWhatDoesNotFitTheKind() throws {
    for (frames, code) in [
      ([.data(1, [1])], .internalError), ([.end(1)], .internalError),
      ([TTRPCTestFrame(1, .response, [], [0xFF])], .internalError),
    ] as [([TTRPCTestFrame], RPCStatus.Code)] {
      let client = Self.client()
      let call = try SessionCall(client)
      _ = client.frames()
      client.feed(frames)
      #expect(call.code == code)
    }
  }

  /// Other calls go on.
  @Test func responsePastLimitIsRefused() throws {
    var limits = ClientLimits()
    limits.maximumMessageBytes = 100
    let client = Self.client(limits)
    let small = try SessionCall(client)
    let large = try SessionCall(client)
    let huge = try SessionCall(client)
    _ = client.frames()
    let most = [UInt8](repeating: 1, count: 100)
    let long = TTRPCTestFrame(
      5, .response, [], [UInt8](repeating: 0, count: TTRPCFrameHeader.maximumPayload + 1))
    client.feed([.ok(3, most + [1]), long, .ok(1, most)])
    #expect(small.results == [.success(most)])
    #expect(large.code == .resourceExhausted)
    #expect(huge.code == .resourceExhausted)
  }

  @Test func unknownStreamsAndTypesAreIgnored() throws {
    let client = Self.client()
    let call = try SessionCall(client)
    _ = client.frames()
    #expect(
      client.feed([
        .data(2, [1]), .ok(9, [1]), TTRPCTestFrame(1, TTRPCFrameType(rawValue: 9)),
        .ok(1, [7]), .ok(1, [8]),
      ]))
    #expect(call.results == [.success([7])])
  }

  @Test func brokenFramesCostTheConnection() throws {
    let client = Self.client()
    #expect(!client.feed([1] + [UInt8](repeating: 0, count: 9)))
  }

  @Test func damagedBytesDoNoHarm() throws {
    let answer = [TTRPCTestFrame.data(1, [1, 2]), .data(1), .end(1)].flatMap(\.bytes)
    for mask: UInt8 in [0x01, 0x04, 0x80, 0xFF] {
      for index in answer.indices {
        var damaged = answer
        damaged[index] ^= mask
        let client = Self.client()
        let call = try SessionCall(client, kind: .serverStreaming)
        _ = client.frames()
        client.feed(damaged)
        #expect(call.ends.count <= 1)
      }
    }
  }

  // MARK: Back-pressure

  @Test func readingStopsWhileCallersDoNotTake() throws {
    var limits = ClientLimits()
    limits.streamWindowBytes = 1000
    let client = Self.client(limits)
    let call = try SessionCall(client, kind: .serverStreaming)
    let other = try SessionCall(client, kind: .serverStreaming)
    _ = client.frames()
    let message = [UInt8](repeating: 1, count: 490)
    client.feed([.data(1, message), .data(3, [UInt8](repeating: 1, count: 489))])
    #expect(!client.isInputPaused)
    client.feed([.data(1, Array(message.dropFirst(489)))])
    #expect(client.isInputPaused)
    client.consumed(500, of: try #require(call.stream))
    #expect(!client.isInputPaused)
    client.feed([.data(1, message)])
    #expect(client.isInputPaused)
    // A call that is given up holds nobody.
    client.cancel(try #require(call.stream), ClientCall.cancelled)
    #expect(!client.isInputPaused)
    client.feed([.data(1, message), .data(1, message)])
    #expect(!client.isInputPaused)
    #expect(other.messages.count == 1)
  }

  // MARK: Ends

  @Test func cancelEndsRequestsThatAreStreams() throws {
    for (kind, sent) in [
      (CallKind.unary, []), (.serverStreaming, []), (.clientStreaming, [TTRPCTestFrame.end(1)]),
      (.bidirectional, [.end(1)]),
    ] {
      let client = Self.client()
      let call = try SessionCall(
        client, kind == .unary || kind == .serverStreaming ? [1] : nil, kind: kind)
      let stream = try #require(call.stream)
      _ = client.frames()
      if kind.clientStreams { client.send(OutboundMessage(bytes: [1]), on: stream) }
      client.cancel(stream, ClientCall.cancelled)
      #expect(client.frames() == sent)
      #expect(call.ends.map(\.status) == [ClientCall.cancelled])
      client.feed([.data(1, [1]), .ok(1, [1])])
      #expect(call.ends.count == 1)
      #expect(client.openStreams == 0)
    }
    // One that the server never heard of.
    let client = Self.client()
    let call = try SessionCall(client, nil, kind: .bidirectional)
    client.cancel(try #require(call.stream), ClientCall.cancelled)
    #expect(client.frames().isEmpty)
    #expect(call.code == .cancelled)
  }

  /// DATA for a stream that has ended would hurt some servers.
  @Test func nothingIsSentOnceTheServerHasEnded() throws {
    let client = Self.client()
    let call = try SessionCall(client, nil, kind: .bidirectional)
    let stream = try #require(call.stream)
    _ = client.frames()
    client.send(OutboundMessage(bytes: [1]), on: stream)
    client.feed([.end(1)])
    client.send(OutboundMessage(bytes: [2]), on: stream)
    client.finishRequests(of: stream)
    client.cancel(stream, ClientCall.cancelled)
    #expect(client.frames().isEmpty)
    #expect(call.ends.map(\.status.code) == [.ok])
  }

  @Test func lostConnectionTellsHowFarCallsGot() throws {
    let client = Self.client()
    let sent = try SessionCall(client)
    _ = client.frames()
    let unsent = try SessionCall(client)
    client.endAll(RPCStatus(.unavailable, "lost"))
    client.tellObservers()
    #expect(sent.ends.map(\.reach) == [.processed])
    #expect(unsent.ends.map(\.reach) == [.neverSent])
    #expect(!client.wantsToClose)
    client.goAway()
    #expect(client.wantsToClose)
    #expect(!client.acceptsCalls)
  }
}
