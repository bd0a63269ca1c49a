import TenancyTestSupport
import Testing

@testable import Tenancy

struct GroupCommandsTests {
  private let test: TestPlane
  private let id = Sample.id(1)

  init() async throws {
    test = try TestPlane()
    try await test.put(Sample.tenant(1, slug: "acme"))
    try await test.put(Sample.tenant(2, slug: "globex"))
  }

  /// Commands of a caller that holds these permissions of the API.
  private func commands(holding held: String...) -> GroupCommands {
    let set = PermissionSet(held.map(Sample.permission))
    return GroupCommands(test.plane, actor: "alice", tenant: id, judge: .server) { _ in
      { set.covers($0) }
    }
  }

  private var policy: TenantPolicy { test.plane.state.find(id)?.policy ?? TenantPolicy() }

  private func create(_ ids: String...) async throws(TenancyError) {
    for id in ids { _ = try await commands().create(id: id, title: "", summary: "") }
  }

  @discardableResult
  private func add(
    _ member: String, _ group: String, until end: Timestamp? = nil, replaces: Bool = false,
    by commands: GroupCommands? = nil
  ) async throws(TenancyError) -> GroupMember {
    try await (commands ?? self.commands()).add(
      member, to: group, expireTime: end, replaces: replaces)
  }

  private func refusalOfAdding(
    _ member: String, _ group: String, until end: Timestamp? = nil,
    by commands: GroupCommands? = nil
  ) async -> TenancyError? {
    await refusal { () async throws(TenancyError) in
      try await add(member, group, until: end, by: commands)
    }
  }

  private func put(_ changes: [Change]) async throws(TenancyError) {
    let id = id
    try await test.plane.write(actor: "test", action: "test") {
      (transaction) throws(TenancyError) in
      for change in changes { transaction.emit(change, about: id) }
    }
  }

  private func holds(_ permission: String, _ subject: String) -> Bool {
    test.plane.state.find(id)?.power(of: subject, at: test.plane.now)
      .holds(Sample.permission(permission)) ?? false
  }

  // MARK: Groups

  @Test(arguments: [
    ("a", true), ("a-1", true), (String(repeating: "a", count: 63), true),
    (String(repeating: "a", count: 64), false), ("", false), ("1a", false), ("A", false),
    ("a:b", false), ("everyone", false),
  ])
  func groupIDs(_ group: String, _ isGood: Bool) async {
    let error = await refusal { () async throws(TenancyError) in try await create(group) }
    #expect(error?.violations.first?.field == (isGood ? nil : "group_id"))
  }

  @Test func groupsAreMadeChangedAndDeleted() async throws {
    let made = try await commands().create(id: "eng", title: "Engineers", summary: "All")
    #expect(policy.group("eng") == made && made.version == test.plane.state.revision)
    let twice = await refusal { () async throws(TenancyError) in try await create("eng") }
    #expect(twice?.reason == .groupExists)
    let after = try await commands().update(id: "eng", etag: made.etag) { $0.title = "E" }
    #expect(after.title == "E" && after.etag != made.etag)
    #expect(try await commands().update(id: "eng", etag: "") { $0.title = "E" } == after)
    for (group, etag, reason) in [
      ("eng", made.etag, TenancyError.Reason.etagMismatch), ("none", "", .groupNotFound),
    ] {
      let updated = await refusal { () async throws(TenancyError) in
        try await commands().update(id: group, etag: etag) { $0.title = "F" }
      }
      #expect(updated?.reason == reason)
      let deleted = await refusal { () async throws(TenancyError) in
        try await commands().delete(id: group, etag: etag, force: true)
      }
      #expect(deleted?.reason == reason)
    }
    try await commands().delete(id: "eng", etag: after.etag, force: false)
    #expect(policy.group("eng") == nil && policy.groupCount == 0)
  }

  @Test func textsHaveLimits() async throws {
    let long = String(repeating: "é", count: 201)
    let error = await refusal { () async throws(TenancyError) in
      try await commands().create(
        id: "A", title: long, summary: String(repeating: "a", count: 2001))
    }
    #expect(
      error?.violations.map(\.field) == ["group_id", "group.title", "group.description"])
    try await create("a")
    let updated = await refusal { () async throws(TenancyError) in
      try await commands().update(id: "a", etag: "") { $0.title = long }
    }
    #expect(updated?.violations.first?.field == "group.title")
  }

  @Test func aGroupInUseIsDeletedByForceOnly() async throws {
    try await create("eng", "all")
    try await put([
      .putRole(id, Sample.role("reader", ["docs:read"])),
      .putAssignment(id, Sample.assignment("a", "group:eng", role: "reader")),
    ])
    try await add("user:1", "eng")
    try await add("group:eng", "all")
    for group in ["eng", "all"] {
      let error = await refusal { () async throws(TenancyError) in
        try await commands().delete(id: group, etag: "", force: false)
      }
      #expect(error?.reason == .groupInUse)
      let isEng = group == "eng"
      #expect(error?.metadata["members"] == "1")
      #expect(error?.metadata["assignments"] == (isEng ? "1" : "0"))
      #expect(error?.metadata["memberships"] == (isEng ? "1" : "0"))
    }
    #expect(holds("docs:read", "user:1"))
    try await commands().delete(id: "eng", etag: "", force: true)
    #expect(!holds("docs:read", "user:1"))
    #expect(policy.groupMemberCount == 0 && policy.assignmentCount == 0)
    try await commands().delete(id: "all", etag: "", force: false)
    // What is made anew has nothing of what was there.
    try await create("eng")
    #expect(!holds("docs:read", "user:1") && policy.groupMemberCount == 0)
  }

  @Test func aLargeGroupIsDeletedInSeveralSteps() async throws {
    try await create("eng")
    let count = 2 * GroupCommands.maximumDeletions + 10
    let members = (0..<count).map {
      Change.putGroupMember(id, Sample.member("m\(1000 + $0)", "user:\($0)", of: "eng"))
    }
    let held: [Change] = [
      .putRole(id, Sample.role("reader", ["docs:read"])),
      .putAssignment(id, Sample.assignment("a", "group:eng", role: "reader")),
    ]
    try await put(members + held)
    let before = test.plane.state.revision
    try await commands().delete(
      id: "eng", etag: policy.group("eng")?.etag ?? "", force: true)
    #expect(test.plane.state.revision == before + 3)
    #expect(policy.groupMemberCount == 0 && policy.group("eng") == nil)
  }

  // MARK: Members

  @Test func membersHoldWhatTheirGroupsHold() async throws {
    try await create("team", "eng", "all")
    try await put([
      .putRole(id, Sample.role("reader", ["docs:read"])),
      .putAssignment(id, Sample.assignment("a", "group:all", role: "reader")),
    ])
    try await add("group:team", "eng")
    let outer = try await add("group:eng", "all")
    let member = try await add("user:1", "team")
    #expect(holds("docs:read", "user:1") && holds("docs:read", "group:team"))
    #expect(!holds("docs:read", "user:2"))
    try await commands().remove(member: outer.id)
    #expect(!holds("docs:read", "user:1"))
    try await add("group:eng", "all")
    #expect(holds("docs:read", "user:1"))
    try await commands().remove(member: member.id)
    #expect(!holds("docs:read", "user:1"))
    let gone = await refusal { () async throws(TenancyError) in
      try await commands().remove(member: member.id)
    }
    #expect(gone?.reason == .groupMemberNotFound)
  }

  @Test func membershipsEnd() async throws {
    try await create("eng")
    try await put([
      .putRole(id, Sample.role("reader", ["docs:read"])),
      .putAssignment(id, Sample.assignment("a", "group:eng", role: "reader")),
    ])
    let end = test.clock.now + .seconds(60)
    let first = try await add("user:1", "eng", until: end)
    #expect(await refusalOfAdding("user:1", "eng")?.reason == .groupMemberExists)
    let record = test.plane.state.find(id)
    #expect(record?.nextRoleEnd(of: "user:1", after: test.clock.now) == end)
    test.clock.advance(seconds: 60)
    #expect(!holds("docs:read", "user:1"))
    // It makes room.
    let second = try await add("user:1", "eng")
    #expect(second.id != first.id && policy.groupMemberCount == 1)
    #expect(holds("docs:read", "user:1"))
    #expect(
      await refusalOfAdding("user:2", "eng", until: test.clock.now)?.violations.first?.field
        == "group_member.expire_time")
  }

  @Test func aMembershipIsReplaced() async throws {
    try await create("eng")
    let end = test.clock.now + .seconds(60)
    let first = try await add("user:1", "eng", until: end, replaces: true)
    #expect(try await add("user:1", "eng", until: end, replaces: true) == first)
    let second = try await add("user:1", "eng", replaces: true)
    #expect(second.expireTime == nil && second.id != first.id)
    #expect(policy.groupMembers().all == [second])
  }

  @Test(arguments: [
    "", "a b", "group:", "group:Eng", "GROUP:eng", "group:everyone", "group:a/b", "Group:eng",
    "spiffe://a.example/tenant/globex/app", "spiffe://a.example/tenant/none/app",
  ])
  func whatCanBeNoMember(_ member: String) async throws {
    try await create("eng", "all")
    let error = await refusalOfAdding(member, "all")
    #expect(error?.violations.first?.field == "group_member.member")
    #expect(error?.category == .invalidArgument)
  }

  @Test func aWorkloadIsAMemberByEachOfTheTenantsNames() async throws {
    try await create("eng")
    try await put([
      .putRole(id, Sample.role("reader", ["docs:read"])),
      .putAssignment(id, Sample.assignment("a", "group:eng", role: "reader")),
    ])
    let bySlug = "spiffe://a.example/tenant/acme/app"
    try await add(bySlug, "eng")
    #expect(holds("docs:read", bySlug))
    #expect(holds("docs:read", "spiffe://a.example/tenant/\(id)/app"))
    #expect(!holds("docs:read", "spiffe://a.example/tenant/globex/app"))
  }

  // MARK: Groups in groups

  @Test func groupsAreThereAndContainNotThemselves() async throws {
    try await create("a", "b", "c")
    #expect(await refusalOfAdding("group:none", "a")?.reason == .groupNotFound)
    #expect(await refusalOfAdding("user:1", "none")?.reason == .groupNotFound)
    #expect(await refusalOfAdding("group:a", "a")?.reason == .groupCycle)
    try await add("group:a", "b")
    try await add("group:b", "c")
    for outer in ["a", "b"] {
      let error = await refusalOfAdding("group:c", outer)
      #expect(error?.reason == .groupCycle && error?.category == .failedPrecondition)
    }
    #expect(
      await refusalOfAdding("group:b", "c", until: test.clock.now + .seconds(9))?.violations.first?
        .field == "group_member.expire_time")
  }

  @Test func groupsAreEightDeep() async throws {
    for number in 0..<9 { try await create("g\(number)") }
    for number in 0..<4 { try await add("group:g\(number)", "g\(number + 1)") }
    for number in 5..<7 { try await add("group:g\(number)", "g\(number + 1)") }
    // Five and three.
    try await add("group:g4", "g5")
    #expect(await refusalOfAdding("group:g7", "g8")?.reason == .groupTooDeep)
    #expect(await refusalOfAdding("group:g8", "g0")?.reason == .groupTooDeep)
    // Beside them there is room.
    try await add("group:g8", "g7")
  }

  @Test func thereAreLimits() async throws {
    let most = GroupCommands.maximumMemberships
    try await put(
      (0..<(GroupCommands.maximumGroups - 1)).map { .putGroup(id, Sample.group("g\($0)")) })
    try await create("last")
    let over = await refusal { () async throws(TenancyError) in try await create("over") }
    #expect(over?.reason == .limitReached && over?.metadata["quota"] == "groups")
    for number in 0..<most { try await add("user:1", "g\(number)") }
    let many = await refusalOfAdding("user:1", "last")
    #expect(many?.metadata["quota"] == "memberships" && many?.metadata["limit"] == "64")
    for number in 0..<GroupCommands.maximumParents { try await add("group:last", "g\(number)") }
    let parents = await refusalOfAdding("group:last", "g99")
    #expect(parents?.metadata["quota"] == "memberships" && parents?.metadata["limit"] == "32")
  }

  @Test func aTenantHasALimitOfMembers() async throws {
    try await create("eng")
    let most = GroupCommands.maximumMembers
    try await put(
      (1..<most).map {
        .putGroupMember(id, Sample.member("m\(1_000_000 + $0)", "user:\($0)", of: "eng"))
      })
    try await add("user:last", "eng")
    let over = await refusalOfAdding("user:over", "eng")
    #expect(over?.metadata["quota"] == "group-members" && over?.category == .resourceExhausted)
  }

  // MARK: Power

  @Test func nobodyGivesAwayWhatTheyLack() async throws {
    try await create("team", "eng", "all")
    try await put([
      .putRole(id, Sample.role("keeper", ["docs:read", "tenancy.roles:create"])),
      .putAssignment(id, Sample.assignment("a", "group:all", role: "keeper")),
    ])
    // What contains the group counts, and what the tenant's own permissions are doesn't.
    let strong = commands(holding: "tenancy.roles:create")
    try await add("group:eng", "all", by: strong)
    try await add("group:team", "eng", by: strong)
    for group in ["team", "eng", "all"] {
      let error = await refusalOfAdding("user:mallory", group)
      #expect(error?.reason == .permissionMissing && error?.category == .permissionDenied)
      #expect(error?.metadata["permission"] == "tenancy.roles:create")
    }
    #expect(!holds("tenancy.roles:create", "user:mallory"))
    try await add("user:al", "team", by: strong)
    #expect(holds("tenancy.roles:create", "user:al"))
    // To take someone out gives nothing away.
    try await commands().remove(
      member: policy.memberships(of: "group:eng").all.first?.id ?? "")
    #expect(await refusalOfAdding("user:mallory", "eng") == nil)
    let nested = await refusalOfAdding("group:eng", "all")
    #expect(nested?.reason == .permissionMissing)
  }

  @Test func builtInRolesAndEndedAssignments() async throws {
    try await create("admins", "former")
    let ended = test.clock.now
    try await put([
      .putAssignment(id, Sample.assignment("a", "group:admins", role: "tenant-admin")),
      .putAssignment(
        id, Sample.assignment("b", "group:former", role: "tenant-admin", expireTime: ended)),
    ])
    #expect(await refusalOfAdding("user:1", "admins")?.reason == .permissionMissing)
    #expect(await refusalOfAdding("user:1", "former") == nil)
  }

  @Test func judgingIsBounded() async throws {
    try await create("eng")
    var changes: [Change] = []
    for number in 0...4 {
      let permissions = (0..<1000).map { "tenancy.roles:x-\(number)-\($0)" }.sorted()
      changes += [
        .putRole(id, Sample.role("r\(number)", permissions)),
        .putAssignment(id, Sample.assignment("a\(number)", "group:eng", role: "r\(number)")),
      ]
    }
    try await put(changes)
    let strong = commands(holding: "tenancy.roles:*")
    let error = await refusalOfAdding("user:1", "eng", by: strong)
    #expect(error?.reason == .groupHoldsTooMuch && error?.category == .failedPrecondition)
    try await put([.deleteAssignment(id, id: "a0")])
    #expect(await refusalOfAdding("user:1", "eng", by: strong) == nil)
  }

  // MARK: The tenant

  @Test func aCloneHasTheGroupsAndNoMembers() async throws {
    try await create("eng", "all")
    _ = try await commands().update(id: "eng", etag: "") { $0.title = "Engineers" }
    try await add("user:1", "eng")
    let clone = try await TenantCommands(test.plane, actor: "op").clone(
      id,
      TenantCommands.Clone(
        TenantCommands.NewTenant(
          slug: "clone", displayName: "Clone", isolationModel: nil,
          configuration: TenantConfiguration(), requestID: "", digest: "d"), hasModel: false),
      validateOnly: false)
    let policy = try #require(test.plane.state.find(clone.id)?.policy)
    #expect(policy.groups().all.map(\.group.id) == ["all", "eng"])
    #expect(policy.group("eng")?.title == "Engineers")
    #expect(policy.groupMemberCount == 0)
  }

  @Test func usageTellsOfThem() async throws {
    try await create("eng")
    try await add("user:1", "eng")
    let record = try #require(test.plane.state.find(id))
    let used = test.plane.usage(of: record)
    #expect(used.first { $0.quota == .groups }?.used == 1)
    #expect(used.first { $0.quota == .groupMembers }?.used == 1)
  }
}
