"""Who is asked whether a tenant controls a domain, and what their answers are worth."""

import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from support import api
from support.client import failure
from support.daemon import Server
from support.domains import CNAME, REFUSED, SERVER_FAILURE, DNSServer, WebServer, of_host, settings, wire

domains = api.domains
HTTP = domains.DOMAIN_PROOF_METHOD_HTTP
VERIFIED = domains.TENANT_DOMAIN_STATE_VERIFIED


@pytest.fixture(scope="module")
def dns():
    server = DNSServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def web():
    server = WebServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory, pki, dns, web):
    server = Server(tmp_path_factory.mktemp("server"), pki, audit={"window_seconds": 1}, **settings(
        dns, web, verifications_per_minute=1000))
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture
def acme(admin, slug):
    return admin.active(slug("acme"), api.SHARED)


@pytest.fixture
def globex(admin, slug):
    return admin.active(slug("globex"), api.SHARED)


@pytest.fixture
def name(slug):
    """A domain that no other test uses."""
    return f"shop.{slug('domain')}.net"


def test_large_answers_and_aliases(admin, dns, acme, name):
    claim = admin.claim(acme.name, name)
    over_tcp = dns.over_tcp
    dns.set_text(f"proof.{name}", *["x" * 200] * 20, claim.challenge.txt_value)
    dns.records[claim.challenge.txt_name, CNAME] = [wire(f"proof.{name}")]
    assert admin.verify(claim.name).state == VERIFIED and dns.over_tcp == over_tcp + 1


@pytest.mark.parametrize("code", [SERVER_FAILURE, REFUSED])
def test_a_resolver_that_cannot_say_says_nothing(admin, dns, acme, name, code):
    claim = admin.claim(acme.name, name)
    dns.prove(claim)
    dns.code = code
    try:
        error = failure("UNAVAILABLE", admin.verify, claim.name)
    finally:
        dns.code = 0
    assert error.reason == "DOMAIN_UNREACHABLE" and error.retry_seconds and f"error {code}" in error.message
    assert admin.domain(claim.name) == claim
    assert admin.verify(claim.name).state == VERIFIED


def test_a_resolver_that_is_silent_ends_in_time(admin, dns, acme, globex, name):
    claim = admin.claim(acme.name, name)
    dns.is_silent = True
    try:
        began = time.monotonic()
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(admin.verify, claim.name)
            # Nobody else waits for it.
            assert of_host(admin, name) is None and admin.get(globex.name).slug == globex.slug
            error = failure("UNAVAILABLE", waiting.result)
    finally:
        dns.is_silent = False
    assert error.reason == "DOMAIN_UNREACHABLE" and time.monotonic() - began < 10


def test_a_web_server_shows_it(admin, dns, web, acme, name):
    claim = admin.claim(acme.name, name)
    challenge = claim.challenge
    error = failure("FAILED_PRECONDITION", admin.verify, claim.name, HTTP)
    assert error.metadata["seen"] == f"{name} has no public address"
    dns.set_address(name, "127.0.0.1")
    content = challenge.http_content.encode()
    for answer, seen in [
            ((404, content, {}), "status 404"), ((200, b"", {}), "something else"),
            ((200, content + b"x", {}), "something else"), ((200, b" " + content, {}), "something else"),
            ((302, b"", {"Location": challenge.http_url}), "redirects are not followed"),
            # A server that repeats what it is asked for.
            ((200, challenge.http_url.encode(), {}), "something else"),
            ((200, content, {"Content-Encoding": "gzip"}), "compressed"),
            ((200, b"x" * 100_000, {}), "more than 65536 bytes"), ((200, b"secret of another", {}), "something else")]:
        web.answer = lambda host, path, answer=answer: answer
        error = failure("FAILED_PRECONDITION", admin.verify, claim.name, HTTP)
        assert error.reason == "DOMAIN_NOT_PROVEN" and seen in error.metadata["seen"], error
        assert "secret" not in error.message
    web.prove(claim)
    verified = admin.verify(claim.name, HTTP)
    assert (verified.state, verified.method) == (VERIFIED, HTTP) and of_host(admin, name) == acme.name
    assert web.asked[-1] == (f"{name}:{web.port}", challenge.http_url.split(str(web.port))[1])


def test_servers_of_this_network_are_not_asked(make_server, dns, web, name):
    server = make_server(**settings(dns, web, private_hosts=False)).start()
    with server.operator() as admin:
        tenant = admin.active("acme", api.SHARED)
        claim = admin.claim(tenant.name, name)
        web.prove(claim)
        before = len(web.asked)
        for addresses in (["127.0.0.1"], ["10.0.0.1", "192.168.0.1"], ["0.0.0.0"], ["169.254.169.254"]):
            dns.set_address(name, *addresses)
            error = failure("FAILED_PRECONDITION", admin.verify, claim.name, HTTP)
            # Nor is it told which they are.
            assert error.metadata["seen"] == f"{name} has no public address"
        assert len(web.asked) == before and of_host(admin, name) is None


def test_a_flood_of_one_tenant_is_not_another_s(make_server, dns, web, name, slug):
    server = make_server(**settings(dns, web, verifications_per_minute=12)).start()
    with server.operator() as admin:
        flooder, other = (admin.active(slug, api.SHARED) for slug in ("flooder", "other"))
        claims = [admin.claim(flooder.name, f"d{number}.{name}") for number in range(3)]
        mine = admin.claim(other.name, name)
        dns.prove(mine)

        def verify(number):
            try:
                admin.verify(claims[number % 3].name)
                return "proven"
            except grpc.RpcError as error:
                return error.code().name

        with ThreadPoolExecutor(32) as pool:
            flood = [pool.submit(verify, number) for number in range(200)]
            assert admin.verify(mine.name).state == VERIFIED
            answers = [one.result() for one in flood]
        assert set(answers) == {"FAILED_PRECONDITION", "RESOURCE_EXHAUSTED"}
        # Those that found no place of the tenant's count as well: it has asked.
        assert 1 <= answers.count("FAILED_PRECONDITION") <= 13
        error = failure("RESOURCE_EXHAUSTED", admin.verify, claims[0].name)
        assert (error.reason, error.metadata["quota"]) == ("LIMIT_REACHED", "domain-verifications")
        assert 1 <= error.retry_seconds <= 5


def test_a_domain_on_trial(admin, dns, acme, globex, name):
    """The challenge is looked for; nothing is kept."""
    def claim(**fields):
        return admin.domains.ClaimTenantDomain(domains.ClaimTenantDomainRequest(
            parent=acme.name, domain=name, **fields), timeout=20)

    def verify(**fields):
        return admin.domains.VerifyTenantDomain(domains.VerifyTenantDomainRequest(
            name=f"{acme.name}/domains/{name}", method=domains.DOMAIN_PROOF_METHOD_DNS, **fields), timeout=20)

    tried = claim(validate_only=True)
    assert tried.domain == name and admin.domains_of(acme.name) == []
    failure("NOT_FOUND", verify, validate_only=True)
    made = claim()
    assert made.challenge != tried.challenge and claim(validate_only=True) == made
    assert failure("FAILED_PRECONDITION", verify, validate_only=True).reason == "DOMAIN_NOT_PROVEN"
    dns.prove(made)
    assert verify(validate_only=True).state == VERIFIED and admin.domain(made.name) == made
    owner = verify()
    release = domains.ReleaseTenantDomainRequest(name=made.name, validate_only=True)
    admin.domains.ReleaseTenantDomain(release, timeout=20)
    assert admin.domain(made.name) == owner and of_host(admin, name) == acme.name
    admin.domains.ReleaseTenantDomain(domains.ReleaseTenantDomainRequest(name=made.name), timeout=20)
    failure("NOT_FOUND", admin.domains.ReleaseTenantDomain, release)
