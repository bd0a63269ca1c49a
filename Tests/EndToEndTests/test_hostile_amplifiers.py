"""What costs its sender next to nothing, and the server much: it is bounded, and whoever overdoes it is cut.

While they run, and afterwards, the server does what `support.siege` asks of it.
"""

import base64
import contextlib
import os
import ssl
import time

import pytest

from support import http2, ttrpc
from support.attacker import Place, assail, greeting
from support.attacks import Register, batches, forever
from support.http2 import (
    LARGEST_WINDOW, data, fields, headers, integer, literal, message, request, settings, text,
    window_update)
from support.interop import EMPTY, STREAMING_INPUT, UNARY, limits, simple_request
from support.raw import read_all
from support.waiting import eventually

attack = Register("tcp")

ECHOED = "x-grpc-test-echo-trailing-bin"
VALUE = 3800
"""Bytes of a header field that fills the table of HPACK, nearly."""

NAMED = b"\xbe"
"""The newest field of the table: a byte stands for all of it."""


def calls(block: bytes, first: bytes = b"", path: str = UNARY, size: int = 25):
    """Calls of which each has `block` in its headers, behind one that has `first`."""
    yield greeting() + headers(1, fields(path) + first) + data(1, message(), end=True)
    yield from batches(
        lambda stream: headers(stream, fields(path) + block) + data(stream, message(), end=True),
        start=3, size=size)


@attack("tcp", "tls")
def binary_metadata():
    """Four values of 4 KB that the handler decodes, in four bytes."""
    value = base64.b64encode(os.urandom(VALUE * 3 // 4))
    yield from calls(NAMED * 4, literal(ECHOED, value, indexed=True))


@attack()
def binary_metadata_of_nothing():
    """Thousands of empty values, between commas."""
    yield from calls(NAMED * 4, literal(ECHOED, "," * VALUE, indexed=True))


@attack("tcp", "unix")
def tiny_metadata():
    yield from calls(NAMED * 450, literal("a", "b", indexed=True), EMPTY)


@attack("tcp", "unix")
def huffman_codes():
    """Of five bits each, the shortest there are (RFC 7541, appendix B)."""
    codes = bytes(5 * 1800)
    field = b"\0" + text(b"x-a") + integer(len(codes), 7, 0x80) + codes
    yield from calls(field, path=EMPTY, size=10)


@attack("tcp", "unix")
def windows_of_one_byte():
    """The server is made to send a frame for each byte of its answers."""
    streams = range(1, 200, 2)
    yield (http2.PREFACE + settings(initial_window=1)
           + window_update(0, LARGEST_WINDOW - 65_535)
           + b"".join(request(s, UNARY, simple_request(20_000)) for s in streams))
    yield from forever(b"".join(window_update(s, 1) for s in streams))


@attack.parametrize()
def test_attack(siege, attack, seconds):
    with siege.endured():
        damage = assail(siege.server.place(), attack.script, seconds, attack.connections,
                        attack.reads)
        assert damage.sent, "the attack was not carried out"


def cost_of_a_call(server, block: bytes, first: bytes, count: int) -> float:
    """Processor seconds of the server for a call with `block` in its headers. One after the other."""
    with server.place().connect() as connection:
        connection.sendall(next(calls(block, first)))
        received = answer(connection, 1, b"")
        before = server.processor_time
        for stream in range(3, 3 + 2 * count, 2):
            connection.sendall(headers(stream, fields(UNARY) + block) + data(stream, message(), end=True))
            received = answer(connection, stream, received)
        return (server.processor_time - before) / count


def answer(connection, stream: int, received: bytes) -> bytes:
    """Reads until a call is answered; returns what is left."""
    while True:
        for kind, flags, number, _ in http2.frames(received):
            if kind == http2.HEADERS and flags & http2.END_STREAM and number == stream:
                return b""
        chunk = connection.recv(65_536)
        assert chunk, "it is closed"
        received += chunk


@pytest.mark.parametrize("value, most", [("A" * VALUE, 6), ("," * VALUE, 3)], ids=["large", "empty"])
def test_binary_metadata_costs_little(interop_server, value, most):
    """`most`: times what a call without it costs. They took more than seven and a hundred times as much, now
    three to five and one and a half."""
    server = interop_server("unix")
    named = literal(ECHOED, value, indexed=True)
    # In turns, as machines are now faster and now slower.
    costs = [(cost_of_a_call(server, b"", b"", 100), cost_of_a_call(server, NAMED * 4, named, 100))
             for _ in range(6)]
    plain, cost = (min(one) for one in zip(*costs))
    assert cost < most * plain, f"{cost * 1e6:.0f} µs a call, {plain * 1e6:.0f} without it"


@pytest.mark.parametrize("window, is_cut", [(1, True), (1000, True), (2000, False)])
def test_windows_of_one_byte_are_cut(interop_server, window, is_cut):
    """Each lets the server send a scrap, which explains no WINDOW_UPDATE."""
    server = interop_server("unix", *limits(useless_frame_burst=100, useless_frames_per_second=1))
    with server.place().connect() as connection:
        connection.settimeout(5)
        connection.sendall(http2.PREFACE + settings(initial_window=window)
                           + window_update(0, LARGEST_WINDOW - 65_535)
                           + request(1, UNARY, simple_request(400_000)))
        closed = False
        for _ in range(150):
            try:
                connection.sendall(window_update(1, window))
                closed = not connection.recv(65_536)
            except ConnectionError:
                closed = True
            if closed:
                break
        assert closed == is_cut


class Records:
    """A TLS client whose records are made by hand, of so many bytes each."""

    def __init__(self, place: Place):
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session = place.tls.wrap_bio(
            self._incoming, self._outgoing, server_hostname="localhost")
        self.socket = place.without_tls().connect()
        while True:
            try:
                self._session.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.socket.sendall(self._outgoing.read())
                self._incoming.write(self.socket.recv(65_536))
        self.socket.sendall(self._outgoing.read())

    def make(self, content: bytes, size: int) -> bytes:
        for at in range(0, len(content), size):
            self._session.write(content[at:at + size])
        return self._outgoing.read()


@pytest.mark.parametrize("size, is_cut", [(1, True), (8, True), (9, False)])
def test_small_records(interop_server, size, is_cut):
    """As many as allowed, and the connection goes on; one more, and it ends, and the log says why."""
    allowed = 60
    server = interop_server("tls", "--max-small-record-burst", str(allowed),
                            "--small-records-per-second", "1", "--verbose")
    peer = Records(server.place())
    with peer.socket as connection:
        opening = greeting() + headers(1, fields(STREAMING_INPUT))
        content = data(1, message(bytes(600)))[:allowed * size]
        connection.sendall(peer.make(opening, 16_384) + peer.make(content, size))
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            while connection.recv(65_536):
                pass
        connection.settimeout(5)
        try:
            connection.sendall(peer.make(bytes(5 * size), size))
            connection.settimeout(1)
            while connection.recv(65_536):
                pass
            closed = True
        except TimeoutError:
            closed = False
        except OSError:
            closed = True
    assert closed == is_cut
    if is_cut:
        eventually(lambda: "hold next to nothing" in server.log, "the reason is logged")
    else:
        assert "hold next to nothing" not in server.log


@pytest.mark.parametrize("siege", ["tls"], indirect=True)
def test_records_of_one_byte(siege, seconds):
    """Many in each segment, so that the work is in the records. Every connection is cut."""
    opening = greeting() + headers(1, fields(STREAMING_INPUT))
    end = time.monotonic() + max(seconds, 1)
    with siege.endured():
        while time.monotonic() < end:
            peer = Records(siege.server.place())
            with peer.socket as connection:
                connection.settimeout(5)
                with contextlib.suppress(ConnectionError):
                    connection.sendall(peer.make(opening, 16_384))
                    for _ in range(20):
                        connection.sendall(peer.make(data(1, bytes(4_000)), 1))
                read_all(connection)  # Fails when it is not closed in time.


LARGE = literal("x-a", "b" * 4000)


@pytest.mark.parametrize("protocol", ["h2", "ttrpc"])
def test_bytes_of_headers(interop_server, protocol):
    """As many as allowed, and the connection goes on; one more call, and it ends."""
    server = interop_server("unix", *limits(header_burst=22_000, header_bytes_per_second=1), "--verbose")

    def call(stream: int) -> bytes:
        if protocol == "h2":
            return headers(stream, fields(EMPTY) + LARGE) + data(stream, message(), end=True)
        return ttrpc.request(stream, "Echo", ttrpc.echo("x"), metadata=(("x-a", "b" * 4000),))

    with server.place().connect() as connection:
        connection.settimeout(5)
        connection.sendall((greeting() if protocol == "h2" else b"")
                           + b"".join(call(stream) for stream in range(1, 17, 2)))
        received = b""
        parse = http2.frames if protocol == "h2" else ttrpc.frames

        def answered(stream: int) -> bool:
            return any(stream == (f[2] if protocol == "h2" else f[0]) for f in parse(received))

        while not answered(15):
            chunk = connection.recv(65_536)
            assert chunk, "too early"
            received += chunk
        connection.sendall(b"".join(call(stream) for stream in range(17, 27, 2)))
        with pytest.raises(OSError):
            while True:
                chunk = connection.recv(65_536)
                if not chunk:
                    raise ConnectionError("closed")
                received += chunk
    if protocol == "h2":
        assert http2.goaway_error(received) == http2.ENHANCE_YOUR_CALM
    eventually(lambda: "too many bytes of" in server.log, "the reason is logged")
