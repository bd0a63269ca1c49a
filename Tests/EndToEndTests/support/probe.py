"""A well-behaved client in a process of its own, so that an attacker's work is not counted as its time.

Run as `python -m support.probe TARGET PATH [CA CERTIFICATE KEY]`. Calls PATH with an empty message, a
hundred times a second. For every line on its input it tells of the calls since the last, as JSON.
"""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

PAUSE = 0.01
"""Seconds between calls."""

DEADLINE = 5.0
"""Seconds after which a call counts as failed."""


def main(target: str, path: str, *files: str) -> None:
    import grpc

    options = [("grpc.use_local_subchannel_pool", 1)]
    if files:
        authority, certificate, key = (Path(file).read_bytes() for file in files)
        channel = grpc.secure_channel(
            target, grpc.ssl_channel_credentials(authority, key, certificate), options)
    else:
        channel = grpc.insecure_channel(target, options)
    call = channel.unary_unary(path)
    call(b"", timeout=30, wait_for_ready=True)
    print("ready", flush=True)

    lock, times, failures = threading.Lock(), [], []

    def calls() -> None:
        while True:
            start = time.monotonic()
            try:
                call(b"", timeout=DEADLINE)
            except grpc.RpcError as error:
                with lock:
                    failures.append(f"{error.code().name}: {error.details()}")
            with lock:
                times.append(time.monotonic() - start)
            time.sleep(PAUSE)

    threading.Thread(target=calls, daemon=True).start()
    for _ in sys.stdin:
        with lock:
            report = {"times": times[:], "failures": failures[:]}
            times.clear()
            failures.clear()
        print(json.dumps(report), flush=True)


class Report:
    def __init__(self, times: list[float], failures: list[str]):
        self.failures = failures
        self.count = len(times)
        self._times = sorted(times)

    def quantile(self, part: float) -> float:
        """Seconds."""
        return self._times[min(self.count - 1, int(self.count * part))]


class Probe:
    """The client, seen from the test."""

    def __init__(self, target: str, path: str, files: tuple = ()):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.probe", target, path, *map(str, files)],
            cwd=Path(__file__).resolve().parents[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True)
        assert self._process.stdout.readline() == "ready\n", "the well-behaved client is not served"

    def report(self) -> Report:
        """Of the calls since the last report."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Report(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.kill()
        self._process.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
