"""What was acknowledged survives: `kill -9`, and simulated power cuts.

TENANCY_CRASH_ROUNDS and TENANCY_POWERCUT_ROUNDS say how often; TENANCY_SEED makes the moments differ.
"""

import os
import random
import sqlite3
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest

from support import api
from support.waiting import eventually

sys.path.append(str(Path(__file__).resolve().parents[1] / "durability"))
import powercut  # noqa: E402  (the simulation has tests of its own there)

authz, manager, tenant = api.authz, api.manager, api.tenant

CRASHES = int(os.environ.get("TENANCY_CRASH_ROUNDS", 8))
CUTS = int(os.environ.get("TENANCY_POWERCUT_ROUNDS", 4))
SEED = int(os.environ.get("TENANCY_SEED", 1))
WRITERS = 6
ISOLATION = [api.DATABASE, api.SCHEMA, api.SHARED, api.HYBRID]


@dataclass
class Acknowledged:
    """What the server said yes to."""

    tenants: dict[str, "tenant.Tenant"] = field(default_factory=dict)  # The newest answer, by slug.
    roles: dict[str, "authz.Role"] = field(default_factory=dict)
    assignments: dict[str, "authz.RoleAssignment"] = field(default_factory=dict)
    # Asked for and not answered: it may be there or not.
    in_doubt: set[str] = field(default_factory=set)
    writes: int = 0

    def note(self, answer):
        self.writes += 1
        kept = {tenant.Tenant: self.tenants, authz.Role: self.roles,
                authz.RoleAssignment: self.assignments}[type(answer)]
        kept[answer.slug if isinstance(answer, tenant.Tenant) else answer.name] = answer
        return answer


def write_on(client, acknowledged, prefix):
    """Makes tenants and changes them, until the server is gone."""
    count = 0
    try:
        while True:
            slug = f"{prefix}-{count}"
            acknowledged.in_doubt.add(slug)
            name = acknowledged.note(client.create(slug, ISOLATION[count % 4])).name
            acknowledged.note(client.manager.UpdateTenantConfiguration(
                manager.UpdateTenantConfigurationRequest(
                    name=name, configuration=tenant.TenantConfiguration(
                        feature_flags={"beta": True})), timeout=20))
            acknowledged.note(client.provision(name))
            acknowledged.note(client.role(name, "clerk", "bill:read"))
            acknowledged.note(client.assign(name, "user:al", "clerk"))
            acknowledged.note(client.suspend(name))
            acknowledged.in_doubt.discard(slug)
            count += 1
    except grpc.RpcError as error:
        # The last: provisioning that failed, as the tenant's own files fail first when the power goes.
        assert error.code().name in (
            "UNAVAILABLE", "UNKNOWN", "CANCELLED", "INTERNAL", "FAILED_PRECONDITION"), error


def run_writers(server, acknowledged, label, moment):
    """Writes from several connections, and kills the server in the midst of it."""
    clients = [server.operator() for _ in range(WRITERS)]
    threads = [threading.Thread(target=write_on, args=(client, acknowledged, f"{label}-{number}"))
               for number, client in enumerate(clients)]
    before = acknowledged.writes
    for thread in threads:
        thread.start()
    eventually(lambda: acknowledged.writes > before + 10 or server.process.poll() is not None,
               "writes are acknowledged")
    time.sleep(moment)  # Not a wait for anything: the moment of the crash is to be any.
    server.kill()
    for thread in threads:
        thread.join()
    for client in clients:
        client.close()


def check(server, acknowledged):
    """Every acknowledged write is there, and nothing that nobody asked for."""
    with server.operator() as client:
        found, token = {}, ""
        while True:
            page = client.manager.ListTenants(
                manager.ListTenantsRequest(page_size=1000, page_token=token, show_deleted=True))
            found |= {one.slug: one for one in page.tenants}
            token = page.next_page_token
            if not token:
                break
        missing = set(acknowledged.tenants) - set(found)
        assert not missing, f"lost tenants: {missing}"
        assert set(found) <= set(acknowledged.tenants) | acknowledged.in_doubt
        for slug, answer in acknowledged.tenants.items():
            if slug in acknowledged.in_doubt:
                # The next step was under way: done or not, but nothing undone.
                assert found[slug].epoch >= answer.epoch and found[slug].id == answer.id
                assert int(found[slug].etag[1:]) >= int(answer.etag[1:])
            else:
                assert found[slug] == answer
        parents = {name.partition("/roles/")[0] for name in acknowledged.roles}
        for parent in parents:
            role = client.authz.GetRole(authz.GetRoleRequest(name=f"{parent}/roles/clerk"))
            assert role == acknowledged.roles[role.name]
        for parent in {name.partition("/assignments/")[0] for name in acknowledged.assignments}:
            assignments = client.authz.ListRoleAssignments(
                authz.ListRoleAssignmentsRequest(parent=parent)).assignments
            assert acknowledged.assignments[assignments[0].name] == assignments[0]
            assert len(assignments) == 1


def check_file(server):
    """Asks SQLite itself, while nobody uses the database."""
    with sqlite3.connect(server.data / "tenancy.sqlite") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert not database.execute("PRAGMA foreign_key_check").fetchall()
        revisions = [row[0] for row in database.execute("SELECT revision FROM log ORDER BY revision")]
        assert revisions == list(range(1, len(revisions) + 1))
    database.close()


def check_data_plane(server, acknowledged):
    """What provisioning said it had made is there, and belongs to whom it should."""
    tenants = server.data / "tenants"
    for one in acknowledged.tenants.values():
        if one.state not in (api.ACTIVE, api.SUSPENDED):
            continue
        files = []
        if one.isolation_model == api.DATABASE:
            files.append(tenants / "databases" / f"{one.id}.sqlite")
        if one.configuration.HasField("schema"):
            files.append(tenants / "schemas" / f"{one.configuration.schema.schema_name}.sqlite")
        for file in files:
            assert file.exists(), f"lost {file.relative_to(server.data)}"
            assert rows(file, "SELECT tenant_id FROM tenancy_owner") == [(one.id,)]
        if one.configuration.HasField("shared"):
            assert (one.id,) in rows(
                tenants / "shared.sqlite", "SELECT tenant_id FROM tenancy_tenants")


def rows(file, query):
    database = sqlite3.connect(file)
    try:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return database.execute(query).fetchall()
    finally:
        database.close()


def test_kill_9(make_server):
    chosen = random.Random(SEED)
    server, acknowledged = make_server(), Acknowledged()
    for round in range(CRASHES):
        server.start()
        run_writers(server, acknowledged, f"r{round}", chosen.uniform(0, 0.3))
        server.start()
        check(server, acknowledged)
        server.kill()
        check_file(server)
        check_data_plane(server, acknowledged)
    assert acknowledged.writes > 10 * CRASHES


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    return powercut.build(tmp_path_factory.mktemp("powercut"))


@pytest.mark.parametrize("torn", [False, True])
def test_power_cuts(make_server, library, tmp_path, torn):
    chosen = random.Random(SEED + torn)
    machine = powercut.Machine(library, tmp_path / "machine")
    server, acknowledged = make_server(), Acknowledged()
    server.data = machine.data
    server.settings["data_directory"] = str(machine.data)
    for round in range(CUTS):
        server.start(machine.environment(torn=SEED + round if torn else None))
        run_writers(server, acknowledged, f"r{round}", chosen.uniform(0, 0.3))
        machine.cut()
        check_file(server)
        check_data_plane(server, acknowledged)
        server.start()
        check(server, acknowledged)
        assert server.stop() == 0
    assert acknowledged.writes > 10 * CUTS


@pytest.mark.parametrize("model, steps", [
    (api.DATABASE, ["create_database"]), (api.HYBRID, ["create_schema", "register_shared"])])
def test_provisioning_resumes(make_server, model, steps):
    """Killed at random moments of provisioning, the server finishes by itself when it is back."""
    chosen = random.Random(SEED)
    server = make_server()
    interrupted = 0
    for round in range(40):
        server.start()
        with server.operator() as client:
            made = client.create(f"t{round}", model)
            client.manager.ProvisionTenantResources.future(
                manager.ProvisionTenantResourcesRequest(name=made.name))
            time.sleep(chosen.uniform(0, 0.02))  # Any moment, as above.
            server.kill()
        left = state_on_disk(server, made.id)
        server.start()
        with server.operator() as client:
            if left == "pending":
                assert client.get(made.name).state == api.PENDING
                client.provision(made.name)
            eventually(lambda: client.get(made.name).state == api.ACTIVE, "it is provisioned")
        server.kill()
        done = rows(server.data / "tenancy.sqlite",
                    f"SELECT name FROM provisioning_steps WHERE tenant_id = '{made.id}'")
        assert sorted(name for (name,) in done) == steps
        interrupted += left == "provisioning"
        if interrupted == 3:
            return
    pytest.fail("provisioning was hardly ever interrupted")


def state_on_disk(server, identifier) -> str:
    database = sqlite3.connect(server.data / "tenancy.sqlite")
    try:
        return database.execute(
            "SELECT state FROM tenants WHERE id = ?", (identifier,)).fetchone()[0]
    finally:
        database.close()
