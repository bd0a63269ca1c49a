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
    // Those before day 70, if there are enough behind them.
    #expect(retention.removable(of: marks, last: minimum + 200, now: now) == 69)
    #expect(retention.removable(of: marks, last: minimum + 50, now: now) == 50)
    #expect(retention.removable(of: marks, last: minimum, now: now) == nil)
    // A clock that was far ahead makes no difference to the newest.
    #expect(
      retention.removable(of: marks, last: minimum + 9, now: Timestamp(nanoseconds: .max)) == 9)
    #expect(retention.removable(of: [], last: 0, now: now) == nil)
  }

  @Test func whatIsBeyondTheNumberGoesHoweverNew() {
    let retention = LogRetention(days: Days(30), entries: 5000)
    let marks = Self.marks(1...100, daysApart: 0)
    let now = Timestamp(nanoseconds: 0)
    #expect(retention.removable(of: marks, last: 5000, now: now) == nil)
    #expect(retention.removable(of: marks, last: 5001, now: now) == 1)
    #expect(retention.removable(of: marks, last: 5099, now: now) == 99)
    #expect(retention.removable(of: marks, last: 9000, now: now) == 100)
    #expect(LogRetention(entries: 1).entries == LogRetention.minimumEntries)
  }

  private func plane(_ entries: Int) throws -> TestPlane {
    var options = ControlPlane.Options()
    options.retention = LogRetention(entries: entries)
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
    let test = try plane(1_000_000)
    for number in 0..<1010 { _ = try await test.plane.reserve("n\(number)") }
    try await test.plane.compactLog()
    #expect(test.store.log.count == 1010)
    test.clock.advance(seconds: 31 * 86_400)
    try await test.plane.compactLog()
    #expect(test.store.log.count == LogRetention.minimumEntries)
    #expect(test.store.disk.state.withLock { $0.floor } == 10)
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
