"""Domains of tenants' own: claimed, shown to be theirs over DNS and HTTP, resolved, moved and given up."""

import json
import os
import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import api
from support.client import failure, invalid
from support.daemon import Server
from support.domains import DNSServer, WebServer, of_host, owned, settings
from support.http_requests import check
from support.nodes import settings as node_settings
from support.pki import tenant_id
from support.tokens import denials
from support.waiting import eventually

domains = api.domains
DNS, HTTP = domains.DOMAIN_PROOF_METHOD_DNS, domains.DOMAIN_PROOF_METHOD_HTTP
PENDING, VERIFIED = domains.TENANT_DOMAIN_STATE_PENDING, domains.TENANT_DOMAIN_STATE_VERIFIED


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
    server = Server(
        tmp_path_factory.mktemp("server"), pki, audit={"window_seconds": 1},
        envoy={"audience": "https://gateway.example", "routes": [{"path": "/orders/**", "permission": "orders:read"}]},
        **settings(dns, web, verifications_per_minute=1000))
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


def chief_of(server, pki, admin, tenant):
    """A tenant's administrator."""
    admin.assign(tenant.name, tenant_id(tenant.slug, "chief"), "tenant-admin")
    return server.client(pki.python.tenant(tenant.slug, "chief"))


# MARK: Claiming and verifying


def test_a_domain_becomes_a_tenant_s(admin, dns, web, acme, name):
    claim = admin.claim(acme.name, name.upper())
    assert (claim.name, claim.domain, claim.state) == (f"{acme.name}/domains/{name}", name, PENDING)
    assert claim.expire_time.seconds - claim.claim_time.seconds == 7 * 86_400
    challenge = claim.challenge
    assert challenge.txt_name == f"_tenancy-challenge.{name}"
    assert challenge.http_url.startswith(f"http://{name}:{web.port}/.well-known/tenancy-challenge/")
    assert admin.claim(acme.slug, name) == claim == admin.domain(claim.name)

    # Nothing is there, then something else, then it is.
    error = failure("FAILED_PRECONDITION", admin.verify, claim.name)
    assert error.reason == "DOMAIN_NOT_PROVEN"
    assert error.metadata["seen"] == f"{challenge.txt_name} has no TXT record"
    dns.set_text(challenge.txt_name, "v=spf1 -all", challenge.txt_value[:-1], "\x1b[2J" + "x" * 300)
    error = failure("FAILED_PRECONDITION", admin.verify, claim.name)
    assert '"v=spf1 -all"' in error.metadata["seen"] and "\x1b" not in error.metadata["seen"]
    assert len(error.metadata["seen"].encode()) <= 256 and of_host(admin, name) is None
    dns.prove(claim)
    verified = admin.verify(claim.name)
    assert (verified.state, verified.method) == (VERIFIED, DNS)
    assert verified.verify_time.seconds and not verified.HasField("challenge") and not verified.HasField("expire_time")
    assert admin.domains_of(acme.name) == [verified] == [admin.claim(acme.name, name)]

    # It is so however it is written, and nothing beside it is.
    for host in (name, name.upper(), f"{name}.", f"{name}:8443", f"{name}.:443"):
        assert of_host(admin, host) == acme.name, host
    for host in (f"www.{name}", name.partition(".")[2], f"{name}.org"):
        assert of_host(admin, host) is None, host
    # What was shown once needs nobody to be asked again.
    asked = len(dns.asked)
    assert admin.verify(claim.name) == admin.verify(claim.name, HTTP) == verified
    assert len(dns.asked) == asked


def test_selectors_agree_with_it_or_are_refused(admin, connect, pki, dns, acme, globex, name):
    owned(admin, dns, acme, name)

    def resolve(client, **selectors):
        return client.resolver.ResolveTenant(api.resolver.ResolveTenantRequest(**selectors), timeout=20)

    answer = resolve(admin, host=name, path=f"/tenants/{acme.slug}/x")
    assert answer.tenant.name == acme.name
    error = failure("INVALID_ARGUMENT", resolve, admin, host=name, path=f"/tenants/{globex.slug}/x")
    assert error.reason == "TENANT_AMBIGUOUS"
    own, other = (connect(pki.python.tenant(tenant.slug)) for tenant in (acme, globex))
    assert resolve(own, host=name).tenant.name == acme.name
    assert failure("PERMISSION_DENIED", resolve, other, host=name).reason == "TENANT_MISMATCH"
    # A host that is nobody's says nothing.
    assert resolve(other, host=f"www.{name}").tenant.name == globex.name
    for client, statement, value in ((admin, "NAMED", acme.slug), (own, "NAMED", acme.slug),
                                     (other, "NAMED_OTHER", name)):
        [finding] = [one for one in client.resolver.ExplainResolution(
            api.resolver.ResolveTenantRequest(host=name)).findings
                     if one.strategy == api.resolver.RESOLUTION_STRATEGY_SUBDOMAIN]
        assert api.resolver.SourceStatement.Name(finding.statement) == f"SOURCE_STATEMENT_{statement}"
        assert finding.value == value


def test_envoy_s_requests_are_for_whom_the_host_is(server, admin, pki, dns, acme, globex, name):
    domain = owned(admin, dns, acme, name)
    for tenant in (acme, globex):
        admin.role(tenant.name, "reader", "orders:read")
        admin.assign(tenant.name, tenant_id(tenant.slug), "reader")
    own, other = (pki.python.tenant(tenant.slug) for tenant in (acme, globex))
    with server.client(pki.python.platform("resolver")) as sidecar:
        for host in (name, f"{name.upper()}:443"):
            found = check(sidecar, host=host, path="/orders/1", certificate=own)
            assert found.allowed, (found.status, found.reason)
            assert found.headers["x-tenant-id"] == acme.id
            refused = check(sidecar, host=host, path="/orders/1", certificate=other)
            assert (refused.allowed, refused.status, refused.reason) == (False, 403, "TENANT_MISMATCH")
            # A host is no identity.
            assert check(sidecar, host=host, path="/orders/1").reason == "CREDENTIAL_MISSING"
        admin.release_domain(domain.name)
        assert check(sidecar, host=name, path="/orders/1", certificate=other).headers["x-tenant-id"] == globex.id


def test_a_tenant_s_administrator_does_it_for_its_own(server, admin, pki, connect, dns, acme, globex, name):
    with chief_of(server, pki, admin, acme) as chief:
        claim = chief.claim(acme.slug, name)
        dns.prove(claim)
        assert chief.verify(claim.name).state == VERIFIED
        assert [one.domain for one in chief.domains_of(acme.name)] == [name]
        for call in (lambda: chief.claim(globex.slug, name), lambda: chief.domains_of(globex.slug),
                     lambda: chief.domain(f"{globex.name}/domains/{name}"),
                     lambda: chief.verify(f"{globex.name}/domains/{name}"),
                     lambda: chief.release_domain(f"{globex.name}/domains/{name}")):
            assert failure("PERMISSION_DENIED", call).reason == "TENANT_MISMATCH"
        worker = connect(pki.python.tenant(acme.slug))
        for call in (lambda: worker.claim(acme.slug, f"x.{name}"), lambda: worker.verify(claim.name),
                     lambda: worker.release_domain(claim.name), lambda: worker.domain(claim.name)):
            assert failure("PERMISSION_DENIED", call).reason == "PERMISSION_MISSING"
        chief.release_domain(claim.name)
        assert of_host(admin, name) is None
        assert failure("NOT_FOUND", chief.release_domain, claim.name).reason == "DOMAIN_NOT_FOUND"


@pytest.mark.parametrize("wrong", [
    "", "localhost", "com", "a..com", "*.a.com", "127.0.0.1", "a.com.", "ä.com", "a b.com", "a.com:80", "x" * 300,
    "tenants.example", "x.tenants.example", "a.b.apps.example.org", "example.org"])
def test_what_nobody_can_have_is_refused(admin, acme, wrong):
    invalid("domain", admin.claim, acme.name, wrong)


def test_names_that_are_none_are_refused(admin, acme, name):
    for wrong in (f"{acme.name}/domains/", f"{acme.name}/domains/localhost", f"{acme.name}/roles/{name}",
                  f"{acme.name}/domains/{name}/x", f"{acme.name}/domains/{'a.' * 300}b"):
        invalid("name", admin.domain, wrong)
    claim = admin.claim(acme.name, name)
    invalid("method", admin.verify, claim.name, 0)
    long = admin.claim(acme.name, ("a" * 59 + ".") * 3 + "b" * 63 + ".net")
    assert not long.challenge.txt_name and long.challenge.http_url
    invalid("method", admin.verify, long.name)


# MARK: Whose it is


def test_it_moves_with_proof_alone(server, admin, pki, dns, acme, globex, name, slug):
    mine = owned(admin, dns, acme, name)
    nobodys = admin.claim(globex.name, f"free.{name}")
    theirs = admin.claim(globex.name, name)

    # Whether somebody has it is nowhere in the answer.
    def form(claim):
        text = str(claim).replace(claim.domain, "it")
        for part in (claim.challenge.txt_value, claim.challenge.http_url.rsplit("/", 1)[1]):
            text = text.replace(part, "…")
        return [line for line in text.splitlines() if "seconds" not in line and "nanos" not in line]

    assert form(nobodys) == form(theirs)
    # The record that is there is of the other's claim.
    error = failure("FAILED_PRECONDITION", admin.verify, theirs.name)
    assert error.reason == "DOMAIN_NOT_PROVEN" and of_host(admin, name) == acme.name
    assert admin.domain(mine.name) == mine
    denial = ("/tenancy.v1.TenantDomains/VerifyTenantDomain", "DOMAIN_NOT_PROVEN")
    eventually(lambda: denial in denials(admin, globex.name), "it is on record")
    # The one that has it learns nothing of who has tried.
    assert denial not in denials(admin, acme.name)
    dns.prove(theirs)
    assert admin.verify(theirs.name).state == VERIFIED
    assert of_host(admin, name) == globex.name and admin.domains_of(acme.name) == []
    assert failure("NOT_FOUND", admin.domain, mine.name).reason == "DOMAIN_NOT_FOUND"
    # Its former record is worth nothing: it was of a claim that is no more.
    again = admin.claim(acme.name, name)
    assert failure("FAILED_PRECONDITION", admin.verify, again.name).reason == "DOMAIN_NOT_PROVEN"

    def actions(tenant):
        records = admin.audit.ListAuditRecords(
            api.audit.ListAuditRecordsRequest(parent=tenant.name), timeout=20).records
        return [record.action for record in records]

    assert actions(acme).count("domains.verify") == 2 and actions(globex).count("domains.verify") == 1


def test_a_deleted_tenant_s_is_served_no_more(admin, dns, acme, globex, name):
    owned(admin, dns, acme, name)
    pending = admin.claim(acme.name, f"later.{name}")
    dns.prove(pending)
    admin.delete(acme.name)
    assert of_host(admin, name) is None
    assert failure("NOT_FOUND", admin.verify, pending.name).reason == "TENANT_NOT_FOUND"
    assert failure("NOT_FOUND", admin.claim, acme.name, f"new.{name}").reason == "TENANT_NOT_FOUND"
    owned(admin, dns, globex, name)
    assert of_host(admin, name) == globex.name


def test_a_purged_tenant_has_none(server, admin, dns, acme, globex, name):
    owned(admin, dns, acme, name)
    owned(admin, dns, globex, f"www.{name}")
    admin.delete(acme.name)
    with sqlite3.connect(f"file:{server.data}/tenancy.sqlite?mode=ro", uri=True) as database:
        def rows(tenant):
            return database.execute(
                "SELECT name FROM tenant_domains WHERE tenant_id = ?", (tenant.id,)).fetchall()

        assert rows(acme) == [(name,)]
        assert admin.purge(acme.name).state == api.PURGED
        assert rows(acme) == [] and rows(globex) == [(f"www.{name}",)]
    database.close()
    assert of_host(admin, name) is None


@pytest.mark.parametrize("anew", [False, True])
def test_a_claim_that_goes_meanwhile_is_not_verified(admin, dns, acme, name, anew):
    claim = admin.claim(acme.name, name)
    dns.prove(claim)
    while dns.was_asked.acquire(blocking=False):
        pass
    dns.may_answer.clear()
    try:
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(admin.verify, claim.name)
            assert dns.was_asked.acquire(timeout=10)
            admin.release_domain(claim.name)
            if anew:
                admin.claim(acme.name, name)
            dns.may_answer.set()
            error = failure("ABORTED" if anew else "NOT_FOUND", waiting.result)
    finally:
        dns.may_answer.set()
    assert error.reason == ("DOMAIN_CLAIM_CHANGED" if anew else "DOMAIN_NOT_FOUND")
    assert of_host(admin, name) is None


def test_there_are_so_many_and_no_more(admin, acme, globex, slug):
    for number in range(100):
        admin.claim(acme.name, f"d{number}.{slug('d')}.net")
    error = failure("RESOURCE_EXHAUSTED", admin.claim, acme.name, "more.example.net")
    assert (error.reason, error.metadata["quota"]) == ("LIMIT_REACHED", "domains")
    admin.claim(globex.name, "more.example.net")
    listed, token = [], ""
    while True:
        page = admin.domains.ListTenantDomains(domains.ListTenantDomainsRequest(
            parent=acme.name, page_size=30, page_token=token), timeout=20)
        listed += [one.domain for one in page.domains]
        token = page.next_page_token
        if not token:
            break
    assert len(listed) == 100 and listed == sorted(listed)


# MARK: Where it is known


def test_they_survive_a_restart(make_server, dns, web, name):
    server = make_server(**settings(dns, web)).start()
    with server.operator() as admin:
        acme = admin.active("acme", api.SHARED)
        verified, pending = owned(admin, dns, acme, name), admin.claim(acme.name, f"later.{name}")
    server.kill()
    server.start()
    with server.operator() as admin:
        assert of_host(admin, name) == acme.name
        assert admin.domains_of(acme.name) == sorted([verified, pending], key=lambda one: one.domain)
        dns.prove(pending)
        assert admin.verify(pending.name).state == VERIFIED
    assert server.stop() == 0


def test_every_node_sees_them(make_server, database, dns, web, name):
    nodes = [make_server(**node_settings(database), **settings(dns, web)).start() for _ in range(2)]
    with nodes[0].operator() as one, nodes[1].operator() as other:
        acme, globex = (one.active(slug, api.SHARED) for slug in ("acme", "globex"))
        owned(one, dns, acme, name)
        eventually(lambda: of_host(other, name) == acme.name, "the other has it")
        owned(other, dns, globex, name)
        eventually(lambda: of_host(one, name) == globex.name, "it has moved")
        other.release_domain(f"{globex.name}/domains/{name}")
        eventually(lambda: of_host(one, name) is None, "it is nobody's")


def test_without_the_setting_none_is_claimed(make_server):
    server = make_server()
    del server.settings["domains"]
    server.start()
    with server.operator() as admin:
        acme = admin.active("acme", api.SHARED)
        for call in (lambda: admin.claim(acme.name, "shop.acme.net"),
                     lambda: admin.verify(f"{acme.name}/domains/shop.acme.net")):
            assert failure("UNIMPLEMENTED", call).reason == "DOMAINS_NOT_CONFIGURED"
        assert admin.domains_of(acme.name) == []


@pytest.mark.parametrize(("wrong", "what"), [
    ({"resolvers": ["localhost"]}, "resolvers"), ({"resolvers": ["127.0.0.1:0"]}, "resolvers"),
    ({"resolvers": ["127.0.0.1"] * 4}, "at most 3"), ({"http_port": 0}, "http_port"),
    ({"verifications_per_minute": 0}, "verifications_per_minute"), ({"resolver": []}, "resolver")])
def test_settings_that_are_none_are_refused(make_server, wrong, what):
    server = make_server(domains=wrong)
    assert server.launch().wait(20) != 0
    server.wait()
    assert what in server.log


def test_the_command_line_says_what_to_set(server, admin, dns, acme, name):
    def ctl(*arguments, code=0):
        done = subprocess.run(
            [os.environ["TENANTCTL"], "domain", *arguments, "--address", f"unix:{server.socket}"],
            capture_output=True, text=True, timeout=30)
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    told = ctl("claim", acme.slug, name)
    claim = admin.domain(f"{acme.name}/domains/{name}")
    challenge = claim.challenge
    for part in (f'{challenge.txt_name}. TXT "{challenge.txt_value}"', challenge.http_url, challenge.http_content):
        assert part in told, told
    assert "DOMAIN_NOT_PROVEN" in ctl("verify", acme.slug, name, code=1)
    dns.prove(claim)
    verified = json.loads(ctl("verify", acme.slug, name, "--output", "json"))
    assert verified["state"] == "TENANT_DOMAIN_STATE_VERIFIED" and "challenge" not in verified
    assert name in ctl("list", acme.slug) and "verified" in ctl("get", acme.slug, name)
    assert ctl("release", acme.slug, name, "--yes") == f"released tenants/{acme.slug}/domains/{name}\n"
