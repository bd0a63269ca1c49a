/// A tenant's policy that no server has: judged by the rules of one, as far as they need no server, and asked as one.
///
/// Subjects are held by the names that they have here: those of workloads are not looked up.
package struct PolicyDraft: Sendable {
  /// What a problem is about, by its place in what the draft was made of.
  package enum Part: Sendable, Equatable {
    case whole
    case role(Int)
    case group(Int)
    case member(Int)
    case assignment(Int)
  }

  /// What a server would refuse.
  package struct Problem: Sendable, Equatable {
    package let part: Part
    /// As in the API's request; empty: the part as a whole.
    package let field: String
    package let text: String
  }

  /// As in an explanation that a server gives.
  private static let maximumVisits = 100_000

  private let roles: [Role]
  private let groups: [SubjectGroup]
  private let members: [GroupMember]
  private let assignments: [RoleAssignment]
  private let policy: TenantPolicy

  /// - Precondition: no role inherits from itself, and no group contains itself.
  package init(
    roles: [Role], groups: [SubjectGroup], members: [GroupMember], assignments: [RoleAssignment]
  ) {
    (self.groups, self.members, self.assignments) = (groups, members, assignments)
    self.roles = roles.map { role in
      var role = role
      role.sort()
      return role
    }
    var policy = TenantPolicy()
    for role in self.roles { policy.put(role) }
    for group in groups { policy.put(group) }
    for member in members { policy.put(member) }
    policy.settle()
    for assignment in assignments { policy.put(assignment) }
    self.policy = policy
  }

  // MARK: Questions

  /// What the policy answers, and why.
  /// - Parameter resource: empty: about all of the permission's resources.
  /// - Returns: nil where no server would answer: for what is no permission without wildcards, or no resource.
  package func explain(
    subject: String, permission: String, resource: String = "",
    _ attributes: RequestAttributes = RequestAttributes(), at now: Timestamp
  ) -> DecisionExplanation? {
    let (asked, path) = unsafe (permission.utf8Span.span.bytes, resource.utf8Span.span.bytes)
    guard let colon = Permission.colon(in: asked), RoleCommands.isSubject(subject),
      resource.isEmpty || ResourceScope.isPath(path)
    else { return nil }
    var (attributes, budget) = (attributes, WorkBudget(visits: Self.maximumVisits))
    let question = unsafe Question(
      subject: subject.utf8Span.span.bytes, permission: asked, colon: colon, resource: path,
      now: now)
    return policy.explain(question, &attributes, &budget)
  }

  /// The id of the role that a decision of this draft is due to; nil: to none.
  package func role(deciding decision: Decision) -> String? {
    switch decision {
    case .allowed(let role), .denied(let role): policy.role(number: role)?.role.id
    case .notAllowed: nil
    }
  }

  // MARK: Rules

  /// All that a server would refuse of it at a moment, but for what only a server knows: who the caller is, and which
  /// workloads are the tenant's.
  package func problems(at now: Timestamp) -> [Problem] {
    var found: [Problem] = []
    func note(_ part: Part, _ field: String, _ text: String) {
      found.append(Problem(part: part, field: field, text: text))
    }
    func note(_ part: Part, _ error: TenancyError) {
      if error.violations.isEmpty { note(part, "", error.message) }
      for violation in error.violations { note(part, violation.field, violation.description) }
    }
    for (what, count, limit) in [
      ("roles", roles.count, RoleCommands.maximumRoles),
      ("groups", groups.count, GroupCommands.maximumGroups),
      ("members of groups", members.count, GroupCommands.maximumMembers),
      ("assignments", assignments.count, RoleCommands.maximumAssignments),
      ("conditions", policy.conditionCount, PolicyConditions.maximumPerTenant),
    ] where count > limit {
      note(.whole, "", "\(count) \(what), which are at most \(limit)")
    }
    for (at, role) in roles.enumerated() {
      if RoleCommands.isBuiltIn(role: role.id) {
        note(.role(at), "role_id", "every tenant has the role '\(role.id)': it is built in")
        continue
      }
      var checks = FieldChecks()
      RoleRules.checkForm(of: role, since: nil, &checks)
      if !checks.passed { note(.role(at), checks.failure) }
      if let error = familyProblem(role, now) { note(.role(at), error) }
    }
    for (at, group) in groups.enumerated() {
      if !group.title.hasAtMost(characters: GroupCommands.maximumTitleLength) {
        note(.group(at), "group.title", "at most \(GroupCommands.maximumTitleLength) characters")
      }
      if !group.summary.hasAtMost(characters: GroupCommands.maximumDescriptionLength) {
        note(
          .group(at), "group.description",
          "at most \(GroupCommands.maximumDescriptionLength) characters")
      }
    }
    for (at, member) in members.enumerated() {
      for text in memberProblems(member) { note(.member(at), "", text) }
    }
    for (at, assignment) in assignments.enumerated() {
      if let text = subjectProblem(assignment.subject) {
        note(.assignment(at), "assignment.subject", text)
      }
      if policy.role(assignment.role) == nil {
        note(.assignment(at), "assignment.role", "there is no role '\(assignment.role)'")
      }
      var checks = FieldChecks()
      AssignmentRules.check(assignment.terms, policy, &checks)
      if !checks.passed { note(.assignment(at), checks.failure) }
    }
    found += crowded()
    return found
  }

  private func familyProblem(_ role: Role, _ now: Timestamp) -> TenancyError? {
    let rules = RoleRules(policy)
    do throws(TenancyError) {
      try rules.checkFamily(of: role, since: nil)
      guard !role.parents.isEmpty || !role.exclusions.isEmpty else { return nil }
      var looks = WorkBudget(visits: RoleRules.maximumLooks)
      try rules.checkHeirs(of: role, since: nil, at: now, &looks)
      return nil
    } catch {
      return error
    }
  }

  private func subjectProblem(_ subject: String) -> String? {
    guard RoleCommands.isSubject(subject) else {
      return "1 to \(RoleCommands.maximumSubjectBytes) bytes without control characters or spaces"
    }
    guard SubjectGroup.isGroup(subject) else { return nil }
    guard let id = SubjectGroup.id(in: subject), SubjectGroup.isID(id) else {
      return "begins like a group, and can be none: group:{group id}"
    }
    return nil
  }

  private func memberProblems(_ member: GroupMember) -> [String] {
    if let text = subjectProblem(member.member) { return [text] }
    // Assignments may be there before the group is.
    if let id = SubjectGroup.id(in: member.member), policy.group(id) == nil {
      return ["there is no group '\(id)'"]
    }
    var found: [String] = []
    let isGroup = SubjectGroup.isGroup(member.member)
    let most = isGroup ? GroupCommands.maximumParents : GroupCommands.maximumMemberships
    if policy.membershipCount(of: member.member) > most {
      found.append("'\(member.member)' is in more than \(most) groups")
    }
    let groups = policy.content.groups
    guard isGroup, let inner = SubjectGroup.id(in: member.member).flatMap({ groups.number($0) }),
      let outer = groups.number(member.group)
    else { return found }
    if member.expireTime != nil {
      found.append("of a group's membership in another there is no end")
    }
    let limit = GroupCommands.maximumDepth + 1
    let depth =
      groups.depth(of: outer, through: groups.parents, limit: limit)
      + groups.depth(of: inner, through: groups.children, limit: limit)
    if depth > GroupCommands.maximumDepth {
      found.append("groups would be in each other more than \(GroupCommands.maximumDepth) deep")
    }
    return found
  }

  /// Subjects with more conditions or resources than one may have; each where it is named first.
  private func crowded() -> [Problem] {
    var seen: Set<String> = []
    var found: [Problem] = []
    for (at, assignment) in assignments.enumerated() where seen.insert(assignment.subject).inserted
    {
      guard let counts = policy.holdings(of: assignment.subject)?.qualifiedCounts else { continue }
      for (what, count, limit) in [
        ("under conditions", counts.conditions, PolicyConditions.maximumPerSubject),
        ("of some resources only", counts.scopes, AssignmentRules.maximumScopesPerSubject),
      ] where count > limit {
        found.append(
          Problem(
            part: .assignment(at), field: "assignment.subject",
            text: "'\(assignment.subject)' has \(count) roles \(what); at most \(limit)"))
      }
    }
    return found
  }
}
