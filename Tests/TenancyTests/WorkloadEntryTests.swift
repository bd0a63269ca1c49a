import TenancyTestSupport
import Testing

@testable import Tenancy

/// Registration entries: what can be one, how many, and when they go.
struct WorkloadEntryTests {
  private let test: TestPlane
  private let commands: WorkloadEntryCommands
  private let tenant = Sample.tenant(1)

  init() async throws {
    test = try TestPlane()
    commands = WorkloadEntryCommands(test.plane, actor: "alice", judge: .server)
    try await test.put(tenant)
    try await test.put(Sample.tenant(2))
  }

  private var entries: WorkloadEntrySet { test.plane.state.workloads }

  private func new(
    _ tenant: TenantID?, _ path: String = "web", _ selectors: WorkloadEntry.Selectors
  ) -> NewWorkloadEntry { NewWorkloadEntry(tenant: tenant, path: path, selectors: selectors) }

  @discardableResult
  private func create(
    _ path: String = "web", _ selectors: WorkloadEntry.Selectors = .init(userID: 7),
    platform: Bool = false
  ) async throws(TenancyError) -> WorkloadEntry {
    try await commands.create(new(platform ? nil : tenant.id, path, selectors))
  }

  private func fields(
    _ change: (inout NewWorkloadEntry) -> Void
  ) async -> [String] {
    var new = new(tenant.id, "web", .init(userID: 7))
    change(&new)
    let error = await refusal { () async throws(TenancyError) in try await commands.create(new) }
    return error?.violations.map(\.field) ?? []
  }

  // MARK: Making

  @Test func oneIsMadeAndFound() async throws {
    let entry = try await create("web/1", .init(userID: 7, groupID: 8))
    #expect(entry.identityPath == "tenant/\(tenant.id)/web/1" && entry.platformRole == nil)
    #expect(entry.lifetime == 3_600 && entry.createTime == test.clock.now && entry.isSound)
    #expect(entries.find(entry.id) === entry && entries.count(of: tenant.id) == 1)
    #expect(entries.candidates(userID: 7, binaryPath: nil) == [entry])
    #expect(entries.candidates(userID: 8, binaryPath: "/bin/x").isEmpty)
    let last = test.store.log.last
    #expect(last?.action == "workload_entries.create" && last?.actor == "alice")
    #expect(last?.tenants == [tenant.id] && last?.changes == [.putWorkloadEntry(entry)])
  }

  @Test func thePlatformHasItsOwn() async throws {
    let entry = try await create("resolver/envoy", .init(binaryPath: "/bin/x"), platform: true)
    #expect(entry.identityPath == "platform/resolver/envoy" && entry.platformRole == "resolver")
    #expect(test.store.log.last?.tenants == [])
    #expect(entries.entries(of: nil).all == [entry] && entries.entries(of: tenant.id).all == [])
    #expect(entries.candidates(userID: 7, binaryPath: "/bin/x") == [entry])
  }

  @Test func oneThatMatchesEverybodyIsRefused() async {
    for selectors in [
      WorkloadEntry.Selectors(), .init(groupID: 7), .init(systemdUnit: "a.service"),
      .init(node: "n"), .init(groupID: 7, systemdUnit: "a.service", node: "n"),
    ] {
      #expect(await fields { $0.selectors = selectors } == ["entry.selectors"])
    }
    #expect(entries.count == 0)
  }

  @Test(arguments: [UInt32.max, WorkloadEntry.overflowID])
  func nobodyIsNoUser(_ id: UInt32) async {
    #expect(await fields { $0.selectors.userID = id } == ["entry.selectors.uid"])
    #expect(await fields { $0.selectors.groupID = id } == ["entry.selectors.gid"])
  }

  @Test(arguments: [
    "", "/", "a/", "/a", "a//b", ".", "a/..", "a b", "a\u{0}", "ä", "a%2fb",
    String(repeating: "a", count: 513), [String](repeating: "a", count: 17).joined(separator: "/"),
  ])
  func whatIsNoPathIsRefused(_ path: String) async {
    #expect(await fields { $0.path = path } == ["entry.path"])
  }

  @Test func pathsUpToTheirLimitsAreTaken() async throws {
    try await create(String(repeating: "a", count: 512))
    try await create([String](repeating: "a", count: 16).joined(separator: "/"))
    try await create("Az0.-_/...")
  }

  @Test(arguments: ["a/b/c", "a/b/"])
  func thePlatformHasRolesAndWorkloadsOnly(_ path: String) async {
    #expect(
      await fields {
        $0.tenant = nil
        $0.path = path
      } == ["entry.path"])
  }

  @Test(arguments: [
    "", "/", "x", "bin/x", "/bin/", "/bin//x", "/bin/./x", "/bin/../x", "/a\nb", "/a\u{0}",
    "/" + String(repeating: "a", count: 1024),
  ])
  func whatIsNoProgramIsRefused(_ path: String) async {
    #expect(
      await fields { $0.selectors.binaryPath = path } == ["entry.selectors.binary_path"])
  }

  @Test(arguments: [
    "", "web", ".service", "a/b.service", "web.slice", "web.socket", "a b.service",
    String(repeating: "a", count: 248) + ".service",
  ])
  func whatIsNoUnitIsRefused(_ unit: String) async {
    #expect(
      await fields { $0.selectors.systemdUnit = unit } == ["entry.selectors.systemd_unit"])
  }

  @Test func livesHintsAndNodesAreBounded() async {
    for life in [Int64.min, 0, 59, 86_401, .max] {
      #expect(await fields { $0.lifetime = life } == ["entry.lifetime"])
    }
    for hint in [String(repeating: "a", count: 129), "a\n"] {
      #expect(await fields { $0.hint = hint } == ["entry.hint"])
    }
    for node in ["", "a b", String(repeating: "a", count: 256)] {
      #expect(await fields { $0.selectors.node = node } == ["entry.selectors.node"])
    }
    #expect(
      await fields {
        $0.lifetime = 60
        $0.hint = String(repeating: "a", count: 128)
        $0.selectors.node = String(repeating: "a", count: 255)
      } == [])
  }

  @Test func allThatIsWrongIsTold() async {
    #expect(
      await fields {
        $0.path = ""
        $0.selectors = .init()
        $0.lifetime = 1
      } == ["entry.path", "entry.selectors", "entry.lifetime"])
  }

  @Test func ofAnUnknownTenantThereIsNone() async throws {
    for id in [Sample.id(9), tenant.id] {
      if id == tenant.id {
        _ = try await TenantCommands(test.plane, actor: "a").move(tenant.id, .delete)
      }
      let error = await refusal { () async throws(TenancyError) in
        try await commands.create(new(id, "web", .init(userID: 7)))
      }
      #expect(error?.reason == .tenantNotFound)
    }
  }

  @Test func theSameTwiceIsRefused() async throws {
    let entry = try await create("web", .init(userID: 7, groupID: 8))
    let error = await refusal { () async throws(TenancyError) in
      try await create("web", .init(userID: 7, groupID: 8))
    }
    #expect(error?.reason == .workloadEntryExists && error?.metadata == ["entry": entry.id])
    try await create("web", .init(userID: 7))
    try await create("other", .init(userID: 7, groupID: 8))
  }

  // MARK: How many

  @Test func aTenantHasSoManyAndNoMore() async throws {
    let most = WorkloadEntryCommands.maximumPerOwner
    for number in 0..<most { try await create("w\(number)", .init(userID: UInt32(number))) }
    let error = await refusal { () async throws(TenancyError) in
      try await create("more", .init(userID: 9_999))
    }
    #expect(error?.reason == .limitReached && error?.metadata["quota"] == "workload-entries")
    try await commands.delete(try #require(entries.all().all.first).id)
    try await create("more", .init(userID: 9_999))
    // Others have their own.
    try await create("viewer", .init(userID: 9_999), platform: true)
  }

  /// So what one process is compared with is bounded, whoever has made the entries.
  @Test func oneUserHasSoManyAndNoMore() async throws {
    let most = WorkloadEntryCommands.maximumAlike
    for number in 0..<most {
      let owner = Sample.id(number % 2 == 0 ? 1 : 2)
      _ = try await commands.create(new(owner, "w\(number)", .init(userID: 7)))
    }
    let error = await refusal { () async throws(TenancyError) in
      try await create("more", .init(userID: 7, binaryPath: "/bin/x"))
    }
    #expect(error?.metadata["quota"] == "alike-workload-entries")
    try await create("more", .init(userID: 8))
    #expect(entries.candidates(userID: 7, binaryPath: nil).count == most)
  }

  // MARK: Their end

  @Test func oneIsDeletedOnce() async throws {
    let entry = try await create()
    try await commands.delete(entry.id)
    #expect(entries.count == 0 && entries.candidates(userID: 7, binaryPath: nil).isEmpty)
    #expect(test.store.log.last?.tenants == [tenant.id])
    let error = await refusal { () async throws(TenancyError) in
      try await commands.delete(entry.id)
    }
    #expect(error?.reason == .workloadEntryNotFound)
  }

  @Test func theyGoWithTheirTenant() async throws {
    try await create("one")
    try await create("two", .init(binaryPath: "/bin/x"))
    let other = try await commands.create(new(Sample.id(2), "web", .init(userID: 7)))
    _ = try await TenantCommands(test.plane, actor: "a").move(tenant.id, .delete)
    #expect(entries.all().all == [other] && entries.count(of: tenant.id) == 0)
    let stored = ControlState(try test.store.load())
    #expect(stored.workloads.all().all == [other])
  }

  // MARK: The set

  @Test func aChangeCostsTheSameAmongMany() {
    func entry(_ number: UInt64) -> WorkloadEntry {
      WorkloadEntry(
        id: Sample.id(number).description, tenant: Sample.id(number % 100), path: "web",
        selectors: .init(userID: UInt32(number)), createTime: Sample.moment)
    }
    func cost(among count: UInt64) -> Int {
      var state = ControlState()
      state.apply((1...count).map { .putWorkloadEntry(entry($0)) }, revision: 1)
      var after = state
      after.apply([.putWorkloadEntry(entry(count + 1))], revision: 2)
      #expect(after.workloads.count == state.workloads.count + 1)
      return after.unsharedNodes(with: state)
    }
    #expect(cost(among: 20_000) <= cost(among: 200) + 8)
  }

  @Test func onePutInThePlaceOfAnotherIsFoundOnce() {
    var state = ControlState()
    func put(_ selectors: WorkloadEntry.Selectors, of tenant: TenantID?) {
      let entry = WorkloadEntry(
        id: "x", tenant: tenant, path: "web", selectors: selectors, createTime: Sample.moment)
      state.apply([.putWorkloadEntry(entry)], revision: state.revision + 1)
    }
    put(.init(userID: 7), of: tenant.id)
    put(.init(binaryPath: "/bin/x"), of: nil)
    let entries = state.workloads
    #expect(entries.count == 1 && entries.count(of: tenant.id) == 0)
    #expect(entries.candidates(userID: 7, binaryPath: nil).isEmpty)
    #expect(entries.candidates(userID: 7, binaryPath: "/bin/x").count == 1)
  }
}
