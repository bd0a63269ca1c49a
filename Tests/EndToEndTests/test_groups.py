"""Groups of subjects inside a tenant, as an operator over either transport, and as a tenant's own administrators."""

import time
import uuid

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from support import api
from support.client import failure, invalid
from support.pki import tenant_id
from support.waiting import eventually

authz, tokens = api.authz, api.tokens


@pytest.fixture
def home(operator, slug):
    made = operator.active(slug)
    operator.role(made.name, "reader", "docs:read")
    return made


def groups(client, *ids, home):
    for group in ids:
        client.group(home.name, group)


def may(client, home, subject, permission="docs:read") -> bool:
    answer = client.check(home.name, subject, permission)
    assert (answer.reason == authz.DECISION_REASON_ROLE) == answer.allowed == bool(answer.role)
    return answer.allowed


def members(client, home, **of) -> list:
    return list(client.authz.ListGroupMembers(
        authz.ListGroupMembersRequest(parent=home.name, **of), timeout=20).group_members)


def delete(client, home, group, **fields):
    return client.authz.DeleteGroup(
        authz.DeleteGroupRequest(name=f"{home.name}/groups/{group}", **fields), timeout=20)


def in_future(seconds: float) -> Timestamp:
    end = Timestamp()
    end.FromNanoseconds(time.time_ns() + int(seconds * 1e9))
    return end


def test_groups_are_made_changed_and_deleted(operator, home):
    made = operator.group(home.slug, "eng", title="Engineers", description="All")
    assert made.name == f"{home.name}/groups/eng" and made.create_time == made.update_time
    assert operator.authz.GetGroup(authz.GetGroupRequest(name=f"tenants/{home.slug}/groups/eng")) == made
    assert failure("ALREADY_EXISTS", operator.group, home.name, "eng").reason == "GROUP_EXISTS"

    def update(mask=(), **fields):
        return operator.authz.UpdateGroup(authz.UpdateGroupRequest(
            group=authz.Group(name=made.name, **fields), update_mask=FieldMask(paths=mask)))

    titled = update(["title"], title="New", description="passed over")
    assert (titled.title, titled.description) == ("New", "All") and titled.etag != made.etag
    whole = update(["*"], description="d")
    assert (whole.title, whole.description) == ("", "d")
    assert update(["*"], description="d") == whole
    assert failure("ABORTED", update, title="x", etag=made.etag).metadata == {"etag": whole.etag}
    invalid("update_mask.paths[0]", update, ["members"])
    for group in ("", "Eng", "1a", "a" * 64, "everyone", "a:b"):
        invalid("group_id", operator.group, home.name, group)
    assert failure("ABORTED", delete, operator, home, "eng", etag=made.etag).reason == "ETAG_MISMATCH"
    delete(operator, home, "eng", etag=whole.etag)
    for call in (lambda: delete(operator, home, "eng"), lambda: update(title="x"),
                 lambda: operator.authz.GetGroup(authz.GetGroupRequest(name=made.name))):
        assert failure("NOT_FOUND", call).reason == "GROUP_NOT_FOUND"


def test_lists_have_pages(operator, home):
    for number in range(5):
        operator.group(home.name, f"g{number}")
        operator.join(home.name, f"g{number}", "user:al")
        operator.join(home.name, "g0", f"user:{number}")

    def pages(method, field, **fields):
        found, token = [], ""
        while True:
            kind = getattr(authz, f"{method}Request")
            page = getattr(operator.authz, method)(kind(
                parent=home.name, page_size=2, page_token=token, **fields))
            assert len(getattr(page, field)) <= 2
            found += getattr(page, field)
            token = page.next_page_token
            if not token:
                return found

    assert [one.name.split("/")[-1] for one in pages("ListGroups", "groups")] == [f"g{n}" for n in range(5)]
    everything = pages("ListGroupMembers", "group_members")
    assert len(everything) == 10 and everything == sorted(everything, key=lambda one: one.name)
    assert [one.group for one in pages("ListGroupMembers", "group_members", member="user:al")] == [
        f"g{n}" for n in range(5)]
    assert [one.member for one in pages("ListGroupMembers", "group_members", group=f"{home.name}/groups/g0")] == [
        "user:al", *(f"user:{n}" for n in range(5))]
    assert [one.group for one in members(operator, home, group="g3", member="user:al")] == ["g3"]
    assert not members(operator, home, group="none")
    first = operator.authz.ListGroupMembers(authz.ListGroupMembersRequest(parent=home.name, page_size=1))
    invalid("page_token", members, operator, home, group="g0", page_token=first.next_page_token)
    invalid("group", members, operator, home, group="tenants/other/groups/g0")


def test_members_hold_what_their_groups_hold(operator, home):
    groups(operator, "team", "eng", "all", home=home)
    given = operator.assign(home.name, "group:all", "reader")
    operator.join(home.name, "eng", "group:team")
    outer = operator.join(home.name, "all", "group:eng")
    inner = operator.join(home.name, "team", "user:al")
    assert may(operator, home, "user:al") and may(operator, home, "group:team")
    assert not may(operator, home, "user:bo")
    answers = operator.authz.BatchCheck(authz.BatchCheckRequest(tenant=home.name, items=[
        authz.BatchCheckItem(subject=subject, permission="docs:read")
        for subject in ("user:al", "user:bo", "group:eng", "group:none")])).results
    assert [(one.allowed, one.role) for one in answers] == [
        (True, "reader"), (False, ""), (True, "reader"), (False, "")]
    # Revoked means revoked: at each place.
    operator.leave(outer.name)
    assert not may(operator, home, "user:al")
    operator.join(home.name, "all", "group:eng")
    assert may(operator, home, "user:al")
    operator.leave(inner.name)
    assert not may(operator, home, "user:al")
    operator.join(home.name, "team", "user:al")
    operator.authz.DeleteRoleAssignment(authz.DeleteRoleAssignmentRequest(name=given.name))
    assert not may(operator, home, "user:al")
    operator.assign(home.name, "group:eng", "reader")
    assert may(operator, home, "user:al")
    assert failure("FAILED_PRECONDITION", delete, operator, home, "eng").metadata == {
        "members": "1", "memberships": "1", "assignments": "1"}
    delete(operator, home, "eng", force=True)
    assert not may(operator, home, "user:al")
    operator.group(home.name, "eng")
    assert not may(operator, home, "user:al") and not members(operator, home, group="eng")


def test_memberships_end_by_themselves(operator, home):
    groups(operator, "eng", "all", home=home)
    operator.assign(home.name, "group:eng", "reader")
    end = in_future(2)
    made = operator.join(home.name, "eng", "user:al", expire_time=end)
    # A slow machine may look too late.
    assert may(operator, home, "user:al") or time.time_ns() >= end.ToNanoseconds()
    longer = operator.join(home.name, "eng", "user:bo", expire_time=in_future(600))
    assert operator.join(home.name, "eng", "user:bo", replace=True, expire_time=longer.expire_time) == longer
    assert not operator.join(home.name, "eng", "user:bo", replace=True).HasField("expire_time")
    eventually(lambda: not may(operator, home, "user:al"), "the membership ends")
    assert time.time_ns() >= end.ToNanoseconds()
    # It makes room for another.
    assert operator.join(home.name, "eng", "user:al").name != made.name
    assert may(operator, home, "user:al")
    invalid("group_member.expire_time", operator.join, home.name, "eng", "user:cy",
            expire_time=Timestamp(seconds=1_000_000_000))
    invalid("group_member.expire_time", operator.join, home.name, "all", "group:eng", expire_time=in_future(600))


def test_groups_that_cannot_be_in_each_other(operator, home):
    groups(operator, *(f"g{n}" for n in range(9)), home=home)
    for number in range(7):
        operator.join(home.name, f"g{number + 1}", f"group:g{number}")
    for inner, outer in (("g0", "g0"), ("g7", "g0"), ("g5", "g2")):
        error = failure("FAILED_PRECONDITION", operator.join, home.name, outer, f"group:{inner}")
        assert error.reason == "GROUP_CYCLE"
    for inner, outer in (("g7", "g8"), ("g8", "g0")):
        error = failure("FAILED_PRECONDITION", operator.join, home.name, outer, f"group:{inner}")
        assert error.reason == "GROUP_TOO_DEEP"
    assert failure("ALREADY_EXISTS", operator.join, home.name, "g1", "group:g0").reason == "GROUP_MEMBER_EXISTS"
    for group, member in (("g0", "group:none"), ("none", "user:al")):
        assert failure("NOT_FOUND", operator.join, home.name, group, member).reason == "GROUP_NOT_FOUND"
    for member in ("", "a b", "group:", "group:Eng", "GROUP:g0", "group:everyone", "group:a/b"):
        invalid("group_member.member", operator.join, home.name, "g0", member)


def test_one_subject_is_in_so_many_groups(operator, home):
    for number in range(65):
        operator.group(home.name, f"g{number}")
    for number in range(64):
        operator.join(home.name, f"g{number}", "user:al")
    error = failure("RESOURCE_EXHAUSTED", operator.join, home.name, "g64", "user:al")
    assert (error.metadata["quota"], error.metadata["limit"]) == ("memberships", "64")


def test_others_workloads_are_no_members(operator, slug, home):
    operator.group(home.name, "eng")
    other = operator.active(slug("other"))
    for subject in (tenant_id(other.slug), tenant_id(other.id), tenant_id("unknown")):
        error = invalid("group_member.member", operator.join, home.name, "eng", subject)
        assert error.detail is not None
    # One's own is one by whichever name.
    operator.assign(home.name, "group:eng", "reader")
    operator.join(home.name, "eng", tenant_id(home.slug, "web"))
    assert may(operator, home, tenant_id(home.id, "web")) and may(operator, home, tenant_id(home.slug, "web"))
    assert not may(operator, home, tenant_id(home.slug, "other"))
    # Another tenant's group of the same id is another.
    operator.role(other.name, "reader", "docs:read")
    operator.group(other.name, "eng")
    operator.assign(other.name, "group:eng", "reader")
    operator.join(home.name, "eng", "user:al")
    assert may(operator, home, "user:al") and not may(operator, other, "user:al")


def test_a_workload_in_a_group_is_let_in_and_out(connect, admin, pki, home):
    admin.group(home.name, "admins")
    admin.assign(home.name, "group:admins", "tenant-admin")
    web = connect(pki.python.tenant(home.slug, "web"))
    assert failure("PERMISSION_DENIED", web.role, home.name, "one", "a:b").reason == "PERMISSION_MISSING"
    joined = admin.join(home.name, "admins", tenant_id(home.id, "web"))
    web.role(home.name, "one", "a:b")
    admin.leave(joined.name)
    assert failure("PERMISSION_DENIED", web.role, home.name, "two", "a:b").reason == "PERMISSION_MISSING"


def test_nobody_makes_members_of_what_they_lack(connect, admin, pki, home):
    admin.role(home.name, "keeper", "tenancy.groups:*", "tenancy.group_members:*", "docs:write")
    admin.role(home.name, "strong", "docs:read", "tenancy.tenants:update")
    admin.assign(home.name, tenant_id(home.slug, "keeper"), "keeper")
    keeper = connect(pki.python.tenant(home.slug, "keeper"))
    keeper.group(home.name, "team")
    admin.group(home.name, "plain")
    admin.group(home.name, "strong")
    admin.assign(home.name, "group:strong", "strong")
    admin.assign(home.name, "group:plain", "reader")
    admin.join(home.name, "strong", "group:plain")

    def denied(group, member):
        error = failure("PERMISSION_DENIED", keeper.join, home.name, group, member)
        assert (error.reason, error.metadata["permission"]) == ("PERMISSION_MISSING", "tenancy.tenants:update")

    # Not itself, by itself or by a group of its own, and not through the group that is in the strong one.
    for group in ("strong", "plain"):
        for member in ("user:mallory", tenant_id(home.slug, "keeper"), "group:team"):
            denied(group, member)
    assert not may(admin, home, tenant_id(home.slug, "keeper"), "tenancy.tenants:update")
    # What gives no permission on this API away is its to do.
    keeper.join(home.name, "team", "user:al")
    own = admin.assign(home.name, tenant_id(home.slug, "keeper"), "strong")
    joined = keeper.join(home.name, "strong", "group:team")
    assert may(admin, home, "user:al", "tenancy.tenants:update")
    admin.authz.DeleteRoleAssignment(authz.DeleteRoleAssignmentRequest(name=own.name))
    denied("team", "user:bo")
    # Taking away is no giving.
    keeper.leave(joined.name)
    keeper.join(home.name, "team", "user:bo")
    delete(keeper, home, "strong", force=True)
    assert not may(admin, home, "user:al", "tenancy.tenants:update")


def test_reading_is_not_changing(connect, admin, pki, home):
    admin.group(home.name, "eng")
    joined = admin.join(home.name, "eng", "user:al")
    web = connect(pki.python.tenant(home.slug, "web"))
    assert [one.name for one in web.authz.ListGroups(authz.ListGroupsRequest(parent=home.name)).groups] == [
        f"{home.name}/groups/eng"]
    assert members(web, home) == [joined]
    for call in (lambda: web.group(home.name, "x"), lambda: web.join(home.name, "eng", "user:bo"),
                 lambda: web.leave(joined.name), lambda: delete(web, home, "eng", force=True)):
        assert failure("PERMISSION_DENIED", call).reason == "PERMISSION_MISSING"


def test_no_token_is_a_group_s(operator, home):
    """Neither the tenant's own, nor of an issuer that the tenant trusts."""
    operator.group(home.name, "eng")
    for subject in ("group:eng", "GROUP:eng", "group:none"):
        invalid("subject", operator.tokens.IssueToken, tokens.IssueTokenRequest(
            parent=home.name, subject=subject, unbound=True))
    issuer = tokens.ExternalIssuer(
        id="group", issuer="https://issuer.test", audiences=["a"], algorithms=["ES256"], jwks_uri="https://x.test/")
    error = failure("INVALID_ARGUMENT", operator.tokens.SetAuthenticationSettings,
                    tokens.SetAuthenticationSettingsRequest(
                        parent=home.name, settings=tokens.AuthenticationSettings(issuers=[issuer])))
    assert {"settings.issuers[0].id", "settings.issuers[0].subject_prefix"} <= set(error.fields)


def test_everything_is_there_after_a_restart(make_server):
    server = make_server().start()
    with server.operator() as admin:
        home = admin.active("acme")
        admin.role("acme", "reader", "docs:read")
        groups(admin, "team", "all", home=home)
        admin.assign("acme", "group:all", "reader")
        admin.join("acme", "all", "group:team")
        admin.join("acme", "team", "user:al")
        before = members(admin, home)
    server.kill()
    server.start()
    with server.operator() as admin:
        assert members(admin, home) == before
        assert may(admin, home, "user:al") and not may(admin, home, "user:bo")
        admin.delete(home.name)
        assert admin.purge(home.name).state == api.PURGED
    server.kill()
    server.start()
    with server.operator() as admin:
        failure("NOT_FOUND", admin.get, home.name)


def test_a_large_group_is_deleted_in_several_changes(operator, home):
    operator.group(home.name, "crowd")
    operator.assign(home.name, "group:crowd", "reader")
    for number in range(300):
        operator.join(home.name, "crowd", f"user:{number}")
    assert may(operator, home, "user:299")
    request = authz.DeleteGroupRequest(
        name=f"{home.name}/groups/crowd", force=True, request_id=str(uuid.uuid4()))
    operator.authz.DeleteGroup(request, timeout=20)
    operator.authz.DeleteGroup(request, timeout=20)
    assert not members(operator, home) and not may(operator, home, "user:299")
