import TenancyConditions

/// What one subject holds in one tenant.
struct Holdings: Sendable {
  /// A role that is held until a moment.
  private struct Ending: Sendable {
    let end: Timestamp
    let role: Int
  }

  /// A role that is held of some resources only, or under a condition.
  private struct Qualified: Sendable {
    let role: Int
    let assignment: RoleAssignment
  }

  /// In order of their ids.
  private(set) var assignments: [RoleAssignment] = []
  /// The same in order of their roles, then of their ids. For one assignment it is the same array.
  private var byRole: [RoleAssignment] = []
  /// Roles that are held without an end.
  private var lasting = RoleSet()
  /// Those that end latest come first, so that those that have ended need not be looked at.
  private var ending: [Ending] = []
  /// Those that are qualified, in the order of their ids.
  private var qualified: [Qualified] = []

  /// How long a stream goes on before conditions are evaluated anew: they can tell the time.
  private static let conditionPause = Duration.seconds(10)

  /// What is held as a word, where it is the first 63 roles at most, of all resources and always; nil: there is more to
  /// look at.
  var word: UInt64? { ending.isEmpty && qualified.isEmpty ? lasting.word : nil }

  // MARK: Questions

  /// One of `roles`, or one that inherits from one, which is held at `now` of all resources and always.
  @inline(__always)
  func first(
    of roles: RoleSet, _ family: borrowing RoleFamily, at now: Timestamp,
    _ budget: inout WorkBudget
  ) -> Int? {
    budget.visit(min(lasting.words, roles.words))
    if roles.isEmpty { return nil }
    if let role = family.first(lasting, of: roles, &budget) { return role }
    for held in ending {
      guard held.end > now else { return nil }
      budget.visit()
      if family.isOne(held.role, of: roles) { return held.role }
    }
    return nil
  }

  /// All roles that are held at `now`.
  /// - Parameter isAll: those, too, that are held of some resources only, or under a condition.
  func roles(at now: Timestamp, qualified isAll: Bool = true) -> RoleSet {
    var roles = lasting
    for held in ending {
      guard held.end > now else { break }
      roles.insert(held.role)
    }
    for held in qualified
    where isAll && held.assignment.expireTime.map({ $0 > now }) ?? true {
      roles.insert(held.role)
    }
    return roles
  }

  /// One of `roles` that allows, and that is held where it is asked.
  @inline(__always)
  func allowing(
    _ roles: RoleSet, _ family: borrowing RoleFamily, _ question: borrowing Question,
    _ attributes: inout RequestAttributes, _ budget: inout WorkBudget
  ) -> Int? {
    if let role = first(of: roles, family, at: question.now, &budget) { return role }
    if qualified.isEmpty || roles.isEmpty { return nil }
    return firstQualified(of: roles, family, question, for: .allow, &attributes, &budget)
  }

  /// One of `roles` that denies, and that is held of anything that is asked about.
  func denying(
    _ roles: RoleSet, _ family: borrowing RoleFamily, _ question: borrowing Question,
    _ attributes: inout RequestAttributes, _ budget: inout WorkBudget
  ) -> Int? {
    if let role = first(of: roles, family, at: question.now, &budget) { return role }
    if qualified.isEmpty || roles.isEmpty { return nil }
    return firstQualified(of: roles, family, question, for: .deny, &attributes, &budget)
  }

  private func firstQualified(
    of roles: RoleSet, _ family: borrowing RoleFamily, _ question: borrowing Question,
    for effect: ConditionOutcome.Effect, _ attributes: inout RequestAttributes,
    _ budget: inout WorkBudget
  ) -> Int? {
    for held in qualified {
      guard !budget.isSpent else {
        attributes.cutShort()
        return effect == .deny ? held.role : nil
      }
      budget.visit()
      guard family.isOne(held.role, of: roles),
        held.assignment.expireTime.map({ $0 > question.now }) ?? true
      else { continue }
      if let scope = held.assignment.terms.scope {
        guard effect == .allow ? scope.covers(question) : scope.meets(question) else { continue }
      }
      if held.assignment.terms.condition.isEmpty { return held.role }
      guard let condition = held.assignment.condition else {
        // It was never compiled, so that it fails.
        if effect == .deny { return held.role }
        continue
      }
      if condition.applies(to: effect, question, &attributes, &budget) { return held.role }
    }
    return nil
  }

  /// One of `roles`, or one that inherits from one, which is held at `now` of any resource and at any time.
  func anywhere(
    _ roles: RoleSet, _ family: borrowing RoleFamily, at now: Timestamp,
    _ budget: inout WorkBudget
  ) -> Int? {
    if let role = first(of: roles, family, at: now, &budget) { return role }
    if roles.isEmpty { return nil }
    budget.visit(qualified.count)
    return qualified.first { held in
      family.isOne(held.role, of: roles) && held.assignment.expireTime.map { $0 > now } ?? true
    }?.role
  }

  /// When the roles that are held at `now` may be others; nil: they stay by themselves.
  func nextEnd(after now: Timestamp) -> Timestamp? {
    let ended = ending.firstIndexAfterAll { $0.end > now }
    var next = ended > 0 ? ending[ended - 1].end : nil
    for held in qualified {
      var ends = [held.assignment.expireTime].compactMap { $0 }
      if !held.assignment.terms.condition.isEmpty { ends.append(now + Self.conditionPause) }
      guard let end = ends.min(), end > now else { continue }
      next = min(next ?? end, end)
    }
    return next
  }

  /// How many there are under a condition, and of some resources only.
  var qualifiedCounts: (conditions: Int, scopes: Int) {
    (
      qualified.count { !$0.assignment.terms.condition.isEmpty },
      qualified.count { $0.assignment.terms.scope != nil }
    )
  }

  // MARK: Lists

  /// Those behind that of `id`.
  func assignments(after id: String) -> Cursor<RoleAssignment> {
    Cursor(assignments[assignments.firstIndexAfterAll { $0.id <= id }...])
  }

  /// Those of one role, in order of their ids, behind that of `id`.
  func assignments(ofRole role: String, after id: String) -> Cursor<RoleAssignment> {
    let start = byRole.firstIndexAfterAll { $0.role == role ? $0.id <= id : $0.role < role }
    let end = byRole.firstIndexAfterAll { $0.role <= role }
    return Cursor(byRole[start..<max(start, end)])
  }

  /// - Parameter role: the number of the assignment's role; nil where there is no such role.
  mutating func insert(_ assignment: RoleAssignment, role: Int?) {
    if assignments.isEmpty {
      assignments = [assignment]
      byRole = assignments
    } else {
      assignments.insert(
        assignment, at: assignments.firstIndexAfterAll { $0.id < assignment.id })
      byRole.insert(
        assignment, at: byRole.firstIndexAfterAll { Self.isInOrder($0, assignment) })
    }
    if let role { hold(assignment, role) }
  }

  /// - Parameter number: the numbers of roles, as they are now.
  mutating func remove(id: String, _ number: (String) -> Int?) {
    assignments.removeAll { $0.id == id }
    if assignments.count > 1 {
      byRole.removeAll { $0.id == id }
    } else {
      byRole = assignments
    }
    renumber(number)
  }

  private static func isInOrder(_ a: RoleAssignment, _ b: RoleAssignment) -> Bool {
    a.role == b.role ? a.id < b.id : a.role < b.role
  }

  /// Roles have come or gone.
  mutating func renumber(_ number: (String) -> Int?) {
    lasting = RoleSet()
    ending = []
    qualified = []
    for assignment in assignments {
      if let role = number(assignment.role) { hold(assignment, role) }
    }
  }

  private mutating func hold(_ assignment: RoleAssignment, _ role: Int) {
    if assignment.terms.isQualified {
      let at = qualified.firstIndexAfterAll { $0.assignment.id < assignment.id }
      qualified.insert(Qualified(role: role, assignment: assignment), at: at)
      return
    }
    guard let end = assignment.expireTime else {
      lasting.insert(role)
      return
    }
    let at = ending.firstIndexAfterAll { $0.end >= end }
    ending.insert(Ending(end: end, role: role), at: at)
  }
}
