"""Every method of Authorization, as an operator over either transport."""

import time

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from support import api
from support.client import failure, invalid
from support.waiting import eventually

authz = api.authz


@pytest.fixture
def home(operator, slug):
    return operator.active(slug)


def update(operator, name, mask=(), **fields):
    return operator.authz.UpdateRole(authz.UpdateRoleRequest(
        role=authz.Role(name=name, **fields), update_mask=FieldMask(paths=mask)))


def allowed(operator, home, subject, permission) -> bool:
    answer = operator.check(home.name, subject, permission)
    assert (answer.reason == authz.DECISION_REASON_ROLE) == answer.allowed == bool(answer.role)
    return answer.allowed


def test_roles_are_made_changed_and_deleted(operator, home):
    made = operator.role(home.slug, "clerk", "b:w", "a:r", "b:w", title="Clerk")
    assert made.name == f"{home.name}/roles/clerk"
    assert made.permissions == ["a:r", "b:w"] and not made.built_in
    assert operator.authz.GetRole(
        authz.GetRoleRequest(name=f"tenants/{home.slug}/roles/clerk")) == made

    titled = update(operator, made.name, ["title"], title="New", permissions=["x:y"])
    assert (titled.title, titled.permissions) == ("New", ["a:r", "b:w"])
    assert titled.etag != made.etag
    whole = update(operator, made.name, ["*"], permissions=["c:d"], description="d")
    assert (whole.title, whole.description, whole.permissions) == ("", "d", ["c:d"])
    more = operator.authz.AddRolePermissions(
        authz.AddRolePermissionsRequest(name=made.name, permissions=["a:b", "c:d"]))
    assert more.permissions == ["a:b", "c:d"]
    less = operator.authz.RemoveRolePermissions(
        authz.RemoveRolePermissionsRequest(name=made.name, permissions=["c:d", "not:there"]))
    assert less.permissions == ["a:b"]

    for call in (
        lambda: update(operator, made.name, title="x", etag=made.etag),
        lambda: operator.authz.AddRolePermissions(authz.AddRolePermissionsRequest(
            name=made.name, permissions=["e:f"], etag=made.etag)),
        lambda: operator.authz.RemoveRolePermissions(authz.RemoveRolePermissionsRequest(
            name=made.name, permissions=["a:b"], etag=made.etag)),
        lambda: operator.authz.DeleteRole(
            authz.DeleteRoleRequest(name=made.name, etag=made.etag)),
    ):
        assert failure("ABORTED", call).metadata == {"etag": less.etag}

    operator.authz.DeleteRole(authz.DeleteRoleRequest(name=made.name, etag=less.etag))
    gone = failure("NOT_FOUND", operator.authz.GetRole, authz.GetRoleRequest(name=made.name))
    assert gone.reason == "ROLE_NOT_FOUND"


@pytest.mark.parametrize("role_id", ["", "Clerk", "1st", "a_b", "a" * 64, "a/b"])
def test_ids_of_roles(operator, home, role_id):
    invalid("role_id", operator.role, home.name, role_id, "a:b")


@pytest.mark.parametrize("permission", [
    "", "read", "a:b:c", "A:b", "a:", ":b", "a b:c", "a:b*", "**:a", "a" * 65 + ":b", "ä:b"])
def test_malformed_permissions(operator, home, permission):
    invalid("role.permissions[1]", operator.role, home.name, "clerk", "a:b", permission)
    if permission != "*:*":
        invalid("permission", operator.check, home.name, "user:al", permission)


def test_a_role_has_at_most_1000_permissions(operator, home):
    permissions = [f"r{n}:a" for n in range(1000)]
    assert len(operator.role(home.name, "most", *permissions).permissions) == 1000
    invalid("role.permissions", operator.role, home.name, "more", *permissions, "one:more")


def test_a_role_exists_once(operator, home):
    operator.role(home.name, "clerk")
    for role_id in ("clerk", "tenant-admin"):
        again = failure("ALREADY_EXISTS", operator.role, home.name, role_id)
        assert again.reason == "ROLE_EXISTS"


def test_built_in_roles(operator, home):
    roles = operator.authz.ListRoles(authz.ListRolesRequest(parent=home.name)).roles
    assert [role.name for role in roles] == [
        f"{home.name}/roles/tenant-admin", f"{home.name}/roles/tenant-viewer"]
    assert all(role.built_in and role.permissions for role in roles)
    for role in roles:
        for call in (
            lambda: update(operator, role.name, title="x"),
            lambda: operator.authz.DeleteRole(
                authz.DeleteRoleRequest(name=role.name, force=True)),
            lambda: operator.authz.AddRolePermissions(
                authz.AddRolePermissionsRequest(name=role.name, permissions=["a:b"])),
        ):
            assert failure("FAILED_PRECONDITION", call).reason == "ROLE_BUILT_IN"
    operator.assign(home.name, "user:v", "tenant-viewer")
    assert allowed(operator, home, "user:v", "tenancy.roles:list")
    assert not allowed(operator, home, "user:v", "tenancy.roles:create")
    assert not allowed(operator, home, "user:v", "bill:read")


def test_roles_in_pages(operator, home):
    for n in range(12):
        operator.role(home.name, f"role-{n:02}")
    names, token = [], ""
    while True:
        page = operator.authz.ListRoles(
            authz.ListRolesRequest(parent=home.name, page_size=5, page_token=token))
        names += [role.name.rpartition("/")[2] for role in page.roles]
        token = page.next_page_token
        if not token:
            break
    assert names == [f"role-{n:02}" for n in range(12)] + ["tenant-admin", "tenant-viewer"]


def test_a_page_of_large_roles_stays_below_what_clients_take(operator, home):
    """grpc's clients refuse messages above 4 MiB unless told otherwise."""
    permissions = [f"{'r' * 58}{n:06}:{'a' * 64}" for n in range(1000)]
    for n in range(40):
        operator.role(home.name, f"role-{n:02}", *permissions)
    names, token = [], ""
    while True:
        page = operator.authz.ListRoles(
            authz.ListRolesRequest(parent=home.name, page_size=1000, page_token=token))
        assert page.ByteSize() < 4 * 1024 * 1024
        names += [role.name for role in page.roles]
        token = page.next_page_token
        if not token:
            break
    assert len(names) == len(set(names)) == 42


def test_assignments(operator, home):
    operator.role(home.name, "clerk", "bill:read")
    made = operator.assign(home.slug, "user:al", f"{home.name}/roles/clerk")
    assert (made.subject, made.role) == ("user:al", "clerk")
    assert made.name.startswith(f"{home.name}/assignments/")
    assert not made.HasField("expire_time")
    again = failure("ALREADY_EXISTS", operator.assign, home.name, "user:al", "clerk")
    assert made.name.endswith(again.metadata["assignment"])
    assert allowed(operator, home, "user:al", "bill:read")

    others = [operator.assign(home.name, f"user:{n}", "tenant-viewer") for n in range(7)]

    def listed(**fields):
        found, token = [], ""
        while True:
            page = operator.authz.ListRoleAssignments(authz.ListRoleAssignmentsRequest(
                parent=home.name, page_size=3, page_token=token, **fields))
            found += page.assignments
            token = page.next_page_token
            if not token:
                return found

    assert listed() == [made, *others]
    assert listed(subject="user:al") == [made] == listed(role="clerk")
    assert listed(role="tenant-viewer") == others
    assert listed(subject="user:al", role="tenant-viewer") == []

    used = failure("FAILED_PRECONDITION", operator.authz.DeleteRole,
                   authz.DeleteRoleRequest(name=f"{home.name}/roles/clerk"))
    assert used.reason == "ROLE_IN_USE" and used.metadata == {"assignments": "1"}
    operator.authz.DeleteRoleAssignment(authz.DeleteRoleAssignmentRequest(name=made.name))
    gone = failure("NOT_FOUND", operator.authz.DeleteRoleAssignment,
                   authz.DeleteRoleAssignmentRequest(name=made.name))
    assert gone.reason == "ASSIGNMENT_NOT_FOUND"
    assert not allowed(operator, home, "user:al", "bill:read")


def test_force_deletes_a_role_with_its_assignments(operator, home):
    role = operator.role(home.name, "clerk", "bill:read")
    operator.assign(home.name, "user:al", "clerk")
    operator.authz.DeleteRole(authz.DeleteRoleRequest(name=role.name, force=True))
    assert not operator.authz.ListRoleAssignments(
        authz.ListRoleAssignmentsRequest(parent=home.name)).assignments
    # A role of the same name later does not revive what was assigned before.
    operator.role(home.name, "clerk", "bill:read")
    assert not allowed(operator, home, "user:al", "bill:read")


def test_what_assignments_refuse(operator, home, slug):
    operator.active(slug("other"))
    operator.role(slug("other"), "clerk")
    missing = failure("NOT_FOUND", operator.assign, home.name, "user:al", "clerk")
    assert missing.reason == "ROLE_NOT_FOUND"
    invalid("assignment.role", operator.assign, home.name, "user:al",
            f"tenants/{slug('other')}/roles/clerk")
    for subject in ("", "a b", "x" * 257, "a\nb"):
        invalid("assignment.subject", operator.assign, home.name, subject, "tenant-viewer")
    invalid("assignment.expire_time", operator.assign, home.name, "user:al", "tenant-viewer",
            expire_time=Timestamp(seconds=1))


def test_an_assignment_ends_by_itself(operator, home):
    operator.role(home.name, "clerk", "bill:read")
    end = Timestamp()
    end.FromNanoseconds(time.time_ns() + 1_500_000_000)
    first = operator.assign(home.name, "user:al", "clerk", expire_time=end)
    assert first.expire_time == end
    assert allowed(operator, home, "user:al", "bill:read")
    eventually(lambda: not allowed(operator, home, "user:al", "bill:read"), "it ended")
    assert time.time_ns() >= end.ToNanoseconds()
    # One that has ended makes room for a new one.
    assert operator.assign(home.name, "user:al", "clerk").name != first.name
    assert allowed(operator, home, "user:al", "bill:read")


@pytest.mark.parametrize("granted, question, answer", [
    ("bill:read", "bill:read", True), ("bill:read", "bill:write", False),
    ("bill:read", "bills:read", False), ("bill:read", "bill:rea", False),
    ("bill:*", "bill:anything", True), ("bill:*", "bill.x:read", False),
    ("*:read", "bill:read", True), ("*:read", "bill:write", False),
    ("*:*", "bill:write", True),
    ("*:*", "tenancy.roles:list", False), ("*:list", "tenancy.roles:list", False),
    ("tenancy.roles:*", "tenancy.roles:list", True),
    ("tenancy.roles:*", "tenancy.assignments:list", False),
    # Reserved is what begins with `tenancy.`, nothing less.
    ("*:*", "tenancy:list", True), ("*:*", "tenancyx.roles:list", True),
])
def test_wildcards(operator, home, granted, question, answer):
    operator.role(home.name, "some", granted)
    operator.assign(home.name, "user:al", "some")
    assert allowed(operator, home, "user:al", question) == answer
    assert not allowed(operator, home, "user:other", question)


def test_a_batch_is_answered_in_order(operator, home):
    operator.role(home.name, "some", "even:read")
    operator.assign(home.name, "user:al", "some")
    items = [authz.BatchCheckItem(
        subject="user:al", permission="even:read" if n % 2 == 0 else f"odd-{n}:read")
        for n in range(1000)]
    results = operator.authz.BatchCheck(
        authz.BatchCheckRequest(tenant=home.slug, items=items)).results
    assert [result.allowed for result in results] == [n % 2 == 0 for n in range(1000)]
    assert len({result.revision for result in results}) == 1
    invalid("items", operator.authz.BatchCheck,
            authz.BatchCheckRequest(tenant=home.slug, items=items + items[:1]))
    invalid("items", operator.authz.BatchCheck, authz.BatchCheckRequest(tenant=home.slug))
    items[500].permission = "x:*"
    invalid("items[500].permission", operator.authz.BatchCheck,
            authz.BatchCheckRequest(tenant=home.slug, items=items))


def test_the_revision_grows_with_every_change(operator, home):
    before = operator.check(home.name, "user:al", "a:b").revision
    operator.role(home.name, "some")
    assert operator.check(home.name, "user:al", "a:b").revision > before


def test_only_an_active_tenant_allows(operator, home):
    operator.role(home.name, "some", "a:b")
    operator.assign(home.name, "user:al", "some")
    operator.suspend(home.name)
    answer = operator.check(home.name, "user:al", "a:b")
    assert (answer.allowed, answer.role) == (False, "")
    assert answer.reason == authz.DECISION_REASON_TENANT_INACTIVE
    operator.delete(home.name)
    assert failure("NOT_FOUND", operator.check, home.name, "user:al", "a:b"
                   ).reason == "TENANT_NOT_FOUND"


@pytest.mark.parametrize("name", [
    "{}/roles/", "{}/roles", "{}/assignments/x", "{}/roles/x/y", "{}", "roles/x", "{}//roles/x"])
def test_malformed_names_of_roles(operator, home, name):
    invalid("name", operator.authz.GetRole, authz.GetRoleRequest(name=name.format(home.name)))


def test_an_assignment_is_replaced_in_one(operator, slug):
    """Whoever changes when its own role ends has it all the time."""
    name = operator.active(slug).name
    operator.role(name, "clerk", "bill:read")
    given = operator.assign(name, "user:al", "clerk")
    request = authz.CreateRoleAssignmentRequest(parent=name, replace=True, assignment=authz.RoleAssignment(
        subject="user:al", role="clerk", expire_time=Timestamp(seconds=4_000_000_000)))
    replaced = operator.authz.CreateRoleAssignment(request, timeout=20)
    assert replaced.name != given.name and replaced.expire_time.seconds == 4_000_000_000
    # The same again is the same.
    assert operator.authz.CreateRoleAssignment(request, timeout=20) == replaced
    listed = operator.authz.ListRoleAssignments(authz.ListRoleAssignmentsRequest(parent=name), timeout=20)
    assert list(listed.assignments) == [replaced]
    request.replace = False
    assert failure("ALREADY_EXISTS", operator.authz.CreateRoleAssignment, request).reason == "ASSIGNMENT_EXISTS"
