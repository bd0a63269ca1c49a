/// A tenant's groups and who is in them.
extension TenantPolicy {
  /// Groups.
  public var groupCount: Int { content.groups.count }

  /// Members of all groups, those that have expired and are still stored included.
  public var groupMemberCount: Int { content.groups.members.count }

  /// A group by its id.
  public func group(_ id: String) -> SubjectGroup? { content.groups.groups.find(id)?.group }

  /// A membership by its id.
  public func groupMember(_ id: String) -> GroupMember? { content.groups.members.find(id) }

  /// How many members a group has directly.
  func groupMemberCount(of group: String) -> Int {
    content.groups.membersOfGroup[group]?.count ?? 0
  }

  /// The membership of a subject, named so, in a group; one by another name of its tenant is another.
  func groupMember(_ member: String, holder: String, of group: String) -> GroupMember? {
    let all = content.groups.memberships[holder]?.members ?? []
    return all.first { $0.group == group && $0.member.utf8.elementsEqual(member.utf8) }
  }

  /// How many groups a subject is directly in.
  func membershipCount(of holder: String) -> Int {
    content.groups.memberships[holder]?.members.count ?? 0
  }

  /// How many roles a subject is assigned.
  func assignmentCount(of holder: String) -> Int {
    content.holdings[holder]?.assignments.count ?? 0
  }

  // MARK: Lists

  /// Every group behind that of `id`, in the order of their ids.
  public func groups(after id: String = "") -> Cursor<CompiledGroup> {
    content.groups.groups.cursor(after: id)
  }

  /// Members of all groups in the order of their ids, which is the order of their making, behind that of `id`.
  public func groupMembers(after id: String = "") -> Cursor<GroupMember> {
    content.groups.members.cursor(after: id)
  }

  /// Those of one group.
  public func groupMembers(of group: String, after id: String = "") -> Cursor<GroupMember> {
    content.groups.membersOfGroup[group]?.cursor(after: id) ?? Cursor()
  }

  /// The groups that a subject is directly in.
  public func memberships(of holder: String, after id: String = "") -> Cursor<GroupMember> {
    content.groups.memberships[holder]?.members(after: id) ?? Cursor()
  }

  /// Those of one subject in one group: by each name of its tenant there may be one.
  public func memberships(
    of holder: String, in group: String, after id: String = ""
  ) -> Cursor<GroupMember> {
    let all = content.groups.memberships[holder]?.members ?? []
    return Cursor(all.filter { $0.group == group && $0.id > id }[...])
  }
}
