import TenancyTestSupport
import Testing

@testable import Tenancy

private let acme = AuditChain.tenant(Sample.id(1))
private let globex = AuditChain.tenant(Sample.id(2))

@Suite struct AuditTrimmerTests {
  @Test func longChainsAreCutAndCanBeVerified() async throws {
    let trail = try SampleTrail()
    try await trail.add(60, to: 1)
    try await trail.add(3, to: 2)
    #expect(trail.records(acme).count == 60 && trail.records(.platform).count == 63)
    #expect(try trail.fault() == nil)
    try await trail.trimmer(40).run()
    #expect(trail.records(acme).map(\.sequence) == Array(23...60))
    #expect(trail.records(globex).count == 3)
    // What the lease and the heads that are said again take is in it.
    #expect(trail.records(.platform).count <= 40)
    #expect(try trail.fault() == nil)
    #expect(try trail.fault(begins: []) != nil)
    try await trail.add(1, to: 1, 2)
    #expect(trail.records(acme).last?.sequence == 61)
    #expect(try trail.fault() == nil)
  }

  @Test func whatIsWrongBehindABeginIsNamed() async throws {
    let trail = try SampleTrail()
    try await trail.add(60, to: 1)
    try await trail.trimmer(40).run()
    let lines = trail.lines
    let at = try #require(lines.firstIndex { $0.hasPrefix("{\"chain\":\"\(acme)\"") })
    for offset in [0, 1, 20, 37] {
      var removed = lines
      removed.remove(at: at + offset)
      let name = "chain \(acme): record \(23 + offset) "
      #expect(try trail.fault(removed)?.contains(name) == true)
      let record = trail.records(acme)[offset]
      var bytes = record.bytes
      bytes[bytes.count - 1] ^= 1
      var changed = lines
      changed[at + offset] =
        AuditLine(
          StoredAuditRecord(
            chain: acme, sequence: record.sequence, bytes: bytes, hash: record.hash)
        ).text
      #expect(try trail.fault(changed)?.contains(name) == true)
    }
  }

  /// An idle tenant's last record stays, and the platform's chain goes on telling of it.
  @Test func whatIsOldGoesButTheLast() async throws {
    let trail = try SampleTrail()
    try await trail.add(5, to: 1, 2)
    let trimmer = trail.trimmer(days: 30)
    try await trimmer.run()
    #expect(trail.records(acme).count == 5 && trail.signed.isEmpty)
    trail.pass(days: 32)
    try await trail.add(2, to: 1)
    try await trimmer.run()
    #expect(trail.records(acme).map(\.sequence) == [6, 7])
    #expect(trail.records(globex).map(\.sequence) == [5])
    #expect(trail.records(.platform).allSatisfy { $0.sequence > 10 })
    #expect(try trail.fault() == nil)
    let count = trail.signed.count
    try await trimmer.run()
    #expect(trail.signed.count == count)
    trail.pass(days: 32)
    try await trimmer.run()
    #expect(trail.records(acme).map(\.sequence) == [7])
    #expect(trail.records(globex).map(\.sequence) == [5])
    #expect(try trail.fault() == nil)
  }

  /// One reading far ahead would make everything old at once, and what is gone is gone.
  @Test func aClockAheadRemovesNothingAtOnce() async throws {
    let trail = try SampleTrail()
    try await trail.add(5, to: 1)
    let trimmer = trail.trimmer(days: 60)
    try await trimmer.run()
    trail.test.clock.advance(seconds: 10 * 365 * 86_400)
    try await trimmer.run()
    // Nor at a start.
    try await trail.trimmer(days: 60).run()
    #expect(trail.records(acme).count == 5 && trail.signed.isEmpty)
    trail.test.clock.advance(seconds: -10 * 365 * 86_400)
    trail.pass(days: 62)
    try await trail.add(1, to: 1)
    try await trimmer.run()
    #expect(trail.records(acme).map(\.sequence) == [6])
    #expect(try trail.fault() == nil)
  }

  /// Killed after the checkpoint and before the transaction, or with an answer that is lost.
  @Test func whatIsCutShortIsDoneAgain() async throws {
    for failure in [MemoryStore.Failure.refused(.unavailable), .lostBatch, .lostAnswer] {
      let trail = try SampleTrail()
      try await trail.add(60, to: 1)
      // The lease, the heads, and what removes.
      trail.test.store.failNextAppends(nil, nil, failure)
      await #expect(throws: StoreError.self) { try await trail.trimmer(40).run() }
      #expect(trail.signed.count == 2)
      #expect(trail.records(acme).count == 60)
      #expect(try trail.fault() == nil)
      try await trail.trimmer(40).run()
      #expect(trail.records(acme).count == 38)
      #expect(try trail.fault() == nil)
    }
  }

  @Test func nothingIsRemovedThatIsNotSigned() async throws {
    let trail = try SampleTrail()
    try await trail.add(60, to: 1)
    trail.log.fill(true)
    let trimmer = trail.trimmer(40)
    await #expect(throws: MemoryCheckpoints.Full.self) { try await trimmer.run() }
    #expect(trail.records(acme).count == 60)
    trail.log.fill(false)
    try await trimmer.run()
    #expect(trail.records(acme).count == 38)
    #expect(try trail.fault() == nil)
  }

  /// A signature must not cover up what was changed.
  @Test func aChangedChainIsLeftAloneAndTold() async throws {
    let trail = try SampleTrail()
    try await trail.add(60, to: 1, 2)
    trail.test.store.disk.state.withLock { state in
      guard let record = state.audit[acme]?[9] else { return }
      state.audit[acme]?[9] = StoredAuditRecord(
        chain: acme, sequence: 10, bytes: record.bytes + [0], hash: record.hash)
    }
    let trimmer = trail.trimmer(40)
    for _ in 0..<2 { try await trimmer.run() }
    #expect(trail.records(acme).count == 60 && trail.records(globex).count == 38)
    // The platform's tells how it was.
    #expect(
      trail.told == [
        "chain \(acme): record 10 is not the one that was written",
        "chain platform: it tells of chain \(acme), which was changed",
      ])
    #expect(!trail.signed.contains { $0.contains("\(acme)") })
  }

  @Test func oneNodeDoesIt() async throws {
    let disk = MemoryLog()
    let (one, two) = (try SampleTrail(disk), try SampleTrail(disk))
    try await one.add(60, to: 1)
    _ = try await two.test.plane.catchUp()
    let (first, second) = (
      one.trimmer(40, isShared: true), two.trimmer(20, holder: "two", isShared: true)
    )
    try await first.run()
    try await second.run()
    #expect(two.signed.isEmpty && one.records(acme).count == 38)
    disk.advance(by: AuditTrimmer.leaseDuration)
    try await second.run()
    #expect(one.records(acme).count == 19)
    // It has lost the lease, and finds it with another.
    try await two.add(60, to: 1)
    let count = one.signed.count
    try await first.run()
    try await first.run()
    #expect(one.records(acme).count == 79)
    #expect(one.signed.count <= count + 2)
  }

  /// Large chains go in portions, between which writes have their turn.
  @Test func whatGoesAtOnceIsBounded() async throws {
    let trail = try SampleTrail()
    try await trail.add(AuditTrimmer.maximumRecords * 2 + 100, to: 1)
    try await trail.trimmer(64).run()
    let ends = trail.signed.compactMap(AuditCheckpoint.init(parsing:)).filter { $0.chain == acme }
      .map(\.head.sequence)
    #expect(ends.count >= 3)
    for (one, next) in zip([0] + ends, ends) {
      #expect(next > one && next - one <= UInt64(AuditTrimmer.maximumRecords))
    }
    #expect(trail.records(acme).count == 60 && trail.records(.platform).count <= 64)
    #expect(try trail.fault() == nil)
  }

  @Test func whatTheBoundsSay() {
    let both = AuditRetention(days: Days(2), records: 100)
    let day: Int64 = 86_400 * 1_000_000_000
    #expect(both.moment(at: Timestamp(nanoseconds: 10 * day)) == Timestamp(nanoseconds: 8 * day))
    #expect(
      both.moment(at: Timestamp(nanoseconds: 11 * day - 1)) == Timestamp(nanoseconds: 8 * day))
    #expect(both.end(from: 5, to: 105, least: 0) == 5)
    #expect(both.end(from: 5, to: 106, least: 0) == 106 - 94)
    #expect(both.end(from: 5, to: 106, least: 101) == 5)
    let none = AuditRetention(days: nil, records: nil)
    #expect(none.moment(at: Timestamp(nanoseconds: .max)) == nil)
    #expect(none.end(from: 0, to: .max, least: 0) == 0)
    #expect(AuditRetention(records: 1).end(from: 0, to: 2, least: 0) == 1)
  }
}
