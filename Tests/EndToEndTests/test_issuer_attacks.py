"""What a tenant's admin could gain by an issuer of their own, and what one could cost others."""

import uuid

import grpc
import pytest
from support import api
from support.daemon import Server
from support.issuers import OutsideIssuer, trust
from support.tokens import bearer, exchange, introspect, issue, refused, who


@pytest.fixture(scope="module")
def server(tmp_path_factory, pki):
    server = Server(tmp_path_factory.mktemp("server"), pki)
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture
def tenant(admin):
    return admin.active(f"t{uuid.uuid4().hex[:8]}", api.SHARED)


@pytest.fixture(scope="module")
def gateway(server, pki):
    with server.client(pki.python.platform("resolver")) as client:
        yield client


def test_nobody_elses_acts_are_told_of(admin, tenant, gateway):
    issuer = OutsideIssuer("https://idp.example")
    trust(admin, tenant.name, issuer.trusted(subject_prefix="corp:"))
    token = issuer.token(tenant, act={"sub": "spiffe://e2e.test/platform/operator", "act": {"sub": "uid:0"}})
    assert who(gateway, token).subject == "corp:al"
    # They are the issuer's own, whatever it calls them.
    assert introspect(admin, token).actors == ["corp:spiffe://e2e.test/platform/operator", "corp:uid:0"]


def test_who_is_trusted_is_on_record(admin, tenant):
    issuer = OutsideIssuer("https://idp.example")
    for given in ([issuer.trusted("corp", subject_prefix="corp:")], []):
        trust(admin, tenant.name, *given)
    records = admin.audit.ListAuditRecords(
        api.audit.ListAuditRecordsRequest(parent=tenant.name, page_size=100), timeout=20).records
    told = [record.reason for record in records if record.action == "authentication.set"]
    assert sorted(told) == ["ISSUERS corp", "ISSUERS none"]


def test_what_was_exchanged_ends_when_its_issuer_is_judged_otherwise(admin, tenant, gateway):
    issuer = OutsideIssuer("https://idp.example")
    trust(admin, tenant.name, issuer.trusted(subject_prefix="corp:"))
    token = issuer.token(tenant)
    made = exchange(gateway, carried=token).token
    assert who(gateway, made).subject == "corp:al"
    trust(admin, tenant.name, issuer.trusted(
        subject_prefix="corp:", required_claims=[{"name": "dept", "value": "ops"}]))
    assert refused(gateway, made) == "TOKEN_KEY_UNKNOWN"


def test_tokens_of_other_issuers_keep_none_of_our_own_out(admin, tenant, gateway):
    """Whoever has an issuer makes as many as they like, without asking anybody."""
    flooder = admin.active(f"t{uuid.uuid4().hex[:8]}", api.SHARED)
    issuer = OutsideIssuer("https://idp.example")
    trust(admin, flooder.name, issuer.trusted(subject_prefix="corp:"))
    ours = [issue(admin, tenant.name, "ann", unbound=True).token for _ in range(20)]
    theirs = [issuer.token(flooder) for _ in range(3000)]

    def ask(token):
        return gateway.identity.WhoAmI.future(api.identity.WhoAmIRequest(), **bearer(token))

    flood = [ask(token) for token in theirs]
    own = [ask(token) for token in ours]
    assert {call.result().subject for call in own} == {"ann"}
    codes = [call.code() for call in flood]
    assert grpc.StatusCode.RESOURCE_EXHAUSTED in codes
