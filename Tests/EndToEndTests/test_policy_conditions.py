"""Assignments under conditions, and explanations of answers."""

import pytest

from support import api
from support.client import failure, invalid
from support.policies import (ALLOWED, DENIED, NO_GRANT, allowed, assign, attributes, check, role, unassign)

authz = api.authz


@pytest.fixture
def admin(make_server):
    with make_server().start().operator() as client:
        client.active("acme", api.SHARED)
        yield client


# Conditions.


def test_conditions(admin):
    role(admin, "editor", "docs:edit")
    role(admin, "locked", denied_permissions=["docs:edit"])
    made = assign(admin, "user:al", "editor", reason="She writes them.",
                  condition="resource.attributes.owner == subject.id && context.mfa")
    assert made.condition.startswith("resource.") and made.reason == "She writes them."
    question = ("user:al", "docs:edit", "7")
    mine = {"owner": "user:al"}
    assert allowed(admin, *question, resource=mine, context={"mfa": True})
    for parts in ({}, {"resource": mine}, {"context": {"mfa": True}}, {"resource": mine, "context": {"mfa": False}},
                  {"resource": {"owner": "user:bo"}, "context": {"mfa": True}},
                  {"resource": mine, "context": {"mfa": "yes"}}):
        assert check(admin, *question, **parts).reason == NO_GRANT, parts
    # One that fails denies.
    assign(admin, "user:al", "locked", condition="context.risk > 3")
    for risk, wanted in ((None, DENIED), (4, DENIED), ("high", DENIED), (3, ALLOWED)):
        context = {"mfa": True} | ({} if risk is None else {"risk": risk})
        assert check(admin, *question, resource=mine, context=context).reason == wanted, risk


def test_conditions_name_subjects_as_questions_do(make_server):
    with make_server().start().operator() as admin:
        tenant = admin.active("acme", api.SHARED)
        role(admin, "reader", "docs:read")
        role(admin, "quiet", denied_permissions=["docs:read"])
        assign(admin, "spiffe://example.org/tenant/acme/web", "reader")
        for name in ("acme", tenant.id):
            subject = f"spiffe://example.org/tenant/{name}/web"
            held = assign(admin, subject, "quiet", condition=f"subject.id == '{subject}'")
            assert check(admin, subject, "docs:read").reason == DENIED
            unassign(admin, held)
            assert allowed(admin, subject, "docs:read")


def test_keys_that_look_alike_are_refused(admin):
    role(admin, "editor", "docs:edit")
    error = failure("INVALID_ARGUMENT", check, admin, "user:al", "docs:edit",
                    context={"KYC": False, "\u212aYC": True})
    assert error.fields[0].startswith("attributes.context")


def test_a_question_that_takes_too_much_is_refused(admin):
    """And not answered by what was looked at until then."""
    role(admin, "editor", "docs:edit")
    for number in range(64):
        assign(admin, "user:al", "editor", condition="[1, 2, 3, 4, 5, 6, 7, 8, 9].all(a, [1, 2, 3, 4, 5, 6, 7, 8, 9]"
               f".all(b, a + b > {number} - 99)) && false")
    item = authz.BatchCheckItem(subject="user:al", permission="docs:edit")
    assert check(admin, "user:al", "docs:edit").reason == NO_GRANT
    error = failure("INVALID_ARGUMENT", admin.authz.BatchCheck, authz.BatchCheckRequest(
        tenant="acme", items=[item] * 200))
    assert error.fields[0].startswith("items")


def test_batches_share_attributes(admin):
    role(admin, "editor", "docs:edit")
    assign(admin, "user:al", "editor", condition="context.level >= 2")
    item = authz.BatchCheckItem(subject="user:al", permission="docs:edit")
    own = authz.BatchCheckItem(subject="user:al", permission="docs:edit", attributes=attributes(context={"level": 1}))
    none = authz.BatchCheckItem(subject="user:al", permission="docs:edit", attributes=authz.CheckAttributes())
    answer = admin.authz.BatchCheck(authz.BatchCheckRequest(
        tenant="acme", items=[item, own, none, item], attributes=attributes(context={"level": 2})), timeout=20)
    assert [one.allowed for one in answer.results] == [True, False, False, True]


@pytest.mark.parametrize(("condition", "what"), [
    ("context.mfa &&", "1:15"), ("subject.nme == 'x'", "did you mean"), ("'a'", "bool"), ("1 < 'a'", "1:1"),
    ("x" * 2049, "2048"), ("context.a.matches('x')", "matches"),
    ("[1,2,3].all(a, [1,2,3].all(b, [1,2,3].all(c, [1,2,3].all(d, [1,2,3].all(e, a+b+c+d+e > 0)))))", "")])
def test_conditions_that_are_none(admin, condition, what):
    role(admin, "editor", "docs:edit")
    error = failure("INVALID_ARGUMENT", assign, admin, "user:al", "editor", condition=condition)
    assert error.reason == "INVALID_CONDITION" and error.fields == ["assignment.condition"]
    assert what in error.message


def test_conditions_have_bounds(admin):
    role(admin, "editor", "docs:edit")
    for number in range(64):
        assign(admin, "user:al", "editor", condition=f"context.level > {number}")
    error = failure("RESOURCE_EXHAUSTED", assign, admin, "user:al", "editor", condition="context.level > 64")
    assert error.metadata["quota"] == "conditional-assignments"
    big = attributes(context={"text": "x" * 17_000})
    error = failure("INVALID_ARGUMENT", admin.authz.Check, authz.CheckRequest(
        tenant="acme", subject="user:al", permission="docs:edit", attributes=big))
    assert error.fields == ["attributes"]


# Explanations.


def explain(client, subject, permission, resource="", /, **parts):
    answer = client.authz.Explain(authz.ExplainRequest(
        tenant="acme", subject=subject, permission=permission, resource=resource,
        attributes=attributes(**parts) if parts else None), timeout=20)
    checked = check(client, subject, permission, resource, **parts)
    assert (answer.answer.allowed, answer.answer.reason, answer.answer.role) == (
        checked.allowed, checked.reason, checked.role)
    return answer


def test_answers_are_explained(admin):
    role(admin, "reader", "docs:*")
    role(admin, "editor", "docs:edit", parents=["reader"])
    role(admin, "chief", parents=["editor"])
    role(admin, "quiet", denied_permissions=["*:edit"])
    role(admin, "owner", "docs:edit")
    assign(admin, "user:al", "chief", resource="docs/a/*")
    assign(admin, "user:al", "editor", condition="context.mfa && context.level > 2")
    outcomes = ("UNSPECIFIED", "APPLIES", "CONDITION_UNSATISFIED", "CONDITION_FAILED", "OTHER_RESOURCE", "EXPIRED")

    def steps(answer):
        return [(list(step.role_path), step.permission, outcomes[step.outcome]) for step in answer.steps]

    found = explain(admin, "user:al", "docs:edit", "b", context={"mfa": True, "level": 2})
    assert found.answer.reason == NO_GRANT and list(found.missing_roles) == ["owner"]
    assert steps(found) == [(["editor"], "docs:edit", "CONDITION_UNSATISFIED"),
                            (["chief", "editor"], "docs:edit", "OTHER_RESOURCE")]
    [part] = found.steps[0].condition_parts
    assert part.text == "context.level > 2" and part.outcome == authz.CONDITION_OUTCOME_UNSATISFIED
    found = explain(admin, "user:al", "docs:read", "b")
    assert steps(found)[0] == (["editor", "reader"], "docs:*", "CONDITION_FAILED")
    assert found.steps[0].condition_parts[0].failure == "MISSING_ATTRIBUTE"
    found = explain(admin, "user:al", "docs:edit", "a/1")
    assert found.answer.allowed and steps(found)[0] == (["chief", "editor"], "docs:edit", "APPLIES")
    assert not found.missing_roles
    held = assign(admin, "user:al", "quiet", condition="context.mfa")
    found = explain(admin, "user:al", "docs:edit", "a/1")
    assert found.answer.reason == DENIED and not found.missing_roles
    assert found.steps[0].denies and found.steps[0].assignment == held and steps(found)[0] == (
        ["quiet"], "*:edit", "APPLIES")
    assert not explain(admin, "user:bo", "docs:edit").steps
    invalid("resource", explain, admin, "user:al", "docs:edit", "a/../b")
    invalid("permission", explain, admin, "user:al", "docs:*")
    admin.suspend("acme")
    assert explain(admin, "user:al", "docs:edit").answer.reason == authz.DECISION_REASON_TENANT_INACTIVE
