import TenancyTestSupport
import Testing

@testable import Tenancy
@testable import TenancyRPCCore
@testable import TenancyRPCServer
@testable import TenancyServer

@Suite("Calls by tenant") struct TenantCallTableTests {
  private static func tag(_ number: Int) -> CallTag {
    CallTag(high: 0x0190_0000_0000_7000, low: UInt64(number))
  }

  private static func table(limit: Int, calls: [Int]) -> TenantCallTable {
    var table = TenantCallTable(limit: limit)
    for (time, number) in calls.enumerated() {
      table.add(tag(number), number % 3 == 0 ? .denied : .ok, at: UInt64(time + 1))
    }
    return table
  }

  @Test func allAreCountedWhileThereIsRoom() {
    let calls = (0..<3).flatMap { _ in 1...1000 } + (1...100)
    let table = Self.table(limit: 1000, calls: calls)
    #expect(table.count == 1000 && table.forgotten == 0 && table.lastForgotten == nil)
    #expect(table.calls == 3100)
    for number in 1...1000 {
      let counts = table[Self.tag(number)]?.counts
      #expect(counts?.all == (number <= 100 ? 4 : 3))
      #expect(counts?[.denied] == (number % 3 == 0 ? counts?.all : 0))
      #expect(table[Self.tag(number)]?.since == UInt64(number))
    }
    #expect(table[Self.tag(1001)] == nil)
  }

  @Test func callsOfNobodyAreNotCounted() {
    var table = TenantCallTable(limit: 10)
    table.add(CallTag(), .ok, at: 1)
    #expect(table.calls == 0 && table.count == 0)
    var none = TenantCallTable(limit: 0)
    none.add(Self.tag(1), .ok, at: 1)
    #expect(none.calls == 0 && none.count == 0)
  }

  @Test func moreThanThereIsRoomForTakeNoMore() {
    var random = SeededGenerator(seed: 7)
    var table = TenantCallTable(limit: 100)
    var last: [Int: UInt64] = [:]
    for time in 1...20_000 as ClosedRange<UInt64> {
      let number = Int.random(in: 1...300, using: &random)
      table.add(Self.tag(number), .ok, at: time)
      last[number] = time
      // Who has called is there, whoever had to go for it.
      #expect(table[Self.tag(number)]?.counts.latest == time)
    }
    #expect(table.count == 100 && table.calls == 20_000 && table.forgotten > 0)
    var seen: Set<UInt64> = []
    table.forEach { entry in
      #expect(seen.insert(entry.tag.low).inserted)
      #expect(entry.counts.latest == last[Int(entry.tag.low)])
      #expect(table[entry.tag]?.since == entry.since)
    }
    #expect(seen.count == 100)
    for number in 1...300 where !seen.contains(UInt64(number)) {
      #expect(table[Self.tag(number)] == nil)
    }
  }

  @Test func whoCallsAllTheTimeIsNotForgotten() {
    var table = TenantCallTable(limit: 64)
    for time in 1...10_000 {
      table.add(Self.tag(time % 4 == 0 ? 1 + time / 4 % 8 : 1000 + time), .ok, at: UInt64(time))
    }
    for number in 1...8 {
      #expect((table[Self.tag(number)]?.counts.all ?? 0) >= 312)
    }
  }

  @Test func whatIsReadDoesNotChange() {
    var table = Self.table(limit: 10, calls: [1, 2])
    let read = table
    table.add(Self.tag(1), .ok, at: 3)
    table.add(Self.tag(5), .ok, at: 4)
    #expect(read[Self.tag(1)]?.counts.all == 1 && read[Self.tag(5)] == nil)
    #expect(table[Self.tag(1)]?.counts.all == 2 && table[Self.tag(5)]?.counts.all == 1)
  }

  // MARK: Since when

  @Test func allIsKnownSinceTheBeginningWhileNobodyIsForgotten() {
    var usage = TenantCallUsage(since: 5)
    usage.add(nil, lastForgotten: nil, connections: 2)
    usage.add(TenantCallTable.Entry(since: 90), lastForgotten: nil, connections: 1)
    #expect(usage.since == 5 && usage.connections == 3)
  }

  @Test func whoMayHaveBeenForgottenIsKnownSinceThen() {
    var usage = TenantCallUsage(since: 5)
    usage.add(TenantCallTable.Entry(since: 40), lastForgotten: 60, connections: 0)
    #expect(usage.since == 40)
    usage.add(nil, lastForgotten: 70, connections: 0)
    #expect(usage.since == 70)
  }

  // MARK: The last minute

  private static let second: UInt64 = 1_000_000_000

  @Test func theLastMinuteMovesOn() {
    var recent = RecentCalls()
    let start = 1000 * Self.second
    for call in 0..<120 as Range<UInt64> { recent.add(at: start + call * Self.second / 2) }
    #expect(recent.ofLastMinute(at: start + 60 * Self.second) == 120)
    // Of the ten seconds that it is leaving, a part.
    #expect(recent.ofLastMinute(at: start + 75 * Self.second) == 90)
    #expect(recent.ofLastMinute(at: start + 90 * Self.second) == 60)
    #expect(recent.ofLastMinute(at: start + 120 * Self.second) == 0)
    #expect(recent.ofLastMinute(at: start + 9000 * Self.second) == 0)
    recent.add(at: start + 9000 * Self.second)
    #expect(recent.ofLastMinute(at: start + 9000 * Self.second) == 1)
  }

  @Test func theFirstMinuteIsNoLongerThanItIs() {
    var recent = RecentCalls()
    recent.add(at: 1)
    #expect(recent.ofLastMinute(at: 2) == 1)
    #expect(recent.ofLastMinute(at: 59 * Self.second) == 1)
    #expect(recent.ofLastMinute(at: 80 * Self.second) == 0)
  }

  @Test func lastMinutesOfLoopsAreAdded() {
    let start = 1000 * Self.second
    var (one, other) = (CallCounts(), CallCounts())
    one.add(.ok, at: start)
    one.add(.failed, at: start + 30 * Self.second)
    other.add(.denied, at: start + 45 * Self.second)
    for (first, second) in [(one, other), (other, one)] {
      var sum = first
      sum.add(second)
      #expect(sum.all == 3 && sum.latest == start + 45 * Self.second)
      #expect(sum.ofLastMinute(at: start + 50 * Self.second) == 3)
      #expect(sum.ofLastMinute(at: start + 80 * Self.second) == 2)
    }
  }

  // MARK: The busiest

  @Test func theGreatestComeFirst() {
    var random = SeededGenerator(seed: 3)
    let all = (1...500).map { number in
      UsageService.Candidate(
        id: Sample.id(UInt64(number)), rank: Int64.random(in: 1...60, using: &random))
    }
    let sorted = all.sorted { ($1.rank, $0.id) < ($0.rank, $1.id) }
    for count in [1, 2, 20, 499, 500, 1000] {
      #expect(UsageService.most(all.shuffled(using: &random), count) == Array(sorted.prefix(count)))
    }
    #expect(UsageService.most([], 5) == [])
  }

  // MARK: Outcomes

  @Test func outcomes() {
    let codes: [(RPCStatus.Code, CallOutcome)] = [
      (.ok, .ok), (.permissionDenied, .denied), (.unauthenticated, .denied),
      (.resourceExhausted, .limited), (.cancelled, .cancelled), (.unavailable, .failed),
      (.notFound, .failed), (.internalError, .failed),
    ]
    for (code, outcome) in codes { #expect(CallOutcome(code, .byStatus) == outcome) }
    // An HTTP request that may not go on is answered well.
    #expect(CallOutcome(.ok, .denied) == .denied)
    #expect(CallOutcome(.ok, .limited) == .limited)
    #expect(CallOutcome(.ok, .failed) == .failed)
  }

  @Test func whatIsRefusedEarlyIsOfWhoHasSentIt() {
    func record(_ tag: CallTag, from origin: CallTag) -> CallRecord {
      CallRecord(
        method: nil, wire: .grpc, peer: .certificate, code: .unimplemented, tag: tag,
        requestBytes: 0, responseBytes: 0, requestMessages: 0, responseMessages: 0, beginTime: 1,
        startTime: 1, endTime: 1, origin: origin)
    }
    let counters = LoopCallCounters(tenants: 10)
    counters.callEnded(record(CallTag(), from: Self.tag(1)), CallDetails())
    counters.callEnded(record(Self.tag(2), from: Self.tag(1)), CallDetails())
    counters.callEnded(record(CallTag(), from: CallTag()), CallDetails())
    #expect(counters.table[Self.tag(1)]?.counts.failed == 1)
    #expect(counters.table[Self.tag(2)]?.counts.failed == 1)
    #expect(counters.table.calls == 2)
  }

  @Test func connectionsEndAsOftenAsTheyBegin() {
    let counters = LoopCallCounters(tenants: 10)
    counters.connectionEnded(of: Self.tag(1))
    counters.connectionBegan(of: Self.tag(1))
    counters.connectionBegan(of: Self.tag(1))
    counters.connectionBegan(of: Self.tag(2))
    counters.connectionEnded(of: Self.tag(1))
    #expect(counters.connections == [Self.tag(1): 1, Self.tag(2): 1])
    counters.connectionEnded(of: Self.tag(1))
    counters.connectionEnded(of: Self.tag(1))
    #expect(counters.connections == [Self.tag(2): 1])
  }
}
