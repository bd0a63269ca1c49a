"""Servers that keys are fetched from and that are not well-behaved, and tenants that name what they should not."""

import base64
import json

import pytest
from support import api
from support.client import invalid
from support.daemon import Server
from support.issuers import OutsideIssuer, trust
from support.key_server import KeyServer, pin
from support.tokens import refused
from support.waiting import eventually
from test_fetched_keys import URL, accepted, answer, fetching, published


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """A good one, one of a CA that nobody trusts, and one whose certificate is for others."""
    place = tmp_path_factory.mktemp("keys")
    good = KeyServer(place / "good")
    made = {"good": good, "unknown CA": KeyServer(place / "unknown"),
            "another name": KeyServer(place / "other", good.authority, ("other.test",))}
    yield made
    for server in made.values():
        server.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory, pki, servers):
    hosts = [server.host for server in servers.values()]
    server = Server(tmp_path_factory.mktemp("server"), pki, tokens=fetching(
        servers["good"], hosts=[*hosts, "*.inside.test", "localhost"], private_hosts=hosts))
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture
def acme(admin, slug):
    return admin.active(slug, api.SHARED)


@pytest.fixture(scope="module")
def gateway(server, pki):
    with server.client(pki.python.platform("resolver")) as client:
        yield client


@pytest.fixture
def corp():
    return OutsideIssuer(URL)


def raw(*parts: bytes):
    """Writes an answer byte for byte."""
    def write(request):
        for one in parts:
            request.wfile.write(one)
    return write


def slowly(request) -> None:
    """A byte at a time, until it is cut off: the client, and not this, says when."""
    request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
    while not request.server.key_server_ends.wait(0.05):
        request.wfile.write(b" ")


def head(*fields: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *fields, "", ""]).encode()


def sized(body: bytes) -> bytes:
    return head(f"Content-Length: {len(body)}") + body


def private(issuer) -> bytes:
    return json.dumps({"keys": [{**issuer.jwk, "d": "AAAA"}]}).encode()


SECRET = {"kty": "oct", "k": "AAAA", "kid": "s"}

ANSWERS = {
    "a redirect": (raw(head("Location: https://localhost/", "Content-Length: 0", status="302 Found")),
                   "redirects are not followed"),
    "not found": (raw(head("Content-Length: 0", status="404 Not Found")), "the status 404"),
    "no content": (raw(head(status="204 No Content")), "the status 204"),
    "more than it may say": (raw(head("Content-Length: 65537")), "more than 65536 bytes"),
    "more than it may send": (raw(head("Transfer-Encoding: chunked"), b"8000\r\n" + b" " * 0x8000 + b"\r\n",
                                  b"8001\r\n" + b" " * 0x8001 + b"\r\n", b"0\r\n\r\n"), "more than 65536 bytes"),
    "a head without an end": (raw(head("X: y")[:-2], b"X: y\r\n" * 60_000), "too many fields"),
    "a long line": (raw(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 100_000), "long line"),
    "no length": (raw(head("Connection: close"), b"{}"), "does not tell its length"),
    "two lengths": (raw(head("Content-Length: 2", "Content-Length: 2"), b"{}"), "content-length"),
    "two ways": (raw(head("Content-Length: 2", "Transfer-Encoding: chunked"), b"0\r\n\r\n"), "in two ways"),
    "too short": (raw(head("Content-Length: 9"), b"{}"), "ends before its end"),
    "not HTTP": (raw(b"SSH-2.0-OpenSSH\r\n"), "not HTTP/1.1"),
    "nothing": (raw(b""), "ends before its end"),
    "compressed": (raw(head("Content-Length: 2", "Content-Encoding: gzip"), b"{}"), "compressed"),
    "no keys": (raw(sized(b'{"keys":[]}')), "0 keys"),
    "not JSON": (raw(sized(b"<html>")), "not JSON"),
    "not UTF-8": (raw(sized(b'{"keys":"\xff"}')), "not UTF-8"),
    "a member twice": (raw(sized(b'{"keys":[],"keys":[]}')), "member twice"),
    "a private key": (lambda request: raw(sized(private(OutsideIssuer(URL))))(request), "private or symmetric"),
    "a symmetric key": (raw(sized(json.dumps({"keys": [SECRET]}).encode())), "private or symmetric"),
    "too many keys": (lambda request: raw(sized(OutsideIssuer(URL).jwks(
        *(OutsideIssuer(URL) for _ in range(16))).encode()))(request), "17 keys"),
}


# These are sets of keys, and the former one is not listed in them.
WITHDRAWALS = {"no keys", "a private key", "a symmetric key", "too many keys"}


@pytest.mark.parametrize("case", ANSWERS)
def test_answers(case, server, servers, admin, acme, corp, gateway):
    """None of them takes the keys away that there are, but for those that list others."""
    keys = servers["good"]
    keys.answer = keys.keys
    keys.publish(corp)
    path = f"/{acme.slug}"
    trust(admin, acme.name, published(corp, keys, keys.url(path=path)))
    token = corp.token(acme)
    accepted(gateway, token)
    keys.answer, said = ANSWERS[case]
    try:
        def told():
            return [line for line in server.log.splitlines()
                    if path in line and "not fetched" in line and said in line]
        eventually(told, "the log tells of it")
        if case in WITHDRAWALS:
            assert refused(gateway, token, "UNAVAILABLE") == "TOKEN_KEYS_REFRESHING"
        else:
            assert answer(gateway, token) == ""
        # Nor do they come to be some.
        fresh = keys.url(path=path + "/fresh")
        trust(admin, acme.name, published(corp, keys, fresh))
        eventually(lambda: f"url={fresh}" in server.log, "it was tried")
        assert refused(gateway, token, "UNAVAILABLE") == "TOKEN_KEYS_NOT_FETCHED"
    finally:
        keys.answer = keys.keys
        trust(admin, acme.name)


def test_a_key_goes_on_beside_one_that_is_wrong(server, servers, admin, acme, corp, gateway):
    keys = servers["good"]
    keys.answer = keys.keys
    keys.publish(corp)
    path = f"/{acme.slug}"
    trust(admin, acme.name, published(corp, keys, keys.url(path=path)))
    token = corp.token(acme)
    accepted(gateway, token)
    keys.answer = raw(sized(json.dumps({"keys": [corp.jwk, SECRET]}).encode()))
    try:
        eventually(lambda: any(path in line and "private or symmetric" in line for line in server.log.splitlines()),
                   "the log tells of it")
        assert answer(gateway, token) == ""
    finally:
        keys.answer = keys.keys
        trust(admin, acme.name)


def test_a_slow_server_is_cut_off_and_delays_nobody(server, servers, admin, acme, corp, gateway, slug):
    keys = servers["good"]
    keys.publish(corp)
    slow = {f"/{slug}/slow{number}" for number in range(8)}
    keys.answer = lambda request: (slowly if request.path in slow else keys.keys)(request)
    try:
        issuers = [published(OutsideIssuer(f"{URL}{number}"), keys, keys.url(path=path), f"slow{number}")
                   for number, path in enumerate(slow)]
        trust(admin, acme.name, *issuers)
        eventually(lambda: slow & set(keys.paths), "a slow one is asked")
        other = admin.active(f"{slug}-other", api.SHARED)
        trust(admin, other.name, published(corp, keys, keys.url(path=f"/{slug}/quick")))
        accepted(gateway, corp.token(other))
        assert "the server takes too long" not in server.log, "the other one was before that"
        eventually(lambda: "the server takes too long" in server.log, "it is cut off")
    finally:
        keys.answer = keys.keys
        trust(admin, acme.name)


def test_a_slow_server_does_not_hold_up_the_end(make_server, servers, corp):
    keys = servers["good"]
    keys.answer = slowly
    try:
        server = make_server(tokens=fetching(keys)).start()
        with server.operator() as admin:
            acme = admin.active("acme", api.SHARED)
            trust(admin, acme.name, published(corp, keys, keys.url(path="/held")))
            eventually(lambda: "/held" in keys.paths, "it is asked")
        assert server.stop() == 0
        assert "not fetched" not in server.log, "it was not waited for"
    finally:
        keys.answer = keys.keys


CERTIFICATES = {
    "unknown CA": "issuer", "another name": "localhost", "no pinned key": "no certificate of its chain has a pinned key",
}


@pytest.mark.parametrize("case", CERTIFICATES)
def test_servers_that_are_others(case, server, servers, admin, acme, corp, gateway):
    keys = servers.get(case, servers["good"])
    keys.publish(corp)
    url = keys.url(path=f"/{acme.slug}")
    pins = [pin(servers["unknown CA"].credential.certificate)] if case == "no pinned key" else []
    trust(admin, acme.name, published(corp, keys, url, key_pins=pins))

    def told():
        return [line for line in server.log.splitlines()
                if f"url={url}" in line and "tls: " in line and CERTIFICATES[case] in line]
    eventually(told, "the log tells of it")
    assert refused(gateway, corp.token(acme), "UNAVAILABLE") == "TOKEN_KEYS_NOT_FETCHED"
    assert f"/{acme.slug}" not in keys.paths, "it was not asked for anything"
    trust(admin, acme.name)


def test_pins_are_of_any_certificate_of_the_chain(servers, admin, acme, corp, gateway):
    keys = servers["good"]
    keys.publish(corp)
    other = base64.b64encode(bytes(32)).decode()
    trust(admin, acme.name, published(corp, keys, key_pins=[other, pin(keys.authority.pem)]))
    accepted(gateway, corp.token(acme))


URLS = ["http://localhost/keys", "https://localhost:1/keys", "https://elsewhere.test/keys", "https://inside.test/",
        "https://127.0.0.1/keys", "https://[::1]/keys", "https://x@localhost/keys", "https://localhost/keys#x",
        "https://LOCALHOST/keys", "https://localhost./keys", "https://localhost:0443/keys", "https://localhost\\/keys",
        "https://localhost/ keys", "https://localhost?keys", "https:///keys", "https://2130706433/", "ftp://localhost/",
        "https://localhost/" + "x" * 500, "https://a.inside.test.evil.test/", "https://0x7f.1/"]


@pytest.mark.parametrize("url", URLS)
def test_urls_that_are_refused(url, servers, admin, acme, corp):
    invalid("settings.issuers[0].jwks_uri", trust, admin, acme.name, published(corp, servers["good"], url))


def test_there_is_one_source(servers, admin, acme, corp):
    keys = servers["good"]
    invalid("settings.issuers[0].json_web_key_set", trust, admin, acme.name,
            published(corp, keys, json_web_key_set=corp.jwks()))
    invalid("settings.issuers[0].json_web_key_set", trust, admin, acme.name, corp.trusted(json_web_key_set=""))
    invalid("settings.issuers[0].key_pins", trust, admin, acme.name, corp.trusted(key_pins=[keys.pin()]))
    for pins in (["x"], [keys.pin()] * 2, [keys.pin().rstrip("=")], [keys.pin()[:-2] + "/="]):
        invalid("settings.issuers[0].key_pins", trust, admin, acme.name, published(corp, keys, key_pins=pins))


def test_names_that_lead_inside(server, servers, admin, acme, corp, gateway):
    """`localhost` is allowed on port 443, and not that it is this machine."""
    trust(admin, acme.name, published(corp, servers["good"], f"https://localhost/{acme.slug}"))

    def told():
        return [line for line in server.log.splitlines()
                if f"/{acme.slug}" in line and "address: localhost has no address that may be asked" in line]
    eventually(told, "the log tells of it")
    assert refused(gateway, corp.token(acme), "UNAVAILABLE") == "TOKEN_KEYS_NOT_FETCHED"


def test_hosts_are_looked_at_whenever_keys_are_fetched(make_server, servers, corp, pki):
    keys = servers["good"]
    keys.publish(corp)
    server = make_server(tokens=fetching(keys)).start()
    with server.operator() as admin, server.client(pki.python.platform("resolver")) as gateway:
        acme = admin.active("acme", api.SHARED)
        trust(admin, acme.name, published(corp, keys, keys.url(path="/once")))
        accepted(gateway, corp.token(acme))
    server.stop()
    server.settings["tokens"]["jwks"]["hosts"] = ["other.test"]
    server.start()
    asked = keys.paths.count("/once")
    with server.client(pki.python.platform("resolver")) as gateway:
        for _ in range(3):
            assert refused(gateway, corp.token(acme), "UNAVAILABLE") == "TOKEN_KEYS_NOT_FETCHED"
    server.stop()
    assert keys.paths.count("/once") == asked
