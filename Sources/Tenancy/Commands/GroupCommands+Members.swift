extension GroupCommands {
  /// Makes a subject a member of a group.
  /// - Parameters:
  ///   - id: of the group; nil if `checks` has refused it.
  ///   - replaces: whether this takes the place of the membership that the subject has, if it has one.
  ///   - checks: what is known to be wrong with the request.
  /// - Throws: `.invalidArgument`, `.groupNotFound`, `.groupMemberExists`, `.permissionDenied` where the caller lacks
  ///   what comes with being a member, FAILED_PRECONDITION with GROUP_CYCLE, GROUP_TOO_DEEP or GROUP_HOLDS_TOO_MUCH,
  ///   `.resourceExhausted`, or what the write itself meets.
  public func add(
    _ member: String, to id: String?, expireTime: Timestamp?, replaces: Bool = false,
    checks: FieldChecks = FieldChecks()
  ) async throws(TenancyError) -> GroupMember {
    // What it takes to judge whether the caller holds it all, and to say what contains the groups that are in it.
    let cost = plane.state.find(tenant).map { costOfAdding(member, to: id ?? "", $0.policy) } ?? 0
    return try await write("groupMembers.create", changes: cost) {
      (record, transaction) throws(TenancyError) -> GroupMember in
      try add(member, to: id, expireTime, replaces: replaces, checks, record, &transaction)
    }
  }

  /// In a transaction.
  func add(
    _ member: String, to id: String?, _ expireTime: Timestamp?, replaces: Bool,
    _ checks: FieldChecks, _ record: TenantRecord,
    _ transaction: inout Transaction
  ) throws(TenancyError) -> GroupMember {
    let policy = record.policy
    var checks = checks
    try checks.value { () throws(TenancyError) in
      try checkMember(member, expireTime, transaction.state)
    }
    if let expireTime, expireTime <= transaction.now {
      checks.note(.invalid("group_member.expire_time", "must be in the future"))
    }
    guard checks.passed, let id else { throw checks.failure }
    guard let group = policy.content.groups.number(id) else { throw Self.notFound(id) }
    try checkPower(of: group, policy, transaction)
    // To deny is for those who have it themselves.
    try checkPower(of: group, denied: true, policy, transaction)
    let holder = record.holder(member)
    if let old = policy.groupMember(member, holder: holder, of: id) {
      if replaces, old.expireTime == expireTime {
        transaction.give(id: old.id)
        return old
      }
      // One that has expired makes room for a new one.
      guard replaces || old.expireTime.map({ $0 <= transaction.now }) ?? false else {
        throw TenancyError(
          .alreadyExists, .groupMemberExists, "the subject is in this group already",
          metadata: ["group_member": old.id])
      }
      transaction.emit(.deleteGroupMember(tenant, id: old.id), about: tenant)
    } else {
      try checkRoom(for: holder, policy)
      try Self.checkPlace(of: member, in: group, policy)
    }
    let made = GroupMember(
      id: TenantID.generate(atMilliseconds: transaction.now.milliseconds).description,
      group: id, member: member, createTime: transaction.now, expireTime: expireTime)
    transaction.emit(.putGroupMember(tenant, made), about: tenant)
    transaction.give(id: made.id)
    return made
  }

  /// Takes a subject out of a group at once.
  /// - Throws: `.groupMemberNotFound`; `.permissionDenied` where the caller lacks what being in the group denies; or
  ///   what the write itself meets.
  public func remove(member id: String) async throws(TenancyError) {
    let policy = plane.state.find(tenant)?.policy ?? TenantPolicy()
    let group = policy.groupMember(id)?.group ?? ""
    try await write(
      "groupMembers.delete", .revoking, changes: costOfRemoving(from: group, policy)
    ) {
      (record, transaction) throws(TenancyError) -> Void in
      try remove(id, record.policy, &transaction)
    }
  }

  /// In a transaction.
  func remove(
    _ id: String, _ policy: TenantPolicy, _ transaction: inout Transaction
  ) throws(TenancyError) {
    guard let former = policy.groupMember(id) else { throw Self.memberNotFound }
    if let group = policy.content.groups.number(former.group) {
      // What is denied to who is in it is given back.
      try checkPower(of: group, denied: true, policy, transaction)
    }
    transaction.emit(.deleteGroupMember(tenant, id: id), about: tenant)
  }

  // MARK: Rules

  private func checkMember(
    _ member: String, _ expireTime: Timestamp?, _ state: ControlState
  ) throws(TenancyError) {
    guard RoleCommands.isSubject(member) else {
      throw .invalid(
        "group_member.member",
        "1 to \(RoleCommands.maximumSubjectBytes) bytes without control characters or spaces")
    }
    guard !ForeignSubjects.isForeign(member, to: tenant, state) else {
      throw .invalid(
        "group_member.member", "a workload, but not one of this tenant", reason: .foreignSubject)
    }
    guard SubjectGroup.isGroup(member) else { return }
    guard let id = SubjectGroup.id(in: member), SubjectGroup.isID(id) else {
      throw .invalid(
        "group_member.member", "begins like a group, and can be none: group:{group id}")
    }
    guard expireTime == nil else {
      throw .invalid("group_member.expire_time", "of a group's membership in another there is none")
    }
  }

  private func checkRoom(for holder: String, _ policy: TenantPolicy) throws(TenancyError) {
    guard policy.groupMemberCount < Self.maximumMembers else {
      throw .exhausted(.groupMembers, of: .tenant(tenant), limit: Self.maximumMembers)
    }
    let most =
      SubjectGroup.isGroup(holder) ? Self.maximumParents : Self.maximumMemberships
    guard policy.membershipCount(of: holder) < most else {
      throw .exhausted(.memberships, of: .tenant(tenant), limit: most)
    }
  }

  /// A group in a group: there is such a one, it does not contain the other, and they don't get too deep.
  private static func checkPlace(
    of member: String, in group: Int, _ policy: TenantPolicy
  ) throws(TenancyError) {
    guard let id = SubjectGroup.id(in: member) else { return }
    let groups = policy.content.groups
    guard let inner = groups.number(id) else { throw Self.notFound(id) }
    guard !groups.containing(group).contains(inner) else {
      throw TenancyError(
        .failedPrecondition, .groupCycle, "the group would contain itself")
    }
    let limit = maximumDepth + 1
    let above = groups.depth(of: group, through: groups.parents, limit: limit)
    let below = groups.depth(of: inner, through: groups.children, limit: limit)
    guard above + below <= maximumDepth else {
      throw TenancyError(
        .failedPrecondition, .groupTooDeep,
        "groups would be in each other \(above + below) deep or more; at most \(maximumDepth)")
    }
  }
}
