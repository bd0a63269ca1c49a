import TenancyRPC
import TenancyWire

/// A call of each method whose request names a tenant.
struct TenantCall {
  let method: MethodIdentity
  /// Calls it about a tenant, in any form of its name.
  let call: (_ client: Stubs, _ tenant: String) async throws -> Void

  private init(
    _ method: MethodIdentity, _ call: @escaping (Stubs, String) async throws -> some WireMessage
  ) {
    self.method = method
    self.call = { client, tenant in _ = try await call(client, tenant) }
  }

  static var all: [TenantCall] {
    manager + checks + roles + assignments + tokens + domains + configurations
  }

  private static var configurations: [TenantCall] {
    typealias API = V1.TenantConfigurations
    return [
      TenantCall(API.getEffectiveConfiguration.identity) {
        try await $0.configurations.getEffectiveConfiguration(
          V1.GetEffectiveConfigurationRequest(name: $1))
      },
      TenantCall(API.explainConfiguration.identity) {
        try await $0.configurations.explainConfiguration(V1.ExplainConfigurationRequest(name: $1))
      },
      TenantCall(API.evaluateFeatureFlags.identity) {
        try await $0.configurations.evaluateFeatureFlags(V1.EvaluateFeatureFlagsRequest(name: $1))
      },
      TenantCall(API.listSettingHistory.identity) {
        try await $0.configurations.listSettingHistory(V1.ListSettingHistoryRequest(name: $1))
      },
      TenantCall(API.diffTenantConfiguration.identity) {
        try await $0.configurations.diffTenantConfiguration(
          V1.DiffTenantConfigurationRequest(name: $1, fromRevision: 1))
      },
      TenantCall(API.accessSecretSetting.identity) {
        try await $0.configurations.accessSecretSetting(
          V1.AccessSecretSettingRequest(name: $1, setting: "key"))
      },
      TenantCall(API.revertTenantConfiguration.identity) {
        try await $0.configurations.revertTenantConfiguration(
          V1.RevertTenantConfigurationRequest(name: $1, revision: 1))
      },
    ]
  }

  private static var manager: [TenantCall] {
    typealias API = V1.TenantManager
    return [
      TenantCall(API.getTenant.identity) { try await $0.get($1) },
      TenantCall(API.getTenantUsage.identity) {
        try await $0.tenants.getTenantUsage(V1.GetTenantUsageRequest(name: $1))
      },
      TenantCall(V1.TenantData.getTenantDataAccess.identity) {
        try await $0.data.getTenantDataAccess(V1.GetTenantDataAccessRequest(name: $1))
      },
      TenantCall(V1.TenantData.rotateTenantDataLogin.identity) {
        try await $0.data.rotateTenantDataLogin(V1.RotateTenantDataLoginRequest(name: $1))
      },
      TenantCall(V1.TenantData.retireTenantDataLogin.identity) {
        try await $0.data.retireTenantDataLogin(V1.RetireTenantDataLoginRequest(name: $1))
      },
      TenantCall(API.updateTenant.identity) {
        try await $0.tenants.updateTenant(
          V1.UpdateTenantRequest(tenant: V1.Tenant(name: $1, displayName: "Taken over")))
      },
      TenantCall(API.deactivateTenant.identity) {
        try await $0.tenants.deactivateTenant(V1.DeactivateTenantRequest(name: $1))
      },
      TenantCall(API.cloneTenant.identity) {
        try await $0.tenants.cloneTenant(
          V1.CloneTenantRequest(source: $1, tenant: V1.Tenant(displayName: "A clone")))
      },
      TenantCall(API.activateTenant.identity) {
        try await $0.tenants.activateTenant(V1.ActivateTenantRequest(name: $1))
      },
      TenantCall(API.deleteTenant.identity) {
        try await $0.tenants.deleteTenant(V1.DeleteTenantRequest(name: $1))
      },
      TenantCall(API.undeleteTenant.identity) {
        try await $0.tenants.undeleteTenant(V1.UndeleteTenantRequest(name: $1))
      },
      TenantCall(API.purgeTenant.identity) {
        try await $0.tenants.purgeTenant(V1.PurgeTenantRequest(name: $1, ignoreRetention: true))
      },
      TenantCall(API.beginTenantMaintenance.identity) {
        try await $0.tenants.beginTenantMaintenance(V1.BeginTenantMaintenanceRequest(name: $1))
      },
      TenantCall(API.endTenantMaintenance.identity) {
        try await $0.tenants.endTenantMaintenance(V1.EndTenantMaintenanceRequest(name: $1))
      },
      TenantCall(API.placeTenantLegalHold.identity) {
        try await $0.tenants.placeTenantLegalHold(
          V1.PlaceTenantLegalHoldRequest(name: $1, reason: "x"))
      },
      TenantCall(API.releaseTenantLegalHold.identity) {
        try await $0.tenants.releaseTenantLegalHold(V1.ReleaseTenantLegalHoldRequest(name: $1))
      },
      TenantCall(API.setTenantSchedule.identity) {
        try await $0.tenants.setTenantSchedule(V1.SetTenantScheduleRequest(name: $1))
      },
      TenantCall(API.updateTenantConfiguration.identity) {
        try await $0.tenants.updateTenantConfiguration(
          V1.UpdateTenantConfigurationRequest(
            name: $1, configuration: V1.TenantConfiguration(featureFlags: ["taken": true])))
      },
      TenantCall(API.provisionTenantResources.identity) {
        try await $0.tenants.provisionTenantResources(V1.ProvisionTenantResourcesRequest(name: $1))
      },
      TenantCall(API.retireTenantSlug.identity) {
        try await $0.tenants.retireTenantSlug(V1.RetireTenantSlugRequest(name: $1, slug: "old"))
      },
      TenantCall(API.deprovisionTenantResources.identity) {
        try await $0.tenants.deprovisionTenantResources(
          V1.DeprovisionTenantResourcesRequest(name: $1))
      },
    ]
  }

  private static var checks: [TenantCall] {
    typealias API = V1.Authorization
    return [
      TenantCall(API.check.identity) {
        try await $0.authorization.check(
          V1.CheckRequest(tenant: $1, subject: "user:alice", permission: "equipment:read"))
      },
      TenantCall(API.batchCheck.identity) {
        let item = V1.BatchCheckItem(subject: "user:alice", permission: "equipment:read")
        return try await $0.authorization.batchCheck(
          V1.BatchCheckRequest(tenant: $1, items: [item]))
      },
      TenantCall(API.explain.identity) {
        try await $0.authorization.explain(
          V1.ExplainRequest(tenant: $1, subject: "user:alice", permission: "equipment:read"))
      },
      TenantCall(API.listPermissions.identity) {
        try await $0.authorization.listPermissions(
          V1.ListPermissionsRequest(tenant: $1, subject: "user:alice"))
      },
      TenantCall(API.listSubjects.identity) {
        try await $0.authorization.listSubjects(
          V1.ListSubjectsRequest(tenant: $1, permission: "equipment:read"))
      },
      TenantCall(API.listResources.identity) {
        try await $0.authorization.listResources(
          V1.ListResourcesRequest(tenant: $1, subject: "user:alice", permission: "equipment:read"))
      },
      TenantCall(API.listDecisions.identity) {
        try await $0.authorization.listDecisions(V1.ListDecisionsRequest(tenant: $1))
      },
      TenantCall(API.replayDecisions.identity) {
        try await $0.authorization.replayDecisions(V1.ReplayDecisionsRequest(tenant: $1))
      },
      TenantCall(API.simulate.identity) {
        try await $0.authorization.simulate(V1.SimulateRequest(tenant: $1))
      },
    ]
  }

  private static var roles: [TenantCall] {
    typealias API = V1.Authorization
    return [
      TenantCall(API.createRole.identity) {
        try await $0.authorization.createRole(V1.CreateRoleRequest(parent: $1, roleId: "intruder"))
      },
      TenantCall(API.getRole.identity) {
        try await $0.authorization.getRole(V1.GetRoleRequest(name: "\($1)/roles/engineer"))
      },
      TenantCall(API.updateRole.identity) {
        try await $0.authorization.updateRole(
          V1.UpdateRoleRequest(role: V1.Role(name: "\($1)/roles/engineer", title: "Mine")))
      },
      TenantCall(API.deleteRole.identity) {
        try await $0.authorization.deleteRole(
          V1.DeleteRoleRequest(name: "\($1)/roles/engineer", force: true))
      },
      TenantCall(API.listRoles.identity) {
        try await $0.authorization.listRoles(V1.ListRolesRequest(parent: $1))
      },
      TenantCall(API.addRolePermissions.identity) {
        try await $0.authorization.addRolePermissions(
          V1.AddRolePermissionsRequest(name: "\($1)/roles/engineer", permissions: ["*:*"]))
      },
      TenantCall(API.removeRolePermissions.identity) {
        try await $0.authorization.removeRolePermissions(
          V1.RemoveRolePermissionsRequest(
            name: "\($1)/roles/engineer", permissions: ["equipment:read"]))
      },
    ]
  }

  private static var domains: [TenantCall] {
    typealias API = V1.TenantDomains
    return [
      TenantCall(API.claimTenantDomain.identity) {
        try await $0.domains.claimTenantDomain(
          V1.ClaimTenantDomainRequest(parent: $1, domain: "intruder.net"))
      },
      TenantCall(API.verifyTenantDomain.identity) {
        try await $0.domains.verifyTenantDomain(
          V1.VerifyTenantDomainRequest(name: "\($1)/domains/intruder.net", method: .dns))
      },
      TenantCall(API.getTenantDomain.identity) {
        try await $0.domains.getTenantDomain(
          V1.GetTenantDomainRequest(name: "\($1)/domains/intruder.net"))
      },
      TenantCall(API.listTenantDomains.identity) {
        try await $0.domains.listTenantDomains(V1.ListTenantDomainsRequest(parent: $1))
      },
      TenantCall(API.releaseTenantDomain.identity) {
        try await $0.domains.releaseTenantDomain(
          V1.ReleaseTenantDomainRequest(name: "\($1)/domains/intruder.net"))
      },
    ]
  }

  private static var tokens: [TenantCall] {
    typealias API = V1.Tokens
    return [
      TenantCall(API.issueToken.identity) {
        try await $0.tokens.issueToken(
          V1.IssueTokenRequest(parent: $1, subject: "user:alice", unbound: true))
      },
      TenantCall(API.revokeTokens.identity) {
        try await $0.tokens.revokeTokens(
          V1.RevokeTokensRequest(parent: $1, target: .all(true)))
      },
      TenantCall(API.rotateTokenKey.identity) {
        try await $0.tokens.rotateTokenKey(V1.RotateTokenKeyRequest(parent: $1))
      },
      TenantCall(API.removeTokenKey.identity) {
        try await $0.tokens.removeTokenKey(
          V1.RemoveTokenKeyRequest(parent: $1, keyId: "anything"))
      },
      TenantCall(API.getJsonWebKeySet.identity) {
        try await $0.tokens.getJsonWebKeySet(V1.GetJsonWebKeySetRequest(parent: $1))
      },
      TenantCall(API.getAuthenticationSettings.identity) {
        try await $0.tokens.getAuthenticationSettings(
          V1.GetAuthenticationSettingsRequest(parent: $1))
      },
      TenantCall(API.setAuthenticationSettings.identity) {
        try await $0.tokens.setAuthenticationSettings(
          V1.SetAuthenticationSettingsRequest(parent: $1, settings: V1.AuthenticationSettings()))
      },
    ]
  }

  private static var assignments: [TenantCall] {
    typealias API = V1.Authorization
    return [
      TenantCall(API.createRoleAssignment.identity) {
        try await $0.assign("engineer", to: "user:mallory", in: $1)
      },
      TenantCall(API.deleteRoleAssignment.identity) {
        try await $0.authorization.deleteRoleAssignment(
          V1.DeleteRoleAssignmentRequest(name: "\($1)/assignments/anything"))
      },
      TenantCall(API.listRoleAssignments.identity) {
        try await $0.authorization.listRoleAssignments(V1.ListRoleAssignmentsRequest(parent: $1))
      },
      TenantCall(API.createGroup.identity) {
        try await $0.authorization.createGroup(
          V1.CreateGroupRequest(parent: $1, groupId: "engineers"))
      },
      TenantCall(API.getGroup.identity) {
        try await $0.authorization.getGroup(V1.GetGroupRequest(name: "\($1)/groups/engineers"))
      },
      TenantCall(API.updateGroup.identity) {
        try await $0.authorization.updateGroup(
          V1.UpdateGroupRequest(group: V1.Group(name: "\($1)/groups/engineers", title: "x")))
      },
      TenantCall(API.deleteGroup.identity) {
        try await $0.authorization.deleteGroup(
          V1.DeleteGroupRequest(name: "\($1)/groups/engineers"))
      },
      TenantCall(API.listGroups.identity) {
        try await $0.authorization.listGroups(V1.ListGroupsRequest(parent: $1))
      },
      TenantCall(API.createGroupMember.identity) {
        try await $0.authorization.createGroupMember(
          V1.CreateGroupMemberRequest(
            parent: $1, groupMember: V1.GroupMember(group: "engineers", member: "user:mallory")))
      },
      TenantCall(API.deleteGroupMember.identity) {
        try await $0.authorization.deleteGroupMember(
          V1.DeleteGroupMemberRequest(name: "\($1)/groupMembers/anything"))
      },
      TenantCall(API.listGroupMembers.identity) {
        try await $0.authorization.listGroupMembers(V1.ListGroupMembersRequest(parent: $1))
      },
      TenantCall(API.applyPolicy.identity) {
        try await $0.authorization.applyPolicy(
          V1.ApplyPolicyRequest(
            parent: $1,
            changes: [V1.PolicyChange(change: .putGroup(V1.Group(name: "engineers")))]))
      },
    ]
  }
}
