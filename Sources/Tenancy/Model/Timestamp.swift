/// A moment: nanoseconds since 1970-01-01T00:00:00Z, without leap seconds. Good from 1970 to 2262.
public struct Timestamp: Hashable, Comparable, Sendable {
  public let nanoseconds: Int64

  public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  public static func < (a: Self, b: Self) -> Bool { a.nanoseconds < b.nanoseconds }

  public static func + (moment: Self, days: Days) -> Timestamp {
    Timestamp(nanoseconds: moment.nanoseconds + days.count * 86_400 * 1_000_000_000)
  }

  public var seconds: Int64 { nanoseconds / 1_000_000_000 }
  public var subsecondNanoseconds: Int32 { Int32(nanoseconds % 1_000_000_000) }
  public var milliseconds: UInt64 { UInt64(max(0, nanoseconds / 1_000_000)) }
}

/// A number of whole days.
public struct Days: Sendable {
  public let count: Int64
  public init(_ count: Int64) { self.count = count }
}
