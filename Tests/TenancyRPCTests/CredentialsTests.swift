import Synchronization
import Testing

@testable import TenancyRPCClient
@testable import TenancyRPCCore

/// A clock that a test turns, and a token service that it answers.
private final class TokenService: Sendable {
  struct Failure: Error {}
  private struct State {
    var now = ContinuousClock.now
    var fetches = 0
    var life = Duration.seconds(100)
    var fails = false
  }

  private let state = Mutex(State())

  var now: ContinuousClock.Instant { state.withLock { $0.now } }
  var fetches: Int { state.withLock { $0.fetches } }
  func advance(_ time: Duration) { state.withLock { $0.now += time } }
  func fail(_ fails: Bool) { state.withLock { $0.fails = fails } }

  func fetch() throws -> BearerToken {
    try state.withLock { state in
      state.fetches += 1
      if state.fails { throw Failure() }
      return BearerToken("token-\(state.fetches)", expires: state.now + state.life)
    }
  }

  func provider() -> TokenProvider {
    TokenProvider(refreshAhead: .seconds(20), now: { self.now }) { try self.fetch() }
  }
}

@Suite("Tokens for calls", .timeLimit(.minutes(1)))
struct TokenProviderTests {
  @Test func tokenIsKeptUntilItsEnd() async throws {
    let service = TokenService()
    let provider = service.provider()
    #expect(provider.current(for: "/a/b") == nil)
    for _ in 0..<3 {
      #expect(try await provider.metadata(for: "/a/b") == ["authorization": "Bearer token-1"])
    }
    #expect(service.fetches == 1)
    service.advance(.seconds(79))
    #expect(provider.current(for: "/a/b") == ["authorization": "Bearer token-1"])
    #expect(service.fetches == 1)
    service.advance(.seconds(21))
    #expect(provider.current(for: "/a/b") == nil)
    #expect(try await provider.metadata(for: "/a/b") == ["authorization": "Bearer token-2"])
  }

  @Test func tokenIsRenewedAheadOfItsEnd() async throws {
    let service = TokenService()
    let provider = service.provider()
    _ = try await provider.metadata(for: "")
    service.advance(.seconds(80))
    // Nobody waits: the old one is good until the new one is there.
    #expect(provider.current(for: "") == ["authorization": "Bearer token-1"])
    while provider.current(for: "") != ["authorization": "Bearer token-2"] { await Task.yield() }
    #expect(service.fetches == 2)
  }

  @Test func renewalThatFailsIsTriedAgainLater() async throws {
    let service = TokenService()
    let provider = service.provider()
    _ = try await provider.metadata(for: "")
    service.advance(.seconds(80))
    service.fail(true)
    _ = provider.current(for: "")
    while service.fetches < 2 { await Task.yield() }
    for _ in 0..<50 {
      #expect(provider.current(for: "") != nil)
      await Task.yield()
    }
    #expect(service.fetches == 2)
    service.advance(TokenProvider.refreshPause)
    service.fail(false)
    while provider.current(for: "") != ["authorization": "Bearer token-3"] { await Task.yield() }
  }

  @Test func oneFetchServesAllWhoWait() async throws {
    let (door, opener) = AsyncStream<Void>.makeStream()
    let fetches = Mutex(0)
    let provider = TokenProvider {
      fetches.withLock { $0 += 1 }
      for await _ in door {}
      return BearerToken("t")
    }
    try await withThrowingTaskGroup(of: RPCMetadata.self) { group in
      for _ in 0..<20 { group.addTask { try await provider.metadata(for: "") } }
      // One of them gives up, which is nobody else's business.
      let gone = Task { try await provider.metadata(for: "") }
      gone.cancel()
      await #expect(throws: CancellationError.self) { try await gone.value }
      opener.finish()
      for try await metadata in group { #expect(metadata == ["authorization": "Bearer t"]) }
    }
    #expect(fetches.withLock { $0 } == 1)
  }

  @Test func expiredTokenIsRefused() async {
    let provider = TokenProvider { BearerToken("t", expires: .now - .seconds(1)) }
    let error = await #expect(throws: RPCStatus.self) { try await provider.metadata(for: "") }
    #expect(error?.code == .unauthenticated)
  }
}

@Suite("Credentials of calls", .timeLimit(.minutes(1)))
struct CallCredentialsTests {
  struct Fixed: MetadataProvider {
    let body: @Sendable () async throws -> RPCMetadata
    func metadata(for path: String) async throws -> RPCMetadata { try await body() }
  }

  static let path = "/test.Echo/RPCMetadata"

  static func seen(
    _ channel: RPCChannel, _ name: String, _ options: RPCCallOptions = RPCCallOptions()
  ) async throws -> String {
    String(decoding: try await channel.ask(path, Array(name.utf8), options), as: UTF8.self)
  }

  @Test func channelsAndCallsAreBothSent() async throws {
    let server = try await TestServer.start()
    var configuration = RPCChannel.Configuration()
    configuration.credentials = TokenProvider { BearerToken("channel") }
    let channel = RPCChannel(.unix(path: server.path), configuration: configuration)
    var options = RPCCallOptions(metadata: ["x-own": "1"])
    options.credentials = Fixed { ["x-call": "2"] }
    for _ in 0..<2 {
      #expect(try await Self.seen(channel, "authorization", options) == "Bearer channel")
      #expect(try await Self.seen(channel, "x-call", options) == "2")
      #expect(try await Self.seen(channel, "x-own", options) == "1")
    }
    #expect(try await Self.seen(channel, "x-call") == "")
    await channel.close()
    try await server.stop()
  }

  /// Never an anonymous call instead.
  @Test func failingProviderFailsTheCall() async throws {
    struct Oops: Error {}
    let errors: [(any Error, RPCStatus.Code)] = [
      (Oops(), .unauthenticated), (RPCStatus(.unavailable, "later"), .unavailable),
      (RPCStatus(.unauthenticated, "who"), .unauthenticated),
      (RPCStatus(.ok, "liar"), .unauthenticated), (RPCStatus(.notFound, "x"), .unauthenticated),
    ]
    let calls = Mutex(0)
    let method = TestMethod.async(path: "/test.Counted/Call") { _, message in
      calls.withLock { $0 += 1 }
      return message
    }
    try await withEcho([method]) { channel async throws in
      for (error, code) in errors {
        var options = RPCCallOptions()
        options.credentials = Fixed { throw error }
        let found = await channel.refusal("/test.Counted/Call", [], options)
        #expect(found?.code == code)
      }
      var options = RPCCallOptions()
      options.credentials = Fixed { ["x": "no\nnewlines"] }
      #expect(await channel.refusal("/test.Counted/Call", [], options)?.code == .internalError)
      #expect(calls.withLock { $0 } == 0)
    }
  }

  @Test func deadlineAndCancellationReachTheProvider() async throws {
    let (events, report) = AsyncStream<String>.makeStream()
    let endless = Fixed {
      report.yield("asked")
      for await _ in AsyncStream<Void>.makeStream().stream {}  // Until cancelled.
      report.yield("ended")
      return [:]
    }
    try await withEcho { channel async throws in
      var seen = events.makeAsyncIterator()
      var options = RPCCallOptions(timeout: nil)
      options.credentials = endless
      let call = Task { [options] in await channel.refusal(Self.path, [], options) }
      #expect(await seen.next() == "asked")
      call.cancel()
      #expect(await call.value?.code == .cancelled)
      #expect(await seen.next() == "ended")
      options.timeout = .milliseconds(50)
      #expect(await channel.refusal(Self.path, [], options)?.code == .deadlineExceeded)
    }
  }
}
