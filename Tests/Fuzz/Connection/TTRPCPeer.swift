@testable import TenancyLoop
@testable import TenancyRPCCore
@testable import TenancyRPCFraming

/// A client that speaks ttrpc, in frames of odd orders, numbers and flags.
struct TTRPCPeer: ScriptedPeer {
  private static let paths =
    ScriptedMethods.paths + [
      "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch",
      "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/no/such",
    ]
  private static let timeouts: [Int64] = [-1, 1, 500_000, 20_000_000, 1_000_000_000, .max, .min]
  private static let special: [UInt32] = [0, 1, 2, 0x7FFF_FFFF, 0xFFFF_FFFF, 0xFFFF_FFFD]

  private(set) var streams: [String: UInt32] = [:]
  private var last = UInt32.max

  init(_ script: inout Script) {}

  var opening: [UInt8] { [] }
  /// ttrpc has no windows.
  var makingRoom: [UInt8] { [] }

  mutating func say(_ script: inout Script) -> [UInt8] {
    switch script.byte() % 8 {
    case 0, 1, 2: return request(&script)
    case 3, 4: return data(&script)
    case 5: return Self.raw(known(&script), script.byte() & 7, script.byte(), script.bytes())
    case 6:
      // Its payload may be missing, or be what comes next.
      let announced = script.choose([1, 100, 4 << 20, 5 << 20, 16 << 20, 1 << 31] as [UInt32])
      return Self.header(announced, known(&script), script.byte() & 3, script.byte() & 7)
    default: return script.bytes()
    }
  }

  private mutating func new(_ script: inout Script) -> UInt32 {
    let choice = Int(script.byte() & 31)
    switch choice {
    case 0..<22: last &+= 2
    case 22: last &+= 1
    case 23: return last
    case 24: return last &- 2
    default: return Self.special[choice % Self.special.count]
    }
    return last
  }

  private func known(_ script: inout Script) -> UInt32 {
    let choice = script.byte() & 31
    switch choice {
    case 0..<14: return last
    case 14..<20: return last &- 2
    case 20..<24: return last &- 4
    default: return Self.special[Int(choice) % Self.special.count]
    }
  }

  private mutating func request(_ script: inout Script) -> [UInt8] {
    let stream = new(&script)
    let flags = script.byte()
    let id = String(streams.count)
    let payload = ScriptedMessage(&script).bytes
    var output = ByteStore(capacity: 64)
    let path = script.choose(Self.paths)
    let timeout = flags & 8 != 0 ? script.choose(Self.timeouts) : nil
    payload.withUnsafeBytes { bytes in
      // It fits: a message has few bytes.
      try? TTRPCRequest.write(
        to: &output, stream: stream, flags: TTRPCFlags(rawValue: flags & 7), path: path,
        payload: flags & 16 != 0 ? nil : bytes, timeoutNanoseconds: timeout,
        metadata: [Ledger.idField: id])
    }
    streams[id] = stream
    return Array(output.bytes)
  }

  private func data(_ script: inout Script) -> [UInt8] {
    let flags = script.byte()
    let message = flags & 4 != 0 && flags & 8 == 0 ? [] : ScriptedMessage(&script).bytes
    return Self.raw(known(&script), 3, flags & 7, message)
  }

  private static func raw(_ stream: UInt32, _ type: UInt8, _ flags: UInt8, _ payload: [UInt8])
    -> [UInt8]
  {
    header(UInt32(payload.count), stream, type, flags) + payload
  }

  private static func header(_ count: UInt32, _ stream: UInt32, _ type: UInt8, _ flags: UInt8)
    -> [UInt8]
  {
    [count, stream].flatMap { number in
      [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
    } + [type, flags]
  }
}
