import TenancyTestSupport
import Testing

@testable import Tenancy

/// Logins of tenants that are suspended or deleted are closed, and opened again, whatever happens meanwhile.
struct LoginSettlingTests {
  private let test: TestPlane
  private let data = FakeDataPlane(place: DataCluster.place("a"), makesLogins: true)
  private let vault: SecretVault
  private let id = Sample.id(1)

  init() async throws {
    let sealer = TestSealer()
    test = try TestPlane(sealer: sealer)
    vault = SecretVault(test.plane, sealer)
    try await vault.prepareKeys()
    try await test.put(Sample.tenant(1, state: .pending))
    _ = try await node().provision(id, actor: "test")
  }

  private func node(_ plane: ControlPlane? = nil) -> Provisioner {
    Provisioner(
      plane ?? test.plane, FakeDataPlane(),
      clusters: [DataCluster(name: "a", dataPlane: data, rules: DataCluster.Rules())], vault: vault)
  }

  private var login: DataLogin? { test.plane.state.find(id)?.tenant.dataLogin }
  private var settled: [String] {
    data.events.filter { $0.hasPrefix("settle") || $0.hasPrefix("repair") }
  }

  private func move(_ event: Lifecycle.Event) async throws {
    _ = try await TenantCommands(test.plane, actor: "test").move(id, event)
  }

  private func look(_ provisioner: Provisioner) async {
    var round = Provisioner.LoginRound()
    await provisioner.settleLogins(&round)
  }

  @Test func theyFollowTheState() async throws {
    let provisioner = node()
    await look(provisioner)
    #expect(settled.isEmpty && login?.standing == .open)
    try await move(.deactivate)
    await look(provisioner)
    await look(provisioner)
    #expect(settled == ["settle closed"] && login?.standing == .closed)
    try await move(.delete)
    await look(provisioner)
    try await move(.undelete)
    await look(provisioner)
    // Closed all the while.
    #expect(settled == ["settle closed"])
    try await move(.activate)
    await look(provisioner)
    #expect(settled == ["settle closed", "settle open"] && login?.standing == .open)
    // The platform works with the data then.
    try await move(.beginMaintenance)
    await look(provisioner)
    #expect(settled.count == 2 && login?.standing == .open)
    #expect(try await test.plane.leases(limit: 8).isEmpty)
  }

  @Test func whatFailsIsTriedAgain() async throws {
    let provisioner = node()
    try await move(.deactivate)
    data.failNext("settle closed")
    var round = Provisioner.LoginRound()
    await provisioner.settleLogins(&round)
    #expect(login?.standing == .changing)
    for _ in 0..<Provisioner.LoginRound.looksAfterFailure.lowerBound - 1 {
      await provisioner.settleLogins(&round)
    }
    #expect(settled == ["settle closed"])
    await provisioner.settleLogins(&round)
    #expect(settled == ["settle closed", "settle closed"] && login?.standing == .closed)
  }

  /// Those that always fail leave others their turn.
  @Test func waitsGrow() {
    var round = Provisioner.LoginRound()
    var waits: [Int] = []
    for _ in 0..<8 {
      round.note([id: .failed])
      waits.append(round.waits[id] ?? 0)
    }
    #expect(waits == [20, 40, 80, 160, 160, 160, 160, 160])
    round.note([id: .conflict])
    #expect(round.waits[id] == Provisioner.LoginRound.looksAfterConflict)
    round.note([id: .settled])
    round.note([id: .failed])
    #expect(round.waits[id] == 20)
  }

  /// A cluster that is down, or not known here, keeps logins open nowhere else.
  @Test(arguments: [true, false]) func eachClusterIsDoneByItself(_ isKnown: Bool) async throws {
    let other = FakeDataPlane(place: DataCluster.place("b"), makesLogins: true)
    let clusters = [("a", data), ("b", other)].map {
      DataCluster(name: $0, dataPlane: $1, rules: DataCluster.Rules())
    }
    let whole = Provisioner(test.plane, FakeDataPlane(), clusters: clusters, vault: vault)
    var tenant = Sample.tenant(2, state: .pending)
    tenant.isolationModel = .hybrid
    tenant.configuration = TenantConfiguration(
      dataCategories: ["a", "b"].map {
        DataCategory(name: $0, model: .schema, placement: PlacementSettings(cluster: $0))
      })
    try await test.put(tenant)
    _ = try await whole.provision(tenant.id, actor: "test")
    _ = try await TenantCommands(test.plane, actor: "test").move(tenant.id, .deactivate)
    if isKnown { other.failNext("settle closed") }
    await look(isKnown ? whole : node())
    func standing() -> DataLogin.Standing? {
      test.plane.state.find(tenant.id)?.tenant.dataLogin?.standing
    }
    #expect(settled == ["settle closed"] && standing() == .changing)
    await look(whole)
    #expect(other.events.last == "settle closed" && standing() == .closed)
  }

  /// The state says what is to be done: nothing else has to be kept.
  @Test func aStartFindsWhatIsNotDone() async throws {
    try await move(.deactivate)
    data.failNext("settle closed")
    await look(node())
    #expect(login?.standing == .changing)
    let reopened = try TestPlane(test.store, sealer: test.plane.sealer)
    #expect(reopened.plane.state.withLoginsDue(limit: 8) == [id])
    await look(node(reopened.plane))
    #expect(reopened.plane.state.find(id)?.tenant.dataLogin?.standing == .closed)
    #expect(reopened.plane.state.withLoginsDue(limit: 8).isEmpty)
  }

  @Test func accessOpensThemFirst() async throws {
    let provisioner = node()
    try await move(.deactivate)
    await look(provisioner)
    try await move(.activate)
    data.failNext("settle open")
    let refused = await refusal { () async throws(TenancyError) in
      try await provisioner.access(to: id)
    }
    #expect(refused?.category == .unavailable)
    #expect(try await provisioner.access(to: id).parts.first?.cluster == "a")
    #expect(settled == ["settle closed", "settle open", "settle open"])
    #expect(login?.standing == .open)
  }

  /// What was changed back before it was done may have been done by half.
  @Test func aStateThatIsLeftMeanwhileIsNotForgotten() async throws {
    let provisioner = node()
    try await move(.deactivate)
    let barrier = data.holdNext("settle closed")
    let closing = Task { await look(provisioner) }
    await barrier.reached()
    try await move(.activate)
    barrier.open()
    await closing.value
    #expect(login?.standing == .closed)
    await look(provisioner)
    #expect(settled == ["settle closed", "settle open"] && login?.standing == .open)
  }

  /// Who suspends and deprovisions is not told that somebody is at work on it.
  @Test func whoTakesTheLeaseWaitsForThem() async throws {
    let provisioner = node()
    try await move(.deactivate)
    let barrier = data.holdNext("settle closed")
    let closing = Task { await look(provisioner) }
    await barrier.reached()
    let deprovisioning = Task {
      try await provisioner.deprovision(id, etag: "", actor: "test")
    }
    barrier.open()
    await closing.value
    #expect(try await deprovisioning.value.state == .pending)
    #expect(login == nil && data.events.last == "destroy")
  }

  @Test func aRotationRespectsThem() async throws {
    let provisioner = node()
    try await move(.deactivate)
    await look(provisioner)
    _ = try await provisioner.rotateLogin(of: id, actor: "test", judge: .server)
    #expect(login?.number == 2 && login?.former == 1 && login?.standing == .closed)
    try await move(.activate)
    await look(provisioner)
    #expect(data.logins()[id] == [1: true, 2: true])
  }

  @Test func anAuditNamesAndMendsWhatIsWrong() async throws {
    let provisioner = node()
    func audit(repairs: Bool) async throws -> [ClusterFinding] {
      try await self.audit(provisioner, repairs: repairs)
    }
    data.hold(logins: [id: [1: false, 7: true, 9: false]])
    let found = try await audit(repairs: false)
    #expect(found.map(\.kind) == [.surplusLogin, .closedLogin])
    #expect(found.map(\.details) == ["login 7, login 9", "login 1"])
    let repaired = try await audit(repairs: true)
    #expect(!repaired.contains { !$0.isRepaired })
    #expect(data.events.suffix(3) == ["drop login 7", "drop login 9", "repair open"])
    data.hold(logins: [id: [1: true]])
    #expect(try await audit(repairs: false).isEmpty)
    try await move(.deactivate)
    await look(provisioner)
    data.hold(logins: [id: [1: true]])
    #expect(try await audit(repairs: true).map(\.kind) == [.openLogin])
    #expect(data.logins()[id] == [1: false])
  }

  private func audit(_ provisioner: Provisioner, repairs: Bool) async throws -> [ClusterFinding] {
    try await provisioner.audit(cluster: "a", repairs: repairs, actor: "test", judge: .server)
  }

  /// It looks at all that there is.
  @Test func oneAuditOfAClusterRunsAtATime() async throws {
    let provisioner = node()
    data.hold(logins: [id: [1: false]])
    let barrier = data.holdNext("repair open")
    let first = Task { try await audit(provisioner, repairs: true) }
    await barrier.reached()
    let refused = await refusal { () async throws(TenancyError) in
      try await provisioner.audit(cluster: "a", repairs: false, actor: "test", judge: .server)
    }
    #expect(refused?.category == .resourceExhausted && refused?.reason == .limitReached)
    barrier.open()
    #expect(try await first.value.count == 1)
    #expect(try await audit(provisioner, repairs: false).isEmpty)
  }

  /// But those that only miss their registration are not lost.
  @Test func rowsOfNobodyAreRemoved() async throws {
    let (provisioner, id) = (node(), self.id)
    try await test.plane.write(actor: "test", action: "test") { transaction throws(TenancyError) in
      transaction.emit(.reserveName(ReservedName(.tenantIdentifier, "mine"), id), about: id)
    }
    data.hold(strays: ["nobody": ["b", "a"], "mine": ["a"]])
    let found = try await audit(provisioner, repairs: true)
    #expect(found.map(\.kind) == [.strayRows, .strayRows])
    #expect(found.map(\.details) == ["rows of mine in a", "rows of nobody in a, b"])
    #expect(found.map(\.tenant) == [id, nil] && found.map(\.isRepaired) == [false, true])
    #expect(data.events.last == "remove nobody")
    #expect(try await test.plane.leases(limit: 8).isEmpty)
    #expect(try await audit(provisioner, repairs: false).count == 1)
  }
}
