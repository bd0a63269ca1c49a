"""A PostgreSQL server of a test's own."""

import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "postgresql" / "server"


@functools.cache
def _template() -> tempfile.TemporaryDirectory:
    """Of their data: to make it takes longer than to copy it."""
    return tempfile.TemporaryDirectory(prefix="tenancy-pg-template-")


class PostgreSQL:
    def __init__(self):
        # Paths of Unix sockets are limited to some hundred bytes.
        self.directory = Path(tempfile.mkdtemp(prefix="tenancy-pg-"))
        self._process = subprocess.Popen(
            [SCRIPT, str(self.directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"TENANCY_POSTGRESQL_TEMPLATE": _template().name})
        answer = self._process.stdout.readline().split()
        assert answer[:1] == ["ready"], "PostgreSQL did not start: tools/install --tests"
        self.port = int(answer[1])

    def tell(self, command: str) -> None:
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline().strip() == "done", command

    @property
    def settings(self) -> dict:
        """For the `store` section of the daemon's configuration."""
        return {"postgresql": {
            "connection": f"host={self.directory} port={self.port} dbname=postgres user=tenancy",
            "connect_milliseconds": 1500, "statement_milliseconds": 1000}}

    def sql(self, sql: str) -> str:
        return subprocess.run(
            ["psql", "-h", self.directory, "-p", str(self.port), "-U", "tenancy", "-d", "postgres",
             "-AtqX", "-v", "ON_ERROR_STOP=1", "-c", sql],
            check=True, capture_output=True, text=True).stdout.strip()

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(60)
        shutil.rmtree(self.directory, ignore_errors=True)
