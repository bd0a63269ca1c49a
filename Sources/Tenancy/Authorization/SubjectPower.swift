/// What one subject may give away in one tenant: gathered once, and then asked of one permission after the other.
public struct SubjectPower: Sendable {
  private let grants: GrantIndex
  private let denials: DenialIndex
  /// Roles that are held of all resources and always, and what they inherit from.
  private let always: RoleSet
  /// Roles that are held of any resource at any time, and what they inherit from.
  private let anywhere: RoleSet

  init(_ content: PolicyContent, of holder: RawSpan, at now: Timestamp) {
    var (always, anywhere, budget) = (RoleSet(), RoleSet(), WorkBudget.uncapped)
    func note(_ held: Holdings) {
      always.formUnion(held.roles(at: now, qualified: false))
      anywhere.formUnion(held.roles(at: now))
    }
    if let own = content.holdings.find(holder) { note(own) }
    content.heldGroups(of: holder, at: now, &budget).forEach { group in
      if let held = content.groupHoldings(group) { note(held) }
    }
    self.always = content.family.closure(of: always)
    self.anywhere = content.family.closure(of: anywhere)
    grants = content.grants
    denials = content.denials
  }

  /// Whether it may do everything that `permission` stands for, wildcards included: of all resources and always.
  /// - Parameter isPermitted: whether it may without a role, unless one denies it.
  public func holds(_ permission: Permission, isPermitted: Bool = false) -> Bool {
    if !denials.isEmpty, !denials.roles(touching: permission).isDisjoint(with: anywhere) {
      return false
    }
    return isPermitted || !grants.roles(covering: permission).isDisjoint(with: always)
      || !BuiltInRoles.grants.roles(covering: permission).isDisjoint(with: always)
  }
}
