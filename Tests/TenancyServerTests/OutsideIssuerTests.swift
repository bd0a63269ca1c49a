import TenancyTestSupport
import TenancyTokens
import Testing

@testable import Tenancy
@testable import TenancyServer

/// Whose tokens of other issuers are, whatever tenants say of one another's issuers.
struct OutsideIssuerTests {
  private static let acme = Sample.id(1)
  private static let globex = Sample.id(2)
  private static let gateway = caller(.platform(roles: ["resolver"]))
  private static let rules = IdentityRules(trustDomains: ["d"])

  private static func caller(_ kind: Caller.Kind) -> Caller {
    Caller(kind, subject: "peer", source: .certificate, certificate: nil, rules: rules)
  }

  private var terms = TokenTerms(issuer: "https://own", audience: "aud")
  private let provider: OutsideProvider

  init() throws { provider = try OutsideProvider("https://id.test") }

  private func audience(_ tenant: TenantID) -> String { "aud/tenants/\(tenant)" }

  /// - Parameter issuers: of acme and of globex.
  private func state(
    _ issuers: [ExternalIssuer] = [], _ others: [ExternalIssuer] = [],
    _ change: (inout Tenant) -> Void = { _ in }
  ) -> ControlState {
    var (acme, globex) = (Sample.tenant(1, "acme"), Sample.tenant(2, "globex"))
    acme.authentication.issuers = issuers
    globex.authentication.issuers = others
    change(&acme)
    var state = ControlState()
    state.apply([.putTenant(acme), .putTenant(globex)], revision: 1)
    return state
  }

  private func judge() -> TokenJudge { TokenJudge(terms, Self.rules) { 0 } }

  private func caller(
    _ token: [UInt8], _ state: ControlState, _ judge: TokenJudge? = nil, peer: Caller = gateway
  ) throws(TokenDenial) -> Caller {
    let bytes = token.span.bytes
    return try bytes.withUnsafeBytes { bytes throws(TokenDenial) in
      try (judge ?? self.judge()).caller(
        presenting: bytes, peer, account: 1, state, at: Sample.moment)
    }
  }

  /// Nil: it is accepted.
  private func reason(
    _ token: [UInt8], _ state: ControlState, _ judge: TokenJudge? = nil, peer: Caller = gateway
  ) -> String? {
    do throws(TokenDenial) {
      let caller = try caller(token, state, judge, peer: peer)
      guard let grant = caller.token, let record = state.find(grant.tenant) else { return "?" }
      return grant.refusal(in: record, at: Sample.moment)?.reason.rawValue
    } catch {
      return error.error.reason.rawValue
    }
  }

  @Test func theTokenNamesItsTenant() throws {
    let state = state([provider.trusted()])
    let found = try caller(try provider.token(audience(Self.acme)), state)
    #expect(found.token?.tenant == Self.acme && found.subject == "corp:al")
    for audience in [
      "aud", "aud/tenants/", "aud/tenants/acme", "aud/tenants/\(Self.acme)/",
      "aud/tenants/\("\(Self.acme)".uppercased())x", "aud/tenants/\u{301}\(Self.acme)",
      audience(Self.globex), audience(Sample.id(9)),
    ] {
      #expect(reason(try provider.token(audience), state) == "TOKEN_KEY_UNKNOWN")
    }
    let both = "[\"\(audience(Self.acme))\",\"\(audience(Self.globex))\"]"
    #expect(reason(try provider.token("", ["aud": both]), state) == "TOKEN_KEY_UNKNOWN")
    let and = "[\"x\",\"\(audience(Self.acme))\"]"
    #expect(reason(try provider.token("", ["aud": and]), state) == nil)
  }

  @Test mutating func aClaimCanNameItWhereThatIsConfigured() throws {
    let trusted = {
      var issuer = provider.trusted()
      issuer.audiences = ["api"]
      return issuer
    }()
    let state = state([trusted], [trusted])
    let token = try provider.token("api", ["org": "\"\(Self.acme)\""])
    #expect(reason(token, state) == "TOKEN_KEY_UNKNOWN")
    terms.tenantClaim = "org"
    #expect(try caller(token, state).token?.tenant == Self.acme)
    for org in ["\"acme\"", "\"\(Sample.id(9))\"", "7", "[\"\(Self.acme)\"]"] {
      #expect(reason(try provider.token("api", ["org": org]), state) == "TOKEN_KEY_UNKNOWN")
    }
  }

  /// Globex's admin says that acme's issuer is its own: with a key of globex's, and with acme's.
  @Test(arguments: [true, false])
  func nobodyTakesOrBlocksAnothersTokens(_ hasTheirKey: Bool) throws {
    let thief = try OutsideProvider(provider.url)
    var claimed = provider.trusted("mine", hasTheirKey ? [provider.key] : [thief.key])
    claimed.audiences = [audience(Self.acme), audience(Self.globex), "aud"]
    let judge = judge()
    let state = state([provider.trusted()], [claimed])
    let token = try provider.token(audience(Self.acme))
    // Whoever presents it, and whoever has presented it before.
    let theirs = Self.caller(.tenant(name: "globex"))
    let own = Self.caller(.tenant(name: "acme"))
    for peer in [theirs, Self.gateway, own, theirs, Self.gateway] {
      do throws(TokenDenial) {
        let found = try caller(token, state, judge, peer: peer)
        #expect(found.token?.tenant == Self.acme && found.subject == "corp:al")
      } catch {
        // Unbound, which only gateways bring.
        #expect(error.tenant == Self.acme && !peer.isPlatform)
      }
    }
    // With its own key it makes no token of acme's.
    let forged = try thief.token(audience(Self.acme))
    #expect(reason(forged, state, judge) == "TOKEN_KEY_UNKNOWN")
    // Nor does removing acme's trust leave the other's to be asked.
    #expect(reason(token, self.state([], [claimed]), judge) == "TOKEN_KEY_UNKNOWN")
  }

  @Test func othersDoNotLearnWhomATenantTrusts() throws {
    var impostor = try OutsideProvider(provider.url)
    impostor.key = provider.key
    let state = state([provider.trusted()])
    let forged = try impostor.token(audience(Self.acme))
    let theirs = Self.caller(.tenant(name: "globex"))
    #expect(reason(forged, state, peer: theirs) == "TOKEN_KEY_UNKNOWN")
    #expect(reason(forged, self.state(), peer: theirs) == "TOKEN_KEY_UNKNOWN")
    for peer in [Self.gateway, Self.caller(.tenant(name: "acme"))] {
      #expect(reason(forged, state, peer: peer) == "TOKEN_SIGNATURE_INVALID")
    }
  }

  @Test func subjectsAreBehindTheirPrefix() throws {
    var issuer = provider.trusted()
    for (subject, mapped) in [
      ("spiffe://d/tenant/acme/web", "corp:spiffe://d/tenant/acme/web"), ("uid:0", "corp:uid:0"),
      ("insecure", "corp:insecure"),
    ] {
      let token = try provider.token(audience(Self.acme), ["sub": "\"\(subject)\""])
      let found = try caller(token, state([issuer]))
      #expect(found.subject == mapped && !found.permissions.grants(IdentityRules.presentTokens))
    }
    for subject in ["a b", "a\\u0007", "\(String(repeating: "a", count: 252))"] {
      let token = try provider.token(audience(Self.acme), ["sub": "\"\(subject)\""])
      #expect(reason(token, state([issuer])) == "TOKEN_CLAIMS_INVALID")
    }
    // Rules keep such settings out; where one got in, nobody is taken for somebody else.
    for prefix in ["spiffe:", "", "SPIF", "uid:", "Sys"] {
      issuer.subjectPrefix = prefix
      for subject in ["fe://d/tenant/acme/web", "//d/tenant/acme/web", "uid:0", "tem", "0"] {
        let token = try provider.token(audience(Self.acme), ["sub": "\"\(subject)\""])
        let mapped = (prefix + subject).lowercased()
        let isTaken = ["spiffe:", "uid:"].contains { mapped.hasPrefix($0) } || mapped == "system"
        #expect(reason(token, state([issuer])) == (isTaken ? "TOKEN_CLAIMS_INVALID" : nil))
      }
    }
  }

  @Test func permissionsAreNarrowed() throws {
    var issuer = provider.trusted()
    issuer.permissionsClaim = "scope"
    let state = state([issuer])
    func grant(_ scope: String?) throws -> TokenGrant? {
      try caller(try provider.token(audience(Self.acme), ["scope": scope]), state).token
    }
    let read = try #require(Permission(parsing: "orders:read"))
    let write = try #require(Permission(parsing: "orders:write"))
    let some = try #require(try grant("\"openid orders:read\""))
    #expect(some.allows(read) && !some.allows(write))
    for nothing in [nil, "\"\"", "\"openid profile\"", "[]"] {
      let none = try #require(try grant(nothing))
      #expect(!none.allows(read) && none.permissions != nil)
      // And so may whatever is made of it.
      #expect(throws: TenancyError.self) { try TokenBase.narrowed([], by: none) }
      #expect(throws: TenancyError.self) { try TokenBase.narrowed(["orders:read"], by: none) }
    }
    #expect(try TokenBase.narrowed([], by: some) == ["orders:read"])
    // Of an issuer whose claims say nothing, a claim of that name doesn't either.
    let plain = try caller(
      try provider.token(audience(Self.acme), ["permissions": "[\"a:b\"]"]),
      self.state([provider.trusted()])
    ).token
    #expect(plain?.permissions == nil && plain?.claims.permissions == [])
  }

  /// What was accepted ends with what let it in, and with nothing else.
  @Test func changesEndWhatTheyDoNotAllow() throws {
    let judge = judge()
    let token = try provider.token(audience(Self.acme))
    let before = state([provider.trusted()])
    let grant = try #require(try caller(token, before, judge).token)
    func ended(_ state: ControlState) throws -> String? {
      let record = try #require(state.find(Self.acme))
      let refusal = grant.refusal(in: record, at: Sample.moment)?.reason.rawValue
      // One that comes again is judged by what is set now.
      let again = reason(token, state, self.judge())
      #expect(reason(token, state, judge) == again)
      // What is refused when it comes is refused where it was accepted before.
      #expect(again == nil || refusal != nil)
      return refusal
    }
    #expect(try ended(before) == nil)
    let other = try OutsideProvider("https://other.test")
    var more = provider.trusted("corp", [other.key, provider.key])
    #expect(try ended(state([other.trusted("other"), more])) == nil)
    more.keys.removeLast()
    #expect(try ended(state([more])) == "TOKEN_KEY_UNKNOWN")
    #expect(try ended(state([])) == "TOKEN_KEY_UNKNOWN")
    let changes: [(inout ExternalIssuer) -> Void] = [
      { $0.isEnabled = false }, { $0.algorithms = ["ES256"] }, { $0.audiences = ["x"] },
      { $0.subjectPrefix = "x:" }, { $0.subjectClaim = "email" }, { $0.maximumLifeSeconds = 60 },
      { $0.requiredClaims = [ExternalIssuer.RequiredClaim(name: "a", value: "b")] },
      { $0.permissionsClaim = "scope" }, { $0.requiresBinding = true },
    ]
    for change in changes {
      var issuer = provider.trusted()
      change(&issuer)
      #expect(try ended(state([issuer])) == "TOKEN_KEY_UNKNOWN")
    }
    #expect(
      try ended(state([provider.trusted()]) { $0.authentication.acceptsExternalIssuers = false })
        == "TOKEN_KEY_UNKNOWN")
    #expect(
      try ended(state([provider.trusted()]) { $0.authentication.requiresBinding = true })
        == "TOKEN_NOT_BOUND")
    // It is there again.
    #expect(try ended(before) == nil)
  }

  @Test func anIssuerCanDemandThatTokensAreBound() throws {
    var issuer = provider.trusted()
    issuer.requiresBinding = true
    let state = state([issuer])
    #expect(reason(try provider.token(audience(Self.acme)), state) == "TOKEN_NOT_BOUND")
    let digest = Base64URL.text([UInt8](repeating: 7, count: 32)).text
    let bound = try provider.token(
      audience(Self.acme), ["cnf": "{\"x5t#S256\":\"\(digest)\"}"])
    #expect(reason(bound, state) == "TOKEN_BINDING_MISMATCH")
  }

  @Test func theHorizonEndsWhatWasIssuedByThen() throws {
    let state = state([provider.trusted()]) { $0.tokenHorizon = Sample.moment }
    for (offset, reason) in [(-10, "TOKEN_REVOKED"), (0, "TOKEN_REVOKED"), (5, "TOKEN_REVOKED")] {
      let token = try provider.token(
        audience(Self.acme), ["iat": "\(Sample.moment.seconds + Int64(offset))"])
      #expect(self.reason(token, state) == reason)
    }
    let earlier = self.state([provider.trusted()]) {
      $0.tokenHorizon = Sample.moment + Duration.seconds(-6)
    }
    #expect(reason(try provider.token(audience(Self.acme)), earlier) == nil)
  }

  @Test func revocationsByNameAndBySubject() throws {
    let named = try provider.token(audience(Self.acme), ["jti": "\"x\""])
    let nameless = try provider.token(audience(Self.acme))
    let odd = try provider.token(
      audience(Self.acme), ["jti": "\"\(String(repeating: "a", count: 300))\""])
    let state = state([provider.trusted()])
    let record = try #require(state.find(Self.acme))
    let judgement = TokenJudgement(terms)
    for token in [named, nameless, odd] {
      let grant = try #require(try caller(token, state).token)
      #expect(Revocation.isTokenID(grant.tokenID))
      #expect(judgement.tokenID(token, of: record, state) == grant.tokenID)
      for target in [Revocation.Target.token(grant.tokenID), .subject("corp:al"), .tenant] {
        var revoked = state
        revoked.apply(
          [
            .putRevocation(
              Self.acme,
              Revocation(
                target: target, before: Sample.moment,
                expireTime: Sample.moment + Duration.seconds(900)))
          ], revision: 2)
        #expect(reason(token, revoked) == "TOKEN_REVOKED")
      }
    }
    #expect(try caller(named, state).token?.tokenID == "corp/x")
    // A token that others sign, or that is another tenant's, has no name here.
    let forged = try OutsideProvider(provider.url).token(audience(Self.acme))
    #expect(judgement.tokenID(forged, of: record, state) == nil)
    let globex = try #require(state.find(Self.globex))
    #expect(judgement.tokenID(named, of: globex, state) == nil)
  }

  // MARK: Issuers for all tenants

  private func platform(
    _ naming: PlatformIssuer.Naming, _ key: JWK? = nil
  ) -> PlatformIssuers {
    PlatformIssuers([
      PlatformIssuer(provider.trusted("all", key.map { [$0] }), naming: naming)
    ])
  }

  @Test mutating func issuersForAllNameTheTenantByAClaim() throws {
    terms.outside = platform(.claim("org", names: [:]))
    let state = state()
    for (org, tenant) in [("acme", Self.acme), ("\(Self.globex)", Self.globex)] {
      let found = try caller(try provider.token("aud", ["org": "\"\(org)\""]), state)
      #expect(found.token?.tenant == tenant && found.subject == "all:al")
    }
    for org in ["\"nobody\"", "\"ACME\"", "\"\"", "7", "[\"acme\"]", "null"] {
      #expect(reason(try provider.token("aud", ["org": org]), state) == "TOKEN_KEY_UNKNOWN")
    }
    let wrong = try provider.token(audience(Self.acme), ["org": "\"acme\""])
    #expect(reason(wrong, state) == "TOKEN_AUDIENCE_MISMATCH")
    terms.outside = platform(.claim("org", names: ["K-1": "acme"]))
    #expect(
      try caller(try provider.token("aud", ["org": "\"K-1\""]), state).token?.tenant == Self.acme)
    for org in ["\"acme\"", "\"\u{212A}-1\"", "\"k-1\""] {
      #expect(reason(try provider.token("aud", ["org": org]), state) == "TOKEN_KEY_UNKNOWN")
    }
    terms.outside = platform(.tenant("globex"))
    let token = try provider.token("aud", ["org": "\"acme\""])
    #expect(try caller(token, state).token?.tenant == Self.globex)
  }

  /// A tenant that says it is the issuer gets nothing of it, whoever was first.
  @Test mutating func issuersForAllAreNoTenants() throws {
    let thief = try OutsideProvider(provider.url)
    var claimed = thief.trusted("mine")
    claimed.audiences = ["aud"]
    terms.outside = platform(.claim("org", names: [:]))
    let state = state([claimed])
    let judge = judge()
    let token = try provider.token("aud", ["org": "\"acme\""])
    #expect(try caller(token, state, judge).subject == "all:al")
    for forged in [
      try thief.token("aud", ["org": "\"acme\""]), try thief.token(audience(Self.acme)),
      try thief.token("aud", ["org": "\"globex\""]),
    ] {
      let reason = reason(forged, state, judge)
      #expect(reason == "TOKEN_KEY_UNKNOWN")
    }
    // Nor is a subject of a tenant's issuer one of theirs.
    let other = try OutsideProvider("https://other.test")
    var alike = other.trusted("al")
    alike.subjectPrefix = "al"
    let posing = try other.token(audience(Self.acme), ["sub": "\"l:boss\""])
    #expect(self.reason(posing, self.state([alike])) == "TOKEN_CLAIMS_INVALID")
  }

  @Test mutating func tenantsCanRefuseThemAndKeysCanBeReplaced() throws {
    let issuers = platform(.tenant("acme"))
    terms.outside = issuers
    let judge = judge()
    let token = try provider.token("aud")
    #expect(reason(token, state(), judge) == nil)
    let refusing = state([]) { $0.authentication.acceptsPlatformIssuers = false }
    #expect(reason(token, refusing, judge) == "TOKEN_KEY_UNKNOWN")
    let next = try OutsideProvider(provider.url)
    issuers.replaceKeys(["all": [ExternalKey(next.key)], "other": []])
    #expect(reason(token, state(), judge) == "TOKEN_KEY_UNKNOWN")
    #expect(reason(try next.token("aud"), state(), judge) == nil)
    issuers.replaceKeys(["all": [ExternalKey(next.key), ExternalKey(provider.key)]])
    #expect(reason(token, state(), judge) == nil)
  }
}
