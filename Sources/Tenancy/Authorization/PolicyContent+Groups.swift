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

  /// One of `roles` that a subject holds through a group.
  func first(
    of roles: RoleSet, inGroupsOf holder: RawSpan, at now: Timestamp, _ budget: inout WorkBudget
  ) -> Int? {
    guard !roles.isEmpty, var rest = groups(of: holder, at: now, &budget) else { return nil }
    rest.formIntersection(holdingGroups)
    while let number = rest.lowest {
      rest.remove(number)
      budget.visit()
      if let role = groupHoldings(number)?.first(of: roles, at: now, &budget) { return role }
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
  /// that contain it. Sorted for each role; the same may be there for several.
  /// - Returns: nil where there are more than `limit`.
  func reservedPermissions(ofMembersOf group: Int, at now: Timestamp, limit: Int) -> [String]? {
    var (roles, groups) = (RoleSet(), groups.containing(group))
    groups.formIntersection(holdingGroups)
    groups.forEach { number in
      if let held = groupHoldings(number) { roles.formUnion(held.roles(at: now)) }
    }
    var found: [String] = []
    while let number = roles.lowest, found.count <= limit {
      roles.remove(number)
      let all = role(number)?.role.permissions ?? []
      // They are in order.
      let start = all.firstIndexAfterAll { $0 < Permission.reservedPrefix }
      found += all[start...].prefix(limit + 1).prefix { $0.hasPrefix(Permission.reservedPrefix) }
    }
    return found.count > limit ? nil : found
  }
}
