import TenancyTestSupport
import Testing

@testable import Tenancy

/// Where tenants' data is made, of several clusters, and where it stays.
struct DataClusterTests {
  private let test: TestPlane
  private let own = FakeDataPlane()
  private let id = Sample.id(1)

  init() throws { test = try TestPlane(sealer: TestSealer()) }

  private struct Node {
    let provisioner: Provisioner
    let data: [String: FakeDataPlane]
  }

  /// A node that reaches clusters of these names.
  private func node(
    _ clusters: [(name: String, rules: DataCluster.Rules)]
  ) async throws -> Node {
    let vault = SecretVault(test.plane, try #require(test.plane.sealer))
    try await vault.prepareKeys()
    let data = Dictionary(
      clusters.map { cluster in
        let place = DataCluster.place(cluster.name)
        return (cluster.name, FakeDataPlane(place: place, makesLogins: true))
      }, uniquingKeysWith: { first, _ in first })
    var terms = Provisioner.Terms()
    // No machine is so slow that clusters are asked again within a test.
    terms.loadsHold = .seconds(3_600)
    let provisioner = Provisioner(
      test.plane, own,
      clusters: try clusters.map { cluster in
        DataCluster(
          name: cluster.name, dataPlane: try #require(data[cluster.name]), rules: cluster.rules)
      }, vault: vault, terms: terms)
    return Node(provisioner: provisioner, data: data)
  }

  private func rules(_ change: (inout DataCluster.Rules) -> Void) -> DataCluster.Rules {
    var rules = DataCluster.Rules()
    change(&rules)
    return rules
  }

  private var record: TenantRecord? { test.plane.state.find(id) }

  private func put(
    _ number: UInt64 = 1, _ change: (inout Tenant) -> Void = { _ in }
  ) async throws {
    var tenant = Sample.tenant(number, state: .pending)
    change(&tenant)
    try await test.put(tenant)
  }

  @Test func aTenantIsMadeWhereThereIsMostRoom() async throws {
    let node = try await node([
      ("a", rules { $0.maximumTenants = 100 }), ("b", rules { $0.maximumTenants = 10 }),
      ("down", DataCluster.Rules()),
    ])
    node.data["a"]?.load(50)
    node.data["b"]?.load(4)
    node.data["down"]?.load(nil)
    try await put()
    _ = try await node.provisioner.provision(id, actor: "test")
    #expect(node.data["b"]?.events == FakeDataPlane.wholeRun && own.events.isEmpty)
    #expect(record?.provisionedSteps == Set(FakeDataPlane.steps + ["place:cluster:b"]))
    // What was sent there counts before it is asked again.
    try await put(2)
    _ = try await node.provisioner.provision(Sample.id(2), actor: "test")
    try await put(3)
    _ = try await node.provisioner.provision(Sample.id(3), actor: "test")
    #expect(node.data["a"]?.events == FakeDataPlane.wholeRun)
  }

  @Test func noneIsMadeWhereNoClusterTakesIt() async throws {
    let node = try await node([
      ("full", rules { $0.maximumTenants = 3 }), ("eu", rules { $0.region = "eu" }),
      ("gold", rules { $0.plans = ["gold"] }), ("schemas", rules { $0.models = [.schema] }),
    ])
    for data in node.data.values { data.load(3) }
    try await put { $0.isolationModel = .shared }
    let refused = await refusal { () async throws(TenancyError) in
      try await node.provisioner.provision(id, actor: "test")
    }
    #expect(refused?.reason == .provisioningUnsupported)
    #expect(record?.tenant.state == .pending)
    #expect(own.events.isEmpty && node.data.values.allSatisfy { $0.events.isEmpty })
  }

  @Test(arguments: [
    (PlacementSettings(region: "eu"), "", "eu"), (PlacementSettings(cluster: "gold"), "", "gold"),
    (PlacementSettings(), "gold", "gold"), (PlacementSettings(cluster: "eu"), "gold", "eu"),
  ])
  func rulesSayWhere(
    _ placement: PlacementSettings, _ plan: String, _ cluster: String
  ) async throws {
    let node = try await node([
      ("eu", rules { $0.region = "eu" }), ("gold", rules { $0.plans = ["gold"] }),
    ])
    try await put {
      $0.configuration.placement = placement
      $0.configuration.limits = LimitSettings(plan: plan)
    }
    _ = try await node.provisioner.provision(id, actor: "test")
    #expect(node.data[cluster]?.events == FakeDataPlane.wholeRun)
  }

  /// Also when rules and loads are others by then.
  @Test func whatWasBegunGoesOnWhereItIs() async throws {
    let first = try await node([("a", DataCluster.Rules()), ("b", rules { $0.plans = ["x"] })])
    try await put()
    first.data["a"]?.failNext("second")
    _ = await refusal { () async throws(TenancyError) in
      try await first.provisioner.provision(id, actor: "test")
    }
    #expect(record?.tenant.state == .provisionFailed)
    let password = first.data["a"]?.passwords.last
    let second = try await node([("b", DataCluster.Rules()), ("a", rules { $0.plans = ["x"] })])
    _ = try await second.provisioner.provision(id, actor: "test")
    #expect(second.data["b"]?.events == [])
    #expect(second.data["a"]?.events == ["second", "third"])
    // The login that was made has the password that it was made with.
    #expect(Set(second.data["a"]?.passwords ?? []) == [password])
    let access = try await second.provisioner.access(to: id)
    #expect(
      access.parts.first?.cluster == "a"
        && String(decoding: access.password.reveal(), as: UTF8.self) == password
    )
  }

  @Test func aLoginGoesWithItsData() async throws {
    let node = try await node([("a", DataCluster.Rules())])
    try await put()
    _ = try await node.provisioner.provision(id, actor: "test")
    #expect(record?.tenant.dataLogin?.number == 1)
    _ = try await TenantCommands(test.plane, actor: "test").move(id, .deactivate)
    let none = await refusal { () async throws(TenancyError) in
      try await node.provisioner.access(to: id)
    }
    #expect(none?.reason == .tenantSuspended)
    let after = try await node.provisioner.deprovision(id, etag: "", actor: "test")
    #expect(after.state == .pending && record?.tenant.dataLogin == nil)
    #expect(record?.provisionedSteps == [])
    #expect(node.data["a"]?.events.last == "destroy")
    #expect(try test.store.secret(.dataLogin(1), of: id) == nil)
  }

  /// It is named, and not taken for one that has lost its data or that could be destroyed here.
  @Test func aClusterThatIsNotConfiguredKeepsWhatItHas() async throws {
    let first = try await node([("a", DataCluster.Rules())])
    try await put()
    _ = try await first.provisioner.provision(id, actor: "test")
    let second = try await node([])
    own.lose("nothing is here")
    try await second.provisioner.checkData()
    #expect(record?.tenant.state == .active)
    let none = await refusal { () async throws(TenancyError) in
      try await second.provisioner.access(to: id)
    }
    #expect(none?.reason == .dataNotInCluster)
    _ = try await TenantCommands(test.plane, actor: "test").move(id, .deactivate)
    let elsewhere = await refusal { () async throws(TenancyError) in
      try await second.provisioner.deprovision(id, etag: "", actor: "test")
    }
    #expect(elsewhere?.reason == .dataElsewhere && elsewhere?.metadata["places"] == "cluster:a")
    #expect(own.events.isEmpty)
    _ = try await first.provisioner.deprovision(id, etag: "", actor: "test")
  }

  /// Nobody is kept from being served.
  @Test func aClusterThatIsDownSaysNothingOfItsTenants() async throws {
    let node = try await node([("a", DataCluster.Rules())])
    try await put()
    _ = try await node.provisioner.provision(id, actor: "test")
    node.data["a"]?.lose("its schema is missing")
    try await node.provisioner.checkData()
    #expect(record?.tenant.state == .maintenance)
    node.data["a"]?.lose(nil)
    try await node.provisioner.checkData()
    #expect(record?.tenant.state == .active)
  }

  /// What a failed provisioning has left is destroyed where it is, whatever the tenant is said to have now.
  @Test func leftoversOfAnotherModelAreDestroyed() async throws {
    let node = try await node([("a", DataCluster.Rules())])
    try await put { $0.isolationModel = .shared }
    node.data["a"]?.failNext("third")
    _ = await refusal { () async throws(TenancyError) in
      try await node.provisioner.provision(id, actor: "test")
    }
    var update = TenantCommands.Update(etag: "", mayMove: true)
    update.isolationModel = .schema
    _ = try await TenantCommands(test.plane, actor: "test").update(id, update, action: "test")
    #expect(record?.provisionedSteps == ["left:cluster:a"])
    _ = try await node.provisioner.provision(id, actor: "test")
    #expect(
      node.data["a"]?.events == FakeDataPlane.wholeRun + FakeDataPlane.wholeRun)
    #expect(record?.provisionedSteps == Set(FakeDataPlane.steps + ["place:cluster:a"]))
  }

  /// Also where this node has not heard of it yet.
  @Test func whoWasSuspendedOnAnotherNodeHasNoAccess() async throws {
    let (disk, sealer) = (MemoryLog(), TestSealer())
    let here = try TestPlane(MemoryStore(disk), sealer: sealer)
    let vault = SecretVault(here.plane, sealer)
    try await vault.prepareKeys()
    let cluster = DataCluster(
      name: "a", dataPlane: FakeDataPlane(place: DataCluster.place("a"), makesLogins: true),
      rules: DataCluster.Rules())
    let provisioner = Provisioner(here.plane, own, clusters: [cluster], vault: vault)
    try await here.put(Sample.tenant(1, state: .pending))
    _ = try await provisioner.provision(id, actor: "test")
    #expect(try await provisioner.access(to: id).parts.map(\.cluster) == ["a"])
    let there = try TestPlane(MemoryStore(disk), sealer: sealer)
    _ = try await TenantCommands(there.plane, actor: "test").move(id, .deactivate)
    #expect(here.plane.state.find(id)?.tenant.state == .active)
    let refused = await refusal { () async throws(TenancyError) in
      try await provisioner.access(to: id)
    }
    #expect(refused?.reason == .tenantSuspended)
  }
}
