"""What tenants use: calls as they are counted, and who is told of them."""

import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading

import grpc
import pytest
from tenantctl_process import PATIENCE, Ctl, binary
from test_metrics import Probe

from support import api
from support.client import failure, invalid
from support.http_requests import check
from support.pki import tenant_id
from support.rate_limits import ask
from support.tokens import issue
from support.usage import Order, busiest, usage
from support.waiting import eventually

manager = api.manager


def denied(client, name="other"):
    return failure("PERMISSION_DENIED", client.get, name)


# Calls.

def test_each_call_is_counted_once(make_server, pki):
    server = make_server().start()
    with server.operator() as admin:
        admin.active("acme")
        admin.active("other")
        start, other = usage(admin).calls, usage(admin, "other").calls
        threads, calls = 6, 20

        def work():
            with server.client(pki.python.tenant("acme")) as own:
                for call in range(calls):
                    denied(own) if call % 4 == 0 else own.get("acme")

        running = [threading.Thread(target=work) for _ in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        end, all_calls = usage(admin).calls, threads * calls
        # With the question of before, which is about the tenant, too.
        assert end.ok_calls - start.ok_calls == all_calls * 3 // 4 + 1
        assert end.denied_calls - start.denied_calls == all_calls // 4
        assert end.calls - start.calls == all_calls + 1
        assert end.last_minute_calls >= all_calls and end.since_time == start.since_time
        assert end.latest_call_time.ToNanoseconds() > start.latest_call_time.ToNanoseconds()
        assert (end.failed_calls, end.limited_calls, end.cancelled_calls) == (0, 0, 0)
        # Who was asked for in vain has no part in it.
        assert usage(admin, "other").calls.calls - other.calls == 1

        found = busiest(admin)
        assert [one.slug for one in found.tenants] == ["acme", "other"]
        assert found.tenants[0].calls.calls == end.calls + 1 and found.node == usage(admin).node
        assert (found.counted_tenants, found.forgotten_tenants) == (2, 0)
        [only] = busiest(admin, Order.ORDER_DENIED).tenants
        assert (only.slug, only.calls.denied_calls) == ("acme", all_calls // 4)
        assert len(busiest(admin, Order.ORDER_LAST_MINUTE, 1).tenants) == 1
    server.stop()
    with server.start().operator() as admin:
        anew = usage(admin).calls
        assert anew.calls == 0 and anew.since_time.ToNanoseconds() > end.since_time.ToNanoseconds()
        assert not anew.HasField("latest_call_time")


def test_what_a_suspended_tenant_asks_for_is_denied_and_counted(make_server, pki):
    server = make_server().start()
    with server.operator() as admin, server.client(pki.python.tenant("acme")) as own:
        admin.active("acme")
        own.get("acme")
        admin.suspend("acme")
        before = usage(admin).calls
        for _ in range(5):
            denied(own, "acme")
        admin.manager.ActivateTenant(manager.ActivateTenantRequest(name="acme"), timeout=20)
        admin.maintain("acme", 3600)
        failure("UNAVAILABLE", own.get, "acme")
        after = usage(admin)
        assert after.calls.denied_calls - before.denied_calls == 5
        assert after.calls.failed_calls - before.failed_calls == 1
        assert after.health.state == api.MAINTENANCE


def test_connections_and_streams(make_server, pki):
    server = make_server().start()
    with server.operator() as admin:
        admin.active("acme")
        admin.active("other")
        with server.client(pki.python.tenant("acme")) as own:
            own.get("acme")
            before = usage(admin).calls.failed_calls
            failure("UNIMPLEMENTED", own.raw, "/no.Such/Method", b"")
            open_now = usage(admin).calls
            assert open_now.failed_calls - before == 1, "of a method that there is not, and yet of the connection's tenant"
            assert (open_now.open_connections, open_now.open_streams) == (1, 0)
            watch = own.manager.WatchTenants(manager.WatchTenantsRequest(snapshot=True), timeout=60)
            next(watch)
            assert usage(admin).calls.open_streams == 1
            assert usage(admin, "other").calls.open_streams == 0
            [acme] = [one for one in busiest(admin).tenants if one.slug == "acme"]
            assert (acme.calls.open_connections, acme.calls.open_streams) == (1, 1)
            cancelled = usage(admin).calls.cancelled_calls
            watch.cancel()
            eventually(lambda: usage(admin).calls.open_streams == 0, "the stream is over")
            eventually(lambda: usage(admin).calls.cancelled_calls == cancelled + 1, "it is counted")
        eventually(lambda: usage(admin).calls.open_connections == 0, "the connection is over")


def test_http_requests_are_counted_as_they_were_judged(make_server, pki):
    server = make_server(
        envoy={"routes": [{"path": "/orders", "permission": "orders:read"}]},
        rate_limits={"default_plan": "small", "plans": [
            {"name": "small", "limits": [{"requests": 3, "per": "hour"}, {"requests": 100, "per": "month"}]}]}).start()
    with server.operator() as admin, server.client(pki.python.platform("resolver")) as sidecar:
        admin.active("acme")
        admin.role("acme", "reader", "orders:read")
        admin.assign("acme", "bob", "reader")
        bob, eve = (issue(admin, "acme", name, unbound=True).token for name in ("bob", "eve"))
        before = usage(admin).calls
        assert check(sidecar, token=bob).allowed
        for _ in range(2):
            assert not check(sidecar, token=eve).allowed
        # Of nobody: not counted.
        assert not check(sidecar).allowed
        allowed = [ask(sidecar, "acme").allowed for _ in range(5)]
        assert allowed == [True] * 3 + [False] * 2
        after = usage(admin)
        assert after.calls.denied_calls - before.denied_calls == 2
        assert after.calls.limited_calls - before.limited_calls == 2
        assert after.calls.ok_calls - before.ok_calls == 2
        hour, month = sorted(after.request_limits, key=lambda one: one.maximum)
        assert (hour.limit, hour.period, hour.used, hour.maximum) == ("requests", "hour", 3, 3)
        assert (month.period, month.used, month.maximum) == ("month", 3, 100)
        assert after.calls.latest_call_time.ToNanoseconds() < hour.reset_time.ToNanoseconds()
        admin.active("quiet")
        assert [one.used for one in usage(admin, "quiet").request_limits] == [0, 0]


def test_of_more_tenants_than_are_counted_the_last_are(make_server, pki):
    server = make_server(event_loops=1, usage={"tenants": 8}).start()
    with server.operator() as admin:
        begin = None
        for number in range(12):
            admin.active(f"t{number}")
            with server.client(pki.python.tenant(f"t{number}")) as own:
                own.get(f"t{number}")
            begin = begin or usage(admin, "t0").calls.since_time
        found = busiest(admin)
        assert found.counted_tenants == 8 and found.forgotten_tenants >= 4
        assert found.since_time == begin and len(found.tenants) == 8
        last = usage(admin, "t11").calls
        # It is told that not all since the beginning is counted.
        assert last.calls >= 1 and last.since_time.ToNanoseconds() > begin.ToNanoseconds()
        # Of whom nothing is known any more, it is not said that there were no calls.
        [first] = [one for one in busiest(admin, Order.ORDER_STORAGE).tenants if one.slug == "t0"]
        assert first.storage.bytes and not first.HasField("calls")


def test_nothing_is_counted_where_that_is_not_wanted(make_server):
    with make_server(usage={"tenants": 0, "data_round_seconds": 0}).start().operator() as admin:
        admin.active("acme")
        told = usage(admin)
        assert not told.HasField("calls") and told.quotas and told.storage.bytes > 0
        assert not busiest(admin).tenants
        [acme] = busiest(admin, Order.ORDER_STORAGE).tenants
        assert acme.slug == "acme" and not acme.HasField("calls")


# Who is told.

def test_a_tenant_is_told_of_itself_alone(make_server, pki):
    server = make_server().start()
    with server.operator() as admin, server.client(pki.python.tenant("acme", "admin")) as own:
        admin.active("acme")
        admin.active("other")
        admin.assign("acme", tenant_id("acme", "admin"), "tenant-admin")
        mine = usage(own)
        assert mine.calls.calls and mine.health.state == api.ACTIVE
        foreign, unknown = (failure("PERMISSION_DENIED", usage, own, name) for name in ("other", "nobody"))
        assert (foreign.reason, foreign.message) == (unknown.reason, unknown.message)
        assert failure("PERMISSION_DENIED", busiest, own).reason == "PERMISSION_MISSING"
        with server.client(pki.python.platform("resolver")) as sidecar:
            assert failure("PERMISSION_DENIED", busiest, sidecar).reason == "PERMISSION_MISSING"
        with server.client(pki.python.platform("viewer")) as viewer:
            assert busiest(viewer).tenants
        with server.client(pki.python.tenant("other")) as another:
            failure("PERMISSION_DENIED", usage, another, "acme")


def test_what_makes_no_sense(make_server):
    with make_server().start().operator() as admin:
        invalid("page_size", busiest, admin, Order.ORDER_CALLS, -1)
        invalid("order", busiest, admin, 99)
        assert len(busiest(admin, size=5000).tenants) == 0
        failure("NOT_FOUND", usage, admin, "nobody")


def test_each_node_tells_of_its_own(make_nodes, pki):
    one, two = make_nodes(2)
    with one.operator() as here, two.operator() as there:
        here.active("acme")
        eventually(lambda: _known(there), "the other node knows it")
        mine, other = usage(here), usage(there)
        assert mine.node and other.node and mine.node != other.node
        with two.client(pki.python.tenant("acme")) as own:
            for _ in range(7):
                own.get("acme")
        assert usage(there).calls.ok_calls - other.calls.ok_calls == 8
        assert usage(here).calls.ok_calls - mine.calls.ok_calls == 1
        assert busiest(here).node == mine.node and busiest(there).node == other.node


def _known(client):
    try:
        return client.get("acme").state == api.ACTIVE
    except grpc.RpcError:
        return False


# Metrics and tenantctl.

def test_a_few_tenants_have_series(make_server, pki):
    server = make_server(usage={"data_round_seconds": 1})
    path = str(server.socket_directory / "http")
    server.settings["http"] = {"listen": f"unix:{path}", "tenants": 3}
    server.start()
    with server.operator() as admin:
        ids = {}
        for number in range(6):
            ids[number] = admin.active(f"t{number}", api.DATABASE).id
            with server.client(pki.python.tenant(f"t{number}")) as own:
                for _ in range(3 * number):
                    denied(own, "t0" if number else "t1")
        samples = Probe(path).metrics()
        total = [name for name in samples if name.startswith("tenancy_tenant_outcomes_total")]
        assert len(total) == 3 * 5
        for number in (3, 4, 5):
            assert samples[f'tenancy_tenant_outcomes_total{{tenant="{ids[number]}",outcome="denied"}}'] == 3 * number
            assert samples[f'tenancy_tenant_connections{{tenant="{ids[number]}"}}'] in (0, 1)
        assert samples["tenancy_usage_tenants"] == 6 and samples["tenancy_usage_forgotten_total"] == 0
        # All are measured, whoever asks.
        eventually(lambda: Probe(path).metrics()["tenancy_data_readings"] == 6, "all are measured")
        samples = Probe(path).metrics()
        assert len([name for name in samples if name.startswith("tenancy_tenant_data_bytes{")]) == 3
        assert samples["tenancy_data_unknown"] == samples["tenancy_data_unreachable"] == 0


def at_a_terminal(run, *arguments):
    """What a command says where people read."""
    ours, theirs = pty.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
        subprocess.run([binary("TENANTCTL"), *arguments], env=run.environment, stdout=theirs, check=True,
                       timeout=PATIENCE)
        return os.read(ours, 1 << 16).decode()
    finally:
        os.close(ours)
        os.close(theirs)


def ctl(server):
    return Ctl({"TENANCY_ADDRESS": f"unix:{server.socket}"})


def test_top(make_server, pki):
    server = make_server().start()
    run = ctl(server)
    with server.operator() as admin:
        for name, calls in (("acme", 5), ("zeta", 9)):
            admin.active(name)
            with server.client(pki.python.tenant(name)) as own:
                for _ in range(calls):
                    denied(own) if name == "acme" else own.get(name)
        admin.create("quiet")
    lines = run("top", "--once", "--sort", "calls").splitlines()
    assert "calls of 2 tenants since" in lines[0]
    assert lines[1].split() == ["TENANT", "STATE", "CALLS", "LAST", "MIN", "DENIED", "LIMITED", "FAILED", "CONNS",
                                "STREAMS", "DATA", "SESSIONS"]
    assert [line.split()[0] for line in lines[2:]][:1] == ["zeta"]
    [acme] = [line for line in run("top", "-n", "1", "--sort", "denials").splitlines() if line.startswith("acme")]
    assert acme.split()[4] == "5"
    # Tables come one after the other where there is no terminal, and lines of JSON.
    assert run("top", "-n", "3", "--interval", "0.1").count("TENANT") == 3
    found = run.json("top", "--once", "--limit", "1", "--sort", "rate")
    assert len(found["tenants"]) == 1 and found["node"]
    assert len(run("top", "-n", "2", "--interval", "0.1", "-o", "json").splitlines()) == 2
    run("top", "--once", "--sort", "storage")
    for wrong in (("--limit", "0"), ("--interval", "0"), ("--count", "-1"), ("--sort", "x")):
        run.error("top", *wrong, code=64)
    shown = at_a_terminal(run, "top", "-n", "2", "--interval", "0.1", "--sort", "calls")
    # Each from the top, over what was there.
    first, second = shown.split("\x1b[H")[1:]
    assert all("TENANT" in frame and frame.rstrip().endswith("\x1b[J") for frame in (first, second))
    told = run("tenant", "usage", "acme")
    assert "5 denied" in told and "Data reached:" in told and "COMES BACK" in told
