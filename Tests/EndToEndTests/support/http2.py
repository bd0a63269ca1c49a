"""HTTP/2 by hand (RFC 9113, RFC 7541), for what no library sends."""

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 5, 6, 7, 8, 9
PRIORITY_UPDATE = 16

END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_STREAMS, INITIAL_WINDOW, MAX_FRAME = 1, 2, 3, 4, 5

NO_ERROR, PROTOCOL_ERROR, CANCEL, ENHANCE_YOUR_CALM = 0, 1, 8, 11

LARGEST_WINDOW = 2**31 - 1
FRAME_LIMIT = 16_384


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(**values: int) -> bytes:
    """SETTINGS with identifiers by the names above, in lower case."""
    pairs = (struct.pack(">HI", globals()[name.upper()], value) for name, value in values.items())
    return frame(SETTINGS, payload=b"".join(pairs))


def ping(ack: bool = False) -> bytes:
    return frame(PING, ACK if ack else 0, payload=b"attacker")


def window_update(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, stream=stream, payload=struct.pack(">I", increment))


def reset(stream: int, error: int = CANCEL) -> bytes:
    return frame(RST_STREAM, stream=stream, payload=struct.pack(">I", error))


def data(stream: int, content: bytes = b"", end: bool = False) -> bytes:
    return frame(DATA, END_STREAM if end else 0, stream, content)


def message(content: bytes = b"", length: int | None = None, packed: bool = False) -> bytes:
    """gRPC's prefix and the message; `length` where the prefix is to lie."""
    return struct.pack(">BI", packed, len(content) if length is None else length) + content


def integer(value: int, bits: int, first: int = 0) -> bytes:
    """RFC 7541 §5.1, `first` being what precedes the prefix."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([first | value])
    encoded, value = bytearray([first | limit]), value - limit
    while value >= 128:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])


def text(value: bytes) -> bytes:
    return integer(len(value), 7) + value


def literal(name: str | bytes, value: str | bytes, indexed: bool = False) -> bytes:
    """A header field, optionally one that enters the dynamic table."""
    name, value = (part.encode() if isinstance(part, str) else part for part in (name, value))
    return (b"\x40" if indexed else b"\x00") + text(name) + text(value)


def fields(path: str, *more: tuple[str, str], method: str = "POST", grpc: bool = True) -> bytes:
    """A request's header block."""
    listed = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "server")]
    if grpc:
        listed += [("content-type", "application/grpc"), ("te", "trailers")]
    return b"".join(literal(name, value) for name, value in (*listed, *more))


def headers(stream: int, block: bytes, end: bool = False, complete: bool = True) -> bytes:
    flags = (END_STREAM if end else 0) | (END_HEADERS if complete else 0)
    return frame(HEADERS, flags, stream, block)


def request(stream: int, path: str, content: bytes = b"", *more: tuple[str, str]) -> bytes:
    """A whole unary request."""
    return headers(stream, fields(path, *more)) + data(stream, message(content), end=True)


def frames(received: bytes) -> list[tuple[int, int, int, bytes]]:
    """The whole frames at the beginning of `received`: kind, flags, stream, payload."""
    found, at = [], 0
    while len(received) >= at + 9:
        length = int.from_bytes(received[at:at + 3])
        kind, flags, stream = struct.unpack_from(">BBI", received, at + 3)
        if len(received) < at + 9 + length:
            break
        found.append((kind, flags, stream, received[at + 9:at + 9 + length]))
        at += 9 + length
    return found


def goaway_error(received: bytes) -> int | None:
    """The error with which the server ended the connection, or None when it did not say."""
    errors = [int.from_bytes(payload[4:8]) for kind, _, _, payload in frames(received)
              if kind == GOAWAY]
    return errors[-1] if errors else None
