"""`request_id`: what was carried out under one is not carried out again, by whichever node, and is answered alike."""

import threading
import uuid

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from support import api
from support.client import failure, invalid
from support.nodes import token_of, validate
from support.pki import tenant_id
from support.requests import EVERY
from support.tokens import bearer, issue
from support.waiting import eventually

authorities, authz, flags, manager, plans, settings, tenant, tokens, workloads = (
    api.authorities, api.authz, api.flags, api.manager, api.plans, api.settings, api.tenant, api.tokens,
    api.workloads)

# Verbs of methods that change nothing that is kept.
READS = ("Get", "List", "BatchGet", "Watch", "Explain", "Evaluate", "Diff", "Access", "Check", "BatchCheck", "Resolve",
         "Validate", "WhoAmI", "Introspect", "Export", "Stream", "Replay", "Simulate")
WITHOUT = {
    # Each of several requests has an id of its own.
    "TenantManager/BatchCreateTenants",
    # Each time another token; none is kept.
    "Tokens/IssueToken", "Tokens/ExchangeToken",
    # What is right already is left alone.
    "Clusters/AuditCluster",
}


def test_every_write_has_an_id():
    found = {name for name, method in api.methods().items()
             if "request_id" not in method.input_type.fields_by_name}
    writes = {name for name in EVERY if not name.split("/")[1].startswith(READS)}
    assert writes & found == WITHOUT


def revision(client) -> str:
    _, call = client.manager.ListTenants.with_call(manager.ListTenantsRequest(page_size=1), timeout=20)
    return token_of(call)


class Twice:
    """Makes each call twice, and once more for something else under the same id."""

    def __init__(self, client, watcher):
        self.client, self.watcher = client, watcher
        self.methods = set()

    def __call__(self, method, request, is_still=True):
        """`is_still`: whether the server does nothing by itself then."""
        self.methods.add(method)
        request.request_id = str(uuid.uuid4())
        first = self.client.call(method, request)
        before = revision(self.watcher)
        assert self.client.call(method, request) == first, method
        other = plans.CreatePlanRequest(plan_id="other", plan=plans.Plan(), request_id=request.request_id)
        assert failure("INVALID_ARGUMENT", self.client.plans.CreatePlan, other).reason == "REQUEST_ID_REUSED"
        assert revision(self.watcher) == before or not is_still, method
        answer = api.methods()[method].output_type
        return getattr(answer, "_concrete_class").FromString(first)


def test_each_is_carried_out_once(operator, admin, slug):
    twice = Twice(operator, admin)
    key = slug.replace("-", "_")
    named = admin.active(slug).name
    twice("TenantManager/UpdateTenant", manager.UpdateTenantRequest(
        tenant=tenant.Tenant(name=named, slug=slug("new")), update_mask=FieldMask(paths=["slug"])))
    twice("TenantManager/RetireTenantSlug", manager.RetireTenantSlugRequest(name=named, slug=slug))
    twice("TenantManager/UpdateTenantConfiguration", manager.UpdateTenantConfigurationRequest(
        name=named, configuration=tenant.TenantConfiguration(feature_flags={"x": True})))
    twice("TenantManager/SetTenantSchedule", manager.SetTenantScheduleRequest(
        name=named, schedule=tenant.TenantSchedule(delete_time=Timestamp(seconds=4_000_000_000))))
    twice("TenantManager/PlaceTenantLegalHold", manager.PlaceTenantLegalHoldRequest(name=named, reason="x"))
    twice("TenantManager/ReleaseTenantLegalHold", manager.ReleaseTenantLegalHoldRequest(name=named))
    twice("TenantManager/BeginTenantMaintenance", manager.BeginTenantMaintenanceRequest(name=named))
    twice("TenantManager/EndTenantMaintenance", manager.EndTenantMaintenanceRequest(name=named))

    role = twice("Authorization/CreateRole", authz.CreateRoleRequest(
        parent=named, role_id="clerk", role=authz.Role(permissions=["a:b"]))).name
    twice("Authorization/UpdateRole", authz.UpdateRoleRequest(role=authz.Role(name=role, title="Clerk")))
    twice("Authorization/AddRolePermissions", authz.AddRolePermissionsRequest(name=role, permissions=["a:c"]))
    twice("Authorization/RemoveRolePermissions", authz.RemoveRolePermissionsRequest(name=role, permissions=["a:b"]))
    given = twice("Authorization/CreateRoleAssignment", authz.CreateRoleAssignmentRequest(
        parent=named, assignment=authz.RoleAssignment(subject="user:al", role="clerk"))).name
    twice("Authorization/DeleteRoleAssignment", authz.DeleteRoleAssignmentRequest(name=given))
    group = twice("Authorization/CreateGroup", authz.CreateGroupRequest(
        parent=named, group_id="eng", group=authz.Group(title="Eng"))).name
    twice("Authorization/UpdateGroup", authz.UpdateGroupRequest(group=authz.Group(name=group, title="All")))
    joined = twice("Authorization/CreateGroupMember", authz.CreateGroupMemberRequest(
        parent=named, group_member=authz.GroupMember(group="eng", member="user:al"))).name
    twice("Authorization/DeleteGroupMember", authz.DeleteGroupMemberRequest(name=joined))
    twice("Authorization/ApplyPolicy", authz.ApplyPolicyRequest(parent=named, changes=[
        authz.PolicyChange(put_role=authz.Role(name="reader")),
        authz.PolicyChange(put_assignment=authz.RoleAssignment(subject="user:al", role="reader"))]))
    # More than go in one transaction.
    for number in range(300):
        admin.assign(named, f"user:{number}", "clerk")
        admin.join(named, "eng", f"user:{number}")
    twice("Authorization/DeleteGroup", authz.DeleteGroupRequest(name=group, force=True))
    twice("Authorization/DeleteRole", authz.DeleteRoleRequest(name=role, force=True))

    twice("Tokens/SetAuthenticationSettings", tokens.SetAuthenticationSettingsRequest(
        parent=named, settings=tokens.AuthenticationSettings(require_binding=True)))
    former = twice("Tokens/RotateTokenKey", tokens.RotateTokenKeyRequest(parent=named)).key.id
    latter = twice("Tokens/RotateTokenKey", tokens.RotateTokenKeyRequest(parent=named)).key.id
    assert former != latter
    twice("Tokens/RemoveTokenKey", tokens.RemoveTokenKeyRequest(parent=named, key_id=former))
    twice("Tokens/RevokeTokens", tokens.RevokeTokensRequest(parent=named, subject="user:al"))
    twice("Tokens/RevokeTokens", tokens.RevokeTokensRequest(parent=named, all=True))

    entry = twice("WorkloadEntries/CreateWorkloadEntry", workloads.CreateWorkloadEntryRequest(
        entry=workloads.WorkloadEntry(
            tenant=named, path="web", selectors=workloads.WorkloadSelectors(uid=30_123)))).name
    twice("WorkloadEntries/DeleteWorkloadEntry", workloads.DeleteWorkloadEntryRequest(name=entry))
    twice("Secrets/RotateDataKey", api.secrets.RotateDataKeyRequest(), is_still=False)

    definition = twice("SettingDefinitions/CreateSettingDefinition", settings.CreateSettingDefinitionRequest(
        setting_definition_id=key, setting_definition=settings.SettingDefinition(
            type=settings.SETTING_TYPE_BOOL))).name
    twice("SettingDefinitions/UpdateSettingDefinition", settings.UpdateSettingDefinitionRequest(
        setting_definition=settings.SettingDefinition(name=definition, description="x")))
    twice("SettingDefinitions/DeleteSettingDefinition", settings.DeleteSettingDefinitionRequest(name=definition))
    plan = twice("Plans/CreatePlan", plans.CreatePlanRequest(plan_id=slug, plan=plans.Plan())).name
    twice("Plans/UpdatePlan", plans.UpdatePlanRequest(plan=plans.Plan(name=plan, display_name="x")))
    twice("Plans/DeletePlan", plans.DeletePlanRequest(name=plan))
    flag = twice("FeatureFlags/CreateFeatureFlag", flags.CreateFeatureFlagRequest(
        feature_flag_id=key, feature_flag=flags.FeatureFlag())).name
    twice("FeatureFlags/UpdateFeatureFlag", flags.UpdateFeatureFlagRequest(
        feature_flag=flags.FeatureFlag(name=flag, description="x")))
    twice("FeatureFlags/DeleteFeatureFlag", flags.DeleteFeatureFlagRequest(name=flag))

    twice("TenantManager/DeactivateTenant", manager.DeactivateTenantRequest(name=named))
    twice("TenantManager/ActivateTenant", manager.ActivateTenantRequest(name=named))
    admin.suspend(named)
    twice("TenantManager/DeprovisionTenantResources", manager.DeprovisionTenantResourcesRequest(name=named))
    twice("TenantManager/ProvisionTenantResources", manager.ProvisionTenantResourcesRequest(name=named))
    twice("TenantManager/DeleteTenant", manager.DeleteTenantRequest(name=named))
    twice("TenantManager/UndeleteTenant", manager.UndeleteTenantRequest(name=named))
    admin.delete(named)
    purge(operator, admin, named)

    apart = {"TenantManager/CreateTenant", "TenantManager/CloneTenant", "TenantManager/PurgeTenant",
             "TenantConfigurations/RevertTenantConfiguration", "TenantData/RotateTenantDataLogin",
             "TenantData/RetireTenantDataLogin"}
    apart |= {method for method in EVERY if method.startswith(("TenantDomains/", "CertificateAuthorities/"))}
    assert twice.methods == {name for name, method in api.methods().items()
                             if "request_id" in method.input_type.fields_by_name} - apart


def purge(operator, admin, named):
    """Of what it has taken away there is not much to be told."""
    request = manager.PurgeTenantRequest(name=named, ignore_retention=True, request_id=str(uuid.uuid4()))
    assert operator.manager.PurgeTenant(request, timeout=20).state == tenant.TENANT_STATE_PURGED
    before = revision(admin)
    again = operator.manager.PurgeTenant(request, timeout=20)
    assert (again.name, again.state) == (named, tenant.TENANT_STATE_PURGED)
    assert revision(admin) == before
    request.request_id = str(uuid.uuid4())
    assert failure("NOT_FOUND", operator.manager.PurgeTenant, request).reason == "TENANT_NOT_FOUND"


def test_authorities(operator, admin):
    twice = Twice(operator, admin)
    made = twice("CertificateAuthorities/PrepareCertificateAuthority", authorities.PrepareCertificateAuthorityRequest(
        trust_domain="ids.e2e.test", propagation=Duration(seconds=60)))
    twice("CertificateAuthorities/ActivateCertificateAuthority", authorities.ActivateCertificateAuthorityRequest(
        name=made.name, force=True))
    twice("CertificateAuthorities/RetireCertificateAuthority", authorities.RetireCertificateAuthorityRequest(
        name=made.name, force=True))


def test_what_the_caller_got_wrong_is_not_remembered(operator, admin, slug):
    named, name = admin.active(slug).name, str(uuid.uuid4())
    wrong = authz.CreateRoleRequest(parent=named, role_id="Clerk", role=authz.Role(), request_id=name)
    invalid("role_id", operator.authz.CreateRole, wrong)
    wrong.role_id = "clerk"
    assert operator.authz.CreateRole(wrong, timeout=20).name.endswith("/roles/clerk")
    wrong.request_id = "no uuid"
    invalid("request_id", operator.authz.CreateRole, wrong)


def test_a_dry_run_keeps_no_id(operator, admin, slug):
    named = admin.active(slug).name
    request = manager.DeactivateTenantRequest(name=named, request_id=str(uuid.uuid4()), validate_only=True)
    before = revision(admin)
    for _ in range(2):
        assert operator.manager.DeactivateTenant(request, timeout=20).state == tenant.TENANT_STATE_SUSPENDED
    assert revision(admin) == before
    request.validate_only = False
    assert operator.manager.DeactivateTenant(request, timeout=20).state == tenant.TENANT_STATE_SUSPENDED
    assert revision(admin) != before


def test_what_is_repeated_is_told_as_it_is_by_now(operator, admin, slug):
    named = admin.active(slug).name
    request = authz.CreateRoleRequest(
        parent=named, role_id="clerk", role=authz.Role(title="One"), request_id=str(uuid.uuid4()))
    made = operator.authz.CreateRole(request, timeout=20)
    changed = admin.authz.UpdateRole(authz.UpdateRoleRequest(role=authz.Role(name=made.name, title="Two")), timeout=20)
    assert operator.authz.CreateRole(request, timeout=20) == changed
    admin.authz.DeleteRole(authz.DeleteRoleRequest(name=made.name), timeout=20)
    assert failure("NOT_FOUND", operator.authz.CreateRole, request).reason == "ROLE_NOT_FOUND"


def test_ids_are_each_callers_own(pki, admin, slug, connect):
    """Also where two tenants have callers of one name."""
    name = str(uuid.uuid4())
    for tenant_slug in (slug("one"), slug("two")):
        parent = admin.active(tenant_slug).name
        admin.assign(parent, "user:al", "tenant-admin")
        web = pki.openssl.tenant(tenant_slug)
        token = issue(admin, parent, "user:al", certificate_sha256=bytes.fromhex(web.fingerprint())).token
        client = connect(web)
        request = authz.CreateRoleRequest(parent=parent, role_id="clerk", role=authz.Role(), request_id=name)
        for _ in range(2):
            made = client.authz.CreateRole(request, **bearer(token))
            assert made.name == f"{parent}/roles/clerk"


def test_whoever_may_not_any_more_is_told_nothing(operator, admin, slug, connect, pki):
    named = admin.active(slug).name
    caller = pki.openssl.tenant(slug)
    given = admin.assign(named, tenant_id(slug), "tenant-admin").name
    client = connect(caller)
    request = authz.CreateRoleRequest(
        parent=named, role_id="clerk", role=authz.Role(), request_id=str(uuid.uuid4()))
    made = client.authz.CreateRole(request, timeout=20)
    assert client.authz.CreateRole(request, timeout=20) == made
    admin.authz.DeleteRoleAssignment(authz.DeleteRoleAssignmentRequest(name=given), timeout=20)
    assert failure("PERMISSION_DENIED", client.authz.CreateRole, request).reason == "PERMISSION_MISSING"


def keys_of(client, parent) -> int:
    return len(client.tokens.GetJsonWebKeySet(tokens.GetJsonWebKeySetRequest(parent=parent), timeout=20).keys)


def test_a_request_is_carried_out_once_by_all_nodes(make_nodes):
    nodes = make_nodes(2)
    with nodes[0].operator() as one, nodes[1].operator() as other:
        named = one.active("acme").name
        eventually(lambda: validate(other, "acme").state == api.ACTIVE, "the other node knows it")
        for _ in range(8):
            request = tokens.RotateTokenKeyRequest(parent=named, request_id=str(uuid.uuid4()))
            found, all_at_once = [], threading.Barrier(8)

            def ask(client):
                all_at_once.wait()
                found.append(client.tokens.RotateTokenKey(request, timeout=20).key.id)

            before = keys_of(one, named)
            threads = [threading.Thread(target=ask, args=(client,)) for client in [one, other] * 4]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(found) == 8 and len(set(found)) == 1
            assert keys_of(one, named) == before + 1
            one.tokens.RemoveTokenKey(tokens.RemoveTokenKeyRequest(parent=named, key_id=found[0]), timeout=20)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_ids_outlast_the_server(make_server, end):
    server = make_server().start()
    with server.operator() as client:
        named = client.active("acme").name
        request = tokens.RotateTokenKeyRequest(parent=named, request_id=str(uuid.uuid4()))
        made = client.tokens.RotateTokenKey(request, timeout=20)
    getattr(server, end)()
    server.start()
    with server.operator() as client:
        assert client.tokens.RotateTokenKey(request, timeout=20) == made
        assert keys_of(client, named) == 1
