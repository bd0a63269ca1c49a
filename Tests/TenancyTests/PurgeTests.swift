import TenancyTestSupport
import Testing

@testable import Tenancy

/// What is destroyed for good, by one node and by several.
@Suite(.timeLimit(.minutes(2))) struct PurgeTests {
  private let disk = MemoryLog()
  private let id = Sample.id(1)

  private func node(
    _ name: String, place: String? = nil, terms: LifecycleTerms = LifecycleTerms()
  ) throws -> StoreNode {
    var options = ControlPlane.Options()
    options.lifecycle = terms
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
    var waits: [TenantID: Int] = [:]
    await LifecycleClock(node.test.plane, node.provisioner).purge(&waits)
  }

  private func add(_ count: Int, to node: StoreNode) async throws {
    try await node.test.plane.write(actor: "test", action: "test") {
      [id] (transaction) throws(TenancyError) in
      transaction.emit(.putRole(id, Sample.role("reader")), about: id)
      for number in 0..<count {
        transaction.emit(.putAssignment(id, Sample.assignment("a\(number)")), about: id)
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
}
