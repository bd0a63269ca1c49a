"""Changes of a policy as a whole. What tenantctl makes of files is in test_policy_files.py."""

import pytest

from support import api
from support.client import failure, invalid

authz = api.authz


def change(**fields):
    return authz.PolicyChange(**fields)


def role(name, *permissions, **fields):
    return change(put_role=authz.Role(name=name, permissions=permissions, **fields))


def give(subject, name):
    return change(put_assignment=authz.RoleAssignment(subject=subject, role=name))


def apply(client, home, *changes, **fields):
    return client.authz.ApplyPolicy(
        authz.ApplyPolicyRequest(parent=home.name, changes=changes, **fields), timeout=20)


@pytest.fixture
def home(operator, slug):
    return operator.active(slug)


def test_all_of_it_or_nothing(operator, home):
    made = apply(operator, home, role("reader", "docs:read"), give("user:al", f"{home.name}/roles/reader"))
    assert made.changed_count == 2 and operator.check(home.name, "user:al", "docs:read").allowed
    again = apply(operator, home, role("reader", "docs:read"), give("user:al", "reader"))
    assert again.changed_count == 0 and again.basis == made.basis
    error = failure(
        "INVALID_ARGUMENT", apply, operator, home, role("other", "a:b"), role("reader", "a:b", "nonsense"))
    assert error.fields == ["changes[1].put_role.permissions[1]"] and error.metadata["field"] == "changes[1]"
    assert not operator.check(home.name, "user:al", "a:b").allowed
    for refused, field in [
            (change(), "changes[0]"), (change(delete_role=""), "changes[0].delete_role"),
            (change(delete_role="tenants/other/roles/x"), "changes[0].delete_role"),
            (change(put_role=authz.Role()), "changes[0].put_role.name"),
            (change(delete_assignment="/" * 300), "changes[0].delete_assignment"),
            (change(put_assignment=authz.RoleAssignment(subject="a", role="reader", resource="*")),
             "changes[0].put_assignment.resource")]:
        assert failure("INVALID_ARGUMENT", apply, operator, home, refused).fields == [field]
    assert failure(
        "INVALID_ARGUMENT", apply, operator, home, *[give(f"user:{n}", "reader") for n in range(501)]
    ).fields == ["changes"]


def test_a_policy_that_has_moved(operator, home, slug):
    first = apply(operator, home, validate_only=True)
    assert first.changed_count == 0 and first.basis
    second = apply(operator, home, role("reader"), basis=first.basis)
    error = failure("ABORTED", apply, operator, home, role("writer"), basis=first.basis)
    assert error.reason == "POLICY_CHANGED"
    # What others do to others is no change of it.
    operator.role(operator.active(slug("neighbour")).name, "any")
    third = apply(operator, home, give("user:al", "reader"), basis=second.basis)
    operator.join(home.name, operator.group(home.name, "eng").name, "user:al")
    assert failure("ABORTED", apply, operator, home, basis=third.basis).reason == "POLICY_CHANGED"
    assert failure("INVALID_ARGUMENT", apply, operator, home, basis="x").fields == ["basis"]
    foreign = "1" + "0" * 16 + third.basis[17:]
    assert failure("FAILED_PRECONDITION", apply, operator, home, basis=foreign).reason == "TOKEN_OF_ANOTHER_STORE"
    ahead = third.basis[:17] + "f" * 16
    assert failure("UNAVAILABLE", apply, operator, home, basis=ahead).reason == "REVISION_NOT_REACHED"
