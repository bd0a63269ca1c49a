import TenancyTestSupport
import Testing

@testable import Tenancy

/// Maintenance, legal holds, schedules, and what is taken back.
struct LifecycleCommandsTests {
  private let test: TestPlane
  private let data = FakeDataPlane()
  private let provisioner: Provisioner
  private let clock: LifecycleClock
  private let id = Sample.id(1)

  init() throws {
    var options = ControlPlane.Options()
    options.lifecycle.purgeDelay = .zero
    test = try TestPlane(options: options)
    provisioner = Provisioner(test.plane, data)
    clock = LifecycleClock(test.plane, provisioner)
  }

  private var commands: TenantCommands { TenantCommands(test.plane, actor: "test") }
  private var tenant: Tenant? { test.plane.state.find(id)?.tenant }

  private func begin(_ state: TenantState, _ change: (inout Tenant) -> Void = { _ in }) async throws
  {
    var tenant = Sample.tenant(1, state: state)
    change(&tenant)
    try await test.put(tenant)
  }

  private func carryOut() async throws -> Int {
    var round = LifecycleClock.Round()
    return try await clock.carryOutSchedules(&round)
  }

  private func later(_ seconds: Int64) -> Timestamp { test.clock.now + .seconds(seconds) }

  // MARK: Maintenance

  @Test func maintenanceBeginsAndEnds() async throws {
    try await begin(.active)
    let end = later(60)
    let begun = try await commands.move(
      id, .beginMaintenance, reason: "new disks", maintenance: PlannedMaintenance(expectedEnd: end))
    #expect(begun.state == .maintenance && begun.stateReason == "new disks" && begun.epoch == 2)
    #expect(begun.plans.maintenance?.expectedEnd == end)
    let ended = try await commands.move(id, .endMaintenance)
    #expect(ended.state == .active && ended.stateReason.isEmpty && !ended.hasPlans)
  }

  /// To move its end takes what it takes to begin it.
  @Test func whoMayBeginNoneMovesNone() async throws {
    try await begin(.active) {
      $0.configuration.shared = SharedConfiguration(tenantIdentifier: "t")
    }
    _ = try await commands.move(
      id, .beginMaintenance, maintenance: PlannedMaintenance(expectedEnd: later(60)))
    var update = TenantCommands.Update(etag: "", mayMove: true)
    update.displayName = "Away"
    update.missingPermission = "tenancy.tenants:maintain"
    for end in [later(90), later(60), nil] {
      update.maintenanceEnd = .some(end)
      let refused = await refusal { [update] () async throws(TenancyError) in
        try await commands.update(id, update, action: "tenants.update")
      }
      #expect(refused?.reason == .permissionMissing)
    }
    #expect(tenant?.plans.maintenance?.expectedEnd == later(60) && tenant?.displayName != "Away")
    update.missingPermission = nil
    update.maintenanceEnd = .some(later(90))
    let moved = try await commands.update(id, update, action: "tenants.update")
    #expect(moved.plans.maintenance?.expectedEnd == later(90) && moved.displayName == "Away")
  }

  /// Only one whose data was lost comes back by itself.
  @Test(arguments: [PlannedMaintenance(), nil])
  func aStartEndsNoMaintenanceOfOperators(_ planned: PlannedMaintenance?) async throws {
    try await begin(.maintenance) { $0.plans.maintenance = planned }
    try await provisioner.checkData()
    #expect(tenant?.state == (planned == nil ? .active : .maintenance))
  }

  // MARK: Taking back

  @Test func whatIsDeletedComesBackSuspended() async throws {
    try await begin(.active) { $0.plans.schedule.delete = later(60) }
    let deleted = try await commands.move(id, .delete)
    #expect(deleted.purgeTime == later(30 * 86_400) && !deleted.hasPlans)
    let back = try await commands.move(id, .undelete)
    #expect(back.state == .suspended && back.deleteTime == nil && back.purgeTime == nil)
    #expect(back.epoch == 3)
  }

  /// Else one that was deleted before it had resources would be active without any.
  @Test(arguments: 0...FakeDataPlane.steps.count)
  func whatIsNotProvisionedIsNotActivated(_ done: Int) async throws {
    try await begin(.suspended)
    try await test.plane.write(actor: "test", action: "test") {
      [id] (transaction) throws(TenancyError) in
      for step in FakeDataPlane.steps.prefix(done) {
        transaction.emit(.putProvisioningStep(id, name: step), about: id)
      }
    }
    let error = await refusal { () async throws(TenancyError) in
      try await commands.move(id, .activate, requiring: try provisioner.steps(of: id))
    }
    let isDone = done == FakeDataPlane.steps.count
    #expect(error?.reason == (isDone ? nil : .tenantNotProvisioned))
    #expect(tenant?.state == (isDone ? .active : .suspended))
  }

  // MARK: Legal holds

  @Test func aHoldKeepsDataFromBeingDestroyed() async throws {
    try await begin(.suspended)
    let held = try await commands.hold(id, reason: "case 7")
    #expect(held.plans.legalHold == LegalHold(reason: "case 7", time: test.clock.now))
    #expect(held.version == 2 && held.epoch == 1)
    let error = await refusal { () async throws(TenancyError) in
      try await provisioner.deprovision(id, etag: "", actor: "test")
    }
    #expect(error?.reason == .legalHold && error?.category == .failedPrecondition)
    _ = try await commands.move(id, .delete)
    #expect(await purgeRefusal(isEarly: true)?.reason == .legalHold)
    test.clock.advance(seconds: 40 * 86_400)
    var round = LifecycleClock.Round()
    await clock.purge(&round)
    #expect(tenant?.state == .deleted && data.events.isEmpty)
    // It lasts through being taken back, and no second one can end with it.
    let back = try await commands.move(id, .undelete)
    #expect(back.plans.legalHold == held.plans.legalHold)
    let second = await refusal { () async throws(TenancyError) in
      try await commands.hold(id, reason: "case 8")
    }
    #expect(second?.category == .alreadyExists && second?.reason == .legalHold)
    #expect(try await commands.release(id).hasPlans == false)
    #expect(try await commands.release(id).version == back.version + 1)
    #expect(try await provisioner.deprovision(id, etag: "", actor: "test").state == .pending)
  }

  @Test(arguments: ["", "\n", String(repeating: "x", count: 501)])
  func aHoldHasAReason(_ reason: String) async throws {
    try await begin(.active)
    let error = await refusal { () async throws(TenancyError) in
      try await commands.hold(id, reason: reason)
    }
    #expect(error?.violations.map(\.field) == ["reason"])
  }

  private func purgeRefusal(isEarly: Bool) async -> TenancyError? {
    await refusal { () async throws(TenancyError) in
      try await provisioner.purge(id, isEarly: isEarly, actor: "test", judge: .server)
    }
  }

  // MARK: Schedules

  @Test func timesAreInTheFuture() async throws {
    try await begin(.active)
    let error = await refusal { () async throws(TenancyError) in
      try await commands.schedule(
        id, TenantSchedule(suspend: test.clock.now, trialEnd: later(1), delete: later(-1)))
    }
    #expect(
      error?.violations.map(\.field) == ["schedule.suspend_time", "schedule.delete_time"])
    #expect(tenant?.version == 1)
  }

  @Test func whatIsDueIsDoneAndNothingBeforeIt() async throws {
    try await begin(.active)
    try await test.put(Sample.tenant(2))
    _ = try await commands.schedule(id, TenantSchedule(trialEnd: later(10), delete: later(20)))
    test.clock.advance(seconds: 9)
    #expect(try await carryOut() == 0)
    #expect(tenant?.state == .active)
    test.clock.advance(seconds: 1)
    #expect(try await carryOut() == 1)
    #expect(tenant?.state == .suspended && tenant?.stateReason == "the trial has ended")
    #expect(tenant?.epoch == 2)
    #expect(tenant?.plans.schedule == TenantSchedule(delete: test.clock.now + .seconds(10)))
    #expect(try await carryOut() == 0)
    test.clock.advance(seconds: 100)
    #expect(try await carryOut() == 1)
    #expect(tenant?.state == .deleted && tenant?.hasPlans == false)
    #expect(test.plane.state.find(Sample.id(2))?.tenant == Sample.tenant(2))
    #expect(test.store.log.suffix(2).map(\.action) == ["tenants.deactivate", "tenants.delete"])
    #expect(test.store.log.suffix(2).map(\.actor) == ["system", "system"])
  }

  /// Both at once: the tenant is deleted, in whichever order they are looked at.
  @Test func whatWasMissedIsMadeUpFor() async throws {
    try await begin(.active)
    _ = try await commands.schedule(id, TenantSchedule(suspend: later(1), delete: later(2)))
    test.clock.advance(seconds: 1_000)
    while try await carryOut() > 0 {}
    #expect(tenant?.state == .deleted && tenant?.hasPlans == false)
  }

  @Test(arguments: [TenantState.pending, .suspended, .provisionFailed])
  func whatIsNotPossibleIsDropped(_ state: TenantState) async throws {
    try await begin(state) { $0.plans.schedule.suspend = later(1) }
    test.clock.advance(seconds: 1)
    #expect(try await carryOut() == 1)
    #expect(tenant?.state == state && tenant?.hasPlans == false)
    #expect(tenant?.epoch == 1)
    #expect(try await carryOut() == 0)
  }

  @Test func whatIsBeingMadeIsWaitedFor() async throws {
    try await begin(.provisioning) { $0.plans.schedule.suspend = later(1) }
    test.clock.advance(seconds: 1)
    #expect(try await carryOut() == 0)
    #expect(tenant?.plans.schedule.suspend != nil)
    _ = try await provisioner.provision(id, actor: "test")
    #expect(try await carryOut() == 1)
    #expect(tenant?.state == .suspended)
  }

  /// One that can't be moved yet keeps no others from it, and many due at once are done in several goes.
  @Test func manyAreDueAtOnce() async throws {
    let count = UInt64(2 * LifecycleClock.tenantsPerLook + 3)
    for number in 1...count {
      var tenant = Sample.tenant(number, state: number % 2 == 0 ? .provisioning : .active)
      tenant.plans.schedule.suspend = later(1)
      try await test.put(tenant)
    }
    test.clock.advance(seconds: 1)
    while try await carryOut() > 0 {}
    #expect(test.plane.state.allTenants.allSatisfy { $0.tenant.state != .active })
  }
}
