import Testing

@testable import TenancyLoop
@testable import TenancyRPCCore
@testable import TenancyRPCFraming

@Suite("ttrpc frames and envelopes")
struct TTRPCCodecTests {
  /// What a reader made of bytes, copied.
  enum Seen: Equatable {
    case frame(TTRPCFrameHeader, [UInt8])
    case tooLarge(TTRPCFrameHeader)
    case broken(TTRPCFrameHeader)
  }

  static func frame(
    _ stream: UInt32, _ type: TTRPCFrameType, _ flags: TTRPCFlags = [], _ payload: [UInt8] = []
  ) -> [UInt8] {
    var output = ByteStore(capacity: 16)
    let header = TTRPCFrameHeader(
      payloadCount: payload.count, stream: stream, type: type, flags: flags)
    let target = header.open(in: &output)
    UnsafeMutableRawBufferPointer(start: target, count: payload.count).copyBytes(from: payload)
    return Array(output.bytes)
  }

  /// Reads `parts` one after the other.
  static func read(_ parts: [ArraySlice<UInt8>], limit: Int = .max) -> [Seen] {
    var reader = TTRPCFrameReader(limit: limit)
    var seen: [Seen] = []
    for part in parts {
      Array(part).withUnsafeBytes { reader.append($0) }
      while reader.hasNext, let event = reader.next() {
        switch event {
        case .frame(let header, let payload): seen.append(.frame(header, Array(payload)))
        case .tooLarge(let header): seen.append(.tooLarge(header))
        case .broken(let header):
          seen.append(.broken(header))
          return seen
        }
      }
      #expect(reader.next() == nil || reader.hasNext)
    }
    return seen
  }

  @Test func frameIsTenBytesAndPayload() {
    #expect(
      Self.frame(0x0102_0305, .data, [.remoteClosed, .noData], [7, 8])
        == [0, 0, 0, 2, 1, 2, 3, 5, 3, 5, 7, 8])
  }

  @Test func anySplitReadsTheSame() {
    let bytes =
      Self.frame(1, .request, [.remoteOpen], [1, 2, 3]) + Self.frame(1, .data)
      + Self.frame(3, .data, [], [UInt8](repeating: 9, count: 40))
      + Self.frame(5, TTRPCFrameType(rawValue: 77), TTRPCFlags(rawValue: 0xF0), [4])
    let whole = Self.read([bytes[...]], limit: 30)
    #expect(
      whole == [
        .frame(
          TTRPCFrameHeader(payloadCount: 3, stream: 1, type: .request, flags: .remoteOpen),
          [1, 2, 3]),
        .frame(TTRPCFrameHeader(payloadCount: 0, stream: 1, type: .data), []),
        .tooLarge(TTRPCFrameHeader(payloadCount: 40, stream: 3, type: .data)),
        .frame(
          TTRPCFrameHeader(
            payloadCount: 1, stream: 5, type: TTRPCFrameType(rawValue: 77),
            flags: TTRPCFlags(rawValue: 0xF0)), [4]),
      ])
    for first in bytes.indices {
      #expect(Self.read([bytes[..<first], bytes[first...]], limit: 30) == whole)
      for second in first..<bytes.count {
        let parts = [bytes[..<first], bytes[first..<second], bytes[second...]]
        #expect(Self.read(parts, limit: 30) == whole)
      }
    }
    #expect(Self.read(bytes.indices.map { bytes[$0...$0] }, limit: 30) == whole)
  }

  @Test(arguments: [0, 1])
  func fourMebibytesAreReadAndNoMore(excess: Int) {
    let count = TTRPCFrameHeader.maximumPayload + excess
    let payload = [UInt8](repeating: 3, count: count)
    let seen = Self.read([(Self.frame(1, .data, [], payload) + Self.frame(3, .data))[...]])
    let header = TTRPCFrameHeader(payloadCount: count, stream: 1, type: .data)
    let next = Seen.frame(TTRPCFrameHeader(payloadCount: 0, stream: 3, type: .data), [])
    #expect(seen == [excess == 0 ? .frame(header, payload) : .tooLarge(header), next])
  }

  @Test(arguments: [UInt8(0), 1, 0x16, 0xFF])
  func firstByteIsZero(first: UInt8) {
    let header: [UInt8] = [first, 0xFF, 0xFF, 0xFF, 0, 0, 0, 1, 3, 0]
    let seen = Self.read([header[...], [1, 2, 3]])
    let length = Int(first) << 24 | 0xFFFFFF
    let read = TTRPCFrameHeader(payloadCount: length, stream: 1, type: .data)
    #expect(seen == [first == 0 ? .tooLarge(read) : .broken(read)])
  }

  // MARK: Envelopes

  static func withRequest<R>(
    _ bytes: [UInt8], _ body: (TTRPCRequest) throws -> R
  ) throws -> R {
    try bytes.withUnsafeBytes { try body(try TTRPCRequest(reading: $0)) }
  }

  @Test func requestComesBack() throws {
    var output = ByteStore(capacity: 16)
    try ([1, 2, 3] as [UInt8]).withUnsafeBytes { payload in
      try TTRPCRequest.write(
        to: &output, stream: 9, flags: .remoteOpen, path: "/a.b.Service/Method", payload: payload,
        timeoutNanoseconds: 1 << 40, metadata: ["Key": "one", "key": "zwei ü", "empty": ""])
    }
    let bytes = Array(output.bytes)
    #expect(
      Array(bytes[..<10])
        == Array(Self.frame(9, .request, .remoteOpen, Array(bytes[10...]))[..<10]))
    try Self.withRequest(Array(bytes[10...])) { request in
      #expect(Array(request.service) == Array("a.b.Service".utf8))
      #expect(Array(request.method) == Array("Method".utf8))
      #expect(request.hasPayload)
      #expect(Array(request.payload) == [1, 2, 3])
      #expect(request.timeoutNanoseconds == 1 << 40)
      #expect(request.metadata() == ["key": "one", "key": "zwei ü", "empty": ""])
      #expect(request.metadataBytes == 3 + 3 + 32 + 3 + 7 + 32 + 5 + 32)
    }
  }

  @Test func requestAsOthersWriteIt() throws {
    // service "S", method "M", an unknown varint (field 9), an unknown fixed64 (10) and fixed32 (11),
    // timeout -1, service again.
    let bytes: [UInt8] =
      [0x0A, 1, 0x53, 0x12, 1, 0x4D, 0x48, 0x96, 1, 0x51, 1, 2, 3, 4, 5, 6, 7, 8, 0x5D, 1, 2, 3, 4]
      + [0x20] + [UInt8](repeating: 0xFF, count: 9) + [1] + [0x0A, 1, 0x54]
    try Self.withRequest(bytes) { request in
      #expect(Array(request.service) == [0x54])
      #expect(Array(request.method) == [0x4D])
      #expect(!request.hasPayload)
      #expect(request.timeoutNanoseconds == -1)
      #expect(request.metadata() == [:])
    }
    try Self.withRequest([0x1A, 0]) { #expect($0.hasPayload && $0.payload.isEmpty) }
    try Self.withRequest([]) { #expect(!$0.hasPayload && $0.service.isEmpty) }
  }

  @Test(
    arguments: [
      [0x0A],  // no length
      [0x0A, 2, 0x53],  // cut short
      [0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1],  // a length of 2^64 - 1
      [0x0B, 0x0C],  // a group
      [0x0C],  // the end of one
      [0x0E], [0x0F],  // no such types
      [0x02, 0],  // field 0
      [0xFA, 0xFF, 0xFF, 0xFF, 0x1F, 0],  // field 2^30 - 1
      [0x20, 0x80],  // a varint without end
      [0x20] + [UInt8](repeating: 0x80, count: 9) + [2],  // of 65 bits
      [0x20] + [UInt8](repeating: 0x80, count: 10) + [0],  // of eleven bytes
      [0x51, 1, 2, 3, 4, 5, 6, 7],  // a fixed64 cut short
      [0x5D, 1, 2, 3],  // a fixed32 cut short
      [0x2A, 1, 0x0A],  // a metadata entry that is cut short inside
      [0x2A, 4, 0x0A, 2, 0xC3, 0x28],  // a key that is not UTF-8
      [0x2A, 3, 0x12, 1, 0xFF],  // a value that is not
    ] as [[UInt8]])
  func malformedRequestsAreRefused(bytes: [UInt8]) {
    #expect(throws: ProtobufReader.Malformed.self) { try Self.withRequest(bytes) { _ in } }
  }

  @Test func requestOverTheFrameLimitIsNotWritten() throws {
    var output = ByteStore(capacity: 16)
    let overhead = 3 + 3 + 1 + 4
    for excess in [0, 1] {
      let payload = [UInt8](
        repeating: 1, count: TTRPCFrameHeader.maximumPayload - overhead + excess)
      let outcome = payload.withUnsafeBytes { bytes in
        Result { () throws(RPCStatus) in
          try TTRPCRequest.write(
            to: &output, stream: 1, flags: [], path: "/S/M", payload: bytes,
            timeoutNanoseconds: nil, metadata: [:])
        }
      }
      switch outcome {
      case .success: #expect(excess == 0)
      case .failure(let status):
        #expect(excess == 1 && status.code == .resourceExhausted)
        #expect(output.count == TTRPCFrameHeader.length + TTRPCFrameHeader.maximumPayload)
      }
    }
  }

  @Test(arguments: [0, 1, 127, 128, 70_000])
  func answerComesBack(count: Int) throws {
    var output = ByteStore(capacity: 16)
    let target = TTRPCResponse.open(in: &output, stream: 5, count: count)
    UnsafeMutableRawBufferPointer(start: target, count: count).initializeMemory(
      as: UInt8.self, repeating: 0x61)
    let seen = Self.read([Array(output.bytes)[...]])
    guard seen.count == 1, case .frame(let header, let envelope) = seen[0] else {
      Issue.record("\(seen)")
      return
    }
    #expect(header.stream == 5 && header.type == .response && header.flags == [])
    try envelope.withUnsafeBytes { bytes in
      let response = try TTRPCResponse(reading: bytes)
      #expect(response.status == nil)
      #expect(Array(response.payload) == [UInt8](repeating: 0x61, count: count))
    }
  }

  static func readStatus(_ envelope: [UInt8]) throws -> RPCStatus? {
    try envelope.withUnsafeBytes { try TTRPCResponse(reading: $0).status }
  }

  @Test func statusComesBack() throws {
    // code 9, message "m", two details.
    let details: [UInt8] = [8, 9, 0x12, 1, 0x6D, 0x1A, 2, 0x0A, 0, 0x1A, 3, 0x0A, 1, 0x74]
    var output = ByteStore(capacity: 16)
    TTRPCResponse.write(
      RPCStatus(.failedPrecondition, "m", details: details), to: &output, stream: 1)
    let envelope = Array(output.bytes.dropFirst(10))
    #expect(envelope == [0x0A, UInt8(details.count)] + details)
    #expect(
      try Self.readStatus(envelope) == RPCStatus(.failedPrecondition, "m", details: details))
  }

  @Test func partsOfAStatusAreJoined() throws {
    #expect(
      try Self.readStatus([0x0A, 2, 8, 5, 0x0A, 3, 0x12, 1, 0x6D]) == RPCStatus(.notFound, "m"))
    #expect(try Self.readStatus([0x0A, 0]) == nil)
    #expect(try Self.readStatus([0x0A, 2, 8, 99]) == RPCStatus(.unknown, ""))
    #expect(throws: ProtobufReader.Malformed.self) { try Self.readStatus([0x0A, 1, 8]) }
  }

  @Test func malformedDetailsAreLeftOut() throws {
    var output = ByteStore(capacity: 16)
    TTRPCResponse.write(RPCStatus(.aborted, "x", details: [0x1A]), to: &output, stream: 1)
    #expect(try Self.readStatus(Array(output.bytes.dropFirst(10))) == RPCStatus(.aborted, "x"))
  }

  @Test func longMessagesAreCut() throws {
    var output = ByteStore(capacity: 16)
    TTRPCResponse.write(
      RPCStatus(.aborted, String(repeating: "ü", count: 1000)), to: &output, stream: 1)
    #expect(
      try Self.readStatus(Array(output.bytes.dropFirst(10)))
        == RPCStatus(.aborted, String(repeating: "ü", count: 512)))
  }
}
