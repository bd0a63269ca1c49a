import TenancyTestSupport

@testable import Tenancy

extension ControlState {
  var allTenants: [TenantRecord] { tenants().all }
}

extension Sample {
  static func permission(_ text: String) -> Permission {
    guard let permission = Permission(parsing: text) else {
      preconditionFailure("not a permission: \(text)")
    }
    return permission
  }

  static func tenant(
    _ number: UInt64, slug text: String? = nil, state: TenantState = .active
  ) -> Tenant {
    Tenant(
      id: id(number), slug: slug(text ?? "tenant-\(number)"), displayName: "Tenant \(number)",
      state: state, isolationModel: .shared, configuration: TenantConfiguration(), version: 1,
      epoch: 1, createTime: moment, updateTime: moment)
  }

  static func key(_ name: Character) -> TokenKey {
    let new = newKey(name)
    return TokenKey(
      id: new.id, algorithm: new.algorithm, publicKey: new.publicKey, createTime: moment,
      reference: SecretReference(version: 1, key: KeyID(high: 1, low: 1)))
  }

  static func role(_ id: String, _ permissions: [String] = []) -> Role {
    Role(
      id: id, title: "Role", summary: "", permissions: permissions, version: 1,
      createTime: moment, updateTime: moment)
  }

  static func assignment(
    _ id: String, _ subject: String = "user:1", role: String = "reader",
    expireTime: Timestamp? = nil
  ) -> RoleAssignment {
    RoleAssignment(
      id: id, subject: subject, role: role, createTime: moment, expireTime: expireTime)
  }

  static func domain(
    _ name: String, of tenant: TenantID, isVerified: Bool, claimTime: Timestamp = moment
  ) -> TenantDomain {
    guard let name = DomainName(parsing: name) else { preconditionFailure("no domain: \(name)") }
    return TenantDomain(
      tenant: tenant, name: name, challenge: .random(), claimTime: claimTime,
      verification: isVerified ? .init(time: claimTime, method: .dns) : nil)
  }

  static func state(_ tenants: [Tenant]) -> ControlState {
    var state = ControlState()
    state.apply(tenants.map(Change.putTenant), revision: 1)
    return state
  }
}

extension TenantPolicy {
  var roles: [CompiledRole] { roles().all }
  var assignments: [RoleAssignment] { assignments().all }
}

extension TenantCommands {
  init(_ plane: ControlPlane, actor: String) { self.init(plane, actor: actor, judge: .server) }
}

extension Provisioner {
  func provision(_ id: TenantID, actor: String) async throws(TenancyError) -> Tenant {
    try await provision(id, actor: actor, judge: .server)
  }

  func deprovision(
    _ id: TenantID, etag: String, force: Bool = false, actor: String
  ) async throws(TenancyError) -> Tenant {
    try await deprovision(id, etag: etag, force: force, actor: actor, judge: .server)
  }
}
