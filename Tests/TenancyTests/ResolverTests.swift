import TenancyTestSupport
import Testing

@testable import Tenancy

struct ResolverTests {
  private static let acme = Sample.tenant(1, slug: "acme")
  private static let beta = Sample.tenant(2, slug: "beta")
  private static let gone = Sample.tenant(3, slug: "gone", state: .deleted)
  private static let state = Sample.state([acme, beta, gone])

  private static func resolver(_ change: (inout ResolutionRules) -> Void = { _ in }) -> Resolver {
    var rules = ResolutionRules()
    rules.baseDomains = ["example.com"]
    change(&rules)
    return Resolver(rules)
  }

  private static func reason(
    _ selectors: Selectors, home: Tenant? = nil, mayFallBack: Bool = true
  ) -> TenancyError.Reason? {
    resolver().answer(selectors, in: state, home: home, mayFallBack: mayFallBack).reason
  }

  @Test func sourcesThatAgreeResolveByTheMostTrusted() throws {
    let selectors = Selectors(
      path: "/tenants/ACME/x", host: "acme.example.com", header: Self.acme.id.description,
      environment: "acme")
    let resolution = try Self.resolver().resolve(selectors, in: Self.state)
    #expect(resolution.record.tenant == Self.acme)
    #expect(resolution.strategy == .environment)
    #expect(resolution.said.given == selectors.given)
    #expect(resolution.said.named == selectors.given)
    #expect(resolution.said.namedByID == StrategySet(.header))
  }

  @Test func sourcesThatNameNobodyAreGivenButDoNotDecide() throws {
    let resolution = try Self.resolver().resolve(
      Selectors(path: "/health", host: "example.com", header: "beta"), in: Self.state)
    #expect(resolution.record.tenant == Self.beta)
    #expect(resolution.strategy == .header)
    #expect(resolution.said.named == StrategySet(.header))
    #expect(resolution.said.given.contains(.path) && resolution.said.given.contains(.subdomain))
  }

  @Test func aSourceThatIsSwitchedOffIsNotLookedAt() throws {
    let resolver = Self.resolver { $0.order = [.header] }
    let resolution = try resolver.resolve(
      Selectors(path: "/tenants/%", host: ":", header: "acme", environment: "beta"),
      in: Self.state)
    #expect(resolution.record.tenant == Self.acme)
    #expect(resolution.said.given == StrategySet(.header))
  }

  @Test func disagreementIsAmbiguousAndWithTheEnvironmentAPinConflict() {
    let two = Selectors(path: "/tenants/acme", header: "beta")
    #expect(Self.reason(two) == .tenantAmbiguous)
    #expect(Self.reason(two, home: Self.acme) == .tenantAmbiguous)
    #expect(Self.reason(two, home: Self.beta) == .tenantAmbiguous)
    let pinned = Selectors(header: "beta", environment: "acme")
    #expect(Self.reason(pinned) == .environmentPinConflict)
    #expect(Self.reason(pinned, home: Self.acme) == .environmentPinConflict)
    // An environment that is trusted less than the path is a pin nevertheless.
    let late = Self.resolver { $0.order = [.path, .environment] }
    let answer = late.answer(
      Selectors(path: "/tenants/beta", environment: "acme"), in: Self.state)
    #expect(answer.reason == .environmentPinConflict)
  }

  @Test func oneUnknownNameIsEnoughToDisagree() {
    #expect(Self.reason(Selectors(path: "/tenants/nobody", header: "acme")) == .tenantAmbiguous)
    #expect(Self.reason(Selectors(path: "/tenants/acme", header: "nobody")) == .tenantAmbiguous)
  }

  @Test func unknownAndForeignNamesAnswerAlike() {
    for name in ["beta", "gone", "nobody", Self.beta.id.description, Sample.id(99).description] {
      let answer = Self.resolver().answer(
        Selectors(header: name), in: Self.state, home: Self.acme)
      #expect(answer.reason == .tenantMismatch)
      #expect(answer.message == TenancyError.tenantMismatch.message)
    }
    #expect(Self.reason(Selectors(header: "nobody")) == .tenantNotFound)
    #expect(Self.reason(Selectors(header: "gone")) == .tenantNotFound)
  }

  @Test func unknownNamesDisagreeAsWellForThoseWhoMayKnow() {
    let two = Selectors(path: "/tenants/nobody", header: "no-one")
    #expect(Self.reason(two) == .tenantAmbiguous)
    #expect(Self.reason(two, home: Self.acme) == .tenantMismatch)
    #expect(
      Self.reason(Selectors(header: "no-one", environment: "nobody")) == .environmentPinConflict)
    #expect(Self.reason(Selectors(path: "/tenants/NoBody", header: "nobody")) == .tenantNotFound)
  }

  @Test func withoutANameTheHomeAnswersAndNeverTheDefault() throws {
    let nothing = Selectors(path: "/health")
    let home = try Self.resolver().resolve(nothing, in: Self.state, home: Self.beta)
    #expect(home.record.tenant == Self.beta)
    #expect(home.strategy == .credential)
    let resolver = Self.resolver { $0.defaultTenant = "acme" }
    #expect(resolver.answer(nothing, in: Self.state).reason == .tenantUnresolved)
    #expect(resolver.answer(nothing, in: Self.state, home: Self.beta).tenant == Self.beta.id)
  }

  @Test func withoutANameAndFallBackNothingIsResolved() {
    let nothing = Selectors(host: "example.com")
    #expect(Self.reason(nothing) == .tenantUnresolved)
    #expect(Self.reason(Selectors()) == .tenantUnresolved)
    #expect(Self.reason(nothing, home: Self.acme, mayFallBack: false) == .tenantUnresolved)
  }

  @Test(arguments: TenantState.known)
  func onlyActiveTenantsResolve(_ tenantState: TenantState) {
    let tenant = Sample.tenant(9, slug: "it", state: tenantState)
    let state = Sample.state([tenant])
    let expected =
      Lifecycle.refusal(for: tenant, at: Sample.moment)?.reason
    for home in [nil, tenant] {
      let answer = Self.resolver().answer(Selectors(header: "it"), in: state, home: home)
      let isNobody = home != nil && tenantState.isGone
      #expect(answer.reason == (isNobody ? .identityUnknown : expected))
      #expect((answer.tenant == nil) == (expected != nil))
    }
  }
}
