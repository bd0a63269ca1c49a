"""AuthZEN 1.0: the authorization API of OpenID over HTTP, answered by the engine of Authorization.Check."""

import json
import random

import pytest
from support import api, todo
from support.authzen import EVALUATION, EVALUATIONS, METADATA, Enforcer, question
from support.daemon import Server
from support.tokens import issue

BASE = "https://pdp.e2e.test"


@pytest.fixture(scope="module")
def server(tmp_path_factory, pki):
    server = Server(tmp_path_factory.mktemp("server"), pki, audit={"window_seconds": 1})
    server.settings["http"] = {"listen": f"unix:{server.socket_directory / 'http'}", "authzen": {"url": BASE}}
    try:
        yield server.start()
        assert server.process.poll() is None, f"tenantd ended:\n{server.log}"
    finally:
        server.close()


def enforcer(server, admin, tenant: str, subject: str = "pep", **more) -> Enforcer:
    token = issue(admin, tenant, subject, unbound=True).token
    return Enforcer(str(server.socket_directory / "http"), token, **more)


@pytest.fixture(scope="module")
def acme(admin):
    tenant = admin.active("acme", api.SHARED)
    admin.role("acme", "reader", "docs:read", "record:*")
    admin.role("acme", "checker", "tenancy.authorization:check")
    for subject, role in (("user:ann", "reader"), ("pep", "checker"), ("bob", "reader")):
        admin.assign("acme", subject, role)
    return tenant


@pytest.fixture(scope="module")
def pep(server, admin, acme):
    return enforcer(server, admin, "acme")


# MARK: Decisions

def test_a_decision_says_why(admin, pep):
    answer = pep.ask()
    assert answer.decision is True
    told = answer.json["context"]
    assert told["reason"] == "role" and told["role"] == "reader" and told["revision"] > 1
    denied = pep.ask(question(permission="docs:write"))
    assert denied.decision is False and denied.json["context"]["reason"] == "no_grant"
    assert "role" not in denied.json["context"]
    assert denied.headers["cache-control"] == "no-store"


def test_the_todo_scenario(server, admin):
    admin.active("todo", api.SHARED)
    todo.set_up(admin, "todo")
    admin.role("todo", "checker", "tenancy.authorization:check")
    admin.assign("todo", "pep", "checker")
    pep = enforcer(server, admin, "todo")
    decided = 0
    for request, expected in todo.decisions():
        assert pep.ask(request).decision is expected, request
        decided += 1
    assert decided == 40
    rick, morty, jerry = (list(todo.USERS)[at] for at in (0, 1, 4))
    for identity, expected in ((rick, [True, True]), (morty, [False, True]), (jerry, [False, False])):
        request = todo.request(identity, "can_update_todo", "todo", todo.RICKS, "rick@the-citadel.com")
        owner = "morty@the-citadel.com" if identity == morty else "jerry@the-smiths.com"
        other = dict(request["resource"], properties={"ownerID": owner})
        assert pep.ask_all([{"resource": request["resource"]}, {"resource": other}], subject=request["subject"],
                           action=request["action"]).decisions == expected


def test_what_is_not_sent_is_absent(server, admin):
    """And so a denial that asks for it applies, as it does for Check."""
    admin.active("absent", api.SHARED)
    for role, fields in (("checker", {}), ("reader", {}), ("wary", {"denied_permissions": ["docs:read"]})):
        permission = {"checker": ["tenancy.authorization:check"], "reader": ["docs:read"], "wary": []}[role]
        admin.role("absent", role, *permission, **fields)
    for subject, role in (("pep", "checker"), ("user:al", "reader")):
        admin.assign("absent", subject, role)
    admin.assign("absent", "user:al", "wary", condition="has(context.risk) && context.risk > 5")
    admin.assign("absent", "user:al", "wary", condition="has(subject.attributes.gone)")
    pep = enforcer(server, admin, "absent")
    made = question("user:al", "docs:read", "1")
    full = made | {"context": {}, "subject": made["subject"] | {"properties": {}}}
    for asked, expected in ((made, False), (full, True), (full | {"context": {"risk": 6}}, False),
                            (made | {"context": {}}, False)):
        assert pep.ask(asked).decision is expected, asked


def test_a_batch_reads_what_it_has_in_common_once(server, admin):
    admin.active("large", api.SHARED)
    admin.role("large", "checker", "tenancy.authorization:check")
    admin.assign("large", "pep", "checker")
    admin.role("large", "reader", "docs:read")
    admin.assign("large", "user:al", "reader", condition="has(context.a)")
    pep = enforcer(server, admin, "large")
    made = question("user:al", "docs:read", "1")
    assert pep.ask_all([{}] * 1000, **made, context={"a": [{}] * 900}).decisions == [True] * 1000
    assert pep.ask(made | {"context": {"a": [{}] * 48_000}}).status == 400


def test_the_core_of_the_certification_scenario(server, admin):
    admin.active("certified", api.SHARED)
    for role, *permissions in (("checker", "tenancy.authorization:check"), ("owner", "record:read", "record:write"),
                               ("reader", "record:read")):
        admin.role("certified", role, *permissions)
    for subject, role in (("pep", "checker"), ("user:alice", "owner"), ("user:bob", "reader")):
        admin.assign("certified", subject, role)
    pep = enforcer(server, admin, "certified")
    asked = [question(f"user:{who}", f"record:{action}", "record-1")
             for who in ("alice", "bob") for action in ("read", "write")]
    for made, expected in zip(asked, (True, True, True, False), strict=True):
        for context in ({}, {"context": {"time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1"}}):
            assert pep.ask(made | context).decision is expected
    assert pep.ask_all(asked).decisions == [True, True, True, False]
    # One that lacks a part is denied, and the others are not.
    answer = pep.ask_all([{"resource": asked[0]["resource"]}, {}], "execute_all", subject=asked[0]["subject"],
                         action=asked[0]["action"])
    assert answer.decisions == [True, False] and answer.json["evaluations"][1]["context"]["error"]["status"] == 400


def test_decisions_are_those_of_check(server, admin):
    admin.active("globex", api.SHARED)
    admin.role("globex", "checker", "tenancy.authorization:check")
    admin.assign("globex", "pep", "checker")
    pep = enforcer(server, admin, "globex")
    chance = random.Random(5)
    subjects = ["user:ann", "user:bob", "bob", "service:x", "spiffe://e2e.test/tenant/globex/web"]
    permissions = ["docs:read", "docs:write", "record:read", "record:drop", "bills:pay", "tenancy.tenants:get"]
    for role in range(4):
        admin.role("globex", f"random-{role}", *chance.sample(permissions[:5], 2))
        for subject in chance.sample(subjects, 2):
            admin.assign("globex", subject, f"random-{role}")

    def entity(subject):
        if subject.startswith("spiffe:"):
            return {"type": chance.choice(["spiffe", "workload", "subject"]), "id": subject}
        kind, _, identity = subject.rpartition(":")
        return {"type": kind, "id": identity} if kind and chance.random() < 0.8 else {"type": "subject", "id": subject}

    asked = []
    for _ in range(120):
        subject, permission = chance.choice(subjects), chance.choice(permissions)
        asked.append((subject, permission, question(permission=permission) | {"subject": entity(subject)}))
    decisions = pep.ask_all([made for *_, made in asked]).decisions
    assert len(set(decisions)) == 2
    for (subject, permission, made), decision in zip(asked, decisions, strict=True):
        assert admin.check("globex", subject, permission).allowed is decision, made
    for subject, permission, made in asked[:20]:
        assert pep.ask(made).decision is admin.check("globex", subject, permission).allowed


def test_attributes_are_taken(pep):
    full = question(subject="user:ann", context={"time": "2025-06-27T18:03-07:00", "ip": None, "deep": [[{"a": 1e3}]]})
    for entity in ("subject", "action", "resource"):
        full[entity]["properties"] = {"role": "admin", "n": -1.5, "list": [True, None]}
    assert pep.ask(full | {"foo": "bar", "futureField": {"nested": True}}).decision is True


def test_what_subjects_are_called(pep):
    for kind, identity, expected in (
        ("user", "ann", True), ("subject", "user:ann", True), ("subject", "bob", True), ("user", "bob", False),
        ("User", "ann", False), ("service", "ann", False), ("subject", "ann", False),
    ):
        made = question() | {"subject": {"type": kind, "id": identity}}
        assert pep.ask(made).decision is expected, (kind, identity)
    for kind, identity, field in (
        ("spiffe", "user:ann", "subject.id"), ("workload", "spiffe:user", "subject.id"),
        ("workload", "spiffe://E2E.test/x", "subject.id"), ("user:ann", "x", "subject.type"),
        ("us er", "ann", "subject.type"), ("é", "ann", "subject.type"), ("user", "x" * 252, "subject.id"),
    ):
        assert pep.ask(question() | {"subject": {"type": kind, "id": identity}}).fields == [field]


# MARK: Several

def test_defaults_and_what_overrides_them(pep):
    base = question()
    write = {"name": "write"}
    assert pep.ask_all([{}, {"action": write}, {"subject": {"type": "user", "id": "eve"}},
                        {"resource": {"type": "record", "id": "1"}, "action": {"name": "drop"}}],
                       **base).decisions == [True, False, False, True]
    # A part is overridden as a whole, and wrong where it is.
    answer = pep.ask_all(
        [{"subject": {"id": "eve"}}, {"subject": None}, "x", {}, {"resource": {"type": "docs"}}], **base)
    assert answer.decisions == [False, False, False, True, False]
    errors = [each["context"].get("error", {}) for each in answer.json["evaluations"]]
    assert [error.get("field") for error in errors] == [
        "evaluations[0].subject.type", "evaluations[1].subject", "evaluations[2]", None, "evaluations[4].resource.id"]
    assert {error["status"] for error in errors if error} == {400}
    assert pep.ask_all([{"resource": {"type": "docs", "id": "1"}}, {}], subject=base["subject"],
                       action=base["action"]).decisions == [True, False]
    full = [question(), question(permission="docs:write")]
    assert pep.ask_all(full).decisions == [True, False]


@pytest.mark.parametrize("semantic, expected", [
    (None, [True, False, False, True]), ("execute_all", [True, False, False, True]),
    ("deny_on_first_deny", [True, False]), ("permit_on_first_permit", [True])])
def test_semantics(pep, semantic, expected):
    yes, no = {}, {"action": {"name": "write"}}
    assert pep.ask_all([yes, no, {"action": {}}, yes], semantic, **question()).decisions == expected


def test_semantics_end_where_they_say(pep):
    yes, no, bad = {}, {"action": {"name": "write"}}, {"action": {"name": 1}}
    base = question()
    assert pep.ask_all([yes, bad, yes], "deny_on_first_deny", **base).decisions == [True, False]
    assert pep.ask_all([bad, no, yes, no], "permit_on_first_permit", **base).decisions == [False, False, True]
    assert pep.ask_all([no, bad], "permit_on_first_permit", **base).decisions == [False, False]
    assert pep.ask_all([yes, yes], "deny_on_first_deny", **base).decisions == [True, True]


def test_several_that_are_one(pep):
    for more in ({}, {"evaluations": []}):
        assert pep.send(EVALUATIONS, question() | more).decision is True
    assert pep.ask_all([]).fields == ["subject"]
    # A single evaluation knows nothing of others.
    assert pep.ask(question() | {"evaluations": [{"action": {"name": "write"}}]}).decision is True


def test_as_many_as_there_may_be(pep):
    assert pep.ask_all([{}] * 1000, **question()).decisions == [True] * 1000
    assert pep.ask_all([{}] * 1001, **question()).fields == ["evaluations"]


# MARK: What is not understood

BASIC = question()


def without(*path, of=BASIC):
    made = json.loads(json.dumps(of))
    place = made
    for name in path[:-1]:
        place = place[name]
    del place[path[-1]]
    return made


def with_(value, *path):
    made = json.loads(json.dumps(BASIC))
    place = made
    for name in path[:-1]:
        place = place.setdefault(name, {})
    place[path[-1]] = value
    return made


GARBAGE = [
    *[(without(*path.split(".")), path) for path in (
        "subject", "action", "resource", "subject.type", "subject.id", "action.name", "resource.type", "resource.id")],
    *[(with_(value, *path.split(".")), path)
      for path in ("subject", "action", "resource", "context", "subject.properties", "action.properties",
                   "resource.properties") for value in ("x", 1, None, True, [], ["x"])],
    *[(with_(value, *path.split(".")), path)
      for path in ("subject.type", "subject.id", "action.name", "resource.type", "resource.id")
      for value in ("", 1, None, True, {}, ["x"])],
    *[(with_(value, *path.split(".")), path) for path in ("action.name", "resource.type")
      for value in ("*", "Read", "re ad", "a:b", "é", "a/b", "x" * 65)],
    (with_("x" * 1025, "resource", "id"), "resource.id"),
    (with_({"K": 1, "\u212a": 1}, "context"), "context"),
    ('{"subject":', "body"), ("", "body"), ("[]", "body"), ('"x"', "body"), ("null", "body"), ("{} {}", "body"),
    (b"\xff\xfe", "body"), (b'{"subject": "\xff"}', "body"), ("\ufeff{}", "body"), ('{"a": 1, "a": 2}', "body"),
    ('{"a": 01}', "body"), ('{"a": NaN}', "body"), ("{'a': 1}", "body"), ('{"a": "\\u0000"}', "body"),
    ('{"a": "\\ud800"}', "body"), ('{"a": ' + "[" * 100 + "]" * 100 + "}", "body"),
    ('{"a": [' + "1," * 50_000 + "1]}", "body"), ('{"a": 1' + "0" * 100 + "}", "body"),
    (json.dumps(BASIC)[:-1] + ', "context": {"a": 1e999}}', "context"),
    (json.dumps(BASIC)[:-1] + ', "subject": {"type": "user", "id": "ann"}}', "body"),
]


@pytest.mark.parametrize("body, field", GARBAGE)
def test_garbage(pep, body, field):
    assert pep.ask(body).fields == [field]
    if field != "body":
        answer = pep.send(EVALUATIONS, body)
        assert answer.fields == [field]
        # Nothing that is wrong with what they have in common is passed over.
        if isinstance(body, dict) and field.split(".")[0] in body:
            assert pep.send(EVALUATIONS, body | {"evaluations": [BASIC]}).fields == [field]


@pytest.mark.parametrize("more, field", [
    ({"evaluations": {}}, "evaluations"), ({"evaluations": None}, "evaluations"), ({"evaluations": "x"}, "evaluations"),
    *[({"evaluations": [{}], "options": value}, "options") for value in ("x", 1, None, [])],
    *[({"evaluations": [{}], "options": {"evaluations_semantic": value}}, "options.evaluations_semantic")
      for value in ("", "EXECUTE_ALL", "all", None, 1, ["execute_all"])]])
def test_garbage_around_several(pep, more, field):
    assert pep.send(EVALUATIONS, BASIC | more).fields == [field]


@pytest.mark.parametrize("kind", [None, "text/plain", "application/jsonx", "application/json; charset=latin1",
                                  "application/x-www-form-urlencoded", ""])
def test_other_content(pep, kind):
    assert pep.ask(content_type=kind).fields == ["content-type"]
    assert pep.ask(content_type="application/json", content_encoding="gzip").fields == ["content-type"]


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON;charset=UTF-8"])
def test_the_same_content(pep, kind):
    assert pep.ask(content_type=kind).decision is True


# MARK: Pages

def test_request_ids_are_given_back(pep):
    for name in ("bfe9eb29-ab87-4ca3-be83-a1d5d8305716", "any thing; at all"):
        assert pep.ask(x_request_id=name).headers["x-request-id"] == name
        assert pep.ask("x", x_request_id=name).headers["x-request-id"] == name
        assert pep.send("/access/v1/search/subject", {}, x_request_id=name).headers["x-request-id"] == name
    assert pep.ask().headers["x-request-id"] is None
    assert pep.ask(x_request_id="x" * 257).fields == ["x-request-id"]


def test_metadata(pep):
    for suffix, point in (("", BASE), ("/tenants/acme", f"{BASE}/tenants/acme")):
        answer = Enforcer(pep.place).send(METADATA + suffix, method="GET")
        assert answer.status == 200 and answer.headers["content-type"] == "application/json"
        assert answer.json == {
            "policy_decision_point": point, "access_evaluation_endpoint": point + EVALUATION,
            "access_evaluations_endpoint": point + EVALUATIONS,
            **{f"search_{kind}_endpoint": f"{point}/access/v1/search/{kind}"
               for kind in ("subject", "resource", "action")}}
    assert pep.send(METADATA, {}).status == 405


def test_what_is_not_served(pep):
    for path in ("/access/v1/", "/access/v1/evaluation/", "/access/v2/evaluation", "/access/v1/search",
                 "/tenants//access/v1/evaluation", "/tenants/a/b/access/v1/evaluation", METADATA + "/acme"):
        assert pep.send(path, question()).status in (404, 405), path
    for method in ("GET", "PUT", "DELETE", "HEAD", "OPTIONS"):
        answer = pep.send(EVALUATION, method=method)
        assert answer.status == 405 and answer.headers["allow"] == "POST"
    assert pep.ask(question()).decision is True
    assert pep.send(EVALUATION + "?decision=true", question(permission="docs:write")).decision is False


# MARK: Configuration

@pytest.mark.parametrize("change, told", [
    (lambda settings: settings["http"]["authzen"].update(listen="here"), "listen"),
    (lambda settings: settings["http"]["authzen"].update(typo=1), "typo"),
    *[(lambda settings, url=url: settings["http"]["authzen"].update(url=url), "url") for url in (
        "http://pdp.example", "https://pdp.example/", "https://pdp.example/x", "pdp.example", "https://")],
    (lambda settings: (settings.pop("tls"), settings["listeners"].pop()), "http.authzen.listen: needs tls"),
    (lambda settings: (settings.pop("tokens"), settings["http"]["authzen"].pop("listen")), "takes tokens")])
def test_configurations_that_make_no_sense(tmp_path, pki, change, told):
    server = Server(tmp_path, pki)
    server.settings["http"] = {"listen": "127.0.0.1:0", "authzen": {"listen": "127.0.0.1:0"}}
    change(server.settings)
    try:
        server.launch()
        assert server.wait() != 0
        assert told in server.log
    finally:
        server.close()


def test_off_unless_configured(make_server):
    server = make_server()
    path = str(server.socket_directory / "http")
    server.settings["http"] = {"listen": f"unix:{path}"}
    with server.start().operator() as admin:
        admin.active("acme", api.SHARED)
        assert Enforcer(path, issue(admin, "acme", "pep", unbound=True).token).ask().status == 405
        assert Enforcer(path).send(METADATA, method="GET").status == 404
