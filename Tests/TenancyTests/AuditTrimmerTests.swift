import Synchronization
import Testing

@testable import Tenancy

@Sendable private func testHash(_ bytes: [UInt8]) -> [UInt8] {
  var words: [UInt64] = [1, 2, 3, 4]
  for byte in bytes {
    for index in words.indices {
      words[index] = (words[index] ^ UInt64(byte)) &* 0x100_0000_01B3 &+ UInt64(index)
    }
  }
  return words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
}

private let acme = AuditChain.tenant(Sample.id(1))
private let globex = AuditChain.tenant(Sample.id(2))

/// A clock that nobody sets.
private final class SteadyTime: Sendable {
  private let moment = Mutex(ContinuousClock.now)
  var now: ContinuousClock.Instant { moment.withLock { $0 } }
  func advance(seconds: Int64) { moment.withLock { $0 += .seconds(seconds) } }
}

/// A control plane with an audit trail, and the file of its checkpoints.
private final class Trail: Sendable {
  struct Unsigned: Error {}

  let test: TestPlane
  private let begins = Mutex<[String]>([])
  private let reports = Mutex<[String]>([])
  private let isFull = Atomic(false)
  private let steady: SteadyTime

  init(_ disk: MemoryLog = MemoryLog()) throws {
    let store = MemoryStore(disk)
    var options = ControlPlane.Options()
    options.auditor = Auditor(store, hash: testHash, limits: DenialTable.Limits())
    let steady = SteadyTime()
    options.instant = { steady.now }
    self.steady = steady
    test = try TestPlane(store, options: options)
  }

  var signed: [String] { begins.withLock { $0 } }
  var told: [String] { reports.withLock { $0 } }

  /// By both clocks.
  func pass(days: Int64) {
    test.clock.advance(seconds: days * 86_400)
    steady.advance(seconds: days * 86_400)
  }

  func fillDisk(_ isFull: Bool) { self.isFull.store(isFull, ordering: .relaxed) }

  func trimmer(
    _ records: UInt64? = nil, days: Int64? = nil, holder: String = "one"
  ) -> AuditTrimmer {
    AuditTrimmer(
      test.plane, AuditRetention(days: days.map(Days.init), records: records), holder: holder,
      report: { text in self.reports.withLock { $0.append(text) } },
      sign: { ends in
        if self.isFull.load(ordering: .relaxed) { throw Unsigned() }
        let lines = ends.map { self.checkpoint($0, .begin) }
        self.begins.withLock { $0 += lines }
      })
  }

  private func checkpoint(_ end: AuditEnd, _ kind: AuditCheckpoint.Kind) -> String {
    AuditCheckpoint(
      end.chain, end.head, kind: kind, time: test.clock.now, incarnation: "memory", sign: testHash
    ).text
  }

  /// So many records in each of these tenants' chains, and as many heads in the platform's.
  func add(_ count: Int, to numbers: UInt64...) async throws {
    for _ in 0..<count { for number in numbers { try await test.put(Sample.tenant(number)) } }
  }

  func records(_ chain: AuditChain) -> [StoredAuditRecord] {
    test.store.disk.state.withLock { $0.audit[chain] ?? [] }
  }

  var lines: [String] {
    test.store.audit.sorted { ("\($0.chain)", $0.sequence) < ("\($1.chain)", $1.sequence) }
      .map { AuditLine($0).text }
  }

  /// Nil: all is well.
  func fault(_ lines: [String]? = nil, begins: [String]? = nil) throws -> String? {
    let ends = try test.store.auditEnds(after: nil, limit: 1000).map { checkpoint($0, .end) }
    do throws(AuditFault) {
      var verifier = AuditVerifier(hash: testHash, isSigned: { testHash($0) == $1 })
      for line in (begins ?? signed) + ends { try verifier.add(checkpoint: line, at: "c") }
      for line in lines ?? self.lines { try verifier.add(line: line, at: "f") }
      try verifier.finish(isPartial: false)
      return nil
    } catch {
      return error.description
    }
  }
}

@Suite struct AuditTrimmerTests {
  @Test func longChainsAreCutAndCanBeVerified() async throws {
    let trail = try Trail()
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
    let trail = try Trail()
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
    let trail = try Trail()
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
    let trail = try Trail()
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
      let trail = try Trail()
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
    let trail = try Trail()
    try await trail.add(60, to: 1)
    trail.fillDisk(true)
    let trimmer = trail.trimmer(40)
    await #expect(throws: Trail.Unsigned.self) { try await trimmer.run() }
    #expect(trail.records(acme).count == 60)
    trail.fillDisk(false)
    try await trimmer.run()
    #expect(trail.records(acme).count == 38)
    #expect(try trail.fault() == nil)
  }

  /// A signature must not cover up what was changed.
  @Test func aChangedChainIsLeftAloneAndTold() async throws {
    let trail = try Trail()
    try await trail.add(60, to: 1, 2)
    trail.test.store.disk.state.withLock { state in
      guard let record = state.audit[acme]?[9] else { return }
      state.audit[acme]?[9] = StoredAuditRecord(
        chain: acme, sequence: 10, bytes: record.bytes + [0], hash: record.hash)
    }
    let trimmer = trail.trimmer(40)
    for _ in 0..<2 { try await trimmer.run() }
    #expect(trail.records(acme).count == 60 && trail.records(globex).count == 38)
    #expect(trail.told == ["chain \(acme): record 10 is not the one that was written"])
    #expect(!trail.signed.contains { $0.contains("\(acme)") })
  }

  @Test func oneNodeDoesIt() async throws {
    let disk = MemoryLog()
    let (one, two) = (try Trail(disk), try Trail(disk))
    try await one.add(60, to: 1)
    _ = try await two.test.plane.catchUp()
    let (first, second) = (one.trimmer(40), two.trimmer(20, holder: "two"))
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
    let trail = try Trail()
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
