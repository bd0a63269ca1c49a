/// One change of a tenant's policy among several that are made together.
public enum PolicyChange: Sendable {
  /// Creates the role, or makes it as this is; its version and times do not count.
  /// - Parameter etag: of the role as it is; empty: any.
  indirect case putRole(Role, etag: String = "")
  /// Deletes a role that no other role names, with its assignments.
  case deleteRole(id: String)
  /// Creates the group, or makes it as this is.
  case putGroup(id: String, title: String, summary: String, etag: String = "")
  /// Deletes a group that has no members, is in no other and is assigned nothing.
  case deleteGroup(id: String)
  /// Makes a subject a member, in the place of the membership that it has.
  case putMember(String, group: String, expireTime: Timestamp?)
  /// Takes it out, by the membership's id.
  case deleteMember(id: String)
  /// Gives a subject a role, in the place of the assignment that it has for the same resources and condition.
  indirect case putAssignment(
    subject: String, role: String, terms: RoleAssignment.Terms, expireTime: Timestamp?)
  /// Takes it away, by the assignment's id.
  case deleteAssignment(id: String)

  /// What the methods that make it by itself ask for, without the prefix of permissions on this API.
  func permissions(_ policy: TenantPolicy) -> [String] {
    switch self {
    case .putRole(let role, _):
      [policy.role(role.id) == nil ? "roles:create" : "roles:update"]
    case .deleteRole(let id):
      // By force they go with it, as here.
      policy.assignmentCount(ofRole: id) > 0
        ? ["roles:delete", "assignments:delete"] : ["roles:delete"]
    case .putGroup(let id, _, _, _):
      [policy.group(id) == nil ? "groups:create" : "groups:update"]
    case .deleteGroup: ["groups:delete"]
    case .putMember: ["group_members:create"]
    case .deleteMember: ["group_members:delete"]
    case .putAssignment: ["assignments:create"]
    case .deleteAssignment: ["assignments:delete"]
    }
  }

  /// As the API's request has it.
  var field: String {
    switch self {
    case .putRole: "put_role"
    case .deleteRole: "delete_role"
    case .putGroup: "put_group"
    case .deleteGroup: "delete_group"
    case .putMember: "put_group_member"
    case .deleteMember: "delete_group_member"
    case .putAssignment: "put_assignment"
    case .deleteAssignment: "delete_assignment"
    }
  }
}
