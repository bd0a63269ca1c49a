"""Histories of configurations: who changed what, what is different, and what becomes of it again."""

import uuid

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Value
from support import api
from support.client import failure, invalid
from support.nodes import known
from support.nodes import settings as node_settings
from support.pki import tenant_id
from support.waiting import eventually

configurations, manager, plans, settings, tenant = (
    api.configurations, api.manager, api.plans, api.settings, api.tenant)


@pytest.fixture
def server(make_server):
    return make_server().start()


@pytest.fixture
def admin(server):
    with server.operator() as client:
        yield client


def configure(client, name, paths=(), flags=None, **values):
    configuration = tenant.TenantConfiguration(feature_flags=flags or {})
    configuration.custom_settings.update(values)
    return client.manager.UpdateTenantConfiguration(manager.UpdateTenantConfigurationRequest(
        name=name, configuration=configuration, update_mask=FieldMask(paths=paths)), timeout=20)


def pages(client, name, setting="", size=0):
    """All of a history, and how many pages it took."""
    found, token, count = [], "", 0
    while True:
        page = client.configurations.ListSettingHistory(configurations.ListSettingHistoryRequest(
            name=name, setting=setting, page_size=size, page_token=token), timeout=20)
        assert not size or len(page.changes) <= size
        found += page.changes
        token, count = page.next_page_token, count + 1
        if not token:
            return found, count


def history(client, name, setting=""):
    return pages(client, name, setting)[0]


def told(changes):
    """Without who, when and at which revision."""
    def value(one, field):
        return MessageToDict(getattr(one, field)) if one.HasField(field) else "none"

    return [(one.setting, value(one, "old_value"), value(one, "new_value")) for one in changes]


def diff(client, name, start, end=0):
    return client.configurations.DiffTenantConfiguration(configurations.DiffTenantConfigurationRequest(
        name=name, from_revision=start, to_revision=end), timeout=20)


def revert(client, name, revision, *fields, **options):
    return client.configurations.RevertTenantConfiguration(configurations.RevertTenantConfigurationRequest(
        name=name, revision=revision, settings=fields, **options), timeout=20)


def declare(client, setting, kind, **fields):
    return client.settings.CreateSettingDefinition(settings.CreateSettingDefinitionRequest(
        setting_definition_id=setting, setting_definition=settings.SettingDefinition(
            type=getattr(settings, f"SETTING_TYPE_{kind}"), **fields)), timeout=20)


def test_what_was_done_is_told_and_undone(server, admin, pki):
    admin.active("acme")
    admin.assign("acme", tenant_id("acme", "chief"), "tenant-admin")
    declare(admin, "theme", "STRING", editor=settings.SETTING_EDITOR_TENANT)
    declare(admin, "seats", "INTEGER")
    configure(admin, "acme", seats=5, theme="dark", flags={"beta": True})
    with server.client(pki.python.tenant("acme", "chief")) as chief:
        configure(chief, "acme", theme="light", free=None)
        changes = history(chief, "acme")
        assert told(changes) == [
            ("custom_settings.free", "none", None), ("custom_settings.theme", "dark", "light"),
            ("custom_settings.seats", "none", 5.0), ("custom_settings.theme", "none", "dark"),
            ("feature_flags.beta", "none", True)]
        assert {one.actor for one in changes[:2]} == {tenant_id("acme", "chief")}
        assert changes[0].revision == changes[1].revision > changes[2].revision == changes[4].revision
        assert changes[0].action == "tenants.configure" and changes[0].time.seconds > 0
        assert told(history(chief, "acme", "custom_settings.theme")) == [
            ("custom_settings.theme", "dark", "light"), ("custom_settings.theme", "none", "dark")]
        for size in (1, 2, 3, 100):
            assert pages(chief, "acme", size=size)[0] == changes
        first = changes[2].revision
        found = diff(chief, "acme", first)
        assert told(found.differences) == told(changes[:2]) and found.to_revision >= changes[0].revision
        assert not diff(chief, "acme", first, first).differences
        assert told(diff(chief, "acme", changes[0].revision, first).differences) == [
            ("custom_settings.free", None, "none"), ("custom_settings.theme", "light", "dark")]
        # What is the platform's to change stays so: all or nothing.
        before = admin.get("acme")
        error = failure("PERMISSION_DENIED", revert, chief, "acme", first - 1)
        assert error.reason == "SETTING_NOT_OWN" and admin.get("acme") == before
        answer = revert(chief, "acme", first, validate_only=True)
        assert admin.get("acme") == before and len(answer.changes) == 2
        done = revert(chief, "acme", first)
        assert told(done.changes) == [("custom_settings.free", None, "none"), ("custom_settings.theme", "light", "dark")]
        assert dict(done.tenant.configuration.custom_settings) == {"seats": 5.0, "theme": "dark"}
        assert told(history(chief, "acme")[:2]) == told(done.changes)
        assert history(chief, "acme")[0].action == "tenants.revert"
        records = api.audit.ListAuditRecordsResponse.FromString(
            chief.call("Audit/ListAuditRecords", api.audit.ListAuditRecordsRequest(page_size=1000))).records
        assert [one.decision for one in records if one.action == "tenants.revert"].count(
            api.audit.AUDIT_DECISION_ALLOWED) == 1
    everything = history(admin, "acme")
    server.kill()
    server.start()
    with server.operator() as again:
        assert history(again, "acme") == everything
        revert(again, "acme", first - 1)
        assert not again.get("acme").configuration.custom_settings


def test_a_revert_is_judged_like_any_change(admin):
    admin.active("acme")
    configure(admin, "acme", seats=500, theme="neon")
    old = history(admin, "acme")[0].revision
    configure(admin, "acme", seats=5, theme="dark")
    declare(admin, "seats", "INTEGER", maximum=100)
    declare(admin, "theme", "STRING", allowed_values=["dark"])
    before = admin.get("acme")
    error = failure("INVALID_ARGUMENT", revert, admin, "acme", old)
    assert error.fields == ["configuration.custom_settings.seats", "configuration.custom_settings.theme"]
    assert admin.get("acme") == before
    assert failure("ABORTED", revert, admin, "acme", old, etag="v1").reason == "ETAG_MISMATCH"
    invalid("settings[1]", revert, admin, "acme", old, "custom_settings.a", "database")
    invalid("revision", revert, admin, "acme", 0)
    invalid("revision", revert, admin, "acme", 1 << 40)
    invalid("request_id", revert, admin, "acme", old, request_id="x")
    invalid("setting", history, admin, "acme", "theme")
    invalid("from_revision", diff, admin, "acme", 0)
    invalid("page_token", admin.configurations.ListSettingHistory,
            configurations.ListSettingHistoryRequest(name="acme", page_token="00"))
    # What was asked for under an id is not done again.
    name = str(uuid.uuid4())
    assert revert(admin, "acme", old - 1, request_id=name).changes
    configure(admin, "acme", seats=7)
    assert not revert(admin, "acme", old - 1, request_id=name).changes
    assert admin.get("acme").configuration.custom_settings["seats"] == 7
    invalid("request_id", revert, admin, "acme", old, request_id=name)


def test_whose_history_it_is(server, admin, pki):
    for slug in ("acme", "globex"):
        admin.active(slug)
        configure(admin, slug, secretive=slug)
        admin.assign(slug, tenant_id(slug, "chief"), "tenant-admin")
    revision = history(admin, "globex")[0].revision
    with server.client(pki.python.tenant("acme", "chief")) as chief, server.client(pki.python.tenant("acme")) as web:
        for call in (lambda name: history(chief, name), lambda name: diff(chief, name, 1),
                     lambda name: revert(chief, name, revision)):
            theirs = failure("PERMISSION_DENIED", call, "globex")
            assert theirs == failure("PERMISSION_DENIED", call, "no-such-tenant")
            assert theirs.reason == "TENANT_MISMATCH"
        # A token of another's list is of no use, and a workload without a role sees the present alone.
        token = admin.configurations.ListSettingHistory(
            configurations.ListSettingHistoryRequest(name="globex", page_size=1)).next_page_token
        if token:
            invalid("page_token", chief.configurations.ListSettingHistory,
                    configurations.ListSettingHistoryRequest(name="acme", page_token=token))
        for call in (lambda: history(web, "acme"), lambda: diff(web, "acme", 1), lambda: revert(web, "acme", 1)):
            assert failure("PERMISSION_DENIED", call).reason == "PERMISSION_MISSING"
        assert {one.setting for one in history(chief, "acme")} == {"custom_settings.secretive"}


def test_a_flood_is_bounded_and_charged(server, admin, pki):
    """A tenant's admin fills its own history, and nothing else."""
    admin.active("acme")
    admin.active("globex")
    configure(admin, "globex", kept=True)
    admin.assign("acme", tenant_id("acme", "chief"), "tenant-admin")
    with server.client(pki.python.tenant("acme", "chief")) as chief:
        first, refused = None, None
        for number in range(400):
            try:
                configure(chief, "acme", text=f"{number}" + "x" * 60_000)
            except Exception as error:
                refused = error
                break
            first = first or history(chief, "acme")[0].revision
        assert refused is not None and refused.code().name == "RESOURCE_EXHAUSTED"
        changes, count = pages(chief, "acme", size=1000)
        assert count > 1 and sum(len(one.SerializeToString()) for one in changes) < 1 << 20
        error = failure("OUT_OF_RANGE", diff, chief, "acme", first)
        assert error.reason == "REVISION_COMPACTED"
        oldest = int(error.metadata["oldest_revision"])
        assert diff(chief, "acme", oldest).differences
    assert told(history(admin, "globex")) == [("custom_settings.kept", "none", True)]


def test_it_ends_with_the_tenant(server, admin):
    admin.active("acme")
    name = configure(admin, "acme", word="unmistakable").name
    admin.manager.DeactivateTenant(manager.DeactivateTenantRequest(name=name))
    admin.manager.DeleteTenant(manager.DeleteTenantRequest(name=name))
    admin.manager.PurgeTenant(manager.PurgeTenantRequest(name=name, ignore_retention=True))
    failure("NOT_FOUND", history, admin, name)
    admin.active("globex")
    server.kill()
    server.start()
    with server.operator() as again:
        assert not history(again, "globex")


def test_a_plan_s_history(server, admin):
    made = plans.Plan(feature_flags={"beta": True})
    made.settings.update({"seats": 5})
    admin.plans.CreatePlan(plans.CreatePlanRequest(plan_id="gold", plan=made))
    changed = plans.Plan(name="plans/gold")
    changed.settings.update({"seats": 6})
    admin.plans.UpdatePlan(plans.UpdatePlanRequest(plan=changed))

    def listed(setting=""):
        return admin.plans.ListPlanHistory(plans.ListPlanHistoryRequest(name="plans/gold", setting=setting)).changes

    assert told(listed()) == [("custom_settings.seats", 5.0, 6.0), ("custom_settings.seats", "none", 5.0),
                              ("feature_flags.beta", "none", True)]
    assert told(listed("feature_flags.beta")) == [("feature_flags.beta", "none", True)]
    error = failure("NOT_FOUND", admin.plans.ListPlanHistory, plans.ListPlanHistoryRequest(name="plans/none"))
    assert error.reason == "PLAN_NOT_FOUND"
    # A limit that nothing asks for would limit nothing.
    odd = plans.Plan(limits=[tenant.RequestLimit(name="reqests", requests=5, period=tenant.RequestLimit.PERIOD_SECOND)])
    invalid("plan.limits[0].name", admin.plans.CreatePlan, plans.CreatePlanRequest(plan_id="odd", plan=odd))


def test_letters_that_look_the_same(admin):
    """What differs in its bytes alone is stored, and in the history."""
    admin.active("acme")
    one, two = "caf\u00e9", "cafe\u0301"
    configure(admin, "acme", word=one)
    assert configure(admin, "acme", word=two).configuration.custom_settings["word"] == two
    assert told(history(admin, "acme")) == [
        ("custom_settings.word", one, two), ("custom_settings.word", "none", one)]


def test_nodes_have_one_history(make_server, database):
    one, other = (make_server(**node_settings(database, poll=200)).start() for _ in range(2))
    with one.operator() as here, other.operator() as there:
        acme = here.active("acme", api.SHARED)

        def word(client):
            return dict(client.get(acme.id).configuration.custom_settings).get("word")

        eventually(lambda: known(there, "acme"), "the other node knows it")
        configure(here, acme.id, word=1)
        eventually(lambda: word(there) == 1, "and what it is told")
        configure(there, acme.id, word=2)
        assert told(history(here, acme.id)) == told(history(there, acme.id)) == [
            ("custom_settings.word", 1.0, 2.0), ("custom_settings.word", "none", 1.0)]
        first = history(there, acme.id)[1].revision
        eventually(lambda: word(here) == 2, "and this one")
        assert told(revert(here, acme.id, first).changes) == [("custom_settings.word", 2.0, 1.0)]
        everything = history(here, acme.id)
    one.kill()
    other.kill()
    other.start()
    with other.operator() as again:
        assert history(again, acme.id) == everything
