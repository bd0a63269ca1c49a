"""A request for every method of the API, about a tenant of one's choice.

A new method must be added here: `test_isolation` compares the table with the descriptors.
"""

from google.protobuf.field_mask_pb2 import FieldMask

from . import api

authorities, authz, domains, identity, manager, resolver, secrets, settings, tenant, tokens, workloads = (
    api.authorities, api.authz, api.domains, api.identity, api.manager, api.resolver, api.secrets, api.settings,
    api.tenant, api.tokens, api.workloads)


def _named(kind):
    return lambda name: kind(name=name)


def _update(name):
    return manager.UpdateTenantRequest(
        tenant=tenant.Tenant(name=name, display_name="x"),
        update_mask=FieldMask(paths=["display_name"]), validate_only=True)


def _configure(name):
    return manager.UpdateTenantConfigurationRequest(
        name=name, configuration=tenant.TenantConfiguration(feature_flags={"x": True}))


def _create_role(name):
    return authz.CreateRoleRequest(
        parent=name, role_id="fresh", role=authz.Role(permissions=["a:b"]))


def _assign(name):
    return authz.CreateRoleAssignmentRequest(
        parent=name, assignment=authz.RoleAssignment(subject="user:fresh", role="tenant-viewer"))


def _check(name):
    return authz.CheckRequest(tenant=name, subject="user:al", permission="a:b")


def _explain(name):
    return authz.ExplainRequest(tenant=name, subject="user:al", permission="a:b")


def _batch(name):
    return authz.BatchCheckRequest(
        tenant=name, items=[authz.BatchCheckItem(subject="user:al", permission="a:b")])


# The tenant is a field of its own: `tenants/{x}` or the bare id or slug.
ABOUT_A_TENANT = {
    "TenantManager/GetTenant": _named(manager.GetTenantRequest),
    "TenantManager/GetTenantUsage": _named(manager.GetTenantUsageRequest),
    "TenantManager/UpdateTenant": _update,
    "TenantManager/UpdateTenantConfiguration": _configure,
    "TenantResolver/ValidateTenant": _named(resolver.ValidateTenantRequest),
    "Authorization/Check": _check,
    "Authorization/BatchCheck": _batch,
    "Authorization/Explain": _explain,
    "Authorization/ListPermissions": lambda name: authz.ListPermissionsRequest(tenant=name, subject="user:al"),
    "Authorization/ListSubjects": lambda name: authz.ListSubjectsRequest(tenant=name, permission="a:b"),
    "Authorization/ListResources": lambda name: authz.ListResourcesRequest(
        tenant=name, subject="user:al", permission="a:b"),
    "Authorization/ListDecisions": lambda name: authz.ListDecisionsRequest(tenant=name),
    "Authorization/ReplayDecisions": lambda name: authz.ReplayDecisionsRequest(tenant=name),
    "Authorization/Simulate": lambda name: authz.SimulateRequest(tenant=name),
    "Authorization/CreateRole": _create_role,
    "Authorization/ListRoles": lambda name: authz.ListRolesRequest(parent=name),
    "Authorization/CreateRoleAssignment": _assign,
    "Authorization/ListRoleAssignments": lambda name: authz.ListRoleAssignmentsRequest(parent=name),
    "Authorization/CreateGroup": lambda name: authz.CreateGroupRequest(parent=name, group_id="fresh"),
    "Authorization/ListGroups": lambda name: authz.ListGroupsRequest(parent=name),
    "Authorization/CreateGroupMember": lambda name: authz.CreateGroupMemberRequest(
        parent=name, group_member=authz.GroupMember(group="eng", member="user:fresh")),
    "Authorization/ListGroupMembers": lambda name: authz.ListGroupMembersRequest(parent=name),
    "Authorization/ApplyPolicy": lambda name: authz.ApplyPolicyRequest(parent=name, changes=[
        authz.PolicyChange(put_group=authz.Group(name="fresh"))]),
    "Tokens/IssueToken": lambda name: tokens.IssueTokenRequest(
        parent=name, subject="user:al", unbound=True),
    "Tokens/RevokeTokens": lambda name: tokens.RevokeTokensRequest(
        parent=name, subject="user:nobody"),
    "Tokens/RotateTokenKey": lambda name: tokens.RotateTokenKeyRequest(parent=name),
    "Tokens/RemoveTokenKey": lambda name: tokens.RemoveTokenKeyRequest(
        parent=name, key_id="x" * 43),
    "Tokens/GetJsonWebKeySet": lambda name: tokens.GetJsonWebKeySetRequest(parent=name),
    "Tokens/GetAuthenticationSettings": lambda name: tokens.GetAuthenticationSettingsRequest(parent=name),
    "Tokens/SetAuthenticationSettings": lambda name: tokens.SetAuthenticationSettingsRequest(
        parent=name, settings=tokens.AuthenticationSettings()),
}

ABOUT_A_TENANT |= {
    "TenantDomains/ClaimTenantDomain": lambda name: domains.ClaimTenantDomainRequest(
        parent=name, domain="shop.e2e-domains.net"),
    "TenantDomains/ListTenantDomains": lambda name: domains.ListTenantDomainsRequest(parent=name),
}

ABOUT_A_TENANT |= {
    "TenantConfigurations/GetEffectiveConfiguration": _named(api.configurations.GetEffectiveConfigurationRequest),
    "TenantConfigurations/ExplainConfiguration": _named(api.configurations.ExplainConfigurationRequest),
    "TenantConfigurations/EvaluateFeatureFlags": _named(api.configurations.EvaluateFeatureFlagsRequest),
    "TenantConfigurations/ListSettingHistory": _named(api.configurations.ListSettingHistoryRequest),
    "TenantConfigurations/DiffTenantConfiguration": lambda name: api.configurations.DiffTenantConfigurationRequest(
        name=name, from_revision=1),
    "TenantConfigurations/AccessSecretSetting": lambda name: api.configurations.AccessSecretSettingRequest(
        name=name, setting="key"),
    "TenantConfigurations/RevertTenantConfiguration": lambda name: (
        api.configurations.RevertTenantConfigurationRequest(name=name, revision=1)),
}

# The tenant is part of a resource's name: `tenants/{x}/roles/{id}` and the like.
ABOUT_A_ROLE = {
    "Authorization/GetRole": _named(authz.GetRoleRequest),
    "Authorization/UpdateRole": lambda name: authz.UpdateRoleRequest(
        role=authz.Role(name=name, title="x")),
    "Authorization/DeleteRole": lambda name: authz.DeleteRoleRequest(name=name, force=True),
    "Authorization/AddRolePermissions": lambda name: authz.AddRolePermissionsRequest(
        name=name, permissions=["c:d"]),
    "Authorization/RemoveRolePermissions": lambda name: authz.RemoveRolePermissionsRequest(
        name=name, permissions=["c:d"]),
}
ABOUT_A_GROUP = {
    "Authorization/GetGroup": _named(authz.GetGroupRequest),
    "Authorization/UpdateGroup": lambda name: authz.UpdateGroupRequest(
        group=authz.Group(name=name, title="x")),
    "Authorization/DeleteGroup": lambda name: authz.DeleteGroupRequest(name=name, force=True),
}
ABOUT_A_MEMBER = {
    "Authorization/DeleteGroupMember": _named(authz.DeleteGroupMemberRequest),
}
ABOUT_AN_ASSIGNMENT = {
    "Authorization/DeleteRoleAssignment": _named(authz.DeleteRoleAssignmentRequest),
}

ABOUT_A_DOMAIN = {
    "TenantDomains/VerifyTenantDomain": lambda name: domains.VerifyTenantDomainRequest(
        name=name, method=domains.DOMAIN_PROOF_METHOD_DNS),
    "TenantDomains/GetTenantDomain": _named(domains.GetTenantDomainRequest),
    "TenantDomains/ReleaseTenantDomain": _named(domains.ReleaseTenantDomainRequest),
}

# The tenant is named by a selector; takes a bare id or slug.
BY_SELECTOR = {
    "TenantResolver/ResolveTenant": lambda name: resolver.ResolveTenantRequest(
        headers={"x-tenant-id": name}),
    "TenantResolver/ResolveFromPath": lambda name: resolver.ResolveFromPathRequest(
        path=f"/tenants/{name}/x"),
    "TenantResolver/ResolveFromSubdomain": lambda name: resolver.ResolveFromSubdomainRequest(
        host=f"{name}.tenants.example"),
    "TenantResolver/ResolveFromHeaders": lambda name: resolver.ResolveFromHeadersRequest(
        headers={"x-tenant-id": name}),
    "TenantResolver/ResolveFromEnvironment": lambda name: resolver.ResolveFromEnvironmentRequest(
        environment={"TENANT_ID": name}),
}

# For platform identities only.
PLATFORM = {
    "TenantManager/CreateTenant": lambda name: manager.CreateTenantRequest(
        tenant=tenant.Tenant(slug=name.removeprefix("tenants/"), display_name="x",
                             isolation_model=api.SHARED)),
    "TenantManager/BatchCreateTenants": lambda name: manager.BatchCreateTenantsRequest(requests=[
        manager.CreateTenantRequest(tenant=tenant.Tenant(
            slug=f"{name.removeprefix('tenants/')[:50]}-batch", display_name="x", isolation_model=api.SHARED))]),
    "TenantManager/CloneTenant": lambda name: manager.CloneTenantRequest(
        source=name, tenant=tenant.Tenant(display_name="A clone")),
    "TenantManager/BatchGetTenants": lambda name: manager.BatchGetTenantsRequest(names=[name]),
    "TenantManager/DeactivateTenant": _named(manager.DeactivateTenantRequest),
    "TenantManager/ActivateTenant": _named(manager.ActivateTenantRequest),
    "TenantManager/DeleteTenant": _named(manager.DeleteTenantRequest),
    "TenantManager/UndeleteTenant": _named(manager.UndeleteTenantRequest),
    "TenantManager/PurgeTenant": lambda name: manager.PurgeTenantRequest(name=name, ignore_retention=True),
    "TenantManager/BeginTenantMaintenance": _named(manager.BeginTenantMaintenanceRequest),
    "TenantManager/EndTenantMaintenance": _named(manager.EndTenantMaintenanceRequest),
    "TenantManager/PlaceTenantLegalHold": lambda name: manager.PlaceTenantLegalHoldRequest(
        name=name, reason="x"),
    "TenantManager/ReleaseTenantLegalHold": _named(manager.ReleaseTenantLegalHoldRequest),
    "TenantManager/SetTenantSchedule": _named(manager.SetTenantScheduleRequest),
    "TenantManager/RetireTenantSlug": lambda name: manager.RetireTenantSlugRequest(
        name=name, slug="old"),
    "TenantManager/ProvisionTenantResources": _named(manager.ProvisionTenantResourcesRequest),
    "TenantManager/DeprovisionTenantResources": _named(manager.DeprovisionTenantResourcesRequest),
    "TenantData/GetTenantDataAccess": _named(api.data.GetTenantDataAccessRequest),
    "TenantData/RotateTenantDataLogin": _named(api.data.RotateTenantDataLoginRequest),
    "TenantData/RetireTenantDataLogin": _named(api.data.RetireTenantDataLoginRequest),
    "TenantManager/ListBusiestTenants": lambda _: manager.ListBusiestTenantsRequest(),
    "Clusters/ListClusters": lambda _: api.clusters.ListClustersRequest(),
    "Clusters/AuditCluster": lambda _: api.clusters.AuditClusterRequest(name="clusters/x"),
    "TenantOperations/GetTenantOperation": lambda name: api.operations.GetTenantOperationRequest(
        name=f"{name}/operations/1"),
    "TenantOperations/ListTenantOperations": lambda _: api.operations.ListTenantOperationsRequest(),
    "TenantOperations/WatchTenantOperation": lambda name: api.operations.WatchTenantOperationRequest(
        name=f"{name}/operations/1"),
    "Secrets/RotateDataKey": lambda _: secrets.RotateDataKeyRequest(),
    "CertificateAuthorities/PrepareCertificateAuthority": lambda _: (
        authorities.PrepareCertificateAuthorityRequest(trust_domain="e2e.test", external=True)),
    "CertificateAuthorities/ImportCertificateAuthority": lambda _: (
        authorities.ImportCertificateAuthorityRequest(name="certificateAuthorities/x", certificate_chain="x")),
    "CertificateAuthorities/ActivateCertificateAuthority": lambda _: (
        authorities.ActivateCertificateAuthorityRequest(name="certificateAuthorities/x")),
    "CertificateAuthorities/RetireCertificateAuthority": lambda _: (
        authorities.RetireCertificateAuthorityRequest(name="certificateAuthorities/x")),
    "CertificateAuthorities/GetCertificateAuthority": lambda _: (
        authorities.GetCertificateAuthorityRequest(name="certificateAuthorities/x")),
    "CertificateAuthorities/ListCertificateAuthorities": lambda _: (
        authorities.ListCertificateAuthoritiesRequest()),
    "WorkloadEntries/CreateWorkloadEntry": lambda name: workloads.CreateWorkloadEntryRequest(
        entry=workloads.WorkloadEntry(
            tenant=name, path="web", selectors=workloads.WorkloadSelectors(uid=30_999))),
    "WorkloadEntries/GetWorkloadEntry": lambda _: workloads.GetWorkloadEntryRequest(
        name="workloadEntries/x"),
    "WorkloadEntries/ListWorkloadEntries": lambda name: workloads.ListWorkloadEntriesRequest(
        owner=name),
    "WorkloadEntries/DeleteWorkloadEntry": lambda _: workloads.DeleteWorkloadEntryRequest(
        name="workloadEntries/x"),
}

_SETTING = "settingDefinitions/x"
PLATFORM |= {
    "SettingDefinitions/CreateSettingDefinition": lambda _: settings.CreateSettingDefinitionRequest(
        setting_definition_id="x",
        setting_definition=settings.SettingDefinition(type=settings.SETTING_TYPE_BOOL)),
    "SettingDefinitions/GetSettingDefinition": lambda _: settings.GetSettingDefinitionRequest(name=_SETTING),
    "SettingDefinitions/ListSettingDefinitions": lambda _: settings.ListSettingDefinitionsRequest(),
    "SettingDefinitions/UpdateSettingDefinition": lambda _: settings.UpdateSettingDefinitionRequest(
        setting_definition=settings.SettingDefinition(name=_SETTING, description="x")),
    "SettingDefinitions/DeleteSettingDefinition": lambda _: settings.DeleteSettingDefinitionRequest(name=_SETTING),
    "SettingDefinitions/ListSettingConflicts": lambda _: settings.ListSettingConflictsRequest(name=_SETTING),
}

PLATFORM |= {
    "Plans/CreatePlan": lambda _: api.plans.CreatePlanRequest(plan_id="x", plan=api.plans.Plan()),
    "Plans/GetPlan": lambda _: api.plans.GetPlanRequest(name="plans/x"),
    "Plans/ListPlans": lambda _: api.plans.ListPlansRequest(),
    "Plans/UpdatePlan": lambda _: api.plans.UpdatePlanRequest(plan=api.plans.Plan(name="plans/x", display_name="x")),
    "Plans/ListPlanHistory": lambda _: api.plans.ListPlanHistoryRequest(name="plans/x"),
    "Plans/DeletePlan": lambda _: api.plans.DeletePlanRequest(name="plans/x"),
    "FeatureFlags/CreateFeatureFlag": lambda _: api.flags.CreateFeatureFlagRequest(
        feature_flag_id="x", feature_flag=api.flags.FeatureFlag()),
    "FeatureFlags/GetFeatureFlag": lambda _: api.flags.GetFeatureFlagRequest(name="featureFlags/x"),
    "FeatureFlags/ListFeatureFlags": lambda _: api.flags.ListFeatureFlagsRequest(),
    "FeatureFlags/UpdateFeatureFlag": lambda _: api.flags.UpdateFeatureFlagRequest(
        feature_flag=api.flags.FeatureFlag(name="featureFlags/x", description="x")),
    "FeatureFlags/DeleteFeatureFlag": lambda _: api.flags.DeleteFeatureFlagRequest(name="featureFlags/x"),
}

# These name no tenant.
ABOUT_NONE = {
    "TenantManager/ListTenants": lambda _: manager.ListTenantsRequest(show_deleted=True),
    "TenantManager/WatchTenants": lambda _: manager.WatchTenantsRequest(show_deleted=True, snapshot=True),
    "TenantResolver/GetDefaultTenant": lambda _: resolver.GetDefaultTenantRequest(),
    # It answers a denial as a finding: `test_resolution_product`.
    "TenantResolver/ExplainResolution": lambda _: resolver.ResolveTenantRequest(),
    "TenantResolver/ResolveFromToken": lambda _: resolver.ResolveFromTokenRequest(token="x"),
    "Identity/WhoAmI": lambda _: identity.WhoAmIRequest(),
    "Tokens/ExchangeToken": lambda _: tokens.ExchangeTokenRequest(),
    "Tokens/IntrospectToken": lambda _: tokens.IntrospectTokenRequest(token="x"),
    # Not to be named: the caller's own chain. `test_audit` asks for those of others.
    "Audit/ListAuditRecords": lambda _: api.audit.ListAuditRecordsRequest(),
    "Audit/ExportAuditRecords": lambda _: api.audit.ExportAuditRecordsRequest(),
    "Audit/StreamAuditRecords": lambda _: api.audit.StreamAuditRecordsRequest(),
}

EVERY = {**ABOUT_A_TENANT, **ABOUT_A_ROLE, **ABOUT_A_GROUP, **ABOUT_A_MEMBER, **ABOUT_AN_ASSIGNMENT,
         **ABOUT_A_DOMAIN, **BY_SELECTOR, **PLATFORM, **ABOUT_NONE}
