/// What changes the roles and assignments of one tenant. Each command is one transaction.
public struct RoleCommands: Sendable {
  static let maximumRoles = 1000
  static let maximumPermissions = 1000
  static let maximumAssignments = 100_000
  /// UTF-8 bytes of a subject, at most.
  public static let maximumSubjectBytes = 256
  static let maximumTitleLength = 200
  static let maximumDescriptionLength = 2000

  private let plane: ControlPlane
  private let actor: String
  private let tenant: TenantID
  private let judge: WriteJudge
  /// Whether the caller itself holds a permission: nobody gives away reserved ones that they lack.
  private let holds: @Sendable (Permission, ControlState) -> Bool

  /// - Parameter judge: whether the caller may still when it is done.
  public init(
    _ plane: ControlPlane, actor: String, tenant: TenantID, judge: WriteJudge,
    holds: @escaping @Sendable (Permission, ControlState) -> Bool
  ) {
    self.plane = plane
    self.actor = actor
    self.tenant = tenant
    self.judge = judge
    self.holds = holds
  }

  // MARK: Roles

  /// Creates a role; `permissions` may be in any order and repeat.
  /// - Throws: `.invalidArgument` with all that is wrong with the fields, `.roleExists`, `.resourceExhausted` at
  ///   1,000
  ///   roles, `.permissionDenied` for permissions that the caller must not hand out, or what the write itself meets.
  public func createRole(
    id: String, title: String, summary: String, permissions: [String]
  ) async throws(TenancyError) -> Role {
    try await write("roles.create") { (record, transaction) throws(TenancyError) -> Role in
      var checks = FieldChecks()
      if !Self.isRoleID(id) {
        checks.note(.invalid("role_id", "1 to 63 of a-z, 0-9 and '-', starting with a letter"))
      }
      Self.checkForm(title: title, summary: summary, permissions, &checks)
      try checks.finish()
      let policy = record.policy
      guard policy.role(id) == nil else {
        throw TenancyError(.alreadyExists, .roleExists, "the role \(id) exists")
      }
      guard policy.customRoleCount < Self.maximumRoles else {
        throw .exhausted(.roles, of: .tenant(tenant), limit: Self.maximumRoles)
      }
      let role = Role(
        id: id, title: title, summary: summary,
        permissions: try check(permissions, transaction.state),
        // Greater than that of any role of this id before: each of its versions took a revision.
        version: transaction.state.revision + 1,
        createTime: transaction.now, updateTime: transaction.now)
      transaction.emit(.putRole(tenant, role), about: tenant)
      return role
    }
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
      let before = try Self.editable(id, etag, record.policy)
      var after = before
      try change(&after)
      let held = Set(before.permissions)
      var checks = FieldChecks()
      Self.checkForm(
        title: after.title, summary: after.summary, after.permissions, judged: held, &checks)
      try checks.finish()
      after.permissions = try check(after.permissions, transaction.state, judged: held)
      guard after != before else { return before }
      after.version += 1
      after.updateTime = transaction.now
      transaction.emit(.putRole(tenant, after), about: tenant)
      return after
    }
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
      var role = try Self.editable(id, etag, record.policy)
      let count = record.policy.assignmentCount(ofRole: id)
      guard count == 0 || force else {
        throw TenancyError(
          .failedPrecondition, .roleInUse,
          "the role is assigned \(count) times: delete these first, or use force",
          metadata: ["assignments": String(count)])
      }
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
      if !role.permissions.isEmpty {
        role.permissions = []
        role.version += 1
        role.updateTime = transaction.now
        transaction.emit(.putRole(tenant, role), about: tenant)
      }
      return role.etag
    }
  }

  // MARK: Assignments

  /// - Parameters:
  ///   - id: nil if `checks` has refused it.
  ///   - replaces: whether this takes the place of the assignment of the role that the subject has, if it has one.
  ///   - checks: what is known to be wrong with the request.
  public func assign(
    subject: String, role id: String?, expireTime: Timestamp?, replaces: Bool = false,
    checks: FieldChecks = FieldChecks()
  ) async throws(TenancyError) -> RoleAssignment {
    try await write("assignments.create") {
      (record, transaction) throws(TenancyError) -> RoleAssignment in
      let policy = record.policy
      var checks = checks
      try checks.value { () throws(TenancyError) in
        try checkSubject(subject, transaction.state)
      }
      if let expireTime, expireTime <= transaction.now {
        checks.note(.invalid("assignment.expire_time", "must be in the future"))
      }
      guard checks.passed, let id else { throw checks.failure }
      guard let role = policy.role(id)?.role else {
        throw Self.notFound(id)
      }
      _ = try check(role.permissions, transaction.state)
      if let old = policy.assignment(
        of: subject, holder: record.holder(subject), role: id)
      {
        if replaces, old.expireTime == expireTime {
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
      } else if policy.assignmentCount >= Self.maximumAssignments {
        throw .exhausted(.assignments, of: .tenant(tenant), limit: Self.maximumAssignments)
      }
      let assignment = RoleAssignment(
        id: TenantID.generate(atMilliseconds: transaction.now.milliseconds).description,
        subject: subject, role: id, createTime: transaction.now, expireTime: expireTime)
      transaction.emit(.putAssignment(tenant, assignment), about: tenant)
      transaction.give(id: assignment.id)
      return assignment
    }
  }

  /// Takes the role from the subject at once.
  /// - Throws: `.assignmentNotFound`, or what the write itself meets.
  public func unassign(id: String) async throws(TenancyError) {
    try await write("assignments.delete", .revoking) {
      (record, transaction) throws(TenancyError) -> Void in
      guard record.policy.assignment(id) != nil else {
        throw Self.assignmentNotFound
      }
      transaction.emit(.deleteAssignment(tenant, id: id), about: tenant)
    }
  }

  /// There is no such assignment.
  public static let assignmentNotFound = TenancyError(
    .notFound, .assignmentNotFound, "there is no such assignment")

  /// There is no such role.
  public static func notFound(_ id: String) -> TenancyError {
    TenancyError(.notFound, .roleNotFound, "there is no role \(id)")
  }

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
  private func write<Result: Sendable>(
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

  /// Sorted, without repeats, each the caller's to give (`judged` ones were there before).
  /// - Parameter permissions: well formed.
  private func check(
    _ permissions: [String], _ state: ControlState, judged: Set<String> = []
  ) throws(TenancyError) -> [String] {
    let sorted = Set(permissions).sorted()
    for text in permissions where !judged.contains(text) {
      guard let permission = Permission(parsing: text) else {
        throw Permission.malformed("role.permissions")
      }
      if permission.isReserved, !holds(permission, state) {
        throw .missing(permission: text)
      }
    }
    return sorted
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

  /// - Parameter judged: permissions that were there before.
  private static func checkForm(
    title: String, summary: String, _ permissions: [String], judged: Set<String> = [],
    _ checks: inout FieldChecks
  ) {
    if !title.hasAtMost(characters: maximumTitleLength) {
      checks.note(.invalid("role.title", "at most \(maximumTitleLength) characters"))
    }
    if !summary.hasAtMost(characters: maximumDescriptionLength) {
      checks.note(.invalid("role.description", "at most \(maximumDescriptionLength) characters"))
    }
    // Before any work: this runs on the one writer, and a request can name a million.
    let short = permissions.prefix(2 * maximumPermissions + 1).lazy.filter {
      $0.utf8.count <= Permission.maximumLength
    }
    guard permissions.count <= 2 * maximumPermissions,
      permissions.count <= maximumPermissions || Set(short).count <= maximumPermissions
    else {
      checks.note(.invalid("role.permissions", "at most \(maximumPermissions)"))
      return
    }
    for (index, text) in permissions.enumerated() where !judged.contains(text) {
      guard !checks.isFull else { return }
      if Permission(parsing: text) == nil {
        checks.note(Permission.malformed("role.permissions[\(index)]"))
      }
    }
  }
}
