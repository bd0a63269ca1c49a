/// Whom a policy allows something: first those that are assigned a role which allows it, then those that are in groups
/// which are. Each is looked at once, where it is first met, so that a page need not know those before it.
struct SubjectList {
  /// Where a page ends: behind an assignment of a role, or a member of a group.
  struct Place: Equatable {
    var isGroup = false
    /// The role's or the group's.
    var number = 0
    /// The id of the assignment or the membership.
    var after = ""

    init(isGroup: Bool = false, number: Int = 0, after: String = "") {
      (self.isGroup, self.number, self.after) = (isGroup, number, after)
    }

    /// In tokens of pages.
    var text: String { "\(isGroup ? "g" : "r").\(number).\(after)" }

    init?(parsing text: String) {
      let parts = text.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3, parts[0] == "r" || parts[0] == "g", let number = Int(parts[1]),
        (0..<(1 << 20)).contains(number)
      else { return nil }
      self.init(isGroup: parts[0] == "g", number: number, after: String(parts[2]))
    }
  }

  private let content: PolicyContent
  /// The roles that allow it, and those that inherit from one.
  private let roles: RoleSet
  private let allowing: RoleSet
  private let size: Int
  /// Whether a subject is in the list; nil: it is not. What it costs is charged there.
  private let judge: (String, inout WorkBudget) -> TenantPolicy.CompiledRole?
  private(set) var found: [(subject: String, role: TenantPolicy.CompiledRole)] = []
  /// Where the page ends; nil: it is the last.
  private(set) var end: Place?

  /// - Parameter allowing: those that name it among what they allow.
  init(
    _ content: PolicyContent, _ allowing: RoleSet, size: Int,
    _ judge: @escaping (String, inout WorkBudget) -> TenantPolicy.CompiledRole?
  ) {
    (self.content, self.allowing, self.size, self.judge) = (content, allowing, size, judge)
    var roles = allowing
    content.family.heirs.forEach { heir in
      if content.family.isOne(heir, of: allowing) { roles.insert(heir) }
    }
    self.roles = roles
  }

  /// Looks at one page's, from a place on.
  mutating func fill(from place: Place, _ budget: inout WorkBudget) {
    end = place
    if !place.isGroup {
      guard goThroughRoles(from: place, &budget) else { return }
    }
    guard goThroughGroups(from: place.isGroup ? place : Place(isGroup: true), &budget) else {
      return
    }
    end = nil
  }

  private func isFull(_ budget: WorkBudget) -> Bool {
    found.count >= size || budget.isSpent || budget.isFull
  }

  private mutating func consider(_ holder: String, _ budget: inout WorkBudget) {
    guard !SubjectGroup.isGroup(holder), let role = judge(holder, &budget) else { return }
    budget.answer(bytes: holder.utf8.count + role.role.id.utf8.count + WorkBudget.elementBytes)
    found.append((holder, role))
  }

  // MARK: Roles

  /// - Returns: whether there are no more.
  private mutating func goThroughRoles(from place: Place, _ budget: inout WorkBudget) -> Bool {
    var rest = roles
    while let number = rest.lowest {
      rest.remove(number)
      guard number >= place.number, let id = content.role(number: number)?.role.id,
        let holders = content.holders[id]
      else { continue }
      var list = holders.cursor(after: number == place.number ? place.after : nil)
      while !list.isAtEnd {
        guard !isFull(budget), let assignment = list.next(&budget) else { return false }
        end = Place(number: number, after: assignment.id)
        if isFirst(assignment, number, &budget) { consider(assignment.holder, &budget) }
      }
    }
    return true
  }

  /// Whether the subject is met here first: by none of its other assignments.
  private func isFirst(
    _ assignment: RoleAssignment, _ number: Int, _ budget: inout WorkBudget
  ) -> Bool {
    let all = content.holdings[assignment.holder]?.assignments ?? []
    if all.count == 1 { return true }
    budget.visit(all.count)
    return !all.contains { other in
      guard let role = content.role(other.role)?.number, roles.contains(role) else { return false }
      return (role, other.id) < (number, assignment.id)
    }
  }

  // MARK: Groups

  /// Those of which members, or members of members, may be allowed it. Whatever has ended counts, so that they are the
  /// same for every page.
  private func groups() -> RoleSet {
    // There are `GroupCommands.maximumGroups` at most; each page looks at them.
    var (found, budget) = (RoleSet(), WorkBudget.uncapped)
    content.holdingGroups.forEach { number in
      let holdings = content.groupHoldings(number)
      let always = Timestamp(nanoseconds: .min)
      if holdings?.anywhere(allowing, content.family, at: always, &budget) != nil {
        found.insert(number)
      }
    }
    return content.groups.within(found)
  }

  private mutating func goThroughGroups(from place: Place, _ budget: inout WorkBudget) -> Bool {
    if content.holdingGroups.isEmpty { return true }
    let groups = groups()
    var rest = groups
    while let number = rest.lowest {
      rest.remove(number)
      guard number >= place.number, let subject = content.groups.subject(number),
        let id = SubjectGroup.id(in: subject), let members = content.groups.membersOfGroup[id]
      else { continue }
      var list = members.cursor(after: number == place.number ? place.after : nil)
      while !list.isAtEnd {
        guard !isFull(budget), let member = list.next(&budget) else { return false }
        end = Place(isGroup: true, number: number, after: member.id)
        if isFirst(member, number, of: groups, &budget) { consider(member.holder, &budget) }
      }
    }
    return true
  }

  /// Whether the subject is met here first: by no assignment, and by none of its other memberships.
  private func isFirst(
    _ member: GroupMember, _ number: Int, of groups: RoleSet, _ budget: inout WorkBudget
  ) -> Bool {
    let assignments = content.holdings[member.holder]?.assignments ?? []
    let memberships = content.groups.memberships[member.holder]?.members ?? []
    budget.visit(assignments.count + memberships.count)
    let isMet = assignments.contains { assignment in
      content.role(assignment.role).map { roles.contains($0.number) } ?? false
    }
    return !isMet
      && !memberships.contains { other in
        guard let group = content.groups.number(other.group), groups.contains(group) else {
          return false
        }
        return (group, other.id) < (number, member.id)
      }
  }
}
