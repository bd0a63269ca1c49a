"""Peers that mean harm: scripts that say what to send, and what runs them over many connections."""

import contextlib
import selectors
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from . import http2

REST_AFTER_CUT = 0.02
"""Seconds until a connection that the server has closed is opened anew."""

CHUNK = 1 << 16


class Pause(float):
    """Seconds in which a script sends nothing."""


Script = Callable[[], Iterator[bytes | Pause]]


@dataclass(frozen=True)
class Place:
    """Where a server listens."""

    address: str | tuple[str, int]
    tls: ssl.SSLContext | None = None

    def connect(self, timeout: float = 20, source: str = "") -> socket.socket:
        """`source` is an address of this machine's."""
        if isinstance(self.address, tuple):
            plain = socket.create_connection(
                self.address, timeout, source_address=(source, 0) if source else None)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            plain = socket.socket(socket.AF_UNIX)
            plain.settimeout(timeout)
            plain.connect(self.address)
        if self.tls is None:
            return plain
        try:
            return self.tls.wrap_socket(plain, server_hostname="localhost")
        except BaseException:
            plain.close()
            raise

    def without_tls(self) -> "Place":
        return Place(self.address)


class _Line:
    """One connection of an attacker."""

    def __init__(self, place: Place, script: Script, reads: bool):
        self._place, self._make, self._reads = place, script, reads
        self.cuts = 0
        self.sent = 0
        self.socket: socket.socket | None = None
        self._wake = 0.0
        self._pending = memoryview(b"")

    def open(self, now: float) -> None:
        if self.socket is not None or now < self._wake:
            return
        try:
            self.socket = self._place.connect(timeout=5)
            self.socket.setblocking(False)
        except OSError:
            self._cut(now)
        self._script = self._make()
        self._pending = memoryview(b"")

    def wants_to_write(self, now: float) -> bool:
        return now >= self._wake

    def write(self, now: float) -> None:
        try:
            while now >= self._wake:
                if not self._pending:
                    step = next(self._script)
                    if isinstance(step, Pause):
                        self._wake = now + step
                        return
                    self._pending = memoryview(step)
                count = self.socket.send(self._pending[:CHUNK])
                self.sent += count
                self._pending = self._pending[count:]
                now = time.monotonic()
                if self._reads:
                    return  # Its turn to read comes first.
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
        except StopIteration:
            self.close()
            self._wake = now + REST_AFTER_CUT
        except OSError:
            self._cut(now)

    def read(self, now: float) -> None:
        try:
            for _ in range(16):
                if not self.socket.recv(CHUNK):
                    return self._cut(now)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            self._cut(now)

    def _cut(self, now: float) -> None:
        self.cuts += 1
        self.close()
        self._wake = now + REST_AFTER_CUT

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None


@dataclass
class Damage:
    """What an attacker saw."""

    cuts: int
    sent: int


def assail(place: Place | list[Place], script: Script, seconds: float, connections: int,
           reads: bool) -> Damage:
    """Runs a script on each of some connections, again and again where the server cuts one. They are
    made in turn from several places, which differ in who comes."""
    places = place if isinstance(place, list) else [place]
    lines = [_Line(places[number % len(places)], script, reads) for number in range(connections)]
    end = time.monotonic() + seconds
    try:
        while (now := time.monotonic()) < end:
            with selectors.DefaultSelector() as selector:
                for line in lines:
                    line.open(now)
                    if line.socket is None:
                        continue
                    events = selectors.EVENT_READ if reads else 0
                    if line.wants_to_write(now):
                        events |= selectors.EVENT_WRITE
                    if events:
                        selector.register(line.socket, events, line)
                if not selector.get_map():
                    time.sleep(0.005)
                for key, events in selector.select(0.02):
                    if events & selectors.EVENT_READ:
                        key.data.read(time.monotonic())
                    if events & selectors.EVENT_WRITE and key.data.socket is not None:
                        key.data.write(time.monotonic())
        return Damage(sum(line.cuts for line in lines), sum(line.sent for line in lines))
    finally:
        for line in lines:
            line.close()


@contextlib.contextmanager
def crowd(place: Place, count: int, opening: bytes = b"", sources: tuple[str, ...] = ("",)):
    """Many connections that say `opening` and no more, from each source in turn. Yields those that
    the server took."""
    taken = []
    try:
        for number in range(count):
            try:
                connection = place.connect(5, sources[number % len(sources)])
                taken.append(connection)
                connection.sendall(opening)
            except OSError:
                pass
        yield taken
    finally:
        for connection in taken:
            connection.close()


def client_hello(context: ssl.SSLContext) -> bytes:
    """The first flight of a handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


def greeting(**settings: int) -> bytes:
    """What an HTTP/2 client says first."""
    return http2.PREFACE + http2.settings(**settings)
