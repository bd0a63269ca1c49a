import Testing

@testable import TenancyRPCCore
@testable import TenancyRPCFraming
@testable import TenancyRPCServer

/// Each thing that a peer may do wrong has a defined answer, and costs nobody else anything.
@Suite("ttrpc, hostile frames")
struct TTRPCHostileTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let input: [TTRPCTestFrame]
    /// Streams and the codes that they are answered with, beside what is OK.
    let answers: [(stream: UInt32, code: RPCStatus.Code)]
    var testDescription: String { name }

    init(
      _ name: String, _ input: [TTRPCTestFrame], _ answers: [(UInt32, RPCStatus.Code)]
    ) {
      self.name = name
      self.input = input
      self.answers = answers.map { (stream: $0.0, code: $0.1) }
    }
  }

  private static let echo = "/test.Echo/Inline"
  private static let stream = "/test.Streams/Echo"
  private static let hold = "/test.Streams/Hold"
  private static let unknown = TTRPCFrameType(rawValue: 99)

  static let cases: [Case] = [
    Case("data for an unknown stream", [.data(7, [1])], [(7, .invalidArgument)]),
    Case("the end of an unknown stream", [.end(7)], [(7, .invalidArgument)]),
    Case("stream zero", [.request(0, echo)], [(0, .invalidArgument)]),
    Case("even stream", [.request(2, echo)], [(2, .invalidArgument)]),
    Case("data for an even stream", [.data(2)], [(2, .invalidArgument)]),
    Case("unknown type on an even stream", [TTRPCTestFrame(2, unknown)], [(2, .invalidArgument)]),
    Case("same number twice", [.request(1, echo), .request(1, echo)], [(1, .invalidArgument)]),
    Case("number that shrinks", [.request(5, echo), .request(3, echo)], [(3, .invalidArgument)]),
    Case(
      "number of an open stream", [.request(1, stream, flags: .remoteOpen), .request(1, echo)],
      [(1, .invalidArgument)]),
    Case("unknown type", [TTRPCTestFrame(1, unknown, [], [1, 2])], []),
    Case("a response from a client", [TTRPCTestFrame(1, .response, [], [1, 2])], []),
    Case("type zero", [TTRPCTestFrame(1, TTRPCFrameType(rawValue: 0))], []),
    Case("unknown flags", [.request(1, echo, [1], flags: TTRPCFlags(rawValue: 0xF0))], []),
    Case(
      "unknown flags of data",
      [
        .request(1, stream, flags: .remoteOpen), .data(1, [1], flags: TTRPCFlags(rawValue: 0xF8)),
        .end(1),
      ], []),
    Case(
      "data after a unary request", [.request(1, echo), .data(1, [1])], [(1, .invalidArgument)]),
    Case(
      "data after the end", [.request(1, hold, flags: .remoteClosed), .data(1, [1])],
      [(1, .invalidArgument)]),
    Case(
      "the end, twice", [.request(1, hold, flags: .remoteOpen), .end(1), .end(1)],
      [(1, .invalidArgument)]),
    Case(
      "data and no data", [.request(1, stream, flags: .remoteOpen), .data(1, [1], flags: .noData)],
      [(1, .invalidArgument)]),
    Case(
      "neither data nor an end",
      [.request(1, stream, flags: .remoteOpen), .data(1, flags: .noData), .end(1)], []),
    Case(
      "open and closed", [.request(1, stream, flags: [.remoteOpen, .remoteClosed])],
      [(1, .invalidArgument)]),
    Case("an open unary call", [.request(1, echo, flags: .remoteOpen)], [(1, .invalidArgument)]),
    Case("not an envelope", [TTRPCTestFrame(1, .request, [], [0xFF])], [(1, .invalidArgument)]),
    Case("an empty envelope", [TTRPCTestFrame(1, .request)], [(1, .unimplemented)]),
    Case(
      "a service that is not text", [TTRPCTestFrame(1, .request, [], [0x0A, 1, 0xFF])],
      [(1, .invalidArgument)]),
    Case("unknown service", [.request(1, "/test.None/Inline")], [(1, .unimplemented)]),
    Case("unknown method", [.request(1, "/test.Echo/None")], [(1, .unimplemented)]),
    Case(
      "slashes in the wrong place",
      [TTRPCTestFrame(1, .request, [], Array("\u{0A}\u{04}test\u{12}\u{0B}Echo/Inline".utf8))],
      [(1, .unimplemented)]),
  ]

  /// What comes back for `input`, whatever its pieces; and the connection still serves.
  private static func answers(_ pieces: some Sequence<ArraySlice<UInt8>>) throws -> [TTRPCTestFrame]
  {
    let connection = try TTRPCTestConnection()
    for piece in pieces { connection.send(piece) }
    let frames = connection.frames()
    connection.send(.request(99, echo, [42]))
    #expect(connection.frames() == [.ok(99, [42])])
    return frames
  }

  @Test(arguments: cases)
  func isAnsweredAsDefined(_ hostile: Case) throws {
    let bytes = hostile.input.flatMap(\.bytes)
    let whole = try Self.answers([bytes[...]])
    let errors = whole.filter { $0.code != nil }
    #expect(errors.map(\.stream) == hostile.answers.map(\.stream))
    #expect(errors.map(\.code) == hostile.answers.map(\.code))
    // A stream is ended once.
    for id in Set(hostile.input.map(\.stream)).intersection(Set(whole.map(\.stream))) {
      let ends = whole.filter {
        $0.stream == id && ($0.type == .response || $0.flags.contains(.remoteClosed))
      }
      #expect(ends.count <= hostile.input.count { $0.stream == id })
    }
  }

  @Test(arguments: cases)
  func anySplitIsAnsweredAlike(_ hostile: Case) throws {
    let bytes = hostile.input.flatMap(\.bytes)
    let whole = try Self.answers([bytes[...]]).map(\.description).sorted()
    for cut in 1..<bytes.count {
      let split = try Self.answers([bytes[..<cut], bytes[cut...]])
      #expect(split.map(\.description).sorted() == whole, "cut at \(cut)")
    }
    let single = try Self.answers(bytes.indices.map { bytes[$0...$0] })
    #expect(single.map(\.description).sorted() == whole)
  }

  @Test func otherStreamsAreNotAffected() throws {
    let connection = try TTRPCTestConnection()
    let mine: UInt32 = 1
    connection.send(.request(mine, Self.stream, flags: .remoteOpen))
    var next: UInt32 = 3
    for hostile in Self.cases {
      // On streams of its own.
      let shifted = hostile.input.map { frame in
        var frame = frame
        frame.stream += next & ~1
        return frame
      }
      connection.send(shifted.flatMap(\.bytes))
      next += 20
      connection.send(.data(mine, [UInt8(truncatingIfNeeded: next)]))
      let answers = connection.frames().filter { $0.stream == mine }
      #expect(answers == [.data(mine, [UInt8(truncatingIfNeeded: next)])], "\(hostile.name)")
    }
    connection.send(.end(mine))
    #expect(connection.frames() == [.end(mine)])
    #expect(!connection.engine.wantsToClose)
  }

  // MARK: Sizes

  /// The whole frame is skipped, in whatever pieces it comes.
  @Test(arguments: [TTRPCFrameType.request, .data, TTRPCFrameType(rawValue: 99)])
  func frameOverFourMebibytesIsSkipped(type: TTRPCFrameType) throws {
    let payload = [UInt8](repeating: 0xFF, count: TTRPCFrameHeader.maximumPayload + 1)
    let connection = try TTRPCTestConnection()
    let bytes = TTRPCTestFrame(1, type, [], payload).bytes
    for start in stride(from: 0, to: bytes.count, by: 1_000_003) {
      connection.send(bytes[start..<min(start + 1_000_003, bytes.count)])
    }
    #expect(connection.frames().map(\.code) == [.resourceExhausted])
    connection.send(.request(3, Self.echo, [1]))
    #expect(connection.frames() == [.ok(3, [1])])
  }

  @Test func frameOverFourMebibytesEndsItsCall() throws {
    let connection = try TTRPCTestConnection()
    let payload = [UInt8](repeating: 0xFF, count: TTRPCFrameHeader.maximumPayload + 1)
    connection.send(
      .request(1, Self.stream, flags: .remoteOpen), .data(1, payload), .data(1, [1]),
      .request(3, Self.echo, [1]))
    let frames = connection.frames()
    #expect(frames.map(\.code) == [.resourceExhausted, nil])
    #expect(frames.last == .ok(3, [1]))
    #expect(connection.engine.streams.count == 0)
  }

  @Test func whatIsNotTTRPCEndsTheConnection() throws {
    let connection = try TTRPCTestConnection()
    connection.send(.request(1, Self.echo, [1]))
    connection.send([1, 0, 0, 0, 0, 0, 0, 3, 1, 0])
    #expect(connection.frames().map(\.code) == [nil, .resourceExhausted])
    #expect(connection.engine.failure != nil)
    connection.send(.request(5, Self.echo, [1]))
    #expect(connection.frames() == [])
  }

  @Test func truncatedFramesAreNotAnswered() throws {
    let bytes = TTRPCTestFrame.request(1, Self.echo, [1, 2, 3]).bytes
    for length in 0..<bytes.count {
      let connection = try TTRPCTestConnection()
      connection.send(bytes[..<length])
      #expect(connection.frames() == [])
      try connection.close()
    }
  }

  /// Any byte may be wrong: that may cost the connection, never the process.
  @Test func damagedBytesDoNoHarm() throws {
    let frames: [TTRPCTestFrame] = [
      .request(1, Self.stream, [1], flags: .remoteOpen, timeout: 1 << 40, metadata: ["k": "v"]),
      .data(1, [1, 2]), .request(3, Self.echo, [4]), .end(1),
    ]
    let bytes = frames.flatMap(\.bytes)
    for mask: UInt8 in [0x01, 0x02, 0x04, 0x80, 0xFF] {
      for index in bytes.indices {
        var damaged = bytes
        damaged[index] ^= mask
        let connection = try TTRPCTestConnection()
        connection.send(damaged)
        _ = connection.frames()
        try connection.close()
      }
    }
  }
}
