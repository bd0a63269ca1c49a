"""Envoy's external authorization: which HTTP requests may go on, and as whose."""

import os

import pytest
from support import api
from support.client import failure
from support.daemon import ISSUER, Server
from support.http_requests import check, judged, request
from support.pki import Authority, platform_id, tenant_id
from support.tokens import denials, issue, revoke
from support.waiting import eventually

GATEWAY = "https://gateway.example"
ROUTES = [
    {"path": "/healthz", "anonymous": True, "methods": ["GET"]},
    {"path": "/orders/**", "permission": "orders:read", "methods": ["GET"]},
    {"path": "/orders/**", "permission": "orders:write"},
    {"path": "/tenants/{tenant}/orders/*", "permission": "orders:read"},
    {"path": "/files/secret/**", "permission": "orders:write"}, {"path": "/files/**", "permission": "orders:read"},
    {"path": "/reports/**", "tenants": True},
]


@pytest.fixture(scope="module")
def server(tmp_path_factory, pki):
    server = Server(
        tmp_path_factory.mktemp("server"), pki, audit={"window_seconds": 1},
        envoy={"audience": GATEWAY, "routes": ROUTES})
    try:
        yield server.start()
    finally:
        server.close()


def made(admin, slug):
    """A tenant whose ann reads and writes orders, and whose bob only reads them, as its web does."""
    tenant = admin.active(slug, api.SHARED)
    admin.role(slug, "reader", "orders:read")
    admin.role(slug, "writer", "orders:*")
    for subject, role in (("ann", "writer"), ("bob", "reader"), (tenant_id(slug), "reader")):
        admin.assign(slug, subject, role)
    return tenant


@pytest.fixture(scope="module")
def acme(admin):
    return made(admin, "acme")


@pytest.fixture(scope="module")
def globex(admin):
    return made(admin, "globex")


@pytest.fixture(scope="module")
def sidecar(server, pki):
    with server.client(pki.python.platform("resolver")) as client:
        yield client


def token(admin, subject="bob", parent="acme", **fields):
    fields.setdefault("audiences", [GATEWAY])
    if "certificate_sha256" not in fields:
        fields["unbound"] = True
    return issue(admin, parent, subject, **fields).token


# Who makes a request.

@pytest.mark.parametrize("raw", [False, True])
def test_a_token_says_whose_a_request_is(admin, acme, sidecar, raw):
    found = check(sidecar, token=token(admin), raw=raw)
    assert found.allowed
    assert found.headers == {
        "x-tenant-id": acme.id, "x-tenant-slug": "acme", "x-tenant-subject": "bob",
        # Whoever has issued it acts for whom it is for.
        "x-tenant-actor": f"uid:{os.getuid()}"}
    assert found.removed >= {"x-http-method-override"}
    assert not found.removed & found.headers.keys()
    assert found.metadata == {
        "tenant": acme.id, "tenant_slug": "acme", "subject": "bob", "credential": "token",
        "actor": f"uid:{os.getuid()}", "plan": "standard",
        "limits": {"requests": {"second": {"requests_per_unit": 100_000, "unit": "SECOND"}}}}


def test_so_does_a_certificate(acme, sidecar, pki):
    web = pki.python.tenant("acme")
    for _ in range(2):
        found = check(sidecar, certificate=web)
        assert found.headers["x-tenant-id"] == acme.id
        assert found.headers["x-tenant-subject"] == tenant_id("acme")
        assert found.metadata["credential"] == "certificate"
        assert "x-tenant-actor" in found.removed


def test_nobody_is_nobody(acme, sidecar):
    found = check(sidecar)
    assert (found.allowed, found.status, found.reason) == (False, 401, "CREDENTIAL_MISSING")
    assert found.headers["www-authenticate"] == "Bearer"
    # A name is no proof.
    for headers in ({"x-tenant-id": "acme"}, {"x-tenant-subject": "ann"}, {"x-forwarded-client-cert": "x"}):
        assert check(sidecar, headers=headers).reason == "CREDENTIAL_MISSING"
    assert check(sidecar, path="/tenants/acme/orders/1").status == 401


def test_what_needs_no_identity_goes_on_as_nobodys(admin, acme, sidecar):
    for given in ({}, {"token": token(admin)}, {"headers": {"x-tenant-id": acme.id}}):
        found = check(sidecar, path="/healthz", **given)
        assert found.allowed and not found.headers and not found.metadata
        assert found.removed >= {
            "x-tenant-id", "x-tenant-slug", "x-tenant-subject", "x-tenant-actor"}
    assert check(sidecar, method="POST", path="/healthz").status == 401


def test_a_bound_token_needs_its_certificate(admin, acme, globex, sidecar, pki):
    web, other = pki.python.tenant("acme"), pki.python.tenant("acme", "other")
    bound = token(admin, certificate_sha256=bytes.fromhex(web.fingerprint()))
    assert check(sidecar, token=bound, certificate=web).headers["x-tenant-subject"] == "bob"
    for given in ({}, {"certificate": other}):
        found = check(sidecar, token=bound, **given)
        assert (found.status, found.reason) == (401, "TOKEN_BINDING_MISMATCH")
    foreign = pki.python.tenant("globex")
    found = check(sidecar, token=token(
        admin, certificate_sha256=bytes.fromhex(foreign.fingerprint())), certificate=foreign)
    assert (found.status, found.reason) == (403, "TENANT_CREDENTIAL_CONFLICT")


def test_the_gateways_own_certificate_binds_nothing(admin, acme, sidecar, server, pki):
    gateway = pki.python.platform("resolver")
    bound = token(admin, certificate_sha256=bytes.fromhex(gateway.fingerprint()))
    with server.client(gateway) as client:
        found = check(client, token=bound)
    assert (found.status, found.reason) == (401, "TOKEN_BINDING_MISMATCH")


def test_a_token_of_somebody_elses(admin, acme, sidecar):
    for audiences in ([ISSUER], ["https://other.example"]):
        found = check(sidecar, token=token(admin, audiences=audiences))
        assert (found.status, found.reason) == (401, "TOKEN_AUDIENCE_MISMATCH")


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer a.b", "Bearer a,Bearer b"])
def test_an_authorization_that_is_not_understood_is_not_passed_over(acme, sidecar, pki, value):
    found = check(sidecar, headers={"authorization": value}, certificate=pki.python.tenant("acme"))
    assert (found.allowed, found.status) == (False, 401)


def test_two_tokens_are_none(admin, acme, sidecar):
    good = f"Bearer {token(admin)}"
    for raw in (False, True):
        found = check(sidecar, headers=[("authorization", good)] * 2, raw=raw)
        assert (found.allowed, found.status) == (False, 401)


def test_certificates_that_are_not_accepted(acme, sidecar, pki):
    good = pki.python.tenant("acme")
    client = pki.python
    for bad in (Authority().tenant("acme"), client.issue(tenant_id("acme"), starts=-100, ends=-50),
                client.issue(tenant_id("acme"), tenant_id("globex")), client.issue(),
                client.issue("spiffe://foreign.test/tenant/acme/web"), client.server(),
                client.issue(tenant_id("acme"), usages=())):
        found = check(sidecar, certificate=bad)
        assert (found.allowed, found.status, found.reason) == (False, 401, "CERTIFICATE_REFUSED")
    for text in (b"x", good.certificate * 2, good.certificate + b"x", b"\0" + good.certificate,
                 good.certificate[:-30], good.certificate.replace(b"\n", b"")):
        message = request(certificate=type(good)(text, b""))
        assert judged(sidecar, message).reason == "CERTIFICATE_REFUSED", text
    message = request(certificate=good)
    for text in ("%", "%2", "%zz", message.attributes.source.certificate + "%"):
        message.attributes.source.certificate = text
        assert judged(sidecar, message).reason == "CERTIFICATE_REFUSED", text


def test_the_principal_alone_is_nobody(acme, sidecar):
    message = request()
    message.attributes.source.principal = tenant_id("acme")
    assert judged(sidecar, message).reason == "CREDENTIAL_MISSING"


# What a request needs.

def test_each_route_needs_its_permission(admin, acme, sidecar):
    ann, bob = token(admin, "ann"), token(admin, "bob")
    for path in ("/orders", "/orders/", "/orders/7", "/orders/7/items?x=%2F..", "/orders?a=/b"):
        assert check(sidecar, path=path, token=bob).allowed, path
        assert check(sidecar, "HEAD", path, token=bob).allowed, path
        for method in ("POST", "DELETE", "get", "OPTIONS"):
            found = check(sidecar, method, path, token=bob)
            assert (found.allowed, found.status, found.reason) == (False, 403, "PERMISSION_MISSING")
            assert check(sidecar, method, path, token=ann).allowed
    for path in ("/", "/order", "/ordersx", "/healthz/x", "/Orders", "/x/orders"):
        found = check(sidecar, path=path, token=ann)
        assert (found.allowed, found.status, found.reason) == (False, 403, "ROUTE_NOT_ALLOWED")


def test_a_rule_is_not_passed_by_in_another_case(admin, acme, sidecar):
    bob = token(admin)
    assert check(sidecar, path="/files/open", token=bob).allowed
    paths = ("/files/secret/1", "/files/SECRET/1", "/files/Secret", "/FILES/open")
    assert not any(check(sidecar, path=path, token=bob).allowed for path in paths)


def test_a_token_narrows_what_its_subject_may(admin, acme, sidecar):
    narrow = token(admin, "ann", permissions=["orders:read"])
    assert check(sidecar, token=narrow).allowed
    assert check(sidecar, "POST", token=narrow).reason == "PERMISSION_MISSING"


@pytest.mark.parametrize("path", [
    "", "orders", "//orders", "/healthz/../orders", "/orders/.", "/orders//7", "/%6frders", "/orders/%2e%2e",
    "/orders;x=1", "/orders\\7", "/orders/\u00e9", "/orders/\x07", "*", "http://shop.example/orders"])
def test_paths_that_are_read_in_different_ways(admin, acme, sidecar, path):
    found = check(sidecar, path=path, token=token(admin, "ann"))
    assert (found.allowed, found.status) == (False, 400), path


def test_a_tenants_own_rules_add_to_the_platforms(admin, globex, sidecar):
    ann, bob = (token(admin, subject, "globex") for subject in ("ann", "bob"))

    def configure(*routes):
        admin.manager.UpdateTenantConfiguration(api.manager.UpdateTenantConfigurationRequest(
            name="globex", update_mask={"paths": ["routes"]}, configuration={"routes": routes}), timeout=20)

    reports = {"path": "/reports/**", "permission": "orders:read"}
    assert check(sidecar, path="/reports/1", token=bob).reason == "ROUTE_NOT_ALLOWED"
    configure(reports, {"path": "/orders/secret", "permission": "orders:write"},
              {"path": "/orders/**", "permission": "nobody:ever"},
              {"path": "/healthz", "permission": "nobody:ever"})
    try:
        assert check(sidecar, path="/reports/1", token=bob).allowed
        assert check(sidecar, path="/orders/secret", token=ann).allowed
        assert not check(sidecar, path="/orders/secret", token=bob).allowed
        assert not check(sidecar, path="/orders/7", token=ann).allowed
        assert check(sidecar, path="/healthz").allowed
        # Others have nothing to do with it.
        made = token(admin, "bob", "acme")
        assert check(sidecar, path="/orders/secret", token=made).allowed
        assert not check(sidecar, path="/reports/1", token=made).allowed
        # It can't take away what the platform asks for, nor let through what that does not leave to it.
        configure({"path": "/**", "permission": "orders:read"})
        assert not check(sidecar, "POST", token=bob).allowed
        for path in ("/anything", "/", "/internal/metrics"):
            assert check(sidecar, "POST", path, token=bob).reason == "ROUTE_NOT_ALLOWED"
        assert check(sidecar, "POST", "/reports/2", token=bob).allowed
        assert check(sidecar, path="/reports/2").status == 401
    finally:
        configure()
    assert not check(sidecar, path="/reports/1", token=bob).allowed


@pytest.mark.parametrize("route, field", [
    ({"path": "/x"}, "permission"), ({"path": "x", "permission": "a:b"}, "path"),
    ({"path": "/x/**/y", "permission": "a:b"}, "path"), ({"path": "/%41", "permission": "a:b"}, "path"),
    ({"path": "/x*", "permission": "a:b"}, "path"), ({"path": "/x", "permission": "a:*"}, "permission"),
    ({"path": "/x", "permission": "ab"}, "permission"),
    ({"path": "/x", "permission": "a:b", "methods": ["get"]}, "methods"),
    ({"path": "/" + "x" * 256, "permission": "a:b"}, "path"),
    ({"path": "/" + "x/" * 40, "permission": "a:b"}, "path")])
def test_rules_that_are_none(admin, acme, route, field):
    found = failure(
        "INVALID_ARGUMENT", admin.manager.UpdateTenantConfiguration,
        api.manager.UpdateTenantConfigurationRequest(name="acme", configuration={"routes": [route]}))
    assert found.fields == [f"configuration.routes[0].{field}"]


# Which tenant it is for.

def test_selectors_only_narrow(admin, acme, globex, sidecar):
    bob = token(admin)
    for given in ({"headers": {"x-tenant-id": acme.id}}, {"host": "acme.tenants.example:443"},
                  {"path": "/tenants/acme/orders/1"}):
        assert check(sidecar, token=bob, **given).headers["x-tenant-id"] == acme.id
    for given in ({"headers": {"X-Tenant-Id": "globex"}}, {"host": "globex.tenants.example"},
                  {"path": "/tenants/globex/orders/1"}, {"path": "/tenants/unknown/orders/1"}):
        found = check(sidecar, token=bob, **given)
        assert (found.allowed, found.status, found.reason) == (False, 403, "TENANT_MISMATCH")
    for given, reason in (
        ({"headers": {"x-tenant-id": "acme"}, "host": "globex.tenants.example"}, "TENANT_AMBIGUOUS"),
        ({"headers": [("x-tenant-id", "acme"), ("x-tenant-id", "globex")]}, "MALFORMED_SELECTOR"),
        ({"headers": {"x-tenant-id": "ac me"}}, "MALFORMED_SELECTOR"),
    ):
        found = check(sidecar, token=bob, **given)
        assert (found.allowed, found.status, found.reason) == (False, 400, reason)


def test_a_platform_identity_names_the_tenant_and_has_its_own_permissions(acme, sidecar, pki):
    operator = pki.python.platform("operator")
    assert check(sidecar, certificate=operator).status == 404
    found = check(sidecar, certificate=operator, headers={"x-tenant-id": "acme"})
    assert (found.status, found.reason) == (403, "PERMISSION_MISSING")


# What ends it.

def test_a_revoked_token_ends_at_once(admin, acme, sidecar):
    ended = token(admin, "ann")
    assert check(sidecar, token=ended).allowed
    revoke(admin, "acme", token=ended)
    found = check(sidecar, token=ended)
    assert (found.allowed, found.status, found.reason) == (False, 401, "TOKEN_REVOKED")


def test_a_tenants_state_and_roles_count_at_once(admin, sidecar, pki):
    made(admin, "fading")
    web, bob = pki.python.tenant("fading"), token(admin, "bob", "fading")
    assert check(sidecar, certificate=web).allowed and check(sidecar, token=bob).allowed
    assignments = admin.authz.ListRoleAssignments(
        api.authz.ListRoleAssignmentsRequest(parent="fading"), timeout=20).assignments
    [own] = [found for found in assignments if found.subject == "bob"]
    admin.authz.DeleteRoleAssignment(
        api.authz.DeleteRoleAssignmentRequest(name=own.name), timeout=20)
    assert check(sidecar, token=bob).reason == "PERMISSION_MISSING"
    admin.suspend("fading")
    found = check(sidecar, certificate=web)
    assert (found.allowed, found.status, found.reason) == (False, 403, "TENANT_SUSPENDED")
    assert check(sidecar, token=bob).reason == "TOKEN_REVOKED"
    admin.delete("fading")
    assert check(sidecar, certificate=web).reason == "IDENTITY_UNKNOWN"


# Whoever asks much keeps nobody else out.

def test_certificates_that_are_refused_over_and_over(acme, globex, sidecar, pki):
    refused = pki.python.issue(tenant_id("acme"), starts=-100, ends=-50)
    for _ in range(2000):
        assert check(sidecar, certificate=refused).reason == "CERTIFICATE_REFUSED"
    for number in range(20):
        assert check(sidecar, certificate=pki.python.tenant("globex", f"w{number}")).reason in (
            "PERMISSION_MISSING", "TENANT_MISMATCH")


def test_forged_tokens_keep_out_those_of_their_address_alone(admin, acme, sidecar):
    forged = token(admin)[:-12] + "A" * 12
    reasons = {check(sidecar, token=forged, address="198.51.100.1").reason for _ in range(2000)}
    assert reasons <= {"TOKEN_SIGNATURE_INVALID", "TOKEN_RATE_EXCEEDED"}
    assert check(sidecar, token=token(admin), address="198.51.100.2").allowed


def test_paths_as_long_as_they_may_be(admin, acme, sidecar):
    bob = token(admin)
    for path in ("/" + "a" * 8000, "/a" * 4000, "/orders/" + "b" * 8000, "/orders" + "/b" * 4000):
        assert check(sidecar, path=path, token=bob).allowed == path.startswith("/orders/")
    assert check(sidecar, path="/" + "a" * 9000, token=bob).status == 400


# Who may ask, and what is told of it.

def test_only_platform_identities_may_ask(admin, acme, sidecar, connect, pki):
    message = request(certificate=pki.python.tenant("acme"))
    for credential in (pki.python.tenant("acme"), pki.python.platform("viewer"), pki.python.platform("nobody")):
        failure("PERMISSION_DENIED", connect(credential).ext_authz.Check, message)
    bob = issue(admin, "acme", "bob", unbound=True).token
    failure("PERMISSION_DENIED", sidecar.ext_authz.Check, message,
            metadata=[("authorization", f"Bearer {bob}")])


@pytest.mark.parametrize("spoil", [
    lambda message: message.ClearField("attributes"), lambda message: message.attributes.ClearField("request"),
    lambda message: message.attributes.request.ClearField("http")])
def test_what_tells_of_no_request_is_an_error(sidecar, spoil):
    message = request()
    spoil(message)
    failure("INVALID_ARGUMENT", sidecar.ext_authz.Check, message)


def test_denials_are_on_record_in_both_tenants(admin, sidecar, pki):
    action = "/envoy.service.auth.v3.Authorization/Check"
    # Of a tenant that much is denied in at once, not all is told apart.
    for slug in ("calm", "quiet"):
        made(admin, slug)
    bob = token(admin, parent="calm")
    check(sidecar, "POST", token=bob)
    check(sidecar, token=bob, headers={"x-tenant-id": "quiet"})

    def told():
        own, other = denials(admin, "tenants/calm"), denials(admin, "tenants/quiet")
        return ({(action, "PERMISSION_MISSING"), (action, "TENANT_MISMATCH")} <= own
                and (action, "TENANT_MISMATCH") in other)

    eventually(told, "the denials are on record")
    check(sidecar, "POST", certificate=pki.python.tenant("calm"))

    def through():
        records = admin.audit.ListAuditRecords(
            api.audit.ListAuditRecordsRequest(parent="tenants/calm", page_size=500), timeout=20).records
        return [record.source for record in records if record.subject == tenant_id("calm")]

    [source] = eventually(through, "the denial of a certificate's owner is on record")
    assert source.startswith("127.0.0.1:") and source.endswith(f" by {platform_id('resolver')}")


def test_a_server_without_envoy_judges_nothing(tmp_path, pki):
    server = Server(tmp_path, pki)
    try:
        with server.start().operator() as client:
            found = failure("FAILED_PRECONDITION", client.ext_authz.Check, request())
            assert found.reason == "ENVOY_NOT_CONFIGURED"
    finally:
        server.close()
