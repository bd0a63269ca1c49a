"""The process of a conformance server, for those who look at it as clients and those who attack it."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

from .waiting import eventually


def binary() -> str:
    path = os.environ.get("RPC_INTEROP_SERVER")
    if not path or not os.access(path, os.X_OK):
        raise RuntimeError("set RPC_INTEROP_SERVER to the rpc-interop-server binary under test")
    return os.path.abspath(path)


class ConformanceProcess:
    """Has a directory of its own; starts with `start`."""

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="interop-"))
        self.socket = self.directory / "socket"
        self._log: list[str] = []

    def start(self, command: list[str]) -> None:
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._log.append(line)
        self.process.stdout.close()

    def listening(self, address: str) -> re.Match:
        """Waits until the server says that it listens there; `address` is a pattern."""
        def said():
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended at once:\n{self.log}")
            return re.search(rf"^listening on {address}$", self.log, re.M)

        return eventually(said, "the server listens", 60)

    @property
    def log(self) -> str:
        return "".join(self._log)

    def stop(self, seconds: float = 20) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        shutil.rmtree(self.directory, ignore_errors=True)
