/// Which of a tenant's roles deny what. Most tenants have none that do.
struct DenialIndex: Sendable {
  private var denials = GrantIndex()
  /// The same by their types alone, as `{type}:*`.
  private var types = GrantIndex()
  /// Roles that deny anything.
  private var roles = RoleSet()

  var isEmpty: Bool { roles.isEmpty }

  /// The roles that deny `question`, whose colon is at `colon` (`Permission.colon(in:)`).
  @inline(__always)
  func roles(denying question: RawSpan, colon: Int) -> RoleSet {
    denials.roles(granting: question, colon: colon)
  }

  /// The same as a word; nil: they are no word.
  @inline(__always)
  func word(denying question: RawSpan, colon: Int) -> UInt64? {
    isEmpty ? 0 : denials.word(granting: question, colon: colon)
  }

  /// The roles that may deny something of what `permission` stands for: all of them that do, and some more.
  func roles(touching permission: Permission) -> RoleSet {
    if permission.resource == "*" { return roles }
    guard permission.hasWildcard else { return denials.roles(covering: permission) }
    return types.roles(covering: permission)
  }

  /// What a role denies has changed.
  mutating func edit(from former: [String], to denied: [String], of role: Int) {
    if former.isEmpty, denied.isEmpty { return }
    denials.edit(from: former, to: denied, of: role)
    types.edit(from: former.map(Self.type), to: denied.map(Self.type), of: role)
    if denied.isEmpty { roles.remove(role) } else { roles.insert(role) }
  }

  private static func type(_ permission: String) -> String {
    permission.prefix { $0 != ":" } + ":*"
  }
}
