import TenancyWire
import Testing

@testable import tenantctl

/// What is told of decisions that are missing in those that were shown.
struct DecisionGapsTests {
  private func page(
    _ times: [Int64] = [], leftOut: UInt64 = 0, since: Int64 = 0
  ) -> V1.ListDecisionsResponse {
    V1.ListDecisionsResponse(
      decisions: times.map {
        V1.RecordedDecision(time: GoogleProtobuf.Timestamp(seconds: $0))
      },
      leftOut: leftOut, completeSince: GoogleProtobuf.Timestamp(seconds: since))
  }

  @Test func nothingIsToldWhereNothingIsMissing() {
    var gaps = DecisionGaps(isFiltered: false)
    #expect(gaps.notes(page([10, 11], since: 10)).isEmpty)
    // Those that were shown are overwritten.
    #expect(gaps.notes(page([12], since: 11)).isEmpty)
    #expect(gaps.notes(page(since: 20)).isEmpty)
  }

  @Test func whatWasLeftOutIsToldOnce() {
    var gaps = DecisionGaps(isFiltered: false)
    #expect(gaps.notes(page([10], leftOut: 3)).first?.hasPrefix("3 ") ?? false)
    #expect(gaps.notes(page([11], leftOut: 3)).isEmpty)
    #expect(gaps.notes(page([12], leftOut: 5, since: 12)).first?.hasPrefix("2 ") ?? false)
    // The node counts anew.
    #expect(gaps.notes(page([13], leftOut: 1)).first?.hasPrefix("1 ") ?? false)
  }

  @Test func whatWasOverwrittenIsTold() {
    var gaps = DecisionGaps(isFiltered: false)
    #expect(gaps.notes(page([10])).isEmpty)
    #expect(gaps.notes(page([15], since: 12)).first?.contains("may be missing") ?? false)
    var filtered = DecisionGaps(isFiltered: true)
    #expect(filtered.notes(page([10])).isEmpty)
    #expect(filtered.notes(page([15], since: 12)).isEmpty)
  }
}
