import Synchronization

/// A state of its own to try changes of one tenant's policy on: they are judged as they would be, and kept nowhere. It
/// shares all with the state that it began as, but for what is changed.
public final class PolicyTrial: Sendable {
  /// Roles and assignments that are changed in one trial.
  static let maximumChanges = 2_000

  private struct Tried {
    var state: ControlState
    var changes = 0
  }

  private let tried: Mutex<Tried>
  private let now: Timestamp

  /// - Parameter now: when the changes would be made.
  public init(_ state: ControlState, at now: Timestamp) {
    tried = Mutex(Tried(state: state))
    self.now = now
  }

  /// A tenant as it would be.
  public func find(_ tenant: TenantID) -> TenantRecord? { tried.withLock { $0.state.find(tenant) } }

  func write<Result>(
    _ tenant: TenantID, _ budgets: TenantBudgets, _ terms: WriteTerms,
    _ body: (TenantRecord, inout Transaction) throws(TenancyError) -> Result
  ) throws(TenancyError) -> Result {
    var after = tried.withLock(\.self)
    var transaction = Transaction(state: after.state, now: now)
    guard let record = after.state.find(tenant), !record.tenant.state.isGone else {
      throw .tenantNotFound
    }
    let result = try body(record, &transaction)
    try budgets.judgeGrowth(of: transaction, terms)
    after.changes += transaction.changes.count
    guard after.changes <= Self.maximumChanges else {
      throw .invalid(
        "changes", "at most \(Self.maximumChanges) roles and assignments are changed for trial")
    }
    after.state.apply(transaction.changes, revision: after.state.revision + 1)
    let changed = after
    tried.withLock { $0 = changed }
    return result
  }
}

extension RoleCommands {
  /// Creates a role, or gives one that is there all that is told.
  /// - Throws: what `createRole` and `updateRole` do.
  public func putRole(
    id: String, title: String, summary: String, permissions: [String], denials: [String],
    parents: [String], exclusions: [String]
  ) async throws(TenancyError) {
    guard plane.trialState(trial, tenant)?.policy.role(id) != nil else {
      _ = try await createRole(
        id: id, title: title, summary: summary, permissions: permissions, denials: denials,
        parents: parents, exclusions: exclusions)
      return
    }
    _ = try await updateRole(id: id, etag: "") { (role) throws(TenancyError) in
      (role.title, role.summary) = (title, summary)
      (role.permissions, role.denials) = (permissions, denials)
      (role.parents, role.exclusions) = (parents, exclusions)
    }
  }
}

extension ControlPlane {
  /// A tenant as commands see it that are tried, or done.
  func trialState(_ trial: PolicyTrial?, _ tenant: TenantID) -> TenantRecord? {
    trial.map { $0.find(tenant) } ?? state.find(tenant)
  }
}
