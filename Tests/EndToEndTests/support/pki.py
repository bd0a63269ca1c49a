"""Certificates by two independent makers: the Python package cryptography, and the openssl tool."""

import datetime
import subprocess
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage
from cryptography.x509.oid import NameOID

TRUST_DOMAIN = "e2e.test"


def tenant_id(name: str, workload: str = "web") -> str:
    return f"spiffe://{TRUST_DOMAIN}/tenant/{name}/{workload}"


def platform_id(role: str) -> str:
    return f"spiffe://{TRUST_DOMAIN}/platform/{role}"


@dataclass(frozen=True)
class Credential:
    """A certificate with its key, in PEM."""

    certificate: bytes
    key: bytes

    def fingerprint(self) -> str:
        return x509.load_pem_x509_certificate(self.certificate).fingerprint(hashes.SHA256()).hex()

    def expires(self) -> int:
        certificate = x509.load_pem_x509_certificate(self.certificate)
        return int(certificate.not_valid_after_utc.timestamp())

    def write(self, directory: Path) -> tuple[Path, Path]:
        directory.mkdir(parents=True, exist_ok=True)
        files = directory / "certificate.pem", directory / "key.pem"
        for file, content in zip(files, (self.certificate, self.key)):
            file.write_bytes(content)
        files[1].chmod(0o600)
        return files


def _pem(key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


class Authority:
    """A CA made with cryptography, which can be told to make certificates that are not right."""

    def __init__(self, name: str = "Tenancy test CA"):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._builder(self.name, self.key.public_key(), _Period()).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True,
        ).sign(self.key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return _pem(self.key)

    def under(self, name: str) -> "Authority":
        """Another CA, which this one vouches for."""
        made = Authority(name)
        made.certificate = self._builder(made.name, made.key.public_key(), _Period()).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True,
        ).sign(self.key, hashes.SHA256())
        return made

    def issue(self, *uris: str, ca=False, usages=(Usage.CLIENT_AUTH,), key=None, starts=-60,
              ends=3600, hosts=()) -> Credential:
        """Issues a leaf with these URI names; `starts` and `ends` are seconds from now."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "workload")])
        builder = self._builder(subject, key.public_key(), _Period(starts, ends))
        names = [x509.UniformResourceIdentifier(uri) for uri in uris]
        names += [_host(host) for host in hosts]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(
            x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        return Credential(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))

    def tenant(self, name: str, workload: str = "web") -> Credential:
        return self.issue(tenant_id(name, workload))

    def platform(self, role: str) -> Credential:
        return self.issue(platform_id(role))

    def server(self) -> Credential:
        return self.issue(usages=(Usage.SERVER_AUTH,), hosts=("localhost", "127.0.0.1"))

    def _builder(self, subject, public_key, period) -> x509.CertificateBuilder:
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name)
                .public_key(public_key).serial_number(x509.random_serial_number())
                .not_valid_before(period.start).not_valid_after(period.end))


class _Period:
    def __init__(self, starts: float = -60, ends: float = 3600):
        now = datetime.datetime.now(datetime.timezone.utc)
        self.start = now + datetime.timedelta(seconds=starts)
        self.end = now + datetime.timedelta(seconds=ends)


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def signed(request: str, issuer: Authority, ca=True, length=0, usage=True, ends=3600, starts=-60,
           key=None, digest=hashes.SHA256(), constraints=None, name=None, named=True) -> bytes:
    """What a company's CA makes of a request, its own certificate behind it."""
    asked = x509.load_pem_x509_csr(request.encode())
    assert asked.is_signature_valid
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (x509.CertificateBuilder().subject_name(asked.subject).issuer_name(issuer.name)
               .public_key(key or asked.public_key()).serial_number(x509.random_serial_number())
               .not_valid_before(now + datetime.timedelta(seconds=starts))
               .not_valid_after(now + datetime.timedelta(seconds=ends)))
    builder = builder.add_extension(
        x509.BasicConstraints(ca=ca, path_length=length if ca else None), critical=True)
    builder = builder.add_extension(x509.KeyUsage(
        digital_signature=not usage, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=usage, crl_sign=usage,
        encipher_only=False, decipher_only=False), critical=True)
    if named:
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key or asked.public_key()), critical=False)
    if name:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(name)]), critical=False)
    if constraints:
        builder = builder.add_extension(constraints, critical=True)
    return builder.sign(issuer.key, digest).public_bytes(serialization.Encoding.PEM)


def revoking(authority, *credentials) -> bytes:
    """The authority's CRL."""
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateRevocationListBuilder(
        authority.name, now - datetime.timedelta(minutes=1), now + datetime.timedelta(hours=1))
    for credential in credentials:
        serial = x509.load_pem_x509_certificate(credential.certificate).serial_number
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder(serial, now - datetime.timedelta(minutes=1)).build())
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class CommandLineAuthority:
    """A CA made with the openssl tool, as operators make theirs."""

    def __init__(self, directory: Path):
        self.directory = directory
        directory.mkdir(parents=True)
        self._run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                  "-keyout", "ca.key", "-out", "ca.pem", "-days", "1", "-subj", "/CN=openssl CA",
                  "-addext", "basicConstraints=critical,CA:TRUE",
                  "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self.count = 0

    @property
    def pem(self) -> bytes:
        return (self.directory / "ca.pem").read_bytes()

    def issue(self, uri: str) -> Credential:
        self.count += 1
        name = f"leaf{self.count}"
        (self.directory / f"{name}.ext").write_text(
            f"subjectAltName=URI:{uri}\nbasicConstraints=critical,CA:FALSE\n"
            "keyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n")
        self._run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                  "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        self._run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                  "-CAcreateserial", "-days", "1", "-extfile", f"{name}.ext", "-out", f"{name}.pem")
        return Credential((self.directory / f"{name}.pem").read_bytes(),
                          (self.directory / f"{name}.key").read_bytes())

    def tenant(self, name: str, workload: str = "web") -> Credential:
        return self.issue(tenant_id(name, workload))

    def platform(self, role: str) -> Credential:
        return self.issue(platform_id(role))

    def _run(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True)


class PKI:
    """The two CAs that the servers under test trust, and the servers' own certificate."""

    def __init__(self, directory: Path):
        self.python = Authority()
        self.openssl = CommandLineAuthority(directory / "openssl")
        self.files = self.python.server().write(directory / "server")
        self.authorities = directory / "client-ca.pem"
        self.authorities.write_bytes(self.python.pem + self.openssl.pem)
