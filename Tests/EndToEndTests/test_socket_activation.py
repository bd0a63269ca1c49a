"""Listeners on sockets that a service manager has bound, by the protocol of sd_listen_fds(3)."""

import contextlib
import fcntl
import json
import os
import re
import select
import signal
import socket
import subprocess
import threading

import pytest

from support.client import Client
from support.daemon import binary
from support.waiting import eventually


class Unit:
    """A socket unit: a Unix and a TCP socket, which stay while daemons come and go."""

    def __init__(self, server):
        self.server = server
        self.path = server.socket
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind(str(self.path))
        self.unix.listen(64)
        self.tcp = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.tcp.getsockname()[1]
        server.settings["listeners"] = [
            {"unix": str(self.path), "activation": "local"},
            {"tcp": f"127.0.0.1:{self.port}", "activation": "remote"}]
        self.processes = []

    def launch(self, sockets=None, names="local:remote", count=None, process="$$", **more):
        """Starts the daemon as systemd does: the sockets are descriptors from 3 on, and the variables name its pid."""
        sockets = [self.unix, self.tcp] if sockets is None else sockets
        file = self.server.directory / "tenantd.json5"
        file.write_text(json.dumps(self.server.settings))
        count = len(sockets) if count is None else count
        # Above those that they become: none overwrites another.
        copies = [fcntl.fcntl(one, fcntl.F_DUPFD, 20) for one in sockets]
        moves = " ".join(f"{3 + index}<&{copy} {copy}<&-" for index, copy in enumerate(copies))
        script = f'export LISTEN_PID={process} LISTEN_FDS={count}; exec "$@" {moves}'
        if names is not None:
            script = f"export LISTEN_FDNAMES={names}; {script}"
        log = open(self.server.directory / f"log-{len(self.processes)}", "w+")
        started = subprocess.Popen(
            ["bash", "-c", script, "bash", binary(), "serve", "--config", str(file)],
            stdout=subprocess.DEVNULL, stderr=log, pass_fds=copies, env=os.environ | more)
        for copy in copies:
            os.close(copy)
        started.log = log
        self.processes.append(started)
        return started

    def start(self, *arguments, **more):
        started = self.launch(*arguments, **more)
        eventually(lambda: started.poll() is not None or " serving" in text(started), "tenantd serves", 60)
        assert started.poll() is None, text(started)
        return started

    def remote(self) -> Client:
        """An operator over TCP."""
        pki = self.server.pki.python
        return Client(f"127.0.0.1:{self.port}", pki.platform("operator"), pki.pem)

    def refusal(self, *arguments, **more) -> str:
        started = self.launch(*arguments, **more)
        assert started.wait(30) != 0
        return text(started)

    def close(self):
        for one in self.processes:
            with contextlib.suppress(ProcessLookupError):
                one.kill()
            one.wait()
            one.log.close()
        self.unix.close()
        self.tcp.close()


def text(process) -> str:
    process.log.seek(0)
    return process.log.read()


def stop(process) -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0, text(process)


@pytest.fixture
def unit(make_server):
    found = Unit(make_server())
    yield found
    found.close()


def test_calls_over_both(unit):
    process = unit.start()
    with unit.server.operator() as operator:
        operator.create("acme")
    with unit.remote() as remote:
        assert remote.get("acme").slug == "acme"
    assert len(re.findall("detail=adopted", text(process))) == 2
    # Nobody it might start gets them.
    for descriptor in (3, 4):
        flags = open(f"/proc/{process.pid}/fdinfo/{descriptor}").read()
        assert int(re.search(r"flags:\s+(\d+)", flags)[1], 8) & os.O_CLOEXEC, flags
    stop(process)
    # The sockets are the manager's.
    assert unit.path.is_socket()


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_who_connects_during_a_restart_waits_and_is_served(unit, kind):
    first = unit.start()
    with unit.server.operator() as operator:
        operator.create("acme")
    stop(first)
    with unit.server.operator() if kind == "unix" else unit.remote() as client:
        answers = []
        caller = threading.Thread(target=lambda: answers.append(client.get("acme")))
        caller.start()
        listener = unit.unix if kind == "unix" else unit.tcp
        eventually(lambda: waits(listener), "the connection is in the backlog")
        assert not answers
        second = unit.start()
        caller.join()
        assert answers[0].slug == "acme"
        stop(second)


def waits(listener) -> bool:
    """Whether a connection is there to be accepted."""
    listener.setblocking(False)
    return bool(select.select([listener], [], [], 0)[0])


def test_one_name_for_both(unit):
    for listener in unit.server.settings["listeners"]:
        listener["activation"] = "tenantd"
    process = unit.start(sockets=[unit.tcp, unit.unix], names="tenantd:tenantd")
    with unit.server.operator() as operator:
        operator.who()
    stop(process)


def test_beside_one_that_is_bound_here(unit):
    unit.server.settings["listeners"] = [
        {"unix": str(unit.path) + "2", "mode": "0600"}, {"tcp": "127.0.0.1:0", "activation": "remote"}]
    process = unit.start(sockets=[unit.tcp], names="remote")
    assert f"connection=127.0.0.1:{unit.port} " in text(process)
    with Client(f"unix:{unit.path}2") as operator:
        operator.who()
    stop(process)
    assert not os.path.exists(f"{unit.path}2") and unit.path.is_socket()


def test_variables_for_another_process_are_not_heeded(unit):
    unit.server.settings["listeners"] = [{"unix": str(unit.path) + "2"}]
    process = unit.start(process="1")
    stop(process)
    assert "adopted" not in text(process)


@pytest.mark.parametrize("arguments, why", [
    ({"process": "1"}, "listeners[0]: activation: no socket named local was passed"),
    ({"names": "local:other"}, "listeners[1]: activation: no socket named remote was passed"),
    ({"names": None}, "no socket named local was passed"),
    ({"names": "remote:local"}, "what is named local is no Unix socket that listens"),
    ({"names": "local"}, "LISTEN_FDNAMES: 1 names for 2 descriptors"),
    ({"count": "x"}, "LISTEN_FDS: a number from 0 to 4096 is expected"),
    ({"count": "99", "names": None}, "is not open"),
])
def test_what_does_not_fit_is_an_error(unit, arguments, why):
    assert why in unit.refusal(**arguments)
    assert unit.path.is_socket()


def test_a_socket_that_no_listener_takes(unit):
    del unit.server.settings["listeners"][1]
    assert "a socket named remote was passed to this process, and no listener has" in unit.refusal()


def test_sockets_of_the_wrong_kind(unit, tmp_path):
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", 0))
    deaf = socket.socket(socket.AF_INET)
    deaf.bind(("127.0.0.1", 0))
    with datagrams, deaf, open(tmp_path / "file", "w") as file:
        for other in (datagrams, deaf, file):
            assert "what is named remote is no TCP socket that listens" in unit.refusal(
                sockets=[unit.unix, other])


def test_plain_text_only_on_loopback(unit):
    unit.server.settings["listeners"][1]["insecure"] = True
    unit.server.settings["identity"]["insecure_roles"] = ["viewer"]
    with socket.create_server(("0.0.0.0", 0)) as everywhere:
        assert "the socket is not on loopback, and has no TLS" in unit.refusal(
            sockets=[unit.unix, everywhere])
    stop(unit.start())


@pytest.mark.parametrize("more, why", [
    ({"mode": "0600"}, "mode and group: with activation, the socket unit says them"),
    ({"group": "0"}, "mode and group: with activation, the socket unit says them"),
    ({"activation": "a:b"}, "activation: a name, in which there is no colon"),
    ({"activation": ""}, "activation: a text is expected"),
])
def test_settings(unit, more, why):
    unit.server.settings["listeners"][0] |= more
    assert f"listeners[0].{why}" in unit.refusal()
