"""Attacks on ttrpc: frames that lie, streams that do not end, answers that nobody reads.

While they run, and afterwards, the server does what `support.siege` asks of it.
"""

import os

from support.attacker import Pause, assail
from support.attacks import Register, batches, forever
from support.ttrpc import (
    DATA, LARGEST_MESSAGE, NO_DATA, REMOTE_CLOSED, REMOTE_OPEN, REQUEST, RESPONSE, echo, envelope,
    frame, request)

attack = Register("unix", alpn="ttrpc")

BOTH = (True, False)
PART = b"\x08\x01"


@attack("unix", "tls", reads=BOTH)
def requests_without_end():
    yield from batches(lambda stream: request(stream, "Echo", echo("x")))


@attack(reads=BOTH)
def unknown_methods():
    yield from batches(lambda stream: request(stream, "Nothing", service="no.Service"))


@attack(reads=BOTH)
def large_echoes():
    content = echo("x" * (1 << 20))
    yield from batches(lambda stream: request(stream, "Echo", content), size=4)


@attack()
def messages_over_the_limit():
    """The content is skipped, and the peer told why (PROTOCOL.md)."""
    yield from batches(lambda stream: frame(
        stream, REQUEST, 0, bytes(LARGEST_MESSAGE + 1)), size=1)


@attack()
def lengths_that_lie():
    yield frame(1, REQUEST, 0, envelope("Echo"), length=LARGEST_MESSAGE)
    yield Pause(60)


@attack()
def lengths_of_sixteen_mebibytes():
    yield from forever(frame(1, REQUEST, 0, b"", length=0x00FFFFFF) + bytes(60_000))


@attack()
def even_streams():
    yield from forever(request(2, "Echo", echo("x")) * 100)


@attack()
def stream_zero():
    yield from forever(request(0, "Echo", echo("x")) * 100)


@attack()
def streams_used_again():
    yield from forever(request(1, "EchoStream", flags=REMOTE_OPEN) * 100)


@attack()
def streams_that_go_back():
    yield request((1 << 31) - 1, "Echo", echo("x"))
    yield from batches(lambda stream: request(stream, "Echo", echo("x")))


@attack()
def unknown_types():
    yield from forever(frame(1, 9, 0, b"x" * 40) * 200)


@attack()
def unknown_flags():
    yield from batches(lambda stream: request(stream, "Echo", echo("x"), flags=0xF0))


@attack()
def responses_from_the_client():
    yield from forever(frame(1, RESPONSE, 0, b"x" * 40) * 200)


@attack()
def data_for_unknown_streams():
    yield from batches(lambda stream: frame(stream, DATA, 0, echo("x")))


@attack()
def data_after_the_end():
    yield request(1, "SumStream", flags=REMOTE_OPEN) + frame(1, DATA, REMOTE_CLOSED | NO_DATA)
    yield from forever(frame(1, DATA, 0, PART) * 200)


@attack()
def data_for_unary_calls():
    yield from batches(lambda stream: (
        request(stream, "Echo", echo("sleep:1000")) + frame(stream, DATA, 0, echo("x"))))


@attack()
def empty_data():
    yield request(1, "EchoStream", flags=REMOTE_OPEN)
    yield from forever(frame(1, DATA, NO_DATA) * 200)


@attack()
def envelopes_that_are_none():
    junk = os.urandom(200)
    yield from batches(lambda stream: frame(stream, REQUEST, 0, junk))


@attack()
def envelopes_of_much_metadata():
    pairs = tuple((f"key-{n}", "v") for n in range(5000))
    content = envelope("Echo", echo("x"), metadata=pairs)
    yield from batches(lambda stream: frame(stream, REQUEST, 0, content), size=5)


@attack(connections=20)
def calls_that_sleep():
    yield b"".join(request(stream, "Echo", echo("sleep:60000")) for stream in range(1, 20_001, 2))
    yield Pause(60)


@attack()
def deadlines():
    yield from batches(lambda stream: request(
        stream, "Echo", echo("sleep:60000"), timeout=1_000_000))


@attack(connections=20)
def streams_that_idle():
    yield b"".join(
        request(stream, "EchoStream", flags=REMOTE_OPEN) for stream in range(1, 20_001, 2))
    yield Pause(60)


@attack("unix", "tls", reads=(False,))
def streamed_echoes_that_nobody_reads():
    yield request(1, "EchoStream", flags=REMOTE_OPEN)
    yield from forever(frame(1, DATA, 0, echo("x" * 10_000)) * 50)


@attack()
def data_for_a_handler_that_does_not_read():
    """ttrpc has no window: what is not read must be bounded otherwise."""
    yield request(1, "EchoStream", flags=REMOTE_OPEN) + frame(1, DATA, 0, echo("sleep:60000"))
    yield from forever(frame(1, DATA, 0, echo("x" * 10_000)) * 50)


@attack(connections=50)
def a_frame_in_drops():
    for byte in request(1, "Echo", echo("x" * 100)):
        yield bytes([byte])
        yield Pause(0.3)


@attack()
def headers_cut_short():
    yield request(1, "Echo", echo("x"))[:7]


@attack()
def garbage():
    yield b"\0" + os.urandom(60_000)


@attack.parametrize()
def test_attack(siege, attack, seconds):
    with siege.endured():
        damage = assail(siege.server.place(attack.alpn), attack.script, seconds, attack.connections,
                        attack.reads)
        assert damage.sent, "the attack was not carried out"
