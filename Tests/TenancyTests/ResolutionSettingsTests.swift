import TenancyTestSupport
import Testing

@testable import Tenancy

/// What can be configured: patterns, excluded paths, ignored names, queries, repeats.
struct ResolutionSettingsTests {
  private static let acme = Sample.tenant(1, slug: "acme")
  private static let www = Sample.tenant(2, slug: "www")
  private static let state = Sample.state([acme, www])

  /// What a reading names, or the reading; "malformed" for what is refused.
  private static func told(
    _ text: String, _ read: (RawSpan) throws(TenancyError) -> SelectorReading
  ) -> String {
    do throws(TenancyError) {
      switch try read(text.utf8Span.span.bytes) {
      case .name(let range): return String(decoding: Array(text.utf8)[range], as: UTF8.self)
      case .domain(let range):
        return "domain " + String(decoding: Array(text.utf8)[range], as: UTF8.self)
      case .contradictory: return "contradictory"
      case .notGiven: return "not given"
      case .noMatch: return "no match"
      case .excluded: return "excluded"
      case .ignored: return "ignored"
      }
    } catch {
      #expect(error.reason == .malformedSelector)
      return "malformed"
    }
  }

  @Test(arguments: [
    ("/tenants/{tenantId}", "/tenants/acme", "acme"),
    ("/tenants/{tenantId}", "/tenants/", "malformed"),
    ("/tenants/{tenantId}", "/tenants", "no match"),
    ("/{tenantId}", "/acme/x", "acme"), ("/{tenantId}", "/", "malformed"),
    ("/{tenantId}/items", "/acme/items/7", "acme"), ("/{tenantId}/items", "/acme/items?x", "acme"),
    ("/{tenantId}/items", "/acme/itemsx", "no match"), ("/{tenantId}/items", "/acme/", "no match"),
    ("/{tenantId}/items", "/acme", "no match"), ("/{tenantId}/items", "/a_b/items", "malformed"),
    ("/{tenantId}/items", "/a_b/other", "no match"),
    ("/{tenantId}/items", "/acme#/items", "no match"),
    ("/api/*/orgs/{tenantId}/x", "/api/v1/orgs/acme/x/y", "acme"),
    ("/api/*/orgs/{tenantId}/x", "/api/orgs/acme/x", "no match"),
    ("/api/*/orgs/{tenantId}/x", "/api/v1/Orgs/acme/x", "no match"),
    ("/*/{tenantId}", "/a.b/acme", "acme"), ("/*/{tenantId}", "/x/", "malformed"),
    ("/{tenantId}/*", "/acme/", "no match"), ("/{tenantId}/*", "/acme/x", "acme"),
    ("/{tenantId}/*/*", "/acme/x?/y", "no match"),
    ("/api/*/orgs/{tenantId}/x", "/api//orgs/acme/x", "malformed"),
  ])
  func aPatternMatchesSegments(_ pattern: String, _ path: String, _ expected: String) throws {
    let pattern = try #require(PathPattern(parsing: pattern))
    let told = Self.told(path) { bytes throws(TenancyError) in
      try SelectorParsing.path(bytes, patterns: [pattern])
    }
    #expect(told == expected)
  }

  @Test(arguments: [
    "", "tenants/{tenantId}", "/", "/tenants", "/*", "/{tenantId}/{tenantId}", "/x{tenantId}",
    "/{tenantID}", "/{tenantId}/", "//{tenantId}", "/a//{tenantId}", "/./{tenantId}",
    "/../{tenantId}", "/a%20/{tenantId}", "/a*/{tenantId}", "/a b/{tenantId}", "/a?/{tenantId}",
    "/a;b/{tenantId}", "/ä/{tenantId}", "/\(String(repeating: "a", count: 1024))/{tenantId}",
  ])
  func whatNoPathCanMatchIsNoPattern(_ text: String) {
    #expect(PathPattern(parsing: text) == nil)
  }

  @Test func theFirstPatternThatMatchesSays() {
    let patterns = ["/v1/{tenantId}", "/{tenantId}"].compactMap(PathPattern.init)
    for (path, name) in [("/v1/acme", "acme"), ("/acme/v1", "acme"), ("/v1", "v1")] {
      let told = Self.told(path) { bytes throws(TenancyError) in
        try SelectorParsing.path(bytes, patterns: patterns)
      }
      #expect(told == name)
    }
  }

  @Test(arguments: [
    ("/x", "not given"), ("/x?", "not given"), ("/x?page=2", "not given"),
    ("/x?tenant=acme", "acme"), ("/x?a=b&tenant=acme&c", "acme"), ("/x?tenant=acme#y", "acme"),
    ("/x#?tenant=acme", "not given"), ("/x?a#&tenant=acme", "not given"),
    ("/x?Tenant=acme", "not given"), ("/x?tenants=acme", "not given"),
    ("/x?tenan=acme", "not given"),
    ("/x?a=tenant=acme", "not given"), ("/x?a?tenant=acme", "not given"),
    ("/x?q=%41%20+;y", "not given"), ("/x?tenant=acme&tenant=ACME", "acme"),
    ("/x?tenant=acme&tenant=beta", "contradictory"), ("/x?tenant=acme&tenant=", "malformed"),
    ("/x?tenant", "malformed"), ("/x?tenant=", "malformed"), ("/x?tenant=ac%6de", "malformed"),
    ("/x?tenant=a+b", "malformed"), ("/x?tenant=a,b", "malformed"),
    ("/x?%74enant=acme", "malformed"), ("/x?tenan%74=acme", "malformed"),
    ("/x?%2574enant=acme", "not given"), ("/x?tenan%7=acme", "not given"),
    ("/x?a;tenant=acme", "malformed"), ("/x?tenant=acme;a", "malformed"),
    ("/x?tenant[]=acme", "not given"), ("/x/../y?tenant=acme", "malformed"),
    ("x?tenant=acme", "malformed"), ("/health?tenant=acme", "excluded"),
    ("/health/a?tenant=%", "excluded"), ("/healthy?tenant=acme", "acme"),
  ])
  func aQueryNamesByItsParameter(_ path: String, _ expected: String) {
    let told = Self.told(path) { bytes throws(TenancyError) in
      try SelectorParsing.query(bytes, parameter: "tenant", excluding: ["/health"])
    }
    #expect(told == expected)
  }

  private static func resolver(_ change: (inout ResolutionRules) -> Void) -> Resolver {
    var rules = ResolutionRules()
    rules.baseDomains = ["example.com"]
    change(&rules)
    return Resolver(rules)
  }

  @Test func anExcludedPathSaysNothingOnBordersOfSegments() throws {
    let resolver = Self.resolver { $0.excludedPaths = ["/tenants/acme/public"] }
    for path in ["/tenants/acme/public", "/tenants/acme/public/x", "/tenants/acme/public?x"] {
      let answer = resolver.answer(Selectors(path: path), in: Self.state)
      #expect(answer.reason == .tenantUnresolved)
      // What is unclear may be any path.
      let unclear = resolver.answer(Selectors(path: path + "/../x"), in: Self.state)
      #expect(unclear.reason == (path.contains("?") ? .tenantUnresolved : .malformedSelector))
    }
    let beside = resolver.answer(Selectors(path: "/tenants/acme/publicity"), in: Self.state)
    #expect(beside.tenant == Self.acme.id)
    let other = try resolver.resolve(
      Selectors(path: "/tenants/acme/public", header: "www"), in: Self.state)
    #expect(other.said.statement(of: .path) == .excluded)
    #expect(other.said.statement(of: .header) == .named)
    #expect(other.said.statement(of: .subdomain) == nil)
  }

  @Test func anIgnoredNameSaysNothingButInTheEnvironment() throws {
    let resolver = Self.resolver {
      $0.ignoredNames = ["www", "api"]
      $0.queryParameter = "tenant"
      $0.order.append(.query)
    }
    let found = try resolver.resolve(
      Selectors(path: "/tenants/api?tenant=API", host: "WWW.example.com", header: "acme"),
      in: Self.state)
    #expect(found.record.tenant == Self.acme)
    for strategy in [ResolutionStrategy.path, .subdomain, .query] {
      #expect(found.said.statement(of: strategy) == .ignored)
    }
    #expect(
      resolver.answer(Selectors(header: "www"), in: Self.state).reason == .tenantUnresolved)
    #expect(resolver.answer(Selectors(environment: "www"), in: Self.state).tenant == Self.www.id)
  }

  @Test(
    arguments: [
      ([], nil, nil), (["acme"], nil, nil), (["acme", "ACME"], nil, nil),
      (["acme", "www"], .tenantAmbiguous, .environmentPinConflict),
      (["www", "acme"], .tenantAmbiguous, .environmentPinConflict),
      (["acme", "a,b"], .malformedSelector, .malformedSelector),
      (["a,b", "acme"], .malformedSelector, .malformedSelector),
      (["www", "acme", "a b"], .malformedSelector, .malformedSelector),
    ] as [([String], TenancyError.Reason?, TenancyError.Reason?)])
  func repeatsOfAHeaderMustSayTheSame(
    _ values: [String], _ alone: TenancyError.Reason?, _ pinned: TenancyError.Reason?
  ) {
    for (environment, reason) in [(nil, alone), ("acme", pinned)] {
      for home in [nil, Self.acme] {
        let answer = Answer { () throws(TenancyError) in
          try Self.resolve(values, environment, home: home)
        }
        let isNothing = values.isEmpty && environment == nil && home == nil
        #expect(answer.reason == (isNothing ? .tenantUnresolved : reason), "\(values)")
      }
    }
  }

  private static func resolve(
    _ values: [String], _ environment: String?, home: Tenant?
  ) throws(TenancyError) -> Resolution {
    let (first, second, third) = (
      values.first ?? "", values.dropFirst().first ?? "", values.dropFirst(2).first ?? ""
    )
    let variable = environment ?? ""
    var selectors = RequestSelectors()
    if !values.isEmpty { selectors.takeHeader(first.utf8Span.span.bytes) }
    if values.count > 1 { selectors.takeHeader(second.utf8Span.span.bytes) }
    if values.count > 2 { selectors.takeHeader(third.utf8Span.span.bytes) }
    if environment != nil { selectors.takeEnvironment(variable.utf8Span.span.bytes) }
    let state = state
    return try Resolver(ResolutionRules()).resolve(
      selectors, state: state, home: home.flatMap { state.find($0.id) }, now: Sample.moment,
      mayFallBack: true)
  }

  @Test func severalHeadersMayNameTheTenant() {
    var rules = ResolutionRules()
    rules.headerNames = ["x-tenant-id", "x-org"]
    for (name, isOne) in [("X-Org", true), ("x-tenant-id", true), ("x-or", false), ("", false)] {
      #expect(Resolver(rules).isTenantHeader(name.utf8Span.span.bytes) == isOne)
    }
  }

  /// The order in which sources are trusted is not the order in which they are judged.
  @Test func whatIsMalformedAnswersBeforeAnyDisagreement() {
    let resolver = Self.resolver { $0.order = [.path, .header, .subdomain, .environment] }
    let answer = resolver.answer(
      Selectors(path: "/tenants/acme", host: "a.b.example.com", header: "www"), in: Self.state)
    #expect(answer.reason == .malformedSelector)
    let pinned = resolver.answer(
      Selectors(path: "/tenants/acme", header: "www", environment: "acme"), in: Self.state)
    #expect(pinned.reason == .environmentPinConflict)
  }
}
