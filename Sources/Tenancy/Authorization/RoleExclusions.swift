/// Which roles of a tenant no subject may hold together. Most tenants have none.
struct RoleExclusions: Sendable {
  /// By the role that names them.
  private var named: [String: [String]] = [:]
  /// By the role that is named: those that name it.
  private var naming: [String: Set<String>] = [:]
  /// By the number of a role: those that it excludes, and those that exclude it.
  private var conflicts: [RoleSet] = []

  var isEmpty: Bool { named.isEmpty }

  /// Whether another role excludes it.
  func isNamed(_ id: String) -> Bool { naming[id] != nil }

  /// Those that no subject may hold beside one of these.
  func banned(by roles: RoleSet) -> RoleSet {
    var banned = RoleSet()
    roles.forEach { role in
      if role < conflicts.count { banned.formUnion(conflicts[role]) }
    }
    return banned
  }

  private func others(of id: String) -> Set<String> {
    (naming[id] ?? []).union(named[id] ?? [])
  }

  /// A role has come, gone, or excludes others than before.
  /// - Parameters:
  ///   - exclusions: nil: it is gone.
  ///   - isNew: whether it was not there before.
  ///   - numberOf: of a role that is there.
  mutating func edit(
    _ id: String, number: Int, from former: [String], to exclusions: [String]?, isNew: Bool,
    numberOf: (String) -> Int?
  ) {
    if !isNew, exclusions == former { return }
    let before = others(of: id)
    for other in former {
      naming[other]?.remove(id)
      if naming[other]?.isEmpty ?? false { naming[other] = nil }
    }
    for other in exclusions ?? [] { naming[other, default: []].insert(id) }
    named[id] = (exclusions ?? []).isEmpty ? nil : exclusions
    let after = exclusions == nil ? [] : others(of: id)
    if before.isEmpty, after.isEmpty { return }
    var own = RoleSet()
    for other in before.union(after) {
      guard let its = numberOf(other) else { continue }
      makeRoom(for: its)
      if after.contains(other) {
        own.insert(its)
        conflicts[its].insert(number)
      } else {
        conflicts[its].remove(number)
      }
    }
    makeRoom(for: number)
    conflicts[number] = own
  }

  private mutating func makeRoom(for number: Int) {
    while conflicts.count <= number { conflicts.append(RoleSet()) }
  }
}
