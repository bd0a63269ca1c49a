"""A listener that takes clients without certificates: they make calls with tokens, and none of their own."""

import re

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support import api
from support.client import Client, failure
from support.daemon import Server
from support.pki import Authority, tenant_id
from support.tokens import bearer, get, issue, refused, revoke, who


@pytest.fixture(scope="module")
def server(tmp_path_factory, pki):
    server = Server(tmp_path_factory.mktemp("server"), pki)
    server.settings["listeners"].append({"tcp": "127.0.0.1:0", "client_certificates": "optional"})
    # What this is for is not what that is for.
    server.settings["identity"]["insecure_roles"] = ["operator"]
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture(scope="module")
def acme(admin):
    tenant = admin.active("acme", api.SHARED)
    admin.active("globex", api.SHARED)
    admin.assign("acme", "ann", "tenant-admin")
    return tenant


@pytest.fixture(scope="module")
def enter(server, pki):
    """Connects to that listener."""
    ports = re.findall(r"connection=127\.0\.0\.1:(\d+) .*listening", server.log)
    assert len(ports) == 2
    clients = []

    def enter(credential=None):
        clients.append(Client(f"127.0.0.1:{ports[1]}", credential, pki.python.pem))
        return clients[-1]

    yield enter
    for client in clients:
        client.close()


def unbound(admin, subject="ann", parent="acme", **fields):
    return issue(admin, parent, subject, unbound=True, **fields).token


def test_without_a_token_nothing_is_answered(acme, enter):
    client = enter()
    for call, request in (
        (client.identity.WhoAmI, api.identity.WhoAmIRequest()),
        (client.manager.GetTenant, api.manager.GetTenantRequest(name="acme")),
        (client.manager.ListTenants, api.manager.ListTenantsRequest()),
        (client.tokens.ExchangeToken, api.tokens.ExchangeTokenRequest()),
        (client.resolver.GetDefaultTenant, api.resolver.GetDefaultTenantRequest()),
        (client.resolver.ResolveTenant, api.resolver.ResolveTenantRequest(path="/tenants/acme")),
        (health_pb2_grpc.HealthStub(client.channel).Check, health_pb2.HealthCheckRequest()),
    ):
        assert failure("UNAUTHENTICATED", call, request).reason == "CREDENTIAL_MISSING"
    with pytest.raises(grpc.RpcError) as caught:
        next(health_pb2_grpc.HealthStub(client.channel).Watch(health_pb2.HealthCheckRequest(), timeout=20))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    failure("UNAUTHENTICATED", client.identity.WhoAmI, api.identity.WhoAmIRequest(),
            metadata=[("x-tenant-id", "acme")])


def test_with_one_a_call_is_its_subjects(admin, acme, enter):
    client, token = enter(), unbound(admin)
    me = who(client, token)
    assert (me.tenant, me.subject, me.source) == (
        acme.name, "ann", api.identity.IDENTITY_SOURCE_TOKEN)
    assert not me.platform_roles and not me.certificate_fingerprint
    assert get(client, "acme", token).id == acme.id
    failure("PERMISSION_DENIED", client.manager.GetTenant,
            api.manager.GetTenantRequest(name="globex"), **bearer(token))
    # The next call of the connection is nobody's again.
    failure("UNAUTHENTICATED", client.identity.WhoAmI, api.identity.WhoAmIRequest())
    revoke(admin, "acme", token=token)
    assert refused(client, token) == "TOKEN_REVOKED"


def test_tokens_that_are_bound_need_their_certificate(admin, acme, enter, pki):
    web = pki.python.tenant("acme")
    bound = issue(admin, "acme", "ann", certificate_sha256=bytes.fromhex(web.fingerprint())).token
    assert refused(enter(), bound) == "TOKEN_BINDING_MISMATCH"
    assert who(enter(web), bound).subject == "ann"


def test_certificates_count_as_elsewhere(admin, acme, enter, pki):
    me = enter(pki.python.tenant("acme")).who()
    assert (me.tenant, me.subject) == (acme.name, tenant_id("acme"))
    other = pki.python.tenant("globex")
    foreign = issue(admin, "acme", "ann", certificate_sha256=bytes.fromhex(other.fingerprint())).token
    failure("PERMISSION_DENIED", who, enter(other), foreign)
    # A workload's own token has to be bound to it: a token of a log or a proxy is not worth more for its certificate.
    assert refused(enter(pki.python.tenant("acme")), unbound(admin)) == "TOKEN_NOT_BOUND"
    with pytest.raises(grpc.RpcError) as caught:
        enter(Authority().tenant("acme")).who(timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_the_other_listener_takes_nobody_without_a_certificate(admin, acme, server):
    with server.client() as client, pytest.raises(grpc.RpcError) as caught:
        who(client, unbound(admin))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_tenant_can_ask_for_binding_all_the_same(admin, enter):
    admin.active("strict", api.SHARED)
    token = unbound(admin, parent="strict")
    client = enter()
    assert who(client, token).subject == "ann"
    admin.tokens.SetAuthenticationSettings(api.tokens.SetAuthenticationSettingsRequest(
        parent="strict", settings={"require_binding": True}), timeout=20)
    assert refused(client, token) == "TOKEN_NOT_BOUND"


@pytest.mark.parametrize("change, told", [
    (lambda settings: settings.pop("tokens"), "tokens are needed"),
    (lambda settings: settings["listeners"][-1].update(client_certificates="none"), "client_certificates"),
    (lambda settings: settings["listeners"][-1].update(insecure=True), "an insecure listener has none"),
    (lambda settings: settings.pop("tls"), "needs tls")])
def test_configurations_that_make_no_sense(tmp_path, pki, change, told):
    server = Server(tmp_path, pki)
    server.settings["listeners"].append({"tcp": "127.0.0.1:0", "client_certificates": "optional"})
    change(server.settings)
    try:
        server.launch()
        assert server.wait() != 0
        assert told in server.log
    finally:
        server.close()
