"""Issuers that the configuration trusts for all tenants: whose their tokens are, and their keys in files."""

import json
import signal

import grpc
import pytest
from support import api
from support.client import Failure, failure, invalid
from support.daemon import ISSUER
from support.issuers import OutsideIssuer, trust
from support.tokens import introspect, refused, who
from support.waiting import eventually
from test_configuration import refused as not_started
from test_external_issuers import ended, streaming

URL = "https://login.platform.test"


@pytest.fixture
def issuer():
    return OutsideIssuer(URL, "ES384")


@pytest.fixture
def server(make_server, issuer):
    server = make_server()
    keys = server.directory / "keys.json"
    keys.write_text(issuer.jwks())
    server.keys = keys
    server.settings["tokens"] = {"issuer": ISSUER, "issuers": [
        {"id": "login", "issuer": URL, "jwks_file": str(keys), "tenant_claim": "org",
         "tenants": {"acme": ["o-1", "o-2"], "globex": ["o-3"]}},
        {"id": "named", "issuer": URL + "/named", "jwks": json.loads(issuer.jwks()),
         "tenant_claim": "org", "audiences": ["api"], "accept_jwt_type": True},
        {"id": "one", "issuer": URL + "/one", "jwks_file": str(keys), "tenant": "globex"}]}
    return server.start()


@pytest.fixture
def admin(server):
    with server.operator() as client:
        yield client


@pytest.fixture
def gateway(server, pki):
    with server.client(pki.python.platform("resolver")) as client:
        yield client


@pytest.fixture
def tenants(admin):
    return [admin.active(slug, api.SHARED) for slug in ("acme", "globex")]


def token(issuer, path: str = "", **claims) -> str:
    """A good one but for what is said, of the issuer at this path."""
    return OutsideIssuer(URL + path, issuer.algorithm, issuer.kid, issuer.key).token(
        None, **claims)


def test_a_claim_names_the_tenant(issuer, tenants, gateway, admin):
    acme, globex = tenants
    for org, tenant in (("o-1", acme), ("o-2", acme), ("o-3", globex)):
        me = who(gateway, token(issuer, org=org))
        assert (me.tenant, me.subject) == (f"tenants/{tenant.id}", "login:al")
    for org in ("acme", acme.id, "o-4", "", None, ["o-1"], 7):
        assert refused(gateway, token(issuer, org=org)) == "TOKEN_KEY_UNKNOWN"
    for org in ("acme", acme.id):
        assert who(gateway, token(issuer, "/named", org=org, aud="api")).subject == "named:al"
    assert refused(gateway, token(issuer, "/named", org="acme")) == "TOKEN_AUDIENCE_MISMATCH"
    assert who(gateway, token(issuer, "/one", org="acme")).tenant == f"tenants/{globex.id}"
    assert introspect(admin, token(issuer, "/one")).tenant == f"tenants/{globex.id}"


def test_no_tenant_has_one_of_them(issuer, tenants, admin, gateway):
    acme, _ = tenants
    thief = OutsideIssuer(URL)
    invalid("settings.issuers[0].issuer", trust, admin, acme.name, thief.trusted())
    for prefix in ("login:", "log", "one:x"):
        invalid("settings.issuers[0].subject_prefix", trust, admin, acme.name,
                OutsideIssuer("https://x.test").trusted(subject_prefix=prefix))
    assert failure("INVALID_ARGUMENT", trust, admin, acme.name,
                   OutsideIssuer("https://x.test").trusted("login")).fields == [
                       "settings.issuers[0].subject_prefix"]


def test_a_tenant_can_refuse_them(issuer, tenants, admin, gateway):
    acme, _ = tenants
    theirs, others = token(issuer, org="o-1"), token(issuer, org="o-3")
    stream, other = streaming(gateway, theirs), streaming(gateway, others)
    trust(admin, acme.name, disable_platform_issuers=True)
    assert ended(stream) == refused(gateway, theirs) == "TOKEN_KEY_UNKNOWN"
    who(gateway, others)
    other.cancel()
    trust(admin, acme.name)
    assert who(gateway, theirs).subject == "login:al"


def test_keys_are_read_again(server, issuer, tenants, gateway):
    known = token(issuer, org="o-1")
    stream = streaming(gateway, known)
    following = OutsideIssuer(URL)
    server.keys.write_text(issuer.jwks(following))
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: failure_free(gateway, token(following, org="o-1")), "the new key is there")
    who(gateway, known)
    # A file that is none changes nothing.
    server.keys.write_text("{")
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: "keys of token issuers not reloaded" in server.log, "the log tells of it")
    who(gateway, known)
    server.keys.write_text(following.jwks())
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: not failure_free(gateway, known), "the former key has gone")
    assert ended(stream) == "TOKEN_KEY_UNKNOWN"
    assert who(gateway, token(following, org="o-1")).subject == "login:al"
    # That of the configuration itself stays.
    assert who(gateway, token(issuer, "/named", org="acme", aud="api")).subject == "named:al"


def failure_free(client, text: str) -> bool:
    try:
        who(client, text)
        return True
    except grpc.RpcError as error:
        # Not asked again: it may be there by then.
        assert Failure.of(error).reason == "TOKEN_KEY_UNKNOWN"
        return False


@pytest.mark.parametrize("change, said", [
    ({"id": "A"}, "id"), ({"issuer": ISSUER}, "the issuer of this server"),
    ({"tenant_claim": None}, "tenant or tenant_claim"),
    ({"subject_prefix": "spiffe:"}, "subject_prefix"), ({"algorithms": ["HS256"]}, "algorithms"),
    ({"maximum_life_seconds": 7201}, "maximum_life_seconds"), ({"jwks": {}}, "jwks"),
])
def test_configurations_that_are_wrong(make_server, issuer, change, said):
    server = make_server()
    keys = server.directory / "keys.json"
    keys.write_text(issuer.jwks())
    entry = {"id": "login", "issuer": URL, "jwks_file": str(keys), "tenant_claim": "org", **change}
    server.settings["tokens"] = {"issuer": ISSUER, "issuers": [
        {name: value for name, value in entry.items() if value is not None}]}
    assert said in not_started(server)


def test_without_its_keys_it_does_not_start(server):
    server.stop()
    for change in (server.keys.unlink, lambda: server.keys.write_text("{}")):
        change()
        server.launch()
        assert server.wait() == 1
        assert str(server.keys) in server.log
