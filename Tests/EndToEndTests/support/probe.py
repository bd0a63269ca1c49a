"""A well-behaved client in a process of its own, so that an attacker's work is not counted as its time.

Run as `python -m support.probe TARGET PATH CONTENTS [CA CERTIFICATE KEY]`. Calls PATH a hundred times a
second, with each of CONTENTS in turn: bytes of the message, and `z` behind them where it is to be packed.
For every line on its input it tells of the calls since the last, as JSON.
"""

import itertools
import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

from .wire import field

PAUSE = 0.01
"""Seconds between calls."""

DEADLINE = 5.0
"""Seconds after which a call counts as failed."""


UNKNOWN_FIELD = 2000
"""A field that no message has: whoever reads it skips it."""


def text(size: int) -> bytes:
    """What packs as well as most of what people send: to a fifth or so."""
    source = random.Random(1)
    words = [source.randbytes(4).hex().encode() for _ in range(200)]
    return b" ".join(source.choices(words, k=size // 9 + 1))[:size]


def main(target: str, path: str, contents: str, *files: str) -> None:
    import grpc

    messages = []
    for content in contents.split(","):
        size = int(content.rstrip("z"))
        packing = grpc.Compression.Gzip if content.endswith("z") else grpc.Compression.NoCompression
        messages.append((field(UNKNOWN_FIELD, text(size)) if size else b"", packing))

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
        for content, packing in itertools.cycle(messages):
            start = time.monotonic()
            try:
                call(content, timeout=DEADLINE, compression=packing)
            except grpc.RpcError as error:
                with lock:
                    failures.append(
                        f"{len(content)} bytes: {error.code().name}: {error.details()}")
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

    @property
    def worst(self) -> float:
        """Seconds."""
        return self._times[-1]

    def quantile(self, part: float) -> float:
        """Seconds."""
        return self._times[min(self.count - 1, int(self.count * part))]


class Probe:
    """The client, seen from the test."""

    def __init__(self, target: str, path: str, files: tuple = (), contents: str = "0"):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.probe", target, path, contents, *map(str, files)],
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
