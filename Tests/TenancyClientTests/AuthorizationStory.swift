import TenancyClient
import TenancyRPC
import TenancyWire
import Testing

/// A role, from its making to its end, and what it allows.
enum AuthorizationStory {
  static func run(_ client: Stubs) async throws {
    let tenant = try await client.createActive("works").name
    let role = try await roles(tenant, client.authorization)
    let assignment = try await assigns(tenant, client)
    try await checks(tenant, client.authorization)
    try await groups(tenant, client)
    try await ends(role, assignment, client.authorization)
  }

  private static func groups(_ tenant: String, _ client: Stubs) async throws {
    let authorization = client.authorization
    let made = try await authorization.createGroup(
      V1.CreateGroupRequest(
        parent: "tenants/works", groupId: "staff",
        group: V1.Group(title: "Staff", description: "All of them")))
    #expect(made.name == "\(tenant)/groups/staff" && made.createTime != nil)
    #expect(made.title == "Staff" && made.description == "All of them")
    #expect(try await authorization.getGroup(V1.GetGroupRequest(name: made.name)) == made)
    let updated = try await authorization.updateGroup(
      V1.UpdateGroupRequest(group: V1.Group(name: made.name, title: "Crew", etag: made.etag)))
    #expect(updated.title == "Crew" && updated.etag != made.etag)
    let list = try await authorization.listGroups(V1.ListGroupsRequest(parent: tenant))
    #expect(list.groups == [updated] && list.nextPageToken.isEmpty)

    let member = try await authorization.createGroupMember(
      V1.CreateGroupMemberRequest(
        parent: tenant, groupMember: V1.GroupMember(group: made.name, member: "user:dan")))
    #expect(member.name.hasPrefix("\(tenant)/groupMembers/"))
    #expect(member.group == "staff" && member.member == "user:dan" && member.expireTime == nil)
    let members = try await authorization.listGroupMembers(
      V1.ListGroupMembersRequest(parent: tenant, group: "staff", member: "user:dan"))
    #expect(members.groupMembers == [member])
    _ = try await client.assign("engineer", to: "group:staff", in: tenant)
    let check = V1.CheckRequest(tenant: tenant, subject: "user:dan", permission: "reports:print")
    #expect(try await authorization.check(check).role == "engineer")
    _ = try await authorization.deleteGroupMember(V1.DeleteGroupMemberRequest(name: member.name))
    #expect(try await !authorization.check(check).allowed)
    let inUse = try await refusal {
      try await authorization.deleteGroup(V1.DeleteGroupRequest(name: made.name))
    }
    #expect(inUse.errorInfo?.reason == "GROUP_IN_USE")
    let applied = try await authorization.applyPolicy(
      V1.ApplyPolicyRequest(
        parent: tenant,
        changes: [
          V1.PolicyChange(change: .putGroup(V1.Group(name: "staff", title: "Staff"))),
          V1.PolicyChange(
            change: .putGroupMember(V1.GroupMember(group: "staff", member: "user:dan"))),
        ]))
    #expect(applied.changedCount == 2)
    #expect(try await authorization.check(check).allowed)
    _ = try await authorization.deleteGroup(V1.DeleteGroupRequest(name: made.name, force: true))
  }

  private static func roles(
    _ tenant: String, _ authorization: AuthorizationClient
  ) async throws -> String {
    let made = try await authorization.createRole(
      V1.CreateRoleRequest(
        parent: "tenants/works", roleId: "engineer",
        role: V1.Role(
          title: "Engineer", description: "Keeps things running",
          permissions: ["equipment:write", "equipment:read", "equipment:read"])))
    #expect(made.name == "\(tenant)/roles/engineer")
    #expect(made.title == "Engineer" && made.description == "Keeps things running")
    #expect(made.permissions == ["equipment:read", "equipment:write"])
    #expect(!made.builtIn && made.createTime != nil)
    #expect(try await authorization.getRole(V1.GetRoleRequest(name: made.name)) == made)

    let updated = try await authorization.updateRole(
      V1.UpdateRoleRequest(
        role: V1.Role(name: made.name, title: "Engineers", etag: made.etag),
        updateMask: GoogleProtobuf.FieldMask(paths: ["title", "description"])))
    #expect(updated.title == "Engineers" && updated.description.isEmpty)
    #expect(updated.permissions == made.permissions && updated.etag != made.etag)

    let more = try await authorization.addRolePermissions(
      V1.AddRolePermissionsRequest(
        name: made.name, permissions: ["reports:*", "equipment:read"], etag: updated.etag))
    #expect(more.permissions == ["equipment:read", "equipment:write", "reports:*"])
    let fewer = try await authorization.removeRolePermissions(
      V1.RemoveRolePermissionsRequest(
        name: made.name, permissions: ["equipment:write"], etag: more.etag))
    #expect(fewer.permissions == ["equipment:read", "reports:*"])

    var list = V1.ListRolesRequest(parent: tenant, pageSize: 2)
    let first = try await authorization.listRoles(list)
    let names = ["engineer", "tenant-admin"].map { "\(tenant)/roles/\($0)" }
    #expect(first.roles.map(\.name) == names)
    #expect(first.roles.first == fewer && first.roles.last?.builtIn == true)
    list.pageToken = first.nextPageToken
    let second = try await authorization.listRoles(list)
    #expect(second.roles.map(\.name) == ["\(tenant)/roles/tenant-viewer"])
    #expect(second.nextPageToken.isEmpty)
    return made.name
  }

  private static func assigns(_ tenant: String, _ client: Stubs) async throws -> String {
    let made = try await client.assign("engineer", to: "user:alice", in: tenant)
    #expect(made.name.hasPrefix("\(tenant)/assignments/"))
    #expect(made.subject == "user:alice" && made.role == "engineer")
    #expect(made.createTime != nil && made.expireTime == nil)
    _ = try await client.assign("\(tenant)/roles/tenant-viewer", to: "user:bob", in: tenant)

    let twice = try await refusal {
      try await client.assign("engineer", to: "user:alice", in: tenant)
    }
    #expect(twice.code == .alreadyExists)

    func list(subject: String = "", role: String = "") async throws -> [String] {
      let request = V1.ListRoleAssignmentsRequest(parent: tenant, subject: subject, role: role)
      return try await client.authorization.listRoleAssignments(request).assignments
        .map(\.subject)
    }
    #expect(try await list() == ["user:alice", "user:bob"])
    #expect(try await list(subject: "user:bob") == ["user:bob"])
    #expect(try await list(role: "engineer") == ["user:alice"])
    return made.name
  }

  private static func checks(
    _ tenant: String, _ authorization: AuthorizationClient
  ) async throws {
    let yes = try await authorization.check(
      V1.CheckRequest(tenant: tenant, subject: "user:alice", permission: "reports:print"))
    #expect(yes.allowed && yes.reason == .role && yes.role == "engineer" && yes.revision > 0)
    let no = try await authorization.check(
      V1.CheckRequest(tenant: tenant, subject: "user:alice", permission: "equipment:write"))
    #expect(no == V1.CheckResponse(reason: .noGrant, revision: yes.revision))

    let why = try await authorization.explain(
      V1.ExplainRequest(tenant: tenant, subject: "user:alice", permission: "reports:print"))
    #expect(why.answer == yes)
    #expect(why.steps.map(\.rolePath) == [["engineer"]])
    try await lists(tenant, authorization)

    let batch = try await authorization.batchCheck(
      V1.BatchCheckRequest(
        tenant: tenant,
        items: [
          V1.BatchCheckItem(subject: "user:carol", permission: "equipment:read"),
          V1.BatchCheckItem(subject: "user:alice", permission: "equipment:read"),
          V1.BatchCheckItem(subject: "user:bob", permission: "tenancy.roles:list"),
        ]))
    #expect(batch.results.map(\.allowed) == [false, true, true])
    #expect(batch.results.map(\.role) == ["", "engineer", "tenant-viewer"])
  }

  private static func lists(
    _ tenant: String, _ authorization: AuthorizationClient
  ) async throws {
    let may = try await authorization.listPermissions(
      V1.ListPermissionsRequest(tenant: tenant, subject: "user:alice", resource: "reports"))
    #expect(may.permissions.map(\.permission) == ["reports:*"])
    let who = try await authorization.listSubjects(
      V1.ListSubjectsRequest(tenant: tenant, permission: "reports:print"))
    #expect(who.subjects == [V1.AllowedSubject(subject: "user:alice", role: "engineer")])
    let what = try await authorization.listResources(
      V1.ListResourcesRequest(tenant: tenant, subject: "user:alice", permission: "reports:print"))
    #expect(what.resources.map(\.resource) == ["reports"])
    let decisions = try await authorization.listDecisions(V1.ListDecisionsRequest(tenant: tenant))
    let replayed = try await authorization.replayDecisions(
      V1.ReplayDecisionsRequest(tenant: tenant))
    #expect(replayed.replayed == Int32(decisions.decisions.count))
    #expect(replayed.differences.isEmpty)
    let simulated = try await authorization.simulate(
      V1.SimulateRequest(
        tenant: tenant, changes: [V1.PolicyChange(change: .deleteRole("engineer"))],
        queries: [V1.BatchCheckItem(subject: "user:alice", permission: "reports:print")]))
    #expect(simulated.differences.map(\.before?.allowed) == [true])
    #expect(simulated.differences.map(\.after?.allowed) == [false])
  }

  private static func ends(
    _ role: String, _ assignment: String, _ authorization: AuthorizationClient
  ) async throws {
    let inUse = try await refusal {
      try await authorization.deleteRole(V1.DeleteRoleRequest(name: role))
    }
    #expect(inUse.code == .failedPrecondition)
    #expect(inUse.errorInfo?.reason == "ROLE_IN_USE")
    let unassign = V1.DeleteRoleAssignmentRequest(name: assignment)
    _ = try await authorization.deleteRoleAssignment(unassign)
    let gone = try await refusal { try await authorization.deleteRoleAssignment(unassign) }
    #expect(gone.errorInfo?.reason == "ASSIGNMENT_NOT_FOUND")
    _ = try await authorization.deleteRole(V1.DeleteRoleRequest(name: role))
    let noRole = try await refusal {
      try await authorization.getRole(V1.GetRoleRequest(name: role))
    }
    #expect(noRole.code == .notFound)
    #expect(noRole.errorInfo?.reason == "ROLE_NOT_FOUND")
  }
}
