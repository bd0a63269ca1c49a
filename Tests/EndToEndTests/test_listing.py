"""Labels and annotations, and what lists of tenants are asked by tenantctl."""

from tenantctl_process import daemon, place

__all__ = ["daemon", "place"]  # Fixtures.


def create(ctl, slug, *arguments):
    return ctl.json("tenant", "create", "--display-name", slug.title(), "--slug", slug, "--isolation", "shared",
                    *arguments)


def test_labels_and_annotations(daemon):
    ctl = daemon.over_unix()
    made = create(ctl, "vault", "--label", "tier=gold")
    assert made["labels"] == {"tier": "gold"}
    labelled = ctl.json("tenant", "update", "vault", "--label", "example.com/team=core", "--label", "region=eu",
                        "--annotation", "note=to be moved")
    assert labelled["labels"] == {"example.com/team": "core", "region": "eu", "tier": "gold"}
    assert labelled["annotations"] == {"note": "to be moved"}
    shown = ctl("tenant", "get", "vault")
    assert "example.com/team=core" in shown and "note=to be moved" in shown
    fewer = ctl.json("tenant", "update", "vault", "--label", "region=us", "--unset-label", "example.com/team",
                     "--unset-annotation", "note")
    assert fewer["labels"] == {"region": "us", "tier": "gold"} and "annotations" not in fewer
    assert "tenant.labels" in ctl.error("tenant", "update", "vault", "--label", "x y=1")
    ctl.error("tenant", "update", "vault", "--label", "a=b", "--unset-label", "a", code=64)
    assert ctl.json("tenant", "get", "vault") == fewer
