"""Traces: W3C `traceparent` in, OTLP out."""

import os
import re
import socket
import time

import grpc
import pytest
from test_access_log import WHO, call, find

from support import ttrpc
from support.collector import Collector, attributes
from support.pki import Authority
from support.waiting import eventually

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


@pytest.fixture
def traced(make_server):
    """A server that is not started yet, and the collector that it will find, on a Unix socket."""
    server = make_server()
    collector = Collector(f"unix:{server.socket_directory / 'otlp'}")
    server.settings["tracing"] = {"otlp": collector.place}
    yield server, collector
    collector.stop()


def belongs(sampled: bool, trace: str = TRACE, **more):
    """Metadata of a call that belongs to a trace."""
    return [("traceparent", f"00-{trace}-{PARENT}-{'01' if sampled else '00'}"), *more.items()]


def dropped(server) -> int:
    """What the log says was dropped so far, whyever."""
    counts = re.findall(r"no_room=(\d+) over_rate=(\d+) refused=(\d+).* spans dropped", server.log)
    return sum(int(number) for line in counts for number in line)


def test_spans_of_a_trace(traced, pki):
    server, collector = traced
    server.settings["access_log"] = {"file": str(server.directory / "access.log")}
    collector.start()
    server.start()
    with server.operator() as admin, server.client(pki.python.tenant("acme")) as own:
        admin.active("acme")
        acme = admin.get("acme").id
        before = time.time_ns()
        call(own.channel, WHO, metadata=belongs(True, **{"x-request-id": "r-1"}))
        call(own.channel, "/tenancy.v1.TenantManager/CreateTenant", metadata=belongs(True))
        call(own.channel, "/no.Such/Method", metadata=belongs(True))
        spans = collector.wait(3)
        after = time.time_ns()
        assert len({span.span_id for span in spans}) == 3
        for span in spans:
            assert span.trace_id.hex() == TRACE and span.parent_span_id.hex() == PARENT
            assert len(span.span_id) == 8 and span.span_id.hex() != PARENT
            assert span.kind == 2 and span.flags & 1
            assert before <= span.start_time_unix_nano <= span.end_time_unix_nano <= after
        who, create, unknown = spans
        assert who.name == WHO[1:] and who.status.code == 0
        assert attributes(who) == {
            "rpc.system": "grpc", "rpc.service": "tenancy.v1.Identity", "rpc.method": "WhoAmI",
            "rpc.grpc.status_code": 0, "tenancy.tenant.id": acme, "tenancy.request.id": "r-1"}
        # A denial is no failure of the server; that there is no such method is, as the conventions have it.
        assert attributes(create)["rpc.grpc.status_code"] == 7 and create.status.code == 0
        assert unknown.name == "_OTHER" and unknown.status.code == 2
        assert "rpc.method" not in attributes(unknown)
        [resource] = {str(attributes(resource.resource)) for request in collector.requests
                      for resource in request.resource_spans}
        assert "'service.name': 'tenantd'" in resource
        [line] = find(server.directory / "access.log", 1, request_id="r-1")
        assert line["trace_id"] == TRACE


@pytest.mark.parametrize("ratio", [0, 1])
def test_who_is_sampled(traced, ratio):
    server, collector = traced
    server.settings["tracing"]["sample_ratio"] = ratio
    server.settings["access_log"] = {"file": str(server.directory / "access.log")}
    collector.start()
    server.start()
    with server.operator() as admin:
        call(admin.channel, WHO, metadata=belongs(False))
        call(admin.channel, WHO, metadata=[("x-request-id", "root")])
        # What is not right is as if it were not there.
        call(admin.channel, WHO, metadata=[("traceparent", f"00-{TRACE}-{PARENT}-1")])
        call(admin.channel, WHO, metadata=belongs(True))
        spans = collector.wait(2 * ratio + 1)
        assert len(spans) == 2 * ratio + 1
        roots = [span for span in spans if not span.parent_span_id]
        assert len(roots) == 2 * ratio
        assert len({span.trace_id for span in spans}) == len(spans)
        assert all(len(span.trace_id) == 16 and any(span.trace_id) for span in spans)
        [line] = find(server.directory / "access.log", 1, request_id="root")
        root = [span for span in roots if attributes(span).get("tenancy.request.id")]
        assert line.get("trace_id") == (root[0].trace_id.hex() if ratio else None)


def test_ttrpc_and_tcp(make_server):
    collector = Collector("127.0.0.1:0").start()
    server = make_server(tracing={"otlp": collector.place})
    try:
        server.start()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(server.socket))
            for stream, sampled in ((1, False), (3, True)):
                metadata = [("Traceparent", f"00-{TRACE}-{PARENT}-0{int(sampled)}")]
                connection.sendall(ttrpc.request(
                    stream, "WhoAmI", b"", service="tenancy.v1.Identity", metadata=metadata))
                assert connection.recv(4096)
            [span] = collector.wait(1)
            assert span.trace_id.hex() == TRACE and span.parent_span_id.hex() == PARENT
            assert attributes(span)["rpc.system"] == "ttrpc"
    finally:
        collector.stop()


def test_a_collector_that_goes_and_comes(traced):
    """Calls do not notice; what is dropped is counted; spans flow again."""
    server, collector = traced
    server.settings["tracing"] |= {"spans_per_second": 100_000}
    server.start()
    with server.operator() as admin:
        # More than wait for it, all of one caller's share.
        count = 6000
        method = admin.channel.unary_unary(WHO, request_serializer=None, response_deserializer=None)
        slowest = 0.0
        for start in range(0, count, 500):
            begin = time.monotonic()
            calls = [method.future(b"", metadata=belongs(True), timeout=20) for _ in range(500)]
            assert all(one.code() == grpc.StatusCode.OK for one in calls)
            slowest = max(slowest, time.monotonic() - begin)
        assert slowest < 10
        eventually(lambda: "spans not exported" in server.log, "the failure is logged")
        eventually(lambda: dropped(server) > 0, "what is dropped is logged")
        collector.start()
        eventually(lambda: len(collector.spans) + dropped(server) == count,
                   "all spans are accounted for", 30)
        eventually(lambda: "spans exported again" in server.log, "the end of it is logged")
        assert len(collector.spans) >= 4096
        collector.stop()
        call(admin.channel, WHO, metadata=belongs(True, "1" * 32))
        collector.start()
        eventually(lambda: collector.spans[-1].trace_id.hex() == "1" * 32, "the last span", 30)


def test_a_tenant_cannot_flood(traced, pki):
    server, collector = traced
    server.settings["tracing"] |= {"spans_per_second": 8}
    collector.start()
    server.start()
    with (server.operator() as admin, server.client(pki.python.tenant("acme")) as own,
          server.client(pki.python.platform("operator")) as other):
        admin.active("acme")
        begin = time.monotonic()
        for _ in range(200):
            assert call(own.channel, WHO, metadata=belongs(True)) == grpc.StatusCode.OK
        # Another's span has room at once. One of two: accounts share places, one in 256 that of the tenant.
        for one in (admin, other):
            call(one.channel, WHO, metadata=belongs(True, "2" * 32))
        seconds = int(time.monotonic() - begin) + 2
        eventually(lambda: any(span.trace_id.hex() == "2" * 32 for span in collector.spans), "its")
        eventually(lambda: len(collector.spans) + dropped(server) == 202, "all are accounted for")
        assert len(collector.spans) - 2 <= 2 * seconds


def test_spans_that_are_not_wanted(traced):
    server, collector = traced
    collector.refusal = grpc.StatusCode.INVALID_ARGUMENT
    collector.start()
    server.start()
    with server.operator() as admin:
        call(admin.channel, WHO, metadata=belongs(True))
        eventually(lambda: re.search("refused=1 .*spans dropped", server.log), "it is counted")
        assert len(collector.requests) == 1


def test_the_last_spans(traced):
    server, collector = traced
    collector.start()
    server.start()
    with server.operator() as admin:
        call(admin.channel, WHO, metadata=belongs(True))
    assert server.stop() == 0
    assert len(collector.spans) == 1


@pytest.fixture
def by_tls(make_server, tmp_path):
    """A server that is not started yet, a collector that it will find by mutual TLS, and the CA of both."""
    authority = Authority("Collector CA")
    own = authority.server()
    credentials = grpc.ssl_server_credentials(
        [(own.key, own.certificate)], root_certificates=authority.pem, require_client_auth=True)
    collector = Collector("127.0.0.1:0", credentials).start()
    (tmp_path / "collector-ca.pem").write_bytes(authority.pem)
    certificate, key = authority.issue(hosts=("tenantd.example",)).write(tmp_path / "tracing")
    server = make_server(tracing={"otlp": collector.place, "tls": {
        "certificate": str(certificate), "private_key": str(key),
        "ca": str(tmp_path / "collector-ca.pem")}})
    yield server, collector, authority
    collector.stop()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_collector_by_tls(by_tls, host):
    server, collector, _ = by_tls
    server.settings["tracing"]["otlp"] = collector.place.replace("127.0.0.1", host)
    server.start()
    with server.operator() as admin:
        call(admin.channel, WHO, metadata=belongs(True))
        [span] = collector.wait(1)
        assert span.trace_id.hex() == TRACE


@pytest.mark.parametrize("name, exports", [("localhost", True), ("other.example", False)])
def test_the_name_of_the_collectors_certificate(by_tls, name, exports):
    server, collector, _ = by_tls
    server.settings["tracing"]["tls"]["server_name"] = name
    server.start()
    with server.operator() as admin:
        call(admin.channel, WHO, metadata=belongs(True))
        if exports:
            collector.wait(1)
        else:
            eventually(lambda: "spans not exported" in server.log, "the failure is logged")
            assert not collector.requests


def test_a_collector_that_nobody_vouches_for(by_tls, tmp_path):
    """Nothing is sent to it. Once its CA is in the file, that is read again and spans flow."""
    server, collector, authority = by_tls
    bundle = tmp_path / "collector-ca.pem"
    bundle.write_bytes(Authority("another CA").pem)
    server.start()
    with server.operator() as admin:
        call(admin.channel, WHO, metadata=belongs(True))
        eventually(lambda: "spans not exported" in server.log, "the failure is logged")
        assert not collector.requests
        bundle.write_bytes(authority.pem)
        collector.wait(1)
        assert "the collector's TLS files reloaded" in server.log
        # What can't be read is said, and changes nothing.
        bundle.write_bytes(b"no certificate")
        eventually(lambda: "the collector's TLS files not reloaded" in server.log, "it is said")
        call(admin.channel, WHO, metadata=belongs(True))
        collector.wait(2)


@pytest.mark.parametrize("change, reason", [
    ({"otlp": "unix:/run/otlp.sock"}, "HOST:PORT, as it is reached by TLS"),
    ({"otlp": "localhost"}, "HOST:PORT, as it is reached by TLS"),
    ({"otlp": "::1:4317"}, "HOST:PORT, as it is reached by TLS"),
    ({"tls": {}}, "tracing.tls.certificate"),
    ({"tls": {"certificate": "/a", "private_key": "/b"}}, "tracing.tls.ca"),
    ({"tls": {"certificate": "/a", "private_key": "/b", "ca": "/c"}}, "tracing.tls"),
])
def test_what_is_refused_of_tls(by_tls, change, reason):
    server, _, _ = by_tls
    server.settings["tracing"] |= change
    assert server.launch().wait(20) != 0
    eventually(lambda: reason in server.log, reason)


def test_a_key_that_others_can_read_is_refused(by_tls):
    server, _, _ = by_tls
    os.chmod(server.settings["tracing"]["tls"]["private_key"], 0o644)
    assert server.launch().wait(20) != 0
    eventually(lambda: "others can read or write the private key" in server.log, "why")


@pytest.mark.parametrize("settings, place", [
    ({}, "tracing.otlp"),
    ({"otlp": "collector.example:4317"}, "must be on this host"),
    ({"otlp": "https://127.0.0.1:4317"}, "must be on this host"),
    ({"otlp": "unix:here"}, "tracing.otlp"),
    ({"otlp": "127.0.0.1:0"}, "tracing.otlp"),
    ({"otlp": "127.0.0.1:4317", "sample_ratio": 1.5}, "tracing.sample_ratio"),
    ({"otlp": "127.0.0.1:4317", "sample_ratio": "1"}, "tracing.sample_ratio"),
    ({"otlp": "127.0.0.1:4317", "spans_per_second": 0}, "tracing.spans_per_second"),
])
def test_what_is_refused(make_server, settings, place):
    server = make_server(tracing=settings)
    assert server.launch().wait(20) != 0
    eventually(lambda: place in server.log, place)
