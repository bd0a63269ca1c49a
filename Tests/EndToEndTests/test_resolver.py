"""Resolution: which selectors name a tenant, which are refused, and what happens when they disagree."""

import itertools

import pytest

from support import api
from support.client import failure, invalid

resolver = api.resolver

KINDS = ("path", "host", "header", "environment")
SELECTORS = {
    "path": lambda name: dict(path=f"/tenants/{name}/orders?x=1"),
    "host": lambda name: dict(host=f"{name}.tenants.example"),
    "header": lambda name: dict(headers={"x-tenant-id": name}),
    "environment": lambda name: dict(environment={"TENANT_ID": name}),
}
STRATEGY = {
    "path": resolver.RESOLUTION_STRATEGY_PATH, "host": resolver.RESOLUTION_STRATEGY_SUBDOMAIN,
    "header": resolver.RESOLUTION_STRATEGY_HEADER,
    "environment": resolver.RESOLUTION_STRATEGY_ENVIRONMENT,
}
# The most trusted first, as by default.
ORDER = ["environment", "path", "host", "header"]


@pytest.fixture(scope="module")
def red(admin):
    return admin.active("red")


@pytest.fixture(scope="module")
def blue(admin):
    return admin.active("blue", api.HYBRID)


def resolve(client, **selectors):
    return client.resolver.ResolveTenant(resolver.ResolveTenantRequest(**selectors))


def path(client, text):
    return client.resolver.ResolveFromPath(resolver.ResolveFromPathRequest(path=text))


def host(client, text):
    return client.resolver.ResolveFromSubdomain(resolver.ResolveFromSubdomainRequest(host=text))


def headers(client, **values):
    return client.resolver.ResolveFromHeaders(resolver.ResolveFromHeadersRequest(
        headers={name.replace("_", "-"): value for name, value in values.items()}))


def environment(client, **values):
    return client.resolver.ResolveFromEnvironment(
        resolver.ResolveFromEnvironmentRequest(environment=values))


def test_the_answer(operator, blue):
    answer = resolve(operator, host="blue.tenants.example", path="/health", headers={"a": "b"})
    assert answer.tenant == resolver.ResolvedTenant(
        name=blue.name, id=blue.id, slug="blue", display_name="blue", state=api.ACTIVE,
        isolation_model=api.HYBRID, epoch=blue.epoch, schema_name="blue", tenant_identifier=blue.id)
    assert answer.strategy == resolver.RESOLUTION_STRATEGY_SUBDOMAIN
    # A path about something else was looked at, and named none.
    assert list(answer.explanation) == [
        resolver.ResolutionFinding(
            strategy=resolver.RESOLUTION_STRATEGY_PATH, statement=resolver.SOURCE_STATEMENT_NO_MATCH),
        resolver.ResolutionFinding(
            strategy=resolver.RESOLUTION_STRATEGY_SUBDOMAIN, value="blue", decided=True,
            statement=resolver.SOURCE_STATEMENT_NAMED)]


@pytest.mark.parametrize("kinds", [
    kinds for count in range(1, 5) for kinds in itertools.combinations(KINDS, count)],
    ids="+".join)
def test_selectors_that_agree(operator, red, kinds):
    """By slug and by id alike."""
    names = itertools.cycle(["red", red.id])
    selectors = {}
    for kind in kinds:
        selectors |= SELECTORS[kind](next(names))
    answer = resolve(operator, **selectors)
    assert answer.tenant.id == red.id
    trusted = [kind for kind in ORDER if kind in kinds]
    assert answer.strategy == STRATEGY[trusted[0]]
    assert [found.strategy for found in answer.explanation] == [STRATEGY[one] for one in trusted]
    assert [found.decided for found in answer.explanation] == [True] + [False] * (len(kinds) - 1)
    assert all(found.value in ("red", red.id) for found in answer.explanation)


@pytest.mark.parametrize("other", ["blue", "unknown"])
@pytest.mark.parametrize("first, second", list(itertools.permutations(KINDS, 2)))
def test_selectors_that_disagree(operator, red, blue, first, second, other):
    selectors = SELECTORS[first]("red") | SELECTORS[second](other)
    if "environment" in (first, second):
        error = failure("FAILED_PRECONDITION", resolve, operator, **selectors)
        assert error.reason == "ENVIRONMENT_PIN_CONFLICT"
    else:
        error = failure("INVALID_ARGUMENT", resolve, operator, **selectors)
        assert error.reason == "TENANT_AMBIGUOUS"


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_tenant(operator, kind):
    error = failure("NOT_FOUND", resolve, operator, **SELECTORS[kind]("unknown"))
    assert error.reason == "TENANT_NOT_FOUND"


def test_no_source_names_a_tenant(operator):
    for selectors in ({}, {"path": "/health"}, {"host": "elsewhere.example"}, {"headers": {"a": "b"}}):
        error = failure("NOT_FOUND", resolve, operator, **selectors)
        assert error.reason == "TENANT_UNRESOLVED"


@pytest.mark.parametrize("text", [
    "/tenants/red", "/tenants/red/", "/tenants/red/a/b", "/tenants/red?x=%2e%2e//", "/tenants/RED/x",
    "/tenants/red/x?y=/tenants/blue/", "/tenants/red#x"])
def test_paths(operator, red, text):
    assert path(operator, text).tenant.id == red.id


@pytest.mark.parametrize("text", [
    "tenants/red", "", "/tenants/", "/tenants//red", "//tenants/red", "/tenants/./red",
    "/x/../tenants/red", "/tenants/red/..", "/tenants/red/.", "/tenants/r%65d", "/tenants/red%00",
    "/%74enants/red", "/tenants/red,blue", "/tenants/red;x", "/tenants/red\\x", "/tenants/red x",
    "/tenants/r\u00e9d", "/tenants/red.", "/tenants/" + "x" * 64, "/tenants/re_d",
    "/tenants/red\t", "/tenants/red/" + "x" * 8192])
def test_malformed_paths(operator, red, text):
    if not text:  # Absent rather than malformed.
        assert failure("NOT_FOUND", path, operator, text).reason == "TENANT_UNRESOLVED"
        return
    assert invalid("path", path, operator, text).reason == "MALFORMED_SELECTOR"


@pytest.mark.parametrize("text", [
    "red.tenants.example", "red.tenants.example:8080", "red.tenants.example.", "RED.Tenants.EXAMPLE",
    "red.tenants.example.:443", "red.apps.example.org"])
def test_hosts(operator, red, text):
    assert host(operator, text).tenant.id == red.id


@pytest.mark.parametrize("text", [
    "tenants.example", "example", "red.example", "red.tenants.example.evil.test", "127.0.0.1",
    "redtenants.example", "red.other.tenants.test"])
def test_hosts_that_name_no_tenant(operator, red, text):
    assert failure("NOT_FOUND", host, operator, text).reason == "TENANT_UNRESOLVED"


@pytest.mark.parametrize("text", [
    "a.red.tenants.example", "red.tenants.example:", "red.tenants.example:x", "red.tenants.example:1:2",
    "red,blue.tenants.example", "red.tenants.example..", "r%65d.tenants.example", ".tenants.example",
    "red tenants.example", "re_d.tenants.example", "red.tenants.example:123456", ".", "[::1]:80",
    "user@red.tenants.example", "r\u00e9d.tenants.example"])
def test_malformed_hosts(operator, red, text):
    assert invalid("host", host, operator, text).reason == "MALFORMED_SELECTOR"


@pytest.mark.parametrize("value", ["red,blue", "red, red", "", " red", "red ", "r%65d", "red/blue"])
def test_malformed_values(operator, red, value):
    assert invalid("headers", headers, operator, x_tenant_id=value).reason == "MALFORMED_SELECTOR"
    error = invalid("environment", environment, operator, TENANT_ID=value)
    assert error.reason == "MALFORMED_SELECTOR"


def test_repeats_of_the_header(operator, red, blue):
    assert headers(operator, x_tenant_id="red", X_Tenant_Id="red").tenant.id == red.id
    assert headers(operator, X_TENANT_ID="RED", x_other="blue").tenant.id == red.id
    error = failure("INVALID_ARGUMENT", headers, operator, x_tenant_id="red", X_Tenant_ID="blue")
    assert error.reason == "TENANT_AMBIGUOUS"


def test_the_name_of_an_environment_variable_has_a_case(operator, red):
    assert environment(operator, TENANT_ID="red", OTHER="x").tenant.id == red.id
    assert failure("NOT_FOUND", environment, operator, tenant_id="red").reason == "TENANT_UNRESOLVED"


def test_tokens_are_never_ignored(operator, red):
    for call in (
        lambda: resolve(operator, token="x", host="red.tenants.example"),
        lambda: operator.resolver.ResolveFromToken(resolver.ResolveFromTokenRequest(token="x")),
        lambda: operator.resolver.ResolveFromToken(resolver.ResolveFromTokenRequest()),
    ):
        assert failure("UNAUTHENTICATED", call).reason == "TOKEN_MALFORMED"


@pytest.mark.parametrize("state, code, reason", [
    ("pending", "FAILED_PRECONDITION", "TENANT_NOT_PROVISIONED"),
    ("suspended", "PERMISSION_DENIED", "TENANT_SUSPENDED"),
    ("deleted", "NOT_FOUND", "TENANT_NOT_FOUND")])
def test_tenants_that_are_not_served(operator, slug, state, code, reason):
    operator.create(slug)
    if state != "pending":
        operator.provision(slug)
        operator.suspend(slug)
    if state == "deleted":
        operator.delete(slug)
    for kind in KINDS:
        assert failure(code, resolve, operator, **SELECTORS[kind](slug)).reason == reason
    valid = operator.resolver.ValidateTenant(resolver.ValidateTenantRequest(name=slug))
    assert (valid.valid, valid.reason) == (False, reason)
    assert valid.state == {"pending": api.PENDING, "suspended": api.SUSPENDED}.get(state, 0)


def test_validation(operator, red):
    for name in ("red", red.id, red.name, "tenants/red"):
        valid = operator.resolver.ValidateTenant(resolver.ValidateTenantRequest(name=name))
        assert valid == resolver.ValidateTenantResponse(valid=True, state=api.ACTIVE)
    unknown = operator.resolver.ValidateTenant(resolver.ValidateTenantRequest(name="unknown"))
    assert unknown == resolver.ValidateTenantResponse(reason="TENANT_NOT_FOUND")


def test_without_a_default_tenant(operator):
    error = failure("NOT_FOUND", operator.resolver.GetDefaultTenant, resolver.GetDefaultTenantRequest())
    assert error.reason == "TENANT_UNRESOLVED"


def test_the_default_tenant(make_server, pki):
    server = make_server(resolution={"default_tenant": "acme", "order": ["header"],
                                     "header": "X-Org", "path_prefix": "/o/"}).start()
    with server.operator() as operator:
        get = operator.resolver.GetDefaultTenant
        assert failure("NOT_FOUND", get, resolver.GetDefaultTenantRequest()
                       ).reason == "TENANT_NOT_FOUND"
        acme, other = operator.active("acme"), operator.active("other")
        answer = get(resolver.GetDefaultTenantRequest())
        assert answer.tenant.id == acme.id
        assert answer.strategy == resolver.RESOLUTION_STRATEGY_DEFAULT
        # It answers no call that is about some tenant, but names none, or by what is switched off only.
        for selectors in {}, {"path": "/o/other/x"}:
            assert failure("NOT_FOUND", resolve, operator, **selectors).reason == "TENANT_UNRESOLVED"
        assert resolve(operator, headers={"x-org": "other"}).tenant.id == other.id
        with server.client(pki.python.tenant("acme")) as workload:
            assert get(resolver.GetDefaultTenantRequest()) == answer
            assert workload.resolver.GetDefaultTenant(resolver.GetDefaultTenantRequest()) == answer
        with server.client(pki.python.tenant("other")) as workload:
            error = failure("PERMISSION_DENIED", workload.resolver.GetDefaultTenant,
                            resolver.GetDefaultTenantRequest())
            assert error.reason == "TENANT_MISMATCH"
            # A workload that names none gets its own tenant, never the default one.
            assert resolve(workload).tenant.id == other.id
