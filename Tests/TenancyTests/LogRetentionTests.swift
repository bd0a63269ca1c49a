import TenancyTestSupport
import Testing

@testable import Tenancy

struct LogRetentionTests {
  private static let day: Int64 = 86_400 * 1_000_000_000

  private static func marks(_ revisions: ClosedRange<UInt64>, daysApart: Int64) -> [LogMark] {
    revisions.map {
      LogMark(revision: $0, time: Timestamp(nanoseconds: Int64($0) * daysApart * day))
    }
  }

  @Test func whatIsOldGoesAndTheNewestStay() {
    let retention = LogRetention(days: Days(30), entries: 5000)
    let minimum = UInt64(LogRetention.minimumEntries)
    let marks = Self.marks(1...100, daysApart: 1)
    let now = Timestamp(nanoseconds: 100 * Self.day)
    func removable(_ last: UInt64) -> UInt64? {
      retention.removable(of: marks, last: last, now: now, before: now + Days(-30))
    }
    // Those before day 70, if there are enough behind them.
    #expect(removable(minimum + 200) == 69)
    #expect(removable(minimum + 50) == 50)
    #expect(removable(minimum) == nil)
    #expect(retention.removable(of: [], last: 0, now: now, before: now) == nil)
  }

  /// Entries of a clock that was ahead stand before older ones: they keep nothing from going, and take nothing with
  /// them that is new.
  @Test func whatAClockAheadHasWrittenGoesWithWhatFollows() {
    let retention = LogRetention(days: Days(30), entries: 5000)
    func removable(_ days: [Int64]) -> UInt64? {
      let marks = days.enumerated().map { index, day in
        LogMark(revision: UInt64(index) + 1, time: Timestamp(nanoseconds: day * Self.day))
      }
      let now = Timestamp(nanoseconds: 100 * Self.day)
      return retention.removable(of: marks, last: 4000, now: now, before: now + Days(-30))
    }
    #expect(removable([10, 465, 465, 20, 80, 21]) == 4)
    #expect(removable([465, 465, 80, 20]) == nil)
    #expect(removable([465, 465]) == nil)
    // One that was set back.
    #expect(removable([80, 0, 81]) == nil)
  }

  @Test func whatIsBeyondTheNumberGoesHoweverNew() {
    let retention = LogRetention(days: Days(30), entries: 5000)
    let marks = Self.marks(1...100, daysApart: 0)
    func removable(_ last: UInt64) -> UInt64? {
      let now = Timestamp(nanoseconds: 0)
      return retention.removable(of: marks, last: last, now: now, before: now + Days(-30))
    }
    #expect(removable(5000) == nil)
    #expect(removable(5001) == 1)
    #expect(removable(5099) == 99)
    #expect(removable(9000) == 100)
    #expect(LogRetention(entries: 1).entries == LogRetention.minimumEntries)
  }

  private func plane(_ entries: Int, _ steady: SteadyClock = SteadyClock()) throws -> TestPlane {
    var options = ControlPlane.Options()
    options.retention = LogRetention(entries: entries)
    options.instant = { steady.now }
    return try TestPlane(options: options)
  }

  @Test func theLogIsCompactedInStepsBetweenWhichWritesAreDone() async throws {
    let test = try plane(1000)
    let plane = test.plane
    let count = 1000 + 3 * ControlPlane.compactionStep + 10
    await withTaskGroup(of: Void.self) { group in
      for number in 0..<count {
        group.addTask { _ = await plane.startReserving("n\(number)").value }
      }
    }
    let barrier = test.store.holdNextAppend()
    let first = plane.startReserving("first")
    await barrier.reached()
    let compaction = Task.immediate { try await plane.compactLog() }
    // Behind the first step only, though there are four.
    let second = plane.startReserving("second")
    barrier.open()
    #expect(await first.value == UInt64(count))
    #expect(await second.value == UInt64(count) + 1)
    try await compaction.value
    let expected = count + 2 - 1000
    #expect(test.store.log.count - 1000 <= 1)
    #expect(test.store.disk.state.withLock { Int($0.removed) } >= expected - 1)
    #expect(plane.isHealthy && plane.state.revision == UInt64(count) + 2)
    let steps = test.store.compactions
    #expect(steps.count == 4 && steps.allSatisfy { $0.count <= ControlPlane.compactionStep })
    #expect(steps[1].batches == steps[0].batches + 1)
  }

  @Test func anIdleLogIsCompactedByAge() async throws {
    let steady = SteadyClock()
    let test = try plane(1_000_000, steady)
    for number in 0..<1010 { _ = try await test.plane.reserve("n\(number)") }
    try await test.plane.compactLog()
    #expect(test.store.log.count == 1010)
    test.clock.advance(seconds: 31 * 86_400)
    steady.advance(by: .seconds(31 * 86_400))
    try await test.plane.compactLog()
    #expect(test.store.log.count == LogRetention.minimumEntries)
    #expect(test.store.disk.state.withLock { $0.floor } == 10)
  }

  /// A clock that is a year ahead for a moment costs next to nothing, at a start as well, and one that stays so
  /// costs days before much is lost.
  @Test func aClockAheadRemovesNothingAtOnce() async throws {
    let steady = SteadyClock()
    let test = try plane(1_000_000, steady)
    for number in 0..<1040 {
      _ = try await test.plane.reserve("n\(number)")
      test.clock.advance(seconds: 3600)
    }
    try await test.plane.compactLog()
    let kept = test.store.log.count
    test.clock.advance(seconds: 365 * 86_400)
    steady.advance(by: .seconds(10))
    try await test.plane.compactLog()
    #expect(test.store.log.count >= kept - 1)
    let restarted = try TestPlane(test.store, options: test.plane.options)
    restarted.clock.advance(seconds: 2 * 365 * 86_400)
    try await restarted.plane.compactLog()
    #expect(test.store.log.count >= kept - 1)
    steady.advance(by: .seconds(3600))
    try await restarted.plane.compactLog()
    // A day of the log.
    #expect((kept - 26...kept - 24).contains(test.store.log.count))
    test.clock.advance(seconds: -365 * 86_400)
    try await test.plane.compactLog()
    #expect(test.store.log.count >= kept - 26)
  }

  /// The begin of the log is of a clock that was never set: what follows is not waited for until then.
  @Test func aLogThatBeginsLongAgoIsGoneOnWith() {
    var (pace, instant) = (AgePace(), ContinuousClock.now)
    func end(_ wanted: Int64, _ oldest: Int64) -> Int64 {
      pace.end(
        wanted: Timestamp(nanoseconds: wanted * Self.day),
        oldest: Timestamp(nanoseconds: oldest * Self.day), gap: Days(30), at: instant
      ).nanoseconds / Self.day
    }
    #expect(end(20_000, 0) == 0)
    instant += .seconds(3600)
    #expect(end(20_000, 0) == 1)
    #expect(end(20_000, 19_000) == 19_000)
    instant += .seconds(7200)
    #expect(end(20_000, 19_000) == 19_002)
    #expect(end(19_001, 19_000) == 19_001)
    instant += .seconds(Int64.max / 1_000_000)
    #expect(end(20_000, 19_000) == 20_000)
  }

  @Test func aStoreThatFailsIsNotCompacted() async throws {
    let test = try plane(1000)
    for number in 0..<1010 { _ = try await test.plane.reserve("n\(number)") }
    test.store.failNextAppends(.refused(.unavailable))
    #expect(await test.plane.startReserving("x").value == nil)
    try await test.plane.compactLog()
    #expect(test.store.compactions.isEmpty)
    await test.plane.close()
    try await test.plane.compactLog()
    #expect(test.store.compactions.isEmpty)
  }
}
