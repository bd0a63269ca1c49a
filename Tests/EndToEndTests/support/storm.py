"""Clients with valid credentials that call without end, in a process of their own.

Run as `python -m support.storm TARGET AUTHORITY CERTIFICATE KEY CONNECTIONS GROUP...`, the groups being
lists of calls in `support.nasty`. Ends with its input, and tells how calls ended, as JSON.
"""

import collections
import json
import subprocess
import sys
import threading
from pathlib import Path

AT_ONCE = 4
"""Calls of a connection that are under way."""


def main(target: str, authority: str, certificate: str, key: str, connections: str, *groups: str):
    import grpc

    from . import nasty

    calls = [call for group in groups for call in getattr(nasty, group)]
    files = (Path(file).read_bytes() for file in (authority, key, certificate))
    credentials = grpc.ssl_channel_credentials(*files)
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 1 << 26)]
    lock, codes, ended = threading.Lock(), collections.Counter(), threading.Event()

    def flood(number: int) -> None:
        channel = grpc.secure_channel(target, credentials, options)
        while not ended.is_set():
            path, request = calls[number % len(calls)]
            number += 1
            call = channel.unary_unary(f"/tenancy.v1.{path}")
            waiting = [call.future(request, timeout=20) for _ in range(AT_ONCE)]
            for future in waiting:
                with lock:
                    codes[future.code().name] += 1

    threads = [threading.Thread(target=flood, args=(number,), daemon=True)
               for number in range(int(connections))]
    for thread in threads:
        thread.start()
    print("begun", flush=True)
    sys.stdin.read()
    ended.set()
    for thread in threads:
        thread.join(30)
    print(json.dumps(codes), flush=True)


class Storm:
    """The clients, seen from the test."""

    def __init__(self, target: str, files: tuple, connections: int, *groups: str):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.storm", target, *map(str, files), str(connections),
             *groups],
            cwd=Path(__file__).resolve().parents[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True)
        assert self._process.stdout.readline() == "begun\n"

    def end(self) -> dict[str, int]:
        """How many calls ended with which code."""
        output, _ = self._process.communicate(timeout=60)
        return json.loads(output)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
