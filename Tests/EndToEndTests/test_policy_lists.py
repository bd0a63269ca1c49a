"""Lists of who may do what: of Authorization, and as searches of AuthZEN."""

import pytest

from support import api
from support.authzen import Enforcer
from support.client import failure, invalid
from support.daemon import Server
from support.pki import tenant_id
from support.policies import allowed, assign, role
from support.tokens import issue

authz = api.authz
SEARCH = "/access/v1/search/"


@pytest.fixture(scope="module")
def server(tmp_path_factory, pki):
    server = Server(tmp_path_factory.mktemp("server"), pki, audit={"window_seconds": 1})
    server.settings["http"] = {"listen": f"unix:{server.socket_directory / 'http'}", "authzen": {}}
    try:
        yield server.start()
        assert server.process.poll() is None, f"tenantd ended:\n{server.log}"
    finally:
        server.close()


@pytest.fixture(scope="module")
def admin(server):
    with server.operator() as admin:
        admin.active("acme", api.SHARED)
        admin.active("globex", api.SHARED)
        role(admin, "reader", "docs:read", "docs:list")
        role(admin, "chief", "docs:*", parents=["reader"])
        role(admin, "careful", denied_permissions=["docs:delete", "docs:list"])
        role(admin, "checker", "tenancy.authorization:check")
        role(admin, "lister", "tenancy.authorization:list")
        for group in ("all", "eng"):
            admin.authz.CreateGroup(authz.CreateGroupRequest(parent="tenants/acme", group_id=group))
        for group, member in (("all", "group:eng"), ("eng", "user:cy"), ("eng", "user:al")):
            admin.authz.CreateGroupMember(authz.CreateGroupMemberRequest(
                parent="tenants/acme", group_member=authz.GroupMember(group=group, member=member)))
        assign(admin, "user:al", "chief")
        assign(admin, "user:al", "careful", resource="docs/secret/*")
        assign(admin, "user:bo", "reader", resource="docs/7")
        assign(admin, "user:bo", "reader", resource="docs/a/*")
        assign(admin, "user:bo", "reader", resource="docs/own", condition="context.mfa")
        assign(admin, "user:bo", "careful", resource="docs/a/b")
        assign(admin, "group:all", "reader")
        for subject, held in (("pep", "lister"), ("other", "checker"),
                              (tenant_id("acme", "boss"), "tenant-admin")):
            assign(admin, subject, held)
        yield admin


def permissions(client, subject, resource="", tenant="acme", **more):
    return client.authz.ListPermissions(authz.ListPermissionsRequest(
        tenant=tenant, subject=subject, resource=resource, **more), timeout=20)


def subjects(client, permission, resource="", tenant="acme", **more):
    return client.authz.ListSubjects(authz.ListSubjectsRequest(
        tenant=tenant, permission=permission, resource=resource, **more), timeout=20)


def resources(client, subject, permission, **more):
    return client.authz.ListResources(authz.ListResourcesRequest(
        tenant="acme", subject=subject, permission=permission, **more), timeout=20)


def test_permissions(admin):
    found = {one.permission: one for one in permissions(admin, "user:al").permissions}
    assert list(found) == ["docs:*", "docs:list", "docs:read"]
    assert {one.permission for one in found["docs:*"].denials} == {"docs:delete", "docs:list"}
    assert {one.assignment.resource for one in found["docs:*"].denials} == {"docs/secret/*"}
    assert not found["docs:read"].denials and allowed(admin, "user:al", "docs:read")
    assert {one.assignment.subject for one in found["docs:read"].grants} == {"user:al", "group:all"}
    held = permissions(admin, "user:al", "docs/secret/1").permissions
    assert [one.permission for one in held] == ["docs:*", "docs:read"]
    [held] = permissions(admin, "user:bo", "docs/own", attributes=authz.CheckAttributes()).permissions or [None]
    assert held is None


def test_permissions_under_conditions(admin):
    held = permissions(admin, "user:bo", "docs/own").permissions
    assert [(one.permission, one.grants[0].conditional) for one in held] == [
        ("docs:list", True), ("docs:read", True)]
    told = authz.CheckAttributes()
    told.context["mfa"] = True
    held = permissions(admin, "user:bo", "docs/own", attributes=told).permissions
    assert [(one.permission, one.grants[0].conditional) for one in held] == [
        ("docs:list", False), ("docs:read", False)]


def test_subjects_in_pages(admin):
    found, token, pages = [], "", 0
    while True:
        page = subjects(admin, "docs:read", "7", page_size=1, page_token=token)
        assert len(page.subjects) <= 1 and page.revision > 1
        found += [(one.subject, one.role) for one in page.subjects]
        pages += 1
        if not (token := page.next_page_token):
            break
    assert sorted(found) == [("user:al", "chief"), ("user:bo", "reader"), ("user:cy", "reader")] and pages >= 3
    assert [one.subject for one in subjects(admin, "docs:delete").subjects] == []
    assert [one.subject for one in subjects(admin, "docs:delete", "7").subjects] == ["user:al"]
    invalid("page_token", subjects, admin, "docs:list", "7", page_token=page.next_page_token or "3130")
    invalid("permission", subjects, admin, "docs:*")
    invalid("resource", subjects, admin, "docs:read", "a/*")
    invalid("page_size", subjects, admin, "docs:read", page_size=-1)


def test_resources(admin):
    found = {one.resource: one for one in resources(admin, "user:bo", "docs:list").resources}
    assert list(found) == ["docs/7", "docs/a/*", "docs/own"]
    assert [one.resource for one in found["docs/a/*"].exclusions] == ["docs/a/b"]
    assert found["docs/own"].conditional and not found["docs/7"].conditional
    told = resources(admin, "user:bo", "docs:list", attributes=authz.CheckAttributes()).resources
    assert [one.resource for one in told] == ["docs/7", "docs/a/*"]
    assert not resources(admin, "user:none", "docs:list").resources
    invalid("subject", resources, admin, "", "docs:read")


def test_a_tenants_admin_lists_its_own_alone(server, admin, pki):
    with server.client(pki.python.tenant("acme", "boss")) as boss:
        assert [one.subject for one in subjects(boss, "docs:delete", "7").subjects] == ["user:al"]
        for ask in (lambda name: permissions(boss, "user:al", tenant=name),
                    lambda name: subjects(boss, "docs:read", tenant=name)):
            there, nowhere = (failure("PERMISSION_DENIED", ask, name) for name in ("globex", "nobody"))
            assert there.reason == nowhere.reason


# Searches of AuthZEN.


@pytest.fixture(scope="module")
def pep(server, admin):
    return Enforcer(str(server.socket_directory / "http"), issue(admin, "acme", "pep", unbound=True).token)


def search(pep, kind, **more):
    answer = pep.send(SEARCH + kind, more)
    assert answer.status == 200, answer.text
    return answer.json


def test_subject_search(pep):
    asked = {"subject": {"type": "user"}, "action": {"name": "read"}, "resource": {"type": "docs", "id": "7"}}
    found, page = [], {"limit": 1}
    while page is not None:
        answer = search(pep, "subject", **asked, page=page)
        found += answer["results"]
        assert answer["page"]["count"] == len(answer["results"])
        token = answer["page"]["next_token"]
        page = {"limit": 1, "token": token} if token else None
    assert sorted(one["id"] for one in found) == ["al", "bo", "cy"]
    assert {one["type"] for one in found} == {"user"}
    assert search(pep, "subject", **asked | {"subject": {"type": "robot", "id": "al"}})["results"] == []
    first = search(pep, "subject", **asked, page={"limit": 1})["page"]["next_token"]
    other = asked | {"action": {"name": "list"}, "page": {"limit": 1, "token": first}}
    assert pep.send(SEARCH + "subject", other).fields == ["page.token"]


def test_resource_search(pep):
    answer = search(pep, "resource", subject={"type": "user", "id": "bo"}, action={"name": "list"},
                    resource={"type": "docs"})
    assert answer["results"] == [{"type": "docs", "id": "7"}]
    assert answer["context"]["patterns"] == [{"resource": "docs/a/*", "exclusions": [{"resource": "docs/a/b"}]}]
    answer = search(pep, "resource", subject={"type": "user", "id": "bo"}, action={"name": "list"},
                    resource={"type": "docs", "id": "ignored"}, context={"mfa": True})
    assert [one["id"] for one in answer["results"]] == ["7", "own"]


def test_action_search(pep):
    def names(subject, resource):
        return [one["name"] for one in search(
            pep, "action", subject={"type": "user", "id": subject},
            resource={"type": "docs", "id": resource})["results"]]
    assert names("al", "7") == ["list", "read"] and names("al", "secret/1") == ["read"] and names("bo", "x") == []


@pytest.mark.parametrize("kind, body, field", [
    ("subject", {}, "subject"), ("resource", {"subject": {"type": "user"}}, "subject.id"),
    ("action", {"subject": {"type": "user", "id": "a"}, "resource": {"type": "docs"}}, "resource.id"),
    ("subject", {"subject": {"type": "a:b"}}, "subject.type"),
    ("action", {"subject": {"type": "user", "id": "a"}, "resource": {"type": "docs", "id": "1"}, "page": []}, "page"),
    ("action", {"subject": {"type": "user", "id": "a"}, "resource": {"type": "docs", "id": "1"},
                "page": {"limit": -1}}, "page.limit"),
    ("action", {"subject": {"type": "user", "id": "a"}, "resource": {"type": "docs", "id": "1"},
                "page": {"token": "x"}}, "page.token")])
def test_searches_that_are_not_understood(pep, kind, body, field):
    assert pep.send(SEARCH + kind, body).fields == [field]


def test_who_may_search(server, admin, pep):
    other = Enforcer(pep.place, issue(admin, "acme", "other", unbound=True).token)
    asked = {"subject": {"type": "user"}, "action": {"name": "read"}, "resource": {"type": "docs", "id": "7"}}
    assert other.send(SEARCH + "subject", asked).status == 403
    assert Enforcer(pep.place).send(SEARCH + "subject", asked).status == 401
    for name in ("globex", "nobody"):
        assert pep.send(f"/tenants/{name}{SEARCH}subject", asked).status == 403
