"""Roles that inherit, deny and exclude each other, and assignments of some resources."""

import datetime
import random

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from support import api
from support.client import failure, invalid
from support.pki import tenant_id
from support.policies import (ALLOWED, DENIED, NO_GRANT, allowed, assign, check, delete, role, unassign,
                              update)
from support.waiting import eventually

authz = api.authz


@pytest.fixture
def admin(make_server):
    with make_server().start().operator() as client:
        client.active("acme", api.SHARED)
        yield client


# Inheritance.


def test_roles_inherit(admin):
    role(admin, "reader", "docs:read")
    role(admin, "writer", "docs:write", parents=["reader"])
    made = role(admin, "chief", "docs:delete", parents=["writer", "tenant-viewer"])
    assert list(made.parents) == ["tenant-viewer", "writer"]
    assign(admin, "user:al", "chief")
    for permission in ("docs:read", "docs:write", "docs:delete", "tenancy.roles:get"):
        answer = check(admin, "user:al", permission)
        assert answer.allowed and answer.role == "chief"
    assert check(admin, "user:al", "docs:share").reason == NO_GRANT
    admin.authz.AddRolePermissions(authz.AddRolePermissionsRequest(
        name="tenants/acme/roles/reader", permissions=["docs:share"]), timeout=20)
    assert allowed(admin, "user:al", "docs:share")
    update(admin, "writer", parents=[])
    assert not allowed(admin, "user:al", "docs:read") and allowed(admin, "user:al", "docs:write")


def test_families_have_bounds(admin):
    role(admin, "r0")
    for number in range(1, 9):
        role(admin, f"r{number}", parents=[f"r{number - 1}"])
    invalid("role.parents", role, admin, "r9", parents=["r8"])
    error = invalid("role.parents", update, admin, "r0", parents=["r8"])
    assert error.message.endswith("r8 inherits from the role itself")
    invalid("role.parents[0]", update, admin, "r0", parents=["r0"])
    assert "nobody" in invalid("role.parents", role, admin, "other", parents=["r1", "nobody"]).message
    invalid("role.parents", role, admin, "other", parents=[f"r{number}" for number in range(17)])
    role(admin, "top")
    role(admin, "above", parents=["top"])
    # Between two that fit by themselves.
    invalid("role.parents", update, admin, "r0", parents=["above"])
    assert failure("FAILED_PRECONDITION", delete, admin, "r3", force=True).reason == "ROLE_IN_USE"
    delete(admin, "r8")


# Denials.


def test_what_is_denied_wins(admin):
    role(admin, "all", "docs:*", "bills:*")
    role(admin, "suspended", denied_permissions=["docs:write", "*:delete"])
    assign(admin, "user:al", "all")
    held = assign(admin, "user:al", "suspended")
    answer = check(admin, "user:al", "docs:write")
    assert answer.reason == DENIED and answer.role == "suspended"
    assert allowed(admin, "user:al", "docs:read") and not allowed(admin, "user:al", "bills:delete")
    role(admin, "heir", "docs:write", parents=["suspended"])
    assign(admin, "user:bo", "heir")
    assign(admin, "user:bo", "all")
    assert check(admin, "user:bo", "docs:write").reason == DENIED
    unassign(admin, held)
    assert allowed(admin, "user:al", "docs:write")
    made = update(admin, "suspended", denied_permissions=["docs:read"])
    assert list(made.denied_permissions) == ["docs:read"]
    assert allowed(admin, "user:bo", "docs:write") and not allowed(admin, "user:bo", "docs:read")


def test_a_denial_ends(admin):
    role(admin, "all", "docs:*")
    role(admin, "quiet", denied_permissions=["docs:write"])
    assign(admin, "user:al", "all")
    end = Timestamp()
    end.FromDatetime(datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2))
    assign(admin, "user:al", "quiet", expire_time=end)
    assert check(admin, "user:al", "docs:write").reason == DENIED
    eventually(lambda: allowed(admin, "user:al", "docs:write"), "it has ended")


def test_nobody_frees_themselves(make_server, pki):
    """An administrator who is denied something can't take that away."""
    server = make_server().start()
    with server.operator() as admin:
        admin.active("acme", api.SHARED)
        role(admin, "no-audit", denied_permissions=["tenancy.audit:*"])
        role(admin, "heir", parents=["no-audit"])
        assign(admin, tenant_id("acme", "chief"), "tenant-admin")
        held = assign(admin, tenant_id("acme", "chief"), "no-audit")
        others = assign(admin, "user:al", "heir")
        with server.client(pki.python.tenant("acme", "chief")) as chief:
            for attempt in (
                lambda: unassign(chief, held), lambda: unassign(chief, others),
                lambda: delete(chief, "heir", force=True),
                lambda: update(chief, "no-audit", denied_permissions=[]),
                lambda: update(chief, "heir", parents=[]),
                lambda: assign(chief, "user:bo", "tenant-admin"),
                lambda: role(chief, "auditor", "tenancy.audit:list"),
                lambda: role(chief, "auditor", "tenancy.audit:*"),
            ):
                assert failure("PERMISSION_DENIED", attempt).reason == "PERMISSION_MISSING"
            # What is no permission on this API is the tenant's own.
            role(chief, "quiet", denied_permissions=["docs:read"])
            assign(chief, "user:al", "quiet")
            update(chief, "quiet", denied_permissions=[])
            role(chief, "harsh", denied_permissions=["tenancy.roles:*"])
            assign(chief, tenant_id("acme", "chief"), "harsh")
            assert failure("PERMISSION_DENIED", role, chief, "next").reason == "PERMISSION_MISSING"


def test_what_the_configuration_permits_a_tenant_may_deny(make_server, pki):
    server = make_server().start()
    with server.operator() as admin, server.client(pki.python.tenant("acme")) as own:
        admin.active("acme", api.SHARED)
        assert own.get("acme").slug == "acme"
        role(admin, "mute", denied_permissions=["tenancy.tenants:get"])
        held = assign(admin, own.who().subject, "mute")
        assert failure("PERMISSION_DENIED", own.get, "acme").reason == "PERMISSION_MISSING"
        unassign(admin, held)
        assert own.get("acme").slug == "acme"


# Resources.


def test_assignments_are_of_some_resources(admin):
    role(admin, "reader", "docs:read", "bills:read")
    role(admin, "sealed", denied_permissions=["docs:read"])
    for resource in ("docs/7", "docs/finance/*"):
        made = assign(admin, "user:al", "reader", resource=resource)
        assert made.resource == resource
    assert assign(admin, "user:bo", "reader", resource="bills/*").resource == "bills"
    for resource, wanted in (("7", True), ("8", False), ("7/1", False), ("finance", False), ("finance/q3", True),
                             ("finance/2026/q3", True), ("finances/q3", False), ("", False)):
        assert allowed(admin, "user:al", "docs:read", resource) is wanted, resource
    assert not allowed(admin, "user:al", "bills:read", "7")
    assert allowed(admin, "user:bo", "bills:read") and allowed(admin, "user:bo", "bills:read", "7")
    assert not allowed(admin, "user:bo", "docs:read")
    assign(admin, "user:al", "sealed", resource="docs/finance/2026/*")
    assign(admin, "user:cy", "reader")
    assign(admin, "user:cy", "sealed", resource="docs/7")
    for subject, resource, wanted in (
        ("al", "finance/2026/q3", DENIED), ("al", "finance/2025/q3", ALLOWED), ("cy", "7", DENIED),
        ("cy", "8", ALLOWED), ("cy", "", DENIED),
    ):
        assert check(admin, f"user:{subject}", "docs:read", resource).reason == wanted, (subject, resource)
    assert allowed(admin, "user:cy", "bills:read")
    assert failure("ALREADY_EXISTS", assign, admin, "user:al", "reader", resource="docs/7").reason == "ASSIGNMENT_EXISTS"


@pytest.mark.parametrize("resource", ["/", "/7", "7/", "a//b", "..", "a/../b", ".", "a/./b", "*", "a/*", "a\x01b", "x" * 513])
def test_questions_about_what_is_no_resource(admin, resource):
    role(admin, "reader", "docs:read")
    assign(admin, "user:al", "reader")
    invalid("resource", check, admin, "user:al", "docs:read", resource)
    error = failure("INVALID_ARGUMENT", admin.authz.BatchCheck, authz.BatchCheckRequest(tenant="acme", items=[
        authz.BatchCheckItem(subject="user:al", permission="docs:read"),
        authz.BatchCheckItem(subject="user:al", permission="docs:read", resource=resource)]))
    assert error.fields == ["items[1].resource"]


@pytest.mark.parametrize("resource", ["/", "*", "*/7", "docs/", "docs//*", "docs/../x", "docs/*/x", "do cs/x", "x" * 513])
def test_scopes_that_are_none(admin, resource):
    role(admin, "reader", "docs:read")
    invalid("assignment.resource", assign, admin, "user:al", "reader", resource=resource)


# Separation of duties.


def test_roles_exclude_each_other(admin):
    role(admin, "payer", "bills:pay")
    role(admin, "approver", "bills:approve", excluded_roles=["payer"])
    role(admin, "senior", parents=["approver"])
    assign(admin, "user:al", "payer")
    for other in ("approver", "senior"):
        error = failure("FAILED_PRECONDITION", assign, admin, "user:al", other)
        assert error.reason == "ROLES_EXCLUDED" and error.metadata["subject"] == "user:al"
    assign(admin, "user:bo", "senior")
    assert failure("FAILED_PRECONDITION", assign, admin, "user:bo", "payer").reason == "ROLES_EXCLUDED"
    invalid("role.excluded_roles", role, admin, "both", parents=["approver", "payer"])
    invalid("role.excluded_roles", update, admin, "senior", parents=["approver", "payer"])
    # What its holders hold already is looked at.
    role(admin, "other")
    assign(admin, "user:al", "other")
    error = failure("FAILED_PRECONDITION", update, admin, "other", excluded_roles=["payer"])
    assert error.reason == "ROLES_EXCLUDED"
    assert failure("FAILED_PRECONDITION", update, admin, "other", parents=["approver"]).reason == "ROLES_EXCLUDED"
    assert failure("FAILED_PRECONDITION", delete, admin, "payer", force=True).reason == "ROLE_IN_USE"
    update(admin, "approver", excluded_roles=[])
    assign(admin, "user:bo", "payer")


def test_families_do_not_exclude_themselves(admin):
    """Neither by what the role itself is told, nor by what one of its ancestors is."""
    for name in ("p", "r"):
        role(admin, name, f"docs:{name}")
    role(admin, "q", excluded_roles=["p"])
    role(admin, "h", parents=["q", "r"])
    invalid("role.excluded_roles", update, admin, "r", parents=["p"])
    assign(admin, "user:al", "h")
    assert failure("FAILED_PRECONDITION", assign, admin, "user:al", "p").reason == "ROLES_EXCLUDED"


def test_groups_hold_no_roles_that_exclude(admin):
    role(admin, "payer", "bills:pay")
    role(admin, "clerk", parents=["payer"])
    role(admin, "approver")
    admin.authz.CreateGroup(authz.CreateGroupRequest(parent="tenants/acme", group_id="eng"), timeout=20)
    held = assign(admin, "group:eng", "clerk")
    error = failure("FAILED_PRECONDITION", update, admin, "approver", excluded_roles=["payer"])
    assert error.reason == "ROLES_EXCLUDED" and error.metadata["subject"] == "group:eng"
    unassign(admin, held)
    update(admin, "approver", excluded_roles=["payer"])
    for other in ("clerk", "payer", "approver"):
        assert failure("FAILED_PRECONDITION", assign, admin, "group:eng", other).reason == "ROLES_EXCLUDED"


def test_a_group_that_comes_later_holds_none_either(admin):
    role(admin, "payer", "bills:pay")
    assign(admin, "group:late", "payer")
    role(admin, "approver", excluded_roles=["payer"])
    late = authz.CreateGroupRequest(parent="tenants/acme", group_id="late")
    assert failure("FAILED_PRECONDITION", admin.authz.CreateGroup, late).reason == "ROLES_EXCLUDED"


def test_only_who_has_something_denies_it(make_server, pki):
    """Who may make roles and assign them can't shut out those who may do more."""
    server = make_server().start()
    with server.operator() as admin:
        admin.active("acme", api.SHARED)
        role(admin, "maker", "tenancy.roles:create", "tenancy.assignments:create")
        role(admin, "no-audit", denied_permissions=["tenancy.audit:*"])
        assign(admin, tenant_id("acme", "maker"), "maker")
        with server.client(pki.python.tenant("acme", "maker")) as maker:
            for attempt in (
                lambda: role(maker, "harsh", denied_permissions=["tenancy.audit:list"]),
                lambda: role(maker, "heir", parents=["no-audit"]),
                lambda: assign(maker, "user:al", "no-audit"),
            ):
                assert failure("PERMISSION_DENIED", attempt).reason == "PERMISSION_MISSING"
            role(maker, "mild", denied_permissions=["tenancy.roles:create", "docs:read"])


# After a restart, and at random on two nodes.


def test_all_of_it_is_kept(make_server):
    server = make_server().start()
    with server.operator() as admin:
        admin.active("acme", api.SHARED)
        role(admin, "reader", "docs:read")
        role(admin, "x", parents=["reader"], denied_permissions=["docs:write"], excluded_roles=["tenant-viewer"])
        assign(admin, "user:al", "x", resource="docs/a/*", condition="context.mfa", reason="ü")
        roles = admin.authz.ListRoles(authz.ListRolesRequest(parent="tenants/acme"), timeout=20)
        held = admin.authz.ListRoleAssignments(authz.ListRoleAssignmentsRequest(parent="tenants/acme"), timeout=20)
    server.kill()
    server.start()
    with server.operator() as admin:
        assert admin.authz.ListRoles(authz.ListRolesRequest(parent="tenants/acme"), timeout=20) == roles
        assert admin.authz.ListRoleAssignments(
            authz.ListRoleAssignmentsRequest(parent="tenants/acme"), timeout=20) == held
        assert allowed(admin, "user:al", "docs:read", "a/1", context={"mfa": True})
        assert check(admin, "user:al", "docs:write", "a/1").reason == DENIED
        assert failure("FAILED_PRECONDITION", assign, admin, "user:al", "tenant-viewer").reason == "ROLES_EXCLUDED"


def test_nodes_agree(make_nodes):
    one, other = make_nodes(2)
    with one.operator() as here, other.operator() as there:
        here.active("acme", api.SHARED)
        random_ = random.Random(3)
        permissions = ["docs:read", "docs:write", "bills:read"]
        for number in range(12):
            role(here, f"r{number}", *random_.sample(permissions, 1),
                 denied_permissions=random_.sample(permissions, random_.choice([0, 0, 1])),
                 parents=[f"r{random_.randrange(number)}"] if number and random_.random() < 0.5 else [])
            assign(here, f"user:{random_.randrange(3)}", f"r{number}",
                   resource=random_.choice(["", "docs", "docs/a/*", "bills/1"]),
                   condition=random_.choice(["", "context.level > 1", "resource.id == '1'"]))
        last = assign(here, "user:last", "r0")
        eventually(lambda: list(there.authz.ListRoleAssignments(authz.ListRoleAssignmentsRequest(
            parent="tenants/acme", subject="user:last"), timeout=20).assignments) == [last]
            if known(there) else False, "the other node knows it")
        answers = set()
        for _ in range(150):
            question = (f"user:{random_.randrange(3)}", random_.choice(permissions),
                        random_.choice(["", "1", "a/1", "a"]))
            parts = random_.choice([{}, {"context": {"level": 1}}, {"context": {"level": 2}}])
            mine, others = check(here, *question, **parts), check(there, *question, **parts)
            assert (mine.reason, mine.role) == (others.reason, others.role), (question, parts)
            answers.add(mine.reason)
        assert answers == {ALLOWED, DENIED, NO_GRANT}


def known(client):
    try:
        return client.get("acme").state == api.ACTIVE
    except grpc.RpcError:
        return False
