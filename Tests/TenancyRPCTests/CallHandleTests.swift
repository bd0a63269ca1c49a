import Synchronization
import TenancyRPC
import Testing

@Suite("Calls that are ended from outside of their handlers", .timeLimit(.minutes(1)))
struct CallHandleTests {
  private static let why = RPCStatus(.permissionDenied, "not any more")

  /// What a handler lets out, and what becomes of it.
  private final class Witness: Sendable {
    private let calls: AsyncStream<AsyncCall<PlainDelegate>>
    private let began: AsyncStream<AsyncCall<PlainDelegate>>.Continuation
    private let ends: AsyncStream<Bool>
    private let ended: AsyncStream<Bool>.Continuation

    init() {
      (calls, began) = AsyncStream.makeStream()
      (ends, ended) = AsyncStream.makeStream()
    }

    /// A handler that goes on until its task is cancelled.
    func stay(_ call: AsyncCall<PlainDelegate>) async throws {
      began.yield(call)
      do {
        try await Task.sleep(for: .seconds(3600))
      } catch {
        ended.yield(true)
        throw error
      }
      ended.yield(false)
    }

    func call() async -> AsyncCall<PlainDelegate>? { await calls.first { _ in true } }
    func wasCancelled() async -> Bool { await ends.first { _ in true } ?? false }
  }

  private static func methods(_ witness: Witness) -> [TestMethod] {
    [
      .streaming(path: "/test.End/Stream", kind: .serverStreaming) { call, _, responses in
        try await responses.send([1])
        try await witness.stay(call)
      },
      .async(path: "/test.End/Unary") { call, _ in
        try await witness.stay(call)
        return []
      },
    ]
  }

  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func aStream(wire: WireProtocol) async throws {
    let witness = Witness()
    try await withEcho(Self.methods(witness), wire: wire) { channel in
      var answers: [[UInt8]] = []
      let status = await #expect(throws: RPCStatus.self) {
        try await channel.serverStreaming(path: "/test.End/Stream", message: []) { responses in
          for try await message in responses {
            answers.append(message)
            await witness.call()?.handle.end(Self.why)
          }
        }
      }
      #expect(status?.code == .permissionDenied && status?.message == Self.why.message)
      #expect(answers == [[1]])
      #expect(await witness.wasCancelled())
      #expect(await channel.refusal("/test.Echo/Inline", [1]) == nil)
    }
  }

  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func oneAnswer(wire: WireProtocol) async throws {
    let witness = Witness()
    try await withEcho(Self.methods(witness), wire: wire) { channel in
      async let refusal = channel.refusal("/test.End/Unary")
      let handle = await witness.call()?.handle
      handle?.end(Self.why)
      #expect(await refusal?.code == .permissionDenied)
      #expect(await witness.wasCancelled())
      // It is over, and its place may be another's.
      handle?.end(RPCStatus(.dataLoss, "late"))
      #expect(await channel.refusal("/test.Echo/Async", [1]) == nil)
      handle?.end(RPCStatus(.dataLoss, "later"))
      #expect(await channel.refusal("/test.Echo/Inline", [1]) == nil)
    }
  }

  /// What the handler has sent and the connection has not taken is not sent.
  @Test func nothingIsSentAfterwards() async throws {
    let method = TestMethod.streaming(path: "/test.End/Late", kind: .serverStreaming) {
      call, _, responses in
      call.handle.end(Self.why)
      // May be accepted: the connection has not heard of the end.
      try await responses.send([2])
    }
    try await withEcho([method]) { channel in
      var count = 0
      let status = await #expect(throws: RPCStatus.self) {
        try await channel.serverStreaming(path: method.path, message: []) { responses in
          for try await _ in responses { count += 1 }
        }
      }
      #expect(status?.code == .permissionDenied && count == 0)
    }
  }

  /// Nothing has answered the call: to its client that is no success.
  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func anEndThatIsNone(wire: WireProtocol) async throws {
    let witness = Witness()
    try await withEcho(Self.methods(witness), wire: wire) { channel in
      async let refusal = channel.refusal("/test.End/Unary")
      await witness.call()?.handle.end(RPCStatus(.ok, ""))
      #expect(await refusal?.code == .internalError)
      #expect(await witness.wasCancelled())
    }
  }

  // MARK: Drains

  /// A watch that ends by itself does not hold up a server that stops, however patient that is.
  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func aWatchEndsWhenTheServerStops(wire: WireProtocol) async throws {
    let method = TestMethod.streaming(path: "/test.End/Watch", kind: .serverStreaming) {
      call, _, responses in
      try await responses.send([1])
      let rest: Void? = try await call.drain.cancelling {
        try await Task.sleep(for: .seconds(3600))
      }
      #expect(rest == nil && call.drain.isDraining)
      try await responses.send([2])
      throw RPCStatus(.unavailable, "go on elsewhere")
    }
    let server = try await TestServer.start([method])
    let channel = server.channel(wire: wire)
    var answers: [[UInt8]] = []
    var stopping: Task<Duration, any Error>?
    let status = await #expect(throws: RPCStatus.self) {
      try await channel.serverStreaming(path: method.path, message: []) { responses in
        for try await message in responses {
          answers.append(message)
          if stopping == nil {
            stopping = Task {
              let begin = ContinuousClock.now
              try await server.stop(within: .seconds(600))
              return begin.duration(to: .now)
            }
          }
        }
      }
    }
    #expect(status?.code == .unavailable && status?.message == "go on elsewhere")
    #expect(answers == [[1], [2]])
    let took = try await stopping?.value ?? .seconds(600)
    #expect(took < .seconds(60))
    await channel.close()
  }

  @Test func aDrainIsToldOnce() async throws {
    let drain = DrainSignal()
    let count = Atomic(0)
    let forgotten = drain.observe { count.add(100, ordering: .relaxed) }
    drain.forget(forgotten)
    _ = drain.observe { count.add(1, ordering: .relaxed) }
    #expect(try await drain.cancelling { 7 } == 7)
    struct Failure: Error {}
    await #expect(throws: Failure.self) { try await drain.cancelling { throw Failure() } }
    #expect(!drain.isDraining && count.load(ordering: .relaxed) == 0)
  }
}
