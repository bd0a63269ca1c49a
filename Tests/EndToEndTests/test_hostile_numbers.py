"""Attacks with the numbers of streams, and with calls that are reset while they wait for their turn.

While they run, and afterwards, the server does what `support.siege` asks of it; above all, it lives.
"""

from support.attacker import assail, greeting
from support.attacks import Register, batches
from support.http2 import (
    HEADERS, data, fields, frame, headers, literal, message, request, reset)
from support.interop import EMPTY, STREAMING_INPUT

attack = Register("tcp", "tls", "unix")

HIGHEST = (1 << 31) - 1
INDEXED = b"\x82"
"""`:method GET` of the static table, which counts 42 bytes of a header list."""
TOO_MANY = INDEXED * 400
OPEN = headers(1, fields(STREAMING_INPUT))


@attack(connections=8)
def the_highest_numbers():
    yield greeting() + b"".join(frame(HEADERS, stream=s) for s in (HIGHEST - 1, HIGHEST))


@attack(connections=8)
def the_highest_numbers_of_whole_requests():
    yield greeting() + request(HIGHEST - 2, EMPTY) + request(HIGHEST, EMPTY)


@attack(connections=8)
def the_highest_number_at_once():
    yield greeting() + request(HIGHEST, EMPTY) + request(1, EMPTY)


def spoiled(stream: int) -> bytes:
    """A block that is not HTTP and too large as well, and the end of its call."""
    return headers(stream, literal("X", "y") + TOO_MANY) + reset(stream)


@attack(connections=8)
def a_spoiled_call_and_half_a_header_block():
    yield greeting() + spoiled(1) + headers(3, fields(EMPTY), complete=False)


@attack(connections=8)
def spoiled_calls_before_whole_ones():
    yield greeting()
    yield from batches(lambda stream: spoiled(stream) + request(stream + 2, EMPTY), size=20)


@attack(connections=8)
def trailers_past_the_limit():
    yield greeting() + OPEN + data(1, message(b"x"))
    yield headers(1, TOO_MANY, end=True) + headers(3, fields(EMPTY), complete=False)


@attack(connections=8)
def a_message_that_ends_too_soon():
    yield greeting() + OPEN + data(1, message(b"x", length=100), end=True)
    yield headers(3, fields(EMPTY), complete=False)


@attack(connections=8)
def messages_too_large_in_a_crowd():
    """More calls than are served in a turn, each refused while it waits."""
    yield greeting() + b"".join(
        headers(s, fields(STREAMING_INPUT)) + data(s, message(b"", length=(1 << 32) - 1))
        for s in range(1, 301, 2)) + headers(301, fields(EMPTY), complete=False)


@attack.parametrize()
def test_attack(siege, attack, seconds):
    with siege.endured():
        assail(siege.server.place(), attack.script, seconds, attack.connections, attack.reads)
