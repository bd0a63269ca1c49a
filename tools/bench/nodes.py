"""Measures how soon a write on one node is visible on another. Started by tools/bench/run --nodes.

Two daemons are on one PostgreSQL, a server of the tests' own. A tenant is made on one; a client asks the other
for it again and again, and then, for another tenant, once, with the consistency token of the write. The time
counts from the acknowledgement of the write. Clients are in Python: what they take is in the figures.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests" / "EndToEndTests"))


def measure(count, directory):
    from support.daemon import Server
    from support.nodes import create, known, settings, validate
    from support.pki import PKI
    from support.postgresql import PostgreSQL

    database, pki = PostgreSQL(), PKI(directory / "pki")
    nodes = [Server(directory / f"node{number}", pki, **settings(database)) for number in range(2)]
    try:
        for node in nodes:
            node.start()
        polled, behind_token = [], []
        with nodes[0].operator() as writer, nodes[1].operator() as reader:
            for number in range(count):
                create(writer, f"polled-{number}")
                start = time.monotonic()
                while not known(reader, f"polled-{number}"):
                    pass
                polled.append(time.monotonic() - start)
                token = create(writer, f"behind-{number}")
                start = time.monotonic()
                if validate(reader, f"behind-{number}", token).state == 0:
                    sys.exit("a read behind a token did not see the write")
                behind_token.append(time.monotonic() - start)
    finally:
        for node in nodes:
            node.close()
        database.close()
    return {"notified": figures(polled), "behind_token": figures(behind_token)}


def figures(seconds):
    seconds.sort()
    return {"p50_ms": statistics.median(seconds) * 1000, "p99_ms": seconds[len(seconds) * 99 // 100] * 1000,
            "max_ms": seconds[-1] * 1000}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(prog="tools/bench/run --nodes", description=__doc__)
    parser.add_argument("--binary", required=True, type=pathlib.Path, help="tenantd, built for release")
    parser.add_argument("--tools", type=pathlib.Path, help="not used")
    parser.add_argument("--count", type=int, default=500, help="writes of each kind")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the results there too")
    options = parser.parse_args()
    os.environ["TENANTD"] = str(options.binary.resolve())
    with tempfile.TemporaryDirectory(prefix="tenancy-bench-") as temporary:
        results = measure(options.count, pathlib.Path(temporary))
    print(f"{'visible on another node':<24}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}")
    for name, row in results.items():
        print(f"{name:<24}{row['p50_ms']:>9.2f}{row['p99_ms']:>9.2f}{row['max_ms']:>9.2f}")
    if options.json:
        options.json.write_text(json.dumps({"cpus": os.cpu_count(), "results": results}, indent=2))


if __name__ == "__main__":
    main()
