import Synchronization
import TenancyRPC
import Testing

/// How many asynchronous handlers are at work.
@Suite("Handlers at work", .timeLimit(.minutes(1)))
struct PendingCallsTests {
  private static let stream = "/test.Pending/Stream"
  private static let unary = "/test.Pending/Unary"

  /// - Parameter began: told when a unary call's handler has begun.
  private static func methods(_ began: @escaping @Sendable () -> Void = {}) -> [TestMethod] {
    [
      .streaming(path: stream, kind: .serverStreaming) { _, _, responses in
        try await responses.send([1])
        try await Task.sleep(for: .seconds(3600))
      },
      .async(path: unary) { _, _ in
        began()
        try await Task.sleep(for: .seconds(3600))
        return []
      },
    ]
  }

  private static func limits() -> ServerLimits {
    var limits = ServerLimits()
    (limits.maximumPendingCalls, limits.maximumPendingStreams) = (2, 3)
    limits.guaranteedCalls = 0
    return limits
  }

  /// Streams that stay open leave the others their place.
  @Test func streamsAreCountedApart() async throws {
    try await withEcho(Self.methods(), limits: Self.limits()) { channel in
      try await Self.holding(3, channel) {
        let refusal = await Self.refusal(channel)
        #expect(refusal?.code == .resourceExhausted)
        #expect(refusal?.message.contains("streams") == true)
        let answer = try await channel.ask("/test.Echo/Async", [7])
        #expect(answer == [7])
      }
    }
  }

  @Test func callsLeaveStreamsTheirPlace() async throws {
    let (begun, began) = AsyncStream.makeStream(of: Void.self)
    try await withEcho(Self.methods { began.yield() }, limits: Self.limits()) { channel in
      try await withThrowingTaskGroup { group in
        var news = begun.makeAsyncIterator()
        for _ in 0..<2 {
          group.addTask { _ = try await channel.ask(Self.unary) }
          _ = await news.next()
        }
        #expect(await channel.refusal("/test.Echo/Async", [7])?.code == .resourceExhausted)
        try await Self.holding(3, channel) {}
        group.cancelAll()
        while let result = await group.nextResult() {
          #expect(throws: (any Error).self) { try result.get() }
        }
      }
    }
  }

  /// Runs `body` while so many streams are open.
  private static func holding(
    _ count: Int, _ channel: RPCChannel, _ body: @Sendable () async throws -> Void
  ) async throws {
    guard count > 0 else { return try await body() }
    try await channel.serverStreaming(path: stream, message: []) { responses in
      for try await _ in responses {
        try await holding(count - 1, channel, body)
        return
      }
    }
  }

  private static func refusal(_ channel: RPCChannel) async -> RPCStatus? {
    do {
      try await holding(1, channel) {}
      return nil
    } catch {
      return error as? RPCStatus
    }
  }
}
