"""The conformance server as foreign clients see it: its process, stubs made from `proto/` by
grpcio-tools for this run, and calls whose frames are made by hand."""

import atexit
import gzip
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import grpc
from grpc_tools import protoc

from .waiting import eventually

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

__all__ = ["InteropServer", "TRANSPORTS", "empty_pb2", "frame", "frames", "lookup_pb2",
           "lookup_pb2_grpc", "messages_pb2", "streaming_grpc", "test_pb2", "test_pb2_grpc"]


def binary() -> str:
    path = os.environ.get("RPC_INTEROP_SERVER")
    if not path or not os.access(path, os.X_OK):
        raise RuntimeError("set RPC_INTEROP_SERVER to the rpc-interop-server binary under test")
    return os.path.abspath(path)


class InteropServer:
    """The conformance server on a Unix socket and on TCP, the latter with TLS if there is a PKI."""

    def __init__(self, *flags: str, pki=None, authorities: Path | None = None):
        self.pki = pki
        self.directory = Path(tempfile.mkdtemp(prefix="interop-"))
        self.socket = self.directory / "socket"
        self._log: list[str] = []
        command = [binary(), "--listen", f"unix:{self.socket}", "--listen", "tcp:127.0.0.1:0"]
        if pki:
            command += ["--tls", *map(str, pki.files), str(authorities or pki.authorities)]
        self.process = subprocess.Popen(
            [*command, *flags], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = eventually(self._port, "the server listens", 60)

    def _read(self) -> None:
        for line in self.process.stdout:
            self._log.append(line)
        self.process.stdout.close()

    def _port(self) -> int | None:
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended at once:\n{self.log}")
        found = re.search(r"^listening on tcp:127\.0\.0\.1:(\d+)$", self.log, re.M)
        return found and int(found[1])

    @property
    def log(self) -> str:
        return "".join(self._log)

    def stop(self, seconds: float = 20) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        shutil.rmtree(self.directory, ignore_errors=True)

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
