/// The groups of one tenant and who is in them, with an order or an index for each way to ask. A value: a change
/// copies no more than the nodes on the way to what it touches.
struct GroupIndex: Sendable {
  typealias CompiledGroup = TenantPolicy.CompiledGroup

  /// A group's place among the others, by their numbers.
  private struct Place {
    let number: Int
    let subject: String
    /// The groups that it is directly in.
    var parents = RoleSet()
    /// The groups that are directly in it.
    var children = RoleSet()
    /// The groups that contain it, through however many others; itself included.
    var containing: RoleSet

    init(_ number: Int, _ id: String) {
      (self.number, subject) = (number, SubjectGroup.subject(id))
      containing = RoleSet()
      containing.insert(number)
    }
  }

  /// A place. Immutable, so that to look at a part of it costs no more than that part.
  private final class Node: Numbered {
    let place: Place
    var number: Int { place.number }

    init(_ place: Place) { self.place = place }
  }

  /// By id.
  private(set) var groups = OrderedTree<CompiledGroup>()
  private var nodes = NumberTable<Node>()
  private(set) var members = OrderedTree<GroupMember>()
  /// By the group's id.
  private(set) var membersOfGroup = ByteTable<OrderedTree<GroupMember>>()
  /// By holder: which groups it is directly in.
  private(set) var memberships = ByteTable<Memberships>()

  /// Groups that are in other groups than before.
  private var changed = RoleSet()
  /// Whether there is nothing that `settle` would do.
  var isSettled: Bool { changed.isEmpty }

  // MARK: Questions

  var count: Int { groups.count }
  var isEmpty: Bool { groups.isEmpty }

  func number(_ id: String) -> Int? { groups.find(id)?.number }

  /// The group as a subject.
  func subject(_ number: Int) -> String? { nodes.find(number)?.place.subject }

  /// The groups that contain one, itself included.
  func containing(_ number: Int) -> RoleSet { nodes.find(number)?.place.containing ?? RoleSet() }

  /// Those that are directly in one.
  func children(_ number: Int) -> RoleSet { nodes.find(number)?.place.children ?? RoleSet() }

  /// Those that one is directly in.
  func parents(_ number: Int) -> RoleSet { nodes.find(number)?.place.parents ?? RoleSet() }

  /// All groups that a subject is in at `now`; nil: in none.
  func groups(of holder: RawSpan, at now: Timestamp, _ budget: inout WorkBudget) -> RoleSet? {
    guard !memberships.isEmpty, let held = memberships.find(holder) else { return nil }
    var found = RoleSet()
    held.forEach(at: now) { number in
      guard let node = nodes.find(number) else { return }
      budget.visit(node.place.containing.words)
      found.formUnion(node.place.containing)
    }
    return found.isEmpty ? nil : found
  }

  /// Nodes that are not shared with `other`: for tests, which hold changes to what they touch.
  func unsharedNodes(with other: Self) -> Int {
    groups.unsharedNodes(with: other.groups) + members.unsharedNodes(with: other.members)
      + membersOfGroup.unshared(with: other.membersOfGroup).nodes
      + memberships.unshared(with: other.memberships).nodes
      + membersOfGroup.entries.reduce(0) { sum, held in
        sum + held.value.unsharedNodes(with: other.membersOfGroup[held.key] ?? OrderedTree())
      }
  }

  // MARK: Groups

  mutating func put(_ group: SubjectGroup) {
    if let former = groups.find(group.id) {
      groups.put(CompiledGroup(group, number: former.number))
      return
    }
    let place = Place(nodes.free, group.id)
    groups.put(CompiledGroup(group, number: place.number))
    nodes.put(Node(place))
    // Groups come before their members and go after them, but a log need not say so.
    renumberMembers(of: group.id)
    for member in list(membersOfGroup[group.id]) { link(member) }
    for member in memberships[place.subject]?.members ?? [] { link(member) }
  }

  mutating func delete(_ id: String) {
    guard let number = groups.remove(id)?.number, let place = nodes.find(number)?.place else {
      return
    }
    place.parents.forEach { parent in edit(parent) { $0.children.remove(number) } }
    place.children.forEach { child in edit(child) { $0.parents.remove(number) } }
    nodes.remove(number)
    changed.formUnion(place.children)
    renumberMembers(of: id)
  }

  private mutating func renumberMembers(of id: String) {
    let groups = groups
    for member in list(membersOfGroup[id]) {
      memberships.update(member.holder, default: Memberships()) { held in
        held.renumber { groups.find($0)?.number }
        return false
      }
    }
  }

  private func list(_ tree: OrderedTree<GroupMember>?) -> [GroupMember] {
    guard let tree else { return [] }
    var (all, list, budget) = ([GroupMember](), tree.cursor(), WorkBudget.uncapped)
    while let member = list.next(&budget) { all.append(member) }
    return all
  }

  // MARK: Members

  mutating func put(_ member: GroupMember) {
    deleteMember(member.id)
    members.put(member)
    membersOfGroup.update(member.group, default: OrderedTree()) { held in
      held.put(member)
      return false
    }
    let groups = groups
    memberships.update(member.holder, default: Memberships()) { held in
      held.insert(member) { groups.find($0)?.number }
      return false
    }
    link(member)
  }

  mutating func deleteMember(_ id: String) {
    guard let former = members.remove(id) else { return }
    membersOfGroup.update(former.group, default: OrderedTree()) { held in
      held.remove(id)
      return held.isEmpty
    }
    let groups = groups
    var stays = false
    memberships.update(former.holder, default: Memberships()) { held in
      held.remove(id: id) { groups.find($0)?.number }
      stays = held.members.contains { $0.group == former.group && $0.isEdge }
      return held.members.isEmpty
    }
    guard !stays, let (child, parent) = edge(of: former) else { return }
    edit(parent) { $0.children.remove(child) }
    edit(child) { $0.parents.remove(parent) }
    changed.insert(child)
  }

  // MARK: Groups in groups

  /// The two groups of a membership; nil where the member is no group. What would end by itself is none: no command
  /// makes it, and nothing would notice the end.
  private func edge(of member: GroupMember) -> (child: Int, parent: Int)? {
    guard member.isEdge, let id = SubjectGroup.id(in: member.holder), let child = number(id),
      let parent = number(member.group)
    else { return nil }
    return (child, parent)
  }

  private mutating func link(_ member: GroupMember) {
    guard let (child, parent) = edge(of: member), child != parent else { return }
    edit(parent) { $0.children.insert(child) }
    edit(child) { $0.parents.insert(parent) }
    changed.insert(child)
  }

  private mutating func edit(_ number: Int, _ change: (inout Place) -> Void) {
    guard var place = nodes.find(number)?.place else { return }
    change(&place)
    nodes.put(Node(place))
  }

  /// Works out anew what contains the groups that have been put into others or taken out of them, and what is in these:
  /// once, however many changes there were. Until then nobody may ask.
  mutating func settle() {
    guard !isSettled else { return }
    var stale = within(changed)
    changed = RoleSet()
    while let next = stale.lowest { contain(next, &stale) }
  }

  /// - Parameter stale: groups whose sets are not to be relied on. The group is none of them afterwards.
  private mutating func contain(_ number: Int, _ stale: inout RoleSet) {
    stale.remove(number)
    guard var place = nodes.find(number)?.place else { return }
    place.containing = RoleSet()
    place.containing.insert(number)
    var waiting = place.parents
    while let parent = waiting.lowest {
      waiting.remove(parent)
      if stale.contains(parent) { contain(parent, &stale) }
      place.containing.formUnion(containing(parent))
    }
    nodes.put(Node(place))
  }

  /// Groups, and all that are in them, through however many others.
  func within(_ groups: RoleSet) -> RoleSet {
    var (found, waiting) = (RoleSet(), groups)
    while let next = waiting.lowest {
      waiting.remove(next)
      if found.contains(next) { continue }
      found.insert(next)
      waiting.formUnion(children(next))
    }
    return found
  }

  /// How many groups are in each other at most, of those that one contains (`children`) or is in (`parents`), itself
  /// included. Looks no further than `limit`.
  func depth(of number: Int, through next: (Int) -> RoleSet, limit: Int) -> Int {
    var (depth, level) = (0, RoleSet())
    level.insert(number)
    while !level.isEmpty, depth < limit {
      depth += 1
      var following = RoleSet()
      level.forEach { following.formUnion(next($0)) }
      level = following
    }
    return depth
  }
}

extension GroupMember {
  /// Whether it can put one group into another.
  fileprivate var isEdge: Bool { expireTime == nil }
}
