"""AuthZEN's callers: who may ask, about which tenant, and what they can't do to others."""

import http.client
import json
import re
import socket
import ssl
import threading
import time

import pytest
from support import api
from support.authzen import EVALUATION, EVALUATIONS, METADATA, Enforcer, context, port, question
from support.daemon import Server
from support.pki import Authority
from support.tokens import denials, issue, revoke
from support.waiting import eventually
from test_metrics import Probe, assert_promtool_likes


@pytest.fixture(scope="module")
def server(tmp_path_factory, pki):
    server = Server(tmp_path_factory.mktemp("server"), pki, audit={"window_seconds": 1})
    server.settings["http"] = {
        "listen": f"unix:{server.socket_directory / 'http'}", "authzen": {"listen": "127.0.0.1:0"}}
    try:
        yield server.start()
        assert server.process.poll() is None, f"tenantd ended:\n{server.log}"
    finally:
        server.close()


@pytest.fixture(scope="module")
def acme(admin):
    for slug in ("acme", "globex"):
        admin.active(slug, api.SHARED)
        admin.role(slug, "reader", "docs:read")
        admin.role(slug, "checker", "tenancy.authorization:check")
        admin.assign(slug, "user:ann", "reader")
        admin.assign(slug, "pep", "checker")
    return admin.get("acme")


@pytest.fixture(scope="module")
def enter(server, pki, tmp_path_factory):
    """Comes over TLS, with a token, a certificate or both."""
    place = ("127.0.0.1", port(server))

    def enter(token=None, credential=None, **more) -> Enforcer:
        directory = tmp_path_factory.mktemp("client")
        return Enforcer(place, token, context(pki, credential, directory), **more)

    return enter


def token(admin, tenant="acme", subject="pep", **fields) -> str:
    return issue(admin, tenant, subject, unbound=True, **fields).token


@pytest.fixture(scope="module")
def pep(admin, acme, enter):
    return enter(token(admin))


@pytest.fixture
def slow_open(pep):
    """Connections whose requests have begun, and are not finished."""
    opened = []

    def slow_open(begin: bytes) -> socket.socket:
        connection = pep.connect()
        connection.sendall(begin)
        opened.append(connection)
        return connection

    yield slow_open
    for connection in opened:
        connection.close()


def head(pep, length: int, path: str = EVALUATION, **more) -> bytes:
    fields = {"host": "localhost", "content-length": str(length)} | pep.headers(**more)
    return f"POST {path} HTTP/1.1\r\n".encode() + b"".join(
        f"{name}: {value}\r\n".encode() for name, value in fields.items()) + b"\r\n"


# MARK: Credentials

def test_without_a_credential(acme, enter):
    for sent in (enter().ask(), enter().ask_all([question()])):
        assert sent.status == 401 and sent.json["reason"] == "CREDENTIAL_MISSING"
        assert sent.headers["www-authenticate"] == 'Bearer realm="tenancy"'
        assert sent.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("value", [
    "", "Bearer", "Bearer ", "Basic YTpi", "x", "Bearer x", "Bearer x.y.z", "bearer \xe9"])
def test_what_is_no_token(acme, enter, value):
    answer = enter().ask(authorization=value)
    assert answer.status == 401
    assert "invalid_token" in answer.headers["www-authenticate"]


def test_two_tokens(pep):
    client = pep.open()
    client.putrequest("POST", EVALUATION)
    body = json.dumps(question()).encode()
    for name, value in ([("authorization", f"Bearer {pep.token}")] * 2
                        + [("content-type", "application/json"), ("content-length", str(len(body)))]):
        client.putheader(name, value)
    client.endheaders(body)
    assert client.getresponse().status == 401


def test_whose_tokens_are_taken(admin, acme, enter):
    assert enter(token(admin)).ask().decision is True
    stranger = enter(token(admin, subject="nobody")).ask()
    assert stranger.status == 403 and stranger.json["reason"] == "PERMISSION_MISSING"
    # A workload's token may check by itself.
    workload = f"spiffe://e2e.test/tenant/{acme.id}/web"
    assert enter(token(admin, subject=workload)).ask().decision is True
    narrowed = token(admin, permissions=["docs:read"])
    assert enter(narrowed).ask().status == 403


def test_a_tenants_own_path_and_others(admin, acme, enter):
    mine = token(admin)
    for name in ("acme", acme.id):
        assert enter(mine, tenant=name).ask().decision is True
    for name in ("globex", "nobody", admin.get("globex").id):
        answer = enter(mine, tenant=name).ask()
        assert answer.status == 403 and answer.json["reason"] == "TENANT_MISMATCH", answer.text
    other = enter(token(admin, "globex"))
    admin.role("globex", "writer", "docs:write")
    admin.assign("globex", "user:ann", "writer")
    assert other.ask(question(permission="docs:write")).decision is True
    assert enter(mine).ask(question(permission="docs:write")).decision is False


def test_certificates(acme, enter, pki):
    web = enter(credential=pki.python.tenant("acme"))
    assert web.ask().decision is True
    assert enter(credential=pki.python.tenant("acme"), tenant="globex").ask().status == 403
    assert enter(credential=pki.python.tenant("nobody")).ask().json["reason"] == "IDENTITY_UNKNOWN"
    with pytest.raises((ssl.SSLError, ConnectionResetError, http.client.RemoteDisconnected)):
        enter(credential=Authority().tenant("acme")).ask()


def test_certificate_and_token_are_judged_together(admin, acme, enter, pki):
    web = pki.python.tenant("acme")
    bound = issue(admin, "acme", "pep", certificate_sha256=bytes.fromhex(web.fingerprint())).token
    assert enter(bound, web).ask().decision is True
    assert enter(bound).ask().json["reason"] == "TOKEN_BINDING_MISMATCH"
    assert enter(token(admin), web).ask().json["reason"] == "TOKEN_NOT_BOUND"
    foreign = enter(token(admin, "globex"), pki.python.tenant("acme")).ask()
    assert foreign.status in (401, 403) and "decision" not in foreign.json


def test_the_platform_names_the_tenant(acme, enter, pki):
    for role in ("operator", "resolver", "viewer"):
        credential = pki.python.platform(role)
        assert enter(credential=credential, tenant="acme").ask().decision is True
        assert enter(credential=credential).ask().fields == ["path"]
        missing = enter(credential=credential, tenant="nobody").ask()
        assert missing.status == 404 and missing.json["reason"] == "TENANT_NOT_FOUND"
    assert enter(credential=pki.python.platform("nothing"), tenant="acme").ask().status == 403
    assert enter(credential=pki.python.platform("nothing")).ask().status == 403


# MARK: What ends

def test_revoked_is_revoked(admin, acme, enter):
    revoked = token(admin)
    pep = enter(revoked)
    kept = pep.open()
    assert pep.ask(on=kept).decision is True
    revoke(admin, "acme", token=revoked)
    for _ in range(2):
        answer = pep.ask(on=kept) if kept.sock else pep.ask()
        assert answer.status == 401 and answer.json["reason"] == "TOKEN_REVOKED"


def test_who_is_revoked_before_the_body_is_here(admin, acme, enter):
    revoked = token(admin)
    pep = enter(revoked)
    body = json.dumps(question()).encode()
    with pep.connect() as connection:
        # That it is asked for the rest shows that it was let in.
        connection.sendall(head(pep, len(body), expect="100-continue"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 100")
        revoke(admin, "acme", token=revoked)
        connection.sendall(body)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 401 and json.loads(answer.read())["reason"] == "TOKEN_REVOKED"


def test_a_role_that_is_gone(admin, acme, enter):
    admin.assign("acme", "temporary", "checker")
    pep = enter(token(admin, subject="temporary"))
    assert pep.ask().decision is True
    found = admin.authz.ListRoleAssignments(api.authz.ListRoleAssignmentsRequest(
        parent="acme", subject="temporary"), timeout=20).assignments
    admin.authz.DeleteRoleAssignment(api.authz.DeleteRoleAssignmentRequest(name=found[0].name), timeout=20)
    assert pep.ask().status == 403


def test_a_tenant_that_is_not_served(admin, enter, pki):
    admin.active("sleepy", api.SHARED)
    admin.role("sleepy", "all", "docs:read", "tenancy.authorization:check")
    for subject in ("pep", "user:ann"):
        admin.assign("sleepy", subject, "all")
    own = enter(token(admin, "sleepy"))
    web = enter(credential=pki.python.tenant("sleepy"))
    platform = enter(credential=pki.python.platform("resolver"), tenant="sleepy")
    assert own.ask().decision is web.ask().decision is platform.ask().decision is True
    admin.suspend("sleepy")
    assert own.ask().json["reason"] == "TOKEN_REVOKED"
    answer = web.ask()
    assert answer.status == 403 and answer.json["reason"] == "TENANT_SUSPENDED"
    assert platform.ask().decision is False
    assert platform.ask().json["context"]["reason"] == "tenant_inactive"
    assert platform.ask_all([{}, {}], **question()).decisions == [False, False]
    admin.delete("sleepy")
    assert own.ask().status in (401, 403) and web.ask().status == 403
    assert platform.ask().status == 404 and "decision" not in platform.ask().json


def test_denials_are_in_the_audit_trail(admin, acme, enter):
    enter(token(admin, subject="denied-one")).ask(x_request_id="from-authzen")
    enter(token(admin), tenant="globex").ask()
    eventually(lambda: {("/tenancy.v1.Authorization/Check", reason) for reason in (
        "PERMISSION_MISSING", "TENANT_MISMATCH")} <= denials(admin, "tenants/acme"), "denials are told", 10)


def test_requests_are_counted(admin, server, enter, pki):
    tenant = admin.active("counted", api.SHARED)
    probe = Probe(str(server.socket_directory / "http"))

    def outcomes(samples):
        return [samples[f'tenancy_tenant_outcomes_total{{tenant="{tenant.id}",outcome="{outcome}"}}']
                for outcome in ("ok", "failed", "denied")]

    before = outcomes(probe.metrics())
    web = enter(credential=pki.python.tenant("counted"))
    for _ in range(3):
        web.ask()
    web.ask("garbage")
    enter(credential=pki.python.tenant("counted"), tenant="acme").ask()
    samples = probe.metrics()
    assert [now - then for now, then in zip(outcomes(samples), before, strict=True)] == [3, 1, 1]
    assert samples['tenancy_authzen_decisions_total{decision="false"}'] >= 3
    assert samples['tenancy_authzen_requests_total{status="200"}'] >= 3
    assert samples['tenancy_authzen_requests_total{status="400"}'] >= 1
    assert_promtool_likes(probe.ask("/metrics")[1])


def test_what_was_just_written_is_seen(admin, acme, pep):
    permission = question(permission="fresh:read")
    _, call = admin.authz.CreateRole.with_call(api.authz.CreateRoleRequest(
        parent="acme", role_id="fresh", role=api.authz.Role(permissions=["fresh:read"])), timeout=20)
    admin.assign("acme", "user:ann", "fresh")
    written = dict(call.initial_metadata())["tenancy-consistency-token"]
    assert pep.ask(permission, tenancy_consistency_token=written).decision is True
    assert pep.ask(tenancy_consistency_token="nonsense").fields == ["tenancy-consistency-token"]


# MARK: Hostile peers

def test_connections_are_kept(pep):
    client = pep.open()
    for number in range(5):
        answer = pep.ask(question(permission="docs:read" if number % 2 else "docs:write"), on=client)
        assert answer.decision is bool(number % 2) and answer.headers["connection"] == "keep-alive"
    # What is not understood is no reason to hang up, nor is who may not ask, once all of it is here.
    assert pep.ask("x", on=client).status == 400
    assert pep.ask(on=client).decision is True
    assert pep.ask(on=client, connection="close").headers["connection"] == "close"


def test_pipelined_requests(pep):
    bodies = [json.dumps(question(permission=f"docs:{action}")).encode() for action in ("read", "write") * 10]
    sent = b"".join(head(pep, len(body)) + body for body in bodies)
    end = len(sent) - len(head(pep, len(bodies[-1]))) - len(bodies[-1])
    text = pep.raw(sent[:end] + head(pep, len(bodies[-1]), connection="close") + bodies[-1])
    assert re.findall(rb'"decision":(true|false)', text) == [b"true", b"false"] * 10


def test_bodies_in_pieces(pep):
    body = json.dumps(question()).encode()
    chunked = head(pep, 0, transfer_encoding="chunked", connection="close").replace(b"content-length: 0\r\n", b"")
    pieces = [b"%x\r\n%s\r\n" % (1, body[at:at + 1]) for at in range(len(body))]
    assert b'"decision":true' in pep.raw(chunked, *pieces, b"0\r\n\r\n")
    whole = head(pep, len(body), connection="close") + body
    assert b'"decision":true' in pep.raw(*[whole[at:at + 1] for at in range(len(whole))])


def test_large_bodies(pep):
    # What conditions are told has a limit of its own; what is not known is passed over, however large.
    assert pep.ask(question(context={"x": "y" * 16_000})).decision is True
    assert pep.ask(question(context={"x": "y" * 17_000})).status == 400
    assert pep.ask(question() | {"unknown": "y" * 200_000}).decision is True
    assert pep.ask(question() | {"unknown": "y" * 300_000}).status == 413
    several = dict(evaluations=[{}] * 900, unknown="y" * 900_000, **question())
    assert pep.send(EVALUATIONS, several).decisions == [True] * 900
    for length in ("99999999999999999999", str(2 << 20), "-1", "x"):
        assert pep.raw(head(pep, length)).startswith((b"HTTP/1.1 413", b"HTTP/1.1 400")), length
    # Who does not say how much comes is cut off as well.
    chunked = head(pep, 0, transfer_encoding="chunked").replace(b"content-length: 0\r\n", b"")
    answer = pep.raw(chunked, *[b"10000\r\n" + b" " * 65536 + b"\r\n"] * 5)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 413")
    assert pep.ask().decision is True


def test_nobody_sends_a_body_who_may_not_ask(enter):
    pep = enter("x.y.z")
    assert pep.raw(head(pep, 1000)).startswith(b"HTTP/1.1 401")
    pep.token = None
    assert pep.raw(head(pep, 1000)).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize("sent", [
    b"nonsense\r\n\r\n", b"\x00" * 100, b"POST /access/v1/evaluation HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 200_000,
    b"POST /access/v1/evaluation HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n{}",
    b"POST /access/v1/evaluation HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}",
    b"POST http://x/access/v1/evaluation HTTP/1.1\r\nhost: x\r\n\r\n", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"])
def test_what_is_no_request(pep, sent):
    answer = pep.raw(sent)
    assert answer == b"" or answer.split()[1] in (b"400", b"401", b"404", b"405"), answer
    assert pep.ask().decision is True


def test_a_tenant_has_so_many_requests_under_way(admin, acme, enter, pep, slow_open):
    body = json.dumps(question()).encode()
    asked = head(pep, len(body), expect="100-continue")
    for _ in range(32):
        assert slow_open(asked).recv(65536).startswith(b"HTTP/1.1 100")
    refused = pep.ask()
    assert refused.status == 429 and refused.headers["retry-after"] == "1"
    # Others are answered, and what is asked for on the same listener.
    assert enter(token(admin, "globex")).ask().decision is True
    assert pep.send(METADATA, method="GET").status == 404


@pytest.mark.quiet
def test_slow_clients_are_cut_off_and_probes_answered(server, pep, slow_open):
    probe = Probe(str(server.socket_directory / "http"))
    begin = time.monotonic()
    slow = [slow_open(sent) for sent in (
        b"", b"P", b"POST /access/v1/evaluation HTTP/1.1\r\n", head(pep, 100), head(pep, 100) + b"{") for _ in range(8)]
    assert {probe.ask(page)[0] for page in ("/livez", "/readyz", "/metrics")} == {200}
    assert pep.ask().decision is True
    for connection in slow:
        connection.settimeout(20)
        try:
            while connection.recv(4096):
                pass
        except (ConnectionResetError, ssl.SSLError):
            pass
    assert time.monotonic() - begin < 15


def test_a_flood_leaves_others_alone(server, admin, acme, enter, pep):
    probe = Probe(str(server.socket_directory / "http"))
    end = threading.Event()
    large = json.dumps(dict(evaluations=[{}] * 1000, unknown="y" * 500_000, **question()))

    def flood():
        while not end.is_set():
            assert pep.send(EVALUATIONS, large).status in (200, 429)

    threads = [threading.Thread(target=flood) for _ in range(6)]
    other = enter(token(admin, "globex"))
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            assert other.ask().decision is True
            assert probe.ask("/livez")[0] == 200
    finally:
        end.set()
        for thread in threads:
            thread.join()
