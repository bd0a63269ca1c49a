"""An HTTPS server of an identity provider, which publishes keys and can be told to be anything but well-behaved."""

import base64
import hashlib
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage

from .pki import Authority
from .waiting import eventually


class KeyServer:
    """Listens on loopback, with a certificate for `localhost` of its own CA's unless it is told otherwise."""

    def __init__(self, directory: Path, authority: Authority | None = None, hosts=("localhost",)):
        self.authority = authority or Authority("Key servers")
        self.credential = self.authority.issue(usages=(Usage.SERVER_AUTH,), hosts=hosts)
        self.ca_file = directory / "key-server-ca.pem"
        directory.mkdir(parents=True, exist_ok=True)
        self.ca_file.write_bytes(self.authority.pem)
        self.files = self.credential.write(directory / "key-server")
        self.body = b"{}"
        self.headers: dict[str, str] = {}
        self.answer = self.keys
        """What writes the answer to a request."""
        self.paths: list[str] = []
        self._server = None
        self.port = 0
        self.open()

    def open(self) -> None:
        """Takes connections, on the port that it had before."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.paths.append(self.path)
                self.close_connection = True
                try:
                    outer.answer(self)
                except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
                    pass  # Cut off by the client, as some tests want it.

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_):
                pass  # Handshakes that the client ends.

            def get_request(self):
                connection, address = super().get_request()
                return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.files)
        self._server = Server(("127.0.0.1", self.port), Handler)
        self._server.key_server_ends = threading.Event()
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Takes no more connections."""
        if self._server:
            self._server.key_server_ends.set()
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def keys(self, request) -> None:
        request.send_response(200)
        for name, value in {"Content-Length": str(len(self.body)), **self.headers}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(self.body)

    def publish(self, *issuers) -> None:
        self.body = issuers[0].jwks(*issuers[1:]).encode()

    def fetched(self, more: int = 1) -> None:
        """Waits until it has been asked so many times from now on."""
        wanted = len(self.paths) + more
        eventually(lambda: len(self.paths) >= wanted, "the keys are fetched")

    def url(self, host: str = "localhost", path: str = "/keys") -> str:
        return f"https://{host}:{self.port}{path}"

    @property
    def host(self) -> str:
        """As the configuration has it."""
        return f"localhost:{self.port}"

    def pin(self) -> str:
        """Of its certificate's key."""
        return pin(self.credential.certificate)


def pin(pem: bytes) -> str:
    key = x509.load_pem_x509_certificate(pem).public_key()
    encoded = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(encoded).digest()).decode()
