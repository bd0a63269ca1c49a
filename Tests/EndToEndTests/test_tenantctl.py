"""Every command of tenantctl, over every way in, against `tenantd serve --dev`."""

import json
import os
import re
import subprocess
import tempfile
import uuid

import pytest
from support.command_lines import WORKLOAD_MAY, WORKLOAD_MAY_NOT
from support.pki import Authority, signed
from support.tours import other_commands
from support.waiting import eventually
from tenantctl_process import PATIENCE, Daemon, all_commands, binary, daemon, make_active, place

__all__ = ["daemon", "place"]  # Fixtures.


def rows(table):
    """The cells of a table, the header first."""
    return [re.split(r"  +", line) for line in table.splitlines()]


def fields(text):
    return dict(re.split(r": +", line, maxsplit=1) for line in text.splitlines())


def test_the_commands_of_the_guide(daemon):
    """As they stand there, for a shell."""
    commands = re.findall(r"^  tenantctl ((?:.*\\\n)*.*)$", daemon.guide, re.M)
    assert len(commands) == 2
    for command in commands:
        done = subprocess.run(f"{binary('TENANTCTL')} {command}", shell=True, capture_output=True,
                              text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done
        assert "admin" in fields(done.stdout)["Platform roles"]


@pytest.mark.parametrize("way", ["unix", "tls"])
def test_every_command_as_operator(daemon, way):
    ctl = daemon.over_unix() if way == "unix" else daemon.over_tls("operator")
    me = ctl.json("whoami")
    assert me["platformRoles"] == ["admin"]
    assert me["subject"] == (f"uid:{os.getuid()}" if way == "unix" else
                             "spiffe://dev.tenancy.internal/platform/admin")
    tenant_commands(ctl)
    role_commands(ctl)
    audit_commands(ctl, daemon.directory)
    assert ctl("load", *BRIEFLY).startswith("Target: ")
    key = ctl.json("secrets", "rotate-data-key")["dataKey"]
    assert uuid.UUID(hex=key) and key not in ctl("secrets", "rotate-data-key")
    token_commands(ctl)
    envoy = json.loads(ctl("envoy", "config", "--upstream", "127.0.0.1:1", "--tenantd", "unix:/run/socket"))
    assert [one["name"] for one in envoy["static_resources"]["clusters"]] == ["upstream", "tenantd"]
    entry_commands(ctl)
    other_commands(ctl, rows)
    authority_commands(ctl, daemon.directory)
    assert ctl.commands == all_commands()


def token_commands(ctl):
    """test_tenantctl_tokens.py has the rest."""
    former = ctl.json("keys", "rotate", "works")["key"]["id"]
    assert ctl.json("keys", "rotate", "works")["key"]["id"] != former
    assert ctl.json("keys", "remove", "works", former) == {}
    made = ctl.json("token", "issue", "works", "user:alice", "--unbound")
    assert ctl.json("token", "exchange", "--subject-token", "-", stdin=made["token"])["token"]
    assert ctl.json("token", "inspect", "--server", stdin=made["token"])["active"]
    keys = ctl.json("keys", "list", "works")["jsonWebKeySet"]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(keys)
        file.flush()
        assert ctl.json("token", "verify", "--jwks", file.name, "--allow-unbound", stdin=made["token"])
    assert ctl.json("token", "revoke", "works", "--token-id", made["tokenId"])["expireTime"]
    settings = ctl.json("auth", "show", "works")
    assert settings["etag"] == "a0"
    assert ctl.json("auth", "set", "works", "--file", "-", stdin=json.dumps(settings)) == settings


def entry_commands(ctl):
    made = ctl.json("identity", "entry", "create", "--tenant", "works", "--path", "web/frontend", "--uid", "7",
                    "--gid", "8", "--binary", "/usr/bin/web", "--unit", "web.service", "--node", "n1",
                    "--lifetime", "600", "--hint", "internal")
    assert made["selectors"] == {"uid": 7, "gid": 8, "binaryPath": "/usr/bin/web",
                                 "systemdUnit": "web.service", "node": "n1"}
    assert (made["lifetime"], made["hint"], made["path"]) == ("600s", "internal", "web/frontend")
    gateway = ctl.json("identity", "entry", "create", "--platform", "--path", "resolver/envoy", "--uid", "0")
    assert "tenant" not in gateway and gateway["selectors"] == {"uid": 0}
    for name in (made["name"], made["name"].removeprefix("workloadEntries/")):
        assert ctl.json("identity", "entry", "get", name) == made
    for owner, entries in ((["--tenant", "works"], [made]), (["--platform"], [gateway]), ([], [made, gateway])):
        assert ctl.json("identity", "entry", "list", *owner)["entries"] == entries
    table = rows(ctl("identity", "entry", "list"))
    assert table[0] == ["ENTRY", "OWNER", "PATH", "SECONDS", "SELECTORS"]
    assert table[2][1:] == ["platform", "resolver/envoy", "3600", "uid=0"]
    assert ctl("identity", "entry", "delete", gateway["name"]) == f"deleted {gateway['name']}\n"
    assert "WORKLOAD_ENTRY_NOT_FOUND" in ctl.error("identity", "entry", "delete", gateway["name"])
    for wrong in (["--path", "x"], ["--path", "x", "--tenant", "works", "--platform"], ["--tenant", "works"]):
        ctl.error("identity", "entry", "create", *wrong, code=64)


def authority_commands(ctl, directory):
    first = ctl.json("pki", "authority", "prepare", "--name", "first", "--days", "30", "--propagation", "60")
    assert (first["state"], first["propagation"]) == ("STATE_PREPARED", "60s")
    domain = first["trustDomain"]
    short = first["name"].removeprefix("certificateAuthorities/")
    assert "AUTHORITY_NOT_PROPAGATED" in ctl.error("pki", "authority", "activate", short)
    active = ctl.json("pki", "authority", "activate", first["name"], "--force", "--etag", first["etag"])
    assert active["state"] == "STATE_ACTIVE"
    for name in (short, first["name"]):
        assert ctl.json("pki", "authority", "get", name) == active
    assert "BEGIN CERTIFICATE" in ctl("pki", "authority", "get", short)
    asked = ctl.json("pki", "authority", "prepare", "--external", "--trust-domain", domain)
    request = ctl("pki", "authority", "csr", asked["name"])
    assert request == asked["certificateRequest"]
    ctl.error("pki", "authority", "csr", short)
    ctl.error("pki", "authority", "prepare", "--external", "--days", "1", code=64)
    for wrong in (["--external"], ["--days", "1"], ["--name", "x"]):
        ctl.error("pki", "authority", "prepare", "--kind", "jwt", *wrong, code=64)
    root = Authority("company")
    file = directory / "chain.pem"
    file.write_bytes(signed(request, root) + root.pem)
    assert "AUTHORITY_CHAIN_REFUSED" in ctl.error("pki", "authority", "import", asked["name"], "-", stdin="x")
    imported = ctl.json("pki", "authority", "import", asked["name"], str(file))
    assert imported["state"] == "STATE_PREPARED"
    table = rows(ctl("pki", "authority", "list"))
    assert table[0] == ["AUTHORITY", "KIND", "STATE", "TRUST DOMAIN", "EXPIRES", "TRUSTED UNTIL"]
    assert [row[1:4] for row in table[1:]] == [["X509", "ACTIVE", domain], ["X509", "PREPARED", domain]]
    assert ctl.json("pki", "authority", "list")["authorities"] == [active, imported]
    assert "ILLEGAL_TRANSITION" in ctl.error("pki", "authority", "retire", short)
    assert ctl("pki", "authority", "retire", asked["name"]) == f"retired {asked['name']}\n"
    second = ctl.json("pki", "authority", "prepare")
    ctl("pki", "authority", "activate", "--force", second["name"])
    assert ctl("pki", "authority", "retire", short).startswith(f"retiring {first['name']}: in bundles until ")
    assert ctl("pki", "authority", "retire", "--force", "--yes", short) == f"retired {first['name']}\n"
    assert "AUTHORITY_NOT_FOUND" in ctl.error("pki", "authority", "get", short)
    key = ctl.json("pki", "authority", "prepare", "--kind", "jwt")
    assert (key["kind"], key["state"]) == ("KIND_JWT", "STATE_PREPARED")
    assert json.loads(key["publicKey"])["crv"] == "P-256"
    assert '"crv":"P-256"' in ctl("pki", "authority", "get", key["name"])
    assert "signs tokens" in ctl.error("pki", "authority", "csr", key["name"])
    ctl("pki", "authority", "activate", "--force", key["name"])
    assert ["JWT", "ACTIVE"] in [row[1:3] for row in rows(ctl("pki", "authority", "list"))]
    ctl("pki", "authority", "retire", "--force", "--yes", key["name"])


def audit_commands(ctl, directory):
    signed = directory / "data" / "audit-checkpoints.jsonl"
    eventually(signed.exists, "the first checkpoint")
    checkpoints, records = directory / "checkpoints", directory / "records"
    checkpoints.write_text(signed.read_text())
    listed = ctl.json("audit", "list", "--all")["records"]
    assert any("heads" in record for record in listed)
    assert rows(ctl("audit", "list", "--all"))[0][:4] == ["RECORD", "TIME", "DECISION", "ACTION"]
    records.write_text(ctl("audit", "export", "--all"))
    assert records.read_text().count('{"chain":"platform"') >= len(listed)  # Some are written a moment later.
    arguments = ["audit", "verify", str(records), "--checkpoints", str(checkpoints),
                 "--public-key", str(directory / "audit.pub")]
    assert re.fullmatch(r"verified: \d+ records in \d+ chains\n", ctl(*arguments))
    records.write_text(records.read_text().replace('"sequence":2,', '"sequence":3,', 1))
    assert "record 2 of chain platform" in ctl.error(*arguments) or "record 2 is missing" in (
        ctl.error(*arguments))
    assert "usage" in ctl.error("audit", "export", "acme", "--all", code=64).lower()


def tenant_commands(ctl):
    made = ctl.json(
        "tenant", "create", "--display-name", "Vault", "--slug", "vault", "--isolation", "database",
        "--connection-string", "postgres://db/vault", "--username", "vault", "--password-file", "-",
        "--setting", 'limits={"seats": 25}', "--setting", "mail=a@b.example", "--flag", "beta=true",
        stdin="s3cret\n")
    assert made["state"] == "TENANT_STATE_PENDING"
    assert made["configuration"] == {
        "database": {"connectionString": "postgres://db/vault", "username": "vault",
                     "passwordSet": True},
        "customSettings": {"limits": {"seats": 25}, "mail": "a@b.example"},
        "featureFlags": {"beta": True}}
    for name in (made["id"], "vault", made["name"], "tenants/vault"):
        assert ctl.json("tenant", "get", name) == made
    assert ctl.json("validate", "vault", code=3)["reason"] == "TENANT_NOT_PROVISIONED"

    updated = ctl.json("tenant", "update", "vault", "--display-name", "The Vault", "--isolation",
                       "hybrid", "--etag", made["etag"])
    assert updated["displayName"] == "The Vault"
    assert updated["isolationModel"] == "ISOLATION_MODEL_HYBRID"
    configured = ctl.json("tenant", "configure", "vault", "--setting", "mail=c@d.example",
                          "--unset-setting", "limits", "--flag", "new=false", "--unset-flag",
                          "beta", "--schema-name", "vault_1")["configuration"]
    assert configured == {"schema": {"schemaName": "vault_1"},
                          "shared": {"tenantIdentifier": made["id"]},
                          "customSettings": {"mail": "c@d.example"}, "featureFlags": {"new": False}}

    for command, state in (("provision", "ACTIVE"), ("deactivate", "SUSPENDED"),
                           ("activate", "ACTIVE"), ("deactivate", "SUSPENDED"),
                           ("deprovision", "PENDING"), ("provision", "ACTIVE")):
        assert ctl.json("tenant", command, "vault")["state"] == f"TENANT_STATE_{state}"
    assert ctl.json("validate", "vault") == {"valid": True, "state": "TENANT_STATE_ACTIVE"}

    found = ctl.json("resolve", "--path", "/tenants/vault/x", "--host", "vault.example.com",
                     "--header", f"X-Tenant-Id={made['id']}", "--env", "TENANT_ID=vault")
    assert found["tenant"]["schemaName"] == "vault_1"
    assert found["strategy"] == "RESOLUTION_STRATEGY_ENVIRONMENT"
    assert [one["value"] for one in found["explanation"]] == ["vault", "vault", "vault", made["id"]]
    explained = ctl.json("resolve", "--explain", "--path", "/tenants/vault/x")
    assert explained["verdict"]["tenant"] == found["tenant"]
    assert explained["verdict"]["rule"] == "RESOLUTION_RULE_AGREEMENT"
    assert {one["strategy"]: one["statement"] for one in explained["findings"]}.items() >= {
        "RESOLUTION_STRATEGY_PATH": "SOURCE_STATEMENT_NAMED",
        "RESOLUTION_STRATEGY_HEADER": "SOURCE_STATEMENT_NOT_GIVEN"}.items()
    assert "TOKEN_MALFORMED" in ctl.error("resolve", "--token-file", "-", stdin="token\n")
    assert "TENANT_UNRESOLVED" in ctl.error("default-tenant")

    renamed = json.loads(ctl.run(
        "tenant", "update", "vault", "--slug", "vault-two", "--output", "json").stdout)
    assert [one["slug"] for one in renamed["formerSlugs"]] == ["vault"]
    assert "vault (used " in ctl("tenant", "get", "vault")
    used = {one["quota"]: one for one in ctl.json("tenant", "usage", "vault")["quotas"]}
    assert used["assignments"]["limit"] == "100000" and "used" not in used["assignments"]
    assert "COMES BACK" in ctl("tenant", "usage", "vault")
    assert "formerSlugs" not in ctl.json("tenant", "retire-slug", "vault-two", "vault")
    away = ctl.json("tenant", "begin-maintenance", "vault-two", "--expected-end", "2h", "--reason", "disks")
    assert away["state"] == "TENANT_STATE_MAINTENANCE" and away["stateReason"] == "disks"
    assert "Back about" in ctl("tenant", "get", "vault-two")
    assert ctl.json("tenant", "end-maintenance", "vault-two")["state"] == "TENANT_STATE_ACTIVE"
    planned = ctl.json("tenant", "schedule", "vault-two", "--trial-end", "30d", "--delete", "2099-01-02T03:04:05Z")
    assert planned["schedule"]["deleteTime"] == "2099-01-02T03:04:05Z"
    kept = ctl.json("tenant", "schedule", "vault-two", "--unset", "trial-end")["schedule"]
    assert kept == {"deleteTime": "2099-01-02T03:04:05Z"}
    assert "nothing to change" in ctl.error("tenant", "schedule", "vault-two", code=64)
    assert ctl.json("tenant", "hold", "vault-two", "--reason", "case 7")["legalHold"]["reason"] == "case 7"
    assert "case 7 (since " in ctl("tenant", "get", "vault-two")
    assert ctl.json("tenant", "delete", "vault-two")["state"] == "TENANT_STATE_DELETED"
    assert "LEGAL_HOLD" in ctl.error("tenant", "purge", "vault-two", "--ignore-retention")
    assert "legalHold" not in ctl.json("tenant", "release-hold", "vault-two")
    assert "RETENTION_NOT_OVER" in ctl.error("tenant", "purge", "vault-two")
    assert ctl.json("tenant", "undelete", "vault-two")["state"] == "TENANT_STATE_SUSPENDED"
    ctl("tenant", "delete", "vault-two")
    assert ctl.json("tenant", "list") == {}
    assert [one["id"] for one in ctl.json("tenant", "list", "--show-deleted")["tenants"]] == [
        made["id"]]
    purged = ctl.json("tenant", "purge", "vault-two", "--ignore-retention")
    assert purged["state"] == "TENANT_STATE_PURGED" and purged["displayName"] == "vault-two"
    assert ctl.json("tenant", "list", "--show-deleted") == {}


def role_commands(ctl):
    name = make_active(ctl, "works")["name"]
    role = ctl.json("role", "create", "works", "engineer", "--title", "Engineer", "--permission",
                    "equipment:write", "--permission", "equipment:read")
    assert role["name"] == f"{name}/roles/engineer"
    assert role["permissions"] == ["equipment:read", "equipment:write"]
    assert ctl.json("role", "get", "works", "engineer") == role
    assert ctl.json("role", "update", "works", "engineer", "--title", "Engineers", "--etag",
                    role["etag"])["title"] == "Engineers"
    assert "reports:*" in ctl.json("role", "add-permission", "works", "engineer", "reports:*")["permissions"]
    assert ctl.json("role", "remove-permission", "works", "engineer",
                    "equipment:write")["permissions"] == ["equipment:read", "reports:*"]

    given = ctl.json("role", "assign", "works", "user:alice", "engineer", "--expires-in", "8h")
    assert given["subject"] == "user:alice" and given["expireTime"] > given["createTime"]
    assert ctl.json("role", "assignments", "works", "--subject", "user:alice") == {
        "assignments": [given]}
    allowed = ctl.json("check", "works", "user:alice", "reports:print")
    assert allowed["allowed"] and allowed["role"] == "engineer"
    denied = ctl.json("check", "works", "user:alice", "equipment:write", code=3)
    assert denied["reason"] == "DECISION_REASON_NO_GRANT" and "allowed" not in denied
    batch = "# who may read\nuser:bob equipment:read\n\nuser:alice equipment:read\n"
    answers = ctl.json("check", "works", "--batch", "-", code=3, stdin=batch)["results"]
    assert [one.get("allowed", False) for one in answers] == [False, True]

    assert "ROLE_IN_USE" in ctl.error("role", "delete", "works", "engineer")
    assert ctl.json("role", "unassign", "works", "--subject", "user:alice", "--role",
                    "engineer") == {}
    assert "does not have the role" in ctl.error(
        "role", "unassign", "works", "--subject", "user:alice", "--role", "engineer")
    assert ctl("role", "delete", "works", "engineer") == "deleted tenants/works/roles/engineer\n"
    assert [one["name"] for one in ctl.json("role", "list", "works")["roles"]] == [
        f"{name}/roles/tenant-admin", f"{name}/roles/tenant-viewer"]


BRIEFLY = ["--duration", "0.2", "--warmup", "0"]
def test_every_command_as_workload(daemon):
    acme, _ = (make_active(daemon.over_unix(), slug) for slug in ("acme", "globex"))
    daemon.over_unix()("group", "create", "acme", "eng")
    ctl = daemon.over_tls("acme.dev")
    for line, *code in WORKLOAD_MAY:
        ctl(*line.split(), code=code[0] if code else 0, stdin="x.y.z")
    for line in WORKLOAD_MAY_NOT:
        text = ctl.error(*line.split(), stdin="{}")
        assert "PERMISSION_DENIED (PERMISSION_MISSING)" in text, line
        assert "hint: `tenantctl whoami`" in text
    assert "TENANT_UNRESOLVED" in ctl.error("default-tenant")
    # Which needs no server, or a file: `test_fleet`, `test_policy_files`.
    apart = {"audit verify", "envoy config", "token verify", "apply", "tenant import", "tenant batch-create"}
    assert ctl.commands == all_commands() - apart - {"policy diff", "policy plan", "policy apply"}
    me = ctl.json("whoami")
    assert me["tenant"] == acme["name"] and me["tenantSlug"] == "acme"
    assert me["subject"] == "spiffe://dev.tenancy.internal/tenant/acme/dev"
    assert [one["slug"] for one in ctl.json("tenant", "list")["tenants"]] == ["acme"]
    for line in ("tenant get {}", "tenant usage {}", "role list {}", "check {} user:alice a:b", "validate {}",
                 "resolve --path /tenants/{}/x"):
        globex = ctl.error(*line.format("globex").split())
        assert "PERMISSION_DENIED (TENANT_MISMATCH)" in globex
        assert ctl.error(*line.format("nobody").split()) == globex


def test_tables(daemon):
    ctl = daemon.over_unix()
    acme = make_active(ctl, "acme")
    created = acme["createTime"][:19] + "Z"
    assert rows(ctl("tenant", "list")) == [
        ["SLUG", "STATE", "ISOLATION", "CREATED", "ID", "DISPLAY NAME"],
        ["acme", "ACTIVE", "SHARED", created, acme["id"], "Acme"]]
    shown = fields(ctl("tenant", "get", "acme"))
    assert shown.items() >= {
        "Name": acme["name"], "Slug": "acme", "Display name": "Acme", "State": "ACTIVE",
        "Isolation": "SHARED", "Epoch": "3", "Tenant column": acme["id"]}.items()
    assert fields(ctl("resolve", "--host", "acme.example.com")).items() >= {
        "Tenant": f"acme ({acme['name']})", "Decided by": "SUBDOMAIN",
        "Explanation": "SUBDOMAIN  acme  <- decided"}.items()
    explained = ctl("resolve", "--explain", "--path", "/tenants/acme", "--env", "TENANT_ID=nobody", code=3)
    assert fields(explained.split("\n\n")[0]).items() >= {
        "Resolves to": "no tenant", "Rule": "PIN_CONFLICT", "Status": "FAILED_PRECONDITION",
        "Reason": "ENVIRONMENT_PIN_CONFLICT"}.items()
    assert "ENVIRONMENT  named something else  nobody  -" in explained
    assert fields(ctl("validate", "nobody", code=3)) == {
        "Valid": "no", "Reason": "TENANT_NOT_FOUND"}
    ctl("role", "create", "acme", "guard", "--title", "Guard", "--permission", "doors:open")
    assert rows(ctl("role", "list", "acme"))[:2] == [
        ["ROLE", "PERMISSIONS", "DENIED", "PARENTS", "EXCLUDES", "BUILT IN", "TITLE"],
        ["guard", "1", "-", "-", "-", "-", "Guard"]]
    given = fields(ctl("role", "assign", "acme", "user:dave", "guard"))
    assert rows(ctl("role", "assignments", "acme")) == [
        ["ASSIGNMENT", "ROLE", "EXPIRES", "SUBJECT", "RESOURCE", "CONDITION"],
        [given["Name"].split("/")[-1], "guard", "-", "user:dave", "-", "-"]]
    assert ctl("check", "acme", "user:dave", "doors:open") == "allowed: by the role guard\n"
    assert ctl("check", "acme", "user:dave", "doors:shut", code=3) == (
        "denied: no role of the subject grants it\n")
    assert rows(ctl("check", "acme", "--batch", "-", stdin="user:dave doors:open")) == [
        ["ANSWER", "PERMISSION", "SUBJECT", "WHY"],
        ["allowed", "doors:open", "user:dave", "by the role guard"]]
    assert fields(daemon.over_tls("acme.dev")("whoami"))["Tenant"] == f"acme ({acme['name']})"


def test_lists_page_by_page(daemon):
    ctl = daemon.over_unix()
    slugs = [f"t{number}" for number in range(5)]
    for slug in slugs:
        make_active(ctl, slug)
    first = ctl.json("tenant", "list", "--page-size", "2")
    assert [one["slug"] for one in first["tenants"]] == slugs[:2]
    token = first["nextPageToken"]
    assert f"--page-token {token}" in ctl("tenant", "list", "--page-size", "2").splitlines()[-1]
    second = ctl.json("tenant", "list", "--page-size", "2", "--page-token", token)
    assert [one["slug"] for one in second["tenants"]] == slugs[2:4]
    everything = ctl.json("tenant", "list", "--page-size", "2", "--all")
    assert [one["slug"] for one in everything["tenants"]] == slugs
    assert "nextPageToken" not in everything
    assert [one["slug"] for one in ctl.json(
        "tenant", "list", "--filter", 'slug != "t1" AND state = ACTIVE', "--page-size", "1",
        "--all")["tenants"]] == ["t0", "t2", "t3", "t4"]
    for number in range(3):
        ctl("role", "assign", "t0", f"user:{number}", "tenant-viewer")
    assert len(ctl.json("role", "assignments", "t0", "--page-size", "1", "--all")[
        "assignments"]) == 3
    assert len(ctl.json("role", "list", "t0", "--page-size", "1", "--all")["roles"]) == 2


def test_refusals_say_what_helps(daemon):
    ctl = daemon.over_unix()
    make_active(ctl, "acme")
    assert ctl.error("tenant", "get", "nobody") == (
        "tenantctl: NOT_FOUND (TENANT_NOT_FOUND): there is no such tenant\n")
    slug = ctl.error("tenant", "create", "--display-name", "A", "--slug", "Not A Slug",
                     "--isolation", "shared")
    assert slug.startswith("tenantctl: INVALID_ARGUMENT (INVALID_FIELD)")
    assert re.search(r"^  tenant\.slug: .*DNS label", slug, re.MULTILINE)
    batch = ctl.error("check", "acme", "--batch", "-", stdin="user:a a:b\nuser:a a:*\n")
    assert re.search(r"^  items\[1\]\.permission: ", batch, re.MULTILINE)
    assert "FAILED_PRECONDITION (ILLEGAL_TRANSITION)" in ctl.error("tenant", "deprovision", "acme")
    stale = ctl.error("tenant", "update", "acme", "--display-name", "A", "--etag", "v1")
    assert "ABORTED (ETAG_MISMATCH)" in stale and "hint: somebody was faster" in stale


def test_a_second_start_keeps_everything(place):
    with Daemon(place / "dev") as first:
        acme = make_active(first.over_unix(), "acme")
        files = {path.name: path.read_bytes() for path in first.pki.iterdir()}
        assert len(files) == 10
        assert first.stop() == 0
    assert not (first.directory / "tenantd.sock").exists()
    gone = first.over_unix().error("tenant", "get", "acme", code=2)
    assert "is a server listening on" in gone

    with Daemon(place / "dev") as second:
        assert {path.name: path.read_bytes() for path in second.pki.iterdir()} == files
        assert second.over_unix().json("tenant", "get", "acme") == acme
        assert second.over_tls("acme.dev").json("tenant", "get", "acme") == acme
        assert second.stop() == 0
