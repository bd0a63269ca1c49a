"""The CAs that the store keeps: prepared, activated and retired, while certificates stay good."""

import os
import subprocess
import threading
import time

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from spiffe import WorkloadApiClient
from support import api
from support.authorities import (
    ACTIVE, PREPARED, RETIRING, UID, chain, fetched, take, with_stored_authorities)
from support.client import failure, invalid
from support.pki import TRUST_DOMAIN, Authority, signed
from support.waiting import eventually
from support.workload import Workload, certificates, credential, with_workload_api


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
