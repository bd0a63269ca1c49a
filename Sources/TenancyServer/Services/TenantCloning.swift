import Tenancy
import TenancyWire

/// Tenants after the pattern of others.
extension TenantManagerService {
  func clone(
    _ access: Access, _ request: V1.CloneTenantRequest
  ) async throws(TenancyError) -> V1.Tenant {
    let source = try access.requireTarget().tenant.id
    guard let tenant = request.tenant else { throw .invalid("tenant", "is required") }
    var new = try newTenant(
      access, V1.CreateTenantRequest(tenant: tenant, requestId: request.requestId),
      takesModel: tenant.isolationModel != .unspecified)
    Self.refuseOthers(tenant, &new.checks)
    if !new.requestID.isEmpty {
      // Whichever name of the source the request has.
      new.digest = RequestIDs.digest(
        ofClone: V1.CloneTenantRequest(source: source.description, tenant: tenant))
    }
    do throws(TenancyError) {
      return answer(
        try await commands(access).clone(
          source, .init(new, hasModel: tenant.isolationModel != .unspecified),
          validateOnly: request.validateOnly),
        for: access.caller)
    } catch {
      throw Self.fieldsOfTenant(error)
    }
  }

  /// What is taken over can't be said as well.
  private static func refuseOthers(_ tenant: V1.Tenant, _ checks: inout FieldChecks) {
    guard let configuration = tenant.configuration else { return }
    func refuse(_ isThere: Bool, _ field: String) {
      guard isThere else { return }
      checks.note(.invalid("configuration.\(field)", "is the source's: change it afterwards"))
    }
    refuse(!(configuration.customSettings ?? [:]).isEmpty, "custom_settings")
    refuse(!configuration.featureFlags.isEmpty, "feature_flags")
    refuse(!configuration.routes.isEmpty, "routes")
    refuse(configuration.limits != nil, "limits")
    refuse(!configuration.secretValues.isEmpty, "secret_values")
  }
}
