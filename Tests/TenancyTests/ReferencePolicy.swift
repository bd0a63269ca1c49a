import TenancyTestSupport

@testable import Tenancy

/// A tenant's policy as a list, asked by looking at all of it: slow, and easy to believe.
struct ReferencePolicy {
  var roles: [String: Role] = [:]
  var assignments: [String: RoleAssignment] = [:]

  /// What a question brings.
  struct Asked {
    var subject: String
    var permission: String
    var resource: String?
    var level: Double?
    var now: Timestamp

    var attributes: RequestAttributes {
      RequestAttributes(context: level.map { AttributeMap(["level": .number($0)], weight: 16) })
    }
  }

  enum Answer: Equatable { case allowed, denied, notAllowed }

  /// Conditions, and what they come to; nil: they fail.
  static let conditions: [(text: String, outcome: @Sendable (Asked) -> Bool?)] = [
    ("true", { _ in true }), ("false", { _ in false }),
    ("1 / 0 == 1", { _ in nil }),
    ("subject.id == 'user:1'", { $0.subject == "user:1" }),
    ("resource.id.startsWith('a')", { $0.resource.map { $0.hasPrefix("a") } }),
    ("context.level > 3", { $0.level.map { $0 > 3 } }),
    (
      "resource.type == 'docs' && action != 'write'",
      {
        $0.permission.hasPrefix("docs:") && !$0.permission.hasSuffix(":write")
      }
    ),
    ("now <= timestamp('2027-01-15T08:00:00Z')", { $0.now <= Sample.moment }),
  ]

  func role(_ id: String) -> Role? { roles[id] ?? BuiltInRoles.byID[id]?.role }

  /// A role's own list, and those of all that it inherits from.
  private func all(_ list: KeyPath<Role, [String]>, of id: String) -> [Permission] {
    guard let role = role(id) else { return [] }
    return role[keyPath: list].compactMap { Permission(parsing: $0) }
      + role.parents.flatMap { all(list, of: $0) }
  }

  private func held(by subject: String, at now: Timestamp) -> [RoleAssignment] {
    assignments.values.filter {
      $0.subject == subject && $0.expireTime.map { $0 > now } ?? true && role($0.role) != nil
    }
  }

  func answer(_ asked: Asked) -> Answer {
    var answer = Answer.notAllowed
    for assignment in held(by: asked.subject, at: asked.now) {
      let outcome =
        assignment.terms.condition.isEmpty
        ? true : Self.conditions.first { $0.text == assignment.terms.condition }?.outcome(asked)
      if matches(all(\.denials, of: assignment.role), asked.permission),
        meets(assignment.terms.scope.text, asked), outcome != false
      {
        return .denied
      }
      if matches(all(\.permissions, of: assignment.role), asked.permission),
        covers(assignment.terms.scope.text, asked), outcome == true
      {
        answer = .allowed
      }
    }
    return answer
  }

  /// Whether all of a permission, wildcards included, is given everywhere and always, and nothing of it denied.
  func holds(_ permission: Permission, _ subject: String, at now: Timestamp) -> Bool {
    let held = held(by: subject, at: now)
    let isDenied = held.contains { assignment in
      all(\.denials, of: assignment.role).contains { Self.haveCommon($0, permission) }
    }
    return !isDenied
      && held.contains { assignment in
        !assignment.terms.isQualified
          && closure(of: assignment.role).contains { id in
            PermissionSet((role(id)?.permissions ?? []).compactMap(Permission.init(parsing:)))
              .covers(permission)
          }
      }
  }

  private func closure(of id: String) -> [String] {
    [id] + (role(id)?.parents ?? []).flatMap { closure(of: $0) }
  }

  private func matches(_ list: [Permission], _ question: String) -> Bool {
    PermissionSet(list).grants(Sample.permission(question))
  }

  /// Whether some question is both. `*` stands for no type of this framework's own API.
  private static func haveCommon(_ one: Permission, _ other: Permission) -> Bool {
    let isSame =
      one.resource == other.resource || (one.resource == "*" && !other.isReserved)
      || (other.resource == "*" && !one.isReserved)
    return isSame
      && (one.action == other.action || one.action == "*" || other.action == "*")
  }

  private func covers(_ scope: String, _ asked: Asked) -> Bool {
    if scope.isEmpty { return true }
    let parts = scope.split(separator: "/", maxSplits: 1).map(String.init)
    guard asked.permission.hasPrefix(parts[0] + ":") else { return false }
    if parts.count == 1 { return true }
    guard let resource = asked.resource else { return false }
    return parts[1].hasSuffix("/*")
      ? resource.hasPrefix(String(parts[1].dropLast())) && resource != parts[1].dropLast(1)
      : resource == parts[1]
  }

  private func meets(_ scope: String, _ asked: Asked) -> Bool {
    var everything = asked
    if asked.resource == nil {
      let path = scope.split(separator: "/", maxSplits: 1).dropFirst().first ?? "x"
      everything.resource = path.hasSuffix("/*") ? path.dropLast(1) + "x" : String(path)
    }
    return covers(scope, everything)
  }
}
