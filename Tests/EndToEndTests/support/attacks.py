"""The register of scripted attacks, and what many of them have in common."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from . import interop
from .attacker import Script

BATCH = 200
"""Frames or calls that a script says at once."""


@dataclass(frozen=True)
class Attack:
    script: Script
    transport: str
    connections: int
    reads: bool
    alpn: str

    @property
    def name(self) -> str:
        return f"{self.transport}-{self.script.__name__}{'' if self.reads else '-unread'}"


class Register:
    """The attacks of one module."""

    def __init__(self, *transports: str, alpn: str = "h2"):
        self._transports, self._alpn = transports, alpn
        self._attacks: list[Attack] = []

    def __call__(self, *transports: str, connections: int = 4, reads: tuple[bool, ...] = (True,)):
        """Registers a script. `reads`: whether the attacker reads what the server says; both ways
        are different attacks."""
        def register(script: Script) -> Script:
            self._attacks += [
                Attack(script, transport, connections, reading, self._alpn)
                for transport in transports or self._transports for reading in reads]
            return script
        return register

    def parametrize(self):
        """One test for each attack; those on one transport share a server."""
        ordered = sorted(self._attacks, key=lambda a: interop.TRANSPORTS.index(a.transport))
        return pytest.mark.parametrize("siege, attack", [
            pytest.param(attack.transport, attack, id=attack.name) for attack in ordered],
            indirect=["siege"])


def ids(start: int = 1) -> range:
    """A client's stream identifiers, from `start`; then the connection is used up."""
    return range(start, 1 << 31, 2)


def batches(make: Callable[[int], bytes], start: int = 1, size: int = BATCH) -> Iterator[bytes]:
    """`make(id)` for one stream after the other, in batches."""
    for first in range(start, 1 << 31, 2 * size):
        yield b"".join(make(stream) for stream in range(first, first + 2 * size, 2))


def forever(content: bytes) -> Iterator[bytes]:
    while True:
        yield content
