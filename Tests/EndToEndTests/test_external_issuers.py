"""Tokens of other issuers: which are accepted, as whom, and what ends that."""

import hashlib
import hmac
import json
import types

import grpc
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from support import api
from support.client import Failure, failure, invalid
from support.daemon import ISSUER, Server
from support.issuers import MAKERS, OutsideIssuer, audience, trust
from support.jose import Forger, encode, now, part, thumbprint
from support.tokens import (
    denials, exchange, failure_of, get, introspect, refused, revoke, who)
from support.waiting import eventually

URL = "https://id.acme.test/"


@pytest.fixture(scope="module")
def server(tmp_path_factory, pki):
    server = Server(tmp_path_factory.mktemp("server"), pki, audit={"window_seconds": 1})
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture
def acme(admin, slug):
    return admin.active(slug, api.SHARED)


@pytest.fixture
def globex(admin, slug):
    return admin.active(f"{slug}-globex", api.SHARED)


@pytest.fixture(scope="module")
def gateway(server, pki):
    with server.client(pki.python.platform("resolver")) as client:
        yield client


@pytest.fixture
def corp(admin, acme):
    """An issuer that acme trusts."""
    issuer = OutsideIssuer(URL)
    trust(admin, acme.name, issuer.trusted())
    return issuer


@pytest.mark.parametrize("algorithm", MAKERS)
def test_all_algorithms(algorithm, admin, acme, gateway):
    issuer = OutsideIssuer(URL, algorithm)
    trust(admin, acme.name, issuer.trusted())
    token = issuer.token(acme)
    for _ in range(2):
        me = who(gateway, token)
        assert (me.subject, me.tenant) == ("corp:al", f"tenants/{acme.id}")
    found = introspect(admin, token)
    assert found.active and found.issuer == URL and found.subject == "corp:al"
    assert found.token_id == f"corp/{part(token, 1)['jti']}"


def test_roles_are_those_of_the_subject_behind_its_prefix(admin, acme, corp, gateway):
    token = corp.token(acme)
    assert failure("PERMISSION_DENIED", get, gateway, acme.name, token).reason == "PERMISSION_MISSING"
    # A subject of the same name that is not the issuer's is another.
    admin.assign(acme.name, "al", "tenant-viewer")
    failure("PERMISSION_DENIED", get, gateway, acme.name, token)
    admin.assign(acme.name, "corp:al", "tenant-viewer")
    assert get(gateway, acme.name, token).id == acme.id


# What is refused.

def forgeries(issuer: OutsideIssuer, tenant, other) -> dict:
    """Tokens that are none, by what is wrong with them."""
    good = issuer.token(tenant)
    head, body, signature = good.split(".")
    thief = OutsideIssuer(issuer.url, kid=issuer.kid)
    pem = issuer.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    raw = thief_of(issuer)
    raw.audience = audience(tenant)

    def hmac_signed(secret: bytes) -> str:
        header = encode(json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": issuer.kid}).encode())
        return f"{header}.{body}." + encode(
            hmac.digest(secret, f"{header}.{body}".encode(), hashlib.sha256))

    return {
        "HS256 with the public key as PEM": hmac_signed(pem),
        "HS256 with the public key as JWK": hmac_signed(json.dumps(issuer.jwk).encode()),
        "HS256 with nothing": hmac_signed(b""),
        "alg none": encode(b'{"alg":"none","typ":"at+jwt"}') + f".{body}.",
        "alg none with its kid": encode(json.dumps(
            {"alg": "none", "typ": "at+jwt", "kid": issuer.kid}).encode()) + f".{body}.{signature}",
        "another key of the same kid": thief.token(tenant),
        "psychic signature": f"{head}.{body}." + encode(bytes(64)),
        "no signature": f"{head}.{body}.",
        "another kid": issuer.token(tenant, {"kid": "nobody"}),
        "crit": issuer.token(tenant, {"crit": ["exp"]}),
        "jku": issuer.token(tenant, {"jku": "https://evil.test/jwks"}),
        "jwk": thief.token(tenant, {"jwk": thief.jwk}),
        "x5c": issuer.token(tenant, {"x5c": ["MII"]}),
        "typ JWT": issuer.token(tenant, {"typ": "JWT"}),
        "typ of a logout": issuer.token(tenant, {"typ": "logout+jwt"}),
        "an ID token": issuer.token(tenant, nonce="n"),
        "another ID token": issuer.token(tenant, at_hash="x"),
        "a refresh token": issuer.token(tenant, typ="Refresh"),
        "another issuer": issuer.token(tenant, iss="https://evil.test"),
        "an issuer with more": issuer.token(tenant, iss=issuer.url + "x"),
        "no issuer": issuer.token(tenant, iss=None),
        "another tenant": issuer.token(other),
        "no tenant": issuer.token(tenant, aud=ISSUER),
        "two tenants": issuer.token(tenant, aud=[audience(tenant), audience(other)]),
        "no audience": issuer.token(tenant, aud=None),
        "expired": issuer.token(tenant, iat=now() - 600, exp=now() - 1),
        "without an end": issuer.token(tenant, exp=None),
        "without a beginning": issuer.token(tenant, iat=None),
        "not yet": issuer.token(tenant, nbf=now() + 60),
        "of the future": issuer.token(tenant, iat=now() + 60),
        "too long a life": issuer.token(tenant, exp=now() + 3602),
        "no subject": issuer.token(tenant, sub=None),
        "a subject with spaces": issuer.token(tenant, sub="al al"),
        "a list of subjects": raw(b'"sub":["al"]'),
        "two subjects": raw(b'"sub":"al","sub":"boss"'),
        "two subjects, one escaped": raw(b'"sub":"al","s\\u0075b":"boss"'),
        "NUL": raw(b'"sub":"al\\u0000"'),
        "oversized": issuer.token(tenant, x="y" * 9000),
        "bound otherwise": issuer.token(tenant, cnf={"jkt": "x" * 43}),
    }


def thief_of(issuer):
    """Signs what is no JSON of PyJWT's, with the issuer's own key."""
    forger = Forger(issuer.token(types.SimpleNamespace(id="x")))
    forger.key = issuer.key

    def make(members: bytes) -> str:
        rest = {name: value for name, value in forger.claims.items() if name != "sub"}
        return forger.sign(json.dumps(forger.header).encode(),
                           json.dumps({**rest, "aud": make.audience}).encode()[:-1] + b"," + members + b"}")
    make.audience = ""
    return make


def test_forgeries(admin, acme, globex, corp, gateway):
    for name, token in forgeries(corp, acme, globex).items():
        reason = refused(gateway, token)
        assert reason.startswith("TOKEN_"), (name, reason)
        assert not introspect(admin, token).active, name
        assert who(gateway, corp.token(acme)).subject == "corp:al", name


def test_the_public_rsa_key_is_no_secret(admin, acme, gateway):
    issuer = OutsideIssuer(URL, "RS256")
    trust(admin, acme.name, issuer.trusted())
    _, body, _ = issuer.token(acme).split(".")
    header = encode(json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": issuer.kid}).encode())
    pem = issuer.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    forged = f"{header}.{body}." + encode(
        hmac.digest(pem, f"{header}.{body}".encode(), hashlib.sha256))
    assert refused(gateway, forged) == "TOKEN_ALGORITHM_REFUSED"
    # Nor is a key used for what it does not say: RS256 for PS256.
    other = OutsideIssuer(URL, "PS256", issuer.kid, issuer.key)
    assert refused(gateway, other.token(acme)) == "TOKEN_ALGORITHM_REFUSED"


def test_refusals_are_on_record(admin, acme, corp, gateway):
    refused(gateway, OutsideIssuer(URL, kid=corp.kid).token(acme))
    for chain in ("", f"tenants/{acme.id}"):
        eventually(lambda: ("/tenancy.v1.Identity/WhoAmI", "TOKEN_SIGNATURE_INVALID")
                   in denials(admin, chain), "both chains tell of it")


def test_a_flood_of_bad_tokens_is_cut_and_good_ones_go_on(admin, acme, corp, gateway):
    known = corp.token(acme)
    who(gateway, known)
    thief = OutsideIssuer(URL, kid=corp.kid)
    reasons = {failure_of(gateway, thief.token(acme)) for _ in range(400)}
    assert reasons == {"TOKEN_SIGNATURE_INVALID", "TOKEN_RATE_EXCEEDED"}
    assert who(gateway, known).subject == "corp:al"


# Other tenants.

@pytest.mark.parametrize("with_their_key", [True, False])
def test_nobody_claims_anothers_issuer(admin, acme, globex, corp, gateway, connect, pki, with_their_key):
    """Globex's admin says that acme's issuer is its own, with a key of its own or with the public one."""
    boss = pki.python.tenant(globex.slug, "boss")
    admin.assign(globex.name, f"spiffe://e2e.test/tenant/{globex.slug}/boss", "tenant-admin")
    thief = corp if with_their_key else OutsideIssuer(corp.url, kid=corp.kid)
    claimed = thief.trusted("mine", subject_prefix="user:",
                            audiences=[audience(acme), audience(globex), ISSUER])
    trust(connect(boss), globex.name, claimed)
    token = corp.token(acme)
    for client in (gateway, connect(boss), gateway):
        if client is gateway:
            assert who(client, token).tenant == f"tenants/{acme.id}"
        else:
            failure_of(client, token)
    # Acme can set its own again, and a third tenant the same.
    trust(admin, acme.name, corp.trusted(), disable_platform_issuers=True)
    assert who(gateway, token).subject == "corp:al"
    if not with_their_key:
        assert refused(gateway, thief.token(acme)) == "TOKEN_SIGNATURE_INVALID"
    # What the thief signs for its own tenant is its own affair.
    assert who(gateway, thief.token(globex)).tenant == f"tenants/{globex.id}"


def test_certificate_and_token_of_different_tenants(admin, acme, globex, corp, connect, pki):
    theirs = pki.python.tenant(globex.slug, "web")
    bound = corp.token(acme, cnf={"x5t#S256": encode(thumbprint(theirs))})
    assert failure("PERMISSION_DENIED", who, connect(theirs), bound).reason == "TENANT_CREDENTIAL_CONFLICT"
    own = pki.python.tenant(acme.slug, "web")
    bound = corp.token(acme, cnf={"x5t#S256": encode(thumbprint(own))})
    assert who(connect(own), bound).subject == "corp:al"
    assert refused(connect(own), corp.token(acme)) == "TOKEN_NOT_BOUND"


def test_our_own_issuer_is_nobodys(admin, acme, corp):
    for url in (ISSUER, f"{ISSUER}/tenants/{acme.id}", f"{ISSUER}/tenants/x"):
        invalid("settings.issuers[0].issuer", trust, admin, acme.name, OutsideIssuer(url).trusted())


def test_gateways_resolve_by_them(admin, acme, corp, gateway, connect, pki):
    def resolved(client, token, **fields):
        return client.resolver.ResolveFromToken(api.resolver.ResolveFromTokenRequest(token=token, **fields),
                                                timeout=20)

    token = corp.token(acme)
    for _ in range(2):
        found = resolved(gateway, token)
        assert found.tenant.id == acme.id
    assert resolved(gateway, token, token_audience=audience(acme)).tenant.id == acme.id
    assert failure("UNAUTHENTICATED", resolved, gateway, token, token_audience=ISSUER).reason == (
        "TOKEN_AUDIENCE_MISMATCH")
    forged = OutsideIssuer(corp.url, kid=corp.kid).token(acme)
    assert failure("UNAUTHENTICATED", resolved, gateway, forged).reason == "TOKEN_SIGNATURE_INVALID"
    other = admin.active(f"{acme.slug}-other", api.SHARED)
    with_certificate = connect(pki.python.tenant(other.slug, "web"))
    assert failure("PERMISSION_DENIED", resolved, with_certificate, token)
    trust(admin, acme.name)
    assert failure("UNAUTHENTICATED", resolved, gateway, token).reason == "TOKEN_KEY_UNKNOWN"


# What ends them.

def streaming(client, token: str):
    """A stream that lives for as long as its token does."""
    call = client.channel.unary_stream(
        "/grpc.health.v1.Health/Watch", lambda _: b"", lambda data: data)(
            None, metadata=[("authorization", f"Bearer {token}")], timeout=60)
    next(call)
    return call


def ended(call) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        for _ in call:
            pass
    return Failure.of(caught.value).reason


ENDINGS = {
    "the issuer is removed": lambda admin, acme, corp: trust(admin, acme.name),
    "it is disabled": lambda admin, acme, corp: trust(admin, acme.name, corp.trusted(disabled=True)),
    "all of them are": lambda admin, acme, corp: trust(
        admin, acme.name, corp.trusted(), disable_external_issuers=True),
    "its key is another": lambda admin, acme, corp: trust(
        admin, acme.name, OutsideIssuer(corp.url, kid=corp.kid).trusted()),
    "the subjects are others": lambda admin, acme, corp: trust(
        admin, acme.name, corp.trusted(subject_prefix="user:")),
    "the tenant's tokens are revoked": lambda admin, acme, corp: revoke(admin, acme.name, all=True),
    "the subject's are": lambda admin, acme, corp: revoke(admin, acme.name, subject="corp:al"),
    "tokens have to be bound": lambda admin, acme, corp: trust(
        admin, acme.name, corp.trusted(), require_binding=True),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_endings(ending, admin, acme, corp, gateway):
    token = corp.token(acme)
    stream = streaming(gateway, token)
    exchanged = exchange(gateway, token)
    ENDINGS[ending](admin, acme, corp)
    assert ended(stream).startswith("TOKEN_")
    if ending == "the subjects are others":
        # It is as good as before, and somebody else's.
        assert who(gateway, token).subject == "user:al"
    else:
        assert refused(gateway, token).startswith("TOKEN_")
        assert not introspect(admin, token).active
    assert part(exchanged.token, 1)["origin_iss"] == corp.url
    if ending not in ("the subjects are others", "tokens have to be bound"):
        assert not introspect(admin, exchanged.token).active


def test_one_token_is_revoked_by_itself(admin, acme, corp, gateway):
    token, other = corp.token(acme), corp.token(acme)
    nameless = corp.token(acme, jti=None)
    for one in (token, other, nameless):
        who(gateway, one)
    revoke(admin, acme.name, token=token)
    assert refused(gateway, token) == "TOKEN_REVOKED"
    revoke(admin, acme.name, token_id=introspect(admin, nameless).token_id)
    assert refused(gateway, nameless) == "TOKEN_REVOKED"
    assert who(gateway, other).subject == "corp:al"
    invalid("token", revoke, admin, acme.name, token=OutsideIssuer(corp.url, kid=corp.kid).token(acme))


def test_suspension_ends_them_for_good(admin, acme, corp, gateway):
    token = corp.token(acme)
    who(gateway, token)
    admin.suspend(acme.name)
    assert refused(gateway, token, "UNAUTHENTICATED") == "TOKEN_REVOKED"
    admin.manager.ActivateTenant(api.manager.ActivateTenantRequest(name=acme.name), timeout=20)
    assert refused(gateway, token) == "TOKEN_REVOKED"


def test_two_nodes(make_nodes, pki):
    """What one is told, the other judges by: of calls, of streams, and of what it has seen before."""
    one, other = make_nodes(2)
    issuer = OutsideIssuer(URL)
    with one.operator() as admin, other.client(pki.python.platform("resolver")) as gateway:
        acme = admin.active("acme", api.SHARED)
        token = issuer.token(acme)
        assert refused(gateway, token) == "TOKEN_KEY_UNKNOWN"
        trust(admin, acme.name, issuer.trusted())
        eventually(lambda: accepts(gateway, token), "the other node trusts it")
        stream = streaming(gateway, token)
        trust(admin, acme.name)
        assert ended(stream) == "TOKEN_KEY_UNKNOWN"
        assert refused(gateway, token) == "TOKEN_KEY_UNKNOWN"
        trust(admin, acme.name, issuer.trusted())
        eventually(lambda: accepts(gateway, token), "it is trusted again")
        stream = streaming(gateway, token)
        revoke(admin, acme.name, all=True)
        assert ended(stream) == refused(gateway, token) == "TOKEN_REVOKED"


def accepts(client, token: str) -> bool:
    try:
        return who(client, token).subject == "corp:al"
    except grpc.RpcError:
        return False
