"""A policy enforcement point that speaks AuthZEN 1.0, and what it is answered."""

import http.client
import json
import re
import socket
import ssl
from dataclasses import dataclass

from .waiting import eventually

EVALUATION = "/access/v1/evaluation"
EVALUATIONS = "/access/v1/evaluations"
METADATA = "/.well-known/authzen-configuration"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: "http.client.HTTPMessage"
    text: str

    @property
    def json(self):
        return json.loads(self.text)

    @property
    def decision(self) -> bool:
        assert self.status == 200, self.text
        assert self.headers["content-type"] == "application/json"
        decision = self.json["decision"]
        assert isinstance(decision, bool)
        return decision

    @property
    def decisions(self) -> list[bool]:
        assert self.status == 200, self.text
        assert "decision" not in self.json
        return [each["decision"] for each in self.json["evaluations"]]

    @property
    def fields(self) -> list[str]:
        """Of a request that is not understood: the fields that are wrong."""
        assert self.status == 400, self.text
        assert self.headers["content-type"] == "application/problem+json"
        problem = self.json
        assert problem["status"] == 400 and problem["detail"]
        return [violation["field"] for violation in problem["violations"]]


def question(subject="user:ann", permission="docs:read", resource="1", context=None, **properties) -> dict:
    """- properties: of subject, action and resource."""
    (kind, identity), (name, action) = subject.split(":", 1), permission.split(":")
    made = {"subject": {"type": kind, "id": identity}, "action": {"name": action},
            "resource": {"type": name, "id": resource}}
    for entity, values in properties.items():
        made[entity]["properties"] = values
    return made if context is None else made | {"context": context}


class Enforcer:
    """On a Unix socket or TCP, each request on a connection of its own unless it is kept."""

    def __init__(self, place, token: str | None = None, tls: ssl.SSLContext | None = None, tenant: str = ""):
        self.place = place
        self.token = token
        self.tls = tls
        self.prefix = f"/tenants/{tenant}" if tenant else ""

    def connect(self) -> socket.socket:
        family = socket.AF_UNIX if isinstance(self.place, str) else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.settimeout(20)
        connection.connect(self.place)
        return self.tls.wrap_socket(connection, server_hostname="localhost") if self.tls else connection

    def open(self) -> http.client.HTTPConnection:
        client = http.client.HTTPConnection("localhost")
        client.sock = self.connect()
        return client

    def headers(self, **more) -> dict:
        made = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in more.items()}
        if self.token is not None:
            made = {"authorization": f"Bearer {self.token}"} | made
        return {name: value for name, value in made.items() if value is not None}

    def send(self, path: str, body=None, method: str = "POST", on=None, **headers) -> Answer:
        """- body: bytes, text, or what is sent as JSON.
        - on: a connection that is kept."""
        client = on or self.open()
        sent = body if isinstance(body, (bytes, str)) or body is None else json.dumps(body)
        sent = sent.encode() if isinstance(sent, str) else sent
        try:
            client.request(method, path, body=sent, headers=self.headers(**headers))
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            pass  # It was answered before all of it was sent.
        answer = client.getresponse()
        received = Answer(answer.status, answer.headers, answer.read().decode())
        if on is None:
            client.close()
        return received

    def ask(self, body=None, **more) -> Answer:
        return self.send(self.prefix + EVALUATION, question() if body is None else body, **more)

    def ask_all(self, evaluations: list, semantic: str | None = None, **more) -> Answer:
        body = {"evaluations": evaluations} | {name: more.pop(name) for name in list(more) if name in (
            "subject", "action", "resource", "context", "options")}
        if semantic is not None:
            body["options"] = {"evaluations_semantic": semantic}
        return self.send(self.prefix + EVALUATIONS, body, **more)

    def raw(self, *pieces: bytes) -> bytes:
        """Sends bytes and reads until the end."""
        received = b""
        with self.connect() as connection:
            try:
                for piece in pieces:
                    connection.sendall(piece)
                while data := connection.recv(65536):
                    received += data
            except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
                pass  # Cut off.
        return received


def port(server) -> int:
    """Of a server with a listener of its own for AuthZEN."""
    return int(eventually(lambda: re.findall(r"address=127\.0\.0\.1:(\d+) .*authzen", server.log),
                          "the listener's address", 10)[0])


def context(pki, credential=None, directory=None) -> ssl.SSLContext:
    """For TLS with the server, with a client's certificate if one is given."""
    made = ssl.create_default_context(cafile=str(pki.authorities))
    made.set_alpn_protocols(["http/1.1"])
    if credential is not None:
        made.load_cert_chain(*credential.write(directory))
    return made
