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

/// A request as the log has it.
struct RequestDocument: Codable {
  let actor, requestID, digest: String
  let payer: String?
  let resource: String?
  let time: Int64

  init(_ request: RememberedRequest) {
    actor = request.actor
    requestID = request.requestID
    digest = request.digest
    payer = request.payer?.description
    resource = request.resource.isEmpty ? nil : request.resource
    time = request.time.nanoseconds
  }

  func request(of tenant: TenantID?, payer: TenantID?) -> RememberedRequest {
    RememberedRequest(
      payer: payer, actor: actor, requestID: requestID, digest: digest, tenant: tenant,
      resource: resource ?? "", time: Timestamp(nanoseconds: time))
  }
}

extension RememberedRequest {
  /// As the column has it.
  var payerText: String { payer?.description ?? "" }
}
