import Synchronization
import TenancyTestSupport
import Testing

@testable import Tenancy

/// What the server moves by itself when somebody has to approve it.
struct TransitionApprovalTests {
  private final class Approver: TransitionApprover {
    let asked = Mutex<[TenantID]>([])
    let answer: @Sendable (Tenant) async -> TenancyError?

    init(_ answer: @escaping @Sendable (Tenant) async -> TenancyError?) { self.answer = answer }

    func approve(
      _ event: Lifecycle.Event, of tenant: Tenant, by actor: String
    ) async throws(TenancyError) {
      asked.withLock { $0.append(tenant.id) }
      if let error = await answer(tenant) { throw error }
    }
  }

  private static let denied = TenancyError(.permissionDenied, .transitionDenied, "no")

  private let test: TestPlane
  private let provisioner: Provisioner

  init() throws {
    var options = ControlPlane.Options()
    options.lifecycle.purgeDelay = .zero
    test = try TestPlane(options: options)
    provisioner = Provisioner(test.plane, FakeDataPlane())
  }

  private func clock(_ approver: Approver) -> LifecycleClock {
    LifecycleClock(
      test.plane, provisioner, approvals: TransitionApprovals([.deactivate, .purge], by: approver))
  }

  private func state(_ number: UInt64) -> TenantState? {
    test.plane.state.find(Sample.id(number))?.tenant.state
  }

  @Test func whatIsDeniedKeepsNoOthersFromIt() async throws {
    let count = UInt64(2 * LifecycleClock.maximumMoves)
    for number in 1...count {
      var tenant = Sample.tenant(number)
      // Those that are denied come first.
      tenant.plans.schedule.suspend = test.clock.now + .seconds(Int64(number))
      try await test.put(tenant)
    }
    test.clock.advance(seconds: Int64(count))
    let last = Sample.id(count)
    let approver = Approver { $0.id == last ? nil : Self.denied }
    let clock = clock(approver)
    var round = LifecycleClock.Round()
    _ = try await clock.carryOutSchedules(&round)
    round.begin()
    _ = try await clock.carryOutSchedules(&round)
    #expect(state(count) == .suspended)
    #expect((1..<count).allSatisfy { state($0) == .active })
    // Each once, until its time comes again.
    #expect(approver.asked.withLock { $0.count } == Int(count))
    #expect(round.waits.count == Int(count) - 1)
  }

  @Test func whatHasChangedMeanwhileIsAskedForAgain() async throws {
    var tenant = Sample.tenant(1)
    // Without a name in shared tables it would get one, and move.
    tenant.isolationModel = .database
    tenant.plans.schedule.suspend = test.clock.now + .seconds(1)
    try await test.put(tenant)
    test.clock.advance(seconds: 1)
    let plane = test.plane
    let isFirst = Mutex(true)
    let approver = Approver { tenant in
      guard
        isFirst.withLock({ first in
          defer { first = false }; return first
        })
      else { return nil }
      var update = TenantCommands.Update(etag: "", mayMove: true)
      update.displayName = "Another"
      let change = update
      let error = await refusal { () async throws(TenancyError) in
        try await TenantCommands(plane, actor: "test").update(tenant.id, change, action: "test")
      }
      #expect(error == nil)
      return error
    }
    let clock = clock(approver)
    var round = LifecycleClock.Round()
    #expect(try await clock.carryOutSchedules(&round) == 0)
    #expect(state(1) == .active)
    #expect(try await clock.carryOutSchedules(&round) == 1)
    #expect(state(1) == .suspended)
  }

  /// What is not asked for is for the tenant as it is known here: a newer one nobody has approved.
  @Test func whatIsNotAskedForIsForNoNewerTenant() async throws {
    let approver = Approver { _ in Self.denied }
    let approvals = TransitionApprovals([.deactivate], by: approver)
    let suspended = Sample.tenant(1, state: .suspended)
    #expect(try await approvals.require(.deactivate, of: suspended, by: "x") == "v1")
    // An etag that is newer than what this node knows.
    let error = await refusal { () async throws(TenancyError) in
      try await approvals.require(.deactivate, of: Sample.tenant(1), etag: "v2", by: "x")
    }
    #expect(error?.category == .aborted && error?.reason == .etagMismatch)
    #expect(approver.asked.withLock { $0.isEmpty })
    #expect(try await approvals.require(.delete, of: suspended, etag: "v7", by: "x") == "v7")
  }

  @Test func withoutAnApprovalNothingIsPurged() async throws {
    var tenant = Sample.tenant(1, state: .deleted)
    (tenant.deleteTime, tenant.purgeTime) = (Sample.moment, Sample.moment)
    try await test.put(tenant)
    let clock = clock(Approver { _ in Self.denied })
    var round = LifecycleClock.Round()
    await clock.purge(&round)
    #expect(state(1) == .deleted && round.waits.count == 1)
    let other = self.clock(Approver { _ in nil })
    await other.purge(&round)
    #expect(state(1) == .deleted)
    round.waits = [:]
    await other.purge(&round)
    #expect(state(1) == nil)
  }
}
