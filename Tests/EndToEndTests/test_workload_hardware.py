"""A CA's key in a PKCS #11 token: SoftHSM's, by OpenSSL's engine of libp11."""

import datetime
import os
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from support import api
from support.client import failure
from support.pki import Authority
from support.workload import Workload, certificates, credential, with_workload_api

UID = 35_000
MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "12345678"


class Token:
    """A token of software, with one key."""

    def __init__(self, directory, label: str):
        self.label = label
        (directory / "tokens").mkdir(parents=True)
        configuration = directory / "softhsm.conf"
        configuration.write_text(
            f"directories.tokendir = {directory}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
        self.environment = os.environ | {"SOFTHSM2_CONF": str(configuration)}
        self.pin_file = directory / "pin"
        self.pin_file.touch(mode=0o600)
        self.pin_file.write_text(f"{PIN}\n")
        self.run("softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", PIN)
        tool = "pkcs11-tool", "--module", MODULE, "--login", "--pin", PIN, "--token-label", label
        self.run(*tool, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "ca", "--id", "01", "--sensitive")
        self.key = load_der_public_key(self.run(*tool, "--read-object", "--type", "pubkey", "--label", "ca"))

    def run(self, *command: str) -> bytes:
        return subprocess.run(command, env=self.environment, check=True, capture_output=True, timeout=60).stdout

    @property
    def uri(self) -> str:
        return f"pkcs11:token={self.label};object=ca;type=private"

    def certify(self, root: Authority) -> bytes:
        """The key's certificate, and that of the root."""
        now = datetime.datetime.now(datetime.timezone.utc)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "in a token")])
        made = (x509.CertificateBuilder().subject_name(name).issuer_name(root.name).public_key(self.key)
                .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(minutes=1))
                .not_valid_after(now + datetime.timedelta(days=1))
                .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
                .sign(root.key, hashes.SHA256()))
        return made.public_bytes(Encoding.PEM) + root.pem


@pytest.fixture
def token(tmp_path):
    return Token(tmp_path / "token", "tenancy")


@pytest.fixture
def configured(make_server, token, pki):
    """A server whose CA's key is in the token, under a root that its listeners trust."""
    server = with_workload_api(make_server())
    certificate, key = server.workload_ca
    certificate.write_bytes(token.certify(pki.python))
    key.unlink()
    server.settings["workload_api"] |= {
        "ca_key": token.uri, "pkcs11_module": MODULE, "pkcs11_pin_file": str(token.pin_file)}
    return server


def test_certificates_are_signed_in_the_token(configured, token, pki):
    server = configured.start(token.environment)
    with server.operator() as admin:
        acme = admin.active("acme", api.SHARED)
        admin.register(acme.name, "web", uid=UID)
        processes = [Workload(server.workload_socket, uid=UID) for _ in range(8)]
        for process in processes:
            with process:
                [svid] = process.svids()
                leaf, issuing = certificates(svid["chain"])
                assert issuing.public_key() == token.key
                leaf.verify_directly_issued_by(issuing)
                issuing.verify_directly_issued_by(pki.python.certificate)
                assert certificates(svid["bundle"]) == [pki.python.certificate]
        with server.client(credential([leaf, issuing], svid["key"])) as client:
            assert client.who().tenant == acme.name
        # And one of the store takes its place.
        made = admin.activate(admin.prepare().name, force=True)
        [root] = x509.load_pem_x509_certificates(made.certificate_chain.encode())
        with Workload(server.workload_socket, uid=UID) as process:
            [svid] = process.svids()
            certificates(svid["chain"])[0].verify_directly_issued_by(root)
            assert certificates(svid["bundle"]) == [pki.python.certificate, root]
        assert failure("FAILED_PRECONDITION", admin.retire, made.name).reason == "ILLEGAL_TRANSITION"
    assert PIN not in server.log
    assert server.stop() == 0


def _wrong_pin(server, token):
    token.pin_file.write_text("87654321\n")


CASES = [
    (lambda s, t: s.settings["workload_api"].pop("pkcs11_module"), "a key in a token needs pkcs11_module"),
    (lambda s, t: s.settings["workload_api"].pop("pkcs11_pin_file"), "a key in a token needs pkcs11_module"),
    (lambda s, t: s.settings["workload_api"].update(pkcs11_module="libsofthsm2.so"), "an absolute path"),
    (lambda s, t: s.settings["workload_api"].update(ca_key=f"{t.uri}?pin-value={PIN}"), "without a PIN"),
    (lambda s, t: s.settings["workload_api"].update(ca_key=t.uri.replace("object=ca", "object=x")), "cannot use the key"),
    (lambda s, t: s.settings["workload_api"].update(ca_key=t.uri.replace("tenancy", "other")), "cannot use the key"),
    (lambda s, t: s.settings["workload_api"].update(pkcs11_module="/nowhere.so"), "/nowhere.so"),
    (lambda s, t: s.settings["workload_api"].update(pkcs11_module=str(t.pin_file)), "cannot use"),
    (_wrong_pin, "cannot use the key"),
    (lambda s, t: t.pin_file.write_text("\n"), "holds no PIN"),
    (lambda s, t: t.pin_file.chmod(0o644), "others can read or write the PIN"),
    (lambda s, t: s.workload_ca[0].write_bytes(Authority("another").pem), "is not the key of the first certificate"),
]


@pytest.mark.parametrize(("change", "told"), CASES)
def test_what_is_wrong_is_told(configured, token, change, told):
    change(configured, token)
    configured.launch(token.environment)
    assert configured.wait() in (1, 64), configured.log
    assert told in configured.log and PIN not in configured.log and "87654321" not in configured.log


def test_other_keys_need_no_module(make_server):
    server = with_workload_api(make_server())
    server.settings["workload_api"]["pkcs11_module"] = MODULE
    server.launch()
    assert server.wait() in (1, 64)
    assert "pkcs11_module: no such setting" in server.log
