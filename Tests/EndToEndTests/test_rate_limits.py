"""Tenants' limits: who may have how many requests let through, and who says so."""

import sqlite3
import threading
import time

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from support import api
from support.client import failure, invalid
from support.daemon import Server
from support.pki import tenant_id
from support.rate_limits import OK, OVER, ask, descriptor, flood
from support.tokens import denials
from support.waiting import eventually

Limit = api.tenant.RequestLimit
# Long enough that nothing comes back while a test runs.
PLANS = {
    "default_plan": "small",
    "plans": [
        {"name": "small", "limits": [{"requests": 5, "per": "hour"}, {"name": "uploads", "requests": 2, "per": "hour"},
                                     {"requests": 1000, "per": "month"}]},
        {"name": "large", "limits": [{"requests": 50, "per": "hour"}, {"name": "uploads", "requests": 20, "per": "hour"},
                                     {"requests": 10, "per": "second", "burst": 500}]},
        {"name": "monthly", "limits": [{"requests": 300, "per": "month"},
                                       {"name": "uploads", "requests": 20, "per": "hour"}]},
    ],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory, pki):
    server = Server(
        tmp_path_factory.mktemp("server"), pki, audit={"window_seconds": 1}, rate_limits=PLANS,
        envoy={"routes": [{"path": "/**", "permission": "orders:read"}]})
    try:
        yield server.start()
        assert server.process.poll() is None, f"tenantd ended:\n{server.log}"
    finally:
        server.close()


@pytest.fixture(scope="module")
def sidecar(server, pki):
    with server.client(pki.python.platform("resolver")) as client:
        yield client


@pytest.fixture
def acme(request, admin):
    """A tenant of the test's own."""
    return admin.active(f"acme-{abs(hash(request.node.name)) % 10**9}", api.SHARED)


def limited(admin, tenant, plan="", *limits, paths=("limits",)):
    return admin.manager.UpdateTenantConfiguration(api.manager.UpdateTenantConfigurationRequest(
        name=tenant.name, update_mask=FieldMask(paths=paths), configuration=api.tenant.TenantConfiguration(
            limits=api.tenant.RequestLimits(plan=plan, limits=limits))), timeout=20)


def per_hour(requests, name="", burst=0):
    return Limit(name=name, requests=requests, period=Limit.PERIOD_HOUR, burst=burst)


# What is let through.

def test_a_tenant_has_what_its_plan_says(sidecar, acme):
    first = ask(sidecar, acme.id)
    assert first.allowed and not first.headers and not first.answer.raw_body
    status = first.status
    assert (status.code, status.current_limit.requests_per_unit, status.current_limit.name) == (OK, 5, "requests")
    assert status.current_limit.unit == api.rls.RateLimitResponse.RateLimit.HOUR
    assert status.limit_remaining == 4 and 700 < status.duration_until_reset.seconds <= 720
    assert flood(sidecar, 20, acme.slug) == 4, "by its id and by its slug it is one"
    over = ask(sidecar, acme.id)
    assert not over.allowed and over.status.code == OVER and over.status.limit_remaining == 0
    assert 700 < over.status.duration_until_reset.seconds <= 720
    assert over.headers["content-type"] == "application/json"
    assert 700 < int(over.headers["retry-after"]) <= 720
    assert over.reason == "RATE_LIMITED"
    # Other requests have another.
    assert flood(sidecar, 9, descriptor(acme.id, "uploads")) == 2


@pytest.mark.quiet
def test_a_bucket_fills_again(admin, sidecar, acme):
    limited(admin, acme, "", Limit(requests=20, period=Limit.PERIOD_SECOND, burst=5), per_hour(1000))
    assert flood(sidecar, 5, acme.id) == 5
    eventually(lambda: ask(sidecar, acme.id).allowed, "one is let through again")
    began, through = time.monotonic(), 0
    while time.monotonic() - began < 2:
        through += ask(sidecar, acme.id).allowed
    took = time.monotonic() - began
    assert 20 * took - 3 <= through <= 20 * took + 7


@pytest.mark.quiet
def test_one_tenants_flood_costs_another_nothing(admin, server, pki, sidecar, acme):
    """Fifty times its limit, from four connections, while another stays within its own."""
    other = admin.active("globex", api.SHARED)
    for tenant in (acme, other):
        limited(admin, tenant, "", Limit(requests=20, period=Limit.PERIOD_SECOND), per_hour(100_000))
    ends = threading.Event()
    let = []

    def attack():
        with server.client(pki.python.platform("resolver")) as client:
            while not ends.is_set():
                let.append(ask(client, acme.id).allowed)

    threads = [threading.Thread(target=attack) for _ in range(4)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    try:
        refused = 0
        while time.monotonic() - began < 4:
            refused += not ask(sidecar, other.id).allowed
            ends.wait(0.055)
    finally:
        ends.set()
        for thread in threads:
            thread.join()
    took = time.monotonic() - began
    assert refused == 0
    assert len(let) > 50 * 20 * took / 4, "it was a flood"
    assert sum(let) <= 20 * took + 21


def test_several_descriptors_count_together_or_not_at_all(admin, sidecar, acme):
    both = (descriptor(acme.id), descriptor(acme.id, "uploads"))
    assert flood(sidecar, 20, *both) == 2
    answer = ask(sidecar, *both).answer
    assert [one.code for one in answer.statuses] == [OK, OVER]
    assert flood(sidecar, 20, acme.id) == 3
    # Also where one is of nobody.
    assert not ask(sidecar, acme.id, "nobody").allowed


def test_hits(sidecar, acme):
    assert ask(sidecar, acme.id, hits=3).status.limit_remaining == 2
    assert not ask(sidecar, acme.id, hits=3).allowed
    # A descriptor's come before those of the request; none ask only.
    for _ in range(5):
        assert ask(sidecar, descriptor(acme.id, hits=0), hits=9).status.limit_remaining == 2
    for hits in (3, 2**32, 2**63, 2**64 - 1):
        assert not ask(sidecar, descriptor(acme.id, hits=hits)).allowed
    assert ask(sidecar, descriptor(acme.id, hits=2)).allowed
    assert not ask(sidecar, descriptor(acme.id, hits=0)).allowed
    assert not ask(sidecar, acme.id, hits=2**32 - 1).allowed


def test_envoy_may_ask_for_less_and_not_for_more(sidecar, acme):
    assert flood(sidecar, 9, descriptor(acme.id, lower=(2, "HOUR"))) == 2
    assert ask(sidecar, descriptor(acme.id, lower=(2, "HOUR"))).status.current_limit.requests_per_unit == 2
    assert flood(sidecar, 9, descriptor(acme.id, lower=(1_000_000, "SECOND"))) == 3


def test_dynamic_metadata_has_plan_and_limits(admin, sidecar, acme, pki):
    from support.http_requests import check
    admin.role(acme.name, "reader", "orders:read")
    admin.assign(acme.name, tenant_id(acme.slug), "reader")
    web = pki.python.tenant(acme.slug)
    small = check(sidecar, certificate=web).metadata
    assert small["plan"] == "small"
    assert small["limits"]["requests"]["hour"] == {"requests_per_unit": 5, "unit": "HOUR"}
    limited(admin, acme, "large")
    large = check(sidecar, certificate=web).metadata
    assert large["plan"] == "large"
    assert large["limits"]["requests"]["second"] == {"requests_per_unit": 10, "unit": "SECOND"}


# Who has none.

def test_who_is_not_served_has_no_requests(admin, sidecar, acme):
    assert ask(sidecar, acme.id).allowed
    admin.suspend(acme.name)
    for tenant in (acme.id, acme.slug, "nobody", "01890000-0000-7000-8000-000000000000", "not a slug", "a" * 5000):
        over = ask(sidecar, tenant)
        assert not over.allowed and over.status.code == OVER and not over.status.HasField("current_limit")
    admin.delete(acme.name)
    assert not ask(sidecar, acme.id).allowed


@pytest.mark.parametrize("field, arguments, named", [
    ("domain", ["acme"], {"domain": "other"}), ("domain", ["acme"], {"domain": ""}),
    ("descriptors", [], {}), ("descriptors", ["acme"] * 17, {}),
    ("descriptors[0].entries", [descriptor()], {}), ("descriptors[0].entries", [descriptor("")], {}),
    ("descriptors[0].entries", [descriptor(limit="requests")], {}),
    ("descriptors[1].entries", ["acme", descriptor("acme", "other")], {}),
    ("descriptors[0].entries", [descriptor("acme", "")], {}),
    ("descriptors[0].entries", [descriptor("acme", remote_address="192.0.2.1")], {}),
    ("descriptors[0].entries", [descriptor("acme", **{f"k{number}": "" for number in range(9)})], {}),
    ("descriptors[0].limit.requests_per_unit", [descriptor("acme", lower=(0, "SECOND"))], {}),
    ("descriptors[0].limit.unit", [descriptor("acme", lower=(5, "UNKNOWN"))], {}),
])
def test_what_is_not_understood_is_an_error(sidecar, field, arguments, named):
    invalid(field, ask, sidecar, *arguments, **named)


def test_a_tenant_named_twice_is_an_error(sidecar, acme):
    twice = descriptor(acme.id)
    twice.entries.add(key="tenant", value="globex")
    invalid("descriptors[0].entries", ask, sidecar, twice)


def test_units_that_there_are_not_are_an_error(sidecar, acme):
    odd = descriptor(acme.id, lower=(5, "SECOND"))
    odd.limit.unit = 7
    invalid("descriptors[0].limit.unit", ask, sidecar, odd)


def test_only_gateways_ask(admin, server, pki, acme):
    admin.assign(acme.name, tenant_id(acme.slug), "tenant-admin")
    with server.client(pki.python.tenant(acme.slug)) as client:
        assert failure("PERMISSION_DENIED", ask, client, acme.id).reason == "PERMISSION_MISSING"


# Who sets them.

def test_the_platform_sets_them(admin, sidecar, acme):
    assert flood(sidecar, 9, acme.id) == 5
    changed = limited(admin, acme, "large")
    assert changed.configuration.limits.plan == "large"
    # What was used stays used, and comes back as the new plan has it.
    assert flood(sidecar, 9, acme.id) <= 1
    limited(admin, acme, "", per_hour(7), paths=["limits.limits"])
    limits = limited(admin, acme, "small", paths=["limits.plan"]).configuration.limits
    assert limits.plan == "small" and [(one.requests, one.burst, one.name) for one in limits.limits] == [
        (7, 7, "requests")]
    got = admin.manager.GetTenant(api.manager.GetTenantRequest(name=acme.name), timeout=20)
    assert got.configuration.limits == limits
    assert not limited(admin, acme).configuration.HasField("limits")
    created = admin.manager.CreateTenant(api.manager.CreateTenantRequest(tenant=api.tenant.Tenant(
        slug=f"{acme.slug}-2", display_name="Two", isolation_model=api.SHARED, configuration=api.tenant.TenantConfiguration(
            limits=api.tenant.RequestLimits(plan="large")))), timeout=20)
    assert created.configuration.limits.plan == "large"
    assert admin.provision(created.name).configuration.limits.plan == "large"
    assert flood(sidecar, 9, created.id) == 9


@pytest.mark.parametrize("field, plan, limits", [
    ("configuration.limits.plan", "huge", []),
    ("configuration.limits.limits[0].name", "", [per_hour(5, "downloads")]),
    ("configuration.limits.limits[0].requests", "", [per_hour(0)]),
    ("configuration.limits.limits[0].requests", "", [per_hour(-1)]),
    ("configuration.limits.limits[1].requests", "", [per_hour(1), per_hour(10**10, "uploads")]),
    ("configuration.limits.limits[0].period", "", [Limit(requests=5)]),
    ("configuration.limits.limits[0].period", "", [Limit(requests=5, period=9)]),
    ("configuration.limits.limits[0].burst", "", [Limit(requests=5, burst=7, period=Limit.PERIOD_DAY)]),
    ("configuration.limits.limits[0].burst", "", [per_hour(5, burst=-1)]),
    ("configuration.limits.limits", "", [per_hour(5), per_hour(6)]),
    ("configuration.limits.limits", "", [per_hour(5)] * 17),
])
def test_limits_that_are_none_are_refused(admin, acme, field, plan, limits):
    invalid(field, limited, admin, acme, plan, *limits)


def test_a_tenants_admin_does_not(admin, server, pki, acme):
    admin.assign(acme.name, tenant_id(acme.slug), "tenant-admin")
    limited(admin, acme, "small", per_hour(9))
    with server.client(pki.python.tenant(acme.slug)) as client:
        mine = client.manager.GetTenant(api.manager.GetTenantRequest(name=acme.name), timeout=20)
        assert [one.requests for one in mine.configuration.limits.limits] == [9]

        def update(configuration):
            return client.manager.UpdateTenant(api.manager.UpdateTenantRequest(
                tenant=api.tenant.Tenant(name=acme.name, configuration=configuration),
                update_mask=FieldMask(paths=["configuration"])), timeout=20)

        attempts = [
            (limited, client, acme, "large"), (limited, client, acme),
            (lambda: limited(client, acme, "large", paths=["limits.plan"]),),
            (lambda: limited(client, acme, "", per_hour(10**9), paths=["limits.limits"]),),
            (lambda: limited(client, acme, "", paths=["limits.limits"]),),
            (lambda: limited(client, acme, "large", paths=[]),),
            (update, api.tenant.TenantConfiguration(limits=api.tenant.RequestLimits(plan="large"))),
        ]
        for attempt in attempts:
            assert failure("PERMISSION_DENIED", *attempt).reason == "LIMITS_NOT_OWN"
        # What was read may be sent back, and what is not sent stays.
        for configuration in (mine.configuration, api.tenant.TenantConfiguration()):
            configuration.feature_flags["beta"] = True
            assert update(configuration).configuration.limits == mine.configuration.limits
    eventually(
        lambda: {("tenants.configure", "LIMITS_NOT_OWN")} & denials(admin, acme.name)
        or {("/tenancy.v1.TenantManager/UpdateTenantConfiguration", "LIMITS_NOT_OWN")} & denials(admin, acme.name),
        "it is in the audit trail")


# What lasts.

def test_a_quota_outlasts_the_server(make_server):
    server = make_server(rate_limits=PLANS).start()
    with server.operator() as admin:
        acme = admin.active("acme", api.SHARED)
        limited(admin, acme, "monthly")
        assert ask(admin, acme.id, hits=250).allowed
    assert server.stop() == 0
    server.start()
    with server.operator() as admin:
        assert ask(admin, acme.id).status.limit_remaining == 49
        assert flood(admin, 100, acme.id) == 49
        # Within moments it is on disk.
        check = sqlite3.connect(f"file:{server.data}/tenancy.sqlite?mode=ro", uri=True)
        eventually(lambda: check.execute("SELECT used FROM request_counts").fetchone() == (300_000_000,), "it is told")
    server.kill()
    server.start()
    with server.operator() as admin:
        assert not ask(admin, acme.id).allowed


def test_without_plans_there_is_a_usual_one(make_server):
    server = make_server().start()
    with server.operator() as admin:
        acme = admin.active("acme", api.SHARED)
        status = ask(admin, acme.id).status
        assert (status.current_limit.requests_per_unit, status.limit_remaining) == (100_000, 99_999)
