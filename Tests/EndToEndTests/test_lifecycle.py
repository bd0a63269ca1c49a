"""Tenants for life: against a model of our own, by the clock, and cut off where somebody is watching."""

import contextlib
import os
import random
import sqlite3
import subprocess
import threading
import time

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from support import api
from support.client import Failure, failure, invalid
from support.lives import Model, ask, follow, verify
from support.pki import tenant_id
from support.waiting import eventually

manager = api.manager


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("isolation", [api.SCHEMA, api.SHARED, api.DATABASE])
def test_random_lives(operator, slug, isolation, seed):
    made = operator.create(slug, isolation)
    follow([operator], made.name, Model(), random.Random(f"{seed} {isolation}"), 40)


def test_lives_survive_crashes(make_server):
    """What was acknowledged is as it was, and what comes of a purge that was cut short goes on."""
    source = random.Random(7)
    server = make_server().start()
    lives = []
    for _ in range(6):
        with server.operator() as client:
            for number in range(2):
                lives.append((client.create(f"t{len(lives)}", api.SCHEMA).name, Model()))
            for name, model in lives:
                follow([client], name, model, source, 8)
        server.kill()
        server.start()
        with server.operator() as client:
            for name, model in lives:
                verify(client, name, model)


def test_nothing_is_left_of_what_is_purged(make_server):
    server = make_server()
    server.start()
    with server.operator() as client:
        made = client.active("acme", api.HYBRID, display_name="Erika Mustermann")
        kept = client.active("other", api.HYBRID)
        client.role(made.name, "engineer", "builds:run")
        for number in range(600):
            client.assign(made.name, f"user:{number}", "engineer")
        client.assign(kept.name, "user:1", "tenant-admin")
        client.delete("acme")
        assert client.purge("acme").state == api.PURGED
        assert failure("NOT_FOUND", client.purge, "acme").reason == "TENANT_NOT_FOUND"
        assert failure("ALREADY_EXISTS", client.create, "acme").reason == "NAME_TAKEN"
        assert not (server.data / "tenants" / "schemas" / "acme.sqlite").exists()
        listed = client.manager.ListTenants(manager.ListTenantsRequest(show_deleted=True)).tenants
        assert [one.id for one in listed] == [kept.id]
        # What was done is still told, by the id and by the slug that nobody else gets.
        for name in (made.name, "tenants/acme"):
            pages = list(client.audit.StreamAuditRecords(api.audit.StreamAuditRecordsRequest(parent=name)))
            assert len([record for page in pages for record in page.records]) > 600
            first = client.audit.ListAuditRecords(api.audit.ListAuditRecordsRequest(parent=name, page_size=1))
            assert first.records[0].action == "tenants.create"
        failure("NOT_FOUND", client.audit.ListAuditRecords,
                api.audit.ListAuditRecordsRequest(parent="tenants/0197f3a0-0000-7000-8000-000000000000"))
    assert server.stop() == 0
    checked = subprocess.run([os.environ["TENANTD"], "check", "--data-directory", server.data], capture_output=True,
                             text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    with sqlite3.connect(server.data / "tenancy.sqlite") as database:
        for table in ("roles", "assignments", "provisioning_steps", "secrets", "revocations"):
            [(count,)] = database.execute(f"SELECT count(*) FROM {table} WHERE tenant_id = ?", (made.id,))
            assert count == 0, table
        [row] = database.execute("SELECT state, display_name, slug FROM tenants WHERE id = ?", (made.id,))
        assert row == ("purged", "acme", "acme")
    server.start()
    with server.operator() as client:
        failure("NOT_FOUND", client.get, made.name)
        failure("ALREADY_EXISTS", client.create, "acme")
        assert client.check(kept.name, "user:1", "tenancy.tenants:get").allowed


def test_the_server_purges_by_itself(make_server):
    server = make_server(lifecycle={"retention_days": 0, "purge_delay_seconds": 0}).start()
    with server.operator() as client:
        made = client.active("acme")
        held = client.active("held")
        client.hold("held")
        client.delete("acme")
        client.delete("held")
        eventually(lambda: gone(client, made.name), "it is purged")
        assert not (server.data / "tenants" / "schemas" / "acme.sqlite").exists()
        assert client.get(held.name).state == api.DELETED
        client.release("held")
        eventually(lambda: gone(client, held.name), "without the hold it is, too")


def gone(client, name: str) -> bool:
    try:
        client.get(name)
        return False
    except grpc.RpcError as error:
        return error.code() == grpc.StatusCode.NOT_FOUND


def test_the_server_purges_nothing_where_it_may_not(make_server):
    server = make_server(lifecycle={"retention_days": 0, "purge_delay_seconds": 0, "purge": False}).start()
    with server.operator() as client:
        made, other = client.active("acme"), client.active("other")
        client.delete("acme")
        # Which is looked at later than what is due to be purged.
        client.schedule("other", suspend=1.5)
        eventually(lambda: client.get(other.name).state == api.SUSPENDED, "it is suspended")
        assert client.get(made.name).state == api.DELETED
        assert client.purge("acme", early=False).state == api.PURGED


def move_end(client, name, seconds):
    tenant = api.tenant.Tenant(name=name)
    if seconds is not None:
        tenant.maintenance_end_time.FromSeconds(int(time.time() + seconds))
    return client.manager.UpdateTenant(api.manager.UpdateTenantRequest(
        tenant=tenant, update_mask=FieldMask(paths=["maintenance_end_time"])), timeout=20)


def test_maintenance_says_when_to_come_back(operator, slug):
    operator.active(slug)
    operator.maintain(slug, 7200, reason="new disks")
    request = api.resolver.ResolveFromHeadersRequest(headers={"x-tenant-id": slug})
    told = failure("UNAVAILABLE", operator.resolver.ResolveFromHeaders, request)
    assert told.reason == "TENANT_MAINTENANCE" and 7190 <= told.retry_seconds <= 7200
    assert operator.get(slug).state_reason == "new disks"
    # It takes longer, or nobody knows.
    assert move_end(operator, slug, 9000).maintenance_end_time.seconds > time.time() + 8000
    assert 8990 <= failure("UNAVAILABLE", operator.resolver.ResolveFromHeaders, request).retry_seconds <= 9000
    invalid("tenant.maintenance_end_time", move_end, operator, slug, -1)
    assert not move_end(operator, slug, None).HasField("maintenance_end_time")
    assert failure("UNAVAILABLE", operator.resolver.ResolveFromHeaders, request).retry_seconds == 30
    operator.end_maintenance(slug)
    assert failure("FAILED_PRECONDITION", move_end, operator, slug, 60).reason == "ILLEGAL_TRANSITION"
    operator.maintain(slug, 1)
    assert failure("UNAVAILABLE", operator.resolver.ResolveFromHeaders, request).retry_seconds == 1
    # It ends nothing by itself.
    eventually(lambda: failure("UNAVAILABLE", operator.resolver.ResolveFromHeaders,
                               request).retry_seconds == 30, "it is over")
    assert operator.end_maintenance(slug).state_reason == ""
    invalid("expected_end_time", operator.maintain, slug, -1)
    invalid("reason", operator.maintain, slug, reason="x" * 501)


def test_who_may_not_begin_a_maintenance_moves_none(make_server, pki):
    server = make_server()
    server.settings["identity"]["platform_roles"] = {"clerk": ["tenancy.tenants:update", "tenancy.tenants:get"]}
    server.start()
    with server.operator() as admin, server.client(pki.python.platform("clerk")) as clerk, \
            server.client(pki.python.tenant("acme", "chief")) as chief:
        admin.active("acme")
        admin.assign("acme", tenant_id("acme", "chief"), "tenant-admin")
        admin.maintain("acme", 60)
        before = admin.get("acme")
        for seconds in (9000, None):
            error = failure("PERMISSION_DENIED", move_end, clerk, "acme", seconds)
            assert error.reason == "PERMISSION_MISSING" and "tenancy.tenants:maintain" in error.message
        failure("UNAVAILABLE", move_end, chief, "acme", 9000)
        assert admin.get("acme") == before
        assert clerk.manager.UpdateTenant(api.manager.UpdateTenantRequest(
            tenant=api.tenant.Tenant(name="acme", display_name="Away")), timeout=20).display_name == "Away"
        assert move_end(admin, "acme", None).display_name == "Away"


@pytest.mark.quiet
def test_the_schedule_is_kept(make_server):
    server = make_server().start()
    with server.operator() as client:
        made = client.active("acme")
        began = time.monotonic()
        client.schedule("acme", trial_end=2, delete=6)
        assert client.get("acme").state == api.ACTIVE
        eventually(lambda: client.get("acme").state == api.SUSPENDED, "the trial ends")
        assert 2 <= time.monotonic() - began < 5
        assert client.get("acme").state_reason == "the trial has ended"
    # Also what was due while nobody was there.
    server.kill()
    time.sleep(max(0.0, 6 - (time.monotonic() - began)))
    server.start()
    with server.operator() as client:
        eventually(lambda: client.get("acme").state == api.DELETED, "it is deleted")
        records = client.audit.ListAuditRecords(
            api.audit.ListAuditRecordsRequest(parent=made.name)).records
        last = [(record.action, record.subject, record.reason) for record in records][-2:]
        assert last == [("tenants.deactivate", "system", "SCHEDULED"), ("tenants.delete", "system", "SCHEDULED")]


CUTS = [("suspend", "PERMISSION_DENIED", "ActivateTenant"), ("maintain", "UNAVAILABLE", "EndTenantMaintenance"),
        ("delete", "NOT_FOUND", "UndeleteTenant")]


def test_nobody_is_answered_with_the_former_state(server, admin, slug):
    """What begins after a transition is acknowledged sees it, however many ask at the same time."""
    made = admin.active(slug)
    over, answers, request = threading.Event(), [], api.resolver.ResolveFromHeadersRequest(
        headers={"x-tenant-id": slug})

    def keep_asking():
        with server.operator() as client:
            while not over.is_set():
                began = time.monotonic()
                try:
                    client.resolver.ResolveFromHeaders(request, timeout=20)
                    answers.append((began, time.monotonic(), "OK"))
                except grpc.RpcError as error:
                    answers.append((began, time.monotonic(), error.code().name))

    threads = [threading.Thread(target=keep_asking) for _ in range(16)]
    spans = []
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            for cut, code, back in CUTS:
                getattr(admin, cut)(made.name)
                began = time.monotonic()
                count = len(answers)
                eventually(lambda: len(answers) > count + 100, "they ask")
                spans.append((began, time.monotonic(), code))
                ask(admin, back, made.name)
                if back == "UndeleteTenant":
                    ask(admin, "ActivateTenant", made.name)
                began, count = time.monotonic(), len(answers)
                eventually(lambda: len(answers) > count + 100, "they ask")
                spans.append((began, time.monotonic(), "OK"))
    finally:
        over.set()
        for thread in threads:
            thread.join()
    for first, last, code in spans:
        assert {answer for began, ended, answer in answers if first <= began and ended <= last} == {code}


@pytest.mark.quiet
def test_tenants_that_are_being_made_keep_no_others_waiting(make_server):
    """However many wait for a data plane that hangs: others are answered, and moved when it is time."""
    server = make_server().start()
    with server.operator() as client, contextlib.ExitStack() as stack:
        client.active("first", api.SHARED)
        client.active("victim")
        for number in range(80):
            client.create(f"slow{number}", api.SHARED)
            client.schedule(f"slow{number}", suspend=60 if number else 600)
        lock = sqlite3.connect(server.data / "tenants" / "shared.sqlite", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        others = [stack.enter_context(server.operator()) for _ in range(8)]
        calls = [others[number % 8].manager.ProvisionTenantResources.future(
            manager.ProvisionTenantResourcesRequest(name=f"slow{number}"), timeout=120) for number in range(80)]
        eventually(lambda: client.get("slow79").state == api.PROVISIONING, "they wait")
        # The call itself may wait for some seconds: of the threads that all wait for, one a second is made.
        client.schedule("victim", suspend=6)
        eventually(lambda: client.get("victim").state == api.SUSPENDED, "it is moved")
        lock.execute("ROLLBACK")
        lock.close()
        # Some have waited for too long; they can be tried again.
        for call in calls:
            error = call.exception()
            assert error is None or Failure.of(error).reason == "PROVISIONING_FAILED"


def test_times_that_are_past(operator, slug):
    operator.active(slug)
    error = failure("INVALID_ARGUMENT", operator.schedule, slug, suspend=-1, delete=-1)
    assert error.fields == ["schedule.suspend_time", "schedule.delete_time"]


def test_a_tenant_sees_its_schedule_and_no_hold(server, operator, pki, slug):
    made = operator.active(slug)
    operator.schedule(slug, trial_end=1000)
    operator.hold(slug, "against Erika")
    with server.client(pki.python.tenant(slug)) as own:
        seen = own.get(made.name)
        assert seen.schedule.HasField("trial_end_time")
        assert not seen.HasField("legal_hold") and "Erika" not in str(seen)
        assert failure("PERMISSION_DENIED", own.release, slug).reason == "PERMISSION_MISSING"
