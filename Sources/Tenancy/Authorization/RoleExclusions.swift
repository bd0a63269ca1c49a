/// Which roles of a tenant no subject may hold together. Most tenants have none.
struct RoleExclusions: Sendable {
  /// By the role that names them.
  private var named: [String: [String]] = [:]
  /// By the role that is named: those that name it.
  private var naming: [String: Set<String>] = [:]

  var isEmpty: Bool { named.isEmpty }

  /// Those that a role excludes, and those that exclude it.
  func of(_ id: String) -> Set<String> { (naming[id] ?? []).union(named[id] ?? []) }

  /// Whether another role excludes it.
  func isNamed(_ id: String) -> Bool { naming[id] != nil }

  mutating func edit(_ id: String, from former: [String], to exclusions: [String]) {
    if former == exclusions { return }
    for other in former {
      naming[other]?.remove(id)
      if naming[other]?.isEmpty ?? false { naming[other] = nil }
    }
    for other in exclusions { naming[other, default: []].insert(id) }
    named[id] = exclusions.isEmpty ? nil : exclusions
  }
}
