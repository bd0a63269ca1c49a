import Synchronization
import TenancyRPC
import Testing

/// Each call is told of once, however it ends.
@Suite("Observers see each call begin and end, once")
struct ObserverTests {
  struct Seen: Sendable, Equatable {
    let method: Int?
    let wire: CallRecord.Wire
    let code: RPCStatus.Code
    let requestMessages: Int
    let responseMessages: Int
    let isOrdered: Bool
    let tag: CallTag
    let requestID: String?
    let unknownPath: String?
    let status: RPCStatus?
    let account: Int
    let caller: CallerName?
  }

  final class Recorder: ServerObserver {
    struct Counts: Equatable {
      var began = 0
      var connections = 0
      var ended = 0
    }

    let calls: AsyncStream<Seen>
    fileprivate let report: AsyncStream<Seen>.Continuation
    fileprivate let counts = Mutex(Counts())

    init() { (calls, report) = AsyncStream.makeStream() }

    var seen: Counts { counts.withLock { $0 } }

    func makeLoopObserver(methods: [String], loop: ObservedLoop) -> LoopObserver { Loop(self) }

    /// The next, and no more than that.
    func next(_ count: Int) async -> [Seen] {
      var found: [Seen] = []
      for await call in calls {
        found.append(call)
        if found.count == count { break }
      }
      return found
    }
  }

  private final class Loop: LoopObserver {
    private let recorder: Recorder

    init(_ recorder: Recorder) { self.recorder = recorder }

    override func callBegan() { recorder.counts.withLock { $0.began += 1 } }

    override func callEnded(_ call: borrowing CallRecord, _ details: borrowing CallDetails) {
      recorder.report.yield(
        Seen(
          method: call.method, wire: call.wire, code: call.code,
          requestMessages: call.requestMessages, responseMessages: call.responseMessages,
          isOrdered: call.beginTime <= call.startTime && call.startTime <= call.endTime,
          tag: call.tag, requestID: details.requestID, unknownPath: details.unknownPath,
          status: details.status, account: details.account,
          caller: details.caller))
    }

    override func connectionBegan(_ wire: CallRecord.Wire, _ peer: CallRecord.PeerKind) {
      recorder.counts.withLock { $0.connections += 1 }
    }

    override func connectionEnded(_ wire: CallRecord.Wire, _ peer: CallRecord.PeerKind) {
      recorder.counts.withLock { $0.ended += 1 }
    }
  }

  private static let tagged = CallTag(high: 1, low: 2)

  private static let tagging: [TestMethod] = [
    .inline(path: "/test.Tag/Inline") { call, _ in
      call.tag(tagged)
      call.reply(count: 0) { _ in }
    },
    .async(path: "/test.Tag/Async") { call, message in
      call.response.tag(tagged)
      return message
    },
  ]

  /// Runs `body` with a server that is watched; afterwards nothing more may have been told than `count` calls.
  private func watch(
    _ wire: WireProtocol, _ extra: [TestMethod] = [], limits: ServerLimits = ServerLimits(),
    _ body: (RPCChannel, Recorder) async throws -> Int
  ) async throws {
    let recorder = Recorder()
    let server = try await TestServer.start(
      extra, limits: limits, delegate: PlainDelegate(observer: recorder))
    let channel = server.channel(wire: wire)
    let count = try await body(channel, recorder)
    await channel.close()
    try await server.stop()
    recorder.report.finish()
    #expect(await recorder.next(1) == [])
    let seen = recorder.seen
    #expect(seen.began == count)
    #expect(seen.connections > 0)
    #expect(seen.ended == seen.connections)
  }

  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func callsThatAreAnswered(wire: WireProtocol) async throws {
    try await watch(wire, Self.tagging) { channel, recorder in
      let cases: [(path: String, code: RPCStatus.Code, method: Int?)] = [
        ("/test.Echo/Inline", .ok, 0), ("/test.Echo/Async", .ok, 1),
        ("/test.Echo/Refuse", .failedPrecondition, 2),
        ("/test.Echo/RefuseAsync", .failedPrecondition, 3),
        ("/test.Echo/None", .unimplemented, nil),
        ("/test.Tag/Inline", .ok, 5), ("/test.Tag/Async", .ok, 6),
      ]
      for (path, code, method) in cases {
        let refusal = await channel.refusal(path, [1, 2, 3])
        #expect(refusal?.code ?? .ok == code, "\(path)")
        let seen = await recorder.next(1)
        #expect(seen.map(\.code) == [code], "\(path)")
        #expect(seen.map(\.method) == [method], "\(path)")
        #expect(seen.map(\.wire) == [wire == .grpc ? .grpc : .ttrpc])
        #expect(seen.map(\.responseMessages) == [code == .ok ? 1 : 0], "\(path)")
        if method != nil { #expect(seen.map(\.requestMessages) == [1], "\(path)") }
        #expect(seen.allSatisfy { $0.isOrdered })
        let tag = path.contains("Tag") ? Self.tagged : CallTag()
        #expect(seen.map(\.tag) == [tag], "\(path)")
      }
      return cases.count
    }
  }

  /// What an observer can ask for is there, whoever has served the call.
  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func details(wire: WireProtocol) async throws {
    try await watch(wire) { channel, recorder in
      let paths = [
        "/test.Echo/Inline", "/test.Echo/Async", "/test.Echo/Refuse", "/test.Echo/RefuseAsync",
        "/no.Such/Method",
      ]
      for path in paths {
        var options = RPCCallOptions()
        options.metadata = ["x-request-id": "id of \(path)", "x-other": "1"]
        let refusal = await channel.refusal(path, [1, 2, 3], options)
        let seen = try #require(await recorder.next(1).first)
        #expect(seen.requestID == "id of \(path)", "\(path)")
        #expect(seen.unknownPath == (path.contains("no.Such") ? path : nil), "\(path)")
        #expect(seen.status?.code == refusal?.code, "\(path)")
        #expect(seen.status?.message == refusal?.message, "\(path)")
        #expect(seen.account == 7 && seen.caller == CallerName(subject: "peer"))
      }
      #expect(await channel.refusal("/test.Echo/Inline", [1]) == nil)
      #expect(await recorder.next(1).map(\.requestID) == [nil])
      return paths.count + 1
    }
  }

  @Test func aMessageThatIsTooLarge() async throws {
    var limits = ServerLimits()
    limits.maximumMessageBytes = 1024
    try await watch(.grpc, limits: limits) { channel, recorder in
      let refusal = await channel.refusal("/test.Echo/Inline", [UInt8](repeating: 0, count: 2000))
      #expect(refusal?.code == .resourceExhausted)
      #expect(await recorder.next(1).map(\.code) == [.resourceExhausted])
      return 1
    }
  }

  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func aDeadline(wire: WireProtocol) async throws {
    let gate = Gate()
    try await watch(wire, [gate.method]) { channel, recorder in
      var options = RPCCallOptions()
      var timeout = Duration.milliseconds(200)
      // A client that is slow gives up before it has sent anything: then the server has nothing to tell.
      repeat {
        options.timeout = timeout
        #expect(await channel.refusal("/test.Gate/Wait", [], options)?.code == .deadlineExceeded)
        timeout *= 2
      } while recorder.seen.began == 0
      let codes = await recorder.next(1).map(\.code)
      // Whoever is first: the client's reset or the server's own clock.
      #expect(codes == [.deadlineExceeded] || codes == [.cancelled])
      return 1
    }
  }

  @Test func aClientThatGoesAway() async throws {
    let gate = Gate()
    try await watch(.grpc, [gate.method]) { channel, recorder in
      let call = Task { await channel.refusal("/test.Gate/Wait") }
      #expect(await gate.next(1) == [.started])
      call.cancel()
      #expect(await recorder.next(1).map(\.code) == [.cancelled])
      _ = await call.value
      return 1
    }
  }

  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func aConnectionThatIsCut(wire: WireProtocol) async throws {
    let gate = Gate()
    let recorder = Recorder()
    let server = try await TestServer.start(
      [gate.method], delegate: PlainDelegate(observer: recorder))
    let channel = server.channel(wire: wire)
    let call = Task { await channel.refusal("/test.Gate/Wait") }
    #expect(await gate.next(1) == [.started])
    try await server.stop(within: .zero)
    #expect(await recorder.next(1).map(\.code) == [.cancelled])
    recorder.report.finish()
    #expect(await recorder.next(1) == [])
    #expect(recorder.seen == .init(began: 1, connections: 1, ended: 1))
    _ = await call.value
    await channel.close()
  }
}
