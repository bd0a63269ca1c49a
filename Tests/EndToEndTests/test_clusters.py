"""Tenants' data in a PostgreSQL server: what is made there, what its logins can do, and what is left."""

import pytest
from support import api
from support.client import failure
from support.clusters import Cluster

MODELS = {"database": api.DATABASE, "schema": api.SCHEMA, "shared": api.SHARED, "hybrid": api.HYBRID}


@pytest.fixture
def cluster(database):
    return Cluster(database)


@pytest.fixture
def admin(make_server, cluster):
    with make_server(clusters=[cluster.settings]).start().operator() as client:
        yield client


@pytest.mark.parametrize("model", MODELS)
def test_a_login_reaches_its_own_data_and_nothing_else(admin, cluster, model):
    names = ["acme", "zeta"]
    for name in names:
        assert admin.active(name, MODELS[model]).state == api.ACTIVE
    access = {name: admin.data_access(name) for name in names}
    mine, other = access["acme"], access["zeta"]
    assert mine.cluster == "one" and len(mine.password) == 64 and mine.password != other.password
    # What the platform makes for them, as it would by its migrations.
    for name, found in access.items():
        if model != "shared":
            schema = found.search_path[0]
            cluster.sql(f"CREATE TABLE {schema}.notes (text text)", found.database)
        if model in ("shared", "hybrid"):
            cluster.login(found, f"INSERT INTO orders VALUES ('{found.tenant_identifier}', 1, '{name}')")
    if model != "shared":
        assert cluster.login(mine, "INSERT INTO notes VALUES ('mine') RETURNING text") == "mine"
        assert cluster.login(other, "SELECT count(*) FROM notes") == "0"
        if model == "database":
            denied = cluster.attempt(mine, "SELECT 1", other.database)
        else:
            denied = cluster.attempt(mine, f"SELECT * FROM {other.search_path[0]}.notes")
        assert "permission denied" in denied.stderr
    if model in ("shared", "hybrid"):
        assert cluster.login(mine, "SELECT note FROM orders") == "acme"
        # Neither reading, writing nor moving a row reaches the other's, whoever the session says that it is.
        for sql in (f"INSERT INTO orders VALUES ('{other.tenant_identifier}', 2, 'x')",
                    f"UPDATE orders SET tenant_id = '{other.tenant_identifier}'"):
            assert "row-level security" in cluster.attempt(mine, sql).stderr, sql
        assert cluster.login(mine, "DELETE FROM orders WHERE note = 'zeta' RETURNING note") == ""
        assert "permission denied" in cluster.attempt(mine, f"SET ROLE {other.username}; SELECT 1").stderr
        assert "permission denied" in cluster.attempt(
            mine, f"SET SESSION AUTHORIZATION {other.username}; SELECT 1").stderr
        assert cluster.login(other, "SELECT note FROM orders") == "zeta"
    for sql in ("CREATE TABLE public.t (x int)", "CREATE SCHEMA s", "CREATE ROLE r", "CREATE DATABASE d",
                "TRUNCATE app.orders", "ALTER TABLE app.orders DISABLE ROW LEVEL SECURITY",
                "SELECT * FROM tenancy_cluster.tenants", "CREATE TEMPORARY TABLE t (x int)"):
        denied = cluster.attempt(mine, sql)
        assert denied.returncode != 0, sql
    # Back and forth: nothing is left, and the other's data is as it was.
    admin.suspend("acme")
    assert deprovision(admin, "acme").state == api.PENDING
    assert all("acme" not in line for line in cluster.remains())
    if model != "shared":
        assert cluster.login(other, "SELECT count(*) FROM notes") == "0"
    denied = cluster.attempt(mine, "SELECT 1")
    assert "authentication failed" in denied.stderr
    admin.provision("acme")
    assert admin.data_access("acme").password != mine.password
    for name in names:
        admin.delete(name)
        assert admin.purge(name).state == api.PURGED
    assert cluster.remains() == []


def deprovision(client, name):
    return client.manager.DeprovisionTenantResources(
        api.manager.DeprovisionTenantResourcesRequest(name=name), timeout=30)


def test_only_active_tenants_of_clusters_have_access(admin, server):
    admin.create("acme", api.SCHEMA)
    assert failure("FAILED_PRECONDITION", admin.data_access, "acme").reason == "TENANT_NOT_PROVISIONED"
    admin.provision("acme")
    admin.data_access("acme")
    admin.suspend("acme")
    assert failure("PERMISSION_DENIED", admin.data_access, "acme").reason == "TENANT_SUSPENDED"
    with server.operator() as client:
        client.active("own", api.SCHEMA)
        assert failure("FAILED_PRECONDITION", client.data_access, "own").reason == "DATA_NOT_IN_CLUSTER"
