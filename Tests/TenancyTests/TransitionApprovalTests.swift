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
    test = try TestPlane()
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
    var waits = LifecycleClock.Waits()
    for _ in 0..<3 { _ = try await clock.carryOutSchedules(&waits) }
    #expect(state(count) == .suspended)
    #expect((1..<count).allSatisfy { state($0) == .active })
    // Each once, until its time comes again.
    #expect(approver.asked.withLock { $0.count } == Int(count))
    #expect(waits.count == Int(count) - 1)
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
    var waits = LifecycleClock.Waits()
    #expect(try await clock.carryOutSchedules(&waits) == 0)
    #expect(state(1) == .active)
    #expect(try await clock.carryOutSchedules(&waits) == 1)
    #expect(state(1) == .suspended)
  }

  @Test func withoutAnApprovalNothingIsPurged() async throws {
    var tenant = Sample.tenant(1, state: .deleted)
    (tenant.deleteTime, tenant.purgeTime) = (Sample.moment, Sample.moment)
    try await test.put(tenant)
    let clock = clock(Approver { _ in Self.denied })
    var waits = LifecycleClock.Waits()
    await clock.purge(&waits)
    #expect(state(1) == .deleted && waits.count == 1)
    let other = self.clock(Approver { _ in nil })
    await other.purge(&waits)
    #expect(state(1) == .deleted)
    waits = [:]
    await other.purge(&waits)
    #expect(state(1) == nil)
  }
}
