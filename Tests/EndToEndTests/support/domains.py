"""Whom `tenantd` asks about domains: a DNS server and a web server, on loopback."""

import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc

from . import api

A, CNAME, TXT, AAAA = 1, 5, 16, 28
NO_ERROR, SERVER_FAILURE, NO_NAME, REFUSED = 0, 2, 3, 5


def wire(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def text(content: str) -> bytes:
    """The data of a TXT record: strings of at most 255 bytes."""
    data = content.encode()
    return b"".join(bytes([len(part)]) + part
                    for part in (data[at:at + 255] for at in range(0, len(data), 255))) or b"\0"


class DNSServer:
    """Answers over UDP and TCP with what `records` has: data by name and kind. A name with none is no name."""

    def __init__(self):
        self.records: dict[tuple[str, int], list[bytes]] = {}
        self.code = NO_ERROR
        self.is_silent = False
        self.asked: list[tuple[str, int]] = []
        """Names and kinds, as they came."""
        self.over_tcp = 0
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.was_asked = threading.Semaphore(0)
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.port = self.tcp.getsockname()[1]
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        for serve in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=serve, daemon=True).start()

    def set_text(self, name: str, *contents: str) -> None:
        self.records[name, TXT] = [text(content) for content in contents]

    def set_address(self, name: str, *addresses: str) -> None:
        self.records[name, A] = [socket.inet_aton(address) for address in addresses]

    def prove(self, domain) -> None:
        """Adds the record of a domain's challenge to those that are there."""
        challenge = domain.challenge
        self.records.setdefault((challenge.txt_name, TXT), []).append(text(challenge.txt_value))

    def close(self) -> None:
        self.may_answer.set()
        # Who waits in another thread is woken by the one, and not by the other.
        for one in (self.udp, self.tcp):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()

    def _serve_udp(self) -> None:
        while True:
            try:
                query, peer = self.udp.recvfrom(4096)
            except OSError:
                return
            if not query:
                return
            threading.Thread(target=self._answer_udp, args=(query, peer), daemon=True).start()

    def _answer_udp(self, query: bytes, peer) -> None:
        answer = self._answer(query)
        if answer is None:
            return
        if len(answer) > 512:  # Truncated: the head and the question.
            end = 12 + answer[12:].index(b"\0") + 5
            answer = answer[:2] + struct.pack(">HHHHH", 0x8380, 1, 0, 0, 0) + answer[12:end]
        try:
            # What others may send first: with another id, and to another question.
            self.udp.sendto(bytes([answer[0] ^ 1]) + answer[1:], peer)
            self.udp.sendto(answer[:12] + b"\1x" + answer[12:], peer)
            self.udp.sendto(answer, peer)
        except OSError:
            pass  # It is closed.

    def _serve_tcp(self) -> None:
        while True:
            try:
                connection, _ = self.tcp.accept()
            except OSError:
                return
            with connection:
                length = struct.unpack(">H", connection.recv(2, socket.MSG_WAITALL))[0]
                answer = self._answer(connection.recv(length, socket.MSG_WAITALL))
                self.over_tcp += 1
                # In two pieces.
                whole = struct.pack(">H", len(answer)) + answer
                connection.sendall(whole[:100])
                connection.sendall(whole[100:])

    def _answer(self, query: bytes) -> bytes | None:
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += query[at] + 1
        [kind] = struct.unpack(">H", query[at + 1:at + 3])
        name = ".".join(labels)
        self.asked.append((name, kind))
        self.was_asked.release()
        if self.is_silent:
            return None
        self.may_answer.wait(20)
        answers, owner, code = [], name, self.code
        while alias := self.records.get((owner, CNAME)):
            answers.append((owner, CNAME, alias[0]))
            owner = self._name(alias[0])
        answers += [(owner, kind, data) for data in self.records.get((owner, kind), [])]
        if code == NO_ERROR and not any(known == owner for known, _ in self.records):
            code = NO_NAME
        if code not in (NO_ERROR, NO_NAME):
            answers = []
        head = query[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(answers), 0, 0)
        return head + query[12:at + 5] + b"".join(
            (b"\xc0\x0c" if owner == name else wire(owner))
            + struct.pack(">HHIH", kind, 1, 1, len(data)) + data for owner, kind, data in answers)

    @staticmethod
    def _name(data: bytes) -> str:
        labels, at = [], 0
        while data[at]:
            labels.append(data[at + 1:at + 1 + data[at]].decode())
            at += data[at] + 1
        return ".".join(labels)


class WebServer:
    """Answers GET with what `answer` says of host and path: a status, a body and other headers."""

    def __init__(self):
        self.asked: list[tuple[str, str]] = []
        self.answer = lambda host, path: (404, b"no such document", {})
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                host = self.headers["Host"]
                server.asked.append((host, self.path))
                status, body, headers = server.answer(host, self.path)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def prove(self, domain) -> None:
        challenge = domain.challenge

        def answer(host, path):
            is_it = f"http://{host}{path}" == challenge.http_url
            return (200, challenge.http_content.encode() + b"\r\n", {}) if is_it else (404, b"", {})

        self.answer = answer

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


# MARK: In fewer words


def settings(dns, web, **others) -> dict:
    return {"domains": {"resolvers": [f"127.0.0.1:{dns.port}"], "http_port": web.port, "private_hosts": True}
            | others}


def of_host(client, host: str):
    """The tenant of a host; None where it is nobody's."""
    try:
        return client.resolver.ResolveFromSubdomain(
            api.resolver.ResolveFromSubdomainRequest(host=host), timeout=20).tenant.name
    except grpc.RpcError as error:
        assert error.code().name == "NOT_FOUND", error
        return None


def owned(admin, dns, tenant, name: str):
    """A domain that is a tenant's."""
    claim = admin.claim(tenant.name, name)
    dns.prove(claim)
    return admin.verify(claim.name)
