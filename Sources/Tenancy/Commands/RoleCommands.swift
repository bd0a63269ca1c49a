/// What changes the roles and assignments of one tenant. Each command is one transaction.
public struct RoleCommands: Sendable {
  static let maximumRoles = 1000
  static let maximumAssignments = 100_000
  /// UTF-8 bytes of a subject, at most.
  public static let maximumSubjectBytes = 256

  let plane: ControlPlane
  private let actor: String
  let tenant: TenantID
  private let judge: WriteJudge
  /// Whether the caller itself holds a permission: nobody gives away reserved ones that they lack.
  let power: Power

  /// Whether the caller holds a permission, asked of one after the other on one state.
  public typealias Power = @Sendable (ControlState) -> (Permission) -> Bool

  /// - Parameter judge: whether the caller may still when it is done.
  public init(
    _ plane: ControlPlane, actor: String, tenant: TenantID, judge: WriteJudge,
    power: @escaping Power
  ) {
    self.plane = plane
    self.actor = actor
    self.tenant = tenant
    self.judge = judge
    self.power = power
  }

  // MARK: Roles

  /// Creates a role; `permissions` may be in any order and repeat.
  /// - Throws: `.invalidArgument` with all that is wrong with the fields, `.roleExists`, `.resourceExhausted` at
  ///   1,000
  ///   roles, `.permissionDenied` for permissions that the caller must not hand out, or what the write itself meets.
  public func createRole(
    id: String, title: String, summary: String, permissions: [String], denials: [String] = [],
    parents: [String] = [], exclusions: [String] = []
  ) async throws(TenancyError) -> Role {
    try await write("roles.create") { (record, transaction) throws(TenancyError) -> Role in
      let role = Role(
        id: id, title: title, summary: summary, permissions: permissions, denials: denials,
        parents: parents, exclusions: exclusions, version: 0, createTime: transaction.now,
        updateTime: transaction.now)
      return try create(role, record.policy, &transaction)
    }
  }

  /// - Parameter role: whose version does not count.
  func create(
    _ role: Role, _ policy: TenantPolicy, _ transaction: inout Transaction
  ) throws(TenancyError) -> Role {
    var (role, checks) = (role, FieldChecks())
    // Greater than that of any role of this id before: each of its versions took a revision.
    role.version = transaction.state.revision + 1
    if !Self.isRoleID(role.id) {
      checks.note(.invalid("role_id", "1 to 63 of a-z, 0-9 and '-', starting with a letter"))
    }
    RoleRules.checkForm(of: role, since: nil, &checks)
    try checks.finish()
    guard policy.role(role.id) == nil else {
      throw TenancyError(.alreadyExists, .roleExists, "the role \(role.id) exists")
    }
    guard policy.customRoleCount < Self.maximumRoles else {
      throw .exhausted(.roles, of: .tenant(tenant), limit: Self.maximumRoles)
    }
    role.sort()
    try judge(role, since: nil, policy, &transaction)
    transaction.emit(.putRole(tenant, role), about: tenant)
    return role
  }

  /// Changes a role; `change` gets the role as it is.
  /// - Parameter priority: `revoking` for changes that can but take permissions away.
  public func updateRole(
    id: String, etag: String, action: String = "roles.update",
    priority: WriteTerms.Priority = .ordinary,
    _ change: @escaping @Sendable (inout Role) throws(TenancyError) -> Void
  ) async throws(TenancyError) -> Role {
    try await write(action, priority, rewriting: id) {
      (record, transaction) throws(TenancyError) -> Role in
      try update(id, etag, record.policy, &transaction, change)
    }
  }

  func update(
    _ id: String, _ etag: String, _ policy: TenantPolicy, _ transaction: inout Transaction,
    _ change: (inout Role) throws(TenancyError) -> Void
  ) throws(TenancyError) -> Role {
    let before = try Self.editable(id, etag, policy)
    var after = before
    try change(&after)
    var checks = FieldChecks()
    RoleRules.checkForm(of: after, since: before, &checks)
    try checks.finish()
    after.sort()
    guard after != before else { return before }
    try judge(after, since: before, policy, &transaction)
    after.version += 1
    after.updateTime = transaction.now
    transaction.emit(.putRole(tenant, after), about: tenant)
    return after
  }

  /// Assignments that are deleted in one transaction with their role, at most.
  static let maximumDeletions = WriteTerms.maximumCost / 2

  /// Deletes a role.
  /// - Parameter force: also when it is assigned, and its assignments with it. Those of a role that has
  ///   more than `maximumDeletions` go in several transactions, before it does, so that others need not wait
  ///   for all of them. From the first on the role has no permissions; if a later one fails, what is left
  ///   can be deleted in the same way.
  public func deleteRole(id: String, etag: String, force: Bool) async throws(TenancyError) {
    var expected = etag
    while let next = try await deleteSome(of: id, expected, force), !judge.isRehearsal {
      if !etag.isEmpty { expected = next }
    }
  }

  /// Deletes a role, or some of its assignments and all its permissions: then the result is its new etag.
  private func deleteSome(
    of id: String, _ etag: String, _ force: Bool
  ) async throws(TenancyError) -> String? {
    let held = plane.state.find(tenant)?.policy.assignmentCount(ofRole: id) ?? 0
    let changes = min(force ? held : 0, Self.maximumDeletions)
    return try await write("roles.delete", .revoking, rewriting: id, changes: changes) {
      (record, transaction) throws(TenancyError) -> String? in
      var role = try judgeDeletion(of: id, etag, record.policy, transaction)
      let count = record.policy.assignmentCount(ofRole: id)
      guard count == 0 || force else { throw Self.assigned(count) }
      var budget = WorkBudget(visits: Self.maximumDeletions, answerBytes: .max)
      var held = record.policy.assignments(ofRole: id)
      while let assignment = held.next(&budget) {
        transaction.emit(.deleteAssignment(tenant, id: assignment.id), about: tenant)
      }
      guard count > Self.maximumDeletions else {
        transaction.emit(.deleteRole(tenant, id: id), about: tenant)
        return nil
      }
      transaction.leaveUnfinished()
      if !role.isBare {
        (role.permissions, role.denials, role.parents, role.exclusions) = ([], [], [], [])
        role.version += 1
        role.updateTime = transaction.now
        transaction.emit(.putRole(tenant, role), about: tenant)
      }
      return role.etag
    }
  }

  /// Whether a role may go, but for who has it.
  private func judgeDeletion(
    of id: String, _ etag: String, _ policy: TenantPolicy, _ transaction: borrowing Transaction
  ) throws(TenancyError) -> Role {
    let (role, rules) = (try Self.editable(id, etag, policy), RoleRules(policy))
    guard !rules.isNamed(id) else {
      throw TenancyError(
        .failedPrecondition, .roleInUse, "other roles inherit from the role, or exclude it")
    }
    // Whoever it denies something has that again.
    try mayGive(rules.reserved(deniedBy: [id]), transaction.state)
    return role
  }

  /// Deletes a role with all of its assignments, however many.
  func delete(
    _ id: String, _ policy: TenantPolicy, _ transaction: inout Transaction
  ) throws(TenancyError) {
    _ = try judgeDeletion(of: id, "", policy, transaction)
    var (held, budget) = (policy.assignments(ofRole: id), WorkBudget.uncapped)
    while let assignment = held.next(&budget) {
      transaction.emit(.deleteAssignment(tenant, id: assignment.id), about: tenant)
    }
    transaction.emit(.deleteRole(tenant, id: id), about: tenant)
  }

  private static func assigned(_ count: Int) -> TenancyError {
    TenancyError(
      .failedPrecondition, .roleInUse,
      "the role is assigned \(count) times: delete these first, or use force",
      metadata: ["assignments": String(count)])
  }

  /// There is no such assignment.
  public static let assignmentNotFound = TenancyError(
    .notFound, .assignmentNotFound, "there is no such assignment")

  /// There is no such role.
  public static func notFound(_ id: String) -> TenancyError {
    TenancyError(.notFound, .roleNotFound, "there is no role \(id)")
  }

  /// Whether nothing of it is kept.
  var isRehearsal: Bool { judge.isRehearsal }

  /// How its changes wait.
  var terms: WriteTerms { judge.terms() }

  // MARK: Rules

  /// Whether it can be the id of a role: 1 to 63 of a-z, 0-9 and `-`, the first a letter.
  public static func isRoleID(_ text: String) -> Bool {
    guard let first = text.utf8.first, text.utf8.count <= 63 else { return false }
    return (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(first)
      && text.utf8.allSatisfy(Slug.isAllowed)
  }

  /// Whether it is the id of a role that every tenant has.
  public static func isBuiltIn(role id: String) -> Bool { BuiltInRoles.byID[id] != nil }

  /// Whether it can be a subject: 1 to `maximumSubjectBytes` bytes without spaces and ASCII control characters.
  public static func isSubject(_ text: String) -> Bool {
    (1...maximumSubjectBytes).contains(text.utf8.count)
      && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F }
  }

  /// - Parameters:
  ///   - id: the role that is written again, with its permissions.
  ///   - changes: how many there are beside the one.
  func write<Result: Sendable>(
    _ action: String, _ priority: WriteTerms.Priority = .ordinary, rewriting id: String? = nil,
    changes: Int = 0,
    _ body: @escaping @Sendable (TenantRecord, inout Transaction) throws(TenancyError) -> Result
  ) async throws(TenancyError) -> Result {
    let role = id.flatMap { plane.state.find(tenant)?.policy.role($0)?.role }
    let terms = judge.terms(priority, rewriting: role?.contentBytes ?? 0, changes: changes)
    return try await plane.write(actor: actor, action: action, terms: terms) {
      [tenant, judge] (transaction) throws(TenancyError) -> Result in
      try judge.judge(&transaction)
      guard let record = transaction.state.find(tenant), !record.tenant.state.isGone else {
        throw .tenantNotFound
      }
      return try body(record, &transaction)
    }
  }

  /// Whether a role may be as it is to be.
  /// - Parameter before: as it was; nil: it is new.
  private func judge(
    _ role: Role, since before: Role?, _ policy: TenantPolicy, _ transaction: inout Transaction
  ) throws(TenancyError) {
    let rules = RoleRules(policy)
    try rules.checkFamily(of: role, since: before)
    let former = Set(before?.permissions ?? [])
    try mayGive(
      role.permissions.filter { !former.contains($0) && Permission.isReserved($0) },
      transaction.state)
    let parents = Set(before?.parents ?? [])
    try mayGive(
      rules.reserved(grantedBy: role.parents.filter { !parents.contains($0) }), transaction.state)
    // What is denied no longer is given; and to deny is for those who have it themselves.
    let (denied, formerly) = (Set(role.denials), Set(before?.denials ?? []))
    try mayGive(
      denied.symmetricDifference(formerly).filter { Permission.isReserved($0) }, transaction.state)
    try mayGive(
      rules.reserved(deniedBy: Array(parents.symmetricDifference(role.parents))),
      transaction.state)
    try rules.checkHeirs(
      of: role, since: before, at: transaction.now, &transaction.holderLooks)
  }

  /// Nobody gives away what they lack.
  /// - Parameter permissions: on this framework's own API.
  func mayGive(
    _ permissions: some Sequence<String>, _ state: ControlState
  ) throws(TenancyError) {
    var permissions = permissions.makeIterator()
    guard var text = permissions.next() else { return }
    let holds = power(state)
    while true {
      guard let permission = Permission(parsing: text), holds(permission) else {
        throw .missing(permission: text)
      }
      guard let next = permissions.next() else { return }
      text = next
    }
  }

  private static func editable(
    _ id: String, _ etag: String, _ policy: TenantPolicy
  ) throws(TenancyError) -> Role {
    guard let found = policy.role(id) else {
      throw Self.notFound(id)
    }
    guard !found.isBuiltIn else {
      throw TenancyError(.failedPrecondition, .roleBuiltIn, "the role \(id) is built in")
    }
    guard etag.isEmpty || etag == found.role.etag else {
      throw TenancyError(
        .aborted, .etagMismatch, "the role has changed since: read it again",
        metadata: ["etag": found.role.etag])
    }
    return found.role
  }
}
