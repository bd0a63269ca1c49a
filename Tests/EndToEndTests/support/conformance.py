"""The conformance server as foreign clients see it: its process, stubs made from `proto/` by
grpcio-tools for this run, and calls whose frames are made by hand."""

import atexit
import gzip
import shutil
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import grpc
from grpc_tools import protoc

from .conformance_process import ConformanceProcess, binary

PROTO = Path(__file__).resolve().parents[3] / "proto"
TRANSPORTS = ("unix", "tcp", "mtls")


def _generate() -> str:
    target = tempfile.mkdtemp(prefix="interop-stubs-")
    atexit.register(shutil.rmtree, target, ignore_errors=True)
    well_known = resources.files("grpc_tools") / "_proto"
    names = [str(path.relative_to(PROTO))
             for folder in ("grpc/testing", "ttrpc", "bench") for path in (PROTO / folder).rglob("*.proto")]
    arguments = ["protoc", f"-I{PROTO}", f"-I{well_known}", f"--python_out={target}",
                 f"--grpc_python_out={target}", *sorted(names)]
    if protoc.main(arguments) != 0:
        raise RuntimeError("protoc refused the protos")
    return target


_stubs = _generate()
sys.path.insert(0, _stubs)
# The package grpc.testing is below one that is installed already.
grpc.__path__.append(f"{_stubs}/grpc")

from bench.v1 import lookup_pb2, lookup_pb2_grpc  # noqa: E402  (only now can they be found)
from grpc.testing import empty_pb2, messages_pb2, test_pb2_grpc  # noqa: E402
from ttrpc.integration.streaming import test_pb2, test_pb2_grpc as streaming_grpc  # noqa: E402

__all__ = ["InteropServer", "TRANSPORTS", "binary", "empty_pb2", "frame", "frames", "lookup_pb2",
           "lookup_pb2_grpc", "messages_pb2", "streaming_grpc", "test_pb2", "test_pb2_grpc"]


class InteropServer(ConformanceProcess):
    """The conformance server on a Unix socket and on TCP, the latter with TLS if there is a PKI."""

    def __init__(self, *flags: str, pki=None, authorities: Path | None = None):
        super().__init__()
        self.pki = pki
        command = [binary(), "--listen", f"unix:{self.socket}", "--listen", "tcp:127.0.0.1:0"]
        if pki:
            command += ["--tls", *map(str, pki.files), str(authorities or pki.authorities)]
        self.start([*command, *flags])
        self.port = int(self.listening(r"tcp:127\.0\.0\.1:(\d+)")[1])

    def channel(self, transport: str, credential=None) -> grpc.Channel:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 1 << 26)]
        if transport == "unix":
            return grpc.insecure_channel(f"unix:{self.socket}", options)
        if transport == "tcp":
            return grpc.insecure_channel(f"localhost:{self.port}", options)
        secrets = grpc.ssl_channel_credentials(
            self.pki.python.pem, credential and credential.key, credential and credential.certificate)
        return grpc.secure_channel(f"localhost:{self.port}", secrets, options)

    def raw(self, transport: str, path: str, body: bytes, headers=(), credential=None) -> "Answer":
        """Sends frames made by hand, with curl."""
        command = ["curl", "-sS", "--max-time", "20", "-X", "POST", "--data-binary", "@-", "-D",
                   str(self.directory / "headers"), "-H", "content-type: application/grpc",
                   "-H", "te: trailers"]
        for header in headers:
            command += ["-H", header]
        if transport == "mtls":
            certificate, key = credential.write(self.directory / "client")
            authority = self.directory / "authority.pem"
            authority.write_bytes(self.pki.python.pem)
            command += ["--http2", "--cert", str(certificate), "--key", str(key), "--cacert",
                        str(authority), f"https://localhost:{self.port}{path}"]
        else:
            if transport == "unix":
                command += ["--unix-socket", str(self.socket)]
            command += ["--http2-prior-knowledge", f"http://localhost:{self.port}{path}"]
        done = subprocess.run(command, input=body, capture_output=True, check=True)
        lines = (self.directory / "headers").read_text().splitlines()
        return Answer(
            dict(line.split(": ", 1) for line in lines if ": " in line), frames(done.stdout))


@dataclass
class Answer:
    # Trailers as well.
    headers: dict[str, str]
    # Whether each message was compressed, and what it says.
    messages: list[tuple[bool, bytes]]


def frame(message: bytes, compressed: bool = False) -> bytes:
    """A length-prefixed message."""
    content = gzip.compress(message) if compressed else message
    return struct.pack(">BI", compressed, len(content)) + content


def frames(body: bytes) -> list[tuple[bool, bytes]]:
    found = []
    while body:
        compressed, length = struct.unpack_from(">BI", body)
        assert compressed in (0, 1) and len(body) >= 5 + length
        content, body = body[5 : 5 + length], body[5 + length :]
        found.append((bool(compressed), gzip.decompress(content) if compressed else content))
    return found
