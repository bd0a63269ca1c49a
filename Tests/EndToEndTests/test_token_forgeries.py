"""Tokens that are none: refused, on record, and of no cost to others."""

import hashlib
import hmac
import json

import pytest
from support import api
from support.client import failure
from support.daemon import Server
from support.jose import Forger, encode, part
from support.tokens import denials, exchange, failure_of, introspect, issue, refused, who
from support.waiting import eventually


@pytest.fixture(scope="module")
def server(tmp_path_factory, pki):
    server = Server(tmp_path_factory.mktemp("server"), pki, audit={"window_seconds": 1})
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture(scope="module")
def acme(admin):
    return admin.active("acme", api.SHARED)


@pytest.fixture(scope="module")
def globex(admin):
    return admin.active("globex", api.SHARED)


@pytest.fixture(scope="module")
def good(admin, acme):
    return issue(admin, "acme", "user:al", unbound=True).token


@pytest.fixture(scope="module")
def gateway(server, pki):
    with server.client(pki.python.platform("resolver")) as client:
        yield client


def hs256(good: str, secret: bytes) -> str:
    signed = ".".join([encode(json.dumps({**part(good, 0), "alg": "HS256"}).encode()),
                       good.split(".")[1]])
    return f"{signed}.{encode(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


FORGERIES = {
    "another key": lambda f: f.token(),
    "alg none": lambda f: ".".join([encode(b'{"alg":"none","typ":"at+jwt"}'), f.good.split(".")[1], ""]),
    "alg none, signed": lambda f: f.resealed({"alg": "none"}),
    "alg None": lambda f: f.resealed({"alg": "nOnE"}),
    "HS256 with the public key": lambda f: hs256(f.good, json.dumps(f.jwk).encode()),
    "no signature": lambda f: f.good.rsplit(".", 1)[0] + ".",
    "two parts": lambda f: f.good.rsplit(".", 1)[0],
    "four parts": lambda f: f.good + ".x",
    "psychic signature": lambda f: f.good.rsplit(".", 1)[0] + "." + encode(bytes(64)),
    "r and s are the order": lambda f: f.good.rsplit(".", 1)[0] + "." + encode(bytes.fromhex(
        "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551" * 2)),
    "a shorter signature": lambda f: f.good[:-4],
    "bits that are left": lambda f: f.good[:-1] + ("B" if f.good[-1] != "B" else "C"),
    "padding": lambda f: f.good + "==",
    "kid of nobody": lambda f: f.token({"kid": "x" * 43}),
    "kid that is a path": lambda f: f.token({"kid": "../../../dev/null"}),
    "kid that is SQL": lambda f: f.token({"kid": "' OR '1'='1"}),
    "no kid": lambda f: f.sign(json.dumps({"alg": "ES256", "typ": "at+jwt"}).encode(),
                               json.dumps(f.claims).encode()),
    "jwk": lambda f: f.token({"jwk": f.jwk}),
    "jku": lambda f: f.token({"jku": "https://evil.test/jwks.json"}),
    "x5u": lambda f: f.token({"x5u": "https://evil.test/x.pem"}),
    "x5c": lambda f: f.token({"x5c": ["MII"]}),
    "crit": lambda f: f.token({"crit": ["exp"]}),
    "crit, empty": lambda f: f.resealed({"crit": []}),
    "b64": lambda f: f.token({"b64": False, "crit": ["b64"]}),
    "zip": lambda f: f.token({"zip": "DEF"}),
    "typ JWT": lambda f: f.resealed({"typ": "JWT"}),
    "longer life": lambda f: f.resealed(exp=f.claims["exp"] + 600),
    "another subject": lambda f: f.resealed(sub="user:boss"),
    "another tenant": lambda f: f.resealed(tid="0198c5ee-0000-7000-8000-000000000000"),
    "another issuer": lambda f: f.resealed(iss="https://evil.test"),
    "an issuer behind ours": lambda f: f.resealed(iss=f.claims["iss"] + ".evil.test"),
    "two subjects": lambda f: f.sign(json.dumps(f.header).encode(), json.dumps(f.claims).encode()[:-1]
                                     + b',"sub":"user:boss"}'),
    "BOM": lambda f: f.sign(b"\xef\xbb\xbf" + json.dumps(f.header).encode(), json.dumps(f.claims).encode()),
    "NUL": lambda f: f.token(sub="user:al\0"),
    "UTF-16": lambda f: f.sign(json.dumps(f.header).encode("utf-16-le"), json.dumps(f.claims).encode()),
    "deep": lambda f: f.sign(json.dumps(f.header).encode(), b'{"x":' + b"[" * 3000 + b"]" * 3000 + b"}"),
    "no claims": lambda f: f.sign(json.dumps(f.header).encode(), b"{}"),
    "a list": lambda f: f.sign(json.dumps(f.header).encode(), b"[]"),
    "exp of text": lambda f: f.token(exp="9999999999"),
    "exp beyond all": lambda f: f.token(exp=1e300),
    "exp below all": lambda f: f.token(exp=-1),
    "oversized": lambda f: f.token(x="y" * 9000),
    "two": lambda f: f.good + " " + f.good,
    "dots": lambda f: "..",
    "an encrypted one": lambda f: "a.b.c.d.e",
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forgeries(forgery, good, gateway, admin):
    token = FORGERIES[forgery](Forger(good))
    reason = refused(gateway, token)
    assert reason.startswith(("TOKEN_", "AUTHORIZATION_MALFORMED")), reason
    assert not introspect(admin, token).active
    assert who(gateway, good).subject == "user:al"


def test_forgeries_are_on_record(good, gateway, admin, acme):
    refused(gateway, Forger(good).token())
    for chain in ("", f"tenants/{acme.id}"):
        eventually(lambda: ("/tenancy.v1.Identity/WhoAmI", "TOKEN_SIGNATURE_INVALID")
                   in denials(admin, chain), "both chains tell of it")


@pytest.mark.parametrize("values", [
    ["Basic YTpi"], ["Bearer"], ["Bearer{}"], ["Bearer {}", "Bearer {}"], ["{}"], [""],
    ["Bearer {}, Bearer {}"], ["Basic YTpi", "Bearer {}"]])
def test_metadata_that_are_not_understood(values, good, gateway):
    metadata = [("authorization", value.replace("{}", good)) for value in values]
    call = lambda: gateway.identity.WhoAmI(  # noqa: E731
        api.identity.WhoAmIRequest(), metadata=metadata, timeout=20)
    assert failure("UNAUTHENTICATED", call).reason in (
        "AUTHORIZATION_MALFORMED", "TOKEN_MALFORMED")


def test_a_header_that_names_a_tenant_is_no_identity(gateway, good, acme):
    me = gateway.identity.WhoAmI(api.identity.WhoAmIRequest(), timeout=20, metadata=[
        ("authorization", f"Bearer {good}"), ("x-tenant-id", "globex")])
    assert me.tenant == f"tenants/{acme.id}"


def test_another_tenants_key(admin, globex, good, gateway):
    """Signed by a tenant's own key, and saying that it is another's: even a whole token of the one's."""
    theirs = issue(admin, "globex", "user:al", unbound=True).token
    mixed = ".".join([theirs.split(".")[0], good.split(".")[1], theirs.split(".")[2]])
    assert refused(gateway, mixed) == "TOKEN_SIGNATURE_INVALID"


def test_a_flood_of_bad_tokens_is_cut_and_good_ones_go_on(make_server, pki):
    server = make_server().start()
    with server.operator() as admin, server.client(pki.python.platform("resolver")) as gateway:
        admin.active("acme", api.SHARED)
        known = issue(admin, "acme", "user:al", unbound=True).token
        who(gateway, known)
        forger = Forger(known)
        bad = [forger.token(jti=str(number)) for number in range(400)]
        reasons = [failure_of(gateway, token) for token in bad]
        assert set(reasons) == {"TOKEN_SIGNATURE_INVALID", "TOKEN_RATE_EXCEEDED"}
        assert who(gateway, known).subject == "user:al"
        # Others are not kept from bringing theirs.
        with server.client(pki.python.tenant("acme", "web")) as web:
            who(web, exchange(web).token)
        admin.active("globex", api.SHARED)
        who(gateway, issue(admin, "globex", "user:al", unbound=True).token)
