import TenancyTestSupport
import Testing

@testable import Tenancy

/// Every combination of what sources can say, against the oracle; and that no selector widens access.
struct ResolutionProductTests {
  private typealias Said = ResolutionOracle.Said
  private typealias Outcome = ResolutionOracle.Outcome

  private static let a = Sample.tenant(1, slug: "acme")
  private static let b = Sample.tenant(2, slug: "beta")
  private static let idle = Sample.tenant(3, slug: "idle", state: .suspended)
  private static let gone = Sample.tenant(4, slug: "gone", state: .deleted)
  private static let state: ControlState = {
    var state = Sample.state([a, b, idle, gone])
    let domains = [a, b, idle, gone].map {
      Change.putDomain(Sample.domain("shop.\($0.slug).net", of: $0.id, isVerified: true))
    }
    // What is only claimed names nobody.
    let claim = Change.putDomain(Sample.domain("nobody.net", of: a.id, isVerified: false))
    state.apply(domains + [claim], revision: 2)
    return state
  }()

  private static func tenant(_ said: Said) -> Tenant? {
    switch said {
    case .a: a
    case .b: b
    case .suspended: idle
    case .deleted: gone
    case .absent, .malformed, .unknown: nil
    }
  }

  private static func said(_ id: TenantID) -> Said {
    Said.allCases.first { tenant($0)?.id == id } ?? .absent
  }

  /// By slug or by id, in either case: all are the same name.
  private static func name(_ said: Said, byID: Bool = false, upper: Bool = false) -> String {
    let unknown = byID ? Sample.id(99).description : Sample.id(99).description.uppercased()
    let text = tenant(said).map { byID ? $0.id.description : $0.slug.text } ?? unknown
    return upper ? text.uppercased() : text
  }

  /// One combination: a digit for each source.
  private struct Case {
    static let sources = 6
    static let count = 117_649  // 7 to the power of 6.
    let number: Int

    func digit(_ place: Int) -> Said {
      var rest = number
      for _ in 0..<place { rest /= 7 }
      return Said.allCases[rest % 7]
    }

    static func without(_ place: Int, _ number: Int) -> Int {
      var power = 1
      for _ in 0..<place { power *= 7 }
      return number - (number / power % 7) * power
    }

    static let places: [ResolutionOracle.Source] = [
      .token, .selector(.path), .selector(.subdomain), .selector(.header), .selector(.query),
      .selector(.environment),
    ]
  }

  private static let tokens = Said.allCases.map { said in
    said == .malformed ? "a,b" : name(said, byID: true)
  }
  private static let hosts = Said.allCases.map { said in
    said == .malformed ? "a.b.example.com" : name(said, byID: true, upper: true) + ".example.com:1"
  }
  /// The same where tenants have domains of their own: one that is nobody's says nothing.
  private static let domains = Said.allCases.map { said in
    if said == .malformed { return "shop..net" }
    return said == .unknown ? "nobody.net" : "Shop.\(name(said)).NET.:443"
  }
  private static let headers = Said.allCases.map { said in
    said == .malformed ? "acme,beta" : name(said, upper: true)
  }
  private static let environments = Said.allCases.map { said in
    said == .malformed ? "" : name(said)
  }
  /// By the path's and the query's digits.
  private static let paths = Said.allCases.map { path in
    Said.allCases.map { query in
      let front =
        path == .absent
        ? "/health" : path == .malformed ? "/tenants/a%63me" : "/tenants/\(name(path))/x"
      if query == .absent { return path == .absent ? "" : front + "?page=2" }
      return front + "?page=2&tenant=" + (query == .malformed ? "a%63me" : name(query, byID: true))
    }
  }

  private static func rules(_ order: [ResolutionStrategy]) -> ResolutionRules {
    var rules = ResolutionRules()
    rules.baseDomains = ["example.com"]
    rules.queryParameter = "tenant"
    rules.order = order
    return rules
  }

  private static func outcome(
    _ one: Case, _ resolver: Resolver, _ home: TenantRecord?, _ state: ControlState,
    byDomain: Bool = false
  ) -> (Outcome, ResolutionStrategy?) {
    lend(one, byDomain: byDomain) { selectors, token in
      do throws(TenancyError) {
        let found = try resolver.resolve(
          selectors, token: token, state: state, home: home, now: Sample.moment, mayFallBack: true)
        return (.tenant(said(found.record.tenant.id)), found.strategy)
      } catch {
        return (.refused(error.reason), nil)
      }
    }
  }

  private static func lend<Result>(
    _ one: Case, byDomain: Bool = false,
    _ body: (borrowing RequestSelectors, RawSpan?) -> Result
  ) -> Result {
    let path = paths[one.digit(1).rawValue][one.digit(4).rawValue]
    let host = (byDomain ? domains : hosts)[one.digit(2).rawValue]
    let header = headers[one.digit(3).rawValue]
    let environment = environments[one.digit(5).rawValue]
    var selectors = RequestSelectors()
    selectors.takePath(path.utf8Span.span.bytes)
    if one.digit(2) != .absent { selectors.takeHost(host.utf8Span.span.bytes) }
    if one.digit(3) != .absent { selectors.takeHeader(header.utf8Span.span.bytes) }
    if one.digit(5) != .absent { selectors.takeEnvironment(environment.utf8Span.span.bytes) }
    let token = tokens[one.digit(0).rawValue]
    return body(selectors, one.digit(0) == .absent ? nil : token.utf8Span.span.bytes)
  }

  /// What a source says.
  private static func said(_ one: Case, _ place: Int, byDomain: Bool) -> Said {
    let said = one.digit(place)
    return byDomain && place == 2 && said == .unknown ? .absent : said
  }

  private static func expected(_ one: Case, _ home: Bool, byDomain: Bool = false) -> Outcome {
    var facts: [ResolutionOracle.Source: Said] = home ? [.certificate: .a] : [:]
    for (place, source) in Case.places.enumerated() {
      facts[source] = said(one, place, byDomain: byDomain)
    }
    return ResolutionOracle.outcome(facts)
  }

  /// The source that decides, if the outcome is a tenant.
  private static func deciding(
    _ one: Case, _ order: [ResolutionStrategy], byDomain: Bool
  ) -> ResolutionStrategy {
    order.first { strategy in
      Case.places.firstIndex(of: .selector(strategy)).map {
        said(one, $0, byDomain: byDomain) != .absent
      } ?? false
    } ?? (one.digit(0) == .absent ? .credential : .token)
  }

  private static let orders: [[ResolutionStrategy]] = [
    ResolutionStrategy.selectors, ResolutionStrategy.selectors.reversed(),
  ]

  @Test(arguments: [false, true], [0, 1, 2])
  func everyCombinationIsAsTheRulesSay(hasHome: Bool, order: Int) async {
    let byDomain = order == 2
    let resolver = Resolver(Self.rules(Self.orders[order % 2]))
    let state = Self.state
    let home = hasHome ? state.find(Self.a.id) : nil
    var table: [Outcome] = []
    table.reserveCapacity(Case.count)
    var differences = 0
    for number in 0..<Case.count {
      // Tests beside this one have deadlines.
      if number.isMultiple(of: 256) { await Task.yield() }
      let one = Case(number: number)
      let (found, strategy) = Self.outcome(one, resolver, home, state, byDomain: byDomain)
      table.append(found)
      let expected = Self.expected(one, hasHome, byDomain: byDomain)
      if found != expected {
        differences += 1
        if differences < 5 {
          let said = (0..<Case.sources).map(one.digit)
          Issue.record("\(said) of \(Case.places): \(found), not \(expected)")
        }
      } else if let strategy,
        strategy != Self.deciding(one, resolver.rules.order, byDomain: byDomain)
      {
        Issue.record("\(number): \(strategy) decided")
      }
    }
    #expect(differences == 0)
    Self.checkThatNothingWidens(table)
    #expect(Set(table).count == (hasHome ? 7 : 10), "not every rule answered")
  }

  /// With one selector more a request reaches what it reached without it, or a tenant where none was named, or nothing.
  private static func checkThatNothingWidens(_ table: [Outcome]) {
    for number in table.indices {
      guard case .tenant(let reached) = table[number] else { continue }
      for place in 1..<Case.sources where Case(number: number).digit(place) != .absent {
        let without = table[Case.without(place, number)]
        #expect(without == .tenant(reached) || without == .refused(.tenantUnresolved))
      }
    }
  }

  /// Where the first one counts, a caller still reaches its own tenant and no other, and what is malformed or
  /// contradicts credentials is refused as ever.
  @Test(arguments: [false, true])
  func priorityReachesNoFurther(hasHome: Bool) async {
    var rules = Self.rules(Self.orders[0])
    rules.mode = .priority
    let resolver = Resolver(rules)
    let state = Self.state
    let home = hasHome ? state.find(Self.a.id) : nil
    for number in 0..<Case.count {
      // Tests beside this one have deadlines.
      if number.isMultiple(of: 256) { await Task.yield() }
      let one = Case(number: number)
      let (found, _) = Self.outcome(one, resolver, home, state)
      var facts: [ResolutionOracle.Source: Said] = hasHome ? [.certificate: .a] : [:]
      facts[.token] = one.digit(0)
      let selectors = Self.orders[0].compactMap { strategy in
        Case.places.firstIndex(of: .selector(strategy)).map { (strategy, one.digit($0)) }
      }
      // The first, unless one is malformed.
      let counting =
        selectors.first { $0.1 == .malformed } ?? selectors.first { $0.1 != .absent }
      if let counting { facts[.selector(counting.0)] = counting.1 }
      #expect(found == ResolutionOracle.outcome(facts))
    }
  }

  /// Of some combinations: the account has the same verdict, says of every source what it said, and of no tenant but
  /// the caller's more than that its name is another one.
  @Test(arguments: [false, true], [false, true])
  func theAccountSaysWhatEachSourceSaid(hasHome: Bool, byDomain: Bool) {
    let resolver = Resolver(Self.rules(Self.orders[0]))
    let state = Self.state
    let home = hasHome ? state.find(Self.a.id) : nil
    for number in stride(from: 0, to: Case.count, by: 61) {
      let one = Case(number: number)
      let account = Self.lend(one, byDomain: byDomain) { selectors, token in
        resolver.explain(
          selectors, token: token, state: state, home: home, now: Sample.moment, mayFallBack: true)
      }
      let outcome: Outcome =
        switch account.outcome {
        case .success(let found): .tenant(Self.said(found.record.tenant.id))
        case .failure(let error): .refused(error.reason)
        }
      #expect(outcome == Self.expected(one, hasHome, byDomain: byDomain))
      let own: Said? = hasHome ? .a : one.digit(0) == .absent ? nil : one.digit(0)
      for finding in account.findings {
        if finding.strategy == .credential { continue }
        let source: ResolutionOracle.Source =
          finding.strategy == .token ? .token : .selector(finding.strategy)
        guard let place = Case.places.firstIndex(of: source) else { continue }
        let said = one.digit(place)
        let isNobodys = byDomain && place == 2 && said == .unknown
        #expect(
          finding.statement == (isNobodys ? .noMatch : Self.statement(said, source, own, one)),
          "\(number) \(finding)")
        let isForeign = finding.statement == .namedOther
        if isForeign, let tenant = Self.tenant(said) {
          // What the request said, and nothing that it did not.
          let names = [tenant.slug.text, tenant.id.description, "shop.\(tenant.slug).net"]
          #expect(names.contains(finding.value))
        }
      }
    }
  }

  private static func statement(
    _ said: Said, _ source: ResolutionOracle.Source, _ own: Said?, _ one: Case
  ) -> SourceStatement {
    let hasPath = one.digit(1) != .absent || one.digit(4) != .absent
    // Path and query are one text, and if its path is malformed no part of it is looked at.
    if source == .selector(.query), one.digit(1) == .malformed { return .malformed }
    switch said {
    case .absent: return source == .selector(.path) && hasPath ? .noMatch : .notGiven
    case .malformed: return source == .token ? .namedOther : .malformed
    case .unknown: return .namedOther
    case .a, .b, .suspended: return own == nil || own == said ? .named : .namedOther
    // A deleted tenant is nobody's identity.
    case .deleted: return own == nil ? .named : .namedOther
    }
  }
}
