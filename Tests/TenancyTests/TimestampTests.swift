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

  @Test func spansAreAddedToTheNanosecond() {
    let moment = Timestamp(nanoseconds: 5_000_000_000)
    #expect(moment + Duration.seconds(2) == Timestamp(nanoseconds: 7_000_000_000))
    #expect(moment + Duration.nanoseconds(3) == Timestamp(nanoseconds: 5_000_000_003))
    #expect(moment + Duration.milliseconds(-1500) == Timestamp(nanoseconds: 3_500_000_000))
    #expect(moment + Duration.seconds(Int64.max) == Timestamp(nanoseconds: .max))
    #expect(moment + Duration.seconds(Int64.min) == Timestamp(nanoseconds: .min))
    #expect(
      Timestamp(nanoseconds: .max) + Duration.nanoseconds(1) == Timestamp(nanoseconds: .max))
    #expect(
      Timestamp(nanoseconds: .min) + Duration.nanoseconds(-1) == Timestamp(nanoseconds: .min))
  }
}
