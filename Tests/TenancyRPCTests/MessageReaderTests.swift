import Testing

@testable import TenancyRPCCore
@testable import TenancyRPCFraming

@Suite("Messages cut out of a call's bytes")
struct MessageReaderTests {
  private static func framed(_ message: [UInt8], flags: UInt8 = 0) -> [UInt8] {
    let length = UInt32(message.count)
    return [flags] + (0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * $0)) } + message
  }

  /// What comes out of bytes that come in pieces.
  private static func read(
    _ pieces: [[UInt8]], limit: Int = 1000, encoding: MessageEncoding = .identity
  ) throws(RPCStatus) -> [ReceivedMessage] {
    var reader = MessageReader(limit: limit)
    reader.encoding = encoding
    var framed: [FramedMessage] = []
    for piece in pieces {
      let fed = piece.withUnsafeBytes { bytes -> Result<Void, RPCStatus> in
        do throws(RPCStatus) {
          try reader.feed(bytes) { framed.append($0) }
          return .success(())
        } catch { return .failure(error) }
      }
      try fed.get()
    }
    try reader.finish()
    return try framed.map { message throws(RPCStatus) in
      guard message.isPacked else { return ReceivedMessage(bytes: message.bytes) }
      let unpacked = message.bytes.withUnsafeBytes { bytes in
        Result { () throws(RPCStatus) in try MessageReader.unpack(bytes, limit: limit) }
      }
      return ReceivedMessage(bytes: try unpacked.get(), wasCompressed: true)
    }
  }

  @Test func everySplitGivesTheSameMessages() throws {
    let messages: [[UInt8]] = [[], [1], Array(repeating: 2, count: 40), [], [3, 4]]
    let bytes = messages.flatMap { Self.framed($0) }
    for first in 0...bytes.count {
      for second in first...bytes.count {
        let pieces = [bytes[..<first], bytes[first..<second], bytes[second...]].map(Array.init)
        #expect(try Self.read(pieces).map(\.bytes) == messages)
      }
    }
  }

  @Test func unpacksGzip() throws {
    let text = Array(repeating: UInt8(ascii: "a"), count: 900)
    let packed = try #require(Gzip.compress(text))
    #expect(packed.count < 100)
    let bytes = Self.framed(packed, flags: 1) + Self.framed([7])
    let messages = try Self.read([bytes], encoding: .gzip)
    #expect(
      messages == [
        ReceivedMessage(bytes: text, wasCompressed: true), ReceivedMessage(bytes: [7]),
      ])
  }

  @Test func limitHoldsPackedAndUnpacked() throws {
    #expect(try Self.read([Self.framed(Array(repeating: 0, count: 1000))]).count == 1)
    #expect(throws: RPCStatus(.resourceExhausted, "the message is larger than 1000 bytes")) {
      // The prefix alone is enough: nothing is gathered for it.
      try Self.read([Array(Self.framed(Array(repeating: 0, count: 1001)).prefix(5))])
    }
    let fits = try #require(Gzip.compress(Array(repeating: 0, count: 1000)))
    #expect(try Self.read([Self.framed(fits, flags: 1)], encoding: .gzip)[0].bytes.count == 1000)
    let bomb = try #require(Gzip.compress(Array(repeating: 0, count: 1001)))
    #expect(throws: RPCStatus(.resourceExhausted, "the message is larger than 1000 bytes")) {
      try Self.read([Self.framed(bomb, flags: 1)], encoding: .gzip)
    }
  }

  @Test(
    arguments: [
      ([2, 0, 0, 0, 0], MessageEncoding.gzip), ([1, 0, 0, 0, 0], .identity),
      // Gzip that is not, is empty, is cut short, or has bytes behind it.
      ([1, 0, 0, 0, 3, 1, 2, 3], .gzip), ([1, 0, 0, 0, 0], .gzip),
      (framed(Array((Gzip.compress([1, 2, 3]) ?? []).dropLast()), flags: 1), .gzip),
      (framed((Gzip.compress([1, 2, 3]) ?? []) + [0], flags: 1), .gzip),
      // Cut short.
      ([0, 0, 0, 0, 2, 1], .identity), ([0, 0], .identity),
    ] as [([UInt8], MessageEncoding)])
  func malformedMessagesAreInternal(bytes: [UInt8], encoding: MessageEncoding) {
    let status = #expect(throws: RPCStatus.self) {
      try Self.read([bytes], encoding: encoding)
    }
    #expect(status?.code == .internalError)
  }

  @Test func gzipRoundTrips() throws {
    var random = SystemRandomNumberGenerator()
    for size in [0, 1, 100, 16 * 1024, 16 * 1024 + 1, 100_000] {
      for alphabet in [1, 4, 256] {
        let bytes = (0..<size).map { _ in
          UInt8(truncatingIfNeeded: Int.random(in: 0..<alphabet, using: &random))
        }
        let packed = try #require(Gzip.compress(bytes))
        #expect(try packed.withUnsafeBytes { try Gzip.decompress($0, limit: size) } == bytes)
      }
    }
  }
}
