/// Functions. Langdef, "String Functions", "Date/Time Functions", "Types and Conversions".
extension Machine {
  mutating func call(_ number: Int, _ first: ConditionValue, _ second: ConditionValue?)
    throws(Reason) -> ConditionValue
  {
    guard let function = Function(rawValue: number) else { throw .noSuchOverload }
    switch function {
    case .size: return .int(Int64(try size(first)))
    case .contains, .startsWith, .endsWith:
      guard case .string(let text) = first, case .string(let part)? = second else {
        throw .noSuchOverload
      }
      try chargeBytes(2 * (text.utf8.count + part.utf8.count))
      switch function {
      case .contains: return .bool(Text.contains(text, part))
      case .startsWith: return .bool(Text.hasPrefix(text, part))
      default: return .bool(Text.hasSuffix(text, part))
      }
    case .toBool, .toBytes, .toDouble, .toDuration, .toInt, .toString, .toTimestamp, .toUint:
      try charge(Conversions.cost)
      try chargeText(first)
      return try Conversions.convert(first, function)
    case .typeOf: return .type(first.kind)
    default: return .int(try getter(function, first, second))
    }
  }

  private mutating func chargeText(_ value: ConditionValue) throws(Reason) {
    switch value {
    case .string(let text): try chargeBytes(text.utf8.count)
    case .bytes(let bytes): try chargeBytes(bytes.count)
    default: break
    }
  }

  private mutating func size(_ value: ConditionValue) throws(Reason) -> Int {
    switch value {
    case .string(let text):
      try chargeBytes(text.utf8.count)
      return Text.codePoints(text)
    case .bytes(let bytes): return bytes.count
    case .list(let elements): return elements.count
    case .map(let map): return map.count
    default: throw .noSuchOverload
    }
  }

  private func getter(_ function: Function, _ first: ConditionValue, _ second: ConditionValue?)
    throws(Reason) -> Int64
  {
    var offset: Int64 = 0
    if let second {
      guard case .string(let zone) = second, case .timestamp = first else {
        throw .noSuchOverload
      }
      guard let seconds = TimeText.zone(zone) else { throw .invalidArgument }
      offset = seconds
    }
    switch first {
    case .duration(let nanoseconds): return try part(function, nanoseconds)
    case .timestamp(let moment): return try part(function, moment, offset)
    default: throw .noSuchOverload
    }
  }

  private func part(_ function: Function, _ nanoseconds: Int64) throws(Reason) -> Int64 {
    switch function {
    case .getHours: return nanoseconds / 3_600_000_000_000
    case .getMinutes: return nanoseconds / 60_000_000_000
    case .getSeconds: return nanoseconds / 1_000_000_000
    case .getMilliseconds: return nanoseconds / 1_000_000 % 1_000
    default: throw .noSuchOverload
    }
  }

  private func part(_ function: Function, _ moment: ConditionTimestamp, _ offset: Int64)
    throws(Reason) -> Int64
  {
    let civil = CivilTime(moment, offset: offset)
    switch function {
    case .getDate: return civil.day
    case .getDayOfMonth: return civil.day - 1
    case .getDayOfWeek: return civil.dayOfWeek
    case .getDayOfYear: return civil.dayOfYear
    case .getFullYear: return civil.year
    case .getHours: return civil.hour
    case .getMilliseconds: return Int64(moment.nanoseconds) / 1_000_000
    case .getMinutes: return civil.minute
    case .getMonth: return civil.month - 1
    case .getSeconds: return civil.second
    default: throw .noSuchOverload
    }
  }
}

/// Conversions between types. Langdef, "Types and Conversions".
enum Conversions {
  typealias Reason = ConditionFailure.Reason

  /// Units that any conversion costs: its result, if that is a text made of a number or a time.
  static let cost = 4

  static func convert(_ value: ConditionValue, _ function: Function) throws(Reason)
    -> ConditionValue
  {
    switch function {
    case .toBool: return try bool(value)
    case .toBytes: return try bytes(value)
    case .toDouble: return try double(value)
    case .toDuration: return try duration(value)
    case .toInt: return try int(value)
    case .toString: return try string(value)
    case .toTimestamp: return try timestamp(value)
    default: return try uint(value)
    }
  }

  private static func bool(_ value: ConditionValue) throws(Reason) -> ConditionValue {
    switch value {
    case .bool: return value
    case .string(let text):
      for word in ["1", "t", "true", "TRUE", "True"] where Text.same(text, word) {
        return .bool(true)
      }
      for word in ["0", "f", "false", "FALSE", "False"] where Text.same(text, word) {
        return .bool(false)
      }
      throw .invalidArgument
    default: throw .noSuchOverload
    }
  }

  private static func bytes(_ value: ConditionValue) throws(Reason) -> ConditionValue {
    switch value {
    case .bytes: return value
    case .string(let text): return .bytes(Array(text.utf8))
    default: throw .noSuchOverload
    }
  }

  private static func double(_ value: ConditionValue) throws(Reason) -> ConditionValue {
    switch value {
    case .double: return value
    case .int(let number): return .double(Double(number))
    case .uint(let number): return .double(Double(number))
    case .string(let text):
      guard isDecimal(text), let number = Double(text), number.isFinite else {
        throw .invalidArgument
      }
      return .double(number)
    default: throw .noSuchOverload
    }
  }

  /// `[+-]digits[.digits][e[+-]digits]`, no longer than any double needs.
  private static func isDecimal(_ text: String) -> Bool {
    guard text.utf8.count <= 1_100 else { return false }
    let bytes = Array(text.utf8)
    var at = 0
    func skipDigits() -> Int {
      let start = at
      while at < bytes.count, Lexer.isDigit(bytes[at]) { at += 1 }
      return at - start
    }
    func skip(_ choices: [UInt8]) -> Bool {
      guard at < bytes.count, choices.contains(bytes[at]) else { return false }
      at += 1
      return true
    }
    _ = skip([0x2B, 0x2D])
    var digits = skipDigits()
    if skip([0x2E]) { digits += skipDigits() }
    guard digits > 0 else { return false }
    if skip([0x65, 0x45]) {
      _ = skip([0x2B, 0x2D])
      guard skipDigits() > 0 else { return false }
    }
    return at == bytes.count
  }

  private static func duration(_ value: ConditionValue) throws(Reason) -> ConditionValue {
    switch value {
    case .duration: return value
    case .string(let text):
      guard let nanoseconds = TimeText.duration(text) else { throw .invalidArgument }
      return .duration(nanoseconds: nanoseconds)
    default: throw .noSuchOverload
    }
  }

  private static func timestamp(_ value: ConditionValue) throws(Reason) -> ConditionValue {
    switch value {
    case .timestamp: return value
    case .int(let seconds):
      guard let moment = ConditionTimestamp(seconds: seconds) else { throw .overflow }
      return .timestamp(moment)
    case .string(let text):
      guard let moment = TimeText.timestamp(text) else { throw .invalidArgument }
      return .timestamp(moment)
    default: throw .noSuchOverload
    }
  }

  private static func int(_ value: ConditionValue) throws(Reason) -> ConditionValue {
    switch value {
    case .int: return value
    case .uint(let number):
      guard let exact = Int64(exactly: number) else { throw .overflow }
      return .int(exact)
    case .double(let number):
      // Neither bound is included: whether they come back is up to the compiler, says the langdef.
      guard number > -0x1p63, number < 0x1p63 else { throw .overflow }
      return .int(Int64(number))
    case .string(let text):
      guard text.utf8.count <= 64, let number = Int64(text) else { throw .invalidArgument }
      return .int(number)
    case .timestamp(let moment): return .int(moment.seconds)
    default: throw .noSuchOverload
    }
  }

  private static func uint(_ value: ConditionValue) throws(Reason) -> ConditionValue {
    switch value {
    case .uint: return value
    case .int(let number):
      guard let exact = UInt64(exactly: number) else { throw .overflow }
      return .uint(exact)
    case .double(let number):
      guard number >= 0, number < 0x1p64 else { throw .overflow }
      return .uint(UInt64(number))
    case .string(let text):
      guard text.utf8.count <= 64, text.utf8.allSatisfy(Lexer.isDigit), let number = UInt64(text)
      else { throw .invalidArgument }
      return .uint(number)
    default: throw .noSuchOverload
    }
  }

  private static func string(_ value: ConditionValue) throws(Reason) -> ConditionValue {
    switch value {
    case .string: return value
    case .bool(let value): return .string(value ? "true" : "false")
    case .int(let number): return .string(String(number))
    case .uint(let number): return .string(String(number))
    case .double(let number): return .string(DoubleText.plain(number))
    case .bytes(let bytes):
      guard let text = String(validating: bytes, as: UTF8.self) else { throw .invalidArgument }
      return .string(text)
    case .timestamp(let moment): return .string(TimeText.text(moment))
    case .duration(let nanoseconds): return .string(TimeText.text(nanoseconds: nanoseconds))
    default: throw .noSuchOverload
    }
  }
}

/// Doubles as text.
enum DoubleText {
  /// The shortest that reads back as the same, without a trailing `.0`.
  static func plain(_ number: Double) -> String {
    if number.isNaN { return "NaN" }
    if number.isInfinite { return number < 0 ? "-Infinity" : "Infinity" }
    let text = number.description
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }
}
