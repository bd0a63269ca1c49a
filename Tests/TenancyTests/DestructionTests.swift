import TenancyTestSupport
import Testing

@testable import Tenancy

extension StoreNode {
  fileprivate func deprovision(_ id: TenantID) async -> TenancyError? {
    await refusal { () async throws(TenancyError) in
      try await provisioner.deprovision(id, etag: "", actor: "test")
    }
  }

  /// A tenant whose data was made here, and that is not in use any more.
  fileprivate func makeSuspended(_ id: TenantID) async throws {
    try await test.plane.catchUp()
    _ = try await provisioner.provision(id, actor: "test")
    _ = try await TenantCommands(test.plane, actor: "test").move(id, .deactivate)
  }
}

/// What is destroyed under a lease, by nodes that each have a place of their own or share one.
@Suite(.timeLimit(.minutes(5))) struct DestructionTests {
  private let disk = MemoryLog()
  private let id = Sample.id(1)

  private var leases: [StoredLease] { disk.state.withLock { $0.leases.all } }

  private func node(
    _ name: String, place: String?, leaseDuration: Duration = .seconds(600)
  ) throws -> StoreNode {
    try StoreNode(name, disk, place: place, leaseDuration: leaseDuration)
  }

  private func begin(_ node: StoreNode) async throws {
    try await node.test.put(Sample.tenant(1, state: .pending))
  }

  /// Between two acts, and between the question and the deed.
  @Test(arguments: ["destroy", "rest"])
  func whoWasPausedDestroysNothingOfWhatOthersHaveMade(_ moment: String) async throws {
    // They share a file system. A second is too long ago.
    let slow = try node("slow", place: "p", leaseDuration: .seconds(8))
    let other = try node("other", place: "p")
    try await begin(other)
    try await other.makeSuspended(id)
    try await slow.test.plane.catchUp()
    let barrier = slow.data.holdNext(moment)
    let run = Task.immediate { await slow.deprovision(id) }
    await barrier.reached()
    let began = ContinuousClock.now
    disk.advance(by: .seconds(8))
    await other.provisioner.takeOverExpired()
    #expect(other.data.events == FakeDataPlane.wholeRun + ["destroy"])
    #expect(try await other.provisioner.provision(id, actor: "test").state == .active)
    try await Task.sleep(until: began + .seconds(1))
    barrier.open()
    #expect(await run.value?.reason == .leaseLost)
    #expect(slow.data.events.isEmpty)
    let record = try await other.record(id)
    #expect(record?.tenant.state == .active && leases.isEmpty)
    #expect(record?.provisionedSteps == Set(["place:p"] + FakeDataPlane.steps))
  }

  @Test func aStoreThatCanNotSayWhoHasTheLeaseStopsIt() async throws {
    let node = try node("one", place: "p")
    try await begin(node)
    try await node.makeSuspended(id)
    node.test.store.failNextRenewal(.unavailable)
    #expect(await node.deprovision(id)?.reason == .storeUnavailable)
    #expect(node.data.events == FakeDataPlane.wholeRun)
    #expect(node.test.plane.state.find(id)?.provisionedSteps == ["left:p"])
    await node.provisioner.finishDestroying()
    #expect(node.data.events == FakeDataPlane.wholeRun + ["destroy"])
    #expect(node.test.plane.state.find(id)?.provisionedSteps == [] && leases.isEmpty)
  }

  @Test(arguments: ["p", nil]) func whatFailsIsNotTakenForDone(_ place: String?) async throws {
    let node = try node("one", place: place)
    try await begin(node)
    try await node.makeSuspended(id)
    node.data.failNext("destroy")
    #expect(await node.deprovision(id)?.reason == .provisioningFailed)
    let record = node.test.plane.state.find(id)
    #expect(record?.tenant.state == .pending)
    #expect(record?.provisionedSteps == ["left:\(place ?? "")"])
    #expect(leases.isEmpty)
    // It is found by where it is, so that stays.
    let move = await refusal { () async throws(TenancyError) in
      var update = TenantCommands.Update(etag: "", mayMove: true)
      update.isolationModel = .schema
      return try await TenantCommands(node.test.plane, actor: "test").update(
        id, update, action: "test")
    }
    #expect(move?.reason == .illegalTransition)
    // By a second call as well.
    node.data.failNext("destroy")
    #expect(await node.deprovision(id)?.reason == .provisioningFailed)
    await node.provisioner.finishDestroying()
    #expect(node.test.plane.state.find(id)?.provisionedSteps == [] && leases.isEmpty)
    #expect(node.data.events.suffix(3) == ["destroy", "destroy", "destroy"])
    #expect(await node.deprovision(id)?.reason == .illegalTransition)
  }

  @Test func theNextLifeOfANodeGoesOnWithIt() async throws {
    let node = try node("one", place: "p")
    try await begin(node)
    try await node.makeSuspended(id)
    node.data.failNext("destroy")
    _ = await node.deprovision(id)
    let again = try StoreNode("again", disk, place: "p")
    // Who has failed leaves it to whoever comes next.
    await again.provisioner.resume()
    #expect(again.data.events == ["destroy"])
    #expect(try await again.record(id)?.provisionedSteps == [] && leases.isEmpty)
  }

  @Test func whatIsOnAnotherDiskIsNotForgotten() async throws {
    let (here, there) = (try node("here", place: "h"), try node("there", place: "t"))
    try await begin(there)
    try await there.makeSuspended(id)
    let barrier = there.data.holdNext("destroy")
    let run = Task.immediate { await there.deprovision(id) }
    await barrier.reached()
    disk.advance(by: .seconds(600))
    await here.provisioner.takeOverExpired()
    #expect(here.data.events.isEmpty && leases.isEmpty)
    #expect(try await here.record(id)?.provisionedSteps == ["left:t"])
    let elsewhere = await here.deprovision(id)
    #expect(elsewhere?.reason == .dataElsewhere && elsewhere?.metadata["places"] == "t")
    // The tenant can live anew in the meantime, and be deprovisioned again.
    #expect(try await here.provisioner.provision(id, actor: "test").state == .active)
    #expect(
      try await here.record(id)?.provisionedSteps
        == Set(["place:h", "left:t"] + FakeDataPlane.steps))
    _ = try await TenantCommands(here.test.plane, actor: "test").move(id, .deactivate)
    #expect(await here.deprovision(id) == nil)
    #expect(try await here.record(id)?.provisionedSteps == ["left:t"])
    #expect(here.data.events == FakeDataPlane.wholeRun + ["destroy"])

    barrier.open()
    #expect(await run.value?.reason == .leaseLost)
    try await there.test.plane.catchUp()
    await there.provisioner.finishDestroying()
    #expect(there.data.events.last == "destroy")
    #expect(try await here.record(id)?.provisionedSteps == [] && leases.isEmpty)
  }

  // MARK: Nodes that are gone

  @Test func dataOfANodeThatIsGoneIsGivenUpByForce() async throws {
    let (here, gone) = (try node("here", place: "h"), try node("gone", place: "t"))
    try await begin(gone)
    try await gone.makeSuspended(id)
    try await here.test.plane.catchUp()
    #expect(await here.deprovision(id)?.reason == .dataElsewhere)
    let tenant = try await here.provisioner.deprovision(id, etag: "", force: true, actor: "test")
    #expect(tenant.state == .pending && here.data.events == ["destroy"])
    #expect(here.test.plane.state.find(id)?.provisionedSteps == [] && leases.isEmpty)
    #expect(try await here.provisioner.provision(id, actor: "test").state == .active)
  }

  @Test func alsoOfATenantWhoseDestructionWasBegunThere() async throws {
    let (here, gone) = (try node("here", place: "h"), try node("gone", place: "t"))
    try await begin(gone)
    try await gone.makeSuspended(id)
    gone.data.failNext("destroy")
    _ = await gone.deprovision(id)
    disk.advance(by: .seconds(600))
    try await here.test.plane.catchUp()
    #expect(await here.deprovision(id)?.reason == .dataElsewhere)
    let tenant = try await here.provisioner.deprovision(id, etag: "", force: true, actor: "test")
    #expect(tenant.state == .pending)
    #expect(here.test.plane.state.find(id)?.provisionedSteps == [] && leases.isEmpty)
    // Without need it changes nothing of what is answered.
    let again = await refusal { () async throws(TenancyError) in
      try await here.provisioner.deprovision(id, etag: "", force: true, actor: "test")
    }
    #expect(again?.reason == .illegalTransition)
  }

  /// As versions before this one have left them.
  @Test func whatIsNotOnRecordIsAdoptedWhereItIs() async throws {
    let (here, there) = (try node("here", place: "h"), try node("there", place: "t"))
    try await here.test.put(Sample.tenant(1, state: .suspended))
    try await here.test.plane.write(actor: "test", action: "test") {
      [id] (transaction) throws(TenancyError) in
      transaction.emit(.putProvisioningStep(id, name: "first"), about: id)
    }
    try await there.test.plane.catchUp()
    there.data.lose("not there")
    try await there.provisioner.checkData()
    #expect(try await there.record(id)?.provisionedSteps == ["first"])
    #expect(await there.deprovision(id)?.reason == .dataElsewhere)
    try await here.provisioner.checkData()
    #expect(try await here.record(id)?.provisionedSteps == ["place:h", "first"])
    let log = here.test.store.log.count
    try await here.provisioner.checkData()
    #expect(here.test.store.log.count == log)
    #expect(try await there.record(id)?.provisionedSteps == ["place:h", "first"])
    #expect(await there.deprovision(id)?.metadata["places"] == "h")
    #expect(await here.deprovision(id) == nil)
  }
}
