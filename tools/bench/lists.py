"""Measures what pages of ListTenants cost. Started by tools/bench/run --lists.

Pages of 100 of stores of several sizes, one after the other from the beginning: latency as the client sees it, over the
Unix socket, and the server's CPU for each, which is also how long at most an event loop is held on average. Two of the
filters find nothing: their pages are empty and end with what a call may look at. Of several rounds the least counts.
"""

import argparse
import json
import os
import pathlib
import signal
import sqlite3
import statistics
import sys
import tempfile
import time

import bench
import grpc
import writes

SIZE = 100
#: of a filter and an order
QUERIES = (
    ("", ""), ("", "create_time desc"), ("", "update_time desc"), ("", "slug"), ("", "slug desc"),
    ("", "display_name"), ("state = SUSPENDED", ""), ("state = SUSPENDED", "create_time desc"), ("plan = pro", ""),
    ("labels.region = r7", ""), ("isolation_model = SHARED", ""), ('slug = "customer-9*"', ""),
    ("labels.region = r7 AND feature_flags.x = true", ""), ("custom_settings.seats > 7", ""),
    ("custom_settings.seats > 7", "slug"),
)  # fmt: skip


def vary(path):
    """Makes the copies in a stopped server's store differ."""
    with sqlite3.connect(path, isolation_level=None) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN IMMEDIATE")
        db.execute("CREATE TEMP TABLE numbers AS SELECT id, CAST(substr(slug, 10) AS INTEGER) AS n FROM tenants "
                   "WHERE slug LIKE 'customer-%'")  # fmt: skip
        db.execute("CREATE UNIQUE INDEX temp.numbered ON numbers (id)")
        db.execute("""
            UPDATE tenants SET
              display_name = 'Customer ' || (n * 7919 % 1000003),
              update_time = create_time + n * 7919 % 1000003 * 1000000,
              state = CASE WHEN n % 20 = 0 THEN 'suspended' ELSE state END,
              configuration = CASE WHEN n % 10 = 0
                THEN json_set(configuration, '$.limits', json('{"limits":[],"plan":"pro"}')) ELSE configuration END,
              token_keys = '{"metadata":{"labels":{"region":"r' || (n % 50) || '"}}}'
            FROM numbers WHERE numbers.id = tenants.id""")
        db.execute("COMMIT")


def pages(api, server, filter_, order, count):
    """Latencies of so many pages in ms, the CPU of each in us, and how many tenants they had."""
    latencies, found, token = [], 0, ""
    with grpc.insecure_channel(f"unix:{server.unix}", options=[("grpc.max_receive_message_length", -1)]) as to:
        manager = api.TenantManagerStub(to)
        manager.ListTenants(api.ListTenantsRequest(page_size=1))
        before = sum(server.cpu().values())
        for _ in range(count):
            request = api.ListTenantsRequest(page_size=SIZE, filter=filter_, order_by=order, page_token=token)
            start = time.perf_counter()
            page = manager.ListTenants(request)
            latencies.append((time.perf_counter() - start) * 1000)
            token, found = page.next_page_token, found + len(page.tenants)
        return latencies, (sum(server.cpu().values()) - before) / 1000 / count, found


def measure(options, directory):
    (directory / "stubs").mkdir()
    maker = writes.Maker(bench.stubs(directory / "stubs"), directory)
    bench.certificates(directory)
    server, results = bench.start_tenantd(directory, options.binary), []
    empty = bench.settled_rss(server)
    try:
        for size in options.sizes:
            server = writes.fill(server, maker, options.binary, size - maker.made)
            server.stop()
            vary(directory / "data" / "tenancy.sqlite")
            server, start = writes.restart(server, directory, options.binary)
            figures = {"tenants": size, "start_s": start,
                       "bytes_per_tenant": (bench.settled_rss(server) - empty) / size, "lists": []}  # fmt: skip
            print(f"\n{size:,} tenants: starts in {start:.2f} s, {figures['bytes_per_tenant']:.0f} bytes for each")
            print(f"{'p50 ms':>8}{'p99 ms':>8}{'CPU us':>8}{'a page':>8}  filter; order")
            for filter_, order in QUERIES:
                rounds = [pages(maker.api, server, filter_, order, options.count) for _ in range(options.rounds)]
                # What else the machine does makes some rounds slower, and none faster.
                p50 = min(statistics.median(latencies) for latencies, _, _ in rounds)
                p99 = min(statistics.quantiles(latencies, n=100)[98] for latencies, _, _ in rounds)
                cpu, found = min(cpu for _, cpu, _ in rounds), rounds[0][2]
                row = {"filter": filter_, "order": order, "p50_ms": p50, "p99_ms": p99, "cpu_us": cpu,
                       "tenants_per_page": found / options.count}  # fmt: skip
                figures["lists"].append(row)
                print(f"{row['p50_ms']:>8.2f}{p99:>8.2f}{cpu:>8.0f}{row['tenants_per_page']:>8.1f}"
                      f"  {filter_ or '-'}; {order or '-'}", flush=True)  # fmt: skip
            results.append(figures)
    finally:
        server.stop()
    return results


def main():
    parser = argparse.ArgumentParser(prog="tools/bench/run --lists", description=__doc__)
    parser.add_argument("--binary", required=True, type=pathlib.Path, help="tenantd, built for release")
    parser.add_argument("--tools", type=pathlib.Path, help="is not needed")
    parser.add_argument("--sizes", type=lambda text: [int(size) for size in text.split(",")], metavar="N,N,...",
                        default=[1_000, 100_000, 1_000_000], help="tenants, ascending (default: 1000,100000,1000000)")  # fmt: skip
    parser.add_argument("--count", type=int, default=500, help="pages of each list")
    parser.add_argument("--rounds", type=int, default=5, help="of which the least counts")
    parser.add_argument("--directory", type=pathlib.Path, help="where the stores are (default: a temporary one)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the results there too")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # not without stopping the server
    with tempfile.TemporaryDirectory(prefix="tenancy-bench-", dir=options.directory) as temporary:
        results = measure(options, pathlib.Path(temporary))
    if options.json:
        options.json.write_text(json.dumps({"cpus": os.cpu_count(), "results": results}, indent=2))


if __name__ == "__main__":
    main()
