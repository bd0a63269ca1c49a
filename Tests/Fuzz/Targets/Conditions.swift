import TenancyConditions

/// Conditions of authorization: any bytes as an expression.
let conditionTargets: [FuzzTarget] = [
  FuzzTarget("condition") {
    [
      #"resource.owner == subject.id && now < timestamp("2027-01-01T00:00:00Z")"#,
      #"context.mfa && subject.department in ["a", "b", "c", "d", "e", "f"]"#,
      #"subject.groups.exists(g, g.startsWith("dev") && size(g) > 3) || has(subject.attributes.x)"#,
      #"subject.groups.map(g, size(g) > 1, g + "x").filter(h, h != "a") == ["a"]"#,
      #"{"a": 1, 'b': 2}["a"] == 1 ? dyn([1, "x", 2.5, 3u])[0] == 1.0 : !true"#,
      #"context.age + duration("-1h") < duration("3s") && now.getHours("-02:30") in [1, 2]"#,
      #"subject.groups.all(x, x != r'\') && dyn(resource.tag) != b'\xff' // é"#,
      #"int(resource.score) + -9223372036854775808 > subject.level % 0 || absent == "😀""#, "",
    ].map { Array($0.utf8) }
  } run: { input in
    let declared = try DeclaredAttributes.shared.get()
    let source = String(decoding: input, as: UTF8.self)
    let condition: Condition
    do throws(ConditionError) {
      condition = try Condition(parsing: source, attributes: declared.attributes)
    } catch {
      let isComplete = error.line >= 1 && error.column >= 1 && !error.message.isEmpty
      try check(isComplete, "no place: \(error)")
      return
    }
    // Its one spelling is a fixed point, and means the same.
    let canonical = condition.canonicalSource
    let again = try Condition(parsing: canonical, attributes: declared.attributes)
    try checkEqual(again.canonicalSource, canonical, "the canonical source")
    for values in [declared.full, declared.empty] {
      let (outcome, used) = condition.evaluateCounting(values)
      try check(used >= 0 && UInt64(used) <= condition.cost, "used \(used) of \(condition.cost)")
      try checkEqual(kind(again.evaluate(values)), kind(outcome), "as \(canonical)")
      try checkEqual(condition.explain(values).outcome, outcome, "explained")
      if case .failed(let failure) = outcome {
        try check(Int(failure.offset) <= source.utf8.count, "a failure out of place")
        try check(failure.reason != .outOfFuel, "out of fuel")
        _ = condition.describe(failure)
      }
    }
  }
]

/// An outcome without its place, which another spelling moves.
private func kind(_ outcome: ConditionOutcome) -> String {
  switch outcome {
  case .satisfied: "true"
  case .unsatisfied: "false"
  case .failed(let failure): failure.reason.description
  }
}

/// Attributes, and what a request may have of them.
private struct DeclaredAttributes {
  static let shared = Result { try DeclaredAttributes() }

  let attributes: ConditionAttributes
  let empty: ConditionInput
  let full: ConditionInput

  private init() throws {
    var declared = ConditionAttributes()
    var values: [(ConditionAttributes.Slot, ConditionValue)] = []
    func declare(_ name: String, _ type: ConditionType, _ value: ConditionValue?) throws {
      let slot = try declared.declare(name, type)
      if let value { values.append((slot, value)) }
    }
    try declare("subject.id", .string, .string("anna"))
    try declare("subject.department", .string, .string("engineering"))
    try declare("subject.level", .int, .int(5))
    try declare("subject.groups", .list(.string), .list([.string("dev"), .string("on-call")]))
    try declare(
      "subject.attributes", .map(key: .string, value: .dyn),
      .map(ConditionMap(["region": .string("eu"), "level": .int(3), "tags": .list([.null])])))
    try declare("resource.owner", .string, .string("anna"))
    try declare("resource.size", .uint, .uint(10))
    try declare("resource.score", .double, .double(0.5))
    try declare("resource.tag", .bytes, .bytes([1, 2, 255]))
    try declare("context.mfa", .bool, .bool(true))
    try declare("context.age", .duration, .duration(nanoseconds: 90_000_000_000))
    let now = ConditionTimestamp(seconds: 1_790_000_000)
    try declare("now", .timestamp, now.map { .timestamp($0) })
    try declare(
      "anything", .dyn,
      .list([.int(1), .string("x"), .map(ConditionMap(["k": .double(1)]))]))
    try declare("absent", .string, nil)
    attributes = declared
    empty = ConditionInput(for: declared)
    var full = empty
    for (slot, value) in values { full[slot] = value }
    self.full = full
  }
}
