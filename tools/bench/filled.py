"""Fills a stopped server's store with tenants, for what would take hours over the API: copies of one that the
server has made itself, row for row, each with an id and names of its own. Of the log only that each was made is
copied: it would be several GB, and is not read by a start. Audit records are not copied, and none are forged:
a copy has no chain before the server's next record of it, as a tenant of the time before there were chains.
`tenantd check` finds such a store sound."""

import contextlib
import sqlite3

#: What a tenant's rows in them say holds for this tenant only: a sealed secret opens at its place, and a
#: request's id is given once.
UNIQUE = "secrets", "requests"


def rows(db, table, tenant):
    """The rows of a tenant in a table; none if the table knows no tenants."""
    columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    key = "id" if table == "tenants" else "tenant_id"
    if key not in columns:
        return []
    found = db.execute(f"SELECT * FROM {table} WHERE {key} = ?", (tenant,)).fetchall()
    return [dict(zip(columns, row, strict=True)) for row in found]


class Copies:
    """Copies of what a database holds of one tenant."""

    def __init__(self, path, tenant, slug):
        self._db = sqlite3.connect(path, isolation_level=None)
        self._old = tenant, slug
        self._revision = None
        tables = [name for (name,) in self._db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        self._rows = [(table, row) for table in tables for row in rows(self._db, table, tenant)]
        if unique := {table for table, _ in self._rows}.intersection(UNIQUE):
            raise ValueError(f"{tenant} can't be copied: it has rows in {', '.join(sorted(unique))}")
        if "log" in tables:
            (self._revision,) = self._db.execute("SELECT max(revision) FROM log").fetchone()
            self._rows = [pair for pair in self._rows if pair[1].get("action", "tenants.create") == "tenants.create"]

    def add(self, tenants):
        """`tenants` are pairs of id and slug."""
        (old, slug) = self._old
        self._db.execute("PRAGMA synchronous = OFF")  # closed before the server reads it
        self._db.execute("BEGIN IMMEDIATE")
        for table, row in self._rows:
            marks = ", ".join("?" * len(row))
            self._db.executemany(f"INSERT INTO {table} VALUES ({marks})",
                                 self._copies(table, row, tenants, old, slug))  # fmt: skip
        self._db.execute("COMMIT")
        if self._revision is not None:
            self._revision += len(tenants)

    def _copies(self, table, row, tenants, old, slug):
        for number, (tenant, new) in enumerate(tenants, 1):
            yield tuple(
                self._revision + number if table == "log" and column == "revision"
                else value.replace(old, tenant).replace(slug, new) if isinstance(value, str)
                else value
                for column, value in row.items()
            )  # fmt: skip

    def close(self):
        self._db.close()


def fill(data, sample, slugs, step=50_000):
    """Adds tenants of these slugs, which are as `sample`, a tenant of the API with data in shared tables only.
    Its slug must be part of nothing else that its rows say."""
    old = sample.name.removeprefix("tenants/")
    time, rest = int(old[:8] + old[9:13], 16), old[18:]
    with contextlib.ExitStack() as stack:
        databases = []
        for path in "tenancy.sqlite", "tenants/shared.sqlite":
            copies = Copies(data / path, old, sample.slug)
            stack.callback(copies.close)
            databases.append(copies)
        for start in range(0, len(slugs), step):
            tenants = []
            for number, slug in enumerate(slugs[start : start + step], start + 1):
                later = f"{time + 1 + number // 4096:012x}"  # so that ids rise, as those of the server do
                tenants.append((f"{later[:8]}-{later[8:]}-7{number % 4096:03x}{rest}", slug))
            for copies in databases:
                copies.add(tenants)
