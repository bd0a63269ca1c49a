import Testing

@testable import TenancyConditions

/// The attributes that most tests use.
enum Sample {
  static let types: [(String, ConditionType)] = [
    ("subject.id", .string), ("subject.department", .string), ("subject.level", .int),
    ("subject.groups", .list(.string)),
    ("subject.attributes", .map(key: .string, value: .dyn)),
    ("resource.owner", .string), ("resource.level", .int), ("resource.size", .uint),
    ("resource.score", .double), ("resource.tag", .bytes), ("context.mfa", .bool),
    ("context.age", .duration), ("now", .timestamp), ("anything", .dyn), ("absent", .string),
    ("missing", .bool), ("subject.absent", .string), ("numbers", .list(.int)),
    ("counts", .map(key: .string, value: .int)),
  ]

  static let attributes: ConditionAttributes = {
    var attributes = ConditionAttributes()
    for (name, type) in types {
      do { try attributes.declare(name, type) } catch { Issue.record("\(name): \(error)") }
    }
    return attributes
  }()

  static let values: [String: ConditionValue] = [
    "subject.id": .string("anna"), "subject.department": .string("engineering"),
    "subject.level": .int(5), "subject.groups": .list([.string("dev"), .string("ops")]),
    "subject.attributes": .map(
      ConditionMap(["region": .string("eu"), "level": .double(3), "none": .null])),
    "resource.owner": .string("anna"), "resource.level": .int(3), "resource.size": .uint(10),
    "resource.score": .double(0.5), "resource.tag": .bytes([1, 255]), "context.mfa": .bool(true),
    "context.age": .duration(nanoseconds: 90_000_000_000),
    "now": .timestamp(moment(1_790_000_000)), "anything": .list([.int(1), .string("x")]),
    "numbers": .list([.int(3), .int(1), .int(2)]),
    "counts": .map(ConditionMap(["a": .int(1), "b": .int(2)])),
  ]

  static let input = input(values)

  static func input(_ values: [String: ConditionValue]) -> ConditionInput {
    var input = ConditionInput(for: attributes)
    for (name, value) in values {
      if let slot = attributes.slot(name) { input[slot] = value }
    }
    return input
  }

  static func moment(_ seconds: Int64, _ nanoseconds: Int32 = 0) -> ConditionTimestamp {
    guard let moment = ConditionTimestamp(seconds: seconds, nanoseconds: nanoseconds) else {
      preconditionFailure("a test's own moment is out of range")
    }
    return moment
  }
}

func compile(_ source: String, _ limits: ConditionLimits = ConditionLimits()) throws -> Condition {
  try Condition(parsing: source, attributes: Sample.attributes, limits: limits)
}

/// `true`, `false`, the reason of a failure, or the code of a refusal.
func outcome(_ source: String, _ input: ConditionInput = Sample.input) -> String {
  do {
    let condition = try compile(source)
    let (outcome, used) = condition.evaluateCounting(input)
    if UInt64(used) > condition.cost { return "used \(used) of \(condition.cost)" }
    switch outcome {
    case .satisfied: return "true"
    case .unsatisfied: return "false"
    case .failed(let failure): return failure.reason.description
    }
  } catch let error as ConditionError {
    return error.code.description
  } catch {
    return "\(error)"
  }
}

/// Why an expression is refused.
func refusal(_ source: String, _ limits: ConditionLimits = ConditionLimits()) -> String {
  do {
    _ = try compile(source, limits)
    return "accepted"
  } catch {
    return "\(error)"
  }
}

/// SplitMix64: the same numbers from the same seed.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(max(1, bound))) }

  mutating func pick<Element>(_ elements: [Element]) -> Element {
    elements[below(elements.count)]
  }
}
