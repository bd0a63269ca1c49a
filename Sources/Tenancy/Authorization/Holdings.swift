/// What one subject holds in one tenant.
struct Holdings: Sendable {
  /// A role that is held until a moment.
  private struct Ending: Sendable {
    let end: Timestamp
    let role: Int
  }

  /// In order of their ids.
  private(set) var assignments: [RoleAssignment] = []
  /// The same in order of their roles, then of their ids. For one assignment it is the same array.
  private var byRole: [RoleAssignment] = []
  /// Roles that are held without an end.
  private var lasting = RoleSet()
  /// Those that end latest come first, so that those that have ended need not be looked at.
  private var ending: [Ending] = []

  /// One of `roles` that is held at `now`.
  func first(of roles: RoleSet, at now: Timestamp, _ budget: inout WorkBudget) -> Int? {
    budget.visit(min(lasting.words, roles.words))
    if roles.isEmpty { return nil }
    if let role = lasting.firstCommon(with: roles) { return role }
    for held in ending {
      guard held.end > now else { return nil }
      budget.visit()
      if roles.contains(held.role) { return held.role }
    }
    return nil
  }

  /// All roles that are held at `now`.
  func roles(at now: Timestamp) -> RoleSet {
    var roles = lasting
    for held in ending {
      guard held.end > now else { break }
      roles.insert(held.role)
    }
    return roles
  }

  /// When the next of the roles that are held at `now` ends; nil: none does.
  func nextEnd(after now: Timestamp) -> Timestamp? {
    let ended = ending.firstIndexAfterAll { $0.end > now }
    return ended > 0 ? ending[ended - 1].end : nil
  }

  /// Those behind that of `id`.
  func assignments(after id: String) -> Cursor<RoleAssignment> {
    Cursor(assignments[assignments.firstIndexAfterAll { $0.id <= id }...])
  }

  /// Those of one role, in order of their ids, behind that of `id`. Commands allow one.
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
    if let role { hold(role, until: assignment.expireTime) }
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
    for assignment in assignments {
      if let role = number(assignment.role) { hold(role, until: assignment.expireTime) }
    }
  }

  private mutating func hold(_ role: Int, until end: Timestamp?) {
    guard let end else {
      lasting.insert(role)
      return
    }
    let at = ending.firstIndexAfterAll { $0.end >= end }
    ending.insert(Ending(end: end, role: role), at: at)
  }
}
