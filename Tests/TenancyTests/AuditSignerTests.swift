import TenancyTestSupport
import Testing

@testable import Tenancy

private let acme = AuditChain.tenant(Sample.id(1))
private let globex = AuditChain.tenant(Sample.id(2))

/// What whoever can write to the database, but has no key, must not get signed.
@Suite struct AuditSignerTests {
  private let trail: SampleTrail
  private let signer: AuditSigner

  /// Two chains, whose ends are signed.
  init() async throws {
    trail = try SampleTrail()
    signer = trail.signer()
    try await trail.add(3, to: 2)
    try await trail.add(60, to: 1)
    _ = try await signer.begin()
    _ = try await signer.finishBeginning()
  }

  private func signed(_ chain: AuditChain, _ kind: AuditCheckpoint.Kind = .end) -> [UInt64] {
    trail.log.all.filter { $0.chain == chain && $0.kind == kind }.map(\.head.sequence)
  }

  private func told(of chain: AuditChain) -> [String] {
    let start = "chain \(chain): "
    return trail.told.filter { $0.hasPrefix(start) }.map { String($0.dropFirst(start.count)) }
  }

  @Test func endsOfWhatHasGrownAreSigned() async throws {
    #expect(signed(acme) == [60] && signed(globex) == [3] && signed(.platform) == [63])
    try await signer.write()
    #expect(trail.log.all.count == 3)
    try await trail.add(2, to: 1)
    try await signer.write()
    #expect(signed(acme) == [60, 62] && signed(globex) == [3] && signed(.platform) == [63, 65])
    // Another start goes on from there.
    let again = trail.signer()
    _ = try await again.begin()
    try await trail.add(1, to: 2)
    #expect(try await again.finishBeginning() == 0)
    try await again.write()
    #expect(signed(globex) == [3, 4] && signed(.platform) == [63, 65, 65, 66])
    #expect(trail.told == [])
  }

  /// A busy chain may have more that is to go by the time that this is found out.
  @Test func whatHasComeSinceAChainWasHeldIsSignedBeforeItGoes() async throws {
    #expect(try await signer.hold([AuditBegin(chain: acme, floor: .start)]) == [])
    try await trail.add(10, to: 1)
    try await signer.begin([try #require(trail.end(acme, at: 65))])
    #expect(signed(acme) == [60, 70] && signed(acme, .begin) == [65])
    trail.test.store.disk.state.withLock { $0.audit[acme]?.removeAll { $0.sequence <= 65 } }
    try await trail.add(1, to: 1)
    try await signer.write()
    #expect(signed(acme) == [60, 70, 71] && trail.told == [])
  }

  /// A store that was restored to an older state, and then to a newer one.
  @Test func aChainMayBeginWhereAnOlderBeginSays() async throws {
    let (older, newer) = (trail.end(acme, at: 20), trail.end(acme, at: 30))
    try trail.log.add([
      trail.checkpoint(try #require(newer), .begin, life: "former"),
      trail.checkpoint(try #require(older), .begin, life: "restored"),
    ])
    let again = trail.signer()
    let floor = try #require(newer).head
    #expect(try await again.hold([AuditBegin(chain: acme, floor: floor)]) == [])
    #expect(trail.told == [])
    let other = AuditHead(sequence: 30, hash: [UInt8](repeating: 7, count: 32))
    #expect(try await again.hold([AuditBegin(chain: acme, floor: other)]) == [acme])
    #expect(trail.told.count == 1)
  }

  /// What another node has removed between two pages is no sign of a change, as on a store of one node.
  @Test(arguments: [true, false])
  func recordsMayGoWhileTheyAreRead(isShared: Bool) throws {
    let records = trail.records(acme)
    var link = AuditLink(acme, from: nil, mayBeRemoved: isShared, hash: testHash)
    for record in records[..<20] { try link.take(record) }
    let fault = Result { () throws(AuditFault) in try link.take(records[30]) }
    switch fault {
    case .success: #expect(isShared && link.end?.sequence == 31)
    case .failure: #expect(!isShared)
    }
  }

  @Test(arguments: [
    (20, 50, "record 60, or one before it, is not the one that was signed"),
    (20, 10, "it ends before record 60, which was signed"),
  ])
  func noBeginIsSignedOverAForgedTail(cut: UInt64, count: Int, what: String) async throws {
    trail.forge(acme, behind: cut, adding: count)
    // Also by those that start afterwards.
    for start in 1...2 {
      try await trail.trimmer(10).run()
      #expect(signed(acme, .begin) == [] && trail.records(acme).first?.sequence == 1)
      #expect(told(of: acme) == Array(repeating: what, count: start))
    }
    #expect(signed(acme) == [60])
    // The heads that tell of it stay.
    #expect(signed(.platform, .begin) == [] && told(of: .platform).count == 2)
  }

  @Test func aForgedTailIsNotSigned() async throws {
    trail.forge(acme, behind: 20, adding: 50)
    try await trail.add(1, to: 1, 2)
    for _ in 0..<2 { try await signer.write() }
    #expect(signed(acme) == [60] && signed(globex) == [3, 4] && trail.told.count == 1)
    #expect(signed(.platform) == [63, 65])
  }

  /// A record that was signed, among others than those that led to it and went on from it.
  @Test func aSignedRecordAmongForgedOnesIsNotEnough() async throws {
    let kept = trail.records(acme)[59]
    trail.forge(acme, behind: 20, adding: 50)
    trail.test.store.disk.state.withLock { $0.audit[acme]?[59] = kept }
    try await trail.trimmer(10).run()
    #expect(signed(acme) == [60] && signed(acme, .begin) == [])
    #expect(told(of: acme) == ["record 61 is not the one that was written"])
  }

  @Test func aForgedTailOfThePlatformsChainStopsAll() async throws {
    trail.forge(.platform, behind: 50, adding: 30)
    try await trail.add(1, to: 1)
    for _ in 0..<2 { try await signer.write() }
    #expect(trail.log.all.count == 3)
    let again = trail.signer()
    _ = try await again.begin()
    #expect(trail.log.all.count == 3 && trail.told.count == 2)
  }

  /// What was removed without a checkpoint is not covered up by the next.
  @Test(arguments: [false, true])
  func aBeginThatWasNotSignedIsAFault(isShared: Bool) async throws {
    let floor = try #require(trail.end(acme, at: 30)).head
    trail.test.store.disk.state.withLock { state in
      state.audit[acme]?.removeFirst(30)
      state.auditFloors[acme] = floor
    }
    try await trail.trimmer(10, isShared: isShared).run()
    // Where other nodes remove records as well, one of them may have signed it.
    #expect(signed(acme, .begin).isEmpty == !isShared)
    let what = isShared ? [] : ["it begins behind record 30, which no checkpoint says"]
    #expect(told(of: acme) == what)
  }

  /// Of a tenant whose chain is gone, the platform's goes on telling.
  @Test func headsThatCannotBeSaidAgainStay() async throws {
    trail.forge(globex, behind: 0, adding: 0)
    try await trail.trimmer(10).run()
    #expect(signed(.platform, .begin) == [] && trail.records(.platform).first?.sequence == 1)
    #expect(told(of: .platform) == ["it tells of chain \(Sample.id(2)), which was changed"])
    #expect(told(of: globex) == ["it ends before record 3, which was signed"])
    #expect(signed(acme, .begin).isEmpty == false)
  }

  /// Nor does a start without a signed end of it excuse that.
  @Test func headsOfAChainThatWasNeverSignedStay() async throws {
    let trail = try SampleTrail()
    try await trail.add(3, to: 2)
    try await trail.add(60, to: 1)
    trail.forge(globex, behind: 0, adding: 0)
    let trimmer = trail.trimmer(10)
    try await trimmer.run()
    #expect(trail.records(.platform).first?.sequence == 1)
    #expect(
      trail.told == ["chain platform: it names record 3 of \(Sample.id(2)), which is missing"])
  }

  // MARK: Lives of the store

  @Test(arguments: [false, true])
  func nothingIsRemovedInALifeThatNothingTellsOf(isRestored: Bool) async throws {
    let trail = try SampleTrail()
    try await trail.add(30, to: 1)
    let former = try #require(trail.end(.platform, at: 30))
    try trail.log.add([trail.checkpoint(former, .end, life: "former")])
    if isRestored { try trail.test.store.append([], audit: restore(trail)) }
    try await trail.add(600, to: 1)
    _ = try await trail.signer().begin()
    for _ in 0..<2 { try await trail.trimmer(40).run() }
    #expect(trail.signed.isEmpty == !isRestored)
    #expect((trail.records(acme).count == 630) == !isRestored)
    #expect(trail.told.count == (isRestored ? 0 : 2))
    #expect(trail.told.allSatisfy { $0.contains("does not tell of the restore") })
    guard isRestored else { return }
    // The record of it is gone, and that it was there is known.
    #expect(try #require(trail.records(.platform).first).sequence > 40)
    #expect(try trail.fault() == nil)
  }

  private func restore(_ trail: SampleTrail) -> AuditBatch {
    let now = trail.test.clock.now
    let event = AuditEvent(
      origin: AuditOrigin(subject: "uid:0"), action: AuditLives.restoreAction, named: "memory",
      decision: .allowed, revision: 1, firstTime: now, time: now)
    return AuditBatch([AuditNote(event: event, chains: [.platform])], time: now, hash: testHash)
  }

  /// Whoever changes the incarnation in the database and cuts chains off.
  @Test func anotherIncarnationExcusesNothing() async throws {
    try await trail.trimmer(40).run()
    try await trail.add(20, to: 1)
    try await signer.write()
    #expect(try trail.fault() == nil)
    // Before the last twenty.
    let cut = trail.records(.platform).last.map { $0.sequence - 20 }
    let sequence = try #require(cut)
    let lines = trail.lines.filter { line in
      guard let record = AuditLine(parsing: line)?.record else { return false }
      return record.sequence <= (record.chain == acme ? 60 : sequence)
    }
    trail.test.clock.advance(seconds: 60)
    let ends = [
      try #require(trail.end(.platform, at: sequence)), try #require(trail.end(acme, at: 60)),
    ]
    let forged = ends.map { trail.checkpoint($0, .end, life: "other").text }
    let fault = SampleTrail.fault(lines, trail.log.all.map(\.text) + forged)
    #expect(fault?.contains("is missing") == true, "\(fault ?? "nothing")")
    // What is cut off is what the checkpoints tell of, not the lines.
    let former = trail.log.all.filter {
      $0.head.sequence <= (AuditChain.platform == $0.chain ? sequence : 60)
    }
    #expect(SampleTrail.fault(lines, former.map(\.text) + forged) == nil)
  }
}
