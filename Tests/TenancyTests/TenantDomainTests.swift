import TenancyTestSupport
import Testing

@testable import Tenancy

/// Domains of tenants: which can be one, who has which, and when that changes.
struct TenantDomainTests {
  private let test: TestPlane
  private let commands: TenantDomainCommands
  private let acme = Sample.tenant(1, slug: "acme")
  private let beta = Sample.tenant(2, slug: "beta")

  init() async throws {
    test = try TestPlane()
    commands = TenantDomainCommands(
      test.plane, actor: "alice", judge: .server, baseDomains: ["apps.example.org"])
    try await test.put(acme)
    try await test.put(beta)
  }

  private var domains: TenantDomainSet { test.plane.state.domains }

  private func name(_ text: String) throws -> DomainName {
    try #require(DomainName(parsing: text))
  }

  @discardableResult
  private func own(
    _ text: String, _ tenant: Tenant, by method: DomainProofMethod = .dns
  ) async throws(TenancyError) -> TenantDomain {
    try await commands.prove(try await commands.claim(text, for: tenant.id), by: method)
  }

  private func resolve(_ host: String) -> TenantID? {
    var rules = ResolutionRules()
    rules.baseDomains = ["apps.example.org"]
    return Resolver(rules).answer(Selectors(host: host), in: test.plane.state).tenant
  }

  // MARK: Names

  @Test(arguments: [
    "", ".", "com", "localhost", "a.localhost", ".a.com", "a.com.", "a..com", "*.a.com", "a b.com",
    "a_b.com", "-a.com", "a-.com", "ä.com", "\u{212A}.com", "127.0.0.1", "a.1", "1.2.3", "a.0x7f",
    "0x7f.0x", "[::1]", "::1", "a.com:80", "a.com/x", "a.com\u{0}", "http://a.com",
    String(repeating: "a", count: 64) + ".com",
    String(repeating: "a.", count: 126) + "ab",
    "apps.example.org", "x.apps.example.org", "a.b.apps.example.org", "example.org",
    "APPS.example.ORG",
  ])
  func whatNoTenantCanHaveIsRefused(_ text: String) async {
    let error = await refusal { () async throws(TenancyError) in
      try await commands.claim(text, for: acme.id)
    }
    #expect(error?.category == .invalidArgument && error?.violations.map(\.field) == ["domain"])
    #expect(domains.count(of: acme.id) == 0)
  }

  @Test(arguments: [
    ("a.b", "a.b"), ("Shop.EXAMPLE.com", "shop.example.com"), ("xn--bcher-kva.example", nil),
    ("1.a", nil), ("0x7f.a", nil), ("a--b.c-d", nil), ("myapps.example.org", nil),
    (String(repeating: "a.", count: 126) + "b", nil), ("a.localhosts", nil), ("a.0xg", nil),
  ])
  func whatOneCanHaveIsTaken(_ text: String, _ canonical: String?) async throws {
    let claim = try await commands.claim(text, for: acme.id)
    #expect(claim.name.text == canonical ?? text && !claim.isVerified)
    #expect(claim.expireTime == test.clock.now + Days(7) && claim.challenge.isSound)
    #expect(resolve(text) == nil)
  }

  // MARK: Claims

  @Test func aClaimThatStandsStaysAndNamesNobody() async throws {
    let claim = try await commands.claim("a.net", for: acme.id)
    #expect(try await commands.claim("A.net", for: acme.id) == claim)
    let last = test.store.log.last
    #expect(last?.action == "domains.claim" && last?.actor == "alice")
    #expect(last?.tenants == [acme.id] && last?.changes == [.putDomain(claim)])
    #expect(domains.holder(of: claim.name) == nil && resolve("a.net") == nil)
  }

  @Test func challengesAreOfOneClaimEach() async throws {
    let mine = try await commands.claim("a.net", for: acme.id)
    let others = [
      try await commands.claim("a.net", for: beta.id),
      try await commands.claim("b.net", for: acme.id),
    ]
    try await commands.release(mine.name, of: acme.id)
    let again = try await commands.claim("a.net", for: acme.id)
    let all = [mine, again] + others
    #expect(Set(all.flatMap { [$0.challenge.token, $0.challenge.proof] }).count == 8)
    // What stands in the document's address is not what has to be in it.
    #expect(all.allSatisfy { !$0.challenge.path.contains($0.challenge.proof) })
  }

  @Test func aClaimIsOverAfterItsTime() async throws {
    let claim = try await commands.claim("a.net", for: acme.id)
    test.clock.advance(seconds: 7 * 86_400 - 1)
    #expect(try await commands.claim("a.net", for: acme.id) == claim)
    test.clock.advance(seconds: 1)
    let late = await refusal { () async throws(TenancyError) in
      try await commands.prove(claim, by: .dns)
    }
    #expect(late?.reason == .domainNotFound)
    let again = try await commands.claim("a.net", for: acme.id)
    #expect(again.challenge != claim.challenge && domains.count(of: acme.id) == 1)
  }

  @Test func aTenantHasSoManyAndNoMore() async throws {
    for number in 0..<TenantDomainCommands.maximumPerTenant {
      _ = try await commands.claim("d\(number).net", for: acme.id)
    }
    _ = try await commands.claim("d0.net", for: acme.id)
    let error = await refusal { () async throws(TenancyError) in
      _ = try await commands.claim("more.net", for: acme.id)
    }
    #expect(error?.reason == .limitReached && error?.metadata["quota"] == "domains")
    _ = try await commands.claim("more.net", for: beta.id)
    // Those that are over make room, and go with the next.
    test.clock.advance(seconds: 7 * 86_400)
    _ = try await commands.claim("more.net", for: acme.id)
    #expect(domains.count(of: acme.id) == 1)
  }

  // MARK: Whose it is

  @Test func aDomainIsTheTenantsOnceItIsProven() async throws {
    let domain = try await own("shop.acme.net", acme, by: .http)
    #expect(domain.verification == .init(time: test.clock.now, method: .http))
    for host in ["shop.acme.net", "SHOP.acme.NET.", "shop.acme.net:8443", "shop.acme.net.:1"] {
      #expect(resolve(host) == acme.id, "\(host)")
    }
    for host in ["acme.net", "www.shop.acme.net", "shopacme.net", "shop.acme.net.org"] {
      #expect(resolve(host) == nil, "\(host)")
    }
    #expect(try await commands.claim("shop.acme.net", for: acme.id) == domain)
    #expect(try await commands.prove(domain, by: .dns) == domain)
  }

  @Test func itMovesWithProofAlone() async throws {
    try await own("a.net", acme)
    let claim = try await commands.claim("a.net", for: beta.id)
    #expect(resolve("a.net") == acme.id && !claim.isVerified)
    let moved = try await commands.prove(claim, by: .dns)
    #expect(resolve("a.net") == beta.id && domains.find(claim.name, of: acme.id) == nil)
    let last = test.store.log.last
    #expect(last?.changes == [.deleteDomain(acme.id, name: "a.net"), .putDomain(moved)])
    // Both trails tell of it.
    #expect(last?.tenants == [acme.id, beta.id])
    // And back, with a proof of its own.
    let back = try await own("a.net", acme)
    #expect(resolve("a.net") == acme.id && back.challenge != moved.challenge)
    #expect(domains.count(of: beta.id) == 0)
  }

  @Test func whatWasFoundIsJudgedOnTheClaimAsItIsByThen() async throws {
    let first = try await commands.claim("a.net", for: acme.id)
    try await commands.release(first.name, of: acme.id)
    func error() async -> TenancyError.Reason? {
      await refusal { () async throws(TenancyError) in
        try await commands.prove(first, by: .dns)
      }?.reason
    }
    #expect(await error() == .domainNotFound)
    _ = try await commands.claim("a.net", for: acme.id)
    #expect(await error() == .domainClaimChanged)
    let second = try await commands.claim("b.net", for: acme.id)
    var deleted = acme
    deleted.state = .deleted
    try await test.put(deleted)
    let late = await refusal { () async throws(TenancyError) in
      try await commands.prove(second, by: .dns)
    }
    #expect(late?.reason == .tenantNotFound && domains.holder(of: second.name) == nil)
    let claim = await refusal { () async throws(TenancyError) in
      try await commands.claim("c.net", for: acme.id)
    }
    #expect(claim?.reason == .tenantNotFound)
  }

  @Test func aDeletedTenantsIsServedNoMore() async throws {
    try await own("a.net", acme)
    var deleted = acme
    deleted.state = .deleted
    try await test.put(deleted)
    #expect(resolve("a.net") == nil)
    // Whoever controls it by now need not wait for the purge.
    try await own("a.net", beta)
    #expect(resolve("a.net") == beta.id)
    try await own("b.net", beta)
    let dropped = TenantDomainCommands.dropAll(of: beta.id, test.plane.state)
    #expect(dropped == ["a.net", "b.net"].map { .deleteDomain(beta.id, name: $0) })
  }

  @Test func aReleasedOneIsNobodys() async throws {
    let domain = try await own("a.net", acme)
    for tenant in [beta.id, acme.id] {
      let isRefused =
        await refusal { () async throws(TenancyError) in
          try await commands.release(domain.name, of: tenant)
        } != nil
      #expect(isRefused == (tenant == beta.id))
    }
    #expect(resolve("a.net") == nil && domains.hasNoneVerified)
  }

  @Test func whatBecomesABaseDomainIsNobodysHost() async throws {
    for text in ["late.net", "shop.late.net"] { try await own(text, acme) }
    var rules = ResolutionRules()
    rules.baseDomains = ["late.net"]
    let resolver = Resolver(rules)
    for (host, reason) in [
      ("late.net", TenancyError.Reason.tenantUnresolved), ("shop.late.net", .tenantNotFound),
    ] {
      let answer = resolver.answer(Selectors(host: host), in: test.plane.state)
      #expect(answer.reason == reason, "\(host)")
    }
  }

  @Test func aChangeCostsTheSameAmongMany() {
    func cost(among count: UInt64) -> Int {
      var state = ControlState()
      func put(_ number: UInt64) -> Change {
        .putDomain(
          Sample.domain("d\(number).net", of: Sample.id(number % 1000), isVerified: true))
      }
      state.apply((1...count).map(put), revision: 1)
      var after = state
      after.apply([put(count + 1)], revision: 2)
      return after.unsharedNodes(with: state)
    }
    #expect(cost(among: 20_000) <= cost(among: 200) + 8)
  }
}
