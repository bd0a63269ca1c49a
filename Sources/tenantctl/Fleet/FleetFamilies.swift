import Tenancy
import TenancyWire

/// What roles of one tenant do with what they inherit, and in which order they can be made.
struct FleetFamilies {
  /// Ids, parents before those that inherit from them, else as they were given. Those that inherit from themselves, or
  /// from such, come last.
  private(set) var order: [String] = []
  /// A role that inherits from itself, by these; it begins and ends with the same. Empty: none does.
  private(set) var circle: [String] = []
  private var effects: [String: (allows: Bool, denies: Bool)] = [:]

  init(_ roles: [FleetRole] = []) {
    let known = Dictionary(roles.map { ($0.id, $0) }) { first, _ in first }
    var missing: [String: Int] = [:]
    var heirs: [String: [String]] = [:]
    var seen: Set<String> = []
    for role in roles where seen.insert(role.id).inserted {
      for parent in role.parents where known[parent] != nil {
        missing[role.id, default: 0] += 1
        heirs[parent, default: []].append(role.id)
      }
      if missing[role.id] == nil { order.append(role.id) }
    }
    var done = 0
    while done < order.count {
      // In range: it is smaller than the count.
      let id = order[done]
      done += 1
      note(known[id] ?? FleetRole(id: id))
      for heir in heirs[id] ?? [] {
        missing[heir, default: 0] -= 1
        if missing[heir] == 0 { order.append(heir) }
      }
    }
    findCircle(roles, known)
  }

  private mutating func note(_ role: FleetRole) {
    let parents = role.parents
    effects[role.id] = (
      allows: !role.permissions.isEmpty || parents.contains { allows($0) },
      denies: !role.deniedPermissions.isEmpty || parents.contains { denies($0) }
    )
  }

  /// Each that is left has a parent that is left.
  private mutating func findCircle(_ roles: [FleetRole], _ known: [String: FleetRole]) {
    guard order.count < known.count else { return }
    let done = Set(order)
    var path: [String] = []
    var seen: Set<String> = []
    var next = roles.first { !done.contains($0.id) }?.id
    while let id = next, seen.insert(id).inserted {
      path.append(id)
      next = known[id]?.parents.first { known[$0] != nil && !done.contains($0) }
    }
    order += known.keys.filter { !done.contains($0) }.sorted()
    guard let next, let start = path.firstIndex(of: next) else { return }
    circle = path[start...] + [next]
  }

  /// Whether who holds it may do something by it. One that is not known, such as those that are built in, may be so.
  func allows(_ id: String) -> Bool { effects[id]?.allows ?? true }

  /// Whether who holds it is denied something by it. One that is not known is not taken for one that denies.
  func denies(_ id: String) -> Bool { effects[id]?.denies ?? false }
}

/// What of roles goes in which request.
enum RoleStep: Int, Sendable {
  /// What takes away, from whoever has the role.
  case takes
  /// What gives, but for parents that are new.
  case gives
  case inherits
}

/// One role of a tenant from how it is to how a file has it: by steps, so that of all roles what takes away comes before
/// what gives, and parents go before parents come. So none inherits from itself in between.
struct RoleSteps {
  // As the API has it.
  private static let maximumPermissions = 1_000
  private static let maximumParents = 16
  private static let maximumExclusions = 64

  /// As the server has the roles.
  let former: FleetFamilies
  /// As the files have them.
  let wanted: FleetFamilies
  /// Whether any role loses a parent.
  let removesParents: Bool

  /// Requests' roles and masks.
  /// - Parameter message: has the role's name and etag.
  func steps(
    from old: FleetRole, to new: FleetRole, _ message: V1.Role
  ) -> [(step: RoleStep, role: V1.Role, paths: [String])] {
    var narrow = narrowed(old, new)
    // They go with what is last.
    if !zip(narrow.lists, new.lists).allSatisfy({ Set($0.list) == Set($1.list) }) {
      (narrow.title, narrow.description) = (old.title, old.description)
    }
    var states = [(RoleStep.takes, narrow)]
    if removesParents {
      var between = new
      between.parents = narrow.parents.filter(new.parents.contains)
      states.append((.gives, between))
    }
    states.append((removesParents ? .inherits : .gives, new))
    var (found, at) = ([(step: RoleStep, role: V1.Role, paths: [String])](), old)
    for (step, state) in states {
      var role = V1.Role(name: message.name, etag: message.etag)
      let paths = state.put(into: &role, since: at)
      if !paths.isEmpty { found.append((step, role, paths)) }
      at = state
    }
    return found
  }

  /// All that it takes away, and nothing of what it gives. Where the union is more than a role may have, the new list
  /// stands for it.
  private func narrowed(_ old: FleetRole, _ new: FleetRole) -> FleetRole {
    func union(_ a: [String], _ b: [String], _ limit: Int) -> [String] {
      let all = Set(a).union(b)
      return all.count <= limit ? all.sorted() : b
    }
    var role = new
    role.permissions = old.permissions.filter(Set(new.permissions).contains)
    role.deniedPermissions = union(
      old.deniedPermissions, new.deniedPermissions,
      Self.maximumPermissions - role.permissions.count)
    role.excludedRoles = union(old.excludedRoles, new.excludedRoles, Self.maximumExclusions)
    let parents =
      old.parents.filter { new.parents.contains($0) || former.denies($0) }
      + new.parents.filter {
        !old.parents.contains($0) && !removesParents && !wanted.allows($0)
      }
    role.parents = parents.count <= Self.maximumParents ? parents.sorted() : new.parents
    return role
  }
}
