"""What tenantd tells who manages it, by the protocol of sd_notify(3)."""

import os
import signal
import socket

import pytest


class Manager:
    """The manager's end: a datagram socket."""

    def __init__(self, name: str):
        self.name = name
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name[1:] if name.startswith("@") else name)
        self.socket.settimeout(30)

    def environment(self, **more: str) -> dict[str, str]:
        return os.environ | {"NOTIFY_SOCKET": self.name} | more

    def told(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.socket.recv(4096).decode().splitlines())

    def nothing(self) -> bool:
        self.socket.setblocking(False)
        try:
            return not self.socket.recv(4096)
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(30)

    def next(self, key: str) -> dict[str, str]:
        """The next that is no sign of life, which must have this."""
        while "WATCHDOG" in (told := self.told()):
            pass
        assert key in told, told
        return told


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    name = str(tmp_path / "n") if request.param == "path" else f"@tenancy-{os.getpid()}-{os.urandom(4).hex()}"
    found = Manager(name)
    yield found
    found.socket.close()


def test_ready_reload_stop(make_server, manager):
    server = make_server()
    server.start(manager.environment())
    assert manager.next("READY")["READY"] == "1"
    with server.operator() as operator:
        operator.who()
    server.process.send_signal(signal.SIGHUP)
    assert manager.next("RELOADING")["MONOTONIC_USEC"].isdigit()
    manager.next("READY")
    server.process.send_signal(signal.SIGTERM)
    manager.next("STOPPING")
    assert server.wait() == 0
    assert manager.nothing()


def test_one_that_cannot_start_is_not_ready(make_server, manager):
    server = make_server(listeners=[{"unix": "/nowhere/at/all/socket"}])
    process = server.launch(manager.environment())
    assert process.wait(20) != 0
    assert manager.nothing()


def test_signs_of_life(make_server, manager):
    server = make_server()
    server.start(manager.environment(WATCHDOG_USEC="400000"))
    for _ in range(5):
        while "WATCHDOG" not in manager.told():
            pass
    # Of another process nothing is wanted.
    assert server.stop() == 0
    while not manager.nothing():
        pass
    server.start(manager.environment(WATCHDOG_USEC="400000", WATCHDOG_PID="1"))
    manager.next("READY")
    assert server.stop() == 0
    assert "STOPPING" in manager.told() and manager.nothing()


def test_nobody_need_listen(make_server, tmp_path):
    server = make_server()
    server.start(os.environ | {"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "100000"})
    with server.operator() as operator:
        operator.who()
    assert server.stop() == 0
