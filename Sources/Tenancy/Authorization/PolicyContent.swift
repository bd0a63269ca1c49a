/// The roles and assignments of one tenant, with an order or an index for each way to ask for them.
struct PolicyContent: Sendable {
  typealias CompiledRole = TenantPolicy.CompiledRole

  /// By id, built-in ones left out.
  private(set) var roles: [String: CompiledRole] = [:]
  /// By id, all.
  private(set) var order = BuiltInRoles.all
  /// By number, all. A number that is free again is used again.
  private var numbered: [CompiledRole?] = BuiltInRoles.all
  /// What roles grant, built-in ones left out.
  private var grants = GrantIndex()

  /// In order of their ids, as in all lists of them.
  private(set) var assignments: [RoleAssignment] = []
  private(set) var holdings = ByteTable<Holdings>()
  private(set) var holders: [String: [RoleAssignment]] = [:]

  // MARK: Questions

  func grantingRole(
    subject: RawSpan, question: RawSpan, colon: Int, now: Timestamp, _ budget: inout WorkBudget
  ) -> CompiledRole? {
    guard let held = holdings.find(subject) else { return nil }
    var granting = grants.roles(granting: question, colon: colon)
    if Permission.isReserved(question) {
      granting.formUnion(BuiltInRoles.grants.roles(granting: question, colon: colon))
    }
    return held.first(of: granting, at: now, &budget).flatMap { numbered[$0] }
  }

  func holds(
    _ permission: Permission, subject: String, now: Timestamp, _ budget: inout WorkBudget
  ) -> Bool {
    guard let held = holdings[subject] else { return false }
    var covering = grants.roles(covering: permission)
    covering.formUnion(BuiltInRoles.grants.roles(covering: permission))
    return held.first(of: covering, at: now, &budget) != nil
  }

  func role(_ id: String) -> CompiledRole? { Self.role(id, roles) }

  private static func role(_ id: String, _ roles: [String: CompiledRole]) -> CompiledRole? {
    roles[id] ?? BuiltInRoles.byID[id]
  }

  func assignment(_ id: String) -> RoleAssignment? {
    let at = assignments.firstIndexAfterAll { $0.id < id }
    return at < assignments.count && assignments[at].id == id ? assignments[at] : nil
  }

  // MARK: Roles

  mutating func put(_ role: Role) {
    let former = roles[role.id]
    let compiled = CompiledRole(role, number: former?.number ?? freeNumber())
    let before = Set(former?.role.permissions ?? [])
    let after = Set(role.permissions)
    grants.remove(before.subtracting(after), of: compiled.number)
    grants.insert(after.subtracting(before), of: compiled.number)
    roles[role.id] = compiled
    numbered[compiled.number] = compiled
    let at = order.firstIndexAfterAll { $0.role.id < role.id }
    if former == nil {
      order.insert(compiled, at: at)
      renumberHolders(of: role.id)
    } else {
      order[at] = compiled
    }
  }

  mutating func deleteRole(_ id: String) {
    guard let former = roles.removeValue(forKey: id) else { return }
    grants.remove(former.role.permissions, of: former.number)
    numbered[former.number] = nil
    order.remove(at: order.firstIndexAfterAll { $0.role.id < id })
    renumberHolders(of: id)
  }

  private mutating func freeNumber() -> Int {
    if let free = numbered.firstIndex(where: { $0 == nil }) { return free }
    numbered.append(nil)
    return numbered.count - 1
  }

  /// Roles come before their assignments and go after them, but a log need not say so.
  private mutating func renumberHolders(of id: String) {
    let roles = roles
    for subject in Set((holders[id] ?? []).map(\.holder)) {
      holdings.update(subject, default: Holdings()) { held in
        held.renumber { Self.role($0, roles)?.number }
        return false
      }
    }
  }

  // MARK: Assignments

  mutating func put(_ assignment: RoleAssignment) {
    deleteAssignment(assignment.id)
    Self.insert(assignment, into: &assignments)
    Self.insert(assignment, into: &holders[assignment.role, default: []])
    let number = role(assignment.role)?.number
    holdings.update(assignment.holder, default: Holdings()) { held in
      held.insert(assignment, role: number)
      return false
    }
  }

  mutating func deleteAssignment(_ id: String) {
    guard let former = assignment(id) else { return }
    Self.remove(id, from: &assignments)
    Self.remove(id, from: &holders[former.role, default: []])
    if holders[former.role]?.isEmpty ?? false { holders[former.role] = nil }
    let roles = roles
    holdings.update(former.holder, default: Holdings()) { held in
      held.remove(id: id) { Self.role($0, roles)?.number }
      return held.assignments.isEmpty
    }
  }

  private static func insert(_ assignment: RoleAssignment, into list: inout [RoleAssignment]) {
    list.insert(assignment, at: list.firstIndexAfterAll { $0.id < assignment.id })
  }

  private static func remove(_ id: String, from list: inout [RoleAssignment]) {
    list.remove(at: list.firstIndexAfterAll { $0.id < id })
  }
}
