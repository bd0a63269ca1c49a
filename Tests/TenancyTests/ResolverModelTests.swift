import TenancyTestSupport
import Testing

@testable import Tenancy

/// The resolver against its rules told plainly, over random worlds and requests.
struct ResolverModelTests {
  /// What one selector says, known by construction.
  private enum Said {
    case nobody
    case malformed
    case name(String)
  }

  private struct Case {
    var tenants: [Tenant] = []
    var home: Tenant?
    var rules = ResolutionRules()
    var mayFallBack = false
    var selectors = Selectors()
    var said: [ResolutionStrategy: Said] = [:]

    var state: ControlState { Sample.state(tenants) }
  }

  private static let unknown = ["nobody", "no-one", Sample.id(77).description]

  private static func makeCase(_ random: inout SeededGenerator) -> Case {
    var made = Case()
    for number in 1...UInt64(4) where random.chance(of: 3, in: 4) {
      let state: TenantState =
        random.chance(of: 2, in: 3) ? .active : random.pick(TenantState.known)
      made.tenants.append(Sample.tenant(number, state: state))
    }
    if random.chance(of: 1, in: 2), !made.tenants.isEmpty { made.home = random.pick(made.tenants) }
    made.mayFallBack = Bool.random(using: &random)
    made.rules.baseDomains = ["example.com"]
    made.rules.order.shuffle(using: &random)
    made.rules.order.removeLast(Int.random(in: 0...1, using: &random))
    made.rules.defaultTenant = random.pick([nil, "tenant-1", Sample.id(2).description, "nobody"])
    // Few names, so that sources often agree.
    let names = (0...1).map { _ in name(made, &random) }
    for strategy in [ResolutionStrategy.path, .subdomain, .header, .environment]
    where random.chance(of: 2, in: 3) {
      let said: Said =
        switch Int.random(in: 0..<10, using: &random) {
        case 0: .malformed
        case 1, 2: strategy == .path || strategy == .subdomain ? .nobody : .malformed
        default: .name(random.pick(names))
        }
      made.said[strategy] = said
      write(said, as: strategy, &made.selectors, &random)
    }
    return made
  }

  private static func name(_ made: Case, _ random: inout SeededGenerator) -> String {
    if let home = made.home, random.chance(of: 1, in: 3) { return home.slug.text }
    guard !made.tenants.isEmpty, random.chance(of: 3, in: 4) else { return random.pick(unknown) }
    let tenant = random.pick(made.tenants)
    return random.pick([tenant.slug.text, tenant.id.description])
  }

  private static func write(
    _ said: Said, as strategy: ResolutionStrategy, _ selectors: inout Selectors,
    _ random: inout SeededGenerator
  ) {
    let name: String
    switch said {
    case .nobody: name = ""
    case .malformed: name = random.pick(["a.b", "%41", "a b", "ä"])
    case .name(let text): name = random.chance(of: 1, in: 4) ? text.uppercased() : text
    }
    switch strategy {
    case .path: selectors.path = name.isEmpty ? "/health" : "/tenants/\(name)/docs"
    case .subdomain: selectors.host = name.isEmpty ? "example.com" : "\(name).example.com:443"
    case .header: selectors.header = name
    case .environment: selectors.environment = name
    case .default, .credential, .token, .query: break
    }
  }

  /// The rules: what is malformed is refused, then names that contradict the first one, from the most
  /// trusted source on; for a tenant's caller all other tenants, existing or not, are one.
  private static func expected(_ made: Case) -> (TenantID?, TenancyError.Reason?) {
    func find(_ name: String) -> Tenant? {
      made.tenants.first { $0.slug.text == name || $0.id.description == name }
    }
    if made.home?.state.isGone == true { return (nil, .identityUnknown) }
    var named: [(strategy: ResolutionStrategy, name: String, tenant: Tenant?)] = []
    for strategy in made.rules.order {
      switch made.said[strategy] {
      case nil, .nobody: continue
      case .malformed: return (nil, .malformedSelector)
      case .name(let name): named.append((strategy, name, find(name)))
      }
    }
    func agree(_ one: (ResolutionStrategy, name: String, tenant: Tenant?)) -> Bool {
      guard let first = named.first else { return true }
      return made.home.map { ($0.id == one.tenant?.id) == ($0.id == first.tenant?.id) }
        ?? (one.tenant?.id == first.tenant?.id && (one.tenant != nil || one.name == first.name))
    }
    if !named.allSatisfy(agree) {
      let isPinned = named.contains { $0.strategy == .environment }
      return (nil, isPinned ? .environmentPinConflict : .tenantAmbiguous)
    }
    if named.isEmpty, made.mayFallBack, let home = made.home {
      named.append((.credential, home.slug.text, home))
    }
    guard let first = named.first else { return (nil, .tenantUnresolved) }
    if let home = made.home, home.id != first.tenant?.id { return (nil, .tenantMismatch) }
    guard let tenant = first.tenant else { return (nil, .tenantNotFound) }
    switch tenant.state {
    case .active: return (tenant.id, nil)
    case .pending, .provisioning, .provisionFailed: return (nil, .tenantNotProvisioned)
    case .suspended: return (nil, .tenantSuspended)
    case .maintenance: return (nil, .tenantMaintenance)
    case .deleted, .purging, .purged: return (nil, .tenantNotFound)
    }
  }

  @Test(arguments: 0..<4 as Range<UInt64>)
  func resolvesAsTheModelDoes(_ seed: UInt64) {
    var random = SeededGenerator(seed: 100 + seed)
    var resolved = 0
    for _ in 0..<3000 {
      let made = Self.makeCase(&random)
      let answer = Resolver(made.rules).answer(
        made.selectors, in: made.state, home: made.home, mayFallBack: made.mayFallBack)
      let (tenant, reason) = Self.expected(made)
      guard answer.tenant == tenant, answer.reason == reason else {
        Issue.record("\(made.selectors): \(answer), not \(tenant as Any) \(reason as Any)")
        return
      }
      if tenant != nil { resolved += 1 }
      if let home = made.home, let found = answer.tenant { #expect(found == home.id) }
    }
    #expect(resolved > 300)
  }

  /// A tenant's caller gets the same answer whether or not any other tenant exists.
  @Test func tenantCallersLearnNothingOfOthers() {
    var random = SeededGenerator(seed: 200)
    var asked = 0
    while asked < 3000 {
      let made = Self.makeCase(&random)
      guard let home = made.home else { continue }
      asked += 1
      let resolver = Resolver(made.rules)
      let among = resolver.answer(
        made.selectors, in: made.state, home: home, mayFallBack: made.mayFallBack)
      let alone = resolver.answer(
        made.selectors, in: Sample.state([home]), home: home, mayFallBack: made.mayFallBack)
      #expect(among == alone, "\(made.selectors)")
    }
  }
}
