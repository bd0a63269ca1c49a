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


def slugs(ctl, *arguments):
    return [one["slug"] for one in ctl.json("tenant", "list", "--all", "--page-size", "2", *arguments).get("tenants", [])]


def test_filters_and_orders(daemon):
    ctl = daemon.over_unix()
    for slug, region, flag in (("delta", "eu", "true"), ("alpha", "us", "false"), ("charlie", "eu", "false"),
                               ("bravo", "ap", "true")):
        create(ctl, slug, "--label", f"region={region}", "--flag", f"beta={flag}", "--setting", f"seats={len(slug)}")
    ctl("tenant", "update", "delta", "--display-name", "Aa")
    made = ["delta", "alpha", "charlie", "bravo"]
    assert slugs(ctl) == slugs(ctl, "--order-by", "create_time") == made
    assert slugs(ctl, "--order-by", "create_time desc") == made[::-1]
    assert slugs(ctl, "--order-by", "slug") == sorted(made)
    assert slugs(ctl, "--order-by", "slug desc") == sorted(made)[::-1]
    assert slugs(ctl, "--order-by", "display_name") == ["delta", "alpha", "bravo", "charlie"]
    assert slugs(ctl, "--order-by", "update_time desc") == ["delta", "bravo", "charlie", "alpha"]
    for asked, found in (
            ("labels.region = eu", "delta charlie"), ("labels.region = (eu OR us) -slug = delta", "alpha charlie"),
            ("feature_flags.beta = true OR slug = alpha AND custom_settings.seats > 4", "delta alpha bravo"),
            ("custom_settings.seats > 5", "charlie"), ("NOT labels:region", ""), ('slug = "b*"', "bravo"),
            ('create_time > "2020-01-01T00:00:00Z" isolation_model = SHARED', "delta alpha charlie bravo"),
            ("plan = nothing", ""), ("state = PENDING (slug = alpha OR slug = bravo)", "alpha bravo")):
        assert slugs(ctl, "--filter", asked) == found.split(), asked
    assert "INVALID_FILTER" in ctl.error("tenant", "list", "--filter", "slug = acme AND")
    assert "INVALID_FILTER" in ctl.error("tenant", "list", "--order-by", "id")
