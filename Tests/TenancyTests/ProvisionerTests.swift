import TenancyTestSupport
import Testing

@testable import Tenancy

struct ProvisionerTests {
  private let test: TestPlane
  private let data = FakeDataPlane()
  private let provisioner: Provisioner
  private let id = Sample.id(1)

  init() throws {
    test = try TestPlane()
    provisioner = Provisioner(test.plane, data)
  }

  private func begin(_ state: TenantState) async throws {
    try await test.put(Sample.tenant(1, state: state))
  }

  private var record: TenantRecord? { test.plane.state.find(id) }

  private func provisionRefusal() async -> TenancyError? {
    await refusal { () async throws(TenancyError) in
      try await provisioner.provision(id, actor: "test")
    }
  }

  @Test(arguments: [TenantState.pending, .provisionFailed, .provisioning])
  func everyStepIsDoneAndRecordedInOrder(_ state: TenantState) async throws {
    try await begin(state)
    let tenant = try await provisioner.provision(id, actor: "test")
    #expect(tenant.state == .active)
    #expect(record?.tenant == tenant)
    #expect(data.events == FakeDataPlane.wholeRun)
    #expect(record?.provisionedSteps == Set(FakeDataPlane.steps))
  }

  @Test(arguments: 0..<3)
  func afterAFailureTheRestIsDone(_ failing: Int) async throws {
    try await begin(.pending)
    let step = FakeDataPlane.steps[failing]
    data.failNext(step)
    let error = await provisionRefusal()
    #expect(error?.reason == .provisioningFailed)
    #expect(error?.category == .failedPrecondition)
    #expect(error?.metadata["cause"] == "\(step) broke" && error?.metadata["step"] == step)
    #expect(record?.tenant.state == .provisionFailed)
    #expect(record?.tenant.stateReason == "\(step): \(step) broke")
    #expect(record?.provisionedSteps == Set(FakeDataPlane.steps.prefix(failing)))
    #expect(try await provisioner.provision(id, actor: "test").state == .active)
    let first = ["destroy"] + FakeDataPlane.steps.prefix(failing + 1)
    // With no step on record, what the failed one left goes as well.
    let rest = failing == 0 ? FakeDataPlane.wholeRun : Array(FakeDataPlane.steps.dropFirst(failing))
    #expect(data.events == first + rest)
  }

  /// Whoever asks again for a destruction that failed has it gone on with, and not only told.
  @Test func aDestructionThatFailedIsGoneOnWith() async throws {
    try await begin(.pending)
    _ = try await provisioner.provision(id, actor: "test")
    try await begin(.suspended)
    data.failNext("destroy")
    let failed = await refusal { () async throws(TenancyError) in
      try await provisioner.deprovision(id, etag: "", actor: "test")
    }
    #expect(failed?.reason == .provisioningFailed)
    data.failNext("destroy")
    let again = await refusal { () async throws(TenancyError) in
      try await provisioner.goOnDestroying(id)
    }
    #expect(again?.reason == .provisioningFailed)
    try await provisioner.goOnDestroying(id)
    let done = data.events.count
    // And then there is nothing to be done.
    try await provisioner.goOnDestroying(id)
    #expect(data.events.count == done && record?.provisionedSteps == [])
  }

  @Test func whatCanNotBeDoneIsRefusedBeforeAnythingIs() async throws {
    try await begin(.pending)
    data.refuse("no cluster")
    #expect(await provisionRefusal()?.reason == .provisioningUnsupported)
    #expect(record?.tenant.state == .pending && data.events.isEmpty)
  }

  @Test func aRunThatAnEarlierVersionBeganEndsWithTheReason() async throws {
    try await begin(.provisioning)
    data.refuse("no cluster")
    await provisioner.resume()
    #expect(record?.tenant.state == .provisionFailed)
    #expect(record?.tenant.stateReason == "no cluster" && data.events.isEmpty)
  }

  @Test func dataThatIsGoneTakesItsTenantOutOfServiceUntilItIsBack() async throws {
    try await begin(.active)
    data.lose("the file is missing")
    try await provisioner.checkData()
    #expect(record?.tenant.state == .maintenance)
    #expect(record?.tenant.stateReason == "the file is missing")
    let lost = await refusal { () async throws(TenancyError) in
      try await provisioner.requireData(id)
    }
    #expect(lost?.reason == .dataMissing)
    try await provisioner.checkData()
    #expect(record?.tenant.state == .maintenance)
    data.lose(nil)
    try await provisioner.checkData()
    #expect(record?.tenant.state == .active && record?.tenant.stateReason == "")
  }

  /// A store syncs for each commit.
  @Test func manyTenantsWithoutDataAreRecordedInFewCommits() async throws {
    let most = TenantCommands.maximumMoves
    let count = 2 * most + 1
    try await test.plane.write(actor: "test", action: "test") {
      (transaction) throws(TenancyError) in
      for number in 1...UInt64(count) {
        transaction.emit(.putTenant(Sample.tenant(number)), about: Sample.id(number))
      }
    }
    #expect(test.store.log.last?.tenants.count == count)
    let before = test.store.batches.count
    data.lose("the disk is new")
    try await provisioner.checkData()
    #expect(test.store.batches.count == before + 3)
    #expect(test.store.log.suffix(3).map(\.changes.count) == [most, most, 1])
    #expect(test.store.log.last?.tenants == [Sample.id(UInt64(count))])
    #expect(test.plane.state.allTenants.allSatisfy { $0.tenant.state == .maintenance })
    data.lose(nil)
    try await provisioner.checkData()
    #expect(test.plane.state.allTenants.allSatisfy { $0.tenant.state == .active })
  }

  @Test func anActiveTenantStaysAsItIs() async throws {
    try await begin(.active)
    let tenant = try await provisioner.provision(id, actor: "test")
    #expect(tenant == Sample.tenant(1))
    #expect(data.events.isEmpty)
    #expect(test.store.log.count == 1)
  }

  @Test(arguments: [
    (TenantState.suspended, TenancyError.Reason.illegalTransition),
    (.maintenance, .illegalTransition), (.deleted, .tenantNotFound), (.purging, .tenantNotFound),
  ])
  func otherStatesCanNotBeProvisioned(
    _ state: TenantState, _ reason: TenancyError.Reason
  ) async throws {
    try await begin(state)
    #expect(await provisionRefusal()?.reason == reason)
    #expect(data.events.isEmpty)
    #expect(record?.tenant.state == state)
  }

  @Test func anUnknownTenantIsNotFound() async {
    #expect(await provisionRefusal()?.reason == .tenantNotFound)
  }

  @Test func concurrentCallersShareOneRun() async throws {
    try await begin(.pending)
    let barrier = data.holdNext("second")
    let first = Task.immediate { try await provisioner.provision(id, actor: "one") }
    await barrier.reached()
    let others = (0..<5).map { _ in
      Task.immediate { try await provisioner.provision(id, actor: "other") }
    }
    barrier.open()
    let tenant = try await first.value
    for other in others { #expect(try await other.value == tenant) }
    #expect(data.events == FakeDataPlane.wholeRun)
    #expect(tenant.epoch == 3)
  }

  @Test func aStoreThatFailsLeavesTheRunToBeResumed() async throws {
    try await begin(.pending)
    // The move to PROVISIONING and the first step are recorded, the second is not.
    test.store.failNextAppends(nil, nil, .refused(.unavailable))
    #expect(await provisionRefusal()?.reason == .storeUnavailable)
    #expect(record?.tenant.state == .provisioning)
    #expect(record?.provisionedSteps == ["first"])
    await provisioner.resume()
    #expect(record?.tenant.state == .active)
    #expect(data.events == ["destroy", "first", "second", "second", "third"])
  }

  @Test func resumingGoesOnWithWhatWasInterruptedOnly() async throws {
    for (number, state) in TenantState.known.enumerated() {
      try await test.put(Sample.tenant(UInt64(number) + 1, state: state))
    }
    await provisioner.resume()
    #expect(data.events == FakeDataPlane.wholeRun)
    let states = test.plane.state.allTenants.map(\.tenant.state)
    #expect(states == TenantState.known.map { $0 == .provisioning ? .active : $0 })
  }

  @Test(arguments: [TenantState.suspended, .provisionFailed])
  func deprovisioningForgetsTheStepsAndDestroys(_ state: TenantState) async throws {
    try await begin(state)
    try await test.plane.write(actor: "test", action: "test") {
      [id] (transaction) throws(TenancyError) in
      transaction.emit(.putProvisioningStep(id, name: "first"), about: id)
    }
    let tenant = try await provisioner.deprovision(id, etag: "v1", actor: "test")
    #expect(tenant.state == .pending)
    #expect(record?.tenant == tenant)
    #expect(record?.provisionedSteps == [])
    #expect(data.events == ["destroy"])
  }

  @Test(arguments: [TenantState.pending, .provisioning, .active, .maintenance, .deleted, .purging])
  func nothingIsDestroyedOfATenantInUse(_ state: TenantState) async throws {
    try await begin(state)
    let error = await refusal { () async throws(TenancyError) in
      try await provisioner.deprovision(id, etag: "", actor: "test")
    }
    #expect(error?.reason == .illegalTransition)
    #expect(data.events.isEmpty)
    #expect(record?.tenant.state == state)
  }

  @Test func nothingIsDestroyedUnderAnOldEtagOrWhenTheStoreFails() async throws {
    try await begin(.suspended)
    let old = await refusal { () async throws(TenancyError) in
      try await provisioner.deprovision(id, etag: "v9", actor: "test")
    }
    #expect(old?.reason == .etagMismatch)
    test.store.failNextAppends(.refused(.unavailable))
    let failed = await refusal { () async throws(TenancyError) in
      try await provisioner.deprovision(id, etag: "", actor: "test")
    }
    #expect(failed?.reason == .storeUnavailable)
    #expect(data.events.isEmpty)
  }

  /// What is being destroyed must be gone before it is made anew, or the new would be destroyed.
  @Test func provisioningIsRefusedDuringDestruction() async throws {
    try await begin(.suspended)
    let destruction = data.holdNext("destroy")
    let deprovision = Task.immediate {
      try await provisioner.deprovision(id, etag: "", actor: "test")
    }
    await destruction.reached()
    let error = await provisionRefusal()
    #expect(error?.category == .aborted)
    #expect(error?.retryAfterSeconds != nil)
    destruction.open()
    _ = try await deprovision.value
    #expect(data.events == ["destroy"])
    #expect(try await provisioner.provision(id, actor: "test").state == .active)
    #expect(data.events == ["destroy"] + FakeDataPlane.wholeRun)
  }
}
