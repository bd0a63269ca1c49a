import TenancyTestSupport
import Testing

@testable import Tenancy

/// Calls that are carried out once.
struct RequestKeyTests {
  private let test: TestPlane
  private let tenant = Sample.id(1)

  init() throws { test = try TestPlane() }

  private func key(
    _ id: String = "r", digest: String = "d", of payer: TenantID? = nil, by actor: String = "al"
  ) -> RequestKey {
    RequestKey(
      key: RememberedRequest.Key(payer: payer, actor: actor, requestID: id), digest: digest,
      about: tenant)
  }

  private func judge(_ key: RequestKey) -> WriteJudge { WriteJudge.server.knowing(key) }

  /// A write that changes the tenant's name; how often it has.
  private func write(_ judge: WriteJudge, _ name: String = "new") async throws(TenancyError) {
    try await test.plane.write(actor: "al", action: "test") {
      [tenant] (transaction) throws(TenancyError) in
      try judge.judge(&transaction)
      guard var record = transaction.state.find(tenant)?.tenant else { throw .tenantNotFound }
      record.displayName = name
      record.version += 1
      transaction.emit(.putTenant(record), about: tenant)
      transaction.give(id: "made-\(name)")
    }
  }

  private var version: UInt64 { test.plane.state.find(tenant)?.tenant.version ?? 0 }

  @Test func aCallIsCarriedOutOnce() async throws {
    try await test.put(Sample.tenant(1))
    let before = version
    let key = key()
    try await write(judge(key))
    #expect(key.isCarriedOut && version == before + 1)
    let earlier = try #require(try key.earlier(in: test.plane.state, at: test.clock.now))
    #expect(earlier.resource == "made-new" && earlier.tenant == tenant)
    let again = self.key()
    let error = await refusal { () async throws(TenancyError) in try await write(judge(again)) }
    #expect(error?.reason == .requestRepeated && !again.isCarriedOut && version == before + 1)
    let other = self.key(digest: "e")
    let reused = await refusal { () async throws(TenancyError) in try await write(judge(other)) }
    #expect(reused?.reason == .requestReused && version == before + 1)
  }

  @Test func anIDIsFreeAgainAfterADay() async throws {
    try await test.put(Sample.tenant(1))
    let before = version
    try await write(judge(key()))
    test.clock.advance(seconds: 86_400)
    let error = await refusal { () async throws(TenancyError) in try await write(judge(key())) }
    #expect(error?.reason == .requestRepeated && version == before + 1)
    test.clock.advance(seconds: 1)
    try await write(judge(key(digest: "e")))
    #expect(version == before + 2 && test.plane.state.requests.count == 1)
  }

  /// What ends on another day takes the place of what was known of its id.
  @Test func whatEndsIsRememberedInThePlaceOfWhatIsOver() async throws {
    try await test.put(Sample.tenant(1))
    try await write(judge(key()))
    test.clock.advance(seconds: 86_401)
    let next = key(digest: "e")
    try await write(judge(next).beginning, "begun")
    try await write(WriteJudge.server.ending(judge(next)), "ended")
    #expect(
      try next.earlier(in: test.plane.state, at: test.clock.now)?.resource == "made-ended")
  }

  @Test func whatTheServerDidByItselfIsRemembered() async throws {
    try await test.put(Sample.tenant(1))
    let key = key()
    try await test.plane.remember(by: "al", judge: judge(key))
    #expect(key.isCarriedOut)
    #expect(try key.earlier(in: test.plane.state, at: test.clock.now)?.tenant == tenant)
  }

  @Test func aPurgedTenantsRequestsAreForgotten() async throws {
    var gone = Sample.tenant(1)
    gone.state = .purging
    try await test.put(gone)
    try await write(judge(key(of: tenant)))
    try await write(judge(key(of: Sample.id(2))))
    let erased = try await TenantCommands(test.plane, actor: "system").erase(tenant)
    #expect(erased?.state == .purged)
    let requests = test.plane.state.requests
    #expect(requests.count(of: tenant) == 0 && requests.count(of: Sample.id(2)) == 1)
  }

  /// Requests of many, of which no write forgets more than a few.
  @Test func forgettingIsBounded() async throws {
    for number in 0..<400 { try await remember("\(number)", of: nil, in: RequestKey.Bounds()) }
    test.clock.advance(seconds: 86_400)
    var bounds = RequestKey.Bounds()
    bounds.platformsBeforeForgetting = 5
    try await remember("new", of: nil, in: bounds)
    #expect(test.plane.state.requests.count == 401 - bounds.forgotten)
  }

  @Test func idsAreEachCallersOwn() async throws {
    try await test.put(Sample.tenant(1))
    try await test.put(Sample.tenant(2))
    let before = version
    for (payer, actor): (TenantID?, String) in [
      (nil, "al"), (nil, "bo"), (Sample.id(1), "al"), (Sample.id(2), "al"), (Sample.id(2), "bo"),
    ] {
      try await write(
        judge(key(digest: "\(actor) of \(payer?.description ?? "-")", of: payer, by: actor)))
    }
    #expect(version == before + 5)
  }

  @Test func whatOnlyValidatesKeepsNoID() async throws {
    try await test.put(Sample.tenant(1))
    let log = test.store.log.count
    let judge = judge(key()).validating(only: true)
    try await test.plane.write(actor: "al", action: "test", terms: judge.terms()) {
      (transaction) throws(TenancyError) in try judge.judge(&transaction)
    }
    #expect(test.store.log.count == log)
    #expect(test.plane.state.requests.count == 0)
  }

  /// What has begun is not remembered before its end.
  @Test func theLastTransactionRemembers() async throws {
    try await test.put(Sample.tenant(1))
    let key = key()
    try await write(judge(key).beginning, "begun")
    #expect(try key.earlier(in: test.plane.state, at: test.clock.now) == nil)
    // Whoever asks again goes on with it.
    try await write(judge(self.key()).beginning, "begun again")
    try await write(WriteJudge.server.ending(judge(key)), "ended")
    #expect(try key.earlier(in: test.plane.state, at: test.clock.now)?.resource == "made-ended")
    // What the server ends, it ends, though another call of this id was faster.
    try await write(WriteJudge.server.ending(judge(self.key(digest: "e"))), "ended too")
    #expect(try key.earlier(in: test.plane.state, at: test.clock.now)?.resource == "made-ended")
    let error = await refusal { () async throws(TenancyError) in
      try await write(judge(self.key()).beginning)
    }
    #expect(error?.reason == .requestRepeated)
  }

  @Test func whatIsLeftUnfinishedIsNotRemembered() async throws {
    try await test.put(Sample.tenant(1))
    let judge = judge(key())
    try await test.plane.write(actor: "al", action: "test") {
      [tenant] (transaction) throws(TenancyError) in
      try judge.judge(&transaction)
      transaction.leaveUnfinished()
      transaction.emit(.putProvisioningStep(tenant, name: "s"), about: tenant)
    }
    #expect(test.plane.state.requests.count == 0)
  }

  private static let bounds = RequestKey.Bounds(
    platformsBeforeForgetting: 5, platforms: 10, tenants: 4, allTenants: 20)

  /// One more of an account, with the room that it takes.
  private func remember(
    _ id: String, of payer: TenantID?, in bounds: RequestKey.Bounds = Self.bounds
  ) async throws {
    test.clock.advance(seconds: 1)
    try await test.plane.write(actor: "test", action: "test") {
      (transaction) throws(TenancyError) in
      RequestKey.makeRoom(for: 1, of: payer, &transaction, bounds: bounds)
      transaction.remember(
        RememberedRequest(
          payer: payer, actor: "al", requestID: id, digest: "", tenant: nil, time: transaction.now))
    }
  }

  private func ids(of payer: TenantID?) -> [String] {
    test.plane.state.requests.oldest(100, of: payer).map(\.requestID)
  }

  @Test func aTenantTakesRoomFromItselfAlone() async throws {
    try await remember("platform", of: nil)
    try await remember("other", of: Sample.id(2))
    for number in 0..<9 { try await remember("\(number)", of: tenant) }
    #expect(ids(of: tenant) == ["5", "6", "7", "8"])
    #expect(ids(of: nil) == ["platform"] && ids(of: Sample.id(2)) == ["other"])
    for number in 0..<12 { try await remember("\(number)", of: nil) }
    #expect(ids(of: nil) == (2..<12).map(String.init))
    #expect(ids(of: tenant).count == 4)
  }

  @Test func allTenantsTogetherHaveABound() async throws {
    try await remember("platform", of: nil)
    for number in 0..<100 {
      try await remember("\(number)", of: Sample.id(UInt64(number % 50)))
      #expect(test.plane.state.requests.countOfTenants <= Self.bounds.allTenants)
    }
    let oldest = test.plane.state.requests.oldestOfTenants(1).first
    #expect(oldest?.requestID == "80" && ids(of: nil) == ["platform"])
  }

  /// Whoever asks for nothing any more keeps nothing for ever.
  @Test func othersForgetWhatIsMoreThanADayOld() async throws {
    for number in 0..<6 { try await remember("\(number)", of: Sample.id(UInt64(number % 3))) }
    test.clock.advance(seconds: 86_400)
    try await remember("new", of: Sample.id(4))
    try await remember("newer", of: nil)
    #expect(test.plane.state.requests.countOfTenants == 1 && ids(of: Sample.id(4)) == ["new"])
  }

  /// Ids of one and the same text, put together otherwise.
  @Test func keysOfDifferentCallersDiffer() {
    let keys = [
      RememberedRequest.Key(payer: nil, actor: "a", requestID: "r"),
      RememberedRequest.Key(payer: tenant, actor: "a", requestID: "r"),
      RememberedRequest.Key(payer: nil, actor: "\(tenant) a", requestID: "r"),
      RememberedRequest.Key(payer: nil, actor: "- a", requestID: "r"),
    ]
    #expect(Set(keys.map(\.text)).count == keys.count)
  }
}
