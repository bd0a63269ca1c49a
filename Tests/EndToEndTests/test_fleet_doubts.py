"""What is in the way of fleet files: what can't be read, what tenants have written, and what changes meanwhile."""

import os
import pty
import subprocess

import pytest
from test_fleet import apply, declared, fleet, slugs
from tenantctl_process import PATIENCE, binary, daemon, make_active, place


def test_what_is_not_read_is_told(daemon, place):
    """It must not look like tenants that nobody declares."""
    ctl = daemon.over_unix()
    folder = place / "linked"
    folder.mkdir()
    (folder / "a.yaml").write_text(fleet(declared("linked")))
    (place / "elsewhere").mkdir()
    (folder / "more").symlink_to(place / "elsewhere")
    assert "is a link to a folder" in ctl.error("apply", "-f", str(folder), "--plan")
    (folder / "more").unlink()
    (folder / "empty.yaml").write_text("")
    assert "it declares no tenant" in ctl.error("apply", "-f", str(folder), "--plan")


def test_what_a_tenant_writes_steers_no_terminal(daemon):
    ctl = daemon.over_unix()
    slug = make_active(ctl, "steering")
    ctl("tenant", "configure", "steering", "--setting", "\x1b[2K\u202e=1")
    shown = ctl("apply", "-f", "-", "--plan", stdin=fleet(declared("steering", settings={"a": 1})), code=3)
    assert "\x1b" not in shown and "\u202e" not in shown and "u{1b}" in shown, slug


@pytest.mark.parametrize("way", ["unix", "tls"])
def test_dry_runs(daemon, way):
    ctl = daemon.over_unix() if way == "unix" else daemon.over_tls("operator")
    make_active(ctl, "acme")
    ctl("role", "create", "acme", "reader", "--permission", "a:b")
    before = ctl.json("tenant", "get", "acme")
    for line in ("tenant deactivate acme", "tenant delete acme", "tenant hold acme --reason x",
                 "tenant schedule acme --delete 30d", "tenant begin-maintenance acme",
                 "tenant configure acme --flag a=true", "tenant update acme --slug other", "config set acme a=1",
                 "role update acme reader --title x", "role assign acme user:al reader"):
        assert ctl.json(*line.split(), "--dry-run") != before, line
    assert ctl("role", "delete", "acme", "reader", "--dry-run").endswith("reader: not yet, it is a dry run\n")
    assert "ILLEGAL_TRANSITION" in ctl.error("tenant", "activate", "acme", "--dry-run")
    for line in ("token revoke acme --all", "secrets rotate-data-key"):
        assert ctl(*line.split(), "--dry-run").endswith(": not yet, it is a dry run\n"), line
    keys, authorities = ctl.json("keys", "list", "acme"), ctl.json("pki", "authority", "list")
    for line in ("keys rotate acme", "identity entry create --tenant acme --path x --uid 7",
                 "pki authority prepare --kind jwt"):
        assert ctl.json(*line.split(), "--dry-run"), line
    assert (ctl.json("keys", "list", "acme"), ctl.json("pki", "authority", "list")) == (keys, authorities)
    assert ctl.json("identity", "entry", "list") == {}
    assert ctl.json("tenant", "get", "acme") == before
    assert ctl.json("role", "assignments", "acme") == {}
    assert ctl.json("role", "get", "acme", "reader")["permissions"] == ["a:b"]


def test_what_was_pruned_before_another_failed_is_told(daemon, place):
    """Roles that are deleted, one that another has changed since the plan, and a tenant that stays for that."""
    ctl = daemon.over_unix()
    roles = [{"id": "kept", "permissions": ["a:b"]}, {"id": "extra", "permissions": ["a:b"]}]
    apply(ctl, fleet(*(declared(slug, roles=roles) for slug in ("p-one", "p-two", "p-three"))))
    file = place / "fleet.yaml"
    file.write_text(fleet(*(declared(slug, roles=roles[:1]) for slug in ("p-one", "p-two"))))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [binary("TENANTCTL"), "apply", "-f", str(file), "--keep-going", "--prune", "--selector", 'slug = "p-*"'],
        stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ctl.environment)
    try:
        asked = process.stderr.read(len("Apply this? [y/N] "))
        assert asked == "Apply this? [y/N] "
        ctl("role", "update", "p-two", "extra", "--title", "Changed")
        os.write(ours, b"y\n")
        out, said = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        os.close(ours)
        os.close(theirs)
    assert process.returncode == 1, said
    assert "! p-two (" in out and "ABORTED (ETAG_MISMATCH)" in out
    assert out.endswith("0 created, 1 changed, 0 deleted, 0 unchanged, 1 failed, 1 not tried\n")
    assert "ROLE_NOT_FOUND" in ctl.error("role", "get", "p-one", "extra")
    assert {"p-one", "p-two", "p-three"} <= set(slugs(ctl))


def test_what_was_changed_is_told_where_its_deletions_were_not_tried(daemon):
    ctl = daemon.over_unix()
    roles = [{"id": "kept", "permissions": ["a:b"]}, {"id": "extra", "permissions": ["a:b"]}]
    apply(ctl, fleet(*(declared(slug, roles=roles) for slug in ("d-one", "d-two", "d-three"))))
    less = fleet(declared("d-one", roles=roles[:1], labels={"new": "1"}), declared("d-two", roles=roles[:1]),
                 declared("d-three", assignments=[{"subject": "user:al", "role": "nobody"}]))
    flags = ("--keep-going", "--prune", "--selector", 'slug = "d-*"')
    shown = ctl("apply", "-f", "-", "--yes", *flags, stdin=less, code=1)
    assert "! d-one (" in shown and "): changed, but its deletions were not tried\n" in shown
    assert shown.endswith("1 changed, 0 deleted, 0 unchanged, 1 failed, 1 not tried, deletions in 1 not tried\n")
    assert ctl.json("tenant", "get", "d-one")["labels"] == {"new": "1"}
    done = apply(ctl, less.replace('"new": "1"', '"new": "2"'), *flags, code=1)
    told = {one["slug"]: (one["outcome"], one.get("deletionsNotTried", False)) for one in done["tenants"]}
    assert told["d-one"] == ("DONE", True) and told["d-two"] == ("NOT_TRIED", False)
    assert done["summary"]["deletionsNotTried"] == 1
    assert ctl.json("role", "get", "d-one", "extra")["permissions"] == ["a:b"]
