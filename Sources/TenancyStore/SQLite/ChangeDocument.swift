internal import Tenancy

/// A change as the log keeps it, for people and tools to read: the state is never rebuilt from it.
/// Times are nanoseconds since 1970. Credentials are left out, because the log is kept for good and
/// is shown to more people than the tenants' settings are.
struct ChangeDocument: Encodable {
  let change: Change

  init(_ change: Change) { self.change = change }

  private enum Key: String, CodingKey {
    case change, tenant, role, assignment, id, kind, name, request, before
    case purpose, version, key, masterKey, state
  }

  func encode(to encoder: any Encoder) throws {
    var box = encoder.container(keyedBy: Key.self)
    func put(_ name: String, _ tenant: TenantID) throws {
      try box.encode(name, forKey: .change)
      try box.encode(tenant.description, forKey: .tenant)
    }
    switch change {
    case .putTenant(let tenant):
      try box.encode("putTenant", forKey: .change)
      try box.encode(TenantDocument(tenant), forKey: .tenant)
    case .putRole(let tenant, let role):
      try put("putRole", tenant)
      try box.encode(RoleDocument(role), forKey: .role)
    case .deleteRole(let tenant, let id):
      try put("deleteRole", tenant)
      try box.encode(id, forKey: .id)
    case .putAssignment(let tenant, let assignment):
      try put("putAssignment", tenant)
      try box.encode(AssignmentDocument(assignment), forKey: .assignment)
    case .deleteAssignment(let tenant, let id):
      try put("deleteAssignment", tenant)
      try box.encode(id, forKey: .id)
    case .putProvisioningStep(let tenant, let name):
      try put("putProvisioningStep", tenant)
      try box.encode(name, forKey: .name)
    case .clearProvisioningSteps(let tenant):
      try put("clearProvisioningSteps", tenant)
    case .reserveName(let name, let tenant):
      try put("reserveName", tenant)
      try box.encode(name.kind.rawValue, forKey: .kind)
      try box.encode(name.text, forKey: .name)
    case .retireSlug(let slug, let tenant):
      try put("retireSlug", tenant)
      try box.encode(slug.text, forKey: .name)
    case .rememberRequest(let request):
      try put("rememberRequest", request.tenant)
      try box.encode(RequestDocument(request), forKey: .request)
    case .forgetRequests(let before):
      try box.encode("forgetRequests", forKey: .change)
      try box.encode(before.nanoseconds, forKey: .before)
    case .putSecret(let tenant, let purpose, let reference, _):
      try put("putSecret", tenant)
      try box.encode(purpose, forKey: .purpose)
      try box.encode(reference.version, forKey: .version)
      try box.encode(reference.key, forKey: .key)
    case .deleteSecret(let tenant, let purpose):
      try put("deleteSecret", tenant)
      try box.encode(purpose, forKey: .purpose)
    case .putDataKey(let key):
      try box.encode("putDataKey", forKey: .change)
      try box.encode(key.id, forKey: .key)
      try box.encode(key.masterKey, forKey: .masterKey)
      try box.encode(key.state.rawValue, forKey: .state)
    }
  }
}

private struct TenantDocument: Encodable {
  let id, slug, displayName: String
  let state: TenantState
  let isolationModel: IsolationModel
  let configuration: TenantConfiguration
  let version, epoch: UInt64
  let createTime, updateTime: Int64
  let deleteTime, purgeTime: Int64?
  let stateReason: String?

  init(_ tenant: Tenant) {
    id = tenant.id.description
    slug = tenant.slug.text
    displayName = tenant.displayName
    state = tenant.state
    isolationModel = tenant.isolationModel
    configuration = tenant.configuration.withoutCredentials
    version = tenant.version
    epoch = tenant.epoch
    createTime = tenant.createTime.nanoseconds
    updateTime = tenant.updateTime.nanoseconds
    deleteTime = tenant.deleteTime?.nanoseconds
    purgeTime = tenant.purgeTime?.nanoseconds
    stateReason = tenant.stateReason.isEmpty ? nil : tenant.stateReason
  }
}

extension TenantConfiguration {
  /// The connection string goes as well: drivers accept a password within it, in many notations.
  fileprivate var withoutCredentials: TenantConfiguration {
    var copy = self
    copy.database?.connectionString = "[redacted]"
    return copy
  }
}

private struct RoleDocument: Encodable {
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
}

private struct AssignmentDocument: Encodable {
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
}

private struct RequestDocument: Encodable {
  let actor, requestID, digest: String
  let time: Int64

  init(_ request: RememberedRequest) {
    actor = request.actor
    requestID = request.requestID
    digest = request.digest
    time = request.time.nanoseconds
  }
}
