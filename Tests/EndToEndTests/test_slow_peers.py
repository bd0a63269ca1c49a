"""Peers that go on for ever without getting anywhere are cut in time, and those that rest are left alone."""

import contextlib
import socket
import threading
import time

import pytest

from support import http2, ttrpc
from support.attacker import greeting
from support.http2 import CONTINUATION, END_HEADERS, data, fields, frame, headers, ping, request
from support.interop import EMPTY, FULL_DUPLEX, UNARY, limits
from support.raw import read_all
from support.waiting import eventually

pytestmark = pytest.mark.quiet

LIMIT = 1.0
"""Seconds that servers here are told to be patient."""

LATEST = 3.0
"""Seconds until a peer that is cut must have noticed."""


@contextlib.contextmanager
def dripping(connection, drops, pause: float):
    """Sends a drop every now and then until the block ends or the server closes."""
    over = threading.Event()

    def drip():
        with contextlib.suppress(OSError):
            for drop in drops:
                if over.wait(pause):
                    return
                connection.sendall(drop)

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def cut_after(connection) -> float:
    """Seconds until the server closes."""
    start = time.monotonic()
    connection.settimeout(3 * LATEST)
    read_all(connection)
    return time.monotonic() - start


def answer(connection, stream: int, received: bytes = b"") -> bytes:
    """What comes until a call is answered, behind `received`."""
    connection.settimeout(2 * LATEST)
    while not any(f[0] == http2.HEADERS and f[2] == stream for f in http2.frames(received)):
        chunk = connection.recv(65_536)
        assert chunk, "the server has closed the connection"
        received += chunk
    return received


def bytes_of(content: bytes):
    return (bytes([byte]) for byte in content)


BEGUN = greeting() + headers(1, fields(EMPTY), complete=False)

# What is said first, what then every now and then.
DRIPS = {
    "empty CONTINUATION": (BEGUN, [frame(CONTINUATION, 0, 1)] * 30),
    "CONTINUATION with a byte": (BEGUN, [frame(CONTINUATION, 0, 1, b"\x82")] * 30),
    "a CONTINUATION in drops": (BEGUN, [*bytes_of(frame(CONTINUATION, 0, 1, bytes(60)))]),
    "HEADERS in drops": (greeting(), [*bytes_of(headers(1, fields(EMPTY)))]),
    "trailers": (greeting() + headers(1, fields(UNARY)) + headers(1, b"", complete=False),
                 [frame(CONTINUATION, 0, 1)] * 30),
}


@pytest.mark.parametrize("limit", ["request_seconds", "stall_seconds"])
@pytest.mark.parametrize("case", DRIPS)
def test_header_blocks_in_drops(interop_server, case, limit):
    """The limit on a request's time covers its header block, and so does that on unfinished frames."""
    server = interop_server("unix", *limits(**{"request_seconds": 60, "stall_seconds": 60} | {limit: 1}))
    begun, drops = DRIPS[case]
    with server.place().connect() as connection:
        connection.sendall(begun)
        with dripping(connection, drops, 0.2):
            assert LIMIT * 0.9 < cut_after(connection) < LATEST


def test_header_blocks_that_come_slowly_in_time(interop_server):
    server = interop_server("unix", *limits(request_seconds=2, stall_seconds=2))
    with server.place().connect() as connection:
        connection.sendall(BEGUN)
        for _ in range(5):
            time.sleep(0.2)
            connection.sendall(frame(CONTINUATION, 0, 1))
        connection.sendall(frame(CONTINUATION, END_HEADERS, 1) + data(1, http2.message(), end=True))
        answer(connection, 1)


def test_the_time_of_a_request_begins_with_its_headers(interop_server):
    """What the header block has taken is not given again to the rest."""
    server = interop_server("unix", *limits(request_seconds=2))
    with server.place().connect() as connection:
        start = time.monotonic()
        connection.sendall(greeting() + headers(1, fields(UNARY), complete=False))
        time.sleep(1.2)
        connection.sendall(frame(CONTINUATION, END_HEADERS, 1))
        answer(connection, 1)
        assert 1.8 < time.monotonic() - start < LATEST


@pytest.mark.parametrize("count", [3, 5, 20])
def test_records_that_are_not_finished(interop_server, count):
    """A TLS record of which so many bytes come, and no more."""
    server = interop_server("tls", *limits(stall_seconds=1), "--verbose")
    with server.place().connect() as connection:
        connection.sendall(greeting() + request(1, EMPTY))
        assert connection.recv(65_536)
        # From here on without the TLS of Python, which writes whole records only.
        raw = socket.socket(fileno=connection.detach())
        with raw:
            raw.sendall((b"\x17\x03\x03\x01\x00" + bytes(100))[:count])
            assert LIMIT * 0.9 < cut_after(raw) < LATEST
    eventually(lambda: "a record was begun and not finished" in server.log, "the reason is logged")


def test_calls_between_two_looks_are_calls(interop_server):
    """A connection whose calls are over in no time is not idle."""
    server = interop_server("unix", *limits(idle_seconds=1))
    with server.place().connect() as connection:
        connection.sendall(greeting())
        received = b""
        for stream in range(1, 19, 2):
            time.sleep(0.3)
            connection.sendall(request(stream, EMPTY))
            received = answer(connection, stream, received)
        assert http2.goaway_error(received) is None


def test_ttrpc_has_no_keepalive(interop_server):
    """It has no pings: who is silent is not cut for not answering one."""
    server = interop_server("unix", *limits(keepalive_seconds=1, keepalive_timeout_seconds=1))
    with server.place().connect() as connection:
        connection.settimeout(LATEST)
        for stream in (1, 3):
            connection.sendall(ttrpc.request(stream, "Echo", ttrpc.echo("x")))
            assert connection.recv(65_536)
            time.sleep(2.5)


def test_streams_that_rest(interop_server):
    """A call that is open, and says nothing, is no reason to look at its connection, nor to end it."""
    server = interop_server("unix", *limits(request_seconds=1, stall_seconds=1))
    with server.place().connect() as connection:
        connection.sendall(greeting() + headers(1, fields(FULL_DUPLEX)))
        time.sleep(2.5)
        connection.sendall(ping() + data(1, http2.message(), end=True))
        answer(connection, 1)
