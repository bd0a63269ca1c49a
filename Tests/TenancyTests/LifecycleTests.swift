import TenancyTestSupport
import Testing

@testable import Tenancy

struct LifecycleTests {
  /// Every legal move; what is not here is illegal.
  static let legal: [TenantState: [Lifecycle.Event: TenantState]] = [
    .pending: [.provision: .provisioning, .delete: .deleted],
    .provisioning: [.provisioned: .active, .provisioningFailed: .provisionFailed],
    .active: [
      .deactivate: .suspended, .delete: .deleted, .dataMissing: .maintenance,
      .beginMaintenance: .maintenance,
    ],
    .suspended: [.activate: .active, .delete: .deleted, .deprovision: .pending],
    .maintenance: [
      .activate: .active, .deactivate: .suspended, .delete: .deleted, .dataFound: .active,
      .endMaintenance: .active,
    ],
    .provisionFailed: [.provision: .provisioning, .delete: .deleted, .deprovision: .pending],
    .deleted: [.undelete: .suspended, .purge: .purging],
    .purging: [.purged: .purged],
  ]

  @Test(arguments: TenantState.allCases, Lifecycle.Event.allCases)
  func everyMove(_ state: TenantState, _ event: Lifecycle.Event) throws {
    let expected = Self.legal[state]?[event]
    #expect(Lifecycle.next(state, event) == expected)
    var before = Sample.tenant(1, state: state)
    before.plans.maintenance = PlannedMaintenance()
    before.plans.legalHold = LegalHold(reason: "r", time: Sample.moment)
    before.plans.schedule = TenantSchedule(suspend: Sample.moment, delete: Sample.moment)
    if state.isGone { (before.deleteTime, before.purgeTime) = (Sample.moment, Sample.moment) }
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
    if event == .undelete { (wanted.deleteTime, wanted.purgeTime) = (nil, nil) }
    wanted.plans.maintenance = nil
    if expected.isGone { wanted.plans.schedule = TenantSchedule() }
    if event == .purged {
      (wanted.displayName, wanted.plans) = (before.slug.text, LifecyclePlans())
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
      (.deleted, .tenantNotFound, .notFound), (.purging, .tenantNotFound, .notFound),
      (.purged, .tenantNotFound, .notFound),
    ] as [(TenantState, TenancyError.Reason?, TenancyError.Category?)])
  func onlyActiveTenantsAreServed(
    _ state: TenantState, _ reason: TenancyError.Reason?, _ category: TenancyError.Category?
  ) {
    let refusal = Lifecycle.refusal(for: Sample.tenant(1, state: state), at: Sample.moment)
    #expect(refusal?.reason == reason)
    #expect(refusal?.category == category)
    #expect((refusal?.retryAfterSeconds != nil) == (state == .maintenance))
  }

  /// Seconds from now to the expected end, and what clients are told.
  @Test(
    arguments: [
      (nil, 30), (0, 30), (-1_000_000_000, 30), (1, 1), (999_999_999, 1), (1_000_000_000, 1),
      (1_000_000_001, 2), (7_200_000_000_000, 7200), (.max, nil),
    ] as [(Int64?, Int64?)])
  func maintenanceSaysWhenToComeBack(_ left: Int64?, _ seconds: Int64?) {
    let now = Timestamp(nanoseconds: Sample.moment.nanoseconds + 500_000_000)
    var tenant = Sample.tenant(1, state: .maintenance)
    tenant.plans.maintenance = PlannedMaintenance(
      expectedEnd: left.map {
        Timestamp(nanoseconds: $0 == .max ? .max : now.nanoseconds + $0)
      })
    let told = Lifecycle.refusal(for: tenant, at: now)?.retryAfterSeconds
    if let seconds { #expect(told == seconds) } else { #expect((told ?? 0) > 1_000_000_000) }
  }

  /// Nothing that anybody said of it is left, but for the names that nobody else is to get.
  @Test func ofWhatIsPurgedOnlyTheNamesStay() throws {
    var tenant = Sample.tenant(1, state: .purging)
    tenant.displayName = "Erika Mustermann"
    tenant.stateReason = "secret"
    tenant.isolationModel = .hybrid
    tenant.configuration = TenantConfiguration(
      schema: SchemaConfiguration(schemaName: "s"),
      shared: SharedConfiguration(tenantIdentifier: "t"), customSettings: ["a": .bool(true)],
      featureFlags: ["f": true])
    tenant.tokenKeys = [Sample.key("A")]
    tenant.authentication.acceptsOwnTokens = false
    tenant.tokenHorizon = Sample.moment
    tenant.plans.schedule.delete = Sample.moment
    let after = try Lifecycle.apply(.purged, to: tenant, at: Sample.moment)
    #expect(after.displayName == "tenant-1" && after.stateReason.isEmpty)
    #expect(
      after.configuration
        == TenantConfiguration(
          schema: SchemaConfiguration(schemaName: "s"),
          shared: SharedConfiguration(tenantIdentifier: "t")))
    #expect(after.tokenKeys.isEmpty && after.authentication.isDefault)
    #expect(after.tokenHorizon == nil && !after.hasPlans)
  }
}
