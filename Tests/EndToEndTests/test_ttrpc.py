"""ttrpc: the Go client of containerd/ttrpc for unary calls, and streams frame by frame."""

import re
import subprocess
from pathlib import Path

import pytest

from support import ttrpc
from support.ttrpc import (
    DATA, NO_DATA, REMOTE_CLOSED, REMOTE_OPEN, REQUEST, RESPONSE, echo, frame, request)
from support.wire import number

GO = Path(__file__).with_name("ttrpc_go")
CHECKS = re.findall(r'^\t"([a-z-]+)": +\w+,$', (GO / "main.go").read_text(), re.MULTILINE)

INTERNAL, UNIMPLEMENTED, RESOURCE_EXHAUSTED, INVALID_ARGUMENT = 13, 12, 8, 3


@pytest.fixture(scope="session")
def go_client(tmp_path_factory) -> Path:
    """Built with Debian's packages."""
    built = tmp_path_factory.mktemp("ttrpc") / "client"
    environment = {"PATH": "/usr/bin:/bin", "GO111MODULE": "off", "GOPATH": "/usr/share/gocode",
                   "GOCACHE": str(tmp_path_factory.getbasetemp() / "go")}
    subprocess.run(["go", "build", "-o", built, "."], cwd=GO, env=environment, check=True)
    return built


@pytest.fixture(scope="module", params=["unix", "tls"])
def server(request, pki):
    from support.interop import InteropServer

    server = InteropServer(request.param, pki)
    try:
        yield server
    finally:
        server.close()


@pytest.mark.parametrize("check", CHECKS)
def test_go_client(server, go_client, check):
    subprocess.run([go_client, check, server.target, *server.files], check=True, timeout=60)


class Peer:
    """A connection that speaks ttrpc by hand."""

    def __init__(self, server):
        self._socket = server.place("ttrpc").connect()
        self._received = b""

    def send(self, *frames: bytes) -> None:
        self._socket.sendall(b"".join(frames))

    def next(self) -> tuple[int, int, int, bytes]:
        """The next frame: stream, kind, flags, content."""
        while not (found := ttrpc.frames(self._received)):
            chunk = self._socket.recv(65_536)
            assert chunk, "the server closed"
            self._received += chunk
        self._received = self._received[10 + len(found[0][3]):]
        return found[0]

    def status(self, stream: int) -> tuple[int, str]:
        """That of the response which must come next."""
        found, kind, _, content = self.next()
        assert (found, kind) == (stream, RESPONSE)
        return ttrpc.status(content)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def peer(server):
    """After every test the connection goes on."""
    peer = Peer(server)
    yield peer
    peer.send(request(99_999, "Echo", echo("still here")))
    while (found := peer.next())[0] != 99_999:
        pass
    assert ttrpc.payload(found[3]) == echo("still here", 1)
    peer.close()


def part(value: int) -> bytes:
    """`Part` with a value that is not negative."""
    return number(1, value) if value else b""


def test_echo(peer):
    peer.send(request(1, "Echo", echo("hello", 41)))
    stream, kind, flags, content = peer.next()
    assert (stream, kind, flags) == (1, RESPONSE, 0)
    assert ttrpc.payload(content) == echo("hello", 42)


def test_echo_stream(peer):
    """What comes back, comes back at once; then both sides are closed."""
    peer.send(request(1, "EchoStream", flags=REMOTE_OPEN))
    for sequence in range(100):
        peer.send(frame(1, DATA, 0, echo(f"message {sequence}", sequence)))
        assert peer.next() == (1, DATA, 0, echo(f"message {sequence}", sequence + 1))
    peer.send(frame(1, DATA, REMOTE_CLOSED | NO_DATA))
    ends(peer, 1)


def ends(peer: Peer, stream: int) -> None:
    """A stream ends by DATA with the flag for it, or by a response that says OK."""
    found, kind, flags, content = peer.next()
    assert found == stream
    if kind == DATA:
        assert (flags, content) == (REMOTE_CLOSED | NO_DATA, b"")
    else:
        assert kind == RESPONSE and ttrpc.status(content) == (0, "")


def test_sum_stream(peer):
    peer.send(request(1, "SumStream", flags=REMOTE_OPEN))
    peer.send(*(frame(1, DATA, 0, part(n)) for n in range(100)))
    peer.send(frame(1, DATA, REMOTE_CLOSED | NO_DATA))
    _, kind, _, content = peer.next()
    assert kind == RESPONSE
    assert ttrpc.payload(content) == number(1, sum(range(100))) + number(2, 100)


def test_the_last_message_may_close(peer):
    peer.send(request(1, "SumStream", flags=REMOTE_OPEN), frame(1, DATA, REMOTE_CLOSED, part(5)))
    assert ttrpc.payload(peer.next()[3]) == number(1, 5) + number(2, 1)


def test_empty_data_is_a_message(peer):
    """PROTOCOL.md: zero length without `no data` is an empty object."""
    peer.send(request(1, "SumStream", flags=REMOTE_OPEN), frame(1, DATA) * 3,
              frame(1, DATA, REMOTE_CLOSED | NO_DATA))
    assert ttrpc.payload(peer.next()[3]) == number(2, 3)


def test_divide_stream(peer):
    peer.send(request(1, "DivideStream", number(1, 392) + number(2, 30), flags=REMOTE_CLOSED))
    total = 0
    for _ in range(30):
        stream, kind, flags, content = peer.next()
        assert (stream, kind) == (1, DATA)
        if not flags & NO_DATA:
            total += ttrpc._fields(content).get(1, 0)
    assert total == 392
    ends(peer, 1)


@pytest.mark.parametrize("method", ["EchoNull", "EchoNullStream"])
def test_null(peer, method):
    peer.send(request(1, method, flags=REMOTE_OPEN))
    peer.send(*(frame(1, DATA, 0, echo("non-empty empty", n)) for n in range(100)))
    peer.send(frame(1, DATA, REMOTE_CLOSED | NO_DATA))
    if method == "EchoNullStream":
        for _ in range(1000):
            assert peer.next() == (1, DATA, 0, b"")
        ends(peer, 1)
    else:
        assert peer.status(1) == (0, "")


def test_empty_payload_stream(peer):
    peer.send(request(1, "EmptyPayloadStream", flags=REMOTE_CLOSED))
    assert [peer.next() for _ in range(2)] == [(1, DATA, 0, number(1, n)) for n in (1, 2)]
    ends(peer, 1)


def test_streams_side_by_side(peer):
    streams = range(1, 101, 2)
    peer.send(*(request(stream, "EchoStream", flags=REMOTE_OPEN) for stream in streams))
    peer.send(*(frame(s, DATA, 0, echo(f"{s}-{n}")) for n in range(10) for s in streams))
    found: dict[int, list[bytes]] = {}
    for _ in range(500):
        stream, kind, _, content = peer.next()
        assert kind == DATA
        found.setdefault(stream, []).append(content)
    assert found == {s: [echo(f"{s}-{n}", 1) for n in range(10)] for s in streams}
    peer.send(*(frame(stream, DATA, REMOTE_CLOSED | NO_DATA) for stream in streams))
    for _ in streams:
        peer.next()


# Frames that break the rules: an error for the stream, and the connection goes on.

def test_a_message_over_the_limit(peer):
    peer.send(frame(1, REQUEST, 0, bytes(ttrpc.LARGEST_MESSAGE + 1)))
    assert peer.status(1)[0] == RESOURCE_EXHAUSTED


def test_the_largest_message(peer):
    empty = ttrpc.envelope("Echo", echo(""))
    msg = "x" * (ttrpc.LARGEST_MESSAGE - len(empty) - 40)
    peer.send(request(1, "Echo", echo(msg)))
    assert ttrpc.payload(peer.next()[3]) == echo(msg, 1)


def test_an_envelope_that_is_none(peer):
    peer.send(frame(1, REQUEST, 0, b"\xff\xff\xff"))
    assert peer.status(1)[0] in (INVALID_ARGUMENT, INTERNAL)


def test_unknown_methods(peer):
    peer.send(request(1, "Nothing"), request(3, "Echo", service="no.Service"))
    assert [peer.status(1)[0], peer.status(3)[0]] == [UNIMPLEMENTED] * 2


@pytest.mark.parametrize("frames", [
    frame(7, DATA, 0, b"x"), frame(7, DATA, REMOTE_CLOSED | NO_DATA), frame(8, DATA, 0, b"x"),
    request(1, "Echo", echo("x")) + frame(1, DATA, 0, b"late"),
], ids=["unknown", "closes unknown", "even", "after the end"])
def test_data_for_no_stream(peer, frames):
    """One such frame must not end the server, nor the connection's other calls."""
    peer.send(request(21, "EchoStream", flags=REMOTE_OPEN), frames, frame(21, DATA, 0, echo("x")))
    while (found := peer.next())[0] != 21:
        pass
    assert found == (21, DATA, 0, echo("x", 1))
