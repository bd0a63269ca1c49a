"""Metrics and probes over HTTP."""

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from spiffe import WorkloadApiClient
from spiffe.errors import PySpiffeError
from tenantctl_process import daemon, place
from test_health_reflection import broken_disk

from support import api, ttrpc
from support.http_requests import check
from support.pki import tenant_id
from support.rate_limits import ask, flood
from support.waiting import eventually
from support.workload import Workload, with_workload_api
from test_workload_tokens import key_file

__all__ = ["broken_disk", "daemon", "place"]  # Fixtures.

DURATION = "rpc_server_call_duration_seconds"


class Probe:
    """What a scraper would do, on a Unix socket or TCP."""

    def __init__(self, place):
        self.place = place

    def connect(self) -> socket.socket:
        family = socket.AF_UNIX if isinstance(self.place, str) else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.settimeout(20)
        connection.connect(self.place)
        return connection

    def ask(self, path: str, method: str = "GET"):
        """Status, text and headers."""
        client = http.client.HTTPConnection("localhost")
        client.sock = self.connect()
        client.request(method, path)
        answer = client.getresponse()
        text = answer.read().decode()
        client.close()
        return answer.status, text, answer.headers

    def raw(self, sent: bytes) -> bytes:
        """Sends bytes and reads until the end."""
        received = b""
        with self.connect() as connection:
            try:
                connection.sendall(sent)
                while data := connection.recv(65536):
                    received += data
            except (BrokenPipeError, ConnectionResetError):
                pass  # Cut off.
        return received

    def metrics(self) -> dict[str, float]:
        """Each sample, by its name and labels as they stand."""
        time.sleep(0.3)  # A text is given again for a quarter of a second.
        status, text, _ = self.ask("/metrics")
        assert status == 200
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


@pytest.fixture
def watched(make_server):
    """A server that is not started yet, and where it is asked."""
    server = make_server()
    path = str(server.socket_directory / "http")
    server.settings["http"] = {"listen": f"unix:{path}", "tenants": 3}
    return server, Probe(path)


def calls(samples, method, code="OK", system="grpc"):
    labels = (f'rpc_system_name="{system}",rpc_method="{method}",'
              f'rpc_response_status_code="{code}"')
    return samples.get(f"{DURATION}_count{{{labels}}}", 0)


def test_counts_after_known_calls(watched, pki):
    server, probe = watched
    server.start()
    who = "tenancy.v1.Identity/WhoAmI"
    with server.operator() as admin, server.client(pki.python.tenant("acme")) as own:
        admin.active("acme")
        for _ in range(3):
            admin.who()
        for _ in range(2):
            own.who()
        with pytest.raises(grpc.RpcError):
            own.create("other")
        with pytest.raises(grpc.RpcError):
            admin.raw("/no.Such/Method", b"")
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(server.socket))
            for stream in (1, 3):
                connection.sendall(ttrpc.request(
                    stream, "WhoAmI", b"", service="tenancy.v1.Identity"))
                assert connection.recv(4096)
            samples = probe.metrics()
            assert samples['rpc_server_connections{rpc_system_name="ttrpc",peer="unix"}'] == 1
        assert calls(samples, who) == 5
        assert calls(samples, who, system="ttrpc") == 2
        assert calls(samples, "tenancy.v1.TenantManager/CreateTenant") == 1
        assert calls(samples, "tenancy.v1.TenantManager/CreateTenant", "PERMISSION_DENIED") == 1
        assert calls(samples, "_OTHER", "UNIMPLEMENTED") == 1
        assert samples['rpc_server_connections{rpc_system_name="grpc",peer="certificate"}'] == 1
        assert samples['tls_server_handshakes_total{result="ok"}'] == 1
        assert samples["rpc_server_active_calls"] == 0
        assert samples["tenancy_tenants"] == 1 and samples["tenancy_revision"] > 1
        assert samples["process_resident_memory_bytes"] > 1 << 20
        assert samples["tenancy_store_healthy"] == samples["tenancy_ready"] == 1
        assert samples["tenancy_write_batch_duration_seconds_count"] >= 1
        acme = admin.get("acme").id
        assert samples[f'tenancy_tenant_calls_total{{tenant="{acme}"}}'] >= 2
    assert server.stop() == 0


def test_what_the_workload_api_does_is_counted(watched):
    server, probe = watched
    with_workload_api(server, jwt_keys=[key_file(server.directory, "jwt.key")]).start()
    with server.operator() as admin:
        acme = admin.active("acme", api.SHARED)
        admin.register(acme.name, "web", uid=os.getuid())
        stranger = Workload(server.workload_socket, uid=34_001)
        assert stranger.refusal() == "PERMISSION_DENIED"
        headless = Workload(server.workload_socket, method="FetchX509Bundles", header=[])
        assert headless.refusal() == "INVALID_ARGUMENT"
        with Workload(server.workload_socket, uid=os.getuid()) as process:
            process.svids()
            with WorkloadApiClient(f"unix:{server.workload_socket}") as client:
                client.fetch_jwt_svid(audience={"x"})
                with pytest.raises(PySpiffeError):
                    client.validate_jwt_svid("x.y.z", audience="x")
            samples = probe.metrics()
        for one in (stranger, headless):
            one.close()
    name = "tenancy_workload"
    for labels, count in {
        '_calls_total{method="FetchX509SVID"}': 2, '_calls_total{method="FetchX509Bundles"}': 1,
        '_calls_total{method="FetchJWTSVID"}': 1, '_calls_total{method="StreamSecrets"}': 0,
        '_refusals_total{reason="identity"}': 1, '_refusals_total{reason="header"}': 1,
        '_refusals_total{reason="streams"}': 0, "_streams": 1,
        '_svids_total{kind="x509"}': 1, '_svids_total{kind="jwt"}': 1,
    }.items():
        assert samples[name + labels] == count, labels
    assert samples[f"{name}_attestation_duration_seconds_count"] >= 3
    labels = [sample for sample in samples if sample.startswith(name)]
    assert len(labels) < 60 and not any("acme" in sample for sample in labels)


def test_what_became_of_http_requests_is_counted(watched, pki):
    server, probe = watched
    server.settings["envoy"] = {"routes": [
        {"path": "/healthz", "anonymous": True}, {"path": "/**", "permission": "orders:read"}]}
    server.settings["rate_limits"] = {"default_plan": "small", "plans": [
        {"name": "small", "limits": [{"requests": 2, "per": "hour"}]}]}
    server.start()
    web = pki.python.tenant("acme")
    with server.operator() as admin:
        acme = admin.active("acme")
        assert not check(admin, certificate=web).allowed
        admin.role("acme", "reader", "orders:read")
        admin.assign("acme", tenant_id("acme"), "reader")
        for _ in range(2):
            assert check(admin, certificate=web).allowed
        for _ in range(3):
            assert check(admin, path="/healthz").allowed
        for path in ("/orders", "/a//b", "/a/../b"):
            assert not check(admin, path=path).allowed
        assert flood(admin, 5, "acme") == 2
        assert not ask(admin, "nobody").allowed
    samples = probe.metrics()
    for name, expected in (
        ("requests", {"allowed": 2, "anonymous": 3, "unauthenticated": 1, "denied": 1, "invalid": 2,
                      "unavailable": 0}),
        ("requests_limited", {"within": 2, "over": 3, "unserved": 1}),
    ):
        assert {verdict: samples[f'tenancy_http_{name}_total{{verdict="{verdict}"}}']
                for verdict in expected} == expected
    assert samples["tenancy_limits_nodes"] == samples["tenancy_limits_tenants"] == 1
    # Those that went on as the tenant's are among its calls.
    assert samples[f'tenancy_tenant_calls_total{{tenant="{acme.id}"}}'] >= 2


def test_few_tenants_have_series_of_their_own(watched):
    server, probe = watched
    server.start()
    with server.operator() as admin:
        for number in range(8):
            admin.create(f"t{number}")
            for _ in range(number + 1):
                admin.get(f"t{number}")
        samples = probe.metrics()
    series = {name: value for name, value in samples.items()
              if name.startswith("tenancy_tenant_calls_total")}
    assert len(series) == 4 and sum(series.values()) == sum(range(1, 9))
    assert series['tenancy_tenant_calls_total{tenant="other"}'] == sum(range(1, 6))


def assert_promtool_likes(text):
    promtool = shutil.which("promtool")
    assert promtool, "install Debian's package prometheus"
    done = subprocess.run([promtool, "check", "metrics"], input=text, text=True,
                          capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_promtool_likes_the_text(watched):
    server, probe = watched
    server.start()
    with server.operator() as admin:
        admin.active("acme")
        status, text, headers = probe.ask("/metrics")
    assert status == 200 and headers["content-type"].startswith("text/plain; version=0.0.4")
    assert_promtool_likes(text)


def test_reloads_are_recorded_through_swift_metrics(watched, tmp_path):
    server, probe = watched
    log = tmp_path / "log" / "access.log"
    log.parent.mkdir()
    server.settings["access_log"] = {"file": str(log)}
    server.start()

    def reloads():
        found = {}
        for name, value in probe.metrics().items():
            if match := re.fullmatch(r'tenantd_reloads_total{part="(\w+)",result="(\w+)"}', name):
                found[match.groups()] = value
        return found

    parts = ("access_log", "configuration", "master_keys", "tls")
    # There is no TLS to a collector here: see test_tracing.py. Nor are there issuers, or who approves transitions.
    expected = {(part, result): 0 for part in (*parts, "approver", "collector", "issuer_keys")
                for result in ("failed", "ok")}
    assert reloads() == expected
    server.process.send_signal(signal.SIGHUP)
    expected |= {(part, "ok"): 1 for part in parts}
    eventually(lambda: reloads() == expected, "all is read again")
    status, text, _ = probe.ask("/metrics")
    assert status == 200
    assert_promtool_likes(text)
    # No name is there twice, and what is recorded comes last, under names like none of the server's own.
    names = re.findall(r"^# TYPE (\S+) ", text, re.M)
    assert len(names) == len(set(names))
    ours = ("process_", "rpc_server_", "tenancy_", "tls_server_")
    assert [name for name in names if not name.startswith(ours)] == names[-4:] == [
        "tenantd_domain_checks_total", "tenantd_reloads_total", "swift_metrics_series", "swift_metrics_dropped_total"]
    # What goes wrong is told as well.
    (server.directory / "tenantd.json5").write_text("{typo: 1}")
    log.rename(tmp_path / "old.log")
    log.parent.rmdir()
    server.process.send_signal(signal.SIGHUP)
    expected |= {("access_log", "failed"): 1, ("configuration", "failed"): 1,
                 ("master_keys", "ok"): 2, ("tls", "ok"): 2}
    eventually(lambda: reloads() == expected, "what could not be read is counted")


def test_probes(watched, broken_disk):
    switch, environment = broken_disk
    server, probe = watched
    server.start(environment)
    assert probe.ask("/livez")[:2] == (200, "ok\n")
    assert probe.ask("/readyz")[:2] == (200, "ok serving\nok store\nok state\n")
    assert re.fullmatch(r"tenantd \S+\n", probe.ask("/version")[1])
    with server.operator() as admin:
        switch.touch()
        with pytest.raises(grpc.RpcError):
            admin.create("lost")
        assert probe.ask("/readyz")[:2] == (503, "ok serving\nfailed store\nok state\n")
        assert probe.ask("/livez")[0] == 200
        assert probe.metrics()["tenancy_store_healthy"] == 0
        switch.unlink()
        eventually(lambda: probe.ask("/readyz")[0] == 200, "the store works again", 10)


@pytest.mark.quiet
def test_not_ready_while_draining(watched):
    server, probe = watched
    server.settings["drain_seconds"] = 5
    server.start()
    done = threading.Event()

    def never_whole():
        done.wait(20)
        yield b""

    with server.operator() as admin:
        # A call that is open: its request does not come.
        open_call = admin.channel.stream_unary("/tenancy.v1.Identity/WhoAmI").future(never_whole())
        eventually(lambda: probe.metrics()["rpc_server_active_calls"] == 1, "the call has begun", 5)
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: probe.ask("/readyz")[0] == 503, "it drains", 4)
        assert probe.ask("/readyz")[1].startswith("failed serving\n")
        assert probe.ask("/livez")[0] == 200
        open_call.cancel()
        done.set()
    assert server.wait() == 0
    with pytest.raises(OSError):
        probe.connect()


def test_what_is_not_a_request_for_a_page(watched):
    server, probe = watched
    server.start()
    assert probe.ask("/")[0] == probe.ask("/metrics/")[0] == 404
    status, text, headers = probe.ask("/metrics", "HEAD")
    assert (status, text) == (200, "") and int(headers["content-length"]) > 0
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        status, _, headers = probe.ask("/metrics", method)
        assert status == 405 and headers["allow"] == "GET, HEAD"
    # In one piece: the server may have hung up before a second one.
    with_body = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\n\r\nx"
    assert probe.raw(with_body).startswith(b"HTTP/1.1 400")
    assert probe.raw(b"nonsense\r\n\r\n").startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
    assert probe.raw(b"GET /livez HTTP/1.1\r\nx: " + b"y" * 100_000 + b"\r\n\r\n") == b""


@pytest.mark.quiet
def test_hostile_peers_leave_calls_alone(watched):
    server, probe = watched
    server.start()
    with server.operator() as admin:
        admin.active("acme")
        before = probe.metrics()["process_resident_memory_bytes"]
        slow = []
        for _ in range(200):
            connection = probe.connect()
            connection.settimeout(20)
            try:
                connection.sendall(b"GET /metrics HTTP/1.1\r\nx")
            except BrokenPipeError:
                pass  # One of those beyond the limit.
            slow.append(connection)
        # Nor do they keep those out who ask for something: an orchestrator would end the server.
        assert {probe.ask(page)[0] for page in ("/livez", "/readyz", "/metrics")} == {200}
        times = []
        for _ in range(200):
            begin = time.monotonic()
            admin.who()
            times.append(time.monotonic() - begin)
        assert sorted(times)[190] < 0.05
        # All are let go after a while, and others served again.
        begin = time.monotonic()
        for connection in slow:
            try:
                while connection.recv(4096):
                    pass
            except ConnectionResetError:
                pass
            connection.close()
        assert time.monotonic() - begin < 15
        with ThreadPoolExecutor(8) as pool:
            flood = list(pool.map(lambda _: probe.ask("/metrics")[0], range(400)))
        assert set(flood) == {200}
        assert probe.metrics()["process_resident_memory_bytes"] < before + (16 << 20)


@pytest.mark.parametrize("listen", ["0.0.0.0:9464", "example.org:1", "unix:here", "9464", ""])
def test_places_that_are_refused(make_server, listen):
    server = make_server(http={"listen": listen})
    server.launch()
    assert server.wait() != 0
    assert "listen" in server.log


def test_loopback(make_server):
    server = make_server(http={"listen": "127.0.0.1:0"}).start()
    port = eventually(lambda: re.findall(r"address=127\.0\.0\.1:(\d+) .*metrics", server.log),
                      "the listener's address", 5)[0]
    assert Probe(("127.0.0.1", int(port))).ask("/livez")[:2] == (200, "ok\n")
    assert server.stop() == 0


def test_development_mode_is_watched(daemon):
    probe = Probe(str(daemon.directory / "http.sock"))
    eventually(lambda: probe.ask("/readyz")[0] == 200, "it is ready", 5)
    assert probe.metrics()["tenancy_ready"] == 1
