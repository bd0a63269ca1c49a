"""Tokens: issued, carried by calls, exchanged, looked at, resolved and revoked."""

import json
import time

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from support import api
from support.client import Failure, failure, invalid
from support.daemon import ISSUER, Server
from support.jose import accepted_by_joserfc, accepted_by_pyjwt, encode, now, part, thumbprint
from support.pki import tenant_id
from support.tokens import (
    bearer, denials, exchange, get, introspect, issue, keys, refused, revoke, who)
from support.waiting import eventually

tokens = api.tokens


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
def web(pki, acme):
    """A workload of acme."""
    return pki.python.tenant("acme", "web")


# What a token says, and who takes it.

def test_a_workload_gets_a_token_for_its_certificate(acme, web, connect):
    client = connect(web)
    made = exchange(client)
    assert made.issued_token_type == "urn:ietf:params:oauth:token-type:access_token"
    found = keys(client, "acme")
    assert found.issuer == f"{ISSUER}/tenants/{acme.id}"
    claims = accepted_by_pyjwt(made.token, found.json_web_key_set, ISSUER)
    assert accepted_by_joserfc(made.token, found.json_web_key_set) == claims
    assert part(made.token, 0) == {"alg": "ES256", "typ": "at+jwt", "kid": found.keys[0].id}
    assert claims == {
        "iss": found.issuer, "sub": tenant_id("acme"), "aud": ISSUER, "iat": claims["iat"],
        "exp": claims["iat"] + 900, "jti": made.token_id, "client_id": tenant_id("acme"),
        "tid": acme.id, "tep": claims["tep"], "cnf": {"x5t#S256": encode(thumbprint(web))}}
    assert abs(claims["iat"] - now()) < 5
    assert made.expire_time.seconds == claims["exp"]
    me = who(client, made.token)
    assert me.source == api.identity.IDENTITY_SOURCE_TOKEN
    assert (me.tenant, me.subject, me.token_id) == (
        f"tenants/{acme.id}", tenant_id("acme"), made.token_id)
    assert me.presented_by == ""
    # What its workloads may do it may, and no more.
    assert get(client, "acme", made.token).id == acme.id
    assert failure("PERMISSION_DENIED", issue_by, client, made.token).reason == "PERMISSION_MISSING"


def issue_by(client, token: str):
    return client.tokens.IssueToken(
        tokens.IssueTokenRequest(parent="acme", subject="user:al"), **bearer(token))


def test_a_bound_token_is_its_certificates_alone(acme, web, connect, pki, admin):
    token = exchange(connect(web)).token
    for other in (pki.python.tenant("acme", "web"), pki.python.tenant("acme", "other")):
        assert refused(connect(other), token) == "TOKEN_BINDING_MISMATCH"
    assert refused(connect(pki.python.platform("operator")), token) == "TOKEN_BINDING_MISMATCH"
    assert refused(admin, token) == "TOKEN_BINDING_MISMATCH"
    assert refused(connect(pki.python.platform("viewer")), token, "PERMISSION_DENIED") == (
        "PERMISSION_MISSING")
    eventually(lambda: ("/tenancy.v1.Identity/WhoAmI", "TOKEN_BINDING_MISMATCH")
               in denials(admin, f"tenants/{acme.id}"), "it is told of in the tenant's chain")


def test_certificate_and_token_of_different_tenants(acme, globex, web, connect, pki, admin):
    theirs = pki.python.tenant("globex", "web")
    bound = issue(admin, "acme", "user:al", certificate_sha256=thumbprint(theirs)).token
    error = failure("PERMISSION_DENIED", who, connect(theirs), bound)
    assert error.reason == "TENANT_CREDENTIAL_CONFLICT"
    for tenant in (acme, globex):
        eventually(lambda: ("/tenancy.v1.Identity/WhoAmI", "TENANT_CREDENTIAL_CONFLICT")
                   in denials(admin, f"tenants/{tenant.id}"), "both chains tell of it")


def test_people_act_through_gateways(acme, admin, connect, pki):
    """With an unbound token, which a workload of the tenant itself can't use."""
    made = issue(admin, "acme", "user:al", unbound=True)
    assert "cnf" not in part(made.token, 1)
    assert part(made.token, 1)["act"] == {"sub": admin.who().subject}
    gateway = connect(pki.python.platform("resolver"))
    me = who(gateway, made.token)
    assert (me.subject, me.tenant) == ("user:al", f"tenants/{acme.id}")
    assert me.presented_by.endswith("/platform/resolver") and list(me.platform_roles) == []
    assert refused(connect(pki.python.tenant("acme", "web")), made.token) == "TOKEN_NOT_BOUND"
    # A person may do what roles say, not what workloads may.
    assert failure("PERMISSION_DENIED", get, gateway, "acme", made.token).reason == (
        "PERMISSION_MISSING")
    role = admin.assign("tenants/acme", "user:al", "tenant-viewer")
    assert get(gateway, "acme", made.token).id == acme.id
    assert failure("PERMISSION_DENIED", get, gateway, "globex", made.token).reason == (
        "TENANT_MISMATCH")
    admin.authz.DeleteRoleAssignment(
        api.authz.DeleteRoleAssignmentRequest(name=role.name), timeout=20)
    assert failure("PERMISSION_DENIED", get, gateway, "acme", made.token).reason == (
        "PERMISSION_MISSING")
    # What a gateway may do by itself it may not with the token of somebody who may not.
    assert failure("PERMISSION_DENIED", lambda: gateway.resolver.ResolveTenant(
        api.resolver.ResolveTenantRequest(path="/tenants/globex/x"),
        **bearer(made.token))).reason == "PERMISSION_MISSING"


def test_exchanged_tokens_are_never_wider(acme, admin, connect, pki):
    admin.assign("tenants/acme", "user:narrow", "tenant-admin")
    wide = issue(admin, "acme", "user:narrow", unbound=True, lifetime=Duration(seconds=60),
                 permissions=["tenancy.tenants:*", "orders:read"]).token
    certificate = pki.python.platform("resolver")
    gateway = connect(certificate)
    narrow = exchange(gateway, wide, permissions=["tenancy.tenants:get"],
                      audiences=[ISSUER, "https://orders"])
    claims = part(narrow.token, 1)
    assert claims["exp"] <= part(wide, 1)["exp"]
    assert claims["aud"] == [ISSUER, "https://orders"]
    assert claims["permissions"] == ["tenancy.tenants:get"]
    assert claims["act"]["sub"].endswith("/platform/resolver")
    assert claims["act"]["act"] == {"sub": admin.who().subject}
    assert claims["cnf"] == {"x5t#S256": encode(thumbprint(certificate))}
    assert get(gateway, "acme", narrow.token).id == acme.id
    update = api.manager.UpdateTenantRequest(
        tenant=api.tenant.Tenant(name=acme.name, display_name="x"))
    for token, allowed in ((wide, True), (narrow.token, False)):
        call = lambda: gateway.manager.UpdateTenant(update, **bearer(token))  # noqa: B023, E731
        if allowed:
            call()
        else:
            assert failure("PERMISSION_DENIED", call).reason == "PERMISSION_MISSING"
    for wanted in ("tenancy.roles:create", "orders:*", "*:*"):
        invalid("permissions[0]", exchange, gateway, wide, permissions=[wanted])
    invalid("permissions[0]", exchange, gateway, narrow.token, permissions=["orders:read"])
    # Nor by way of a call that carries it.
    again = exchange(gateway, carried=narrow.token)
    assert part(again.token, 1)["permissions"] == ["tenancy.tenants:get"]
    assert part(again.token, 1)["exp"] <= claims["exp"]
    # Roles that one may give away are those of the token, too.
    role = lambda: gateway.authz.CreateRole(api.authz.CreateRoleRequest(  # noqa: E731
        parent="acme", role_id="x", role=api.authz.Role(permissions=["tenancy.roles:create"])),
        **bearer(narrow.token))
    assert failure("PERMISSION_DENIED", role).reason == "PERMISSION_MISSING"


def test_fields(acme, admin, pki, connect):
    for subject in ("", "a b", "x" * 600, "uid:0", "system", "insecure",
                    "spiffe://e2e.test/platform/operator", "spiffe://e2e.test/tenant/globex/web",
                    "SPIFFE://e2e.test/tenant/acme/web"):
        invalid("subject", issue, admin, "acme", subject, unbound=True)
    invalid("certificate_sha256", issue, admin, "acme", "user:x")
    invalid("certificate_sha256", issue, admin, "acme", "user:x", certificate_sha256=b"x" * 31)
    invalid("unbound", issue, admin, "acme", "user:x", certificate_sha256=b"x" * 32, unbound=True)
    for lifetime in (Duration(seconds=0), Duration(seconds=-1), Duration(seconds=901),
                     Duration(seconds=1, nanos=1), Duration(seconds=1 << 40)):
        invalid("lifetime", issue, admin, "acme", "user:x", unbound=True, lifetime=lifetime)
    invalid("audiences", issue, admin, "acme", "user:x", unbound=True, audiences=["a"] * 2)
    invalid("audiences", issue, admin, "acme", "user:x", unbound=True, audiences=list("abcdefghi"))
    invalid("audiences[1]", issue, admin, "acme", "user:x", unbound=True, audiences=["a", ""])
    invalid("permissions[0]", issue, admin, "acme", "user:x", unbound=True, permissions=["x"])
    invalid("permissions", issue, admin, "acme", "user:x", unbound=True, permissions=["a:b"] * 65)
    invalid("target", revoke, admin, "acme")
    invalid("all", revoke, admin, "acme", all=False)
    invalid("subject_token", exchange, connect(pki.python.platform("operator")))
    assert failure("NOT_FOUND", issue, admin, "nobody", "user:x", unbound=True).reason == (
        "TENANT_NOT_FOUND")


# Ends.

def test_revoked_means_revoked(acme, admin, connect, pki):
    gateway = connect(pki.python.platform("resolver"))
    one, two = (issue(admin, "acme", "user:gone", unbound=True) for _ in range(2))
    other = issue(admin, "acme", "user:stays", unbound=True)
    for made in (one, two, other):
        assert introspect(admin, made.token).active
        who(gateway, made.token)
    revoke(admin, "acme", token=one.token, reason="lost")
    assert refused(gateway, one.token) == "TOKEN_REVOKED"
    assert not introspect(admin, one.token).active
    who(gateway, two.token)
    revoke(admin, "acme", subject="user:gone")
    assert refused(gateway, two.token) == "TOKEN_REVOKED"
    who(gateway, other.token)
    revoke(admin, "acme", token_id=other.token_id)
    assert refused(gateway, other.token) == "TOKEN_REVOKED"
    # Clocks of nodes differ: for some seconds what the subject is issued is void, and not issued therefore.
    error = failure("ABORTED", issue, admin, "acme", "user:gone", unbound=True)
    assert error.reason == "TOKEN_REVOKED" and error.retry_seconds
    last = issue(admin, "acme", "user:last", unbound=True)
    who(gateway, last.token)
    revoke(admin, "acme", all=True)
    assert refused(gateway, last.token) == "TOKEN_REVOKED"
    who(gateway, issue(admin, "acme", "user:last", unbound=True).token)


def test_a_tenants_state_ends_its_tokens(admin, connect, pki, slug):
    name = admin.active(slug, api.SHARED).name
    gateway = connect(pki.python.platform("resolver"))
    token = issue(admin, name, "user:al", unbound=True).token
    who(gateway, token)
    admin.suspend(name)
    assert refused(gateway, token) == "TOKEN_REVOKED"
    assert not introspect(admin, token).active
    assert failure("PERMISSION_DENIED", issue, admin, name, "user:al", unbound=True).reason == (
        "TENANT_SUSPENDED")
    admin.manager.ActivateTenant(api.manager.ActivateTenantRequest(name=name), timeout=20)
    assert refused(gateway, token) == "TOKEN_REVOKED"
    token = issue(admin, name, "user:al", unbound=True).token
    who(gateway, token)
    admin.delete(name)
    assert refused(gateway, token, "PERMISSION_DENIED") == "IDENTITY_UNKNOWN"


def test_tokens_expire(acme, admin, connect, pki):
    gateway = connect(pki.python.platform("resolver"))
    made = issue(admin, "acme", "user:al", unbound=True, lifetime=Duration(seconds=2))
    assert part(made.token, 1)["exp"] - part(made.token, 1)["iat"] == 2
    who(gateway, made.token)
    eventually(lambda: time.time() > made.expire_time.seconds + 0.01, "its end")
    assert refused(gateway, made.token) == "TOKEN_EXPIRED"
    assert not introspect(admin, made.token).active


def test_keys(admin, connect, pki, slug):
    name = admin.active(slug, api.SHARED).name
    gateway = connect(pki.python.platform("resolver"))
    assert json.loads(keys(admin, name).json_web_key_set) == {"keys": []}
    before = issue(admin, name, "user:al", unbound=True).token
    rotated = admin.tokens.RotateTokenKey(
        tokens.RotateTokenKeyRequest(parent=name, algorithm=tokens.TOKEN_ALGORITHM_EDDSA),
        timeout=20).key
    after = issue(admin, name, "user:al", unbound=True).token
    assert part(after, 0) == {"alg": "EdDSA", "typ": "at+jwt", "kid": rotated.id}
    published = keys(admin, name)
    assert [key.id for key in published.keys] == [rotated.id, part(before, 0)["kid"]]
    assert published.keys[1].HasField("retire_time")
    for token in (before, after):
        who(gateway, token)
        accepted_by_pyjwt(token, published.json_web_key_set, ISSUER)
    admin.tokens.RemoveTokenKey(
        tokens.RemoveTokenKeyRequest(parent=name, key_id=part(before, 0)["kid"]), timeout=20)
    assert refused(gateway, before) == "TOKEN_KEY_UNKNOWN"
    who(gateway, after)
    assert failure("NOT_FOUND", lambda: admin.tokens.RemoveTokenKey(
        tokens.RemoveTokenKeyRequest(parent=name, key_id="x" * 43), timeout=20)
    ).reason == "TOKEN_KEY_NOT_FOUND"


def test_streams_end_with_their_token(acme, admin, connect, pki):
    admin.assign("tenants/acme", "user:auditor", "tenant-admin")
    gateway = connect(pki.python.platform("resolver"))
    token = issue(admin, "acme", "user:auditor", unbound=True)
    watched = gateway.channel.unary_stream(
        "/grpc.health.v1.Health/Watch", lambda _: b"", lambda data: data)
    call = watched(None, metadata=[("authorization", f"Bearer {token.token}")], timeout=60)
    next(call)
    revoke(admin, "acme", token_id=token.token_id)
    with pytest.raises(grpc.RpcError) as ended:
        next(call)
    assert Failure.of(ended.value).reason == "TOKEN_REVOKED"


def test_they_survive_a_restart(make_server, pki):
    server = make_server().start()
    with server.operator() as admin:
        admin.active("acme", api.SHARED)
        good = issue(admin, "acme", "user:al", unbound=True).token
        bad = issue(admin, "acme", "user:bad", unbound=True).token
        revoke(admin, "acme", token=bad)
    server.kill()
    server.start()
    with server.client(pki.python.platform("resolver")) as gateway, server.operator() as admin:
        who(gateway, good)
        assert refused(gateway, bad) == "TOKEN_REVOKED"
        assert part(issue(admin, "acme", "user:al", unbound=True).token, 0)["kid"] == (
            part(good, 0)["kid"])


def test_without_tokens_none_is_taken(make_server):
    server = make_server()
    del server.settings["tokens"]
    server.start()
    with server.operator() as admin:
        admin.active("acme", api.SHARED)
        assert failure("FAILED_PRECONDITION", issue, admin, "acme", "user:al").reason == (
            "TOKENS_NOT_CONFIGURED")
        assert refused(admin, "e30.e30.e30") == "TOKENS_NOT_CONFIGURED"


# Whose tokens one may see.

def test_other_tenants_tokens_are_nobodys(acme, globex, admin, connect, pki):
    theirs = issue(admin, "globex", "user:al", unbound=True).token
    own = connect(pki.python.tenant("acme", "web"))
    assert introspect(admin, theirs).active
    answer = introspect(own, theirs)
    assert answer == tokens.IntrospectTokenResponse() == introspect(own, "x.y.z")
    for call in (lambda: keys(own, "globex"), lambda: keys(own, "nobody"),
                 lambda: issue(own, "globex", "user:al", unbound=True)):
        assert failure("PERMISSION_DENIED", call).reason in ("TENANT_MISMATCH", "PERMISSION_MISSING")
    assert failure("UNAUTHENTICATED", exchange, own, theirs).reason == "TOKEN_KEY_UNKNOWN"
    # Nor can an admin of one end those of the other.
    admin.assign("tenants/acme", tenant_id("acme", "boss"), "tenant-admin")
    boss = connect(pki.python.tenant("acme", "boss"))
    invalid("token", revoke, boss, "acme", token=theirs)
    assert failure("PERMISSION_DENIED", revoke, boss, "globex", all=True).reason == (
        "TENANT_MISMATCH")
    assert introspect(admin, theirs).active


# Which tenant a token is for.

def by_token(client, token: str, **fields):
    return client.resolver.ResolveFromToken(
        api.resolver.ResolveFromTokenRequest(token=token, **fields), timeout=20)


def resolve(client, **fields):
    return client.resolver.ResolveTenant(api.resolver.ResolveTenantRequest(**fields), timeout=20)


def test_a_token_resolves_to_its_tenant(acme, globex, admin, web, connect, pki):
    token = issue(admin, "acme", "user:al", unbound=True).token
    gateway = connect(pki.python.platform("resolver"))
    answer = by_token(gateway, token)
    assert answer.tenant.id == acme.id
    assert answer.strategy == api.resolver.RESOLUTION_STRATEGY_TOKEN
    assert resolve(gateway, token=token).tenant.id == acme.id
    # Selectors only narrow it, and an unknown tenant is no other than a foreign one.
    assert resolve(gateway, token=token, path="/tenants/acme/x").tenant.id == acme.id
    mismatches = {
        failure("PERMISSION_DENIED", resolve, gateway, token=token, path=f"/tenants/{name}/x")
        for name in ("globex", globex.id, "nobody")}
    assert {error.reason for error in mismatches} == {"TENANT_MISMATCH"} and len(mismatches) == 1
    assert failure("INVALID_ARGUMENT", resolve, gateway, token=token, path="/tenants/%41/x").reason == (
        "MALFORMED_SELECTOR")
    # For tenants' own callers a token is a second credential, which has to say the same.
    own = connect(web)
    assert by_token(own, token).tenant.id == acme.id
    theirs = issue(admin, "globex", "user:al", unbound=True).token
    assert failure("PERMISSION_DENIED", by_token, own, theirs).reason == (
        "TENANT_CREDENTIAL_CONFLICT")


def test_tokens_are_resolved_for_whom_they_are_meant(acme, admin, web, connect, pki):
    gateway = connect(pki.python.platform("resolver"))
    token = exchange(connect(web), audiences=["https://orders"]).token
    hexadecimal = thumbprint(web).hex()
    for fields, reason in (
            ({}, "TOKEN_AUDIENCE_MISMATCH"),
            ({"token_audience": "https://orders"}, "TOKEN_BINDING_MISMATCH"),
            ({"token_audience": "https://orders", "token_certificate_fingerprint": "00" * 32},
             "TOKEN_BINDING_MISMATCH"),
            ({"token_audience": "https://bills", "token_certificate_fingerprint": hexadecimal},
             "TOKEN_AUDIENCE_MISMATCH")):
        assert failure("UNAUTHENTICATED", by_token, gateway, token, **fields).reason == reason
    assert by_token(gateway, token, token_audience="https://orders",
                    token_certificate_fingerprint=hexadecimal).tenant.id == acme.id
    # It is no credential for this service, whoever has it.
    assert refused(connect(web), token) == "TOKEN_AUDIENCE_MISMATCH"


def test_a_token_that_is_none_resolves_to_nothing(acme, admin, connect, pki):
    gateway = connect(pki.python.platform("resolver"))
    good = issue(admin, "acme", "user:al", unbound=True).token
    for token in ("x", good[:-8] + "AAAAAAAA", good + "."):
        for call in (lambda: by_token(gateway, token),  # noqa: B023
                     lambda: resolve(gateway, token=token, path="/tenants/acme/x")):  # noqa: B023
            assert failure("UNAUTHENTICATED", call).reason.startswith("TOKEN_")
    revoke(admin, "acme", token=good)
    assert failure("UNAUTHENTICATED", by_token, gateway, good).reason == "TOKEN_REVOKED"
