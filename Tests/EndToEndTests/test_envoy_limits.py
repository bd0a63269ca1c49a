"""A real Envoy in front of a service: tenants that have more requests than their limits allow."""

import signal
import threading
import time

import pytest
from support import api
from support.daemon import Server
from support.envoy import Envoy, Upstream
from support.pki import tenant_id
from support.tokens import issue
from support.waiting import eventually

GATEWAY = "https://gateway.example"
ROUTES = [{"path": "/healthz", "anonymous": True}, {"path": "/orders/**", "permission": "orders:read"}]
RATE = 20
PLANS = {"default_plan": "usual", "plans": [
    {"name": "usual", "limits": [{"requests": RATE, "per": "second"}, {"requests": 1_000_000, "per": "month"},
                                 {"name": "uploads", "requests": 3, "per": "hour"}]},
    {"name": "tight", "limits": [{"requests": 3, "per": "hour"}, {"name": "uploads", "requests": 3, "per": "hour"}]},
]}


@pytest.fixture(scope="module")
def server(tmp_path_factory, pki):
    server = Server(
        tmp_path_factory.mktemp("server"), pki, envoy={"audience": GATEWAY, "routes": ROUTES}, rate_limits=PLANS)
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture(scope="module")
def upstream():
    upstream = Upstream()
    yield upstream
    upstream.close()


def made(admin, slug, plan=""):
    """A tenant whose bob may read, and a token of his."""
    admin.active(slug, api.SHARED, configuration=api.tenant.TenantConfiguration(
        limits=api.tenant.RequestLimits(plan=plan)) if plan else None)
    admin.role(slug, "reader", "orders:read")
    for subject in ("bob", tenant_id(slug)):
        admin.assign(slug, subject, "reader")
    return issue(admin, slug, "bob", unbound=True, audiences=[GATEWAY]).token


def options(way, server, pki, directory):
    if way == "unix":
        return ("--tenantd", f"unix:{server.socket}")
    certificate, key = pki.python.platform("resolver").write(directory / "sidecar")
    return ("--tenantd", server.address, "--tenantd-ca", str(pki.authorities), "--tenantd-cert", str(certificate),
            "--tenantd-key", str(key))


@pytest.fixture(scope="module", params=["unix", "mtls"])
def envoy(request, server, pki, upstream, tmp_path_factory):
    directory = tmp_path_factory.mktemp("envoy")
    # A busy machine is not what is tested here.
    envoy = Envoy(directory, upstream, *options(request.param, server, pki, directory), "--timeout-milliseconds",
                  "2000", pki=pki)
    envoy.way = request.param
    yield envoy
    envoy.close()


def test_the_client_is_told(admin, envoy, upstream):
    token = made(admin, f"told-{envoy.way}", "tight")
    for left in (2, 1, 0):
        answer = envoy.ask(token=token)
        assert answer.status == 200
        assert answer.headers["x-ratelimit-limit"].startswith("3, 3;w=3600")
        assert answer.headers["x-ratelimit-remaining"] == str(left)
        assert 0 < int(answer.headers["x-ratelimit-reset"]) <= 3600
    before = len(upstream.requests)
    for _ in range(3):
        over = envoy.ask(token=token)
        assert (over.status, over.reason) == (429, "RATE_LIMITED")
        assert over.headers["x-ratelimit-remaining"] == "0"
        assert 0 < int(over.headers["retry-after"]) <= 1200
        assert over.headers["content-type"] == "application/json"
    assert len(upstream.requests) == before, "none of them got through"


def test_neither_names_nor_other_credentials_help(admin, envoy, server, pki):
    slug = f"names-{envoy.way}"
    token = made(admin, slug, "tight")
    other = made(admin, f"others-{envoy.way}", "tight")
    for _ in range(3):
        assert envoy.ask(token=token).status == 200
    assert envoy.ask(token=token, headers={"x-tenant-id": slug, "x-ratelimit-remaining": "9"}).status == 429
    assert envoy.ask(credential=pki.python.tenant(slug)).status == 429
    assert envoy.ask(token=issue(admin, slug, "bob", unbound=True, audiences=[GATEWAY]).token).status == 429
    assert envoy.ask(token=other).status == 200
    # What is denied is not counted, and what needs no identity has no tenant.
    for _ in range(5):
        assert envoy.ask(token=other, path="/other").status == 403
        assert envoy.ask(token=token, path="/healthz").status == 200
    assert envoy.ask(token=other).headers["x-ratelimit-remaining"] == "1"


@pytest.mark.quiet
def test_fifty_times_its_limit_costs_another_nothing(admin, envoy):
    flooder, quiet = (made(admin, f"{name}-{envoy.way}") for name in ("flooder", "quiet"))
    ends, statuses = threading.Event(), []

    def attack():
        connection = envoy.connection()
        while not ends.is_set():
            connection.request("GET", "/orders", headers={"authorization": f"Bearer {flooder}"})
            response = connection.getresponse()
            response.read()
            statuses.append(response.status)
        connection.close()

    threads = [threading.Thread(target=attack) for _ in range(6)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    try:
        found = []
        while time.monotonic() - began < 5:
            found.append(envoy.ask(token=quiet).status)
            ends.wait(0.055)
    finally:
        ends.set()
        for thread in threads:
            thread.join()
    took = time.monotonic() - began
    assert set(found) == {200}
    assert set(statuses) == {200, 429}
    assert len(statuses) > 10 * RATE * took, "it was a flood"
    assert statuses.count(200) <= RATE * took + RATE + 1


def test_other_limits_by_their_names(admin, server, pki, upstream, tmp_path):
    token = made(admin, "uploader")
    for extra, through in ((("--limit", "uploads"), 3), (("--no-limits",), 8)):
        directory = tmp_path / extra[-1]
        envoy = Envoy(directory, upstream, *options("unix", server, pki, directory), "--timeout-milliseconds", "2000",
                      *extra)
        try:
            assert [envoy.ask(token=token).status for _ in range(8)].count(200) == through
        finally:
            envoy.close()


def test_without_an_answer_nothing_goes_on(make_server, pki, upstream, tmp_path):
    """Authorization says yes, and then nobody knows of limits: of another domain, or of none any more."""
    server = make_server(envoy={"audience": GATEWAY, "routes": ROUTES}, rate_limits=PLANS).start()
    with server.operator() as admin:
        token = made(admin, "acme")
    directory = tmp_path / "envoy"
    envoy = Envoy(directory, upstream, *options("unix", server, pki, directory), "--limit-domain", "other")
    try:
        before = len(upstream.requests)
        assert [envoy.ask(token=token).status for _ in range(3)] == [503] * 3
        assert envoy.ask(token=token, path="/healthz").status == 200
        assert len(upstream.requests) == before + 1
    finally:
        envoy.close()
    directory = tmp_path / "second"
    envoy = Envoy(directory, upstream, *options("unix", server, pki, directory))
    try:
        eventually(lambda: envoy.ask(token=token).status == 200, "it goes on")
        before = len(upstream.requests)
        server.pause()
        assert envoy.ask(token=token).status == 503
        server.process.send_signal(signal.SIGCONT)
        eventually(lambda: envoy.ask(token=token).status == 200, "it goes on again")
        server.kill()
        assert envoy.ask(token=token).status == 503
        server.start()
        eventually(lambda: envoy.ask(token=token).status == 200, "a new one is taken")
    finally:
        envoy.close()
