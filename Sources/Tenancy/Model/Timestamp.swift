/// A moment: nanoseconds since 1970-01-01T00:00:00Z, without leap seconds. Good from 1970 to 2262.
public struct Timestamp: Hashable, Comparable, Sendable {
  /// Since 1970-01-01T00:00:00Z.
  public let nanoseconds: Int64

  /// - Parameter nanoseconds: since 1970-01-01T00:00:00Z.
  public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  /// Before 1970 and beyond 2262: the nearest moment that there is.
  public init(seconds: Int64, subsecondNanoseconds: Int64) {
    let (whole, overflow) = max(0, seconds).multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, carry) = whole.addingReportingOverflow(subsecondNanoseconds)
    nanoseconds = overflow || carry ? .max : sum
  }

  public static func < (a: Self, b: Self) -> Bool { a.nanoseconds < b.nanoseconds }

  /// Days of 24 hours. Beyond what there is: the nearest moment.
  public static func + (moment: Self, days: Days) -> Timestamp {
    let (sum, overflow) = moment.nanoseconds.addingReportingOverflow(
      days.count * 86_400 * 1_000_000_000)
    return Timestamp(nanoseconds: overflow ? (days.count < 0 ? .min : .max) : sum)
  }

  /// Beyond what there is: the nearest moment.
  public static func + (moment: Self, duration: Duration) -> Timestamp {
    let (seconds, attoseconds) = duration.components
    let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    let (span, carry) = whole.addingReportingOverflow(attoseconds / 1_000_000_000)
    let (sum, excess) = moment.nanoseconds.addingReportingOverflow(span)
    guard overflow || carry || excess else { return Timestamp(nanoseconds: sum) }
    return Timestamp(nanoseconds: duration < .zero ? .min : .max)
  }

  /// Whole seconds since 1970.
  public var seconds: Int64 { nanoseconds / 1_000_000_000 }
  /// Beyond the whole seconds: 0 to 999,999,999.
  public var subsecondNanoseconds: Int32 { Int32(nanoseconds % 1_000_000_000) }
  /// Whole milliseconds since 1970; 0 before that.
  public var milliseconds: UInt64 { UInt64(max(0, nanoseconds / 1_000_000)) }
}

/// A number of whole days.
public struct Days: Sendable {
  /// May be negative.
  public let count: Int64
  /// - Parameter count: may be negative.
  public init(_ count: Int64) { self.count = count }
}
