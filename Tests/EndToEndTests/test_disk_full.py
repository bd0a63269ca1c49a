"""A disk that takes no more, and then does again.

Without a file system of its own, for which it would have to be mounted: the process' files may not grow. Either so
that each such write has no room (ENOSPC, of which SQLite knows that nothing was committed), or beyond a limit
(EFBIG, which is to it as a failing block: whether something was is unknown).
"""

import os
import resource
import subprocess
import threading
import time
from pathlib import Path

import grpc
import pytest

from support import api
from support.daemon import binary
from support.waiting import eventually

FAILED, WORKS = "the store has failed", "the store works again"


SOURCE = Path(__file__).resolve().parents[1] / "durability" / "fulldisk.c"


class FullFileSystem:
    """Files can't grow, and be overwritten."""

    def __init__(self, directory):
        library, self.switch = directory / "libfulldisk.so", directory / "full"
        subprocess.run(["cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
                        "-o", library, SOURCE, "-ldl"], check=True)
        self.environment = os.environ | {
            "LD_PRELOAD": str(library), "FULLDISK_SWITCH": str(self.switch)}

    def fill(self, _):
        self.switch.touch()

    def make_room(self, _):
        self.switch.unlink()


class Limit:
    """Nothing can be written at all."""

    environment = None

    def __init__(self, _):
        pass

    def fill(self, process):
        _, self.hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, self.hard))

    def make_room(self, process):
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (self.hard, self.hard))


class Writer(threading.Thread):
    """Creates tenants, at its own pace, until it is told to end."""

    def __init__(self, client, name, acknowledged, done):
        super().__init__()
        self.client, self.name, self.acknowledged, self.done = client, name, acknowledged, done
        self.refused, self.others = 0, []

    def run(self):
        number = 0
        while not self.done.is_set():
            slug = f"{self.name}-{number}"
            number += 1
            try:
                self.acknowledged.add(self.client.create(slug, api.SHARED).slug)
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    self.others.append(error)
                self.refused += 1
                self.done.wait(0.02)


def names(client):
    found, token = set(), ""
    while True:
        page = client.manager.ListTenants(
            api.manager.ListTenantsRequest(page_size=1000, page_token=token), timeout=20)
        found |= {tenant.slug for tenant in page.tenants}
        token = page.next_page_token
        if not token:
            return found


@pytest.mark.parametrize("kind", [FullFileSystem, Limit])
def test_a_full_disk(make_server, tmp_path, kind):
    disk = kind(tmp_path)
    server = make_server().start(disk.environment)
    acknowledged, done = set(), threading.Event()
    clients = [server.operator() for _ in range(4)]
    writers = [Writer(client, f"w{number}", acknowledged, done)
               for number, client in enumerate(clients)]
    with server.operator() as client:
        client.create("before", api.SHARED)
        for writer in writers:
            writer.start()
        eventually(lambda: len(acknowledged) > 50, "they write")
        assert FAILED not in server.log
        disk.fill(server.process)
        # Longer than it takes to look into the store a few times.
        end = time.monotonic() + 3.5
        eventually(lambda: time.monotonic() > end and all(w.refused > 20 for w in writers),
                   "writes are refused", 60)
        assert client.get("before").slug == "before"
        assert len(names(client)) >= len(acknowledged)
        # However many have failed.
        assert server.log.count(FAILED) == 1 and WORKS not in server.log
        written = len(acknowledged)
        disk.make_room(server.process)
        assert client.create("after", api.SHARED).slug == "after"
        eventually(lambda: len(acknowledged) > written + 20, "they go on")
        done.set()
        for writer in writers:
            writer.join()
            assert not writer.others
        eventually(lambda: WORKS in server.log, "it is logged")
        assert server.log.count(FAILED) == 1 and server.log.count(WORKS) == 1
    for client in clients:
        client.close()
    server.kill()
    server.start()
    with server.operator() as client:
        assert acknowledged | {"before", "after"} <= names(client)
    assert server.stop() == 0
    check = subprocess.run([binary(), "check", "--data-directory", str(server.data)],
                           capture_output=True, text=True, timeout=60)
    assert check.returncode == 0, check.stdout + check.stderr
