import Tenancy
import TenancyWire

/// What makes a server's policy that of a file, in an order in which each change can be made: first what is taken away,
/// so that in between nothing is there that is not there in the end, and what others name before what names it.
struct PolicySteps {
  struct Step: Equatable {
    let change: V1.PolicyChange
    /// What it is about, for people.
    let label: String
  }

  private(set) var steps: [Step] = []
  /// Subjects, as files name them, who lose a role.
  private(set) var losing: [(subject: String, role: String)] = []
  private let there: ServerPolicy
  private let wanted: PolicyFile
  private let goingRoles, goingGroups: Set<String>
  private var later: [Step] = []

  init(from there: ServerPolicy, to wanted: PolicyFile) {
    self.there = there
    self.wanted = wanted
    let roles = Set(wanted.roles.map(\.id))
    goingRoles = Set(there.roles.map { ResourceName.last($0.name) }).subtracting(roles)
    let groups = Set(wanted.groups.map(\.id))
    goingGroups = Set(there.groups.map { ResourceName.last($0.name) }).subtracting(groups)
    compareAssignments()
    compareMembers()
    compareRoles()
    steps += later
    deleteRoles()
    for id in goingGroups.sorted() { add(.deleteGroup(id), "group \(id)") }
  }

  private mutating func add(_ change: V1.PolicyChange.Change, _ label: String) {
    steps.append(Step(change: V1.PolicyChange(change: change), label: label))
  }

  /// Behind roles and groups.
  private mutating func addLater(_ change: V1.PolicyChange.Change, _ label: String) {
    later.append(Step(change: V1.PolicyChange(change: change), label: label))
  }

  // MARK: Who has what

  private mutating func compareAssignments() {
    var missing = Dictionary(
      wanted.assignments.filter { !$0.isOver(at: .now) }.map { ($0.key, $0) }
    ) { first, _ in first }
    for one in there.assignments {
      let known = FleetAssignment(one, of: there.tenant)
      let label = "assignment \(known.field.dropFirst("assignments.".count))"
      if known.isOver(at: .now) {
        // What is over still names its role.
        let group = SubjectGroup.id(in: one.subject)
        if goingRoles.contains(known.role) || group.map(goingGroups.contains) ?? false {
          add(.deleteAssignment(one.name), label)
        }
        continue
      }
      guard let new = missing.removeValue(forKey: known.key) else {
        add(.deleteAssignment(one.name), label)
        losing.append((known.subject, known.role))
        continue
      }
      if known.expireTime == new.expireTime, known.reason.hasSameBytes(as: new.reason) { continue }
      // It stays that of the same text.
      var message = new.message
      message.subject = one.subject
      addLater(.putAssignment(message), label)
    }
    for one in wanted.assignments {
      guard let new = missing.removeValue(forKey: one.key) else { continue }
      addLater(
        .putAssignment(new.message), "assignment \(one.field.dropFirst("assignments.".count))")
    }
  }

  private mutating func compareMembers() {
    let old = Dictionary(grouping: there.members) { ResourceName.last($0.group) }
    for group in wanted.groups {
      let label = "group \(group.id)"
      let former = there.groups.first { ResourceName.last($0.name) == group.id }
      let isSame =
        former.map {
          $0.title.hasSameBytes(as: group.title)
            && $0.description.hasSameBytes(as: group.description)
        } ?? false
      if !isSame {
        // Before the members of all groups.
        later.insert(
          Step(
            change: V1.PolicyChange(
              change: .putGroup(
                V1.Group(name: group.id, title: group.title, description: group.description))),
            label: label), at: 0)
      }
      compareMembers(of: group, with: old[group.id] ?? [])
    }
    for id in goingGroups.sorted() {
      for one in old[id] ?? [] { add(.deleteGroupMember(one.name), "\(one.member) of \(id)") }
    }
  }

  private mutating func compareMembers(of group: FleetGroup, with old: [V1.GroupMember]) {
    var missing = Dictionary(
      group.members.filter { !$0.isOver }.map { (Array($0.subject.utf8), $0) }
    ) { first, _ in first }
    for one in old {
      let known = there.member(one)
      let label = "\(known.subject) of \(group.id)"
      if known.isOver {
        let inner = SubjectGroup.id(in: one.member)
        if inner.map(goingGroups.contains) ?? false { add(.deleteGroupMember(one.name), label) }
        continue
      }
      guard let new = missing.removeValue(forKey: Array(known.subject.utf8)) else {
        add(.deleteGroupMember(one.name), label)
        continue
      }
      if known.expireTime == new.expireTime { continue }
      addLater(
        .putGroupMember(
          V1.GroupMember(group: group.id, member: one.member, expireTime: new.expireTime)), label)
    }
    for one in group.members {
      guard let new = missing.removeValue(forKey: Array(one.subject.utf8)) else { continue }
      addLater(
        .putGroupMember(
          V1.GroupMember(group: group.id, member: new.subject, expireTime: new.expireTime)),
        "\(one.subject) of \(group.id)")
    }
  }

  // MARK: Roles

  private static func put(_ role: FleetRole) -> V1.PolicyChange.Change {
    var message = role.message
    message.name = role.id
    return .putRole(message)
  }

  private mutating func compareRoles() {
    let old = Dictionary(there.roles.map { (ResourceName.last($0.name), FleetRole($0)) }) {
      first, _ in first
    }
    var unfinished: [FleetRole] = []
    // What those that stay name no longer goes first, and of those that go all: none inherits from itself in between.
    for role in wanted.roles {
      guard let former = old[role.id], !former.isSame(as: role) else { continue }
      var first = role
      first.parents = role.parents.filter(former.parents.contains)
      first.excludedRoles = role.excludedRoles.filter(former.excludedRoles.contains)
      add(Self.put(first), "role \(role.id)")
      if !first.isSame(as: role) { unfinished.append(role) }
    }
    for id in goingRoles.sorted() {
      guard var role = old[id], !role.parents.isEmpty || !role.excludedRoles.isEmpty else {
        continue
      }
      (role.parents, role.excludedRoles) = ([], [])
      add(Self.put(role), "role \(id)")
    }
    let wantedByID = Dictionary(wanted.roles.map { ($0.id, $0) }) { first, _ in first }
    var known = Set(old.keys)
    for id in FleetFamilies(wanted.roles).order where old[id] == nil {
      guard let role = wantedByID[id] else { continue }
      var first = role
      first.parents = role.parents.filter { known.contains($0) || wantedByID[$0] == nil }
      first.excludedRoles = role.excludedRoles.filter {
        known.contains($0) || wantedByID[$0] == nil
      }
      add(Self.put(first), "role \(id)")
      known.insert(id)
      if !first.isSame(as: role) { unfinished.append(role) }
    }
    for role in unfinished { add(Self.put(role), "role \(role.id)") }
  }

  private mutating func deleteRoles() {
    for id in goingRoles.sorted() { add(.deleteRole(id), "role \(id)") }
  }
}

extension FleetRole {
  /// Whether nothing would be to change.
  fileprivate func isSame(as other: FleetRole) -> Bool {
    var message = V1.Role()
    return other.put(into: &message, since: self).isEmpty
  }
}
