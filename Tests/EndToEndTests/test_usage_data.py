"""What tenants' data takes up, as it is measured in clusters and in files."""

import sqlite3
import threading

import pytest

from support import api
from support.client import failure
from support.clusters import Cluster
from support.usage import Order, busiest, usage
from support.waiting import eventually

Place = api.manager.TenantHealth
MODELS = {"database": api.DATABASE, "schema": api.SCHEMA}
SOON = {"data_freshness_seconds": 1}


@pytest.mark.parametrize("model", MODELS)
def test_data_in_a_cluster_grows(make_server, database, pki, model):
    cluster = Cluster(database)
    server = make_server(clusters=[cluster.settings], usage=SOON).start()
    with server.operator() as admin:
        for name in ("acme", "zeta"):
            admin.active(name, MODELS[model])
        access = admin.data_access("acme")
        schema = access.search_path[0]
        cluster.sql(f"CREATE TABLE {schema}.notes (text text)", access.database)
        first = usage(admin)
        assert first.storage.HasField("bytes") and first.storage.problem == ""
        assert first.health.data_place == Place.DATA_PLACE_REACHED and first.storage.sessions == 0
        other = usage(admin, "zeta").storage.bytes
        cluster.login(access, "INSERT INTO notes SELECT repeat('x', 1000) FROM generate_series(1, 3000)")
        grown = eventually(
            lambda: (now := usage(admin).storage).bytes > first.storage.bytes + 3_000_000 and now, "it grows")
        assert grown.measure_time.ToNanoseconds() > first.storage.measure_time.ToNanoseconds()
        assert usage(admin, "zeta").storage.bytes < other + 1_000_000
        [top, *_] = busiest(admin, Order.ORDER_STORAGE).tenants
        assert top.slug == "acme" and top.storage.bytes >= grown.bytes
        # Its own is told how much it is, too.
        with server.client(pki.python.tenant("acme")) as own:
            assert usage(own).storage.bytes > first.storage.bytes

        waiting = threading.Thread(target=cluster.login, args=(access, "SELECT pg_sleep(5)"))
        waiting.start()
        eventually(lambda: usage(admin).storage.sessions == 1, "the session is seen")
        waiting.join()
        eventually(lambda: usage(admin).storage.sessions == 0, "it is over")

        # One that holds its tables keeps nobody waiting: it is not known then what they take up.
        if model == "schema":
            holder = threading.Thread(target=cluster.login, args=(
                access, "BEGIN; LOCK TABLE notes IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(4); COMMIT"))
            holder.start()
            unknown = eventually(
                lambda: not (now := usage(admin)).storage.HasField("bytes") and now, "it is not known")
            assert "lock" in unknown.storage.problem
            holder.join()
            eventually(lambda: usage(admin).storage.bytes > first.storage.bytes, "it is known again")

        database.tell("stop")
        gone = eventually(
            lambda: (now := usage(admin)).health.data_place == Place.DATA_PLACE_UNREACHABLE and now, "it is away")
        assert not gone.storage.HasField("bytes") and not gone.storage.HasField("sessions")
        assert gone.storage.problem.startswith("it can't be measured now: ")
        # Where servers are is not a tenant's business.
        with server.client(pki.python.tenant("acme")) as own:
            told = usage(own)
            assert told.storage.problem == "not all of it could be measured" and not told.storage.HasField("bytes")
            assert told.health.data_place == Place.DATA_PLACE_UNREACHABLE
        database.tell("start")
        eventually(lambda: usage(admin).storage.bytes > first.storage.bytes, "it is back")


def test_shared_rows_are_not_measured(make_server, database):
    cluster = Cluster(database)
    with make_server(clusters=[cluster.settings]).start().operator() as admin:
        admin.active("acme", api.SHARED)
        told = usage(admin)
        assert not told.storage.HasField("bytes") and "shared tables" in told.storage.problem
        assert told.storage.sessions == 0 and told.health.data_place == Place.DATA_PLACE_REACHED


def test_data_in_files(make_server):
    server = make_server(usage=SOON).start()
    with server.operator() as admin:
        made = admin.create("acme", api.DATABASE)
        nothing = usage(admin)
        assert nothing.storage.HasField("bytes") and nothing.storage.bytes == 0
        assert nothing.health.data_place == Place.DATA_PLACE_UNKNOWN
        admin.provision("acme")
        first = eventually(lambda: (now := usage(admin).storage).bytes and now, "it is measured")
        assert not first.HasField("sessions")
        file = server.data / "tenants" / "databases" / f"{made.id}.sqlite"
        with sqlite3.connect(file) as data:
            data.execute("CREATE TABLE notes (text TEXT)")
            data.executemany("INSERT INTO notes VALUES (?)", [("x" * 1000,)] * 1000)
        eventually(lambda: usage(admin).storage.bytes > first.bytes + 1_000_000, "it grows")
        file.rename(file.with_suffix(".away"))
        lost = eventually(lambda: not (now := usage(admin)).storage.HasField("bytes") and now, "it is gone")
        assert "is missing" in lost.storage.problem


def test_a_failed_operation_is_told_to_the_platform(make_server, database, pki):
    cluster = Cluster(database)
    server = make_server(clusters=[cluster.settings]).start()
    with server.operator() as admin, server.client(pki.python.tenant("acme")) as own:
        made = admin.create("acme", api.SCHEMA, configuration=api.tenant.TenantConfiguration(
            schema=api.tenant.SchemaConfig(schema_name="taken")))
        assert usage(admin).health.failed_operation == ""
        cluster.sql("CREATE SCHEMA taken")
        failure("FAILED_PRECONDITION", admin.provision, "acme")
        told = usage(admin).health
        assert told.state == api.PROVISION_FAILED and not told.operations_unknown
        assert told.failed_operation.startswith(f"{made.name}/operations/")
        assert told.failed_step == "create_cluster_schema" and told.HasField("failure_time")
        cluster.sql("DROP SCHEMA taken")
        admin.provision("acme")
        assert usage(own).health.failed_operation == ""
