import Synchronization
import TenancyRPC
import TenancyRPCTestSupport
import Testing

/// Who makes a call: its connection's peer, or whom its own metadata prove.
@Suite("Identity per call", .timeLimit(.minutes(1)))
struct CallIdentityTests {
  final class Peer: Sendable {}

  final class Caller: Sendable {
    let name: String

    init(_ name: String) { self.name = name }
  }

  /// Tokens that were looked at before. Confined to an event loop.
  final class Loop {
    var known: [[UInt8]: Caller] = [:]
  }

  /// Whoever has a token is the one whose name it is; who has none is the peer, if that is let in.
  final class Delegate: ServerDelegate {
    let lookedAt = Atomic(0)
    let maintained = Atomic(0)
    private let acceptsPeers: Bool
    let observer: (any ServerObserver)?

    init(acceptsPeers: Bool = true, observer: (any ServerObserver)? = nil) {
      self.acceptsPeers = acceptsPeers
      self.observer = observer
    }

    static let identityMetadata: [StaticString] = ["x-token"]

    func makeLoopContext() -> Loop { Loop() }
    func maintain(_ loop: Loop) { maintained.add(1, ordering: .relaxed) }
    func connectionOpened(_ connection: Connection) -> Peer? { Peer() }

    func callContext(
      of connection: Peer, _ metadata: borrowing CallMetadata, _ loop: Loop
    ) throws(RPCStatus) -> Caller {
      var tokens: [[UInt8]] = []
      metadata.forEachValue(of: "x-token") { tokens.append(Array($0)) }
      guard let token = tokens.first else {
        guard acceptsPeers else { throw RPCStatus(.unauthenticated, "no token") }
        return Caller("peer")
      }
      guard tokens.count == 1 else { throw RPCStatus(.unauthenticated, "two tokens") }
      if let caller = loop.known[token] { return caller }
      lookedAt.add(1, ordering: .relaxed)
      let name = String(decoding: token, as: UTF8.self)
      guard name.hasPrefix("good-") else { throw RPCStatus(.unauthenticated, "a bad token") }
      let caller = Caller(name)
      loop.known[token] = caller
      return caller
    }

    func account(of caller: Caller) -> Int { caller.name.utf8.count }
    func name(of caller: Caller) -> CallerName? { CallerName(subject: caller.name) }
    func log(_ event: ServerEvent) {}
  }

  private static func answer(_ call: InlineCall<Delegate>) {
    let name = Array(call.context.name.utf8)
    call.reply(count: name.count) { target in
      name.withUnsafeBytes { bytes in
        if let base = bytes.baseAddress { target.copyMemory(from: base, byteCount: bytes.count) }
      }
    }
  }

  private static let methods: [ServiceMethod<Delegate>] = [
    .inline(path: "/test.Who/Inline") { call, _ in answer(call) },
    .async(path: "/test.Who/Async") { call, _ in Array(call.context.name.utf8) },
    .streaming(path: "/test.Who/Stream", kind: .serverStreaming) { call, _, responses in
      try await responses.send(Array(call.context.name.utf8))
    },
    .streaming(path: "/test.Who/Pool", kind: .serverStreaming, on: .concurrentPool) {
      call, _, responses in
      try await responses.send(Array(call.context.name.utf8))
    },
    .inline(
      path: "/test.Who/PutOff", orElse: { call, _ in Array(call.context.name.utf8) },
      { call, _ in if call.hasMetadata("x-token") { call.putOff() } else { answer(call) } }),
  ]

  private func withServer(
    _ delegate: Delegate, _ wire: WireProtocol, _ body: (RPCChannel) async throws -> Void
  ) async throws {
    try await serving(Self.methods, by: delegate, over: .speaking(wire)) { channel, _ in
      try await body(channel)
    }
  }

  /// What a call is told of its caller.
  private func ask(
    _ channel: RPCChannel, _ method: String, _ tokens: [String] = []
  ) async throws -> String {
    var options = RPCCallOptions()
    for token in tokens { options.metadata.add("x-token", token) }
    let path = "/test.Who/\(method)"
    guard method == "Stream" || method == "Pool" else {
      let answer = try await channel.unary(path: path, message: [], options: options)
      return String(decoding: answer, as: UTF8.self)
    }
    return try await channel.serverStreaming(path: path, message: [], options: options) {
      var names: [String] = []
      for try await message in $0 { names.append(String(decoding: message, as: UTF8.self)) }
      return names.joined(separator: ",")
    }
  }

  private static let kinds = ["Inline", "Async", "Stream", "Pool", "PutOff"]

  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func eachCallHasItsOwn(wire: WireProtocol) async throws {
    let delegate = Delegate()
    try await withServer(delegate, wire) { channel in
      for kind in Self.kinds {
        #expect(try await ask(channel, kind) == "peer")
        #expect(try await ask(channel, kind, ["good-\(kind)"]) == "good-\(kind)")
        #expect(try await ask(channel, kind) == "peer", "what the call before had is not kept")
      }
      // Side by side, on one connection.
      try await withThrowingTaskGroup { group in
        for index in 0..<200 {
          group.addTask {
            let kind = Self.kinds[index % Self.kinds.count]
            let name = try await ask(channel, kind, index % 3 == 0 ? [] : ["good-\(index % 7)"])
            #expect(name == (index % 3 == 0 ? "peer" : "good-\(index % 7)"))
          }
        }
        try await group.waitForAll()
      }
      // Each token once, whatever the number of its calls.
      #expect(delegate.lookedAt.load(ordering: .relaxed) == Self.kinds.count + 7)
    }
  }

  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func whoProvesNothingIsRefused(wire: WireProtocol) async throws {
    try await withServer(Delegate(acceptsPeers: false), wire) { channel in
      for kind in Self.kinds {
        for tokens in [[], ["bad"], ["good-a", "good-b"]] {
          let status = await #expect(throws: RPCStatus.self) {
            try await ask(channel, kind, tokens)
          }
          #expect(status?.code == .unauthenticated, "\(kind) \(tokens)")
        }
        let name = try await ask(channel, kind, ["good-a"])
        #expect(name == "good-a")
      }
    }
  }

  // MARK: Observers

  private final class Recorder: ServerObserver {
    struct Seen: Sendable, Equatable {
      let code: RPCStatus.Code
      let account: Int
      let caller: String?
    }

    let calls: AsyncStream<Seen>
    fileprivate let report: AsyncStream<Seen>.Continuation

    init() { (calls, report) = AsyncStream.makeStream() }

    func makeLoopObserver(methods: [String], loop: ObservedLoop) -> LoopObserver { Watcher(self) }
  }

  private final class Watcher: LoopObserver {
    private let recorder: Recorder

    init(_ recorder: Recorder) { self.recorder = recorder }

    override func callEnded(_ call: borrowing CallRecord, _ details: borrowing CallDetails) {
      recorder.report.yield(
        Recorder.Seen(
          code: call.code, account: details.account, caller: details.caller?.subject))
    }
  }

  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func observersAreToldWho(wire: WireProtocol) async throws {
    let recorder = Recorder()
    try await withServer(Delegate(observer: recorder), wire) { channel in
      var seen = recorder.calls.makeAsyncIterator()
      for kind in Self.kinds {
        _ = try await ask(channel, kind, ["good-one"])
        #expect(await seen.next() == .init(code: .ok, account: 8, caller: "good-one"), "\(kind)")
        _ = try await ask(channel, kind)
        #expect(await seen.next() == .init(code: .ok, account: 4, caller: "peer"), "\(kind)")
        // Nobody has proven to be anybody else; nor is it the peer's call.
        _ = try? await ask(channel, kind, ["bad"])
        #expect(
          await seen.next() == .init(code: .unauthenticated, account: ~4, caller: nil),
          "\(kind)")
      }
    }
  }
}
