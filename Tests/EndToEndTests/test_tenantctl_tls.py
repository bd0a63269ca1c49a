"""What tenantctl says of certificates and keys that don't do: the cause, in plain words."""

import contextlib
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage

from support.pki import Authority, platform_id
from tenantctl_process import Ctl

ADMIN = platform_id("operator")


class Files:
    """An operator's certificate and key, and the CA's; a test spoils one of them."""

    def __init__(self, pki, directory: Path, port: int):
        self.pki, self.directory, self.port = pki.python, directory, port
        self.server_name = ()
        self.use(pki.python.platform("operator"))
        self.ca = directory / "ca.pem"
        self.ca.write_bytes(pki.python.pem)

    def use(self, credential) -> None:
        self.certificate, self.key = credential.write(self.directory / "own")

    def error(self, code: int) -> str:
        text = Ctl().error(
            "whoami", "--address", f"localhost:{self.port}", "--ca", str(self.ca), "--cert",
            str(self.certificate), "--key", str(self.key), *self.server_name, code=code)
        assert "error:" not in text and "routines" not in text, "that is OpenSSL's"
        return text


@pytest.fixture
def files(server, pki, tmp_path):
    return Files(pki, tmp_path, server.port)


def nothing_there(files):
    files.certificate = files.directory / "none.pem"
    return f"cannot use the certificate {files.certificate}: there is no such file"


def no_ca(files):
    files.ca = files.directory / "none.pem"
    return f"cannot use the CA bundle {files.ca}: there is no such file"


def a_directory(files):
    files.certificate = files.directory
    return f"cannot use the certificate {files.directory}: it is a directory"


def a_directory_for_a_ca(files):
    files.ca = files.directory
    return f"cannot use the CA bundle {files.directory}: it is a directory"


def a_directory_for_a_key(files):
    files.key = files.directory
    return f"cannot use the private key {files.directory}: it is a directory"


def an_empty_file(files):
    files.ca.write_bytes(b"")
    return f"cannot use the CA bundle {files.ca}: no PEM of that kind is in it"


def a_key_for_a_certificate(files):
    files.certificate = files.key
    return f"cannot use the certificate {files.key}: no PEM of that kind is in it"


def a_certificate_for_a_key(files):
    files.key = files.certificate
    return f"cannot use the private key {files.key}: no PEM of that kind is in it"


def bad_base64(files):
    text = files.certificate.read_bytes()
    files.certificate.write_bytes(text[:100] + b"\n!!!!\n" + text[100:])
    return f"cannot use the certificate {files.certificate}: its PEM is damaged"


def half_a_file(files):
    text = files.certificate.read_bytes()
    files.certificate.write_bytes(text[:len(text) // 2])
    return f"cannot use the certificate {files.certificate}: its PEM is damaged"


def bad_der(files):
    files.certificate.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    return f"cannot use the certificate {files.certificate}: its PEM is damaged"


def another_key(files):
    files.key.write_bytes(files.pki.platform("operator").key)
    return f"cannot use the private key {files.key}: it is not the certificate's key"


def a_passphrase(files):
    subprocess.run(["openssl", "pkey", "-in", files.key, "-aes256", "-passout", "pass:secret", "-out",
                    files.directory / "locked.key"], check=True)
    files.key = files.directory / "locked.key"
    return (f"cannot use the private key {files.key}: it has a passphrase,"
            " and there is nobody to ask for it")


@pytest.mark.parametrize("spoil", [
    nothing_there, no_ca, a_directory, a_directory_for_a_ca, a_directory_for_a_key, an_empty_file,
    a_key_for_a_certificate, a_certificate_for_a_key, bad_base64, half_a_file, bad_der, another_key,
    a_passphrase])
def test_files_that_do_not_do(files, spoil):
    said = spoil(files)
    text = files.error(1)
    assert text.startswith(f"tenantctl: {said}") and text.count("\n") == 1


REFUSED = "the other side refused our certificate"


@pytest.mark.parametrize("make, said, hint", [
    (lambda ca: ca.issue(ADMIN, starts=-7200, ends=-60), f"{REFUSED}: it has expired",
     "--cert and --key need a new certificate"),
    (lambda ca: Authority("Other CA").issue(ADMIN), f"{REFUSED}: it does not know its CA",
     "--cert is of a CA that the server does not have"),
    (lambda ca: ca.issue(ADMIN, usages=(Usage.SERVER_AUTH,)), REFUSED, "the log of the server says why"),
    (lambda ca: ca.issue(ADMIN, ADMIN), REFUSED, "the log of the server says why"),
    (lambda ca: ca.issue("spiffe://other.test/platform/operator"), REFUSED, "the log of the server"),
], ids=["expired", "unknown CA", "for servers", "two names", "foreign"])
def test_certificates_that_the_server_refuses(files, make, said, hint):
    files.use(make(files.pki))
    text = files.error(2)
    assert f"cannot connect to localhost:{files.port}: " in text or "UNAVAILABLE: " in text
    assert f"{said}\n" in text and f"hint: {hint}" in text


def test_a_server_of_another_ca(files):
    files.ca.write_bytes(Authority("Other CA").pem)
    text = files.error(2)
    assert "the server's certificate is refused: its CA is unknown here" in text
    assert "hint: is --ca the CA of the server's certificate?" in text


def test_a_server_of_another_name(files):
    files.server_name = ("--server-name", "tenantd.internal")
    text = files.error(2)
    assert "the server's certificate is refused: it is not for the name tenantd.internal\n" in text
    assert "hint: the server's certificate is for another name: --server-name" in text


@pytest.mark.parametrize("period, said", [
    (dict(starts=-7200, ends=-60), "certificate has expired"),
    (dict(starts=600, ends=7200), "certificate is not yet valid")])
def test_a_server_whose_certificate_has_ended_or_not_begun(make_server, pki, files, tmp_path, period, said):
    other = make_server()
    certificate, key = pki.python.issue(
        usages=(Usage.SERVER_AUTH,), hosts=("localhost",), **period).write(tmp_path / "server")
    other.settings["tls"] |= {"certificate": str(certificate), "private_key": str(key)}
    files.port = other.start().port
    text = files.error(2)
    assert f"the server's certificate is refused: {said}\n" in text
    assert "hint: the server needs a new certificate, or the clock here is wrong" in text


def test_a_server_without_tls(files):
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        def answer():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connection.recv(4096)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    connection.close()

        threading.Thread(target=answer, daemon=True).start()
        files.port = listener.getsockname()[1]
        text = files.error(2)
    assert "the other side does not speak TLS\n" in text
    assert f"hint: is localhost:{files.port} the server's TLS port?" in text
