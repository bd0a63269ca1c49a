"""What must hold while a server is attacked, and afterwards."""

import contextlib
import time

from .interop import EMPTY, InteropServer
from .probe import Probe, Report
from .waiting import eventually

MEBIBYTE = 1024

LARGEST_GROWTH = 64 * MEBIBYTE
"""KiB that the server may grow during an attack."""

KEPT = 16 * MEBIBYTE
"""KiB of an attack that a server may keep for longer than a minute."""

LARGEST_P99 = 0.5
"""Seconds that 99 of 100 calls of a well-behaved client take at most."""

SLOWDOWN = 10
"""Times the quiet p99 that the p99 under attack may be."""

QUIET = 0.4
"""Seconds without attackers that what is quiet is measured in: some forty calls."""

SPARE = 2
"""Descriptors that a server opens once, some time after its start."""

IDLE = 0.25
"""Processor seconds a second that a server without attackers may use."""


class Siege:
    """A server with a well-behaved client that calls all the time."""

    def __init__(self, server: InteropServer, noise: float, path: str = EMPTY, contents: str = "0"):
        """A p99 below `noise` seconds is not held against the server. The client calls `path` with
        messages as `contents` says (`support.probe`)."""
        self.server = server
        self._noise = noise
        self._path = path
        self._probe = Probe(server.target, path, server.files, contents)
        self._probe.report()
        time.sleep(QUIET)
        self.quiet = self._probe.report().quantile(0.99)
        self._descriptors = server.descriptors + SPARE

    @contextlib.contextmanager
    def endured(self, growth: int = LARGEST_GROWTH):
        """The block is an attack that must not be felt."""
        before = self.server.reset_peak()
        self._probe.report()
        yield
        report = self._probe.report()
        grown = self.server.peak - before
        assert self.server.process.poll() is None, f"the server ended:\n{self.server.log[-4000:]}"
        self._judge(report)
        assert grown < growth, f"grew by {grown} KiB"
        self._recover()

    @contextlib.contextmanager
    def endured_and_forgotten(self, growth: int = LARGEST_GROWTH):
        """The same; not one call of the well-behaved client is slow, and memory is given back."""
        before = self.server.resident
        with self.endured(growth):
            yield
        assert self.worst < LARGEST_P99, f"{self.worst * 1e3:.0f} ms"
        eventually(lambda: self.server.resident < before + KEPT, "memory is given back", 60)

    def _judge(self, report: Report) -> None:
        assert not report.failures, f"{len(report.failures)} of {report.count}: {report.failures[0]}"
        assert report.count > 5, "the well-behaved client was hardly served"
        self.worst = report.worst
        p99 = report.quantile(0.99)
        allowed = min(LARGEST_P99, max(self._noise, SLOWDOWN * self.quiet))
        assert p99 <= allowed, f"p99 {p99 * 1e3:.0f} ms; quiet {self.quiet * 1e3:.1f} ms"

    def _recover(self) -> None:
        """Nothing of the attack is left: no connection, no work."""
        eventually(lambda: self.server.descriptors <= self._descriptors,
                   "the attackers' connections are closed")

        def idle() -> bool:
            before = self.server.processor_time
            time.sleep(0.2)
            return self.server.processor_time - before < IDLE * 0.2

        eventually(idle, "the server has nothing to do")
        Probe(self.server.target, self._path, self.server.files).close()  # Newcomers are served.

    def close(self) -> None:
        self._probe.close()
