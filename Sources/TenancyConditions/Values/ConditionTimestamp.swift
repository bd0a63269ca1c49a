/// A moment, from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999999Z. Langdef, "Overflow".
public struct ConditionTimestamp: Sendable, Hashable, Comparable {
  /// Seconds since 1970-01-01T00:00:00Z, rounded down.
  public let seconds: Int64
  /// Nanoseconds after that, 0 to 999,999,999.
  public let nanoseconds: Int32

  /// 0001-01-01T00:00:00Z.
  static let lowest: Int64 = -62_135_596_800
  /// 9999-12-31T23:59:59Z.
  static let highest: Int64 = 253_402_300_799

  /// A moment; nil if it is outside the range.
  public init?(seconds: Int64, nanoseconds: Int32 = 0) {
    guard seconds >= Self.lowest, seconds <= Self.highest, nanoseconds >= 0,
      nanoseconds < 1_000_000_000
    else { return nil }
    self.seconds = seconds
    self.nanoseconds = nanoseconds
  }

  public static func < (left: Self, right: Self) -> Bool {
    left.seconds != right.seconds
      ? left.seconds < right.seconds : left.nanoseconds < right.nanoseconds
  }

  /// This much later; nil outside the range.
  func adding(nanoseconds more: Int64) -> ConditionTimestamp? {
    var (whole, rest) = more.quotientAndRemainder(dividingBy: 1_000_000_000)
    rest += Int64(nanoseconds)
    if rest < 0 {
      rest += 1_000_000_000
      whole -= 1
    } else if rest >= 1_000_000_000 {
      rest -= 1_000_000_000
      whole += 1
    }
    return ConditionTimestamp(
      seconds: seconds + whole, nanoseconds: Int32(truncatingIfNeeded: rest))
  }

  /// The nanoseconds from `other` to this; nil if they are more than ±292 years.
  func nanoseconds(since other: ConditionTimestamp) -> Int64? {
    let whole = seconds - other.seconds
    let rest = Int64(nanoseconds) - Int64(other.nanoseconds)
    // Towards zero, so that the smallest duration does not overflow on its way.
    let (towards, part) =
      whole < 0 && rest > 0 ? (whole + 1, rest - 1_000_000_000) : (whole, rest)
    let (scaled, over) = towards.multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, carry) = scaled.addingReportingOverflow(part)
    return over || carry ? nil : sum
  }

  /// This much earlier; nil outside the range.
  func subtracting(nanoseconds less: Int64) -> ConditionTimestamp? {
    guard less != .min else {
      return adding(nanoseconds: .max)?.adding(nanoseconds: 1)
    }
    return adding(nanoseconds: -less)
  }
}

/// A day and a time of day, in the proleptic Gregorian calendar.
struct CivilTime {
  var year: Int64
  /// 1 to 12.
  var month: Int64
  /// 1 to 31.
  var day: Int64
  var hour: Int64
  var minute: Int64
  var second: Int64
  /// Days since 1970-01-01.
  let days: Int64

  /// The fields of a moment, this many seconds east of Greenwich.
  init(_ moment: ConditionTimestamp, offset: Int64) {
    let local = moment.seconds + offset
    days = (local >= 0 ? local : local - 86_399) / 86_400
    let rest = local - days * 86_400
    (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60)
    // From March on, so that a leap day is the last of its year; eras are 400 years.
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra =
      (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  }

  /// Days from 1970-01-01 to a date.
  static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
    let year = month <= 2 ? year - 1 : year
    let era = (year >= 0 ? year : year - 399) / 400
    let yearOfEra = year - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
  }

  static func daysInMonth(year: Int64, month: Int64) -> Int64 {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  /// 0 on Sunday.
  var dayOfWeek: Int64 { ((days + 4) % 7 + 7) % 7 }
  /// 0 on the first of January.
  var dayOfYear: Int64 { days - CivilTime.days(year: year, month: 1, day: 1) }
}
