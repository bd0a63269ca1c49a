"""Parts of the tour through the commands of `tenantctl` that `test_tenantctl` makes."""


def other_commands(ctl, rows):
    domain_commands(ctl, rows)
    setting_commands(ctl, rows)


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


def setting_commands(ctl, rows):
    made = ctl.json("setting", "create", "max_users", "--type", "integer", "--default", "5", "--minimum", "1",
                    "--maximum", "100", "--editor", "tenant", "--since", "2.1", "--description", "Seats")
    assert (made["name"], made["type"]) == ("settingDefinitions/max_users", "SETTING_TYPE_INTEGER")
    assert (made["defaultValue"], made["minimum"], made["maximum"]) == (5, 1, 100)
    for name in ("max_users", made["name"]):
        assert ctl.json("setting", "get", name) == made
    assert "must be at most 100" in ctl.error("tenant", "configure", "works", "--setting", "max_users=101")
    ctl.json("tenant", "configure", "works", "--setting", "max_users=80")
    found = ctl.json("setting", "conflicts", "max_users", "--type", "integer", "--maximum", "50")["conflicts"]
    assert [one["description"] for one in found] == ["must be at most 50"]
    changed = ctl.json("setting", "update", "max_users", "--maximum", "50", "--unset", "minimum")
    assert changed["maximum"] == 50 and "minimum" not in changed
    assert ctl.json("setting", "conflicts", "max_users")["conflicts"] == found
    table = rows(ctl("setting", "conflicts", "max_users"))
    assert table[0] == ["TENANT", "PROBLEM"] and len(table) == 2
    ctl.json("setting", "create", "color", "--type", "string", "--allow", "red", "--allow", "blue")
    assert [one["name"] for one in ctl.json("setting", "list")["settingDefinitions"]] == [
        "settingDefinitions/color", "settingDefinitions/max_users"]
    table = rows(ctl("setting", "list"))
    assert table[0] == ["SETTING", "TYPE", "DEFAULT", "EDITOR", "SINCE"]
    assert table[2] == ["max_users", "INTEGER", "5", "TENANT", "2.1"]
    assert "ETAG_MISMATCH" in ctl.error("setting", "delete", "max_users", "--etag", made["etag"])
    assert ctl("setting", "delete", "max_users") == "deleted settingDefinitions/max_users\n"
    assert "SETTING_DEFINITION_NOT_FOUND" in ctl.error("setting", "get", "max_users")
    ctl.error("setting", "update", "color", code=64)
    ctl.error("setting", "update", "color", "--allow", "x", "--unset", "allowed_values", code=64)
    ctl.error("setting", "conflicts", "color", "--maximum", "1", code=64)
