"""Protobuf by hand (protobuf.dev/programming-guides/encoding), for what no message class encodes."""


def varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def field(number: int, content: bytes | str) -> bytes:
    """A length-delimited field."""
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


def number(of_field: int, value: int) -> bytes:
    return varint(of_field << 3) + varint(value)
