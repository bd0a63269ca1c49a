/// Moments, durations and time zones as text. Langdef, "Date/Time Functions", "Timezones".
enum TimeText {
  /// Reads what it is asked for, byte by byte.
  private struct Reader {
    let bytes: [UInt8]
    var at = 0

    init(_ text: String) { bytes = Array(text.utf8) }

    var isAtEnd: Bool { at == bytes.count }
    var next: UInt8 { at < bytes.count ? bytes[at] : 0 }

    mutating func accept(_ byte: UInt8) -> Bool {
      guard next == byte, !isAtEnd else { return false }
      at += 1
      return true
    }

    mutating func number(digits: Int) -> Int64? {
      var value: Int64 = 0
      for _ in 0..<digits {
        guard Lexer.isDigit(next) else { return nil }
        value = value * 10 + Int64(next & 0x0F)
        at += 1
      }
      return value
    }

    /// Digits after a point, as billionths; up to nine of them.
    mutating func billionths() -> Int64? {
      var value: Int64 = 0
      var digits = 0
      while Lexer.isDigit(next), digits < 9 {
        value = value * 10 + Int64(next & 0x0F)
        digits += 1
        at += 1
      }
      guard digits > 0, !Lexer.isDigit(next) else { return nil }
      for _ in digits..<9 { value *= 10 }
      return value
    }

    /// `+hh:mm` or `-hh:mm`, in seconds.
    mutating func offset() -> Int64? {
      let isWest = accept(UInt8(ascii: "-"))
      if !isWest, !accept(UInt8(ascii: "+")) { return nil }
      guard let hours = number(digits: 2), hours < 24, accept(UInt8(ascii: ":")),
        let minutes = number(digits: 2), minutes < 60
      else { return nil }
      return (isWest ? -1 : 1) * (hours * 3_600 + minutes * 60)
    }
  }

  /// A moment in RFC 3339, with up to nine digits of a second; nil if it is none.
  static func timestamp(_ text: String) -> ConditionTimestamp? {
    guard text.utf8.count <= 64 else { return nil }
    var reader = Reader(text)
    let dash = UInt8(ascii: "-")
    let colon = UInt8(ascii: ":")
    guard let year = reader.number(digits: 4), year > 0, reader.accept(dash),
      let month = reader.number(digits: 2), month >= 1, month <= 12, reader.accept(dash),
      let day = reader.number(digits: 2), day >= 1,
      day <= CivilTime.daysInMonth(year: year, month: month), reader.accept(UInt8(ascii: "T")),
      let hour = reader.number(digits: 2), hour < 24, reader.accept(colon),
      let minute = reader.number(digits: 2), minute < 60, reader.accept(colon),
      let second = reader.number(digits: 2), second < 60
    else { return nil }
    var fraction: Int64 = 0
    if reader.accept(UInt8(ascii: ".")) {
      guard let part = reader.billionths() else { return nil }
      fraction = part
    }
    var offset: Int64 = 0
    if !reader.accept(UInt8(ascii: "Z")) {
      guard let east = reader.offset() else { return nil }
      offset = east
    }
    guard reader.isAtEnd else { return nil }
    let days = CivilTime.days(year: year, month: month, day: day)
    return ConditionTimestamp(
      seconds: days * 86_400 + hour * 3_600 + minute * 60 + second - offset,
      nanoseconds: Int32(truncatingIfNeeded: fraction))
  }

  /// A duration such as `-1h2.5m`, in nanoseconds; nil if it is none, or out of range.
  static func duration(_ text: String) -> Int64? {
    guard text.utf8.count <= 128 else { return nil }
    var reader = Reader(text)
    let isNegative = reader.accept(UInt8(ascii: "-"))
    if !isNegative { _ = reader.accept(UInt8(ascii: "+")) }
    if reader.next == UInt8(ascii: "0"), reader.at == reader.bytes.count - 1 { return 0 }
    guard !reader.isAtEnd else { return nil }
    // Below zero, where there is one more of them.
    var total: Int64 = 0
    while !reader.isAtEnd {
      guard let part = part(&reader) else { return nil }
      let (sum, over) = total.subtractingReportingOverflow(part)
      if over { return nil }
      total = sum
    }
    if isNegative { return total }
    return total == .min ? nil : -total
  }

  /// One number and its unit, in nanoseconds.
  private static func part(_ reader: inout Reader) -> Int64? {
    var whole: Int64 = 0
    var digits = 0
    while Lexer.isDigit(reader.next) {
      let (scaled, over) = whole.multipliedReportingOverflow(by: 10)
      let (sum, carry) = scaled.addingReportingOverflow(Int64(reader.next & 0x0F))
      if over || carry { return nil }
      whole = sum
      digits += 1
      reader.at += 1
    }
    // Of a fraction, what a billionth of an hour is made of; the rest is below a nanosecond.
    var fraction: Int64 = 0
    var scale: Int64 = 1
    if reader.accept(UInt8(ascii: ".")) {
      while Lexer.isDigit(reader.next) {
        if scale < 100_000_000_000_000 {
          fraction = fraction * 10 + Int64(reader.next & 0x0F)
          scale *= 10
        }
        digits += 1
        reader.at += 1
      }
    }
    guard digits > 0, let unit = unit(&reader) else { return nil }
    let (scaled, over) = whole.multipliedReportingOverflow(by: unit)
    let small = fraction.multipliedFullWidth(by: unit)
    let part = scale.dividingFullWidth(small).quotient
    let (sum, carry) = scaled.addingReportingOverflow(part)
    return over || carry ? nil : sum
  }

  private static func unit(_ reader: inout Reader) -> Int64? {
    if reader.accept(UInt8(ascii: "h")) { return 3_600_000_000_000 }
    if reader.accept(UInt8(ascii: "m")) {
      return reader.accept(UInt8(ascii: "s")) ? 1_000_000 : 60_000_000_000
    }
    if reader.accept(UInt8(ascii: "s")) { return 1_000_000_000 }
    if reader.accept(UInt8(ascii: "u")) {
      return reader.accept(UInt8(ascii: "s")) ? 1_000 : nil
    }
    guard reader.accept(UInt8(ascii: "n")) else { return nil }
    return reader.accept(UInt8(ascii: "s")) ? 1 : nil
  }

  /// The seconds east of Greenwich of `UTC`, `+hh:mm`, `-hh:mm` or `hh:mm`; nil of anything else:
  /// there is no database of named time zones here.
  static func zone(_ text: String) -> Int64? {
    let bytes = text.utf8Span.span
    if bytes.count == 3, bytes[0] == 0x55, bytes[1] == 0x54, bytes[2] == 0x43 { return 0 }
    let sign = bytes.count == 6 ? bytes[0] : UInt8(ascii: "+")
    guard bytes.count == 5 || bytes.count == 6,
      sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-")
    else { return nil }
    let start = bytes.count - 5
    for place in start..<bytes.count where place != start + 2 {
      guard Lexer.isDigit(bytes[place]) else { return nil }
    }
    let hours = Int64(bytes[start] & 0x0F) * 10 + Int64(bytes[start + 1] & 0x0F)
    let minutes = Int64(bytes[start + 3] & 0x0F) * 10 + Int64(bytes[start + 4] & 0x0F)
    guard bytes[start + 2] == UInt8(ascii: ":"), hours < 24, minutes < 60 else { return nil }
    return (sign == UInt8(ascii: "-") ? -1 : 1) * (hours * 3_600 + minutes * 60)
  }

  /// A moment in RFC 3339, in UTC.
  static func text(_ moment: ConditionTimestamp) -> String {
    let civil = CivilTime(moment, offset: 0)
    let date = "\(padded(civil.year, 4))-\(padded(civil.month, 2))-\(padded(civil.day, 2))"
    let time = "\(padded(civil.hour, 2)):\(padded(civil.minute, 2)):\(padded(civil.second, 2))"
    return "\(date)T\(time)\(fraction(Int64(moment.nanoseconds)))Z"
  }

  /// A duration as seconds, such as `-1.5s`.
  static func text(nanoseconds: Int64) -> String {
    let (whole, rest) = nanoseconds.magnitude.quotientAndRemainder(dividingBy: 1_000_000_000)
    return "\(nanoseconds < 0 ? "-" : "")\(whole)\(fraction(Int64(rest)))s"
  }

  private static func padded(_ value: Int64, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
  }

  private static func fraction(_ nanoseconds: Int64) -> String {
    guard nanoseconds != 0 else { return "" }
    var digits = padded(nanoseconds, 9)
    while digits.utf8.last == 0x30 { digits.removeLast() }
    return "." + digits
  }
}
