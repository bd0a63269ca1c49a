import Tenancy
import TenancyWire

/// What is sent of one role, and what the server is asked of it before.
struct RoleWrites: Sendable {
  let change: FleetChanges.RoleChange
  /// All of it in one, but for what only other changes make possible; nil: there is nothing else.
  let asked: FleetWrite?
  var writes: [FleetWrite]
}

extension FleetChanges {
  /// Of all roles: those that are new behind their parents, those that go before theirs.
  /// - Parameter tenant: `tenants/{id or slug}`.
  func roleWrites(in tenant: String) -> [RoleWrites] {
    creations(in: tenant) + roles.compactMap(update) + deletions
  }

  private func creations(in tenant: String) -> [RoleWrites] {
    var new: [String: (role: V1.Role, at: Int)] = [:]
    for case .create(let role, let id, let at) in roles { new[id] = (role, at) }
    var left = Set(new.keys)
    return families.order.compactMap { id in
      guard let (role, at) = new[id] else { return nil }
      left.remove(id)
      func request(_ role: V1.Role) -> FleetWrite {
        .createRole(V1.CreateRoleRequest(parent: tenant, roleId: id, role: role), at: at)
      }
      // Roles may exclude each other: the later one comes first without.
      var first = role
      first.excludedRoles.removeAll(where: left.contains)
      var writes = [request(first)]
      if first != role {
        let rest = V1.Role(name: "\(tenant)/roles/\(id)", excludedRoles: role.excludedRoles)
        writes.append(
          .updateRole(
            V1.UpdateRoleRequest(
              role: rest, updateMask: GoogleProtobuf.FieldMask(paths: ["excluded_roles"])), at: at))
      }
      return RoleWrites(
        change: .create(role, id: id, at: at), asked: request(role.naming(noneOf: newRoles)),
        writes: writes)
    }
  }

  private func update(_ change: RoleChange) -> RoleWrites? {
    guard case .update(let role, let paths, let at) = change,
      let (old, new) = updated[ResourceName.last(role.name)]
    else { return nil }
    func request(_ role: V1.Role, _ paths: [String], _ step: RoleStep) -> FleetWrite {
      .updateRole(
        V1.UpdateRoleRequest(role: role, updateMask: GoogleProtobuf.FieldMask(paths: paths)),
        at: at, step)
    }
    let steps = RoleSteps(former: formerFamilies, wanted: families, removesParents: removesParents)
      .steps(from: old, to: new, role)
    // Another may inherit from this one, until it does no longer.
    let asked = paths.filter { $0 != "parents" || !removesParents }
    return RoleWrites(
      change: change,
      asked: asked.isEmpty ? nil : request(role.naming(noneOf: newRoles), asked, .takes),
      writes: steps.map { request($0.role, $0.paths, $0.step) })
  }

  /// A role that others exclude does not go: those that go with it do so no longer before.
  private var deletions: [RoleWrites] {
    let going = goingRoles
    let etags = roles.reduce(into: [String: (name: String, etag: String)]()) { found, change in
      if case .delete(let name, let etag) = change { found[ResourceName.last(name)] = (name, etag) }
    }
    return formerFamilies.order.reversed().compactMap { id in
      guard let (name, etag) = etags[id] else { return nil }
      let delete = FleetWrite.deleteRole(
        V1.DeleteRoleRequest(name: name, etag: etag), isFree: frees(id))
      let excluded = formerRoles[id]?.excludedRoles ?? []
      let release = V1.UpdateRoleRequest(
        role: V1.Role(
          name: name, etag: etag, excludedRoles: excluded.filter { !going.contains($0) }),
        updateMask: GoogleProtobuf.FieldMask(paths: ["excluded_roles"]))
      return RoleWrites(
        change: .delete(name: name, etag: etag), asked: delete,
        writes: excluded.contains(where: going.contains)
          ? [.releaseRoles(release), delete] : [delete])
    }
  }

  /// Whether a role loses a parent.
  private var removesParents: Bool {
    updated.values.contains { old, new in !Set(old.parents).isSubset(of: new.parents) }
  }

  /// Whether, by what comes before, somebody may have a role beside another that is refused as things are.
  var endsExclusions: Bool {
    updated.values.contains { old, new in
      !Set(old.parents).isSubset(of: new.parents)
        || !Set(old.excludedRoles).isSubset(of: new.excludedRoles)
    }
      || assignments.contains { if case .delete(_, _, _, .declared) = $0 { true } else { false } }
  }

  /// Of the files' roles, one that names a role.
  func named(_ id: String, by roles: [FleetRole]?) -> FleetRole? {
    roles?.first { $0.parents.contains(id) || $0.excludedRoles.contains(id) }
  }

  /// Whether giving a role takes away, and nothing else.
  private func onlyDenies(_ role: String) -> Bool {
    families.denies(role) && !families.allows(role)
  }

  func write(_ change: AssignmentChange, in tenant: String) -> FleetWrite {
    switch change {
    case .create(let assignment, let at):
      .assign(
        V1.CreateRoleAssignmentRequest(parent: tenant, assignment: assignment), at: at,
        gives: !onlyDenies(assignment.role))
    case .replace(let assignment, let at, let isLonger):
      .assign(
        V1.CreateRoleAssignmentRequest(parent: tenant, assignment: assignment, replace: true),
        at: at,
        gives: families.denies(assignment.role)
          ? !(isLonger && onlyDenies(assignment.role)) : isLonger)
    case .delete(let name, _, let role, let why):
      .unassign(
        V1.DeleteRoleAssignmentRequest(name: name), isDeclared: why == .declared,
        gives: families.denies(role) || formerFamilies.denies(role))
    }
  }
}

extension V1.Role {
  /// The role, but for what it says of roles that are yet to be made.
  fileprivate func naming(noneOf new: Set<String>) -> V1.Role {
    var role = self
    role.parents.removeAll(where: new.contains)
    role.excludedRoles.removeAll(where: new.contains)
    return role
  }
}

extension FleetWrite {
  /// As they are sent: of what is declared, what takes away before what gives; what goes last of all, and roles behind
  /// those who had them. New roles give nothing before somebody has them.
  static func inOrder(_ writes: [FleetWrite]) -> [FleetWrite] {
    let byTurn = Dictionary(grouping: writes, by: \.turn)
    return byTurn.keys.sorted().flatMap { byTurn[$0] ?? [] }
  }

  private var turn: Int {
    switch self {
    case .create, .update: 0
    case .unassign(_, isDeclared: true, gives: false): 1
    case .createRole: 2
    case .updateRole(_, _, .takes): 3
    case .assign(_, _, gives: false): 4
    case .authenticate: 5
    case .updateRole(_, _, .gives): 6
    case .updateRole(_, _, .inherits): 7
    case .unassign(_, isDeclared: true, gives: true): 8
    case .assign(_, _, gives: true): 9
    case .delete, .unassign(_, isDeclared: false, gives: false): 10
    case .unassign(_, isDeclared: false, gives: true): 11
    case .releaseRoles: 12
    case .deleteRole: 13
    }
  }
}
