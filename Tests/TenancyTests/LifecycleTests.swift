import TenancyTestSupport
import Testing

@testable import Tenancy

struct LifecycleTests {
  /// Every legal move; what is not here is illegal.
  static let legal: [TenantState: [Lifecycle.Event: TenantState]] = [
    .pending: [.provision: .provisioning, .delete: .deleted],
    .provisioning: [.provisioned: .active, .provisioningFailed: .provisionFailed],
    .active: [.deactivate: .suspended, .delete: .deleted, .dataMissing: .maintenance],
    .suspended: [.activate: .active, .delete: .deleted, .deprovision: .pending],
    .maintenance: [
      .activate: .active, .deactivate: .suspended, .delete: .deleted, .dataFound: .active,
    ],
    .provisionFailed: [.provision: .provisioning, .delete: .deleted, .deprovision: .pending],
    .deleted: [.deprovision: .deleted],
  ]

  @Test(arguments: TenantState.allCases, Lifecycle.Event.allCases)
  func everyMove(_ state: TenantState, _ event: Lifecycle.Event) throws {
    let expected = Self.legal[state]?[event]
    #expect(Lifecycle.next(state, event) == expected)
    let before = Sample.tenant(1, state: state)
    let now = Timestamp(nanoseconds: Sample.moment.nanoseconds + 5)
    guard let expected else {
      let error = thrown { () throws(TenancyError) in
        try Lifecycle.apply(event, to: before, at: now)
      }
      #expect(error?.category == .failedPrecondition)
      #expect(error?.reason == .illegalTransition)
      #expect(error?.metadata == ["state": state.rawValue, "event": event.rawValue])
      return
    }
    var wanted = before
    wanted.state = expected
    wanted.epoch = 2
    wanted.version = 2
    wanted.updateTime = now
    if state == .active { wanted.tokenHorizon = now }
    if event == .delete {
      wanted.deleteTime = now
      wanted.purgeTime = Timestamp(nanoseconds: now.nanoseconds + 30 * 86_400 * 1_000_000_000)
    }
    #expect(try Lifecycle.apply(event, to: before, at: now) == wanted)
  }

  @Test(
    arguments: [
      (TenantState.active, nil, nil),
      (.pending, .tenantNotProvisioned, .failedPrecondition),
      (.provisioning, .tenantNotProvisioned, .failedPrecondition),
      (.provisionFailed, .tenantNotProvisioned, .failedPrecondition),
      (.suspended, .tenantSuspended, .permissionDenied),
      (.maintenance, .tenantMaintenance, .unavailable),
      (.deleted, .tenantNotFound, .notFound),
    ] as [(TenantState, TenancyError.Reason?, TenancyError.Category?)])
  func onlyActiveTenantsAreServed(
    _ state: TenantState, _ reason: TenancyError.Reason?, _ category: TenancyError.Category?
  ) {
    let refusal = Lifecycle.refusal(for: state)
    #expect(refusal?.reason == reason)
    #expect(refusal?.category == category)
    #expect((refusal?.retryAfterSeconds != nil) == (state == .maintenance))
  }
}
