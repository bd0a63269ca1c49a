@testable import TenancyLoop
@testable import TenancyRPCCore
@testable import TenancyRPCFraming

/// ttrpc's frames, envelopes and connections.
let ttrpcTargets: [FuzzTarget] = [
  FuzzTarget("ttrpc-reader") {
    TTRPCScript.seeds.map { TTRPCScript.frames($0).flatMap(\.self) }
      + [[0, 0, 4, 0, 0, 0, 0, 1, 1, 0], [0xFF] + [UInt8](repeating: 0, count: 9)]
  } run: { input in
    let whole = TTRPCEvent.read([input])
    try checkEqual(TTRPCEvent.read(input.pieces()), whole, "events, in pieces")
  },

  FuzzTarget("ttrpc-envelope") {
    try TTRPCScript.requests().map { Array($0.dropFirst(TTRPCFrameHeader.length)) }
      + [[0x0A, 5, 0x08, 5, 0x12, 1, 0x6D], [0x12, 2, 1, 2]]
  } run: { input in
    try input.withUnsafeBytes { bytes in
      if let request = try? TTRPCRequest(reading: bytes) { try checkRequest(request) }
      if let response = try? TTRPCResponse(reading: bytes) { try checkResponse(response) }
    }
  },

  // What is answered, and in which order, does not depend on how the bytes come in: but for streams,
  // whose handlers go on while frames are read.
  FuzzTarget("ttrpc-connection") {
    TTRPCScript.seeds.map { TTRPCScript.frames($0).flatMap(\.self) }
  } run: { input in
    guard input.first == 0 else { return }
    let whole = try Connections.run([input], methods: EchoMethods.inline)
    let parts = try Connections.run(input.pieces(), methods: EchoMethods.inline)
    try checkEqual(parts, whole, "answers, in pieces")
    try checkAnswers(try Connections.run(input.pieces()))
  },
  FuzzTarget("ttrpc-connection-frames") {
    TTRPCScript.seeds
  } run: { input in
    let frames = TTRPCScript.frames(input)
    guard !frames.isEmpty else { return }
    let whole = try Connections.run([frames.flatMap(\.self)], methods: EchoMethods.inline)
    let parts = try Connections.run(frames, methods: EchoMethods.inline)
    try checkEqual(parts, whole, "answers, frame by frame")
    try checkAnswers(whole)
    try checkAnswers(try Connections.run(frames))
  },
]

private enum TTRPCEvent: Equatable {
  case frame(TTRPCFrameHeader, [UInt8])
  case tooLarge(TTRPCFrameHeader)
  case broken

  static func read(_ pieces: [[UInt8]]) -> [TTRPCEvent] {
    var reader = TTRPCFrameReader(limit: 1_000)
    var events: [TTRPCEvent] = []
    for piece in pieces {
      piece.withUnsafeBytes { reader.append($0) }
      while reader.hasNext, let event = reader.next() {
        switch event {
        case .frame(let header, let payload): events.append(.frame(header, Array(payload)))
        case .tooLarge(let header): events.append(.tooLarge(header))
        case .broken:
          // This is all there will be.
          return events + [.broken]
        }
      }
    }
    return events
  }
}

/// A request that was read says the same when it is written and read again.
private func checkRequest(_ request: TTRPCRequest) throws {
  let metadata = request.metadata()
  try checkEqual(metadata.entries.count, request.metadataCount, "entries")
  guard !request.method.contains(UInt8(ascii: "/")),
    let service = String(validating: request.service, as: UTF8.self),
    let method = String(validating: request.method, as: UTF8.self)
  else { return }
  var output = ByteStore(capacity: 64)
  try TTRPCRequest.write(
    to: &output, stream: 1, flags: [], path: "/\(service)/\(method)",
    payload: request.hasPayload ? request.payload : nil,
    timeoutNanoseconds: request.timeoutNanoseconds, metadata: metadata)
  let written = Array(output.bytes.dropFirst(TTRPCFrameHeader.length))
  try written.withUnsafeBytes { bytes in
    let again = try TTRPCRequest(reading: bytes)
    try checkEqual(Array(again.service), Array(request.service), "service")
    try checkEqual(Array(again.method), Array(request.method), "method")
    try checkEqual(Array(again.payload), Array(request.payload), "payload")
    try checkEqual(again.hasPayload, request.hasPayload, "has a payload")
    try checkEqual(again.timeoutNanoseconds, request.timeoutNanoseconds, "timeout")
    try checkEqual(again.metadata().entries, metadata.entries, "metadata")
    try checkEqual(again.metadataBytes, request.metadataBytes, "size of the metadata")
  }
}

private func checkResponse(_ response: TTRPCResponse) throws {
  guard let status = response.status else { return }
  try check(status.code != .ok, "a status that is OK")
  var output = ByteStore(capacity: 64)
  TTRPCResponse.write(status, to: &output, stream: 1)
  let written = Array(output.bytes.dropFirst(TTRPCFrameHeader.length))
  try written.withUnsafeBytes { bytes in
    let again = try TTRPCResponse(reading: bytes)
    try checkEqual(again.status?.code, status.code, "code")
    try check(status.message.hasPrefix(again.status?.message ?? "-"), "message")
  }
}

/// Whole frames, and nothing behind the good end of a call. (A client that uses a stream's number again
/// is told so by further answers.)
private func checkAnswers(_ output: [UInt8]) throws {
  var ended: Set<UInt32> = []
  var reader = TTRPCFrameReader()
  output.withUnsafeBytes { reader.append($0) }
  while case .frame(let header, let payload)? = reader.next() {
    switch header.type {
    case .response where try TTRPCResponse(reading: payload).status == nil:
      try check(ended.insert(header.stream).inserted, "two good ends of \(header.stream)")
    case .response: break
    case .data: try check(!ended.contains(header.stream), "data behind the end")
    default: throw PropertyFailure(description: "a frame of type \(header.type.rawValue)")
    }
  }
  try checkEqual(reader.unreadBytes, 0, "bytes that are no frame")
}

/// Reads the input as a list of frames: type, flags, stream, length and payload, one byte each but for
/// the payload. The high bit of the type stands for an envelope that is known to be good, with the
/// payload as its message.
enum TTRPCScript {
  private static let paths =
    EchoMethods.all.map(\.path) + ["/no/such", "//", "/test.Echo/Inline", "/test.Echo/Inline"]

  static func frames(_ input: [UInt8]) -> [[UInt8]] {
    var rest = input[...]
    var frames: [[UInt8]] = []
    while rest.count >= 4, frames.count < 64 {
      let head = [UInt8](rest.prefix(4))
      rest = rest.dropFirst(4)
      let payload = [UInt8](rest.prefix(Int(head[3])))
      rest = rest.dropFirst(payload.count)
      let flags = TTRPCFlags(rawValue: head[1])
      if head[0] & 0x80 != 0 {
        frames.append(request(Int(head[0] >> 4 & 7), UInt32(head[2]), flags, payload))
      } else {
        var output = ByteStore(capacity: 64)
        let header = TTRPCFrameHeader(
          payloadCount: payload.count, stream: UInt32(head[2]),
          type: TTRPCFrameType(rawValue: head[0]), flags: flags)
        let target = header.open(in: &output)
        UnsafeMutableRawBufferPointer(start: target, count: payload.count).copyBytes(from: payload)
        frames.append(Array(output.bytes))
      }
    }
    return frames
  }

  private static func request(
    _ path: Int, _ stream: UInt32, _ flags: TTRPCFlags, _ payload: [UInt8]
  ) -> [UInt8] {
    var output = ByteStore(capacity: 64)
    payload.withUnsafeBytes { bytes in
      // It fits: the payload has 255 bytes at most.
      try? TTRPCRequest.write(
        to: &output, stream: stream, flags: flags, path: paths[path % paths.count],
        payload: flags.contains(.noData) ? nil : bytes, timeoutNanoseconds: nil,
        metadata: path > 5 ? ["x-a": "b", "x-bin": "AAEC"] : [:])
    }
    return Array(output.bytes)
  }

  static func requests() throws -> [[UInt8]] { (0..<8).map { request($0, 1, [], [1, 2, 3]) } }

  static let seeds: [[UInt8]] = [
    [0x80, 0, 1, 3, 1, 2, 3], [0x80, 0, 1, 0, 0x80, 0, 3, 1, 9], [0xC0, 0, 1, 0],
    [0xB0, 2, 1, 1, 7, 3, 0, 1, 2, 8, 9, 3, 5, 1, 0],
    [0x90, 2, 1, 0, 3, 0, 1, 1, 7, 3, 1, 1, 1, 8],
    [0xA0, 1, 1, 1, 7], [0xB0, 6, 1, 0, 3, 0, 1, 0, 3, 4, 1, 0, 3, 5, 1, 0],
    [3, 0, 5, 1, 1], [2, 0, 1, 0], [9, 9, 1, 2, 1, 1], [0x80, 0, 2, 0], [1, 0, 1, 2, 0xFF, 0xFF],
    [0xB0, 2, 1, 0, 0x80, 0, 3, 1, 4, 3, 0, 1, 1, 7, 3, 1, 1, 0, 0x80, 0, 5, 0],
  ]
}
