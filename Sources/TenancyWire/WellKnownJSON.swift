public import Tenancy
/// The proto3 JSON mapping of plain values.
enum WireJSON {
  static func scalar(_ value: Int32) -> JSONValue { .number(Double(value)) }
  static func scalar(_ value: UInt32) -> JSONValue { .number(Double(value)) }
  static func scalar(_ value: Float) -> JSONValue { scalar(Double(value)) }

  /// 64-bit numbers are text: JSON readers keep only 53 bits.
  static func scalar(_ value: Int64) -> JSONValue { .string(String(value)) }
  static func scalar(_ value: UInt64) -> JSONValue { .string(String(value)) }

  static func scalar(_ value: Double) -> JSONValue {
    if value.isNaN { return .string("NaN") }
    if value.isInfinite { return .string(value < 0 ? "-Infinity" : "Infinity") }
    return .number(value)
  }

  /// Base64 with padding.
  static func bytes(_ bytes: [UInt8]) -> JSONValue {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count + 2) / 3 * 4)
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = bytes[start..<min(start + 3, bytes.count)]
      let bits = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
      for position in 0..<4 {
        let isPadding = position > group.count
        text.append(isPadding ? UInt8(ascii: "=") : alphabet[bits >> (18 - 6 * position) & 63])
      }
    }
    return .string(String(decoding: text, as: UTF8.self))
  }

  /// A fraction of a second, such as `.500`, with 3, 6 or 9 digits. Empty for none, and for what
  /// is out of range.
  static func fraction(nanos: Int32) -> String {
    guard (1..<1_000_000_000).contains(nanos) else { return "" }
    if nanos % 1_000_000 == 0 { return "." + padded(Int64(nanos / 1_000_000), to: 3) }
    if nanos % 1_000 == 0 { return "." + padded(Int64(nanos / 1_000), to: 6) }
    return "." + padded(Int64(nanos), to: 9)
  }

  static func padded(_ number: Int64, to width: Int) -> String {
    let digits = String(number.magnitude)
    let zeros = String(repeating: "0", count: max(0, width - digits.count))
    return (number < 0 ? "-" : "") + zeros + digits
  }
}

extension GoogleProtobuf.Timestamp {
  /// RFC 3339 in UTC, such as `2026-01-31T09:30:00.250Z`.
  public func json() -> JSONValue {
    let secondsOfDay = ((seconds % 86_400) + 86_400) % 86_400
    let days = seconds / 86_400 - (seconds % 86_400 < 0 ? 1 : 0)
    let (year, month, day) = Self.date(daysSinceEpoch: days)
    let date = [(year, 4), (month, 2), (day, 2)].map(WireJSON.padded).joined(separator: "-")
    let time = [secondsOfDay / 3_600, secondsOfDay / 60 % 60, secondsOfDay % 60]
      .map { WireJSON.padded($0, to: 2) }.joined(separator: ":")
    return .string("\(date)T\(time)\(WireJSON.fraction(nanos: nanos))Z")
  }

  /// The proleptic Gregorian date. Counts in years from March, so that leap days come last, and in
  /// eras of 400 years, which all have the same number of days.
  private static func date(daysSinceEpoch: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let daysPerEra: Int64 = 146_097
    let days = daysSinceEpoch + 719_468  // Since 0000-03-01.
    let dayOfEra = ((days % daysPerEra) + daysPerEra) % daysPerEra
    let era = (days - dayOfEra) / daysPerEra
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
  }
}

extension GoogleProtobuf.Duration {
  /// Seconds, such as `1.500s`.
  public func json() -> JSONValue {
    let sign = seconds < 0 || nanos < 0 ? "-" : ""
    let fraction = WireJSON.fraction(nanos: nanos == .min ? 0 : abs(nanos))
    return .string("\(sign)\(seconds.magnitude)\(fraction)s")
  }
}

extension GoogleProtobuf.FieldMask {
  /// The paths in lowerCamelCase, separated by commas.
  public func json() -> JSONValue {
    .string(paths.map(Self.lowerCamel).joined(separator: ","))
  }

  private static func lowerCamel(_ path: String) -> String {
    var result = ""
    var raisesNext = false
    for character in path {
      if character == "_" {
        raisesNext = true
      } else {
        result += raisesNext ? character.uppercased() : String(character)
        raisesNext = false
      }
    }
    return result
  }
}

extension GoogleProtobuf.`Any` {
  /// The type and the encoded message: which message that is, only its reader knows.
  public func json() -> JSONValue {
    .object(["@type": .string(typeUrl), "value": WireJSON.bytes(value)])
  }
}
