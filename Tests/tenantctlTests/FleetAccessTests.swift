import Foundation
import Tenancy
import TenancyRPC
import TenancyWire
import Testing

@testable import tenantctl

@Suite struct FleetAccessTests {
  private let current = V1.Tenant(
    name: "tenants/1", id: "1", slug: "acme", formerSlugs: [V1.FormerSlug(slug: "old")])

  private func given(
    _ id: Int, _ subject: String, _ role: String, until seconds: Int64? = nil
  ) -> V1.RoleAssignment {
    V1.RoleAssignment(
      name: "tenants/1/assignments/\(id)", subject: subject, role: role,
      expireTime: seconds.map { GoogleProtobuf.Timestamp(seconds: $0) })
  }

  private func changes(
    _ wanted: [FleetAssignment], from former: [V1.RoleAssignment], prunes: Bool = false
  ) -> FleetChanges {
    var tenant = FleetTenant(slug: "acme")
    tenant.assignments = wanted
    return FleetChanges(
      of: tenant, from: current, TenantAccess(assignments: former), prunes: prunes)
  }

  @Test(arguments: [
    ("user:al", "user:al"),
    ("spiffe://td/tenant/1/web", "spiffe://td/tenant/acme/web"),
    ("spiffe://td/tenant/1", "spiffe://td/tenant/acme"),
    ("spiffe://td/tenant/old/a/b", "spiffe://td/tenant/acme/a/b"),
    ("spiffe://td/tenant/acme/web", "spiffe://td/tenant/acme/web"),
    ("spiffe://td/tenant/2/web", "spiffe://td/tenant/2/web"),
    ("spiffe://td/platform/1/web", "spiffe://td/platform/1/web"),
    ("x://td/tenant/1/web", "x://td/tenant/1/web"), ("spiffe:", "spiffe:"), ("", ""),
  ])
  func theTenantsOwnWorkloadsAreNamedByItsSlug(_ subject: String, _ portable: String) {
    #expect(FleetAssignment.portable(subject, of: current) == portable)
  }

  @Test func oneThatIsThereIsNotMadeAgain() {
    let wanted = [
      FleetAssignment(subject: "spiffe://td/tenant/acme/web", role: "reader"),
      FleetAssignment(subject: "user:al", role: "reader"),
    ]
    let former = [
      given(1, "spiffe://td/tenant/1/web", "reader"), given(2, "user:al", "reader"),
    ]
    #expect(changes(wanted, from: former, prunes: true).isEmpty)
  }

  @Test func whatDiffers() {
    let wanted = [
      FleetAssignment(
        subject: "user:al", role: "reader",
        expireTime: GoogleProtobuf.Timestamp(seconds: 4_000_000_000)),
      FleetAssignment(subject: "user:bo", role: "reader"),
      // Over by now: as if it were not there.
      FleetAssignment(
        subject: "user:cy", role: "reader", expireTime: GoogleProtobuf.Timestamp(seconds: 1)),
    ]
    let former = [
      given(1, "user:al", "reader"), given(2, "user:al", "writer"),
      given(3, "user:bo", "reader", until: 1),
    ]
    let kept = changes(wanted, from: former)
    #expect(
      kept.assignments == [
        .replace(wanted[0].message, at: 0),  // In range: of three.
        .create(wanted[1].message, at: 1),  // In range: of three.
      ])
    #expect(
      kept.fields == [
        FieldChange(
          field: "assignments.reader.user:al", from: "\"without end\"",
          to: "\"2096-10-02T07:06:40Z\""),
        FieldChange(field: "assignments.reader.user:bo", from: nil, to: "\"without end\""),
      ])
    let pruned = changes(wanted, from: former, prunes: true)
    #expect(
      pruned.assignments.last
        == .delete(name: "tenants/1/assignments/2", subject: "user:al", role: "writer", .pruned))
    #expect(pruned.frees("writer") && !pruned.frees("reader"))
  }

  @Test func aSubjectMayHaveARoleSeveralTimes() {
    func held(_ id: Int, _ resource: String, _ condition: String, _ reason: String = "")
      -> V1.RoleAssignment
    {
      V1.RoleAssignment(
        name: "tenants/1/assignments/\(id)", subject: "user:al", role: "reader",
        resource: resource, condition: condition, reason: reason)
    }
    let former = [held(1, "", ""), held(2, "docs", ""), held(3, "docs", "true", "old")]
    let same = former.map { FleetAssignment($0, of: current) }
    #expect(changes(same, from: former, prunes: true).isEmpty)
    // What is held but for some is not given for all, whatever else is the same.
    var wanted = [same[1]]  // In range: of three.
    // In range: likewise.
    let more = changes(wanted, from: [former[0]]).assignments
    #expect(more == [.create(wanted[0].message, at: 0)])  // In range: of one.
    wanted = [same[2]]  // In range: likewise.
    wanted[0].reason = "new"  // In range: of one.
    let found = changes(wanted, from: former, prunes: true)
    #expect(
      found.fields == [
        FieldChange(
          field: "assignments.reader.user:al of docs if true.reason", from: "\"old\"",
          to: "\"new\""),
        FieldChange(field: "assignments.reader.user:al", from: "\"without end\"", to: nil),
        FieldChange(field: "assignments.reader.user:al of docs", from: "\"without end\"", to: nil),
      ])
    #expect(found.assignments.first == .replace(wanted[0].message, at: 0))  // In range: of one.
    // No two of these are the same, however they are put together.
    let texts = ["", "a", "a 1 b", "1 a", "b"]
    let all = texts.flatMap { resource in
      texts.map {
        FleetAssignment(subject: "s", role: "r", resource: resource, condition: $0).key
      }
    }
    #expect(Set(all).count == all.count)
  }

  @Test func aRoleIsFreeWhenNobodyHasItAnyMore() {
    var tenant = FleetTenant(slug: "acme")
    tenant.roles = []
    let former = [
      given(1, "user:al", "writer"), given(2, "user:bo", "writer"),
      given(3, "user:cy", "writer", until: 1), given(4, "user:cy", "reader", until: 1),
    ]
    let access = TenantAccess(
      roles: [V1.Role(name: "tenants/1/roles/writer")], assignments: former)
    func names(_ tenant: FleetTenant, prunes: Bool = true) -> (names: [String], isFree: Bool) {
      let changes = FleetChanges(of: tenant, from: current, access, prunes: prunes)
      let names = changes.assignments.compactMap { change in
        if case .delete(let name, _, _, _) = change { ResourceName.last(name) } else { nil }
      }
      return (names.sorted(), changes.frees("writer"))
    }
    // Nothing is said of who has it: what has ended goes, the rest keeps it.
    #expect(names(tenant) == (["3"], false))
    tenant.assignments = [FleetAssignment(subject: "user:al", role: "writer")]
    #expect(names(tenant) == (["2", "3"], false))
    tenant.assignments = []
    #expect(names(tenant) == (["1", "2", "3"], true))
    #expect(names(tenant, prunes: false) == ([], false))
  }

  @Test func nobodyTakesARoleFromItself() {
    func refusal(_ why: AssignmentEnd, _ caller: String?) -> RPCStatus? {
      AssignmentChange.delete(
        name: "tenants/1/assignments/1", subject: "spiffe://td/tenant/acme/web", role: "reader", why
      ).refusal(to: caller, of: current)
    }
    #expect(refusal(.pruned, "spiffe://td/tenant/1/web")?.code == .failedPrecondition)
    #expect(refusal(.declared, "spiffe://td/tenant/acme/web")?.code == .failedPrecondition)
    #expect(refusal(.over, "spiffe://td/tenant/acme/web") == nil)
    #expect(refusal(.pruned, "spiffe://td/tenant/acme/api") == nil)
    #expect(refusal(.pruned, nil) == nil)
  }

  @Test func whatTakesAwayIsSentBeforeWhatGives() {
    let writes: [FleetWrite] = [
      .deleteRole(V1.DeleteRoleRequest(), isFree: true),
      .unassign(V1.DeleteRoleAssignmentRequest(name: "pruned"), isDeclared: false),
      .assign(V1.CreateRoleAssignmentRequest(), at: 0),
      .createRole(V1.CreateRoleRequest(), at: 0),
      .authenticate(V1.SetAuthenticationSettingsRequest(), from: V1.AuthenticationSettings()),
      .unassign(V1.DeleteRoleAssignmentRequest(name: "declared"), isDeclared: true),
      .update(V1.UpdateTenantRequest()),
    ]
    #expect(
      FleetWrite.inOrder(writes).map { "\($0)".prefix { $0 != "(" } } == [
        "update", "unassign", "createRole", "authenticate", "assign", "unassign", "deleteRole",
      ])
  }

  @Test(arguments: [
    ("2027-01-31T12:00:00Z", Int64(1_801_396_800), Int32(0)),
    ("2027-01-31T12:00:00.25Z", 1_801_396_800, 250_000_000),
    ("2027-01-31T12:00:00.000000001Z", 1_801_396_800, 1),
  ])
  func moments(_ text: String, _ seconds: Int64, _ nanos: Int32) {
    #expect(
      GoogleProtobuf.Timestamp(moment: text)
        == GoogleProtobuf.Timestamp(seconds: seconds, nanos: nanos))
  }

  @Test(arguments: [
    "", "soon", "2027-01-31", "2027-01-31T12:00:00.Z", "2027-01-31T12:00:00.1234567890Z",
  ])
  func noMoments(_ text: String) {
    #expect(GoogleProtobuf.Timestamp(moment: text) == nil)
  }

  @Test func authenticationAsAWhole() {
    var tenant = FleetTenant(slug: "acme")
    tenant.authentication = V1.AuthenticationSettings(requireBinding: true)
    let former = V1.AuthenticationSettings(disableOwnTokens: true, etag: "e1")
    let found = FleetChanges(
      of: tenant, from: current, TenantAccess(authentication: former), prunes: false)
    #expect(found.authentication == V1.AuthenticationSettings(requireBinding: true, etag: "e1"))
    #expect(
      found.fields == [
        FieldChange(field: "authentication.disableOwnTokens", from: "true", to: nil),
        FieldChange(field: "authentication.requireBinding", from: nil, to: "true"),
      ])
    // Without the etag they are the same.
    tenant.authentication = V1.AuthenticationSettings(disableOwnTokens: true)
    #expect(
      FleetChanges(of: tenant, from: current, TenantAccess(authentication: former), prunes: true)
        .isEmpty)
  }

  @Test(arguments: [
    (FleetPart.assignment(2), "assignment.expire_time", "assignments[2].expires"),
    (.authentication, "settings.issuers[0].jwks_uri", "authentication.issuers[0].jwksUri"),
    (.authentication, "settings", "authentication"), (.role(1), "role.title", "roles[1].title"),
    (.role(1), "role.denied_permissions[2]", "roles[1].deniedPermissions[2]"),
    (.role(0), "role.excluded_roles", "roles[0].excludedRoles"),
    (.assignment(1), "assignment.condition", "assignments[1].condition"),
    (.assignment(1), "assignment.resource", "assignments[1].resource"),
    (.assignment(1), "assignment.reason", "assignments[1].reason"),
  ])
  func membersByWhatTheServerCallsThem(_ part: FleetPart, _ theirs: String, _ ours: String) {
    #expect(FleetDocument.member(of: theirs, part) == ours)
  }
}

@Suite struct TenantListTests {
  private func tenant(_ slug: String, _ seconds: Int64) -> V1.Tenant {
    V1.Tenant(
      name: "tenants/\(slug)", slug: slug, createTime: GoogleProtobuf.Timestamp(seconds: seconds))
  }

  private func shown(_ rows: TenantListRows) -> [String] {
    rows.lines(width: nil).dropFirst(2).map { $0.trimmingCharacters(in: .whitespaces) }
  }

  @Test func rowsComeAndGoInTheirOrder() throws {
    let columns = try TenantColumn.parse("slug")
    var rows = TenantListRows(columns, order: try TenantListOrder(parsing: ""), limit: nil)
    rows.apply(
      V1.WatchTenantsResponse(tenants: [tenant("b", 10), tenant("a", 9), tenant("c", 100)]))
    #expect(shown(rows) == ["a", "b", "c"])
    // In range: there is one line at least.
    #expect(rows.lines(width: nil)[0].contains("still reading"))
    rows.apply(V1.WatchTenantsResponse(snapshotComplete: true, revision: 7))
    #expect(rows.lines(width: nil)[0] == "3 tenants at revision 7")  // In range: likewise.
    rows.apply(
      V1.WatchTenantsResponse(
        change: V1.TenantChange(kind: .removed, tenant: tenant("b", 10), revision: 8),
        revision: 8))
    #expect(shown(rows) == ["a", "c"])
    rows.removeAll()
    #expect(shown(rows) == [])
  }

  @Test func ordersAsTheServer() throws {
    let columns = try TenantColumn.parse("slug")
    var rows = TenantListRows(columns, order: try TenantListOrder(parsing: "slug desc"), limit: 2)
    rows.apply(V1.WatchTenantsResponse(tenants: ["a", "c", "b"].map { tenant($0, 1) }))
    #expect(shown(rows) == ["c", "b"])
    for wrong in ["colour", "slug down", "slug desc desc", ","] {
      #expect(throws: UsageError.self) { try TenantListOrder(parsing: wrong) }
    }
  }
}
