"""Parts of the tour through the commands of `tenantctl` that `test_tenantctl` makes."""

import json


def other_commands(ctl, rows):
    domain_commands(ctl, rows)
    group_commands(ctl, rows)
    setting_commands(ctl, rows)
    plan_commands(ctl, rows)
    secret_commands(ctl, rows)
    flag_commands(ctl, rows)
    cluster_commands(ctl)
    operation_commands(ctl, rows)
    usage_commands(ctl)
    fleet_commands(ctl)
    watch_commands(ctl)
    policy_commands(ctl, rows)
    policy_file_commands(ctl)


def policy_file_commands(ctl):
    """test_policy_files.py has the rest."""
    text = ctl("policy", "export", "works")
    for verb in ("diff", "plan", "apply"):
        assert ctl("policy", verb, "-", "--tenant", "works", stdin=text) == "No differences.\n"


def policy_commands(ctl, rows):
    """Roles that deny, inherit and exclude; assignments of some resources and under conditions."""
    ctl("role", "create", "works", "reader", "--permission", "docs:read", "--permission", "docs:list")
    assert "ROLES_EXCLUDED" in ctl.error(
        "role", "create", "works", "chief", "--parent", "reader", "--exclude", "reader")
    made = ctl.json("role", "create", "works", "chief", "--permission", "docs:write", "--deny", "docs:delete",
                    "--parent", "reader", "--parent", "tenant-viewer")
    assert (made["deniedPermissions"], made["parents"]) == (["docs:delete"], ["reader", "tenant-viewer"])
    ctl("role", "create", "works", "clerk", "--exclude", "chief")
    table = rows(ctl("role", "list", "works"))
    assert ["chief", "1", "1", "reader,tenant-viewer", "-", "-", "-"] in table
    assert ["clerk", "0", "-", "-", "chief", "-", "-"] in table
    shown = ctl("role", "get", "works", "chief")
    assert "Denied:" in shown and "Parents:" in shown and "tenant-viewer" in shown
    ctl("role", "assign", "works", "user:al", "chief")
    assert "ROLES_EXCLUDED" in ctl.error("role", "assign", "works", "user:al", "clerk")
    assert ctl("check", "works", "user:al", "docs:delete", code=3) == "denied: the role chief denies it\n"
    assert ctl("check", "works", "user:al", "docs:list") == "allowed: by the role chief\n"
    for one in ("denials", "parents", "permissions"):
        made = ctl.json("role", "update", "works", "chief", f"--unset-{one}")
    assert not {"deniedPermissions", "parents", "permissions"} & set(made)
    made = ctl.json("role", "update", "works", "clerk", "--unset-exclusions", "--parent", "reader", "--deny", "a:b")
    assert (made["parents"], made["deniedPermissions"], "excludedRoles" in made) == (["reader"], ["a:b"], False)
    ctl.error("role", "update", "works", "clerk", "--parent", "reader", "--unset-parents", code=64)

    given = ctl.json("role", "assign", "works", "user:bo", "reader", "--resource", "docs/7/*", "--reason", "audit")
    assert (given["resource"], given["reason"]) == ("docs/7/*", "audit")
    condition = "resource.attributes.owner == subject.id && context.level > 1.0\n"
    ctl("role", "assign", "works", "user:bo", "reader", "--condition-file", "-", stdin=condition)
    [_, *listed] = rows(ctl("role", "assignments", "works", "--subject", "user:bo"))
    assert [one[4:] for one in listed] == [["docs/7/*", "-"], ["-", condition.strip()]]
    check = ("check", "works", "user:bo", "docs:read")
    told = ("--subject-attributes", "{}", "--resource-attributes", '{"owner": "user:bo"}', "--context")
    assert ctl(*check, "--resource", "7/1") == "allowed: by the role reader\n"
    assert ctl(*check, code=3) == ctl(*check, *told, '{"level": 1}', code=3) == (
        "denied: no role of the subject grants it\n")
    assert ctl(*check, *told, '{"level": 2}') == "allowed: by the role reader\n"
    access_commands(ctl, rows, check, condition)
    batch = "user:bo docs:read 7/1\nuser:bo docs:read\n"
    [_, *answers] = rows(ctl("check", "works", "--batch", "-", *told, '{"level": 2}', stdin=batch))
    assert [one[:2] for one in answers] == [["allowed", "docs:read 7/1"], ["allowed", "docs:read"]]
    ctl("check", "works", "--batch", "-", stdin=batch, code=3)
    ctl.error(*check, "--context", "[]", code=64)
    refused = ctl.error("role", "assign", "works", "user:bo", "reader", "--condition", "true\n  && colour == 1")
    assert "INVALID_CONDITION" in refused and "assignment.condition: 2:6: " in refused
    refused = ctl.error("role", "unassign", "works", "--subject", "user:bo", "--role", "reader", code=64)
    assert "has the role 2 times" in refused and given["name"].rpartition("/")[2] in refused
    ctl("role", "unassign", "works", "--subject", "user:bo", "--role", "reader", "--resource", "docs/7/*")
    ctl("role", "unassign", "works", "--subject", "user:bo", "--role", "reader")
    for role in ("clerk", "chief", "reader"):
        ctl("role", "delete", "works", role, "--force")


def access_commands(ctl, rows, check, condition):
    """Why somebody may do something; and lists of who may do what."""
    shown = ctl("explain", *check[1:], "--resource", "7/1").splitlines()
    assert shown[:4] == ["allowed: by the role reader", "├─ allows: applies",
                         "│  ├─ user:bo is assigned reader of docs/7/*", "│  └─ reader allows docs:read"]
    assert any(line.startswith("   └─ if resource.attributes.owner") for line in shown)
    table = rows(ctl("access", "permissions", "works", "user:bo", "--resource", "docs/7/1"))
    assert ["docs:read", "allows", "user:bo as reader", "docs/7/*", "-", "-"] in table
    assert ["docs:read", "allows", "user:bo as reader", "-", "-", condition.strip()] in table
    assert rows(ctl("access", "subjects", "works", "docs:read", "--resource", "7/1"))[1:] == [["user:bo", "reader"]]
    assert [one[0] for one in rows(ctl("access", "resources", "works", "user:bo", "docs:read", "--all"))[1:]] == [
        "docs", "docs/7/*"]
    assert ctl.json("access", "subjects", "works", "docs:read", "--resource", "7/1")["subjects"] == [
        {"subject": "user:bo", "role": "reader"}]
    decision_commands(ctl, rows)


def decision_commands(ctl, rows):
    """What was answered; and what would be."""
    [_, first, *_] = rows(ctl("decision", "list", "works", "--subject", "user:bo", "--denied"))
    assert first[1:5] == ["user:bo", "docs:read", "-", "denied: no role of the subject grants it"]
    line = ctl("decision", "list", "works", "--subject", "user:bo", "--denied", "--follow", "--count", "1")
    assert json.loads(line)["subject"] == "user:bo" and line.count("\n") == 1
    assert ctl("decision", "replay", "works", "--subject", "user:bo", "--permission", "none:none").startswith("QUESTION")
    shown = ctl("decision", "simulate", "works", "--put-role", "writer=docs:write", "--assign", "user:bo=writer",
                "--query", "user:bo=docs:write=7", "--subject", "nobody", code=3)
    assert rows(shown)[1][:3] == ["query 0", "denied: no role of the subject grants it", "allowed: by the role writer"]


def watch_commands(ctl):
    first = json.loads(ctl("tenant", "watch", "-o", "json", "--snapshot", "--filter", "slug = works", "--count", "1"))
    [works] = first["tenants"]
    assert (works["slug"], first["snapshotComplete"]) == ("works", True)
    ctl("tenant", "update", "works", "--display-name", "Watched")
    ctl("tenant", "update", "works", "--display-name", works["displayName"])
    shown = ctl("tenant", "watch", "--from", first["resumeToken"], "--count", "2").splitlines()
    assert [line.split()[1] for line in shown] == ["CHANGE", "CHANGED", "CHANGED"]
    assert all(line.endswith("  works") for line in shown[1:])
    clone = ctl.json("tenant", "clone", "works", "--display-name", "Works 2", "--label", "of=works")
    assert (clone["slug"], clone["state"], clone["labels"]["of"]) == ("works-2", "TENANT_STATE_PENDING", "works")
    revision = json.loads(ctl("tenant", "watch", "--from", first["resumeToken"], "--count", "1", "-o", "json")
                          .splitlines()[-1])["revision"]
    assert ctl.json("tenant", "get", "works", "--at", revision)["displayName"] == "Watched"
    assert ctl.json("tenant", "get", "works")["displayName"] == works["displayName"]
    assert "TENANT_NOT_FOUND" in ctl.error("tenant", "get", "works-2", "--at", revision)
    ctl.error("tenant", "get", "works", "--at", "yesterday", code=64)
    ctl.error("tenant", "watch", "--snapshot", "--from", "x", code=64)
    assert "INVALID_FIELD" in ctl.error("tenant", "watch", "--from", "x")


def usage_commands(ctl):
    assert "DATA" in ctl("top", "--once", "--sort", "calls").splitlines()[1]
    assert "works" in [one.get("slug") for one in ctl.json("top", "--once")["tenants"]]
    assert "Calls:" in ctl("tenant", "usage", "works")


def group_commands(ctl, rows):
    made = ctl.json("group", "create", "works", "eng", "--title", "Engineers", "--description", "All of them")
    assert (made["title"], made["description"]) == ("Engineers", "All of them")
    for group in ("eng", made["name"].replace(made["name"].split("/")[1], "works")):
        assert ctl.json("group", "get", "works", group) == made
    ctl("group", "create", "works", "all")
    assert rows(ctl("group", "list", "works"))[1:] == [["all", "-", "-"], ["eng", "Engineers", "All of them"]]
    assert ctl.json("group", "update", "works", "eng", "--title", "E", "--etag", made["etag"])["title"] == "E"
    assert "ETAG_MISMATCH" in ctl.error("group", "delete", "works", "eng", "--etag", made["etag"])
    ctl.error("group", "update", "works", "eng", code=64)
    ctl("group", "member", "add", "works", "all", "group:eng")
    joined = ctl.json("group", "member", "add", "works", "eng", "user:carol", "--expires-in", "8h")
    assert (joined["group"], joined["member"]) == ("eng", "user:carol") and joined["expireTime"]
    table = rows(ctl("group", "member", "list", "works", "--member", "user:carol"))
    assert table[0] == ["MEMBERSHIP", "GROUP", "EXPIRES", "MEMBER"] and table[1][1::2] == ["eng", "user:carol"]
    assert [one["member"] for one in ctl.json("group", "member", "list", "works", "--group", "all")[
        "groupMembers"]] == ["group:eng"]
    ctl("role", "create", "works", "walker", "--permission", "doors:walk")
    ctl("role", "assign", "works", "group:all", "walker")
    assert ctl("check", "works", "user:carol", "doors:walk") == "allowed: by the role walker\n"
    assert ctl("group", "member", "remove", "works", joined["name"].split("/")[-1]).startswith("deleted ")
    ctl("check", "works", "user:carol", "doors:walk", code=3)
    assert "is not in the group" in ctl.error(
        "group", "member", "remove", "works", "--group", "eng", "--member", "user:carol")
    assert ctl("group", "member", "remove", "works", "--group", "all", "--member", "group:eng").startswith("deleted ")
    ctl.error("group", "member", "remove", "works", code=64)
    assert "GROUP_IN_USE" in ctl.error("group", "delete", "works", "all")
    assert ctl("group", "delete", "works", "all", "--force") == "deleted tenants/works/groups/all\n"
    ctl("group", "delete", "works", "eng")
    ctl("role", "delete", "works", "walker")


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


def operation_commands(ctl, rows):
    made = ctl.json("operation", "get", "works")
    assert (made["kind"], made["state"]) == ("KIND_PROVISION", "STATE_SUCCEEDED")
    assert all(step["state"] == "STATE_DONE" for step in made["steps"]) and made["steps"]
    assert ctl.json("operation", "list", "works")["operations"] == [made]
    assert ctl.json("operation", "get", made["name"]) == made
    table = rows(ctl("operation", "list", "works"))
    assert table[0][:4] == ["OPERATION", "KIND", "STATE", "STEPS"] and table[1][:3] == [made["name"], "PROVISION", "SUCCEEDED"]
    assert len(rows(ctl("operation", "list"))) == 1, "none goes on"
    assert json.loads(ctl("operation", "watch", "works", "-o", "json")) == made
    assert ctl("operation", "watch", "works").splitlines()[-1] == "SUCCEEDED"
    assert "OPERATION_NOT_FOUND" in ctl.error("operation", "get", "tenants/works/operations/999")
    assert "INVALID_FIELD" in ctl.error("operation", "get", "tenants/works/operations/x")
    ctl("tenant", "create", "--display-name", "Watched", "--slug", "watched", "--isolation", "shared")
    shown = ctl("tenant", "provision", "watched", "--watch").splitlines()
    assert any(": PROVISION begun by " in line for line in shown) and "SUCCEEDED" in shown


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


def plan_commands(ctl, rows):
    made = ctl.json("plan", "create", "gold", "--display-name", "Gold", "--setting", "seats=50", "--flag", "beta=true",
                    "--limit", "100/second")
    assert (made["name"], made["settings"], made["featureFlags"]) == ("plans/gold", {"seats": 50}, {"beta": True})
    ctl.json("setting", "create", "seats", "--type", "integer", "--default", "5", "--maximum", "100")
    ctl.json("tenant", "configure", "works", "--plan", "gold")
    assert ctl.json("plan", "get", "gold")["tenants"] == "1"
    changed = ctl.json("plan", "update", "plans/gold", "--setting", "seats=60", "--unset", "feature_flags")
    assert changed["settings"] == {"seats": 60} and "featureFlags" not in changed
    assert [one["name"] for one in ctl.json("plan", "list")["plans"]][-1] == "plans/gold"
    assert rows(ctl("plan", "list"))[0] == ["PLAN", "TENANTS", "SETTINGS", "FLAGS", "LIMITS", "NAME"]
    assert ctl.json("config", "get", "works", "seats")["settings"] == {"seats": 60}
    assert ctl.json("config", "set", "works", "seats=70", "any=[1]")["configuration"]["customSettings"]["any"] == [1]
    table = rows(ctl("config", "explain", "works", "seats"))
    assert table[0] == ["SETTING", "VALUE", "LEVEL", "COUNTS"]
    assert table[1:] == [["seats", "70", "TENANT", "yes"], ["seats", "60", "PLAN", "no"],
                         ["seats", "5", "PLATFORM", "no"]]
    assert "must be at most 100" in ctl.error("config", "set", "works", "seats=101")
    ctl("config", "unset", "works", "seats", "any")
    config_history(ctl, rows)
    assert ["seats", "60"] in rows(ctl("config", "get", "works"))
    assert "PLAN_IN_USE" in ctl.error("plan", "delete", "gold")
    ctl("tenant", "configure", "works", "--unset-limits")
    assert ctl("plan", "delete", "gold") == "deleted plans/gold\n"
    assert "PLAN_NOT_FOUND" in ctl.error("plan", "get", "gold")
    ctl.error("plan", "update", "gold", code=64)


def config_history(ctl, rows):
    """Of `works`, whose seats were 70 and are none of its own now."""
    changes = ctl.json("config", "history", "works", "seats", "--all")["changes"]
    assert [(one.get("oldValue"), one.get("newValue")) for one in changes] == [(70, None), (None, 70)]
    assert {one["action"] for one in changes} == {"tenants.configure"}
    table = rows(ctl("config", "history", "works", "custom_settings.seats", "--page-size", "1"))
    assert table[0] == ["REVISION", "TIME", "ACTOR", "SETTING", "OLD", "NEW"] and len(table) >= 2
    revision = changes[1]["revision"]
    diff = ctl.json("config", "diff", "works", "--from", revision)["differences"]
    assert {one["setting"] for one in diff} == {"custom_settings.any", "custom_settings.seats"}
    assert rows(ctl("config", "diff", "works", "--from", revision, "--to", revision)) == [["SETTING", "OLD", "NEW"]]
    told = ctl.json("config", "revert", "works", "seats", "--to", revision, "--validate-only")
    done = ctl.json("config", "revert", "works", "seats", "--to", revision)
    assert told["changes"] == done["changes"] == [{"setting": "custom_settings.seats", "newValue": 70}]
    table = rows(ctl("config", "revert", "works", "--to", changes[0]["revision"]))
    assert table[1][:2] == ["custom_settings.seats", "70"]
    assert "INVALID_FIELD" in ctl.error("config", "revert", "works", "--to", "999999")
    changes = ctl.json("plan", "history", "gold", "seats")["changes"]
    assert [one["newValue"] for one in changes] == [60, 50]
    assert "PLAN_NOT_FOUND" in ctl.error("plan", "history", "none")


def secret_commands(ctl, rows):
    ctl.json("setting", "create", "api_key", "--type", "string", "--secret")
    made = ctl.json("config", "set", "works", "--secret-file", "api_key=-", stdin="hidden\n")
    [secret] = made["configuration"]["secretSettings"]
    assert secret["setting"] == "api_key" and "hidden" not in str(made)
    assert ctl.json("config", "secret", "works", "api_key") == {"value": "hidden", "secret": secret}
    assert ctl("config", "secret", "works", "api_key", "--bare") == "hidden\n"
    ctl("config", "unset", "works", "--secret", "api_key")
    assert "SECRET_SETTING_NOT_FOUND" in ctl.error("config", "secret", "works", "api_key")
    ctl("setting", "delete", "api_key")


def flag_commands(ctl, rows):
    made = ctl.json("flag", "create", "new_ui", "--rollout", "2550", "--subject", "user:al", "--description", "x")
    assert (made["name"], made["rolloutBasisPoints"], made["salt"]) == ("featureFlags/new_ui", 2550, "new_ui")
    assert "25.50 %" in ctl("flag", "get", "new_ui")
    assert ctl.json("flag", "list")["featureFlags"] == [made]
    assert rows(ctl("flag", "list"))[0] == ["FLAG", "ROLLOUT", "TENANTS", "SUBJECTS", "EDITOR"]
    answer = ctl.json("flag", "evaluate", "works", "new_ui", "none", "--subject", "user:al")["flags"]
    assert answer[0] == {"flag": "new_ui", "enabled": True, "reason": "REASON_LISTED"}
    assert answer[1] == {"flag": "none"}
    assert ctl.json("flag", "update", "new_ui", "--rollout", "10000", "--unset", "subjects").get("subjects") is None
    table = rows(ctl("flag", "evaluate", "works", "new_ui"))
    assert table[0] == ["FLAG", "ON", "REASON", "BUCKET"] and table[1][:3] == ["new_ui", "yes", "ROLLOUT"]
    assert ctl("flag", "delete", "new_ui") == "deleted featureFlags/new_ui\n"
    assert "FEATURE_FLAG_NOT_FOUND" in ctl.error("flag", "get", "new_ui")


def fleet_commands(ctl):
    """`test_fleet` has the rest."""
    declared = ctl("tenant", "export", "works")
    assert "slug: works" in declared.splitlines()
    assert ctl("apply", "-f", "-", stdin=declared) == "No changes: 1 unchanged.\n"
    other = declared.replace("slug: works", "slug: fleet-works")
    planned = ctl.json("tenant", "import", "-f", "-", "--plan", stdin=other, code=3)
    assert [one["action"] for one in planned["tenants"]] == ["CREATE"]
    assert planned["summary"]["applied"] is False
    assert ctl.json("apply", "-f", "-", "--yes", stdin=other)["summary"]["create"] == 1
    assert "TENANT_STATE_DELETED" in ctl("tenant", "delete", "fleet-works", "--output", "json")
    assert [one["slug"] for one in ctl.json("tenant", "batch-get", "works")["tenants"]] == ["works"]
    batch = "---\n{apiVersion: tenancy/v1, kind: Tenant, slug: in-a-batch, displayName: B, isolation: shared}\n"
    assert len(ctl.json("tenant", "batch-create", "-f", "-", stdin=batch)["tenants"]) == 1
