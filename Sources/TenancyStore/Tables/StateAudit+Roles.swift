internal import Tenancy

/// Roles and assignments.
extension StateAudit {
  mutating func check(_ role: Role, of id: TenantID, _ row: Row) throws(StoreError) {
    // First of all: assignments of a role that is wrong are not wrong for that.
    try row.require(
      roles.insert(Key(tenant: id, id: role.id)).inserted, "it is there twice")
    let tenant = try requireTenant(id, row)
    try row.require(RoleCommands.isRoleID(role.id), "it is no id of a role")
    try row.require(!RoleCommands.isBuiltIn(role: role.id), "the role is built in")
    try checkVersion(role.version, row)
    for (list, what) in [(role.permissions, "permission"), (role.denials, "denied permission")] {
      try row.require(
        list.allSatisfy { Permission(parsing: $0) != nil }, "it has what is no \(what)")
      try row.require(Self.isSorted(list), "its \(what)s are not in order, each once")
    }
    for (list, what) in [(role.parents, "parents"), (role.exclusions, "excluded roles")] {
      try row.require(Self.isSorted(list), "its \(what) are not in order, each once")
      // Of a tenant that is being purged some may be gone already.
      if let tenant, isPurging(tenant) { continue }
      for name in list where !RoleCommands.isBuiltIn(role: name) {
        namedRoles.append((Key(tenant: id, id: name), row))
      }
    }
  }

  /// A parent that is not there would deny nothing.
  func checkNamed(_ named: (role: Key, row: Row)) throws(StoreError) {
    try named.row.require(
      roles.contains(named.role), "it names the role \(named.role.id), which the tenant has not")
  }

  private static func isSorted(_ list: [String]) -> Bool {
    zip(list, list.dropFirst()).allSatisfy { $0 < $1 }
  }

  func check(_ assignment: RoleAssignment, of id: TenantID, _ row: Row) throws(StoreError) {
    try requireTenant(id, row)
    try row.require(TenantID(parsing: assignment.id) != nil, "its id is none")
    try row.require(RoleCommands.isSubject(assignment.subject), "its subject is none")
    try row.require(
      roles.contains(Key(tenant: id, id: assignment.role))
        || RoleCommands.isBuiltIn(role: assignment.role),
      "the tenant has no role \(assignment.role)")
  }
}
