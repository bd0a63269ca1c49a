import TenancyTestSupport
import Testing

@testable import Tenancy

/// What is destroyed for good, by one node and by several.
@Suite(.timeLimit(.minutes(2))) struct PurgeTests {
  private let disk = MemoryLog()
  private let id = Sample.id(1)

  private func node(
    _ name: String, place: String? = nil, terms: LifecycleTerms = LifecycleTerms(),
    keepsDelay: Bool = false
  ) throws -> StoreNode {
    var options = ControlPlane.Options()
    options.lifecycle = terms
    if !keepsDelay { options.lifecycle.purgeDelay = .zero }
    return try StoreNode(name, disk, place: place, options: options)
  }

  private func tenant(_ node: StoreNode) -> Tenant? { node.test.plane.state.find(id)?.tenant }

  private func commands(_ node: StoreNode) -> TenantCommands {
    TenantCommands(node.test.plane, actor: "test")
  }

  /// A deleted tenant whose data a node has.
  private func makeDeleted(_ node: StoreNode) async throws {
    var tenant = Sample.tenant(1, slug: "acme", state: .pending)
    tenant.configuration.shared = SharedConfiguration(tenantIdentifier: "t")
    try await node.test.put(tenant)
    try await node.test.plane.write(actor: "test", action: "test") {
      [id] (transaction) throws(TenancyError) in
      transaction.emit(.reserveName(ReservedName(.slug, "acme"), id), about: id)
      transaction.emit(.reserveName(ReservedName(.slug, "old"), id), about: id)
      transaction.emit(.reserveName(ReservedName(.tenantIdentifier, "t"), id), about: id)
    }
    _ = try await node.provisioner.provision(id, actor: "test")
    _ = try await commands(node).move(id, .delete)
  }

  private func purge(
    _ node: StoreNode, isEarly: Bool = true, force: Bool = false
  ) async throws(TenancyError) -> Tenant {
    try await node.provisioner.purge(
      id, isEarly: isEarly, force: force, actor: "test", judge: .server)
  }

  private func look(_ node: StoreNode) async {
    var round = LifecycleClock.Round()
    await LifecycleClock(node.test.plane, node.provisioner).purge(&round)
  }

  private func add(_ count: Int, groups: Int = 0, to node: StoreNode) async throws {
    try await node.test.plane.write(actor: "test", action: "test") {
      [id] (transaction) throws(TenancyError) in
      transaction.emit(.putRole(id, Sample.role("reader")), about: id)
      for number in 0..<count {
        transaction.emit(.putAssignment(id, Sample.assignment("a\(number)")), about: id)
      }
      for number in 0..<groups {
        transaction.emit(.putGroup(id, Sample.group("g\(number)")), about: id)
        transaction.emit(
          .putGroupMember(id, Sample.member("m\(number)", "user:1", of: "g\(number)")), about: id)
      }
    }
  }

  @Test(arguments: [0, 1, TenantCommands.maximumErased, 2 * TenantCommands.maximumErased + 3])
  func nothingIsLeftButTheNames(_ assignments: Int) async throws {
    let node = try node("one")
    try await makeDeleted(node)
    try await add(assignments, to: node)
    let before = node.test.plane.state.tenantCount
    let after = try await purge(node)
    #expect(after.state == .purged && after.displayName == "acme")
    #expect(node.data.events.last == "destroy")
    let state = node.test.plane.state
    #expect(state.find(id) == nil && state.find("acme") == nil && state.formerSlug("old") == nil)
    #expect(state.tenantCount == before - 1)
    for name in [ReservedName(.slug, "acme"), .init(.slug, "old"), .init(.tenantIdentifier, "t")] {
      #expect(state.owner(of: name) == id)
    }
    // As it is loaded.
    let loaded = ControlState(try node.test.store.load())
    #expect(loaded.find(id) == nil && loaded.tenantCount == before - 1)
    #expect(loaded.owner(of: ReservedName(.slug, "acme")) == id)
    let stored = StateModel(try node.test.store.load())
    #expect(stored.roles.isEmpty && stored.assignments.isEmpty && stored.steps.isEmpty)
    let erasures = node.test.store.log.filter { $0.action == "tenants.erase" }
    #expect(erasures.count == 1 + (assignments + 1) / TenantCommands.maximumErased)
    #expect(erasures.allSatisfy { $0.changes.count <= WriteTerms.maximumCost + 8 })
  }

  @Test(arguments: [1, 300])
  func groupsGoTooWithTheirMembers(_ groups: Int) async throws {
    let node = try node("one")
    try await makeDeleted(node)
    try await add(1, groups: groups, to: node)
    #expect(try await purge(node).state == .purged)
    let stored = StateModel(try node.test.store.load())
    #expect(stored.groups.isEmpty && stored.groupMembers.isEmpty && stored.assignments.isEmpty)
    let erasures = node.test.store.log.filter { $0.action == "tenants.erase" }
    #expect(erasures.count == 1 + (2 * groups + 2) / TenantCommands.maximumErased)
  }

  @Test func nobodyElseGetsTheNames() async throws {
    let node = try node("one")
    try await makeDeleted(node)
    _ = try await purge(node)
    let error = await refusal { () async throws(TenancyError) in
      try await commands(node).create(
        .init(
          slug: "acme", displayName: "Acme", isolationModel: .shared,
          configuration: TenantConfiguration()), validateOnly: false)
    }
    #expect(error?.reason == .nameTaken)
  }

  @Test func itWaitsForTheTimeUnlessItIsToldNotTo() async throws {
    let node = try node("one")
    try await makeDeleted(node)
    let error = await refusal { () async throws(TenancyError) in
      try await purge(node, isEarly: false)
    }
    #expect(error?.reason == .retentionNotOver && error?.category == .failedPrecondition)
    #expect(error?.metadata["purge_time"] == "\(1_800_000_000 + 30 * 86_400)")
    await look(node)
    #expect(tenant(node)?.state == .deleted)
    node.test.clock.advance(seconds: 30 * 86_400)
    await look(node)
    #expect(tenant(node) == nil)
  }

  @Test func onlyWhatIsDeletedIsPurged() async throws {
    let node = try node("one")
    try await node.test.put(Sample.tenant(1, state: .suspended))
    let error = await refusal { () async throws(TenancyError) in try await purge(node) }
    #expect(error?.reason == .illegalTransition)
    #expect(node.data.events.isEmpty)
  }

  @Test func theServerDoesItByItselfOnlyWhereItMay() async throws {
    var terms = LifecycleTerms()
    terms.purgesByItself = false
    terms.retention = .zero
    let node = try node("one", terms: terms)
    try await makeDeleted(node)
    await look(node)
    #expect(tenant(node)?.state == .deleted)
    // What has begun is gone on with.
    node.data.failNext("destroy")
    let error = await refusal { () async throws(TenancyError) in
      try await purge(node, isEarly: false)
    }
    #expect(error?.reason == .provisioningFailed)
    #expect(tenant(node)?.state == .purging)
    await look(node)
    #expect(tenant(node) == nil)
  }

  /// Nothing takes back one of which some may be gone.
  @Test func whatHasBegunIsGoneOnWith() async throws {
    let node = try node("one")
    try await makeDeleted(node)
    node.data.failNext("destroy")
    _ = await refusal { () async throws(TenancyError) in try await purge(node) }
    for event in [Lifecycle.Event.undelete, .activate, .delete] {
      let error = await refusal { () async throws(TenancyError) in
        try await commands(node).move(id, event)
      }
      #expect(error?.category == (event == .undelete ? .failedPrecondition : .notFound))
    }
    let hold = await refusal { () async throws(TenancyError) in
      try await commands(node).hold(id, reason: "late")
    }
    #expect(hold?.reason == .tenantNotFound)
    // In another life.
    let again = try StoreNode("again", disk)
    disk.advance(by: .seconds(600))
    await look(again)
    #expect(tenant(again) == nil)
    #expect(again.data.events == ["destroy"])
  }

  @Test func whatAnotherNodeHasItDestroysItself() async throws {
    let (here, there) = (try node("here", place: "h"), try node("there", place: "t"))
    try await makeDeleted(there)
    try await here.test.plane.catchUp()
    let after = try await purge(here)
    #expect(after.state == .purging && here.data.events.isEmpty)
    #expect(tenant(here)?.state == .purging)
    await look(here)
    #expect(tenant(here)?.state == .purging && here.data.events.isEmpty)
    try await there.test.plane.catchUp()
    await look(there)
    #expect(tenant(there) == nil && there.data.events.last == "destroy")
    #expect(try await here.record(id) == nil)
  }

  @Test func whatANodeHadThatIsGoneIsGivenUp() async throws {
    let (here, there) = (try node("here", place: "h"), try node("there", place: "t"))
    try await makeDeleted(there)
    try await here.test.plane.catchUp()
    #expect(try await purge(here).state == .purging)
    #expect(try await purge(here, force: true).state == .purged)
    #expect(there.data.events == FakeDataPlane.wholeRun)
  }

  /// A hold that was placed while the request waited for the writer.
  @Test func aHoldIsJudgedInTheTransaction() async throws {
    let (here, there) = (try node("here"), try node("there"))
    try await makeDeleted(here)
    try await there.test.plane.catchUp()
    _ = try await commands(there).hold(id, reason: "case")
    // What is known here is older.
    #expect(tenant(here)?.hasPlans == false)
    let error = await refusal { () async throws(TenancyError) in try await purge(here) }
    #expect(error?.reason == .legalHold)
    #expect(tenant(here)?.state == .deleted)
  }

  // MARK: Clocks

  /// An operator has an hour before a wrong clock, a restored backup or a new version costs data.
  @Test func nothingIsPurgedByAClockThatJumps() async throws {
    let node = try node("one", keepsDelay: true)
    try await makeDeleted(node)
    let steady = SteadyClock()
    let clock = LifecycleClock(
      node.test.plane, node.provisioner, instant: { steady.now })
    var round = LifecycleClock.Round()
    func pass(_ seconds: Int64) async {
      steady.advance(by: .seconds(seconds))
      node.test.clock.advance(seconds: seconds)
      await clock.purge(&round)
    }
    // Due since long when the node starts.
    node.test.clock.advance(seconds: 40 * 86_400)
    await clock.purge(&round)
    await pass(3_599)
    #expect(tenant(node)?.state == .deleted)
    // The clock is set back and forth: the hour begins anew.
    node.test.clock.advance(seconds: 100)
    await pass(1)
    #expect(tenant(node)?.state == .deleted)
    await pass(3_598)
    #expect(tenant(node)?.state == .deleted)
    await pass(2)
    #expect(tenant(node) == nil)
  }

  /// What can't be purged here keeps nothing behind it from it, however much there is.
  @Test func whatIsElsewhereKeepsNothingFromIt() async throws {
    let node = try node("here", place: "h")
    let count = UInt64(3 * LifecycleClock.tenantsPerLook)
    try await node.test.plane.write(actor: "test", action: "test") {
      (transaction) throws(TenancyError) in
      for number in 1...count {
        var tenant = Sample.tenant(number, state: .purging)
        (tenant.deleteTime, tenant.purgeTime) = (Sample.moment, Sample.moment)
        transaction.emit(.putTenant(tenant), about: tenant.id)
        transaction.emit(.putProvisioningStep(tenant.id, name: "left:t"), about: tenant.id)
      }
      var last = Sample.tenant(count + 1, state: .deleted)
      (last.deleteTime, last.purgeTime) = (Sample.moment, Sample.moment)
      transaction.emit(.putTenant(last), about: last.id)
    }
    let log = node.test.store.log.count
    var round = LifecycleClock.Round()
    let clock = LifecycleClock(node.test.plane, node.provisioner)
    for _ in 0..<4 { await clock.purge(&round) }
    #expect(node.test.plane.state.find(Sample.id(count + 1)) == nil)
    #expect(node.test.plane.state.tenantCount == Int(count))
    // Of the others nothing is written.
    #expect(node.test.store.log.count <= log + 6)
  }

  // MARK: Holds of what is being destroyed

  private func makeSuspended(_ node: StoreNode) async throws {
    try await node.test.put(Sample.tenant(1, state: .pending))
    _ = try await node.provisioner.provision(id, actor: "test")
    _ = try await commands(node).move(id, .deactivate)
  }

  private func destroyed(_ node: StoreNode) -> Int {
    node.data.events.count { $0 == "destroy" } - 1  // The first run's own.
  }

  @Test func noHoldIsPromisedWhileDataIsDestroyed() async throws {
    let (here, other) = (try node("here"), try node("other"))
    try await makeSuspended(here)
    let barrier = here.data.holdNext("destroy")
    let run = Task.immediate { () async -> TenancyError? in
      await refusal { () async throws(TenancyError) in
        try await here.provisioner.deprovision(id, etag: "", actor: "test")
      }
    }
    await barrier.reached()
    try await other.test.plane.catchUp()
    for node in [here, other] {
      let error = await refusal { () async throws(TenancyError) in
        try await commands(node).hold(id, reason: "case")
      }
      #expect(error?.reason == .leaseHeld && error?.category == .aborted)
    }
    barrier.open()
    #expect(await run.value == nil)
    #expect(try await commands(here).hold(id, reason: "late").plans.legalHold != nil)
  }

  /// What has failed is not tried again while there is a hold: by nobody, in no way.
  @Test func aHoldEndsWhatHasFailed() async throws {
    let (here, other) = (try node("here"), try node("other"))
    try await makeSuspended(here)
    here.data.failNext("destroy")
    _ = await refusal { () async throws(TenancyError) in
      try await here.provisioner.deprovision(id, etag: "", actor: "test")
    }
    _ = try await other.record(id)
    _ = try await commands(other).hold(id, reason: "case")
    try await here.test.plane.catchUp()
    let attempts = destroyed(here)
    disk.advance(by: .seconds(600))
    await here.provisioner.finishDestroying()
    await here.provisioner.takeOverExpired()
    await other.provisioner.takeOverExpired()
    for node in [here, other] {
      let again = await refusal { () async throws(TenancyError) in
        try await node.provisioner.deprovision(id, etag: "", actor: "test")
      }
      #expect(again?.reason == .legalHold)
      let made = await refusal { () async throws(TenancyError) in
        try await node.provisioner.provision(id, actor: "test")
      }
      #expect(made?.reason == .legalHold)
    }
    #expect(destroyed(here) == attempts && other.data.events.isEmpty)
    // Without it, it goes on.
    _ = try await commands(here).release(id)
    disk.advance(by: .seconds(600))
    await here.provisioner.finishDestroying()
    #expect(destroyed(here) == attempts + 1)
    #expect(here.test.plane.state.find(id)?.provisionedSteps == [])
  }
}
