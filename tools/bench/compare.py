"""Compares two builds of tenantd, or of rpc-interop-server. Started by tools/bench/run --base.

Both get the same short loads in turns, many times. Figures are server CPU per call or message: the
least of all rounds, as whatever else the machine does only ever adds to it, and the median of the ratios
of neighbours, which have seen the same of it, with the interval that holds it with 95 %.
"""

import argparse
import asyncio
import itertools
import json
import math
import pathlib
import statistics
import sys
import tempfile

import bench
import runtime


class Tenantd:
    def __init__(self, options, directory):
        self._options, self._directory = options, directory
        (directory / "stubs").mkdir()
        self._api = bench.stubs(directory / "stubs")

    def start(self, name, binary):
        directory = self._directory / name
        directory.mkdir()
        bench.certificates(directory)
        server = bench.start_tenantd(directory, binary)
        server.directory = directory
        tenants = self._options.tenants
        asyncio.run(bench.load_tenants(self._api, server, directory, tenants))
        requests = bench.make_requests(self._api, tenants)
        bench.write_data(directory, requests)
        server.sizes = asyncio.run(bench.check_answers(self._api, server, directory, requests, False))
        return server

    def cases(self):
        shapes = (8, 32, 20_000), (1, 1, 2_000)
        return [
            bench.Case(method, transport, connections, streams, requests // self._options.scale, protocol)
            for method, protocol, transport, (connections, streams, requests) in itertools.product(
                (bench.RESOLVE, bench.CHECK), ("grpc", "ttrpc"), ("unix", "tls"), shapes
            )
        ]

    def run(self, case, server):
        return bench.run_load(server, case, server.directory, self._options.tools, server.sizes, case.requests)["cpu_us"]


class Runtime:
    def __init__(self, options, directory):
        self._options, self._directory = options, directory
        bench.certificates(directory)
        runtime.write_requests(directory)

    def start(self, name, binary):
        directory = self._directory / name
        directory.mkdir()
        for file in self._directory.iterdir():
            if file.is_file():
                (directory / file.name).write_bytes(file.read_bytes())
        server = runtime.start_interop(directory, binary)
        server.directory = directory
        return server

    def cases(self):
        one = [runtime.Case("unary", protocol, transport, 1, 2_000 // self._options.scale)
               for protocol, transport in itertools.product(("grpc", "ttrpc"), ("unix", "tls"))]  # fmt: skip
        return [*runtime.cases(10 * self._options.scale), *one]

    def run(self, case, server):
        return runtime.run(case, server, server.directory, self._options.tools)["cpu_us"]


def median_interval(values):
    """The median, between the order statistics that hold it with 95 % (the sign test's)."""
    values = sorted(values)
    reach = 0.98 * math.sqrt(len(values))
    low, high = (round(len(values) / 2 + side * reach) for side in (-1, 1))
    return values[max(low, 0)], statistics.median(values), values[min(high, len(values) - 1)]


def main():
    parser = argparse.ArgumentParser(prog="tools/bench/run --base", description=__doc__)
    parser.add_argument("--binary", required=True, type=pathlib.Path, help="built for release")
    parser.add_argument("--base", required=True, type=pathlib.Path, help="what it is compared with")
    parser.add_argument("--tools", required=True, type=pathlib.Path, help="directory of the built C programs")
    parser.add_argument("--runtime", action="store_true", help="they are rpc-interop-server")
    parser.add_argument("--tenants", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", default="", help="cases whose name has this")
    parser.add_argument("--quick", action="store_const", const=5, default=1, dest="scale", help="shorter loads")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all runs there too")
    options = parser.parse_args()
    runs, servers = {}, []
    with tempfile.TemporaryDirectory(prefix="tenancy-bench-") as temporary:
        kind = (Runtime if options.runtime else Tenantd)(options, pathlib.Path(temporary))
        try:
            servers += [kind.start("base", options.base), kind.start("new", options.binary)]
            cases = [case for case in kind.cases() if options.only in str(case)]
            for number, case in itertools.product(range(options.rounds + 1), cases):
                # Whoever comes second finds other caches: so in turns.
                for index in (0, 1) if number % 2 else (1, 0):
                    figure = kind.run(case, servers[index])
                    if number:  # not the warm-up
                        runs.setdefault(str(case), ([], []))[index].append(figure)
        finally:
            for server in servers:
                server.stop()
    print(f"{'CPU us':32}{'least':>9}{'base':>9}{'':>8}{'median ratio':>16}")
    for case, (base, new) in runs.items():
        least = min(new), min(base)
        low, middle, high = median_interval([b / a for a, b in zip(base, new)])
        print(f"{case:32}{least[0]:>9.3f}{least[1]:>9.3f}{least[0] / least[1] - 1:>+8.1%}"
              f"{middle - 1:>+10.1%}  ({low - 1:+.1%} to {high - 1:+.1%})")  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps(runs) + "\n")


if __name__ == "__main__":
    sys.exit(main())
