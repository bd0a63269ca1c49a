"""What is told of making and destroying tenants' resources, while it goes on."""

import subprocess
import threading
import time

import pytest
from support import api
from support.client import failure
from support.clusters import Cluster
from support.nodes import settings
from tenantctl_process import Ctl

Operation = api.operations.TenantOperation


@pytest.fixture
def cluster(database):
    return Cluster(database)


class Blocked:
    """While it lasts, the cluster does nothing that makes a schema: somebody has locked the registry."""

    def __init__(self, cluster):
        self._process = subprocess.Popen(
            ["psql", "-h", cluster.server.directory, "-p", str(cluster.server.port), "-U", "provisioner", "-d", "tenants",
             "-AtqX"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PATH": "/usr/bin:/bin"})
        self._process.stdin.write("BEGIN; LOCK TABLE tenancy_cluster.tenants; SELECT 'locked';\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline().strip() == "locked"

    def end(self):
        self._process.stdin.close()
        self._process.wait(10)


def watch(client, name, timeout=30):
    return client.operations.WatchTenantOperation(
        api.operations.WatchTenantOperationRequest(name=name), timeout=timeout)


def newest(client, name):
    return client.operations.GetTenantOperation(api.operations.GetTenantOperationRequest(name=name), timeout=10)


def done(operation):
    return [step.name for step in operation.steps if step.state == Operation.Step.STATE_DONE]


def running(client):
    return [one.name for one in client.operations.ListTenantOperations(
        api.operations.ListTenantOperationsRequest(), timeout=10).operations]


def test_a_watch_sees_every_step_once_and_ends(make_server, cluster):
    with make_server(clusters=[cluster.settings]).start().operator() as admin:
        admin.active("first", api.SCHEMA)  # The registry is there.
        made = admin.create("acme", api.SCHEMA)
        blocked = Blocked(cluster)
        answers = []
        call = threading.Thread(target=lambda: answers.append(admin.provision("acme")))
        call.start()
        deadline = time.monotonic() + 10
        while not running(admin):
            assert time.monotonic() < deadline
        states = iter(watch(admin, "acme"))
        first = next(states)
        assert first.state == Operation.STATE_RUNNING and first.kind == Operation.KIND_PROVISION
        assert running(admin) == [first.name] and first.name.startswith(f"{made.name}/operations/")
        blocked.end()
        seen = [first, *states]
        call.join(20)
        assert answers[0].state == api.ACTIVE
        last = seen[-1]
        assert last.state == Operation.STATE_SUCCEEDED and last.place == "clusters/one"
        assert done(last) == [step.name for step in last.steps] == [
            "register_in_cluster", "create_cluster_roles", "create_cluster_schema"]
        counts = [len(done(one)) for one in seen]
        assert counts == sorted(counts) and len(seen) == len({one.SerializeToString() for one in seen})
        # What is over is told as it is, and the stream ends.
        assert list(watch(admin, last.name)) == [last] and newest(admin, "acme") == last
        assert running(admin) == []
        for step in last.steps:
            assert step.start_time.ToNanoseconds() <= step.end_time.ToNanoseconds()


def test_a_failure_says_which_step_and_why_and_the_next_goes_on(make_server, cluster):
    with make_server(clusters=[cluster.settings]).start().operator() as admin:
        admin.active("first", api.SCHEMA)
        created = admin.create("acme", api.SCHEMA)
        # Somebody else's schema is in the way.
        schema = created.configuration.schema.schema_name
        cluster.sql(f'CREATE SCHEMA "{schema}"')
        error = failure("FAILED_PRECONDITION", admin.provision, "acme")
        assert error.reason == "PROVISIONING_FAILED" and error.metadata["step"] == "create_cluster_schema"
        failed = newest(admin, "acme")
        assert failed.state == Operation.STATE_FAILED and failed.failure.step == "create_cluster_schema"
        assert failed.failure.reason and failed.steps[-1].state == Operation.Step.STATE_FAILED
        assert failed.name.endswith(f"/{error.metadata['operation']}")
        assert list(watch(admin, "acme")) == [failed]
        cluster.sql(f'DROP SCHEMA "{schema}"')
        assert admin.provision("acme").state == api.ACTIVE
        kept = admin.operations.ListTenantOperations(
            api.operations.ListTenantOperationsRequest(parent="acme"), timeout=10).operations
        assert [one.state for one in kept] == [Operation.STATE_SUCCEEDED, Operation.STATE_FAILED]
        admin.suspend("acme")
        admin.manager.DeprovisionTenantResources(
            api.manager.DeprovisionTenantResourcesRequest(name="acme"), timeout=30)
        gone = newest(admin, "acme")
        assert (gone.kind, gone.state) == (Operation.KIND_DEPROVISION, Operation.STATE_SUCCEEDED)
        assert done(gone) == ["clusters/one"]
        for _ in range(9):
            admin.provision("acme")
            admin.suspend("acme")
            admin.manager.DeprovisionTenantResources(
                api.manager.DeprovisionTenantResourcesRequest(name="acme"), timeout=30)
        assert len(admin.operations.ListTenantOperations(
            api.operations.ListTenantOperationsRequest(parent="acme"), timeout=10).operations) == 8
        admin.delete("acme")
        assert admin.purge("acme").state == api.PURGED


def test_reading_a_password_is_in_the_audit_trail(make_server, cluster):
    server = make_server(clusters=[cluster.settings], audit={"window_seconds": 1}).start()
    with server.operator() as admin:
        name = admin.active("acme", api.SCHEMA).name
        found = admin.data_access("acme")
        deadline = time.monotonic() + 15
        while True:
            records = admin.audit.ListAuditRecords(
                api.audit.ListAuditRecordsRequest(parent=name, page_size=100), timeout=10).records
            read = [one for one in records if one.action == "data.access"]
            if read:
                break
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert read[0].reason == found.username and found.password not in str(records)


def test_what_a_killed_node_has_begun_another_ends_under_the_same_name(make_server, database, cluster):
    one, other = (make_server(clusters=[cluster.settings], **settings(database, poll=100, lease_seconds=2)).start()
                  for _ in range(2))
    with one.operator() as admin:
        admin.active("first", api.SCHEMA)
        admin.create("acme", api.SCHEMA)
        blocked = Blocked(cluster)
        threading.Thread(target=lambda: pytest.raises(Exception, admin.provision, "acme")).start()
        with other.operator() as there:
            deadline = time.monotonic() + 10
            while not running(there):
                assert time.monotonic() < deadline
            # The node that is asked is not the one that is at work.
            states = iter(watch(there, "acme", timeout=60))
            first = next(states)
            one.kill()
            blocked.end()
            seen = [first, *states]
            assert {one.name for one in seen} == {first.name}
            assert seen[-1].state == Operation.STATE_SUCCEEDED and len(done(seen[-1])) == 3
            assert there.get("acme").state == api.ACTIVE


def test_a_terminal_sees_the_steps(make_server, cluster):
    server = make_server(clusters=[cluster.settings]).start()
    ctl = Ctl({"TENANCY_ADDRESS": f"unix:{server.socket}"})
    ctl("tenant", "create", "--display-name", "Acme", "--slug", "acme", "--isolation", "schema")
    lines = ctl("tenant", "provision", "acme", "--watch").splitlines()
    steps = [line.split(":")[0] for line in lines if ": done" in line]
    assert steps == ["register_in_cluster", "create_cluster_roles", "create_cluster_schema"]
    assert "SUCCEEDED" in lines


def test_a_stranger_learns_nothing(make_server, cluster):
    with make_server(clusters=[cluster.settings]).start().operator() as admin:
        for name in ("tenants/none", "tenants/none/operations/1"):
            failure("NOT_FOUND", newest, admin, name)
            failure("NOT_FOUND", lambda: list(watch(admin, name)))
