import Synchronization

/// Holds tenants to their quotas. Thread-safe.
final class TenantBudgets: Sendable {
  let quotas: TenantQuotas
  private let meters: Mutex<TenantMeters>

  init(_ quotas: TenantQuotas) {
    self.quotas = quotas
    meters = Mutex(TenantMeters(quotas))
  }

  /// How much of its rates a tenant has used: writes, and bytes of the log.
  func used(by tenant: TenantID, at now: Timestamp) -> (writes: Int, logBytes: Int) {
    meters.withLock { meters in
      (
        meters.used(.writes, of: tenant, at: now), meters.used(.logBytes, of: tenant, at: now)
      )
    }
  }

  // MARK: Before a write waits

  /// Counts a write that is about to wait.
  /// - Throws: RESOURCE_EXHAUSTED if the payer writes too fast; revocations never do.
  func admit(_ terms: WriteTerms, at now: Timestamp) throws(TenancyError) {
    guard case .tenant(let id) = terms.payer else { return }
    let rate = quotas.writes
    let over = meters.withLock { meters in
      let used = meters.used(.writes, of: id, at: now)
      if terms.turn == .ordinary, used > 0, used + terms.cost > rate.burst {
        return used + terms.cost - rate.burst
      }
      meters.count(terms.cost, .writes, of: id, at: now)
      return 0
    }
    guard over == 0 else { throw Self.exhausted(.writes, rate, over, of: terms.payer) }
  }

  /// The write did not wait after all.
  func giveBack(_ terms: WriteTerms, at now: Timestamp) {
    guard case .tenant(let id) = terms.payer else { return }
    meters.withLock { $0.count(-terms.cost, .writes, of: id, at: now) }
  }

  // MARK: When a write has been carried out

  /// Judges what a write would change, and counts what it adds to the log and to the audit trail.
  /// - Parameters:
  ///   - auditBytes: of the records that it makes, in all chains.
  ///   - counted: what it has counted; also what it counted before, if it is carried out again.
  /// - Throws: RESOURCE_EXHAUSTED if a tenant would have more than it may.
  func judge(
    _ transaction: borrowing Transaction, _ terms: WriteTerms, auditBytes: Int,
    counted: inout Int
  ) throws(TenancyError) {
    try judgeGrowth(of: transaction, terms)
    guard case .tenant(let id) = terms.payer else { return }
    let historyBytes = transaction.history.reduce(0) { $0 + Int(clamping: $1.bytes) }
    try countLog(
      transaction.changes, auditBytes + historyBytes, terms, id, transaction.now, &counted)
  }

  /// Judges what tenants would have after a write, and counts nothing.
  /// - Throws: RESOURCE_EXHAUSTED if a tenant would have more than it may.
  func judgeGrowth(
    of transaction: borrowing Transaction, _ terms: WriteTerms
  ) throws(TenancyError) {
    guard terms.payer != .server, terms.priority == .ordinary else { return }
    for (id, growth) in Self.growth(transaction.changes, transaction.state) {
      let before = transaction.state.find(id)?.footprint ?? TenantFootprint()
      let after = before + growth
      for (quota, limit, size) in [
        (Quota.residentBytes, quotas.residentBytes, \TenantFootprint.residentBytes),
        (.assignmentBytes, quotas.assignmentBytes, \.assignmentBytes),
        (.storedBytes, quotas.storedBytes, \.storedBytes),
      ] where growth[keyPath: size] > 0 && after[keyPath: size] > limit {
        throw .exhausted(
          quota, of: .tenant(id), limit: limit,
          hint: "this would make it \(after[keyPath: size]); delete some first")
      }
    }
  }

  /// What changes add to each tenant. What a transaction changes twice counts twice.
  private static func growth(
    _ changes: [Change], _ state: borrowing ControlState
  ) -> [TenantID: TenantFootprint] {
    var growth: [TenantID: TenantFootprint] = [:]
    func replace(
      _ id: TenantID, _ former: TenantFootprint?, _ new: TenantFootprint?
    ) { growth[id, default: TenantFootprint()].replace(former, by: new) }
    for change in changes {
      switch change {
      case .putTenant(let tenant):
        replace(tenant.id, state.find(tenant.id)?.tenant.footprint, tenant.footprint)
      case .putRole(let id, let role):
        replace(id, state.find(id)?.policy.role(role.id)?.footprint, role.footprint)
      case .deleteRole(let id, let role):
        replace(id, state.find(id)?.policy.role(role)?.footprint, nil)
      case .putAssignment(let id, let assignment):
        let former = state.find(id)?.policy.assignment(assignment.id)
        replace(id, former?.footprint, assignment.footprint)
      case .deleteAssignment(let id, let assignment):
        replace(id, state.find(id)?.policy.assignment(assignment)?.footprint, nil)
      case .putGroup(let id, let group):
        replace(id, state.find(id)?.policy.group(group.id)?.footprint, group.footprint)
      case .deleteGroup(let id, let group):
        replace(id, state.find(id)?.policy.group(group)?.footprint, nil)
      case .putGroupMember(let id, let member):
        let former = state.find(id)?.policy.groupMember(member.id)
        replace(id, former?.footprint, member.footprint)
      case .deleteGroupMember(let id, let member):
        replace(id, state.find(id)?.policy.groupMember(member)?.footprint, nil)
      case .putRevocation(let id, let revocation):
        let former = state.find(id)?.revocations.find(revocation.target)
        replace(id, former?.footprint, revocation.footprint)
      case .forgetRevocations(let id, let moment):
        for former in state.find(id)?.revocations.expiring(before: moment) ?? [] {
          replace(id, former.footprint, nil)
        }
      case .putProvisioningStep, .clearProvisioningSteps, .reserveName, .retireSlug,
        .rememberRequest, .forgetRequests, .putSecret, .deleteSecret, .putDataKey,
        .putWorkloadEntry, .deleteWorkloadEntry, .putAuthority, .deleteAuthority, .putDomain,
        .deleteDomain, .putConfigurationItem, .deleteConfigurationItem, .putOperation,
        .deleteOperations:
        // A secret counts with the tenant that refers to it. Entries and authorities are the platform's to make, and few;
        // domains are so few that they can't fill anything.
        break
      }
    }
    return growth
  }

  private func countLog(
    _ changes: [Change], _ auditBytes: Int, _ terms: WriteTerms, _ id: TenantID,
    _ now: Timestamp, _ counted: inout Int
  ) throws(TenancyError) {
    guard !changes.isEmpty else { return }
    let bytes = changes.reduce(Self.entryBytes + auditBytes) { $0 + $1.logBytes }
    let before = counted
    let rate = quotas.logBytes
    let allowed: Int? =
      switch terms.priority {
      case .ordinary: rate.burst
      case .revoking where Self.onlyDelete(changes): nil
      case .revoking: (1 + TenantQuotas.reserve) * rate.burst
      }
    let over = meters.withLock { meters in
      if before > 0 { meters.count(-before, .logBytes, of: id, at: now) }
      let used = meters.used(.logBytes, of: id, at: now)
      if let allowed, used > 0, used + bytes > allowed { return used + bytes - allowed }
      meters.count(bytes, .logBytes, of: id, at: now)
      return 0
    }
    counted = over == 0 ? bytes : 0
    guard over == 0 else { throw Self.exhausted(.logBytes, rate, over, of: terms.payer) }
  }

  /// Whether they take something away, and do nothing else than to remember who asked for it.
  private static func onlyDelete(_ changes: [Change]) -> Bool {
    changes.allSatisfy { $0.isDeletion || $0.isOfRequests }
      && changes.contains { $0.isDeletion && !$0.isOfRequests }
  }

  /// Of a log entry beside its changes.
  private static let entryBytes = 160

  private static func exhausted(
    _ quota: Quota, _ rate: TenantQuotas.Rate, _ over: Int, of payer: WritePayer
  ) -> TenancyError {
    let seconds = (over + rate.perSecond - 1) / rate.perSecond
    return .exhausted(
      quota, of: payer, limit: rate.burst,
      hint: "\(rate.perSecond) come back in each second", retryAfterSeconds: Int64(max(seconds, 1)))
  }
}

extension Change {
  /// What it adds to the log, roughly.
  fileprivate var logBytes: Int {
    switch self {
    case .putTenant(let tenant): tenant.footprint.storedBytes
    case .putRole(_, let role): role.footprint.storedBytes
    case .putAssignment(_, let assignment): assignment.footprint.storedBytes
    case .putGroup(_, let group): group.footprint.storedBytes
    case .putGroupMember(_, let member): member.footprint.storedBytes
    case .putRevocation(_, let revocation): revocation.footprint.storedBytes
    case .putWorkloadEntry(let entry): entry.contentBytes
    case .putDomain(let domain): domain.contentBytes
    case .putAuthority(let authority): authority.contentBytes
    case .putConfigurationItem(let item): item.contentBytes
    case .putOperation(let operation): operation.contentBytes
    case .rememberRequest(let request): request.contentBytes
    case .deleteRole, .deleteAssignment, .deleteGroup, .deleteGroupMember, .putProvisioningStep,
      .clearProvisioningSteps, .reserveName, .retireSlug, .forgetRequests, .putSecret,
      .deleteSecret,
      .putDataKey, .forgetRevocations, .deleteWorkloadEntry, .deleteDomain, .deleteAuthority,
      .deleteConfigurationItem, .deleteOperations:
      Self.smallBytes
    }
  }

  private static let smallBytes = 128

  fileprivate var isOfRequests: Bool {
    switch self {
    case .rememberRequest, .forgetRequests: true
    default: false
    }
  }

  /// Whether it only takes something away.
  fileprivate var isDeletion: Bool {
    switch self {
    case .deleteRole, .deleteAssignment, .deleteGroup, .deleteGroupMember,
      .clearProvisioningSteps, .retireSlug, .forgetRequests,
      .deleteSecret, .forgetRevocations, .deleteWorkloadEntry, .deleteDomain, .deleteAuthority,
      .deleteConfigurationItem, .deleteOperations:
      true
    case .putRole(_, let role): role.isBare
    case .putTenant, .putAssignment, .putGroup, .putGroupMember, .putProvisioningStep, .reserveName,
      .rememberRequest,
      .putSecret, .putDataKey, .putRevocation, .putWorkloadEntry, .putDomain, .putAuthority,
      .putConfigurationItem, .putOperation:
      false
    }
  }
}
