"""Settings that the platform declares: what tenants' own may be then, and who changes them."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.struct_pb2 import Value
from support import api
from support.client import failure, invalid
from support.pki import tenant_id

settings, manager, tenant = api.settings, api.manager, api.tenant


@pytest.fixture
def server(make_server):
    return make_server().start()


@pytest.fixture
def admin(server):
    with server.operator() as client:
        yield client


def declare(client, setting, kind, **fields):
    return client.settings.CreateSettingDefinition(settings.CreateSettingDefinitionRequest(
        setting_definition_id=setting, setting_definition=settings.SettingDefinition(
            type=getattr(settings, f"SETTING_TYPE_{kind}"), **fields)), timeout=20)


def configure(client, name, paths=(), **values):
    configuration = tenant.TenantConfiguration()
    configuration.custom_settings.update(values)
    return client.manager.UpdateTenantConfiguration(manager.UpdateTenantConfigurationRequest(
        name=name, configuration=configuration, update_mask=FieldMask(paths=paths)), timeout=20)


def conflicts(client, setting, definition=None, size=0):
    found, token = [], ""
    while True:
        page = client.settings.ListSettingConflicts(settings.ListSettingConflictsRequest(
            name=f"settingDefinitions/{setting}", setting_definition=definition, page_size=size, page_token=token),
            timeout=20)
        found += page.conflicts
        token = page.next_page_token
        if not token:
            return found


def test_values_are_held_to_what_is_declared(server, admin, pki):
    admin.active("acme")
    admin.assign("acme", tenant_id("acme", "chief"), "tenant-admin")
    by_tenant = dict(editor=settings.SETTING_EDITOR_TENANT)
    declare(admin, "seats", "INTEGER", minimum=1, maximum=100, default_value=Value(number_value=5))
    declare(admin, "theme", "STRING", allowed_values=["dark", "light"], **by_tenant)
    declare(admin, "session.timeout", "DURATION", maximum=3600, **by_tenant)
    declare(admin, "api_key", "STRING", secret=True, **by_tenant)
    with server.client(pki.python.tenant("acme", "chief")) as chief:
        mine = configure(chief, "acme", theme="dark", anything={"x": [1, None]}, **{"session.timeout": "30m"})
        assert mine.configuration.custom_settings["theme"] == "dark"
        for name, value in (("theme", "blue"), ("theme", 1), ("session.timeout", "2h"), ("session.timeout", 5),
                            ("api_key", "hidden")):
            error = invalid(f"configuration.custom_settings.{name}", configure, chief, "acme", **{name: value})
            assert "hidden" not in error.message
        # The platform's to change, and all that is wrong in one answer.
        for change in (dict(seats=6), dict(seats="x", theme="blue")):
            error = failure("PERMISSION_DENIED", configure, chief, "acme", **change)
            assert (error.reason, error.fields) == ("SETTING_NOT_OWN", ["configuration.custom_settings.seats"])
        configure(admin, "acme", seats=7)
        error = failure("PERMISSION_DENIED", configure, chief, "acme", paths=["custom_settings.seats"])
        assert error.reason == "SETTING_NOT_OWN"
        failure("PERMISSION_DENIED", configure, chief, "acme", paths=["custom_settings"], theme="light")
        assert admin.get("acme").configuration.custom_settings["seats"] == 7
        # Declaring is not for tenants, and neither is looking.
        for call in (lambda: declare(chief, "mine", "BOOL"),
                     lambda: chief.settings.ListSettingDefinitions(settings.ListSettingDefinitionsRequest())):
            assert failure("PERMISSION_DENIED", call).reason == "PERMISSION_MISSING"
    assert invalid("configuration.custom_settings.seats", configure, admin, "acme", seats=101)
    error = failure("INVALID_ARGUMENT", admin.create, "other", configuration=tenant.TenantConfiguration(
        custom_settings={"seats": 0.5, "theme": "blue"}))
    assert error.fields == [f"tenant.configuration.custom_settings.{name}" for name in ("seats", "theme")]
    # Nobody names a chain: the platform's.
    page = api.audit.ListAuditRecordsResponse.FromString(
        admin.call("Audit/ListAuditRecords", api.audit.ListAuditRecordsRequest(page_size=1000)))
    assert "setting_definitions.create" in {record.action for record in page.records}


def test_conflicts_are_found_before_and_after(admin):
    for number in range(30):
        made = admin.create(f"t{number}")
        configure(admin, made.name, seats=number)
    proposed = settings.SettingDefinition(type=settings.SETTING_TYPE_INTEGER, maximum=19)
    before = conflicts(admin, "seats", proposed, size=4)
    assert len(before) == 10 and {one.description for one in before} == {"must be at most 19"}
    assert failure("NOT_FOUND", conflicts, admin, "seats").reason == "SETTING_DEFINITION_NOT_FOUND"
    declare(admin, "seats", "INTEGER", maximum=19)
    assert conflicts(admin, "seats") == before
    # What does not fit stays until it is written.
    kept = before[0].tenant
    changed = configure(admin, kept, paths=["custom_settings.other"], other=True)
    assert changed.configuration.custom_settings["seats"] == 20
    invalid("configuration.custom_settings.seats", configure, admin, kept, seats=21)
    configure(admin, kept, seats=19)
    assert conflicts(admin, "seats") == before[1:]


def test_a_definition_s_life(server, admin):
    made = declare(admin, "color", "STRING", description="Of the logo", since_version="3.0",
                   default_value=Value(string_value="red"), maximum_length=8)
    assert made.name == "settingDefinitions/color" and made.editor == settings.SETTING_EDITOR_PLATFORM
    assert failure("ALREADY_EXISTS", declare, admin, "color", "BOOL").reason == "SETTING_DEFINITION_EXISTS"
    invalid("setting_definition.default_value", declare, admin, "x", "INTEGER", default_value=Value(string_value="x"))
    invalid("setting_definition.minimum", declare, admin, "x", "STRING", minimum=1)
    invalid("setting_definition_id", declare, admin, "a/b", "STRING")
    invalid("setting_definition.type", lambda: admin.settings.CreateSettingDefinition(
        settings.CreateSettingDefinitionRequest(setting_definition_id="x",
                                                setting_definition=settings.SettingDefinition())))

    def update(paths, etag="", **fields):
        return admin.settings.UpdateSettingDefinition(settings.UpdateSettingDefinitionRequest(
            setting_definition=settings.SettingDefinition(name=made.name, etag=etag, **fields),
            update_mask=FieldMask(paths=paths)), timeout=20)

    changed = update(["maximum_length", "default_value"], etag=made.etag)
    assert not changed.HasField("maximum_length") and not changed.HasField("default_value")
    assert changed.description == "Of the logo" and changed.update_time.ToNanoseconds() > 0
    assert failure("ABORTED", update, ["description"], etag=made.etag).reason == "ETAG_MISMATCH"
    invalid("update_mask.paths[0]", update, ["name"])
    server.kill()
    server.start()
    with server.operator() as again:
        got = again.settings.GetSettingDefinition(settings.GetSettingDefinitionRequest(name=made.name))
        assert got == changed
        again.settings.DeleteSettingDefinition(settings.DeleteSettingDefinitionRequest(name=made.name))
        assert not again.settings.ListSettingDefinitions(settings.ListSettingDefinitionsRequest()).setting_definitions


def test_definitions_page_by_page(admin):
    names = sorted(f"s{number}" for number in range(25))
    for name in names:
        declare(admin, name, "BOOL")
    found, token = [], ""
    while True:
        page = admin.settings.ListSettingDefinitions(
            settings.ListSettingDefinitionsRequest(page_size=10, page_token=token))
        assert len(page.setting_definitions) <= 10
        found += [one.name for one in page.setting_definitions]
        token = page.next_page_token
        if not token:
            break
    assert found == [f"settingDefinitions/{name}" for name in names]


def test_a_definition_is_of_the_size_that_it_may_be(admin):
    invalid("setting_definition.default_value", declare, admin, "big", "STRING",
            default_value=Value(string_value="x" * 5_000))
    invalid("setting_definition.allowed_values", declare, admin, "big", "STRING",
            allowed_values=[str(number) for number in range(65)])
