internal import Tenancy
import TenancyDatabase

/// Turns log entries and their changes into statements, which are the same in both databases.
struct StateWriter {
  let json: JSONCoding

  /// Inside the caller's transaction.
  /// - Parameter last: the revision that is stored.
  /// - Throws: `.conflict` unless the entries' revisions follow the last one.
  func write(
    _ entries: [LogEntry], after last: Int64, to runner: inout some StatementRunner
  ) throws(StoreError) {
    var last = last
    for entry in entries {
      guard last < Int64.max, entry.revision == UInt64(last) + 1 else {
        throw StoreError(.conflict, "revision \(entry.revision) does not follow \(last)")
      }
      last += 1
      try insert(entry, revision: last, to: &runner)
      if let lease = entry.lease { try write(lease, revision: last, to: &runner) }
      for change in entry.changes {
        try apply(change, to: &runner)
        try endHistory(of: change, in: &runner)
      }
      try write(history: entry.history, of: entry, revision: last, to: &runner)
    }
  }

  private func insert(
    _ entry: LogEntry, revision: Int64, to runner: inout some StatementRunner
  ) throws(StoreError) {
    let (tenants, isOne) = (entry.tenants, entry.tenants.count == 1)
    let several = tenants.count > 1 ? try json.text(tenants.map(\.description)) : nil
    try runner.run(
      .insertEntry, .integer(revision), .time(entry.time), .text(entry.actor),
      .text(entry.action), isOne ? tenants.first.map(SQLValue.id) ?? .null : .null,
      .text(try ChangeDocument.text(of: entry.changes, json)), .integer(ChangeDocument.form),
      several.map(SQLValue.text) ?? .null)
    if entry.changes.contains(where: \.isRedactedInLog) {
      try runner.run(.raiseFloor, .integer(revision))
    }
  }

  private func write(
    _ action: LeaseAction, revision: Int64, to runner: inout some StatementRunner
  ) throws(StoreError) {
    switch action {
    case .take(let name, let holder, let duration):
      try runner.run(
        .takeLease,
        [.text(name), .text(holder), .integer(revision), .integer(duration.wholeMilliseconds)],
        refusal: "the lease \(name) is held by another")
    case .hold(let lease, let duration):
      try hold(lease, lasting: duration, with: &runner)
    case .release(let lease):
      try runner.run(
        .releaseLease, [.text(lease.name), .counter(lease.fencingNumber)],
        refusal: lease.lossText)
    }
  }

  func hold(
    _ lease: Lease, lasting duration: Duration, with runner: inout some StatementRunner
  ) throws(StoreError) {
    try runner.run(
      .holdLease,
      [.text(lease.name), .counter(lease.fencingNumber), .integer(duration.wholeMilliseconds)],
      refusal: lease.lossText)
  }

  /// Removes the log up to a revision, which must not be beyond the last one.
  func compact(through revision: Int64, with runner: inout some StatementRunner) throws(StoreError)
  {
    for statement in [StateStatement.removeEntries, .noteRemoved, .raiseFloor] {
      try runner.run(statement, .integer(revision))
    }
  }

  private func apply(
    _ change: Change, to runner: inout some StatementRunner
  ) throws(StoreError) {
    switch change {
    case .putTenant(let tenant):
      try put(tenant, to: &runner)
    case .putRole(let tenant, let role):
      try put(role, of: tenant, to: &runner)
    case .deleteRole(let tenant, let id):
      try runner.run(.deleteRole, .id(tenant), .text(id))
    case .putAssignment(let tenant, let assignment):
      try runner.run(
        .putAssignment, .id(tenant), .text(assignment.id), .text(assignment.subject),
        .text(assignment.role), .time(assignment.createTime), .optionalTime(assignment.expireTime),
        try AssignmentTermsDocument.text(of: assignment.terms).map(SQLValue.text) ?? .null)
    case .deleteAssignment(let tenant, let id):
      try runner.run(.deleteAssignment, .id(tenant), .text(id))
    case .putGroup(let tenant, let group):
      try runner.run(
        .putGroup, .id(tenant), .text(group.id), .text(group.title), .text(group.summary),
        .counter(group.version), .time(group.createTime), .time(group.updateTime))
    case .deleteGroup(let tenant, let id):
      try runner.run(.deleteGroup, .id(tenant), .text(id))
    case .putGroupMember(let tenant, let member):
      try runner.run(
        .putGroupMember, .id(tenant), .text(member.id), .text(member.group), .text(member.member),
        .time(member.createTime), .optionalTime(member.expireTime))
    case .deleteGroupMember(let tenant, let id):
      try runner.run(.deleteGroupMember, .id(tenant), .text(id))
    case .putProvisioningStep(let tenant, let name):
      try runner.run(.putStep, .id(tenant), .text(name))
    case .clearProvisioningSteps(let tenant):
      try runner.run(.clearSteps, .id(tenant))
    case .reserveName(let name, let tenant):
      try runner.run(
        .reserveName, [.text(name.kind.rawValue), .text(name.text), .id(tenant)],
        refusal: "the \(name.kind.rawValue) \(name.text) is reserved for another tenant")
    case .retireSlug(let slug, let tenant):
      try runner.run(.retireSlug, .text(slug.text), .id(tenant))
    case .rememberRequest(let request):
      try runner.run(
        .rememberRequest, .text(request.payerText), .text(request.actor),
        .text(request.requestID), .text(request.digest),
        request.tenant.map { .id($0) } ?? .null, .text(request.resource), .time(request.time))
    case .forgetRequests(let moment, let payer):
      try runner.run(.forgetRequests, .text(payer?.description ?? ""), .time(moment))
    case .putSecret(let tenant, let purpose, let reference, let sealed):
      // As the log tells of it.
      guard let sealed else {
        throw StoreError(.conflict, "the secret of \(tenant) has no content")
      }
      let isPlatform = tenant == SecretPlace.platform
      try runner.run(
        isPlatform ? .putPlatformSecret : .putSecret,
        (isPlatform ? [] : [.id(tenant)]) + [
          .text(purpose.rawValue), .counter(reference.version),
          .text(reference.key.description), .blob(sealed.bytes),
        ], refusal: nil)
    case .deleteSecret(SecretPlace.platform, let purpose):
      try runner.run(.deletePlatformSecret, .text(purpose.rawValue))
    case .deleteSecret(let tenant, let purpose):
      try runner.run(.deleteSecret, .id(tenant), .text(purpose.rawValue))
    case .putRevocation(let tenant, let revocation):
      let target = revocation.target
      try runner.run(
        .putRevocation, .id(tenant), .text(target.kind.rawValue), .text(target.text),
        .time(revocation.before), .time(revocation.expireTime), .text(revocation.reason))
    case .forgetRevocations(let tenant, let moment):
      try runner.run(.forgetRevocations, .id(tenant), .time(moment))
    case .putWorkloadEntry(let entry):
      try runner.run(
        .putWorkloadEntry, .text(entry.id), entry.tenant.map(SQLValue.id) ?? .null,
        .text(entry.path), .text(try WorkloadSelectorsDocument.text(of: entry.selectors)),
        .integer(entry.lifetime), .text(entry.hint), .time(entry.createTime))
    case .deleteWorkloadEntry(let id):
      try runner.run(.deleteWorkloadEntry, .text(id))
    case .putDomain(let domain):
      let verification = domain.verification
      try runner.run(
        .putDomain, .id(domain.tenant), .text(domain.name.text), .text(domain.challenge.token),
        .text(domain.challenge.proof), .time(domain.claimTime), .optionalTime(verification?.time),
        verification.map { .text($0.method.rawValue) } ?? .null)
    case .deleteDomain(let tenant, let name):
      try runner.run(.deleteDomain, .id(tenant), .text(name))
    case .putAuthority(let authority):
      try runner.run(
        .putAuthority, .text(authority.id), .text(try AuthorityDocument.text(of: authority)))
    case .deleteAuthority(let id):
      try runner.run(.deleteAuthority, .text(id))
    case .putConfigurationItem(let item):
      try runner.run(
        .putConfigurationItem, .text(item.kind.rawValue), .text(item.id),
        .text(try json.faithfulText(item)))
    case .deleteConfigurationItem(let kind, let id):
      try runner.run(.deleteConfigurationItem, .text(kind.rawValue), .text(id))
    case .putOperation(let operation):
      try runner.run(
        .putOperation, .id(operation.tenant), .counter(operation.number),
        .text(try json.faithfulText(operation)))
      try runner.run(.trimOperations, .id(operation.tenant))
    case .deleteOperations(let tenant):
      try runner.run(.deleteOperations, .id(tenant))
    case .putDataKey(let key):
      guard !key.wrapped.isEmpty else {
        throw StoreError(.conflict, "the data key \(key.id) has no content")
      }
      try runner.run(
        .putDataKey, .text(key.id.description), .text(key.masterKey.description),
        .blob(key.wrapped), .time(key.createTime), .text(key.state.rawValue))
    }
  }

  private func put(_ tenant: Tenant, to runner: inout some StatementRunner) throws(StoreError) {
    let settings = JSONValue.object(tenant.configuration.customSettings)
    guard !settings.isDeeper(than: JSONCoding.maximumDepth) else {
      throw StoreError(.conflict, "settings are nested too deep")
    }
    try runner.run(
      .putTenant, .id(tenant.id), .text(tenant.slug.text), .text(tenant.displayName),
      .text(tenant.state.rawValue), .text(tenant.isolationModel.rawValue),
      .text(try json.text(of: tenant.configuration)), .counter(tenant.version),
      .counter(tenant.epoch), .time(tenant.createTime), .time(tenant.updateTime),
      .optionalTime(tenant.deleteTime), .optionalTime(tenant.purgeTime), .text(tenant.stateReason),
      try TokensDocument.text(of: tenant, json).map(SQLValue.text) ?? .null)
  }

  private func put(
    _ role: Role, of tenant: TenantID, to runner: inout some StatementRunner
  ) throws(StoreError) {
    try runner.run(
      .putRole, .id(tenant), .text(role.id), .text(role.title), .text(role.summary),
      .text(try json.faithfulText(role.permissions)), .counter(role.version),
      .time(role.createTime), .time(role.updateTime),
      try RoleRulesDocument.text(of: role).map(SQLValue.text) ?? .null)
  }
}

extension Lease {
  fileprivate var lossText: String {
    "the lease \(name) with the fencing number \(fencingNumber) was lost"
  }
}

extension StatementRunner {
  fileprivate mutating func run(
    _ statement: StateStatement, _ values: SQLValue...
  ) throws(StoreError) {
    try run(statement, values, refusal: nil)
  }
}
