internal import Tenancy

/// A role as the log has it.
struct RoleDocument: Codable {
  let id, title, summary: String
  let permissions: [String]
  let version: UInt64
  let createTime, updateTime: Int64

  init(_ role: Role) {
    id = role.id
    title = role.title
    summary = role.summary
    permissions = role.permissions
    version = role.version
    createTime = role.createTime.nanoseconds
    updateTime = role.updateTime.nanoseconds
  }

  var role: Role {
    Role(
      id: id, title: title, summary: summary, permissions: permissions, version: version,
      createTime: Timestamp(nanoseconds: createTime),
      updateTime: Timestamp(nanoseconds: updateTime))
  }
}

/// An assignment as the log has it.
struct AssignmentDocument: Codable {
  let id, subject, role: String
  let createTime: Int64
  let expireTime: Int64?

  init(_ assignment: RoleAssignment) {
    id = assignment.id
    subject = assignment.subject
    role = assignment.role
    createTime = assignment.createTime.nanoseconds
    expireTime = assignment.expireTime?.nanoseconds
  }

  var assignment: RoleAssignment {
    RoleAssignment(
      id: id, subject: subject, role: role, createTime: Timestamp(nanoseconds: createTime),
      expireTime: expireTime.map(Timestamp.init(nanoseconds:)))
  }
}

/// A create request as the log has it.
struct RequestDocument: Codable {
  let actor, requestID, digest: String
  let time: Int64

  init(_ request: RememberedRequest) {
    actor = request.actor
    requestID = request.requestID
    digest = request.digest
    time = request.time.nanoseconds
  }

  func request(of tenant: TenantID) -> RememberedRequest {
    RememberedRequest(
      actor: actor, requestID: requestID, digest: digest, tenant: tenant,
      time: Timestamp(nanoseconds: time))
  }
}
