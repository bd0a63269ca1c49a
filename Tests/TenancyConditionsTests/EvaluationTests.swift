import Testing

@testable import TenancyConditions

@Suite struct EvaluationTests {
  @Test(arguments: [
    (#"resource.owner == subject.id && now < timestamp("2027-01-01T00:00:00Z")"#, "true"),
    (#"context.mfa && subject.department in ["a", "b"]"#, "false"),
    (#"context.mfa && subject.department in ["a", "b", "c", "d", "e", "engineering"]"#, "true"),
    (#""ops" in subject.groups && !("x" in subject.groups)"#, "true"),
    ("subject.groups.exists(g, g.startsWith('op')) && subject.groups.all(g, size(g) == 3)", "true"),
    ("subject.groups.exists_one(g, g == 'dev')", "true"),
    ("subject.groups.map(g, g + '!') == ['dev!', 'ops!']", "true"),
    ("numbers.map(n, n > 1, n * n) == [9, 4] && numbers.filter(n, n != 1) == [3, 2]", "true"),
    ("counts.all(k, counts[k] > 0) && counts.filter(k, k == 'a') == ['a']", "true"),
    ("subject.attributes.region == 'eu' && subject.attributes.level == 3", "true"),
    ("subject.attributes.level in [1, 2, 3, 4, 5] && subject.attributes['level'] < 4u", "true"),
    ("subject.attributes.level != subject.attributes.region", "true"),
    ("subject.attributes.level == '3' || subject.attributes.none == null", "true"),
    ("has(subject.attributes.region) && !has(subject.attributes.zone)", "true"),
    ("has(subject.id) && !has(absent_is_no_name.x)", "UNKNOWN_NAME"),
    ("context.age > duration('1m') && context.age + duration('30s') == duration('2m')", "true"),
    ("now - duration('1h') < now && now - timestamp(0) > duration('1s')", "true"),
    ("resource.size + 5u == 15u && resource.score * 2.0 == 1.0", "true"),
    ("resource.tag == b'\\x01\\xff' && size(resource.tag) == 2", "true"),
    ("dyn(1) == 1.0 && dyn(1u) == 1 && dyn('1') != 1", "true"),
    ("size('ñ😀') == 2 && 'e\\u0301' != 'é' && 'aé'.endsWith('é')", "true"),
    ("anything[1] == 'x' && anything[0] == 1", "true"),
    ("[1, 2, 3][1] == 2 && {'a': {'b': 1}}.a.b == 1", "true"),
    ("subject.groups.exists(g, subject.groups.all(h, g <= h))", "true"),
    ("numbers.exists(subject, subject == 3) && subject.id == 'anna'", "true"),
    ("true ? context.mfa : missing", "true"),
    ("type(now) == google.protobuf.Timestamp && type(1u) == uint", "true"),
    ("string(now) == '2026-09-21T14:13:20Z' && int(now) == 1790000000", "true"),
  ])
  func gives(_ source: String, _ expected: String) {
    #expect(outcome(source) == expected)
  }

  @Test(arguments: [
    ("missing", "MISSING_ATTRIBUTE"), ("absent == 'x'", "MISSING_ATTRIBUTE"),
    ("missing || context.mfa", "true"), ("context.mfa || missing", "true"),
    ("missing && !context.mfa", "false"), ("!context.mfa && missing", "false"),
    ("missing && context.mfa", "MISSING_ATTRIBUTE"), ("missing ? true : true", "MISSING_ATTRIBUTE"),
    ("numbers.exists(n, 6 / (n - 1) == 6)", "true"),
    ("numbers.exists(n, 6 / (n - 1) == 7)", "DIVISION_BY_ZERO"),
    ("numbers.all(n, 6 / (n - 1) == 6)", "false"),
    ("numbers.exists_one(n, 6 / (n - 1) == 6)", "DIVISION_BY_ZERO"),
    ("9223372036854775807 + subject.level > 0", "OVERFLOW"),
    ("-9223372036854775808 / (4 - subject.level) > 0", "OVERFLOW"),
    ("-(subject.level - 9223372036854775807 - 6) > 0", "OVERFLOW"),
    ("resource.size - 11u == 0u", "OVERFLOW"), ("1 % (subject.level - 5) == 0", "DIVISION_BY_ZERO"),
    ("resource.score / 0.0 > 1.0", "true"), ("0.0 / (resource.score - 0.5) == 1.0", "false"),
    ("0.0 / (resource.score - 0.5) != 0.0 / (resource.score - 0.5)", "true"),
    ("numbers[3] == 1", "INDEX_OUT_OF_RANGE"), ("numbers[-1] == 1", "INDEX_OUT_OF_RANGE"),
    ("counts.c == 1", "NO_SUCH_KEY"), ("counts['c'] == 1", "NO_SUCH_KEY"),
    ("subject.attributes.region > 1", "NO_SUCH_OVERLOAD"),
    ("subject.attributes.region", "NO_SUCH_OVERLOAD"),
    ("int(subject.id) == 1", "INVALID_ARGUMENT"),
    ("timestamp(subject.id) == now", "INVALID_ARGUMENT"),
    ("now.getHours(subject.id) == 1", "INVALID_ARGUMENT"),
    ("now + duration('292y') == now", "ARGUMENT"),
    ("timestamp(subject.level * 1000000000000) == now", "OVERFLOW"),
    ("{subject.id: 1, resource.owner: 2} == {}", "DUPLICATE_KEY"),
    ("uint(subject.level - 6) == 1u", "OVERFLOW"), ("int(resource.score * 1e300) == 0", "OVERFLOW"),
  ])
  func fails(_ source: String, _ expected: String) {
    #expect(outcome(source) == expected)
  }

  @Test func aRuleThatFailsIsClosed() throws {
    let failing = try compile("missing").evaluate(Sample.input)
    #expect(!failing.applies(to: .allow) && failing.applies(to: .deny))
    let holding = try compile("context.mfa").evaluate(Sample.input)
    #expect(holding.applies(to: .allow) && holding.applies(to: .deny))
    let not = try compile("!context.mfa").evaluate(Sample.input)
    #expect(!not.applies(to: .allow) && !not.applies(to: .deny))
  }

  @Test func whatACallerSuppliesOfAWrongTypeFails() {
    var values = Sample.values
    values["context.mfa"] = .string("true")
    values["subject.level"] = .string("5")
    values["absent"] = .int(1)
    values["subject.groups"] = .list([.string("dev"), .int(1)])
    var input = Sample.input(values)
    for source in [
      "context.mfa", "!context.mfa", "subject.level == 5", "!has(subject.level)",
      "false && context.mfa",
      "'x' in subject.groups",
    ] { #expect(outcome(source, input) == "WRONG_TYPE") }
    #expect(outcome("resource.level == 3", input) == "true")
    if let slot = Sample.attributes.slot("context.mfa") { input[slot] = .bool(true) }
    #expect(outcome("context.mfa", input) == "true")
    input.removeAll()
    #expect(outcome("subject.level == 5", input) == "MISSING_ATTRIBUTE")
  }

  @Test func valuesOfAnotherDeclarationAreRefused() throws {
    var other = ConditionAttributes()
    for (name, type) in Sample.types.reversed() { try other.declare(name, type) }
    let outcome = try compile("true").evaluate(ConditionInput(for: other))
    guard case .failed(let failure) = outcome else {
      Issue.record("accepted")
      return
    }
    #expect(failure.reason == .foreignAttributes)
  }

  @Test func namesWhatItReads() throws {
    let condition = try compile(
      "resource.owner == subject.id || has(subject.attributes.x) || "
        + "subject.groups.exists(now, now == 'x')")
    #expect(
      condition.attributes(of: Sample.attributes)
        == ["subject.id", "subject.groups", "subject.attributes", "resource.owner"])
    #expect(condition.slots.count == 4)
  }

  @Test func explains() throws {
    func parts(_ source: String) throws -> [String] {
      try compile(source).explain(Sample.input).parts.map(\.text)
    }
    #expect(try parts("context.mfa && subject.level > 7 && missing") == ["subject.level > 7"])
    #expect(try parts("subject.level > 7 || subject.id == 'x'").count == 2)
    #expect(try parts("!(context.mfa && resource.level == 3)").count == 2)
    #expect(try parts("missing && context.mfa") == ["missing"])
    let explanation = try compile("missing || false").explain(Sample.input)
    guard case .failed = explanation.outcome else {
      Issue.record("no failure")
      return
    }
  }

  @Test func foreignTextsAreComparedByCodePoints() {
    var values = Sample.values
    values["subject.id"] = .string("e\u{301}")
    values["resource.owner"] = .string("\u{E9}")
    let input = Sample.input(values)
    #expect(outcome("subject.id == resource.owner", input) == "false")
    #expect(outcome("resource.owner in ['a', 'b', 'c', 'd', 'e\\u0301']", input) == "false")
    #expect(outcome("subject.id in ['a', 'b', 'c', 'd', 'e\\u0301']", input) == "true")
    #expect(outcome("{'e\\u0301': 1}[resource.owner] == 1", input) == "NO_SUCH_KEY")
  }
}
