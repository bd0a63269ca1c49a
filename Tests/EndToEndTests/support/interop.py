"""Runs the conformance server, and knows what it serves."""

import ssl
from pathlib import Path

from .attacker import Place
from .conformance_process import ConformanceProcess, binary
from .measured import Measured
from .wire import field, number

SERVICE = "/grpc.testing.TestService/"
EMPTY = SERVICE + "EmptyCall"
UNARY = SERVICE + "UnaryCall"
FULL_DUPLEX = SERVICE + "FullDuplexCall"
STREAMING_INPUT = SERVICE + "StreamingInputCall"
STREAMING_OUTPUT = SERVICE + "StreamingOutputCall"

TRANSPORTS = ("unix", "tcp", "tls")


def simple_request(response_size: int, payload: bytes = b"") -> bytes:
    """`grpc.testing.SimpleRequest`."""
    return number(2, response_size) + (field(3, field(2, payload)) if payload else b"")


def streaming_request(*sizes: int, interval: int = 0) -> bytes:
    """`grpc.testing.StreamingOutputCallRequest`; `interval` in microseconds before each response."""
    pause = number(2, interval) if interval else b""
    return b"".join(field(2, number(1, size) + pause) for size in sizes)


def limits(**values: int) -> tuple[str, ...]:
    """Flags of the server; names are those of the daemon's configuration."""
    return tuple(flag for name, value in values.items() for flag in ("--limit", f"{name}={value}"))


class InteropServer(ConformanceProcess, Measured):
    """The conformance server on one transport."""

    def __init__(self, transport: str, pki, *flags: str, descriptors: int = 0):
        super().__init__()
        self.transport = transport
        self._pki = pki
        command = [binary(), "--listen",
                   f"unix:{self.socket}" if transport == "unix" else "tcp:127.0.0.1:0", *flags]
        self._files = ()
        if transport == "tls":
            certificate, key = pki.python.platform("interop").write(self.directory)
            authority = self.directory / "authority.pem"
            authority.write_bytes(pki.python.pem)
            self._files = (authority, certificate, key)
            command += ["--tls", *map(str, (*pki.files, pki.authorities))]
        if descriptors:
            command = ["prlimit", f"--nofile={descriptors}:{descriptors}", "--", *command]
        self.start(command)
        self.address = self._address()

    def _address(self) -> str | tuple[str, int]:
        if self.transport == "unix":
            self.listening("unix:.*")
            return str(self.socket)
        return ("127.0.0.1", int(self.listening(r"tcp:127\.0\.0\.1:(\d+)")[1]))

    @property
    def target(self) -> str:
        """For gRPC clients."""
        if self.transport == "unix":
            return f"unix:{self.address}"
        return f"localhost:{self.address[1]}"

    @property
    def files(self) -> tuple[Path, ...]:
        """Authority, certificate and key of a client; empty without TLS."""
        return self._files

    def place(self, alpn: str = "h2", maximum: ssl.TLSVersion | None = None,
              role: str | None = None) -> Place:
        """For raw connections; with TLS of the client that `files` are of, or one of its own."""
        if not self._files:
            return Place(self.address)
        files = self._files[1:]
        if role is not None:
            files = self._pki.python.platform(role).write(self.directory / role)
        context = ssl.create_default_context(cafile=self._files[0])
        context.load_cert_chain(*files)
        context.set_alpn_protocols([alpn])
        if maximum:
            context.maximum_version = maximum
        return Place(self.address, context)
