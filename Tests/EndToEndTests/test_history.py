"""Tenants as they were, and tenants after the pattern of others."""

import datetime
import time
import uuid

import pytest
from google.protobuf import timestamp_pb2

from support import api
from support.client import failure
from support.nodes import token_of
from support.pki import tenant_id

manager, tenant = api.manager, api.tenant


def at(client, name, **moment):
    return client.manager.GetTenant(manager.GetTenantRequest(name=name, **moment), timeout=20)


def rename(client, name, text):
    """Returns the tenant and the revision that has made it."""
    made, call = client.manager.UpdateTenant.with_call(manager.UpdateTenantRequest(
        tenant=tenant.Tenant(name=name, display_name=text)), timeout=20)
    return made, int(token_of(call)[17:], 16)


def now():
    moment = timestamp_pb2.Timestamp()
    moment.FromDatetime(datetime.datetime.now(datetime.timezone.utc))
    return moment


def history(writer, reader):
    made, call = writer.manager.CreateTenant.with_call(manager.CreateTenantRequest(tenant=tenant.Tenant(
        slug="acme", display_name="0", isolation_model=api.SHARED)), timeout=20)
    created = int(token_of(call)[17:], 16)
    versions, times = {created: made}, [now()]
    time.sleep(0.02)
    for number in range(1, 4):
        other = writer.create(f"other-{number}")
        made, revision = rename(writer, "acme", str(number))
        versions[revision] = made
        time.sleep(0.02)
        times.append(now())
        rename(writer, other.name, "in between")
    for revision, wanted in versions.items():
        for moment in (revision, revision + 1):
            known = max(one for one in versions if one <= moment)
            assert at(reader, "acme", revision=moment) == versions[known]
    for moment, wanted in zip(times, versions.values()):
        assert at(reader, wanted.name, read_time=moment) == wanted
    early = failure("NOT_FOUND", at, reader, other.name, revision=created)
    assert early.reason == "TENANT_NOT_FOUND"
    assert failure("NOT_FOUND", at, reader, "acme", read_time=timestamp_pb2.Timestamp(seconds=1)).reason \
        == "TENANT_NOT_FOUND"


def test_a_tenant_as_it_was(make_server):
    server = make_server().start()
    with server.operator() as operator:
        history(operator, operator)


def test_a_tenant_as_it_was_on_another_node(make_nodes):
    one, other = make_nodes(2)
    with one.operator() as writer, other.operator() as reader:
        history(writer, reader)


def test_moments_that_are_none(make_server):
    server = make_server().start()
    with server.operator() as operator:
        name = operator.create("acme").name
        assert failure("UNAVAILABLE", at, operator, name, revision=1000).reason == "REVISION_NOT_REACHED"
        later = timestamp_pb2.Timestamp(seconds=int(time.time()) + 3600)
        assert failure("INVALID_ARGUMENT", at, operator, name, read_time=later).fields == ["read_time"]
        both = failure("INVALID_ARGUMENT", at, operator, name, read_time=now(), revision=1)
        assert both.fields == ["read_time"]
        for wrong in (timestamp_pb2.Timestamp(seconds=1 << 60), timestamp_pb2.Timestamp(nanos=-1)):
            assert failure("INVALID_ARGUMENT", at, operator, name, read_time=wrong).fields == ["read_time"]


def test_a_tenants_own_callers_see_no_past(make_server, pki):
    server = make_server().start()
    with server.operator() as operator:
        acme, globex = operator.active("acme"), operator.active("globex")
        operator.assign(acme.name, tenant_id("acme", "chief"), "tenant-admin")
        operator.manager.UpdateTenant(manager.UpdateTenantRequest(
            tenant=tenant.Tenant(name=acme.name, annotations={"a": "secret"}),
            update_mask={"paths": ["annotations"]}), timeout=20)
        _, revision = rename(operator, acme.name, "New")
        rename(operator, acme.name, "Newer")
        with server.client(pki.python.tenant("acme", "chief")) as chief:
            for name in (acme.name, globex.name):
                failure("PERMISSION_DENIED", at, chief, name, revision=revision)
                failure("PERMISSION_DENIED", at, chief, name, read_time=now())


def test_a_text_is_no_change(make_server):
    with make_server().start().operator() as operator:
        acme = operator.create("acme")
        made, revision = rename(operator, acme.name, "New")
        operator.role(acme.name, "puttenant", "a:b", title='"putTenant"')
        _, later = rename(operator, acme.name, "Newer")
        assert at(operator, acme.name, revision=later - 1) == made


def test_what_is_secret_by_now_is_not_told_of_the_past(make_server):
    with make_server().start().operator() as operator:
        acme = operator.create("acme", configuration={"custom_settings": {"key": "in the clear"}})
        _, revision = rename(operator, acme.name, "New")
        assert "in the clear" in str(at(operator, acme.name, revision=revision))
        operator.settings.CreateSettingDefinition(api.settings.CreateSettingDefinitionRequest(
            setting_definition_id="key", setting_definition=api.settings.SettingDefinition(
                type=api.settings.SETTING_TYPE_STRING, secret=True)), timeout=20)
        assert "in the clear" not in str(at(operator, acme.name, revision=revision))


# MARK: Clones


def clone(client, source, request_id="", validate_only=False, **fields):
    fields.setdefault("display_name", "Copy")
    return client.manager.CloneTenant(manager.CloneTenantRequest(
        source=source, tenant=tenant.Tenant(**fields), request_id=request_id, validate_only=validate_only), timeout=20)


@pytest.fixture
def operator(make_server):
    server = make_server().start()
    with server.operator() as client:
        yield client


def pattern(operator):
    made = operator.create("pattern", labels={"tier": "gold", "kind": "x"}, annotations={"n": "for us alone"})
    operator.manager.UpdateTenantConfiguration(manager.UpdateTenantConfigurationRequest(
        name=made.name, configuration=tenant.TenantConfiguration(
            feature_flags={"beta": True},
            routes=[tenant.RouteRule(path="/a", permission="docs:read")]),
        update_mask={"paths": ["feature_flags", "routes"]}), timeout=20)
    operator.role(made.name, "clerk", "bill:read", "bill:write")
    operator.assign(made.name, "user:al", "clerk")
    return operator.provision(made.name)


def test_a_clone_has_the_pattern_and_nothing_else(operator):
    source = pattern(operator)
    made = clone(operator, "pattern", slug="copy", labels={"kind": "y"})
    assert (made.slug, made.state, made.etag) == ("copy", api.tenant.TENANT_STATE_PENDING, "v1")
    assert dict(made.labels) == {"tier": "gold", "kind": "y"} and not made.annotations
    assert made.isolation_model == source.isolation_model
    assert made.configuration.feature_flags == source.configuration.feature_flags
    assert made.configuration.routes == source.configuration.routes
    assert made.configuration.schema != source.configuration.schema
    assert operator.get("copy") == made
    roles = {one.name.split("/")[-1]: list(one.permissions) for one in operator.authz.ListRoles(
        api.authz.ListRolesRequest(parent=made.name), timeout=20).roles}
    assert roles["clerk"] == ["bill:read", "bill:write"]
    given = operator.authz.ListRoleAssignments(api.authz.ListRoleAssignmentsRequest(parent=made.name), timeout=20)
    assert not given.assignments
    assert not operator.check(made.name, "user:al", "bill:read").allowed
    assert operator.provision(made.name).state == api.ACTIVE
    assert operator.check("pattern", "user:al", "bill:read").allowed


def test_a_repetition_is_answered_alike(operator):
    source = pattern(operator)
    request = str(uuid.uuid4())
    assert clone(operator, source.name, request, validate_only=True).slug == "copy"
    failure("NOT_FOUND", operator.get, "copy")
    made = clone(operator, source.name, request)
    # By whichever of the source's names.
    assert clone(operator, "pattern", request) == made
    assert failure("INVALID_ARGUMENT", clone, operator, "pattern", request, slug="x").reason == "REQUEST_ID_REUSED"
    assert failure("INVALID_ARGUMENT", clone, operator, "pattern", "x").fields == ["request_id"]
    assert failure("ALREADY_EXISTS", clone, operator, "pattern").reason == "NAME_TAKEN"


def test_what_cannot_be_cloned(operator):
    source = pattern(operator)
    assert failure("NOT_FOUND", clone, operator, "nobody").reason == "TENANT_NOT_FOUND"
    wrong = failure("INVALID_ARGUMENT", clone, operator, "pattern", display_name="", configuration={
        "feature_flags": {"beta": False}, "routes": [{"path": "/b", "permission": "a:b"}],
        "limits": {"plan": "x"}})
    assert {"tenant.configuration.feature_flags", "tenant.configuration.routes"} <= set(wrong.fields)
    assert failure("INVALID_ARGUMENT", operator.manager.CloneTenant, manager.CloneTenantRequest(
        source="pattern"), timeout=20).fields == ["tenant"]
    database = operator.create("db", api.tenant.ISOLATION_MODEL_DATABASE, configuration={
        "database": {"connection_string": "host=a dbname=a", "username": "u", "password": "secret"}})
    # The database is its own alone.
    assert not clone(operator, database.name).configuration.HasField("database")
    other = clone(operator, "db", slug="other", configuration={
        "database": {"connection_string": "host=a dbname=b", "username": "v"}})
    assert not other.configuration.database.password_set and other.configuration.database.username == "v"
    operator.suspend(source.name)
    operator.delete(source.name)
    failure("NOT_FOUND", clone, operator, source.name, slug="late")
