import TenancyTestSupport
import Testing

@testable import Tenancy

private func id(_ number: UInt64) -> TenantID {
  TenantID(high: number << 16 | 0x7000, low: 0b10 << 62)
}

private func denial(_ home: TenantID?, _ subject: String, at time: Int64 = 1) -> AuditEvent {
  AuditEvent(
    origin: AuditOrigin(home: home, subject: subject, credential: .certificate), action: "/s/M",
    decision: .denied, reason: "TENANT_MISMATCH", firstTime: Timestamp(nanoseconds: time),
    time: Timestamp(nanoseconds: time))
}

/// A callers' home, and the target whom it may not reach.
private func attempt(_ home: TenantID?, on target: TenantID, _ subject: String) -> AuditNote {
  AuditNote(
    event: denial(home, subject),
    chains: [home.map(AuditChain.tenant) ?? .platform, .tenant(target)])
}

@Suite struct DenialTableTests {
  private let acme = id(1)
  private let globex = id(2)

  private func denied(_ subject: String, _ chains: [AuditChain], at time: Int64 = 1) -> AuditNote {
    AuditNote(event: denial(acme, subject, at: time), chains: chains)
  }

  @Test func alikeOnesAreCounted() throws {
    let table = DenialTable()
    for time in 1...100 { table.note(denied("a", [.tenant(acme)], at: Int64(time))) }
    let notes = table.drain()
    #expect(notes.count == 1)
    let only = try #require(notes.first?.event)
    #expect(only.count == 100)
    #expect(only.firstTime == Timestamp(nanoseconds: 1) && only.time == Timestamp(nanoseconds: 100))
    #expect(table.drain().isEmpty)
  }

  @Test func aFloodIsBoundedAndNoneOfItIsLeftOut() {
    let limits = DenialTable.Limits(perChain: 3, all: 5, crowdedChains: 2)
    let table = DenialTable(limits)
    let tenants = (1...10).map(id)
    for tenant in tenants {
      for number in 0..<7 { table.note(denied("\(number)", [.tenant(tenant)])) }
    }
    let notes = table.drain()
    // What is elsewhere comes on top.
    #expect(notes.count <= limits.all + limits.crowdedChains + 1)
    #expect(notes.reduce(0) { $0 + $1.event.count } == 70)
    for tenant in tenants where tenant != acme {
      #expect(notes.filter { $0.chains == [.tenant(tenant)] }.count <= limits.perChain + 1)
    }
    let elsewhere = notes.filter { $0.event.action == DenialTable.elsewhereAction }
    #expect(elsewhere.map(\.chains) == [[.tenant(acme), .platform]])
  }

  /// Names at random fill the caller's own part only.
  @Test func oneHomeTakesUpItsPartOnly() throws {
    let table = DenialTable()
    for number in 0..<20_000 {
      table.note(attempt(acme, on: id(UInt64(100 + number)), "s\(number)"))
    }
    table.note(attempt(globex, on: id(3), "other"))
    let notes = table.drain()
    let limit = DenialTable.Limits().perHome
    let acmes = notes.filter { $0.event.origin.home == acme || $0.event.origin.home == nil }
    #expect(acmes.count <= limit + 1)
    #expect(notes.reduce(0) { $0 + $1.event.count } == 2 * 20_001)
    let rest = try #require(acmes.first { $0.event.action == DenialTable.elsewhereAction })
    #expect(
      rest.chains == [.tenant(acme), .platform] && rest.event.reason == DenialTable.othersReason)
    #expect(rest.event.origin.home == acme && rest.event.tenant == nil)
    // The others' are as if there were no flood.
    #expect(notes.contains { $0.chains == [.tenant(id(3))] && $0.event.origin.subject == "other" })
    #expect(notes.contains { $0.chains == [.tenant(globex)] && $0.event.origin.home == globex })
  }

  @Test func manyHomesBeyondTheirPartsAreCountedTogether() {
    let table = DenialTable(
      DenialTable.Limits(perChain: 1, all: 2, crowdedChains: 2, perHome: 1, crowdedHomes: 3))
    for home in UInt64(1)...50 {
      for target in UInt64(51)...53 { table.note(attempt(id(home), on: id(target), "s")) }
    }
    let notes = table.drain()
    #expect(notes.count <= 2 + 2 + 3 + 1)
    // Each call once at least, and no more often than it has chains.
    #expect((50 * 3...50 * 3 * 2).contains(Int(notes.reduce(0) { $0 + $1.event.count })))
    #expect(notes.contains { $0.chains == [.platform] && $0.event.reason == "OTHERS" })
  }

  @Test func strangersDoNotCrowdOutTheTenantsOwn() throws {
    let table = DenialTable()
    for number in 0..<100 { table.note(attempt(acme, on: globex, "stranger\(number)")) }
    for number in 0..<5 {
      table.note(AuditNote(event: denial(globex, "own\(number)"), chains: [.tenant(globex)]))
    }
    let notes = table.drain().filter { $0.chains == [.tenant(globex)] }
    let own = notes.filter { $0.event.origin.home == globex }
    #expect(Set(own.map(\.event.origin.subject)) == Set((0..<5).map { "own\($0)" }))
    #expect(notes.count == 5 + DenialTable.Limits().perChain + 1)
    let others = try #require(notes.first { $0.event.reason == DenialTable.othersReason })
    #expect(others.event.origin.home == nil && others.event.tenant == globex)
    #expect(others.event.count == 100 - UInt64(DenialTable.Limits().perChain))
  }

  /// What its own were denied beyond their places is told apart from what strangers were.
  @Test func othersAreKeptByKindOfHome() {
    let table = DenialTable(DenialTable.Limits(perChain: 1))
    for number in 0..<4 {
      table.note(AuditNote(event: denial(globex, "o\(number)"), chains: [.tenant(globex)]))
    }
    for number in 0..<7 { table.note(attempt(acme, on: globex, "s\(number)")) }
    let others = table.drain().filter {
      $0.chains == [.tenant(globex)] && $0.event.reason == DenialTable.othersReason
    }
    #expect(
      Set(others.map { "\($0.event.count) \($0.event.origin.home == globex)" })
        == ["3 true", "6 false"])
  }
}

@Suite struct DenialWritingTests {
  private func plane(
    _ limits: DenialTable.Limits = DenialTable.Limits()
  ) throws -> (TestPlane, Auditor) {
    let store = MemoryStore()
    let auditor = Auditor(
      store, hash: { _ in [UInt8](repeating: 7, count: 32) }, limits: limits)
    var options = ControlPlane.Options()
    options.auditor = auditor
    return (try TestPlane(store, options: options), auditor)
  }

  private func deny(_ count: Int, _ test: TestPlane) {
    for number in 0..<count {
      test.plane.noteDenial(
        by: AuditOrigin(home: id(UInt64(1 + number % 500)), subject: "s\(number)"), action: "/s/M",
        named: "", target: nil, reason: "R")
    }
  }

  private func revoke(_ test: TestPlane) -> Task<TenancyError?, Never> {
    Task {
      await refusal { () async throws(TenancyError) in
        try await test.plane.write(
          actor: "r", action: "revoke",
          terms: WriteTerms(payer: .platform("p"), priority: .revoking)
        ) { (transaction) throws(TenancyError) -> Void in
          transaction.emit(.reserveName(ReservedName(.slug, "r"), id(9)), about: id(9))
        }
      }
    }
  }

  private func total(_ test: TestPlane) -> UInt64 {
    test.store.auditedEvents.filter { $0.decision == .denied }.reduce(0) { $0 + $1.count }
  }

  @Test func theyAreWrittenInPortions() async throws {
    let (test, _) = try plane()
    deny(3000, test)
    #expect(await test.plane.writeDenials() == nil)
    #expect(test.store.batches.count >= 3000 / 256)
    let heads = test.store.audit.compactMap { record -> Int? in
      guard case .heads(let heads, _) = AuditEncoding.decode(record.bytes)?.content else {
        return nil
      }
      return heads.count
    }
    #expect(heads.allSatisfy { $0 <= 256 } && total(test) == 3000)
  }

  /// Between two portions a write has its turn, a revocation the first.
  @Test func aRevocationWaitsForOnePortionAtMost() async throws {
    let (test, _) = try plane()
    deny(3000, test)
    let barrier = test.store.holdNextAppend()
    let writing = Task { await test.plane.writeDenials() }
    await barrier.reached()
    let revocation = revoke(test)
    while test.plane.waitingWrites(of: .platform("p")) == 0 { await Task.yield() }
    barrier.open()
    #expect(await revocation.value == nil)
    #expect(test.store.batches.firstIndex(of: 1) == 1)
    #expect(await writing.value == nil)
    #expect(total(test) == 3000)
  }

  /// What was not written is written the next time, with what came since.
  @Test func aFailureLosesNone() async throws {
    let (test, auditor) = try plane()
    deny(1000, test)
    test.store.failNextAppends(nil, .refused(.unavailable))
    #expect(await test.plane.writeDenials()?.code == .unavailable)
    #expect(total(test) == 256)
    deny(10, test)
    #expect(await test.plane.writeDenials() == nil)
    #expect(await test.plane.writeDenials() == nil)
    #expect(total(test) == 1010)
    deny(5, test)
    await test.plane.close()
    #expect(total(test) == 1015)
    _ = auditor
  }
}

extension DenialTableTests {
  /// Once, in however many chains there is no place for it.
  @Test func whatStandsNowhereElseIsCountedOnce() throws {
    let table = DenialTable(DenialTable.Limits(perHome: 0))
    for target in UInt64(50)...54 { table.note(attempt(id(1), on: id(target), "s")) }
    let note = try #require(table.drain().first)
    #expect(note.event.count == 5 && note.event.action == DenialTable.elsewhereAction)
    #expect(note.chains == [.tenant(id(1)), .platform] && note.event.tenant == nil)
  }

  /// Certificates of tenants that there are not crowd out nothing of the platform's.
  @Test func unknownHomesAreNotThePlatforms() throws {
    let table = DenialTable()
    for number in 0..<10_000 {
      var stranger = denial(nil, "made-up\(number)")
      stranger.reason = TenancyError.Reason.identityUnknown.rawValue
      table.note(AuditNote(event: stranger, chains: [.platform, .tenant(id(UInt64(9 + number)))]))
    }
    table.note(AuditNote(event: denial(nil, "viewer"), chains: [.platform, .tenant(id(5))]))
    let own = table.drain().filter { $0.event.origin.subject == "viewer" }
    #expect(own.count == 2 && Set(own.flatMap(\.chains)) == [.platform, .tenant(id(5))])
  }
}
