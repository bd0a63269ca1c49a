"""Streams of the SPIFFE Workload API: what they are told when something changes."""

import os
import subprocess
import sys

import pytest
from spiffe import X509Source
from support import api
from support.daemon import Server
from support.nodes import settings as node_settings
from support.pki import Authority
from support.waiting import eventually
from support.workload import Workload, certificates, with_workload_api
from test_workload_api import acme, ask, identity, ids, register  # noqa: F401  (fixtures)

UID = 32_000


@pytest.fixture(scope="module")
def server(tmp_path_factory, pki):
    server = with_workload_api(Server(tmp_path_factory.mktemp("server"), pki))
    try:
        yield server.start()
        assert server.process.poll() is None, f"tenantd ended:\n{server.log}"
    finally:
        server.close()


def activate(admin, name):
    return admin.manager.ActivateTenant(api.manager.ActivateTenantRequest(name=name), timeout=20)


def test_entries_come_and_go(ask, admin, acme, register):
    first = register(acme.name, "one", uid=UID)
    process = ask(uid=UID)
    [one] = process.svids()
    second = register(acme.name, "two", uid=UID)
    both = process.svids()
    assert ids(both) == {identity(acme, "one"), identity(acme, "two")}
    # What stays is not made anew.
    assert one["chain"] in [svid["chain"] for svid in both]
    # Of another user's nothing is told.
    admin.unregister(register(acme.name, "three", uid=UID + 1).name)
    admin.unregister(first.name)
    assert ids(process.svids()) == {identity(acme, "two")}
    admin.unregister(second.name)
    assert process.refusal() == "PERMISSION_DENIED"


def test_entries_of_a_program_come_too(ask, acme, register):
    register(acme.name, "one", uid=UID)
    process = ask(uid=UID)
    process.svids()
    register(acme.name, "two", binary_path=os.path.realpath(sys.executable))
    assert ids(process.svids()) == {identity(acme, "one"), identity(acme, "two")}


@pytest.mark.parametrize("how", ["suspended", "deleted"])
def test_a_tenant_that_is_not_served_has_no_workloads(ask, admin, acme, slug, register, how):
    register(acme.name, "web", uid=UID)
    other = admin.active(slug("other"), api.SHARED)
    register(other.name, "web", uid=UID)
    alone = ask(uid=UID, method="FetchX509SVID")
    assert len(alone.svids()) == 2
    (admin.suspend if how == "suspended" else admin.delete)(acme.name)
    assert ids(alone.svids()) == {identity(other, "web")}
    if how == "suspended":
        activate(admin, acme.name)
        assert ids(alone.svids()) == {identity(acme, "web"), identity(other, "web")}
        admin.suspend(acme.name)
        assert len(alone.svids()) == 1
    admin.suspend(other.name)
    assert alone.refusal() == "PERMISSION_DENIED"
    assert ask(uid=UID).refusal() == "PERMISSION_DENIED"


def test_certificates_are_made_anew_at_half_of_their_life(make_server):
    """A life of a minute is the shortest: so this takes half of one."""
    server = with_workload_api(make_server(), maximum_life_seconds=60).start()
    with server.operator() as admin:
        acme = admin.active("acme", api.SHARED)
        admin.register(acme.name, "web", uid=UID, lifetime=3600)
        with Workload(server.workload_socket, uid=UID) as process:
            [first], [second] = process.svids(), process.svids(timeout=45)
            [old], [new] = certificates(first["chain"]), certificates(second["chain"])
            passed = (new.not_valid_before_utc - old.not_valid_before_utc).total_seconds()
            assert 28 <= passed <= 35
            assert new.public_key() != old.public_key()


def replace(server, authority: Authority, *above: Authority) -> None:
    certificate, key = server.workload_ca
    chain = b"".join(one.pem for one in (authority, *above))
    for file, content in ((key, authority.key_pem), (certificate, chain)):
        draft = file.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_bytes(content)
        draft.rename(file)


def test_the_ca_can_be_replaced_and_be_one_under_another(make_server):
    server = with_workload_api(make_server()).start()
    with server.operator() as admin:
        acme = admin.active("acme", api.SHARED)
        admin.register(acme.name, "web", uid=UID)
        with Workload(server.workload_socket, uid=UID) as process, Workload(
                server.workload_socket, uid=UID, method="FetchX509Bundles") as bundles:
            process.svids()
            bundles.bundles()
            root = Authority("root")
            middle = root.under("middle")
            issuing = middle.under("issuing")
            replace(server, issuing, middle, root)
            [svid] = process.svids()
            chain = certificates(svid["chain"])
            assert [one.subject for one in chain[1:]] == [issuing.name, middle.name]
            for one, issuer in zip(chain, [*chain[1:], root.certificate]):
                one.verify_directly_issued_by(issuer)
            assert certificates(svid["bundle"]) == [root.certificate]
            assert list(bundles.bundles().values()) == [[root.certificate]]
            # One that does not fit is not taken, and the log says so.
            replace(server, Authority("another"), root)
            eventually(lambda: "CA or keys of the workload API not reloaded" in server.log, "the log")
            with Workload(server.workload_socket, uid=UID) as other:
                [svid] = other.svids()
                assert certificates(svid["bundle"]) == [root.certificate]


def test_the_public_library_follows(server, acme, admin, register):
    """It takes the first of what there is."""
    one = register(acme.name, "one", uid=os.getuid())
    with X509Source(socket_path=f"unix:{server.workload_socket}", timeout_in_seconds=10) as source:
        def name():
            return str(source.get_x509_context().default_svid.spiffe_id)
        assert name() == identity(acme, "one")
        register(acme.name, "two", uid=os.getuid())
        admin.unregister(one.name)
        eventually(lambda: name() == identity(acme, "two"), "the library is told")


def test_the_server_ends_streams_when_it_stops(make_server):
    server = with_workload_api(make_server()).start()
    with server.operator() as admin:
        acme = admin.active("acme", api.SHARED)
        admin.register(acme.name, "web", uid=UID)
    with Workload(server.workload_socket, uid=UID) as process:
        process.svids()
        assert server.stop() == 0
        assert process.refusal() == "UNAVAILABLE"


@pytest.mark.parametrize("reused", [False, True])
def test_a_process_that_has_ended_has_no_identity(server, acme, register, reused):
    """Whoever has its connection then, also when another process of the same program has its number."""
    here = os.path.realpath(sys.executable)
    register(acme.name, "web", uid=os.getuid(), binary_path=here)
    last = "/proc/sys/kernel/ns_last_pid"

    def take(number):
        with open(last, "w") as file:
            file.write(str(number - 1))
        taken = subprocess.Popen([here, "-c", "input()"], stdin=subprocess.PIPE)
        if taken.pid == number:
            return taken
        taken.kill()
        taken.communicate()

    with Workload(server.workload_socket, program=here, method="leave") as process:
        number = process.next()["pid"]
        process.process.wait(20)
        taken = reused and eventually(lambda: take(number), "the number is given again")
        try:
            process.go_on()
            assert process.next() == {"number": 7}  # PERMISSION_DENIED
        finally:
            if taken:
                taken.kill()
                taken.communicate()


def test_each_node_tells_its_own_processes(make_server, database):
    """Entries are those of the store: what one node takes, the other tells of."""
    nodes = []
    for name in ("n1", "n2"):
        node = with_workload_api(make_server(**node_settings(database)), node=name)
        nodes.append(node.start())
    with nodes[0].operator() as admin:
        tenant = admin.active("acme", api.SHARED)
        everywhere = admin.register(tenant.name, "everywhere", uid=UID)
        with nodes[1].operator() as other:
            eventually(lambda: other.workloads.ListWorkloadEntries(
                api.workloads.ListWorkloadEntriesRequest(), timeout=20).entries, "the other has it")
        with Workload(nodes[1].workload_socket, uid=UID) as process:
            assert ids(process.svids()) == {identity(tenant, "everywhere")}
            admin.register(tenant.name, "here", uid=UID, node="n1")
            there = admin.register(tenant.name, "there", uid=UID, node="n2")
            assert ids(process.svids()) == {
                identity(tenant, "everywhere"), identity(tenant, "there")}
            admin.unregister(everywhere.name)
            assert ids(process.svids()) == {identity(tenant, "there")}
            admin.unregister(there.name)
            assert process.refusal() == "PERMISSION_DENIED"
