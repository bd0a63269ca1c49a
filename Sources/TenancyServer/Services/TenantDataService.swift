import Tenancy
import TenancyRPC
import TenancyWire

/// `tenancy.v1.TenantData`.
struct TenantDataService: Sendable {
  let plane: ControlPlane
  let provisioner: Provisioner

  func methods(_ gate: Gate) -> [TenancyMethod] {
    [
      gate.async(V1.TenantData.getTenantDataAccess) { (access, _) throws(TenancyError) in
        let tenant = try access.requireTarget().tenant
        let found = try await provisioner.access(to: tenant.id)
        guard let password = String(validating: found.password.reveal(), as: UTF8.self) else {
          throw TenancyError(.internalError, .secretsFailed, "the password is no text")
        }
        // Who has read it, and of which login: a leak is traced by that.
        let username = found.parts.first?.location.username ?? ""
        plane.noteAllowed(
          by: Denials.origin(access.caller, home: access.home?.tenant.id, ""),
          action: "data.access", target: tenant.id, remark: username)
        var answer = V1.TenantDataAccess(
          name: "tenants/\(tenant.id)/dataAccess",
          isolationModel: V1.IsolationModel(tenant.isolationModel), username: username,
          password: password, createTime: GoogleProtobuf.Timestamp(found.login.createTime))
        for part in found.parts { answer.add(part, of: tenant) }
        return answer
      },
      gate.async(
        V1.TenantData.rotateTenantDataLogin,
        again: { (access, _, _) throws(TenancyError) in
          V1.RotateTenantDataLoginResponse(
            username: try provisioner.username(of: try access.requireTarget().tenant.id))
        }
      ) { (access, request) throws(TenancyError) in
        let id = try access.requireTarget().tenant.id
        let username = try await provisioner.rotateLogin(
          of: id, actor: access.caller.subject,
          judge: try access.requireJudge().validating(only: request.validateOnly))
        return V1.RotateTenantDataLoginResponse(username: username)
      },
      gate.async(
        V1.TenantData.retireTenantDataLogin,
        again: { _, _, _ in
          V1.RetireTenantDataLoginResponse()
        }
      ) { (access, request) throws(TenancyError) in
        try await provisioner.retireLogin(
          of: try access.requireTarget().tenant.id, actor: access.caller.subject,
          judge: try access.requireJudge().validating(only: request.validateOnly))
        return V1.RetireTenantDataLoginResponse()
      },
    ]
  }
}

extension V1.TenantDataAccess {
  fileprivate mutating func add(_ part: DataAccess.Part, of tenant: Tenant) {
    let location = part.location
    let identifier = tenant.configuration.shared?.tenantIdentifier ?? ""
    guard let category = part.category else {
      cluster = part.cluster
      (hosts, tls) = (location.hosts, location.isTLS)
      (database, searchPath) = (location.database, location.searchPath)
      tenantIdentifier = tenant.usesShared ? identifier : ""
      return
    }
    categories.append(
      V1.DataCategoryAccess(
        category: category.name, isolationModel: V1.IsolationModel(category.model),
        cluster: part.cluster, hosts: location.hosts, tls: location.isTLS,
        database: location.database, searchPath: location.searchPath,
        tenantIdentifier: category.model == .shared ? identifier : ""))
  }
}
