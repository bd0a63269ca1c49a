/// Arithmetic: what leaves its range is an error. Langdef, "Overflow", "Arithmetic Operators".
enum Arithmetic {
  typealias Reason = ConditionFailure.Reason

  static func negate(_ operand: ConditionValue) throws(Reason) -> ConditionValue {
    switch operand {
    case .int(let value):
      guard value != .min else { throw .overflow }
      return .int(-value)
    case .double(let value): return .double(-value)
    default: throw .noSuchOverload
    }
  }

  static func calculate(
    _ operation: Instruction.Operation, _ left: ConditionValue, _ right: ConditionValue
  ) throws(Reason) -> ConditionValue {
    switch (left, right) {
    case (.int(let left), .int(let right)): return .int(try integer(operation, left, right))
    case (.uint(let left), .uint(let right)): return .uint(try integer(operation, left, right))
    case (.double(let left), .double(let right)):
      return .double(try double(operation, left, right))
    default: return try time(operation, left, right)
    }
  }

  private static func integer<Integer: FixedWidthInteger>(
    _ operation: Instruction.Operation, _ left: Integer, _ right: Integer
  ) throws(Reason) -> Integer {
    let (result, over): (Integer, Bool)
    switch operation {
    case .add: (result, over) = left.addingReportingOverflow(right)
    case .subtract: (result, over) = left.subtractingReportingOverflow(right)
    case .multiply: (result, over) = left.multipliedReportingOverflow(by: right)
    case .divide, .modulo:
      guard right != 0 else { throw .divisionByZero }
      (result, over) =
        operation == .divide
        ? left.dividedReportingOverflow(by: right)
        : left.remainderReportingOverflow(dividingBy: right)
    default: throw .noSuchOverload
    }
    if over { throw .overflow }
    return result
  }

  private static func double(
    _ operation: Instruction.Operation, _ left: Double, _ right: Double
  ) throws(Reason) -> Double {
    switch operation {
    case .add: return left + right
    case .subtract: return left - right
    case .multiply: return left * right
    case .divide: return left / right
    default: throw .noSuchOverload
    }
  }

  private static func time(
    _ operation: Instruction.Operation, _ left: ConditionValue, _ right: ConditionValue
  ) throws(Reason) -> ConditionValue {
    switch (operation, left, right) {
    case (.add, .duration(let left), .duration(let right)):
      return .duration(nanoseconds: try integer(.add, left, right))
    case (.subtract, .duration(let left), .duration(let right)):
      return .duration(nanoseconds: try integer(.subtract, left, right))
    case (.add, .timestamp(let moment), .duration(let length)),
      (.add, .duration(let length), .timestamp(let moment)):
      guard let sum = moment.adding(nanoseconds: length) else { throw .overflow }
      return .timestamp(sum)
    case (.subtract, .timestamp(let moment), .duration(let length)):
      guard let difference = moment.subtracting(nanoseconds: length) else { throw .overflow }
      return .timestamp(difference)
    case (.subtract, .timestamp(let left), .timestamp(let right)):
      guard let length = left.nanoseconds(since: right) else { throw .overflow }
      return .duration(nanoseconds: length)
    default: throw .noSuchOverload
    }
  }
}

/// Numbers of different types, compared as on one line. Langdef, "Numbers".
enum Numbers {
  /// Below, at or above zero, as `left` is to `right`; nil if one is not a number.
  static func order(_ left: ConditionValue, _ right: ConditionValue) -> Int?? {
    switch (left, right) {
    case (.int(let left), .int(let right)): sign(left, right)
    case (.uint(let left), .uint(let right)): sign(left, right)
    case (.double(let left), .double(let right)): order(left, right)
    case (.int(let left), .uint(let right)): left < 0 ? -1 : sign(UInt64(left), right)
    case (.uint(let left), .int(let right)): right < 0 ? 1 : sign(left, UInt64(right))
    case (.int(let left), .double(let right)): order(left, right)
    case (.double(let left), .int(let right)): reversed(order(right, left))
    case (.uint(let left), .double(let right)): order(left, right)
    case (.double(let left), .uint(let right)): reversed(order(right, left))
    default: nil
    }
  }

  private static func sign<Number: Comparable>(_ left: Number, _ right: Number) -> Int {
    left < right ? -1 : left == right ? 0 : 1
  }

  private static func reversed(_ order: Int?) -> Int? { order.map { -$0 } }

  private static func order(_ left: Double, _ right: Double) -> Int? {
    left.isNaN || right.isNaN ? .none : .some(sign(left, right))
  }

  /// By the double that is nearest to the integer, as cel-spec's vectors have it: the largest int
  /// equals 2^63.
  private static func order<Integer: FixedWidthInteger>(_ left: Integer, _ right: Double) -> Int? {
    if right < Double(Integer.min) { return 1 }
    if right > Double(Integer.max) { return -1 }
    return order(Double(left), right)
  }
}
