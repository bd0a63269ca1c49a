"""`validate_only`: every method that has it judges as if, and keeps nothing."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from support import api
from support.client import failure, invalid
from support.nodes import token_of
from support.pki import TRUST_DOMAIN, Authority, signed

authorities, authz, flags, manager, plans, settings, tenant, tokens, workloads = (
    api.authorities, api.authz, api.flags, api.manager, api.plans, api.settings, api.tenant, api.tokens, api.workloads)

# After one of these, others of the table find another scene.
LEAVE_NOTHING_TO_OTHERS = {
    "TenantManager/DeactivateTenant", "TenantManager/ActivateTenant", "TenantManager/DeleteTenant",
    "TenantManager/BeginTenantMaintenance", "TenantManager/PurgeTenant", "Authorization/DeleteRole",
    # What follows it goes on after the answer.
    "Secrets/RotateDataKey"}
# They need others: a DNS server, a cluster. In `test_validate_only_clusters`, and in `test_tenant_domain_proofs`.
OF_CLUSTERS = {"Clusters/AuditCluster", "TenantData/RotateTenantDataLogin", "TenantData/RetireTenantDataLogin"}
OF_DOMAINS = {"TenantDomains/ClaimTenantDomain", "TenantDomains/VerifyTenantDomain",
              "TenantDomains/ReleaseTenantDomain"}
# What permissions of methods that change nothing end in.
READING = {"get", "list", "list_history", "list_conflicts", "resolve", "check", "explain", "export", "introspect",
           "access", "replay", "simulate"}
# Writes that can't be tried, and why.
NEVER_TRIED = {
    "Tokens/IssueToken": "changes nothing but its own answer, which is what is asked for",
    "Tokens/ExchangeToken": "likewise",
}
FUTURE = Timestamp(seconds=4_000_000_000)


def methods():
    """Names of those whose requests have the field, with the descriptors of these."""
    return {name: method.input_type for name, method in api.methods().items()
            if "validate_only" in method.input_type.fields_by_name}


def test_every_write_can_be_tried():
    """A method says what it is by its permission. Whoever needs none learns about oneself."""
    untried = set()
    for name, method in api.methods().items():
        permission = method.GetOptions().Extensions[api.options.authorization].permission
        is_write = permission.rpartition(":")[2] not in READING and name != "Identity/WhoAmI"
        has_field = "validate_only" in method.input_type.fields_by_name
        assert not has_field or is_write, f"{name} changes nothing, and can be tried"
        if is_write and not has_field:
            untried.add(name)
    assert untried == NEVER_TRIED.keys()


def revision(client) -> str:
    _, call = client.manager.ListTenants.with_call(manager.ListTenantsRequest(page_size=1), timeout=20)
    return token_of(call)


def scene(admin, slug):
    """What each of the requests could change."""
    pending = admin.create(slug("pending")).name
    active = admin.active(slug("active"))
    suspended = admin.active(slug("suspended"))
    admin.suspend(suspended.name)
    deleted = admin.active(slug("deleted"))
    admin.delete(deleted.name)
    away = admin.active(slug("away"))
    admin.maintain(away.name)
    held = admin.create(slug("held")).name
    admin.hold(held)
    admin.manager.UpdateTenant(manager.UpdateTenantRequest(
        tenant=tenant.Tenant(name=held, slug=slug("holder")), update_mask=FieldMask(paths=["slug"])), timeout=20)
    role = admin.role(active.name, "reader", "a:b").name
    given = admin.assign(active.name, "user:al", "reader").name
    for number in range(2):
        admin.group(active.name, f"g{number}")
    joined = admin.join(active.name, "g0", "user:al").name
    # More than go in one transaction.
    crowd = admin.role(active.name, "crowd", "a:b").name
    for number in range(300):
        admin.assign(active.name, f"user:{number}", "crowd")
        admin.join(active.name, "g1", f"user:{number}")
    admin.settings.CreateSettingDefinition(settings.CreateSettingDefinitionRequest(
        setting_definition_id=slug.replace("-", "_"), setting_definition=settings.SettingDefinition(
            type=settings.SETTING_TYPE_BOOL)), timeout=20)
    for flag in ("one", "two"):
        admin.manager.UpdateTenantConfiguration(manager.UpdateTenantConfigurationRequest(
            name=active.name, configuration=tenant.TenantConfiguration(feature_flags={flag: True})), timeout=20)
    past = admin.configurations.ListSettingHistory(
        api.configurations.ListSettingHistoryRequest(name=active.name), timeout=20).changes[-1].revision
    admin.plans.CreatePlan(plans.CreatePlanRequest(plan_id=slug("plan"), plan=plans.Plan()), timeout=20)
    admin.flags.CreateFeatureFlag(flags.CreateFeatureFlagRequest(
        feature_flag_id=slug.replace("-", "_"), feature_flag=flags.FeatureFlag()), timeout=20)
    keys = [admin.tokens.RotateTokenKey(tokens.RotateTokenKeyRequest(parent=active.name), timeout=20).key.id
            for _ in range(2)]
    entry = admin.register(active.name, "web", uid=4711).name
    jwt = dict(kind=authorities.CertificateAuthority.KIND_JWT, trust_domain=TRUST_DOMAIN)
    prepared, idle = (admin.prepare(1, **jwt).name for _ in range(2))
    external = admin.prepare(external=True, trust_domain=TRUST_DOMAIN)
    root = Authority("company")
    chain = (signed(external.certificate_request, root) + root.pem).decode()
    return dict(key=keys[0], entry=entry, prepared=prepared, idle=idle, external=external.name, chain=chain,
                pending=pending, active=active.name, suspended=suspended.name, deleted=deleted.name,
                past=past, away=away.name, held=held, role=role, given=given, crowd=crowd,
                joined=joined)


def requests(at, slug):
    key = slug.replace("-", "_")
    named = tenant.Tenant(name=at["active"], display_name="Other")
    return {
        "TenantManager/CreateTenant": [manager.CreateTenantRequest(tenant=tenant.Tenant(
            slug=slug("new"), display_name="x", isolation_model=api.SHARED))],
        "TenantManager/UpdateTenant": [manager.UpdateTenantRequest(tenant=named)],
        "TenantManager/UpdateTenantConfiguration": [manager.UpdateTenantConfigurationRequest(
            name=at["active"], configuration=tenant.TenantConfiguration(feature_flags={"x": True}))],
        "TenantConfigurations/RevertTenantConfiguration": [api.configurations.RevertTenantConfigurationRequest(
            name=at["active"], revision=at["past"])],
        "TenantManager/CloneTenant": [manager.CloneTenantRequest(
            source=at["active"], tenant=tenant.Tenant(slug=slug("clone"), display_name="x"))],
        "TenantManager/RetireTenantSlug": [manager.RetireTenantSlugRequest(name=at["held"], slug=slug("held"))],
        "TenantManager/DeactivateTenant": [manager.DeactivateTenantRequest(name=at["active"])],
        "TenantManager/ActivateTenant": [manager.ActivateTenantRequest(name=at["suspended"])],
        "TenantManager/DeleteTenant": [manager.DeleteTenantRequest(name=at["active"])],
        "TenantManager/BeginTenantMaintenance": [manager.BeginTenantMaintenanceRequest(name=at["active"])],
        "TenantManager/EndTenantMaintenance": [manager.EndTenantMaintenanceRequest(name=at["away"])],
        "TenantManager/UndeleteTenant": [manager.UndeleteTenantRequest(name=at["deleted"])],
        "TenantManager/PurgeTenant": [manager.PurgeTenantRequest(name=at["deleted"], ignore_retention=True)],
        "TenantManager/PlaceTenantLegalHold": [manager.PlaceTenantLegalHoldRequest(name=at["active"], reason="x")],
        "TenantManager/ReleaseTenantLegalHold": [manager.ReleaseTenantLegalHoldRequest(name=at["held"])],
        "TenantManager/SetTenantSchedule": [manager.SetTenantScheduleRequest(
            name=at["active"], schedule=tenant.TenantSchedule(delete_time=FUTURE))],
        "TenantManager/ProvisionTenantResources": [manager.ProvisionTenantResourcesRequest(name=at["pending"])],
        "TenantManager/DeprovisionTenantResources": [manager.DeprovisionTenantResourcesRequest(name=at["suspended"])],
        "Authorization/CreateRole": [authz.CreateRoleRequest(
            parent=at["active"], role_id="writer", role=authz.Role(permissions=["a:c"]))],
        "Authorization/UpdateRole": [authz.UpdateRoleRequest(role=authz.Role(name=at["role"], title="x"))],
        "Authorization/DeleteRole": [authz.DeleteRoleRequest(name=at["role"], force=True),
                                     authz.DeleteRoleRequest(name=at["crowd"], force=True)],
        "Authorization/AddRolePermissions": [authz.AddRolePermissionsRequest(name=at["role"], permissions=["a:z"])],
        "Authorization/RemoveRolePermissions": [
            authz.RemoveRolePermissionsRequest(name=at["role"], permissions=["a:b"])],
        "Authorization/CreateRoleAssignment": [authz.CreateRoleAssignmentRequest(
            parent=at["active"], assignment=authz.RoleAssignment(subject="user:bo", role="reader"))],
        "Authorization/CreateGroup": [authz.CreateGroupRequest(parent=at["active"], group_id="fresh")],
        "Authorization/UpdateGroup": [authz.UpdateGroupRequest(
            group=authz.Group(name=f"{at['active']}/groups/g0", title="x"))],
        "Authorization/CreateGroupMember": [authz.CreateGroupMemberRequest(
            parent=at["active"], group_member=authz.GroupMember(group="g0", member="group:g1"))],
        "Authorization/DeleteGroupMember": [authz.DeleteGroupMemberRequest(name=at["joined"])],
        "Authorization/DeleteGroup": [authz.DeleteGroupRequest(name=f"{at['active']}/groups/g1", force=True)],
        "Authorization/ApplyPolicy": [authz.ApplyPolicyRequest(parent=at["active"], changes=[
            authz.PolicyChange(put_role=authz.Role(name="author")),
            authz.PolicyChange(put_assignment=authz.RoleAssignment(subject="user:new", role="author")),
            authz.PolicyChange(put_group_member=authz.GroupMember(group="g0", member="user:fresh"))])],
        "Authorization/DeleteRoleAssignment": [authz.DeleteRoleAssignmentRequest(name=at["given"])],
        "Tokens/SetAuthenticationSettings": [tokens.SetAuthenticationSettingsRequest(
            parent=at["active"], settings=tokens.AuthenticationSettings(require_binding=True))],
        "Tokens/RevokeTokens": [tokens.RevokeTokensRequest(parent=at["active"], subject="user:al"),
                                tokens.RevokeTokensRequest(parent=at["active"], token_id="x" * 22),
                                tokens.RevokeTokensRequest(parent=at["active"], all=True)],
        "Tokens/RotateTokenKey": [tokens.RotateTokenKeyRequest(parent=at["active"])],
        "Tokens/RemoveTokenKey": [tokens.RemoveTokenKeyRequest(parent=at["active"], key_id=at["key"])],
        "TenantManager/BatchCreateTenants": [manager.BatchCreateTenantsRequest(requests=[
            manager.CreateTenantRequest(
                tenant=tenant.Tenant(slug=slug(f"batch-{n}"), display_name="x", isolation_model=api.SHARED),
                request_id=f"8a0d2c1e-0000-4000-8000-{n:012}") for n in range(2)])],
        "WorkloadEntries/CreateWorkloadEntry": [workloads.CreateWorkloadEntryRequest(entry=workloads.WorkloadEntry(
            tenant=at["active"], path="other", selectors=workloads.WorkloadSelectors(uid=4712)))],
        "WorkloadEntries/DeleteWorkloadEntry": [workloads.DeleteWorkloadEntryRequest(name=at["entry"])],
        "CertificateAuthorities/PrepareCertificateAuthority": [
            authorities.PrepareCertificateAuthorityRequest(trust_domain=TRUST_DOMAIN)],
        "CertificateAuthorities/ImportCertificateAuthority": [authorities.ImportCertificateAuthorityRequest(
            name=at["external"], certificate_chain=at["chain"])],
        "CertificateAuthorities/ActivateCertificateAuthority": [
            authorities.ActivateCertificateAuthorityRequest(name=at["prepared"], force=True)],
        "CertificateAuthorities/RetireCertificateAuthority": [
            authorities.RetireCertificateAuthorityRequest(name=at["idle"])],
        "Secrets/RotateDataKey": [api.secrets.RotateDataKeyRequest()],
        "SettingDefinitions/CreateSettingDefinition": [settings.CreateSettingDefinitionRequest(
            setting_definition_id=f"{key}_new", setting_definition=settings.SettingDefinition(
                type=settings.SETTING_TYPE_BOOL))],
        "SettingDefinitions/UpdateSettingDefinition": [settings.UpdateSettingDefinitionRequest(
            setting_definition=settings.SettingDefinition(name=f"settingDefinitions/{key}", description="x"))],
        "SettingDefinitions/DeleteSettingDefinition": [
            settings.DeleteSettingDefinitionRequest(name=f"settingDefinitions/{key}")],
        "Plans/CreatePlan": [plans.CreatePlanRequest(plan_id=slug("other"), plan=plans.Plan())],
        "Plans/UpdatePlan": [plans.UpdatePlanRequest(plan=plans.Plan(name=f"plans/{slug('plan')}", display_name="x"))],
        "Plans/DeletePlan": [plans.DeletePlanRequest(name=f"plans/{slug('plan')}")],
        "FeatureFlags/CreateFeatureFlag": [flags.CreateFeatureFlagRequest(
            feature_flag_id=f"{key}_new", feature_flag=flags.FeatureFlag())],
        "FeatureFlags/UpdateFeatureFlag": [flags.UpdateFeatureFlagRequest(
            feature_flag=flags.FeatureFlag(name=f"featureFlags/{key}", description="x"))],
        "FeatureFlags/DeleteFeatureFlag": [flags.DeleteFeatureFlagRequest(name=f"featureFlags/{key}")],
    }


def test_nothing_is_kept_and_the_same_request_works_then(operator, admin, slug):
    at = scene(admin, slug)
    table = requests(at, slug)
    assert table.keys() | OF_CLUSTERS | OF_DOMAINS == methods().keys()
    before = revision(admin)
    for method, all_of_it in table.items():
        for request in all_of_it:
            request.validate_only = True
            operator.call(method, request)
            assert revision(admin) == before, method
    for method, all_of_it in table.items():
        for request in all_of_it if method not in LEAVE_NOTHING_TO_OTHERS else []:
            request.validate_only = False
            operator.call(method, request)
            assert revision(admin) != before, method
            before = revision(admin)


def test_it_refuses_as_the_other_does(operator, slug):
    made = operator.create(slug)
    stale = manager.DeactivateTenantRequest(name=made.name, validate_only=True)
    assert failure("FAILED_PRECONDITION", operator.manager.DeactivateTenant, stale).reason == "ILLEGAL_TRANSITION"
    moved = manager.DeleteTenantRequest(name=made.name, etag="x", validate_only=True)
    assert failure("ABORTED", operator.manager.DeleteTenant, moved).reason == "ETAG_MISMATCH"
    invalid("role.permissions[0]", operator.authz.CreateRole, authz.CreateRoleRequest(
        parent=made.name, role_id="x", role=authz.Role(permissions=["nothing"]), validate_only=True))
    assert operator.get(made.name) == made


def test_tokens_work_on_after_a_trial(operator, slug):
    made = operator.active(slug)
    issued = operator.tokens.IssueToken(
        tokens.IssueTokenRequest(parent=made.name, subject="user:al", unbound=True), timeout=20)
    [key] = operator.tokens.GetJsonWebKeySet(tokens.GetJsonWebKeySetRequest(parent=made.name), timeout=20).keys
    for trial in (tokens.RevokeTokensRequest(parent=made.name, token=issued.token),
                  tokens.RevokeTokensRequest(parent=made.name, all=True)):
        trial.validate_only = True
        assert operator.tokens.RevokeTokens(trial, timeout=20).expire_time.seconds
    operator.tokens.RemoveTokenKey(tokens.RemoveTokenKeyRequest(
        parent=made.name, key_id=key.id, validate_only=True), timeout=20)
    other = operator.tokens.RotateTokenKey(
        tokens.RotateTokenKeyRequest(parent=made.name, validate_only=True), timeout=20).key
    assert other.id != key.id
    assert list(operator.tokens.GetJsonWebKeySet(
        tokens.GetJsonWebKeySetRequest(parent=made.name), timeout=20).keys) == [key]
    assert operator.tokens.IntrospectToken(
        tokens.IntrospectTokenRequest(token=issued.token), timeout=20).active
    assert failure("NOT_FOUND", operator.tokens.RemoveTokenKey, tokens.RemoveTokenKeyRequest(
        parent=made.name, key_id=other.id, validate_only=True)).reason == "TOKEN_KEY_NOT_FOUND"


def test_a_batch_is_tried_as_a_whole(operator, slug):
    def one(name, **fields):
        return manager.CreateTenantRequest(
            tenant=tenant.Tenant(slug=name, display_name="x", isolation_model=api.SHARED), **fields)

    def tried(*requests, validate_only=True):
        return operator.manager.BatchCreateTenants(
            manager.BatchCreateTenantsRequest(requests=requests, validate_only=validate_only), timeout=20).tenants

    assert [made.slug for made in tried(one(slug("a")), one(slug("b")))] == [slug("a"), slug("b")]
    failure("NOT_FOUND", operator.get, f"tenants/{slug('a')}")
    invalid("requests[1].validate_only", tried, one(slug("a")), one(slug("b"), validate_only=True))
    error = failure("ALREADY_EXISTS", tried, one(slug("a")), one(slug("a")))
    assert "requests[1]" in error.message
    [made] = tried(one(slug("a"), request_id=f"8a0d2c1e-1111-4000-8000-{abs(hash(slug)) % 10**12:012}"),
                   validate_only=False)
    assert operator.get(made.name).slug == slug("a")


def test_nothing_is_audited_but_refusals(admin, slug):
    made = admin.active(slug)
    page = api.audit.ListAuditRecordsRequest(parent=made.name)
    before = list(admin.audit.ListAuditRecords(page, timeout=20).records)
    admin.tokens.RevokeTokens(
        tokens.RevokeTokensRequest(parent=made.name, all=True, validate_only=True), timeout=20)
    admin.tokens.RotateTokenKey(tokens.RotateTokenKeyRequest(parent=made.name, validate_only=True), timeout=20)
    assert list(admin.audit.ListAuditRecords(page, timeout=20).records) == before


def test_parts_of_the_configuration_in_a_tenants_mask(operator, slug):
    made = operator.create(slug)
    sent = tenant.Tenant(name=made.name, etag=made.etag, display_name="Both")
    sent.configuration.custom_settings.update({"a": 1, "b": 2})
    sent.configuration.feature_flags["on"] = True
    mask = FieldMask(paths=["display_name", "configuration.custom_settings.a"])
    after = operator.manager.UpdateTenant(manager.UpdateTenantRequest(tenant=sent, update_mask=mask), timeout=20)
    assert after.display_name == "Both" and dict(after.configuration.custom_settings) == {"a": 1}
    assert not after.configuration.feature_flags and after.configuration.schema == made.configuration.schema
    for path in ("configuration.", "configuration.nothing", "configuration.custom_settings."):
        invalid("update_mask.paths[0]", operator.manager.UpdateTenant, manager.UpdateTenantRequest(
            tenant=sent, update_mask=FieldMask(paths=[path])))
    assert operator.get(made.name) == after


@pytest.mark.parametrize("method", ["TenantManager/DeleteTenant", "TenantManager/PurgeTenant",
                                    "TenantData/RotateTenantDataLogin", "TenantData/RetireTenantDataLogin"])
def test_whoever_may_not_do_it_may_not_ask(admin, connect, pki, slug, method):
    made = admin.active(slug)
    caller = connect(pki.openssl.tenant(slug))
    request = methods()[method]._concrete_class(name=made.name, validate_only=True)
    failure("PERMISSION_DENIED", caller.call, method, request)
