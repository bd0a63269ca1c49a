import Tenancy
import TenancyRPC
import TenancyWire

/// Changes of a tenant's policy as a whole, in `tenancy.v1.Authorization`.
struct PolicyService: Sendable {
  let plane: ControlPlane
  private let roles: RoleService
  private let groups: GroupService

  init(plane: ControlPlane) {
    self.plane = plane
    roles = RoleService(plane: plane)
    groups = GroupService(plane: plane)
  }

  func methods(_ gate: Gate) -> [TenancyMethod] {
    [
      gate.async(
        V1.Authorization.applyPolicy,
        again: { (_, _, earlier) throws(TenancyError) in
          let told = earlier.resource.split(separator: " ").compactMap { UInt64($0) }
          guard told.count == 2 else { throw .notRepeatable }
          // In range: there are two.
          return answer(changed: Int(clamping: told[0]), revision: told[1])
        }, apply)
    ]
  }

  private func answer(changed: Int, revision: UInt64) -> V1.ApplyPolicyResponse {
    V1.ApplyPolicyResponse(
      changedCount: Int32(clamping: changed),
      basis: ConsistencyToken(store: plane.token.store, revision: revision).text)
  }

  private func apply(
    _ access: Access, _ request: V1.ApplyPolicyRequest
  ) async throws(TenancyError) -> V1.ApplyPolicyResponse {
    let basis = try basis(request.basis)
    let changes = try Self.changes(request.changes, in: try access.requireTarget())
    let outcome = try await commands(access, request.validateOnly).apply(changes, basis: basis)
    return answer(changed: outcome.changed, revision: outcome.revision)
  }

  /// - Throws: INVALID_ARGUMENT for what is no token; as `ControlPlane.hasReached`; UNAVAILABLE for one of a state that
  ///   is not here yet, by which nothing could be compared.
  private func basis(_ text: String) throws(TenancyError) -> UInt64? {
    if text.isEmpty { return nil }
    guard let token = ConsistencyToken(parsing: text) else {
      throw .invalid("basis", "is not a consistency token of this API")
    }
    guard try plane.hasReached(token) else { throw .revisionNotReached }
    return token.revision
  }

  // MARK: Changes

  /// Of the tenant that a call is about.
  func commands(
    _ access: Access, _ validateOnly: Bool = false
  ) throws(TenancyError) -> PolicyCommands {
    PolicyCommands(
      try roles.commands(access, validateOnly), try groups.commands(access, validateOnly))
  }

  /// - Throws: INVALID_ARGUMENT with all that is malformed.
  static func changes(
    _ sent: [V1.PolicyChange], in record: TenantRecord
  ) throws(TenancyError) -> [PolicyChange] {
    guard sent.count <= PolicyCommands.maximumChanges else {
      throw .invalid("changes", "at most \(PolicyCommands.maximumChanges)")
    }
    var (changes, checks) = ([PolicyChange](), FieldChecks())
    for (at, one) in sent.enumerated() where !checks.isFull {
      let change = try checks.value { () throws(TenancyError) in
        try Self.change(one, in: record, field: "changes[\(at)]")
      }
      if let change { changes.append(change) }
    }
    try checks.finish()
    return changes
  }

  private static func change(
    _ sent: V1.PolicyChange, in record: TenantRecord, field: String
  ) throws(TenancyError) -> PolicyChange {
    switch sent.change {
    case .putRole(let role):
      return .putRole(
        Role(
          id: try id(role.name, "roles", "role", in: record, field: "\(field).put_role.name"),
          title: role.title, summary: role.description, permissions: role.permissions,
          denials: role.deniedPermissions, parents: role.parents, exclusions: role.excludedRoles,
          version: 0, createTime: Timestamp(nanoseconds: 0), updateTime: Timestamp(nanoseconds: 0)),
        etag: role.etag)
    case .deleteRole(let name):
      return .deleteRole(
        id: try id(name, "roles", "role", in: record, field: "\(field).delete_role"))
    case .putGroup(let group):
      return .putGroup(
        id: try id(group.name, "groups", "group", in: record, field: "\(field).put_group.name"),
        title: group.title, summary: group.description, etag: group.etag)
    case .deleteGroup(let name):
      return .deleteGroup(
        id: try id(name, "groups", "group", in: record, field: "\(field).delete_group"))
    case .putGroupMember(let member):
      let path = "\(field).put_group_member"
      return .putMember(
        member.member,
        group: try id(member.group, "groups", "group", in: record, field: "\(path).group"),
        expireTime: try member.expireTime?.domain("\(path).expire_time"))
    case .deleteGroupMember(let name):
      return .deleteMember(
        id: try id(
          name, "groupMembers", "membership", in: record, field: "\(field).delete_group_member"))
    case .putAssignment(let assignment):
      let path = "\(field).put_assignment"
      return .putAssignment(
        subject: assignment.subject,
        role: try id(assignment.role, "roles", "role", in: record, field: "\(path).role"),
        terms: try RoleService.terms(of: assignment, field: path),
        expireTime: try assignment.expireTime?.domain("\(path).expire_time"))
    case .deleteAssignment(let name):
      return .deleteAssignment(
        id: try id(
          name, "assignments", "assignment", in: record, field: "\(field).delete_assignment"))
    case nil:
      throw .invalid(field, "changes nothing that this server knows of")
    }
  }

  private static func id(
    _ text: String, _ collection: String, _ kind: String, in record: TenantRecord, field: String
  ) throws(TenancyError) -> String {
    let id = try RoleService.localID(text, collection, kind, in: record, field: field)
    if id.isEmpty { throw .invalid(field, "must name a \(kind)") }
    return id
  }
}

extension TenancyError {
  /// What an earlier server has remembered otherwise.
  fileprivate static let notRepeatable = TenancyError(
    .failedPrecondition, .requestReused,
    "the request was made, and its answer is not known any more")
  fileprivate static let revisionNotReached = TenancyError(
    .unavailable, .revisionNotReached, "the basis is of a state that is not here yet")
}
