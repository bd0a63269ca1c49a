/// What moves tenants along their lives, and what is to become of them.
extension TenantCommands {
  /// Moves a tenant along its lifecycle.
  /// - Parameters:
  ///   - event: one that needs no more than that; for `purge` there is `Provisioner.purge`.
  ///   - maintenance: which begins, where one does.
  ///   - steps: of its provisioning that must be done.
  /// - Throws: `.tenantNotFound` also for deleted ones, unless they are taken back; `.illegalTransition`;
  ///   `.tenantNotProvisioned` where steps are missing; `.etagMismatch`.
  public func move(
    _ id: TenantID, _ event: Lifecycle.Event, etag: String = "", reason: String = "",
    maintenance: PlannedMaintenance? = nil, requiring steps: [String] = []
  ) async throws(TenancyError) -> Tenant {
    // Those along the lifecycle are few for each tenant, and waited for.
    try await write("tenants.\(event)", .revoking, rewriting: id) {
      [retention = lifecycle.retention] (transaction) throws(TenancyError) -> Tenant in
      let record = try Self.current(id, etag, transaction.state)
      if record.tenant.state.isGone, event != .undelete { throw .tenantNotFound }
      let after = try Lifecycle.apply(
        event, to: record.tenant, at: transaction.now, reason: reason, maintenance: maintenance,
        retention: retention)
      guard record.provisionedSteps.isSuperset(of: steps) else { throw Self.notProvisioned }
      return Self.put(after, after: event, &transaction)
    }
  }

  private static let notProvisioned = TenancyError(
    .failedPrecondition, .tenantNotProvisioned,
    "the tenant's resources are not provisioned: deprovision what is there of them, and provision it"
  )

  /// Emits a tenant that was moved, and what goes with it.
  private static func put(
    _ tenant: Tenant, after event: Lifecycle.Event, _ transaction: inout Transaction
  ) -> Tenant {
    var after = tenant
    var dropped: [Change] = []
    if event == .delete {
      dropped = TokenCommands.dropAll(of: &after, transaction.state)
      dropped += WorkloadEntryCommands.dropAll(of: after.id, transaction.state)
    }
    transaction.emit(.putTenant(after), about: after.id)
    for change in dropped { transaction.emit(change, about: after.id) }
    return after
  }

  // MARK: Legal holds

  /// Keeps a tenant's data from being destroyed, whoever asks for it; also that of a deleted one. There is one hold
  /// at most: who releases it must not end another's.
  /// - Parameter reason: 1 to 500 characters, none of them control.
  /// - Throws: `.tenantNotFound` once it is purged, or about to be; ALREADY_EXISTS with LEGAL_HOLD; ABORTED with
  ///   LEASE_HELD while a node is destroying its data; `.invalidArgument`, `.etagMismatch`.
  public func hold(
    _ id: TenantID, reason: String, etag: String = ""
  ) async throws(TenancyError) -> Tenant {
    try TenantRules.check(reason: reason)
    return try await write("tenants.hold", .revoking, rewriting: id) {
      (transaction) throws(TenancyError) -> Tenant in
      let record = try Self.current(id, etag, transaction.state)
      var after = record.tenant
      if after.state == .purging { throw .tenantNotFound }
      guard !after.isHeld else { throw Self.held }
      // Of what is destroyed already, nobody can say that it is kept; and who has not gone on with it does not.
      if !DataPlaces(record).left.isEmpty {
        _ = transaction.take(
          Self.leaseName(of: id), holder: "legal-hold", lasting: .milliseconds(1), about: id)
      }
      after.plans.legalHold = LegalHold(reason: reason, time: transaction.now)
      after.version += 1
      after.updateTime = transaction.now
      transaction.emit(.putTenant(after), about: id)
      return after
    }
  }

  private static let held = TenancyError(
    .alreadyExists, .legalHold, "there is a legal hold on the tenant: another would end with it")

  /// Ends that: without one, nothing changes.
  /// - Throws: as `hold`.
  public func release(_ id: TenantID, etag: String = "") async throws(TenancyError) -> Tenant {
    try await plan("tenants.release", id, etag) { (plans, _, _) throws(TenancyError) in
      plans.legalHold = nil
    }
  }

  /// - Throws: FAILED_PRECONDITION with LEGAL_HOLD if the data must be kept.
  static func requireNoHold(on tenant: borrowing Tenant) throws(TenancyError) {
    guard tenant.isHeld else { return }
    throw TenancyError(
      .failedPrecondition, .legalHold, "the tenant's data must be kept: there is a legal hold on it"
    )
  }

  /// Moves the expected end of a maintenance that somebody has begun.
  static func moveMaintenance(
    of tenant: inout Tenant, _ update: Update, at now: Timestamp
  ) throws(TenancyError) {
    guard let end = update.maintenanceEnd else { return }
    guard update.mayMove else { throw notTheirs }
    if let permission = update.missingPermission { throw .missing(permission: permission) }
    guard tenant.state == .maintenance, let planned = tenant.plans.maintenance else {
      throw TenancyError(
        .failedPrecondition, .illegalTransition,
        "the tenant is in no maintenance that was begun by a call",
        metadata: ["state": tenant.state.rawValue])
    }
    if end == planned.expectedEnd { return }
    if let end, end <= now {
      throw .invalid("tenant.maintenance_end_time", "must be in the future")
    }
    tenant.plans.maintenance?.expectedEnd = end
  }

  // MARK: Schedules

  /// Replaces what the server does with a tenant by itself.
  /// - Throws: `.invalidArgument` for times that are not in the future; `.tenantNotFound` also for deleted ones.
  public func schedule(
    _ id: TenantID, _ schedule: TenantSchedule, etag: String = ""
  ) async throws(TenancyError) -> Tenant {
    try await plan("tenants.schedule", id, etag) { (plans, state, now) throws(TenancyError) in
      guard !state.isGone else { throw .tenantNotFound }
      var checks = FieldChecks()
      for kind in TenantSchedule.Kind.allCases {
        // One that is there may be due by now.
        guard let time = schedule[kind], time <= now, time != plans.schedule[kind] else { continue }
        checks.note(.invalid("schedule.\(kind.field)", "must be in the future"))
      }
      try checks.finish()
      plans.schedule = schedule
    }
  }

  private func plan(
    _ action: String, _ id: TenantID, _ etag: String,
    _ change:
      @escaping @Sendable (inout LifecyclePlans, TenantState, Timestamp) throws(TenancyError) ->
      Void
  ) async throws(TenancyError) -> Tenant {
    try await write(action, .revoking, rewriting: id) {
      (transaction) throws(TenancyError) -> Tenant in
      let before = try Self.current(id, etag, transaction.state).tenant
      if before.state == .purging { throw .tenantNotFound }
      var after = before
      try change(&after.plans, before.state, transaction.now)
      guard after != before else { return before }
      after.version += 1
      after.updateTime = transaction.now
      transaction.emit(.putTenant(after), about: id)
      return after
    }
  }

  /// Makes the transitions of these tenants that are due. What is not possible in a tenant's state is dropped,
  /// but for one whose resources are being made: it comes later.
  /// - Parameter approved: nil, or for which version of each it was approved.
  /// - Returns: of how many.
  func carryOut(
    _ kind: TenantSchedule.Kind, of ids: [TenantID], approved: [TenantID: UInt64]? = nil
  ) async throws(TenancyError) -> Int {
    let event = kind.event
    return try await write("tenants.\(event)", .revoking, changes: ids.count) {
      [retention = lifecycle.retention] (transaction) throws(TenancyError) -> Int in
      var count = 0
      transaction.remark = "SCHEDULED"
      for id in ids {
        guard let tenant = transaction.state.find(id)?.tenant,
          let time = tenant.plans.schedule[kind], time <= transaction.now,
          tenant.state != .provisioning
        else { continue }
        if let approved, approved[id] != tenant.version { continue }
        var after = tenant
        if Lifecycle.next(tenant.state, event) != nil {
          after = try Lifecycle.apply(
            event, to: tenant, at: transaction.now, reason: kind.reason, retention: retention)
        } else {
          after.version += 1
          after.updateTime = transaction.now
        }
        after.plans.schedule[kind] = nil
        _ = Self.put(after, after: event, &transaction)
        count += 1
      }
      return count
    }
  }
}

extension TenantSchedule.Kind {
  var event: Lifecycle.Event {
    switch self {
    case .suspend, .trialEnd: .deactivate
    case .delete: .delete
    }
  }

  /// For operators.
  fileprivate var reason: String {
    switch self {
    case .suspend: "it was to be suspended now"
    case .trialEnd: "the trial has ended"
    case .delete: ""
    }
  }

  /// As the API calls it.
  fileprivate var field: String {
    switch self {
    case .suspend: "suspend_time"
    case .trialEnd: "trial_end_time"
    case .delete: "delete_time"
    }
  }
}

extension Tenant {
  /// Whether its data must be kept.
  var isHeld: Bool { hasPlans && plans.legalHold != nil }
}
