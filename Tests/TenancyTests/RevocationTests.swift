import TenancyTestSupport
import Testing

@testable import Tenancy

/// Which tokens are void, and what revoking them costs.
struct RevocationTests {
  private let test: TestPlane
  private let commands: TokenCommands
  private let tenant = Sample.tenant(1, slug: "acme")

  init() async throws {
    test = try TestPlane()
    commands = TokenCommands(test.plane, actor: "alice", judge: .server)
    try await test.put(tenant)
  }

  private var record: TenantRecord? { test.plane.state.find(tenant.id) }
  private var revocations: RevocationSet { record?.revocations ?? RevocationSet() }

  private func after(_ seconds: Int) -> Timestamp { test.clock.now + Duration.seconds(seconds) }

  @discardableResult
  private func revoke(
    _ target: Revocation.Target, before: Timestamp? = nil, for seconds: Int = 900,
    reason: String = ""
  ) async throws(TenancyError) -> Revocation {
    try await commands.revoke(
      target, of: tenant.id, before: before, expireTime: after(seconds), reason: reason)
  }

  private func isRevoked(
    _ token: String = "t", of subject: String = "user:1", issued: Timestamp
  ) -> Bool? {
    record?.isRevoked(tokenID: token, subject: subject, issuedAt: issued)
  }

  @Test func aSingleTokenIsVoid() async throws {
    #expect(isRevoked(issued: after(0)) == false && revocations.isEmpty)
    try await revoke(.token("t"), reason: "stolen")
    #expect(isRevoked(issued: after(-5)) == true && isRevoked(issued: after(5)) == true)
    #expect(isRevoked("T", issued: after(-5)) == false && isRevoked("", issued: after(0)) == false)
    #expect(test.store.log.last?.action == "tokens.revoke")
    #expect(revocations.find(.token("t"))?.reason == "stolen")
    #expect(revocations.count == 1 && revocations.count(of: .token) == 1)
  }

  @Test func aSubjectsTokensAreVoidThatWereIssuedByThen() async throws {
    try await revoke(.subject("user:1"))
    #expect(isRevoked(issued: after(0)) == true && isRevoked(issued: after(-500)) == true)
    #expect(isRevoked(issued: Timestamp(nanoseconds: after(0).nanoseconds + 1)) == false)
    #expect(isRevoked(of: "user:2", issued: after(0)) == false)
    // A token of that id is another thing.
    #expect(isRevoked("user:1", of: "user:2", issued: after(0)) == false)
  }

  @Test func allOfATenantAreVoidThatWereIssuedByThen() async throws {
    try await revoke(.tenant, before: after(-10))
    #expect(isRevoked(issued: after(-10)) == true && isRevoked(issued: after(-9)) == false)
  }

  /// By each of its names.
  @Test func aWorkloadIsTheSameByWhicheverName() async throws {
    var renamed = tenant
    renamed.slug = Sample.slug("globex")
    try await test.put(renamed)
    let names = ["acme", "globex", tenant.id.description]
    for name in names {
      try await revoke(.subject("spiffe://td/tenant/\(name)/workload/\(name)"))
      for other in names {
        let subject = "spiffe://td/tenant/\(other)/workload/\(name)"
        #expect(isRevoked(of: subject, issued: after(0)) == true)
      }
    }
    #expect(revocations.count(of: .subject) == 3)
    #expect(isRevoked(of: "spiffe://td/tenant/acme/workload/x", issued: after(0)) == false)
  }

  @Test func aLaterOneNeverMakesAnEarlierOneWeaker() async throws {
    let first = try await revoke(.subject("user:1"), for: 900, reason: "first")
    let log = test.store.log
    let weaker = try await revoke(.subject("user:1"), before: after(-60), for: 10)
    #expect(weaker == first && test.store.log == log)
    test.clock.advance(seconds: 60)
    // Later, but for a shorter time.
    let later = try await revoke(.subject("user:1"), for: 10)
    #expect(later.before == test.clock.now && later.expireTime == first.expireTime)
    #expect(later.reason == "first")
    // For longer, but of an earlier moment.
    let longer = try await revoke(.subject("user:1"), before: after(-30), for: 5000, reason: "new")
    #expect(longer.before == test.clock.now && longer.expireTime == after(5000))
    #expect(longer.reason == "new" && revocations.count == 1)
    #expect(revocations.find(.subject("user:1")) == longer)
  }

  @Test(arguments: TenantState.known)
  func inEveryStateTokensAreRevoked(_ state: TenantState) async throws {
    var moved = tenant
    moved.state = state
    try await test.put(moved)
    try await revoke(.tenant)
    #expect(isRevoked(issued: after(0)) == true)
  }

  @Test func neitherVersionNorEpochMoves() async throws {
    try await revoke(.tenant)
    #expect(record?.tenant == tenant)
  }

  @Test(arguments: [
    (Revocation.Target.token(""), "token_id"), (.token("a\u{0}"), "token_id"),
    (.token(String(repeating: "x", count: 257)), "token_id"), (.subject(""), "subject"),
    (.subject("a b"), "subject"), (.subject(String(repeating: "x", count: 257)), "subject"),
  ])
  func whatIsNoTargetIsRefused(_ target: Revocation.Target, _ field: String) async throws {
    let error = await refusal { () async throws(TenancyError) in try await revoke(target) }
    #expect(error?.category == .invalidArgument && error?.violations.map(\.field) == [field])
    #expect(revocations.isEmpty)
  }

  @Test func allThatIsWrongIsToldAtOnce() async throws {
    let error = await refusal { () async throws(TenancyError) in
      try await commands.revoke(
        .token(""), of: tenant.id, before: after(61), expireTime: after(0),
        reason: String(repeating: "x", count: 513))
    }
    #expect(
      error?.violations.map(\.field) == ["token_id", "before", "expire_time", "reason"])
    let endless = await refusal { () async throws(TenancyError) in
      try await revoke(.tenant, for: 366 * 86_400 + 1)
    }
    #expect(endless?.violations.map(\.field) == ["expire_time"])
    // Each at its limit.
    try await revoke(
      .token(String(repeating: "x", count: 256)), for: 366 * 86_400,
      reason: String(repeating: "x", count: 512))
    try await revoke(.subject(String(repeating: "x", count: 256)), for: 1)
  }

  // MARK: How many

  @Test func moreTokensThanThereMayBeAreRefused() async throws {
    let all = (0..<TokenCommands.maximumTokens).map { number in
      Change.putRevocation(
        tenant.id,
        Revocation(
          target: .token("t\(number)"), before: after(0), expireTime: after(900 + number)))
    }
    try await test.plane.write(actor: "test", action: "test") {
      [tenant] (transaction) throws(TenancyError) in
      for change in all { transaction.emit(change, about: tenant.id) }
    }
    let error = await refusal { () async throws(TenancyError) in try await revoke(.token("one")) }
    #expect(error?.category == .resourceExhausted && error?.reason == .limitReached)
    #expect(error?.metadata["quota"] == "revoked-tokens" && error?.metadata["limit"] == "10000")
    #expect(error?.metadata["subject"] == "tenants/\(tenant.id)")
    #expect(error?.message.contains("of the subject, or of the whole tenant") == true)
    #expect(error?.retryAfterSeconds == 901)
    // What the hint says can be done, and one that is there can be made stronger.
    try await revoke(.subject("user:1"))
    try await revoke(.tenant)
    try await revoke(.token("t5"), for: 5000)
    test.clock.advance(seconds: 902)
    try await revoke(.token("one"))
    #expect(revocations.count(of: .token) == TokenCommands.maximumTokens - 1)
  }

  @Test func moreSubjectsThanThereMayBeAreRefused() async throws {
    for number in 0..<TokenCommands.maximumSubjects { try await revoke(.subject("u:\(number)")) }
    let error = await refusal { () async throws(TenancyError) in
      try await revoke(.subject("one"))
    }
    #expect(error?.metadata["quota"] == "revoked-subjects")
    #expect(error?.message.contains("of the whole tenant") == true)
    try await revoke(.tenant)
    try await revoke(.token("t"))
    #expect(isRevoked(of: "one", issued: after(0)) == true)
  }

  @Test func expiredOnesAreSweptAFewAtATime() async throws {
    for number in 0..<200 { try await revoke(.token("t\(number)"), for: 10 + number) }
    test.clock.advance(seconds: 500)
    try await revoke(.token("one"))
    #expect(revocations.count == 201 - TokenCommands.maximumSwept)
    for number in 0..<3 { try await revoke(.token("more \(number)")) }
    #expect(revocations.count == 4)
    // What is in force stays.
    test.clock.advance(seconds: 899)
    try await revoke(.token("two"))
    #expect(revocations.find(.token("one")) != nil && revocations.count == 5)
    // As it is in the store.
    let stored = test.store.disk.state.withLock { Set($0.model.revocations.values) }
    #expect(stored == Set(revocations.all().all))
  }

  // MARK: In memory

  /// Two tables and a tree, against what a plain dictionary says.
  @Test func aSetIsWhatItsChangesMake() {
    var random = SeededGenerator(seed: 11)
    var (set, model) = (RevocationSet(), [Revocation.Target: Revocation]())
    var footprint = TenantFootprint()
    for _ in 0..<4000 {
      let name = "n\(Int.random(in: 0..<60, using: &random))"
      let targets: [Revocation.Target] = [.token(name), .subject(name), .tenant]
      let moment = Timestamp(nanoseconds: Int64.random(in: 0..<50, using: &random))
      if random.chance(of: 1, in: 10) {
        footprint = footprint - set.forget(before: moment)
        model = model.filter { $0.value.expireTime >= moment }
      } else {
        let new = Revocation(
          target: random.pick(targets),
          before: Timestamp(nanoseconds: Int64.random(in: 0..<50, using: &random)),
          expireTime: moment, reason: name)
        footprint.replace(model[new.target]?.footprint, by: new.footprint)
        set.put(new)
        model[new.target] = new
      }
      #expect(set.count == model.count && set.isEmpty == model.isEmpty)
      #expect(set.first?.expireTime == model.values.map(\.expireTime).min())
      let ends = set.all().all.map(\.expireTime)
      #expect(ends == ends.sorted() && ends.count == model.count)
      for target in targets { #expect(set.find(target) == model[target]) }
      let issued = Timestamp(nanoseconds: Int64.random(in: 0..<50, using: &random))
      let expected =
        model[.token(name)] != nil || model[.subject(name)].map { issued <= $0.before } ?? false
        || model[.tenant].map { issued <= $0.before } ?? false
      #expect(
        set.isRevoked(
          tokenID: name.utf8Span.span.bytes, subject: name.utf8Span.span.bytes, issuedAt: issued)
          == expected)
      #expect(footprint == model.values.reduce(TenantFootprint()) { $0 + $1.footprint })
    }
  }

  /// To Swift they are equal.
  @Test func textsOfOtherBytesAreOthers() {
    let (composed, decomposed) = ("\u{E9}", "e\u{301}")
    var set = RevocationSet()
    for text in [composed, decomposed] {
      set.put(
        Revocation(
          target: .subject(text), before: Timestamp(nanoseconds: 5),
          expireTime: Timestamp(nanoseconds: 9)))
    }
    #expect(set.count == 2)
    #expect(set.forget(before: Timestamp(nanoseconds: 10)).residentBytes > 0 && set.isEmpty)
  }

  @Test(arguments: [10, 10_000])
  func oneAmongManyCopiesWhatItTouches(_ count: Int) {
    var before = ControlState()
    before.apply(
      [.putTenant(tenant)]
        + (0..<count).map { number in
          .putRevocation(tenant.id, Self.revocation(number, until: 1_000 + number))
        }, revision: 1)
    let former = before.find(tenant.id)?.revocations ?? RevocationSet()
    #expect(former.count == count)
    let nodes = (0..<9).map { number in
      var after = before
      after.apply(
        [
          .forgetRevocations(tenant.id, before: Timestamp(nanoseconds: 1_001)),
          .putRevocation(tenant.id, Self.revocation(count + number, until: 500_000)),
        ], revision: 2)
      let set = after.find(tenant.id)?.revocations ?? RevocationSet()
      #expect(set.count == count && former.count == count)
      return set.unsharedNodes(with: former)
    }
    #expect(nodes.sorted()[4] <= 20)
  }

  private static func revocation(_ number: Int, until end: Int) -> Revocation {
    Revocation(
      target: number % 3 == 0 ? .subject("s\(number)") : .token("t\(number)"),
      before: Timestamp(nanoseconds: 0), expireTime: Timestamp(nanoseconds: Int64(end)))
  }

  // MARK: Budgets

  @Test func theyCountAsWhatATenantHas() async throws {
    let before = try #require(record?.footprint)
    try await revoke(.token("t"), reason: "because")
    try await revoke(.tenant)
    let after = try #require(record?.footprint)
    #expect(after.residentBytes > before.residentBytes && after.storedBytes > before.storedBytes)
    #expect(after.assignmentBytes == before.assignmentBytes)
    let usage = test.plane.usage(of: try #require(record))
    #expect(usage.first { $0.quota == .revokedTokens }?.used == 1)
    #expect(usage.first { $0.quota == .revokedSubjects }?.used == 0)
    #expect(usage.first { $0.quota == .tokenKeys }?.used == 0)
    test.clock.advance(seconds: 901)
    try await revoke(.tenant)
    let swept = try #require(record?.footprint)
    #expect(swept.residentBytes < after.residentBytes)
    // What there is now has been counted as if it were made anew.
    var state = ControlState()
    state.apply(
      [.putTenant(tenant)] + revocations.all().all.map { .putRevocation(tenant.id, $0) },
      revision: 1)
    #expect(state.find(tenant.id)?.footprint == swept)
  }

  /// Whoever has filled up its quotas must still be able to keep thieves out.
  @Test func noSizeAndNoRateKeepsAnyoneFromRevoking() async throws {
    var quotas = TenantQuotas()
    (quotas.residentBytes, quotas.storedBytes) = (1, 1)
    quotas.writes = TenantQuotas.Rate(burst: 1, perSecond: 1)
    let small = try TestPlane(options: ControlPlane.Options(quotas: quotas))
    try await small.put(tenant)
    let judge = WriteJudge(payer: .tenant(tenant.id), requestBytes: 0) {
      (_, _) throws(TenancyError) in
    }
    let commands = TokenCommands(small.plane, actor: "admin", judge: judge)
    for number in 0..<10 {
      try await commands.revoke(.token("t\(number)"), of: tenant.id, expireTime: after(60))
    }
    #expect(small.plane.state.find(tenant.id)?.revocations.count == 10)
  }
}
