"""`validate_only` of what is done in clusters: these are looked at, where that is what is asked for, and stay as they
are."""

import pytest
from support import api
from support.client import failure
from support.clusters import Cluster
from support.nodes import token_of

data = api.data


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


def revision(client):
    _, call = client.manager.ListTenants.with_call(api.manager.ListTenantsRequest(page_size=1), timeout=20)
    return token_of(call)


def rotate(client, name, **fields):
    return client.data.RotateTenantDataLogin(data.RotateTenantDataLoginRequest(name=name, **fields), timeout=60).username


def retire(client, name, **fields):
    client.data.RetireTenantDataLogin(data.RetireTenantDataLoginRequest(name=name, **fields), timeout=60)


def test_logins(admin, cluster):
    admin.active("acme", api.HYBRID)
    access, before, there = admin.data_access("acme"), revision(admin), cluster.remains()
    would_be = rotate(admin, "acme", validate_only=True)
    assert would_be != access.username and rotate(admin, "acme", validate_only=True) == would_be
    retire(admin, "acme", validate_only=True)
    assert (revision(admin), cluster.remains(), admin.data_access("acme")) == (before, there, access)
    assert rotate(admin, "acme") == would_be
    retire(admin, "acme", validate_only=True)
    assert cluster.login(access, "SELECT 1") == "1"
    retire(admin, "acme")
    assert cluster.attempt(access, "SELECT 1").returncode != 0
    # What is refused is refused alike.
    admin.create("pending")
    for trial in (True, False):
        for change in (rotate, retire):
            assert failure("FAILED_PRECONDITION", change, admin, "pending", validate_only=trial).reason


def test_repairs(admin, cluster):
    admin.active("zeta", api.SCHEMA)
    zeta = admin.data_access("zeta")
    stray = "019a0000-0000-7000-8000-000000000001"
    role = f"tenant_{stray.replace('-', '')}"
    cluster.sql(f"CREATE ROLE {role} NOLOGIN; COMMENT ON ROLE {role} IS 'tenant {stray}'")
    cluster.sql(f"GRANT {zeta.username} TO CURRENT_USER; DROP OWNED BY {zeta.username}; DROP ROLE {zeta.username}")
    found, before, there = admin.audit_cluster("one"), revision(admin), cluster.remains()
    assert len(found) == 2

    def tried(**fields):
        return list(admin.clusters.AuditCluster(api.clusters.AuditClusterRequest(
            name="one", validate_only=True, **fields), timeout=60).findings)

    assert tried() == found
    assert all(finding.repaired and not finding.problem for finding in tried(repair=True))
    assert (revision(admin), cluster.remains(), admin.audit_cluster("one")) == (before, there, found)
    # An orphan whose tenant is to be kept would be refused.
    held = admin.create("held")
    name = f"tenant_{held.id.replace('-', '')}"
    cluster.sql(f"CREATE ROLE {name} NOLOGIN; COMMENT ON ROLE {name} IS 'tenant {held.id}'")
    admin.hold(held.name)
    for trial in (tried(repair=True), admin.audit_cluster("one", repair=True)):
        [one] = [finding for finding in trial if finding.tenant == held.name]
        assert not one.repaired and one.problem
    assert [finding.tenant for finding in admin.audit_cluster("one")] == [held.name]
    assert cluster.login(zeta, "SELECT 1") == "1"
