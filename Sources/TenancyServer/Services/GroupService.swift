import Tenancy
import TenancyRPC
import TenancyWire

/// The management of groups and their members in `tenancy.v1.Authorization`.
struct GroupService: Sendable {
  let plane: ControlPlane

  func methods(_ gate: Gate) -> [TenancyMethod] {
    typealias API = V1.Authorization
    return [
      gate.async(
        API.createGroup,
        again: { (access, request, _) throws(TenancyError) in
          try told(access, request.groupId)
        }, create),
      gate.inline(API.getGroup, names: .child, get),
      gate.async(
        API.updateGroup, names: .child,
        again: { (access, request, _) throws(TenancyError) in
          try told(access, Self.id(in: request.group?.name ?? "", field: "group.name"))
        }, update),
      gate.async(API.deleteGroup, names: .child, again: { _, _, _ in V1.DeleteGroupResponse() }) {
        (access, request) throws(TenancyError) in
        let id = try Self.id(in: request.name, field: "name")
        try await commands(access, request.validateOnly).delete(
          id: id, etag: request.etag, force: request.force)
        return V1.DeleteGroupResponse()
      },
      gate.async(API.listGroups) { (access, request) throws(TenancyError) in
        var budget = WorkBudget()
        return try list(access, request, &budget)
      },
      gate.async(
        API.createGroupMember,
        again: { (access, _, earlier) throws(TenancyError) in
          let record = try current(access)
          guard let made = record.policy.groupMember(earlier.resource) else {
            throw GroupCommands.memberNotFound
          }
          return V1.GroupMember(made, tenant: record.idText)
        }, add),
      gate.async(
        API.deleteGroupMember, names: .child,
        again: { _, _, _ in V1.DeleteGroupMemberResponse() }
      ) {
        (access, request) throws(TenancyError) in
        let id = try RoleService.id(in: request.name, "groupMembers", field: "name")
        try await commands(access, request.validateOnly).remove(member: id)
        return V1.DeleteGroupMemberResponse()
      },
      gate.async(API.listGroupMembers) { (access, request) throws(TenancyError) in
        var budget = WorkBudget()
        return try listMembers(access, request, &budget)
      },
    ]
  }

  /// The tenant as it is by now.
  private func current(_ access: Access) throws(TenancyError) -> TenantRecord {
    guard let record = plane.state.find(try access.requireTarget().tenant.id) else {
      throw .tenantNotFound
    }
    return record
  }

  /// A group as it is by now.
  private func told(_ access: Access, _ id: String) throws(TenancyError) -> V1.Group {
    let record = try current(access)
    guard let group = record.policy.group(id) else { throw GroupCommands.notFound(id) }
    return V1.Group(group, tenant: record.idText)
  }

  // MARK: Groups

  private func create(
    _ access: Access, _ request: V1.CreateGroupRequest
  ) async throws(TenancyError) -> V1.Group {
    let sent = request.group ?? V1.Group()
    let group = try await commands(access, request.validateOnly).create(
      id: request.groupId, title: sent.title, summary: sent.description)
    return V1.Group(group, tenant: try access.requireTarget().idText)
  }

  private func get(
    _ access: Access, _ request: V1.GetGroupRequest
  ) throws(TenancyError) -> V1.Group {
    let record = try access.requireTarget()
    let id = try Self.id(in: request.name, field: "name")
    guard let group = record.policy.group(id) else { throw GroupCommands.notFound(id) }
    return V1.Group(group, tenant: record.idText)
  }

  private func update(
    _ access: Access, _ request: V1.UpdateGroupRequest
  ) async throws(TenancyError) -> V1.Group {
    let sent = request.group ?? V1.Group()
    let all = ["title", "description"]
    let mask = try UpdateMask(request.updateMask, all: all, isKnown: all.contains)
    let id = try Self.id(in: sent.name, field: "group.name")
    let group = try await commands(access, request.validateOnly).update(id: id, etag: sent.etag) {
      (group) throws(TenancyError) in
      if mask.covers("title", populated: !sent.title.isEmpty) { group.title = sent.title }
      if mask.covers("description", populated: !sent.description.isEmpty) {
        group.summary = sent.description
      }
    }
    return V1.Group(group, tenant: try access.requireTarget().idText)
  }

  func list(
    _ access: Access, _ request: V1.ListGroupsRequest, _ budget: inout WorkBudget
  ) throws(TenancyError) -> V1.ListGroupsResponse {
    let record = try access.requireTarget()
    let page = try Page(
      size: request.pageSize, token: request.pageToken, question: "groups \(record.idText)")
    let groups = record.policy.groups(after: page.after ?? "")
    let (found, next) = page.collect(groups, &budget, key: \.group.id) { compiled in
      let group = compiled.group
      let bytes = group.title.utf8.count + group.summary.utf8.count + 2 * group.id.utf8.count
      return (V1.Group(group, tenant: record.idText), bytes)
    }
    return V1.ListGroupsResponse(groups: found, nextPageToken: next)
  }

  // MARK: Members

  private func add(
    _ access: Access, _ request: V1.CreateGroupMemberRequest
  ) async throws(TenancyError) -> V1.GroupMember {
    let record = try access.requireTarget()
    let sent = request.groupMember ?? V1.GroupMember()
    var checks = FieldChecks()
    let group = try checks.value { () throws(TenancyError) in
      try Self.groupID(sent.group, in: record, field: "group_member.group")
    }
    let expireTime = try checks.value { () throws(TenancyError) in
      try sent.expireTime?.domain("group_member.expire_time")
    }
    let made = try await commands(access, request.validateOnly).add(
      sent.member, to: group, expireTime: expireTime ?? nil, replaces: request.replace,
      checks: checks)
    return V1.GroupMember(made, tenant: record.idText)
  }

  func listMembers(
    _ access: Access, _ request: V1.ListGroupMembersRequest, _ budget: inout WorkBudget
  ) throws(TenancyError) -> V1.ListGroupMembersResponse {
    let record = try access.requireTarget()
    let member = request.member
    guard member.utf8.count <= RoleCommands.maximumSubjectBytes else {
      throw .invalid("member", "at most \(RoleCommands.maximumSubjectBytes) bytes")
    }
    let group = try Self.groupID(request.group, in: record, field: "group")
    let page = try Page(
      size: request.pageSize, token: request.pageToken,
      question: "groupMembers \(record.idText) \(member) \(group)")
    let start = page.after ?? ""
    let holder = record.holder(member)
    let list =
      if !member.isEmpty, !group.isEmpty {
        record.policy.memberships(of: holder, in: group, after: start)
      } else if !member.isEmpty {
        record.policy.memberships(of: holder, after: start)
      } else if !group.isEmpty {
        record.policy.groupMembers(of: group, after: start)
      } else {
        record.policy.groupMembers(after: start)
      }
    let (found, next) = page.collect(list, &budget, key: \.id) { member in
      let bytes = member.member.utf8.count + member.group.utf8.count + 2 * member.id.utf8.count
      return (V1.GroupMember(member, tenant: record.idText), bytes)
    }
    return V1.ListGroupMembersResponse(groupMembers: found, nextPageToken: next)
  }

  // MARK: Names

  func commands(
    _ access: Access, _ validateOnly: Bool
  ) throws(TenancyError) -> GroupCommands {
    let caller = access.caller
    let id = try access.requireTarget().tenant.id
    return GroupCommands(
      plane, actor: caller.subject, tenant: id,
      judge: try access.requireJudge().validating(only: validateOnly)
    ) { state in
      RoleService.power(of: caller, state.find(id), at: plane.now)
    }
  }

  private static func id(in name: String, field: String) throws(TenancyError) -> String {
    try RoleService.id(in: name, "groups", field: field)
  }

  /// A group by its id, or by its name, which must be of the same tenant. Empty where none is named.
  private static func groupID(
    _ text: String, in record: TenantRecord, field: String
  ) throws(TenancyError) -> String {
    try RoleService.localID(text, "groups", "group", in: record, field: field)
  }
}
