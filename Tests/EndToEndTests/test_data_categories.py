"""HYBRID tenants whose kinds of data are kept apart by different models, in different clusters."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from support import api
from support.client import failure
from support.clusters import Cluster
from support.postgresql import PostgreSQL
from support.waiting import eventually
from tenantctl_process import Ctl

CATEGORIES = [("files", api.DATABASE, "two"), ("notes", api.SCHEMA, ""), ("orders", api.SHARED, "one"),
              ("logs", api.SCHEMA, "two")]  # fmt: skip


def categories(*parts):
    return [api.tenant.DataCategory(
        category=name, isolation_model=model,
        placement=api.tenant.TenantPlacement(cluster=cluster) if cluster else None)
        for name, model, cluster in parts]  # fmt: skip


def configuration(*parts):
    return api.tenant.TenantConfiguration(data_categories=categories(*parts))


@pytest.fixture
def clusters(database):
    second = PostgreSQL()
    yield {"one": Cluster(database), "two": Cluster(second, "two")}
    second.close()


@pytest.fixture
def settings(clusters):
    # Only who names it goes to the second one.
    return {"clusters": [clusters["one"].settings, clusters["two"].settings | {"plans": ["none"]}]}


@pytest.fixture
def admin(make_server, settings):
    with make_server(**settings).start().operator() as client:
        yield client


def configured(client, name, sent):
    return client.manager.UpdateTenantConfiguration(api.manager.UpdateTenantConfigurationRequest(
        name=name, configuration=sent, update_mask=FieldMask(paths=["data_categories"])), timeout=20)


def parts(access):
    return {part.category: part for part in access.categories}


def of(access, category):
    """The category's part, as what a cluster's client takes."""
    part = parts(access)[category]
    return api.data.TenantDataAccess(
        username=access.username, password=access.password, database=part.database,
        search_path=part.search_path, tenant_identifier=part.tenant_identifier)


def deprovision(client, name):
    return client.manager.DeprovisionTenantResources(
        api.manager.DeprovisionTenantResourcesRequest(name=name), timeout=30)


def test_each_kind_is_where_it_belongs_and_nobody_elses(admin, clusters):
    for name in ("acme", "zeta"):
        made = admin.active(name, api.HYBRID, configuration=configuration(*CATEGORIES))
        assert made.state == api.ACTIVE and not made.configuration.schema.schema_name
        assert [part.category for part in made.configuration.data_categories] == [part[0] for part in CATEGORIES]
    mine, other = admin.data_access("acme"), admin.data_access("zeta")
    assert (mine.cluster, list(mine.hosts), mine.database) == ("", [], "")
    assert [(part.category, part.isolation_model, part.cluster) for part in mine.categories] == [
        ("files", api.DATABASE, "two"), ("notes", api.SCHEMA, "one"), ("orders", api.SHARED, "one"),
        ("logs", api.SCHEMA, "two")]  # fmt: skip
    assert parts(mine)["files"].database not in ("tenants", parts(other)["files"].database)
    for access, note in ((mine, "mine"), (other, "theirs")):
        for category in ("files", "notes", "logs"):
            part = parts(access)[category]
            clusters[part.cluster].sql(
                f"CREATE TABLE {part.search_path[0]}.{category} (text text)", part.database)
            clusters[part.cluster].login(of(access, category), f"INSERT INTO {category} VALUES ('{note}')")
        order = of(access, "orders")
        clusters["one"].login(order, f"INSERT INTO orders VALUES ('{order.tenant_identifier}', 1, '{note}')")
    for category in ("files", "notes", "logs"):
        part = parts(mine)[category]
        assert clusters[part.cluster].login(of(mine, category), f"SELECT text FROM {category}") == "mine"
        theirs = parts(other)[category]
        denied = clusters[part.cluster].attempt(
            of(mine, category), f"SELECT * FROM {theirs.search_path[0]}.{category}", theirs.database)
        assert "permission denied" in denied.stderr
    assert clusters["one"].login(of(mine, "orders"), "SELECT note FROM orders") == "mine"
    resolved = admin.resolver.ResolveTenant(api.resolver.ResolveTenantRequest(path="/tenants/acme/x")).tenant
    assert [(part.category, part.isolation_model) for part in resolved.data_categories] == [
        (name, model) for name, model, _ in CATEGORIES]
    # Steps say where they were done.
    [operation] = admin.operations.ListTenantOperations(
        api.operations.ListTenantOperationsRequest(parent="acme"), timeout=10).operations
    assert {step.name for step in operation.steps} >= {
        "create_cluster_database/files@cluster:two", "create_cluster_schema/notes@cluster:one",
        "grant_cluster_tables@cluster:one", "create_cluster_roles@cluster:two"}  # fmt: skip
    assert operation.place == "clusters/one,clusters/two" or operation.place == "clusters/two,clusters/one"
    # Logins rotate and retire in all of them.
    admin.data.RotateTenantDataLogin(api.data.RotateTenantDataLoginRequest(name="acme"), timeout=20)
    rotated = admin.data_access("acme")
    for category, cluster in (("files", "two"), ("notes", "one")):
        for access in (mine, rotated):
            assert clusters[cluster].login(of(access, category), f"SELECT text FROM {category}") == "mine"
    admin.data.RetireTenantDataLogin(api.data.RetireTenantDataLoginRequest(name="acme"), timeout=20)
    for category, cluster in (("files", "two"), ("notes", "one")):
        assert clusters[cluster].attempt(of(mine, category), "SELECT 1").returncode != 0
        assert clusters[cluster].login(of(rotated, category), "SELECT 1") == "1"
    assert admin.audit_cluster("one") == [] and admin.audit_cluster("two") == []
    # All of it goes, everywhere, and nothing of the other's.
    admin.suspend("acme")
    assert deprovision(admin, "acme").state == api.PENDING
    assert clusters["two"].login(of(other, "files"), "SELECT text FROM files") == "theirs"
    acme = admin.get("acme").id.replace("-", "")
    for cluster in clusters.values():
        assert not any(acme in line.replace("-", "") for line in cluster.remains())
    assert admin.provision("acme").state == api.ACTIVE
    for name in ("acme", "zeta"):
        admin.delete(name)
        assert admin.purge(name).state == api.PURGED
    assert clusters["one"].remains() == clusters["two"].remains() == []


def test_a_failure_is_gone_on_with_where_it_was(admin, clusters):
    tenant = admin.create("acme", api.HYBRID, configuration=configuration(*CATEGORIES))
    blocked = f"tenant_{tenant.id.replace('-', '')}_logs"
    clusters["two"].sql(f"CREATE SCHEMA {blocked}")
    refused = failure("FAILED_PRECONDITION", admin.provision, "acme")
    assert refused.reason == "PROVISIONING_FAILED"
    assert refused.metadata["step"] == "create_cluster_schema/logs@cluster:two"
    assert admin.get("acme").state == api.PROVISION_FAILED
    clusters["two"].sql(f"DROP SCHEMA {blocked}")
    assert admin.provision("acme").state == api.ACTIVE
    # What is lost is named, and taken out of service; what can be made again is.
    access = admin.data_access("acme")
    files = parts(access)["files"].database
    clusters["two"].server.sql(f"DROP DATABASE {files} WITH (FORCE)")
    [finding] = admin.audit_cluster("two", repair=True)
    assert "its database of files" in finding.details and not finding.repaired
    assert admin.audit_cluster("one") == []


def test_what_is_lost_is_out_of_service(make_server, settings, clusters):
    server = make_server(**settings).start()
    with server.operator() as admin:
        admin.active("acme", api.HYBRID, configuration=configuration(*CATEGORIES))
        logs = parts(admin.data_access("acme"))["logs"].search_path[0]
    server.stop()
    clusters["two"].sql(f"DROP SCHEMA {logs}")
    server.start()
    with server.operator() as admin:
        assert admin.get("acme").state == api.MAINTENANCE
        refused = failure("FAILED_PRECONDITION", admin.manager.EndTenantMaintenance,
                          api.manager.EndTenantMaintenanceRequest(name="acme"))
        assert refused.reason == "DATA_MISSING" and "its schema of logs" in refused.message


def test_a_cluster_that_is_down_keeps_what_is_there(admin, clusters):
    """Half of a tenant's data is reached: it is not forgotten, and goes when the rest is there again."""
    admin.active("acme", api.HYBRID, configuration=configuration(*CATEGORIES))
    admin.suspend("acme")
    clusters["two"].server.tell("stop")
    assert failure("FAILED_PRECONDITION", deprovision, admin, "acme").reason == "PROVISIONING_FAILED"
    clusters["two"].server.tell("start")
    eventually(lambda: clusters["one"].remains() == clusters["two"].remains() == [], "all is destroyed", 60)


def test_categories_are_the_platforms_and_stay_while_there_is_data(admin, clusters):
    wrong = configuration(("Files", api.SCHEMA, ""), ("a", api.HYBRID, ""), ("b", api.SHARED, "No!"),
                          ("b", api.SHARED, ""))  # fmt: skip
    error = failure("INVALID_ARGUMENT", admin.create, "acme", api.HYBRID, configuration=wrong)
    assert set(error.fields) == {
        "tenant.configuration.data_categories[0].category",
        "tenant.configuration.data_categories[1].isolation_model",
        "tenant.configuration.data_categories[2].placement.cluster", "tenant.configuration.data_categories[3].category"}  # fmt: skip
    many = configuration(*((f"c{number}", api.SCHEMA, "") for number in range(9)))
    failure("INVALID_ARGUMENT", admin.create, "acme", api.HYBRID, configuration=many)
    failure("INVALID_ARGUMENT", admin.create, "acme", api.SCHEMA, configuration=configuration(CATEGORIES[0]))
    # Without categories first: its schema's name goes when they come.
    assert admin.create("acme", api.HYBRID).configuration.schema.schema_name == "acme"
    after = configured(admin, "acme", configuration(*CATEGORIES))
    assert not after.configuration.schema.schema_name and after.configuration.shared.tenant_identifier
    admin.provision("acme")
    refused = failure("FAILED_PRECONDITION", configured, admin, "acme", configuration())
    assert refused.reason == "ILLEGAL_TRANSITION"
    # Where one is to be made next time may change.
    moved = [(name, model, "one") for name, model, _ in CATEGORIES]
    configured(admin, "acme", configuration(*moved))
    assert {part.cluster for part in admin.data_access("acme").categories} == {"one", "two"}
    # None has tables for them: it is said for which.
    admin.create("zeta", api.HYBRID, configuration=configuration(("events", api.SHARED, "none")))
    refused = failure("FAILED_PRECONDITION", admin.provision, "zeta")
    assert refused.reason == "PROVISIONING_UNSUPPORTED" and "events" in refused.message


def test_on_files(make_server, tmp_path):
    server = make_server().start()
    with server.operator() as admin:
        made = admin.active("acme", api.HYBRID, configuration=configuration(
            ("files", api.DATABASE, ""), ("notes", api.SCHEMA, ""), ("orders", api.SHARED, "")))  # fmt: skip
        other = admin.active("zeta", api.HYBRID, configuration=configuration(("files", api.DATABASE, "")))
        root = server.data / "tenants"
        found = lambda: sorted(  # noqa: E731
            str(path.relative_to(root)) for path in root.rglob("categories/*/*.sqlite"))
        assert found() == sorted([f"categories/{made.id}/files.sqlite", f"categories/{made.id}/notes.sqlite",
                                  f"categories/{other.id}/files.sqlite"])
    server.kill()
    server.start()
    with server.operator() as admin:
        assert admin.get("acme").state == api.ACTIVE
        admin.delete("acme")
        assert admin.purge("acme").state == api.PURGED
        assert found() == [f"categories/{other.id}/files.sqlite"]
    server.stop()
    (root / found()[0]).unlink()
    server.start()
    with server.operator() as admin:
        assert admin.get("zeta").state == api.MAINTENANCE


def test_commands(make_server, settings, tmp_path):
    server = make_server(**settings).start()
    ctl = Ctl({"TENANCY_ADDRESS": f"unix:{server.socket}"})
    ctl("tenant", "create", "--display-name", "Acme", "--isolation", "hybrid", "--category", "files=database@two",
        "--category", "notes=schema")  # fmt: skip
    ctl("tenant", "provision", "acme")
    assert "files=database@two" in ctl("tenant", "get", "acme")
    shown = ctl("tenant", "data", "acme")
    assert "files" in shown and "two" in shown and "notes" in shown
    ctl.run("tenant", "create", "--display-name", "Zeta", "--isolation", "hybrid", "--category", "nowhere", code=64)
    # As a file, and back.
    text = ctl("tenant", "export", "acme")
    assert "categories:\n- name: files\n  isolation: database\n  cluster: two\n" in text
    file = tmp_path / "acme.yaml"
    file.write_text(text)
    file.write_text(text.replace("slug: acme", "slug: copy"))
    ctl("apply", "-f", str(file), "--yes")
    assert ctl.json("tenant", "get", "copy")["configuration"]["dataCategories"] == \
        ctl.json("tenant", "get", "acme")["configuration"]["dataCategories"]
