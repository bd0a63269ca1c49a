"""Peers that are refused: they learn nothing, the log tells why, and others are served on."""

import os
import ssl
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage

from support import raw
from support.client import failure
from support.pki import Authority, platform_id, tenant_id
from support.waiting import eventually

WEB = tenant_id("acme")


class Foreign:
    """CAs that the server does not know; one of them has the name of one that it knows."""

    other = Authority("Other CA")
    same_name = Authority()


CERTIFICATES = {
    # name: (how it is made, what the log says)
    "wrong CA": (lambda ca: Foreign.other.issue(WEB), "unable to get local issuer certificate"),
    "same-DN foreign CA": (lambda ca: Foreign.same_name.issue(WEB), "certificate signature failure"),
    "expired": (lambda ca: ca.issue(WEB, starts=-7200, ends=-60), "certificate has expired"),
    "not yet valid": (lambda ca: ca.issue(WEB, starts=600, ends=7200), "certificate is not yet valid"),
    "two URI names": (lambda ca: ca.issue(WEB, platform_id("operator")), "2 URI names"),
    "the same URI name twice": (lambda ca: ca.issue(WEB, WEB), "2 URI names"),
    "no URI name": (lambda ca: ca.issue(hosts=("acme.example",)), "0 URI names"),
    "no name at all": (lambda ca: ca.issue(), "0 URI names"),
    "foreign trust domain": (lambda ca: ca.issue("spiffe://other.test/tenant/acme/web"),
                             "foreign trust domain"),
    "a CA as leaf": (lambda ca: ca.issue(WEB, ca=True), "CA"),
    "server authentication only": (lambda ca: ca.issue(WEB, usages=(Usage.SERVER_AUTH,)),
                                   "purpose"),
    "no extended key usage": (lambda ca: ca.issue(WEB, usages=()), "without extended key usage"),
    "RSA of 1024 bits": (lambda ca: ca.issue(WEB, key=rsa.generate_private_key(65537, 1024)),
                         "key too weak"),
    # OpenSSL's security level alone would take these.
    "RSA of 1984 bits": (lambda ca: ca.issue(WEB, key=rsa.generate_private_key(65537, 1984)),
                         "key too weak"),
    "RSA of 2047 bits": (lambda ca: ca.issue(WEB, key=rsa.generate_private_key(65537, 2047)),
                         "key too weak"),
}

NOT_SPIFFE = "not a SPIFFE ID"
NAMES = {
    "spiffe://E2E.TEST/tenant/acme/web": NOT_SPIFFE,
    "SPIFFE://e2e.test/tenant/acme/web": NOT_SPIFFE,
    "https://e2e.test/tenant/acme/web": NOT_SPIFFE,
    "spiffe://e2e.test/tenant/acme%2e/web": NOT_SPIFFE,
    "spiffe://e2e.test/tenant/%61cme/web": NOT_SPIFFE,
    "spiffe://e2e.test/tenant//web": NOT_SPIFFE,
    "spiffe://e2e.test//tenant/acme": NOT_SPIFFE,
    "spiffe://e2e.test/tenant/acme/": NOT_SPIFFE,
    "spiffe://e2e.test/tenant/acme?x=1": NOT_SPIFFE,
    "spiffe://e2e.test/tenant/acme#x": NOT_SPIFFE,
    "spiffe://e2e.test/tenant/./acme": NOT_SPIFFE,
    "spiffe://e2e.test/tenant/../platform/operator": NOT_SPIFFE,
    "spiffe://e2e.test:443/tenant/acme": NOT_SPIFFE,
    "spiffe://user@e2e.test/tenant/acme": NOT_SPIFFE,
    "spiffe:///tenant/acme": NOT_SPIFFE,
    "spiffe://e2e.test": NOT_SPIFFE,
    "spiffe://e2e.test/": NOT_SPIFFE,
    "spiffe://e2e.test/tenant/acme/" + "x" * 2048: NOT_SPIFFE,
    "spiffe://e2e.test/tenant": "neither a tenant nor a platform role",
    "spiffe://e2e.test/platform": "neither a tenant nor a platform role",
    "spiffe://e2e.test/platform/operator/a/b": "neither a tenant nor a platform role",
    "spiffe://e2e.test/Tenant/acme": "neither a tenant nor a platform role",
    "spiffe://e2e.test/tenant/ACME": "not in canonical form",
    "spiffe://e2e.test/tenant/a_b": "not in canonical form",
    "spiffe://e2e.test/tenant/acme\0.evil.test/web": "forbidden characters",
    "spiffe://e2e.test/tenant/acme/web\n": "forbidden characters",
}
CERTIFICATES |= {name: (lambda ca, name=name: ca.issue(name), why) for name, why in NAMES.items()}


@pytest.fixture
def logged(server):
    """Waits for a line of the log that is new in this test."""
    begin = len(server.log)

    def logged(text):
        def found():
            return [line for line in server.log[begin:].splitlines() if text in line]

        line = eventually(found, f"a log line with {text!r}")[0]
        assert " warning " in line, line

    return logged


@pytest.fixture
def others(server, admin, pki):
    """Afterwards others are served: on an old connection, and on a new one."""
    admin.who()
    yield
    admin.who()
    with server.client(pki.python.platform("viewer")) as new:
        new.who()


@pytest.mark.parametrize("case", CERTIFICATES, ids=ascii)
def test_certificates(server, pki, others, logged, tmp_path, case):
    make, why = CERTIFICATES[case]
    files = make(pki.python).write(tmp_path / "leaf")
    ending, received = raw.tls_exchange(server.port, raw.tls_context(pki.python.pem, files))
    assert received == b"" and ending != "served"
    logged(why)


def test_the_client_of_those_tests_can_get_in(server, pki, tmp_path):
    files = pki.python.tenant("acme").write(tmp_path / "leaf")
    ending, _ = raw.tls_exchange(server.port, raw.tls_context(pki.python.pem, files))
    assert ending == "served"


def test_no_certificate(server, pki, others, logged):
    ending, received = raw.tls_exchange(server.port, raw.tls_context(pki.python.pem))
    assert received == b"" and "CERTIFICATE_REQUIRED" in ending
    logged("peer did not return a certificate")


def test_grpc_clients_are_told_unavailable(server, pki, others):
    for credential in (None, Foreign.other.issue(WEB), pki.python.issue(WEB, WEB)):
        with server.client(credential) as client:
            failure("UNAVAILABLE", client.who, timeout=5)


@pytest.mark.parametrize("version, accepted", [
    (ssl.TLSVersion.TLSv1, False), (ssl.TLSVersion.TLSv1_1, False),
    (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)], ids=str)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_versions_of_tls(server, pki, others, logged, tmp_path, version, accepted):
    files = pki.python.tenant("acme").write(tmp_path / "leaf")
    context = raw.tls_context(pki.python.pem, files)
    context.minimum_version = context.maximum_version = version
    ending, received = raw.tls_exchange(server.port, context)
    assert (ending == "served") == accepted
    if not accepted:
        assert received == b""
        logged("unsupported protocol")


@pytest.mark.parametrize("offered", [(), ("http/1.1",), ("h2c", "H2", "h")], ids=str)
def test_application_protocols_other_than_h2(server, pki, others, logged, tmp_path, offered):
    files = pki.python.tenant("acme").write(tmp_path / "leaf")
    ending, received = raw.tls_exchange(
        server.port, raw.tls_context(pki.python.pem, files, alpn=offered))
    assert received == b"" and ending != "served"
    logged("no application protocol")


def client_hello(pki) -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = raw.tls_context(pki.python.pem).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def test_plain_text_on_the_tls_port(server, others, logged):
    assert raw.exchange(("127.0.0.1", server.port), raw.PREFACE) == b""
    logged("plain text is not allowed here")


def test_tls_on_the_unix_socket(server, pki, others, logged):
    assert raw.exchange(server.socket, client_hello(pki)) == b""
    logged("TLS is not offered here")


@pytest.mark.parametrize("sent", [b"\xff", b"GET / HTTP/1.1\r\n\r\n", b"\1" * 10, b"\x15\3\1\0\2\1\0"])
@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_another_first_byte(server, others, logged, sent, transport):
    where = server.socket if transport == "unix" else ("127.0.0.1", server.port)
    assert raw.exchange(where, sent) == b""
    logged(f"first byte {sent[0]}")


def test_garbage_behind_the_first_byte(server, others, logged):
    received = raw.exchange(("127.0.0.1", server.port), b"\x16" + b"\xff" * 300)
    assert len(received) in (0, 7), "at most a TLS alert"
    logged("TLS handshake failed")
    raw.exchange(server.socket, b"P" + b"\xff" * 300)
    logged("client magic")


def curl(socket, *prefix) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*prefix, "curl", "--silent", "--show-error", "--http2-prior-knowledge", "--max-time", "20",
         "--unix-socket", str(socket), "--data-binary", "@-", "-o", "-", "-D", "-",
         "-H", "content-type: application/grpc", "-H", "te: trailers",
         "http://tenantd/tenancy.v1.Identity/WhoAmI"],
        input=bytes(5), capture_output=True)


def test_a_uid_that_is_not_listed(make_server):
    """Our own uid, of which nothing is listed."""
    server = make_server(identity={"trust_domain": "e2e.test", "unix_users": [
        {"uid": os.getuid() + 1, "roles": ["operator"]}]}).start()
    refused = curl(server.socket)
    assert refused.returncode != 0 and refused.stdout == b""
    eventually(lambda: f"the Unix user {os.getuid()} is not allowed" in server.log, "the reason")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_than_the_one_listed(make_server):
    server = make_server(mode="0666").start()
    assert b"grpc-status: 0" in curl(server.socket).stdout
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    refused = curl(server.socket, *nobody)
    assert refused.returncode != 0 and refused.stdout == b""
    eventually(lambda: "the Unix user 65534 is not allowed" in server.log, "the reason")
    assert b"grpc-status: 0" in curl(server.socket).stdout


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_the_mode_of_the_socket(server):
    """Other users don't get as far as being refused."""
    assert server.socket.stat().st_mode & 0o777 == 0o600
    refused = curl(server.socket, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    assert b"Couldn't connect" in refused.stderr or b"Failed to connect" in refused.stderr


@pytest.mark.parametrize("uri", [WEB, platform_id("operator")])
def test_a_certificate_that_expires_while_connected(server, admin, pki, uri):
    if uri == WEB:
        admin.active("acme")
    credential = pki.python.issue(uri, ends=3)
    with server.client(credential) as client:
        client.who()

        def expired():
            try:
                client.who()
            except Exception as error:
                return error.code().name == "UNAUTHENTICATED"

        eventually(expired, "the certificate expires", 10)
        error = failure("UNAUTHENTICATED", client.who)
        assert error.reason == "IDENTITY_EXPIRED"
        assert failure("UNAUTHENTICATED", client.get, "acme") == error
    with server.client(credential) as late:
        failure("UNAVAILABLE", late.who, timeout=3)
