"""One certificate authority takes the place of another, while workloads connect to each other all the time."""

import shutil
import socket
import ssl
import threading
import time

import grpc
from cryptography.hazmat.primitives.serialization import Encoding
from support import api
from support.authorities import ACTIVE, RETIRING, UID, called, chain, fetched, take, with_stored_authorities
from support.client import failure
from support.nodes import settings as node_settings
from support.waiting import eventually
from support.workload import Workload, certificates, credential
from test_workload_authorities import acme, chief, server  # noqa: F401  (fixtures)


class Peer:
    """A workload that uses what its stream has told it last."""

    def __init__(self, server, directory, tenant):
        self.directory, self.trusted_domain = directory, tenant
        directory.mkdir()
        self.process = Workload(server.workload_socket, uid=UID, wait=600)
        self.number, self.seen = 0, []
        self.update(self.process.svids())
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def follow(self):
        while True:
            try:
                self.update(self.process.svids(timeout=600))
            except Exception:
                return

    def update(self, svids):
        [svid] = svids
        self.number += 1
        files = [self.directory / f"{self.number}.{name}" for name in ("pem", "key", "ca")]
        mine = credential(certificates(svid["chain"]), svid["key"])
        files[0].write_bytes(mine.certificate)
        files[1].write_bytes(mine.key)
        files[2].write_bytes(b"".join(
            one.public_bytes(Encoding.PEM) for one in certificates(svid["bundle"])))
        self.seen.append((svid, mine))
        self.files = files

    @property
    def bundle(self):
        return certificates(self.seen[-1][0]["bundle"])

    @property
    def issuer(self):
        return certificates(self.seen[-1][0]["chain"])[0].issuer

    def context(self, side):
        files = self.files
        context = ssl.SSLContext(side)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(files[0], files[1])
        context.load_verify_locations(files[2])
        return context

    def close(self):
        self.process.close()


class Traffic:
    """Clients that connect to a server and to tenantd all the time, each with what it has by then."""

    def __init__(self, server, client: Peer, peer: Peer):
        self.server, self.client, self.peer = server, client, peer
        self.count, self.failures, self.ends = 0, [], False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.threads = [threading.Thread(target=target, daemon=True)
                        for target in (self.serve, self.connect, self.call)]
        for thread in self.threads:
            thread.start()

    def serve(self):
        # Until nobody connects any more, so that no client is left waiting.
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            try:
                with self.peer.context(ssl.PROTOCOL_TLS_SERVER).wrap_socket(
                        connection, server_side=True) as tls:
                    tls.sendall(tls.recv(1))
            except (OSError, ssl.SSLError) as error:
                self.failures.append(("served", repr(error)))

    def connect(self):
        while not self.ends:
            try:
                with socket.create_connection(self.listener.getsockname(), timeout=20) as raw:
                    with self.client.context(ssl.PROTOCOL_TLS_CLIENT).wrap_socket(raw) as tls:
                        tls.sendall(b"x")
                        assert tls.recv(1) == b"x"
                self.count += 1
            except (OSError, ssl.SSLError, AssertionError) as error:
                self.failures.append(("connected", repr(error)))
                time.sleep(0.01)

    def call(self):
        while not self.ends:
            try:
                with self.server.client(self.client.seen[-1][1]) as client:
                    client.who()
                self.count += 1
            except grpc.RpcError as error:
                self.failures.append(("called", error.details()))

    def some(self, number=20):
        """Returns when so many more have succeeded."""
        begin = self.count
        eventually(lambda: self.count >= begin + number, "connections", 60)

    def close(self):
        self.ends = True
        for thread in self.threads[1:]:
            thread.join(30)
        self.listener.shutdown(socket.SHUT_RDWR)
        self.threads[0].join(30)
        self.listener.close()


def test_at_no_moment_a_valid_certificate_fails(server, chief, acme, tmp_path):
    """Workloads connect to each other and to tenantd all the while one authority takes the place of another."""
    first = chief.activate(chief.prepare().name, force=True)
    eventually(lambda: fetched(lambda: take(server, acme)[1].close() or True), "certificates are made")
    peers = [Peer(server, tmp_path / name, acme) for name in ("client", "server")]
    old = peers[0].seen[-1][1]
    eventually(lambda: fetched(lambda: called(server, old)), "listeners trust it")
    traffic = Traffic(server, *peers)
    try:
        for _ in range(3):
            traffic.some()
            former = next(one for one in chief.certificate_authorities() if one.state == ACTIVE)
            new = chief.prepare(propagation=1)
            # Told at once, and what is signed is not made anew for that.
            before = [peer.seen[-1][0]["chain"] for peer in peers]
            eventually(lambda: all(chain(new)[0] in peer.bundle for peer in peers), "bundles")
            assert [peer.seen[-1][0]["chain"] for peer in peers] == before
            traffic.some()
            eventually(lambda: fetched(lambda: chief.activate(new.name)), "it has been in all bundles")
            eventually(lambda: all(peer.issuer == chain(new)[0].subject for peer in peers), "certificates")
            traffic.some()
            states = {one.name: one.state for one in chief.certificate_authorities()}
            assert (states[former.name], states[new.name]) == (RETIRING, ACTIVE)
            assert all(chain(former)[0] in peer.bundle for peer in peers)
        # What the first has signed is good still, and asked to retire it waits for the end of that.
        assert called(server, old)
        assert chief.retire(first.name).authority.state == RETIRING
        day = first.create_time.seconds + 86_400
        assert day < chief.retire(first.name).authority.trust_until.seconds < day + 1200
        traffic.some()
    finally:
        traffic.close()
        for peer in peers:
            peer.close()
    assert traffic.failures == []
    # Lost: nobody takes it any more.
    assert not chief.retire(first.name, force=True).HasField("authority")
    eventually(lambda: not fetched(lambda: called(server, old)), "it is refused")
    failure("NOT_FOUND", chief.retire, first.name)


def test_all_nodes_have_the_same(make_server, database):
    nodes = []
    for serves in (False, True):
        # One of them serves no Workload API: its listeners trust who the other vouches for all the same.
        node = make_server(**node_settings(database))
        if serves:
            node = with_stored_authorities(node)
        if nodes:
            shutil.copy(nodes[0].master_key, node.master_key)
        nodes.append(node.start())
    with nodes[0].operator() as chief:
        acme = chief.active("acme", api.SHARED)
        chief.register(acme.name, "web", uid=UID)
        made = chief.activate(chief.prepare().name, force=True)
        svid, process = eventually(lambda: fetched(lambda: take(nodes[1], acme)), "the other signs", 30)
        with process:
            certificates(svid["chain"])[0].verify_directly_issued_by(chain(made)[0])
            second = chief.prepare(propagation=1)
            [svid] = process.svids()
            assert len(certificates(svid["bundle"])) == 2
            eventually(lambda: fetched(lambda: chief.activate(second.name)), "it has been in all bundles")
            [svid] = process.svids()
            certificates(svid["chain"])[0].verify_directly_issued_by(chain(second)[0])
            mine = credential(certificates(svid["chain"]), svid["key"])
        for node in nodes:
            eventually(lambda node=node: fetched(lambda: called(node, mine)), "all listeners trust it")
        chief.retire(second.name, force=True)
        for node in nodes:
            eventually(lambda node=node: not fetched(lambda: called(node, mine)), "and none does any more")
