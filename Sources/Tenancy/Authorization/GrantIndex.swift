/// Which of a tenant's roles grant what. A question takes at most three look-ups, however many roles
/// there are and however many permissions they have.
struct GrantIndex: Sendable {
  private(set) var exact = RoleSetTable()
  /// `resource:*`
  private var resources = RoleSetTable()
  /// `*:action`
  private var actions = RoleSetTable()
  private var everything = RoleSet()

  var isEmpty: Bool {
    everything.isEmpty && exact.isEmpty && resources.isEmpty && actions.isEmpty
  }

  /// Whether nothing but exact permissions is granted. So it is in most tenants.
  var isExact: Bool { everything.isEmpty && resources.isEmpty && actions.isEmpty }

  // MARK: Questions

  /// The roles that grant `question` as a word; nil: they are no word.
  @inline(__always)
  func word(granting question: RawSpan, colon: Int) -> UInt64? {
    isExact ? exact.word(question) : roles(granting: question, colon: colon).word
  }

  /// The roles that grant `question`, whose colon is at `colon` (`Permission.colon(in:)`).
  func roles(granting question: RawSpan, colon: Int) -> RoleSet {
    var roles = exact.find(question) ?? RoleSet()
    // Most tenants have no wildcards, and then there is nothing to hash.
    if !resources.isEmpty, let more = resources.find(question.extracting(0..<colon)) {
      roles.formUnion(more)
    }
    if Permission.isReserved(question) { return roles }
    roles.formUnion(everything)
    if !actions.isEmpty,
      let more = actions.find(question.extracting((colon + 1)..<question.byteCount))
    {
      roles.formUnion(more)
    }
    return roles
  }

  /// The roles that grant everything that `permission` stands for, wildcards included.
  func roles(covering permission: Permission) -> RoleSet {
    guard permission.hasWildcard else {
      let text = permission.text
      let question = unsafe text.utf8Span.span.bytes
      guard let colon = Permission.colon(in: question) else { return RoleSet() }
      return roles(granting: question, colon: colon)
    }
    var roles = permission.isReserved ? RoleSet() : everything
    switch (permission.resource, permission.action) {
    case ("*", "*"): break
    case ("*", let action): roles.formUnion(actions[action] ?? RoleSet())
    case (let resource, _): roles.formUnion(resources[resource] ?? RoleSet())
    }
    return roles
  }

  // MARK: Changes

  /// What a role grants has changed.
  mutating func edit(from former: [String], to permissions: [String], of role: Int) {
    if former.isEmpty, permissions.isEmpty { return }
    let (before, after) = (Set(former), Set(permissions))
    edit(before.subtracting(after)) { $0.remove(role) }
    edit(after.subtracting(before)) { $0.insert(role) }
  }

  /// For tests.
  func unsharedNodes(with other: Self) -> Int {
    exact.unsharedNodes(with: other.exact) + resources.unsharedNodes(with: other.resources)
      + actions.unsharedNodes(with: other.actions)
  }

  private mutating func edit(
    _ permissions: some Sequence<String>, _ change: (inout RoleSet) -> Void
  ) {
    for permission in permissions.lazy.compactMap({ Permission(parsing: $0) }) {
      switch (permission.resource, permission.action) {
      case ("*", "*"): change(&everything)
      case ("*", let action): actions.update(action, change)
      case (let resource, "*"): resources.update(resource, change)
      default: exact.update(permission.text, change)
      }
    }
  }

}
