"""What a tenant's own people, and others with credentials of their own, try with tokens."""

import socket

import pytest
from google.protobuf.duration_pb2 import Duration
from support import api, ttrpc
from support.client import failure, invalid
from support.daemon import Server
from support.jose import Forger, part, thumbprint
from support.pki import tenant_id
from support.tokens import bearer, exchange, failure_of, get, issue, refused, revoke, tokens, who
from support.waiting import eventually


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
def boss(admin, acme, connect, pki):
    """A workload that is the tenant's administrator."""
    admin.assign(acme.name, tenant_id(acme.slug, "boss"), "tenant-admin")
    return connect(pki.python.tenant(acme.slug, "boss"))


@pytest.fixture
def gateway(connect, pki):
    return connect(pki.python.platform("resolver"))


def issued_with(client, carried: str, parent: str, subject: str, **fields) -> str:
    request = tokens.IssueTokenRequest(parent=parent, subject=subject, unbound=True, **fields)
    return client.tokens.IssueToken(request, **bearer(carried)).token


def test_issuing_with_a_narrow_token_widens_nothing(acme, admin, gateway):
    admin.assign(acme.name, "user:al", "tenant-admin")
    narrow = issue(admin, acme.name, "user:al", unbound=True, lifetime=Duration(seconds=30),
                   permissions=["tenancy.tokens:issue", "tenancy.tenants:get"]).token
    made = issued_with(gateway, narrow, acme.name, "user:al")
    assert part(made, 1)["permissions"] == part(narrow, 1)["permissions"]
    assert part(made, 1)["exp"] <= part(narrow, 1)["exp"]
    assert part(made, 1)["client_id"].endswith("/platform/resolver")
    get(gateway, acme.name, made)
    update = api.manager.UpdateTenantRequest(
        tenant=api.tenant.Tenant(name=acme.name, display_name="x"))
    assert failure("PERMISSION_DENIED", gateway.manager.UpdateTenant, update, **bearer(made)).reason == (
        "PERMISSION_MISSING")
    invalid("permissions[0]", issued_with, gateway, narrow, acme.name, "user:al",
            permissions=["tenancy.tenants:*"])


def test_with_a_token_those_end_that_were_made_of_it(acme, admin, gateway, connect, pki):
    first = issue(admin, acme.name, "user:al", unbound=True).token
    second = exchange(gateway, first).token
    third = exchange(gateway, second).token
    admin.assign(acme.name, "user:al", "tenant-admin")
    fourth = issued_with(gateway, third, acme.name, "user:bo")
    assert {part(token, 1).get("origin_jti") for token in (second, third, fourth)} == {
        part(first, 1)["jti"]}
    for token in (second, third, fourth):
        who(gateway, token)
    revoke(admin, acme.name, token=first)
    for token in (first, second, third, fourth):
        assert refused(gateway, token) == "TOKEN_REVOKED"
    assert failure("UNAUTHENTICATED", exchange, gateway, third).reason == "TOKEN_REVOKED"


def records(client, chain: str):
    request = api.audit.ListAuditRecordsRequest(parent=chain, page_size=500)
    return client.audit.ListAuditRecords(request, timeout=20).records


def test_whoever_acts_as_another_is_on_record(acme, admin, boss, pki, connect):
    admin.assign(acme.name, "user:victim", "tenant-admin")
    certificate = pki.python.tenant(acme.slug, "boss")
    token = issue(boss, acme.name, "user:victim", certificate_sha256=thumbprint(certificate)).token
    connect(certificate).manager.UpdateTenant(
        api.manager.UpdateTenantRequest(
            tenant=api.tenant.Tenant(name=acme.name, display_name="x")), **bearer(token))
    actor = tenant_id(acme.slug, "boss")

    def told():
        found = records(admin, acme.name)
        issued = [one for one in found if one.action == "tokens.issue"]
        updated = [one for one in found if one.subject == "user:victim"]
        return issued and updated and (issued[0], updated[0])

    issued, updated = eventually(told, "both are on record")
    assert issued.decision == api.audit.AUDIT_DECISION_ALLOWED
    assert issued.subject == actor and issued.reason == "for user:victim"
    assert updated.credential == api.audit.AUDIT_CREDENTIAL_TOKEN and f"by {actor}" in updated.source


def test_what_a_platform_identity_issues_is_in_both_chains(acme, admin, gateway):
    exchange(gateway, issue(admin, acme.name, "user:al", unbound=True).token)
    for chain in ("", acme.name):
        eventually(lambda: {"tokens.issue", "tokens.exchange"} <= {
            one.action for one in records(admin, chain)
            if one.decision == api.audit.AUDIT_DECISION_ALLOWED}, "both tell of it")


def test_a_name_that_was_retired_gives_nothing(acme, admin, gateway):
    """Nor does it bring back what was revoked under it."""
    workload = tenant_id(acme.slug, "w")
    token = issue(admin, acme.name, workload, unbound=True).token
    who(gateway, token)
    old = acme.slug
    admin.manager.UpdateTenant(api.manager.UpdateTenantRequest(
        tenant=api.tenant.Tenant(name=acme.name, slug=f"{old}-new")), timeout=20)
    who(gateway, token)
    revoke(admin, acme.name, subject=workload)
    assert refused(gateway, token) == "TOKEN_REVOKED"
    admin.manager.RetireTenantSlug(
        api.manager.RetireTenantSlugRequest(name=acme.name, slug=old), timeout=20)
    assert refused(gateway, token) == "TOKEN_REVOKED"


def test_that_a_tenant_exists_is_not_told_by_what_its_tokens_cost(acme, admin, connect, pki, slug):
    other = admin.active(slug("other"), api.SHARED)
    good = issue(admin, other.name, "user:al", unbound=True).token
    prober = connect(pki.python.tenant(acme.slug, "web"))
    told = {failure_of(prober, Forger(good).token({"kid": "x" * 43}, jti=str(number)))
            for number in range(300)}
    assert told == {"TOKEN_KEY_UNKNOWN"}
    by_token = [failure("UNAUTHENTICATED", prober.resolver.ResolveFromToken,
                        api.resolver.ResolveFromTokenRequest(token=token), timeout=20).reason
                for token in (Forger(good).token(), Forger(good).token({"kid": "x" * 43}),
                              Forger(good).token(iss="https://nobody"))]
    assert set(by_token) == {"TOKEN_KEY_UNKNOWN"}


def test_looking_at_tokens_keeps_nobody_from_making_them(acme, admin, connect, pki):
    prober = connect(pki.python.tenant(acme.slug, "web"))
    stub, request = prober.tokens.IntrospectToken, tokens.IntrospectTokenRequest(token="x")
    calls = [stub.future(request, timeout=20) for _ in range(1500)]
    codes = {call.code().name for call in calls}
    assert codes == {"OK", "RESOURCE_EXHAUSTED"}
    issue(admin, acme.name, "user:al", unbound=True)
    admin.tokens.RotateTokenKey(tokens.RotateTokenKeyRequest(parent=acme.name), timeout=20)


@pytest.mark.quiet
def test_a_flood_is_over_when_it_is_over(acme, admin, gateway):
    """Whoever was flooded with bad tokens is served a moment later."""
    known = issue(admin, acme.name, "user:al", unbound=True).token
    forger = Forger(known)
    for number in range(600):
        failure_of(gateway, forger.token(jti=str(number)))
    fresh = issue(admin, acme.name, "user:al", unbound=True).token

    def served():
        try:
            return who(gateway, fresh)
        except Exception:
            return None

    eventually(served, "a good token is taken again", 3)


def test_over_ttrpc_it_is_the_same(server, acme, admin):
    """On the Unix socket, whose peer is a gateway here: several calls of one connection, each with its own token."""
    good = issue(admin, acme.name, "user:al", unbound=True).token
    bad = Forger(good).token()
    carried = [("authorization", f"Bearer {good}")], [("authorization", f"Bearer {bad}")], [], [
        ("authorization", f"Bearer {good}"), ("authorization", f"Bearer {good}")]
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(server.socket))
        answers = []
        for number, metadata in enumerate(carried):
            connection.sendall(ttrpc.request(
                2 * number + 1, "WhoAmI", b"", service="tenancy.v1.Identity", metadata=tuple(metadata)))
            received = b""
            while not ttrpc.frames(received):
                received += connection.recv(65536)
            answers.append(ttrpc.frames(received)[0][3])
    assert [ttrpc.status(answer)[0] for answer in answers] == [0, 16, 0, 16]
    subjects = [api.identity.WhoAmIResponse.FromString(ttrpc.payload(answer)).subject
                for answer in answers]
    assert subjects[0] == "user:al" and subjects[2].startswith("uid:")
