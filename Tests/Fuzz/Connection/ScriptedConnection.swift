import NIOCore
import NIOEmbedded
import TenancyRPCServices

@testable import TenancyRPCServer

/// One connection from its first byte to its end, as a script wants it: what the peer says, when it reads,
/// what time passes, which handlers go on, and when the server drains. On a loop whose clock is set by
/// hand; everything runs on one thread, so that an input always does the same.
final class ScriptedConnection<Engine: AuditedEngine, Peer: ScriptedPeer> {
  private static var maximumSteps: Int { 300 }

  private var script: Script
  private var peer: Peer
  private let ledger = Ledger()
  private let loop = EmbeddedEventLoop()
  private let core: ServerCore
  private let state: LoopState
  private let channel: EmbeddedChannel
  /// Said, and not read yet.
  private var pending: [UInt8]
  private var output: [UInt8] = []

  init(_ input: [UInt8]) throws {
    var script = Script(input)
    let limits = Self.limits(&script)
    peer = Peer(&script)
    pending = peer.opening
    self.script = script
    core = ServerCore(
      methods: try Self.methods(ledger), limits: limits, delegate: FuzzDelegate(),
      pool: LoopExecutor(loop))
    state = LoopState(loop, embedder: core.embedder.makeLoop())
    channel = EmbeddedChannel(loop: loop)
    let acceptor = ConnectionAcceptor(
      core: core, loop: state, tls: nil, plainPeer: .anonymous, origin: .unknown, channel: channel,
      label: "fuzz")
    try channel.pipeline.syncOperations.addHandler(ProtocolSniffer(acceptor))
    try channel.connect(to: SocketAddress(unixDomainSocketPath: "/fuzz")).wait()
  }

  private static func limits(_ script: inout Script) -> ServerLimits {
    var limits = ServerLimits()
    limits.maximumCallsPerTurn = script.choose([64, 1, 2])
    limits.maximumCallBurst = script.choose([16, 1])
    limits.maximumConcurrentStreams = 8
    limits.maximumMessageBytes = 2_000
    limits.maximumBufferedBytes = 6_000
    limits.maximumStreamBufferedBytes = 3_000
    limits.maximumWaitingReplyBytes = 3_000
    limits.maximumHeaderListBytes = 1_000
    limits.maximumOutputBytes = 4_096
    limits.stallTimeout = .seconds(3)
    limits.requestTimeout = .seconds(2)
    limits.idleTimeout = nil
    limits.keepaliveInterval = nil
    return limits
  }

  private static func methods(_ ledger: Ledger) throws -> [FuzzMethod] {
    // Anew: LeakSanitizer does not see what the weak references to a static object leave behind.
    ScriptedMethods(ledger: ledger).all + HealthService(HealthStatus(serving: ["test"])).methods()
      + (try Reflection.methods.get())
  }

  private var handler: ServerConnectionHandler<Engine>? {
    // None before the first byte, and none when the connection is closed.
    try? channel.pipeline.syncOperations.handler(type: ServerConnectionHandler<Engine>.self)
  }

  // MARK: The run

  func run() throws {
    var steps = 0
    while !script.isAtEnd, channel.isActive, steps < Self.maximumSteps {
      steps += 1
      let choice = Int(script.byte())
      if choice < 160 {
        pending += peer.say(&script)
      } else {
        happen(ScriptEvent.allCases[choice % ScriptEvent.allCases.count])
      }
      try look()
    }
    happen(.read)
    try settle()
    try end()
    try checkOutput()
  }

  private func happen(_ event: ScriptEvent) {
    switch event {
    case .read: read(pending.count)
    case .readPart: read(max(0, pending.count - Int(script.byte() & 31)))
    case .time:
      let steps: [TimeAmount] = [
        .zero, .microseconds(500), .milliseconds(1), .milliseconds(20), .milliseconds(400),
        .seconds(1), .seconds(3),
      ]
      loop.advanceTime(by: script.choose(steps))
    case .stopsTaking: setWritable(false)
    case .takes: setWritable(true)
    case .release: _ = ledger.release(Int(script.byte()))
    case .releaseAll: releaseAll()
    case .drain: handler?.drain()
    case .endBecause: handler?.end(because: "the script says so")
    case .inputClosed: channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    }
    loop.run()
  }

  private func read(_ count: Int) {
    guard count > 0, channel.isActive else { return }
    let bytes = ByteBuffer(bytes: pending[..<count])
    pending.removeFirst(count)
    channel.pipeline.fireChannelRead(bytes)
    channel.pipeline.fireChannelReadComplete()
  }

  private func setWritable(_ isWritable: Bool) {
    guard channel.isWritable != isWritable else { return }
    channel.isWritable = isWritable
    channel.pipeline.fireChannelWritabilityChanged()
  }

  private func releaseAll() {
    while ledger.release(0) { loop.run() }
  }

  private func look() throws {
    while let part = try channel.readOutbound(as: ByteBuffer.self) { output += Array(buffer: part) }
    try handler?.engine.audit()
    try check(ledger.runs.values.allSatisfy { $0 == 1 }, "a request is served twice")
  }

  /// The peer makes room, handlers go on, and time passes.
  private func settle() throws {
    setWritable(true)
    if let engine = handler?.engine, !engine.isInputPartial {
      pending += peer.makingRoom
      happen(.read)
    }
    for _ in 0..<4 {
      releaseAll()
      loop.advanceTime(by: .seconds(2))
      try look()
    }
    guard channel.isActive, let handler, !handler.lifetime.isClosing else { return }
    try handler.engine.auditSettled()
  }

  private func end() throws {
    let open = channel.isActive ? handler?.engine.openNumbers : nil
    if let open { try checkOutcomes(open) }
    if channel.isActive { channel.pipeline.fireChannelInactive() }
    _ = try? channel.finish()  // What it still holds is of no interest.
    loop.run()
    try checkEqual(core.handlersAtWork, 0, "tasks of no connection")
    try checkEqual(ledger.active, 0, "handlers of no connection")
    try check(!ledger.release(0), "a handler that nobody cancelled")
    try checkEqual(state.timers.count, 0, "timers of no connection")
    // What the loop still holds would look like a leak.
    try loop.syncShutdownGracefully()
  }

  // MARK: What was said

  private func checkOutput() throws {
    guard Engine.self == HTTP2ServerSession.self else { return }
    let said = ServerSaid(output)
    try check(said.late.isEmpty, "said more of \(said.late) after their end")
    for (id, count) in ledger.runs where count > 0 {
      guard let stream = peer.streams[id] else { continue }
      try check(stream <= said.lastOwned, "\(stream) was served, and disowned by GOAWAY")
    }
  }

  /// Every request that was served is open, or has had its answer, unless the peer gave it up.
  private func checkOutcomes(_ open: Set<UInt32>) throws {
    guard let peer = peer as? HTTP2Peer, !peer.mayHaveReset else { return }
    let said = ServerSaid(output)
    for id in ledger.runs.keys {
      guard let stream = peer.streams[id], !open.contains(stream) else { continue }
      try check(said.over.contains(stream), "\(stream) was served and never answered")
    }
  }
}

/// The HTTP/2 frames that a server has sent.
private struct ServerSaid {
  private var ended: Set<UInt32> = []
  private var reset: Set<UInt32> = []
  /// Those of which more was said after their end.
  private(set) var late: [UInt32] = []
  /// The last call that all GOAWAYs own.
  private(set) var lastOwned = UInt32.max

  var over: Set<UInt32> { ended.union(reset) }

  init(_ bytes: [UInt8]) {
    var at = 0
    while at + 9 <= bytes.count {
      let length = bytes[at..<at + 3].reduce(0) { $0 << 8 | Int($1) }
      let stream = Self.number(bytes[(at + 5)..<(at + 9)])
      let payload = bytes[(at + 9)..<min(bytes.count, at + 9 + length)]
      take(type: bytes[at + 3], flags: bytes[at + 4], stream, payload)
      at += 9 + length
    }
  }

  private mutating func take(
    type: UInt8, flags: UInt8, _ stream: UInt32, _ payload: ArraySlice<UInt8>
  ) {
    switch type {
    case 0, 1:
      if over.contains(stream) { late.append(stream) }
      if flags & 1 != 0 { ended.insert(stream) }
    case 3: reset.insert(stream)
    case 7: lastOwned = min(lastOwned, Self.number(payload.prefix(4)))
    default: break
    }
  }

  private static func number(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    bytes.reduce(0) { $0 << 8 | UInt32($1) } & 0x7FFF_FFFF
  }
}

typealias FuzzMethod = ServiceMethod<FuzzDelegate>

struct FuzzDelegate: ServerDelegate {
  func connectionOpened(_: Connection) -> NoContext? { .shared }
  func log(_: ServerEvent) {}
}

/// Made once: it takes a while.
private enum Reflection {
  static let methods = Result { () throws(ReflectionError) in
    try ReflectionService(
      serving: HealthService(HealthStatus(serving: [])).methods() as [FuzzMethod],
      descriptorSets: []
    ).methods() as [FuzzMethod]
  }
}
