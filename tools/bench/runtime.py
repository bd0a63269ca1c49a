"""Measures the RPC runtime: rpc-interop-server against the C limit. Started by tools/bench/run --runtime,
which builds what it needs.

Every protocol, transport and kind of call: the servers get the same load in turns, and figures are
medians of the rounds. CPU time is the server's own, from the scheduler, without the TLS handshakes;
these, and what connections cost in memory, are measured by themselves, on servers just started.
"""

import argparse
import contextlib
import dataclasses
import itertools
import json
import pathlib
import resource
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import bench
from figures import keep

GET = "/bench.v1.Lookup/Get"
RECORDS = 10_000  # of the lookup
SIZES = 30, 60  # an answer's message has so many bytes
SAMPLE_SECONDS = 1


@dataclasses.dataclass(frozen=True)
class Case:
    kind: str  # unary, client, server or bidi
    protocol: str
    transport: str
    connections: int
    count: int  # calls, or messages of each connection's stream
    streams: int = 1

    def __str__(self):
        shape = f"{self.connections}x{self.streams}" if self.kind == "unary" else f"{self.connections}"
        return f"{self.kind} {self.protocol} {self.transport} {shape}"

    @property
    def total(self):
        return self.count if self.kind == "unary" else self.count * self.connections


def cases(scale):
    for protocol, transport in itertools.product(("grpc", "ttrpc"), ("unix", "tls")):
        yield Case("unary", protocol, transport, 8, 200_000 // scale, 32)
        for kind, connections in itertools.product(("client", "server", "bidi"), (1, 8)):
            yield Case(kind, protocol, transport, connections, 500_000 // scale // connections)


def endpoint(server, transport, directory):
    if transport == "unix":
        return ["--unix", server.unix]
    return ["--tcp", server.tcp, "--tls", *(directory / f for f in ("client.pem", "client.key", "ca.pem"))]


def load_command(case, server, directory, tools):
    command = [tools / ("load" if case.kind == "unary" else "streams"), *endpoint(server, case.transport, directory)]
    if case.kind == "unary":
        command += ["--path", GET, "--data", directory / "Get.bin", "--streams", case.streams, "--requests", case.count]
    else:
        command += ["--kind", case.kind, "--messages", case.count]
    command += ["--connections", case.connections] + (["--ttrpc"] if case.protocol == "ttrpc" else [])
    return list(map(str, command))


@contextlib.contextmanager
def generator(command, what):
    """A load generator whose connections are up: it begins with the end of its input."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout.readline() != "ready\n":
                raise RuntimeError(f"{what}: no connection")
            yield process
        finally:
            process.kill()


def run(case, server, directory, tools):
    with generator(load_command(case, server, directory, tools), f"{case}, {server.name}") as process:
        before = server.cpu()
        output, _ = process.communicate("\n", timeout=120)
        after = server.cpu()
    result = json.loads(output or "{}")
    if process.returncode or result["failed"]:
        raise RuntimeError(f"{case}, {server.name}: failed calls: {output}")
    if case.kind == "unary" and not SIZES[0] <= result["shortest"] <= result["longest"] <= SIZES[1]:
        raise RuntimeError(f"{case}, {server.name}: answers of another size: {output}")
    figures = {
        "cpu_us": bench.cpu_per_rpc(before, after, case.total),
        "per_s": case.total / result["seconds"],
    }
    return figures | {key: result[key] for key in ("p50_us", "p99_us") if key in result}


def measure(servers, rounds, scale, directory, tools):
    runs = {}
    for case, server in itertools.product(cases(scale * 10), servers):  # warm-up
        run(case, server, directory, tools)
    for number in range(rounds):
        for case, server in itertools.product(cases(scale), servers):
            runs.setdefault((case, server.name), []).append(run(case, server, directory, tools))
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    results = {}
    for (case, name), measured in runs.items():
        figures = {key: statistics.median(one[key] for one in measured) for key in measured[0]}
        results.setdefault(case, {})[name] = figures | {"runs": measured}
    for by_server in results.values():
        limit = by_server["C limit"]["cpu_us"]
        for figures in by_server.values():
            figures["cpu_by_limit"] = figures["cpu_us"] / limit
    return results


# ---- Connections


def connections(start_server, number, scale, directory, tools):
    """What a connection adds to RSS, by protocol and transport: idle, and after a call at a time."""
    results = []
    for protocol, transport in itertools.product(("grpc", "ttrpc"), ("unix", "tls")):
        with start_server() as server:
            warm = Case("unary", protocol, transport, 8, 10_000 // scale, 32)
            run(warm, server, directory, tools)
            before = bench.settled_rss(server)
            idle = Case("unary", protocol, transport, number, 0)
            with generator(load_command(idle, server, directory, tools), f"{idle}, {server.name}"):
                held = bench.settled_rss(server)
        with start_server() as server:
            run(warm, server, directory, tools)
            before_active = bench.settled_rss(server)
            active = Case("unary", protocol, transport, number, 100 * number // scale)
            figures, peak = run_watched(active, server, directory, tools)
        results.append({
            "protocol": protocol, "transport": transport, "server": server.name, "connections": number,
            "idle_bytes_each": (held - before) / number,
            "active_bytes_each": (peak - before_active) / number,
            "active": figures,
        })  # fmt: skip
    return results


def run_watched(case, server, directory, tools):
    """The figures of a load, and the greatest RSS during it."""
    command = load_command(case, server, directory, tools)
    with generator(command, f"{case}, {server.name}") as process:
        process.stdin.write("\n")
        process.stdin.close()
        peak = server.rss()
        while process.poll() is None:
            peak = max(peak, server.rss())
            time.sleep(0.02)
        result = json.loads(process.stdout.read() or "{}")
    if process.returncode or result["failed"]:
        raise RuntimeError(f"{case}, {server.name}: failed calls: {result}")
    return {"per_s": case.total / result["seconds"], "p50_us": result["p50_us"], "p99_us": result["p99_us"]}, peak


def soak(server, seconds, directory, tools):
    """RSS each second under loads of every kind. Returns [(seconds, bytes)]."""
    samples = []
    begun = time.monotonic()
    endless = itertools.cycle(cases(2))
    next_sample = 0
    while (now := time.monotonic() - begun) < seconds:
        run(next(endless), server, directory, tools)
        if now >= next_sample:
            samples.append((round(now, 1), server.rss()))
            next_sample = now + SAMPLE_SECONDS
    return samples


def handshakes(server, directory, count):
    files = [directory / f for f in ("client.pem", "client.key", "ca.pem")]
    results = {}
    for name, options in ("full", []), ("resumed", ["--resume"]):
        command = [bench.ROOT / "tools/bench/handshakes", server.tcp, *files, "--count", count,
                   "--pid", server.process.pid, *options]  # fmt: skip
        output = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, timeout=300).stdout
        results[name] = json.loads(output)
    return results


# ---- Servers


def write_requests(directory):
    keys = [f"key-{n * 7 % RECORDS:05d}".encode() for n in range(1_000)]
    messages = [bytes([1 << 3 | 2, len(key)]) + key for key in keys]
    (directory / "Get.bin").write_bytes(b"".join(struct.pack(">BI", 0, len(m)) + m for m in messages))


def start_interop(directory, binary):
    unix, tcp = directory / "interop.sock", bench.free_address()
    files = [directory / f for f in ("server.pem", "server.key", "ca.pem")]
    command = [binary.resolve(), "--listen", f"unix:{unix}", "--listen", f"tcp:{tcp}", "--tls", *files,
               "--client-auth", "required"]  # fmt: skip
    return bench.start("runtime", directory, command, unix, tcp)


@contextlib.contextmanager
def running(start, *arguments):
    server = start(*arguments)
    try:
        yield server
    finally:
        server.stop()


# ---- Report


def print_report(report):
    heads = f"{'CPU us':>9}{'x limit':>9}{'per s':>14}{'p50 us':>10}{'p99 us':>10}"
    print(f"\n{'':28}{'':10}{heads}   (per call, or per message of a stream)")
    for one in report["cases"]:
        label = one["name"]
        for name, figures in one["servers"].items():
            rest = "".join(f"{figures[k]:>10,.0f}" for k in ("p50_us", "p99_us") if k in figures)
            cost = f"{figures['cpu_us']:>9.3f}{figures['cpu_by_limit']:>9.2f}{figures['per_s']:>14,.0f}"
            print(f"{label:28}{name:10}{cost}{rest}")
            label = ""
    print(f"\n{'connections':28}{'':10}{'idle KiB':>9}{'active':>9}{'calls/s':>14}{'p50 us':>10}{'p99 us':>10}")
    for one in report["connections"]:
        label = f"{one['connections']} {one['protocol']} {one['transport']}"
        active = one["active"]
        print(f"{label:28}{one['server']:10}{one['idle_bytes_each'] / 1024:>9.1f}{one['active_bytes_each'] / 1024:>9.1f}"
              f"{active['per_s']:>14,.0f}{active['p50_us']:>10,.0f}{active['p99_us']:>10,.0f}")  # fmt: skip
    for server, kinds in report["handshakes"].items():
        for kind, figures in kinds.items():
            print(f"\nhandshakes, {kind}, {server}: {json.dumps(figures)}", end="")
    samples = report["soak"]
    if samples:
        rss = [size / 2**20 for _, size in samples]
        print(f"\n\nsoak of {samples[-1][0]:.0f} s: RSS {rss[0]:.1f} MiB at first, {statistics.median(rss):.1f} in the "
              f"middle, {rss[-1]:.1f} at last, {max(rss):.1f} at most", end="")  # fmt: skip
    print()


def main():
    parser = argparse.ArgumentParser(prog="tools/bench/run --runtime", description=__doc__)
    parser.add_argument("--binary", required=True, type=pathlib.Path, help="rpc-interop-server, built for release")
    parser.add_argument("--tools", required=True, type=pathlib.Path, help="directory of the built C programs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=1_000, help="to hold open")
    parser.add_argument("--handshakes", type=int, default=2_000)
    parser.add_argument("--soak", type=int, default=60, metavar="SECONDS")
    parser.add_argument("--quick", action="store_true", help="a tenth of the calls, 2 rounds, no soak: for a look")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the results there too")
    parser.add_argument("--figures", action="store_true", help="keep the medians for the article on performance")
    options = parser.parse_args()
    scale, rounds = (10, 2) if options.quick else (1, options.rounds)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # servers and generators inherit it

    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # not without stopping the servers
    with tempfile.TemporaryDirectory(prefix="tenancy-bench-") as temporary:
        directory = pathlib.Path(temporary)
        bench.certificates(directory)
        write_requests(directory)
        starts = [(start_interop, directory, options.binary), (bench.start_limit, directory, options.tools, 1)]
        with contextlib.ExitStack() as stack:
            servers = [stack.enter_context(running(*start)) for start in starts]
            results = measure(servers, rounds, scale, directory, options.tools)
            count = options.handshakes // scale
            # The limit is no server for handshakes: it does them on the loop as they come.
            shaken = {servers[0].name: handshakes(servers[0], directory, count)}
        held = [
            one
            for start in starts
            for one in connections(lambda start=start: running(*start), options.connections, scale, directory,
                                   options.tools)  # fmt: skip
        ]
        samples = []
        if options.soak and not options.quick:
            with running(*starts[0]) as server:
                samples = soak(server, options.soak, directory, options.tools)

    report = {
        "rounds": rounds,
        "cases": [{"name": str(c), **dataclasses.asdict(c), "servers": found} for c, found in results.items()],
        "connections": held,
        "handshakes": shaken,
        "soak": samples,
    }
    print_report(report)
    if options.figures:
        keep("runtime", report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
