"""Runs the real `tenantd`."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

from .client import Client
from .pki import PKI, TRUST_DOMAIN
from .waiting import eventually


ISSUER = "https://tokens.e2e.test"
"""What `iss` of all tokens begins with."""


def binary() -> str:
    path = os.environ.get("TENANTD")
    if not path or not os.access(path, os.X_OK):
        raise RuntimeError("set TENANTD to the tenantd binary under test")
    return os.path.abspath(path)


class Server:
    """One data directory with its configuration, and at most one daemon on it at a time."""

    def __init__(self, directory: Path, pki: PKI, mode: str = "0600", **settings):
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.pki = pki
        # Paths of Unix sockets are limited to some hundred bytes: shorter than many a test's own.
        self.socket_directory = Path(tempfile.mkdtemp(prefix="tenantd-"))
        self.socket_directory.chmod(0o755)
        self.socket = self.socket_directory / "socket"
        self.data = directory / "data"
        self.master_key = directory / "master.key"
        self.new_master_key()
        self.settings = self._settings(mode) | settings
        self.process: subprocess.Popen | None = None
        self.port = 0
        self._log: list[str] = []
        self._reader: threading.Thread | None = None

    def _settings(self, mode: str) -> dict:
        certificate, key = self.pki.files
        return {
            "data_directory": str(self.data),
            "listeners": [{"unix": str(self.socket), "mode": mode}, {"tcp": "127.0.0.1:0"}],
            "tls": {"certificate": str(certificate), "private_key": str(key),
                    "client_ca": str(self.pki.authorities)},
            "identity": {"trust_domain": TRUST_DOMAIN,
                         "unix_users": [{"uid": os.getuid(), "roles": ["operator"]}]},
            "secrets": {"master_key": {"file": str(self.master_key)}},
            "tokens": {"issuer": ISSUER},
            # A resolver that nobody is: no test asks those of the system.
            "domains": {"resolvers": ["127.0.0.1:9"]},
            "resolution": {"base_domains": ["tenants.example", "apps.example.org"]},
        }

    @staticmethod
    def file_of(settings: dict) -> str:
        return json.dumps(settings, indent=2)

    def new_master_key(self) -> None:
        """Puts another one in its place."""
        draft = self.master_key.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(os.urandom(32).hex() + "\n")
        draft.rename(self.master_key)

    # MARK: Processes

    def launch(self, environment: dict[str, str] | None = None) -> subprocess.Popen:
        """Starts the daemon without waiting for it to listen."""
        assert self.process is None or self.process.poll() is not None, "it runs"
        file = self.directory / "tenantd.json5"
        file.write_text(self.file_of(self.settings))
        self._log = []
        self.process = subprocess.Popen(
            [binary(), "serve", "--config", str(file)], stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, env=environment)
        self._reader = threading.Thread(target=self._read, args=(self.process.stderr,), daemon=True)
        self._reader.start()
        return self.process

    def _read(self, stream) -> None:
        for line in stream:
            self._log.append(line)
        stream.close()

    def start(self, environment: dict[str, str] | None = None) -> "Server":
        self.launch(environment)

        def listening():
            found = re.findall(r"connection=127\.0\.0\.1:(\d+) .*listening", self.log)
            if self.process.poll() is not None:
                raise AssertionError(f"tenantd ended at once:\n{self.log}")
            return found and "serving" in self.log and found

        self.port = int(eventually(listening, "tenantd listens", 60)[0])
        return self

    def wait(self, seconds: float = 20) -> int:
        """Waits for the daemon's end; returns its exit status."""
        status = self.process.wait(seconds)
        self._reader.join()
        return status

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def pause(self) -> None:
        """Returns when it stands still: a signal takes a moment."""
        self.process.send_signal(signal.SIGSTOP)
        threads = Path(f"/proc/{self.process.pid}/task")
        eventually(lambda: all((thread / "stat").read_text().rpartition(")")[2].split()[0] == "T"
                               for thread in threads.iterdir()), "it stands still")

    def kill(self) -> None:
        """What a crash does: no code of the daemon runs any more."""
        self.process.kill()
        assert self.wait() == -signal.SIGKILL, self.log

    def close(self) -> None:
        """Ends it in any case, and tidies up."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.wait()
        shutil.rmtree(self.socket_directory)

    @property
    def log(self) -> str:
        return "".join(self._log)

    # MARK: Clients

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def operator(self) -> Client:
        """An operator on the Unix socket."""
        return Client(f"unix:{self.socket}")

    def client(self, credential=None) -> Client:
        """A client over mutual TLS."""
        return Client(self.address, credential, self.pki.python.pem)
