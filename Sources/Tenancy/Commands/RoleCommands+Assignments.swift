import TenancyConditions

extension RoleCommands {
  /// Gives a subject a role.
  /// - Parameters:
  ///   - id: nil if `checks` has refused it.
  ///   - terms: of which resources, when and why; nil if `checks` has refused them.
  ///   - replaces: whether this takes the place of the assignment of the role that the subject has, if it has one.
  ///   - checks: what is known to be wrong with the request.
  /// - Throws: `.invalidArgument` with all that is wrong, `.assignmentExists`, `.rolesExcluded`, `.resourceExhausted`
  ///   for more than there may be, `.permissionDenied` for what the caller must not give away.
  public func assign(
    subject: String, role id: String?, terms: RoleAssignment.Terms? = RoleAssignment.Terms(),
    expireTime: Timestamp?, replaces: Bool = false, checks: FieldChecks = FieldChecks()
  ) async throws(TenancyError) -> RoleAssignment {
    let cost = plane.state.find(tenant).map { costOfJudging(id ?? "", $0.policy) } ?? 0
    return try await write("assignments.create", changes: cost) {
      (record, transaction) throws(TenancyError) -> RoleAssignment in
      try assign(
        subject, id, terms, expireTime, replaces: replaces, checks, record, &transaction)
    }
  }

  /// In a transaction.
  func assign(
    _ subject: String, _ id: String?, _ terms: RoleAssignment.Terms?, _ expireTime: Timestamp?,
    replaces: Bool, _ checks: FieldChecks, _ record: TenantRecord,
    _ transaction: inout Transaction
  ) throws(TenancyError) -> RoleAssignment {
    let policy = record.policy
    var checks = checks
    try checks.value { () throws(TenancyError) in
      try checkSubject(subject, transaction.state)
    }
    if let expireTime, expireTime <= transaction.now {
      checks.note(.invalid("assignment.expire_time", "must be in the future"))
    }
    if let terms { AssignmentRules.check(terms, policy, &checks) }
    guard checks.passed, let id, let terms else { throw checks.failure }
    guard policy.role(id) != nil else { throw Self.notFound(id) }
    let rules = RoleRules(policy)
    try mayGive(
      rules.reserved(grantedBy: [id]).union(rules.reserved(deniedBy: [id])), transaction.state)
    let holder = record.holder(subject)
    if let old = policy.assignment(of: subject, holder: holder, role: id, terms) {
      if replaces, old.expireTime == expireTime, old.terms.hasSameReason(as: terms) {
        transaction.give(id: old.id)
        return old
      }
      // One that has expired makes room for a new one.
      guard replaces || old.expireTime.map({ $0 <= transaction.now }) ?? false else {
        throw TenancyError(
          .alreadyExists, .assignmentExists, "the subject has this role already",
          metadata: ["assignment": old.id])
      }
      transaction.emit(.deleteAssignment(tenant, id: old.id), about: tenant)
    } else {
      try AssignmentRules.checkRoom(for: terms, of: holder, policy, tenant)
    }
    try rules.checkExclusions(of: id, subject: subject, holder: holder, at: transaction.now)
    let assignment = RoleAssignment(
      id: TenantID.generate(atMilliseconds: transaction.now.milliseconds).description,
      subject: subject, role: id, terms: terms, createTime: transaction.now,
      expireTime: expireTime)
    transaction.emit(.putAssignment(tenant, assignment), about: tenant)
    transaction.give(id: assignment.id)
    return assignment
  }

  /// Takes the role from the subject at once.
  /// - Throws: `.assignmentNotFound`; `.permissionDenied` where the role denies what the caller lacks; or what the
  ///   write itself meets.
  public func unassign(id: String) async throws(TenancyError) {
    let cost = plane.state.find(tenant).map { costOfUnassigning(id, $0.policy) } ?? 0
    try await write("assignments.delete", .revoking, changes: cost) {
      (record, transaction) throws(TenancyError) -> Void in
      try unassign(id, record.policy, &transaction)
    }
  }

  /// In a transaction.
  func unassign(
    _ id: String, _ policy: TenantPolicy, _ transaction: inout Transaction
  ) throws(TenancyError) {
    guard let former = policy.assignment(id) else { throw Self.assignmentNotFound }
    try mayGive(RoleRules(policy).reserved(deniedBy: [former.role]), transaction.state)
    transaction.emit(.deleteAssignment(tenant, id: id), about: tenant)
  }

  /// The same of an assignment.
  func costOfUnassigning(_ id: String, _ policy: TenantPolicy) -> Int {
    policy.assignment(id).map { costOfJudging($0.role, policy) } ?? 0
  }

  /// What it takes to judge who gives a role, or takes it away, as small changes.
  func costOfJudging(_ id: String, _ policy: TenantPolicy) -> Int {
    let rules = RoleRules(policy)
    return rules.costOfFamily(of: id)
  }

  private func checkSubject(_ subject: String, _ state: ControlState) throws(TenancyError) {
    guard Self.isSubject(subject) else {
      throw .invalid(
        "assignment.subject",
        "1 to \(Self.maximumSubjectBytes) bytes without control characters or spaces")
    }
    guard !ForeignSubjects.isForeign(subject, to: tenant, state) else {
      throw .invalid(
        "assignment.subject", "a workload, but not one of this tenant", reason: .foreignSubject)
    }
  }
}

/// What assignments may be.
enum AssignmentRules {
  static let maximumReasonLength = 500
  /// Roles that one subject holds of some resources only.
  static let maximumScopesPerSubject = 1_000

  /// - Parameter policy: a condition that is there already has been checked.
  static func check(
    _ terms: RoleAssignment.Terms, _ policy: TenantPolicy, _ checks: inout FieldChecks
  ) {
    if !terms.reason.hasAtMost(characters: maximumReasonLength) {
      checks.note(.invalid("assignment.reason", "at most \(maximumReasonLength) characters"))
    }
    guard !terms.condition.isEmpty, !policy.hasCondition(terms.condition) else { return }
    do throws(ConditionError) {
      _ = try PolicyConditions.compile(terms.condition)
    } catch {
      checks.note(
        .invalid("assignment.condition", error.description, reason: .invalidCondition))
    }
  }

  /// Whether there is room for one more assignment.
  static func checkRoom(
    for terms: RoleAssignment.Terms, of holder: String, _ policy: TenantPolicy, _ tenant: TenantID
  ) throws(TenancyError) {
    if policy.assignmentCount >= RoleCommands.maximumAssignments {
      throw .exhausted(.assignments, of: .tenant(tenant), limit: RoleCommands.maximumAssignments)
    }
    guard terms.isQualified else { return }
    let held = policy.holdings(of: holder)?.qualifiedCounts ?? (conditions: 0, scopes: 0)
    if terms.scope != nil, held.scopes >= maximumScopesPerSubject {
      throw .exhausted(
        .scopedAssignments, of: .tenant(tenant), limit: maximumScopesPerSubject)
    }
    if !terms.condition.isEmpty {
      guard held.conditions < PolicyConditions.maximumPerSubject else {
        throw .exhausted(
          .conditionalAssignments, of: .tenant(tenant), limit: PolicyConditions.maximumPerSubject)
      }
      guard
        policy.hasCondition(terms.condition)
          || policy.conditionCount < PolicyConditions.maximumPerTenant
      else {
        throw .exhausted(
          .conditions, of: .tenant(tenant), limit: PolicyConditions.maximumPerTenant)
      }
    }
  }
}

extension RoleAssignment.Terms {
  fileprivate func hasSameReason(as other: Self) -> Bool {
    reason.hasSameBytes(as: other.reason)
  }
}
