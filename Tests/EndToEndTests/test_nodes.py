"""Two and three nodes on one PostgreSQL."""

import os
import statistics
import threading
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support import api
from support.client import Failure, failure
from support.nodes import (TOKEN, behind, create, deaf, known, over_ttrpc, seconds, settings,
                           token_of, validate)
from support.waiting import eventually

SERVING = health_pb2.HealthCheckResponse.SERVING


@pytest.mark.quiet
def test_what_one_writes_the_others_see(make_nodes):
    nodes = make_nodes(3)
    clients = [node.operator() for node in nodes]
    delays = []
    for number in range(30):
        writer, *readers = clients[number % 3:] + clients[:number % 3]
        create(writer, f"t{number}")
        start = time.monotonic()
        for reader in readers:
            eventually(lambda: known(reader, f"t{number}"), "it is seen")
        delays.append(time.monotonic() - start)
    # By notifications: nobody looks by themselves for a minute. What scheduling costs comes on top.
    print(f"visible after {statistics.median(delays) * 1000:.1f} ms at the median")
    assert statistics.median(delays) < 0.05 + 0.25
    for client, node in zip(clients, nodes):
        client.close()
        assert node.stop() == 0
        assert "the store has failed" not in node.log


def test_lost_notifications_are_made_up_for_within_the_interval(make_nodes, database):
    one, other = make_nodes(2, poll=400)
    with one.operator() as writer, other.operator() as reader, deaf(database):
        for number in range(3):
            create(writer, f"t{number}")
            eventually(lambda: known(reader, f"t{number}"), "it is seen", 0.4 + 2)


@pytest.mark.parametrize("cut", [False, True])
def test_a_read_with_a_token_sees_what_was_written(make_nodes, database, cut):
    one, other = make_nodes(2)
    with one.operator() as writer, other.operator() as reader:
        for number in range(20):
            if cut:
                with deaf(database):
                    token = create(writer, f"t{number}")
                    state = validate(reader, f"t{number}", token).state
            else:
                token = create(writer, f"t{number}")
                state = validate(reader, f"t{number}", token).state
            assert state == api.tenant.TENANT_STATE_PENDING
            # Also where calls are answered off the loop, and over ttrpc.
            request = api.manager.GetTenantRequest(name=f"t{number}")
            token = create(writer, f"u{number}")
            request = api.manager.GetTenantRequest(name=f"u{number}")
            assert reader.manager.GetTenant(request, timeout=20, **behind(token)).slug == f"u{number}"
            token = create(writer, f"v{number}")
            code, _, answer = over_ttrpc(
                other.socket, "TenantResolver/ValidateTenant",
                api.resolver.ValidateTenantRequest(name=f"v{number}"), token)
            assert code == 0
            found = api.resolver.ValidateTenantResponse.FromString(answer)
            assert found.state == api.tenant.TENANT_STATE_PENDING


def test_tokens_that_are_none(make_nodes):
    [node] = make_nodes(1)
    with node.operator() as client:
        token = create(client, "acme")
        later = token[:17] + f"{int(token[17:], 16) + 1:016x}"
        foreign = "1" + "0" * 16 + token[17:]
        get = api.manager.GetTenantRequest(name="acme")
        check = api.resolver.ValidateTenantRequest(name="acme")
        for method, request in ((client.manager.GetTenant, get),
                                (client.resolver.ValidateTenant, check)):
            for wrong in ("x", token[:-1], token + "0", "2" + token[1:], token[:-1] + "G"):
                refused = failure("INVALID_ARGUMENT", method, request, timeout=20, **behind(wrong))
                assert refused.fields == [TOKEN]
            twice = ((TOKEN, token), (TOKEN, token))
            refused = failure("INVALID_ARGUMENT", method, request, timeout=20, metadata=twice)
            assert refused.fields == [TOKEN]
            refused = failure("FAILED_PRECONDITION", method, request, timeout=20, **behind(foreign))
            assert refused.reason == "TOKEN_OF_ANOTHER_STORE"
            # The store is asked, and knows.
            assert seconds(lambda: failure(
                "UNAVAILABLE", method, request, timeout=60, **behind(later))) < 30
            assert method(request, timeout=20, **behind(token))
        code, message, _ = over_ttrpc(node.socket, "TenantResolver/ValidateTenant", check, "x")
        assert code == grpc.StatusCode.INVALID_ARGUMENT.value[0] and TOKEN in message
        code, *_ = over_ttrpc(node.socket, "TenantResolver/ValidateTenant", check, later)
        assert code == grpc.StatusCode.UNAVAILABLE.value[0]


def count_up(client, slug: str, token: str) -> str | None:
    """Reads, adds one and writes, if nobody else has meanwhile. Returns the token of the write."""
    tenant = client.manager.GetTenant(
        api.manager.GetTenantRequest(name=slug), timeout=20, **behind(token))
    count = int(tenant.display_name) + 1
    request = api.manager.UpdateTenantRequest(
        tenant=api.tenant.Tenant(name=tenant.name, display_name=f"{count}", etag=tenant.etag))
    request.update_mask.paths.append("display_name")
    try:
        _, call = client.manager.UpdateTenant.with_call(request, timeout=20)
        return token_of(call)
    except grpc.RpcError as error:
        found = Failure.of(error)
        assert found.code is grpc.StatusCode.ABORTED, found
        return None


def shown(client, slug: str, token: str) -> int:
    return int(client.manager.GetTenant(
        api.manager.GetTenantRequest(name=slug), timeout=20, **behind(token)).display_name)


def test_concurrent_writers_lose_nothing_and_tokens_are_kept(make_nodes, database):
    """Read, modify, write by all nodes on the same tenants, with notifications cut and restored."""
    nodes = make_nodes(3, poll=1000)
    slugs = ["one", "two"]
    with nodes[0].operator() as admin:
        for slug in slugs:
            admin.create(slug, display_name="0")
        tokens = {slug: create(admin, f"{slug}-token") for slug in slugs}
    lock, end = threading.Lock(), threading.Event()
    acknowledged, failures = dict.fromkeys(slugs, 0), []

    def work(number: int) -> None:
        slug = slugs[number % 2]
        try:
            with nodes[number % 3].operator() as writer, nodes[(number + 1) % 3].operator() as reader:
                while not end.is_set():
                    with lock:
                        token = tokens[slug]
                    if (written := count_up(writer, slug, token)) is None:
                        continue
                    with lock:
                        acknowledged[slug] += 1
                        # Of one store, tokens' texts are in the order of their revisions.
                        least, newest = acknowledged[slug], max(tokens[slug], written)
                        tokens[slug] = newest
                    # What was acknowledged by now, another node shows behind the token.
                    if (found := shown(reader, slug, newest)) < least:
                        failures.append((slug, found, least))
        except Exception as error:  # noqa: BLE001  (it is told below)
            failures.append(error)

    threads = [threading.Thread(target=work, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        with deaf(database):
            time.sleep(1)
        time.sleep(0.5)
    end.set()
    for thread in threads:
        thread.join(60)
    assert not failures
    for node in nodes:
        with node.operator() as client:
            for slug in slugs:
                assert shown(client, slug, max(tokens.values())) == acknowledged[slug] > 0
    assert database.sql("SELECT count(*) = max(revision) FROM tenancy.log") == "t"


def test_a_reader_never_goes_back_behind_its_tokens(make_nodes, database):
    """One writer, and a reader elsewhere that is given each token: never less than was written by then."""
    one, other = make_nodes(2, poll=500)
    with one.operator() as writer, other.operator() as reader:
        writer.create("acme", display_name="0")
        token = create(writer, "first")
        for number in range(1, 41):
            if number % 10 == 0:
                with deaf(database):
                    token = count_up(writer, "acme", token)
                    assert shown(reader, "acme", token) == number
            else:
                token = count_up(writer, "acme", token)
                assert shown(reader, "acme", token) == number


@pytest.mark.quiet
def test_a_node_that_has_lost_its_database(make_nodes, database):
    [node] = make_nodes(1, maximum_staleness_seconds=3)
    with node.operator() as client:
        client.active("acme")
        stub = health_pb2_grpc.HealthStub(client.channel)

        def health(service: str = ""):
            return stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=20).status

        services = ["", "tenancy.v1.TenantManager", "tenancy.v1.TenantResolver",
                    "tenancy.v1.Authorization"]
        assert [health(service) == SERVING for service in services] == [True] * 4
        for stop, start in (("stop", "start"), ("pause", "resume")):
            database.tell(stop)
            began = time.monotonic()
            eventually(lambda: health() != SERVING, "it says so")
            if time.monotonic() - began < 2:
                # It goes on answering what it knows.
                assert validate(client, "acme").valid
                assert [health(service) == SERVING for service in services] == [
                    False, False, True, True]
            eventually(lambda: is_stale(client), "it does not answer for ever", 30)
            assert time.monotonic() - began > 2
            stale = failure("UNAVAILABLE", client.get, "acme")
            assert stale.reason == "STATE_STALE" and stale.retry_seconds
            eventually(lambda: health("tenancy.v1.TenantResolver") != SERVING, "it says so, too")
            database.tell(start)
            eventually(lambda: not is_stale(client), "it answers again", 30)
            eventually(lambda: all(health(service) == SERVING for service in services), "and says so")
            client.create(f"after-{stop}")
        assert "nothing is answered" in node.log and "the state is current again" in node.log
    assert node.stop() == 0


def is_stale(client) -> bool:
    try:
        validate(client, "acme")
        return False
    except grpc.RpcError as error:
        assert Failure.of(error).reason == "STATE_STALE"
        return True


def test_a_node_tells_how_it_gets_on(make_nodes):
    one, other = make_nodes(2, status_seconds=1)
    with one.operator() as writer, other.operator() as reader:
        token = create(writer, "acme")
        later = token[:17] + f"{int(token[17:], 16) + 1000:016x}"
        failure("UNAVAILABLE", validate, reader, "acme", later)

        def told():
            lines = [line for line in other.log.splitlines() if "node status" in line]
            return lines and lines[-1]

        eventually(lambda: told() and f"revision={int(token[17:], 16)}" in told()
                   and "reads_unknown=1" in told(), "it says so")
        for part in ("revisions_behind=0", "stale=false", "store_works=true", "leases_own=0",
                     "leases_others=0", "leases_expired=0", "reads_waiting=0", "looks=1"):
            assert part in told(), told()


@pytest.mark.parametrize("given, said", [
    ({"nodes": {"lease_seconds": 0}}, "nodes.lease_seconds: a number from 1"),
    ({"nodes": {"maximum_staleness_seconds": 86_401}}, "nodes.maximum_staleness_seconds: a number"),
    ({"nodes": {"lease": 1}}, "nodes.lease: no such setting"),
])
def test_settings_that_are_wrong(make_server, database, given, said):
    server = make_server(**(settings(database) | given))
    server.launch()
    assert server.wait() == os.EX_USAGE, server.log
    assert said in server.log


def test_a_store_in_a_file_has_one_node(make_server):
    server = make_server(nodes={"lease_seconds": 5})
    server.launch()
    assert server.wait() == os.EX_USAGE
    assert "only one can be on a store in a file" in server.log
