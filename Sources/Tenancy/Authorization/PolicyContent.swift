/// The roles and assignments of one tenant, with an order or an index for each way to ask for them.
struct PolicyContent: Sendable {
  typealias CompiledRole = TenantPolicy.CompiledRole

  /// By id, all.
  private(set) var roles = BuiltInRoles.tree
  /// By number, all.
  private var numbered = RoleNumbers(BuiltInRoles.all)
  /// What roles grant, built-in ones left out.
  private var grants = GrantIndex()

  private(set) var assignments = OrderedTree<RoleAssignment>()
  /// By subject.
  private(set) var holdings = ByteTable<Holdings>()
  /// By role.
  private(set) var holders = ByteTable<OrderedTree<RoleAssignment>>()

  // MARK: Questions

  func grantingRole(
    subject: RawSpan, question: RawSpan, colon: Int, now: Timestamp, _ budget: inout WorkBudget
  ) -> CompiledRole? {
    guard let held = holdings.find(subject) else { return nil }
    var granting = grants.roles(granting: question, colon: colon)
    if Permission.isReserved(question) {
      granting.formUnion(BuiltInRoles.grants.roles(granting: question, colon: colon))
    }
    return held.first(of: granting, at: now, &budget).flatMap { numbered.role($0) }
  }

  func nextEnd(of subject: String, after now: Timestamp) -> Timestamp? {
    holdings[subject]?.nextEnd(after: now)
  }

  func holds(
    _ permission: Permission, subject: String, now: Timestamp, _ budget: inout WorkBudget
  ) -> Bool {
    guard let held = holdings[subject] else { return false }
    var covering = grants.roles(covering: permission)
    covering.formUnion(BuiltInRoles.grants.roles(covering: permission))
    return held.first(of: covering, at: now, &budget) != nil
  }

  func role(_ id: String) -> CompiledRole? { roles.find(id) }

  func assignment(_ id: String) -> RoleAssignment? { assignments.find(id) }

  /// Nodes that are not shared with `other`: for tests, which hold changes to what they touch.
  func unsharedNodes(with other: Self) -> Int {
    roles.unsharedNodes(with: other.roles) + grants.unsharedNodes(with: other.grants)
      + assignments.unsharedNodes(with: other.assignments)
      + holdings.unshared(with: other.holdings).nodes
      + holders.unshared(with: other.holders).nodes
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
  }
}

/// A tenant's roles by their numbers. A number that is free again is used again.
private struct RoleNumbers: Sendable {
  typealias CompiledRole = TenantPolicy.CompiledRole

  private static let chunk = 32

  /// In chunks, so that a change copies one of them.
  private var chunks: [[CompiledRole?]] = []
  private var used = RoleSet()

  /// - Parameter roles: numbered from 0.
  init(_ roles: [CompiledRole]) {
    for role in roles { put(role) }
  }

  var free: Int { used.firstMissing }

  func role(_ number: Int) -> CompiledRole? {
    guard used.contains(number) else { return nil }
    // In range: `put` made room for a number that is used.
    return chunks[number / Self.chunk][number % Self.chunk]
  }

  mutating func put(_ role: CompiledRole) {
    while role.number / Self.chunk >= chunks.count {
      chunks.append(Array(repeating: nil, count: Self.chunk))
    }
    chunks[role.number / Self.chunk][role.number % Self.chunk] = role
    used.insert(role.number)
  }

  mutating func remove(_ number: Int) {
    guard used.contains(number) else { return }
    chunks[number / Self.chunk][number % Self.chunk] = nil
    used.remove(number)
  }
}
