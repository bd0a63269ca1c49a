import Synchronization
import Tenancy
import TenancyClient
import TenancyCrypto
import TenancyRPC
import TenancyWire
import Testing

/// The client's own time, which a test sets forward.
private final class LocalClock: Sendable {
  private let time = Mutex(ContinuousClock.now)
  var now: ContinuousClock.Instant { time.withLock { $0 } }
  func advance(by duration: Duration) { time.withLock { $0 += duration } }
}

/// Counts the tokens that are asked for.
private final class ExchangeCounter: RPCClientInterceptor {
  private let exchanges = Mutex(0)
  var count: Int { exchanges.withLock { $0 } }

  nonisolated(nonsending) func intercept<Request, Response>(
    _ method: RPCMethod<Request, Response>, _ request: Request, options: RPCCallOptions,
    next: (_ request: Request, _ options: RPCCallOptions) async throws -> Response
  ) async throws -> Response {
    if method.path.hasSuffix("/ExchangeToken") { exchanges.withLock { $0 += 1 } }
    return try await next(request, options)
  }

  nonisolated(nonsending) func intercept<Request, Response, Answer>(
    streaming method: RPCMethod<Request, Response>, options: RPCCallOptions,
    next: (_ options: RPCCallOptions) async throws -> Answer
  ) async throws -> Answer {
    try await next(options)
  }
}

/// Answers when a test says so.
private final class Issuer: Sendable {
  private struct State {
    var count = 0
    var failure: RPCStatus?
  }
  private let state = Mutex(State())
  private let answered = AsyncStream<Void>.makeStream()
  let clock = LocalClock()
  static let life = Duration.seconds(900)

  var count: Int { state.withLock { $0.count } }
  func fail(_ failure: RPCStatus?) { state.withLock { $0.failure = failure } }

  /// Until one more request was answered.
  func untilAnswered() async {
    for await _ in answered.stream { return }
  }

  func source() -> TokenSource {
    TokenSource(patience: .seconds(30), now: { [clock] in clock.now }) { [self] in
      defer { answered.continuation.yield() }
      return try state.withLock { state in
        state.count += 1
        if let failure = state.failure { throw failure }
        return BearerToken(
          "t\(state.count)", expires: clock.now + Self.life,
          renewal: clock.now + Self.life * 2 / 3)
      }
    }
  }
}

@Suite("Where the tokens of calls come from", .timeLimit(.minutes(1)))
struct TokenSourceTests {
  /// A channel with a certificate.
  private func over<Answer>(
    _ server: LiveServer, _ profile: CertificateProfile,
    _ body: (RPCChannel) async throws -> Answer
  ) async throws -> Answer {
    let tls = try TLSContext(.client, try server.certificates.issue(profile))
    let channel = RPCChannel(server.target(), tls: tls)
    do {
      let answer = try await body(channel)
      await channel.close()
      return answer
    } catch {
      await channel.close()
      throw error
    }
  }

  private func whoAmI(
    _ channel: any CallChannel, _ options: RPCCallOptions = RPCCallOptions()
  ) async throws -> V1.WhoAmIResponse {
    try await IdentityClient(channel).whoAmI(V1.WhoAmIRequest(), options: options)
  }

  @Test func callsCarryOneTokenUntilItIsRenewed() async throws {
    try await withLiveServer { server in
      let acme = try await server.asOperator(over: .unix) { try await $0.createActive("acme") }
      // The clock of the server is of no matter.
      server.clock.advance(by: Days(1))
      try await over(server, .workload(tenant: "acme", workload: "web")) { channel in
        let counter = ExchangeCounter()
        let clock = LocalClock()
        let source = TokenSource(
          exchangingBy: channel.intercepted(by: [counter]), V1.ExchangeTokenRequest(),
          patience: .seconds(30), now: { clock.now })
        let carrying = channel.intercepted(by: [TokenInterceptor(source)])
        let ids = try await withThrowingTaskGroup(of: String.self) { group in
          for _ in 0..<20 { group.addTask { try await whoAmI(carrying).tokenId } }
          return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(ids.count == 1 && !ids.contains("") && counter.count == 1)
        let me = try await whoAmI(carrying)
        #expect(me.source == .token && me.tenant == acme.name)

        // Per call, and not on a call that has its own.
        var options = RPCCallOptions()
        options.credentials = source
        #expect(try await ids == [whoAmI(channel, options).tokenId])
        options.credentials = BearerToken("x.y.z")
        await #expect(throws: RPCStatus.self) { try await whoAmI(carrying, options) }
        #expect(try await whoAmI(channel).source == .certificate)

        // At its end, if not before.
        clock.advance(by: .seconds(900))
        let next = try await whoAmI(carrying).tokenId
        #expect(!ids.contains(next) && counter.count == 2)
      }
    }
  }

  @Test func aTokenThatServersRefuseIsReplaced() async throws {
    try await withLiveServer { server in
      let acme = try await server.asOperator(over: .unix) { try await $0.createActive("acme") }
      try await over(server, .workload(tenant: "acme", workload: "web")) { channel in
        let clock = LocalClock()
        let source = TokenSource(
          exchangingBy: channel, V1.ExchangeTokenRequest(), patience: .seconds(30),
          now: { clock.now })
        let carrying = channel.intercepted(by: [TokenInterceptor(source)])
        func revoke() async throws -> String {
          let id = try await whoAmI(carrying).tokenId
          _ = try await server.asOperator(over: .unix) {
            try await $0.tokens.revokeTokens(
              V1.RevokeTokensRequest(parent: acme.name, target: .tokenId(id)))
          }
          return id
        }
        let id = try await revoke()
        // One that is this new is not given up: else each call would ask for another.
        for _ in 0..<2 {
          await #expect(throws: RPCStatus.self) { try await whoAmI(carrying) }
        }
        clock.advance(by: .seconds(5))
        await #expect(throws: RPCStatus.self) { try await whoAmI(carrying) }
        #expect(try await whoAmI(carrying).tokenId != id)
      }
    }
  }

  @Test func theNextHopKnowsTheCaller() async throws {
    try await withLiveServer { server in
      let (acme, callerToken) = try await server.asOperator(over: .unix) { client in
        let acme = try await client.createActive("acme")
        return (
          acme,
          try await client.tokens.issueToken(
            V1.IssueTokenRequest(parent: acme.name, subject: "user:al", unbound: true)
          ).token
        )
      }
      try await over(server, .platform(role: "resolver")) { channel in
        let tokens = TokensClient(channel)
        let token = try await tokens.forwarding(
          callerToken, audience: "https://orders", permissions: ["orders:read"])
        let found = try await server.asOperator(over: .unix) {
          try await $0.tokens.introspectToken(
            V1.IntrospectTokenRequest(token: token.value, audience: "https://orders"))
        }
        #expect(found.active && found.subject == "user:al" && found.tenant == acme.name)
        #expect(found.permissions == ["orders:read"] && found.certificateSha256.count == 32)
        #expect(found.actors.first?.hasSuffix("/platform/resolver") == true)
        // It is for the next service, and not for this one.
        var options = RPCCallOptions()
        options.credentials = token
        await #expect(throws: RPCStatus.self) { try await whoAmI(channel, options) }
        options.credentials = try await tokens.forwarding(
          callerToken, audience: LiveServer.tokens.audience)
        let me = try await whoAmI(channel, options)
        #expect(me.subject == "user:al" && me.presentedBy.hasSuffix("/platform/resolver"))

        let error = await #expect(throws: TokenSourceError.self) {
          try await tokens.forwarding("x.y.z", audience: "a")
        }
        #expect(error?.code == .refused && error?.status.errorInfo?.reason == "TOKEN_KEY_UNKNOWN")
      }
    }
  }

  /// As the article on calling has it.
  @Test func theExampleOfTheArticle() async throws {
    try await withLiveServer { server in
      let (_, callerToken) = try await server.asOperator(over: .unix) { client in
        let acme = try await client.createActive("acme")
        _ = try await client.authorization.createRoleAssignment(
          V1.CreateRoleAssignmentRequest(
            parent: acme.name,
            assignment: V1.RoleAssignment(subject: "user:al", role: "tenant-viewer")))
        let made = try await client.tokens.issueToken(
          V1.IssueTokenRequest(parent: acme.name, subject: "user:al", unbound: true))
        return (acme, made.token)
      }
      try await over(server, .workload(tenant: "acme", workload: "web")) { channel in
        // Every call carries the token of our own certificate.
        let source = TokenSource(exchangingBy: channel)
        let tenants = TenantManagerClient(
          channel.intercepted(by: [TokenInterceptor(source)]))
        let acme = try await tenants.getTenant(V1.GetTenantRequest(name: "acme"))
        #expect(acme.slug == "acme")
      }
      try await over(server, .platform(role: "resolver")) { channel in
        // One call on behalf of a caller, for whom another service answers.
        var options = RPCCallOptions()
        options.credentials = try await TokensClient(channel).forwarding(
          callerToken, audience: "tenancy", permissions: ["tenancy.tenants:get"])
        let acme = try await TenantManagerClient(channel).getTenant(
          V1.GetTenantRequest(name: "acme"), options: options)
        #expect(acme.slug == "acme")
      }
    }
  }

  @Test func itIsRenewedAtTwoThirdsOfItsLife() async throws {
    let issuer = Issuer()
    let source = issuer.source()
    #expect(try await source.token().value == "t1")
    await issuer.untilAnswered()
    issuer.clock.advance(by: Issuer.life * 2 / 3 - .seconds(1))
    #expect(try await source.token().value == "t1")
    #expect(issuer.count == 1)
    issuer.clock.advance(by: .seconds(1))
    // Nobody waits for the new one.
    #expect(source.current(for: "/a/b") == ["authorization": "Bearer t1"])
    await issuer.untilAnswered()
    issuer.clock.advance(by: Issuer.life / 3)
    #expect(try await source.token().value == "t2")
    #expect(issuer.count == 2)
  }

  @Test func theOldOneServesWhileRenewalFails() async throws {
    let issuer = Issuer()
    let source = issuer.source()
    _ = try await source.token()
    await issuer.untilAnswered()
    issuer.fail(RPCStatus(.resourceExhausted, "later"))
    issuer.clock.advance(by: Issuer.life * 2 / 3)
    #expect(try await source.token().value == "t1")
    await issuer.untilAnswered()
    issuer.clock.advance(by: Issuer.life / 3 - .seconds(1))
    #expect(try await source.token().value == "t1")
    issuer.clock.advance(by: .seconds(1))
    let error = await #expect(throws: TokenSourceError.self) { try await source.token() }
    #expect(error?.code == .unavailable && error?.description == "UNAVAILABLE: later")
    let status = await #expect(throws: RPCStatus.self) { try await source.metadata(for: "") }
    #expect(status?.code == .unavailable)
    issuer.fail(nil)
    #expect(try await source.token().value.hasPrefix("t"))
  }

  @Test func whatIsThrownSaysWhy() async throws {
    struct Other: Error {}
    let errors: [(any Error, TokenSourceError.Code, RPCStatus.Code)] = [
      (RPCStatus(.unavailable, ""), .unavailable, .unavailable),
      (RPCStatus(.permissionDenied, ""), .refused, .unauthenticated),
      (Other(), .refused, .unauthenticated),
    ]
    for (thrown, code, status) in errors {
      let source = TokenSource { throw thrown }
      let error = await #expect(throws: TokenSourceError.self) { try await source.token() }
      #expect(error?.code == code && error?.status.code == status)
    }
  }

  @Test func nobodyWaitsForEver() async throws {
    let (never, continuation) = AsyncStream<BearerToken>.makeStream()
    let source = TokenSource(patience: .milliseconds(1)) {
      for await token in never { return token }
      throw CancellationError()
    }
    let error = await #expect(throws: TokenSourceError.self) { try await source.token() }
    #expect(error?.code == .unavailable)
    continuation.finish()
  }
}
