"""Nodes and a database that die while tenants' data is made and destroyed in a cluster: all goes on, nothing is left."""

import os
import random
import threading
import time

import grpc
import pytest
from support import api
from support.clusters import Cluster
from support.nodes import settings
from support.waiting import eventually

TENANTS = int(os.environ.get("TENANCY_CLUSTER_TENANTS", "24"))
CRASHES = int(os.environ.get("TENANCY_CLUSTER_CRASHES", "6"))
SEED = int(os.environ.get("TENANCY_SEED", "20261130"))
MODELS = [api.DATABASE, api.SCHEMA, api.SHARED, api.HYBRID]
CATEGORIES = api.tenant.TenantConfiguration(data_categories=[
    api.tenant.DataCategory(category=name, isolation_model=model)
    for name, model in (("files", api.DATABASE), ("notes", api.SCHEMA), ("events", api.SHARED))])
# How each of them keeps its data apart.
KINDS = [(model, None) for model in MODELS] + [(api.HYBRID, CATEGORIES)]


class Fleet:
    """Tenants that are moved all the time, by nodes that may be gone."""

    def __init__(self, nodes, names, seed):
        self.nodes, self.names, self.seed = nodes, names, seed
        self.ends = threading.Event()
        self.counts = {}
        self._lock = threading.Lock()

    def run(self, worker):
        choose = random.Random(f"{self.seed} {worker}")
        mine = self.names[worker::4]
        while not self.ends.is_set():
            with choose.choice(self.nodes).operator() as client:
                for _ in range(8):
                    if self.ends.is_set():
                        break
                    self.move(client, choose.choice(mine), choose)

    def move(self, client, name, choose):
        manager, requests = client.manager, api.manager
        calls = {
            "provision": lambda: manager.ProvisionTenantResources(
                requests.ProvisionTenantResourcesRequest(name=name), timeout=10),
            "suspend": lambda: manager.DeactivateTenant(
                requests.DeactivateTenantRequest(name=name), timeout=10),
            "activate": lambda: manager.ActivateTenant(
                requests.ActivateTenantRequest(name=name), timeout=10),
            "deprovision": lambda: manager.DeprovisionTenantResources(
                requests.DeprovisionTenantResourcesRequest(name=name), timeout=10),
            "delete": lambda: manager.DeleteTenant(requests.DeleteTenantRequest(name=name), timeout=10),
            "undelete": lambda: manager.UndeleteTenant(
                requests.UndeleteTenantRequest(name=name), timeout=10),
            "purge": lambda: manager.PurgeTenant(
                requests.PurgeTenantRequest(name=name, ignore_retention=True), timeout=10),
        }
        # Mostly there and back; few die.
        kind = choose.choices(list(calls), [8, 5, 2, 6, 1, 2, 1])[0]
        try:
            calls[kind]()
            answer = "OK"
        except grpc.RpcError as error:
            answer = error.code().name
        with self._lock:
            self.counts[kind, answer] = self.counts.get((kind, answer), 0) + 1


@pytest.mark.parametrize("kills", ["nodes", "nodes and the database"])
def test_nothing_is_stuck_and_nothing_is_left(make_server, database, kills):
    cluster = Cluster(database, at_once=4)
    nodes = [make_server(clusters=[cluster.settings], **settings(database, poll=200, lease_seconds=2)).start()
             for _ in range(2)]
    names = [f"t{number}" for number in range(TENANTS)]
    with nodes[0].operator() as admin:
        for number, name in enumerate(names):
            model, configuration = KINDS[number % len(KINDS)]
            admin.create(name, model, configuration=configuration)
    fleet = Fleet(nodes, names, SEED)
    workers = [threading.Thread(target=fleet.run, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    choose = random.Random(SEED)
    try:
        for _ in range(CRASHES):
            time.sleep(choose.uniform(0.3, 1.5))
            if kills != "nodes" and choose.random() < 0.3:
                database.tell("kill")
                database.tell("start")
                continue
            node = choose.choice(nodes)
            node.kill()
            time.sleep(choose.uniform(0, 0.5))
            node.start()
    finally:
        fleet.ends.set()
        for worker in workers:
            worker.join()
    assert fleet.counts.get(("provision", "OK"), 0) > 0 and fleet.counts.get(("deprovision", "OK"), 0) > 0, fleet.counts
    with nodes[choose.randrange(2)].operator() as admin:
        settle(admin, names)
        # What they have left is destroyed by whichever node comes first.
        eventually(lambda: not admin.audit_cluster("one"), "the cluster has what it should have", 60)
        tenants = everyone(admin)
        states = {tenant.slug: tenant.state for tenant in tenants}
        there = lambda: set(cluster.sql("SELECT tenant_id FROM tenancy_cluster.tenants").split())  # noqa: E731
        # Some were deleted before they had anything; of others a node is yet to destroy what they had.
        assert {t.id for t in tenants if t.state == api.ACTIVE} <= there()
        having = {t.id for t in tenants if t.state in (api.ACTIVE, api.SUSPENDED, api.DELETED)}
        eventually(lambda: there() <= having, "what tenants have left is destroyed", 60)
        for name, state in states.items():
            if state == api.ACTIVE:
                access = admin.data_access(name)
                for database in [part.database for part in access.categories] or [access.database]:
                    assert cluster.login(access, "SELECT 1", database) == "1"
        # And all can be ended.
        for name, state in states.items():
            if state != api.DELETED:
                admin.delete(name)
            attempt(lambda: admin.purge(name))
        # Another node may be at work on one: it, or the next call, ends it.
        eventually(lambda: all(attempt(lambda: admin.purge(tenant.name)) for tenant in everyone(admin))
                   and not everyone(admin), "all are purged", 60)
        assert cluster.remains() == []


def everyone(admin):
    return admin.manager.ListTenants(
        api.manager.ListTenantsRequest(show_deleted=True, page_size=1000), timeout=20).tenants


def settle(admin, names):
    """Until none is on its way: each was begun by a node that has gone, or failed for a reason that is over."""
    def settled():
        for tenant in everyone(admin):
            if tenant.state in (api.PROVISION_FAILED, api.PROVISIONING):
                attempt(lambda: admin.provision(tenant.name))
            if tenant.state == api.PURGING:
                attempt(lambda: admin.purge(tenant.name))
        return all(tenant.state in (api.PENDING, api.ACTIVE, api.SUSPENDED, api.DELETED)
                   for tenant in everyone(admin))

    eventually(settled, "all tenants are somewhere", 90)


def attempt(call):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code().name in ("ABORTED", "FAILED_PRECONDITION", "NOT_FOUND", "UNAVAILABLE"), error
        return False
    return True
