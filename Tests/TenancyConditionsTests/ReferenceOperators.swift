@testable import TenancyConditions

/// Operators and functions for the naive evaluation, by other means than the engine's.
enum NaiveOperators {
  private static func scalars(_ text: String) -> [UInt32] { text.unicodeScalars.map(\.value) }

  /// All of a moment's nanoseconds.
  private static func nanoseconds(_ moment: ConditionTimestamp) -> Int128 {
    Int128(moment.seconds) * 1_000_000_000 + Int128(moment.nanoseconds)
  }

  private static func moment(_ nanoseconds: Int128) throws -> ConditionValue {
    let (whole, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
    let seconds = rest < 0 ? whole - 1 : whole
    guard let seconds = Int64(exactly: seconds),
      let moment = ConditionTimestamp(
        seconds: seconds, nanoseconds: Int32(rest < 0 ? rest + 1_000_000_000 : rest))
    else { throw NaiveError() }
    return .timestamp(moment)
  }

  /// -1, 0 or 1; nil if there is no order.
  static func order(_ left: ConditionValue, _ right: ConditionValue) -> Int? {
    func sign<Value: Comparable>(_ left: Value, _ right: Value) -> Int {
      left < right ? -1 : left > right ? 1 : 0
    }
    func list<Value: Comparable>(_ left: [Value], _ right: [Value]) -> Int {
      left.lexicographicallyPrecedes(right) ? -1 : left == right ? 0 : 1
    }
    switch (left, right) {
    case (.bool(let left), .bool(let right)): return sign(left ? 1 : 0, right ? 1 : 0)
    case (.string(let left), .string(let right)): return list(scalars(left), scalars(right))
    case (.bytes(let left), .bytes(let right)): return list(left, right)
    case (.timestamp(let left), .timestamp(let right)):
      return sign(nanoseconds(left), nanoseconds(right))
    case (.duration(let left), .duration(let right)): return sign(left, right)
    default: break
    }
    if let left = integer(left), let right = integer(right) { return sign(left, right) }
    guard let left = double(left), let right = double(right), !left.isNaN, !right.isNaN else {
      return nil
    }
    return sign(left, right)
  }

  private static func integer(_ value: ConditionValue) -> Int128? {
    switch value {
    case .int(let number): Int128(number)
    case .uint(let number): Int128(number)
    default: nil
    }
  }

  private static func double(_ value: ConditionValue) -> Double? {
    if case .double(let number) = value { return number }
    return integer(value).map { Double($0) }
  }

  static func equal(_ left: ConditionValue, _ right: ConditionValue) -> Bool {
    switch (left, right) {
    case (.null, .null): true
    case (.type(let left), .type(let right)): left == right
    case (.list(let left), .list(let right)):
      left.count == right.count && zip(left, right).allSatisfy { equal($0, $1) }
    case (.map(let left), .map(let right)):
      left.count == right.count
        && left.entries.allSatisfy { entry in
          right.entries.contains { equal($0.key, entry.key) && equal($0.value, entry.value) }
        }
    default: order(left, right) == 0
    }
  }

  static func apply(_ name: String, _ left: ConditionValue, _ right: ConditionValue) throws
    -> ConditionValue
  {
    switch name {
    case "==": return .bool(equal(left, right))
    case "!=": return .bool(!equal(left, right))
    case "<", "<=", ">", ">=":
      guard let order = order(left, right) else {
        guard double(left) != nil, double(right) != nil else { throw NaiveError() }
        return .bool(false)
      }
      return .bool(
        name == "<" ? order < 0 : name == "<=" ? order <= 0 : name == ">" ? order > 0 : order >= 0)
    case "in":
      switch right {
      case .list(let elements): return .bool(elements.contains { equal($0, left) })
      case .map(let map): return .bool(map.entries.contains { equal($0.key, left) })
      default: throw NaiveError()
      }
    default: return try arithmetic(name, left, right)
    }
  }

  private static func whole(_ name: String, _ left: Int128, _ right: Int128) throws -> Int128 {
    switch name {
    case "+": return left + right
    case "-": return left - right
    case "*": return left * right
    default:
      guard right != 0 else { throw NaiveError() }
      return name == "/" ? left / right : left % right
    }
  }

  private static func arithmetic(
    _ name: String, _ left: ConditionValue, _ right: ConditionValue
  ) throws -> ConditionValue {
    func exact<Integer: FixedWidthInteger>(_ number: Int128, _: Integer.Type) throws -> Integer {
      guard let exact = Integer(exactly: number) else { throw NaiveError() }
      return exact
    }
    switch (left, right, name) {
    case (.int(let left), .int(let right), _):
      let result = try whole(name, Int128(left), Int128(right))
      if name == "%", left == .min, right == -1 { throw NaiveError() }
      return .int(try exact(result, Int64.self))
    case (.uint(let left), .uint(let right), _):
      let (product, over) = left.multipliedReportingOverflow(by: right)
      if name == "*" {
        if over { throw NaiveError() }
        return .uint(product)
      }
      return .uint(try exact(try whole(name, Int128(left), Int128(right)), UInt64.self))
    case (.double(let left), .double(let right), "+"): return .double(left + right)
    case (.double(let left), .double(let right), "-"): return .double(left - right)
    case (.double(let left), .double(let right), "*"): return .double(left * right)
    case (.double(let left), .double(let right), "/"): return .double(left / right)
    case (.string(let left), .string(let right), "+"): return .string("\(left)\(right)")
    case (.bytes(let left), .bytes(let right), "+"): return .bytes(left + right)
    case (.list(let left), .list(let right), "+"): return .list(left + right)
    case (.duration(let left), .duration(let right), "+"),
      (.duration(let left), .duration(let right), "-"):
      return .duration(
        nanoseconds: try exact(try whole(name, Int128(left), Int128(right)), Int64.self))
    case (.timestamp(let left), .duration(let right), "+"),
      (.timestamp(let left), .duration(let right), "-"):
      return try moment(try whole(name, nanoseconds(left), Int128(right)))
    case (.duration(let left), .timestamp(let right), "+"):
      return try moment(Int128(left) + nanoseconds(right))
    case (.timestamp(let left), .timestamp(let right), "-"):
      return .duration(nanoseconds: try exact(nanoseconds(left) - nanoseconds(right), Int64.self))
    default: throw NaiveError()
    }
  }

  static func call(_ name: String, _ arguments: [ConditionValue]) throws -> ConditionValue {
    switch (name, arguments[0]) {
    case ("dyn", let value): return value
    case ("type", let value): return .type(value.kind)
    case ("size", .string(let text)): return .int(Int64(scalars(text).count))
    case ("size", .bytes(let bytes)): return .int(Int64(bytes.count))
    case ("size", .list(let elements)): return .int(Int64(elements.count))
    case ("size", .map(let map)): return .int(Int64(map.count))
    case ("contains", .string(let text)), ("startsWith", .string(let text)),
      ("endsWith", .string(let text)):
      guard case .string(let other) = arguments[1] else { throw NaiveError() }
      let text = scalars(text)
      let part = scalars(other)
      guard part.count <= text.count else { return .bool(false) }
      let places = (0...(text.count - part.count)).filter {
        Array(text[$0..<$0 + part.count]) == part
      }
      switch name {
      case "contains": return .bool(!places.isEmpty)
      case "startsWith": return .bool(places.contains(0))
      default: return .bool(places.contains(text.count - part.count))
      }
    default: return try conversion(name, arguments)
    }
  }

  private static func floor(_ number: Int128, _ divisor: Int128) -> Int128 {
    number / divisor - (number % divisor < 0 ? 1 : 0)
  }

  private static func conversion(_ name: String, _ arguments: [ConditionValue]) throws
    -> ConditionValue
  {
    switch (name, arguments[0]) {
    case ("int", .int), ("double", .double), ("string", .string): return arguments[0]
    case ("int", .uint(let number)):
      guard number <= UInt64(Int64.max) else { throw NaiveError() }
      return .int(Int64(number))
    case ("int", .double(let number)):
      guard abs(number) < 9_223_372_036_854_775_808.0 else { throw NaiveError() }
      return .int(Int64(number.rounded(.towardZero)))
    case ("double", .int(let number)): return .double(Double(number))
    case ("string", .int(let number)): return .string("\(number)")
    case ("string", .bool(let value)): return .string("\(value)")
    case ("int", .string(let text)):
      guard let number = Int64(text) else { throw NaiveError() }
      return .int(number)
    case ("getHours", .timestamp(let moment)):
      let hours = floor(nanoseconds(moment), 3_600_000_000_000)
      return .int(Int64(hours - floor(hours, 24) * 24))
    case ("getFullYear", .timestamp(let moment)):
      // Counted year by year from 1970.
      func days(_ year: Int64) -> Int128 {
        year % 400 == 0 || (year % 4 == 0 && year % 100 != 0) ? 366 : 365
      }
      var left = floor(nanoseconds(moment), 86_400_000_000_000)
      var year: Int64 = 1_970
      while left < 0 {
        year -= 1
        left += days(year)
      }
      while left >= days(year) {
        left -= days(year)
        year += 1
      }
      return .int(year)
    case ("getSeconds", .duration(let length)): return .int(length / 1_000_000_000)
    default: throw NaiveError()
    }
  }
}
