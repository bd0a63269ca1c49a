/// The roles, assignments and groups of one tenant, with an order or an index for each way to ask for them.
struct PolicyContent: Sendable {
  typealias CompiledRole = TenantPolicy.CompiledRole

  /// By id, all.
  private(set) var roles = BuiltInRoles.tree
  /// By number, all.
  private var numbered = NumberTable(BuiltInRoles.all)
  /// What roles grant, built-in ones left out.
  private var grants = GrantIndex()

  private(set) var assignments = OrderedTree<RoleAssignment>()
  /// By subject.
  private(set) var holdings = ByteTable<Holdings>()
  /// By role.
  private(set) var holders = ByteTable<OrderedTree<RoleAssignment>>()
  /// Groups, and who is in them.
  var groups = GroupIndex()
  /// Those of the groups that are assigned roles.
  private(set) var holdingGroups = RoleSet()

  // MARK: Questions

  func grantingRole(
    subject: RawSpan, question: RawSpan, colon: Int, now: Timestamp, _ budget: inout WorkBudget
  ) -> CompiledRole? {
    let held = holdings.find(subject)
    if held == nil, groups.memberships.isEmpty { return nil }
    var granting = grants.roles(granting: question, colon: colon)
    if Permission.isReserved(question) {
      granting.formUnion(BuiltInRoles.grants.roles(granting: question, colon: colon))
    }
    let role =
      held?.first(of: granting, at: now, &budget)
      ?? first(of: granting, inGroupsOf: subject, at: now, &budget)
    return role.flatMap { numbered.find($0) }
  }

  func nextEnd(of subject: String, after now: Timestamp) -> Timestamp? {
    let own = holdings[subject]?.nextEnd(after: now)
    return [own, nextEnd(inGroupsOf: subject, after: now)].compactMap(\.self).min()
  }

  func holds(
    _ permission: Permission, subject: String, now: Timestamp, _ budget: inout WorkBudget
  ) -> Bool {
    let held = holdings[subject]
    if held == nil, groups.memberships.isEmpty { return false }
    var covering = grants.roles(covering: permission)
    covering.formUnion(BuiltInRoles.grants.roles(covering: permission))
    if held?.first(of: covering, at: now, &budget) != nil { return true }
    let holder = unsafe subject.utf8Span.span.bytes
    return first(of: covering, inGroupsOf: holder, at: now, &budget) != nil
  }

  func role(_ id: String) -> CompiledRole? { roles.find(id) }

  func role(_ number: Int) -> CompiledRole? { numbered.find(number) }

  func assignment(_ id: String) -> RoleAssignment? { assignments.find(id) }

  /// Nodes that are not shared with `other`: for tests, which hold changes to what they touch.
  func unsharedNodes(with other: Self) -> Int {
    roles.unsharedNodes(with: other.roles) + grants.unsharedNodes(with: other.grants)
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
    let before = Set(former?.role.permissions ?? [])
    let after = Set(role.permissions)
    grants.remove(before.subtracting(after), of: compiled.number)
    grants.insert(after.subtracting(before), of: compiled.number)
    numbered.put(compiled)
    roles.put(compiled)
    if former == nil { renumberHolders(of: role.id) }
  }

  mutating func deleteRole(_ id: String) {
    guard let former = role(id), !former.isBuiltIn else { return }
    roles.remove(id)
    grants.remove(former.role.permissions, of: former.number)
    numbered.remove(former.number)
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
    }
  }

  // MARK: Assignments

  mutating func put(_ assignment: RoleAssignment) {
    deleteAssignment(assignment.id)
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

  /// Whether a group is assigned roles has changed, maybe.
  mutating func noteHoldings(of holder: String) {
    guard let id = SubjectGroup.id(in: holder), let number = groups.number(id) else { return }
    if holdings[holder] == nil {
      holdingGroups.remove(number)
    } else {
      holdingGroups.insert(number)
    }
  }

  mutating func deleteGroup(_ id: String) {
    if let number = groups.number(id) { holdingGroups.remove(number) }
    groups.delete(id)
  }
}
