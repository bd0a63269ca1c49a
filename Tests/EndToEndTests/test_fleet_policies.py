"""Tenants as files: roles that deny, inherit and exclude, and assignments of some resources and under conditions."""

import itertools
import json

from tenantctl_process import Daemon, daemon, place
from test_fleet import apply, declared, fleet

__all__ = ["daemon", "place"]  # Fixtures.

PRUNE = ("--prune", "--selector", "labels.managed = yes")
ROLES = [
    {"id": "chief", "permissions": ["docs:delete"], "parents": ["writer", "quiet"]},
    {"id": "writer", "permissions": ["docs:write"], "parents": ["reader"], "excludedRoles": ["approver"]},
    {"id": "approver", "permissions": ["docs:approve"], "excludedRoles": ["writer"]},
    {"id": "reader", "title": "Reader", "permissions": ["docs:read", "bills:*"]},
    {"id": "quiet", "deniedPermissions": ["bills:pay", "*:share"]},
]
TEAM = "subject.attributes.team == 'sales'\n  && context.level > 1.0\n"
ASSIGNMENTS = [
    {"subject": "user:al", "role": "chief", "reason": "since May"},
    {"subject": "user:bo", "role": "reader", "resource": "docs/7"},
    {"subject": "user:bo", "role": "reader", "resource": "docs/finance/*", "condition": TEAM,
     "expires": "2100-01-02T03:04:05Z", "reason": "audit"},
    {"subject": "user:bo", "role": "quiet", "condition": "context.level > 1.0"},
    {"subject": "user:cy", "role": "reader", "condition": TEAM},
    {"subject": "user:di", "role": "reader"},
    {"subject": "user:di", "role": "quiet", "resource": "bills/9"},
    {"subject": "user:ed", "role": "approver"},
]
ATTRIBUTES = ([], ["--context", '{"level": 2}'],
              ["--subject-attributes", '{"team": "sales"}', "--context", '{"level": 2}'])


def answers(ctl, tenant):
    """What whoever has a role may do, and why."""
    lines = [f"user:{who} {what} {where}" for who, what, where in itertools.product(
        ("al", "bo", "cy", "di", "ed", "nobody"),
        ("docs:read", "docs:write", "docs:delete", "docs:approve", "docs:share", "bills:pay", "bills:read"),
        ("", "7", "8", "9", "finance/q3"))]
    answers = []
    for told in ATTRIBUTES:
        made = ctl.json("check", tenant, "--batch", "-", *told, stdin="\n".join(lines), code=3)
        answers += [(line, *told, one["reason"], one.get("role")) for line, one in zip(lines, made["results"], strict=True)]
    return answers


def test_a_policy_goes_elsewhere_as_it_is(daemon, place):
    ctl = daemon.over_unix()
    wanted = declared("acme", roles=ROLES, assignments=ASSIGNMENTS)
    assert apply(ctl, fleet(wanted))["summary"]["create"] == 1
    ctl("tenant", "provision", "acme")
    here = answers(ctl, "acme")
    kinds = {one[-2] for one in here}
    assert kinds == {f"DECISION_REASON_{one}" for one in ("ROLE", "DENIED", "NO_GRANT")}
    assert ctl("apply", "-f", "-", "--plan", stdin=fleet(wanted)) == "No changes: 1 unchanged.\n"
    text = ctl("tenant", "export", "acme")
    assert ctl("apply", "-f", "-", "--plan", stdin=text) == "No changes: 1 unchanged.\n"
    # In another tenant, of this server and of another.
    apply(ctl, text.replace("slug: acme", "slug: globex"))
    ctl("tenant", "provision", "globex")
    assert answers(ctl, "globex") == here
    with Daemon(place / "other") as other:
        there = other.over_unix()
        apply(there, text)
        there("tenant", "provision", "acme")
        assert answers(there, "acme") == here
        assert there("tenant", "export", "acme") == text
    # Over one that has the same roles and the same holders, unconditionally.
    loose = [{"subject": one["subject"], "role": one["role"]} for one in ASSIGNMENTS]
    loose = [one for at, one in enumerate(loose) if one not in loose[:at]]
    apply(ctl, fleet(declared("loose", labels={"managed": "yes"}, assignments=loose, roles=[
        {"id": one["id"], "permissions": ["docs:*", "x:y"]} for one in ROLES])))
    ctl("tenant", "provision", "loose")
    strict = declared("loose", labels={"managed": "yes"}, roles=ROLES, assignments=ASSIGNMENTS)
    done = apply(ctl, fleet(strict), *PRUNE)
    fields = {one["field"]: (one["from"], one["to"]) for one in done["tenants"][0]["changes"]}
    assert fields["assignments.reader.user:bo"] == ('"without end"', None)
    assert fields["assignments.reader.user:bo of docs/7"] == (None, '"without end"')
    assert fields["assignments.chief.user:al.reason"] == (None, '"since May"')
    assert fields["roles.writer.parents"] == (None, '["reader"]')
    assert fields["roles.quiet.deniedPermissions"] == (None, '["*:share","bills:pay"]')
    assert answers(ctl, "loose") == here
    # And back, with what is left of a policy going in its order.
    apply(ctl, fleet(declared("loose", labels={"managed": "yes"}, roles=[], assignments=[])), *PRUNE)
    assert [one["name"].rpartition("/")[2] for one in ctl.json("role", "list", "loose")["roles"]] == [
        "tenant-admin", "tenant-viewer"]


def test_what_is_wrong_with_a_policy(daemon):
    ctl = daemon.over_unix()
    circle = [{"id": "a", "parents": ["b"]}, {"id": "b", "parents": ["a"]}]
    wrong = [
        ({"roles": circle}, "roles[0].parents: the role inherits from itself: a from b from a"),
        ({"roles": [{"id": "a", "parent": "b"}]}, "roles[0].parent: there is no such member"),
        ({"roles": [{"id": "a", "excludedRoles": ["a"]}]}, "roles[0].excludedRoles[0]: another role"),
        ({"assignments": [{"subject": "user:al", "role": "a", "condition": "true &&"}]},
         "assignments[0].condition: 1:8: "),
        ({"assignments": [{"subject": "user:al", "role": "a", "resource": "docs/../x"}]}, "assignments[0].resource: TYPE"),
        ({"roles": [{"id": "a", "parents": ["nobody"]}]}, "roles[0].parents: there is no role 'nobody'"),
    ]
    for members, words in wrong:
        shown = ctl.run("apply", "-f", "-", "--yes", stdin=fleet(declared("acme", **members)), code=1)
        assert words in shown.stdout + shown.stderr, (words, shown)
    assert ctl.json("tenant", "list") == {}
    # With roles that the file leaves out.
    apply(ctl, fleet(declared("acme", labels={"managed": "yes"}, roles=[
        {"id": "a"}, {"id": "b", "parents": ["a"]}, {"id": "c", "excludedRoles": ["b"]}])))
    before = ctl.json("role", "list", "acme")
    for members, words in (
            ({"roles": [{"id": "a", "parents": ["b"]}]}, "a role would inherit from itself: a from b from a"),
            ({"roles": [{"id": "a", "parents": ["none"]}]}, "there is no role none")):
        done = apply(ctl, fleet(declared("acme", **members)), code=1)
        assert words in json.dumps(done["tenants"][0]["refusals"]), (words, done)
    kept = declared("acme", labels={"managed": "yes"}, roles=[{"id": "b", "parents": ["a"]}])
    done = apply(ctl, fleet(kept), *PRUNE, code=1)
    assert "the role 'a' is left out, but 'b' names it" in json.dumps(done["tenants"][0]["refusals"])
    assert ctl.json("role", "list", "acme") == before


def test_families_turn_around(daemon):
    """What only the whole of a file makes possible."""
    ctl = daemon.over_unix()
    apply(ctl, fleet(declared("acme", labels={"managed": "yes"}, roles=[
        {"id": "a", "permissions": ["x:1"], "deniedPermissions": ["y:1"]},
        {"id": "b", "permissions": ["x:2"], "parents": ["a"]}, {"id": "old", "parents": ["b"]}])))
    turned = declared("acme", labels={"managed": "yes"}, roles=[
        {"id": "a", "permissions": ["x:3"], "deniedPermissions": ["y:2"], "parents": ["b", "new"]},
        {"id": "b", "permissions": ["x:2"]}, {"id": "new", "excludedRoles": ["old-new"]},
        {"id": "old-new", "excludedRoles": ["new"]}])
    assert apply(ctl, fleet(turned), *PRUNE)["tenants"][0]["outcome"] == "DONE"
    assert apply(ctl, fleet(turned), *PRUNE)["summary"]["unchanged"] == 1
    assert ctl.json("role", "get", "acme", "a")["parents"] == ["b", "new"]
    assert "ROLE_NOT_FOUND" in ctl.error("role", "get", "acme", "old")


def test_who_may_not_hold_both(daemon):
    ctl = daemon.over_unix()
    roles = [{"id": "payer", "excludedRoles": ["approver"]}, {"id": "approver"}, {"id": "other"}]

    def given(role, *more):
        return declared("acme", labels={"managed": "yes"}, roles=roles, assignments=[
            {"subject": "user:al", "role": role}, *more])

    apply(ctl, fleet(given("payer")))
    # Left out it goes last of all: so it is refused before anything is done.
    for flags in ((), PRUNE):
        done = apply(ctl, fleet(given("approver")), *flags, code=1)
        assert done["tenants"][0]["refusals"][0]["reason"] == "ROLES_EXCLUDED"
    # Declared as ended it goes first.
    over = {"subject": "user:al", "role": "payer", "expires": "2001-01-01T00:00:00Z"}
    assert apply(ctl, fleet(given("approver", over)))["tenants"][0]["outcome"] == "DONE"
    [left] = ctl.json("role", "assignments", "acme")["assignments"]
    assert left["role"].rpartition("/")[2] == "approver"
