import TenancyTestSupport
import Testing

@testable import Tenancy

struct RoleCommandsTests {
  private let test: TestPlane
  private let id = Sample.id(1)

  init() async throws {
    test = try TestPlane()
    try await test.put(Sample.tenant(1))
  }

  /// Commands of a caller that holds these permissions of the API.
  private func commands(holding held: String..., in tenant: TenantID? = nil) -> RoleCommands {
    let set = PermissionSet(held.map(Sample.permission))
    return RoleCommands(
      test.plane, actor: "alice", tenant: tenant ?? id, judge: .server
    ) { _ in
      { set.covers($0) }
    }
  }

  private var policy: TenantPolicy { test.plane.state.find(id)?.policy ?? TenantPolicy() }

  private func createRefusal(
    _ role: String, _ permissions: [String] = [], title: String = "", summary: String = "",
    by commands: RoleCommands? = nil
  ) async -> TenancyError? {
    await refusal { () async throws(TenancyError) in
      try await (commands ?? self.commands()).createRole(
        id: role, title: title, summary: summary, permissions: permissions)
    }
  }

  private func create(_ role: String, _ permissions: String...) async throws -> Role {
    try await commands().createRole(
      id: role, title: "", summary: "", permissions: permissions)
  }

  private func assign(
    _ subject: String, _ role: String, until end: Timestamp? = nil
  ) async throws(TenancyError) -> RoleAssignment {
    try await commands().assign(subject: subject, role: role, expireTime: end)
  }

  // MARK: Roles

  @Test func aNewRoleHasItsPermissionsSortedAndOnce() async throws {
    let role = try await create("reader", "docs:read", "a:b", "docs:read")
    #expect(role.permissions == ["a:b", "docs:read"])
    #expect(role.version == test.plane.state.revision)
    #expect(policy.role("reader")?.role == role)
  }

  @Test(arguments: [
    ("a", true), ("a-1", true), (String(repeating: "a", count: 63), true),
    (String(repeating: "a", count: 64), false), ("", false), ("1a", false), ("-a", false),
    ("A", false), ("a/b", false), ("ä", false), ("a_b", false),
  ])
  func roleIDs(_ role: String, _ isGood: Bool) async {
    #expect(await createRefusal(role)?.violations.first?.field == (isGood ? nil : "role_id"))
  }

  @Test func idsAreTakenOnce() async throws {
    _ = try await create("reader")
    for taken in ["reader", "tenant-admin", "tenant-viewer"] {
      #expect(await createRefusal(taken)?.reason == .roleExists)
    }
  }

  @Test func aTenantHasALimitOfRoles() async throws {
    let id = id
    try await test.plane.write(actor: "test", action: "test") {
      (transaction) throws(TenancyError) in
      for number in 1..<RoleCommands.maximumRoles {
        transaction.emit(.putRole(id, Sample.role("r\(number)")), about: id)
      }
    }
    #expect(await createRefusal("last") == nil)
    let error = await createRefusal("over")
    #expect(error?.category == .resourceExhausted)
    #expect(error?.reason == .limitReached)
  }

  @Test func aRoleHasLimits() async {
    let permissions = (0...RoleRules.maximumPermissions).map { "docs:p\($0)" }
    #expect(await createRefusal("a", Array(permissions.dropLast())) == nil)
    #expect(await createRefusal("b", permissions)?.violations.first?.field == "role.permissions")
    #expect(await createRefusal("c", title: String(repeating: "é", count: 200)) == nil)
    let title = await createRefusal("d", title: String(repeating: "é", count: 201))
    #expect(title?.violations.first?.field == "role.title")
    #expect(await createRefusal("e", summary: String(repeating: "a", count: 2000)) == nil)
    let summary = await createRefusal("f", summary: String(repeating: "a", count: 2001))
    #expect(summary?.violations.first?.field == "role.description")
  }

  @Test func aMalformedPermissionIsNamedByItsPosition() async {
    let error = await createRefusal("a", ["docs:read", "docs"])
    #expect(error?.violations.first?.field == "role.permissions[1]")
  }

  @Test func updatesHaveTheSameLimits() async throws {
    _ = try await create("a", "docs:read")
    let full = (0...RoleRules.maximumPermissions).map { "docs:p\($0)" }
    for (permissions, isGood) in [(Array(full.dropLast()), true), (full, false)] {
      let error = await refusal { () async throws(TenancyError) in
        try await commands().updateRole(id: "a", etag: "") { $0.permissions = permissions }
      }
      #expect((error == nil) == isGood)
    }
  }

  @Test func etagsAndBuiltInRoles() async throws {
    let made = try await create("a", "docs:read")
    let after = try await commands().updateRole(id: "a", etag: made.etag) { $0.title = "T" }
    #expect(after.etag != made.etag)
    let same = try await commands().updateRole(id: "a", etag: after.etag) { $0.title = "T" }
    #expect(same == after)
    let expected: [(String, String, TenancyError.Reason)] = [
      ("a", made.etag, .etagMismatch), ("nobody", "", .roleNotFound),
      ("tenant-admin", "", .roleBuiltIn),
    ]
    for (role, etag, reason) in expected {
      let updated = await refusal { () async throws(TenancyError) in
        try await commands().updateRole(id: role, etag: etag) { $0.title = "U" }
      }
      #expect(updated?.reason == reason)
      let deleted = await refusal { () async throws(TenancyError) in
        try await commands().deleteRole(id: role, etag: etag, force: true)
      }
      #expect(deleted?.reason == reason)
    }
  }

  @Test func aRoleThatIsMadeAgainHasNoEarlierEtag() async throws {
    var etags = Set<String>()
    for _ in 0..<3 {
      etags.insert(try await create("a", "docs:read").etag)
      etags.insert(try await commands().updateRole(id: "a", etag: "") { $0.title = "T" }.etag)
      try await commands().deleteRole(id: "a", etag: "", force: false)
    }
    #expect(etags.count == 6)
  }

  @Test func subjectsOfOtherTenantsAreRefused() async throws {
    let renamed = Sample.tenant(1, slug: "renamed")
    try await test.plane.write(actor: "test", action: "test") {
      (transaction) throws(TenancyError) in
      transaction.emit(.reserveName(ReservedName(.slug, "tenant-1"), renamed.id), about: renamed.id)
      transaction.emit(.putTenant(renamed), about: renamed.id)
      transaction.emit(.putTenant(Sample.tenant(2)), about: Sample.id(2))
      transaction.emit(
        .reserveName(ReservedName(.slug, "former-2"), Sample.id(2)), about: Sample.id(2))
    }
    _ = try await create("a", "docs:read")
    for own in [
      "spiffe://d/tenant/renamed/w", "spiffe://d/tenant/tenant-1/w", "spiffe://d/tenant/\(id)/w",
      "spiffe://d/tenant/renamed", "spiffe://d/platform/viewer", "user:alice",
      "tenant/tenant-2", "spiffe-user",
    ] {
      _ = try await assign(own, "a")
    }
    for foreign in [
      "spiffe://d/tenant/tenant-2/w", "spiffe://d/tenant/former-2/w", "spiffe://d/tenant/nobody/w",
      "spiffe://d/tenant/\(Sample.id(2))/w", "spiffe://d/tenant/\(Sample.id(3))",
      "spiffe://other/tenant/tenant-2", "SPIFFE://d/tenant/tenant-2/w", "spiffe://d/tenant",
      "spiffe://d//tenant/tenant-2", "spiffe://d/%74enant/tenant-2", "spiffe:/d/tenant/tenant-2",
      "spiffe://d/x/../tenant/tenant-2", "spiffe://d/tenant/tenant-2?x",
    ] {
      let error = await refusal { () async throws(TenancyError) in try await assign(foreign, "a") }
      #expect(error?.reason == .foreignSubject, "\(foreign)")
    }
  }

  /// In one transaction: at no moment is the subject without the role.
  @Test func anAssignmentIsReplaced() async throws {
    _ = try await create("a", "docs:read")
    let end = test.clock.now + Duration.seconds(60)
    func replace(until end: Timestamp?) async throws(TenancyError) -> RoleAssignment {
      try await commands().assign(subject: "user:1", role: "a", expireTime: end, replaces: true)
    }
    let first = try await replace(until: end)
    let log = test.store.log.count
    #expect(try await replace(until: end) == first && test.store.log.count == log)
    let second = try await replace(until: nil)
    #expect(test.store.log.count == log + 1 && policy.assignments == [second])
    #expect(second.expireTime == nil && second.id != first.id)
    let error = await refusal { () async throws(TenancyError) in try await assign("user:1", "a") }
    #expect(error?.reason == .assignmentExists)
  }

  @Test func aRoleInUseIsDeletedByForceOnly() async throws {
    _ = try await create("a", "docs:read")
    _ = try await assign("user:1", "a")
    let error = await refusal { () async throws(TenancyError) in
      try await commands().deleteRole(id: "a", etag: "", force: false)
    }
    #expect(error?.reason == .roleInUse)
    #expect(error?.metadata == ["assignments": "1"])
    try await commands().deleteRole(id: "a", etag: "", force: true)
    #expect(policy.role("a") == nil)
    #expect(policy.assignments.isEmpty)
  }

  @Test func aRoleThatIsAssignedOftenIsDeletedInSeveralTransactions() async throws {
    let made = try await create("a", "docs:read")
    let id = id
    let count = 2 * RoleCommands.maximumDeletions + 1
    try await test.plane.write(actor: "test", action: "test") {
      (transaction) throws(TenancyError) in
      for number in 0..<count {
        let assignment = Sample.assignment("x\(number)", "user:\(number)", role: "a")
        transaction.emit(.putAssignment(id, assignment), about: id)
      }
    }
    let before = test.store.log.count
    try await commands().deleteRole(id: "a", etag: made.etag, force: true)
    #expect(policy.role("a") == nil)
    #expect(policy.assignments.isEmpty)
    let entries = test.store.log.dropFirst(before)
    #expect(entries.count == 3)
    #expect(entries.allSatisfy { $0.changes.count <= WriteTerms.maximumCost })
    // From the first on nobody has anything by it.
    let isEmptied = entries.first?.changes.contains { change in
      if case .putRole(_, let role) = change { return role.permissions.isEmpty }
      return false
    }
    #expect(isEmptied == true)
  }

  // MARK: Reserved permissions

  @Test(arguments: ["tenancy.roles:create", "tenancy.roles:*", "tenancy.other:get"])
  func nobodyGivesAwayReservedPermissionsThatTheyLack(_ permission: String) async throws {
    for powerless in [commands(), commands(holding: "*:*"), commands(holding: "tenancy.roles:get")]
    {
      let error = await createRefusal("a", [permission], by: powerless)
      #expect(error?.reason == .permissionMissing)
      #expect(error?.metadata == ["permission": permission])
    }
    #expect(await createRefusal("a", [permission], by: commands(holding: permission)) == nil)
    // Nor by a change, nor by assigning a role that has them.
    _ = try await create("b", "docs:read")
    let updated = await refusal { () async throws(TenancyError) in
      try await commands().updateRole(id: "b", etag: "") { $0.permissions.append(permission) }
    }
    #expect(updated?.reason == .permissionMissing)
    let assigned = await refusal { () async throws(TenancyError) in try await assign("user:1", "a")
    }
    #expect(assigned?.reason == .permissionMissing)
    #expect(policy.role("b")?.role.permissions == ["docs:read"])
    #expect(policy.assignments.isEmpty)
  }

  @Test func aSingleReservedPermissionIsNotItsWildcard() async {
    let one = commands(holding: "tenancy.roles:create")
    #expect(await createRefusal("a", ["tenancy.roles:*"], by: one)?.reason == .permissionMissing)
    let all = commands(holding: "tenancy.roles:*")
    #expect(await createRefusal("a", ["tenancy.roles:create"], by: all) == nil)
  }

  @Test func reservedPermissionsThatWereThereMayStay() async throws {
    _ = try await commands(holding: "tenancy.roles:get").createRole(
      id: "a", title: "", summary: "", permissions: ["tenancy.roles:get"])
    let after = try await commands().updateRole(id: "a", etag: "") {
      $0.permissions.append("docs:read")
    }
    #expect(after.permissions == ["docs:read", "tenancy.roles:get"])
    let less = try await commands().updateRole(id: "a", etag: "") { $0.permissions = [] }
    #expect(less.permissions.isEmpty)
  }

  @Test func builtInRolesAreReservedToo() async {
    let error = await refusal { () async throws(TenancyError) in
      try await assign("user:1", "tenant-viewer")
    }
    #expect(error?.reason == .permissionMissing)
  }

  // MARK: Assignments

  @Test(arguments: [
    ("user:1", true), ("spiffe://d/tenant/tenant-1/a", true), ("ü", true),
    (String(repeating: "a", count: 256), true), (String(repeating: "a", count: 257), false),
    ("", false), ("a b", false), ("a\n", false), ("\u{7F}", false), ("a\0", false),
  ])
  func subjects(_ subject: String, _ isGood: Bool) async throws {
    _ = try await create("a", "docs:read")
    let error = await refusal { () async throws(TenancyError) in try await assign(subject, "a") }
    #expect(error?.violations.first?.field == (isGood ? nil : "assignment.subject"))
  }

  @Test func aSubjectHasARoleOnceUntilItExpires() async throws {
    _ = try await create("a", "docs:read")
    let end = Timestamp(nanoseconds: test.clock.now.nanoseconds + 1_000_000_000)
    let first = try await assign("user:1", "a", until: end)
    let again = await refusal { () async throws(TenancyError) in try await assign("user:1", "a") }
    #expect(again?.reason == .assignmentExists)
    #expect(again?.metadata == ["assignment": first.id])
    test.clock.advance(seconds: 1)
    let second = try await assign("user:1", "a")
    #expect(second.id != first.id)
    #expect(policy.assignments == [second])
  }

  @Test func anAssignmentEndsInTheFuture() async throws {
    _ = try await create("a", "docs:read")
    let error = await refusal { () async throws(TenancyError) in
      try await assign("user:1", "a", until: test.clock.now)
    }
    #expect(error?.violations.first?.field == "assignment.expire_time")
  }

  @Test func anAssignmentNeedsItsRoleAndIsDeletedOnce() async throws {
    let error = await refusal { () async throws(TenancyError) in try await assign("user:1", "a") }
    #expect(error?.reason == .roleNotFound)
    _ = try await create("a", "docs:read")
    let made = try await assign("user:1", "a")
    try await commands().unassign(id: made.id)
    let gone = await refusal { () async throws(TenancyError) in
      try await commands().unassign(id: made.id)
    }
    #expect(gone?.reason == .assignmentNotFound)
  }

  @Test func aTenantHasALimitOfAssignments() async throws {
    _ = try await create("a", "docs:read")
    let id = id
    try await test.plane.write(actor: "test", action: "test") {
      (transaction) throws(TenancyError) in
      for number in 1..<RoleCommands.maximumAssignments {
        transaction.emit(
          .putAssignment(id, Sample.assignment("0\(1_000_000 + number)", "u\(number)")), about: id)
      }
    }
    _ = try await assign("last", "a")
    let error = await refusal { () async throws(TenancyError) in try await assign("over", "a") }
    #expect(error?.reason == .limitReached)
  }

  @Test func onlyTenantsThatAreThere() async throws {
    try await test.put(Sample.tenant(2, state: .deleted))
    for tenant in [Sample.id(2), Sample.id(3)] {
      let error = await createRefusal("a", by: commands(in: tenant))
      #expect(error?.reason == .tenantNotFound)
    }
  }
}
