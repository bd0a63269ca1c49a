"""Configuration, lifecycle and provisioning, as an operator over either transport."""

import math
import sqlite3

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import MessageToDict

from support import api
from support.client import failure, invalid
from support.waiting import eventually

manager, tenant = api.manager, api.tenant


def configure(operator, name, mask=(), etag="", **fields):
    return operator.manager.UpdateTenantConfiguration(manager.UpdateTenantConfigurationRequest(
        name=name, configuration=tenant.TenantConfiguration(**fields), etag=etag,
        update_mask=FieldMask(paths=mask))).configuration


def settings(**values):
    configuration = tenant.TenantConfiguration()
    configuration.custom_settings.update(values)
    return configuration.custom_settings


EVERY_TYPE = {
    "null": None, "true": True, "false": False, "zero": 0, "negative": -1.5, "tiny": 5e-324,
    "huge": 1.7976931348623157e308, "integer": 2**53, "empty": "", "text": 'q"\\\n\t\u2028 ü 🎉',
    "list": [None, True, 1, "x", [], {}, [[1]]], "object": {"": 1, "nested": {"deep": {"er": []}}},
}


def test_custom_settings_of_every_type_come_back(operator, slug):
    made = operator.create(slug)
    configured = configure(operator, made.name, custom_settings=settings(**EVERY_TYPE))
    assert configured.custom_settings == settings(**EVERY_TYPE)
    assert MessageToDict(operator.get(slug).configuration.custom_settings) == EVERY_TYPE


def test_masks_of_the_configuration(operator, slug):
    name = operator.create(slug).name
    configure(operator, name, custom_settings=settings(a=1, b=2), feature_flags={"x": True})
    merged = configure(operator, name, custom_settings=settings(b=3), feature_flags={"y": False})
    assert MessageToDict(merged.custom_settings) == {"a": 1, "b": 3}
    assert dict(merged.feature_flags) == {"x": True, "y": False}

    one = configure(operator, name, ["custom_settings.a", "feature_flags.x", "custom_settings.c"],
                    custom_settings=settings(c={"d": [1]}, b="not in the mask"))
    assert MessageToDict(one.custom_settings) == {"b": 3, "c": {"d": [1]}}
    assert dict(one.feature_flags) == {"y": False}

    whole = configure(operator, name, ["custom_settings"], custom_settings=settings(z=0))
    assert MessageToDict(whole.custom_settings) == {"z": 0} and "y" in whole.feature_flags
    cleared = configure(operator, name, ["*"])
    assert not cleared.feature_flags and not cleared.HasField("custom_settings")
    assert cleared.schema.schema_name == slug
    for path in ("password", "custom_settings.", "slug"):
        invalid("update_mask.paths[0]", configure, operator, name, [path])


def test_a_password_goes_in_and_never_comes_out(server, operator, slug):
    secret = "correct horse battery staple"
    made = operator.create(slug, api.DATABASE, configuration=tenant.TenantConfiguration(
        database=tenant.DatabaseConfig(connection_string=f"host={slug}", username="u", password=secret)))
    answers = [
        made, operator.get(slug),
        operator.manager.ListTenants(manager.ListTenantsRequest(filter=f"slug = {slug}")),
        configure(operator, slug, database=tenant.DatabaseConfig(connection_string=f"host=other-{slug}")),
        operator.delete(slug),
    ]
    assert all(secret.encode() not in answer.SerializeToString() for answer in answers)
    assert made.configuration.database.password_set
    # Without a password in the request, the stored one stays.
    assert answers[3].database == tenant.DatabaseConfig(
        connection_string=f"host=other-{slug}", password_set=True)
    assert secret not in server.log


def test_the_legal_transitions(operator, slug):
    made = operator.create(slug)
    epochs = [made.epoch]

    def step(method, request, state):
        after = getattr(operator.manager, method)(request(name=made.name))
        assert after.state == state and after == operator.get(made.name)
        epochs.append(after.epoch)
        return after

    step("ProvisionTenantResources", manager.ProvisionTenantResourcesRequest, api.ACTIVE)
    step("DeactivateTenant", manager.DeactivateTenantRequest, api.SUSPENDED)
    step("ActivateTenant", manager.ActivateTenantRequest, api.ACTIVE)
    step("DeactivateTenant", manager.DeactivateTenantRequest, api.SUSPENDED)
    step("DeprovisionTenantResources", manager.DeprovisionTenantResourcesRequest, api.PENDING)
    step("ProvisionTenantResources", manager.ProvisionTenantResourcesRequest, api.ACTIVE)
    gone = step("DeleteTenant", manager.DeleteTenantRequest, api.DELETED)
    assert gone.purge_time.seconds - gone.delete_time.seconds == 30 * 86_400
    step("UndeleteTenant", manager.UndeleteTenantRequest, api.SUSPENDED)
    step("ActivateTenant", manager.ActivateTenantRequest, api.ACTIVE)
    step("BeginTenantMaintenance", manager.BeginTenantMaintenanceRequest, api.MAINTENANCE)
    step("EndTenantMaintenance", manager.EndTenantMaintenanceRequest, api.ACTIVE)
    step("DeleteTenant", manager.DeleteTenantRequest, api.DELETED)
    assert epochs == sorted(set(epochs)), "every change makes a new epoch"


ILLEGAL = [
    (api.PENDING, "ActivateTenant"), (api.PENDING, "DeactivateTenant"),
    (api.PENDING, "DeprovisionTenantResources"),
    (api.ACTIVE, "ActivateTenant"), (api.ACTIVE, "DeprovisionTenantResources"),
    (api.SUSPENDED, "DeactivateTenant"), (api.SUSPENDED, "ProvisionTenantResources"),
    (api.SUSPENDED, "BeginTenantMaintenance"), (api.ACTIVE, "EndTenantMaintenance"),
    (api.ACTIVE, "UndeleteTenant"), (api.SUSPENDED, "PurgeTenant"), (api.PENDING, "PurgeTenant"),
]


@pytest.mark.parametrize("state, method", ILLEGAL)
def test_illegal_transitions(operator, slug, state, method):
    before = operator.create(slug)
    if state != api.PENDING:
        before = operator.provision(slug)
    if state == api.SUSPENDED:
        before = operator.suspend(slug)
    request = getattr(manager, f"{method}Request")(name=slug)
    error = failure("FAILED_PRECONDITION", getattr(operator.manager, method), request)
    assert error.reason == "ILLEGAL_TRANSITION"
    assert operator.get(slug) == before


def test_provisioning_an_active_tenant_changes_nothing(operator, slug):
    made = operator.active(slug)
    assert operator.provision(slug) == made


@pytest.mark.parametrize("method", [
    "ActivateTenant", "DeactivateTenant", "DeleteTenant", "ProvisionTenantResources",
    "UpdateTenantConfiguration", "BeginTenantMaintenance", "EndTenantMaintenance", "SetTenantSchedule"])
def test_a_deleted_tenant_is_not_found(operator, slug, method):
    operator.create(slug)
    operator.delete(slug)
    request = getattr(manager, f"{method}Request")(name=slug)
    error = failure("NOT_FOUND", getattr(operator.manager, method), request)
    assert error.reason == "TENANT_NOT_FOUND"


def test_a_deleted_tenant_keeps_its_names(operator, slug):
    operator.create(slug)
    operator.delete(slug)
    failure("ALREADY_EXISTS", operator.create, slug)
    tenants = operator.manager.ListTenants(
        manager.ListTenantsRequest(filter=f"slug = {slug}")).tenants
    assert not tenants


def owners(file) -> list:
    with sqlite3.connect(file) as database:
        return database.execute("SELECT * FROM tenancy_owner").fetchall()


def shared_rows(server, identifier) -> list:
    with sqlite3.connect(server.data / "tenants" / "shared.sqlite") as database:
        return database.execute(
            "SELECT * FROM tenancy_tenants WHERE tenant_id = ?", (identifier,)).fetchall()


@pytest.mark.parametrize("model", [api.DATABASE, api.SCHEMA, api.SHARED, api.HYBRID])
def test_what_provisioning_makes_and_deprovisioning_destroys(server, operator, slug, model):
    made = operator.active(slug, model)
    tenants = server.data / "tenants"
    database = tenants / "databases" / f"{made.id}.sqlite"
    schema = tenants / "schemas" / f"{slug}.sqlite"
    assert database.exists() == (model == api.DATABASE)
    assert schema.exists() == (model in (api.SCHEMA, api.HYBRID))
    for file in (database, schema):
        if file.exists():
            assert owners(file) == [(made.id,)]
            assert file.stat().st_mode & 0o777 == 0o600
    shared = [(made.id, made.id)] if model in (api.SHARED, api.HYBRID) else []
    assert not shared or shared_rows(server, made.id) == shared

    operator.suspend(slug)
    operator.manager.DeprovisionTenantResources(
        manager.DeprovisionTenantResourcesRequest(name=slug))
    assert not database.exists() and not schema.exists()
    assert not shared or shared_rows(server, made.id) == []


def test_failed_provisioning_can_be_tried_again(server, operator, slug):
    made = operator.create(slug)
    schema = server.data / "tenants" / "schemas" / f"{slug}.sqlite"
    schema.mkdir()
    error = failure("FAILED_PRECONDITION", operator.provision, slug)
    assert error.reason == "PROVISIONING_FAILED"
    failed = operator.get(slug)
    assert failed.state == api.PROVISION_FAILED
    assert failed.state_reason == error.metadata["cause"] != ""
    eventually(lambda: failed.state_reason in server.log and made.id in server.log, "the log says why")
    schema.rmdir()
    again = operator.provision(slug)
    assert (again.state, again.state_reason) == (api.ACTIVE, "")
    assert owners(schema) == [(made.id,)]


def test_a_database_elsewhere_is_not_provisioned_as_a_file(server, operator, slug):
    made = operator.create(slug, api.DATABASE, configuration=tenant.TenantConfiguration(
        database=tenant.DatabaseConfig(connection_string=f"postgresql://db.internal/{slug}")))
    error = failure("FAILED_PRECONDITION", operator.provision, slug)
    assert error.reason == "PROVISIONING_UNSUPPORTED"
    assert operator.get(slug).state == api.PENDING
    assert not (server.data / "tenants" / "databases" / f"{made.id}.sqlite").exists()


@pytest.mark.parametrize("model", [api.DATABASE, api.SCHEMA, api.SHARED])
def test_lost_data_is_noticed_at_the_start(make_server, model):
    server = make_server()
    server.start()
    with server.operator() as client:
        made = client.active("lost", model)
    server.stop()
    file = server.data / "tenants" / {
        api.DATABASE: f"databases/{made.id}.sqlite", api.SCHEMA: "schemas/lost.sqlite",
        api.SHARED: "shared.sqlite"}[model]
    file.rename(f"{file}.away")
    server.start()
    with server.operator() as client:
        found = client.get("lost")
        assert found.state == api.MAINTENANCE and str(file) in found.state_reason
        eventually(lambda: found.state_reason in server.log, "the log says why")
        error = failure("FAILED_PRECONDITION", client.manager.ActivateTenant,
                        manager.ActivateTenantRequest(name="lost"))
        assert error.reason == "DATA_MISSING"
    server.stop()
    (file.parent / f"{file.name}.away").rename(file)
    server.start()
    with server.operator() as client:
        assert client.get("lost").state == api.ACTIVE


def test_a_lost_row_is_noticed_at_the_start(make_server):
    """One tenant's in the file that all share: the others are served."""
    server = make_server().start()
    with server.operator() as client:
        lost, kept = client.active("lost", api.SHARED), client.active("kept", api.SHARED)
    assert server.stop() == 0
    file = server.data / "tenants" / "shared.sqlite"

    def change(sql, *values):
        database = sqlite3.connect(file)
        with database:
            database.execute(sql, values)
        database.close()

    change("DELETE FROM tenancy_tenants WHERE tenant_id = ?", lost.id)
    server.start()
    with server.operator() as client:
        found = client.get("lost")
        assert found.state == api.MAINTENANCE and "row in the data file" in found.state_reason
        assert client.get("kept") == kept
    assert server.stop() == 0
    change("INSERT INTO tenancy_tenants VALUES (?, ?)", lost.id, lost.id)
    server.start()
    with server.operator() as client:
        assert client.get("lost").state == api.ACTIVE


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_does_not_have(operator, slug, number):
    operator.create(slug)
    invalid('configuration.custom_settings["n"]', configure, operator, slug,
            custom_settings=settings(n=number))
