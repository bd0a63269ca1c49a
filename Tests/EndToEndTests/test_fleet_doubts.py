"""What is in the way of fleet files: what can't be read, and what tenants have written."""

from test_fleet import declared, fleet
from tenantctl_process import daemon, make_active, place


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
