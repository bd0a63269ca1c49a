import Synchronization
import TenancyTestSupport
import TenancyTokens
import Testing

@testable import Tenancy
@testable import TenancyServer

/// Tokens of issuers whose keys are fetched, by a clock of the test.
struct FetchedIssuerTests {
  /// Nanoseconds.
  private final class Clock: Sendable {
    private let now = Mutex<Int64>(0)

    var time: Int64 { now.withLock { $0 } }

    func pass(_ seconds: Double) { now.withLock { $0 += Int64(seconds * 1e9) } }
  }

  private static let acme = Sample.id(1)
  private static let rules = IdentityRules(trustDomains: ["d"])

  private static func peer(_ kind: Caller.Kind) -> Caller {
    Caller(kind, subject: "peer", source: .certificate, certificate: nil, rules: rules)
  }

  private let clock = Clock()
  private let sets: FetchedKeySets
  private let terms: TokenTerms
  private let judge: TokenJudge
  private let provider: OutsideProvider
  private let state: ControlState

  init() throws {
    var fetching = FetchedKeySets.Terms()
    fetching.hosts = [try #require(HostPattern(parsing: "id.test"))]
    fetching.staleSeconds = 7200
    sets = FetchedKeySets(fetching) { [clock] in clock.time }
    var terms = TokenTerms(issuer: "https://own", audience: "aud")
    provider = try OutsideProvider("https://id.test")
    let platform = try OutsideProvider("https://all.test")
    var all = ExternalIssuer(id: "all", issuer: platform.url, keys: [])
    all.published = PublishedKeySet(url: "https://inside.test/")
    terms.outside = PlatformIssuers([PlatformIssuer(all, naming: .tenant("acme"))], fetched: sets)
    self.terms = terms
    judge = TokenJudge(terms, Self.rules) { 0 }
    var acme = Sample.tenant(1, "acme")
    var issuer = ExternalIssuer(id: "corp", issuer: provider.url, keys: [])
    issuer.published = PublishedKeySet(url: "https://id.test/keys")
    acme.authentication.issuers = [issuer]
    var state = ControlState()
    state.apply(
      [.putTenant(acme), .putTenant(Sample.tenant(2, "globex"))], revision: 1)
    self.state = state
  }

  private func token(_ provider: OutsideProvider? = nil) throws -> [UInt8] {
    try (provider ?? self.provider).token("aud/tenants/\(Self.acme)")
  }

  private func caller(
    _ token: [UInt8], _ peer: Caller = peer(.platform(roles: ["resolver"]))
  ) throws(TokenDenial) -> Caller {
    let bytes = token.span.bytes
    return try bytes.withUnsafeBytes { bytes throws(TokenDenial) in
      try judge.caller(presenting: bytes, peer, account: 1, state, at: Sample.moment)
    }
  }

  /// Nil: it is accepted.
  private func refusal(
    _ token: [UInt8], _ peer: Caller = peer(.platform(roles: ["resolver"]))
  ) -> TenancyError? {
    do throws(TokenDenial) {
      _ = try caller(token, peer)
      return nil
    } catch {
      return error.error
    }
  }

  private func reason(_ token: [UInt8]) -> String? { refusal(token)?.reason.rawValue }

  /// Fetches what is due.
  private func fetch(_ keys: JWK...) throws -> KeySetEvent? {
    let job = try #require(sets.take(state).0)
    return sets.finish(job, .success((keys.map { ExternalKey($0) }, nil)))
  }

  @Test func untilTheyAreFetched() throws {
    let token = try token()
    let error = try #require(refusal(token))
    #expect(error.category == .unavailable && error.retryAfterSeconds == 1)
    #expect(error.reason == .tokenKeysNotFetched && Denials.isDenial(error))
    clock.pass(0.2)
    let event = try #require(try fetch(provider.key))
    #expect(event.owner == Self.acme && event.condition == .good)
    #expect(try caller(token).subject == "corp:al")
  }

  /// To the workloads of others a tenant says nothing of whom it trusts.
  @Test func strangersAreToldNothing() throws {
    let stranger = Self.peer(.tenant(name: "globex"))
    #expect(refusal(try token(), stranger)?.reason == .tokenKeyUnknown)
    #expect(refusal(try token(), Self.peer(.tenant(name: "acme")))?.reason == .tokenKeysNotFetched)
  }

  @Test func unknownKeys() throws {
    _ = refusal(try token())
    clock.pass(0.2)
    _ = try fetch(provider.key)
    let other = try token(try OutsideProvider(provider.url))
    #expect(reason(other) == "TOKEN_KEYS_REFRESHING" && reason(other) == "TOKEN_KEYS_REFRESHING")
    clock.pass(0.2)
    _ = try fetch(provider.key)
    #expect(reason(other) == "TOKEN_KEY_UNKNOWN" && sets.take(state).0 == nil)
    #expect(reason(try token()) == nil)
  }

  @Test func aKeyThatHasGoneEndsKnownTokens() throws {
    let token = try token()
    _ = refusal(token)
    clock.pass(0.2)
    _ = try fetch(provider.key)
    let grant = try #require(try caller(token).token)
    let record = try #require(state.find(Self.acme))
    #expect(grant.refusal(in: record, at: Sample.moment) == nil)
    clock.pass(3601)
    let event = try #require(try fetch(OutsideProvider(provider.url).key))
    #expect(event.endsTokens)
    #expect(grant.refusal(in: record, at: Sample.moment)?.reason == .tokenKeyUnknown)
    #expect(reason(token) == "TOKEN_KEYS_REFRESHING")
  }

  /// Whether or not anybody has noticed.
  @Test func theirEndEndsKnownTokens() throws {
    let token = try token()
    _ = refusal(token)
    clock.pass(0.2)
    _ = try fetch(provider.key)
    let grant = try #require(try caller(token).token)
    let record = try #require(state.find(Self.acme))
    clock.pass(7199)
    #expect(grant.refusal(in: record, at: Sample.moment) == nil && reason(token) == nil)
    clock.pass(2)
    #expect(grant.refusal(in: record, at: Sample.moment)?.reason == .tokenKeyUnknown)
    #expect(refusal(token)?.reason == .tokenKeysStale)
    #expect(refusal(token)?.category == .unavailable)
  }

  @Test func thePlatformsArePrepared() throws {
    terms.outside.prepare()
    clock.pass(0.2)
    #expect(try #require(sets.take(state).0).url.host == "inside.test")
    #expect(terms.outside.areFetched && !sets.allows("https://inside.test/"))
    #expect(sets.allows("https://id.test/x") && !sets.allows("https://id.test:444/x"))
  }
}
