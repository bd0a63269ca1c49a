import TenancyTestSupport
import Testing

@testable import Tenancy

/// Several changes of a policy in one transaction.
struct PolicyCommandsTests {
  private let test: TestPlane
  private let id = Sample.id(1)

  init() async throws {
    test = try TestPlane()
    try await test.put(Sample.tenant(1, slug: "acme"))
    try await test.put(Sample.tenant(2, slug: "globex"))
  }

  private var policy: TenantPolicy { test.plane.state.find(id)?.policy ?? TenantPolicy() }

  private static func power(_ held: [String]) -> RoleCommands.Power {
    let set = PermissionSet(held.map(Sample.permission))
    return { _ in { set.covers($0) } }
  }

  /// What the methods ask for that make each change by itself.
  private static let methods = [
    "tenancy.roles:*", "tenancy.assignments:*", "tenancy.groups:*", "tenancy.group_members:*",
  ]

  private func roles(holding held: [String] = methods) -> RoleCommands {
    RoleCommands(
      test.plane, actor: "alice", tenant: id, judge: .server, power: Self.power(held))
  }

  private func groups(holding held: [String] = methods) -> GroupCommands {
    GroupCommands(
      test.plane, actor: "alice", tenant: id, judge: .server, power: Self.power(held))
  }

  @discardableResult
  private func apply(
    _ changes: [PolicyChange], basis: UInt64? = nil, holding held: [String] = [],
    methods: [String] = methods
  ) async throws(TenancyError) -> PolicyCommands.Outcome {
    let held = held + methods
    return try await PolicyCommands(roles(holding: held), groups(holding: held))
      .apply(changes, basis: basis)
  }

  private func refusalOf(
    _ changes: [PolicyChange], basis: UInt64? = nil, holding held: [String] = []
  ) async -> TenancyError? {
    await refusal { () async throws(TenancyError) in
      try await apply(changes, basis: basis, holding: held)
    }
  }

  private static func role(
    _ id: String, _ permissions: [String] = [], denials: [String] = [], parents: [String] = [],
    exclusions: [String] = []
  ) -> PolicyChange {
    .putRole(
      Role(
        id: id, title: "", summary: "", permissions: permissions, denials: denials,
        parents: parents, exclusions: exclusions, version: 0, createTime: Sample.moment,
        updateTime: Sample.moment))
  }

  private static func assign(_ subject: String, _ role: String) -> PolicyChange {
    .putAssignment(subject: subject, role: role, terms: .init(), expireTime: nil)
  }

  private func held(_ subject: String) -> [String] {
    var (list, budget) = (policy.assignments(of: subject), WorkBudget.uncapped)
    var found: [String] = []
    while let one = list.next(&budget) { found.append(one.role) }
    return found.sorted()
  }

  private func allows(_ subject: String, _ permission: String) -> Bool {
    test.plane.state.find(id)?.power(of: subject, at: test.plane.now)
      .holds(Sample.permission(permission)) ?? false
  }

  // MARK: All or nothing

  @Test func whatComesLaterRestsOnWhatCameBefore() async throws {
    let before = test.plane.state.revision
    let outcome = try await apply([
      Self.role("reader", ["docs:read"]),
      Self.role("writer", ["docs:write"], parents: ["reader"]),
      .putGroup(id: "staff", title: "Staff", summary: ""),
      .putMember("ann", group: "staff", expireTime: nil),
      Self.assign("group:staff", "writer"),
    ])
    #expect(outcome.changed == 5 && outcome.revision == before + 1)
    #expect(test.plane.state.revision == before + 1 && policy.revision == before + 1)
    #expect(allows("ann", "docs:read") && allows("ann", "docs:write"))
  }

  @Test func oneThatIsRefusedRefusesAll() async throws {
    let before = test.plane.state.revision
    let error = await refusalOf([
      Self.role("reader", ["docs:read"]), Self.assign("ann", "reader"),
      Self.role("bad", ["docs:read", "no permission"]), Self.assign("bob", "reader"),
    ])
    #expect(error?.category == .invalidArgument)
    #expect(error?.violations.map(\.field) == ["changes[2].put_role.permissions[1]"])
    #expect(error?.metadata["field"] == "changes[2]")
    #expect(test.plane.state.revision == before && policy.role("reader") == nil)
    let missing = await refusalOf([Self.assign("ann", "nobody")])
    #expect(missing?.reason == .roleNotFound && missing?.metadata["field"] == "changes[0]")
    #expect(missing?.message.hasPrefix("changes[0]: ") == true)
  }

  @Test func whatIsSoAlreadyStays() async throws {
    let changes = [
      Self.role("reader", ["docs:read"]), Self.assign("ann", "reader"),
      .putGroup(id: "staff", title: "", summary: ""),
      .putMember("ann", group: "staff", expireTime: nil),
    ]
    let first = try await apply(changes)
    let etag = policy.role("reader")?.role.etag
    let again = try await apply(changes)
    #expect(first.changed == 4 && again.changed == 0)
    #expect(again.revision == first.revision && test.plane.state.revision == first.revision)
    #expect(policy.role("reader")?.role.etag == etag)
  }

  @Test func whatGoesGoesBehindWhatNamesIt() async throws {
    try await apply([
      Self.role("reader", ["docs:read"]), Self.role("writer", parents: ["reader"]),
      Self.assign("ann", "writer"),
      .putGroup(id: "staff", title: "", summary: ""),
      .putMember("ann", group: "staff", expireTime: nil),
    ])
    for (refused, reason) in [
      (PolicyChange.deleteRole(id: "reader"), TenancyError.Reason.roleInUse),
      (.deleteGroup(id: "staff"), .groupInUse),
      (.deleteRole(id: "tenant-admin"), .roleBuiltIn), (.deleteGroup(id: "none"), .groupNotFound),
    ] {
      #expect(await refusalOf([refused])?.reason == reason)
    }
    var (assignments, budget) = (policy.assignments(), WorkBudget.uncapped)
    let given = assignments.next(&budget)
    var members = policy.groupMembers(of: "staff")
    let joined = members.next(&budget)
    let (assignment, member) = (try #require(given), try #require(joined))
    // With its assignments.
    try await apply([Self.role("lone"), Self.assign("bob", "lone")])
    try await apply([.deleteRole(id: "lone")])
    #expect(held("bob").isEmpty && policy.role("lone") == nil)
    try await apply([
      .deleteAssignment(id: assignment.id), .deleteMember(id: member.id), Self.role("writer"),
      .deleteRole(id: "reader"), .deleteRole(id: "writer"), .deleteGroup(id: "staff"),
    ])
    #expect(policy.customRoleCount == 0 && policy.groupCount == 0 && policy.assignmentCount == 0)
  }

  @Test func rolesMayBeTurnedAround() async throws {
    try await apply([Self.role("a"), Self.role("b", parents: ["a"])])
    #expect(await refusalOf([Self.role("a", parents: ["b"])])?.category == .invalidArgument)
    try await apply([Self.role("b"), Self.role("a", parents: ["b"])])
    #expect(policy.role("a")?.role.parents == ["b"])
  }

  // MARK: What has moved

  @Test func aPolicyThatHasChangedIsLeftAlone() async throws {
    let first = try await apply([Self.role("reader", ["docs:read"])])
    // Nothing of this policy.
    try await test.put(Sample.tenant(2, slug: "other"))
    #expect(policy.revision == first.revision)
    let second = try await apply([Self.assign("ann", "reader")], basis: first.revision)
    let error = await refusalOf([Self.assign("bob", "reader")], basis: first.revision)
    #expect(error?.category == .aborted && error?.reason == .policyChanged)
    #expect(error?.metadata["revision"] == String(second.revision))
    #expect(held("bob").isEmpty)
    _ = try await roles().createRole(id: "other", title: "", summary: "", permissions: [])
    #expect(await refusalOf([], basis: second.revision)?.reason == .policyChanged)
    try await apply([Self.assign("bob", "reader")], basis: test.plane.state.revision)
    #expect(held("bob") == ["reader"])
  }

  @Test func aStateThatIsLoadedHasChangedWhenItWasStoredAtTheLatest() async throws {
    let outcome = try await apply([Self.role("reader", ["docs:read"])])
    try await test.put(Sample.tenant(2, slug: "other"))
    let loaded = ControlState(try test.store.load())
    let policy = try #require(loaded.find(id)?.policy)
    #expect(policy.revision >= outcome.revision && policy.revision <= loaded.revision)
    #expect(loaded.find(Sample.id(2))?.policy.revision == 0)
  }

  // MARK: Who may

  @Test func nobodyGivesTogetherWhatTheyMayNotGive() async throws {
    let admin = "tenancy.tokens:issue"
    let error = await refusalOf([Self.role("strong", [admin]), Self.assign("alice", "strong")])
    #expect(error?.reason == .permissionMissing && error?.metadata["permission"] == admin)
    #expect(error?.metadata["field"] == "changes[0]")
    try await apply([Self.role("strong", [admin])], holding: [admin])
    for change in [
      Self.assign("alice", "strong"), Self.role("heir", parents: ["strong"]),
    ] {
      #expect(await refusalOf([change])?.reason == .permissionMissing)
    }
    // By a group that is made on the way.
    let way = await refusalOf([
      .putGroup(id: "g", title: "", summary: ""),
      .putMember("alice", group: "g", expireTime: nil), Self.assign("group:g", "strong"),
    ])
    #expect(way?.reason == .permissionMissing && policy.group("g") == nil)
    // Nor takes a denial from anybody.
    try await apply(
      [Self.role("weak", denials: [admin]), Self.assign("bob", "weak")], holding: [admin])
    #expect(await refusalOf([Self.role("weak")])?.reason == .permissionMissing)
  }

  @Test func exclusionsHoldInWhatIsMadeTogether() async throws {
    let pair = [Self.role("pay"), Self.role("approve", exclusions: ["pay"])]
    let both = pair + [Self.assign("ann", "pay"), Self.assign("ann", "approve")]
    #expect(await refusalOf(both)?.reason == .rolesExcluded)
    #expect(policy.customRoleCount == 0)
    let late = [
      Self.role("pay"), Self.role("approve"), Self.assign("ann", "pay"),
      Self.assign("ann", "approve"), Self.role("approve", exclusions: ["pay"]),
    ]
    #expect(await refusalOf(late)?.reason == .rolesExcluded)
    try await apply(pair + [Self.assign("ann", "pay"), Self.assign("bob", "approve")])
    #expect(held("ann") == ["pay"] && held("bob") == ["approve"])
  }

  /// Who may change a policy as a whole, and not its roles, does not change its roles.
  @Test func eachChangeAsksForWhatItsMethodDoes() async throws {
    try await apply([
      Self.role("reader", ["docs:read"]), Self.assign("ann", "reader"),
      .putGroup(id: "staff", title: "", summary: ""),
      .putMember("ann", group: "staff", expireTime: nil),
    ])
    var (assignments, budget) = (policy.assignments(), WorkBudget.uncapped)
    let given = assignments.next(&budget)
    var members = policy.groupMembers(of: "staff")
    let joined = members.next(&budget)
    let changes: [(PolicyChange, String)] = [
      (Self.role("new"), "roles:create"), (Self.role("reader"), "roles:update"),
      (Self.assign("bob", "reader"), "assignments:create"),
      (.putGroup(id: "new", title: "", summary: ""), "groups:create"),
      (.putGroup(id: "staff", title: "x", summary: ""), "groups:update"),
      (.putMember("bob", group: "staff", expireTime: nil), "group_members:create"),
      (.deleteAssignment(id: try #require(given).id), "assignments:delete"),
      (.deleteMember(id: try #require(joined).id), "group_members:delete"),
      (.deleteGroup(id: "new"), "groups:delete"), (.deleteRole(id: "reader"), "roles:delete"),
    ]
    for (change, name) in changes {
      let others = changes.map { "tenancy.\($0.1)" }.filter { $0 != "tenancy.\(name)" }
      let error = await refusal { () async throws(TenancyError) in
        try await apply([change], methods: others)
      }
      #expect(error?.reason == .permissionMissing)
      #expect(error?.metadata["permission"] == "tenancy.\(name)")
      // A role goes with its assignments.
      let more = name == "roles:delete" ? ["tenancy.assignments:delete"] : []
      try await apply([change], methods: ["tenancy.\(name)"] + more)
    }
  }

  @Test func othersWorkloadsGetNothing() async throws {
    let other = "spiffe://example.org/tenant/globex/web"
    let error = await refusalOf([Self.role("reader"), Self.assign(other, "reader")])
    #expect(error?.violations.first?.field == "changes[1].put_assignment.subject")
    #expect(error?.reason == .foreignSubject)
  }

  // MARK: How much

  @Test func noMoreThanOneWriteTakes() async throws {
    let many = (0...PolicyCommands.maximumChanges).map { Self.assign("u\($0)", "r") }
    #expect(await refusalOf(many)?.violations.first?.field == "changes")
    let most = Array(many.prefix(PolicyCommands.maximumChanges - 1))
    try await apply([Self.role("r")] + most)
    #expect(policy.assignmentCount == most.count)
    // Each has to be judged for all that the role has on this API.
    let reserved = (0..<1_000).map { "tenancy.x\($0):y" }
    let costly = [Self.role("big", reserved)] + (0..<100).map { Self.assign("v\($0)", "big") }
    let error = await refusalOf(costly, holding: reserved)
    #expect(error?.category == .invalidArgument)
    #expect(error?.violations.first?.description.contains("several calls") == true)
    #expect(policy.role("big") == nil)
    try await apply(Array(costly.prefix(10)), holding: reserved)
  }

  /// Groups that hold roles are looked at for each role that is to exclude another.
  @Test func groupsThatHoldRolesCount() async throws {
    try await apply([Self.role("held"), Self.role("a"), Self.role("b"), Self.role("c")])
    for start in stride(from: 0, to: 400, by: 200) {
      try await apply(
        (start..<start + 200).flatMap {
          [
            .putGroup(id: "g\($0)", title: "", summary: ""), Self.assign("group:g\($0)", "held"),
          ]
        })
    }
    let flips = (0..<100).map { Self.role("a", exclusions: [$0 % 2 == 0 ? "b" : "c"]) }
    #expect(await refusalOf(flips)?.category == .invalidArgument)
    try await apply(Array(flips.prefix(10)))
  }

  /// Updates of a role that many inherit from look at all of them.
  @Test func heirsCount() async throws {
    try await apply(
      [Self.role("base")] + (0..<400).map { Self.role("heir-\($0)", parents: ["base"]) })
    let updates = (0..<100).map { Self.role("base", ["docs:p\($0)"]) }
    #expect(await refusalOf(updates)?.category == .invalidArgument)
    try await apply(Array(updates.prefix(10)))
  }
}
