"""Attacks below the protocols: connections that say nothing, little, or half a handshake.

While they run, and afterwards, the server does what `support.siege` asks of it.
"""

import os
import ssl
import time

import pytest

from support import openssl
from support.attacker import Pause, assail, client_hello, crowd, greeting
from support.attacks import Register, forever
from support.http2 import PREFACE, data, fields, frame, headers, message, ping, request
from support.interop import EMPTY, UNARY
from support.siege import Siege

attack = Register("tcp")

CROWD = 1500
"""Connections in a flood."""

IDLERS = 1000

IDLE_COST = 0.005
"""Processor seconds a second that these may cost: they were 27 ms when each was looked at twice."""


def dripping(content: bytes):
    """A byte every now and then."""
    for byte in content:
        yield bytes([byte])
        yield Pause(0.3)


@attack("tcp", "unix", connections=50)
def a_preface_in_drops():
    yield from dripping(greeting())


@attack(connections=50)
def a_frame_in_drops():
    yield greeting()
    yield from dripping(ping() * 10)


@attack("tcp", "tls", connections=50)
def headers_in_drops():
    yield greeting()
    yield from dripping(headers(1, fields(EMPTY), end=True))


@attack(connections=50)
def a_message_in_drops():
    yield greeting() + headers(1, fields(UNARY)) + data(1, message(b"", length=1000))
    while True:
        yield data(1, b"x")
        yield Pause(0.3)


@attack(connections=50)
def pings_now_and_then():
    yield greeting()
    while True:
        yield ping()
        yield Pause(0.2)


@attack("tcp", "tls", "unix", connections=8)
def connections_opened_and_closed():
    yield greeting() + request(1, EMPTY)


@attack("tcp", "unix", connections=8)
def connections_closed_at_once():
    yield from ()


@attack.parametrize()
def test_attack(siege, attack, seconds):
    with siege.endured():
        assail(siege.server.place(), attack.script, seconds, attack.connections, attack.reads)


@pytest.mark.parametrize("siege", ["tls"], indirect=True)
@pytest.mark.parametrize("opening", ["nothing", "one byte", "half a hello", "a hello"])
def test_handshakes_never_finished(siege, seconds, opening):
    place = siege.server.place()
    hello = client_hello(place.tls)
    said = {"nothing": b"", "one byte": hello[:1], "half a hello": hello[:100], "a hello": hello}
    with siege.endured(), crowd(place.without_tls(), 300, said[opening]):
        time.sleep(seconds)


@pytest.mark.parametrize("siege", ["tls"], indirect=True)
@pytest.mark.parametrize("content", ["garbage", "alerts", "records too large", "hellos"])
def test_handshakes_that_lead_nowhere(siege, seconds, content):
    place = siege.server.place()
    sent = {
        "garbage": b"\x16\3\1\x40\0" + os.urandom(0x4000), "alerts": b"\x15\3\3\0\2\1\0" * 1000,
        "records too large": b"\x16\3\1\xff\xff" + bytes(65_535), "hellos": client_hello(place.tls),
    }[content]

    def script():
        yield sent

    with siege.endured():
        assail(place.without_tls(), script, seconds, 4, True)


@pytest.mark.parametrize("siege", ["tls"], indirect=True)
def test_plain_text_where_tls_is_asked_for(siege, seconds):
    def script():
        yield greeting()
        yield from forever(ping() * 100)

    with siege.endured():
        assail(siege.server.place().without_tls(), script, seconds, 4, True)


@pytest.mark.parametrize("siege", ["tls"], indirect=True)
def test_key_updates(siege, seconds):
    server = siege.server
    with siege.endured():
        done, lost = openssl.repeat(
            openssl.Connection.update_key,
            lambda: openssl.Connection(server.address, server.files, openssl.TLS_1_3), seconds)
        assert done, "the attack was not carried out"
        assert lost, "key updates without end"


@pytest.mark.parametrize("siege", ["tls"], indirect=True)
def test_renegotiation(siege, seconds):
    server = siege.server
    with siege.endured():
        done, lost = openssl.repeat(
            openssl.Connection.renegotiate,
            lambda: openssl.Connection(server.address, server.files, openssl.TLS_1_2), seconds)
        assert not done and lost


@pytest.mark.parametrize("siege", ["tls"], indirect=True)
def test_records_of_nothing(siege, seconds):
    """A TLS record for each byte: the work is in the records."""
    server = siege.server

    def connection():
        made = openssl.Connection(server.address, server.files, openssl.TLS_1_3)
        made.send(greeting())
        return made

    def step(connection):
        for byte in ping():
            connection.send(bytes([byte]))

    with siege.endured():
        openssl.repeat(step, connection, seconds)


@pytest.mark.parametrize("siege", ["unix", "tcp"], indirect=True)
@pytest.mark.parametrize("opening", [b"", PREFACE, greeting()], ids=["silent", "preface", "settled"])
def test_more_connections_than_are_served(siege, seconds, opening):
    with siege.endured(), crowd(siege.server.place(), CROWD, opening) as taken:
        time.sleep(seconds)
        assert taken


@pytest.mark.parametrize("transport", ["unix", "tls"])
def test_idle_connections_cost_nothing(interop_server, transport):
    """Not even a look now and then: what they have to do, they say."""
    server = interop_server(transport)
    with crowd(server.place(), IDLERS, greeting()) as taken:
        assert len(taken) == IDLERS
        for connection in taken:
            assert connection.recv(1)
        time.sleep(1.5)  # Until each has been looked at once more.
        before = server.processor_time
        time.sleep(2)
        used = (server.processor_time - before) / 2
        assert used < IDLE_COST, f"{100 * used:.2f} % of a core"


def test_out_of_descriptors(interop_server, seconds, request):
    """At its limit the server serves whom it has, does not spin, and takes newcomers afterwards."""
    server = interop_server("tcp", descriptors=128)
    siege = Siege(server, request.config.getoption("--noise"))
    try:
        with siege.endured(), crowd(server.place(), 300, greeting()):
            time.sleep(0.5)
            before = server.processor_time
            time.sleep(seconds)
            assert server.processor_time - before < 0.3 * seconds, "it spins"
    finally:
        siege.close()
