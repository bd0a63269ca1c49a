import TenancyWire

extension V1.Role: Presentable {
  func lines() -> [String] {
    var fields = Fields()
    fields.add("Name", name)
    fields.add("Title", title)
    fields.add("Description", description)
    fields.add("Built in", builtIn ? "yes" : "")
    fields.add("Permissions", each: permissions)
    fields.add("Denied", each: deniedPermissions)
    fields.add("Parents", each: parents)
    fields.add("Excludes", each: excludedRoles)
    fields.add("Etag", etag)
    fields.add("Created", createTime?.text ?? "")
    fields.add("Updated", updateTime?.text ?? "")
    return fields.lines()
  }
}

extension V1.ListRolesResponse: Presentable {
  func lines() -> [String] {
    var table = Table("ROLE", "PERMISSIONS", "DENIED", "PARENTS", "EXCLUDES", "BUILT IN", "TITLE")
    func count(_ list: [String]) -> String { list.isEmpty ? "" : String(list.count) }
    for role in roles {
      table.add(
        ResourceName.last(role.name), String(role.permissions.count),
        count(role.deniedPermissions), role.parents.joined(separator: ","),
        role.excludedRoles.joined(separator: ","), role.builtIn ? "yes" : "", role.title)
    }
    return table.lines() + Paging.note(nextPageToken)
  }
}

extension V1.RoleAssignment: Presentable {
  func lines() -> [String] {
    var fields = Fields()
    fields.add("Name", name)
    fields.add("Subject", subject)
    fields.add("Role", ResourceName.last(role))
    fields.add("Resource", resource)
    fields.add("Condition", condition)
    fields.add("Reason", reason)
    fields.add("Created", createTime?.text ?? "")
    fields.add("Expires", expireTime?.text ?? "")
    return fields.lines()
  }
}

extension V1.ListRoleAssignmentsResponse: Presentable {
  func lines() -> [String] {
    var table = Table("ASSIGNMENT", "ROLE", "EXPIRES", "SUBJECT", "RESOURCE", "CONDITION")
    for assignment in assignments {
      table.add(
        ResourceName.last(assignment.name), ResourceName.last(assignment.role),
        assignment.expireTime?.text ?? "", assignment.subject, assignment.resource,
        assignment.condition)
    }
    return table.lines() + Paging.note(nextPageToken)
  }
}

extension V1.CheckResponse: Presentable {
  func lines() -> [String] { ["\(verdict)\(explanation.isEmpty ? "" : ": \(explanation)")"] }

  var verdict: String { allowed ? "allowed" : "denied" }

  /// Why, in words.
  var explanation: String {
    switch reason {
    case .role: role.isEmpty ? "by a role" : "by the role \(role)"
    case .noGrant: "no role of the subject grants it"
    case .denied: role.isEmpty ? "a role denies it" : "the role \(role) denies it"
    case .tenantInactive: "the tenant is not active"
    default: reason.shortName
    }
  }
}
