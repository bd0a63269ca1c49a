"""A tenant's administrator who assigns a role as often as the server lets them, in a process of its own.

Run as `python -m support.flood TARGET AUTHORITY CERTIFICATE KEY TENANT CONNECTIONS IN_FLIGHT`. Ends with
its input, and tells how calls ended, as JSON.
"""

import collections
import json
import subprocess
import sys
import threading
from pathlib import Path


def main(target: str, authority: str, certificate: str, key: str, tenant: str, connections: str,
         in_flight: str):
    import grpc

    from . import api

    files = (Path(file).read_bytes() for file in (authority, key, certificate))
    credentials = grpc.ssl_channel_credentials(*files)
    codes, ended = collections.Counter(), threading.Event()
    lock = threading.Lock()

    def flood(number: int) -> None:
        channel = grpc.secure_channel(target, credentials, [("grpc.use_local_subchannel_pool", 1)])
        stub = api.authz_grpc.AuthorizationStub(channel)
        waiting, sent = collections.deque(), 0

        def finish() -> None:
            code = waiting.popleft().code().name
            with lock:
                codes[code] += 1

        while not ended.is_set():
            sent += 1
            waiting.append(stub.CreateRoleAssignment.future(api.authz.CreateRoleAssignmentRequest(
                parent=tenant, assignment=api.authz.RoleAssignment(
                    subject=f"user:{number}-{sent}", role="tenant-viewer")), timeout=60))
            if len(waiting) == int(in_flight):
                finish()
        while waiting:
            finish()

    threads = [threading.Thread(target=flood, args=(number,)) for number in range(int(connections))]
    for thread in threads:
        thread.start()
    print("begun", flush=True)
    sys.stdin.read()
    ended.set()
    for thread in threads:
        thread.join()
    print(json.dumps(codes), flush=True)


class Flood:
    """It, seen from the test."""

    def __init__(self, target: str, files: tuple, tenant: str, connections: int, in_flight: int):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.flood", target, *map(str, files), tenant,
             str(connections), str(in_flight)],
            cwd=Path(__file__).resolve().parents[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True)
        assert self._process.stdout.readline() == "begun\n"

    def end(self) -> dict[str, int]:
        """How many calls ended with which code."""
        output, _ = self._process.communicate(timeout=90)
        return json.loads(output)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
