"""Tenants as files: lists in columns, exports, and what `tenantctl apply` makes of files."""

import json
import os
import pty
import signal
import subprocess
import time

from support.waiting import eventually
from tenantctl_process import PATIENCE, Daemon, binary, daemon, make_active, place

__all__ = ["daemon", "place"]  # Fixtures.

RICH = """\
---
apiVersion: tenancy/v1
kind: Tenant
slug: rich
displayName: "Rich & Co: Ünïcode \\U0001F389"
isolation: hybrid
labels:
  example.com/team: core
  norway: "no"
  version: '1.10'
annotations:
  note: |
    two
    lines
settings:
  '007': [null, true, -1.5, "true", {}]
  a.b: {"deep": {"er": "yes"}}
  seats: 25
featureFlags:
  beta: true
  old: false
routes:
- methods: [GET, POST]
  path: /orders/**
  permission: orders:read
schemaName: rich_1
roles:
- id: reader
  title: Reader
  permissions:
  - orders:read
  - orders:list
"""


def declared(slug, **members):
    """A document of a fleet file: JSON is YAML."""
    return {"apiVersion": "tenancy/v1", "kind": "Tenant", "slug": slug, "displayName": slug.title(),
            "isolation": "shared", **members}


def fleet(*documents):
    return "".join(f"---\n{json.dumps(one)}\n" for one in documents)


def apply(ctl, text, *arguments, code=0):
    """The answer as JSON."""
    return ctl.json("apply", "-f", "-", "--yes", *arguments, stdin=text, code=code)


def slugs(ctl, *arguments):
    return [one["slug"] for one in ctl.json("tenant", "list", *arguments).get("tenants", [])]


# MARK: Lists

def test_lists_in_columns_and_formats(daemon):
    ctl = daemon.over_unix()
    for slug, region in (("bravo", "eu"), ("alpha", "us"), ("charlie", "eu")):
        ctl("tenant", "create", "--display-name", slug.title(), "--slug", slug, "--isolation", "shared",
            "--label", f"region={region}", "--annotation", "note=x y", "--setting", "seats=5", "--flag", "beta=true")
    columns = "slug,labels.region,annotations.note,settings.seats,flags.beta,state,epoch"
    table = [line.split() for line in ctl("tenant", "list", "--sort", "slug", "--columns", columns).splitlines()]
    assert table[0] == ["SLUG", "labels.region", "annotations.note", "settings.seats", "flags.beta", "STATE", "EPOCH"]
    assert table[1] == ["alpha", "us", "x", "y", "5", "true", "PENDING", "1"]
    everything = "name,id,slug,display-name,state,reason,isolation,plan,region,cluster,labels,annotations,etag,updated"
    assert ctl("tenant", "list", "--columns", everything + ",created,deleted,purged-after")
    refused = ctl.error("tenant", "list", "--columns", "slug,colour", code=64)
    assert "there is no column 'colour'; there are name, id, slug," in refused and "labels.KEY" in refused
    assert "'labels.'" in ctl.error("tenant", "list", "--columns", "labels.", code=64)
    assert "sorts by one field" in ctl.error("tenant", "list", "--sort", "slug,create_time", code=64)
    assert "for tables" in ctl.error("tenant", "list", "--columns", "slug", "-o", "json", code=64)
    assert "PLAN" in ctl("tenant", "list", "-o", "wide").splitlines()[0]
    assert slugs(ctl, "--sort", "slug", "--limit", "2") == ["alpha", "bravo"]
    assert slugs(ctl, "--filter", "labels.region = eu", "--page-size", "1", "--all") == ["bravo", "charlie"]
    lines = ctl("tenant", "list", "-o", "jsonl", "--page-size", "1", "--all").splitlines()
    assert [json.loads(line)["slug"] for line in lines] == ["bravo", "alpha", "charlie"]
    assert ctl("tenant", "list", "-o", "name").splitlines() == [json.loads(line)["name"] for line in lines]
    documents = ctl("tenant", "list", "-o", "yaml", "--filter", "slug = alpha")
    assert documents.startswith("---\n") and "slug: alpha\n" in documents and "'5'" not in documents
    assert ctl("tenant", "list", "-o", "jsonl", "--filter", "slug = none") == ""
    ctl.error("tenant", "list", "--limit", "0", code=64)


# MARK: There and back

def test_what_is_exported_changes_nothing(daemon):
    ctl = daemon.over_unix()
    made = apply(ctl, RICH)
    assert made["summary"] == {"create": 1, "update": 0, "delete": 0, "unchanged": 0, "refused": 0, "notTried": 0,
                               "deletionsNotTried": 0, "applied": True}
    tenant = ctl.json("tenant", "get", "rich")
    assert tenant["displayName"] == "Rich & Co: Ünïcode 🎉"
    assert tenant["labels"] == {"example.com/team": "core", "norway": "no", "version": "1.10"}
    assert tenant["annotations"] == {"note": "two\nlines\n"}
    assert tenant["configuration"]["customSettings"] == {
        "007": [None, True, -1.5, "true", {}], "a.b": {"deep": {"er": "yes"}}, "seats": 25}
    assert tenant["configuration"]["schema"] == {"schemaName": "rich_1"}
    assert ctl.json("role", "get", "rich", "reader")["permissions"] == ["orders:list", "orders:read"]
    assert apply(ctl, RICH)["summary"]["unchanged"] == 1

    text = ctl("tenant", "export", "rich")
    for secret in (tenant["id"], tenant["createTime"], "epoch", "PENDING", "tenant-admin"):
        assert secret not in text, secret
    assert ctl("apply", "-f", "-", "--plan", stdin=text) == "No changes: 1 unchanged.\n"
    assert ctl("tenant", "export", "--all") == ctl("tenant", "export", "--filter", "slug = rich") == text
    other = text.replace("slug: rich", "slug: twin").replace("rich_1", "twin_1")
    apply(ctl, other)
    again = ctl("tenant", "export", "twin").replace("slug: twin", "slug: rich").replace("twin_1", "rich_1")
    assert again == text
    ctl.error("tenant", "export", code=64)
    ctl.error("tenant", "export", "rich", "--all", code=64)


def test_a_fleet_in_a_folder(daemon, place):
    ctl = daemon.over_unix()
    text = fleet(*(declared(f"t{number:03}", labels={"n": f"{number % 7}"}, settings={"seats": number})
                   for number in range(300)))
    assert apply(ctl, text, "--parallel", "8")["summary"]["create"] == 300
    assert len(slugs(ctl)) == 300
    folder = place / "fleet"
    ctl("tenant", "export", "--all", "-o", f"{folder}/")
    assert len(list(folder.iterdir())) == 300
    assert ctl("apply", "-f", str(folder)) == "No changes: 300 unchanged.\n"
    file = place / "fleet.yaml"
    ctl("tenant", "export", "--filter", "labels.n = 3", "-o", str(file))
    assert file.read_text().count("---\n") == 43 and [one.name for one in place.glob("*draft*")] == []
    before = file.read_bytes()
    ctl("tenant", "export", "--filter", "labels.n = 3", "-o", str(file))
    assert file.read_bytes() == before
    ctl.error("tenant", "export", "nobody", "-o", str(file))
    assert file.read_bytes() == before and [one.name for one in place.glob("*draft*")] == []

    # Some change, some are new, one is not there any more.
    (folder / "t001.yaml").write_text((folder / "t001.yaml").read_text().replace("seats: 1", "seats: 100"))
    (folder / "more").mkdir()
    (folder / "more/new.json").write_text(json.dumps(declared("new")))
    (folder / "t002.yaml").unlink()
    shown = ctl("apply", "-f", str(folder), "--plan", code=3)
    assert f"~ t001 ({folder}/t001.yaml:2)\n    settings.seats: 1 → 100\n" in shown
    assert f"+ new ({folder}/more/new.json:1)\n" in shown
    assert shown.endswith("1 to create, 1 to change, 0 to delete, 298 unchanged, 0 refused\n")
    assert "would select all" in ctl.error("apply", "-f", str(folder), "--prune", "--selector", " ", code=64)
    arguments = ["-f", str(folder), "--prune", "--selector", 'slug = "t00*"']
    shown = ctl("apply", *arguments, "--dry-run", code=3)
    assert "\n- t002\n" in shown
    assert len(slugs(ctl)) == 300
    assert ctl("apply", *arguments, "--yes").endswith(
        "1 created, 1 changed, 1 deleted, 298 unchanged, 0 failed, 0 not tried\n")
    assert "t002" not in slugs(ctl) and "new" in slugs(ctl) and len(slugs(ctl)) == 300
    assert ctl("apply", *arguments) == "No changes: 300 unchanged.\n"
    ctl.error("apply", "-f", str(folder), "--prune", code=64)
    assert "--yes applies" in ctl.run("apply", "-f", "-", stdin=fleet(declared("x")), code=64).stderr


def test_roles_and_what_is_left_out(daemon):
    ctl = daemon.over_unix()
    apply(ctl, RICH)
    ctl("role", "create", "rich", "other", "--permission", "a:b")
    ctl("tenant", "update", "rich", "--label", "extra=1")
    kept = declared("rich", displayName="Rich", isolation="hybrid", featureFlags={"beta": False})
    done = apply(ctl, fleet(kept))
    assert {(one["field"], one["from"], one["to"]) for one in done["tenants"][0]["changes"]} == {
        ("displayName", '"Rich & Co: Ünïcode 🎉"', '"Rich"'), ("featureFlags.beta", "true", "false"),
        ("featureFlags.old", "false", None)}
    assert ctl.json("tenant", "get", "rich")["labels"]["extra"] == "1"
    roles = [{"id": "reader", "title": "Readers", "permissions": ["orders:read"]}, {"id": "fresh"}]
    apply(ctl, fleet({**kept, "roles": roles}))
    assert ctl.json("role", "get", "rich", "reader")["title"] == "Readers"
    names = {one["name"].split("/")[-1] for one in ctl.json("role", "list", "rich")["roles"]}
    assert names == {"reader", "fresh", "other", "tenant-admin", "tenant-viewer"}
    pruned = apply(ctl, fleet({**kept, "roles": roles}), "--prune", "--selector", "slug = rich")
    assert [one["field"] for one in pruned["tenants"][0]["changes"]] == ["roles.other"]
    assert "ROLE_NOT_FOUND" in ctl.error("role", "get", "rich", "other")


# MARK: What goes wrong

def test_all_that_is_wrong_with_files(daemon, place):
    ctl = daemon.over_unix()
    file = place / "fleet.yaml"
    file.write_text("""\
apiVersion: tenancy/v1
kind: Tenant
slug: one
displayName: 7
colour: red
isolation: solitary
labels: [a]
settings:
  sure: yes
  hex: 0x1F
featureFlags: {beta: on}
limits:
- {requests: many, period: fortnight}
region:
roles:
- id: Reader
  permissions: [nothing]
---
apiVersion: tenancy/v2
kind: Tenant
displayName: Two
---
{apiVersion: tenancy/v1, kind: Tenant, slug: one}
""")
    said = ctl.error("apply", "-f", str(file), "--yes")
    for line, words in ((5, "colour: there is no such member"), (6, "isolation: one of database, schema"),
                        (7, "labels: a mapping"), (9, "settings.sure: 'yes' is a text to some"),
                        (10, "settings.hex: '0x1F'"), (11, "featureFlags.beta: true or false"),
                        (13, "limits[0].requests: a whole number"), (13, "limits[0].period: one of second"),
                        (14, "region: a text is expected"), (16, "roles[0].id: 1 to 63"),
                        (17, "roles[0].permissions[0]: 'nothing' is not"), (19, "apiVersion: 'tenancy/v1' is expected"),
                        (19, "slug: every tenant has one"), (23, "slug: 'one' is declared in")):
        assert f"{file}:{line}: {words}" in said, (line, words, said)
    for text, words in (("a: [1\nb: 2\n", ": not YAML"), ("{a: 1, a: 2}", "stdin:1: the same member twice: 'a'"),
                        ("&a [1]", "stdin:1: a mapping"), ("a: &x 1\nslug: *x\n", "tags and anchors"),
                        ("slug: !!binary aGk=", "stdin:1: slug: tags and anchors"), ("[" * 2000, "not YAML"),
                        ("", "it declares no tenant"), ("slug: \x01", "stdin:1: not YAML")):
        assert words in ctl.error("apply", "-f", "-", stdin=text), text
    file.write_bytes(b"slug: \xff\n")
    assert "not UTF-8" in ctl.error("apply", "-f", str(file))
    assert "has no .yaml" in ctl.error("apply", "-f", str(daemon.pki))
    assert "cannot read" in ctl.error("apply", "-f", str(place / "none"))
    assert slugs(ctl) == []


def test_what_the_server_refuses_is_shown_before_anything_is_written(daemon):
    ctl = daemon.over_unix()
    text = fleet(declared("good"), declared("bad", labels={"x y": "1"}, settings={"a": 1}),
                 declared("nameless", displayName=""))
    shown = ctl("apply", "-f", "-", "--yes", stdin=text, code=1)
    assert "+ good (stdin:2)\n" in shown and "! bad (stdin:4)\n" in shown and "INVALID_ARGUMENT" in shown
    assert "stdin:4: labels" in shown and "stdin:6: displayName: " in shown
    assert "1 to create, 0 to change, 0 to delete, 0 unchanged, 2 refused" in shown
    assert slugs(ctl) == []
    assert ctl("apply", "-f", "-", "--plan", stdin=text, code=1) == shown
    done = apply(ctl, text, "--keep-going", code=1)
    assert done["summary"]["create"] == 1 and done["summary"]["refused"] == 2
    assert {one["slug"]: one["outcome"] for one in done["tenants"]}["good"] == "DONE"
    assert slugs(ctl) == ["good"]
    # Nothing is deleted where something is refused.
    done = apply(ctl, fleet(declared("bad", labels={"x y": "1"})), "--keep-going", "--prune", "--selector",
                 "state = PENDING", code=1)
    assert {one["slug"]: one["outcome"] for one in done["tenants"]} == {"bad": "PLANNED", "good": "NOT_TRIED"}
    assert slugs(ctl) == ["good"]
    # Nor are roles of others.
    role = {"id": "reader", "permissions": ["a:b"]}
    apply(ctl, fleet(declared("good", roles=[role, {"id": "other"}])))
    wanted = fleet(declared("good", displayName="Better", roles=[role]), declared("bad", labels={"x y": "1"}))
    done = apply(ctl, wanted, "--keep-going", "--prune", "--selector", "state = PENDING", code=1)
    assert {one["slug"]: one["outcome"] for one in done["tenants"]} == {"bad": "PLANNED", "good": "DONE"}
    assert [one["slug"] for one in done["tenants"] if one.get("deletionsNotTried")] == ["good"]
    assert ctl.json("tenant", "get", "good")["displayName"] == "Better"
    assert ctl.json("role", "get", "good", "other")["name"].endswith("/other")
    ctl.run("tenant", "update", "good", "--slug", "better")
    done = apply(ctl, fleet(declared("good")), "--prune", "--selector", "state = PENDING", code=1)
    assert [one["refusals"][0]["message"] for one in done["tenants"]] == [
        "it was renamed: the file has to call it better"]
    assert slugs(ctl) == ["better"]


def test_a_tenant_that_moves_after_the_plan(daemon, place):
    ctl = daemon.over_unix()
    names = [f"t{number:03}" for number in range(120)]
    apply(ctl, fleet(*map(declared, names)), "--parallel", "8")
    file = place / "fleet.yaml"
    file.write_text(fleet(*(declared(name, labels={"a": "b"}) for name in names)))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [binary("TENANTCTL"), "apply", "-f", str(file), "--keep-going"], stdin=theirs, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env=ctl.environment)
    try:
        asked = process.stderr.read(len("Apply this? [y/N] "))
        assert asked == "Apply this? [y/N] "
        ctl("tenant", "update", "t007", "--display-name", "Moved")
        os.write(ours, b"y\n")
        out, said = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        os.close(ours)
        os.close(theirs)
    assert process.returncode == 1, said
    assert "! t007 (" in out and "ABORTED (ETAG_MISMATCH)" in out
    assert out.endswith("0 created, 119 changed, 0 deleted, 0 unchanged, 1 failed, 0 not tried\n")
    assert "labels" not in ctl.json("tenant", "get", "t007")
    assert len(slugs(ctl, "--filter", "labels.a = b")) == 119


def test_killed_in_the_middle_and_applied_again(daemon, place):
    ctl = daemon.over_unix()
    file = place / "fleet.yaml"
    file.write_text(fleet(*(declared(f"t{number:03}", roles=[{"id": "reader", "permissions": ["a:b"]}])
                            for number in range(300))))
    process = subprocess.Popen(
        [binary("TENANTCTL"), "apply", "-f", str(file), "--yes", "--parallel", "2"], stdout=subprocess.DEVNULL,
        env=ctl.environment)
    eventually(lambda: len(slugs(ctl)) > 20, "some are made", PATIENCE)
    process.send_signal(signal.SIGKILL)
    assert process.wait(PATIENCE) == -signal.SIGKILL
    made = len(slugs(ctl))
    assert made < 300
    done = ctl.json("apply", "-f", str(file), "--yes", "--parallel", "8")["summary"]
    assert done["create"] == 300 - made and done["refused"] == 0
    assert len(slugs(ctl)) == 300
    assert ctl("apply", "-f", str(file), "--parallel", "8") == "No changes: 300 unchanged.\n"
    assert len(ctl.json("role", "list", "t299")["roles"]) == 3


def test_a_server_that_stops_meanwhile(place):
    with Daemon(place / "dev") as running:
        stops_meanwhile(running, place)


def stops_meanwhile(daemon, place):
    ctl = daemon.over_unix()
    file = place / "fleet.yaml"
    file.write_text(fleet(*(declared(f"t{number:03}") for number in range(300))))
    process = subprocess.Popen(
        [binary("TENANTCTL"), "apply", "-f", str(file), "--yes", "--parallel", "2", "--keep-going"],
        stdout=subprocess.PIPE, text=True, env=ctl.environment)
    eventually(lambda: len(slugs(ctl)) > 20, "some are made", PATIENCE)
    began = time.monotonic()
    daemon.process.kill()
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1 and time.monotonic() - began < 20
    assert "UNAVAILABLE" in out and " not tried\n" in out
    assert ctl.run("apply", "-f", str(file), "--plan", code=2).stdout == ""


# MARK: Who

def test_a_tenants_own_admin(daemon):
    ctl = daemon.over_unix()
    for slug in ("acme", "globex"):
        make_active(ctl, slug)
    ctl("role", "assign", "acme", "spiffe://dev.tenancy.internal/tenant/acme/dev", "tenant-admin")
    own = daemon.over_tls("acme.dev")
    text = own("tenant", "export", "--all")
    assert text.count("---\n") == 1 and "globex" not in text
    assert own("apply", "-f", "-", stdin=text) == "No changes: 1 unchanged.\n"
    wanted = [declared(slug, displayName="Mine", settings={"a": 1}) for slug in ("acme", "globex", "nobody")]
    before = ctl.json("tenant", "get", "globex")
    done = apply(own, fleet(*wanted), code=1)
    assert done["summary"]["applied"] is False
    done = apply(own, fleet(*wanted), "--keep-going", code=1)
    acme, globex, nobody = done["tenants"]
    assert acme["outcome"] == "DONE" and ctl.json("tenant", "get", "acme")["displayName"] == "Mine"
    # One that there is and one that there is not look alike.
    for one, slug in ((globex, "globex"), (nobody, "nobody")):
        assert one["refusals"][0]["reason"] == "TENANT_MISMATCH" and "name" not in one
        del one["slug"], one["line"]
    assert globex == nobody
    assert ctl.json("tenant", "get", "globex") == before
    # What is the platform's stays the platform's.
    for members in ({"labels": {"a": "b"}}, {"annotations": {"a": "b"}}, {"isolation": "hybrid"}, {"plan": "gold"},
                    {"region": "eu"}, {"tenantIdentifier": "x"}):
        done = apply(own, fleet(declared("acme", **{"displayName": "Mine", **members})), code=1)
        assert done["tenants"][0]["refusals"][0]["code"] == "PERMISSION_DENIED", members
    done = apply(own, fleet(wanted[0]), "--prune", "--selector", "slug = globex")
    assert done["summary"]["delete"] == 0
    done = apply(own, fleet(declared("fresh")), code=1)
    assert done["tenants"][0]["refusals"][0]["code"] == "PERMISSION_DENIED"
