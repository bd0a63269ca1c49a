"""`validate_only`: every method that has it judges as if, and keeps nothing."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from support import api
from support.client import failure, invalid
from support.nodes import token_of

authz, flags, manager, plans, settings, tenant, tokens = (
    api.authz, api.flags, api.manager, api.plans, api.settings, api.tenant, api.tokens)

# After one of these, others of the table find another scene.
LEAVE_NOTHING_TO_OTHERS = {
    "TenantManager/DeactivateTenant", "TenantManager/ActivateTenant", "TenantManager/DeleteTenant",
    "TenantManager/BeginTenantMaintenance", "TenantManager/PurgeTenant", "Authorization/DeleteRole"}
FUTURE = Timestamp(seconds=4_000_000_000)


def methods():
    """Names of those whose requests have the field, with the descriptors of these."""
    return {name: method.input_type for name, method in api.methods().items()
            if "validate_only" in method.input_type.fields_by_name}


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
    # More than go in one transaction.
    crowd = admin.role(active.name, "crowd", "a:b").name
    for number in range(300):
        admin.assign(active.name, f"user:{number}", "crowd")
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
    return dict(pending=pending, active=active.name, suspended=suspended.name, deleted=deleted.name,
                past=past, away=away.name, held=held, role=role, given=given, crowd=crowd)


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
        "Authorization/DeleteRoleAssignment": [authz.DeleteRoleAssignmentRequest(name=at["given"])],
        "Tokens/SetAuthenticationSettings": [tokens.SetAuthenticationSettingsRequest(
            parent=at["active"], settings=tokens.AuthenticationSettings(require_binding=True))],
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
    assert table.keys() == methods().keys()
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


@pytest.mark.parametrize("method", ["TenantManager/DeleteTenant", "TenantManager/PurgeTenant"])
def test_whoever_may_not_do_it_may_not_ask(admin, connect, pki, slug, method):
    made = admin.active(slug)
    caller = connect(pki.openssl.tenant(slug))
    request = methods()[method]._concrete_class(name=made.name, validate_only=True)
    failure("PERMISSION_DENIED", caller.call, method, request)
