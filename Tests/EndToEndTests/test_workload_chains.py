"""Certificate authorities under the company's own CA: what is taken in answer to their requests, and what is not."""

import datetime
import shutil

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from support import api
from support.authorities import AWAITING, PREPARED, UID, called, fetched, take, with_stored_authorities
from support.client import failure, invalid
from support.pki import TRUST_DOMAIN, Authority, revoking, signed
from support.waiting import eventually
from support.workload import certificates, credential
from test_workload_authorities import acme, chief, server  # noqa: F401  (fixtures)


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


def test_a_lost_one_is_refused_though_its_root_is_trusted(server, chief, acme, pki):
    """The company's root is in the listeners' files as well."""
    root = pki.python
    made = chief.prepare(external=True)
    chief.import_chain(made.name, signed(made.certificate_request, root) + root.pem)
    chief.activate(made.name, force=True)
    svid, process = eventually(lambda: fetched(lambda: take(server, acme)), "certificates are made")
    process.close()
    mine, other = credential(certificates(svid["chain"]), svid["key"]), root.tenant(acme.slug)
    assert called(server, mine) and called(server, other)
    assert not chief.retire(made.name, force=True).HasField("authority")
    eventually(lambda: not fetched(lambda: called(server, mine)), "it is refused")
    assert called(server, other)
    assert chief.certificate_authorities() == []
    # It is remembered.
    assert server.stop() == 0
    server.start()
    assert called(server, other) and not fetched(lambda: called(server, mine))


def test_a_lost_one_is_refused_though_files_can_not_be_read(make_server, pki, tmp_path):
    server = with_stored_authorities(make_server())
    bundle = tmp_path / "ca.pem"
    shutil.copy(pki.authorities, bundle)
    server.settings["tls"]["client_ca"] = str(bundle)
    server.start()
    with server.operator() as chief:
        tenant = chief.active("acme", api.SHARED)
        chief.register(tenant.name, "web", uid=UID)
        made = chief.activate(chief.prepare().name, force=True)
        svid, process = eventually(lambda: fetched(lambda: take(server, tenant)), "certificates are made")
        process.close()
        mine = credential(certificates(svid["chain"]), svid["key"])
        eventually(lambda: fetched(lambda: called(server, mine)), "listeners trust it")
        bundle.unlink()
        chief.retire(made.name, force=True)
        eventually(lambda: not fetched(lambda: called(server, mine)), "it is refused")
        assert called(server, pki.python.tenant(tenant.slug))


def test_one_that_listeners_would_refuse_is_not_taken(make_server, pki, tmp_path):
    """The company's root is trusted from files with CRLs, by which all that the authority signs would be refused."""
    root, other = Authority("company"), Authority("another")
    server = with_stored_authorities(make_server())
    bundle, lists = tmp_path / "ca.pem", [tmp_path / "python.crl", tmp_path / "root.crl"]
    bundle.write_bytes(pki.python.pem + root.pem)
    lists[0].write_bytes(revoking(pki.python))
    lists[1].write_bytes(revoking(root))
    server.settings["tls"] |= {"client_ca": str(bundle), "crls": [str(file) for file in lists]}
    server.start()
    with server.client(pki.python.platform("operator")) as chief:
        tenant = chief.active("acme", api.SHARED)
        chief.register(tenant.name, "web", uid=UID)
        made = chief.prepare(external=True)
        for above in (root, root.under("middle")):
            sent = signed(made.certificate_request, above) + (above.pem if above is not root else b"") + root.pem
            error = invalid("certificate_chain", chief.import_chain, made.name, sent)
            assert error.reason == "AUTHORITY_CHAIN_REFUSED"
            assert "listeners of this server" in error.message and "CRL" in error.message, error.message
        assert chief.certificate_authorities() == [made]
        # Of a root that no file has, no file has anything to say.
        chief.import_chain(made.name, signed(made.certificate_request, other) + other.pem)
        chief.activate(made.name, force=True)
        svid, process = eventually(lambda: fetched(lambda: take(server, tenant)), "certificates are made")
        process.close()
        mine = credential(certificates(svid["chain"]), svid["key"])
        eventually(lambda: fetched(lambda: called(server, mine)), "listeners trust it")


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
        "subjectKeyIdentifier": signed(request, root, named=False) + root.pem,
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
