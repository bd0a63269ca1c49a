import TenancyTestSupport
import Testing

@testable import Tenancy

/// Two nodes on one store, of which one is at work on a tenant's resources.
@Suite(.timeLimit(.minutes(5))) struct LeaseTests {
  private let disk = MemoryLog()
  private let one, other: StoreNode
  private let id = Sample.id(1)

  init() throws {
    one = try StoreNode("one", disk)
    other = try StoreNode("other", disk)
  }

  private var leases: [StoredLease] { disk.state.withLock { $0.leases.all } }

  private func begin(_ state: TenantState = .pending) async throws {
    try await one.test.put(Sample.tenant(1, state: state))
    try await other.test.plane.catchUp()
  }

  /// Without a step on record, too: a node that starts would destroy what is being made.
  @Test(arguments: ["destroy", "first", "third"])
  func whatOneNodeMakesAnotherLeavesAloneUntilTheLeaseExpires(_ place: String) async throws {
    try await begin()
    let barrier = one.data.holdNext(place)
    let run = Task.immediate {
      await refusal { () async throws(TenancyError) in
        try await one.provisioner.provision(id, actor: "test")
      }
    }
    await barrier.reached()
    #expect(try await other.record(id)?.tenant.state == .provisioning)
    // As at the start, in its loop, and by a call.
    await other.provisioner.resume()
    await other.provisioner.takeOverExpired()
    let held = await refusal { () async throws(TenancyError) in
      try await other.provisioner.provision(id, actor: "test")
    }
    #expect(held?.reason == .leaseHeld && held?.category == .aborted)
    #expect(other.data.events.isEmpty)

    disk.advance(by: .seconds(599))
    await other.provisioner.takeOverExpired()
    #expect(other.data.events.isEmpty)
    disk.advance(by: .seconds(1))
    await other.provisioner.takeOverExpired()
    let done = FakeDataPlane.wholeRun.prefix { $0 != place }
    let expected =
      place == "first"
      ? FakeDataPlane.wholeRun : FakeDataPlane.wholeRun.filter { !done.contains($0) }
    #expect(other.data.events == expected)
    #expect(try await other.record(id)?.tenant.state == .active)
    let (revision, epoch) = (other.test.plane.revision, try await other.record(id)?.tenant.epoch)

    // It wakes up, and nothing of what it does is recorded.
    barrier.open()
    #expect(await run.value?.reason == .leaseLost)
    #expect(try await other.record(id)?.tenant.epoch == epoch)
    #expect(other.test.plane.revision == revision && leases.isEmpty)
    #expect(one.test.plane.isHealthy && other.test.plane.isHealthy)
  }

  @Test func aFailureOfANodeThatHasLostItsLeaseIsNotRecorded() async throws {
    try await begin()
    let barrier = one.data.holdNext("second")
    one.data.failNext("second")
    let run = Task.immediate {
      await refusal { () async throws(TenancyError) in
        try await one.provisioner.provision(id, actor: "test")
      }
    }
    await barrier.reached()
    disk.advance(by: .seconds(600))
    await other.provisioner.takeOverExpired()
    barrier.open()
    #expect(await run.value?.reason == .leaseLost)
    #expect(try await other.record(id)?.tenant.state == .active)
  }

  @Test func theSameHolderGoesOnAtOnce() async throws {
    try await begin()
    one.test.store.failNextAppends(nil, nil, .refused(.unavailable))
    _ = await refusal { () async throws(TenancyError) in
      try await one.provisioner.provision(id, actor: "test")
    }
    #expect(leases.map(\.holder) == ["one"])
    // The node's next life.
    let again = try StoreNode("one", disk)
    await again.provisioner.resume()
    #expect(try await again.record(id)?.tenant.state == .active)
    #expect(again.data.events == ["second", "third"] && leases.isEmpty)
  }

  @Test func aLeaseIsRenewedWhileAStepTakesLong() async throws {
    let node = try StoreNode("third", disk, leaseDuration: .milliseconds(30))
    try await node.test.put(Sample.tenant(1, state: .pending))
    let step = node.data.holdNext("second")
    let run = Task.immediate { try await node.provisioner.provision(id, actor: "test") }
    await step.reached()
    let renewal = node.test.store.holdNextRenewal()
    await renewal.reached()
    disk.advance(by: .milliseconds(20))
    #expect(leases.first?.remaining == .milliseconds(10))
    let next = node.test.store.holdNextRenewal()
    renewal.open()
    await next.reached()
    #expect(leases.first?.remaining == .milliseconds(30))
    next.open()
    step.open()
    #expect(try await run.value.state == .active)
    #expect(leases.isEmpty)
  }

  @Test func aDestructionThatWasCutShortIsDoneByAnother() async throws {
    try await begin(.suspended)
    let barrier = one.data.holdNext("destroy")
    let run = Task.immediate {
      await refusal { () async throws(TenancyError) in
        try await one.provisioner.deprovision(id, etag: "", actor: "test")
      }
    }
    await barrier.reached()
    try await other.test.plane.catchUp()
    let held = await refusal { () async throws(TenancyError) in
      try await other.provisioner.provision(id, actor: "test")
    }
    #expect(held?.reason == .leaseHeld)
    disk.advance(by: .seconds(600))
    await other.provisioner.takeOverExpired()
    #expect(other.data.events == ["destroy"] && leases.isEmpty)
    #expect(try await other.provisioner.provision(id, actor: "test").state == .active)
    // What the other has made meanwhile is not destroyed by who was slow.
    barrier.open()
    #expect(await run.value?.reason == .leaseLost)
    #expect(one.data.events.isEmpty)
  }

  @Test func aWriteWithALostLeaseFailsAloneInItsBatch() async throws {
    try await begin()
    let plane = one.test.plane
    let lease = try await plane.take("work", holder: "one", lasting: .zero)
    let newer = try await other.test.plane.take("work", holder: "other", lasting: .seconds(9))
    #expect(newer.fencingNumber > lease.fencingNumber)
    try await plane.catchUp()
    let barrier = one.test.store.holdNextAppend()
    let first = Task.immediate { try await one.test.put(Sample.tenant(2)) }
    await barrier.reached()
    let others = (3...8 as ClosedRange<UInt64>).map { number in
      Task.immediate {
        await refusal { () async throws(TenancyError) in
          try await plane.write(actor: "test", action: "test") {
            (transaction) throws(TenancyError) in
            transaction.emit(.putTenant(Sample.tenant(number)), about: Sample.id(number))
            if number == 5 { transaction.hold(lease, lasting: .seconds(9), about: nil) }
          }
        }
      }
    }
    barrier.open()
    try await first.value
    var refusals: [TenancyError.Reason?] = []
    for other in others { refusals.append(await other.value?.reason) }
    #expect(refusals == [nil, nil, .leaseLost, nil, nil, nil])
    #expect(plane.state.tenantCount == 7 && plane.state.find(Sample.id(5)) == nil)
    #expect(plane.isHealthy)
    try await other.test.plane.release(newer)
    #expect(leases.isEmpty)
  }

  // MARK: Data that only one node reaches

  @Test func whatWasMadeElsewhereIsMadeAnewHere() async throws {
    let (here, there) = (
      try StoreNode("here", disk, place: "h"), try StoreNode("there", disk, place: "t")
    )
    try await begin()
    try await here.test.plane.catchUp()
    let barrier = there.data.holdNext("third")
    try await there.test.plane.catchUp()
    let run = Task.immediate {
      await refusal { () async throws(TenancyError) in
        try await there.provisioner.provision(id, actor: "test")
      }
    }
    await barrier.reached()
    disk.advance(by: .seconds(600))
    await here.provisioner.takeOverExpired()
    #expect(here.data.events == FakeDataPlane.wholeRun)
    #expect(
      try await here.record(id)?.provisionedSteps
        == Set(["place:h", "left:t"] + FakeDataPlane.steps))
    barrier.open()
    #expect(await run.value?.reason == .leaseLost)
    // What it had begun goes, and what the other has made stays.
    try await there.test.plane.catchUp()
    await there.provisioner.finishDestroying()
    #expect(there.data.events == FakeDataPlane.wholeRun + ["destroy"])
    let record = try await here.record(id)
    #expect(record?.provisionedSteps == Set(["place:h"] + FakeDataPlane.steps))
    #expect(record?.tenant.state == .active && leases.isEmpty)
  }

  @Test func aNodeJudgesOnlyDataThatIsWhereItLooks() async throws {
    let (here, there) = (
      try StoreNode("here", disk, place: "h"), try StoreNode("there", disk, place: "t")
    )
    try await begin()
    try await there.test.plane.catchUp()
    _ = try await there.provisioner.provision(id, actor: "test")
    try await here.test.plane.catchUp()
    here.data.lose("not here")
    try await here.provisioner.checkData()
    #expect(try await here.record(id)?.tenant.state == .active)
    _ = try await TenantCommands(here.test.plane, actor: "test").move(id, .deactivate)
    try await here.provisioner.requireData(id)
    let elsewhere = await refusal { () async throws(TenancyError) in
      try await here.provisioner.deprovision(id, etag: "", actor: "test")
    }
    #expect(elsewhere?.reason == .dataElsewhere && here.data.events.isEmpty)
    _ = try await TenantCommands(here.test.plane, actor: "test").move(id, .activate)
    try await there.test.plane.catchUp()
    there.data.lose("gone")
    try await there.provisioner.checkData()
    #expect(try await here.record(id)?.tenant.state == .maintenance)
    _ = try await TenantCommands(there.test.plane, actor: "test").move(id, .deactivate)
    #expect(try await there.provisioner.deprovision(id, etag: "", actor: "test").state == .pending)
  }
}
