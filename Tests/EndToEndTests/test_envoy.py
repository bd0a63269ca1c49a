"""A real Envoy in front of a service: only requests that tenantd has let through reach it."""

import random
import signal
import ssl
import threading
import time
from pathlib import Path

import pytest
from support import api
from support.daemon import Server
from support.envoy import Envoy, Upstream
from support.pki import Authority, tenant_id
from support.tokens import issue
from support.waiting import eventually

GATEWAY = "https://gateway.example"
ROUTES = [
    {"path": "/healthz", "anonymous": True},
    {"path": "/orders/**", "permission": "orders:read", "methods": ["GET"]},
    {"path": "/orders/**", "permission": "orders:write"},
]


@pytest.fixture(scope="module")
def server(tmp_path_factory, pki):
    server = Server(
        tmp_path_factory.mktemp("server"), pki, envoy={"audience": GATEWAY, "routes": ROUTES})
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture(scope="module")
def acme(admin):
    tenant = admin.active("acme", api.SHARED)
    admin.role("acme", "reader", "orders:read")
    for subject in ("bob", tenant_id("acme")):
        admin.assign("acme", subject, "reader")
    return tenant


@pytest.fixture(scope="module")
def token(admin, acme):
    return issue(admin, "acme", "bob", unbound=True, audiences=[GATEWAY]).token


@pytest.fixture(scope="module")
def upstream():
    upstream = Upstream()
    yield upstream
    upstream.close()


def sidecar_options(server, pki, directory):
    certificate, key = pki.python.platform("resolver").write(directory / "sidecar")
    return ("--tenantd", server.address, "--tenantd-ca", str(pki.authorities), "--tenantd-cert",
            str(certificate), "--tenantd-key", str(key))


@pytest.fixture(scope="module", params=["unix", "mtls"])
def envoy(request, server, pki, upstream, tmp_path_factory):
    directory = tmp_path_factory.mktemp("envoy")
    options = (("--tenantd", f"unix:{server.socket}") if request.param == "unix"
               else sidecar_options(server, pki, directory))
    # A busy machine is not what is tested here.
    envoy = Envoy(directory, upstream, *options, "--timeout-milliseconds", "2000", pki=pki)
    yield envoy
    envoy.close()


def test_what_may_goes_on_with_whose_it_is(envoy, acme, token):
    for headers in ({}, {"x-tenant-id": "acme"},
                    {"x-tenant-slug": "globex", "x-tenant-subject": "root", "x-tenant-actor": "root",
                     "x-http-method-override": "DELETE"}):
        got = envoy.ask(token=token, headers=headers).got
        assert got["x-tenant-id"] == [acme.id]
        assert got["x-tenant-slug"] == ["acme"]
        assert got["x-tenant-subject"] == ["bob"]
        assert got["x-tenant-actor"] == ["uid:0"]
        assert "x-http-method-override" not in got


def test_certificates_count(envoy, acme, pki):
    got = envoy.ask(credential=pki.python.tenant("acme"), headers={"x-tenant-actor": "root"}).got
    assert got["x-tenant-subject"] == [tenant_id("acme")]
    assert got["x-tenant-id"] == [acme.id]
    assert "x-tenant-actor" not in got
    # Envoy has let these in, who know the CA.
    for bad in (pki.python.issue("https://e2e.test/acme"), pki.python.issue(tenant_id("acme"), tenant_id("globex"))):
        assert envoy.ask(credential=bad).reason == "CERTIFICATE_REFUSED"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        envoy.ask(credential=Authority().tenant("acme"))


def test_a_token_that_is_bound_to_the_clients_certificate(envoy, admin, acme, pki):
    web = pki.python.tenant("acme")
    bound = issue(admin, "acme", "bob", audiences=[GATEWAY],
                  certificate_sha256=bytes.fromhex(web.fingerprint())).token
    assert envoy.ask(token=bound, credential=web).got["x-tenant-subject"] == ["bob"]
    assert envoy.ask(token=bound).status == 401
    assert envoy.ask(token=bound, credential=pki.python.tenant("acme", "other")).status == 401


def test_what_may_not_is_answered_and_does_not_go_on(envoy, acme, token, upstream):
    before = len(upstream.requests)
    for status, reason, given in (
        (401, "CREDENTIAL_MISSING", {}),
        (401, "CREDENTIAL_MISSING", {"headers": {"x-tenant-id": acme.id, "x-tenant-subject": "bob"}}),
        (401, "TOKEN_MALFORMED", {"token": "a.b.c"}),
        # Envoy joins them.
        (401, "TOKEN_MALFORMED", {"headers": [("authorization", f"Bearer {token}")] * 2}),
        (403, "PERMISSION_MISSING", {"token": token, "method": "POST"}),
        (403, "ROUTE_NOT_ALLOWED", {"token": token, "path": "/admin"}),
        (403, "TENANT_MISMATCH", {"token": token, "headers": {"x-tenant-id": "globex"}}),
        (400, "MALFORMED_SELECTOR", {"token": token, "headers": [("x-tenant-id", "acme")] * 2}),
        (400, "MALFORMED_SELECTOR", {"token": token, "path": "/orders/a%20b"}),
    ):
        found = envoy.ask(**given)
        assert (found.status, found.reason) == (status, reason), given
        assert found.headers["content-type"] == "application/json"
    # Envoy's own refusals.
    for given in ({"path": "/orders/%2e%2e%2fhealthz"}, {"path": "/orders/a%5Cb"},
                  {"headers": {"x_tenant_id": "acme"}}):
        assert envoy.ask(token=token, **given).status in (400, 403), given
    assert len(upstream.requests) == before


def test_what_needs_no_identity_goes_on_without_one(envoy, token):
    for given in ({}, {"token": token}, {"headers": {"x-tenant-id": "acme", "x-tenant-subject": "root"}}):
        got = envoy.ask(path="/healthz", **given).got
        assert not [name for name in got if name.startswith("x-tenant-")]


def test_paths_are_judged_as_the_service_gets_them(envoy, token):
    assert envoy.ask(path="/healthz/../orders").status == 401
    assert envoy.ask(path="/orders/../healthz").told["path"] == "/healthz"
    assert envoy.ask(path="/%6frders/%41", token=token).told["path"] == "/orders/A"
    assert envoy.ask(path="/orders/x/../7?a=../healthz", token=token).told["path"].startswith("/orders/7?")


# When tenantd does not answer, nothing goes on.

@pytest.fixture
def alone(server, upstream, tmp_path):
    """An Envoy that has the default patience."""
    envoy = Envoy(tmp_path, upstream, "--tenantd", f"unix:{server.socket}")
    yield envoy
    envoy.close()


def until_allowed(envoy, token):
    eventually(lambda: envoy.ask(token=token).status == 200, "requests go on again")


def test_killed_paused_and_back(server, alone, upstream, acme, token):
    until_allowed(alone, token)
    server.pause()
    try:
        before, began = len(upstream.requests), time.monotonic()
        assert alone.ask(token=token).status == 503
        assert alone.ask(path="/healthz").status == 503
        assert time.monotonic() - began < 10
        assert len(upstream.requests) == before
    finally:
        server.process.send_signal(signal.SIGCONT)
    until_allowed(alone, token)
    server.kill()
    before = len(upstream.requests)
    for given in ({"token": token}, {}, {"path": "/healthz"}):
        assert alone.ask(**given).status == 503
    assert len(upstream.requests) == before
    server.start()
    until_allowed(alone, token)


def test_another_in_its_place(server, pki, upstream, acme, token, tmp_path):
    """Envoy asks nobody who can't prove to be tenantd."""
    from concurrent import futures

    import grpc

    class Yes(api.ext_authz_grpc.AuthorizationServicer):
        asked = 0

        def Check(self, request, context):
            Yes.asked += 1
            return api.ext_authz.CheckResponse(ok_response={})

    stranger = Authority("another CA")
    credential = stranger.server()
    impostor = grpc.server(futures.ThreadPoolExecutor(2))
    api.ext_authz_grpc.add_AuthorizationServicer_to_server(Yes(), impostor)
    port = impostor.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials(
        [(credential.key, credential.certificate)]))
    impostor.start()
    options = list(sidecar_options(server, pki, tmp_path))
    options[1] = f"127.0.0.1:{port}"
    envoy = Envoy(tmp_path, upstream, *options)
    try:
        before = len(upstream.requests)
        assert envoy.ask(token=token).status == 503
        assert Yes.asked == 0 and len(upstream.requests) == before
    finally:
        envoy.close()
        impostor.stop(None)


def test_no_request_gets_past_whatever_happens_to_tenantd(server, alone, upstream, acme, token):
    """Good and bad requests all the while that tenantd is killed, paused and started."""
    until_allowed(alone, token)
    bad = [{"path": "/orders/bad"}, {"path": "/orders/bad", "token": token[:-8] + "AAAAAAAA"},
           {"path": "/orders/bad", "token": token, "method": "POST"},
           {"path": "/orders/bad", "token": token, "headers": {"x-tenant-id": "globex"}}]
    over, statuses, errors = threading.Event(), set(), []

    def ask(seed):
        dice = random.Random(seed)
        while not over.is_set():
            given = dice.choice([*bad, {"token": token}])
            try:
                found = alone.ask(**given)
            except OSError as error:
                errors.append(error)
                continue
            if given in bad:
                statuses.add(found.status)

    clients = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for client in clients:
        client.start()
    try:
        for number in range(4):
            if number % 2:
                server.pause()
                eventually(lambda: 503 in statuses, "a request is refused")
                server.process.send_signal(signal.SIGCONT)
            else:
                server.kill()
                server.start()
            until_allowed(alone, token)
    finally:
        over.set()
        for client in clients:
            client.join()
    # Forged tokens one after the other use up what is looked at for one tenant.
    assert {401, 403, 503} <= statuses <= {401, 403, 429, 503}
    assert not errors
    assert not [told for told in upstream.requests if told["path"] == "/orders/bad"]
