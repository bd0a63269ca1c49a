@testable import TenancyRPCServer

/// Whole connections with session, handler and services, driven by scripts.
let scriptTargets: [FuzzTarget] = [
  FuzzTarget("script-http2") {
    ScriptSeeds.http2
  } run: { input in
    try ScriptedConnection<HTTP2ServerSession, HTTP2Peer>(input).run()
  },
  FuzzTarget("script-ttrpc") {
    ScriptSeeds.ttrpc
  } run: { input in
    try ScriptedConnection<TTRPCServerSession, TTRPCPeer>(input).run()
  },
]

/// Scripts of honest peers, and of some that are not quite.
enum ScriptSeeds {
  private static let read = event(.read)

  private static func event(_ event: ScriptEvent) -> UInt8 {
    let index = ScriptEvent.allCases.firstIndex(of: event) ?? 0
    // The first number from 160 on that stands for it.
    let count = ScriptEvent.allCases.count
    return UInt8(160 + (index - 160 % count + count) % count)
  }

  /// HEADERS of the next stream; `flags` as `HTTP2Peer` reads them.
  private static func head(_ path: UInt8, _ flags: UInt8 = 0, _ rest: UInt8...) -> [UInt8] {
    [0, 0, path, flags] + rest
  }

  /// One message; `order` as handlers understand it.
  private static func data(
    _ order: UInt8, _ flags: UInt8 = 1, size: UInt8 = 2, of stream: UInt8 = 0
  )
    -> [UInt8]
  {
    [3, flags, order, size, stream]
  }

  static let http2: [[UInt8]] = {
    let all = (UInt8(0)..<11).map { [0, 0, 0] + head($0) + data(0) + [read] }
    let waiting: [UInt8] =
      [1, 0, 0] + head(1) + data(1) + [read] + head(2) + data(7, 0) + [read]
      + data(1) + [event(.release), 0, event(.time), 3, event(.releaseAll)]
    let late: [UInt8] =
      [0, 0, 2] + head(4, 4, 3) + data(3, 0) + [read, event(.time), 4] + data(0) + [read]
    let leaving: [UInt8] =
      [2, 1, 0] + head(0) + data(0) + [read, event(.stopsTaking), event(.drain)] + head(0)
      + data(0) + [read, event(.endBecause)] + head(1) + data(0) + [read, event(.takes)]
    let packed: [UInt8] = [0, 0, 0] + head(4, 0x88) + data(6, 2, size: 4) + data(6, 3) + [read]
    let reset: [UInt8] =
      [0, 0, 1] + head(3) + data(3) + [read, 5, 0, 8] + head(5) + [read, 7, 1, 0, read]
    let split: [UInt8] =
      [0, 0, 0] + head(0, 2) + [event(.readPart), 20, 8, 4, 0, 0] + data(2) + [read]
    return all + [waiting, late, leaving, packed, reset, split]
  }()

  private static func call(_ path: UInt8, _ order: UInt8, _ flags: UInt8 = 0) -> [UInt8] {
    [0, 0, flags, order, 2, path]
  }

  static let ttrpc: [[UInt8]] = {
    let all = (UInt8(0)..<10).map { [0, 0] + call($0, 0) + [read] }
    let stream: [UInt8] =
      [0, 0] + call(4, 0, 2) + [read] + [3, 0, 0, 3, 0, read, 3, 1, 1, 1, 0, read]
      + [event(.releaseAll)]
    let waiting: [UInt8] =
      [1, 1] + call(1, 1) + call(3, 1) + [read, event(.time), 3, event(.release), 0, event(.drain)]
    let stalled: [UInt8] =
      [0, 0] + call(2, 1, 2) + [3, 0, 1, 5, 0, 3, 0, 1, 5, 0, read, event(.time), 5, read]
    let late: [UInt8] = [0, 0] + [0, 0, 8, 1, 2, 1, 3] + [read, event(.time), 4]
    return all + [stream, waiting, stalled, late]
  }()
}
