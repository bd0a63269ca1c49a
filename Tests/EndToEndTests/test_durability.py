"""What was acknowledged survives: `kill -9` of the daemon, of its PostgreSQL, and simulated power cuts.

TENANCY_CRASH_ROUNDS and TENANCY_POWERCUT_ROUNDS say how often, TENANCY_CRASH_WRITERS how many write
meanwhile; TENANCY_SEED makes the moments differ. Hundreds of rounds: `tools/test crashes`.
"""

import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest

from support import api
from support.auditor import PLATFORM, verify
from support.nodes import settings as postgresql_settings
from support.postgresql import PostgreSQL
from support.waiting import eventually
from tenantctl_process import Ctl

sys.path.append(str(Path(__file__).resolve().parents[1] / "durability"))
import powercut  # noqa: E402  (the simulation has tests of its own there)

authz, manager, tenant = api.authz, api.manager, api.tenant

CRASHES = int(os.environ.get("TENANCY_CRASH_ROUNDS", 8))
CUTS = int(os.environ.get("TENANCY_POWERCUT_ROUNDS", 4))
SEED = int(os.environ.get("TENANCY_SEED", 1))
WRITERS = int(os.environ.get("TENANCY_CRASH_WRITERS", 6))
# Then a new store is begun: to look through all of it each time takes longer and longer.
ROUNDS_OF_A_STORE = 10
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


def run_writers(server, acknowledged, label, moment, crash):
    """Writes from several connections, and lets something crash in the midst of it."""
    clients = [server.operator() for _ in range(WRITERS)]
    threads = [threading.Thread(target=write_on, args=(client, acknowledged, f"{label}-{number}"))
               for number, client in enumerate(clients)]
    before = acknowledged.writes
    for thread in threads:
        thread.start()
    eventually(lambda: acknowledged.writes > before + 10 or server.process.poll() is not None,
               "writes are acknowledged")
    time.sleep(moment)  # Not a wait for anything: the moment of the crash is to be any.
    crash()
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


def check_chains(server, acknowledged, key):
    """Every audit chain holds, by no code of ours, and has what was acknowledged. Returns the checkpoints."""
    # Before the records, some of which may be written meanwhile.
    file = server.data / "audit-checkpoints.jsonl"
    signed = file.read_text().splitlines(keepends=True) if file.exists() else []
    lines = Ctl({"TENANCY_ADDRESS": f"unix:{server.socket}"})("audit", "export", "--all").splitlines()
    # What is not whole is not signed.
    checkpoints = [line for line in signed if line.endswith("}\n")]
    records = verify(lines, checkpoints, key.read_bytes())
    revisions = [one.event["revision"] for chain, found in records.items() if chain != PLATFORM
                 for one in found if one.event["revision"]]
    assert len(revisions) == len(set(revisions)) and records[PLATFORM]
    for slug, one in acknowledged.tenants.items():
        actions = [record.event["action"] for record in records[one.id]]
        assert actions[0] == "tenants.create"
        if slug not in acknowledged.in_doubt:
            assert actions[-1] == "tenants.deactivate" and "assignments.create" in actions, actions
    return checkpoints


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


@pytest.fixture(scope="session")
def audit_key(tmp_path_factory):
    """The files of a key that signs checkpoints."""
    directory = tmp_path_factory.mktemp("audit")
    secret, public = directory / "audit.key", directory / "audit.pub"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", secret], check=True)
    subprocess.run(["openssl", "pkey", "-in", secret, "-pubout", "-out", public], check=True)
    secret.chmod(0o600)
    return secret, public


@pytest.fixture
def make_audited(make_server, audit_key):
    """Makes servers that sign as often as they can."""
    audit = {"checkpoint_key": str(audit_key[0]), "checkpoint_seconds": 1, "window_seconds": 1}
    return lambda **settings: make_server(audit=audit, **settings)


def test_kill_9(make_audited, audit_key):
    chosen = random.Random(SEED)
    writes, checkpoints = 0, []
    for round in range(CRASHES):
        if round % ROUNDS_OF_A_STORE == 0:
            server, acknowledged = make_audited(), Acknowledged()
        before = acknowledged.writes
        server.start()
        run_writers(server, acknowledged, f"r{round}", chosen.uniform(0, 0.3), server.kill)
        server.start()
        check(server, acknowledged)
        checkpoints += check_chains(server, acknowledged, audit_key[1])
        server.kill()
        check_file(server)
        check_data_plane(server, acknowledged)
        writes += acknowledged.writes - before
    assert writes > 10 * CRASHES and checkpoints


def works(server):
    with server.operator() as client:
        try:
            return client.create(f"again-{time.monotonic_ns()}")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE, error
            return None


def test_kill_9_of_one_or_both_on_postgresql(make_audited, audit_key):
    """The daemon, the database's server with all its processes, or both at once."""
    chosen = random.Random(SEED)
    database, writes = PostgreSQL(), 0
    try:
        for round in range(CRASHES):
            if round % ROUNDS_OF_A_STORE == 0:
                if round:
                    server.kill()
                    database.sql("DROP SCHEMA tenancy CASCADE")
                server, acknowledged = make_audited(**postgresql_settings(database)).start(), Acknowledged()
            before, victims = acknowledged.writes, chosen.choice(["daemon", "database", "both"])

            def crash(victims=victims, server=server):
                if victims != "daemon":
                    database.tell("kill")
                if victims != "database":
                    server.kill()

            run_writers(server, acknowledged, f"r{round}", chosen.uniform(0, 0.3), crash)
            if victims != "daemon":
                database.tell("start")
            if victims != "database":
                server.start()
            slug = eventually(lambda: works(server), f"it works after a crash of {victims}", 30).slug
            acknowledged.in_doubt.add(slug)
            # Those of attempts that got no answer.
            acknowledged.in_doubt |= {one for one in slugs(database) if one.startswith("again-")}
            check(server, acknowledged)
            check_chains(server, acknowledged, audit_key[1])
            assert database.sql("SELECT count(*) = max(revision) FROM tenancy.log") == "t"
            writes += acknowledged.writes - before
        server.kill()
    finally:
        database.close()
    assert writes > 10 * CRASHES


def slugs(database):
    return database.sql("SELECT slug FROM tenancy.tenants").splitlines()


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    return powercut.build(tmp_path_factory.mktemp("powercut"))


@pytest.mark.parametrize("torn", [False, True])
def test_power_cuts(make_audited, audit_key, library, tmp_path, torn):
    chosen = random.Random(SEED + torn)
    writes = 0
    for round in range(CUTS):
        if round % ROUNDS_OF_A_STORE == 0:
            machine = powercut.Machine(library, tmp_path / f"machine{round}")
            server, acknowledged = make_audited(), Acknowledged()
            server.data = machine.data
            server.settings["data_directory"] = str(machine.data)
        before = acknowledged.writes
        server.start(machine.environment(torn=SEED + round if torn else None))
        run_writers(server, acknowledged, f"r{round}", chosen.uniform(0, 0.3), server.kill)
        machine.cut()
        check_file(server)
        check_data_plane(server, acknowledged)
        server.start()
        check(server, acknowledged)
        check_chains(server, acknowledged, audit_key[1])
        assert server.stop() == 0
        writes += acknowledged.writes - before
    assert writes > 10 * CUTS


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
