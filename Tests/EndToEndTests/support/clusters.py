"""A PostgreSQL that tenants' data is made in."""

import subprocess

ADMINISTRATOR = "provisioner"
DATABASE = "tenants"
TABLE = {"schema": "app", "table": "orders", "tenant_column": "tenant_id"}


class Cluster:
    """A database of a server, and a role that may make things in it and is no superuser."""

    def __init__(self, server, name: str = "one", **settings):
        self.server, self.name, self._settings = server, name, settings
        server.sql(f"CREATE ROLE {ADMINISTRATOR} LOGIN CREATEDB CREATEROLE")
        server.sql(f"CREATE DATABASE {DATABASE} OWNER {ADMINISTRATOR}")
        server.sql("REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC")
        self.sql("CREATE SCHEMA app; CREATE TABLE app.orders (tenant_id text, number int, note text,"
                 " PRIMARY KEY (tenant_id, number))")

    @property
    def settings(self) -> dict:
        """For the `clusters` of the daemon's configuration."""
        return {
            "name": self.name, "shared_tables": [TABLE],
            "postgresql": {
                "hosts": [f"{self.server.directory}:{self.server.port}"], "database": DATABASE,
                "user": ADMINISTRATOR, "connect_milliseconds": 1500,
            },
        } | self._settings

    def sql(self, sql: str, database: str = DATABASE) -> str:
        """As the administrator."""
        return self._psql(sql, ["-h", self.server.directory, "-U", ADMINISTRATOR, "-d", database]).stdout.strip()

    def attempt(self, access, sql: str, database: str | None = None):
        """As a tenant's login, by its password."""
        return self._psql(
            sql, ["-h", "127.0.0.1", "-U", access.username, "-d", database or access.database],
            check=False, PGPASSWORD=access.password)

    def login(self, access, sql: str, database: str | None = None) -> str:
        done = self.attempt(access, sql, database)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def _psql(self, sql, where, check=True, **environment):
        return subprocess.run(
            ["psql", "-p", str(self.server.port), "-AtqX", "-v", "ON_ERROR_STOP=1", *where, "-c", sql],
            check=check, capture_output=True, text=True, timeout=60,
            env={"PATH": "/usr/bin:/bin", "PGSSLMODE": "disable", **environment})

    def remains(self) -> list[str]:
        """What there is of tenants."""
        return self.server.sql(
            "SELECT 'role ' || rolname FROM pg_roles WHERE rolname LIKE 'tenant\\_%'"
            " UNION ALL SELECT 'database ' || datname FROM pg_database WHERE datname LIKE 'tenant\\_%'"
        ).splitlines() + self.sql(
            "SELECT 'schema ' || nspname FROM pg_namespace WHERE obj_description(oid, 'pg_namespace') LIKE 'tenant %'"
            " UNION ALL SELECT 'row ' || tenant_id FROM tenancy_cluster.tenants"
            " UNION ALL SELECT 'login ' || role_name FROM tenancy_cluster.logins"
            " UNION ALL SELECT 'order ' || tenant_id FROM app.orders").splitlines()
