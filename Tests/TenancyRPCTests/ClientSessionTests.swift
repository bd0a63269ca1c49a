import Testing

@testable import TenancyRPCClient
@testable import TenancyRPCCore

@Suite("What a client makes of responses")
struct ClientSessionTests {
  static let ok = [(":status", "200"), ("content-type", "application/grpc")]
  static let one: [UInt8] = [0, 0, 0, 0, 1, 42]

  /// The result of a call that is answered with `frames`.
  static func result(
    _ frames: [[UInt8]], limits: ClientLimits = ClientLimits()
  ) throws -> Result<[UInt8], RPCStatus>? {
    let client = HTTP2ClientSession(scheme: "http", authority: "a", limits: limits)
    let call = try SessionCall(client)
    _ = client.output()
    client.feed(Frame.settings + frames.flatMap(\.self))
    _ = client.output()
    #expect(call.results.count <= 1)
    return call.results.first
  }

  static func code(
    _ frames: [[UInt8]], limits: ClientLimits = ClientLimits()
  ) throws -> RPCStatus.Code? {
    guard case .failure(let status) = try result(frames, limits: limits) else { return nil }
    return status.code
  }

  @Test func acceptsOneMessageInAnyPieces() throws {
    let head = Frame.headers(Self.ok)
    let trailers = Frame.headers([("grpc-status", "0")], end: true)
    #expect(try Self.result([head, Frame.data(Self.one), trailers]) == .success([42]))
    let pieces = Self.one.map { Frame.data([$0]) }
    #expect(try Self.result([head] + pieces + [trailers]) == .success([42]))
    let informational = Frame.headers([(":status", "103")])
    #expect(
      try Self.result([informational, head, Frame.data(Self.one), trailers]) == .success([42]))
    let parameters = Frame.headers([(":status", "200"), ("content-type", "application/grpc+proto")])
    #expect(try Self.result([parameters, Frame.data(Self.one), trailers]) == .success([42]))
  }

  @Test func refusesWrongNumberOfMessages() throws {
    let head = Frame.headers(Self.ok)
    let trailers = Frame.headers([("grpc-status", "0")], end: true)
    #expect(try Self.code([head, trailers]) == .unimplemented)
    #expect(
      try Self.code([head, Frame.data(Self.one + Self.one), trailers]) == .unimplemented)
    #expect(
      try Self.code([head, Frame.data(Self.one), Frame.data(Self.one)]) == .unimplemented)
    #expect(
      try Self.code([Frame.headers(Self.ok + [("grpc-status", "0")], end: true)]) == .unimplemented)
  }

  @Test func refusesMalformedMessages() throws {
    let head = Frame.headers(Self.ok)
    let trailers = Frame.headers([("grpc-status", "0")], end: true)
    #expect(try Self.code([head, Frame.data([0, 0, 0, 0, 2, 1]), trailers]) == .internalError)
    #expect(try Self.code([head, Frame.data([0, 0, 0]), trailers]) == .internalError)
    #expect(try Self.code([head, Frame.data([1, 0, 0, 0, 1, 1]), trailers]) == .internalError)
    #expect(try Self.code([head, Frame.data([0, 1, 0, 0, 1])]) == .resourceExhausted)
    #expect(
      try Self.code([Frame.headers(Self.ok + [("grpc-encoding", "deflate")])]) == .internalError)
  }

  @Test func limitsAreMet() throws {
    var limits = ClientLimits()
    limits.maximumMessageBytes = 1
    limits.maximumHeaderListBytes = 42 + 60 + 44 + 100
    let head = Frame.headers(Self.ok)
    let trailers = Frame.headers([("grpc-status", "0")], end: true)
    #expect(
      try Self.result([head, Frame.data(Self.one), trailers], limits: limits) == .success([42]))
    #expect(
      try Self.code([head, Frame.data([0, 0, 0, 0, 2])], limits: limits) == .resourceExhausted)
    // 32 and the name: 67 bytes are left for the value.
    for (length, expected) in [(67, nil), (68, RPCStatus.Code.resourceExhausted)] {
      let more = Frame.headers(Self.ok + [("x", String(repeating: "y", count: length))])
      #expect(
        try Self.code([more, Frame.data(Self.one), trailers], limits: limits) == expected)
    }
  }

  @Test(arguments: [
    (400, RPCStatus.Code.internalError), (401, .unauthenticated), (403, .permissionDenied),
    (404, .unimplemented), (429, .unavailable), (502, .unavailable), (503, .unavailable),
    (504, .unavailable), (405, .unknown), (500, .unknown), (204, .unknown),
  ])
  func mapsHTTPStatus(status: Int, code: RPCStatus.Code) throws {
    #expect(try Self.code([Frame.headers([(":status", "\(status)")], end: true)]) == code)
    // With a body, such as a proxy's page.
    let head = Frame.headers([(":status", "\(status)"), ("content-type", "text/html")])
    #expect(try Self.code([head, Frame.data(Array("<p>".utf8), end: true)]) == code)
  }

  @Test func statusOfTheServerCounts() throws {
    let head = Frame.headers(Self.ok)
    let trailers = Frame.headers(
      [
        ("grpc-status", "5"), ("grpc-message", "a%20b%C3%BC%zz%"),
        ("grpc-status-details-bin", "AAEC"),
      ], end: true)
    let expected = RPCStatus(.notFound, "a bü%zz%", details: [0, 1, 2])
    #expect(try Self.result([head, trailers]) == .failure(expected))
    #expect(try Self.result([head, Frame.data(Self.one), trailers]) == .failure(expected))
    let only = Frame.headers([(":status", "503"), ("grpc-status", "7")], end: true)
    #expect(try Self.code([only]) == .permissionDenied)
  }

  @Test(arguments: ["", "x", "-1", "17", "99999999999999999999999"])
  func unreadableStatusIsUnknown(text: String) throws {
    let trailers = Frame.headers([("grpc-status", text)], end: true)
    #expect(try Self.code([Frame.headers(Self.ok), trailers]) == .unknown)
  }

  @Test func missingStatusIsUnknown() throws {
    let head = Frame.headers(Self.ok)
    #expect(try Self.code([head, Frame.data(Self.one, end: true)]) == .unknown)
    // One in the response's first headers does not count for a response that goes on.
    let early = Frame.headers(Self.ok + [("grpc-status", "0")])
    let trailers = Frame.headers([("x", "y")], end: true)
    #expect(try Self.code([early, Frame.data(Self.one), trailers]) == .unknown)
  }

  @Test(
    arguments: [
      (0, RPCStatus.Code.internalError), (1, .internalError), (2, .internalError),
      (3, .internalError), (5, .unknown), (6, .internalError), (7, .unavailable), (8, .cancelled),
      (9, .internalError), (10, .internalError), (11, .resourceExhausted), (12, .permissionDenied),
      (99, .internalError),
    ] as [(UInt32, RPCStatus.Code)])
  func mapsResets(error: UInt32, code: RPCStatus.Code) throws {
    #expect(try Self.code([Frame.reset(error)]) == code)
    #expect(try Self.code([Frame.headers(Self.ok), Frame.reset(error)]) == code)
  }

  @Test func goAwayEndsCallsThatTheServerDidNotSee() throws {
    #expect(try Self.code([Frame.goAway(last: 0)]) == .unavailable)
    #expect(try Self.result([Frame.goAway(last: 1)]) == nil)
    let head = Frame.headers(Self.ok)
    let trailers = Frame.headers([("grpc-status", "0")], end: true)
    #expect(
      try Self.result([Frame.goAway(last: 1), head, Frame.data(Self.one), trailers])
        == .success([42]))
  }

  /// Calls beyond the server's limit are not sent, and never will be after GOAWAY.
  @Test func waitsForFreeStreams() throws {
    let client = SessionBytesTests.client()
    client.feed(Frame.raw(type: 4, stream: 0, [0, 3] + Frame.bigEndian(1)))
    let first = try SessionCall(client)
    let second = try SessionCall(client)
    let third = try SessionCall(client)
    _ = client.output()
    #expect(first.isSent == true)
    #expect(second.isSent == false)
    if let stream = second.stream { client.cancel(stream, ClientCall.cancelled) }
    client.feed([])
    #expect(second.code == .cancelled)
    client.feed(Frame.goAway(last: 0x7FFF_FFFF))
    #expect(!client.acceptsCalls)
    #expect(third.code == .unavailable)
    #expect(first.results.isEmpty)
    let answer = [
      Frame.headers(Self.ok), Frame.data(Self.one),
      Frame.headers([("grpc-status", "0")], end: true),
    ]
    client.feed(answer.flatMap(\.self))
    _ = client.output()
    #expect(first.results == [.success([42])])
    #expect(client.wantsToClose)
    #expect(client.openStreams == 0)
  }

  @Test func cancelledCallIsResetAndNotHeardOfAgain() throws {
    let client = SessionBytesTests.client()
    let call = try SessionCall(client)
    _ = client.output()
    client.feed(Frame.settings)
    if let stream = call.stream { client.cancel(stream, ClientCall.cancelled) }
    client.feed(Frame.headers(Self.ok))
    #expect(call.code == .cancelled)
    let reset = Frame.reset(8)
    #expect(client.output().suffix(reset.count) == reset[...])
    client.feed(Frame.data(Self.one) + Frame.headers([("grpc-status", "0")], end: true))
    #expect(call.results.count == 1)
    #expect(client.openStreams == 0)
    #expect(client.acceptsCalls)
  }
}
