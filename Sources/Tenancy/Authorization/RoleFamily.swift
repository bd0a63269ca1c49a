/// Which roles of a tenant inherit from which, by their numbers. Most tenants have none that do.
struct RoleFamily: Sendable {
  /// Levels of parents that a role has at most.
  static let maximumDepth = 8

  /// Roles that have ancestors.
  private(set) var heirs = RoleSet()
  /// By the numbers of roles, up to that of the last heir there was.
  private var ancestors: [RoleSet] = []
  /// Those that name a role as their parent, by its id. A parent may come later than they.
  private var children: [String: RoleSet] = [:]

  var isEmpty: Bool { heirs.isEmpty }

  /// Those of one role, without itself.
  func ancestors(of role: Int) -> RoleSet {
    // In range: `put` made room for every heir.
    heirs.contains(role) ? ancestors[role] : RoleSet()
  }

  /// These, and what they inherit from.
  func closure(of roles: RoleSet) -> RoleSet {
    if heirs.isEmpty { return roles }
    var all = roles
    roles.forEachCommon(with: heirs) { heir in
      all.formUnion(ancestors[heir])
      return true
    }
    return all
  }

  /// Whether a role is one of `roles`, or inherits from one.
  @inline(__always)
  func isOne(_ role: Int, of roles: RoleSet) -> Bool {
    roles.contains(role)
      || (heirs.contains(role) && !ancestors[role].isDisjoint(with: roles))
  }

  /// The first of `held` that is one of `roles`, or inherits from one.
  @inline(__always)
  func first(_ held: RoleSet, of roles: RoleSet, _ budget: inout WorkBudget) -> Int? {
    if let role = held.firstCommon(with: roles) { return role }
    if heirs.isEmpty { return nil }
    budget.visit(heirs.words)
    var found: Int?
    held.forEachCommon(with: heirs) { heir in
      budget.visit()
      if !ancestors[heir].isDisjoint(with: roles) { found = heir }
      return found == nil
    }
    return found
  }

  /// The roles that name one as their parent.
  func children(of id: String) -> RoleSet { children[id] ?? RoleSet() }

  /// Whether a role has children.
  func hasChildren(_ id: String) -> Bool { children[id].map { !$0.isEmpty } ?? false }

  // MARK: Changes

  /// A role has come, or its parents have changed, or it has gone.
  /// - Parameters:
  ///   - former: the parents that it had.
  ///   - parents: those that it has.
  ///   - roles: all, as they are now.
  mutating func change(
    _ id: String, number: Int, from former: [String], to parents: [String], isNew: Bool,
    _ roles: OrderedTree<TenantPolicy.CompiledRole>, _ role: (Int) -> TenantPolicy.CompiledRole?
  ) {
    for parent in former {
      children[parent]?.remove(number)
      if children[parent]?.isEmpty ?? false { children[parent] = nil }
    }
    for parent in parents { children[parent, default: RoleSet()].insert(number) }
    guard former != parents || (isNew && hasChildren(id)) else { return }
    // What a role has depends on its parents: each is worked out once, after those of its parents that changed.
    var waiting = descendants(of: id, number, role)
    while let next = waiting.firstCommon(with: waiting) { work(out: next, &waiting, roles, role) }
  }

  /// The role, and those that inherit from it.
  private func descendants(
    of id: String, _ number: Int, _ role: (Int) -> TenantPolicy.CompiledRole?
  ) -> RoleSet {
    var (found, waiting) = (RoleSet(), [(id: id, number: number)])
    found.insert(number)
    while let next = waiting.popLast() {
      children[next.id]?.forEach { child in
        guard !found.contains(child), let id = role(child)?.role.id else { return }
        found.insert(child)
        waiting.append((id, child))
      }
    }
    return found
  }

  /// Commands allow no cycles; one in a broken store ends here, as none is worked out twice.
  private mutating func work(
    out number: Int, _ waiting: inout RoleSet, _ roles: OrderedTree<TenantPolicy.CompiledRole>,
    _ role: (Int) -> TenantPolicy.CompiledRole?
  ) {
    waiting.remove(number)
    var all = RoleSet()
    for parent in role(number)?.role.parents ?? [] {
      guard let parent = roles.find(parent)?.number else { continue }
      if waiting.contains(parent) { work(out: parent, &waiting, roles, role) }
      all.insert(parent)
      all.formUnion(ancestors(of: parent))
    }
    put(all, of: number)
  }

  private mutating func put(_ all: RoleSet, of role: Int) {
    if all.isEmpty {
      if heirs.contains(role) { ancestors[role] = all }
      heirs.remove(role)
      return
    }
    while ancestors.count <= role { ancestors.append(RoleSet()) }
    ancestors[role] = all
    heirs.insert(role)
  }
}
