import Testing

@testable import Tenancy

struct TimestampTests {
  @Test func clocksOutsideTheRangeAreAtItsEnds() {
    #expect(Timestamp(seconds: 1, subsecondNanoseconds: 5) == Timestamp(nanoseconds: 1_000_000_005))
    #expect(
      Timestamp(seconds: 9_300_000_000, subsecondNanoseconds: 0) == Timestamp(nanoseconds: .max))
    #expect(
      Timestamp(seconds: 9_223_372_036, subsecondNanoseconds: 999_999_999)
        == Timestamp(nanoseconds: .max))
    #expect(Timestamp(seconds: -1, subsecondNanoseconds: 0) == Timestamp(nanoseconds: 0))
    #expect(Timestamp(nanoseconds: .max) + Days(30) == Timestamp(nanoseconds: .max))
  }
}
