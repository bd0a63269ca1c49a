/// Which changes of state are legal, and what a state answers.
public enum Lifecycle {
  /// What happens to a tenant. Raw values are for people.
  public enum Event: String, Sendable, CaseIterable {
    /// Resources begin to be made, for the first time or again.
    case provision
    /// All resources are there.
    case provisioned
    /// A step of provisioning failed.
    case provisioningFailed = "provisioning failure"
    /// A resource of an active tenant is not there any more.
    case dataMissing = "loss of data"
    /// It is there again.
    case dataFound = "return of data"
    /// An operator takes it out of service for a while.
    case beginMaintenance = "maintenance"
    /// That is over.
    case endMaintenance = "end of maintenance"
    /// An operator lets calls in again.
    case activate
    /// An operator, or the schedule, keeps all calls out; data stays.
    case deactivate
    /// The tenant is gone for its callers; its data stays until `purgeTime`.
    case delete
    /// It is taken back.
    case undelete
    /// Its resources are destroyed.
    case deprovision
    /// All that it has begins to be destroyed, for good.
    case purge
    /// That is done.
    case purged = "end of the purge"
  }

  /// A row of the table: where an event leads.
  public struct Transition: Sendable {
    /// What happens.
    public let event: Event
    /// In which states it may.
    public let from: [TenantState]
    /// The state after it.
    public let to: TenantState
    /// What brings it about: methods of `TenantManager`, or what the server does by itself.
    public let cause: String

    fileprivate init(
      _ event: Event, from: TenantState..., to: TenantState, by cause: String
    ) {
      self.event = event
      self.from = from
      self.to = to
      self.cause = cause
    }
  }

  /// All that is legal. The table of the article on the lifecycle is made from it.
  public static let transitions: [Transition] = [
    Transition(
      .provision, from: .pending, .provisionFailed, to: .provisioning,
      by: "`ProvisionTenantResources`"),
    Transition(
      .provisioned, from: .provisioning, to: .active, by: "the server, when all is made"),
    Transition(
      .provisioningFailed, from: .provisioning, to: .provisionFailed,
      by: "the server, when a step fails"),
    Transition(
      .deactivate, from: .active, .maintenance, to: .suspended,
      by: "`DeactivateTenant`; the schedule"),
    Transition(.activate, from: .suspended, .maintenance, to: .active, by: "`ActivateTenant`"),
    Transition(
      .beginMaintenance, from: .active, to: .maintenance, by: "`BeginTenantMaintenance`"),
    Transition(.endMaintenance, from: .maintenance, to: .active, by: "`EndTenantMaintenance`"),
    Transition(
      .dataMissing, from: .active, to: .maintenance,
      by: "the server, when it starts and does not find the data"),
    Transition(
      .dataFound, from: .maintenance, to: .active, by: "the server, when it finds that again"),
    Transition(
      .deprovision, from: .suspended, .provisionFailed, to: .pending,
      by: "`DeprovisionTenantResources`"),
    Transition(
      .delete, from: .pending, .active, .suspended, .maintenance, .provisionFailed, to: .deleted,
      by: "`DeleteTenant`; the schedule"),
    Transition(.undelete, from: .deleted, to: .suspended, by: "`UndeleteTenant`"),
    Transition(
      .purge, from: .deleted, to: .purging, by: "`PurgeTenant`; the server after `purge_time`"),
    Transition(.purged, from: .purging, to: .purged, by: "the server, when nothing is left"),
  ]

  /// Characters of a state's reason. The rest is cut.
  static let maximumReasonLength = 500

  /// Between a soft delete and the moment when data may be destroyed, where nothing else is said.
  public static let usualRetention = Duration.seconds(30 * 86_400)

  /// The state after `event`, or nil where that is illegal.
  public static func next(_ state: TenantState, _ event: Event) -> TenantState? {
    transitions.first { $0.event == event && $0.from.contains(state) }?.to
  }

  /// The tenant after `event`: a new state, a new epoch, a new version.
  /// - Parameters:
  ///   - reason: why, for operators.
  ///   - maintenance: which begins, where one does.
  ///   - retention: of what is deleted.
  public static func apply(
    _ event: Event, to tenant: Tenant, at now: Timestamp, reason: String = "",
    maintenance: PlannedMaintenance? = nil, retention: Duration = usualRetention
  ) throws(TenancyError) -> Tenant {
    guard let state = next(tenant.state, event) else {
      throw TenancyError(
        .failedPrecondition, .illegalTransition,
        "\(event.rawValue) is not possible while the tenant is \(tenant.state.rawValue)",
        metadata: ["state": tenant.state.rawValue, "event": event.rawValue])
    }
    var after = tenant
    after.state = state
    after.stateReason = String(reason.prefix(maximumReasonLength))
    after.epoch += 1
    // Of one that was never active there are no tokens.
    // And what was void stays void when the clock is set back.
    if tenant.state == .active || tenant.tokenHorizon != nil {
      after.tokenHorizon = max(now, tenant.tokenHorizon ?? now)
    }
    after.version += 1
    after.updateTime = now
    if tenant.hasPlans || maintenance != nil {
      after.plans.maintenance = maintenance
      if state.isGone { after.plans.schedule = TenantSchedule() }
    }
    switch event {
    case .delete:
      after.deleteTime = now
      after.purgeTime = now + retention
    case .undelete:
      after.deleteTime = nil
      after.purgeTime = nil
    case .purged:
      after.leaveNothing()
    case .provision, .provisioned, .provisioningFailed, .dataMissing, .dataFound,
      .beginMaintenance, .endMaintenance, .activate, .deactivate, .deprovision, .purge:
      break
    }
    return after
  }

  /// Whether calls are served for a tenant now; the error that says why not.
  public static func refusal(for tenant: borrowing Tenant, at now: Timestamp) -> TenancyError? {
    switch tenant.state {
    case .active: nil
    case .pending, .provisioning, .provisionFailed: notProvisioned
    case .suspended: suspended
    case .maintenance: maintenance(until: tenant.plans.maintenance?.expectedEnd, now)
    case .deleted, .purging, .purged: .tenantNotFound
    }
  }

  /// Seconds after which a client may try a tenant in maintenance again, where nobody said when that ends, or
  /// that is over.
  public static let maintenanceRetrySeconds: Int64 = 30

  private static let notProvisioned = TenancyError(
    .failedPrecondition, .tenantNotProvisioned, "the tenant's resources are not provisioned")
  private static let suspended = TenancyError(
    .permissionDenied, .tenantSuspended, "the tenant is suspended")

  private static func maintenance(until end: Timestamp?, _ now: Timestamp) -> TenancyError {
    // Rounded up: who comes a moment too early comes twice.
    let left = end.map { end in
      end.seconds - now.seconds + (end.subsecondNanoseconds > now.subsecondNanoseconds ? 1 : 0)
    }
    return TenancyError(
      .unavailable, .tenantMaintenance, "the tenant is in maintenance",
      retryAfterSeconds: left.flatMap { $0 > 0 ? $0 : nil } ?? maintenanceRetrySeconds)
  }
}

extension TenantRecord {
  /// Whether calls are served for the tenant now; the error that says why not.
  @inline(__always)
  public func refusal(at now: Timestamp) -> TenancyError? {
    tenant.state == .active ? nil : Lifecycle.refusal(for: tenant, at: now)
  }
}

extension Tenant {
  /// The names stay, for nobody else is to get them. All else that anybody said of it goes.
  fileprivate mutating func leaveNothing() {
    displayName = slug.text
    configuration = TenantConfiguration(
      schema: configuration.schema, shared: configuration.shared,
      dataCategories: configuration.dataCategories.map {
        DataCategory(name: $0.name, model: $0.model)
      })
    tokenKeys = []
    authentication = AuthenticationSettings()
    tokenHorizon = nil
    plans = LifecyclePlans()
  }
}
