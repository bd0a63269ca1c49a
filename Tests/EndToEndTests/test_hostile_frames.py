"""Attacks with HTTP/2 frames: floods of those that cost the sender nothing, and frames that lie.

While they run, and afterwards, the server does what `support.siege` asks of it.
"""

import os

from support.attacker import Pause, assail, greeting
from support.attacks import BATCH, Register, batches, forever
from support.http2 import (
    CONTINUATION, DATA, END_HEADERS, FRAME_LIMIT, GOAWAY, HEADERS, LARGEST_WINDOW, PADDED, PRIORITY,
    PRIORITY_UPDATE, PUSH_PROMISE, RST_STREAM, SETTINGS, data, fields, frame, headers, integer,
    literal, message, ping, request, reset, settings, text, window_update)
from support.interop import EMPTY, FULL_DUPLEX, UNARY

attack = Register("tcp")

BOTH = (True, False)
OPEN = headers(1, fields(FULL_DUPLEX))


# What asks for an answer: the server must not queue it without end.

@attack("tcp", "tls", reads=BOTH)
def ping_flood():
    yield greeting()
    yield from forever(ping() * BATCH)


@attack("tcp", "tls", reads=BOTH)
def settings_flood():
    yield greeting()
    yield from forever(settings(initial_window=65_535) * BATCH)


@attack()
def settings_that_change_every_window():
    """Each makes the server look at all open streams."""
    yield greeting() + b"".join(headers(s, fields(FULL_DUPLEX)) for s in range(1, 201, 2))
    yield from forever((settings(initial_window=1) + settings(initial_window=1 << 20)) * BATCH)


@attack()
def settings_that_resize_the_header_table():
    yield greeting()
    call = b"".join(settings(header_table_size=size) for size in (0, 1 << 16, 4096))
    yield from batches(lambda stream: call + request(stream, EMPTY), size=50)


@attack()
def settings_of_many_unknown_parameters():
    yield greeting()
    yield from forever(frame(SETTINGS, payload=b"\x12\x34\0\0\0\1" * 2700) * 4)


# What asks for nothing: read and thrown away, for ever.

@attack()
def pings_that_answer_nothing():
    yield greeting()
    yield from forever(ping(ack=True) * BATCH)


@attack()
def settings_acknowledged_again_and_again():
    yield greeting()
    yield from forever(frame(SETTINGS, 1) * BATCH)


@attack("tcp", "tls")
def empty_data():
    yield greeting() + OPEN
    yield from forever(data(1) * BATCH)


@attack()
def data_of_padding_alone():
    yield greeting() + OPEN
    yield from forever(frame(DATA, PADDED, 1, b"\xff" + bytes(255)) * BATCH)


@attack()
def empty_messages():
    """Each is a request message, which costs the server more than its five bytes."""
    yield greeting() + OPEN
    yield from forever(data(1, message() * 3000))


@attack()
def priorities():
    yield greeting()
    yield from batches(lambda stream: frame(PRIORITY, stream=stream, payload=b"\0\0\0\0\x10"))


@attack()
def priority_updates():
    yield greeting()
    yield from forever(frame(PRIORITY_UPDATE, payload=b"\0\0\0\1u=1, i") * BATCH)


@attack()
def window_updates():
    yield greeting() + OPEN
    yield from forever((window_update(0, 1) + window_update(1, 1)) * BATCH)


@attack()
def unknown_frames():
    yield greeting()
    yield from forever(frame(0xB7, 0xFF, 0, b"x" * 40) * BATCH)


@attack()
def large_unknown_frames():
    yield greeting()
    yield from forever(frame(0xB7, 0, 3, bytes(FRAME_LIMIT)) * 8)


@attack()
def resets_of_closed_streams():
    yield greeting() + request(1, EMPTY)
    yield Pause(0.1)
    yield from forever(reset(1) * BATCH)


@attack()
def data_for_closed_streams():
    yield greeting() + request(1, EMPTY)
    yield Pause(0.1)
    yield from forever(data(1, bytes(1000)) * 20)


# Headers.

@attack()
def endless_continuations():
    yield greeting() + headers(1, fields(EMPTY), complete=False)
    yield from forever(frame(CONTINUATION, 0, 1, literal("x-a", "b" * 90) * 100) * 10)


@attack()
def empty_continuations():
    yield greeting() + headers(1, fields(EMPTY), complete=False)
    yield from forever(frame(CONTINUATION, 0, 1) * BATCH)


@attack()
def many_continuations_that_end():
    """Within the limit for one header block, one block after the other."""
    yield greeting()
    pieces = b"".join(frame(CONTINUATION, 0, 1, literal("x", "y")) for _ in range(6))
    yield from batches(lambda stream: (
        headers(stream, fields(EMPTY), complete=False)
        + pieces.replace(b"\0\0\0\1", stream.to_bytes(4))
        + frame(CONTINUATION, END_HEADERS, stream)), size=50)


@attack()
def header_lists_over_the_limit():
    yield greeting()
    large = fields(EMPTY) + literal("x-a", "b" * 8000)
    yield from batches(lambda stream: headers(stream, large * 2, end=True), size=20)


@attack()
def expanding_headers():
    """One large entry in the table, named by one byte again and again (an HPACK bomb)."""
    yield greeting()
    bomb = fields(EMPTY) + b"\xbe" * (FRAME_LIMIT - 400)
    yield headers(1, fields(EMPTY) + literal("x-a", "b" * 4000, indexed=True), end=True)
    yield from batches(lambda stream: headers(stream, bomb, end=True), start=3, size=10)


@attack()
def expanding_headers_in_continuations():
    yield greeting()
    yield headers(1, fields(EMPTY) + literal("x-a", "b" * 4000, indexed=True), end=True)
    yield headers(3, fields(EMPTY), complete=False)
    yield from forever(frame(CONTINUATION, 0, 3, b"\xbe" * FRAME_LIMIT))


@attack()
def a_table_that_is_filled_and_emptied():
    yield greeting()
    entries = b"".join(literal(f"x-{n}", "b" * 100, indexed=True) for n in range(60))
    resized = integer(0, 5, 0x20) + integer(4096, 5, 0x20)
    yield from batches(
        lambda stream: headers(stream, resized + fields(EMPTY) + entries, end=True), size=20)


@attack()
def endless_integers():
    yield greeting()
    yield headers(1, b"\x40\x7f" + b"\x80" * 1000 + b"\1")
    yield from forever(headers(3, b"\xff" * 10 + b"\x7f"))


@attack()
def table_updates_over_the_limit():
    yield greeting()
    yield from batches(lambda stream: headers(stream, integer(1 << 30, 5, 0x20)), size=5)


@attack()
def lengths_beyond_the_block():
    yield greeting()
    yield from batches(lambda stream: headers(stream, b"\0" + integer(1 << 20, 7) + b"x"), size=5)


# What breaks the rules, again and again on new connections.

@attack()
def garbage_behind_the_preface():
    yield greeting() + os.urandom(60_000)


@attack("tcp", "unix")
def garbage_alone():
    yield os.urandom(60_000)


@attack("tcp", "unix")
def http_1():
    yield b"GET / HTTP/1.1\r\nHost: server\r\n\r\n" * 1000


@attack()
def upgrades_to_http_2():
    yield (b"POST / HTTP/1.1\r\nHost: server\r\nConnection: Upgrade, HTTP2-Settings\r\n"
           b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")


@attack()
def frames_over_the_limit():
    yield greeting() + frame(DATA, 0, 1, bytes(1 << 20))


@attack()
def frames_that_promise_more():
    yield greeting() + b"\xff\xff\xff" + bytes([HEADERS, 4, 0, 0, 0, 1]) + bytes(100_000)


@attack()
def push_promises():
    yield greeting()
    yield from forever(frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2" + fields(EMPTY)) * 10)


@attack()
def going_away_and_staying():
    yield greeting() + frame(GOAWAY, payload=b"\0\0\0\0\0\0\0\0")
    yield from batches(lambda stream: request(stream, EMPTY))


@attack()
def goaways():
    yield greeting()
    yield from forever(frame(GOAWAY, payload=bytes(8) + b"x" * 1000) * 20)


@attack()
def window_overflow_of_the_connection():
    yield greeting() + window_update(0, LARGEST_WINDOW) * 2


@attack()
def data_beyond_the_window():
    """Never waits for the server's window."""
    yield greeting() + headers(1, fields(UNARY)) + data(1, message(bytes(1000), length=1 << 22))
    yield from forever(data(1, bytes(FRAME_LIMIT)) * 8)


@attack()
def frames_on_stream_zero():
    yield greeting() + frame(HEADERS, 4, 0, fields(EMPTY)) + frame(RST_STREAM, 0, 0, bytes(4))


@attack()
def headers_that_are_no_text():
    yield greeting()
    block = fields(EMPTY) + b"\0" + text(b"x-\xff\0\r\n") + text(b"a\0\r\nb: c")
    yield from batches(lambda stream: headers(stream, block, end=True))


@attack.parametrize()
def test_attack(siege, attack, seconds):
    with siege.endured():
        damage = assail(siege.server.place(), attack.script, seconds, attack.connections,
                        attack.reads)
        assert damage.sent, "the attack was not carried out"
