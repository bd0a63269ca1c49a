import TenancyTestSupport
import Testing

@testable import Tenancy
@testable import TenancyServer

/// Random filters over random tenants: what they select is what an evaluator of their own says that never saw the text.
struct FilterOracleTests {
  /// A filter as it was meant.
  private indirect enum Meaning {
    case leaf(String, holds: (Tenant) -> Bool)
    case not(Meaning)
    case and([Meaning])
    case or([Meaning])

    func holds(_ tenant: Tenant) -> Bool {
      switch self {
      case .leaf(_, let holds): holds(tenant)
      case .not(let part): !part.holds(tenant)
      case .and(let parts): parts.allSatisfy { $0.holds(tenant) }
      case .or(let parts): parts.contains { $0.holds(tenant) }
      }
    }

    /// With the parentheses that AIP-160 makes necessary, and some more.
    func text(_ random: inout SeededGenerator) -> String {
      switch self {
      case .leaf(let text, _): text
      case .not(let part):
        (random.chance(of: 1, in: 2) ? "-" : "NOT ") + part.simple(&random)
      case .and(let parts):
        parts.dropFirst().reduce(parts[0].factor(&random)) { text, part in
          text + (random.chance(of: 1, in: 2) ? " AND " : " ") + part.factor(&random)
        }
      case .or(let parts):
        parts.dropFirst().reduce(parts[0].term(&random)) { $0 + " OR " + $1.term(&random) }
      }
    }

    private func factor(_ random: inout SeededGenerator) -> String {
      if case .and = self { return "(" + text(&random) + ")" }
      return random.chance(of: 1, in: 8) ? "( " + text(&random) + " )" : text(&random)
    }

    private func term(_ random: inout SeededGenerator) -> String {
      if case .or = self { return "(" + text(&random) + ")" }
      return factor(&random)
    }

    private func simple(_ random: inout SeededGenerator) -> String {
      if case .leaf = self { return text(&random) }
      return "(" + text(&random) + ")"
    }
  }

  private static let words = [
    "a", "ab", "abc", "b", "B", "é", "", "a b", "a*", "\"", "\\", "eu", "5",
  ]
  private static let names = ["a", "b.c", "example.com/d", "e f"]

  @Test(arguments: 0..<20 as Range<UInt64>)
  func filtersMeanWhatIsMeant(_ seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let tenants = (0..<60).map { Self.tenant($0, &random) }
    var some = 0
    for _ in 0..<150 {
      let meaning = Self.meaning(3, &random)
      let text = meaning.text(&random)
      guard text.utf8.count <= FilterParser.maximumLength else { continue }
      let filter = try TenantFilter(parsing: text)
      for tenant in tenants {
        var budget = WorkBudget.uncapped
        let found = filter.matches(tenant, &budget)
        #expect(found == meaning.holds(tenant), "\(text): \(tenant)")
        if found { some += 1 }
        // What is said to be required is.
        if found { #expect(filter.required.allSatisfy { $0.holds(for: tenant) }, "\(text)") }
      }
    }
    #expect((500..<8500).contains(some), "of 9,000 neither all nor none")
  }

  private static func meaning(_ depth: Int, _ random: inout SeededGenerator) -> Meaning {
    if depth == 0 || random.chance(of: 1, in: 3) { return leaf(&random) }
    func parts() -> [Meaning] {
      (0..<Int.random(in: 2...3, using: &random)).map { _ in meaning(depth - 1, &random) }
    }
    switch Int.random(in: 0..<3, using: &random) {
    case 0: return .not(meaning(depth - 1, &random))
    case 1: return .and(parts())
    default: return .or(parts())
    }
  }

  private static func leaf(_ random: inout SeededGenerator) -> Meaning {
    switch Int.random(in: 0..<8, using: &random) {
    case 0:
      let (state, isEqual) = (random.pick(TenantState.allCases), random.chance(of: 1, in: 2))
      let text = "state\(isEqual ? "=" : " != ")\(state.rawValue.uppercased())"
      return .leaf(text) { ($0.state == state) == isEqual }
    case 1: return text("display_name", &random) { $0.displayName }
    case 2: return text("plan", &random) { $0.configuration.limits?.plan ?? "" }
    case 3:
      let name = random.pick(names)
      if random.chance(of: 1, in: 4) {
        let text = random.pick(["labels:\(quoted(name))", "labels.\(quoted(name)):*"])
        return .leaf(text) { $0.metadata.labels[name] != nil }
      }
      return text("labels.\(quoted(name))", &random) { $0.metadata.labels[name] }
    case 4:
      let (name, wanted) = (random.pick(names), random.chance(of: 1, in: 2))
      let sign = random.pick(["=", "!=", ":"])
      return .leaf("feature_flags.\(quoted(name)) \(sign) \(wanted)") { tenant in
        tenant.configuration.featureFlags[name].map { ($0 == wanted) == (sign != "!=") } ?? false
      }
    case 5:
      let name = random.pick(names)
      return text("custom_settings.\(quoted(name))", &random) { tenant in
        if case .string(let text) = tenant.configuration.customSettings[name] { text } else { nil }
      }
    case 6:
      let (name, number) = (random.pick(names), Double(Int.random(in: -4...4, using: &random)) / 2)
      let sign = random.pick(["=", "!=", "<", "<=", ">", ">="])
      return .leaf("custom_settings.\(quoted(name))\(sign)\(number)") { tenant in
        guard case .number(let value) = tenant.configuration.customSettings[name] else {
          return false
        }
        return order(sign, value < number ? -1 : value > number ? 1 : 0)
      }
    default:
      let second = Int64.random(in: 0...9, using: &random)
      let sign = random.pick(["=", "!=", "<", "<=", ">", ">="])
      let zone = random.pick(["Z", "+00:00", "-00:00", "z"])
      return .leaf("update_time \(sign) \"1970-01-01T00:00:0\(second).5\(zone)\"") { tenant in
        let moment = second * 1_000_000_000 + 500_000_000
        let time = tenant.updateTime.nanoseconds
        return order(sign, time < moment ? -1 : time > moment ? 1 : 0)
      }
    }
  }

  private static func text(
    _ field: String, _ random: inout SeededGenerator, _ value: @escaping (Tenant) -> String?
  ) -> Meaning {
    let word = random.pick(words)
    if random.chance(of: 1, in: 3) {
      let isWanted = random.chance(of: 2, in: 3)
      let literal = String(quoted(word).dropLast()) + "*\""
      return .leaf("\(field) \(isWanted ? "=" : "!=") \(literal)") { tenant in
        value(tenant).map { Array($0.utf8).starts(with: Array(word.utf8)) == isWanted } ?? false
      }
    }
    let sign = random.pick(["=", "!=", "<", "<=", ">", ">="])
    return .leaf("\(field)\(sign)\(quoted(word))") { tenant in
      guard let text = value(tenant) else { return false }
      let (mine, other) = (Array(text.utf8), Array(word.utf8))
      return order(
        sign, mine == other ? 0 : mine.lexicographicallyPrecedes(other) ? -1 : 1)
    }
  }

  private static func order(_ sign: String, _ order: Int) -> Bool {
    switch sign {
    case "=": order == 0
    case "!=": order != 0
    case "<": order < 0
    case "<=": order <= 0
    case ">": order > 0
    default: order >= 0
    }
  }

  private static func quoted(_ text: String) -> String {
    "\"" + text.map { "\"\\*".contains($0) ? "\\\($0)" : String($0) }.joined() + "\""
  }

  private static func tenant(_ number: Int, _ random: inout SeededGenerator) -> Tenant {
    var tenant = Tenant(
      id: Sample.id(UInt64(number)), slug: Sample.slug("t\(number)"),
      displayName: random.pick(words), state: random.pick(TenantState.allCases),
      isolationModel: random.pick(IsolationModel.allCases), configuration: TenantConfiguration(),
      version: 1, epoch: 1, createTime: Sample.moment,
      updateTime: Timestamp(nanoseconds: Int64.random(in: 0...19, using: &random) * 500_000_000))
    if random.chance(of: 1, in: 2) {
      tenant.configuration.limits = LimitSettings(plan: random.pick(words))
    }
    for name in names {
      if random.chance(of: 1, in: 2) { tenant.metadata.labels[name] = random.pick(words) }
      if random.chance(of: 1, in: 2) {
        tenant.configuration.featureFlags[name] = random.chance(of: 1, in: 2)
      }
      tenant.configuration.customSettings[name] = random.pick([
        nil, .null, .bool(true), .number(Double(Int.random(in: -4...4, using: &random)) / 2),
        .string(random.pick(words)), .string(random.pick(words)), .array([]),
      ])
    }
    return tenant
  }
}
