"""The limits of a connection and of all of them, one past each; and slow peers, which are cut."""

import time

import grpc
import pytest

from support import http2, ttrpc
from support.attacker import client_hello, crowd, greeting
from support.client import failure
from support.http2 import ENHANCE_YOUR_CALM, data, fields, headers, message, ping, request, settings
from support.interop import (
    EMPTY, FULL_DUPLEX, STREAMING_OUTPUT, UNARY, limits, simple_request, streaming_request)
from support.raw import connect, exchange, read_all
from support.waiting import eventually

STALL = 1.0
"""Seconds that servers here are told to be patient."""

LATEST = 4.0
"""Seconds until a peer that is cut must have noticed."""

SLOW = limits(stall_seconds=1, request_seconds=1, first_byte_seconds=1)


def cut_after(connection) -> float:
    """Seconds until the server closes."""
    start = time.monotonic()
    connection.settimeout(LATEST)
    read_all(connection)
    return time.monotonic() - start


def goaway(server, sent: bytes) -> int | None:
    """The error that the server ends a connection with."""
    with server.place().connect() as connection:
        try:
            connection.sendall(sent)
        except OSError:
            pass
        return http2.goaway_error(read_all(connection))


def call(server, path=EMPTY, content=b"", timeout=10):
    channel = grpc.insecure_channel(server.target, [("grpc.use_local_subchannel_pool", 1)])
    with channel:
        return channel.unary_unary(path)(content, timeout=timeout)


# Slow peers.

UNFINISHED = {
    "nothing": b"", "half a preface": http2.PREFACE[:10], "a preface alone": http2.PREFACE,
    "half a header": greeting() + ping()[:5], "half a frame": greeting() + ping()[:12],
    "half a block": greeting() + headers(1, fields(EMPTY), complete=False),
    "half a ttrpc frame": ttrpc.request(1, "Echo", ttrpc.echo("x"))[:20],
}


@pytest.mark.quiet
@pytest.mark.parametrize("case", UNFINISHED)
def test_what_is_not_finished_is_cut(interop_server, case):
    with interop_server("unix", *SLOW).place().connect() as connection:
        connection.sendall(UNFINISHED[case])
        assert STALL * 0.9 < cut_after(connection) < LATEST


@pytest.mark.quiet
@pytest.mark.parametrize("opening", ["nothing", "a hello"])
def test_handshakes_that_are_not_finished_are_cut(interop_server, opening):
    server = interop_server("tls", *SLOW, "--handshake-timeout", "1s")
    place = server.place()
    with place.without_tls().connect() as connection:
        connection.sendall(client_hello(place.tls) if opening == "a hello" else b"")
        assert STALL * 0.9 < cut_after(connection) < LATEST


@pytest.mark.quiet
@pytest.mark.parametrize("transport", ["unix", "tcp", "tls"])
def test_a_peer_that_gives_no_window_is_cut(interop_server, transport):
    with interop_server(transport, *SLOW).place().connect() as connection:
        connection.sendall(http2.PREFACE + settings(initial_window=0)
                           + request(1, UNARY, simple_request(1000)))
        assert STALL * 0.9 < cut_after(connection) < LATEST


@pytest.mark.quiet
@pytest.mark.parametrize("transport", ["unix", "tcp", "tls"])
def test_a_peer_that_does_not_read_is_cut(interop_server, transport):
    server = interop_server(transport, *SLOW)
    before = server.descriptors
    endless = streaming_request(*[60_000] * 2000)
    with server.place().connect() as connection:
        connection.sendall(
            http2.PREFACE + settings(initial_window=http2.LARGEST_WINDOW)
            + http2.window_update(0, http2.LARGEST_WINDOW - 65_535)
            + request(1, STREAMING_OUTPUT, endless))
        end = time.monotonic() + LATEST
        while server.descriptors <= before and time.monotonic() < end:
            time.sleep(0.01)
        while server.descriptors > before:
            assert time.monotonic() < end, "it is not cut"
            time.sleep(0.02)


@pytest.mark.quiet
def test_a_request_that_is_not_finished_is_refused(interop_server):
    """The connection goes on, and so do streams that rest between messages."""
    with interop_server("unix", *SLOW).place().connect() as connection:
        connection.sendall(
            greeting() + headers(1, fields(FULL_DUPLEX)) + headers(3, fields(UNARY))
            + headers(5, fields(FULL_DUPLEX)) + data(5, message(b"x", length=9)))
        connection.settimeout(LATEST)
        received = b""
        while {f[2] for f in http2.frames(received) if f[0] == http2.HEADERS} != {3, 5}:
            received += connection.recv(65_536)
        connection.sendall(request(7, EMPTY))
        while not any(f[2] == 7 for f in http2.frames(received)):
            received += connection.recv(65_536)
        assert not any(f[2] == 1 for f in http2.frames(received))


@pytest.mark.quiet
def test_a_byte_now_and_then_does_not_help(interop_server):
    with interop_server("unix", *SLOW).place().connect() as connection:
        connection.sendall(greeting())
        start = time.monotonic()
        with pytest.raises(OSError):
            for byte in http2.frame(0xB7, payload=bytes(1000)):
                connection.sendall(bytes([byte]))
                time.sleep(0.1)
        assert STALL * 0.9 < time.monotonic() - start < LATEST


# Old, idle and silent connections.

@pytest.mark.quiet
def test_idle_connections_are_told_to_go(interop_server):
    with interop_server("unix", *limits(idle_seconds=1)).place().connect() as connection:
        connection.sendall(greeting() + request(1, EMPTY))
        connection.settimeout(LATEST)
        assert http2.goaway_error(read_all(connection)) == http2.NO_ERROR


@pytest.mark.quiet
def test_old_connections_are_told_to_go(interop_server):
    server = interop_server("unix", *limits(connection_age_seconds=1, connection_age_grace_seconds=1))
    with server.place().connect() as connection:
        connection.sendall(greeting() + headers(1, fields(FULL_DUPLEX)))
        start = time.monotonic()
        connection.settimeout(2 * LATEST)
        assert http2.goaway_error(read_all(connection)) == http2.NO_ERROR
        assert time.monotonic() - start > 1.5, "the call had its grace"


@pytest.mark.quiet
@pytest.mark.parametrize("answers", [True, False])
def test_silent_connections_are_asked(interop_server, answers):
    server = interop_server("unix", *limits(keepalive_seconds=1, keepalive_timeout_seconds=1))
    with server.place().connect() as connection:
        connection.sendall(greeting() + headers(1, fields(FULL_DUPLEX)))
        received, asked = b"", 0
        connection.settimeout(LATEST)
        while asked < 2:
            chunk = connection.recv(65_536)
            if not chunk:
                break
            received += chunk
            pings = [f for f in http2.frames(received) if f[0] == http2.PING and not f[1]]
            if len(pings) > asked:
                asked = len(pings)
                if answers:
                    connection.sendall(http2.frame(http2.PING, 1, 0, pings[-1][3]))
        assert asked == (2 if answers else 1)


# Counted limits.

@pytest.mark.quiet
def test_connections(interop_server):
    server = interop_server("unix", *limits(connections=3))
    places = [server.place().connect() for _ in range(3)]
    for place in places:
        place.sendall(greeting())
        assert place.recv(1)
    with server.place().connect() as one_more:
        assert read_all(one_more) == b""
    places.pop().close()
    deadline = time.monotonic() + LATEST
    while True:  # As soon as the server has noticed.
        with server.place().connect() as next_one:
            next_one.settimeout(1)
            try:
                next_one.sendall(greeting())
                if next_one.recv(1):
                    break
            except OSError:
                pass
        assert time.monotonic() < deadline
    for place in places:
        place.close()


@pytest.mark.parametrize("transport", ["unix", "tcp", "tls"])
def test_connections_of_a_peer(interop_server, transport):
    server = interop_server(transport, *limits(connections_per_peer=2))
    served = [server.place().connect() for _ in range(2)]
    for connection in served:
        connection.sendall(greeting())
        assert connection.recv(1)
    with server.place().connect() as one_more:
        try:
            one_more.sendall(greeting())
        except OSError:
            pass
        assert read_all(one_more) == b""
    for connection in served:
        connection.close()


def test_pending_streams(interop_server):
    """Shed with RetryInfo; connections with few calls are served all the same, and so are other calls."""
    server = interop_server("unix", *limits(
        pending_streams=20, guaranteed_calls=2, retry_delay_seconds=7))
    sleep = streaming_request(1) + streaming_request(1, interval=60_000_000)
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(server.target, options) as channel:
        stream = channel.unary_stream(STREAMING_OUTPUT)
        sleeping = [stream(sleep, timeout=60) for _ in range(20)]
        for waiting in sleeping:
            next(waiting)
        error = failure("RESOURCE_EXHAUSTED", lambda: next(stream(sleep, timeout=10)))
        assert error.retry_seconds == 7
        assert channel.unary_unary(UNARY)(simple_request(1), timeout=10)
        assert channel.unary_unary(EMPTY)(b"", timeout=10) == b""
        with grpc.insecure_channel(server.target, options) as other:
            guaranteed = other.unary_stream(STREAMING_OUTPUT)(sleep, timeout=10)
            next(guaranteed)
            guaranteed.cancel()
        for waiting in sleeping:
            waiting.cancel()


FLOODS = {
    "useless frames": (limits(useless_frame_burst=100, useless_frames_per_second=1),
                       http2.window_update(0, 1), 84),
    "pings": (limits(ping_strikes=2), ping(), 3),
    "resets": (limits(reset_burst=20, resets_per_second=1), None, 20),
}


@pytest.mark.parametrize("case", FLOODS)
def test_floods(interop_server, case):
    """As many as allowed, and the connection goes on; one more, and it ends."""
    flags, frame, allowed = FLOODS[case]
    server = interop_server("unix", *flags)

    def flood(count: int) -> bytes:
        if frame:
            return frame * count
        return b"".join(headers(s, fields(FULL_DUPLEX)) + http2.reset(s)
                        for s in range(1, 2 * count, 2))

    with server.place().connect() as connection:
        connection.sendall(greeting() + flood(allowed) + request(4001, EMPTY))
        received = b""
        while not any(f[2] == 4001 for f in http2.frames(received)):
            received += connection.recv(65_536)
        assert http2.goaway_error(received) is None
    assert goaway(server, greeting() + flood(allowed + 1)) == ENHANCE_YOUR_CALM


@pytest.mark.parametrize("strikes", [2, 5])
def test_a_limit_of_the_configuration(make_server, strikes):
    """The daemon is told how many pings may come too early, and lets no more and no fewer come."""
    server = make_server(limits={"ping_strikes": strikes}).start()
    with connect(server.socket) as connection:
        connection.sendall(greeting() + ping() * (strikes + 1) + request(1, EMPTY))
        received = b""
        while not any(f[2] == 1 for f in http2.frames(received)):
            received += connection.recv(65_536)
        assert http2.goaway_error(received) is None
    cut = exchange(server.socket, greeting() + ping() * (strikes + 2))
    assert http2.goaway_error(cut) == ENHANCE_YOUR_CALM


def test_newcomers_wait_for_descriptors(interop_server):
    """Where the process has no descriptors for more, connections wait in the backlog, and are served."""
    server = interop_server("tcp", descriptors=100)
    with grpc.insecure_channel(server.target, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        # All but the 64 that the server keeps for itself, at once.
        with crowd(server.place(), 36, greeting()) as taken:
            for connection in taken:
                assert connection.recv(1), "nobody who opens as he should has to go"
            call = channel.unary_unary(EMPTY).future(b"", timeout=30, wait_for_ready=True)
            with pytest.raises(grpc.FutureTimeoutError):
                call.result(timeout=1)
        assert call.result() == b""
