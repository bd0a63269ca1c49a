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

  let plane: ControlPlane
  private let actor: String
  let tenant: TenantID
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
      try create(id, title, summary, record.policy, &transaction)
    }
  }

  /// In a transaction.
  func create(
    _ id: String, _ title: String, _ summary: String, _ policy: TenantPolicy,
    _ transaction: inout Transaction
  ) throws(TenancyError) -> SubjectGroup {
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
    guard policy.group(id) == nil else {
      throw TenancyError(.alreadyExists, .groupExists, "the group \(id) exists")
    }
    // It may be assigned roles already.
    try RoleRules(policy).checkGroup(SubjectGroup.subject(id), at: transaction.now)
    guard policy.groupCount < Self.maximumGroups else {
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

  /// Changes a group; `change` gets the group as it is.
  public func update(
    id: String, etag: String,
    _ change: @escaping @Sendable (inout SubjectGroup) throws(TenancyError) -> Void
  ) async throws(TenancyError) -> SubjectGroup {
    let bytes = plane.state.find(tenant)?.policy.group(id)?.contentBytes ?? 0
    return try await write("groups.update", rewriting: bytes) {
      (record, transaction) throws(TenancyError) -> SubjectGroup in
      try update(id, etag, record.policy, &transaction, change)
    }
  }

  /// In a transaction.
  func update(
    _ id: String, _ etag: String, _ policy: TenantPolicy, _ transaction: inout Transaction,
    _ change: (inout SubjectGroup) throws(TenancyError) -> Void
  ) throws(TenancyError) -> SubjectGroup {
    let before = try Self.current(id, etag, policy)
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

  /// Deletes a group that nothing uses.
  func delete(
    _ id: String, _ policy: TenantPolicy, _ transaction: inout Transaction
  ) throws(TenancyError) {
    _ = try Self.current(id, "", policy)
    let uses = GroupUses(of: id, in: policy)
    guard uses.count == 0 else { throw uses.error }
    transaction.emit(.deleteGroup(tenant, id: id), about: tenant)
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
  func write<Result: Sendable>(
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

  /// Whoever makes a member gives away what the group holds: nobody does so with what they lack. For the same reason
  /// as with assignments, only permissions on this API count.
  /// - Parameter denied: instead, what the group denies, which whoever takes a member out of it gives.
  func checkPower(
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

  /// As small changes.
  func costOfAdding(_ member: String, to id: String, _ policy: TenantPolicy) -> Int {
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
  func costOfRemoving(from id: String, _ policy: TenantPolicy) -> Int {
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
