"""Crowds that prove nothing: whoever comes after them is served, at once, wherever the crowd is from.

While they run, and afterwards, the server does what `support.siege` asks of it.
"""

import contextlib
import ssl
import threading
import time

import pytest

from support import http2, ttrpc
from support.attacker import client_hello, crowd, greeting
from support.http2 import HEADERS, PING, request as call
from support.interop import EMPTY, limits
from support.siege import Siege
from support.waiting import eventually

ROOM = 1200
"""Connections that the server takes, by its limit or for want of descriptors."""

CROWD = 1700

NEWCOMERS = 25

PATIENCE = 2.0
"""Seconds in which a newcomer must have its answer: those who are locked out wait for ten."""

ONE = ("127.0.0.1",)
MANY = tuple(f"127.0.0.{number}" for number in range(2, 32))


def newcomer(place) -> None:
    """Connects, and makes a call. Fails when it is not answered."""
    with place.connect(PATIENCE) as connection:
        connection.settimeout(PATIENCE)
        connection.sendall(greeting() + call(1, EMPTY))
        answer(connection, HEADERS)


def answer(connection, kind: int) -> None:
    """Reads until there is a frame of a kind. Fails when there is none."""
    received = b""
    while not any(f[0] == kind for f in http2.frames(received)):
        chunk = connection.recv(65_536)
        assert chunk, "it is closed"
        received += chunk


def come(place, seconds: float) -> None:
    """One newcomer after the other."""
    end = time.monotonic() + seconds
    count = 0
    while count < NEWCOMERS or time.monotonic() < end:
        newcomer(place)
        count += 1


@contextlib.contextmanager
def restless(place, opening: bytes, sources: tuple[str, ...], count: int = CROWD):
    """A crowd whose places are taken anew when the server closes them."""
    over = threading.Event()

    def come_again():
        # Not faster than the backlog of a Unix socket is taken: full, it refuses everybody. And not so
        # many hellos that to answer them takes all of the processor.
        while not over.wait(0.2 if len(opening) > 100 else 0.02):
            with crowd(place, 100, opening, sources):
                pass

    with crowd(place, count, opening, sources):
        thread = threading.Thread(target=come_again)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


@pytest.fixture
def besieged(interop_server, request):
    """Starts a server with a well-behaved client."""
    made = []

    def start(transport: str, *flags: str, **named) -> Siege:
        server = interop_server(transport, *flags, **named)
        made.append(Siege(server, request.config.getoption("--noise")))
        return made[-1]

    yield start
    for siege in made:
        siege.close()


@pytest.mark.parametrize("sources", [ONE, MANY], ids=["one address", "many addresses"])
@pytest.mark.parametrize("opening", ["nothing", "a byte", "a hello"])
@pytest.mark.parametrize("short", ["connections", "descriptors"])
def test_newcomers_are_served(besieged, seconds, sources, opening, short):
    siege = (besieged("tls", *limits(connections=ROOM)) if short == "connections"
             else besieged("tls", descriptors=ROOM))
    place = siege.server.place()
    hello = client_hello(place.tls)
    said = {"nothing": b"", "a byte": hello[:1], "a hello": hello}[opening]
    with siege.endured(), restless(place.without_tls(), said, sources):
        come(place, seconds)


@pytest.mark.parametrize("opening", [b"", http2.PREFACE, b"\0"], ids=["nothing", "h2", "ttrpc"])
def test_newcomers_of_a_unix_socket_are_served(besieged, seconds, opening):
    siege = besieged("unix", *limits(connections=ROOM))
    place = siege.server.place()
    with siege.endured(), restless(place, opening, ("",)):
        come(place, seconds)


@pytest.mark.parametrize("transport, opening", [
    ("unix", "nothing"), ("tcp", "nothing"), ("tcp", "half a preface"), ("tls", "a hello")])
def test_the_oldest_of_an_origin_goes(interop_server, transport, opening):
    """As many as allowed, and all stay; one more, and the first is closed."""
    # With one event loop it sees them in order.
    server = interop_server(transport, *limits(unproven_per_origin=5), "--event-loops", "1")
    place = server.place()
    said = {"nothing": b"", "half a preface": http2.PREFACE[:9],
            "a hello": client_hello(place.tls) if place.tls else b""}[opening]
    with crowd(place.without_tls(), 4, said) as first:
        newcomer(place)  # Who has proven something is not counted any more.
        with crowd(place.without_tls(), 1, said) as fifth:
            time.sleep(0.3)
            assert not any(is_closed(connection) for connection in [*first, *fifth])
            with crowd(place.without_tls(), 1, said) as sixth:
                eventually(lambda: is_closed(first[0]), "the oldest is closed")
                assert not any(is_closed(one) for one in [*first[1:], *fifth, *sixth])


@pytest.mark.parametrize("transport, opening", [("unix", ttrpc.request(1, "Echo", ttrpc.echo("x"))),
                                                ("tcp", greeting() + http2.ping()),
                                                ("tls", greeting() + http2.ping())])
def test_who_has_proven_something_stays(interop_server, transport, opening):
    server = interop_server(transport, *limits(unproven_per_origin=1, unproven_connections=1))
    with contextlib.ExitStack() as connections:
        proven = []
        for _ in range(5):
            [one] = connections.enter_context(crowd(server.place(), 1, opening))
            # Then the next may come. Not after the server's greeting: that it sends before it has read ours.
            if transport == "unix":
                assert one.recv(1)
            else:
                answer(one, PING)
            proven.append(one)
        with crowd(server.place().without_tls(), 3):
            newcomer(server.place())
        assert not any(is_closed(one) for one in proven)


def is_closed(connection) -> bool:
    connection.setblocking(False)
    try:
        while connection.recv(65_536):
            pass
        return True
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
