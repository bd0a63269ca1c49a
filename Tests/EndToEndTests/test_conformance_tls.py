"""The conformance server's TLS: who is let in, who is thrown out, and what a slow peer gets."""

import socket
import ssl
import threading

import grpc
import pytest

from support.conformance import InteropServer, empty_pb2, messages_pb2, test_pb2_grpc
from support.pki import Authority, revoking


@pytest.fixture
def make_server(pki, tmp_path):
    made = []
    authority = tmp_path / "authority.pem"
    authority.write_bytes(pki.python.pem)

    def make(*flags: str) -> InteropServer:
        made.append(InteropServer(*flags, pki=pki, authorities=authority))
        return made[-1]

    yield make
    for server in made:
        server.close()


def name(server, credential) -> str | None:
    """Who the server says the caller is; None when it does not let the caller in."""
    with server.channel("mtls", credential) as channel:
        stub = test_pb2_grpc.TestServiceStub(channel)
        try:
            request = messages_pb2.SimpleRequest(fill_username=True)
            return stub.UnaryCall(request, timeout=10).username
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            return None


@pytest.mark.parametrize(("mode", "nobody", "known", "stranger"), [
    ("none", "", "", ""), ("optional", "", "spiffe", None), ("required", None, "spiffe", None)])
def test_client_authentication(make_server, pki, mode, nobody, known, stranger):
    server = make_server("--client-auth", mode)
    found = [name(server, credential) for credential in (
        None, pki.python.platform("interop"), Authority("A stranger").platform("interop"))]
    assert [text and text.partition(":")[0] for text in found] == [nobody, known, stranger]


def test_revoked_peers_are_refused_and_thrown_out(make_server, pki, tmp_path):
    good, bad = pki.python.platform("interop"), pki.python.platform("interop")
    crl = tmp_path / "crl.pem"
    crl.write_bytes(revoking(pki.python))
    server = make_server("--client-auth", "required", "--crl", str(crl))
    with server.channel("mtls", bad) as channel:
        stub = test_pb2_grpc.TestServiceStub(channel)
        stub.EmptyCall(empty_pb2.Empty(), timeout=10)
        over = threading.Event()
        waiting = stub.FullDuplexCall(iter(lambda: over.wait(60) or None, True), timeout=30)
        crl.write_bytes(revoking(pki.python, bad))
        # It was let in before, and sleeps: the change of the file ends it, and its connection.
        assert waiting.code() is grpc.StatusCode.UNAUTHENTICATED
        over.set()
    assert name(server, bad) is None
    assert name(server, good).startswith("spiffe")


def connect(server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), 20)


@pytest.mark.parametrize("sent", [b"\x16", b"\x16\x03\x01\x02\x00\x01"])
def test_a_slow_handshake_is_cut(make_server, sent):
    server = make_server("--handshake-timeout", "300ms")
    with connect(server) as peer:
        peer.sendall(sent)
        assert peer.recv(1) == b""


def test_alpn_chooses_the_protocol(make_server, pki):
    server = make_server()
    for offered, chosen in ((["h2"], "h2"), (["ttrpc"], "ttrpc"), (["http/1.1", "h2"], "h2")):
        context = ssl.create_default_context(cadata=pki.python.pem.decode())
        context.set_alpn_protocols(offered)
        with connect(server) as peer, context.wrap_socket(
                peer, server_hostname="localhost") as connection:
            assert connection.selected_alpn_protocol() == chosen


def test_plain_text_is_refused(make_server):
    with connect(make_server()) as peer:
        peer.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert peer.recv(1) == b""
