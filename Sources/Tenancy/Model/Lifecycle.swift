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
    /// An operator lets calls in again.
    case activate
    /// An operator keeps all calls out; data stays.
    case deactivate
    /// The tenant is gone for its callers; its data stays until `purgeTime`.
    case delete
    /// Its resources are destroyed.
    case deprovision
  }

  /// Characters of a state's reason. The rest is cut.
  static let maximumReasonLength = 500

  /// Days between a soft delete and the moment when data may be destroyed.
  public static let daysUntilPurge = Days(30)

  /// The state after `event`, or nil where that is illegal.
  public static func next(_ state: TenantState, _ event: Event) -> TenantState? {
    switch (state, event) {
    case (.pending, .provision), (.provisionFailed, .provision): .provisioning
    case (.provisioning, .provisioned): .active
    case (.provisioning, .provisioningFailed): .provisionFailed
    case (.active, .dataMissing): .maintenance
    case (.maintenance, .dataFound): .active
    case (.active, .deactivate), (.maintenance, .deactivate): .suspended
    case (.suspended, .activate), (.maintenance, .activate): .active
    case (.pending, .delete), (.active, .delete), (.suspended, .delete), (.maintenance, .delete),
      (.provisionFailed, .delete):
      .deleted
    case (.suspended, .deprovision), (.provisionFailed, .deprovision): .pending
    case (.deleted, .deprovision): .deleted
    default: nil
    }
  }

  /// The tenant after `event`: a new state, a new epoch, a new version.
  public static func apply(
    _ event: Event, to tenant: Tenant, at now: Timestamp, reason: String = ""
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
    if tenant.state == .active || tenant.tokenHorizon != nil { after.tokenHorizon = now }
    after.version += 1
    after.updateTime = now
    if event == .delete {
      after.deleteTime = now
      after.purgeTime = now + daysUntilPurge
    }
    return after
  }

  /// Whether calls are served for a tenant in this state; the error that says why not.
  public static func refusal(for state: TenantState) -> TenancyError? {
    switch state {
    case .active: nil
    case .pending, .provisioning, .provisionFailed: notProvisioned
    case .suspended: suspended
    case .maintenance: maintenance
    case .deleted: .tenantNotFound
    }
  }

  /// Seconds after which a client may try a tenant in maintenance again.
  public static let maintenanceRetrySeconds: Int64 = 30

  private static let notProvisioned = TenancyError(
    .failedPrecondition, .tenantNotProvisioned, "the tenant's resources are not provisioned")
  private static let suspended = TenancyError(
    .permissionDenied, .tenantSuspended, "the tenant is suspended")
  private static let maintenance = TenancyError(
    .unavailable, .tenantMaintenance, "the tenant is in maintenance",
    retryAfterSeconds: maintenanceRetrySeconds)
}
