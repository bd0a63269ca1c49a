"""ttrpc frames by hand (containerd/ttrpc, PROTOCOL.md)."""

import struct

from .wire import field, number

REQUEST, RESPONSE, DATA = 1, 2, 3
REMOTE_CLOSED, REMOTE_OPEN, NO_DATA = 1, 2, 4

LARGEST_MESSAGE = 4 << 20
SERVICE = "ttrpc.integration.streaming.Streaming"


def frame(stream: int, kind: int, flags: int = 0, content: bytes = b"",
          length: int | None = None) -> bytes:
    """`length` where the header is to lie."""
    size = len(content) if length is None else length
    return struct.pack(">IIBB", size, stream, kind, flags) + content


def envelope(method: str, payload: bytes | None = None, service: str = SERVICE, timeout: int = 0,
             metadata: tuple[tuple[str, str], ...] = ()) -> bytes:
    """`ttrpc.Request`; `timeout` in nanoseconds. A payload is a message, even when it is empty."""
    encoded = field(1, service) + field(2, method)
    if payload is not None:
        encoded += field(3, payload)
    if timeout:
        encoded += number(4, timeout)
    return encoded + b"".join(
        field(5, field(1, key) + field(2, value)) for key, value in metadata)


def request(stream: int, method: str, payload: bytes | None = None, flags: int = 0, **named) -> bytes:
    return frame(stream, REQUEST, flags, envelope(method, payload, **named))


def echo(text: str, sequence: int = 0) -> bytes:
    """`EchoPayload`."""
    return (number(1, sequence) if sequence else b"") + field(2, text)


def frames(received: bytes) -> list[tuple[int, int, int, bytes]]:
    """The whole frames at the beginning of `received`: stream, kind, flags, content."""
    found, at = [], 0
    while len(received) >= at + 10:
        length, stream, kind, flags = struct.unpack_from(">IIBB", received, at)
        if len(received) < at + 10 + length:
            break
        found.append((stream, kind, flags, received[at + 10:at + 10 + length]))
        at += 10 + length
    return found


def status(content: bytes) -> tuple[int, str]:
    """Code and message of a `ttrpc.Response`; (0, "") when it has no status."""
    inner = _fields(content).get(1, b"")
    found = _fields(inner)
    return found.get(1, 0), found.get(2, b"").decode()


def payload(content: bytes) -> bytes:
    return _fields(content).get(2, b"")


def _fields(encoded: bytes) -> dict[int, int | bytes]:
    """The last value of each field; varints and bytes only."""
    found, at = {}, 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = encoded[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(encoded):
        key = varint()
        if key & 7 == 2:
            size = varint()
            found[key >> 3] = encoded[at:at + size]
            at += size
        else:
            found[key >> 3] = varint()
    return found
