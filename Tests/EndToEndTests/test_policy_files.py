"""A tenant's policy as a file: what a newcomer writes, tests, and compares with a server."""

import json
import pathlib
import re

from tenantctl_process import daemon, make_active, place

__all__ = ["daemon", "place"]  # Fixtures.

ARTICLE = pathlib.Path(__file__).parents[2] / "Sources/Tenancy/Tenancy.docc/PolicyFiles.md"


def example():
    """The policy that the article shows."""
    block = re.search(r"^    apiVersion: tenancy/v1\n(?:    .*\n|\n)+", ARTICLE.read_text(), re.MULTILINE)[0]
    return "".join(line[4:] if line.strip() else "\n" for line in block.splitlines(keepends=True)).rstrip() + "\n"


def test_what_the_article_shows_is_true_without_a_server(daemon, place):
    ctl = daemon.over_unix()
    text = example()
    assert "valid: " in ctl("policy", "validate", "-", stdin=text)
    assert ctl("policy", "test", "-", stdin=text).endswith(" passed, 0 failed\n")
    told = ctl.json("policy", "test", "-", stdin=text)
    assert told["failed"] == 0 and told["passed"] == len(told["tests"]) > 4
    # One that does not hold.
    wrong = text.replace("expect: allowed", "expect: denied", 1)
    assert wrong != text
    said = ctl("policy", "test", "-", stdin=wrong, code=3)
    assert re.match(r"stdin:\d+:\d+: ", said) and "expected: denied" in said and "allowed by the role" in said
    said = ctl.error("policy", "validate", "-", stdin=text.replace("parents:", "parent:"))
    assert re.search(r"stdin:\d+:\d+: roles\[\d\]\.parent: there is no such member; did you mean 'parents'", said)


def test_a_policy_is_exported_and_compared(daemon, place, tmp_path):
    ctl = daemon.over_unix()
    make_active(ctl, "pol")
    assert ctl("policy", "export", "pol") == "---\napiVersion: tenancy/v1\nkind: Policy\n"
    ctl("role", "create", "pol", "reader", "--permission", "docs:read", "--title", "yes")
    ctl("role", "create", "pol", "chief", "--permission", "docs:write", "--parent", "reader")
    ctl("group", "create", "pol", "staff", "--title", "All")
    ctl("group", "create", "pol", "all")
    ctl("group", "member", "add", "pol", "staff", "user:al")
    ctl("group", "member", "add", "pol", "all", "group:staff")
    ctl("role", "assign", "pol", "group:all", "reader", "--resource", "docs/7/*", "--condition", "context.level > 1.0",
        "--reason", "audit")
    text = ctl("policy", "export", "pol")
    assert text == ctl("policy", "export", "pol")
    (tmp_path / "here.yaml").write_text(text)
    here = str(tmp_path / "here.yaml")
    assert ctl("policy", "diff", here, "--tenant", "pol") == "No differences.\n"
    ctl("policy", "validate", here)

    # What the file says is answered as the server answers.
    tests = [{"name": f"{at}", "subject": subject, "permission": permission, "resource": resource,
              "context": {"level": level}, "expect": "allowed"}
             for at, (subject, permission, resource, level) in enumerate(
                 (s, p, r, n) for s in ("user:al", "user:bo") for p in ("docs:read", "docs:write")
                 for r in ("7/x", "8") for n in (1, 2))]
    lines = "".join(f"- {json.dumps(test)}\n" for test in tests)
    offline = ctl.json("policy", "test", "-", stdin=f"{text}tests:\n{lines}", code=3)
    for told, test in zip(offline["tests"], tests, strict=True):
        answer = ctl.json("check", "pol", test["subject"], test["permission"], "--resource", test["resource"],
                          "--context", json.dumps(test["context"]), code=0 if told["passed"] else 3)
        assert told["passed"] == answer.get("allowed", False)
    assert offline["passed"] == 1

    ctl("role", "update", "pol", "reader", "--permission", "docs:list")
    said = ctl("policy", "diff", here, "--tenant", "pol", code=3)
    assert said.splitlines() == ["~ role reader", "    permissions: + docs:read", "    permissions: - docs:list",
                                 "0 to create, 1 to change, 0 to delete"]
    assert ctl.json("policy", "diff", here, "--tenant", "pol", code=3)["summary"]["change"] == 1
    (tmp_path / "there.yaml").write_text(ctl("policy", "export", "pol"))
    assert "docs:list" in ctl("policy", "diff", here, str(tmp_path / "there.yaml"), code=3)
    ctl.error("policy", "diff", here, code=64)


CASBIN = """# Who may do what where.
p, admin, acme, data1, read
p, admin, acme, data1, write, allow
p, admin, acme, data2, write, deny
g, alice, admin, acme
g, admin, base, acme
p, base, acme, data3, *
p, reader, globex, data2, read

g, bob, reader, globex
"""


def test_policies_of_casbin(daemon, place, tmp_path):
    ctl = daemon.over_unix()
    folder = f"{tmp_path}/made/"
    assert ctl("policy", "import", "--casbin", "-", "-o", folder, stdin=CASBIN) == ""
    assert sorted(one.name for one in pathlib.Path(folder).iterdir()) == ["acme.yaml", "globex.yaml"]
    asked = [("alice", "data1:read", True), ("alice", "data1:write", True), ("alice", "data2:write", False),
             ("alice", "data3:drop", True), ("bob", "data1:read", False), ("base", "data3:read", False)]
    tests = [{"name": f"{at}", "subject": who, "permission": what, "expect": "allowed" if may else "denied"}
             for at, (who, what, may) in enumerate(asked)]
    lines = "".join(f"- {json.dumps(test)}\n" for test in tests)
    text = pathlib.Path(folder, "acme.yaml").read_text()
    assert ctl("policy", "test", "-", stdin=f"{text}tests:\n{lines}") == "6 passed, 0 failed\n"
    assert text == ctl("policy", "import", "--casbin", "-", "--domain", "acme", stdin=CASBIN)
    assert "2 domains" in ctl.error("policy", "import", "--casbin", "-", stdin=CASBIN, code=64)

    # What has no counterpart.
    lines = ["p, admin, acme, /data/*, GET", "p, Admin, acme, a, b", "p, admin, *, a, b", "g, al ice, admin, acme",
             "g, x, tenant-admin, acme", "p, admin, acme, a, b, maybe", "g, alice, admin", "g2, a, b"]
    said = ctl.error("policy", "import", "--casbin", "-", stdin="\n".join(lines))
    assert [int(line.split(":")[1]) for line in said.splitlines()[1:]] == list(range(1, len(lines) + 1))
    done = ctl.run("policy", "import", "--casbin", "-", "--skip", "--domain", "globex", stdin="\n".join(lines) + CASBIN)
    assert "data2:read" in done.stdout and "stdin:2: " in done.stderr
    said = ctl.error("policy", "import", "--casbin", "-", stdin="g, a, b, acme\ng, b, a, acme")
    assert "not valid" in said and "inherits from itself" in said


APPLIED = """\
apiVersion: tenancy/v1
kind: Policy
roles:
- {id: reader, permissions: [docs:read]}
- {id: writer, permissions: [docs:write], parents: [reader], excludedRoles: [approver]}
- {id: approver, permissions: [docs:approve], parents: [reader], excludedRoles: [writer]}
groups:
- {id: staff, title: Staff, members: [user:ann, {subject: user:temp, expires: '2100-01-01T00:00:00Z'}]}
- {id: all, members: [group:staff]}
assignments:
- {subject: group:all, role: reader}
- {subject: user:ann, role: writer, resource: docs/x/*, reason: hers}
- {subject: user:bob, role: approver, condition: 'context.level > 1.0'}
tests:
- {name: all read, subject: user:temp, permission: docs:read, expect: allowed}
"""
APPLIED_NEXT = """\
apiVersion: tenancy/v1
kind: Policy
roles:
- {id: base, permissions: [docs:list]}
- {id: reader, permissions: [docs:read], parents: [base]}
- {id: approver, permissions: [docs:approve], parents: [reader]}
groups:
- {id: staff, title: Crew, members: [user:ann, user:temp]}
assignments:
- {subject: group:staff, role: reader}
- {subject: user:ann, role: approver}
- {subject: user:bob, role: approver, condition: 'context.level > 1.0', reason: stands in}
"""


def test_a_file_is_planned_and_applied(daemon, place, tmp_path):
    ctl = daemon.over_unix()
    tenant = make_active(ctl, "acme")["name"]
    first, second, plan = tmp_path / "first.yaml", tmp_path / "second.yaml", tmp_path / "kept.plan"
    first.write_text(APPLIED)
    second.write_text(APPLIED_NEXT)

    def run(verb, file, *more, code=0):
        return ctl.run("policy", verb, str(file), "--tenant", "acme", *more, code=code).stdout

    def refused(file, *more, code=1):
        return ctl.run("policy", "apply", str(file), "--tenant", "acme", *more, code=code).stderr

    assert "11 to create, 0 to change, 0 to delete" in run("plan", first, "--out", str(plan), code=3)
    assert "roles:" not in ctl("policy", "export", "acme")
    assert "--yes" in refused(first, code=64)
    run("apply", first, "--plan", str(plan), "--yes")
    ctl("check", "acme", "user:temp", "docs:read")
    assert run("plan", first) == "No differences.\n"
    # From each to the other and back, whatever is in the way.
    for file in (second, first, second):
        shown = json.loads(run("plan", file, "--output", "json", "--out", str(plan), code=3))
        assert shown["tenant"] == tenant and shown["basis"] == json.loads(plan.read_text())["basis"]
        run("apply", file, "--yes")
        assert run("plan", file) == "No differences.\n"
        assert run("diff", file) == "No differences.\n"
    # Of a policy that has moved, and of a file that has.
    assert "plan again" in refused(first, "--plan", str(plan), "--yes", code=64)
    run("plan", first, "--out", str(plan), code=3)
    ctl("role", "create", "acme", "late", "--permission", "a:b")
    said = refused(first, "--plan", str(plan), "--yes")
    assert "POLICY_CHANGED" in said and "plan again" in said


def test_what_is_not_applied(daemon, place, tmp_path):
    ctl = daemon.over_unix()
    make_active(ctl, "acme")
    file = tmp_path / "policy.yaml"

    def fails(text, verb="apply", code=1):
        file.write_text(text)
        yes = ["--yes"] if verb == "apply" else []
        return ctl.run("policy", verb, str(file), "--tenant", "acme", *yes, code=code).stderr

    head = "apiVersion: tenancy/v1\nkind: Policy\nroles:\n- {id: reader, permissions: [docs:read]}\n"
    failing = head + "tests:\n- {name: t, subject: user:a, permission: docs:read, expect: allowed}\n"
    assert "tests fail" in fails(failing, code=64) and "expected: allowed" in fails(failing, "plan", code=64)
    foreign = head + "assignments:\n- {subject: 'spiffe://example.org/tenant/nobody/x', role: reader}\n"
    assert "reader.spiffe" in fails(foreign, "plan") and "FOREIGN_SUBJECT" in fails(foreign)
    many = head + "assignments:\n" + "".join(f"- {{subject: user:{n}, role: reader}}\n" for n in range(620))
    assert "--in-parts" in fails(many, code=64)
    ctl.run("policy", "apply", str(file), "--tenant", "acme", "--in-parts", "--yes")
    assert ctl("policy", "plan", str(file), "--tenant", "acme") == "No differences.\n"
    # A plan whose basis was taken out is none.
    plan = tmp_path / "p.plan"
    ctl.run("policy", "plan", str(file), "--tenant", "acme", "--out", str(plan))
    plan.write_text(json.dumps(json.loads(plan.read_text()) | {"basis": ""}))
    assert "is not what" in ctl.run(
        "policy", "apply", str(file), "--tenant", "acme", "--plan", str(plan), "--yes", code=1).stderr
    # More permissions than one request may have.
    large = "".join(f"- {{id: r{n}, permissions: [{', '.join(f'a{k}:b{n}' for k in range(900))}]}}\n" for n in range(7))
    assert "--in-parts" in fails(head + large, code=64)
    ctl.run("policy", "apply", str(file), "--tenant", "acme", "--in-parts", "--yes")
    assert ctl("policy", "plan", str(file), "--tenant", "acme") == "No differences.\n"


def test_nobody_takes_from_itself_what_it_applies_by(daemon, place, tmp_path):
    operator, ctl = daemon.over_unix(), daemon.over_tls("acme.dev")
    make_active(operator, "acme")
    me, file = ctl.json("whoami")["subject"], tmp_path / "policy.yaml"
    operator("group", "create", "acme", "adm")
    operator("group", "member", "add", "acme", "adm", me)
    operator("role", "assign", "acme", "group:adm", "tenant-admin")
    file.write_text("apiVersion: tenancy/v1\nkind: Policy\n")
    said = ctl.run("policy", "apply", str(file), "--tenant", "acme", "--yes", code=64).stderr
    assert "from itself" in said and "tenancy.policies:apply" in said
    file.write_text(ctl("policy", "export", "acme") + "roles:\n- {id: mine, permissions: ['a:b']}\n")
    ctl.run("policy", "apply", str(file), "--tenant", "acme", "--yes")
    operator.run("policy", "apply", str(file), "--tenant", "acme", "--yes")
