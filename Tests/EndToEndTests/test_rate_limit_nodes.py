"""Limits of several nodes on one PostgreSQL: together they let through what one may."""

import threading
import time
from contextlib import ExitStack, contextmanager

import pytest
from support import api
from support.nodes import settings as node_settings
from support.rate_limits import ask, descriptor
from support.waiting import eventually

pytestmark = pytest.mark.quiet

# Well below what a client asks for on a slow machine.
RATE = 100
PLANS = {"default_plan": "usual", "plans": [
    {"name": "usual", "limits": [{"requests": RATE, "per": "second"}]},
    {"name": "monthly", "limits": [{"requests": 2000, "per": "month"}]},
]}


@pytest.fixture
def nodes(make_server, database):
    return [make_server(**node_settings(database, poll=200), rate_limits=PLANS).start() for _ in range(2)]


@pytest.fixture
def acme(nodes):
    def make(slug, plan=""):
        with nodes[0].operator() as admin:
            tenant = admin.active(slug, api.SHARED, configuration=api.tenant.TenantConfiguration(
                limits=api.tenant.RequestLimits(plan=plan)))
        with nodes[1].operator() as client:
            eventually(lambda: ask(client, descriptor(tenant.id, hits=0)).status.HasField("current_limit"),
                       "the other node knows it")
        return tenant
    return make


@contextmanager
def flooding(nodes, tenant, connections=2):
    """Requests without a pause; gives the numbers of those let through and of all, by connection."""
    ends = threading.Event()
    counts = [[0, 0] for _ in nodes for _ in range(connections)]

    def run(node, count):
        with node.operator() as client:
            while not ends.is_set():
                allowed = ask(client, tenant.id).allowed
                count[0] += allowed
                count[1] += 1

    threads = [threading.Thread(target=run, args=(nodes[number // connections], count))
               for number, count in enumerate(counts)]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        ends.set()
        for thread in threads:
            thread.join()


def through(nodes, tenant, seconds) -> tuple[int, float]:
    began = time.monotonic()
    with flooding(nodes, tenant, connections=1) as counts:
        time.sleep(seconds)
    took = time.monotonic() - began
    for count in counts:
        assert count[1] > RATE * took, "it was a flood"
    return sum(count[0] for count in counts), took


def test_together_no_more_than_one_may(nodes, acme):
    found, took = through(nodes, acme("both"), 5)
    # What is let through beyond it in the first moments is paid back.
    assert RATE * took * 0.9 <= found <= RATE * took + 1.4 * RATE


def test_one_alone_has_all(nodes, acme):
    found, took = through(nodes[:1], acme("alone"), 5)
    assert RATE * took * 0.9 <= found <= RATE * took + 1.3 * RATE


def test_a_quota_is_one_for_all(nodes, acme):
    tenant = acme("monthly", "monthly")
    with flooding(nodes, tenant) as counts:
        eventually(lambda: sum(count[0] for count in counts) >= 2000, "it is used")
        time.sleep(1)
    assert 2000 <= sum(count[0] for count in counts) <= 2200
    for node in nodes:
        node.stop()
        node.start()
        with node.operator() as client:
            assert not ask(client, tenant.id).allowed


def test_without_the_database_each_goes_on_with_its_part(nodes, acme, database):
    tenant = acme("cut")
    with ExitStack() as stack:
        clients = [stack.enter_context(node.operator()) for node in nodes]
        eventually(lambda: all(ask(client, tenant.id).allowed for client in clients), "they go on")
        database.tell("pause")
        try:
            apart, took = through(nodes, tenant, 4)
            assert RATE * took * 0.75 <= apart <= RATE * took + 1.1 * RATE
        finally:
            database.tell("resume")
        found, longer = through(nodes, tenant, 4)
        # What was let through beyond it is paid back.
        assert found <= RATE * longer + 1.3 * RATE
        assert apart + found >= RATE * (took + longer) * 0.9


def test_a_node_that_is_gone_leaves_its_part(nodes, acme):
    tenant = acme("left")
    through(nodes, tenant, 1)
    # By its own word, at once.
    assert nodes[1].stop() == 0
    with nodes[0].operator() as client:
        eventually(lambda: ask(client, descriptor(tenant.id, hits=0)).status.limit_remaining == RATE, "it is full")
        # Alone it need not ask: the whole bucket at once.
        eventually(lambda: all_at_once(client, tenant), "it has the whole")


def all_at_once(client, tenant) -> bool:
    if ask(client, descriptor(tenant.id, hits=0)).status.limit_remaining < RATE:
        return False
    return ask(client, tenant.id, hits=RATE).allowed
