"""Settings that are secret: in no file, log, answer or history but the one that is for reading them."""

import os

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.struct_pb2 import Value
from support import api
from support.client import failure, invalid
from support.nodes import known
from support.nodes import settings as node_settings
from support.pki import tenant_id
from support.waiting import eventually
from tenantctl_process import Ctl

configurations, manager, settings, tenant = api.configurations, api.manager, api.settings, api.tenant
SECRET = "unmistakably-hidden"


def declare(client, setting, **fields):
    return client.settings.CreateSettingDefinition(settings.CreateSettingDefinitionRequest(
        setting_definition_id=setting, setting_definition=settings.SettingDefinition(
            **{"type": settings.SETTING_TYPE_STRING, "secret": True} | fields)), timeout=20)


def set_secrets(client, name, paths=(), etag="", **values):
    return client.manager.UpdateTenantConfiguration(manager.UpdateTenantConfigurationRequest(
        name=name, configuration=tenant.TenantConfiguration(secret_values=values), etag=etag,
        update_mask=FieldMask(paths=paths)), timeout=20)


def access(client, name, setting):
    return client.configurations.AccessSecretSetting(
        configurations.AccessSecretSettingRequest(name=name, setting=setting), timeout=20)


def history(client, name):
    return client.configurations.ListSettingHistory(configurations.ListSettingHistoryRequest(name=name)).changes


def records(client, name=""):
    return api.audit.ListAuditRecordsResponse.FromString(client.call(
        "Audit/ListAuditRecords", api.audit.ListAuditRecordsRequest(parent=name, page_size=1000))).records


def files(server):
    return b"".join(path.read_bytes() for path in server.data.rglob("*") if path.is_file())


def test_a_secret_is_nowhere_but_where_it_is_read(make_server, pki):
    server = make_server(log_level="trace").start()
    with server.operator() as admin:
        admin.active("acme")
        declare(admin, "key", editor=settings.SETTING_EDITOR_TENANT)
        declare(admin, "own", maximum_length=40)
        made = admin.manager.CreateTenant(manager.CreateTenantRequest(
            request_id="6d4b6c1e-0000-4000-8000-000000000001", tenant=tenant.Tenant(
                slug="globex", display_name="x", isolation_model=api.SHARED,
                configuration=tenant.TenantConfiguration(secret_values={"own": SECRET + "-0"}))))
        first = set_secrets(admin, "acme", key=SECRET + "-1", own=SECRET + "-2")
        changed = set_secrets(admin, "acme", key=SECRET + "-3")
        [key, own] = changed.configuration.secret_settings
        assert (key.setting, own.setting) == ("key", "own") and key.version > own.version > 0 < key.set_time.seconds
        revision = history(admin, "acme")[-1].revision
        answers = [
            made, first, changed, admin.get("acme"), admin.manager.ListTenants(manager.ListTenantsRequest()),
            admin.configurations.GetEffectiveConfiguration(
                configurations.GetEffectiveConfigurationRequest(name="acme")),
            admin.configurations.ExplainConfiguration(configurations.ExplainConfigurationRequest(name="acme")),
            admin.configurations.DiffTenantConfiguration(
                configurations.DiffTenantConfigurationRequest(name="acme", from_revision=1)),
            admin.configurations.RevertTenantConfiguration(
                configurations.RevertTenantConfigurationRequest(name="acme", revision=revision)),
            *history(admin, "acme")]
        assert not any(SECRET in str(answer) for answer in answers)
        explained = {one.setting: one for one in answers[6].settings}
        assert explained["key"].level == configurations.CONFIGURATION_LEVEL_TENANT
        assert explained["key"].levels[0].secret == key and not explained["key"].HasField("value")
        assert list(answers[5].secret_settings) == [key, own] and "key" not in answers[5].settings
        changes = [one for one in history(admin, "acme") if one.setting == "custom_settings.key"]
        assert [(one.old_version, one.new_version, one.secret) for one in changes] == [
            (own.version, key.version, True), (0, own.version, True)]
        invalid("settings[0]", lambda: admin.configurations.RevertTenantConfiguration(
            configurations.RevertTenantConfigurationRequest(
                name="acme", revision=revision, settings=["custom_settings.key"])))
        # Errors tell what is wrong, and not of what.
        for error in (
                invalid("configuration.secret_values.own", set_secrets, admin, "acme", own=SECRET * 3),
                invalid("configuration.secret_values.none", set_secrets, admin, "acme", none=SECRET),
                invalid("configuration.custom_settings.key", lambda: admin.manager.UpdateTenantConfiguration(
                    manager.UpdateTenantConfigurationRequest(name="acme", configuration=tenant.TenantConfiguration(
                        custom_settings={"key": SECRET})))),
                failure("ABORTED", set_secrets, admin, "acme", etag="v1", key=SECRET)):
            assert SECRET not in error.message and SECRET.encode() not in error.details
        # Reading is recorded, and alike readings are one record.
        for _ in range(3):
            answer = access(admin, "acme", "key")
            assert (answer.value, answer.secret) == (SECRET + "-3", key)
        assert access(admin, "globex", "own").value == SECRET + "-0"

        def read():
            return [one for one in records(admin, "acme") if one.action == "tenants.accessSecretSetting"]

        eventually(lambda: sum(one.count for one in read()) == 3, "the readings are recorded")
        assert {one.reason for one in read()} == {f"key version {key.version}"}
        assert SECRET not in str(records(admin, "acme")) + str(records(admin))
        failure("NOT_FOUND", access, admin, "acme", "none")
        invalid("setting", access, admin, "acme", "a/b")
        assert SECRET.encode() not in files(server)
        # One that is not sent stays, and one that is named goes.
        admin.manager.UpdateTenant(manager.UpdateTenantRequest(tenant=tenant.Tenant(
            name="tenants/acme", configuration=admin.get("acme").configuration)))
        assert access(admin, "acme", "own").value == SECRET + "-2"
        left = set_secrets(admin, "acme", ["secret_values.own"]).configuration.secret_settings
        assert [one.setting for one in left] == ["key"]
        assert failure("NOT_FOUND", access, admin, "acme", "own").reason == "SECRET_SETTING_NOT_FOUND"
        admin.secrets.RotateDataKey(api.secrets.RotateDataKeyRequest())
        assert access(admin, "acme", "key").value == SECRET + "-3"
    server.kill()
    server.start()
    with server.operator() as again:
        assert access(again, "acme", "key").value == SECRET + "-3"
    assert server.stop() == 0
    assert SECRET.encode() not in files(server) and SECRET not in server.log


def test_who_sets_and_reads_secrets(make_server, pki):
    server = make_server().start()
    with server.operator() as admin:
        for slug in ("acme", "globex"):
            admin.active(slug)
            admin.assign(slug, tenant_id(slug, "chief"), "tenant-admin")
        declare(admin, "key", editor=settings.SETTING_EDITOR_TENANT)
        declare(admin, "own")
        set_secrets(admin, "acme", own=SECRET)
        admin.authz.CreateRole(api.authz.CreateRoleRequest(
            parent="tenants/acme", role_id="reader",
            role=api.authz.Role(permissions=["tenancy.secret_settings:access"])))
        admin.assign("acme", tenant_id("acme", "web"), "reader")
        with server.client(pki.python.tenant("acme", "chief")) as chief, \
                server.client(pki.python.tenant("acme")) as web, \
                server.client(pki.python.tenant("globex", "chief")) as other, \
                server.client(pki.python.platform("viewer")) as viewer:
            set_secrets(chief, "acme", key=SECRET + "-1")
            for call in (lambda: set_secrets(chief, "acme", own="x"),
                         lambda: set_secrets(chief, "acme", ["secret_values.own"])):
                assert failure("PERMISSION_DENIED", call).reason == "SETTING_NOT_OWN"
            # To administer is not to read.
            for client in (chief, viewer):
                assert failure("PERMISSION_DENIED", access, client, "acme", "key").reason == "PERMISSION_MISSING"
            assert access(web, "acme", "key").value == SECRET + "-1"
            assert failure("PERMISSION_DENIED", access, web, "acme", "own").reason == "SETTING_NOT_OWN"
            assert failure("PERMISSION_DENIED", access, other, "acme", "key") == failure(
                "PERMISSION_DENIED", access, other, "no-such-tenant", "key")
            admin.manager.DeactivateTenant(manager.DeactivateTenantRequest(name="acme"))
            failure("PERMISSION_DENIED", access, web, "acme", "key")


def test_what_was_in_the_clear_before(make_server):
    """A setting that is declared secret when tenants have values of it already."""
    server = make_server().start()
    with server.operator() as admin:
        admin.active("acme")
        admin.manager.UpdateTenantConfiguration(manager.UpdateTenantConfigurationRequest(
            name="acme", configuration=tenant.TenantConfiguration(custom_settings={"key": SECRET, "own": SECRET})))
        for name in ("key", "own"):
            declare(admin, name)
        told = [admin.configurations.ExplainConfiguration(configurations.ExplainConfigurationRequest(name="acme")),
                admin.configurations.GetEffectiveConfiguration(
                    configurations.GetEffectiveConfigurationRequest(name="acme")), *history(admin, "acme")]
        request = manager.UpdateTenantRequest(tenant=tenant.Tenant(name="acme", display_name="Again"))
        told += [admin.get("acme"), admin.manager.BatchGetTenants(manager.BatchGetTenantsRequest(names=["acme"])),
                 admin.manager.ListTenants(manager.ListTenantsRequest()), admin.manager.UpdateTenant(request)]
        assert SECRET not in str(told)
        # Nor is it found out by comparing it.
        for text in (f'custom_settings.key = "{SECRET[:2]}*"', "slug = \"x\" OR NOT custom_settings.key:*"):
            invalid("filter", admin.manager.ListTenants, manager.ListTenantsRequest(filter=text))
            invalid("filter", lambda text=text: next(admin.manager.WatchTenants(
                manager.WatchTenantsRequest(filter=text), timeout=20)))

        def conflicts():
            return [len(admin.settings.ListSettingConflicts(settings.ListSettingConflictsRequest(
                name=f"settingDefinitions/{name}")).conflicts) for name in ("key", "own")]

        # Whoever writes back what was read drops nothing that is not told. Who names it does.
        assert conflicts() == [1, 1]
        read = admin.get("acme").configuration
        admin.manager.UpdateTenant(manager.UpdateTenantRequest(
            tenant=tenant.Tenant(name="acme", configuration=read), update_mask=FieldMask(paths=["configuration"])))
        for paths in (["custom_settings"], ["custom_settings.other"]):
            admin.manager.UpdateTenantConfiguration(manager.UpdateTenantConfigurationRequest(
                name="acme", configuration=read, update_mask=FieldMask(paths=paths)))
        assert conflicts() == [1, 1]
        admin.manager.UpdateTenantConfiguration(manager.UpdateTenantConfigurationRequest(
            name="acme", update_mask=FieldMask(paths=["custom_settings.own"])))
        assert conflicts() == [1, 0]
        changed = set_secrets(admin, "acme", key=SECRET + "-1")
        assert "key" not in changed.configuration.custom_settings
        assert SECRET not in str(history(admin, "acme")) and access(admin, "acme", "key").value == SECRET + "-1"
        invalid("setting_definition.secret", declare, admin, "number", type=settings.SETTING_TYPE_NUMBER)
        invalid("setting_definition.default_value", declare, admin, "x", default_value=Value(string_value="x"))


def test_it_goes_with_the_tenant(make_server):
    server = make_server().start()
    with server.operator() as admin:
        admin.active("acme")
        declare(admin, "key")
        name = set_secrets(admin, "acme", key=SECRET).name
        admin.manager.DeactivateTenant(manager.DeactivateTenantRequest(name=name))
        admin.manager.DeleteTenant(manager.DeleteTenantRequest(name=name))
        failure("NOT_FOUND", access, admin, name, "key")
        admin.manager.PurgeTenant(manager.PurgeTenantRequest(name=name, ignore_retention=True))
    assert server.stop() == 0
    server.start()
    assert server.stop() == 0


def test_nodes_read_what_either_sets(make_server, database):
    one, other = (make_server(**node_settings(database, poll=200)).start() for _ in range(2))
    with one.operator() as here, other.operator() as there:
        acme = here.active("acme", api.SHARED)
        eventually(lambda: known(there, "acme"), "the other node knows it")
        declare(here, "key")
        set_secrets(here, acme.id, key=SECRET)
        eventually(lambda: len(there.get(acme.id).configuration.secret_settings) == 1, "and what it is told")
        assert access(there, acme.id, "key").value == SECRET
        set_secrets(there, acme.id, key=SECRET + "-1")
        # One that was set again while it was read is not answered: neither the former nor, maybe, one of tomorrow.
        eventually(lambda: there.get(acme.id) == here.get(acme.id), "and this one")
        assert access(here, acme.id, "key").value == SECRET + "-1"


@pytest.mark.parametrize("source", ["file", "stdin"])
def test_tenantctl_takes_secrets_from_files_alone(make_server, tmp_path, source):
    server = make_server().start()
    with server.operator() as admin:
        admin.active("acme")
        declare(admin, "key")
        ctl = Ctl({"TENANCY_ADDRESS": f"unix:{server.socket}"})
        path, stdin = tmp_path / "key", SECRET + "\n"
        path.write_text(stdin)
        os.chmod(path, 0o600)
        shown = ctl("config", "set", "acme", "--secret-file", f"key={path if source == 'file' else '-'}",
                    stdin=stdin if source == "stdin" else "")
        assert SECRET not in shown and "(secret, version" in shown
        assert access(admin, "acme", "key").value == SECRET
        for command in (("get",), ("explain",), ("history",), ("diff", "--from", "1")):
            shown = ctl("config", command[0], "acme", *command[1:])
            assert SECRET not in shown and "(secret, version" in shown
        assert ctl("config", "secret", "acme", "key", "--bare") == SECRET + "\n"
        ctl("config", "unset", "acme", "--secret", "key")
        assert "SECRET_SETTING_NOT_FOUND" in ctl.error("config", "secret", "acme", "key")
        ctl.error("config", "set", "acme", "--secret-file", "key=-", "--secret-file", "other=-", code=64)
