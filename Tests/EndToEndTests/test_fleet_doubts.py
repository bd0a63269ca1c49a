"""What is in the way of fleet files: what can't be read, what tenants have written, and what changes meanwhile."""

import os
import pty
import subprocess

from tenantctl_process import PATIENCE, binary, daemon, make_active, place
from test_fleet import apply, declared, fleet, slugs


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
