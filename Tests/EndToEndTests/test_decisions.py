"""Decisions that are recorded, asked again, and asked as if the policy were another one."""

import pytest

from google.protobuf.timestamp_pb2 import Timestamp

from support import api
from support.authzen import Enforcer, question
from support.client import failure, invalid
from support.daemon import Server
from support.pki import tenant_id
from support.policies import assign, attributes, check, role, unassign, update
from support.tokens import issue

authz = api.authz
KEPT = 20


@pytest.fixture(scope="module")
def server(tmp_path_factory, pki):
    server = Server(tmp_path_factory.mktemp("server"), pki, audit={"window_seconds": 1})
    server.settings["http"] = {"listen": f"unix:{server.socket_directory / 'http'}", "authzen": {}}
    server.settings["event_loops"] = 1
    server.settings["decisions"] = {
        "allowed_sample": 1, "allowed_per_second": 10_000, "denials_per_second": 10_000,
        "decisions_per_tenant": KEPT, "redacted_attributes": ["context.ip", "subject.attributes.email"]}
    try:
        yield server.start()
        assert server.process.poll() is None, f"tenantd ended:\n{server.log}"
    finally:
        server.close()


@pytest.fixture(scope="module")
def admin(server):
    with server.operator() as admin:
        for slug in ("acme", "globex"):
            admin.active(slug, api.SHARED)
        role(admin, "reader", "docs:read")
        role(admin, "owner", "docs:edit")
        role(admin, "checker", "tenancy.authorization:check")
        assign(admin, "user:al", "reader")
        assign(admin, "user:bo", "owner", condition="context.level > 1.0 && context.ip != '::1'")
        assign(admin, "pep", "checker")
        assign(admin, tenant_id("acme", "boss"), "tenant-admin")
        yield admin


def listed(client, tenant="acme", after=0, size=0, token="", **filters):
    return client.authz.ListDecisions(authz.ListDecisionsRequest(
        tenant=tenant, after=after, page_size=size, page_token=token,
        filter=authz.DecisionFilter(**filters)), timeout=20)


def replayed(client, tenant="acme", size=0, token="", **filters):
    return client.authz.ReplayDecisions(authz.ReplayDecisionsRequest(
        tenant=tenant, page_size=size, page_token=token, filter=authz.DecisionFilter(**filters)), timeout=20)


def simulated(client, *changes, tenant="acme", queries=(), **more):
    return client.authz.Simulate(authz.SimulateRequest(
        tenant=tenant, changes=[authz.PolicyChange(**change) for change in changes],
        queries=[authz.BatchCheckItem(subject=one[0], permission=one[1]) for one in queries], **more), timeout=20)


@pytest.fixture
def end(admin):
    """Of what was recorded before."""
    return listed(admin).last_sequence


def test_what_was_answered_is_recorded(admin, end):
    yes = check(admin, "user:al", "docs:read", "7")
    no = check(admin, "user:al", "docs:edit", context={"mfa": True})
    admin.authz.BatchCheck(authz.BatchCheckRequest(tenant="acme", items=[
        authz.BatchCheckItem(subject="user:al", permission="docs:burn")]))
    page = listed(admin, after=end)
    one, two, three = page.decisions
    assert (one.subject, one.permission, one.resource, one.answer) == ("user:al", "docs:read", "7", yes)
    assert two.answer == no and dict(two.attributes.context) == {"mfa": True}
    assert [each.source for each in page.decisions] == [
        authz.DECISION_SOURCE_CHECK, authz.DECISION_SOURCE_CHECK, authz.DECISION_SOURCE_BATCH_CHECK]
    assert one.sequence < two.sequence < three.sequence <= page.last_sequence
    assert page.node and page.complete_since.seconds <= one.time.seconds and not page.next_page_token
    assert not listed(admin, after=page.last_sequence).decisions and not listed(admin, "globex").decisions
    assert listed(admin, after=end, outcome=authz.DECISION_OUTCOME_ALLOWED).decisions == [one]
    assert listed(admin, after=end, subject="user:al", permission="docs:burn").decisions == [three]
    assert not listed(admin, after=end, subject="user:a").decisions
    assert len(listed(admin, after=end, start_time=one.time, end_time=two.time).decisions) in (0, 1)
    assert not listed(admin, after=end, end_time=Timestamp(seconds=1)).decisions
    assert failure("NOT_FOUND", listed, admin, "nobody").reason == "TENANT_NOT_FOUND"


def test_pages(admin, end):
    for number in range(5):
        check(admin, f"user:{number}", "a:b")
    page, found = listed(admin, after=end, size=2), []
    while True:
        found += [one.subject for one in page.decisions]
        assert page.last_sequence >= page.decisions[-1].sequence
        if not page.next_page_token:
            break
        page = listed(admin, after=end, size=2, token=(token := page.next_page_token))
    assert found == [f"user:{number}" for number in range(5)]
    # A token is of its own question, and of its own tenant.
    for other in (lambda: listed(admin, after=end, token=token, subject="user:1"),
                  lambda: listed(admin, "globex", after=end, token=token), lambda: listed(admin, token="3120")):
        invalid("page_token", other)
    invalid("page_size", listed, admin, size=-1)
    invalid("filter.subject", listed, admin, subject="x" * 257)
    invalid("filter.outcome", listed, admin, outcome=9)


def test_a_flood_overwrites_its_own(admin, end):
    check(admin, "user:al", "docs:read")
    before = listed(admin, "globex").complete_since
    with_tenant = authz.BatchCheckRequest(tenant="globex", items=[
        authz.BatchCheckItem(subject=f"user:{number}", permission="a:b") for number in range(500)])
    admin.authz.BatchCheck(with_tenant)
    page = listed(admin, "globex")
    assert [one.subject for one in page.decisions] == [f"user:{number}" for number in range(500 - KEPT, 500)]
    assert page.overwritten == 500 - KEPT and not page.left_out
    # Since when there is nothing missing.
    assert before.ToNanoseconds() < page.complete_since.ToNanoseconds() <= page.decisions[0].time.ToNanoseconds()
    assert [one.subject for one in listed(admin, after=end).decisions] == ["user:al"]


def test_what_is_declared_is_not_kept(admin, end):
    told = attributes(subject={"email": "al@example", "team": "x"}, context={"ip": "::1", "level": 2})
    admin.authz.Check(authz.CheckRequest(
        tenant="acme", subject="user:bo", permission="docs:edit", attributes=told))
    [one] = listed(admin, after=end).decisions
    assert sorted(one.redacted_attributes) == ["context.ip", "subject.attributes.email"]
    assert dict(one.attributes.context) == {"level": 2} and dict(one.attributes.subject) == {"team": "x"}
    assert "example" not in str(one)
    large = attributes(context={"text": "x" * 8_000})
    admin.authz.Check(authz.CheckRequest(
        tenant="acme", subject="user:bo", permission="docs:edit", attributes=large))
    one = listed(admin, after=end).decisions[-1]
    assert one.attributes_omitted and not one.HasField("attributes")
    assert replayed(admin, subject="user:bo").inexact >= 2


def test_replay(admin):
    for subject in ("user:al", "user:cy"):
        check(admin, subject, "docs:read", "9")
    before = replayed(admin, permission="docs:read")
    assert before.replayed >= 2 and not before.differences and before.revision > 1
    given = assign(admin, "user:cy", "reader", resource="docs/9")
    update(admin, "reader", permissions=["docs:list"])
    after = replayed(admin, permission="docs:read")
    # The role allows neither of them.
    assert after.replayed == before.replayed
    assert {one.decision.subject for one in after.differences} == {"user:al"}
    assert all(one.before.allowed and not one.after.allowed for one in after.differences)
    update(admin, "reader", permissions=["docs:read"])
    [one] = replayed(admin, subject="user:cy").differences
    assert (one.before.allowed, one.after.allowed, one.after.role) == (False, True, "reader")
    assert one.steps[0].assignment == given and not one.inexact
    total, token = 0, ""
    while True:
        page = replayed(admin, size=3, token=token)
        assert page.replayed <= 3
        total += page.replayed
        if not (token := page.next_page_token):
            break
    assert total == len(listed(admin, size=1000).decisions)
    unassign(admin, given)


def test_simulate_agrees_with_applying(admin):
    queries = [(subject, permission) for subject in ("user:al", "user:bo", "user:dee")
               for permission in ("docs:read", "docs:edit", "docs:list")]

    def answers():
        return [(one.allowed, one.role) for one in admin.authz.BatchCheck(authz.BatchCheckRequest(
            tenant="acme", items=[authz.BatchCheckItem(subject=s, permission=p) for s, p in queries])).results]
    held = assign(admin, "user:dee", "reader")
    before, revision = answers(), admin.authz.Check(authz.CheckRequest(
        tenant="acme", subject="user:al", permission="a:b")).revision
    changes = [{"put_role": authz.Role(name="careful", denied_permissions=["docs:read"], parents=["owner"])},
               {"put_assignment": authz.RoleAssignment(subject="user:al", role="careful")},
               {"delete_assignment": held.name}]
    found = simulated(admin, *changes, queries=queries)
    assert found.compared == len(queries) and found.revision == revision
    # Nothing was changed.
    assert answers() == before and check(admin, "user:al", "a:b").revision == revision
    would = list(before)
    for one in found.differences:
        assert (one.before.allowed, one.before.role) == before[one.query]
        would[one.query] = (one.after.allowed, one.after.role)
    by = {queries[one.query]: [(step.assignment.subject, *step.role_path) for step in one.steps]
          for one in found.differences}
    assert by[("user:al", "docs:read")][0] == ("user:al", "careful")
    assert by[("user:al", "docs:edit")][0] == ("user:al", "careful", "owner")
    assert by[("user:dee", "docs:read")] == [("user:dee", "reader")]
    role(admin, "careful", denied_permissions=["docs:read"], parents=["owner"])
    made = assign(admin, "user:al", "careful")
    unassign(admin, held)
    assert answers() == would
    unassign(admin, made)
    # Recorded ones, in pages.
    check(admin, "user:al", "docs:read")
    take = {"delete_role": "reader"}
    found = simulated(admin, take, recorded=authz.DecisionFilter(subject="user:al"), page_size=1000)
    assert {(one.decision.permission, one.after.allowed) for one in found.differences} == {("docs:read", False)}
    first = simulated(admin, take, recorded=authz.DecisionFilter(subject="user:al"), page_size=1)
    assert first.compared == 1 and first.next_page_token
    invalid("page_token", simulated, admin, recorded=authz.DecisionFilter(), page_token=first.next_page_token)


def test_changes_are_judged(server, admin):
    for field, change in (
            ("changes[0].put_role", {"put_role": authz.Role(name="No")}),
            ("changes[0].put_role.permissions[0]", {"put_role": authz.Role(name="a", permissions=["x"])}),
            ("changes[0].put_role.parents", {"put_role": authz.Role(name="a", parents=["none"])}),
            ("changes[0].put_assignment.subject", {"put_assignment": authz.RoleAssignment(role="reader")}),
            ("changes[0].put_assignment.condition", {"put_assignment": authz.RoleAssignment(
                subject="user:x", role="reader", condition="1 +")}),
            ("changes[0].put_role.name", {"put_role": authz.Role(name="tenants/globex/roles/x")}),
            ("changes[0]", {})):
        invalid(field, simulated, admin, change)
    assert failure("NOT_FOUND", simulated, admin, {"delete_role": "none"}).reason == "ROLE_NOT_FOUND"
    assert failure("FAILED_PRECONDITION", simulated, admin, {"delete_role": "tenant-admin"}).reason == "ROLE_BUILT_IN"
    invalid("changes[1].put_role.parents", simulated, admin,
            {"put_role": authz.Role(name="a", parents=["reader"])}, {"put_role": authz.Role(name="reader", parents=["a"])})
    invalid("changes", simulated, admin, *([{"delete_assignment": "x"}] * 501))
    invalid("queries", simulated, admin, queries=[("user:al", "a:b")] * 1001)
    invalid("queries[1].permission", simulated, admin, queries=[("user:al", "a:b"), ("user:al", "a:*")])


def test_who_may(server, pki, admin):
    with server.client(pki.python.tenant("acme", "boss")) as boss:
        check(boss, "user:nobody", "docs:read")
        assert listed(boss).decisions and replayed(boss).replayed
        assert simulated(boss, {"put_role": authz.Role(name="mine", permissions=["a:b"])}, queries=[("u", "a:b")])
        # Nobody gives away what they lack, not even as if.
        refused = failure("PERMISSION_DENIED", simulated, boss, {
            "put_role": authz.Role(name="mine", permissions=["tenancy.tenants:delete"])})
        assert refused.reason == "PERMISSION_MISSING"
        for call in (listed, replayed):
            assert failure("PERMISSION_DENIED", call, boss, "globex").reason == "TENANT_MISMATCH"
        assert failure("PERMISSION_DENIED", simulated, boss, tenant="globex").reason == "TENANT_MISMATCH"
    with server.client(pki.python.platform("auditor")) as auditor:
        assert listed(auditor).decisions and replayed(auditor).replayed and not simulated(auditor).compared
    with server.client(pki.python.tenant("acme", "web")) as web:
        for call in (listed, replayed, simulated):
            assert failure("PERMISSION_DENIED", call, web).reason == "PERMISSION_MISSING"


def test_authzen_is_recorded(server, admin, end):
    pep = Enforcer(str(server.socket_directory / "http"), issue(admin, "acme", "pep", unbound=True).token)
    assert not pep.ask(question("user:al", "docs:burn", "1")).decision
    [one] = listed(admin, after=end).decisions
    assert (one.subject, one.permission, one.resource, one.source) == (
        "user:al", "docs:burn", "1", authz.DECISION_SOURCE_AUTHZEN)
