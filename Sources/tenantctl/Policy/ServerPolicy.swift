import TenancyWire

/// A tenant's policy as a server has it, with the names by which parts are deleted.
struct ServerPolicy: Sendable {
  let tenant: V1.Tenant
  /// But those that are built in.
  let roles: [V1.Role]
  let groups: [V1.Group]
  /// What is over included, as the next.
  let members: [V1.GroupMember]
  let assignments: [V1.RoleAssignment]

  /// - Parameter tenant: `tenants/{id or slug}`.
  init(of name: String, _ source: FleetSource) async throws {
    let connection = source.connection
    tenant = try await connection.tenants.getTenant(
      V1.GetTenantRequest(name: name), options: connection.options)
    roles = try await source.roles(of: tenant.name).filter { !$0.builtIn }
    members = try await source.groupMembers(of: tenant.name)
    groups = try await source.groups(of: tenant.name)
    assignments = try await source.assignments(of: tenant.name)
  }

  /// Without what is over.
  var file: PolicyFile {
    let members = Dictionary(grouping: members) { ResourceName.last($0.group) }
    return PolicyFile(
      roles: roles.map { FleetRole($0) },
      groups: groups.map { group in
        let id = ResourceName.last(group.name)
        return FleetGroup(
          id: id, title: group.title, description: group.description,
          members: (members[id] ?? []).map(member).filter { !$0.isOver })
      },
      assignments: assignments.map { FleetAssignment($0, of: tenant) }
        .filter { !$0.isOver(at: .now) }
    ).sorted
  }

  func member(_ member: V1.GroupMember) -> FleetMember {
    FleetMember(
      subject: FleetAssignment.portable(member.member, of: tenant), expireTime: member.expireTime)
  }
}

extension FleetSource {
  func groups(of tenant: String) async throws -> [V1.Group] {
    func page(_ token: String) async throws -> (items: [V1.Group], next: String) {
      let page = try await connection.authorization.listGroups(
        V1.ListGroupsRequest(parent: tenant, pageSize: Self.pageSize, pageToken: token),
        options: connection.options)
      return (page.groups, page.nextPageToken)
    }
    let (groups, next) = try await page("")
    return try await PageOptions.follow(groups, next, page).items
  }

  func groupMembers(of tenant: String) async throws -> [V1.GroupMember] {
    func page(_ token: String) async throws -> (items: [V1.GroupMember], next: String) {
      let page = try await connection.authorization.listGroupMembers(
        V1.ListGroupMembersRequest(parent: tenant, pageSize: Self.pageSize, pageToken: token),
        options: connection.options)
      return (page.groupMembers, page.nextPageToken)
    }
    let (members, next) = try await page("")
    return try await PageOptions.follow(members, next, page).items
  }
}
