/// Changes a tenant's policy in several places, in one transaction.
///
/// The changes are made one after the other, each judged by the rules of its own command on what those before it have
/// made: together they do nothing that one by one they could not.
public struct PolicyCommands: Sendable {
  /// Changes in one transaction.
  public static let maximumChanges = 500
  /// Roles that inherit from one that is changed, which count like one small change.
  private static let heirsPerCost = 16
  /// Groups that hold roles, each of which may hold what a role is to exclude: likewise.
  private static let groupsPerCost = 16
  /// Permissions of a role as it was and as it is to be, which count like one small change.
  private static let permissionsPerCost = 64

  /// What came of it.
  public struct Outcome: Sendable {
    /// How many of the changes found something that was not so already.
    public let changed: Int
    /// A revision of the policy as it is by now, but not as it would be after a rehearsal.
    public let revision: UInt64
  }

  /// Who may change a policy as a whole may do each of its changes, or none is done.
  private struct Methods {
    private let holds: (Permission) -> Bool
    private var known: [String: Bool] = [:]

    init(_ holds: @escaping (Permission) -> Bool) { self.holds = holds }

    mutating func demand(
      for change: PolicyChange, _ policy: TenantPolicy
    ) throws(TenancyError) {
      for name in change.permissions(policy) {
        let text = Permission.reservedPrefix + name
        let may = known[name] ?? Permission(parsing: text).map(holds) ?? false
        known[name] = may
        guard may else { throw .missing(permission: text) }
      }
    }
  }

  private let roles: RoleCommands
  private let groups: GroupCommands
  private var plane: ControlPlane { roles.plane }
  private var tenant: TenantID { roles.tenant }

  /// - Parameters:
  ///   - roles: of a caller and a tenant.
  ///   - groups: of the same.
  public init(_ roles: RoleCommands, _ groups: GroupCommands) {
    self.roles = roles
    self.groups = groups
  }

  /// Makes all of the changes, or none.
  /// - Parameter basis: a revision behind which the policy must not have changed; nil: it may have.
  /// - Throws: `.invalidArgument` for more than `maximumChanges`, or what would take longer than one write may;
  ///   `.aborted` with `.policyChanged`; what a change's own command throws, with `changes[{index}]`; or what the write
  ///   itself meets.
  public func apply(
    _ changes: [PolicyChange], basis: UInt64?
  ) async throws(TenancyError) -> Outcome {
    guard changes.count <= Self.maximumChanges else { throw Self.tooMany }
    let policy = plane.state.find(tenant)?.policy ?? TenantPolicy()
    var cost = 0
    for change in changes where cost <= WriteTerms.maximumCost {
      cost += self.cost(of: change, policy)
    }
    return try await roles.write("policies.apply", changes: cost) {
      (record, transaction) throws(TenancyError) -> Outcome in
      if let basis, record.policy.revision > basis {
        throw TenancyError(
          .aborted, .policyChanged, "the policy has changed since: read it again",
          metadata: ["revision": String(record.policy.revision)])
      }
      return try make(changes, &transaction)
    }
  }

  /// Makes the changes on a state of one's own, judged as `apply` judges them, and keeps
  /// nothing.
  /// - Returns: the tenant as it would be.
  /// - Throws: as `apply`.
  public func tried(
    _ changes: [PolicyChange], on state: ControlState, at now: Timestamp
  ) throws(TenancyError) -> TenantRecord {
    guard changes.count <= Self.maximumChanges else { throw Self.tooMany }
    var transaction = Transaction(state: state, now: now)
    var working = state
    _ = try make(changes, &transaction, on: &working)
    try plane.budgets.judgeGrowth(of: transaction, roles.terms)
    guard let record = working.find(tenant), !record.tenant.state.isGone else {
      throw .tenantNotFound
    }
    return record
  }

  private func make(
    _ changes: [PolicyChange], _ transaction: inout Transaction
  ) throws(TenancyError) -> Outcome {
    var working = transaction.state
    return try make(changes, &transaction, on: &working)
  }

  private func make(
    _ changes: [PolicyChange], _ transaction: inout Transaction, on working: inout ControlState
  ) throws(TenancyError) -> Outcome {
    let revision = transaction.state.revision
    var (cost, changed) = (0, 0)
    var methods = Methods(roles.power(transaction.state))
    for (at, change) in changes.enumerated() {
      guard let record = working.find(tenant) else { throw .tenantNotFound }
      // On what is there by now: a role that this makes may be a large one to give.
      cost += self.cost(of: change, record.policy)
      guard cost <= WriteTerms.maximumCost else { throw Self.tooCostly(at) }
      var step = transaction.step(on: working)
      do throws(TenancyError) {
        try methods.demand(for: change, record.policy)
        try make(change, record, &step)
      } catch {
        throw error.within("changes[\(at)]", change.field)
      }
      if !step.changes.isEmpty {
        changed += 1
        working.apply(step.changes, revision: revision)
      }
      transaction.take(step, about: tenant)
    }
    // Of what is kept nowhere, that of the state that it was tried on.
    let isKept = changed > 0 && !roles.isRehearsal
    let outcome = Outcome(changed: changed, revision: revision + (isKept ? 1 : 0))
    transaction.give(id: "\(outcome.changed) \(outcome.revision)")
    return outcome
  }

  private func make(
    _ change: PolicyChange, _ record: TenantRecord, _ step: inout Transaction
  ) throws(TenancyError) {
    let policy = record.policy
    switch change {
    case .putRole(let role, let etag):
      guard policy.role(role.id) != nil || !etag.isEmpty else {
        _ = try roles.create(role, policy, &step)
        return
      }
      _ = try roles.update(role.id, etag, policy, &step) { (current) throws(TenancyError) in
        (current.title, current.summary) = (role.title, role.summary)
        (current.permissions, current.denials) = (role.permissions, role.denials)
        (current.parents, current.exclusions) = (role.parents, role.exclusions)
      }
    case .deleteRole(let id): try roles.delete(id, policy, &step)
    case .putGroup(let id, let title, let summary, let etag):
      guard policy.group(id) != nil || !etag.isEmpty else {
        _ = try groups.create(id, title, summary, policy, &step)
        return
      }
      _ = try groups.update(id, etag, policy, &step) { (current) throws(TenancyError) in
        (current.title, current.summary) = (title, summary)
      }
    case .deleteGroup(let id): try groups.delete(id, policy, &step)
    case .putMember(let member, let group, let expireTime):
      _ = try groups.add(
        member, to: group, expireTime, replaces: true, FieldChecks(), record, &step)
    case .deleteMember(let id): try groups.remove(id, policy, &step)
    case .putAssignment(let subject, let role, let terms, let expireTime):
      _ = try roles.assign(
        subject, role, terms, expireTime, replaces: true, FieldChecks(), record, &step)
    case .deleteAssignment(let id): try roles.unassign(id, policy, &step)
    }
  }

  /// As small changes, beside what the request's size costs.
  private func cost(of change: PolicyChange, _ policy: TenantPolicy) -> Int {
    switch change {
    case .putRole(let role, _):
      let before = policy.role(role.id)?.role
      let entries = [role.permissions, role.denials, before?.permissions, before?.denials]
        .reduce(0) { $0 + ($1?.count ?? 0) }
      return WriteTerms.cost(ofBytes: role.contentBytes + (before?.contentBytes ?? 0))
        + entries / Self.permissionsPerCost
        + RoleRules(policy).heirCount(of: role.id) / Self.heirsPerCost
        + (before?.exclusions ?? [] != role.exclusions || before?.parents ?? [] != role.parents
          ? policy.holdingGroupCount / Self.groupsPerCost : 0)
    case .deleteRole(let id): return 1 + policy.assignmentCount(ofRole: id)
    case .putGroup, .deleteGroup: return 1
    case .putMember(let member, let group, _):
      return 1 + groups.costOfAdding(member, to: group, policy)
    case .deleteMember(let id):
      return 1 + groups.costOfRemoving(from: policy.groupMember(id)?.group ?? "", policy)
    case .putAssignment(_, let role, let terms, _):
      return WriteTerms.cost(ofBytes: terms.condition.utf8.count + terms.reason.utf8.count)
        + roles.costOfJudging(role, policy)
    case .deleteAssignment(let id): return 1 + roles.costOfUnassigning(id, policy)
    }
  }

  private static let tooMany = TenancyError.invalid(
    "changes", "at most \(maximumChanges): more are made in several calls")

  private static func tooCostly(_ at: Int) -> TenancyError {
    .invalid(
      "changes[\(at)]",
      "all up to this one would take longer than one change of the policy may: make them in several calls"
    )
  }
}

extension TenancyError {
  /// The same about a part of a request.
  /// - Parameters:
  ///   - field: of the part.
  ///   - kind: which of its fields it has.
  fileprivate func within(_ field: String, _ kind: String) -> TenancyError {
    let inner = violations.map { violation in
      // Of the part itself, whatever its own request calls it.
      let path = violation.field.split(separator: ".", maxSplits: 1).dropFirst().first ?? ""
      return FieldViolation(
        field: "\(field).\(kind)\(path.isEmpty ? "" : ".\(path)")",
        description: violation.description)
    }
    var metadata = metadata
    metadata["field"] = field
    let text = inner.first.map { "\($0.field): \($0.description)" } ?? "\(field): \(message)"
    return TenancyError(
      category, reason, text, metadata: metadata, violations: inner,
      retryAfterSeconds: retryAfterSeconds, attempted: attempted)
  }
}
