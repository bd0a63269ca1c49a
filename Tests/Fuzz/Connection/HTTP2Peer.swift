@testable import TenancyRPCCore
@testable import TenancyRPCFraming

/// A client that speaks HTTP/2, in frames of odd orders, numbers and flags.
struct HTTP2Peer: ScriptedPeer {
  private static let paths =
    ScriptedMethods.paths + [
      "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch",
      "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/no/such", "none",
    ]
  private static let timeouts = ["0n", "1n", "500u", "20m", "1S", "99999999H", "1x", ""]
  /// `:method GET` of the static table: 42 bytes of a header list, in one.
  private static let indexed: UInt8 = 0x82

  private(set) var streams: [String: UInt32] = [:]
  private var last: UInt32 = UInt32.max
  private let window: UInt32
  /// Something was said that may have ended a call.
  private(set) var mayHaveReset = false

  init(_ script: inout Script) { window = script.choose([65_535, 0, 1, 400, 2_000]) }

  var opening: [UInt8] {
    Conversation.preface + frame(4, 0, 0, [0, 4] + Self.big(window))
  }

  var makingRoom: [UInt8] {
    frame(4, 0, 0, [0, 4] + Self.big(1 << 24)) + frame(8, 0, 0, Self.big(1 << 24))
  }

  mutating func say(_ script: inout Script) -> [UInt8] {
    switch script.byte() % 14 {
    case 0, 1: return headers(&script)
    case 2: return headers(&script) + data(&script)
    case 3, 4: return data(&script)
    case 5:
      mayHaveReset = true
      return frame(3, 0, known(&script), Self.big(UInt32(script.byte() & 15)))
    case 6: return frame(8, 0, known(&script), Self.big(UInt32(script.byte()) << 4))
    case 7: return trailers(&script)
    case 8: return frame(9, script.byte() & 4, known(&script), script.bytes())
    case 9: return frame(4, 0, 0, [0, 4] + Self.big(UInt32(script.byte()) << 6))
    case 10: return frame(6, script.byte() & 1, 0, [UInt8](repeating: 1, count: 8))
    case 11: return frame(7, 0, 0, Self.big(last) + Self.big(0))
    case 12:
      mayHaveReset = true
      return frame(script.byte() & 15, script.byte(), known(&script), script.bytes())
    default:
      mayHaveReset = true
      return script.bytes()
    }
  }

  // MARK: Streams

  private static let special: [UInt32] = [
    0, 2, 1, 0x7FFF_FFFF, 0x7FFF_FFFD, 0x7FFF_FFFE, 0xFFFF_FFFF,
  ]

  /// The number of a new stream; most often the next.
  private mutating func new(_ script: inout Script) -> UInt32 {
    let choice = Int(script.byte() & 31)
    switch choice {
    case 0..<20: last &+= 2
    case 20: last &+= 4
    case 21: last &+= 1
    case 22: return last
    case 23: return last &- 2
    default: return Self.special[choice % Self.special.count]
    }
    return last
  }

  /// The number of an earlier stream; most often the latest.
  private func known(_ script: inout Script) -> UInt32 {
    let choice = script.byte() & 31
    switch choice {
    case 0..<12: return last
    case 12..<18: return last &- 2
    case 18..<22: return last &- 4
    case 22..<25: return 0
    default: return Self.special[Int(choice) % Self.special.count]
    }
  }

  // MARK: Frames

  private mutating func headers(_ script: inout Script) -> [UInt8] {
    let stream = new(&script)
    let path = script.choose(Self.paths)
    let flags = script.byte()
    let id = String(streams.count)
    var fields = [
      (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "a"),
      ("te", "trailers"), ("content-type", "application/grpc"), (Ledger.idField, id),
    ]
    if flags & 4 != 0 { fields.append(("grpc-timeout", script.choose(Self.timeouts))) }
    if flags & 8 != 0 { fields.append(("grpc-encoding", "gzip")) }
    if flags & 16 != 0 { fields.insert(("X", "y"), at: Int(script.byte()) % fields.count) }
    if flags & 64 != 0 { fields.append(("content-length", "7")) }
    if flags & 128 != 0 { fields.append(("grpc-accept-encoding", "gzip")) }
    var block = Self.block(fields)
    if flags & 32 != 0 { block += [UInt8](repeating: Self.indexed, count: 30) }
    streams[id] = stream & 0x7FFF_FFFF
    return frame(1, (flags & 1) | (flags & 2 == 0 ? 4 : 0), stream, block)
  }

  private func trailers(_ script: inout Script) -> [UInt8] {
    let flags = script.byte()
    var block = Self.block([("x-trailer", "1")])
    if flags & 2 != 0 { block += Self.block([("X", "y")]) }
    if flags & 4 != 0 { block += [UInt8](repeating: Self.indexed, count: 30) }
    return frame(1, 4 | (flags & 1), known(&script), block)
  }

  private func data(_ script: inout Script) -> [UInt8] {
    let flags = script.byte()
    var message = ScriptedMessage(&script).bytes
    if flags & 2 != 0, let packed = Gzip.compress(message) { message = packed }
    var length = UInt32(message.count)
    if flags & 4 != 0 { length += 5 }
    if flags & 8 != 0 { length = .max }
    var payload = [flags >> 1 & 1] + Self.big(length) + message
    if flags & 16 != 0 { payload += payload }
    if flags & 32 != 0 { payload.removeLast(min(payload.count, Int(script.byte() & 15))) }
    // Padded: as many as the first byte says, wrong or right.
    if flags & 64 != 0 { payload = [script.byte() & 15] + payload }
    return frame(0, (flags & 1) | (flags & 64 == 0 ? 0 : 8), known(&script), payload)
  }

  private func frame(_ type: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: [UInt8]) -> [UInt8]
  {
    FrameScript.encode(type: type, flags: flags, stream: stream, payload)
  }

  private static func block(_ fields: [(String, String)]) -> [UInt8] {
    fields.flatMap { name, value in
      [0, UInt8(name.utf8.count)] + name.utf8 + [UInt8(value.utf8.count)] + value.utf8
    }
  }

  private static func big(_ number: UInt32) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
  }
}
