"""Measures what writes cost, and what a large store costs. Started by tools/bench/run --writes.

Tenants (SHARED, each with two names) are made over the Unix socket by 1, 8 and 64 writers, against stores
of several sizes, and beside them the same rows are written to the same disk by a bare loop of transactions
with the same settings: one tenant in each, and as many as there are writers. Server CPU is all threads'.
With --postgresql the store is a PostgreSQL of the tests' own, whose CPU is not in the figures.
Most tenants of a large store are not made over the API, which would take hours: see filled.py.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import re
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import uuid

import bench
import filled
import grpc

ROOT = pathlib.Path(__file__).resolve().parents[2]
CREATE = "/tenancy.v1.TenantManager/CreateTenant"
#: What a store has more of is copied.
MADE_AT_MOST = 10_000
#: connections and calls of each
WRITERS = {1: (1, 1), 8: (8, 1), 64: (8, 8)}


@dataclasses.dataclass
class Maker:
    """Gives each tenant a slug of its own."""

    api: object
    directory: pathlib.Path
    made: int = 0

    def file(self, count):
        """A file of so many requests, each for a tenant that there is none of."""
        path = self.directory / "creates"
        with path.open("wb") as file:
            for number in range(self.made, self.made + count):
                message = self.api.CreateTenantRequest(tenant=self.api.Tenant(
                    slug=f"customer-{number}", display_name=f"Customer {number}",
                    isolation_model=self.api.ISOLATION_MODEL_SHARED)).SerializeToString()  # fmt: skip
                file.write(struct.pack(">BI", 0, len(message)) + message)
        self.made += count
        return path


def fill(server, maker, binary, count):
    """Adds so many tenants, provisioned as most of a store's are. Returns the server."""
    slug = f"sample-of-{count}"
    with grpc.insecure_channel(f"unix:{server.unix}") as to:
        manager = maker.api.TenantManagerStub(to)
        sample = manager.CreateTenant(maker.api.CreateTenantRequest(tenant=maker.api.Tenant(
            slug=slug, display_name=slug,
            isolation_model=maker.api.ISOLATION_MODEL_SHARED)))  # fmt: skip
        sample = manager.ProvisionTenantResources(maker.api.ProvisionTenantResourcesRequest(name=sample.name))
        while sample.state == maker.api.TENANT_STATE_PROVISIONING:
            time.sleep(0.05)
            sample = manager.GetTenant(maker.api.GetTenantRequest(name=sample.name))
    server.stop()
    slugs = [f"customer-{number}" for number in range(maker.made, maker.made + count - 1)]
    filled.fill(maker.directory / "data", sample, slugs)
    maker.made += count
    return restart(server, maker.directory, binary)[0]


def run(server, maker, tools, writers, count):
    connections, streams = WRITERS[writers]
    command = [tools / "load", "--unix", server.unix, "--path", CREATE, "--data", maker.file(count),
               "--connections", connections, "--streams", streams, "--requests", count]  # fmt: skip
    with subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
        if load.stdout.readline() != "ready\n":
            sys.exit("no connection to tenantd")
        before, start = sum(server.cpu().values()), time.monotonic()
        output, _ = load.communicate("\n", timeout=3600)
        seconds, after = time.monotonic() - start, sum(server.cpu().values())
    result = json.loads(output or "{}")
    if load.returncode or result["failed"]:
        sys.exit(f"{writers} writers: failed calls: {output}")
    return {
        "writes_per_s": count / seconds,
        "cpu_us": (after - before) / 1000 / count,
        "p50_us": result["p50_us"],
        "p99_us": result["p99_us"],
    }


class Bare:
    """A loop of transactions that writes what a tenant takes, and nothing else."""

    def __init__(self, path):
        self._db = sqlite3.connect(path, isolation_level=None)
        for setting in ("journal_mode = WAL", "synchronous = FULL", "cache_size = -512", "secure_delete = ON"):
            self._db.execute(f"PRAGMA {setting}").fetchall()
        self._db.executescript("""
            CREATE TABLE log (revision INTEGER PRIMARY KEY, time INTEGER, actor TEXT, action TEXT, tenant_id TEXT,
              changes TEXT) STRICT;
            CREATE TABLE tenants (id TEXT PRIMARY KEY NOT NULL, slug TEXT, name TEXT, configuration TEXT) STRICT;
            CREATE TABLE names (kind TEXT, name TEXT, tenant_id TEXT, PRIMARY KEY (kind, name)) STRICT, WITHOUT ROWID;
            """)
        self._revision = 0

    def run(self, transactions, tenants):
        changes = "x" * 900
        start = time.monotonic()
        for _ in range(transactions):
            self._db.execute("BEGIN IMMEDIATE")
            for _ in range(tenants):
                self._revision += 1
                tenant, slug = str(uuid.UUID(int=self._revision)), f"customer-{self._revision}"
                self._db.execute("INSERT INTO log VALUES (?, 0, 'uid:0', 'tenants.create', ?, ?)",
                                 (self._revision, tenant, changes))  # fmt: skip
                self._db.execute("INSERT INTO tenants VALUES (?, ?, ?, ?)", (tenant, slug, slug, slug))
                self._db.execute("INSERT INTO names VALUES ('slug', ?, ?)", (slug, tenant))
                self._db.execute("INSERT INTO names VALUES ('tenant_identifier', ?, ?)", (slug, tenant))
            self._db.execute("COMMIT")
        return transactions * tenants / (time.monotonic() - start)


class BarePostgreSQL:
    """The same by pgbench, on one connection: all rows of a transaction in one prepared statement."""

    def __init__(self, database):
        self._database = database
        database.sql("""
            DROP SCHEMA IF EXISTS bare CASCADE;
            CREATE SCHEMA bare;
            CREATE SEQUENCE bare.revision;
            CREATE TABLE bare.log (revision BIGINT PRIMARY KEY, time BIGINT, actor TEXT, action TEXT, tenant_id TEXT,
              changes TEXT);
            CREATE TABLE bare.tenants (id TEXT PRIMARY KEY, slug TEXT, name TEXT, configuration TEXT);
            CREATE TABLE bare.names (kind TEXT, name TEXT, tenant_id TEXT, PRIMARY KEY (kind, name));
            """)

    def run(self, transactions, tenants):
        script = self._database.directory / "bare.sql"
        script.write_text(f"""
            WITH made AS (INSERT INTO bare.tenants SELECT id, id, id, id FROM
                (SELECT gen_random_uuid()::text AS id FROM generate_series(1, {tenants})) AS ids RETURNING id),
              logged AS (INSERT INTO bare.log SELECT nextval('bare.revision'), 0, 'uid:0', 'tenants.create', id,
                repeat('x', 900) FROM made)
            INSERT INTO bare.names SELECT kind, id, id FROM made, (VALUES ('slug'), ('tenant_identifier')) AS k (kind);
            """.replace("\n", " "))  # fmt: skip
        [program] = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/pgbench"))[-1:]
        done = subprocess.run(
            [program, "-n", "-M", "prepared", "-c", "1", "-t", str(transactions), "-f", script, "-h",
             self._database.directory, "-p", str(self._database.port), "-U", "tenancy", "postgres"],
            check=True, capture_output=True, text=True)  # fmt: skip
        return float(re.search(r"tps = ([\d.]+)", done.stdout)[1]) * tenants


@contextlib.contextmanager
def store(options, directory):
    """Gives the settings of a store, and what makes the bare loop beside it of a name."""
    if not options.postgresql:
        yield {}, lambda name: Bare(directory / f"bare-{name}.sqlite")
        return
    sys.path.insert(0, str(ROOT / "Tests" / "EndToEndTests"))
    from support.postgresql import PostgreSQL

    database = PostgreSQL()
    try:
        yield {"store": database.settings}, lambda _: BarePostgreSQL(database)
    finally:
        database.close()


def restart(server, directory, binary):
    """Stops the server and starts it on the same data. Returns it with the seconds until it answers."""
    if server.process.poll() is None:
        server.stop()
    unix = server.unix
    unix.unlink(missing_ok=True)
    start = time.monotonic()
    command = [binary.resolve(), "serve", "--config", directory / "tenantd.json"]
    server = bench.start("tenantd", directory, command, unix, patience=300, step=0.005)
    return server, time.monotonic() - start


def peak(server):
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def measure(options, directory, settings, bare_loop):
    (directory / "stubs").mkdir()
    maker = Maker(bench.stubs(directory / "stubs"), directory)
    bench.certificates(directory)
    server = bench.start_tenantd(directory, options.binary, **settings)
    results, empty = [], bench.settled_rss(server)
    try:
        for size in options.sizes:
            if size > maker.made + MADE_AT_MOST and not options.postgresql:
                server = fill(server, maker, options.binary, size - maker.made)
            elif size > maker.made:
                run(server, maker, options.tools, 64, size - maker.made)
            figures = {"tenants": size, "writers": {}}
            for writers in WRITERS:
                count = options.count * (1 if writers == 1 else 4)
                bare = bare_loop(f"{size}-{writers}")
                figures["writers"][writers] = run(server, maker, options.tools, writers, count) | {
                    "bare_per_s": bare.run(max(count // 4, 100) // writers + 1, writers)
                }
            server, figures["start_s"] = restart(server, directory, options.binary)
            figures["peak_bytes"] = peak(server)
            figures["bytes_per_tenant"] = (bench.settled_rss(server) - empty) / maker.made
            results.append(figures)
            print_figures(figures)
    finally:
        server.stop()
    return results


def print_figures(figures):
    print(f"\n{figures['tenants']:,} tenants: starts in {figures['start_s']:.2f} s, peak "
          f"{figures['peak_bytes'] / 2**20:.0f} MiB, {figures['bytes_per_tenant']:.0f} bytes for each tenant")  # fmt: skip
    print(f"{'writers':>9}{'writes/s':>11}{'CPU us':>9}{'p50 us':>9}{'p99 us':>9}{'bare/s':>10}{'of bare':>9}")
    for writers, row in figures["writers"].items():
        print(f"{writers:>9}{row['writes_per_s']:>11,.0f}{row['cpu_us']:>9.0f}{row['p50_us']:>9.0f}{row['p99_us']:>9.0f}"
              f"{row['bare_per_s']:>10,.0f}{row['writes_per_s'] / row['bare_per_s']:>9.0%}")  # fmt: skip


def main():
    parser = argparse.ArgumentParser(prog="tools/bench/run --writes", description=__doc__)
    parser.add_argument("--binary", required=True, type=pathlib.Path, help="tenantd, built for release")
    parser.add_argument("--tools", required=True, type=pathlib.Path, help="directory of the built C programs")
    parser.add_argument("--sizes", type=lambda text: [int(size) for size in text.split(",")], metavar="N,N,...",
                        help="tenants, ascending (default: 1000,100000,1000000; of PostgreSQL: 1000,20000)")  # fmt: skip
    parser.add_argument("--postgresql", action="store_true", help="the store is a PostgreSQL, started for this")
    parser.add_argument("--count", type=int, default=2_000, help="of one writer; of more, four times as many")
    parser.add_argument("--quick", action="store_true", help="1,000 and 20,000 tenants, a quarter of the writes")
    parser.add_argument("--directory", type=pathlib.Path, help="where the stores are (default: a temporary one)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the results there too")
    options = parser.parse_args()
    if not options.sizes:
        options.sizes = [1_000, 20_000] if options.quick or options.postgresql else [1_000, 100_000, 1_000_000]
    if options.quick:
        options.count //= 4
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # not without stopping the server
    with tempfile.TemporaryDirectory(prefix="tenancy-bench-", dir=options.directory) as temporary:
        directory = pathlib.Path(temporary)
        with store(options, directory) as (settings, bare_loop):
            results = measure(options, directory, settings, bare_loop)
    if options.json:
        options.json.write_text(json.dumps({"cpus": os.cpu_count(), "results": results}, indent=2))


if __name__ == "__main__":
    main()
