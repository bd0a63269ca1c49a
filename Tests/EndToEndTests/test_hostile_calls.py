"""Attacks with HTTP/2 streams and gRPC messages: calls that are reset, never finished, never read.

While they run, and afterwards, the server does what `support.siege` asks of it.
"""

import gzip

from support.attacker import Pause, assail, greeting
from support.attacks import Register, batches, forever, ids
from support.http2 import (
    FRAME_LIMIT, LARGEST_WINDOW, PREFACE, PRIORITY, data, fields, frame, headers, literal, message,
    request, reset, settings, window_update)
from support.interop import (
    EMPTY, FULL_DUPLEX, STREAMING_INPUT, STREAMING_OUTPUT, UNARY, simple_request,
    streaming_request)

attack = Register("tcp")

BOTH = (True, False)
SLEEP = streaming_request(1, interval=60_000_000)


# Resets, by the client and by the server.

@attack("tcp", "tls", reads=BOTH)
def rapid_reset():
    yield greeting()
    yield from batches(lambda stream: request(stream, EMPTY) + reset(stream))


@attack()
def rapid_reset_of_streaming_calls():
    yield greeting()
    yield from batches(lambda stream: headers(stream, fields(FULL_DUPLEX)) + reset(stream))


@attack()
def rapid_reset_within_the_headers():
    yield greeting()
    yield from batches(lambda stream: headers(stream, fields(EMPTY)) + reset(stream, 0))


@attack("tcp", "tls", reads=BOTH)
def resets_by_window_overflow():
    """MadeYouReset: the server ends the stream, the work goes on."""
    yield greeting()
    yield from batches(lambda stream: (
        headers(stream, fields(FULL_DUPLEX)) + window_update(stream, LARGEST_WINDOW) * 2))


@attack()
def resets_by_window_overflow_of_unary_calls():
    yield greeting()
    yield from batches(lambda stream: (
        request(stream, UNARY, simple_request(100_000)) + window_update(stream, LARGEST_WINDOW)))


@attack()
def resets_by_empty_window_updates():
    yield greeting()
    yield from batches(lambda stream: headers(stream, fields(FULL_DUPLEX)) + window_update(stream, 0))


@attack()
def resets_by_data_after_the_end():
    yield greeting()
    yield from batches(lambda stream: (
        request(stream, UNARY, simple_request(100_000)) + data(stream, b"more")))


@attack()
def resets_by_headers_after_the_end():
    yield greeting()
    yield from batches(lambda stream: (
        request(stream, UNARY, simple_request(100_000)) + headers(stream, fields(UNARY))))


@attack()
def resets_by_priorities_of_a_wrong_length():
    yield greeting()
    yield from batches(lambda stream: (
        headers(stream, fields(FULL_DUPLEX)) + frame(PRIORITY, 0, stream, b"1234")))


@attack()
def resets_by_streams_that_depend_on_themselves():
    yield greeting()
    yield from batches(lambda stream: (
        headers(stream, fields(FULL_DUPLEX))
        + frame(PRIORITY, 0, stream, stream.to_bytes(4) + b"\0")))


@attack("tcp", reads=BOTH)
def resets_by_malformed_headers():
    yield greeting()
    yield from batches(lambda stream: headers(
        stream, fields(EMPTY) + literal("Connection", "close")))


@attack()
def resets_by_missing_headers():
    yield greeting()
    yield from batches(lambda stream: headers(stream, b""))


@attack()
def resets_by_a_wrong_content_length():
    yield greeting()
    yield from batches(lambda stream: (
        headers(stream, fields(UNARY, ("content-length", "3"))) + data(stream, message(), end=True)))


@attack()
def resets_by_second_headers():
    """Trailers that do not end the request."""
    yield greeting()
    yield from batches(lambda stream: headers(stream, fields(UNARY)) + headers(stream, b""))


@attack("tcp", reads=BOTH)
def early_answers():
    """Refused before the request ends: the server resets what is left."""
    yield greeting()
    yield from batches(lambda stream: headers(stream, fields("/no.Service/Method")))


@attack("tcp", reads=BOTH)
def requests_that_are_not_grpc():
    yield greeting()
    yield from batches(lambda stream: headers(stream, fields("/", method="GET", grpc=False), end=True))


@attack()
def answers_refused_by_a_reset_window():
    """Resets that arrive while the answer waits for window."""
    yield PREFACE + settings(initial_window=0)
    yield from batches(lambda stream: request(stream, UNARY, simple_request(50_000)) + reset(stream))


# Calls that are not finished.

@attack("tcp", "tls", connections=50)
def requests_never_finished():
    yield greeting() + b"".join(headers(stream, fields(UNARY)) for stream in range(1, 512, 2))
    yield Pause(60)


@attack(connections=20)
def messages_never_finished():
    """Each promises 4 MiB and sends a little of it."""
    promise = message(bytes(100), length=4 << 20)
    yield greeting() + b"".join(
        headers(stream, fields(UNARY)) + data(stream, promise) for stream in range(1, 512, 2))
    yield Pause(60)


@attack(connections=4)
def messages_almost_finished():
    """As many bytes as fit, then silence."""
    yield greeting()
    for stream in ids():
        yield headers(stream, fields(UNARY)) + data(stream, message(bytes(1000), length=4 << 20))
        yield b"".join(data(stream, bytes(FRAME_LIMIT)) for _ in range(15))


@attack()
def lengths_that_lie():
    yield greeting()
    yield from batches(lambda stream: (
        headers(stream, fields(UNARY)) + data(stream, message(b"x", length=0xFFFFFFFF), end=True)))


@attack(connections=50)
def calls_that_idle():
    yield greeting() + b"".join(headers(stream, fields(FULL_DUPLEX)) for stream in range(1, 512, 2))
    yield Pause(60)


@attack()
def streams_over_the_limit():
    yield greeting()
    yield from batches(lambda stream: headers(stream, fields(FULL_DUPLEX)))


@attack(connections=20)
def calls_that_sleep():
    yield greeting() + b"".join(
        request(stream, STREAMING_OUTPUT, SLEEP) for stream in range(1, 512, 2))
    yield Pause(60)


@attack()
def deadlines():
    """Calls that sleep until their deadline of a millisecond."""
    yield greeting()
    yield from batches(
        lambda stream: request(stream, STREAMING_OUTPUT, SLEEP, ("grpc-timeout", "1m")), size=100)


@attack()
def deadlines_that_have_passed():
    yield greeting()
    yield from batches(lambda stream: request(stream, EMPTY, b"", ("grpc-timeout", "0n")))


# Answers that are not taken.

@attack("tcp", "tls", "unix", connections=8, reads=BOTH)
def a_window_of_nothing():
    yield PREFACE + settings(initial_window=0)
    yield b"".join(
        request(stream, UNARY, simple_request(1_000_000)) for stream in range(1, 512, 2))
    yield Pause(60)


@attack(connections=8)
def a_window_of_one():
    """The server has to send byte by byte."""
    yield PREFACE + settings(initial_window=1)
    streams = range(1, 201, 2)
    yield b"".join(request(stream, UNARY, simple_request(10_000)) for stream in streams)
    yield from forever(b"".join(window_update(stream, 1) for stream in streams))


@attack("tcp", "tls", "unix", connections=8, reads=(False,))
def large_answers_that_nobody_reads():
    yield PREFACE + settings(initial_window=LARGEST_WINDOW) + window_update(0, LARGEST_WINDOW - 65_535)
    yield from batches(lambda stream: request(stream, UNARY, simple_request(1_000_000)), size=50)


@attack("tcp", "tls", connections=8, reads=(False,))
def streams_that_nobody_reads():
    yield PREFACE + settings(initial_window=LARGEST_WINDOW) + window_update(0, LARGEST_WINDOW - 65_535)
    endless = streaming_request(*[30_000] * 1000)
    yield from batches(lambda stream: request(stream, STREAMING_OUTPUT, endless), size=50)


@attack(connections=8)
def echoes_that_wait_for_window():
    """Full-duplex calls that send without end and give no window for what comes back."""
    yield PREFACE + settings(initial_window=0)
    streams = range(1, 101, 2)
    yield b"".join(headers(stream, fields(FULL_DUPLEX)) for stream in streams)
    wanted = message(streaming_request(10_000)) * 10
    yield from forever(b"".join(data(stream, wanted) for stream in streams))


# Messages.

@attack("tcp", connections=4)
def compressed_bombs():
    """A thousand times larger when unpacked, in each call."""
    bomb = message(gzip.compress(bytes(60 << 20)), packed=True)
    parts = [bomb[at:at + FRAME_LIMIT] for at in range(0, len(bomb), FRAME_LIMIT)]
    block = fields(UNARY, ("grpc-encoding", "gzip"))
    yield greeting()
    for stream in ids():
        yield headers(stream, block) + b"".join(
            data(stream, part, end=part is parts[-1]) for part in parts)
        yield Pause(0.01)


@attack("tcp", connections=4)
def compressed_bombs_within_the_limit():
    """4 MiB from 4 KiB, again and again in one call."""
    bomb = message(gzip.compress(bytes((4 << 20) - 100)), packed=True)
    yield greeting() + headers(1, fields(STREAMING_INPUT, ("grpc-encoding", "gzip")))
    yield from forever(data(1, bomb))


@attack()
def messages_packed_as_garbage():
    block = fields(UNARY, ("grpc-encoding", "gzip"))
    yield greeting()
    yield from batches(lambda stream: (
        headers(stream, block) + data(stream, message(b"\x1f\x8b" + b"x" * 99, packed=True), end=True)))


@attack(connections=2)
def large_messages():
    """The largest allowed, over and over."""
    content = message(simple_request(1, bytes((4 << 20) - 100)))
    parts = [content[at:at + FRAME_LIMIT] for at in range(0, len(content), FRAME_LIMIT)]
    yield greeting()
    for stream in ids():
        yield headers(stream, fields(UNARY)) + b"".join(
            data(stream, part, end=part is parts[-1]) for part in parts)


@attack()
def answers_of_two_gigabytes():
    """A few bytes that ask for the largest answer that can be named."""
    yield greeting()
    yield from batches(lambda stream: request(stream, UNARY, simple_request(2**31 - 1)), size=10)


@attack()
def requests_without_a_message():
    yield greeting()
    yield from batches(lambda stream: headers(stream, fields(UNARY), end=True))


@attack()
def calls_without_end():
    """Nothing but honest calls, as many as can be said."""
    yield greeting()
    yield from batches(lambda stream: request(stream, EMPTY))


@attack.parametrize()
def test_attack(siege, attack, seconds):
    with siege.endured():
        damage = assail(siege.server.place(), attack.script, seconds, attack.connections,
                        attack.reads)
        assert damage.sent, "the attack was not carried out"
