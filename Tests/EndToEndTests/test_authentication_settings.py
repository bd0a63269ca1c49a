"""Authentication settings of tenants: how tokens are mapped and narrowed, and who sets that."""

import json

import pytest
from support import api
from support.client import failure, invalid
from support.daemon import Server
from support.issuers import OutsideIssuer, audience, seconds, settings, trust
from support.jose import now, part
from support.tokens import bearer, exchange, get, introspect, issue, refused, who
from test_external_issuers import URL, acme, corp, gateway

__all__ = ["acme", "corp", "gateway"]  # Fixtures.


@pytest.fixture(scope="module")
def server(tmp_path_factory, pki):
    server = Server(tmp_path_factory.mktemp("server"), pki)
    try:
        yield server.start()
    finally:
        server.close()


def test_mapping(admin, acme, gateway):
    issuer = OutsideIssuer(URL)
    trust(admin, acme.name, issuer.trusted(
        subject_claim="email", subject_prefix="user:", audiences=["https://api.acme.test"],
        required_claims=[api.tokens.RequiredClaim(name="org", value="acme")],
        permissions_claim="scope", maximum_life=seconds(120), accept_jwt_type=True))
    admin.assign(acme.name, "user:al@acme.test", "tenant-admin")
    good = {"email": "al@acme.test", "aud": [audience(acme), "https://api.acme.test"], "org": "acme",
            "scope": "openid tenancy.tenants:get", "exp": now() + 100}
    token = issuer.token(acme, {"typ": "JWT"}, **good)
    assert who(gateway, token).subject == "user:al@acme.test"
    assert get(gateway, acme.name, token).id == acme.id
    failure("PERMISSION_DENIED", issue_by, gateway, acme.name, token)
    narrowed = exchange(gateway, token).token
    assert part(narrowed, 1)["permissions"] == ["tenancy.tenants:get"]
    for wrong in ({"aud": audience(acme)}, {"org": "globex"}, {"org": None}, {"email": None},
                  {"exp": now() + 200}):
        assert refused(gateway, issuer.token(acme, **{**good, **wrong})).startswith("TOKEN_")
    # Without the claim it may be used for nothing, and nothing more comes of an exchange.
    bare = issuer.token(acme, **{**good, "scope": None})
    assert who(gateway, bare).subject == "user:al@acme.test"
    failure("PERMISSION_DENIED", get, gateway, acme.name, bare)
    invalid("permissions", exchange, gateway, bare)


def issue_by(client, parent: str, token: str):
    return client.tokens.IssueToken(
        api.tokens.IssueTokenRequest(parent=parent, subject="user:x", unbound=True), **bearer(token))


def test_own_tokens_can_be_narrowed_and_switched_off(admin, acme, gateway):
    token = issue(admin, acme.name, "user:al", unbound=True).token
    bound = issue(admin, acme.name, "user:al", certificate_sha256=bytes(32)).token
    who(gateway, token)
    trust(admin, acme.name, maximum_life=seconds(60))
    assert refused(gateway, token) == "TOKEN_LIFETIME_REFUSED"
    short = issue(admin, acme.name, "user:al", unbound=True).token
    claims = part(short, 1)
    assert claims["exp"] - claims["iat"] == 60
    who(gateway, short)
    trust(admin, acme.name, require_binding=True)
    assert refused(gateway, short) == "TOKEN_NOT_BOUND"
    assert introspect(admin, bound).active
    assert failure("FAILED_PRECONDITION", issue, admin, acme.name, "user:al", unbound=True).reason == (
        "TOKEN_NOT_BOUND")
    trust(admin, acme.name, disable_own_tokens=True)
    assert not introspect(admin, bound).active
    assert refused(gateway, short) == "TOKEN_PROVIDER_OFF"
    assert failure("FAILED_PRECONDITION", issue, admin, acme.name, "user:al", unbound=True
                   ).reason == "TOKEN_PROVIDER_OFF"


def test_settings_are_read_and_set_with_etags(admin, acme, corp):
    found = settings(admin, acme.name)
    assert found.etag == "a1" and [issuer.id for issuer in found.issuers] == ["corp"]
    assert json.loads(found.issuers[0].json_web_key_set)["keys"] == [corp.jwk]
    again = admin.tokens.SetAuthenticationSettings(api.tokens.SetAuthenticationSettingsRequest(
        parent=acme.name, settings=found), timeout=20)
    assert again == found
    trust(admin, acme.name)
    error = failure("ABORTED", lambda: admin.tokens.SetAuthenticationSettings(
        api.tokens.SetAuthenticationSettingsRequest(parent=acme.name, settings=found), timeout=20))
    assert error.reason == "ETAG_MISMATCH"


def test_all_that_is_wrong_is_told(admin, acme, corp):
    private = {**corp.jwk, "d": "AAAA"}
    error = failure("INVALID_ARGUMENT", trust, admin, acme.name,
                    corp.trusted("Corp", subject_prefix="spiffe://"),
                    OutsideIssuer(URL + "2").trusted("b", algorithms=["HS256"]),
                    OutsideIssuer(URL + "3").trusted("c", json_web_key_set=json.dumps({"keys": [private]})),
                    maximum_life=seconds(901))
    assert {violation for violation in error.fields} == {
        "settings.maximum_life", "settings.issuers[0].id", "settings.issuers[0].subject_prefix",
        "settings.issuers[1].algorithms", "settings.issuers[1].json_web_key_set",
        "settings.issuers[2].json_web_key_set"}


def test_they_survive_a_restart_and_an_admin_of_the_tenant_sets_them(make_server, pki):
    server = make_server().start()
    issuer = OutsideIssuer(URL)
    with server.operator() as admin:
        acme = admin.active("acme", api.SHARED)
        admin.assign(acme.name, "spiffe://e2e.test/tenant/acme/boss", "tenant-admin")
        with server.client(pki.python.tenant("acme", "web")) as web:
            for call in (lambda: settings(web, acme.name), lambda: trust(web, acme.name)):
                assert failure("PERMISSION_DENIED", call).reason == "PERMISSION_MISSING"
        with server.client(pki.python.tenant("acme", "boss")) as boss:
            trust(boss, acme.name, issuer.trusted())
    server.kill()
    server.start()
    with server.client(pki.python.platform("resolver")) as gateway:
        assert who(gateway, issuer.token(acme)).subject == "corp:al"
