import TenancyTestSupport
import Testing

@testable import Tenancy

/// Tenants whose kinds of data are in several places.
struct DataCategoryTests {
  private let test: TestPlane
  private let id = Sample.id(1)
  private let data = ["a", "b"].reduce(into: [String: FakeDataPlane]()) { data, name in
    data[name] = FakeDataPlane(place: DataCluster.place(name), makesLogins: true)
  }

  init() throws { test = try TestPlane(sealer: TestSealer()) }

  /// A node that reaches these clusters.
  private func node(_ names: [String] = ["a", "b"]) async throws -> Provisioner {
    let vault = SecretVault(test.plane, try #require(test.plane.sealer))
    try await vault.prepareKeys()
    return Provisioner(
      test.plane, FakeDataPlane(),
      clusters: try names.map {
        DataCluster(name: $0, dataPlane: try #require(data[$0]), rules: DataCluster.Rules())
      }, vault: vault)
  }

  private static func category(
    _ name: String, in cluster: String, _ model: IsolationModel = .schema
  ) -> DataCategory {
    DataCategory(name: name, model: model, placement: PlacementSettings(cluster: cluster))
  }

  private func put(_ categories: [DataCategory]) async throws {
    var tenant = Sample.tenant(1, state: .pending)
    tenant.isolationModel = .hybrid
    tenant.configuration = TenantConfiguration(dataCategories: categories)
    try await test.put(tenant)
  }

  private var record: TenantRecord? { test.plane.state.find(id) }

  private func recorded(_ cluster: String) -> [String] {
    FakeDataPlane.steps.map { "\($0)@cluster:\(cluster)" }
  }

  @Test func eachIsMadeWhereItBelongs() async throws {
    try await put([
      Self.category("files", in: "b"), Self.category("notes", in: "a"),
      Self.category("logs", in: "b"),
    ])
    let node = try await node()
    _ = try await node.provision(id, actor: "test")
    #expect(data.values.allSatisfy { $0.events == FakeDataPlane.wholeRun })
    #expect(
      record?.provisionedSteps
        == Set(
          recorded("a") + recorded("b") + [
            "place:cluster:a", "place:cluster:b", "category:files=cluster:b",
            "category:notes=cluster:a", "category:logs=cluster:b",
          ]))
    // One login, the same everywhere.
    #expect(Set(data.values.flatMap(\.passwords)).count == 1)
    let access = try await node.access(to: id)
    #expect(access.parts.map(\.category?.name) == ["files", "notes", "logs"])
    #expect(access.parts.map(\.cluster) == ["b", "a", "b"])
    #expect(
      access.parts.map(\.location.searchPath) == [
        ["files", "logs"], ["notes"], ["files", "logs"],
      ])
  }

  @Test func withoutRulesAllGoToOnePlace() async throws {
    try await put([
      DataCategory(name: "files", model: .database), DataCategory(name: "notes", model: .schema),
    ])
    data["a"]?.load(10)
    _ = try await node().provision(id, actor: "test")
    #expect(data["a"]?.events == [] && data["b"]?.events == FakeDataPlane.wholeRun)
  }

  /// A step at the second place fails, and another node goes on, whatever rules say by then.
  @Test func whatWasBegunIsGoneOnWith() async throws {
    try await put([Self.category("files", in: "a"), Self.category("notes", in: "b")])
    data["b"]?.failNext("second")
    let failing = try await node()
    let refused = await refusal { () async throws(TenancyError) in
      try await failing.provision(id, actor: "test")
    }
    #expect(refused?.metadata["step"] == "second@cluster:b")
    #expect(record?.tenant.state == .provisionFailed)
    _ = try await node(["b", "a"]).provision(id, actor: "test")
    #expect(data["a"]?.events == FakeDataPlane.wholeRun)
    #expect(data["b"]?.events == ["destroy", "first", "second", "second", "third"])
    #expect(record?.tenant.state == .active)
  }

  /// Whoever reaches only one of the places destroys nothing.
  @Test func allIsDestroyedOrNothing() async throws {
    try await put([Self.category("files", in: "a"), Self.category("notes", in: "b")])
    let whole = try await node()
    _ = try await whole.provision(id, actor: "test")
    _ = try await TenantCommands(test.plane, actor: "test").move(id, .deactivate)
    let half = try await node(["a"])
    let elsewhere = await refusal { () async throws(TenancyError) in
      try await half.deprovision(id, etag: "", actor: "test")
    }
    #expect(elsewhere?.reason == .dataElsewhere && elsewhere?.metadata["places"] == "cluster:b")
    #expect(data["a"]?.events.last == "third")
    let logins = await refusal { () async throws(TenancyError) in
      try await half.rotateLogin(of: id, actor: "test", judge: .server)
    }
    #expect(logins?.reason == .dataNotInCluster)
    // One of them fails: the other is done, and the rest is tried again.
    data["b"]?.failNext("destroy")
    _ = await refusal { () async throws(TenancyError) in
      try await whole.deprovision(id, etag: "", actor: "test")
    }
    #expect(record?.tenant.state == .pending && record?.provisionedSteps == ["left:cluster:b"])
    await whole.finishDestroying()
    #expect(record?.provisionedSteps == [] && record?.tenant.dataLogin == nil)
    #expect(data.values.allSatisfy { $0.events.last == "destroy" })
  }

  /// Who forces it gives up what only others reach, and destroys the rest.
  @Test func whatOnlyOthersReachCanBeGivenUp() async throws {
    try await put([Self.category("files", in: "a"), Self.category("notes", in: "b")])
    _ = try await node().provision(id, actor: "test")
    _ = try await TenantCommands(test.plane, actor: "test").move(id, .deactivate)
    let half = try await node(["a"])
    _ = try await half.deprovision(id, etag: "", force: true, actor: "test")
    #expect(record?.provisionedSteps == [])
    #expect(data["a"]?.events.last == "destroy" && data["b"]?.events.last == "third")
  }

  @Test func whoReachesNoneOfThemSaysThatTheyAreElsewhere() async throws {
    try await put([Self.category("files", in: "a"), Self.category("notes", in: "b")])
    _ = try await node().provision(id, actor: "test")
    let (none, half) = (try await node([]), try await node(["b"]))
    // Of one that is served there is nothing to do: what is asked for is refused as such.
    _ = try none.steps(of: id)
    _ = try await TenantCommands(test.plane, actor: "test").move(id, .deactivate)
    let refused = await refusal { () async throws(TenancyError) in try none.steps(of: id) }
    #expect(refused?.reason == .dataElsewhere)
    #expect(refused?.metadata["places"] == "cluster:a,cluster:b")
    #expect(try half.steps(of: id) == recorded("b"))
  }

  @Test func whatIsGoneInOnePlaceTakesTheTenantOut() async throws {
    try await put([Self.category("files", in: "a"), Self.category("notes", in: "b")])
    let node = try await node()
    _ = try await node.provision(id, actor: "test")
    data["b"]?.lose("its schema is missing")
    try await node.checkData()
    #expect(record?.tenant.state == .maintenance)
    let refused = await refusal { () async throws(TenancyError) in
      try await node.requireData(id)
    }
    #expect(refused?.reason == .dataMissing)
    data["b"]?.lose(nil)
    try await node.checkData()
    #expect(record?.tenant.state == .active)
  }

  @Test func loginsChangeEverywhere() async throws {
    try await put([Self.category("files", in: "a"), Self.category("notes", in: "b")])
    let node = try await node()
    _ = try await node.provision(id, actor: "test")
    _ = try await node.rotateLogin(of: id, actor: "test", judge: .server)
    #expect(data.values.allSatisfy { $0.events.last?.hasPrefix("login 2 ") ?? false })
    try await node.retireLogin(of: id, actor: "test", judge: .server)
    #expect(data.values.allSatisfy { $0.events.last == "drop login 1" })
  }

  @Test(arguments: [
    ("files", true), ("a1_b", true), ("", false), ("1a", false), ("_a", false), ("A", false),
    ("a-b", false), ("twentyletters_and_on", true), ("twentyletters_and_one", false),
  ])
  func names(_ name: String, _ isOne: Bool) { #expect(DataCategory.isName(name) == isOne) }

  /// Other categories are other data: what there was goes before they come.
  @Test func otherCategoriesBeginAnew() async throws {
    try await put([Self.category("files", in: "a"), Self.category("notes", in: "b")])
    let node = try await node()
    data["b"]?.failNext("third")
    _ = await refusal { () async throws(TenancyError) in
      try await node.provision(id, actor: "test")
    }
    var update = TenantCommands.Update(etag: "", mayMove: true)
    update.configuration = { (before) throws(TenancyError) in
      var after = before
      after.dataCategories = [Self.category("notes", in: "a")]
      return after
    }
    _ = try await TenantCommands(test.plane, actor: "test").update(id, update, action: "test")
    #expect(record?.provisionedSteps == ["left:cluster:a", "left:cluster:b"])
    _ = try await node.provision(id, actor: "test")
    #expect(
      record?.provisionedSteps
        == Set(
          recorded("a") + ["place:cluster:a", "category:notes=cluster:a", "left:cluster:b"]))
    await node.resume()
    await node.finishDestroying()
    #expect(
      record?.provisionedSteps
        == Set(recorded("a") + ["place:cluster:a", "category:notes=cluster:a"]))
    #expect(data["b"]?.events.last == "destroy")
  }
}
