"""Parts of the tour through the commands of `tenantctl` that `test_tenantctl` makes."""


def domain_commands(ctl, rows):
    """Verifying asks others: that is in `test_tenant_domains`."""
    made = ctl.json("domain", "claim", "works", "Shop.Works.net")
    assert (made["domain"], made["state"]) == ("shop.works.net", "TENANT_DOMAIN_STATE_PENDING")
    for domain in ("shop.works.net", made["name"]):
        assert ctl.json("domain", "get", "works", domain.replace(made["name"].split("/")[1], "works")) == made
    assert made["challenge"]["txtValue"] in ctl("domain", "get", "works", "shop.works.net")
    assert ctl.json("domain", "list", "works")["domains"] == [made]
    table = rows(ctl("domain", "list", "works"))
    assert table[0] == ["DOMAIN", "STATE", "METHOD", "VERIFIED", "EXPIRES"]
    assert table[1][:4] == ["shop.works.net", "pending", "-", "-"]
    assert "DOMAIN_NOT_FOUND" in ctl.error("domain", "verify", "works", "none.works.net", "--method", "http")
    assert ctl("domain", "release", "works", "shop.works.net") == "released tenants/works/domains/shop.works.net\n"
    assert "INVALID_FIELD" in ctl.error("domain", "claim", "works", "localhost")
    ctl.error("domain", "verify", "works", "a.net", "--method", "mail", code=64)


def cluster_commands(ctl):
    """There are none: in `test_clusters` there are."""
    assert len(ctl("cluster", "list").splitlines()) == 1
    assert "CLUSTER_NOT_FOUND" in ctl.error("cluster", "audit", "one", "--repair")
    for command in ("data", "rotate-login", "retire-login"):
        assert "DATA_NOT_IN_CLUSTER" in ctl.error("tenant", command, "works"), command
