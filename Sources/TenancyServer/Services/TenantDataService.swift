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
        plane.noteAllowed(
          by: Denials.origin(access.caller, home: access.home?.tenant.id, ""),
          action: "data.access", target: tenant.id, remark: found.location.username)
        return V1.TenantDataAccess(
          name: "tenants/\(tenant.id)/dataAccess", cluster: found.cluster,
          isolationModel: V1.IsolationModel(tenant.isolationModel), hosts: found.location.hosts,
          tls: found.location.isTLS, database: found.location.database,
          searchPath: found.location.searchPath,
          tenantIdentifier: tenant.isolationModel.usesShared
            ? tenant.configuration.shared?.tenantIdentifier ?? "" : "",
          username: found.location.username, password: password,
          createTime: GoogleProtobuf.Timestamp(found.login.createTime))
      },
      gate.async(V1.TenantData.rotateTenantDataLogin) { (access, _) throws(TenancyError) in
        let id = try access.requireTarget().tenant.id
        let username = try await provisioner.rotateLogin(
          of: id, actor: access.caller.subject, judge: try access.requireJudge())
        return V1.RotateTenantDataLoginResponse(username: username)
      },
      gate.async(V1.TenantData.retireTenantDataLogin) { (access, _) throws(TenancyError) in
        try await provisioner.retireLogin(
          of: try access.requireTarget().tenant.id, actor: access.caller.subject,
          judge: try access.requireJudge())
        return V1.RetireTenantDataLoginResponse()
      },
    ]
  }
}
