"""The CAs that the store keeps: prepared, activated and retired, while certificates stay good."""

import datetime
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from spiffe import WorkloadApiClient
from support import api
from support.client import failure, invalid
from support.daemon import Server
from support.nodes import settings as node_settings
from support.pki import TRUST_DOMAIN, Authority, signed
from support.waiting import eventually
from support.workload import Workload, certificates, credential, with_workload_api

UID = 34_000
State = api.authorities.CertificateAuthority.State
AWAITING, PREPARED, ACTIVE, RETIRING = (
    State.Value(f"STATE_{name}") for name in ("AWAITING_CERTIFICATE", "PREPARED", "ACTIVE", "RETIRING"))


def with_stored_authorities(server):
    """A server whose Workload API has no files."""
    server = with_workload_api(server)
    for name in ("ca_certificate", "ca_key"):
        server.settings["workload_api"].pop(name)
    return server


@pytest.fixture
def server(make_server):
    return with_stored_authorities(make_server()).start()


@pytest.fixture
def chief(server):
    with server.operator() as chief:
        yield chief


@pytest.fixture
def acme(chief):
    tenant = chief.active("acme", api.SHARED)
    chief.register(tenant.name, "web", uid=UID)
    return tenant


def chain(authority) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(authority.certificate_chain.encode())


def take(server, tenant) -> tuple[dict, Workload]:
    process = Workload(server.workload_socket, uid=UID)
    [svid] = process.svids()
    return svid, process


# One after the other.

def test_the_first_is_prepared_and_activated(server, chief, acme):
    """Nothing is signed before, and the public library takes what is signed then."""
    chief.register(acme.name, "here", uid=os.getuid())
    with Workload(server.workload_socket, uid=UID) as process:
        assert process.refusal() == "UNAVAILABLE"
    made = chief.prepare(common_name="first")
    assert (made.state, made.trust_domain, made.propagation.seconds) == (PREPARED, TRUST_DOMAIN, 3600)
    [root] = chain(made)
    basic = root.extensions.get_extension_for_class(x509.BasicConstraints)
    assert basic.critical and basic.value.ca and basic.value.path_length == 0
    names = root.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.UniformResourceIdentifier(f"spiffe://{TRUST_DOMAIN}")]
    assert not made.certificate_request
    error = failure("FAILED_PRECONDITION", chief.activate, made.name)
    assert error.reason == "AUTHORITY_NOT_PROPAGATED" and 3500 < int(error.metadata["wait_seconds"]) <= 3600
    assert error.retry_seconds == int(error.metadata["wait_seconds"])
    active = chief.activate(made.name, force=True)
    assert active.state == ACTIVE and active.etag != made.etag
    assert chief.certificate_authorities() == [active]

    def fetch():
        with WorkloadApiClient(f"unix:{server.workload_socket}") as client:
            return client.fetch_x509_context(timeout=10)

    context = eventually(lambda: fetched(fetch), "certificates are made")
    svid = context.default_svid
    bundle = context.x509_bundle_set.get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
    assert list(bundle.x509_authorities) == [root]
    svid.leaf.verify_directly_issued_by(root)
    # And it is somebody to the server's own listeners, in no file of which it is.
    def known():
        with server.client(credential(svid.cert_chain, svid.private_key)) as client:
            return client.who().tenant == acme.name
    eventually(lambda: fetched(known), "listeners trust it")


def fetched(function):
    """What it gives, if anything yet."""
    try:
        return function()
    except Exception:
        return None


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
        while not self.ends:
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


def called(server, mine) -> bool:
    with server.client(mine) as client:
        return bool(client.who())


# Under another CA.

def test_one_under_the_company_s_own(server, chief, acme):
    made = chief.prepare(external=True, propagation=1, common_name="issuing")
    assert made.state == AWAITING and not made.certificate_chain
    asked = x509.load_pem_x509_csr(made.certificate_request.encode())
    assert asked.subject.rfc4514_string() == "CN=issuing"
    assert asked.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert failure("FAILED_PRECONDITION", chief.activate, made.name, force=True).metadata["state"] == (
        "awaiting_certificate")
    root = Authority("company")
    middle = root.under("middle")
    sent = signed(made.certificate_request, middle, name=f"spiffe://{TRUST_DOMAIN}") + middle.pem + root.pem
    prepared = chief.import_chain(made.name, b"Subject: what openssl writes there\n" + sent, made.etag)
    assert prepared.state == PREPARED and prepared.certificate_chain.encode() == sent
    again = failure("FAILED_PRECONDITION", chief.import_chain, made.name, sent)
    assert again.reason == "ILLEGAL_TRANSITION"
    assert failure("ABORTED", chief.activate, made.name, force=True, etag=made.etag).reason == "ETAG_MISMATCH"
    chief.activate(made.name, force=True, etag=prepared.etag)
    svid, process = eventually(lambda: fetched(lambda: take(server, acme)), "certificates are made")
    with process:
        assert certificates(svid["bundle"]) == [root.certificate]
        found = certificates(svid["chain"])
        assert [one.subject for one in found[1:]] == [asked.subject, middle.name]
        mine = credential(found, svid["key"])
    # Listeners trust this authority, and not all that its root vouches for.
    eventually(lambda: fetched(lambda: called(server, mine)), "listeners trust it")
    stranger = middle.tenant(acme.slug)
    assert not fetched(lambda: called(server, stranger))


def wrong(request: str) -> dict[str, bytes]:
    root, other = Authority("root"), Authority("other")
    weak = Authority("weak")
    weak.key = rsa.generate_private_key(65537, 1024)
    weak.certificate = weak._builder(weak.name, weak.key.public_key(), _Long()).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(weak.key, hashes.SHA256())
    short = Authority("short")
    short.certificate = short._builder(short.name, short.key.public_key(), _Long()).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(short.key, hashes.SHA256())
    elsewhere = x509.NameConstraints([x509.UniformResourceIdentifier("other.test")], None)
    good = signed(request, root)
    return {
        "not the key of": signed(request, root, key=ec.generate_private_key(ec.SECP256R1()).public_key()) + root.pem,
        "is not a CA's": signed(request, root, ca=False) + root.pem,
        "certificate there is not a CA's": signed(request, root, usage=False) + root.pem,
        "expired": signed(request, root, starts=-60, ends=-1) + root.pem,
        "the root, which signs itself": good,
        "then that of whoever signed it": good + other.pem,
        "no certificate": b"nothing",
        "is for the trust domain": signed(request, root, name="spiffe://other.test") + root.pem,
        "would not be accepted": signed(request, weak) + weak.pem,
        "path length": signed(request, short) + short.pem,
        "permitted subtree": signed(request, root, constraints=elsewhere) + root.pem,
        "not yet valid": signed(request, root, starts=600) + root.pem,
    }


class _Long:
    def __init__(self):
        now = datetime.datetime.now(datetime.timezone.utc)
        self.start, self.end = now - datetime.timedelta(minutes=1), now + datetime.timedelta(days=1)


def test_what_is_no_chain_of_its_key_is_refused(chief):
    made = chief.prepare(external=True)
    for told, sent in wrong(made.certificate_request).items():
        error = invalid("certificate_chain", chief.import_chain, made.name, sent)
        assert error.reason == "AUTHORITY_CHAIN_REFUSED", told
        assert told in error.message, (told, error.message)
    invalid("certificate_chain", chief.import_chain, made.name, b"")
    invalid("certificate_chain", chief.import_chain, made.name, b"x" * 65_537)
    [left] = chief.certificate_authorities()
    assert left == made
    # About to end: nothing could be signed by it.
    root = Authority("root")
    sent = signed(made.certificate_request, root, ends=50) + root.pem
    assert failure("FAILED_PRECONDITION", chief.import_chain, made.name, sent).reason == "AUTHORITY_EXPIRED"


def test_openssl_takes_what_it_signs(server, chief, acme, tmp_path):
    chief.activate(chief.prepare().name, force=True)
    svid, process = eventually(lambda: fetched(lambda: take(server, acme)), "certificates are made")
    process.close()
    leaf, root = tmp_path / "leaf.pem", tmp_path / "root.pem"
    leaf.write_bytes(certificates(svid["chain"])[0].public_bytes(Encoding.PEM))
    root.write_bytes(certificates(svid["bundle"])[0].public_bytes(Encoding.PEM))
    for purpose in ("sslserver", "sslclient"):
        subprocess.run(["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", root, leaf], check=True)


# Who may, and how many.

def test_it_is_the_platform_s_alone(server, chief, acme, pki):
    made = chief.activate(chief.prepare().name, force=True)
    chief.assign(acme.name, f"spiffe://{TRUST_DOMAIN}/tenant/{acme.id}/web", "tenant-admin")
    calls = [lambda c: c.prepare(), lambda c: c.activate(made.name), lambda c: c.retire(made.name, force=True),
             lambda c: c.import_chain(made.name, b"x"), lambda c: c.certificate_authorities()]
    for who in (pki.python.tenant(acme.slug), pki.python.platform("resolver")):
        with server.client(who) as client:
            for call in calls:
                failure("PERMISSION_DENIED", call, client)
    with server.client(pki.python.platform("viewer")) as viewer:
        assert viewer.certificate_authorities() == [made]
        for call in calls[:4]:
            failure("PERMISSION_DENIED", call, viewer)
    # Not one of them is on the Workload API's socket.
    with grpc.insecure_channel(f"unix:{server.workload_socket}") as channel:
        stub = api.authorities_grpc.CertificateAuthoritiesStub(channel)
        with pytest.raises(grpc.RpcError) as error:
            stub.ListCertificateAuthorities(api.authorities.ListCertificateAuthoritiesRequest(), timeout=10)
        assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_keys_are_sealed_and_told_to_nobody(server, chief):
    made = chief.prepare()
    assert "PRIVATE KEY" not in str(made)
    assert server.stop() == 0
    # What all keys on P-256 begin with in the clear.
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert b"\x04\x20" in key[:38]
    files = [file for file in server.data.rglob("*") if file.is_file()]
    for file in files:
        content = file.read_bytes()
        assert key[3:34] not in content and b"PRIVATE KEY" not in content


def test_there_are_so_many_and_no_more(chief):
    made = [chief.prepare(external=True) for _ in range(8)]
    error = failure("RESOURCE_EXHAUSTED", chief.prepare)
    assert (error.reason, error.metadata["quota"]) == ("LIMIT_REACHED", "certificate-authorities")
    assert not chief.retire(made[0].name).HasField("authority")
    chief.prepare()


def test_fields_are_judged(chief):
    invalid("trust_domain", chief.prepare, trust_domain="Not One")
    invalid("common_name", chief.prepare, common_name="x" * 65)
    invalid("common_name", chief.prepare, common_name="a\nb")
    invalid("propagation", chief.prepare, propagation=0)
    invalid("propagation", chief.prepare, propagation=604_801)
    for call in (chief.activate, chief.retire):
        invalid("name", call, "x")
        assert failure("NOT_FOUND", call, "certificateAuthorities/x").reason == "AUTHORITY_NOT_FOUND"
    assert chief.certificate_authorities() == []


def test_of_two_that_are_activated_at_once_one_signs(server, chief):
    names = [chief.prepare().name for _ in range(4)]
    outcomes = []

    def activate(name):
        with server.operator() as client:
            outcomes.append(client.activate(name, force=True).state)

    threads = [threading.Thread(target=activate, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert outcomes == [ACTIVE] * 4
    states = sorted(one.state for one in chief.certificate_authorities())
    assert states == [ACTIVE] + [RETIRING] * 3


def test_the_one_that_signs_is_not_retired_by_accident(chief):
    made = chief.activate(chief.prepare().name, force=True)
    error = failure("FAILED_PRECONDITION", chief.retire, made.name)
    assert (error.reason, error.metadata["state"]) == ("ILLEGAL_TRANSITION", "active")
    assert not chief.retire(made.name, force=True).HasField("authority")
    assert chief.certificate_authorities() == []


def test_a_former_one_is_called_back(server, chief, acme):
    first, second = (chief.prepare().name for _ in range(2))
    chief.activate(first, force=True)
    chief.activate(second, force=True)
    # It is in all bundles still: nothing has to be forced.
    back = chief.activate(first)
    assert back.state == ACTIVE and not back.HasField("retire_time")
    assert {one.name: one.state for one in chief.certificate_authorities()} == {
        first: ACTIVE, second: RETIRING}


def test_an_authority_goes_when_its_certificates_are_over(server, chief):
    """One whose own certificate ends earlier than the longest that it could have signed goes with it."""
    made = chief.prepare(external=True, propagation=1)
    root = Authority("root")
    chief.import_chain(made.name, signed(made.certificate_request, root, ends=64) + root.pem)
    former = chief.activate(made.name, force=True)
    chief.activate(chief.prepare().name, force=True)
    left = next(one for one in chief.certificate_authorities() if one.name == former.name)
    assert left.state == RETIRING and left.trust_until == left.expire_time
    gone = eventually(lambda: former.name not in [one.name for one in chief.certificate_authorities()],
                      "it is gone", 90)
    assert gone and time.time() >= left.trust_until.seconds


# Between steps.

def test_killed_between_steps_it_goes_on(server, chief, acme):
    made = chief.prepare()

    def again():
        server.kill()
        server.start()

    again()
    with server.operator() as client:
        assert client.certificate_authorities() == [made]
        active = client.activate(made.name, force=True)
    again()
    svid, process = take(server, acme)
    process.close()
    assert certificates(svid["bundle"]) == chain(made)
    with server.operator() as client:
        second = client.prepare()
        client.activate(second.name, force=True)
    again()
    svid, process = take(server, acme)
    process.close()
    assert set(certificates(svid["bundle"])) == {*chain(made), *chain(second)}
    with server.operator() as client:
        states = {one.name: one.state for one in client.certificate_authorities()}
    assert states == {active.name: RETIRING, second.name: ACTIVE}


def test_keys_hold_through_a_new_data_key_and_a_restart(server, chief, acme):
    made = chief.activate(chief.prepare().name, force=True)
    chief.secrets.RotateDataKey(api.secrets.RotateDataKeyRequest(), timeout=20)
    assert server.stop() == 0
    server.start()
    svid, process = take(server, acme)
    process.close()
    certificates(svid["chain"])[0].verify_directly_issued_by(chain(made)[0])


def test_from_files_to_the_store_and_without_them(make_server):
    """What files have signed is good until they are taken away."""
    server = with_workload_api(make_server()).start()
    file_root = server.pki.python.certificate
    with server.operator() as chief:
        acme = chief.active("acme", api.SHARED)
        chief.register(acme.name, "web", uid=UID)
        with Workload(server.workload_socket, uid=UID) as process:
            [svid] = process.svids()
            assert certificates(svid["bundle"]) == [file_root]
            made = chief.prepare()
            [svid] = process.svids()
            assert certificates(svid["bundle"]) == [file_root, *chain(made)]
            certificates(svid["chain"])[0].verify_directly_issued_by(file_root)
            chief.activate(made.name, force=True)
            [svid] = process.svids()
            assert certificates(svid["bundle"]) == [file_root, *chain(made)]
            certificates(svid["chain"])[0].verify_directly_issued_by(chain(made)[0])
            # And back.
            chief.retire(made.name, force=True)
            [svid] = process.svids()
            certificates(svid["chain"])[0].verify_directly_issued_by(file_root)
            assert certificates(svid["bundle"]) == [file_root]


def test_all_nodes_have_the_same(make_server, database):
    nodes = []
    for _ in range(2):
        node = with_stored_authorities(make_server(**node_settings(database)))
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
