"""Certificates, CAs and CRLs that change while the server runs."""

import datetime
import os
import signal
import socket
import sqlite3
import ssl

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from support import api
from support.client import Client, failure
from support.pki import Authority, platform_id
from support.waiting import eventually

OPERATOR = platform_id("operator")


class Files:
    """A server's TLS files, of which each test has its own."""

    def __init__(self, directory):
        self.ca = Authority()
        self.directory = directory
        directory.mkdir()
        self.crl = directory / "ca.crl"
        self.bundle = directory / "ca.pem"
        self.replace(self.bundle, self.ca.pem)
        self.revoke()
        self.renew()

    @staticmethod
    def replace(file, content):
        """In one step, so that nobody reads half of it."""
        new = file.with_suffix(".new")
        new.touch(0o600)
        new.write_bytes(content)
        os.replace(new, file)

    def renew(self):
        self.server = self.ca.server()
        # The key first: the certificate without its key is no harm, but a reload that fails.
        self.replace(self.directory / "key.pem", self.server.key)
        self.replace(self.directory / "certificate.pem", self.server.certificate)

    def revoke(self, *credentials, ends=3600):
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (x509.CertificateRevocationListBuilder().issuer_name(self.ca.name)
                   .last_update(now - datetime.timedelta(seconds=7200))
                   .next_update(now + datetime.timedelta(seconds=ends)))
        for credential in credentials:
            serial = x509.load_pem_x509_certificate(credential.certificate).serial_number
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build())
        signed = builder.sign(self.ca.key, hashes.SHA256())
        self.replace(self.crl, signed.public_bytes(serialization.Encoding.PEM))

    def settings(self, **more):
        return {"certificate": str(self.directory / "certificate.pem"),
                "private_key": str(self.directory / "key.pem"), **more}

    def one_bundle(self, **more):
        return self.settings(client_ca=str(self.bundle), crls=[str(self.crl)], **more)


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path / "tls")


def certificate_of(server, files):
    """What the server presents to a new connection."""
    context = ssl.create_default_context(cadata=files.ca.pem.decode())
    context.set_alpn_protocols(["h2"])
    with socket.create_connection(("127.0.0.1", server.port)) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as secured:
            return ssl.DER_cert_to_PEM_cert(secured.getpeercert(binary_form=True)).strip().encode()


def connect(server, files, credential):
    """The servers of this module have a CA of their own."""
    return Client(server.address, credential, files.ca.pem)


def test_a_hangup_reloads_and_open_connections_go_on(make_server, files):
    server = make_server(tls=files.one_bundle(reload_seconds=86400)).start()
    with connect(server, files, files.ca.issue(OPERATOR)) as client:
        client.who()
        assert certificate_of(server, files) == files.server.certificate.strip()
        old = files.server
        files.renew()
        assert certificate_of(server, files) == old.certificate.strip()
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: "TLS files reloaded" in server.log, "the reload is logged")
        assert certificate_of(server, files) == files.server.certificate.strip()
        client.who()
    assert server.stop() == 0


def test_changes_are_seen_without_a_signal(make_server, files):
    server = make_server(tls=files.one_bundle(reload_seconds=1)).start()
    bad, good = files.ca.issue(OPERATOR), files.ca.issue(OPERATOR)
    with connect(server, files, bad) as revoked, connect(server, files, good) as other:
        revoked.who()
        other.who()
        files.revoke(bad)
        eventually(lambda: "certificate revoked" in server.log, "the connection is ended")
        failure("UNAVAILABLE", revoked.who)
        other.who()


def test_writes_that_wait_are_judged_by_the_newest_lists(make_server, files):
    """Queued behind a write that the database's lock holds up; the certificate is revoked meanwhile."""
    server = make_server(tls=files.one_bundle(reload_seconds=86400)).start()
    doomed = files.ca.issue(OPERATOR + "/doomed")
    with connect(server, files, doomed) as client, server.operator() as admin:
        admin.create("acme")
        client.create("before")
        database = sqlite3.connect(server.data / "tenancy.sqlite", isolation_level=None)
        database.execute("BEGIN IMMEDIATE")
        request = api.manager.UpdateTenantRequest(
            tenant=api.tenant.Tenant(name="tenants/acme", display_name="Busy"))
        busy = admin.manager.UpdateTenant.future(request, timeout=20)

        def held_up():
            """A write without a change is answered at once, but not behind one that is held up."""
            dry = api.manager.CreateTenantRequest(validate_only=True, tenant=api.tenant.Tenant(
                slug="dry", display_name="x", isolation_model=api.SCHEMA))
            try:
                admin.manager.CreateTenant(dry, timeout=0.5)
            except grpc.RpcError as error:
                return error.code() == grpc.StatusCode.DEADLINE_EXCEEDED

        eventually(held_up, "the writer is held up")
        create = client.manager.CreateTenant
        writes = [create.future(api.manager.CreateTenantRequest(tenant=api.tenant.Tenant(
            slug=f"late-{number}", display_name="x", isolation_model=api.SCHEMA)), timeout=20)
            for number in range(8)]
        client.who()
        files.revoke(doomed)
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: "TLS files reloaded" in server.log, "the reload is logged")
        database.execute("ROLLBACK")
        busy.result()
        codes = [write.code().name for write in writes if write.exception()]
        # Those that the connection had not begun with end with it.
        assert len(codes) == len(writes) and set(codes) <= {"UNAUTHENTICATED", "UNAVAILABLE"}
        assert "UNAUTHENTICATED" in codes
        actors = database.execute("SELECT actor, count(*) FROM log GROUP BY actor").fetchall()
        assert dict(actors)[OPERATOR + "/doomed"] == 1
        database.close()


def test_a_failed_reload_keeps_what_was(make_server, files):
    server = make_server(tls=files.one_bundle(reload_seconds=1)).start()
    Files.replace(files.bundle, b"not a certificate\n")
    eventually(lambda: "TLS files not reloaded" in server.log, "the failure is logged")
    assert str(files.bundle) in server.log
    with connect(server, files, files.ca.issue(OPERATOR)) as client:
        client.who()
    Files.replace(files.bundle, files.ca.pem)
    eventually(lambda: "TLS files reloaded" in server.log, "it is put right")


@pytest.mark.parametrize("name, mode, mend", [
    ("key.pem", 0o644, "chmod 600"), ("ca.pem", 0o666, "chmod go-w"), ("ca.crl", 0o620, "chmod go-w")])
def test_files_that_others_control_are_not_reloaded(make_server, files, name, mode, mend):
    server = make_server(tls=files.one_bundle(reload_seconds=1)).start()
    file = files.directory / name
    file.chmod(mode)
    eventually(lambda: "TLS files not reloaded" in server.log, "the failure is logged")
    assert mend in server.log and str(file) in server.log
    with connect(server, files, files.ca.issue(OPERATOR)) as client:
        client.who()
    file.chmod(0o600)
    eventually(lambda: "TLS files reloaded" in server.log, "it is put right")


def test_a_stale_revocation_list_refuses(make_server, files):
    files.revoke(ends=-60)
    server = make_server(tls=files.one_bundle()).start()
    with connect(server, files, files.ca.issue(OPERATOR)) as client:
        failure("UNAVAILABLE", client.who)
    eventually(lambda: "CRL has expired" in server.log, "the reason is logged")


def test_each_trust_domain_has_its_own_authorities(make_server, files):
    other = Authority("Other CA")
    other_bundle = files.directory / "other.pem"
    other_bundle.write_bytes(other.pem)
    server = make_server(
        tls=files.settings(trust_bundles=[
            {"trust_domain": "e2e.test", "ca": str(files.bundle), "crls": [str(files.crl)]},
            {"trust_domain": "other.test", "ca": str(other_bundle), "platform_roles": ["operator"]}]),
        identity={"unix_users": []}).start()
    foreign = "spiffe://other.test/platform/operator"
    for credential in files.ca.issue(OPERATOR), other.issue(foreign):
        with connect(server, files, credential) as client:
            client.who()
    for credential in files.ca.issue(foreign), other.issue(OPERATOR):
        with connect(server, files, credential) as client:
            failure("UNAVAILABLE", client.who)


def test_a_foreign_trust_domain_names_what_it_is_granted(make_server, files):
    other = Authority("Other CA")
    other_bundle = files.directory / "other.pem"
    other_bundle.write_bytes(other.pem)
    foreign = {"trust_domain": "other.test", "ca": str(other_bundle)}
    own = {"trust_domain": "e2e.test", "ca": str(files.bundle), "crls": [str(files.crl)]}
    names = ["platform/admin", "platform/viewer", "tenant/acme/app", "tenant/globex/app"]
    for grant, admitted in (
            ({}, set()), ({"platform_roles": ["viewer"], "tenants": ["acme"]}, set(names[1:3]))):
        server = make_server(
            tls=files.settings(trust_bundles=[own, foreign | grant]),
            identity={"unix_users": [{"uid": os.getuid(), "roles": ["operator"]}]}).start()
        with server.operator() as client:
            for slug in "acme", "globex":
                client.create(slug)
        for name in names:
            with connect(server, files, other.issue(f"spiffe://other.test/{name}")) as client:
                if name in admitted:
                    client.who()
                else:
                    failure("UNAVAILABLE", client.who)
                    eventually(lambda: "other.test may not name" in server.log, "it is logged")
        server.stop()


@pytest.mark.parametrize("tls, message", [
    (dict(trust_bundles=[{"trust_domain": "e2e.test", "ca": "x", "platform_roles": ["nobody"]}]),
     "no platform role nobody"),
    (dict(trust_bundles=[{"trust_domain": "e2e.test", "ca": "x", "tenants": ["No Slug"]}]),
     "neither a tenant's id nor a slug"),
    (dict(client_ca="x", trust_bundles=[{"trust_domain": "e2e.test", "ca": "x"}]), "either client_ca"),
    (dict(), "either client_ca"),
    (dict(trust_bundles=[{"trust_domain": "else.test", "ca": "x"}]), "trust_bundles"),
    (dict(trust_bundles=[{"trust_domain": "e2e.test", "ca": "x"}], crls=["x"]), "whose they are"),
    (dict(client_ca="x", reload_seconds=0), "reload_seconds"),
])
def test_settings_that_contradict_are_refused(make_server, files, tls, message):
    server = make_server(tls=files.settings(**tls))
    server.launch()
    assert server.wait() != 0
    assert message in server.log
