"""`tenantctl pki inspect`: what it says of certificates and CRLs, and whether servers would take them; `pki crl`."""

import json
import subprocess

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage
from support.pki import TRUST_DOMAIN, Authority, Credential, platform_id, revoking, tenant_id
from support.waiting import eventually
from tenantctl_process import binary


class Inspector:
    def __init__(self, directory):
        self.directory = directory
        self.root = Authority("root")
        self.ca = self.write("ca.pem", self.root.pem)

    def write(self, name: str, content: bytes) -> str:
        (self.directory / name).write_bytes(content)
        return str(self.directory / name)

    def run(self, content: bytes, *arguments: str, code=0):
        file = self.write("inspected.pem", content)
        done = subprocess.run([binary("TENANTCTL"), "pki", "inspect", file, *arguments], capture_output=True,
                              text=True, timeout=60)
        assert done.returncode == code, done
        return done

    def json(self, content: bytes, *arguments: str, code=0) -> dict:
        return json.loads(self.run(content, *arguments, "-o", "json", code=code).stdout)

    def verdict(self, content: bytes, *arguments: str) -> str | None:
        """Why it is refused."""
        told = self.json(content, "--ca", self.ca, *arguments, code=3)
        assert not told["accepted"]
        return told["refusal"]


@pytest.fixture
def inspect(tmp_path):
    return Inspector(tmp_path)


def test_a_certificate_says_whose_it_is(inspect):
    mine = inspect.root.tenant("acme")
    [told] = inspect.json(mine.certificate + mine.key)["certificates"]
    real = x509.load_pem_x509_certificate(mine.certificate)
    assert told == {
        "subject": "CN=workload", "issuer": "CN=root", "serialNumber": real.serial_number.to_bytes(
            (real.serial_number.bit_length() + 7) // 8).hex(),
        "key": "EC prime256v1", "ca": False, "sha256": mine.fingerprint(), "uriNames": [tenant_id("acme")],
        "spiffeId": tenant_id("acme"), "tenant": "acme",
        "notBefore": real.not_valid_before_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "notAfter": real.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")}
    text = inspect.run(mine.certificate + inspect.root.pem, "--ca", inspect.ca).stdout
    assert "Is:             the tenant acme\n" in text and text.endswith("\naccepted\n")
    assert "Issuer:         itself" in text and "Certificate:    of a CA" in text
    [told] = inspect.json(inspect.root.platform("admin").certificate)["certificates"]
    assert (told["spiffeId"], told["platformRole"]) == (platform_id("admin"), "admin")


def test_it_judges_as_servers_do(inspect):
    root = inspect.root
    middle = root.under("middle")
    good = middle.tenant("acme")
    assert inspect.json(good.certificate + middle.pem, "--ca", inspect.ca)["accepted"]
    assert "issuer" in inspect.verdict(good.certificate)
    assert inspect.verdict(Authority("other").tenant("acme").certificate)
    assert "expired" in inspect.verdict(root.issue(tenant_id("acme"), ends=-1).certificate)
    assert "2 URI names" in inspect.verdict(root.issue(tenant_id("a"), tenant_id("b")).certificate)
    assert "no SPIFFE ID" in inspect.verdict(root.issue("https://example.org/x").certificate)
    assert "neither a tenant nor" in inspect.verdict(root.issue(f"spiffe://{TRUST_DOMAIN}/other").certificate)
    assert "neither a tenant nor" in inspect.verdict(root.issue(tenant_id("Not_One")).certificate)
    assert "purpose" in inspect.verdict(root.issue(tenant_id("a"), usages=[Usage.SERVER_AUTH]).certificate)
    assert "CA's certificate" in inspect.verdict(root.pem)


def test_revoked(inspect):
    good, bad = inspect.root.tenant("acme"), inspect.root.tenant("acme")
    content = revoking(inspect.root, bad)
    crl = inspect.write("crl.pem", content)
    assert inspect.json(good.certificate, "--ca", inspect.ca, "--crl", crl)["accepted"]
    assert "revoked" in inspect.verdict(bad.certificate, "--crl", crl)
    [told] = inspect.json(content)["crls"]
    assert (told["issuer"], told["revoked"]) == ("CN=root", 1)
    assert "CRL of:   CN=root\nRevoked:  1\n" in inspect.run(content).stdout


def test_what_can_not_be_read_is_told(inspect):
    for content in (b"", b"nothing", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        assert "neither a certificate nor a CRL" in inspect.run(content, code=1).stderr
    der = inspect.root.certificate.public_bytes(Encoding.DER)
    assert inspect.run(der, code=64).stderr
    assert "/nowhere" in inspect.run(inspect.root.pem, "--ca", "/nowhere", code=1).stderr
    assert "--crl is for --ca" in inspect.run(inspect.root.pem, "--crl", inspect.ca, code=64).stderr


def test_names_are_no_commands_to_the_terminal(inspect):
    sly = Authority("\x1b[2Jx\nSubject: CN=admin")
    text = inspect.run(sly.pem).stdout
    assert "\x1b" not in text and text.count("Subject:") == 2 and "\nSubject: CN=admin" not in text


def test_a_ca_s_own_crl(make_server, tmp_path):
    """Made and renewed with tenantctl, and read by a server and by the openssl command."""
    where = tmp_path / "own"

    def pki(*arguments, code=0):
        done = subprocess.run([binary("TENANTCTL"), "pki", *arguments, "--directory", where],
                              capture_output=True, text=True, timeout=30)
        assert done.returncode == code, done.stderr
        return done.stdout or done.stderr

    def credential(name):
        return Credential(*((where / f"{name}.{kind}").read_bytes() for kind in ("pem", "key")))

    pki("ca", "--trust-domain", TRUST_DOMAIN)
    for name in ("one", "two"):
        pki("operator", "--name", name)
    assert f"wrote {where}/ca.crl: 0 revoked, the next one by 20" in pki("crl")
    server = make_server()
    server.settings["tls"] |= {
        "client_ca": str(where / "ca.pem"), "crls": [str(where / "ca.crl")], "reload_seconds": 1}
    server.start()

    def taken(name):
        try:
            with server.client(credential(name)) as client:
                return bool(client.who())
        except grpc.RpcError:
            return False

    assert taken("one") and taken("two")
    with server.client(credential("one")) as client:
        assert client.who()
        assert "1 revoked" in pki("crl", "--revoke", str(where / "one.pem"), "--days", "1")
        eventually(lambda: not taken("one"), "the CRL counts")
        eventually(lambda: not refreshed(client), "its connection ends")
    assert taken("two")
    assert "1 revoked" in pki("crl")
    assert "--days: 1 to 366" in pki("crl", "--days", "367", code=64)
    assert "no certificate that this CA has issued" in pki("crl", "--revoke", str(where / "ca.pem"), code=1)
    (where / "ca.crl").write_bytes(revoking(Authority("other")))
    assert "not a CRL of this CA" in pki("crl", code=1)


def refreshed(client) -> bool:
    try:
        return bool(client.who())
    except grpc.RpcError:
        return False
