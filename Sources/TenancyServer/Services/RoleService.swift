import Tenancy
import TenancyRPC
import TenancyWire

/// The management of roles and assignments in `tenancy.v1.Authorization`.
struct RoleService: Sendable {
  /// Bytes of a role's or an assignment's name. A longer one is not taken apart.
  static let maximumNameBytes = 256

  let plane: ControlPlane

  func methods(_ gate: Gate) -> [TenancyMethod] {
    typealias API = V1.Authorization
    return [
      gate.async(
        API.createRole,
        again: { (access, request, _) throws(TenancyError) in
          try told(access, request.roleId)
        }, create),
      gate.inline(API.getRole, names: .child, get),
      gate.async(
        API.updateRole, names: .child,
        again: { (access, request, _) throws(TenancyError) in
          try told(access, Self.id(in: request.role?.name ?? "", "roles", field: "role.name"))
        }, update),
      gate.async(API.deleteRole, names: .child, again: { _, _, _ in V1.DeleteRoleResponse() }) {
        (access, request) throws(TenancyError) in
        let id = try Self.id(in: request.name, "roles", field: "name")
        try await commands(access, request.validateOnly).deleteRole(
          id: id, etag: request.etag, force: request.force)
        return V1.DeleteRoleResponse()
      },
      gate.async(API.listRoles) { (access, request) throws(TenancyError) in
        var budget = WorkBudget()
        return try list(access, request, &budget)
      },
      gate.async(
        API.addRolePermissions, names: .child,
        again: { (access, request, _) throws(TenancyError) in
          try told(access, Self.id(in: request.name, "roles", field: "name"))
        }
      ) { (access, request) throws(TenancyError) in
        try Self.checkForm(request.permissions)
        return try await change(
          access, request.name, request.etag, "roles.addPermissions", request.validateOnly
        ) {
          $0.permissions += request.permissions
        }
      },
      gate.async(
        API.removeRolePermissions, names: .child,
        again: { (access, request, _) throws(TenancyError) in
          try told(access, Self.id(in: request.name, "roles", field: "name"))
        }
      ) {
        (access, request) throws(TenancyError) in
        let removed = Set(request.permissions.filter(Self.canBeHeld))
        return try await change(
          access, request.name, request.etag, "roles.removePermissions", request.validateOnly,
          .revoking
        ) {
          $0.permissions.removeAll { removed.contains($0) }
        }
      },
      gate.async(
        API.createRoleAssignment,
        again: { (access, _, earlier) throws(TenancyError) in
          let record = try current(access)
          guard let made = record.policy.assignment(earlier.resource) else {
            throw RoleCommands.assignmentNotFound
          }
          return V1.RoleAssignment(made, tenant: record.idText)
        }, assign),
      gate.async(
        API.deleteRoleAssignment, names: .child,
        again: { _, _, _ in V1.DeleteRoleAssignmentResponse() }
      ) {
        (access, request) throws(TenancyError) in
        let id = try Self.id(in: request.name, "assignments", field: "name")
        try await commands(access, request.validateOnly).unassign(id: id)
        return V1.DeleteRoleAssignmentResponse()
      },
      gate.async(API.listRoleAssignments) { (access, request) throws(TenancyError) in
        var budget = WorkBudget()
        return try listAssignments(access, request, &budget)
      },
    ]
  }

  /// The tenant as it is by now.
  private func current(_ access: Access) throws(TenancyError) -> TenantRecord {
    guard let record = plane.state.find(try access.requireTarget().tenant.id) else {
      throw .tenantNotFound
    }
    return record
  }

  /// A role as it is by now.
  private func told(_ access: Access, _ id: String) throws(TenancyError) -> V1.Role {
    let record = try current(access)
    guard let role = record.policy.role(id) else { throw RoleCommands.notFound(id) }
    return V1.Role(role, tenant: record.idText)
  }

  // MARK: Roles

  private func create(
    _ access: Access, _ request: V1.CreateRoleRequest
  ) async throws(TenancyError) -> V1.Role {
    let sent = request.role ?? V1.Role()
    let role = try await commands(access, request.validateOnly).createRole(
      id: request.roleId, title: sent.title, summary: sent.description,
      permissions: sent.permissions, denials: sent.deniedPermissions, parents: sent.parents,
      exclusions: sent.excludedRoles)
    return V1.Role(role, tenant: try access.requireTarget().idText)
  }

  private func get(_ access: Access, _ request: V1.GetRoleRequest) throws(TenancyError) -> V1.Role {
    let record = try access.requireTarget()
    let id = try Self.id(in: request.name, "roles", field: "name")
    guard let role = record.policy.role(id) else { throw RoleCommands.notFound(id) }
    return V1.Role(role, tenant: record.idText)
  }

  private func update(
    _ access: Access, _ request: V1.UpdateRoleRequest
  ) async throws(TenancyError) -> V1.Role {
    let sent = request.role ?? V1.Role()
    let all = [
      "title", "description", "permissions", "denied_permissions", "parents", "excluded_roles",
    ]
    let mask = try UpdateMask(request.updateMask, all: all, isKnown: all.contains)
    return try await change(
      access, sent.name, sent.etag, "roles.update", request.validateOnly, field: "role.name"
    ) {
      if mask.covers("title", populated: !sent.title.isEmpty) { $0.title = sent.title }
      if mask.covers("description", populated: !sent.description.isEmpty) {
        $0.summary = sent.description
      }
      if mask.covers("permissions", populated: !sent.permissions.isEmpty) {
        $0.permissions = sent.permissions
      }
      if mask.covers("denied_permissions", populated: !sent.deniedPermissions.isEmpty) {
        $0.denials = sent.deniedPermissions
      }
      if mask.covers("parents", populated: !sent.parents.isEmpty) { $0.parents = sent.parents }
      if mask.covers("excluded_roles", populated: !sent.excludedRoles.isEmpty) {
        $0.exclusions = sent.excludedRoles
      }
    }
  }

  private func change(
    _ access: Access, _ name: String, _ etag: String, _ action: String, _ validateOnly: Bool,
    _ priority: WriteTerms.Priority = .ordinary, field: String = "name",
    _ body: @escaping @Sendable (inout Role) -> Void
  ) async throws(TenancyError) -> V1.Role {
    let id = try Self.id(in: name, "roles", field: field)
    let role = try await commands(access, validateOnly).updateRole(
      id: id, etag: etag, action: action, priority: priority
    ) { (role) throws(TenancyError) in
      body(&role)
    }
    return V1.Role(role, tenant: try access.requireTarget().idText)
  }

  func list(
    _ access: Access, _ request: V1.ListRolesRequest, _ budget: inout WorkBudget
  ) throws(TenancyError) -> V1.ListRolesResponse {
    let record = try access.requireTarget()
    let page = try Page(
      size: request.pageSize, token: request.pageToken, question: "roles \(record.idText)")
    let roles = record.policy.roles(after: page.after ?? "")
    let (found, next) = page.collect(roles, &budget, key: \.role.id) { role in
      (V1.Role(role, tenant: record.idText), role.role.answerBytes)
    }
    return V1.ListRolesResponse(roles: found, nextPageToken: next)
  }

  // MARK: Assignments

  private func assign(
    _ access: Access, _ request: V1.CreateRoleAssignmentRequest
  ) async throws(TenancyError) -> V1.RoleAssignment {
    let record = try access.requireTarget()
    let sent = request.assignment ?? V1.RoleAssignment()
    var checks = FieldChecks()
    let role = try checks.value { () throws(TenancyError) in
      try Self.roleID(sent.role, in: record, field: "assignment.role")
    }
    let expireTime = try checks.value { () throws(TenancyError) in
      try sent.expireTime?.domain("assignment.expire_time")
    }
    let terms = try checks.value { () throws(TenancyError) in try Self.terms(of: sent) }
    let made = try await commands(access, request.validateOnly).assign(
      subject: sent.subject, role: role, terms: terms, expireTime: expireTime ?? nil,
      replaces: request.replace, checks: checks)
    return V1.RoleAssignment(made, tenant: record.idText)
  }

  static func terms(
    of sent: V1.RoleAssignment
  ) throws(TenancyError) -> RoleAssignment.Terms {
    var scope: ResourceScope?
    if !sent.resource.isEmpty {
      scope = ResourceScope(parsing: sent.resource)
      if scope == nil {
        throw .invalid(
          "assignment.resource",
          "{type}, {type}/{path} or {type}/{path}/*, of at most \(ResourceScope.maximumBytes) bytes"
        )
      }
    }
    return RoleAssignment.Terms(scope: scope, condition: sent.condition, reason: sent.reason)
  }

  func listAssignments(
    _ access: Access, _ request: V1.ListRoleAssignmentsRequest, _ budget: inout WorkBudget
  ) throws(TenancyError) -> V1.ListRoleAssignmentsResponse {
    let record = try access.requireTarget()
    let subject = request.subject
    guard subject.utf8.count <= RoleCommands.maximumSubjectBytes else {
      throw .invalid("subject", "at most \(RoleCommands.maximumSubjectBytes) bytes")
    }
    let role = try Self.roleID(request.role, in: record, field: "role")
    let page = try Page(
      size: request.pageSize, token: request.pageToken,
      question: "assignments \(record.idText) \(subject) \(role)")
    let start = page.after ?? ""
    let holder = record.holder(subject)
    let list =
      if !subject.isEmpty, !role.isEmpty {
        record.policy.assignments(of: holder, role: role, after: start)
      } else if !subject.isEmpty {
        record.policy.assignments(of: holder, after: start)
      } else if !role.isEmpty {
        record.policy.assignments(ofRole: role, after: start)
      } else {
        record.policy.assignments(after: start)
      }
    let (found, next) = page.collect(list, &budget, key: \.id) { assignment in
      (V1.RoleAssignment(assignment, tenant: record.idText), assignment.answerBytes)
    }
    return V1.ListRoleAssignmentsResponse(assignments: found, nextPageToken: next)
  }

  // MARK: Names

  /// Says which of the request's permissions is malformed; the command knows the whole role's only.
  private static func checkForm(_ permissions: [String]) throws(TenancyError) {
    var checks = FieldChecks()
    for (index, text) in permissions.enumerated() where Permission(parsing: text) == nil {
      checks.note(Permission.malformed("permissions[\(index)]"))
      if checks.isFull { break }
    }
    try checks.finish()
  }

  /// Whether a role could have it: what is longer is no permission.
  private static func canBeHeld(_ permission: String) -> Bool {
    permission.utf8.count <= Permission.maximumLength
  }

  private func commands(
    _ access: Access, _ validateOnly: Bool
  ) throws(TenancyError) -> RoleCommands {
    let caller = access.caller
    let record = try access.requireTarget()
    let id = record.tenant.id
    return RoleCommands(
      plane, actor: caller.subject, tenant: id,
      judge: try access.requireJudge().validating(only: validateOnly)
    ) { state in
      Self.power(of: caller, state.find(id), at: plane.now)
    }
  }

  /// Which permissions of this API a caller may give away. For a wildcard of one kind (`tenancy.roles:*`) it must hold
  /// that kind's wildcard.
  static func power(
    of caller: Caller, _ home: TenantRecord?, at now: Timestamp
  ) -> (Permission) -> Bool {
    if caller.isPlatform { return { caller.allows($0) && caller.permissions.covers($0) } }
    guard let power = home?.power(of: caller.subject, at: now) else { return { _ in false } }
    return {
      caller.allows($0) && power.holds($0, isPermitted: caller.permissions.covers($0))
    }
  }

  /// The last part of `tenants/{tenant}/{collection}/{id}`.
  static func id(in name: String, _ collection: String, field: String) throws(TenancyError)
    -> String
  {
    guard name.utf8.count <= maximumNameBytes else {
      throw .invalid(field, "longer than \(maximumNameBytes) bytes")
    }
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 4, parts[0] == "tenants", parts[2] == collection, !parts[3].isEmpty else {
      throw .invalid(field, "must be tenants/{tenant}/\(collection)/{id}")
    }
    return String(parts[3])
  }

  /// A role by its id, or by its name, which must be of the same tenant. Empty where none is named.
  static func roleID(
    _ text: String, in record: TenantRecord, field: String
  ) throws(TenancyError) -> String {
    try localID(text, "roles", "role", in: record, field: field)
  }

  /// What is in a tenant by its id, or by its name, which must be of the same tenant.
  static func localID(
    _ text: String, _ collection: String, _ kind: String, in record: TenantRecord, field: String
  ) throws(TenancyError) -> String {
    guard text.utf8.count <= maximumNameBytes else {
      throw .invalid(field, "longer than \(maximumNameBytes) bytes")
    }
    guard text.contains("/") else { return text }
    let owner = text.split(separator: "/", omittingEmptySubsequences: false).dropFirst().first
    guard let owner = owner.map(String.init), record.isNamed(owner.utf8Span.span.bytes) else {
      throw .invalid(field, "must be a \(kind) of the same tenant")
    }
    return try id(in: text, collection, field: field)
  }
}

extension Role {
  /// Good enough to keep pages small.
  fileprivate var answerBytes: Int {
    [permissions, denials, parents, exclusions].joined().reduce(
      title.utf8.count + summary.utf8.count + 2 * id.utf8.count
    ) { $0 + $1.utf8.count + WorkBudget.elementBytes }
  }
}

extension RoleAssignment {
  fileprivate var answerBytes: Int {
    subject.utf8.count + role.utf8.count + 2 * id.utf8.count + terms.scope.text.utf8.count
      + terms.condition.utf8.count + terms.reason.utf8.count
  }
}
