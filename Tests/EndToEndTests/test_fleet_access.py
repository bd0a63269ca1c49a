"""Tenants as files: who has which role, and by which tokens callers say who they are."""

import datetime
import time

from tenantctl_process import Daemon, daemon, make_active, place
from test_fleet import RICH, apply, declared, fleet

__all__ = ["daemon", "place"]  # Fixtures.

ISSUER = {"id": "corp", "issuer": "https://id.example", "jsonWebKeySet": {"keys": [{
    "kty": "EC", "crv": "P-256", "kid": "one", "alg": "ES256", "use": "sig",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}}
ACCESS = {
    "roles": [{"id": "reader", "title": "Reader", "permissions": ["orders:read"]}],
    "assignments": [
        {"subject": "user:al", "role": "reader"},
        {"subject": "user:bo", "role": "tenant-viewer", "expires": "2100-01-02T03:04:05.25Z"},
        {"subject": "spiffe://dev.tenancy.internal/tenant/acme/web", "role": "reader"}],
    "authentication": {"requireBinding": True, "maximumLife": "300s", "issuers": [ISSUER]},
}


def test_who_has_roles_and_how_they_are_known(daemon, place):
    ctl = daemon.over_unix()
    wanted = declared("acme", **ACCESS)
    planned = ctl("apply", "-f", "-", "--plan", stdin=fleet(wanted), code=3)
    assert '    assignments.reader.user:al: "without end"\n' in planned and "    authentication.issuers.corp: {" in planned
    assert '    assignments.tenant-viewer.user:bo: "2100-01-02T03:04:05.250Z"\n' in planned
    assert apply(ctl, fleet(wanted))["summary"]["create"] == 1
    assert ctl.json("auth", "show", "acme")["maximumLife"] == "300s"
    assert apply(ctl, fleet(wanted))["summary"]["unchanged"] == 1
    # One by the id of the tenant is the same one.
    made = ctl.json("tenant", "get", "acme")
    own = f"spiffe://dev.tenancy.internal/tenant/{made['id']}/api"
    ctl("role", "assign", "acme", own, "reader")
    text = ctl("tenant", "export", "acme")
    assert made["id"] not in text and "tenant/acme/api" in text and "etag" not in text
    assert "expires: '2100-01-02T03:04:05.250Z'" in text or "expires: 2100-01-02T03:04:05.250Z" in text
    assert ctl("apply", "-f", "-", "--plan", stdin=text) == "No changes: 1 unchanged.\n"
    # An end that moves, one that goes with its role, and settings that are the server's own again.
    ctl("role", "create", "acme", "other", "--permission", "a:b")
    ctl("role", "assign", "acme", "user:cy", "other")
    less = {**wanted, "authentication": {}, "assignments": [
        {"subject": "user:al", "role": "reader", "expires": "2099-01-01T00:00:00Z"},
        {"subject": "user:gone", "role": "reader", "expires": "2001-01-01T00:00:00Z"}]}
    done = apply(ctl, fleet(less))
    assert [(one["field"], one["from"], one["to"]) for one in done["tenants"][0]["changes"]] == [
        ("assignments.reader.user:al", '"without end"', '"2099-01-01T00:00:00Z"'),
        *[(f"authentication.{name}", one, None) for name, one in [
            (one["field"].removeprefix("authentication."), one["from"])
            for one in done["tenants"][0]["changes"]] if name in ("issuers.corp", "maximumLife", "requireBinding")]]
    assert "issuers" not in ctl.json("auth", "show", "acme")
    assert len(ctl.json("role", "assignments", "acme")["assignments"]) == 5
    pruned = apply(ctl, fleet(less), "--prune", "--selector", "slug = acme")
    assert {one["field"] for one in pruned["tenants"][0]["changes"]} == {
        "roles.other", "assignments.other.user:cy", "assignments.tenant-viewer.user:bo",
        "assignments.reader.spiffe://dev.tenancy.internal/tenant/acme/web",
        "assignments.reader.spiffe://dev.tenancy.internal/tenant/acme/api"}
    [left] = ctl.json("role", "assignments", "acme")["assignments"]
    assert (left["subject"], left["expireTime"]) == ("user:al", "2099-01-01T00:00:00Z")
    assert apply(ctl, fleet(less), "--prune", "--selector", "slug = acme")["summary"]["unchanged"] == 1
    # Emptied by the file, with --prune only.
    none = {**less, "assignments": []}
    assert apply(ctl, fleet(none))["summary"]["unchanged"] == 1
    apply(ctl, fleet(none), "--prune", "--selector", "slug = acme")
    assert ctl.json("role", "assignments", "acme") == {}


def test_what_is_wrong_with_who_has_roles(daemon):
    ctl = daemon.over_unix()
    wrong = [
        ({"assignments": [{"subject": "user:al", "role": "Reader"}]}, "assignments[0].role: the id of a role"),
        ({"assignments": [{"role": "reader"}]}, "assignments[0].subject: is needed"),
        ({"assignments": [{"subject": "user:al", "role": "reader", "expires": "soon"}]},
         "assignments[0].expires: a time such as"),
        ({"assignments": [{"subject": "user:al", "role": "reader"}] * 2}, "has the role 'reader' twice"),
        ({"assignments": [{"subject": "user:al", "role": "reader", "since": "x"}]}, "there is no such member"),
        ({"authentication": {"etag": "x"}}, "authentication.etag: no such member"),
        ({"authentication": {"requireBinding": "yes"}}, "authentication.requireBinding: true or false"),
        ({"authentication": {"issuers": [{"colour": "red"}]}}, "authentication.issuers[0].colour: no such member"),
    ]
    for members, words in wrong:
        assert words in ctl.error("apply", "-f", "-", "--yes", stdin=fleet(declared("acme", **members))), words
    apply(ctl, fleet(declared("acme")))
    for members, words in (
            ({"assignments": [{"subject": "user:al", "role": "nobody"}]}, "ROLE_NOT_FOUND"),
            ({"assignments": [{"subject": "spiffe:x", "role": "tenant-viewer"}]}, "assignments[0].subject"),
            ({"authentication": {"issuers": [{"id": "X", "issuer": "y", "jsonWebKeySet": {"keys": []}}]}},
             "authentication.issuers[0].id")):
        shown = ctl("apply", "-f", "-", "--yes", stdin=fleet(declared("acme", **members)), code=1)
        assert words in shown, (words, shown)
    assert ctl.json("role", "assignments", "acme") == {}


def test_a_whole_fleet_goes_to_an_empty_server(daemon, place):
    ctl = daemon.over_unix()
    apply(ctl, RICH)
    apply(ctl, fleet(declared("acme", **ACCESS), declared("plain")))
    own = f"spiffe://dev.tenancy.internal/tenant/{ctl.json('tenant', 'get', 'acme')['id']}/api"
    ctl("role", "assign", "acme", own, "reader")
    text = ctl("tenant", "export", "--all")
    assert text.count("---\n") == 3
    with Daemon(place / "empty") as other:
        there = other.over_unix()
        assert apply(there, text)["summary"]["create"] == 3
        assert there("tenant", "export", "--all") == text
        assert there("apply", "-f", "-", "--plan", stdin=text) == "No changes: 3 unchanged.\n"


def test_who_may_not_see_how_tokens_are_taken(daemon):
    ctl = daemon.over_unix()
    make_active(ctl, "acme")
    ctl("role", "create", "acme", "reader", "--permission", "a:b")
    ctl("role", "assign", "acme", "user:al", "reader")
    ctl("auth", "set", "acme", "--file", "-", "--yes", stdin='{"requireBinding": true}')
    assert "authentication:\n  requireBinding: true\n" in ctl("tenant", "export", "acme")
    # Any workload of the tenant.
    own = daemon.over_tls("acme.dev")
    seen = own.run("tenant", "export", "acme")
    assert "- subject: user:al\n" in seen.stdout and "authentication" not in seen.stdout
    assert seen.stderr == "acme: without authentication settings, which the caller may not read\n"
    assert own.run("tenant", "export", "acme", "--no-authentication").stderr == ""
    assert "user:al" not in own.run("tenant", "export", "acme", "--no-assignments").stdout
    assert own("apply", "-f", "-", stdin=seen.stdout) == "No changes: 1 unchanged.\n"
    more = {"assignments": [{"subject": "user:bo", "role": "reader"}]}
    for members in (more, {"authentication": {}}):
        done = apply(own, fleet(declared("acme", **members)), code=1)
        assert done["tenants"][0]["refusals"][0]["code"] == "PERMISSION_DENIED", members
    assert len(ctl.json("role", "assignments", "acme")["assignments"]) == 1
    assert ctl.json("auth", "show", "acme")["requireBinding"]


def test_who_applies_keeps_what_it_has(daemon):
    """An end moves without a moment between, so that an admin's own may; what would take it away is refused."""
    ctl = daemon.over_unix()
    make_active(ctl, "acme")
    own = daemon.over_tls("acme.dev")
    me = own.json("whoami")["subject"]
    ctl("role", "assign", "acme", me, "tenant-admin")
    for ends in ("2099-01-01T00:00:00Z", "2098-01-01T00:00:00Z"):
        moved = declared("acme", assignments=[{"subject": me, "role": "tenant-admin", "expires": ends}])
        assert apply(own, fleet(moved))["tenants"][0]["outcome"] == "DONE"
        [left] = ctl.json("role", "assignments", "acme")["assignments"]
        assert left["expireTime"] == ends
        assert apply(own, fleet(moved))["summary"]["unchanged"] == 1
    over = [{"subject": me, "role": "tenant-admin", "expires": "2001-01-01T00:00:00Z"}]
    for members, flags in (({"assignments": over}, []),
                           ({"assignments": []}, ["--prune", "--selector", "slug = acme"])):
        done = apply(own, fleet(declared("acme", **members)), *flags, code=1)
        assert "would take the role 'tenant-admin' from itself" in done["tenants"][0]["refusals"][0]["message"]
        assert ctl.json("role", "assignments", "acme")["assignments"] == [left]
    # To another it is one as any.
    apply(ctl, fleet(declared("acme", assignments=over)))
    assert ctl.json("role", "assignments", "acme") == {}


def test_roles_are_pruned_that_nobody_has_then(daemon):
    ctl = daemon.over_unix()
    reader = {"id": "reader", "permissions": ["a:b"]}
    prune = ("--prune", "--selector", "slug = acme")
    apply(ctl, fleet(declared("acme", roles=[reader, {"id": "other", "permissions": ["a:b"]}], assignments=[
        {"subject": f"user:{name}", "role": "other"} for name in ("al", "bo")])))
    # One stays, so that the role can't go.
    half = declared("acme", roles=[reader], assignments=[{"subject": "user:al", "role": "other"}])
    done = apply(ctl, fleet(half), *prune, code=1)
    assert done["tenants"][0]["outcome"] == "PLANNED" and not done["summary"]["applied"]
    assert done["tenants"][0]["refusals"][0]["reason"] == "ROLE_IN_USE"
    # Where the file says nothing of who has it, what has ended does not hold it.
    silent = declared("acme", roles=[reader])
    for one in ctl.json("role", "assignments", "acme")["assignments"]:
        ctl("role", "unassign", "acme", one["name"].rpartition("/")[2])
    ctl("role", "assign", "acme", "user:cy", "other", "--expires-in", "1s")
    ctl("role", "assign", "acme", "user:di", "reader")
    [ended] = ctl.json("role", "assignments", "acme", "--subject", "user:cy")["assignments"]
    while datetime.datetime.now(datetime.UTC) < datetime.datetime.fromisoformat(ended["expireTime"]):
        time.sleep(0.1)
    done = apply(ctl, fleet(silent), *prune)
    assert {one["field"] for one in done["tenants"][0]["changes"]} == {"roles.other", "assignments.other.user:cy"}
    assert [one["subject"] for one in ctl.json("role", "assignments", "acme")["assignments"]] == ["user:di"]
    assert "ROLE_NOT_FOUND" in ctl.error("role", "get", "acme", "other")


def test_an_export_says_what_there_is_not(daemon):
    ctl = daemon.over_unix()
    apply(ctl, fleet(declared("acme")))
    text = ctl("tenant", "export", "acme")
    assert text.endswith("assignments: []\nauthentication: {}\n")
    without = ctl("tenant", "export", "acme", "--no-assignments", "--no-authentication")
    assert text == without + "assignments: []\nauthentication: {}\n"
    assert ctl("apply", "-f", "-", "--plan", stdin=text) == "No changes: 1 unchanged.\n"
    ctl("role", "assign", "acme", "user:al", "tenant-viewer")
    ctl("auth", "set", "acme", "--file", "-", "--yes", stdin='{"requireBinding": true}')
    assert apply(ctl, without)["summary"]["unchanged"] == 1
    [done] = apply(ctl, text)["tenants"]
    assert [one["field"] for one in done["changes"]] == ["authentication.requireBinding"]
    assert len(ctl.json("role", "assignments", "acme")["assignments"]) == 1
    [done] = apply(ctl, text, "--prune", "--selector", "slug = acme")["tenants"]
    assert [one["field"] for one in done["changes"]] == ["assignments.tenant-viewer.user:al"]
    assert ctl("tenant", "export", "acme") == text
