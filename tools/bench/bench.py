"""Measures tenantd against the C limit. Started by tools/bench/run, which builds what it needs.

Each server gets the same load, in turns (A B A B ...), so that what else the machine does falls on
all of them; figures are medians of the rounds. CPU time is the server's own, from the scheduler,
and does not include the TLS handshakes.
"""

import argparse
import asyncio
import dataclasses
import importlib
import itertools
import json
import os
import pathlib
import random
import re
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import grpc
from figures import keep
from grpc_tools import protoc

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESOLVE = "/tenancy.v1.TenantResolver/ResolveTenant"
CHECK = "/tenancy.v1.Authorization/Check"
WRITES_IN_FLIGHT = 64
DISTINCT_REQUESTS = 1000  # each method's; the load repeats them
CHECKED_TENANTS = 16  # have a role and an assignment
SUBJECT, PERMISSION = "user:alice", "documents:read"


def slug(number):
    return f"tenant-{number:05d}"


def stubs(directory):
    """The API's Python modules, generated from proto/."""
    well_known = importlib.import_module("importlib.resources").files("grpc_tools") / "_proto"
    files = sorted(str(f.relative_to(ROOT / "proto")) for f in ROOT.glob("proto/tenancy/v1/*.proto"))
    options = [f"-I{ROOT / 'proto'}", f"-I{well_known}"]
    if protoc.main(["protoc", *options, f"--python_out={directory}", f"--grpc_python_out={directory}", *files]):
        sys.exit("protoc failed")
    sys.path.insert(0, str(directory))
    api = argparse.Namespace()
    for name in "tenant", "tenant_manager", "tenant_resolver", "authorization":
        for kind in "pb2", "pb2_grpc":
            vars(api).update(vars(importlib.import_module(f"tenancy.v1.{name}_{kind}")))
    return api


# ---- Servers


@dataclasses.dataclass
class Server:
    name: str
    process: subprocess.Popen
    unix: pathlib.Path
    tcp: str | None = None

    def cpu(self):
        """Nanoseconds on a CPU, by thread. (What a thread that has ended used is lost.)"""
        times = {}
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                times[task.name] = int((task / "schedstat").read_text().split()[0])
            except FileNotFoundError:
                pass  # it has ended
        return times

    def rss(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def certificates(directory):
    """A CA, and a key and a certificate of it for the server, a platform admin and a tenant's workload."""

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
            "-subj", "/CN=bench CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign")  # fmt: skip
    for name, alternatives, usage in (
        ("server", "DNS:localhost,IP:127.0.0.1", "serverAuth"),
        ("client", "URI:spiffe://bench.test/platform/admin", "clientAuth"),
        ("workload", f"URI:spiffe://bench.test/tenant/{slug(0)}/web", "clientAuth"),
    ):
        (directory / f"{name}.cnf").write_text(
            f"subjectAltName=critical,{alternatives}\nextendedKeyUsage={usage}\n"
            "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
            "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        )
        openssl("req", "-new", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", "/")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-out", f"{name}.pem", "-days", "1", "-extfile", f"{name}.cnf")  # fmt: skip


def write_config(directory, data, unix, tcp, **others):
    file = directory / "tenantd.json"
    settings = {
        "data_directory": str(data),
        "listeners": [{"unix": str(unix)}, {"tcp": tcp}],
        "tls": {
            "certificate": f"{directory}/server.pem",
            "private_key": f"{directory}/server.key",
            "client_ca": f"{directory}/ca.pem",
        },
        "identity": {
            "trust_domain": "bench.test",
            "unix_users": [{"uid": os.getuid(), "roles": ["admin"]}],
        },
        "resolution": {"base_domains": ["example.com"]},
    }
    file.write_text(json.dumps(settings | others, indent=2))
    return file


def free_address():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{s.getsockname()[1]}"


def start(name, directory, command, unix, tcp=None, patience=30, step=0.05):
    """Starts a server; returns when it accepts connections, looking every `step` seconds for `patience`."""
    log = directory / f"{unix.stem}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    server = Server(name, process, unix, tcp)
    addresses = [(socket.AF_UNIX, str(unix))]
    if tcp:
        host, port = tcp.rsplit(":", 1)
        addresses.append((socket.AF_INET, (host, int(port))))
    give_up = time.monotonic() + patience
    for family, address in addresses:
        while True:
            with socket.socket(family) as s:
                if s.connect_ex(address) == 0:
                    break
            if process.poll() is not None or time.monotonic() > give_up:
                server.stop()
                sys.exit(f"{name} does not listen on {address}:\n{log.read_text()}")
            time.sleep(step)
    return server


def start_tenantd(directory, binary, **settings):
    data = directory / "data"
    data.mkdir(mode=0o700)
    unix, tcp = directory / "tenantd.sock", free_address()
    config = write_config(directory, data, unix, tcp, **settings)
    return start("tenantd", directory, [binary.resolve(), "serve", "--config", config], unix, tcp)


def start_limit(directory, tools, tenants):
    unix, tcp = directory / "limit.sock", free_address()
    tls = [directory / f for f in ("server.pem", "server.key", "ca.pem")]
    command = [tools / "limit", "--tenants", str(tenants), "--unix", unix, "--tcp", tcp, "--tls", *tls]
    return start("C limit", directory, command, unix, tcp)


def start_grpc_cpp(directory, binary, tenants):
    unix = directory / "grpc_cpp.sock"
    return start("gRPC C++", directory, [binary.resolve(), "--tenants", str(tenants), "--unix", unix], unix)


def settled_rss(server):
    """Once it has not moved by more than 1% in a second, or after 15."""
    before = server.rss()
    for _ in range(15):
        time.sleep(1)
        now = server.rss()
        if abs(now - before) <= before / 100:
            break
        before = now
    return now


# ---- Tenants


def channel(server, directory, tls=False):
    if not tls:
        return grpc.aio.insecure_channel(f"unix:{server.unix}")
    ca, key, certificate = ((directory / f).read_bytes() for f in ("ca.pem", "client.key", "client.pem"))
    return grpc.aio.secure_channel(server.tcp, grpc.ssl_channel_credentials(ca, key, certificate))


async def all_of(work, items, in_flight):
    """`await work(item)` for all items, so many at a time."""
    left = iter(items)

    async def worker():
        for item in left:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(worker())


async def load_tenants(api, server, directory, count):
    """Every other tenant has a schema of its own, the rest share tables. Returns the seconds taken."""
    async with channel(server, directory) as to:
        manager, authorization = api.TenantManagerStub(to), api.AuthorizationStub(to)

        async def provision(number):
            model = api.ISOLATION_MODEL_SHARED if number % 2 else api.ISOLATION_MODEL_SCHEMA
            tenant = await manager.CreateTenant(api.CreateTenantRequest(tenant=api.Tenant(
                slug=slug(number), display_name=f"Tenant {number:05d}", isolation_model=model)))  # fmt: skip
            tenant = await manager.ProvisionTenantResources(api.ProvisionTenantResourcesRequest(name=tenant.name))
            give_up = time.monotonic() + 30
            while tenant.state == api.TENANT_STATE_PROVISIONING and time.monotonic() < give_up:
                await asyncio.sleep(0.05)
                tenant = await manager.GetTenant(api.GetTenantRequest(name=tenant.name))
            if tenant.state != api.TENANT_STATE_ACTIVE:
                raise RuntimeError(f"{tenant.slug} is {api.TenantState.Name(tenant.state)}")

        async def grant(number):
            parent = f"tenants/{slug(number)}"
            await authorization.CreateRole(api.CreateRoleRequest(
                parent=parent, role_id="reader", role=api.Role(title="Reader", permissions=[PERMISSION])))  # fmt: skip
            await authorization.CreateRoleAssignment(api.CreateRoleAssignmentRequest(
                parent=parent, assignment=api.RoleAssignment(subject=SUBJECT, role="reader")))  # fmt: skip

        start = time.monotonic()
        await all_of(provision, range(count), WRITES_IN_FLIGHT)
        seconds = time.monotonic() - start
        await all_of(grant, range(min(count, CHECKED_TENANTS)), WRITES_IN_FLIGHT)
    return seconds


def make_requests(api, count):
    """The messages of each method's load."""
    numbers = random.Random(1).choices(range(count), k=DISTINCT_REQUESTS)
    checked = itertools.islice(itertools.cycle(range(min(count, CHECKED_TENANTS))), DISTINCT_REQUESTS)
    return {
        RESOLVE: [api.ResolveTenantRequest(path=f"/tenants/{slug(n)}/orders/42") for n in numbers],
        CHECK: [
            api.CheckRequest(tenant=f"tenants/{slug(n)}", subject=SUBJECT, permission=PERMISSION) for n in checked
        ],
    }


async def check_answers(api, server, directory, requests, tls):
    """Every distinct request of the load has the right answer. Returns the (shortest, longest) message
    of each method, to which the load generator's are compared."""
    sizes = {RESOLVE: set(), CHECK: set()}
    async with channel(server, directory, tls) as to:
        resolve = to.unary_unary(RESOLVE, api.ResolveTenantRequest.SerializeToString)
        check = to.unary_unary(CHECK, api.CheckRequest.SerializeToString)

        async def resolves(request):
            answer = await resolve(request)
            tenant = api.ResolveTenantResponse.FromString(answer).tenant
            wanted = request.path.split("/")[2]
            if tenant.slug != wanted or tenant.state != api.TENANT_STATE_ACTIVE:
                raise RuntimeError(f"{server.name} resolved {wanted} to {tenant}")
            sizes[RESOLVE].add(len(answer))

        async def allows(request):
            answer = await check(request)
            if not api.CheckResponse.FromString(answer).allowed:
                raise RuntimeError(f"{server.name} denied {request}")
            sizes[CHECK].add(len(answer))

        await all_of(resolves, requests[RESOLVE], WRITES_IN_FLIGHT)
        await all_of(allows, requests[CHECK], WRITES_IN_FLIGHT)
        if server.name == "tenantd":  # the others allow everything
            for change in {"subject": "user:bob"}, {"permission": "documents:write"}:
                request = api.CheckRequest()
                request.CopyFrom(requests[CHECK][0])
                for field, value in change.items():
                    setattr(request, field, value)
                if api.CheckResponse.FromString(await check(request)).allowed:
                    raise RuntimeError(f"{server.name} allowed {request}")
    return {method: (min(s), max(s)) for method, s in sizes.items()}


# ---- Load


@dataclasses.dataclass(frozen=True)
class Case:
    method: str
    transport: str
    connections: int
    streams: int
    requests: int
    protocol: str = "grpc"

    def __str__(self):
        spoken = "" if self.protocol == "grpc" else f"{self.protocol} "
        return f"{self.method.rsplit('/')[-1]} {spoken}{self.transport} {self.connections}x{self.streams}"

    def suits(self, server):
        """Whether the server does this: gRPC C++ has neither TLS here nor ttrpc."""
        return server.tcp is not None or (self.transport == "unix" and self.protocol == "grpc")


def cpu_per_rpc(before, after, requests):
    return sum(ns - before.get(thread, 0) for thread, ns in after.items()) / requests / 1000


def generate(server, command):
    """Runs the load generator. Returns what it says, and the server's CPU before and after."""
    with subprocess.Popen(
        list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as generator:
        try:
            if generator.stdout.readline() != "ready\n":
                raise RuntimeError(f"no connection to {server.name}")
            before = server.cpu()
            output, _ = generator.communicate("\n", timeout=120)
            after = server.cpu()
        finally:
            generator.kill()
    if generator.returncode:
        raise RuntimeError(f"{server.name}: the load has failed: {output}")
    return json.loads(output), before, after


def run_load(server, case, directory, tools, sizes, requests):
    endpoint = ["--unix", server.unix]
    if case.transport == "tls":
        endpoint = ["--tcp", server.tcp, "--tls", *(directory / f for f in ("client.pem", "client.key", "ca.pem"))]
    command = [tools / "load", *endpoint, "--path", case.method, "--data", directory / data_file(case.method),
               "--connections", case.connections, "--streams", case.streams, "--requests", requests]  # fmt: skip
    if case.protocol == "ttrpc":
        command.append("--ttrpc")
    result, before, after = generate(server, command)
    if result["failed"]:
        raise RuntimeError(f"{case}, {server.name}: failed calls: {result}")
    shortest, longest = sizes[case.method]
    if not shortest <= result["shortest"] <= result["longest"] <= longest:
        raise RuntimeError(f"{case}, {server.name}: messages are not of {shortest} to {longest} bytes: {result}")
    return {
        "cpu_us": cpu_per_rpc(before, after, requests),
        "rpc_per_s": requests / result["seconds"],
        "p50_us": result["p50_us"],
        "p99_us": result["p99_us"],
    }


def run_h2load(server, case, directory, requests):
    """A cross-check by another generator, on the Unix socket only (it has no client certificates). It
    counts HTTP statuses: that the calls succeed is for run_load to say."""
    command = ["h2load", "-t1", "-n", requests, "-c", case.connections, "-m", case.streams,
               "-B", f"unix:{server.unix}", "-d", directory / f"one-{data_file(case.method)}",
               "-H", "content-type: application/grpc", "-H", "te: trailers",
               f"http://localhost{case.method}"]  # fmt: skip
    before = server.cpu()
    output = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, timeout=120).stdout
    after = server.cpu()
    if f"{requests} succeeded" not in output or f"{requests} 2xx" not in output:
        raise RuntimeError(f"{case}, {server.name}: h2load: {output}")
    return {
        "h2load_cpu_us": cpu_per_rpc(before, after, requests),
        "h2load_rpc_per_s": float(re.search(r"([\d.]+) req/s", output)[1]),
    }


def data_file(method):
    return method.rsplit("/")[-1] + ".bin"


def write_data(directory, requests):
    for method, messages in requests.items():
        framed = [struct.pack(">BI", 0, m.ByteSize()) + m.SerializeToString() for m in messages]
        (directory / data_file(method)).write_bytes(b"".join(framed))
        (directory / f"one-{data_file(method)}").write_bytes(framed[0])


def measure(servers, cases, rounds, directory, tools, sizes):
    """{case: {server: {figure: median, and every run}}}"""
    runs = {(case, server.name): [] for case in cases for server in servers}
    for case, server in itertools.product(cases, servers):  # warm-up
        if case.suits(server):
            run_load(server, case, directory, tools, sizes[server.name], max(case.requests // 10, 256))
    for n in range(1, rounds + 1):
        for case in cases:
            for server in servers:
                if not case.suits(server):
                    continue
                run = run_load(server, case, directory, tools, sizes[server.name], case.requests)
                if case.transport == "unix" and case.protocol == "grpc":
                    run |= run_h2load(server, case, directory, case.requests)
                runs[case, server.name].append(run)
        print(f"round {n} of {rounds}", file=sys.stderr)
    results = {}
    for (case, name), measured in runs.items():
        if measured:
            figures = {key: statistics.median(run[key] for run in measured) for key in measured[0]}
            results.setdefault(case, {})[name] = figures | {"runs": measured}
    for by_server in results.values():
        for figures in by_server.values():
            figures["cpu_by_limit"] = figures["cpu_us"] / by_server["C limit"]["cpu_us"]
    return results


# ---- Report


def print_table(results):
    columns = "cpu_us", "rpc_per_s", "p50_us", "p99_us", "h2load_cpu_us", "h2load_rpc_per_s"
    heads = "CPU us/RPC", "RPC/s", "p50 us", "p99 us", "h2load: CPU", "RPC/s"
    print(f"\n{'':30}{'':10}{heads[0]:>11}{'x limit':>9}" + "".join(f"{h:>12}" for h in heads[1:]))
    for case, servers in results.items():
        label = str(case)
        for name, figures in servers.items():
            line = f"{label:30}{name:10}{figures['cpu_us']:>11.2f}{figures['cpu_by_limit']:>9.2f}"
            for column in columns[1:]:
                value = figures.get(column)
                digits = 0 if column.endswith("per_s") else 2 if "cpu" in column else 1
                line += f"{'' if value is None else f'{value:,.{digits}f}':>12}"
            print(line)
            label = ""


def main():
    parser = argparse.ArgumentParser(prog="tools/bench/run", description=__doc__)
    parser.add_argument("--binary", required=True, type=pathlib.Path, help="tenantd, built for release")
    parser.add_argument("--tools", required=True, type=pathlib.Path, help="directory of the built C programs")
    parser.add_argument("--grpc-cpp", type=pathlib.Path, metavar="PROGRAM", help="measure it too")
    parser.add_argument("--tenants", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one-cpu", action="store_true",
                        help="servers and load share one CPU: CPU time repeats to a few percent, and 1x1 is not "
                        "mostly the waking of an idle CPU; RPC/s and latencies are those of the pair")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="a tenth of the calls, at most 2 rounds: for a look")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the results there too")
    parser.add_argument("--figures", action="store_true", help="keep the medians for the article on performance")
    options = parser.parse_args()
    if options.one_cpu:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # what is started from here inherits it
    many, few = (10_000, 1_000) if options.quick else (100_000, 10_000)
    rounds = min(options.rounds, 2) if options.quick else options.rounds
    cases = [
        Case(method, transport, connections, streams, requests, protocol)
        for method in (RESOLVE, CHECK)
        for protocol in ("grpc", "ttrpc")
        for transport in ("unix", "tls")
        for connections, streams, requests in ((8, 32, many), (1, 1, few))
    ]

    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # not without stopping the servers
    servers = []
    with tempfile.TemporaryDirectory(prefix="tenancy-bench-") as temporary:
        directory = pathlib.Path(temporary)
        try:
            (directory / "stubs").mkdir()
            api = stubs(directory / "stubs")
            certificates(directory)
            tenantd = start_tenantd(directory, options.binary)
            servers.append(tenantd)
            seconds = asyncio.run(load_tenants(api, tenantd, directory, options.tenants))
            print(f"{options.tenants} tenants made in {seconds:.1f} s", file=sys.stderr)
            servers.append(start_limit(directory, options.tools, options.tenants))
            if options.grpc_cpp:
                servers.append(start_grpc_cpp(directory, options.grpc_cpp, options.tenants))
            memory = {s.name: {"idle": settled_rss(s)} for s in servers}

            requests = make_requests(api, options.tenants)
            write_data(directory, requests)
            sizes = {}
            for server in servers:
                for tls in [False, True] if server.tcp else [False]:
                    sizes[server.name] = asyncio.run(check_answers(api, server, directory, requests, tls))
            results = measure(servers, cases, rounds, directory, options.tools, sizes)
            for server in servers:
                memory[server.name]["after_load"] = settled_rss(server)
        finally:
            for server in servers:
                server.stop()

    print_table(results)
    print(f"\n{'RSS MiB':24}{'':10}{'idle':>11}{'after load':>12}   ({options.tenants} tenants)")
    for name, figures in memory.items():
        print(f"{'':24}{name:10}{figures['idle'] / 2**20:>11.1f}{figures['after_load'] / 2**20:>12.1f}")
    report = {
        "tenants": options.tenants,
        "rounds": rounds,
        "load_seconds": seconds,
        "cases": [dataclasses.asdict(case) | {"servers": found} for case, found in results.items()],
        "rss_bytes": memory,
    }
    if options.figures:
        keep("daemon", report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
