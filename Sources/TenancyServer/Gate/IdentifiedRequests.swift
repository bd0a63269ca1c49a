import TenancyRPC
import TenancyWire

/// A request that is carried out once, however often it is made (AIP-155).
protocol IdentifiedRequest: WireMessage {
  /// A UUID of the caller's; empty: none.
  var requestId: String { get set }
  /// Whether nothing is to be kept: then neither is the id.
  var validateOnly: Bool { get }
  /// The same without what is secret and could be guessed: a digest of it is kept.
  var open: Self { get }
}

extension IdentifiedRequest {
  var validateOnly: Bool { false }
  var open: Self { self }
}

extension V1.UpdateTenantRequest: IdentifiedRequest {
  var open: Self {
    var open = self
    open.tenant = tenant.map(RequestIDs.open)
    return open
  }
}
extension V1.RetireTenantSlugRequest: IdentifiedRequest {}
extension V1.DeactivateTenantRequest: IdentifiedRequest {}
extension V1.ActivateTenantRequest: IdentifiedRequest {}
extension V1.BeginTenantMaintenanceRequest: IdentifiedRequest {}
extension V1.EndTenantMaintenanceRequest: IdentifiedRequest {}
extension V1.DeleteTenantRequest: IdentifiedRequest {}
extension V1.UndeleteTenantRequest: IdentifiedRequest {}
extension V1.PurgeTenantRequest: IdentifiedRequest {}
extension V1.PlaceTenantLegalHoldRequest: IdentifiedRequest {}
extension V1.ReleaseTenantLegalHoldRequest: IdentifiedRequest {}
extension V1.SetTenantScheduleRequest: IdentifiedRequest {}
extension V1.UpdateTenantConfigurationRequest: IdentifiedRequest {
  var open: Self {
    var open = self
    open.configuration = configuration.map(RequestIDs.open)
    return open
  }
}
extension V1.ProvisionTenantResourcesRequest: IdentifiedRequest {}
extension V1.DeprovisionTenantResourcesRequest: IdentifiedRequest {}
extension V1.CreateRoleRequest: IdentifiedRequest {}
extension V1.UpdateRoleRequest: IdentifiedRequest {}
extension V1.DeleteRoleRequest: IdentifiedRequest {}
extension V1.AddRolePermissionsRequest: IdentifiedRequest {}
extension V1.RemoveRolePermissionsRequest: IdentifiedRequest {}
extension V1.CreateRoleAssignmentRequest: IdentifiedRequest {}
extension V1.DeleteRoleAssignmentRequest: IdentifiedRequest {}
extension V1.CreateGroupRequest: IdentifiedRequest {}
extension V1.UpdateGroupRequest: IdentifiedRequest {}
extension V1.DeleteGroupRequest: IdentifiedRequest {}
extension V1.CreateGroupMemberRequest: IdentifiedRequest {}
extension V1.DeleteGroupMemberRequest: IdentifiedRequest {}
extension V1.ApplyPolicyRequest: IdentifiedRequest {}
extension V1.PrepareCertificateAuthorityRequest: IdentifiedRequest {}
extension V1.ImportCertificateAuthorityRequest: IdentifiedRequest {}
extension V1.ActivateCertificateAuthorityRequest: IdentifiedRequest {}
extension V1.RetireCertificateAuthorityRequest: IdentifiedRequest {}
extension V1.CreateFeatureFlagRequest: IdentifiedRequest {}
extension V1.UpdateFeatureFlagRequest: IdentifiedRequest {}
extension V1.DeleteFeatureFlagRequest: IdentifiedRequest {}
extension V1.CreatePlanRequest: IdentifiedRequest {}
extension V1.UpdatePlanRequest: IdentifiedRequest {}
extension V1.DeletePlanRequest: IdentifiedRequest {}
extension V1.CreateSettingDefinitionRequest: IdentifiedRequest {}
extension V1.UpdateSettingDefinitionRequest: IdentifiedRequest {}
extension V1.DeleteSettingDefinitionRequest: IdentifiedRequest {}
extension V1.ClaimTenantDomainRequest: IdentifiedRequest {}
extension V1.VerifyTenantDomainRequest: IdentifiedRequest {}
extension V1.ReleaseTenantDomainRequest: IdentifiedRequest {}
extension V1.RotateTenantDataLoginRequest: IdentifiedRequest {}
extension V1.RetireTenantDataLoginRequest: IdentifiedRequest {}
extension V1.RotateDataKeyRequest: IdentifiedRequest {}
extension V1.RevokeTokensRequest: IdentifiedRequest {}
extension V1.RotateTokenKeyRequest: IdentifiedRequest {}
extension V1.RemoveTokenKeyRequest: IdentifiedRequest {}
extension V1.SetAuthenticationSettingsRequest: IdentifiedRequest {}
extension V1.CreateWorkloadEntryRequest: IdentifiedRequest {}
extension V1.DeleteWorkloadEntryRequest: IdentifiedRequest {}
