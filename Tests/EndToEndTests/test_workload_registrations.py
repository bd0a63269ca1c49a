"""Certificates end with the registration entries that they were issued by."""

import shutil

import grpc
import pytest
from cryptography.x509 import ObjectIdentifier
from support import api
from support.authorities import UID, called, fetched, with_stored_authorities
from support.http_requests import check
from support.nodes import settings as node_settings
from support.pki import TRUST_DOMAIN
from support.waiting import eventually
from support.workload import Workload, certificates, credential, with_workload_api
from test_streams import ending, watch

ENTRY = ObjectIdentifier("2.25.142301311194918015955599287742072137667")


def issued(server, hint=""):
    """The certificate of one entry, and its credential."""
    with Workload(server.workload_socket, uid=UID) as process:
        [svid] = [svid for svid in process.svids() if svid["hint"] == hint]
    chain = certificates(svid["chain"])
    return chain[0], credential(chain, svid["key"])


def refused(server, mine) -> bool:
    """Whether its handshake fails, or its first call."""
    try:
        return not called(server, mine)
    except grpc.RpcError as error:
        assert error.code().name in ("UNAVAILABLE", "UNAUTHENTICATED"), error
        return True


@pytest.fixture(params=["files", "store"])
def server(request, make_server):
    server = make_server(envoy={"routes": [{"path": "/**", "permission": "orders:read"}]})
    if request.param == "files":
        return with_workload_api(server).start()
    server = with_stored_authorities(server).start()
    with server.operator() as chief:
        chief.activate(chief.prepare().name, force=True)
    return server


@pytest.fixture
def chief(server):
    with server.operator() as chief:
        yield chief


@pytest.fixture
def acme(chief):
    return chief.active("acme", api.SHARED)


def one_of(chief, server, tenant, path):
    entry = chief.register(tenant, path, uid=UID, hint=path)
    certificate, mine = eventually(lambda: fetched(lambda: issued(server, path)), "certificates are made")
    eventually(lambda: fetched(lambda: called(server, mine)), "listeners trust it")
    return entry, certificate, mine


def test_one_ends_with_its_entry(server, chief, acme, pki):
    first, certificate, one = one_of(chief, server, acme.name, "one")
    second, _, two = one_of(chief, server, acme.name, "two")
    extension = certificate.extensions.get_extension_for_oid(ENTRY)
    assert not extension.critical
    assert extension.value.value[2:].decode() == first.name.removeprefix("workloadEntries/")
    byhand = pki.python.tenant("acme")
    with server.client(one) as client, server.client(two) as other, server.client(byhand) as hand:
        health, other_health = watch(client), watch(other)
        assert next(health) and next(other_health)
        for caller in (client, other, hand):
            assert caller.who().tenant == acme.name
        chief.unregister(first.name)
        # The very next call, though the connection may be there for a moment still.
        with pytest.raises(grpc.RpcError) as error:
            client.who()
        assert error.value.code().name in ("UNAUTHENTICATED", "UNAVAILABLE")
        code, seconds = ending(health)
        assert code in ("UNAUTHENTICATED", "UNAVAILABLE") and seconds < 3
        assert refused(server, one)
        for caller in (other, hand):
            assert caller.who().tenant == acme.name
        assert other_health.is_active()
    assert called(server, two) and called(server, byhand)
    # The same identity by another entry is another certificate.
    third, _, again = one_of(chief, server, acme.name, "one")
    assert refused(server, one) and called(server, again)
    # Nor does a restart forget it.
    server.kill()
    server.start()
    assert refused(server, one) and called(server, again)


def test_a_gateway_s_ends_as_well(server, chief):
    entry, _, mine = one_of(chief, server, "", "resolver/envoy")
    with server.client(mine) as client:
        assert client.who()
        chief.unregister(entry.name)
        with pytest.raises(grpc.RpcError):
            client.who()
    assert refused(server, mine)


def test_one_that_an_envoy_passes_on(server, chief, acme):
    chief.role(acme.name, "reader", "orders:read")
    chief.assign(acme.name, f"spiffe://{TRUST_DOMAIN}/tenant/{acme.id}/one", "reader")
    entry, _, mine = one_of(chief, server, acme.name, "one")
    assert check(chief, certificate=mine).allowed
    chief.unregister(entry.name)
    found = check(chief, certificate=mine)
    assert not found.allowed and found.reason == "IDENTITY_REVOKED"


def test_those_of_a_deleted_tenant_are_good_for_nothing(server, chief, acme):
    _, _, mine = one_of(chief, server, acme.name, "one")
    chief.delete(acme.name)
    assert refused(server, mine)


def test_on_all_nodes(make_server, database):
    nodes = []
    for serves in (True, False):
        # One of them serves no Workload API.
        node = make_server(**node_settings(database))
        if serves:
            node = with_workload_api(node)
        if nodes:
            shutil.copy(nodes[0].master_key, node.master_key)
        nodes.append(node.start())
    with nodes[1].operator() as chief:
        acme = chief.active("acme", api.SHARED)
        entry, _, mine = one_of(chief, nodes[0], acme.name, "one")
        with nodes[0].client(mine) as here, nodes[1].client(mine) as there:
            eventually(lambda: fetched(there.who), "both take it")
            watches = [watch(client) for client in (here, there)]
            for told in watches:
                next(told)
            chief.unregister(entry.name)
            for told in watches:
                assert ending(told)[0] in ("UNAUTHENTICATED", "UNAVAILABLE")
        for node in nodes:
            eventually(lambda node=node: refused(node, mine), "none takes it")
