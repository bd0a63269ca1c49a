"""Tenants' data, which each node makes and destroys on its own disk, on one PostgreSQL."""

import signal
import sqlite3
import time

import grpc
import pytest
from support import api
from support.client import Failure, failure
from support.nodes import behind, create, settings
from support.waiting import eventually


def test_a_node_that_is_paused_while_it_provisions(make_server, database):
    """Another leaves the tenant alone until the lease has expired; then the first records nothing more."""
    one = make_server(**settings(database, lease_seconds=6)).start()
    with one.operator() as admin:
        admin.active("first", api.SHARED)
        acme = admin.create("acme", api.SHARED)
        # Its data plane waits for a lock, before any step is on record.
        lock = sqlite3.connect(one.data / "tenants" / "shared.sqlite", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        call = admin.manager.ProvisionTenantResources.future(
            api.manager.ProvisionTenantResourcesRequest(name=acme.name), timeout=120)
        eventually(lambda: admin.get("acme").state == api.tenant.TENANT_STATE_PROVISIONING, "it begins")
        one.pause()
        try:
            began = time.monotonic()
            other = make_server(**settings(database, lease_seconds=6)).start()
            with other.operator() as client:

                def refused():
                    with pytest.raises(grpc.RpcError) as error:
                        client.provision("acme")
                    found = Failure.of(error.value)
                    return found if found.reason != "STORE_UNAVAILABLE" else None

                # Paused in the middle of a transaction, it keeps all others out for a moment.
                held = eventually(refused, "the store takes changes")
                assert (held.code, held.reason) == (grpc.StatusCode.ABORTED, "LEASE_HELD")
                # It goes on by itself.
                eventually(lambda: client.get("acme").state == api.tenant.TENANT_STATE_ACTIVE,
                           "another node takes over")
                assert time.monotonic() - began > 2
                epoch = client.get("acme").epoch
                lock.execute("ROLLBACK")
                lock.close()
                one.process.send_signal(signal.SIGCONT)
                with pytest.raises(grpc.RpcError) as late:
                    call.result()
                assert Failure.of(late.value).reason == "LEASE_LOST"
                assert client.get("acme").epoch == epoch
                steps = database.sql("SELECT string_agg(name, ',' ORDER BY name) FROM"
                                     f" tenancy.provisioning_steps WHERE tenant_id = '{acme.id}'")
                place = (other.data / "tenants" / "place").read_text()
                assert steps == f"place:{place},register_shared"
                assert database.sql("SELECT count(*) FROM tenancy.leases") == "0"
                # Each node destroys what it made.
                client.suspend("acme")
                elsewhere = failure("FAILED_PRECONDITION", deprovision, admin, "acme",
                                    token=create(client, "later"))
                assert elsewhere.reason == "DATA_ELSEWHERE"
                deprovision(client, "acme")
        finally:
            one.process.send_signal(signal.SIGCONT)
    assert "the store has failed" not in other.log


def deprovision(client, name: str, token: str | None = None, force: bool = False):
    return client.manager.DeprovisionTenantResources(
        api.manager.DeprovisionTenantResourcesRequest(name=name, force=force), timeout=20,
        **(behind(token) if token else {}))


def provisioned(client, name: str) -> bool:
    """Whether nothing else was at work on the tenant's resources."""
    try:
        client.provision(name)
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.ABORTED, error
        return False
    return True


def steps_of(database, tenant) -> set[str]:
    found = database.sql(
        f"SELECT name FROM tenancy.provisioning_steps WHERE tenant_id = '{tenant.id}'")
    return set(found.split())


def place_of(node) -> str:
    return (node.data / "tenants" / "place").read_text()


def rows_of(node, tenant) -> int:
    """Of a SHARED tenant's data, on a node's disk."""
    with sqlite3.connect(node.data / "tenants" / "shared.sqlite") as file:
        [[count]] = file.execute(
            "SELECT count(*) FROM tenancy_tenants WHERE tenant_id = ?", [tenant.id])
        return count


def test_a_node_that_is_paused_while_it_destroys(make_server, database):
    """What it has on its disk is neither forgotten nor destroyed by others, and goes when it is back."""
    one = make_server(**settings(database, lease_seconds=3)).start()
    with one.operator() as admin:
        acme = admin.active("acme", api.SHARED)
        admin.suspend("acme")
        lock = sqlite3.connect(one.data / "tenants" / "shared.sqlite", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        call = admin.manager.DeprovisionTenantResources.future(
            api.manager.DeprovisionTenantResourcesRequest(name="acme"), timeout=120)
        eventually(lambda: steps_of(database, acme) == {f"left:{place_of(one)}"}, "it begins")
        one.pause()
        try:
            other = make_server(**settings(database, lease_seconds=3)).start()
            with other.operator() as client:
                eventually(lambda: "yet to be destroyed in another node" in other.log,
                           "another node takes over, and tells what it can't do", 30)
                elsewhere = failure("FAILED_PRECONDITION", deprovision, client, "acme")
                assert elsewhere.reason == "DATA_ELSEWHERE"
                # Now and then the node tries to destroy what it can't: whoever meets that is to come back.
                eventually(lambda: provisioned(client, "acme"), "nothing is in its way")
                eventually(lambda: client.get("acme").state == api.tenant.TENANT_STATE_ACTIVE,
                           "it lives anew")
                assert f"left:{place_of(one)}" in steps_of(database, acme)
                lock.execute("ROLLBACK")
                lock.close()
                assert rows_of(one, acme) == 1
                one.process.send_signal(signal.SIGCONT)
                with pytest.raises(grpc.RpcError) as late:
                    call.result()
                assert Failure.of(late.value).reason in ("LEASE_LOST", "STORE_UNAVAILABLE")
                eventually(lambda: rows_of(one, acme) == 0, "what it has goes", 30)
                eventually(lambda: steps_of(database, acme) == {
                    f"place:{place_of(other)}", "register_shared"}, "and that is recorded", 30)
                assert client.get("acme").state == api.tenant.TENANT_STATE_ACTIVE
                assert rows_of(other, acme) == 1
        finally:
            one.process.send_signal(signal.SIGCONT)


def test_data_of_a_node_that_is_gone_is_given_up_by_force(make_nodes, database):
    [one] = make_nodes(1)
    with one.operator() as admin:
        acme = admin.active("acme", api.SHARED)
        admin.suspend("acme")
    one.kill()
    [other] = make_nodes(1)
    with other.operator() as client:
        elsewhere = failure("FAILED_PRECONDITION", deprovision, client, "acme")
        assert elsewhere.reason == "DATA_ELSEWHERE"
        after = deprovision(client, "acme", force=True)
        assert after.state == api.tenant.TENANT_STATE_PENDING
        assert steps_of(database, acme) == set()
        told = f"DATA_GIVEN_UP {place_of(one)}"
        assert database.sql(
            "SELECT count(*) FROM tenancy.audit_records WHERE position("
            f"convert_to('{told}', 'UTF8') IN record) > 0 AND chain = '{acme.id}'") == "1"
        client.provision("acme")
        assert client.get("acme").state == api.tenant.TENANT_STATE_ACTIVE


def test_data_that_was_not_recorded_is_adopted_by_the_node_that_has_it(make_server, database):
    one = make_server(**settings(database)).start()
    with one.operator() as admin:
        acme = admin.active("acme", api.SHARED)
    assert one.stop() == 0
    # As an earlier version has left it.
    database.sql("DELETE FROM tenancy.provisioning_steps WHERE name LIKE 'place:%'")
    other = make_server(**settings(database)).start()
    assert "where its data is was not recorded, and it is not here" in other.log
    assert f"{acme.id}" in other.log
    one.start()
    assert steps_of(database, acme) == {f"place:{place_of(one)}", "register_shared"}
    with other.operator() as client:
        client.suspend("acme")
        assert failure("FAILED_PRECONDITION", deprovision, client, "acme").reason == "DATA_ELSEWHERE"
    with one.operator() as admin:
        eventually(lambda: admin.get("acme").state == api.tenant.TENANT_STATE_SUSPENDED, "it is seen")
        deprovision(admin, "acme")
        assert rows_of(one, acme) == 0


def test_a_node_leaves_what_another_node_has_made(make_nodes):
    [one] = make_nodes(1)
    with one.operator() as admin:
        admin.active("acme", api.SHARED)
        [other] = make_nodes(1)
        with other.operator() as client:
            assert client.get("acme").state == api.tenant.TENANT_STATE_ACTIVE
    assert other.stop() == 0


def test_a_crashed_node_is_made_up_for(make_server, database):
    one = make_server(**settings(database, lease_seconds=2)).start()
    with one.operator() as admin:
        acme = admin.create("acme", api.SHARED)
        admin.active("first", api.SHARED)
        lock = sqlite3.connect(one.data / "tenants" / "shared.sqlite", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        # Kept, or grpcio cancels it: a call that nobody refers to is over.
        call = admin.manager.ProvisionTenantResources.future(
            api.manager.ProvisionTenantResourcesRequest(name=acme.name), timeout=120)
        eventually(lambda: admin.get("acme").state == api.tenant.TENANT_STATE_PROVISIONING, "it begins")
    one.kill()
    lock.close()
    other = make_server(**settings(database, lease_seconds=2)).start()
    with other.operator() as client:
        eventually(lambda: client.get("acme").state == api.tenant.TENANT_STATE_ACTIVE, "it goes on")
