/// What uses a group: goes before it does.
struct GroupUses {
  private var assignments: Cursor<RoleAssignment>
  private var memberships: Cursor<GroupMember>
  private var members: Cursor<GroupMember>
  private let counts: (assignments: Int, memberships: Int, members: Int)
  var count: Int { counts.assignments + counts.memberships + counts.members }

  init(of id: String, in policy: TenantPolicy) {
    let subject = SubjectGroup.subject(id)
    assignments = policy.assignments(of: subject)
    memberships = policy.memberships(of: subject)
    members = policy.groupMembers(of: id)
    counts = (
      policy.assignmentCount(of: subject), policy.membershipCount(of: subject),
      policy.groupMemberCount(of: id)
    )
  }

  /// First what gives the group power.
  mutating func next(_ tenant: TenantID, _ budget: inout WorkBudget) -> Change? {
    if let next = assignments.next(&budget) { return .deleteAssignment(tenant, id: next.id) }
    if let next = memberships.next(&budget) { return .deleteGroupMember(tenant, id: next.id) }
    return members.next(&budget).map { .deleteGroupMember(tenant, id: $0.id) }
  }

  var error: TenancyError {
    TenancyError(
      .failedPrecondition, .groupInUse,
      "the group has \(counts.members) members, is in \(counts.memberships) groups and is assigned "
        + "\(counts.assignments) roles: delete these first, or use force",
      metadata: [
        "members": String(counts.members), "memberships": String(counts.memberships),
        "assignments": String(counts.assignments),
      ])
  }
}
