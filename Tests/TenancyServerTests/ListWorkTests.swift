import TenancyTestSupport
import TenancyWire
import Testing

@testable import Tenancy
@testable import TenancyRPCServer
@testable import TenancyServer

/// What the lists cost, counted, where there is little and where there is much; and that pages that end
/// early miss nothing.
struct ListWorkTests {
  private static let sizes = [1_000, 100_000]

  private static func tenants(_ count: Int) throws -> ControlPlane {
    try Sample.plane(
      (0..<count).map { number in
        Sample.tenant(
          UInt64(number), "tenant-\(number)", state: number % 7 == 0 ? .deleted : .active)
      })
  }

  private static func operators(_ plane: ControlPlane) -> Access {
    Access(
      caller: caller(.platform(roles: ["operator"])), home: nil, target: nil, now: Sample.moment,
      snapshot: plane.snapshot)
  }

  private static func caller(_ kind: Caller.Kind) -> Caller {
    Caller(
      kind, subject: "x", source: .certificate, certificate: nil,
      rules: IdentityRules(trustDomains: []))
  }

  private static func list(
    _ plane: ControlPlane, _ request: V1.ListTenantsRequest, _ budget: inout WorkBudget
  ) throws(TenancyError) -> V1.ListTenantsResponse {
    try TenantManagerService(plane: plane, provisioner: Provisioner(plane, NoDataPlane()))
      .list(operators(plane), request, &budget)
  }

  // MARK: Tenants

  @Test(
    arguments: sizes,
    [
      "display_name = \"nobody*\"", "feature_flags.x = true",
      "display_name != \"D*\"",
    ])
  func aFilterLooksAtSoManyTenantsAndNoMore(_ count: Int, _ filter: String) throws {
    let plane = try Self.tenants(count)
    var budget = WorkBudget()
    let page = try Self.list(plane, V1.ListTenantsRequest(filter: filter), &budget)
    // The last may have been compared before the budget was spent.
    #expect(budget.visits <= WorkBudget.maximumVisits + 1)
    #expect(page.tenants.isEmpty)
    #expect(page.nextPageToken.isEmpty == (count <= WorkBudget.maximumVisits / 2))
  }

  /// The longest filter is charged for each of its comparisons.
  @Test func comparisonsAreCharged() throws {
    let plane = try Self.tenants(1_000)
    let comparisons = FilterParser.maximumTests
    let filter = Array(repeating: "slug!=a", count: comparisons).joined(separator: " AND ")
    var budget = WorkBudget()
    let page = try Self.list(
      plane, V1.ListTenantsRequest(pageSize: 1000, filter: filter, showDeleted: true), &budget)
    #expect(budget.visits < WorkBudget.maximumVisits + comparisons + 1)
    #expect(page.tenants.count <= WorkBudget.maximumVisits / comparisons + 1)
    #expect(!page.nextPageToken.isEmpty)
  }

  @Test(arguments: sizes)
  func aSlugIsLookedUp(_ count: Int) throws {
    let plane = try Self.tenants(count)
    var budget = WorkBudget()
    let request = V1.ListTenantsRequest(filter: "state = ACTIVE AND slug = \"tenant-995\"")
    let page = try Self.list(plane, request, &budget)
    #expect(page.tenants.map(\.slug) == ["tenant-995"] && page.nextPageToken.isEmpty)
    #expect(budget.visits <= 3)
  }

  @Test func thePagesTogetherAreTheList() throws {
    let plane = try Self.tenants(20_000)
    for (filter, size) in [
      ("slug = \"tenant-19*\"", 0), ("slug != \"tenant-1*\"", 700), ("", 1000),
    ] {
      var request = V1.ListTenantsRequest(pageSize: Int32(size), filter: filter)
      var found: [String] = []
      var short = 0
      repeat {
        var budget = WorkBudget()
        let page = try Self.list(plane, request, &budget)
        found += page.tenants.map(\.slug)
        request.pageToken = page.nextPageToken
        if page.tenants.count < 50 { short += 1 }
      } while !request.pageToken.isEmpty
      var unlimited = WorkBudget.uncapped
      let parsed = try TenantFilter(parsing: filter)
      let expected = plane.state.tenants().all.map(\.tenant)
        .filter { $0.state != .deleted && parsed.matches($0, &unlimited) }
      let slugs = expected.map(\.slug.text)
      #expect(found == (filter.contains("*\"") && !filter.contains("!") ? slugs.sorted() : slugs))
      #expect(short > 1 || filter.isEmpty || found == slugs.sorted(), "some pages were cut short")
    }
  }

  @Test func aFullPageOfPlainTenantsFits() throws {
    var budget = WorkBudget()
    let page = try Self.list(
      try Self.tenants(1_500), V1.ListTenantsRequest(pageSize: 1000), &budget)
    #expect(page.tenants.count == 1000 && !page.nextPageToken.isEmpty)
  }

  @Test func anAnswerHasALimit() throws {
    var large = Sample.tenant(1, "large")
    large.configuration.customSettings = ["a": .string(String(repeating: "x", count: 65_000))]
    let plane = try Sample.plane(
      (1...9).map { number in
        Tenant(
          id: Sample.id(number), slug: Sample.slug("t\(number)"), displayName: "T", state: .active,
          isolationModel: .schema, configuration: large.configuration, version: 1, epoch: 1,
          createTime: Sample.moment, updateTime: Sample.moment)
      })
    var budget = WorkBudget()
    let page = try Self.list(plane, V1.ListTenantsRequest(), &budget)
    // It ends with the one that goes past the limit.
    #expect(page.tenants.count == WorkBudget.maximumAnswerBytes / 65_000 + 1)
    #expect(!page.nextPageToken.isEmpty)
  }

  // MARK: Roles and assignments

  private struct Scene {
    let access: Access
    let service: RoleService

    init(assignments count: Int, permissions: Int = 1) throws {
      let acme = Sample.tenant(1, "acme")
      let roles = (0..<1000).map { number in
        Change.putRole(
          acme.id,
          Role(
            id: "role-\(1000 + number)", title: "", summary: "",
            permissions: (0..<permissions).map { "docs:p\($0)" }, version: 1,
            createTime: Sample.moment, updateTime: Sample.moment))
      }
      let assignments = (0..<count).map { number in
        Change.putAssignment(
          acme.id,
          RoleAssignment(
            id: "\(1_000_000 + number)", subject: number % 2 == 0 ? "user:\(number)" : "user:all",
            role: number % 2 == 0 ? "tenant-viewer" : "role-\(1000 + number / 2 % 1000)",
            createTime: Sample.moment, expireTime: nil))
      }
      let plane = try Sample.plane([acme], roles + assignments)
      let record = plane.state.find("acme")
      access = Access(
        caller: ListWorkTests.caller(.tenant(name: "acme")), home: record, target: record,
        now: Sample.moment, snapshot: plane.snapshot)
      service = RoleService(plane: plane)
    }

    func assignments(
      _ request: V1.ListRoleAssignmentsRequest
    ) throws(TenancyError) -> (V1.ListRoleAssignmentsResponse, WorkBudget) {
      var budget = WorkBudget()
      return (try service.listAssignments(access, request, &budget), budget)
    }

    func roles(
      _ request: V1.ListRolesRequest
    ) throws(TenancyError) -> (V1.ListRolesResponse, WorkBudget) {
      var budget = WorkBudget()
      return (try service.list(access, request, &budget), budget)
    }
  }

  @Test(arguments: sizes)
  func aPageOfOneLooksAtTwo(_ count: Int) throws {
    let scene = try Scene(assignments: count)
    for (subject, role) in [("", ""), ("", "tenant-viewer"), ("user:all", "")] {
      var request = V1.ListRoleAssignmentsRequest(pageSize: 1, subject: subject, role: role)
      for _ in 0..<3 {
        let (page, budget) = try scene.assignments(request)
        #expect(page.assignments.count == 1 && budget.visits == 2)
        request.pageToken = page.nextPageToken
      }
    }
    let (roles, budget) = try scene.roles(V1.ListRolesRequest(pageSize: 1))
    #expect(roles.roles.count == 1 && budget.visits == 2)
  }

  /// More of one subject than commands allow: what is of other roles is not looked at.
  @Test func aSubjectAndARoleTogether() throws {
    let scene = try Scene(assignments: 20_000)
    var request = V1.ListRoleAssignmentsRequest(
      pageSize: 4, subject: "user:all", role: "role-1999")
    var found: [String] = []
    var visits = 0
    repeat {
      let (page, budget) = try scene.assignments(request)
      found += page.assignments.map(\.name)
      visits += budget.visits
      request.pageToken = page.nextPageToken
    } while !request.pageToken.isEmpty
    // Of each page but the last, one more is looked at than it has.
    #expect(found.count == 10 && found == found.sorted() && Set(found).count == 10 && visits == 12)
  }

  @Test func assignmentsInPagesAreTheList() throws {
    let scene = try Scene(assignments: 5_000)
    for (subject, role, expected) in [
      ("", "", 5_000), ("", "tenant-viewer", 2_500), ("user:all", "", 2_500), ("user:4", "", 1),
      ("nobody", "", 0), ("", "nothing", 0), ("user:4", "tenant-viewer", 1),
    ] {
      var request = V1.ListRoleAssignmentsRequest(pageSize: 999, subject: subject, role: role)
      var found: [String] = []
      repeat {
        let (page, _) = try scene.assignments(request)
        found += page.assignments.map(\.name)
        request.pageToken = page.nextPageToken
      } while !request.pageToken.isEmpty
      #expect(found.count == expected && found == found.sorted() && Set(found).count == expected)
    }
  }

  @Test func aPageOfRolesHasALimit() throws {
    let scene = try Scene(assignments: 0, permissions: 1000)
    let (page, budget) = try scene.roles(V1.ListRolesRequest(pageSize: 1000))
    // A permission costs more than its text.
    #expect(page.roles.count == WorkBudget.maximumAnswerBytes / (1000 * 38) + 1)
    #expect(budget.visits == page.roles.count + 1)
    #expect(!page.nextPageToken.isEmpty)
  }

  @Test func namesHaveALength() throws {
    let scene = try Scene(assignments: 0)
    let subject = String(repeating: "a", count: RoleCommands.maximumSubjectBytes)
    _ = try scene.assignments(V1.ListRoleAssignmentsRequest(subject: subject))
    let long = thrown { () throws(TenancyError) in
      try scene.assignments(V1.ListRoleAssignmentsRequest(subject: subject + "a"))
    }
    #expect(long?.violations.first?.field == "subject")
    let role = String(repeating: "a", count: RoleService.maximumNameBytes)
    _ = try scene.assignments(V1.ListRoleAssignmentsRequest(role: role))
    for longer in [role + "a", String(repeating: "/", count: 4 << 20)] {
      let error = thrown { () throws(TenancyError) in
        try scene.assignments(V1.ListRoleAssignmentsRequest(role: longer))
      }
      #expect(error?.violations.first?.field == "role")
      #expect(error?.message == "role: longer than 256 bytes")
    }
  }
}
