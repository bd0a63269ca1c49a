import TenancyTestSupport
import Testing

@testable import Tenancy

/// Who may have how much, and who is refused what.
struct TenantBudgetTests {
  private let id = Sample.id(1)

  private func plane(_ change: (inout TenantQuotas) -> Void) async throws -> TestPlane {
    var quotas = TenantQuotas()
    change(&quotas)
    let test = try TestPlane(options: ControlPlane.Options(quotas: quotas))
    try await test.put(Sample.tenant(1))
    return test
  }

  private func roles(
    _ test: TestPlane, payer: WritePayer? = nil, request: String? = nil
  ) -> RoleCommands {
    var judge = WriteJudge(payer: payer ?? .tenant(id), requestBytes: 0) {
      (_, _) throws(TenancyError) in
    }
    if let request {
      let key = RememberedRequest.Key(payer: id, actor: "alice", requestID: request)
      judge = judge.knowing(RequestKey(key: key, digest: request, about: id))
    }
    return RoleCommands(test.plane, actor: "alice", tenant: id, judge: judge) { _ in { _ in true } }
  }

  private func create(
    _ role: String, _ permissions: [String], by commands: RoleCommands
  ) async -> TenancyError? {
    await refusal { () async throws(TenancyError) in
      try await commands.createRole(id: role, title: "", summary: "", permissions: permissions)
    }
  }

  private func expect(_ error: TenancyError?, names quota: Quota, of subject: String?) {
    #expect(error?.category == .resourceExhausted)
    #expect(error?.reason == .limitReached)
    #expect(error?.metadata["quota"] == quota.name)
    #expect(error?.metadata["limit"] != nil)
    #expect(error?.metadata["subject"] == subject)
  }

  private static let long = (0..<100).map { "docs.\($0):\(String(repeating: "a", count: 64))" }

  // MARK: Size

  @Test(arguments: [WritePayer.tenant(Sample.id(1)), .platform("operator")])
  func rolesOfLongPermissionsAreBounded(_ payer: WritePayer) async throws {
    let test = try await plane { $0.residentBytes = 200_000 }
    var refused: TenancyError?
    var made = 0
    while refused == nil, made < 100 {
      refused = await create("r\(made)", Self.long, by: roles(test, payer: payer))
      if refused == nil { made += 1 }
    }
    expect(refused, names: .residentBytes, of: "tenants/\(id)")
    #expect((1..<20).contains(made))
    let record = try #require(test.plane.state.find(id))
    #expect(record.footprint.residentBytes <= 200_000)
    // What makes it smaller is done, and makes room.
    _ = try await roles(test).updateRole(id: "r0", etag: "", priority: .revoking) {
      $0.permissions.removeFirst()
    }
    try await roles(test).deleteRole(id: "r0", etag: "", force: false)
    #expect(await create("again", Self.long, by: roles(test, payer: payer)) == nil)
  }

  @Test func settingsCountToo() async throws {
    let test = try await plane { $0.residentBytes = 10_000 }
    try await test.put(Sample.tenant(1, state: .pending))
    let judge = WriteJudge(payer: .platform("operator"), requestBytes: 0) {
      (_, _) throws(TenancyError) in
    }
    var update = TenantCommands.Update(etag: "", mayMove: true)
    update.configuration = { before throws(TenancyError) in
      var after = before
      after.customSettings = ["a": .string(String(repeating: "x", count: 10_000))]
      return after
    }
    let change = update
    let error = await refusal { () async throws(TenancyError) in
      try await TenantCommands(test.plane, actor: "operator", judge: judge).update(
        id, change, action: "tenants.update")
    }
    expect(error, names: .residentBytes, of: "tenants/\(id)")
  }

  @Test func assignmentsHaveBytesOfTheirOwn() async throws {
    let test = try await plane { $0.assignmentBytes = 2_000 }
    #expect(await create("reader", ["docs:read"], by: roles(test)) == nil)
    var refused: TenancyError?
    var made: [RoleAssignment] = []
    while refused == nil, made.count < 100 {
      let subject = "user:\(made.count)"
      do throws(TenancyError) {
        made.append(try await roles(test).assign(subject: subject, role: "reader", expireTime: nil))
      } catch {
        refused = error
      }
    }
    expect(refused, names: .assignmentBytes, of: "tenants/\(id)")
    #expect((2..<6).contains(made.count))
    try await roles(test).unassign(id: try #require(made.first).id)
    _ = try await roles(test).assign(subject: "user:new", role: "reader", expireTime: nil)
  }

  /// By default there is room for as many assignments as there may be, and for a thousand roles.
  @Test func theDefaultsLeaveRoomForHonestTenants() {
    let quotas = TenantQuotas()
    let subject = "spiffe://example.org/tenant/a-rather-long-name/workload/\(Sample.id(1))"
    let assignment = Sample.assignment(Sample.id(1).description, subject, role: "document-reader")
    let assignments = RoleCommands.maximumAssignments
    #expect(assignment.footprint.assignmentBytes * assignments <= quotas.assignmentBytes)
    #expect(assignment.footprint.storedBytes * assignments <= quotas.storedBytes)
    let role = Sample.role("document-reader", (0..<40).map { "documents.\($0):read" })
    #expect(role.footprint.residentBytes * RoleCommands.maximumRoles <= quotas.residentBytes)
  }

  /// A store of a time without quotas, or with larger ones.
  @Test func whoHasTooMuchAlreadyStaysUsable() async throws {
    let test = try await plane { $0.residentBytes = 1_000 }
    let id = id
    try await test.plane.write(actor: "test", action: "test") {
      (transaction) throws(TenancyError) in
      transaction.emit(.putRole(id, Sample.role("big", Self.long)), about: id)
    }
    expect(
      await create("more", ["docs:read"], by: roles(test)), names: .residentBytes,
      of: "tenants/\(id)")
    let given = try await roles(test).assign(subject: "user:1", role: "big", expireTime: nil)
    try await roles(test).unassign(id: given.id)
    let smaller = try await roles(test).updateRole(id: "big", etag: "") {
      $0.permissions.removeLast()
    }
    #expect(smaller.permissions.count == Self.long.count - 1)
    _ = try await TenantCommands(test.plane, actor: "operator").move(id, .deactivate)
  }

  // MARK: Rates

  @Test func theLogGrowsSoFast() async throws {
    let test = try await plane { $0.logBytes = .init(burst: 40_000, perSecond: 1_000) }
    #expect(await create("a", Self.long, by: roles(test)) == nil)
    var refused: TenancyError?
    for number in 0..<20 where refused == nil {
      refused = await refusal { () async throws(TenancyError) in
        try await roles(test).updateRole(id: "a", etag: "") { $0.title = "T\(number)" }
      }
    }
    expect(refused, names: .logBytes, of: "tenants/\(id)")
    let seconds = try #require(refused?.retryAfterSeconds)
    // The platform's own writes about the tenant are not on its account.
    _ = try await roles(test, payer: .platform("operator")).updateRole(id: "a", etag: "") {
      $0.title = "P"
    }
    test.clock.advance(seconds: seconds)
    _ = try await roles(test).updateRole(id: "a", etag: "") { $0.title = "again" }
  }

  /// Each rewrites the role: that is bounded as well, a burst later. Deletions are not.
  @Test func revocationsMayTakeMoreOfTheLog() async throws {
    let test = try await plane { $0.logBytes = .init(burst: 40_000, perSecond: 1) }
    #expect(await create("a", Self.long, by: roles(test)) == nil)
    let given = try await roles(test).assign(subject: "user:1", role: "a", expireTime: nil)
    var refused: TenancyError?
    var written = 0
    while refused == nil, written < 100 {
      let before = written
      refused = await refusal { () async throws(TenancyError) in
        try await roles(test).updateRole(id: "a", etag: "", priority: .revoking) {
          $0.permissions.removeLast()
        }
      }
      if refused == nil { written = before + 1 }
    }
    expect(refused, names: .logBytes, of: "tenants/\(id)")
    let bytes = Sample.role("a", Self.long).footprint.storedBytes
    #expect(written * bytes > 40_000 && written < 100)
    // What deletes nothing, and has an id, is no deletion.
    let idle = await refusal { () async throws(TenancyError) in
      for number in 0..<1_000 {
        _ = try await roles(test, request: "idle-\(number)").updateRole(
          id: "a", etag: "", priority: .revoking
        ) { _ in }
      }
    }
    expect(idle, names: .logBytes, of: "tenants/\(id)")
    try await roles(test, request: "one").unassign(id: given.id)
    try await roles(test).deleteRole(id: "a", etag: "", force: false)
  }

  @Test func writesComeSoFast() async throws {
    let test = try await plane { $0.writes = .init(burst: 3, perSecond: 1) }
    #expect(await create("a", ["docs:read"], by: roles(test)) == nil)
    for number in 0..<2 {
      _ = try await roles(test).assign(subject: "user:\(number)", role: "a", expireTime: nil)
    }
    let refused = await refusal { () async throws(TenancyError) in
      try await roles(test).assign(subject: "user:9", role: "a", expireTime: nil)
    }
    expect(refused, names: .writes, of: "tenants/\(id)")
    #expect(refused?.retryAfterSeconds == 1)
    // Revocations are not refused, nor what others write.
    try await roles(test).deleteRole(id: "a", etag: "", force: true)
    #expect(await create("b", ["docs:read"], by: roles(test, payer: .platform("x"))) == nil)
    #expect(await create("c", [], by: roles(test, payer: .tenant(Sample.id(2)))) == nil)
    // The revocation was counted, with the two assignments that went with the role.
    test.clock.advance(seconds: 3)
    #expect(await create("d", ["docs:read"], by: roles(test)) != nil)
    test.clock.advance(seconds: 1)
    #expect(await create("d", ["docs:read"], by: roles(test)) == nil)
  }

  @Test func usageIsTold() async throws {
    let test = try await plane { _ in }
    #expect(await create("a", Self.long, by: roles(test)) == nil)
    _ = try await roles(test).assign(subject: "user:1", role: "a", expireTime: nil)
    let record = try #require(test.plane.state.find(id))
    let usage = Dictionary(
      uniqueKeysWithValues: test.plane.usage(of: record).map { ($0.quota, $0) })
    #expect(usage[.roles]?.used == 1)
    #expect(usage[.assignments]?.used == 1)
    #expect(usage[.residentBytes]?.used == record.footprint.residentBytes)
    #expect(usage[.assignmentBytes]?.used == record.footprint.assignmentBytes)
    #expect(usage[.storedBytes]?.used == record.footprint.storedBytes)
    #expect(usage[.writes]?.used == 2)
    #expect(try #require(usage[.logBytes]).used > 5_000)
    #expect(usage[.waitingWrites]?.used == 0)
    #expect(usage.values.allSatisfy { $0.used <= $0.limit })
    test.clock.advance(seconds: 600)
    let later = test.plane.usage(of: record)
    #expect(later.filter { $0.restoredPerSecond != nil }.allSatisfy { $0.used == 0 })
  }

  // MARK: Counting

  /// What is kept with each change is what counting all of it anew gives.
  @Test(arguments: 0..<20)
  func theFootprintIsThatOfWhatThereIs(_ seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var state = ControlState()
    state.apply([.putTenant(Sample.tenant(1))], revision: 1)
    for revision in 2..<200 {
      let changes = (0..<Int.random(in: 1...4, using: &random)).map { _ in change(&random) }
      state.apply(changes, revision: UInt64(revision))
      let record = try #require(state.find(id))
      var expected = record.tenant.footprint
      for role in record.policy.roles where !role.isBuiltIn { expected += role.role.footprint }
      for assignment in record.policy.assignments { expected += assignment.footprint }
      for group in record.policy.groups().all { expected += group.group.footprint }
      for member in record.policy.groupMembers().all { expected += member.footprint }
      for revocation in record.revocations.all().all { expected += revocation.footprint }
      #expect(record.footprint == expected)
    }
  }

  private func change(_ random: inout SeededGenerator) -> Change {
    let text = String(repeating: "x", count: Int.random(in: 0...20, using: &random))
    let number = Int.random(in: 0..<6, using: &random)
    switch Int.random(in: 0..<13, using: &random) {
    case 9: return .putGroup(id, Sample.group("g\(number)", title: text))
    case 10: return .deleteGroup(id, id: "g\(number)")
    case 11: return .putGroupMember(id, Sample.member("m\(number)", "user:\(text)", of: "g1"))
    case 12: return .deleteGroupMember(id, id: "m\(number)")
    case 0:
      var tenant = Sample.tenant(1, slug: "tenant-\(number)")
      tenant.configuration.featureFlags = ["\(text)1": true]
      tenant.configuration.customSettings = ["a": .array([.null, .string(text)])]
      tenant.tokenKeys = (0..<number).map { _ in Sample.key("k") }
      return .putTenant(tenant)
    case 6, 7:
      let targets: [Revocation.Target] = [.token("t\(number)"), .subject("s\(number)"), .tenant]
      return .putRevocation(
        id,
        Revocation(
          target: random.pick(targets), before: Sample.moment,
          expireTime: Timestamp(nanoseconds: Int64(number)), reason: text))
    case 8: return .forgetRevocations(id, before: Timestamp(nanoseconds: Int64(number)))
    case 1, 2: return .putRole(id, Sample.role("r\(number)", ["docs:\(text)a"]))
    case 3: return .deleteRole(id, id: "r\(number)")
    case 4: return .putAssignment(id, Sample.assignment("a\(number)", "user:\(text)"))
    default: return .deleteAssignment(id, id: "a\(number)")
    }
  }

  /// Against buckets that are filled second by second.
  @Test(arguments: 0..<20)
  func metersAreLeakyBuckets(_ seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var quotas = TenantQuotas()
    quotas.writes = .init(burst: 100, perSecond: 10)
    quotas.logBytes = .init(burst: 1000, perSecond: 50)
    var meters = TenantMeters(quotas)
    var used: [UInt64: Int] = [:]
    let clock = TestClock()
    for _ in 0..<3000 {
      if random.chance(of: 1, in: 3) {
        let seconds = Int.random(in: 0...(random.chance(of: 1, in: 50) ? 100 : 3), using: &random)
        clock.advance(seconds: Int64(seconds))
        for tenant in used.keys { used[tenant] = max(0, (used[tenant] ?? 0) - 10 * seconds) }
      } else {
        let tenant = UInt64.random(in: 1...5, using: &random)
        let amount = Int.random(in: 1...60, using: &random)
        meters.count(amount, .writes, of: Sample.id(tenant), at: clock.now)
        used[tenant] = min((used[tenant] ?? 0) + amount, 200)
      }
      for (tenant, used) in used {
        #expect(meters.used(.writes, of: Sample.id(tenant), at: clock.now) == used)
      }
    }
  }

  @Test func metersOfQuietTenantsAreForgotten() {
    var meters = TenantMeters(TenantQuotas())
    let clock = TestClock()
    for tenant in 0..<10_000 {
      meters.count(1, .writes, of: Sample.id(UInt64(tenant)), at: clock.now)
      clock.advance(seconds: 1)
    }
    #expect(meters.count < 500)
  }

  @Test func aClockThatIsSetBackKeepsNobodyWaitingForLong() {
    let quotas = TenantQuotas()
    var meters = TenantMeters(quotas)
    let (late, early) = (TestClock(seconds: 2_000_000_000), TestClock())
    meters.count(1, .writes, of: id, at: late.now)
    #expect(meters.used(.writes, of: id, at: early.now) <= 2 * quotas.writes.burst)
    meters.count(1, .writes, of: id, at: early.now)
    early.advance(seconds: Int64(2 * quotas.writes.burst / quotas.writes.perSecond))
    #expect(meters.used(.writes, of: id, at: early.now) == 0)
  }
}
