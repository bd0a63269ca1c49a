"""Tenants' logins follow their states; a cluster is one control plane's, and rows in it somebody's."""

import subprocess
import time

import pytest
from support import api
from support.client import failure
from support.clusters import Cluster
from support.waiting import eventually

MODELS = {"database": api.DATABASE, "schema": api.SCHEMA, "shared": api.SHARED, "hybrid": api.HYBRID}
Kind = api.clusters.ClusterFinding


@pytest.fixture
def cluster(database):
    return Cluster(database)


@pytest.fixture
def server(make_server, cluster):
    return make_server(clusters=[cluster.settings]).start()


@pytest.fixture
def admin(server):
    with server.operator() as client:
        yield client


def activate(client, name):
    client.manager.ActivateTenant(api.manager.ActivateTenantRequest(name=name), timeout=20)


def is_closed(cluster, access):
    return "not permitted to log in" in cluster.attempt(access, "SELECT 1").stderr


def session(cluster, access):
    """A program of a tenant that stays connected."""
    running = subprocess.Popen(
        ["psql", "-p", str(cluster.server.port), "-h", "127.0.0.1", "-U", access.username, "-d", access.database,
         "-AtqX", "-c", "SELECT pg_sleep(300)"], stderr=subprocess.PIPE, text=True,
        env={"PATH": "/usr/bin:/bin", "PGSSLMODE": "disable", "PGPASSWORD": access.password})
    eventually(lambda: cluster.server.sql(
        f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{access.username}'") == "1", "the session is there")
    return running


@pytest.mark.parametrize("model", MODELS)
def test_logins_follow_the_tenants_state(admin, cluster, model):
    for name in ("acme", "zeta"):
        admin.active(name, MODELS[model])
    access, other = admin.data_access("acme"), admin.data_access("zeta")
    running = session(cluster, access)
    admin.suspend("acme")
    eventually(lambda: is_closed(cluster, access), "the login is closed")
    assert running.wait(timeout=30) != 0 and "terminating connection" in running.stderr.read()
    assert cluster.login(other, "SELECT 1") == "1"
    # A login that is new is closed as well.
    rotated = admin.data.RotateTenantDataLogin(api.data.RotateTenantDataLoginRequest(name="acme"), timeout=20)
    assert cluster.sql(f"SELECT rolcanlogin FROM pg_roles WHERE rolname = '{rotated.username}'") == "f"
    assert admin.audit_cluster("one") == []
    activate(admin, "acme")
    # Whoever is told how to log in can.
    renewed = admin.data_access("acme")
    for known in (renewed, access):
        assert cluster.login(known, "SELECT 1") == "1"
    admin.delete("acme")
    eventually(lambda: is_closed(cluster, renewed) and is_closed(cluster, access), "the logins are closed")
    admin.undelete("acme")
    activate(admin, "acme")
    eventually(lambda: not is_closed(cluster, renewed), "it is open again")
    actions = [record.action for record in admin.audit.ListAuditRecords(
        api.audit.ListAuditRecordsRequest(parent=admin.get("acme").name, page_size=1000), timeout=20).records]
    assert actions.count("tenants.loginsClosed") == 2 and actions.count("tenants.loginsOpened") == 2
    # In the same moment: nobody is told to come again since the logins are being closed.
    admin.suspend("acme")
    assert admin.manager.DeprovisionTenantResources(
        api.manager.DeprovisionTenantResourcesRequest(name="acme"), timeout=30).state == api.PENDING
    assert all("acme" not in line and access.username not in line for line in cluster.remains())


def test_a_former_login_that_is_gone_keeps_none_closed(admin, cluster):
    """As a retirement leaves it that was cut short: the role is gone, and it is not recorded."""
    admin.active("acme", api.SCHEMA)
    former = admin.data_access("acme").username
    admin.data.RotateTenantDataLogin(api.data.RotateTenantDataLoginRequest(name="acme"), timeout=20)
    cluster.sql(f"GRANT {former} TO CURRENT_USER; DROP OWNED BY {former}; DROP ROLE {former}")
    admin.suspend("acme")
    eventually(lambda: cluster.sql("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'tenant\\_%' AND rolcanlogin")
               == "0", "the login is closed")
    activate(admin, "acme")
    access = admin.data_access("acme")
    assert access.username != former and cluster.login(access, "SELECT 1") == "1"


@pytest.mark.quiet
def test_what_a_crash_has_left_is_done_by_the_next_start(server, cluster, database):
    with server.operator() as admin:
        admin.active("acme", api.SCHEMA)
        access = admin.data_access("acme")
        database.tell("stop")
        # It does not wait for the cluster.
        begin = time.monotonic()
        admin.suspend("acme")
        assert time.monotonic() - begin < 5
    server.kill()
    database.tell("start")
    assert cluster.login(access, "SELECT 1") == "1"
    server.start()
    eventually(lambda: is_closed(cluster, access), "the login is closed", seconds=60)


def test_an_audit_finds_logins_that_are_not_as_they_should_be(admin, cluster):
    for name in ("acme", "zeta", "kept"):
        admin.active(name, api.SCHEMA)
    acme, zeta = admin.data_access("acme"), admin.data_access("zeta")
    admin.suspend("acme")
    eventually(lambda: is_closed(cluster, acme), "the login is closed")
    surplus = zeta.username.replace("_1", "_7")
    cluster.sql(f"ALTER ROLE {acme.username} LOGIN; ALTER ROLE {zeta.username} NOLOGIN; CREATE ROLE {surplus} LOGIN;"
                f"COMMENT ON ROLE {surplus} IS '{admin.get('zeta').name.replace('tenants/', 'tenant ')}'")
    found = admin.audit_cluster("one")
    ids = {name: admin.get(name).name for name in ("acme", "zeta")}
    assert {(finding.tenant, finding.kind, finding.details) for finding in found} == {
        (ids["acme"], Kind.KIND_OPEN_LOGIN, "login 1"), (ids["zeta"], Kind.KIND_CLOSED_LOGIN, "login 1"),
        (ids["zeta"], Kind.KIND_SURPLUS_LOGIN, "login 7")}
    assert all(finding.repaired for finding in admin.audit_cluster("one", repair=True))
    assert admin.audit_cluster("one") == []
    assert is_closed(cluster, acme) and cluster.login(zeta, "SELECT 1") == "1"
    assert cluster.sql(f"SELECT count(*) FROM pg_roles WHERE rolname = '{surplus}'") == "0"


def test_a_cluster_is_one_control_planes(server, make_server, cluster):
    """Another would take for orphans what it does not know."""
    with server.operator() as admin:
        admin.active("acme", api.SCHEMA)
        access = admin.data_access("acme")
        other = make_server(clusters=[cluster.settings]).start()
        with other.operator() as stranger:
            error = failure("UNAVAILABLE", lambda: stranger.audit_cluster("one", repair=True))
            assert "is another control plane's" in error.message
            stranger.create("acme", api.SCHEMA)
            refused = failure("FAILED_PRECONDITION", stranger.provision, "acme")
            assert "another control plane's" in refused.message + refused.metadata.get("cause", "")
        assert admin.audit_cluster("one") == []
    # The store is the same after a restart.
    server.stop()
    server.start()
    with server.operator() as admin:
        assert admin.audit_cluster("one") == []
    assert cluster.login(access, "SELECT 1") == "1"


def test_rows_of_nobody_are_found_and_removed(admin, cluster):
    admin.active("acme", api.SHARED)
    access = admin.data_access("acme")
    cluster.login(access, f"INSERT INTO orders SELECT '{access.tenant_identifier}', n FROM generate_series(1, 50) n")
    cluster.sql("INSERT INTO app.orders SELECT 'nobody-' || n % 3, n FROM generate_series(1, 300) n")
    found = admin.audit_cluster("one")
    assert {(finding.kind, finding.tenant) for finding in found} == {(Kind.KIND_STRAY_ROWS, "")}
    assert [finding.details for finding in found] == [
        f'rows of nobody-{number} in "app"."orders"' for number in range(3)]
    assert all(finding.repaired for finding in admin.audit_cluster("one", repair=True))
    assert cluster.sql("SELECT count(*) FROM app.orders") == "50" and admin.audit_cluster("one") == []
    # Of a tenant that the cluster does not know any more, they are only named.
    cluster.sql("DELETE FROM tenancy_cluster.tenants")
    left = {finding.kind: finding for finding in admin.audit_cluster("one", repair=True)}
    strays = left[Kind.KIND_STRAY_ROWS]
    assert strays.tenant == admin.get("acme").name
    assert cluster.sql("SELECT count(*) FROM app.orders") == "50"
