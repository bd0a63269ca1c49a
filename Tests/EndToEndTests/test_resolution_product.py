"""Resolution over gRPC: combinations of what all selectors can say, against the rules told in Python, and what is
configured of the strategies."""

import itertools
import random

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from support import api
from support.client import failure, invalid
from support.daemon import Server
from support.waiting import eventually

resolver = api.resolver
STATEMENT = resolver.SourceStatement.Name
SELECTORS = ("environment", "path", "host", "header", "query")  # The most trusted first.
STRATEGY = dict(environment="ENVIRONMENT", path="PATH", host="SUBDOMAIN", header="HEADER", query="QUERY")
MALFORMED = dict(environment="a b", path="%61cme", host="a.b", header="acme,beta", query="ac%6de")
# What sources can say: two tenants that serve, one that does not exist, and two that don't serve.
NAMES = dict(a="acme", b="beta", unknown="none", suspended="idle", deleted="gone")
SETTINGS = dict(resolution={"query_parameter": "tenant", "base_domains": ["tenants.example"]})


@pytest.fixture(scope="module")
def world(tmp_path_factory, pki):
    server = Server(tmp_path_factory.mktemp("product"), pki, **SETTINGS)
    try:
        server.start()
        with server.operator() as operator, server.client(pki.python.tenant("acme")) as workload:
            for slug in ("acme", "beta", "idle", "gone"):
                operator.active(slug)
            operator.suspend("idle")
            operator.suspend("gone")
            operator.delete("gone")
            yield {"operator": operator, "workload": workload}
    finally:
        server.close()


def request(said: dict[str, str]) -> "resolver.ResolveTenantRequest":
    """One in which each of these selectors says this."""
    text = {kind: MALFORMED[kind] if what == "malformed" else NAMES[what] for kind, what in said.items()}
    made = resolver.ResolveTenantRequest()
    if "path" in text:
        made.path = f"/tenants/{text['path']}/x"
    if "query" in text:
        made.path = f"{made.path or '/health'}?page=2&tenant={text['query']}"
    if "host" in text:
        made.host = f"{text['host']}.tenants.example:443"
    if "header" in text:
        made.headers["X-Tenant-ID"] = text["header"]
    if "environment" in text:
        made.environment["TENANT_ID"] = text["environment"]
    return made


def expected(said: dict[str, str], home: str | None) -> tuple[str, str]:
    """Code and reason, or the tenant: the order of answers of the rules, one after the other."""
    if "malformed" in said.values():
        return "INVALID_ARGUMENT", "MALFORMED_SELECTOR"
    names = {kind: what if home in (None, what) else "another" for kind, what in said.items()}
    if len(set(names.values())) > 1:
        if "environment" in names:
            return "FAILED_PRECONDITION", "ENVIRONMENT_PIN_CONFLICT"
        return "INVALID_ARGUMENT", "TENANT_AMBIGUOUS"
    named = next(iter(names.values()), home)
    if named == "another":
        return "PERMISSION_DENIED", "TENANT_MISMATCH"
    return {None: ("NOT_FOUND", "TENANT_UNRESOLVED"), "unknown": ("NOT_FOUND", "TENANT_NOT_FOUND"),
            "deleted": ("NOT_FOUND", "TENANT_NOT_FOUND"), "suspended": ("PERMISSION_DENIED", "TENANT_SUSPENDED"),
            }.get(named, ("OK", NAMES.get(named)))


def answer(client, made):
    """What ExplainResolution says of it, in the form of `expected`, and the findings."""
    explained = client.resolver.ExplainResolution(made)
    verdict = explained.verdict
    findings = {finding.strategy: finding for finding in explained.findings}
    if verdict.HasField("tenant"):
        assert (verdict.code, verdict.reason) == (0, "")
        assert findings[verdict.strategy].decided
        return ("OK", verdict.tenant.slug), findings, verdict
    assert not any(finding.decided for finding in explained.findings)
    code = {3: "INVALID_ARGUMENT", 5: "NOT_FOUND", 7: "PERMISSION_DENIED", 9: "FAILED_PRECONDITION"}[verdict.code]
    return (code, verdict.reason), findings, verdict


def resolved(client, made):
    """The same of ResolveTenant."""
    try:
        return "OK", client.resolver.ResolveTenant(made).tenant.slug
    except grpc.RpcError as error:
        details = dict(error.trailing_metadata())["grpc-status-details-bin"]
        info = error_details_pb2.ErrorInfo()
        assert status_pb2.Status.FromString(details).details[0].Unpack(info)
        return error.code().name, info.reason


def combinations(values):
    for choice in itertools.product([None, *values], repeat=len(SELECTORS)):
        yield {kind: what for kind, what in zip(SELECTORS, choice, strict=True) if what}


@pytest.mark.parametrize("caller", ["operator", "workload"])
def test_every_combination(world, caller):
    """Of those selectors that are given: a tenant, another, none of that name, or what is no name."""
    home = "a" if caller == "workload" else None
    different = []
    for said in combinations(["a", "b", "unknown", "malformed"]):
        found = resolved(world[caller], request(said))
        if found != expected(said, home):
            different.append((said, found, expected(said, home)))
    assert different == []


@pytest.mark.parametrize("caller", ["operator", "workload"])
def test_explanations(world, caller):
    """The verdict is that of ResolveTenant, and every source is told of."""
    home = "a" if caller == "workload" else None
    every = list(combinations([*NAMES, "malformed"]))
    for said in random.Random(1).sample(every, 600):
        found, findings, _ = answer(world[caller], request(said))
        assert found == expected(said, home), said
        for kind in SELECTORS:
            finding = findings[resolver.ResolutionStrategy.Value(f"RESOLUTION_STRATEGY_{STRATEGY[kind]}")]
            statement = STATEMENT(finding.statement).removeprefix("SOURCE_STATEMENT_")
            what = said.get(kind)
            if kind == "query" and said.get("path") == "malformed":
                what = "malformed"  # They are one text.
            if what is None:
                assert statement == ("NO_MATCH" if kind == "path" and "query" in said else "NOT_GIVEN")
            elif what == "malformed":
                assert statement == "MALFORMED"
            elif what == home or home is None and what != "unknown":
                assert (statement, finding.value) == ("NAMED", NAMES[what])
            else:
                assert (statement, finding.value) == ("NAMED_OTHER", NAMES[what])


def test_an_explanation_tells_foreign_and_unknown_names_not_apart(world):
    """But for the name itself, which the request said."""
    workload = world["workload"]
    for kinds in itertools.chain.from_iterable(itertools.combinations(SELECTORS, n) for n in (1, 2, 3)):
        answers = set()
        for what in ("b", "suspended", "deleted", "unknown"):
            explained = workload.resolver.ExplainResolution(request({kind: what for kind in kinds}))
            answers.add(explained.SerializeToString().replace(NAMES[what].encode(), b"name"))
        assert len(answers) == 1, kinds
    explained = workload.resolver.ExplainResolution(request({"host": "b"}))
    assert not explained.verdict.HasField("tenant")
    assert explained.verdict.rule == resolver.RESOLUTION_RULE_MISMATCH


def test_an_explanation_says_which_rule_decided(world):
    for said, caller, rule in (
        ({}, "operator", "UNKNOWN_TENANT"), ({}, "workload", "OWN_TENANT"),
        ({"host": "a"}, "operator", "AGREEMENT"), ({"host": "a", "path": "b"}, "operator", "AMBIGUITY"),
        ({"host": "a", "environment": "b"}, "operator", "PIN_CONFLICT"),
        ({"host": "malformed", "environment": "b"}, "operator", "MALFORMED_SELECTOR"),
        ({"host": "unknown"}, "operator", "UNKNOWN_TENANT"), ({"host": "suspended"}, "operator", "TENANT_STATE"),
        ({"host": "b"}, "workload", "MISMATCH"),
    ):
        verdict = answer(world[caller], request(said))[2]
        assert resolver.ResolutionRule.Name(verdict.rule) == f"RESOLUTION_RULE_{rule}", said
    assert world["operator"].resolver.ResolveTenant(request({"host": "a"})).rule == resolver.RESOLUTION_RULE_AGREEMENT


def test_a_denial_is_audited_though_it_is_only_explained(world):
    operator = world["operator"]
    beta = operator.get("beta").name

    def denied():
        records = api.audit_grpc.AuditStub(operator.channel).ListAuditRecords(
            api.audit.ListAuditRecordsRequest(parent=beta, page_size=1000), timeout=20).records
        return [one for one in records if one.decision == api.audit.AUDIT_DECISION_DENIED
                and one.action.endswith("/ExplainResolution") and one.reason == "TENANT_MISMATCH"]

    world["workload"].resolver.ExplainResolution(request({"header": "b"}))
    eventually(denied, "the explained denial is written")


def test_a_token_is_not_ignored(world):
    made = request({"host": "a"})
    made.token = "x"
    error = failure("UNAUTHENTICATED", world["operator"].resolver.ExplainResolution, made)
    assert error.reason == "TOKEN_MALFORMED"


def test_every_strategy_is_configurable(make_server):
    server = make_server(resolution={
        "path_patterns": ["/api/*/orgs/{tenantId}/items", "/t/{tenantId}"], "excluded_paths": ["/t/public/", "/health"],
        "base_domains": ["tenants.example"], "ignored_names": ["www", "api"], "headers": ["X-Org", "x-tenant"],
        "query_parameter": "org", "environment_variable": "ORG",
        "order": ["query", "header", "path", "subdomain", "environment"]}).start()
    with server.operator() as operator:
        operator.active("acme")

        def resolve(**selectors):
            return operator.resolver.ResolveTenant(resolver.ResolveTenantRequest(**selectors))

        for selectors, strategy in (
            (dict(path="/api/v2/orgs/acme/items/7"), "PATH"), (dict(path="/t/acme"), "PATH"),
            (dict(host="acme.tenants.example", path="/health?org=nobody"), "SUBDOMAIN"),
            (dict(host="www.tenants.example", headers={"x-org": "acme"}), "HEADER"),
            (dict(path="/t/api?org=acme"), "QUERY"), (dict(path="/?org=acme&org=ACME"), "QUERY"),
            (dict(headers={"x-org": "acme", "X-Tenant": "ACME"}, path="/t/acme"), "HEADER"),
            (dict(environment={"ORG": "acme"}, headers={"x-tenant-id": "nobody"}), "ENVIRONMENT"),
        ):
            assert resolve(**selectors).strategy == resolver.ResolutionStrategy.Value(
                f"RESOLUTION_STRATEGY_{strategy}"), selectors
        for selectors in (dict(path="/api/v2/orgs/acme"), dict(path="/t/public"), dict(path="/tenants/acme"),
                          dict(headers={"x-org": "www"}), dict(path="/health?org=acme")):
            assert failure("NOT_FOUND", resolve, **selectors).reason == "TENANT_UNRESOLVED", selectors
        for selectors in (dict(headers={"x-org": "acme", "x-tenant": "beta"}), dict(path="/?org=acme&org=beta")):
            assert failure("INVALID_ARGUMENT", resolve, **selectors).reason == "TENANT_AMBIGUOUS", selectors
        assert invalid("path", resolve, path="/?%6frg=acme").reason == "MALFORMED_SELECTOR"
        findings = operator.resolver.ExplainResolution(resolver.ResolveTenantRequest(
            path="/t/public/x", host="www.tenants.example", headers={"x-org": "acme", "x-tenant": "b"})).findings
        assert [STATEMENT(finding.statement).removeprefix("SOURCE_STATEMENT_") for finding in findings] == [
            "EXCLUDED", "CONTRADICTORY", "EXCLUDED", "IGNORED", "NOT_GIVEN", "NOT_GIVEN", "NOT_GIVEN"]
        assert "priority" not in server.log


def test_what_is_switched_off_is_not_looked_at(make_server):
    server = make_server(resolution={"order": ["header"]}).start()
    with server.operator() as operator:
        acme = operator.active("acme")
        made = resolver.ResolveTenantRequest(
            path="/tenants/%", host=":", headers={"x-tenant-id": "acme"}, environment={"TENANT_ID": "beta"})
        assert operator.resolver.ResolveTenant(made).tenant.id == acme.id
        findings = operator.resolver.ExplainResolution(made).findings
        off = [finding for finding in findings if finding.statement == resolver.SOURCE_STATEMENT_SWITCHED_OFF]
        assert len(off) == 4


def test_the_first_counts_where_that_is_configured(make_server, pki):
    server = make_server(resolution={"mode": "priority", "order": ["header", "path", "environment"]}).start()
    with server.operator() as operator, server.client(pki.python.tenant("acme")) as workload:
        acme, beta = operator.active("acme"), operator.active("beta")
        assert "resolution.mode is priority" in server.log

        def made(**said):
            return request(said)

        both = made(header="a", path="b", environment="unknown")
        for client in operator, workload:
            found = client.resolver.ResolveTenant(both)
            assert found.tenant.id == acme.id
            assert found.rule == resolver.RESOLUTION_RULE_FIRST_MATCH
            assert [STATEMENT(one.statement) for one in found.explanation] == [
                "SOURCE_STATEMENT_NAMED", "SOURCE_STATEMENT_NAMED_OTHER", "SOURCE_STATEMENT_NAMED_OTHER"]
            assert [one.value for one in found.explanation] == ["acme", "", ""]
        swapped = made(header="b", path="a")
        assert operator.resolver.ResolveTenant(swapped).tenant.id == beta.id
        error = failure("PERMISSION_DENIED", workload.resolver.ResolveTenant, swapped)
        assert error.reason == "TENANT_MISMATCH"
        invalid("path", operator.resolver.ResolveTenant, made(header="a", path="malformed"))
