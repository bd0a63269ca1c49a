"""Plans and feature flags: what tenants have by theirs, and for whom a flag is on."""

import hashlib

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.struct_pb2 import Value
from support import api
from support.client import failure, invalid
from support.nodes import settings as node_settings
from support.pki import tenant_id
from support.rate_limits import descriptor, flood
from support.waiting import eventually

audit, configurations, flags, manager, plans, settings, tenant = (
    api.audit, api.configurations, api.flags, api.manager, api.plans, api.settings, api.tenant)
LEVELS = {"tenant": configurations.CONFIGURATION_LEVEL_TENANT, "plan": configurations.CONFIGURATION_LEVEL_PLAN,
          "platform": configurations.CONFIGURATION_LEVEL_PLATFORM}
Reason = configurations.FeatureFlagEvaluation


@pytest.fixture
def server(make_server):
    return make_server().start()


@pytest.fixture
def admin(server):
    with server.operator() as client:
        yield client


def make_plan(client, name, values=None, on=None, **fields):
    plan = plans.Plan(feature_flags=on or {}, **fields)
    plan.settings.update(values or {})
    return client.plans.CreatePlan(plans.CreatePlanRequest(plan_id=name, plan=plan), timeout=20)


def make_flag(client, name, **fields):
    return client.flags.CreateFeatureFlag(flags.CreateFeatureFlagRequest(
        feature_flag_id=name, feature_flag=flags.FeatureFlag(**fields)), timeout=20)


def configure(client, name, paths=(), values=None, **fields):
    configuration = tenant.TenantConfiguration(**fields)
    if values is not None:
        configuration.custom_settings.update(values)
    return client.manager.UpdateTenantConfiguration(manager.UpdateTenantConfigurationRequest(
        name=name, configuration=configuration, update_mask=FieldMask(paths=paths)), timeout=20)


def effective(client, name):
    return dict(client.configurations.GetEffectiveConfiguration(
        configurations.GetEffectiveConfigurationRequest(name=name), timeout=20).settings)


def explain(client, name, setting):
    [found] = client.configurations.ExplainConfiguration(
        configurations.ExplainConfigurationRequest(name=name, setting=setting), timeout=20).settings
    return found


def evaluate(client, name, subject="", *names):
    found = client.configurations.EvaluateFeatureFlags(configurations.EvaluateFeatureFlagsRequest(
        name=name, subject=subject, flags=names), timeout=20).flags
    return {one.flag: one for one in found}


def test_levels(server, admin, pki):
    admin.active("acme")
    admin.settings.CreateSettingDefinition(settings.CreateSettingDefinitionRequest(
        setting_definition_id="seats", setting_definition=settings.SettingDefinition(
            type=settings.SETTING_TYPE_INTEGER, maximum=100, default_value=Value(number_value=5))))
    assert effective(admin, "acme") == {"seats": 5}
    invalid("plan.settings.seats", make_plan, admin, "gold", {"seats": 101})
    make_plan(admin, "gold", {"seats": 50, "support": "mail"}, {"beta": True}, display_name="Gold")
    invalid("configuration.limits.plan", configure, admin, "acme", limits=tenant.RequestLimits(plan="silver"))
    configure(admin, "acme", limits=tenant.RequestLimits(plan="gold"))
    with server.client(pki.python.tenant("acme")) as web:
        assert effective(web, "acme") == {"seats": 50, "support": "mail"}
        assert explain(web, "acme", "seats").level == LEVELS["plan"]
        configure(admin, "acme", values={"seats": 60, "own": True})
        assert effective(web, "acme") == {"seats": 60, "support": "mail", "own": True}
        found = explain(web, "acme", "seats")
        assert [(one.level, one.value.number_value) for one in found.levels] == [
            (LEVELS["tenant"], 60), (LEVELS["plan"], 50), (LEVELS["platform"], 5)]
        # Of a plan that changes, its tenants know at once; of a definition, too.
        change = plans.Plan(name="plans/gold")
        change.settings.update({"seats": 70})
        admin.plans.UpdatePlan(plans.UpdatePlanRequest(plan=change))
        configure(admin, "acme", paths=["custom_settings.seats"])
        assert effective(web, "acme") == {"seats": 70, "own": True}
        admin.settings.UpdateSettingDefinition(settings.UpdateSettingDefinitionRequest(
            setting_definition=settings.SettingDefinition(name="settingDefinitions/seats", maximum=65)))
        assert effective(web, "acme")["seats"] == 5
        assert explain(web, "acme", "seats").levels[0].problem == "must be at most 65"
        assert failure("PERMISSION_DENIED", effective, web, "globex").reason == "TENANT_MISMATCH"
        failure("PERMISSION_DENIED", web.plans.ListPlans, plans.ListPlansRequest())
    # A tenant's own people give it no other plan.
    admin.assign("acme", tenant_id("acme", "chief"), "tenant-admin")
    with server.client(pki.python.tenant("acme", "chief")) as chief:
        error = failure("PERMISSION_DENIED", configure, chief, "acme", limits=tenant.RequestLimits(plan="other"))
        assert error.reason == "LIMITS_NOT_OWN"
    error = failure("FAILED_PRECONDITION", admin.plans.DeletePlan, plans.DeletePlanRequest(name="plans/gold"))
    assert (error.reason, error.metadata["tenants"]) == ("PLAN_IN_USE", "1")
    server.kill()
    server.start()
    with server.operator() as again:
        assert effective(again, "acme") == {"seats": 5, "own": True}
        configure(again, "acme", paths=["limits"])
        again.plans.DeletePlan(plans.DeletePlanRequest(name="plans/gold"))
        # The one that every server has.
        assert [one.name for one in again.plans.ListPlans(plans.ListPlansRequest()).plans] == ["plans/standard"]


def bucket(salt, tenant_id, subject):
    """As the documentation has it."""
    digest = hashlib.sha256(f"{salt}/{tenant_id}/{subject}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % 10_000


def test_rollouts_are_stable_and_can_be_computed(server, admin, pki):
    acme, globex = admin.active("acme"), admin.active("globex")
    made = make_flag(admin, "new_ui", rollout_basis_points=3_000, tenants=[globex.id], subjects=["user:al"])
    assert made.salt == "new_ui"
    subjects = ["", *(f"user:{number}" for number in range(300)), "user:é/x"]
    with server.client(pki.python.tenant("acme")) as web:
        def on():
            found = {subject: evaluate(admin, "acme", subject)["new_ui"] for subject in subjects}
            for subject, one in found.items():
                assert one.reason == Reason.REASON_ROLLOUT
                assert one.bucket == bucket("new_ui", acme.id, subject)
            told = {subject for subject, one in found.items() if one.enabled}
            # The tenant is told what is on, and nothing of how that comes.
            for subject in subjects[:40]:
                lit = Reason(flag="new_ui", enabled=True, reason=Reason.REASON_ROLLOUT)
                assert evaluate(web, "acme", subject) == ({"new_ui": lit} if subject in told else {})
                asked = evaluate(web, "acme", subject, "new_ui")["new_ui"]
                assert asked == (lit if subject in told else Reason(flag="new_ui"))
            return told
        some = on()
        assert some == {subject for subject in subjects if bucket("new_ui", acme.id, subject) < 3_000}
        assert 50 < len(some) < 140
        admin.flags.UpdateFeatureFlag(flags.UpdateFeatureFlagRequest(
            feature_flag=flags.FeatureFlag(name=made.name, rollout_basis_points=6_000)))
        more = on()
        assert some < more
        assert evaluate(admin, "acme", "user:al")["new_ui"].reason == Reason.REASON_LISTED
        assert evaluate(web, "acme", "user:al")["new_ui"].reason == Reason.REASON_ROLLOUT
    assert evaluate(admin, "globex")["new_ui"].reason == Reason.REASON_LISTED
    # Whoever says otherwise nearer to the tenant counts.
    make_plan(admin, "gold", on={"new_ui": False, "beta": True})
    configure(admin, "globex", limits=tenant.RequestLimits(plan="gold"))
    found = evaluate(admin, "globex", "user:al")
    assert {name: (one.enabled, one.reason) for name, one in found.items()} == {
        "new_ui": (False, Reason.REASON_PLAN), "beta": (True, Reason.REASON_PLAN)}
    configure(admin, "globex", feature_flags={"new_ui": True})
    assert evaluate(admin, "globex", "", "new_ui", "none") == {
        "new_ui": Reason(flag="new_ui", enabled=True, reason=Reason.REASON_TENANT), "none": Reason(flag="none")}


def test_flags_that_are_the_platforms(server, admin, pki):
    admin.active("acme")
    admin.assign("acme", tenant_id("acme", "chief"), "tenant-admin")
    make_flag(admin, "paid")
    make_flag(admin, "dark", editor=settings.SETTING_EDITOR_TENANT)
    with server.client(pki.python.tenant("acme", "chief")) as chief:
        configure(chief, "acme", feature_flags={"dark": True, "free": True})
        error = failure("PERMISSION_DENIED", configure, chief, "acme", feature_flags={"paid": True})
        assert (error.reason, error.fields) == ("SETTING_NOT_OWN", ["configuration.feature_flags.paid"])
        failure("PERMISSION_DENIED", make_flag, chief, "mine")
        invalid("flags", evaluate, chief, "acme", "", *(f"f{number}" for number in range(101)))
        invalid("subject", evaluate, chief, "acme", "x" * 257)
    assert failure("ALREADY_EXISTS", make_flag, admin, "paid").reason == "FEATURE_FLAG_EXISTS"
    invalid("feature_flag.rollout_basis_points", make_flag, admin, "x", rollout_basis_points=10_001)
    invalid("feature_flag.tenants[0]", make_flag, admin, "x", tenants=["acme"])


def test_the_platform_s_chain_names_what_was_changed(server, admin):
    make_plan(admin, "gold")
    make_flag(admin, "beta")
    admin.flags.UpdateFeatureFlag(flags.UpdateFeatureFlagRequest(
        feature_flag=flags.FeatureFlag(name="featureFlags/beta", rollout_basis_points=1)))
    admin.settings.CreateSettingDefinition(settings.CreateSettingDefinitionRequest(
        setting_definition_id="seats",
        setting_definition=settings.SettingDefinition(type=settings.SETTING_TYPE_INTEGER)))
    admin.plans.DeletePlan(plans.DeletePlanRequest(name="plans/gold"))
    told = [(one.action, one.reason) for one in admin.audit.ListAuditRecords(
        audit.ListAuditRecordsRequest()).records if one.revision and "/" in one.reason]
    assert told == [
        ("plans.create", "plans/gold"), ("feature_flags.create", "featureFlags/beta"),
        ("feature_flags.update", "featureFlags/beta"),
        ("setting_definitions.create", "settingDefinitions/seats"), ("plans.delete", "plans/gold")]


def test_plans_of_the_configuration_file(make_server):
    second = {"requests": 5, "per": "second"}
    server = make_server(rate_limits={"plans": [{"name": "usual", "limits": [second]},
                                                {"name": "filed", "limits": [second]}], "default_plan": "usual"})
    server.start()
    with server.operator() as admin:
        admin.active("acme")
        make_plan(admin, "gold")
        found = admin.plans.ListPlans(plans.ListPlansRequest()).plans
        assert [(one.name, one.read_only) for one in found] == [
            ("plans/filed", True), ("plans/usual", True), ("plans/gold", False)]
        assert failure("ALREADY_EXISTS", make_plan, admin, "filed").reason == "PLAN_EXISTS"
        error = failure("FAILED_PRECONDITION", admin.plans.DeletePlan, plans.DeletePlanRequest(name="plans/filed"))
        assert error.reason == "PLAN_READ_ONLY"
        for plan in ("filed", "gold"):
            configure(admin, "acme", limits=tenant.RequestLimits(plan=plan))
            assert admin.plans.GetPlan(plans.GetPlanRequest(name=f"plans/{plan}")).tenants == 1
        invalid("configuration.limits.plan", configure, admin, "acme", limits=tenant.RequestLimits(plan="none"))


def test_a_plan_s_limits_hold_from_then_on(make_server, pki):
    """What it does not limit, the usual plan does."""
    usual = [{"requests": 2, "per": "day"}, {"name": "uploads", "requests": 1, "per": "day"}]
    server = make_server(rate_limits={"plans": [{"name": "usual", "limits": usual}], "default_plan": "usual"}).start()
    with server.operator() as admin, server.client(pki.python.platform("resolver")) as sidecar:
        acme = admin.active("acme")
        daily = tenant.RequestLimit(requests=4, period=tenant.RequestLimit.PERIOD_DAY)
        make_plan(admin, "gold", limits=[daily])
        assert flood(sidecar, 10, acme.id) == 2
        configure(admin, "acme", limits=tenant.RequestLimits(plan="gold"))
        assert flood(sidecar, 10, acme.id) == 2
        assert flood(sidecar, 10, descriptor(acme.id, limit="uploads")) == 1
        daily.requests = 7
        admin.plans.UpdatePlan(plans.UpdatePlanRequest(plan=plans.Plan(name="plans/gold", limits=[daily])))
        assert flood(sidecar, 10, acme.id) == 3


def test_nodes_agree(make_server, database):
    """What one node is told holds on the other, and what that one keeps."""
    one, other = (make_server(**node_settings(database, poll=200)).start() for _ in range(2))
    with one.operator() as here, other.operator() as there:
        acme = here.active("acme", api.SHARED)
        make_plan(here, "gold", {"seats": 50})
        make_flag(here, "new_ui", rollout_basis_points=5_000)
        configure(here, "acme", limits=tenant.RequestLimits(plan="gold"))
        here.settings.CreateSettingDefinition(settings.CreateSettingDefinitionRequest(
            setting_definition_id="color", setting_definition=settings.SettingDefinition(
                type=settings.SETTING_TYPE_STRING, allowed_values=["red"])))
        eventually(lambda: len(there.settings.ListSettingDefinitions(
            settings.ListSettingDefinitionsRequest()).setting_definitions) == 1, "the other node knows it")
        assert effective(there, acme.id) == {"seats": 50}
        assert evaluate(there, acme.id, "user:al") == evaluate(here, acme.id, "user:al")
        invalid("configuration.custom_settings.color", configure, there, acme.id, values={"color": "blue"})
        error = failure("FAILED_PRECONDITION", there.plans.DeletePlan, plans.DeletePlanRequest(name="plans/gold"))
        assert error.reason == "PLAN_IN_USE"
    one.kill()
    other.kill()
    one.start()
    with one.operator() as again:
        assert effective(again, acme.id) == {"seats": 50}
