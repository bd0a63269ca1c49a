import TenancyTestSupport
import TenancyWire
import Testing

@testable import Tenancy
@testable import TenancyServer

/// Lists in their orders, page by page.
struct ListOrderTests {
  private static func access(_ plane: ControlPlane) -> Access {
    Access(
      caller: Sample.operator, home: nil, target: nil, now: Sample.moment, snapshot: plane.snapshot)
  }

  private static func list(
    _ plane: ControlPlane, _ request: V1.ListTenantsRequest, _ budget: inout WorkBudget
  ) throws(TenancyError) -> V1.ListTenantsResponse {
    try TenantManagerService(plane: plane, provisioner: Provisioner(plane, NoDataPlane()))
      .list(access(plane), request, &budget)
  }

  private static func all(
    _ plane: ControlPlane, _ request: V1.ListTenantsRequest
  ) throws(TenancyError) -> [String] {
    var (request, found) = (request, [String]())
    repeat {
      var budget = WorkBudget()
      let page = try list(plane, request, &budget)
      found += page.tenants.map(\.slug)
      request.pageToken = page.nextPageToken
    } while !request.pageToken.isEmpty
    return found
  }

  private static func tenants(_ count: Int) -> [Tenant] {
    (0..<count).map { number in
      var tenant = Tenant(
        id: Sample.id(UInt64(number)), slug: Sample.slug("t\(number * 7919 % count)"),
        displayName: ["é", "b", "a\"b c\\", "Z"][number % 4],
        state: number % 10 == 0 ? .suspended : .active, isolationModel: .schema,
        configuration: TenantConfiguration(), version: 1, epoch: 1, createTime: Sample.moment,
        updateTime: Timestamp(nanoseconds: Int64(number * 31 % 17)))
      tenant.metadata.labels = ["kind": number % 100 == 0 ? "rare" : "usual"]
      if number % 50 == 0 { tenant.configuration.limits = LimitSettings(plan: "pro") }
      return tenant
    }
  }

  @Test(arguments: [1, 7, 1000] as [Int32])
  func pagesTogetherAreTheList(_ size: Int32) throws {
    let tenants = Self.tenants(size == 1 ? 60 : 1_500)
    let plane = try Sample.plane(tenants)
    for order in ["", "create_time", "update_time", "slug", "display_name"] {
      for direction in order.isEmpty ? [""] : ["", " desc", " asc"] {
        for filter in [
          "", "state = SUSPENDED", "labels.kind = rare", "slug = \"t1*\"", "plan = pro",
        ] {
          let parsed = try TenantQuery(filter: filter, orderBy: order + direction)
          var unlimited = WorkBudget.uncapped
          var expected = tenants.filter { parsed.filter.matches($0, &unlimited) }
          let byKey = parsed.order
          expected.sort { byKey.comes($1, after: byKey.place(of: $0)) }
          let request = V1.ListTenantsRequest(
            pageSize: size, filter: filter, orderBy: order + direction)
          #expect(try Self.all(plane, request) == expected.map(\.slug.text), "\(order) \(filter)")
        }
      }
    }
  }

  /// What has gone from behind a page moves nothing that is still there.
  @Test func pagesGoOnBehindWhatIsGone() throws {
    let tenants = Self.tenants(40)
    for order in ["update_time desc", "display_name", "slug"] {
      var budget = WorkBudget()
      let first = try Self.list(
        try Sample.plane(tenants), V1.ListTenantsRequest(pageSize: 10, orderBy: order), &budget)
      let seen = Set(first.tenants.map(\.slug))
      let gone = try #require(first.tenants.last?.slug)
      let rest = try Self.all(
        try Sample.plane(tenants.filter { $0.slug.text != gone }),
        V1.ListTenantsRequest(pageSize: 10, pageToken: first.nextPageToken, orderBy: order))
      #expect(seen.isDisjoint(with: rest) && rest.count == 30)
    }
  }

  @Test(arguments: ["state = SUSPENDED", "labels.kind = rare", "plan = pro", "slug = \"t1*\""])
  func whatIsFoundTogetherIsAllThatIsLookedAt(_ filter: String) throws {
    let plane = try Sample.plane(Self.tenants(20_000))
    for direction in ["", " desc"] {
      let order = filter.hasPrefix("slug") ? "slug" : "create_time"
      var request = V1.ListTenantsRequest(
        pageSize: 100, filter: filter, orderBy: order + direction)
      for _ in 0..<2 {
        var budget = WorkBudget()
        let page = try Self.list(plane, request, &budget)
        #expect(page.tenants.count == 100 && budget.visits <= 3 * 101)
        request.pageToken = page.nextPageToken
      }
    }
  }

  /// Of two groups the smaller is looked at.
  @Test func theSmallestGroupIsTaken() throws {
    let plane = try Sample.plane(Self.tenants(20_000))
    for (filter, size, visits) in [
      ("state = ACTIVE labels.kind = rare", 1000, 200 * 4),
      ("labels.kind = usual AND state = SUSPENDED", 45, 50 * 4 + 4),
    ] {
      var budget = WorkBudget()
      let request = V1.ListTenantsRequest(pageSize: Int32(size), filter: filter)
      _ = try Self.list(plane, request, &budget)
      #expect(budget.visits <= visits, "\(filter)")
    }
  }

  @Test func aTokenIsForOneOrder() throws {
    let plane = try Sample.plane(Self.tenants(30))
    var budget = WorkBudget()
    let page = try Self.list(
      plane, V1.ListTenantsRequest(pageSize: 5, orderBy: "display_name"), &budget)
    for other in ["", "slug", "display_name desc"] {
      let error = thrown { () throws(TenancyError) in
        try Self.list(
          plane, V1.ListTenantsRequest(pageToken: page.nextPageToken, orderBy: other), &budget)
      }
      #expect(error?.violations.first?.field == "page_token")
    }
    // Spaces make no other order.
    let request = V1.ListTenantsRequest(
      pageToken: page.nextPageToken, orderBy: " display_name  asc ")
    #expect(try Self.list(plane, request, &budget).tenants.count == 25)
  }

  /// Where two tenants may share a value, the oldest comes first, or last.
  @Test(arguments: [
    ("display_name,create_time", "display_name"), ("slug desc, display_name", "slug desc"),
    ("update_time desc, create_time desc", "update_time desc"),
    ("create_time , slug desc", "create_time"),
  ])
  func severalFieldsAreAnOrder(_ several: String, _ one: String) throws {
    #expect(
      try TenantQuery(filter: "", orderBy: several).order
        == TenantQuery(filter: "", orderBy: one).order)
  }

  @Test(arguments: [
    "id", "SLUG", "slug DESC", "slug desc desc", "slug,slug", "slug,", ",slug", "slug,id",
    "display_name,slug",
    "update_time desc,create_time", "desc", "-slug", "slug\n",
    String(repeating: " ", count: 65),
  ])
  func whatIsNoOrderIsRefused(_ order: String) throws {
    let error = thrown { () throws(TenancyError) in try TenantQuery(filter: "", orderBy: order) }
    #expect(error?.category == .invalidArgument && error?.violations.first?.field == "order_by")
  }

  /// The longest name fits into a token.
  @Test func aTokenHasRoomForTheLongestName() throws {
    let tenants = (0..<3).map { number in
      Tenant(
        id: Sample.id(UInt64(number)), slug: Sample.slug("t\(number)"),
        displayName: String(repeating: "\u{1F9EA}", count: 200), state: .active,
        isolationModel: .schema, configuration: TenantConfiguration(), version: 1, epoch: 1,
        createTime: Sample.moment, updateTime: Sample.moment)
    }
    let request = V1.ListTenantsRequest(pageSize: 1, orderBy: "display_name")
    #expect(try Self.all(try Sample.plane(tenants), request) == ["t0", "t1", "t2"])
  }
}
