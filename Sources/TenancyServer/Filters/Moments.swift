import Tenancy

extension Timestamp {
  /// A moment as RFC 3339 writes it: `2026-01-31T09:30:00.25+01:00`. Nil for anything else, for leap seconds and for
  /// what is before 1970 or after 2261.
  init?(rfc3339 text: String) {
    var rest = text.utf8[...]
    func digits(_ count: Int, _ range: ClosedRange<Int64>) -> Int64? {
      let some = rest.prefix(count)
      guard some.count == count, some.allSatisfy(Self.isDigit) else { return nil }
      rest.removeFirst(count)
      let number = some.reduce(0) { $0 * 10 + Int64($1 - UInt8(ascii: "0")) }
      return range.contains(number) ? number : nil
    }
    func takes(_ marks: StaticString) -> UInt8? {
      let isMark = marks.withUTF8Buffer { marks in rest.first.map(marks.contains) ?? false }
      return isMark ? rest.popFirst() : nil
    }
    guard let year = digits(4, 1970...2261), takes("-") != nil, let month = digits(2, 1...12),
      takes("-") != nil, let day = digits(2, 1...Self.days(in: month, of: year)),
      takes("Tt") != nil, let hour = digits(2, 0...23), takes(":") != nil,
      let minute = digits(2, 0...59), takes(":") != nil, let second = digits(2, 0...59)
    else { return nil }
    var nanoseconds: Int64 = 0
    if takes(".") != nil {
      let fraction = rest.prefix(while: Self.isDigit)
      guard (1...9).contains(fraction.count) else { return nil }
      rest.removeFirst(fraction.count)
      for place in 0..<9 {
        let digit = fraction.dropFirst(place).first.map { Int64($0 - UInt8(ascii: "0")) } ?? 0
        nanoseconds = nanoseconds * 10 + digit
      }
    }
    var offset: Int64 = 0
    if takes("Zz") == nil {
      guard let sign = takes("+-"), let hours = digits(2, 0...23), takes(":") != nil,
        let minutes = digits(2, 0...59)
      else { return nil }
      offset = (hours * 3600 + minutes * 60) * (sign == UInt8(ascii: "-") ? -1 : 1)
    }
    let seconds =
      Self.days(before: year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset
    guard rest.isEmpty, seconds >= 0 else { return nil }
    self.init(seconds: seconds, subsecondNanoseconds: nanoseconds)
  }

  private static func isDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
  }

  private static func isLeap(_ year: Int64) -> Bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
  }

  private static func days(in month: Int64, of year: Int64) -> Int64 {
    switch month {
    case 2: isLeap(year) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  /// Since 1970-01-01. A year of it begins with March, so that a leap day is its last.
  private static func days(before year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    let (year, month) = month > 2 ? (year, month - 3) : (year - 1, month + 9)
    let leapDays = year / 4 - year / 100 + year / 400
    return year * 365 + leapDays + (month * 153 + 2) / 5 + day - 1 - 719_468
  }
}
