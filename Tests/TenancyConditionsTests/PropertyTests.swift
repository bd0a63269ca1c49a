import Foundation
import Testing

@testable import TenancyConditions

/// Makes random expressions of a type, of attributes, literals and what can be made of them.
struct TreeMaker {
  enum Wanted: CaseIterable {
    case bool, int, uint, double, string, bytes, timestamp, duration, names, numbers, dyn
  }

  var random: SplitMix
  var variables: [(name: String, type: Wanted)] = []

  mutating func make(_ wanted: Wanted, _ depth: Int) -> Tree {
    let fitting = variables.filter { $0.type == wanted }
    if !fitting.isEmpty, random.below(3) == 0 { return .variable(random.pick(fitting).name) }
    if depth <= 0 || random.below(6) == 0 { return leaf(wanted) }
    if random.below(12) == 0 {
      return .conditional(
        make(.bool, depth - 1), make(wanted, depth - 1), make(wanted, depth - 1))
    }
    switch wanted {
    case .bool: return bool(depth - 1)
    case .int: return int(depth - 1)
    case .uint:
      return .binary(
        random.pick(["+", "-", "*", "/", "%"]), make(.uint, depth - 1), make(.uint, depth - 1))
    case .double:
      return random.below(4) == 0
        ? .call("double", [make(.int, depth - 1)])
        : .binary(
          random.pick(["+", "-", "*", "/"]), make(.double, depth - 1), make(.double, depth - 1))
    case .string:
      return random.below(3) == 0
        ? .call("string", [make(random.pick([.int, .bool, .string]), depth - 1)])
        : .binary("+", make(.string, depth - 1), make(.string, depth - 1))
    case .bytes: return .binary("+", make(.bytes, depth - 1), make(.bytes, depth - 1))
    case .timestamp:
      return .binary(
        random.pick(["+", "-"]), make(.timestamp, depth - 1), make(.duration, depth - 1))
    case .duration:
      return random.below(3) == 0
        ? .binary("-", make(.timestamp, depth - 1), make(.timestamp, depth - 1))
        : .binary(random.pick(["+", "-"]), make(.duration, depth - 1), make(.duration, depth - 1))
    case .names, .numbers: return list(wanted, depth - 1)
    case .dyn: return .call("dyn", [make(random.pick(Wanted.allCases), depth - 1)])
    }
  }

  private mutating func bool(_ depth: Int) -> Tree {
    let relations = ["==", "!=", "<", "<=", ">", ">="]
    switch random.below(12) {
    case 0, 1: return .and(make(.bool, depth), make(.bool, depth))
    case 2, 3: return .or(make(.bool, depth), make(.bool, depth))
    case 4: return .not(make(.bool, depth))
    case 5:
      let type = random.pick([
        Wanted.int, .uint, .double, .string, .bytes, .timestamp, .duration, .bool,
      ])
      return .binary(random.pick(relations), make(type, depth), make(type, depth))
    case 6:
      let type = random.pick(Wanted.allCases)
      return .binary(random.pick(["==", "!="]), make(type, depth), make(type, depth))
    case 7: return .binary(random.pick(relations), make(.dyn, depth), make(.dyn, depth))
    case 8:
      return .method(
        make(.string, depth), random.pick(["contains", "startsWith", "endsWith"]),
        [make(.string, depth)])
    case 9:
      let isName = random.below(2) == 0
      return .binary(
        "in", make(isName ? .string : .int, depth), make(isName ? .names : .numbers, depth))
    case 10:
      return .has(
        random.pick([
          "subject.absent", "subject.id", "subject.attributes.level", "subject.attributes.zone",
        ])
      )
    default: return macro(random.pick(["all", "exists", "exists_one"]), .bool, depth)
    }
  }

  private mutating func int(_ depth: Int) -> Tree {
    switch random.below(9) {
    case 0: return .negate(make(.int, depth))
    case 1: return .call("size", [make(random.pick([.string, .bytes, .names, .numbers]), depth)])
    case 2: return .call("int", [make(random.pick([.int, .uint, .double, .string]), depth)])
    case 3: return .index(make(.numbers, depth), make(.int, depth))
    case 4: return .method(make(.timestamp, depth), random.pick(["getHours", "getFullYear"]), [])
    case 5: return .method(make(.duration, depth), "getSeconds", [])
    default:
      return .binary(random.pick(["+", "-", "*", "/", "%"]), make(.int, depth), make(.int, depth))
    }
  }

  private mutating func list(_ wanted: Wanted, _ depth: Int) -> Tree {
    let element: Wanted = wanted == .names ? .string : .int
    switch random.below(5) {
    case 0: return .binary("+", make(wanted, depth), make(wanted, depth))
    case 1: return macro("filter", element, depth)
    case 2: return macro("map", element, depth)
    default: return .list((0..<random.below(7)).map { _ in make(element, depth - 1) })
    }
  }

  private mutating func macro(_ name: String, _ element: Wanted, _ depth: Int) -> Tree {
    guard variables.count < 3 else {
      return leaf(name == "map" || name == "filter" ? .names : .bool)
    }
    let over: Wanted =
      element == .bool ? random.pick([.names, .numbers]) : element == .string ? .names : .numbers
    let range = make(over, min(1, depth))
    let variable = random.pick(["x", "y", "now"]) + "\(variables.count)"
    variables.append((variable, over == .names ? .string : .int))
    defer { variables.removeLast() }
    let predicate = make(.bool, min(2, depth))
    guard name == "map" else { return .macro(range, name, variable, [predicate]) }
    let body = make(element, min(2, depth))
    return .macro(range, name, variable, random.below(2) == 0 ? [body] : [predicate, body])
  }

  private mutating func leaf(_ wanted: Wanted) -> Tree {
    switch wanted {
    case .bool:
      return random.pick([
        .attribute("context.mfa"), .attribute("missing"), .literal("true", .bool(true)),
        .literal("false", .bool(false)),
      ])
    case .int:
      let number = random.pick([
        0, 1, -1, 2, 7, 1 << 53, Int64.max, Int64.min, Int64(random.below(10)),
      ])
      return random.pick([
        .attribute("subject.level"), .literal("\(number)", .int(number)),
        .literal("(\(number))", .int(number)),
      ])
    case .uint:
      let number = random.pick([0, 1, 2, 10, UInt64.max, UInt64(random.below(10))])
      return random.pick([.attribute("resource.size"), .literal("\(number)u", .uint(number))])
    case .double:
      let number = random.pick([0.0, 0.5, 1, -2.5, 1e300, 9_223_372_036_854_775_808.0])
      return random.pick([.attribute("resource.score"), .literal("\(number)", .double(number))])
    case .string:
      let text = random.pick(["", "a", "anna", "é", "e\u{301}", "12", "eu", "😀x"])
      return random.pick([
        .attribute("subject.id"), .attribute("absent"), .attribute("subject.department"),
        .literal("'\(text)'", .string(text)),
      ])
    case .bytes:
      return random.pick([
        .attribute("resource.tag"), .literal("b'a'", .bytes([97])),
        .literal("b'\\xff'", .bytes([255])),
      ])
    case .timestamp:
      return random.pick([
        .attribute("now"),
        .literal("timestamp('1970-01-01T00:00:00.5Z')", .timestamp(Sample.moment(0, 500_000_000))),
        .literal(
          "timestamp('9999-12-31T23:59:59Z')", .timestamp(Sample.moment(253_402_300_799))),
      ])
    case .duration:
      return random.pick([
        .attribute("context.age"),
        .literal("duration('-1.5s')", .duration(nanoseconds: -1_500_000_000)),
        .literal("duration('1h30m')", .duration(nanoseconds: 5_400_000_000_000)),
      ])
    case .names: return .attribute("subject.groups")
    case .numbers: return .attribute("numbers")
    case .dyn:
      return random.pick([
        .select(
          .attribute("subject.attributes"), random.pick(["region", "level", "none", "zone"])),
        .index(.attribute("anything"), .literal("0", .int(0))), .call("dyn", [leaf(.int)]),
      ])
    }
  }
}

@Suite struct PropertyTests {
  /// TENANCY_CONDITION_TREES sets another number of random expressions.
  @Test func agreesWithTheNaiveEvaluation() throws {
    let environment = ProcessInfo.processInfo.environment
    let count = environment["TENANCY_CONDITION_TREES"].flatMap { Int($0) } ?? 2_000
    let seed = environment["TENANCY_CONDITION_SEED"].flatMap { UInt64($0) } ?? 1
    var maker = TreeMaker(random: SplitMix(state: seed))
    var limits = ConditionLimits()
    limits.maximumCost = 10_000_000
    limits.fuel = 10_000_000
    var kinds: [String: Int] = [:]
    for _ in 0..<count {
      let tree = maker.make(.bool, 4)
      let source = tree.text
      let condition: Condition
      do {
        condition = try Condition(
          parsing: source, attributes: Sample.attributes, limits: limits)
      } catch {
        // Constants that could only fail are refused as well.
        guard error.code == .size || error.code == .cost || error.code == .argument else {
          throw error
        }
        kinds["refused", default: 0] += 1
        continue
      }
      let expected = Result { try Naive(attributes: Sample.values).truth(tree) }
      let (outcome, used) = condition.evaluateCounting(Sample.input)
      #expect(used >= 0 && UInt64(used) <= condition.cost, "\(source)")
      #expect(condition.explain(Sample.input).outcome == outcome, "\(source)")
      let canonical = condition.canonicalSource
      let again = try Condition(parsing: canonical, attributes: Sample.attributes, limits: limits)
      #expect(again.canonicalSource == canonical, "\(source)")
      switch (expected, outcome, again.evaluate(Sample.input)) {
      case (.success(true), .satisfied, .satisfied): kinds["true", default: 0] += 1
      case (.success(false), .unsatisfied, .unsatisfied): kinds["false", default: 0] += 1
      case (.failure, .failed, .failed): kinds["error", default: 0] += 1
      default:
        Issue.record("\(source): \(outcome), expected \(expected)")
        return
      }
    }
    // None of them may be rare, or little was tested.
    for kind in ["true", "false", "error"] {
      #expect(kinds[kind, default: 0] > count / 20, "\(kinds)")
    }
    print("random conditions: \(kinds.sorted { $0.key < $1.key })")
  }
}
