import Foundation
import Testing

@testable import TenancyConditions

@Suite struct LimitTests {
  @Test func fuelRunsOutAndIsNotAbsorbed() throws {
    var limits = ConditionLimits()
    limits.fuel = 20
    let long = ConditionValue.list((0..<100).map { .int($0) })
    var values = Sample.values
    values["numbers"] = long
    let input = Sample.input(values)
    for source in [
      "numbers.exists(n, n < 0)", "numbers.exists(n, n < 0) || true || context.mfa",
      "numbers.all(n, n >= 0)", "numbers.filter(n, true) == numbers", "99 in numbers",
    ] {
      guard case .failed(let failure) = try compile(source, limits).evaluate(input) else {
        Issue.record("\(source) had enough")
        continue
      }
      #expect(failure.reason == .outOfFuel)
    }
  }

  @Test func largerValuesThanDeclaredCostFuel() throws {
    var values = Sample.values
    values["subject.id"] = .string(String(repeating: "a", count: 10_000_000))
    values["resource.owner"] = .string(String(repeating: "a", count: 9_999_999) + "b")
    let input = Sample.input(values)
    #expect(outcomeReason("subject.id == resource.owner", input) == .outOfFuel)
    #expect(outcomeReason("subject.id + resource.owner == ''", input) == .outOfFuel)
    #expect(outcomeReason("size(subject.id) == 1", input) == .outOfFuel)
    #expect(outcomeReason("subject.id in ['a', 'b', 'c', 'd', 'e']", input) == .outOfFuel)
    #expect(outcomeReason("int(subject.id) == 1", input) == .outOfFuel)
  }

  private func outcomeReason(_ source: String, _ input: ConditionInput)
    -> ConditionFailure.Reason?
  {
    guard case .failed(let failure)? = try? compile(source).evaluate(input) else { return nil }
    return failure.reason
  }

  @Test func valuesThatAreNestedWithoutEndAreRefused() {
    var deep = ConditionValue.int(1)
    for _ in 0..<1_000 { deep = .list([deep]) }
    var values = Sample.values
    values["anything"] = deep
    #expect(outcomeReason("anything == anything", Sample.input(values)) == .tooDeep)
  }

  /// The deepest expressions, on a thread with an eighth of the stack that threads have here.
  @Test func theDeepestExpressionFitsASmallStack() async {
    let sources = [
      String(repeating: "(", count: 63) + "true" + String(repeating: ")", count: 63),
      String(repeating: "[", count: 15) + "1" + String(repeating: "]", count: 15) + " == []",
      "1" + String(repeating: " + (1 * 1", count: 29) + String(repeating: ")", count: 29) + " == 1",
      String(repeating: "context.mfa ? context.mfa : ", count: 62) + "true",
      String(repeating: "!dyn(", count: 31) + "missing" + String(repeating: ")", count: 31),
    ]
    let refusals = await withCheckedContinuation { continuation in
      let thread = Thread {
        continuation.resume(returning: sources.map { outcome($0) })
      }
      let size = ProcessInfo.processInfo.environment["TENANCY_STACK"].flatMap { Int($0) } ?? 1_024
      thread.stackSize = size * 1_024
      thread.start()
    }
    #expect(refusals == ["true", "false", "false", "true", "MISSING_ATTRIBUTE"])
  }

  @Test func declarations() throws {
    typealias Refused = ConditionAttributes.DeclarationError
    var attributes = ConditionAttributes()
    try attributes.declare("a.b.c", .int)
    #expect(throws: Refused.taken("a.b")) { try attributes.declare("a.b", .int) }
    #expect(throws: Refused.taken("a.b.c")) { try attributes.declare("a.b.c.d", .int) }
    #expect(throws: Refused.taken("a.b.c")) { try attributes.declare("a.b.c", .int) }
    for name in ["", ".", "a.", "1a", "in", "a.true", "if", "a-b", "é", "a\0"] {
      #expect(throws: Refused.invalidName(name)) { try attributes.declare(name, .int) }
    }
    #expect(throws: Refused.invalidType("k")) {
      try attributes.declare("k", .map(key: .double, value: .int))
    }
    try attributes.declare("a.if", .int)
    for index in 2..<ConditionAttributes.maximumCount { try attributes.declare("n\(index)", .int) }
    #expect(throws: Refused.tooMany) { try attributes.declare("more", .int) }
    #expect(attributes.slot("a.if")?.index == 1)
  }

  /// What people write of attributes that are declared as maps of anything.
  @Test func valuesOfMapsHoldNoMoreThanDeclared() throws {
    var limits = ConditionLimits()
    limits.maximumCost = 20_000
    limits.fuel = 20_000
    let longest = { ConditionValue.string(String(repeating: "a", count: 255) + $0) }
    var values = Sample.values
    values["subject.attributes"] = .map(
      ConditionMap([
        "one": longest("b"),
        "many": .list(Array(repeating: longest("a"), count: 64)),
      ]))
    let input = Sample.input(values)
    for source in [
      "subject.attributes.one in subject.attributes.many",
      "subject.attributes.many.exists(m, m == subject.attributes.one)",
      "!subject.attributes.many.all(m, m != subject.attributes.one)",
      "subject.attributes.many.exists(m, m in ['a', subject.id])",
      "subject.attributes.many == [subject.attributes.one]",
    ] {
      let condition = try compile(source, limits)
      let (outcome, used) = condition.evaluateCounting(input)
      guard case .unsatisfied = outcome else {
        Issue.record("\(source): \(outcome)")
        continue
      }
      #expect(UInt64(used) <= condition.cost, "\(source)")
    }
    #expect(
      refusal("subject.attributes.many.exists(m, m in subject.attributes.many)", limits)
        .contains("could cost"))
  }

  @Test func costIsWorkNotTime() throws {
    #expect(try compile("subject.level > 1").cost < 8)
    let short = try compile("subject.department in ['a', 'b', 'c', 'd', 'e']").cost
    let names = (0..<500).map { "'d\($0)'" }.joined(separator: ", ")
    #expect(try compile("subject.department in [\(names)]").cost == short)
  }
}
