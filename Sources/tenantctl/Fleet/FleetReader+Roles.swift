import Tenancy

extension FleetReader {
  private static let roleMembers = [
    "id", "title", "description", "permissions", "deniedPermissions", "parents", "excludedRoles",
  ]

  /// Roles are judged here as far as can be: of a tenant that does not exist yet, the server can't be asked.
  func roles(_ node: FleetNode) -> [FleetRole]? {
    var seen: Set<String> = []
    let roles = node.list { element -> FleetRole? in
      part(element, needing: ["id"], known: Self.roleMembers) { values in
        let idNode = values.removeValue(forKey: "id")
        var role = FleetRole(id: idNode?.text() ?? "")
        if let idNode, !role.id.isEmpty {
          if !RoleCommands.isRoleID(role.id) {
            idNode.complain("1 to 63 of a-z, 0-9 and '-', starting with a letter")
          }
          if !seen.insert(role.id).inserted {
            idNode.complain("the role '\(role.id)' is there twice")
          }
        }
        role.title = values.removeValue(forKey: "title")?.text() ?? ""
        role.description = values.removeValue(forKey: "description")?.text() ?? ""
        role.permissions = permissions(values.removeValue(forKey: "permissions"))
        role.deniedPermissions = permissions(values.removeValue(forKey: "deniedPermissions"))
        role.parents = otherRoles(values.removeValue(forKey: "parents"), than: role.id)
        role.excludedRoles = otherRoles(values.removeValue(forKey: "excludedRoles"), than: role.id)
        return role
      }
    }
    if let roles { refuseCircle(roles, node) }
    return roles
  }

  private func permissions(_ node: FleetNode?) -> [String] {
    let permissions = node?.list { node -> String? in
      guard let text = node.text() else { return nil }
      guard Permission(parsing: text) != nil else {
        return node.refuse("'\(text)' is not resource:action")
      }
      return text
    }
    return Set(permissions ?? []).sorted()
  }

  private func otherRoles(_ node: FleetNode?, than id: String) -> [String] {
    let roles = node?.list { node -> String? in
      guard let text = node.text() else { return nil }
      guard RoleCommands.isRoleID(text) else {
        return node.refuse("'\(text)' is not the id of a role")
      }
      guard text != id else { return node.refuse("another role is expected") }
      node.notes.note(role: text, at: node.field)
      return text
    }
    return Set(roles ?? []).sorted()
  }

  private func refuseCircle(_ roles: [FleetRole], _ node: FleetNode) {
    let circle = FleetFamilies(roles).circle
    guard let first = circle.first, let at = roles.firstIndex(where: { $0.id == first }) else {
      return
    }
    let field = "roles[\(at)].parents"
    node.notes.note(
      "the role inherits from itself: \(circle.joined(separator: " from "))", at: field,
      node.notes.lines[field])
  }
}
