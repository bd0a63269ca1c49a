/// What changes the platform's plans. It is for the platform.
public struct PlanCommands: Sendable {
  private static let field = "plan"

  private let writer: CatalogWriter
  private let limits: LimitPlans?

  /// - Parameters:
  ///   - actor: who asks, for the log.
  ///   - judge: whether they may still when it is done.
  ///   - limits: this node's own plans, whose names are taken; nil: it has none.
  public init(_ plane: ControlPlane, actor: String, judge: WriteJudge, limits: LimitPlans?) {
    writer = CatalogWriter(plane: plane, actor: actor, judge: judge)
    self.limits = limits
  }

  /// Makes a plan.
  /// - Parameters:
  ///   - new: its version and times are not looked at.
  ///   - checks: what was found to be wrong with the request already.
  /// - Throws: INVALID_ARGUMENT with all that is wrong; ALREADY_EXISTS with PLAN_EXISTS; RESOURCE_EXHAUSTED where there
  ///   are `Plan.maximumCount`.
  public func create(
    _ new: Plan, checks: FieldChecks = FieldChecks(), validateOnly: Bool = false
  ) async throws(TenancyError) -> Plan {
    try await writer.write("plans.create", "plans/\(new.name)") {
      [limits] (transaction) throws(TenancyError) -> Plan in
      var checks = checks
      if !RequestLimit.isName(new.name) {
        checks.note(
          .invalid("plan_id", "1 to \(RequestLimit.maximumNameBytes) of a-z, 0-9, '-' and '_'"))
      }
      let catalog = transaction.state.catalog
      try Self.check(new, from: nil, catalog, limits, &checks)
      try checks.finish()
      guard catalog.plan(new.name) == nil, !(limits?.has(new.name) ?? false) else {
        throw TenancyError(.alreadyExists, .planExists, "there is a plan \(new.name) already")
      }
      guard catalog.planCount < Plan.maximumCount else {
        throw .exhausted(.plans, of: .server, limit: Plan.maximumCount)
      }
      let made = Plan(
        name: new.name, title: new.title, settings: new.settings, featureFlags: new.featureFlags,
        limits: new.limits, createTime: transaction.now, updateTime: transaction.now)
      if !validateOnly { transaction.emit(.putConfigurationItem(.plan(made))) }
      return made
    }
  }

  /// Makes a plan otherwise, for all tenants that have it.
  /// - Parameters:
  ///   - etag: empty: any.
  ///   - change: makes the new plan of the present one, on the writer: quick, and without side effects.
  /// - Throws: NOT_FOUND with PLAN_NOT_FOUND, FAILED_PRECONDITION with PLAN_READ_ONLY, ABORTED with ETAG_MISMATCH,
  ///   INVALID_ARGUMENT with all that is wrong.
  public func update(
    _ name: String, etag: String, checks: FieldChecks = FieldChecks(), validateOnly: Bool = false,
    _ change: @escaping @Sendable (inout Plan) -> Void
  ) async throws(TenancyError) -> Plan {
    try await writer.write("plans.update", "plans/\(name)") {
      [self] (transaction) throws(TenancyError) -> Plan in
      let before = try current(name, etag, transaction.state)
      var after = before
      change(&after)
      var checks = checks
      try Self.check(after, from: before, transaction.state.catalog, limits, &checks)
      try checks.finish()
      guard !after.hasSameBytes(as: before) else { return before }
      after.version += 1
      after.updateTime = transaction.now
      if !validateOnly { transaction.emit(.putConfigurationItem(.plan(after))) }
      return after
    }
  }

  /// Removes a plan that no tenant has.
  /// - Parameter etag: empty: any.
  /// - Throws: NOT_FOUND with PLAN_NOT_FOUND, FAILED_PRECONDITION with PLAN_IN_USE or PLAN_READ_ONLY, ABORTED with
  ///   ETAG_MISMATCH.
  public func delete(_ name: String, etag: String) async throws(TenancyError) {
    try await writer.write("plans.delete", "plans/\(name)") {
      [self] (transaction) throws(TenancyError) in
      _ = try current(name, etag, transaction.state)
      let tenants = transaction.state.catalog.tenants(of: name)
      guard tenants == 0 else {
        throw TenancyError(
          .failedPrecondition, .planInUse, "\(tenants) tenants have the plan",
          metadata: ["tenants": "\(tenants)"])
      }
      transaction.emit(.deleteConfigurationItem(.plan, id: name))
    }
  }

  /// There is no such plan.
  public static let notFound = TenancyError(.notFound, .planNotFound, "there is no such plan")

  private func current(
    _ name: String, _ etag: String, _ state: ControlState
  ) throws(TenancyError) -> Plan {
    guard let plan = state.catalog.plan(name) else {
      guard limits?.has(name) ?? false else { throw Self.notFound }
      throw TenancyError(
        .failedPrecondition, .planReadOnly, "the plan is of the server's configuration file")
    }
    try CatalogWriter.require(etag, plan.etag)
    return plan
  }

  /// Of declared settings, values that are new have to fit, and there must be something that limits are for.
  private static func check(
    _ plan: Plan, from before: Plan?, _ catalog: ConfigurationCatalog, _ limits: LimitPlans?,
    _ checks: inout FieldChecks
  ) throws(TenancyError) {
    try plan.check(field: field, &checks)
    for (name, value) in plan.settings.sorted(by: { $0.key < $1.key })
    where !(before?.settings[name]?.hasSameBytes(as: value) ?? false) {
      guard let problem = catalog.setting(name)?.problem(with: value) else { continue }
      checks.note(.invalid("\(field).settings.\(name)", problem))
    }
    let names = (limits ?? .standard).names
    for (index, limit) in plan.limits.enumerated()
    where !names.contains(limit.name) && !(before?.limits.contains(limit) ?? false) {
      checks.note(
        .invalid(
          "\(field).limits[\(index)].name",
          "no limit is called \(limit.name) in the server's configuration"))
    }
  }
}

extension ControlState {
  /// Whether a tenant may be given a plan.
  /// - Parameter limits: this node's own plans.
  /// - Throws: INVALID_ARGUMENT for one that there is not; FAILED_PRECONDITION with RATE_LIMITS_NOT_CONFIGURED where the
  ///   node has none of its own either.
  func checkPlan(
    of after: LimitSettings?, from before: LimitSettings?, _ limits: LimitPlans?
  ) throws(TenancyError) {
    guard let name = after?.plan, !name.isEmpty, name != before?.plan else { return }
    guard catalog.plan(name) == nil else { return }
    guard let limits else {
      throw TenancyError(
        .failedPrecondition, .limitsNotConfigured,
        "the platform has no such plan, and the server no rate_limits in its configuration")
    }
    guard limits.has(name) else {
      throw .invalid("configuration.limits.plan", "is none of the platform's plans")
    }
  }
}
