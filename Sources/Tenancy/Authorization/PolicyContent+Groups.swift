/// What subjects hold through the groups that they are in.
extension PolicyContent {
  /// All groups that a subject is in at `now`, through however many others; nil: in none. Takes a look-up for those who
  /// are in none, and nothing where there are no members; does not allocate for the first 64 groups.
  /// - Parameter holder: as the policy knows the subject. A group is in those that contain it, and not in itself.
  func groups(of holder: RawSpan, at now: Timestamp, _ budget: inout WorkBudget) -> RoleSet? {
    groups.groups(of: holder, at: now, &budget)
  }

  /// What a group is assigned; nil: nothing. Only those in `holdingGroups` need to be asked for.
  func groupHoldings(_ number: Int) -> Holdings? {
    groups.subject(number).flatMap { holdings[$0] }
  }

  /// Those of a subject's groups that are assigned roles.
  @inline(__always)
  func heldGroups(of holder: RawSpan, at now: Timestamp, _ budget: inout WorkBudget) -> RoleSet {
    if holdingGroups.isEmpty { return RoleSet() }
    guard var all = groups(of: holder, at: now, &budget) else { return RoleSet() }
    all.formIntersection(holdingGroups)
    return all
  }

  /// What `body` first finds in what groups are assigned.
  func first(
    in groups: RoleSet, _ budget: inout WorkBudget, _ body: (Holdings, inout WorkBudget) -> Int?
  ) -> Int? {
    var rest = groups
    while let number = rest.lowest {
      rest.remove(number)
      budget.visit()
      if let held = groupHoldings(number), let role = body(held, &budget) { return role }
    }
    return nil
  }

  /// A group that holds one of `roles`, or one that inherits from one, and that role.
  /// As far as the budget goes: whether it was enough is for the caller to ask.
  func groupHolding(
    _ roles: RoleSet, at now: Timestamp, _ budget: inout WorkBudget
  ) -> (group: String, role: String)? {
    var rest = holdingGroups
    while let number = rest.lowest, !budget.isSpent {
      rest.remove(number)
      budget.visit()
      guard let role = groupHoldings(number)?.anywhere(roles, family, at: now, &budget),
        let id = self.role(number: role)?.role.id, let subject = groups.subject(number)
      else { continue }
      return (subject, id)
    }
    return nil
  }

  /// When the next of a subject's memberships ends, or of the roles that it holds through groups.
  func nextEnd(inGroupsOf holder: String, after now: Timestamp) -> Timestamp? {
    guard let held = groups.memberships[holder] else { return nil }
    var next = held.nextEnd(after: now)
    var budget = WorkBudget.uncapped
    let bytes = unsafe holder.utf8Span.span.bytes
    guard var all = groups(of: bytes, at: now, &budget) else { return next }
    all.formIntersection(holdingGroups)
    all.forEach { number in
      guard let end = groupHoldings(number)?.nextEnd(after: now) else { return }
      next = next.map { min($0, end) } ?? end
    }
    return next
  }

  /// The permissions on this framework's own API that come with being in a group: its own, and those of the groups
  /// that contain it, with what their roles inherit.
  /// - Parameter denied: instead those that are denied by it.
  /// - Returns: nil where there are more than `limit`.
  func reservedPermissions(
    ofMembersOf group: Int, denied: Bool = false, at now: Timestamp, limit: Int
  ) -> Set<String>? {
    var (held, groups) = (RoleSet(), groups.containing(group))
    groups.formIntersection(holdingGroups)
    groups.forEach { number in
      if let holdings = groupHoldings(number) { held.formUnion(holdings.roles(at: now)) }
    }
    var roles = held
    held.forEach { roles.formUnion(family.ancestors(of: $0)) }
    var found = Set<String>()
    while let number = roles.lowest, found.count <= limit {
      roles.remove(number)
      guard let role = role(number: number) else { continue }
      found.formUnion(denied ? role.reservedDenials : role.reservedPermissions)
    }
    return found.count > limit ? nil : found
  }
}
