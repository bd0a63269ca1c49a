/// The roles, assignments and groups of one tenant, with an order or an index for each way to ask for them.
struct PolicyContent: Sendable {
  typealias CompiledRole = TenantPolicy.CompiledRole

  /// What subjects hold by themselves, where it is a word; `.max` where there is more to look at, groups too. A subject
  /// that is not here holds nothing.
  private(set) var held = WordTable()
  /// What roles grant, built-in ones left out.
  private(set) var grants = GrantIndex()
  private(set) var family = RoleFamily()
  /// What roles deny.
  private(set) var denials = DenialIndex()

  /// By id, all.
  private(set) var roles = BuiltInRoles.tree
  /// By number, all.
  private var numbered = NumberTable(BuiltInRoles.all)
  private(set) var exclusions = RoleExclusions()
  /// Conditions by their texts, and how many assignments have them.
  fileprivate var conditions = ByteTable<ConditionUse>()
  fileprivate(set) var conditionCount = 0

  private(set) var assignments = OrderedTree<RoleAssignment>()
  /// By subject.
  private(set) var holdings = ByteTable<Holdings>()
  /// By role.
  private(set) var holders = ByteTable<OrderedTree<RoleAssignment>>()
  /// Groups, and who is in them.
  private(set) var groups = GroupIndex()
  /// Those of the groups that are assigned roles.
  private(set) var holdingGroups = RoleSet()

  // MARK: Questions

  /// Whether there is nothing but roles that grant exact permissions: no wildcards, denials or parents. So it is in
  /// most tenants.
  var isPlain: Bool { grants.isExact && denials.isEmpty && family.isEmpty }

  /// - Parameter word: of the subject (`held`).
  func decide(
    _ question: borrowing Question, holding word: UInt64, _ attributes: inout RequestAttributes,
    _ budget: inout WorkBudget
  ) -> Decision {
    if word != .max, !Permission.isReserved(question.permission),
      let denying = denials.word(denying: question.permission, colon: question.colon),
      let allowing = grants.word(granting: question.permission, colon: question.colon)
    {
      budget.visit()
      let roles = RoleSet(word: word)
      if let role = family.first(roles, of: RoleSet(word: denying), &budget) {
        return .denied(role: role)
      }
      return family.first(roles, of: RoleSet(word: allowing), &budget).map { .allowed(role: $0) }
        ?? .notAllowed
    }
    return decideAnything(question, &attributes, &budget)
  }

  /// The same for subjects, roles and permissions that are no words.
  private func decideAnything(
    _ question: borrowing Question, _ attributes: inout RequestAttributes,
    _ budget: inout WorkBudget
  ) -> Decision {
    let held = holdings.find(question.subject)
    let groups = heldGroups(of: question.subject, at: question.now, &budget)
    if held == nil, groups.isEmpty { return .notAllowed }
    if !denials.isEmpty {
      let denying = rolesDenying(question)
      let role =
        held?.denying(denying, family, question, &attributes, &budget)
        ?? first(in: groups, &budget) { group, budget in
          group.denying(denying, family, question, &attributes, &budget)
        }
      if let role { return .denied(role: role) }
    }
    let allowing = rolesAllowing(question)
    let role =
      held?.allowing(allowing, family, question, &attributes, &budget)
      ?? first(in: groups, &budget) { group, budget in
        group.allowing(allowing, family, question, &attributes, &budget)
      }
    return role.map { .allowed(role: $0) } ?? .notAllowed
  }

  /// Those that name what is asked among what they deny.
  @inline(__always)
  func rolesDenying(_ question: borrowing Question) -> RoleSet {
    denials.roles(denying: question.permission, colon: question.colon)
  }

  /// Those that name what is asked among what they allow.
  @inline(__always)
  func rolesAllowing(_ question: borrowing Question) -> RoleSet {
    let (permission, colon) = (question.permission, question.colon)
    var roles = grants.roles(granting: permission, colon: colon)
    if Permission.isReserved(permission) {
      roles.formUnion(BuiltInRoles.grants.roles(granting: permission, colon: colon))
    }
    return roles
  }

  var denies: Bool { !denials.isEmpty }

  func nextEnd(of subject: String, after now: Timestamp) -> Timestamp? {
    let own = holdings[subject]?.nextEnd(after: now)
    return [own, nextEnd(inGroupsOf: subject, after: now)].compactMap(\.self).min()
  }

  func role(_ id: String) -> CompiledRole? { roles.find(id) }

  func role(number: Int) -> CompiledRole? { numbered.find(number) }

  func assignment(_ id: String) -> RoleAssignment? { assignments.find(id) }

  /// Nodes that are not shared with `other`: for tests, which hold changes to what they touch.
  func unsharedNodes(with other: Self) -> Int {
    held.unsharedNodes(with: other.held) + roles.unsharedNodes(with: other.roles)
      + grants.unsharedNodes(with: other.grants)
      + assignments.unsharedNodes(with: other.assignments)
      + holdings.unshared(with: other.holdings).nodes
      + holders.unshared(with: other.holders).nodes + groups.unsharedNodes(with: other.groups)
      + holders.entries.reduce(0) { sum, held in
        sum + held.value.unsharedNodes(with: other.holders[held.key] ?? OrderedTree())
      }
  }

  // MARK: Roles

  mutating func put(_ role: Role) {
    let former = self.role(role.id)
    let compiled = CompiledRole(role, number: former?.number ?? numbered.free)
    grants.edit(from: former?.role.permissions ?? [], to: role.permissions, of: compiled.number)
    denials.edit(from: former?.role.denials ?? [], to: role.denials, of: compiled.number)
    numbered.put(compiled)
    roles.put(compiled)
    changeFamily(of: compiled, from: former?.role.parents ?? [], isNew: former == nil)
    let all = roles
    exclusions.edit(
      role.id, number: compiled.number, from: former?.role.exclusions ?? [], to: role.exclusions,
      isNew: former == nil
    ) { all.find($0)?.number }
    if former == nil { renumberHolders(of: role.id) }
  }

  private mutating func changeFamily(
    of role: CompiledRole, from former: [String], to parents: [String]? = nil, isNew: Bool
  ) {
    let numbered = numbered
    family.change(
      role.role.id, number: role.number, from: former, to: parents ?? role.role.parents,
      isNew: isNew, roles
    ) { numbered.find($0) }
  }

  mutating func deleteRole(_ id: String) {
    guard let former = role(id), !former.isBuiltIn else { return }
    roles.remove(id)
    grants.edit(from: former.role.permissions, to: [], of: former.number)
    denials.edit(from: former.role.denials, to: [], of: former.number)
    numbered.remove(former.number)
    changeFamily(of: former, from: former.role.parents, to: [], isNew: true)
    let all = roles
    exclusions.edit(
      id, number: former.number, from: former.role.exclusions, to: nil, isNew: false
    ) { all.find($0)?.number }
    renumberHolders(of: id)
  }

  /// Roles come before their assignments and go after them, but a log need not say so.
  private mutating func renumberHolders(of id: String) {
    guard let held = holders[id] else { return }
    let roles = roles
    var subjects = Set<String>()
    var (list, budget) = (held.cursor(), WorkBudget.uncapped)
    while let assignment = list.next(&budget) { subjects.insert(assignment.holder) }
    for subject in subjects {
      holdings.update(subject, default: Holdings()) { held in
        held.renumber { roles.find($0)?.number }
        return false
      }
      noteHeld(by: subject)
    }
  }

  // MARK: Assignments

  mutating func put(_ assignment: RoleAssignment) {
    deleteAssignment(assignment.id)
    let assignment = assignment.compiled(use(assignment.terms.condition))
    assignments.put(assignment)
    holders.update(assignment.role, default: OrderedTree()) { held in
      held.put(assignment)
      return false
    }
    let number = role(assignment.role)?.number
    holdings.update(assignment.holder, default: Holdings()) { held in
      held.insert(assignment, role: number)
      return false
    }
    noteHoldings(of: assignment.holder)
  }

  mutating func deleteAssignment(_ id: String) {
    guard let former = assignments.remove(id) else { return }
    leave(former.terms.condition)
    holders.update(former.role, default: OrderedTree()) { held in
      held.remove(id)
      return held.isEmpty
    }
    let roles = roles
    holdings.update(former.holder, default: Holdings()) { held in
      held.remove(id: id) { roles.find($0)?.number }
      return held.assignments.isEmpty
    }
    noteHoldings(of: former.holder)
  }

  // MARK: Groups

  /// What a subject, or a group, holds has changed.
  private mutating func noteHoldings(of holder: String) {
    noteHeld(by: holder)
    guard let id = SubjectGroup.id(in: holder), let number = groups.number(id) else { return }
    if holdings[holder] == nil {
      holdingGroups.remove(number)
    } else {
      holdingGroups.insert(number)
    }
  }

  private mutating func noteHeld(by holder: String) {
    let isMember = groups.memberships[holder] != nil
    let holdings = holdings[holder]
    held.set(holder, isMember ? .max : holdings.map { $0.word ?? .max })
  }

  mutating func put(_ group: SubjectGroup) {
    groups.put(group)
    noteHoldings(of: group.subject)
  }

  mutating func put(_ member: GroupMember) {
    deleteGroupMember(member.id)
    groups.put(member)
    noteHeld(by: member.holder)
  }

  mutating func deleteGroupMember(_ id: String) {
    guard let member = groups.members.find(id) else { return }
    groups.deleteMember(id)
    noteHeld(by: member.holder)
  }

  /// After changes of groups and members, and before anybody asks.
  mutating func settleGroups() { groups.settle() }

  mutating func deleteGroup(_ id: String) {
    if let number = groups.number(id) { holdingGroups.remove(number) }
    groups.delete(id)
  }
}

/// A condition, and how many assignments have it.
private struct ConditionUse: Sendable {
  let condition: CompiledCondition
  var count = 0
}

extension PolicyContent {
  /// The condition of this text, compiled if nobody has it yet.
  private mutating func use(_ text: String) -> CompiledCondition? {
    if text.isEmpty { return nil }
    var use = conditions[text] ?? ConditionUse(condition: CompiledCondition(text))
    if use.count == 0 { conditionCount += 1 }
    use.count += 1
    conditions[text] = use
    return use.condition
  }

  private mutating func leave(_ text: String) {
    guard !text.isEmpty, var use = conditions[text] else { return }
    use.count -= 1
    conditions[text] = use.count > 0 ? use : nil
    if use.count == 0 { conditionCount -= 1 }
  }

  /// Whether a condition of this text is there.
  func hasCondition(_ text: String) -> Bool { conditions[text] != nil }
}
