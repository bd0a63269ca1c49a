/// What changes the groups of one tenant and who is in them. Each command is one transaction.
public struct GroupCommands: Sendable {
  static let maximumGroups = 1000
  static let maximumMembers = 100_000
  /// Groups that one subject is directly in.
  static let maximumMemberships = 64
  /// Groups that one group is directly in.
  static let maximumParents = 32
  /// Groups that are in each other, one in the next.
  static let maximumDepth = 8
  /// Permissions on this API that are looked at for one member, which the caller has to hold.
  static let maximumJudged = 4000
  static let maximumTitleLength = RoleRules.maximumTitleLength
  static let maximumDescriptionLength = RoleRules.maximumDescriptionLength

  private let plane: ControlPlane
  private let actor: String
  private let tenant: TenantID
  private let judge: WriteJudge
  /// Whether the caller itself holds a permission: nobody gives away reserved ones that they lack.
  private let power: RoleCommands.Power

  /// - Parameter judge: whether the caller may still when it is done.
  public init(
    _ plane: ControlPlane, actor: String, tenant: TenantID, judge: WriteJudge,
    power: @escaping RoleCommands.Power
  ) {
    self.plane = plane
    self.actor = actor
    self.tenant = tenant
    self.judge = judge
    self.power = power
  }

  // MARK: Groups

  /// Creates a group without members.
  /// - Throws: `.invalidArgument` with all that is wrong with the fields, `.groupExists`, `.resourceExhausted` at 1,000
  ///   groups, or what the write itself meets.
  public func create(
    id: String, title: String, summary: String
  ) async throws(TenancyError) -> SubjectGroup {
    try await write("groups.create") {
      (record, transaction) throws(TenancyError) -> SubjectGroup in
      var checks = FieldChecks()
      if !SubjectGroup.isID(id) {
        checks.note(
          .invalid(
            "group_id",
            "1 to 63 of a-z, 0-9 and '-', starting with a letter, and not \(SubjectGroup.reservedID)"
          ))
      }
      Self.checkForm(title: title, summary: summary, &checks)
      try checks.finish()
      guard record.policy.group(id) == nil else {
        throw TenancyError(.alreadyExists, .groupExists, "the group \(id) exists")
      }
      // It may be assigned roles already.
      try RoleRules(record.policy).checkGroup(SubjectGroup.subject(id), at: transaction.now)
      guard record.policy.groupCount < Self.maximumGroups else {
        throw .exhausted(.groups, of: .tenant(tenant), limit: Self.maximumGroups)
      }
      let group = SubjectGroup(
        id: id, title: title, summary: summary,
        // Greater than that of any group of this id before: each of its versions took a revision.
        version: transaction.state.revision + 1,
        createTime: transaction.now, updateTime: transaction.now)
      transaction.emit(.putGroup(tenant, group), about: tenant)
      return group
    }
  }

  /// Changes a group; `change` gets the group as it is.
  public func update(
    id: String, etag: String,
    _ change: @escaping @Sendable (inout SubjectGroup) throws(TenancyError) -> Void
  ) async throws(TenancyError) -> SubjectGroup {
    let bytes = plane.state.find(tenant)?.policy.group(id)?.contentBytes ?? 0
    return try await write("groups.update", rewriting: bytes) {
      (record, transaction) throws(TenancyError) -> SubjectGroup in
      let before = try Self.current(id, etag, record.policy)
      var after = before
      try change(&after)
      var checks = FieldChecks()
      Self.checkForm(title: after.title, summary: after.summary, &checks)
      try checks.finish()
      guard after != before else { return before }
      after.version += 1
      after.updateTime = transaction.now
      transaction.emit(.putGroup(tenant, after), about: tenant)
      return after
    }
  }

  /// What is deleted in one transaction with its group, at most.
  static let maximumDeletions = RoleCommands.maximumDeletions

  /// Deletes a group.
  /// - Parameter force: also when it is in use, and with it all that uses it. More than `maximumDeletions` go in
  ///   several transactions, before it does, so that others need not wait for all of them: first what it is assigned. If
  ///   a later one fails, what is left can be deleted in the same way.
  public func delete(id: String, etag: String, force: Bool) async throws(TenancyError) {
    while try await !deleteSome(of: id, etag, force), !judge.isRehearsal {}
  }

  /// - Returns: whether the group is gone.
  private func deleteSome(
    of id: String, _ etag: String, _ force: Bool
  ) async throws(TenancyError) -> Bool {
    let policy = plane.state.find(tenant)?.policy ?? TenantPolicy()
    let uses = GroupUses(of: id, in: policy).count
    let changes = min(force ? uses : 0, Self.maximumDeletions) + costOfRemoving(from: id, policy)
    return try await write("groups.delete", .revoking, changes: changes) {
      (record, transaction) throws(TenancyError) -> Bool in
      _ = try Self.current(id, etag, record.policy)
      let uses = GroupUses(of: id, in: record.policy)
      guard uses.count == 0 || force else { throw uses.error }
      if let group = record.policy.content.groups.number(id) {
        try checkPower(of: group, denied: true, record.policy, transaction)
      }
      var (list, budget) = (uses, WorkBudget(visits: Self.maximumDeletions, answerBytes: .max))
      while let change = list.next(tenant, &budget) { transaction.emit(change, about: tenant) }
      guard uses.count <= Self.maximumDeletions else {
        transaction.leaveUnfinished()
        return false
      }
      transaction.emit(.deleteGroup(tenant, id: id), about: tenant)
      return true
    }
  }

  // MARK: Members

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
      let policy = record.policy
      guard let former = policy.groupMember(id) else { throw Self.memberNotFound }
      if let group = policy.content.groups.number(former.group) {
        // What is denied to who is in it is given back.
        try checkPower(of: group, denied: true, policy, transaction)
      }
      transaction.emit(.deleteGroupMember(tenant, id: id), about: tenant)
    }
  }

  /// There is no such membership.
  public static let memberNotFound = TenancyError(
    .notFound, .groupMemberNotFound, "there is no such membership in a group")

  /// There is no such group.
  public static func notFound(_ id: String) -> TenancyError {
    TenancyError(.notFound, .groupNotFound, "there is no group \(id)")
  }

  // MARK: Rules

  /// - Parameters:
  ///   - bytes: of what is written again.
  ///   - changes: how many there are beside the one.
  private func write<Result: Sendable>(
    _ action: String, _ priority: WriteTerms.Priority = .ordinary, rewriting bytes: Int = 0,
    changes: Int = 0,
    _ body: @escaping @Sendable (TenantRecord, inout Transaction) throws(TenancyError) -> Result
  ) async throws(TenancyError) -> Result {
    let terms = judge.terms(priority, rewriting: bytes, changes: changes)
    return try await plane.write(actor: actor, action: action, terms: terms) {
      [tenant, judge] (transaction) throws(TenancyError) -> Result in
      try judge.judge(&transaction)
      guard let record = transaction.state.find(tenant), !record.tenant.state.isGone else {
        throw .tenantNotFound
      }
      return try body(record, &transaction)
    }
  }

  private static func current(
    _ id: String, _ etag: String, _ policy: TenantPolicy
  ) throws(TenancyError) -> SubjectGroup {
    guard let group = policy.group(id) else { throw Self.notFound(id) }
    guard etag.isEmpty || etag == group.etag else {
      throw TenancyError(
        .aborted, .etagMismatch, "the group has changed since: read it again",
        metadata: ["etag": group.etag])
    }
    return group
  }

  private static func checkForm(title: String, summary: String, _ checks: inout FieldChecks) {
    if !title.hasAtMost(characters: maximumTitleLength) {
      checks.note(.invalid("group.title", "at most \(maximumTitleLength) characters"))
    }
    if !summary.hasAtMost(characters: maximumDescriptionLength) {
      checks.note(.invalid("group.description", "at most \(maximumDescriptionLength) characters"))
    }
  }

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

  /// Whoever makes a member gives away what the group holds: nobody does so with what they lack. For the same reason
  /// as with assignments, only permissions on this API count.
  /// - Parameter denied: instead, what the group denies, which whoever takes a member out of it gives.
  private func checkPower(
    of group: Int, denied: Bool = false, _ policy: TenantPolicy,
    _ transaction: borrowing Transaction
  ) throws(TenancyError) {
    let all = policy.content.reservedPermissions(
      ofMembersOf: group, denied: denied, at: transaction.now, limit: Self.maximumJudged)
    guard let all else {
      throw TenancyError(
        .failedPrecondition, .groupHoldsTooMuch,
        "more than \(Self.maximumJudged) permissions on this API come with being in the group, or are denied by it: "
          + "take roles from it before")
    }
    if all.isEmpty { return }
    let holds = power(transaction.state)
    for text in all {
      guard let permission = Permission(parsing: text), holds(permission) else {
        throw .missing(permission: text)
      }
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

  /// As small changes.
  private func costOfAdding(_ member: String, to id: String, _ policy: TenantPolicy) -> Int {
    let groups = policy.content.groups
    guard let group = groups.number(id) else { return 0 }
    let judged = judged(in: group, policy) + self.judged(in: group, denied: true, policy)
    guard RoleCommands.isSubject(member),
      let inner = SubjectGroup.id(in: member).flatMap({ groups.number($0) })
    else {
      return judged / Self.judgedPerCost
    }
    var changed = RoleSet()
    changed.insert(inner)
    return judged / Self.judgedPerCost + groups.within(changed).count / Self.groupsPerCost
  }

  /// The same of what is given back by taking somebody out of a group, or the group away.
  private func costOfRemoving(from id: String, _ policy: TenantPolicy) -> Int {
    let groups = policy.content.groups
    guard let group = groups.number(id) else { return 0 }
    var changed = RoleSet()
    changed.insert(group)
    return judged(in: group, denied: true, policy) / Self.judgedPerCost
      + groups.within(changed).count / Self.groupsPerCost
  }

  private func judged(in group: Int, denied: Bool = false, _ policy: TenantPolicy) -> Int {
    policy.content.reservedPermissions(
      ofMembersOf: group, denied: denied, at: plane.now, limit: Self.maximumJudged)?.count ?? 0
  }

  private static let judgedPerCost = 64
  private static let groupsPerCost = 16
}
