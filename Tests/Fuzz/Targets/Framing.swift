@testable import TenancyRPCCore
@testable import TenancyRPCFraming

/// gRPC's length-prefixed messages, and gzip.
let framingTargets: [FuzzTarget] = [
  FuzzTarget("message-reader") {
    let packed = Gzip.compress(Array("hello hello hello".utf8)) ?? []
    let streams: [[UInt8]] = [
      frame([]), frame([1, 2, 3]) + frame(Array("x".utf8)), [0, 0, 0, 0], [2] + frame([]),
      frame([UInt8](repeating: 7, count: 999)), frame(packed, flags: 1) + frame([1]),
      [0, 0xFF, 0xFF, 0xFF, 0xFF],
    ]
    return streams.flatMap { [[0] + $0, [1] + $0] }
  } run: { input in
    var bytes = input
    let encoding: MessageEncoding = bytes.takeFirst() & 1 == 1 ? .gzip : .identity
    let whole = ReadMessages(encoding, [bytes])
    let parts = ReadMessages(encoding, bytes.pieces())
    try checkEqual(parts.messages, whole.messages, "messages, in pieces")
    try checkEqual(parts.failure, whole.failure, "failure, in pieces")
    try check(whole.messages.allSatisfy { $0.bytes.count <= ReadMessages.limit }, "over the limit")
    if encoding == .identity, whole.failure == nil {
      // Nothing is added or lost.
      let written = whole.messages.flatMap { frame($0.bytes) }
      try check(bytes.starts(with: written), "not the bytes that came in")
      try check(bytes.count - written.count == whole.left, "bytes were lost")
    }
  },

  FuzzTarget("gzip") {
    [[], Array("hello".utf8), [UInt8](repeating: 0, count: 100_000)].compactMap(Gzip.compress)
      + [[0x1F, 0x8B, 8], [0x78, 0x9C, 3, 0]]
  } run: { input in
    let limit = 4096
    if let unpacked = try? input.withUnsafeBytes({ bytes throws(Gzip.Failure) in
      try Gzip.decompress(bytes, limit: limit)
    }) {
      try check(unpacked.count <= limit, "\(unpacked.count) bytes")
    }
    guard let packed = Gzip.compress(input) else {
      throw PropertyFailure(description: "zlib refused")
    }
    let again = try packed.withUnsafeBytes { bytes throws(Gzip.Failure) in
      try Gzip.decompress(bytes, limit: input.count)
    }
    try checkEqual(again, input, "round trip")
    if !input.isEmpty {
      let isTooLarge = packed.withUnsafeBytes { bytes in
        do throws(Gzip.Failure) {
          _ = try Gzip.decompress(bytes, limit: input.count - 1)
          return false
        } catch {
          return error == .tooLarge
        }
      }
      try check(isTooLarge, "one over the limit was accepted")
    }
  },
]

func frame(_ message: [UInt8], flags: UInt8 = 0) -> [UInt8] {
  let count = UInt32(message.count)
  return [flags] + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: count >> $0) } + message
}

/// What a reader makes of pieces.
private struct ReadMessages {
  static let limit = 1_000

  var messages: [FramedMessage] = []
  var failure: RPCStatus.Code?
  var left = 0

  init(_ encoding: MessageEncoding, _ pieces: [[UInt8]]) {
    var reader = MessageReader(limit: Self.limit)
    reader.encoding = encoding
    do throws(RPCStatus) {
      for piece in pieces {
        let result = piece.withUnsafeBytes { bytes in
          Result { () throws(RPCStatus) in try reader.feed(bytes) { messages.append($0) } }
        }
        try result.get()
      }
      left = reader.partialBytes
    } catch {
      failure = error.code
    }
  }
}
