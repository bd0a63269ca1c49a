import TenancyWire

/// Lines with what belongs to them below.
struct TextTree {
  let text: String
  var branches: [TextTree] = []

  init(_ text: String, _ branches: [TextTree] = []) {
    self.text = text
    self.branches = branches
  }

  func lines() -> [String] {
    var lines = [Printable.text(text)]
    for (index, branch) in branches.enumerated() {
      let isLast = index == branches.count - 1
      for (number, line) in branch.lines().enumerated() {
        lines.append((number == 0 ? (isLast ? "└─ " : "├─ ") : (isLast ? "   " : "│  ")) + line)
      }
    }
    return lines
  }
}

extension V1.ExplainResponse: Presentable {
  func lines() -> [String] {
    var tree = TextTree(answer?.lines().joined() ?? "", steps.map(\.tree))
    if !missingRoles.isEmpty {
      tree.branches.append(
        TextTree("roles that would allow it", missingRoles.map { TextTree($0) }))
    }
    if truncated { tree.branches.append(TextTree("and more that is not told")) }
    return tree.lines()
  }
}

extension V1.DecisionStep {
  fileprivate var tree: TextTree {
    var branches: [TextTree] = []
    if let assignment {
      branches.append(TextTree("\(assignment.subject) is assigned \(assignment.terms)"))
    }
    branches.append(
      TextTree("\(rolePath.joined(separator: " > ")) \(denies ? "denies" : "allows") \(permission)")
    )
    if let condition = assignment?.condition, !condition.isEmpty {
      branches.append(TextTree("if \(condition)", conditionParts.map(\.tree)))
    }
    return TextTree("\(denies ? "denies" : "allows"): \(outcome.text)", branches)
  }
}

extension V1.StepOutcome {
  fileprivate var text: String {
    switch self {
    case .applies: "applies"
    case .conditionUnsatisfied: "its condition does not hold"
    case .conditionFailed: "its condition could not be evaluated"
    case .otherResource: "of other resources"
    case .expired: "has ended"
    default: shortName
    }
  }
}

extension V1.ConditionPart {
  fileprivate var tree: TextTree {
    switch outcome {
    case .satisfied: TextTree("holds: \(text)")
    case .unsatisfied: TextTree("does not hold: \(text)")
    case .failed: TextTree("failed, \(failure): \(text)")
    default: TextTree(text)
    }
  }
}

extension V1.RoleAssignment {
  /// Which role, of what and until when.
  fileprivate var terms: String {
    var text = ResourceName.last(role)
    if !resource.isEmpty { text += " of \(resource)" }
    if let expireTime { text += " until \(expireTime.text)" }
    return text
  }
}

extension V1.ListPermissionsResponse: Presentable {
  func lines() -> [String] {
    var table = Table("PERMISSION", "EFFECT", "BY", "RESOURCE", "EXPIRES", "CONDITION")
    for held in permissions {
      func add(_ grant: V1.PermissionGrant, _ effect: String) {
        let assignment = grant.assignment ?? V1.RoleAssignment()
        let isElse = grant.permission != held.permission
        table.add(
          held.permission, isElse ? "\(effect) \(grant.permission)" : effect,
          "\(assignment.subject) as \(ResourceName.last(assignment.role))", assignment.resource,
          assignment.expireTime?.text ?? "",
          grant.conditional || assignment.condition.isEmpty
            ? assignment.condition : "holds: \(assignment.condition)")
      }
      for grant in held.grants { add(grant, "allows") }
      for denial in held.denials { add(denial, "denies") }
      if held.truncated { table.add(held.permission, "and more", "", "", "", "") }
    }
    return table.lines() + Paging.note(nextPageToken)
  }
}

extension V1.ListSubjectsResponse: Presentable {
  func lines() -> [String] {
    var table = Table("SUBJECT", "ROLE")
    for found in subjects { table.add(found.subject, found.role) }
    return table.lines() + Paging.note(nextPageToken)
  }
}

extension V1.ListResourcesResponse: Presentable {
  func lines() -> [String] {
    var table = Table("RESOURCE", "BY", "EXPIRES", "CONDITION", "EXCEPT")
    for found in resources {
      let assignment = found.assignment ?? V1.RoleAssignment()
      table.add(
        found.resource, "\(assignment.subject) as \(ResourceName.last(assignment.role))",
        assignment.expireTime?.text ?? "", found.conditional ? assignment.condition : "",
        found.exclusions.map { $0.conditional ? "\($0.resource) maybe" : $0.resource }
          .joined(separator: ", "))
    }
    return table.lines() + Paging.note(nextPageToken)
  }
}
