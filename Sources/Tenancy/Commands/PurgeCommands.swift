/// How all that a deleted tenant has is destroyed for good.
extension TenantCommands {
  /// Where a caller that is about to purge can destroy.
  struct PurgeSite: Sendable {
    let reach: DataPlaces.Reach
    /// Whether data at other places is given up, which the audit trail then tells.
    let givesUp: Bool
  }

  /// Begins it: from then on nothing takes the tenant back. On one of whom it has begun this changes nothing,
  /// unless data at other places is given up now.
  /// - Parameter isEarly: whether it need not have waited for its purge time.
  /// - Throws: FAILED_PRECONDITION with LEGAL_HOLD, RETENTION_NOT_OVER or DATA_ELSEWHERE (nobody knows where);
  ///   `.illegalTransition` for one that is not deleted.
  func beginPurge(
    _ id: TenantID, etag: String, isEarly: Bool, at site: PurgeSite
  ) async throws(TenancyError) -> Tenant {
    try await write("tenants.\(Lifecycle.Event.purge)", .revoking, rewriting: id) {
      (transaction) throws(TenancyError) -> Tenant in
      let record = try Self.current(id, etag, transaction.state)
      var after = record.tenant
      var places = DataPlaces(record)
      if after.state != .purging {
        after = try Lifecycle.apply(.purge, to: after, at: transaction.now)
        try Self.requireNoHold(on: record.tenant)
        if !isEarly, let time = record.tenant.purgeTime, time > transaction.now {
          throw Self.retained(until: time)
        }
        if !site.givesUp, places.isNowhere(but: site.reach) {
          throw DataPlaces.elsewhere([])
        }
        transaction.emit(.putTenant(after), about: id)
      }
      if site.givesUp {
        let given = places.giveUp(allBut: site.reach)
        if !given.isEmpty { transaction.remark = "DATA_GIVEN_UP \(given.joined(separator: ","))" }
      }
      places.leaveAll(at: site.reach)
      if places != DataPlaces(record) { transaction.record(places, of: id) }
      return after
    }
  }

  private static func retained(until time: Timestamp) -> TenancyError {
    TenancyError(
      .failedPrecondition, .retentionNotOver,
      "the tenant's data is kept until its purge time, unless the request says otherwise",
      metadata: ["purge_time": "\(time.seconds)"])
  }

  /// Rows removed in one transaction.
  static let maximumErased = WriteTerms.maximumCost - 1

  /// Removes what the store has of a tenant whose data is destroyed, some of it at a time, and in the end the
  /// tenant.
  /// - Returns: the tenant as it is then; `purged` when nothing is left. Nil: there is none any more.
  func erase(_ id: TenantID) async throws(TenancyError) -> Tenant? {
    let rows =
      plane.state.find(id).map { $0.policy.assignmentCount + $0.policy.groupMemberCount } ?? 0
    return try await write(
      "tenants.erase", .revoking, changes: min(rows, Self.maximumErased)
    ) { (transaction) throws(TenancyError) -> Tenant? in
      guard let record = transaction.state.find(id) else { return nil }
      let (tenant, places) = (record.tenant, DataPlaces(record))
      // Another node has some of it still.
      guard tenant.state == .purging, places.made.isEmpty, places.left.isEmpty else {
        return tenant
      }
      var budget = WorkBudget.uncapped
      var (assignments, roles) = (record.policy.assignments(), record.policy.roles())
      var count = 0
      while count < Self.maximumErased, let assignment = assignments.next(&budget) {
        transaction.emit(.deleteAssignment(id, id: assignment.id), about: id)
        count += 1
      }
      var (members, groups) = (record.policy.groupMembers(), record.policy.groups())
      while count < Self.maximumErased, let member = members.next(&budget) {
        transaction.emit(.deleteGroupMember(id, id: member.id), about: id)
        count += 1
      }
      while count < Self.maximumErased, let group = groups.next(&budget) {
        transaction.emit(.deleteGroup(id, id: group.group.id), about: id)
        count += 1
      }
      while count < Self.maximumErased, let role = roles.next(&budget) {
        if role.isBuiltIn { continue }
        transaction.emit(.deleteRole(id, id: role.role.id), about: id)
        count += 1
      }
      guard count < Self.maximumErased else { return tenant }
      let after = try Lifecycle.apply(.purged, to: tenant, at: transaction.now)
      if !record.revocations.isEmpty {
        let end = Timestamp(nanoseconds: .max)
        transaction.emit(.forgetRevocations(id, before: end), about: id)
      }
      if !record.provisionedSteps.isEmpty {
        transaction.emit(.clearProvisioningSteps(id), about: id)
      }
      for change in TenantDomainCommands.dropAll(of: id, transaction.state) {
        transaction.emit(change, about: id)
      }
      transaction.emit(.deleteOperations(id), about: id)
      // Who has asked for what is nobody's to know any more.
      transaction.emit(.forgetRequests(before: Timestamp(nanoseconds: .max), of: id), about: id)
      transaction.emit(.putTenant(after), about: id)
      for purpose in tenant.secretPurposes {
        transaction.emit(.deleteSecret(id, purpose), about: id)
      }
      return after
    }
  }
}

extension Provisioner {
  /// Destroys all that a deleted tenant has, for good.
  /// - Parameters:
  ///   - isEarly: whether its purge time need not have come.
  ///   - force: whether data that only other nodes reach is given up. The audit trail records it.
  /// - Returns: the tenant, `purged`; `purging` while another node is yet to destroy what it has.
  /// - Throws: FAILED_PRECONDITION with LEGAL_HOLD, RETENTION_NOT_OVER, or DATA_ELSEWHERE where nobody knows where
  ///   data is; as `deprovision` when destroying fails, which is then gone on with.
  public func purge(
    _ id: TenantID, etag: String = "", isEarly: Bool = false, force: Bool = false, actor: String,
    judge: WriteJudge
  ) async throws(TenancyError) -> Tenant {
    guard let record = plane.state.find(id) else { throw .tenantNotFound }
    let places = DataPlaces(record)
    let isHere = record.tenant.state == .deleted ? try isFound(record.tenant, places) : true
    let reach = self.reach(of: places, isHere: isHere)
    let begun = try await TenantCommands(plane, actor: actor, judge: judge).beginPurge(
      id, etag: etag, isEarly: isEarly,
      at: .init(reach: reach, givesUp: force))
    return judge.isRehearsal ? begun : try await finishPurge(id) ?? begun
  }

  /// Goes on with a purge that has begun.
  /// - Returns: nil if another node has ended it.
  func finishPurge(_ id: TenantID) async throws(TenancyError) -> Tenant? {
    if let record = plane.state.find(id), isToBeDestroyedHere(record) {
      try await pastLogins(of: id) { () throws(TenancyError) in try await finishDestroying(id) }
    }
    let commands = TenantCommands(plane, actor: "system", judge: .server)
    while let record = plane.state.find(id) {
      // Another node has some of it still.
      guard DataPlaces(record).left.isEmpty else { return record.tenant }
      guard let tenant = try await commands.erase(id) else { return nil }
      guard tenant.state == .purging else { return tenant }
    }
    return nil
  }
}
