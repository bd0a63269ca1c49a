"""Tenants' data in a PostgreSQL server: what is made there, what its logins can do, and what is left."""

import pytest
from support import api
from support.client import failure
from support.clusters import Cluster
from tenantctl_process import Ctl

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


def test_an_audit_finds_and_repairs(admin, cluster, make_server):
    for name in ("acme", "zeta", "lost"):
        admin.active(name, api.SCHEMA)
    assert admin.audit_cluster("clusters/one") == []
    [listed] = admin.clusters.ListClusters(api.clusters.ListClustersRequest()).clusters
    assert (listed.name, listed.tenants, listed.problem) == ("clusters/one", 3, "")
    # Of a tenant that nobody knows, of one that was cut short, a login that is gone, and data that is gone.
    acme, zeta, lost = (admin.data_access(name) for name in ("acme", "zeta", "lost"))
    stray = "019a0000-0000-7000-8000-000000000001"
    role = f"tenant_{stray.replace('-', '')}"
    cluster.sql(f"CREATE ROLE {role} NOLOGIN; COMMENT ON ROLE {role} IS 'tenant {stray}';"
                f"CREATE SCHEMA stray; COMMENT ON SCHEMA stray IS 'tenant {stray}'")
    cluster.sql(f"CREATE DATABASE {role}")
    cluster.sql(f"GRANT {zeta.username} TO CURRENT_USER; DROP OWNED BY {zeta.username};"
                f" DROP ROLE {zeta.username}")
    cluster.sql(f'DROP SCHEMA "{lost.search_path[0]}" CASCADE')
    found = admin.audit_cluster("one")
    ids = {name: admin.get(name).name for name in ("acme", "zeta", "lost")}
    kinds = {finding.tenant: finding.kind for finding in found}
    assert kinds == {f"tenants/{stray}": api.clusters.ClusterFinding.KIND_ORPHAN,
                     ids["zeta"]: api.clusters.ClusterFinding.KIND_MISSING,
                     ids["lost"]: api.clusters.ClusterFinding.KIND_MISSING}
    assert not any(finding.repaired for finding in found)
    repaired = {finding.tenant: finding for finding in admin.audit_cluster("one", repair=True)}
    assert repaired[f"tenants/{stray}"].repaired and repaired[ids["zeta"]].repaired
    assert not repaired[ids["lost"]].repaired and "its schema is missing" in repaired[ids["lost"]].problem
    assert [finding.tenant for finding in admin.audit_cluster("one")] == [ids["lost"]]
    # With the password that it had.
    assert cluster.login(zeta, "SELECT 1") == cluster.login(acme, "SELECT 1") == "1"
    error = failure("NOT_FOUND", admin.audit_cluster, "two")
    assert error.reason == "CLUSTER_NOT_FOUND"
    actions = [record.action for record in admin.audit.ListAuditRecords(
        api.audit.ListAuditRecordsRequest(parent=ids["zeta"]), timeout=20).records]
    assert "clusters.repair" in actions


def test_things_of_others_are_left_alone(admin, cluster):
    """A schema of that name is there, and a tenant's things that say that they are another's."""
    tenant = admin.create("acme", api.SCHEMA)
    schema = tenant.configuration.schema.schema_name
    cluster.sql(f'CREATE SCHEMA "{schema}"; CREATE TABLE "{schema}".kept (x int)')
    refused = failure("FAILED_PRECONDITION", admin.provision, "acme")
    assert refused.reason == "PROVISIONING_FAILED" and "is not this tenant's" in refused.metadata["cause"]
    assert admin.get("acme").state == api.PROVISION_FAILED
    assert deprovision(admin, "acme").state == api.PENDING
    assert cluster.sql(f'SELECT count(*) FROM "{schema}".kept') == "0"
    assert cluster.remains() == []


def test_a_cluster_that_is_down_keeps_nobody_else_waiting(make_server, cluster, database):
    server = make_server(clusters=[cluster.settings]).start()
    with server.operator() as admin:
        admin.active("acme", api.SCHEMA)
        database.tell("stop")
        admin.create("later", api.SCHEMA)
        refused = failure("FAILED_PRECONDITION", admin.provision, "later")
        # Before or after it was asked how many it has.
        assert refused.reason in ("PROVISIONING_UNSUPPORTED", "PROVISIONING_FAILED")
        assert admin.get("later").state in (api.PENDING, api.PROVISION_FAILED)
        [listed] = admin.clusters.ListClusters(api.clusters.ListClustersRequest()).clusters
        assert listed.problem
        assert failure("UNAVAILABLE", admin.audit_cluster, "one").reason == "STORE_UNAVAILABLE"
    server.stop()
    server.start()
    with server.operator() as admin:
        # It says nothing of the tenant's data.
        assert admin.get("acme").state == api.ACTIVE
        database.tell("start")
        assert admin.provision("later").state == api.ACTIVE


@pytest.mark.parametrize("model", MODELS)
def test_logins_rotate_without_an_outage(admin, cluster, model):
    admin.active("acme", MODELS[model])
    first = admin.data_access("acme")
    if model in ("shared", "hybrid"):
        cluster.login(first, f"INSERT INTO orders VALUES ('{first.tenant_identifier}', 1, 'kept')")
    used = [first]
    for _ in range(3):
        rotated = admin.data.RotateTenantDataLogin(
            api.data.RotateTenantDataLoginRequest(name="acme"), timeout=20)
        used.append(admin.data_access("acme"))
        assert rotated.username == used[-1].username
        # Both work, and see the same; who was before them does not.
        for access in used[-2:]:
            assert cluster.login(access, "SELECT 1") == "1"
            if model in ("shared", "hybrid"):
                assert cluster.login(access, "SELECT note FROM orders") == "kept"
        for access in used[:-2]:
            assert cluster.attempt(access, "SELECT 1").returncode != 0
    assert len({(access.username, access.password) for access in used}) == 4
    for _ in range(2):
        admin.data.RetireTenantDataLogin(api.data.RetireTenantDataLoginRequest(name="acme"), timeout=20)
        assert cluster.attempt(used[-2], "SELECT 1").returncode != 0
        assert cluster.login(used[-1], "SELECT 1") == "1"
    assert admin.audit_cluster("one") == []
    admin.delete("acme")
    admin.purge("acme")
    assert cluster.remains() == []


def test_commands(make_server, cluster):
    server = make_server(clusters=[cluster.settings | {"region": "eu"}]).start()
    ctl = Ctl({"TENANCY_ADDRESS": f"unix:{server.socket}"})
    ctl("tenant", "create", "--display-name", "Acme", "--isolation", "schema", "--region", "eu")
    ctl("tenant", "provision", "acme")
    assert ctl.json("tenant", "get", "acme")["configuration"]["placement"] == {"region": "eu"}
    assert "Region" in ctl("tenant", "get", "acme")
    access = ctl.json("tenant", "data", "acme", "--show-password")
    assert cluster.login(api.data.TenantDataAccess(
        username=access["username"], password=access["password"], database=access["database"]), "SELECT 1") == "1"
    assert access["password"] not in ctl("tenant", "data", "acme")
    assert "eu" in ctl("cluster", "list") and ctl.json("cluster", "list")["clusters"][0]["tenants"] == "1"
    assert ctl("cluster", "audit", "one") == "All is as it should be.\n"
    assert "_2" in ctl("tenant", "rotate-login", "acme")
    assert ctl("tenant", "retire-login", "acme") == "the former login of tenants/acme is gone\n"
    schema = access["searchPath"][0]
    cluster.sql(f'DROP SCHEMA "{schema}"')
    assert "its schema is missing" in ctl("cluster", "audit", "one", "--repair", "--yes", code=3)


def refused(admin, name):
    """Why provisioning is refused, by whom it is asked first."""
    error = failure("FAILED_PRECONDITION", admin.provision, name)
    return error.message + error.metadata.get("cause", "")


def test_a_cluster_keeps_its_name(make_server, cluster):
    server = make_server(clusters=[cluster.settings]).start()
    with server.operator() as admin:
        admin.active("acme", api.SCHEMA)
        access = admin.data_access("acme")
    server.stop()
    server.settings["clusters"][0]["name"] = "renamed"
    server.start()
    with server.operator() as admin:
        error = failure("UNAVAILABLE", lambda: admin.audit_cluster("renamed", repair=True))
        assert "is that of the cluster one" in error.message
        admin.create("other", api.SCHEMA)
        assert "is that of the cluster one" in refused(admin, "other")
        assert admin.get("acme").state == api.ACTIVE
    assert cluster.login(access, "SELECT 1") == "1"


@pytest.mark.parametrize("breaking, why", [
    ("GRANT CONNECT ON DATABASE template1 TO PUBLIC", "all logins may connect to template1"),
    ("ALTER TABLE app.orders ALTER tenant_id TYPE varchar(8)", "text without a length"),
    ("ALTER TABLE app.orders DROP CONSTRAINT orders_pkey", "no index"),
    ("ALTER TABLE app.orders DROP CONSTRAINT orders_pkey;"
     "CREATE INDEX ON app.orders (tenant_id) WHERE number > 1", "no index"),
    ("DROP TABLE app.orders", "is not there"),
])
def test_a_cluster_that_is_not_safe_is_not_used(make_server, cluster, database, breaking, why):
    if "template1" in breaking:
        database.sql(breaking)
    else:
        cluster.sql(breaking)
    with make_server(clusters=[cluster.settings]).start().operator() as admin:
        admin.create("acme", api.SHARED)
        assert why in refused(admin, "acme")
        [listed] = admin.clusters.ListClusters(api.clusters.ListClustersRequest()).clusters
        assert why in listed.problem or "a moment ago" in listed.problem


def test_rows_go_from_tables_that_are_shared_no_more(make_server, cluster):
    """And in the order that foreign keys allow."""
    cluster.sql("CREATE TABLE app.aaa_lines (tenant_id text, number int, references_to int,"
                " PRIMARY KEY (tenant_id, number), FOREIGN KEY (tenant_id, references_to) REFERENCES app.orders)")
    cluster.sql("CREATE TABLE app.zzz (tenant_id text PRIMARY KEY)")
    tables = [{"schema": "app", "table": name, "tenant_column": "tenant_id"} for name in ("orders", "aaa_lines", "zzz")]
    server = make_server(clusters=[cluster.settings | {"shared_tables": tables}]).start()
    with server.operator() as admin:
        admin.active("acme", api.SHARED)
        access = admin.data_access("acme")
        mine = access.tenant_identifier
        cluster.login(access, f"INSERT INTO orders VALUES ('{mine}', 1); INSERT INTO aaa_lines VALUES ('{mine}', 1, 1);"
                              f"INSERT INTO zzz VALUES ('{mine}')")
    server.stop()
    server.settings["clusters"][0]["shared_tables"] = tables[:2]
    server.start()
    with server.operator() as admin:
        admin.delete("acme")
        assert admin.purge("acme").state == api.PURGED
    assert cluster.sql("SELECT (SELECT count(*) FROM app.zzz) + (SELECT count(*) FROM app.aaa_lines)") == "0"
    assert cluster.remains() == []


@pytest.mark.parametrize("model", MODELS)
def test_what_a_login_has_made_stays_with_the_tenant(admin, cluster, model):
    """Large objects: PostgreSQL lets every login make them."""
    admin.active("acme", MODELS[model])
    first = admin.data_access("acme")
    number = cluster.login(first, "SELECT lo_from_bytea(0, 'kept')")
    for _ in range(2):
        admin.data.RotateTenantDataLogin(api.data.RotateTenantDataLoginRequest(name="acme"), timeout=20)
    assert cluster.login(admin.data_access("acme"), f"SELECT convert_from(lo_get({number}), 'UTF8')") == "kept"
    admin.delete("acme")
    assert admin.purge("acme").state == api.PURGED
    assert cluster.remains() == []
