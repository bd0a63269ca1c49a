import Tenancy

/// Casbin's policies of roles with domains, as ours: lines `p, role, domain, object, action[, effect]` and
/// `g, user, role, domain`.
struct CasbinPolicies {
  /// By their domains.
  private(set) var policies: [String: PolicyFile] = [:]
  /// What has no counterpart.
  private(set) var problems: [FleetProblem] = []
  private let file: String
  private var given: [String: Set<[UInt8]>] = [:]

  private struct Line {
    let number: Int
    let fields: [String]

    var isPermission: Bool { fields.first == "p" && (5...6).contains(fields.count) }
    var isMembership: Bool { fields.first == "g" && fields.count == 4 }
  }

  init(_ text: String, file: String) {
    self.file = file
    let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
      .enumerated().compactMap { at, text -> Line? in
        let fields = text.split(separator: ",", omittingEmptySubsequences: false).map { field in
          field.trimmed
        }
        if fields.count == 1, fields.first?.isEmpty ?? true { return nil }
        return fields.first?.hasPrefix("#") ?? true ? nil : Line(number: at + 1, fields: fields)
      }
    // Whoever is given permissions, or somebody has, is a role of the domain.
    var roles: [String: Set<String>] = [:]
    for line in lines {
      // In range: as the form says.
      if line.isPermission {
        roles[line.fields[2], default: []].insert(line.fields[1])
      } else if line.isMembership {
        roles[line.fields[3], default: []].insert(line.fields[2])
      }
    }
    for line in lines {
      if line.isPermission {
        permit(line)
      } else if line.isMembership {
        give(line, roles[line.fields[3]] ?? [])
      } else {
        note(line, "p, role, domain, object, action[, effect] or g, user, role, domain is expected")
      }
    }
  }

  private mutating func note(_ line: Line, _ text: String) {
    problems.append(FleetProblem(file: file, line: line.number, field: "", text: text))
  }

  /// Changes a role of a domain, which is made if it is not there.
  /// - Returns: false for what can be none: that is noted.
  private mutating func edit(
    _ id: String, of domain: String, _ line: Line, _ change: (inout FleetRole) -> Void
  ) -> Bool {
    guard RoleCommands.isRoleID(id), !RoleCommands.isBuiltIn(role: id) else {
      note(
        line,
        "'\(id)' can't be the id of a role: 1 to 63 of a-z, 0-9 and '-', starting with a letter, and none that is built in"
      )
      return false
    }
    let roles = policies[domain]?.roles
    let at = roles?.firstIndex { $0.id == id } ?? roles?.count ?? 0
    if at == roles?.count ?? 0 {
      policies[domain, default: PolicyFile()].roles.append(FleetRole(id: id))
    }
    // In range: it was put there, if it was not.
    change(&policies[domain, default: PolicyFile()].roles[at])
    return true
  }

  /// Domains name files and tenants: a pattern is neither.
  private mutating func isDomain(_ domain: String, _ line: Line) -> Bool {
    if Slug(parsing: domain) != nil { return true }
    note(line, "'\(domain)' can't be a tenant's slug")
    return false
  }

  private mutating func permit(_ line: Line) {
    let fields = line.fields  // In range: of five or six.
    guard isDomain(fields[2], line) else { return }
    let permission = "\(fields[3]):\(fields[4])"
    guard Permission(parsing: permission) != nil else {
      return note(line, "'\(permission)' is not resource:action, of a-z, 0-9, '_', '-' and '.'")
    }
    let effect = fields.count == 6 ? fields[5] : "allow"
    guard ["allow", "deny"].contains(effect) else {
      return note(line, "'\(effect)' is neither allow nor deny")
    }
    _ = edit(fields[1], of: fields[2], line) { role in
      if effect == "allow" {
        role.permissions = Set(role.permissions + [permission]).sorted()
      } else {
        role.deniedPermissions = Set(role.deniedPermissions + [permission]).sorted()
      }
    }
  }

  private mutating func give(_ line: Line, _ roles: Set<String>) {
    // In range: of four.
    let (user, role, domain) = (line.fields[1], line.fields[2], line.fields[3])
    guard isDomain(domain, line), edit(role, of: domain, line, { _ in }) else { return }
    if roles.contains(user) {
      _ = edit(user, of: domain, line) { $0.parents = Set($0.parents + [role]).sorted() }
    } else if !RoleCommands.isSubject(user) || SubjectGroup.isGroup(user) {
      note(line, "'\(user)' can't be a subject")
    } else {
      let assignment = FleetAssignment(subject: user, role: role)
      guard given[domain, default: []].insert(assignment.key).inserted else { return }
      policies[domain]?.assignments.append(assignment)
    }
  }
}

extension Substring {
  /// Without spaces and tabs around it.
  fileprivate var trimmed: String {
    func isBlank(_ character: Character) -> Bool { character == " " || character == "\t" }
    let rest = drop(while: isBlank)
    return String(rest.reversed().drop(while: isBlank).reversed())
  }
}
