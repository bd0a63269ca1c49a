"""The README's configuration and commands, from the README."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.daemon import Server
from tenantctl_process import binary

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def block(language: str, start: str) -> str:
    """The one fenced block of a language that holds `start`."""
    [found] = [text for kind, text in re.findall(r"^```(\w*)\n(.*?)^```$", README, re.M | re.S)
               if kind == language and start in text]
    return found


class Shell:
    """Where the README's reader is, with what they have installed."""

    def __init__(self, directory: Path, socket: str):
        self._directory = directory
        self._socket = socket
        directory.mkdir()
        (directory / "proto").symlink_to(ROOT / "proto")

    def run(self, language: str, start: str, *program: str) -> str:
        """What the block prints, with this server's socket in the place of its own."""
        text = block(language, start).replace("/run/tenantd.sock", self._socket)
        path = [Path(binary("TENANTCTL")).parent, Path(sys.executable).parent, "/usr/bin", "/bin"]
        done = subprocess.run(
            [*(program or ("bash", "-euc")), text], cwd=self._directory, capture_output=True, text=True,
            timeout=60, check=False, env=os.environ | {"PATH": ":".join(map(str, path))})
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.mark.skipif(os.getuid() != 0, reason="the README's operator is root")
def test_the_commands_on_a_server_with_the_configuration(tmp_path, pki):
    certificate, key = pki.files
    server = Server(tmp_path, pki)
    configuration = block("js", "data_directory")
    for text, here in (("/var/lib/tenantd", server.data), ("/run/tenantd.sock", server.socket),
                       ("0.0.0.0:7443", "127.0.0.1:0"), ("server.pem", certificate),
                       ("server.key", key), ("ca.pem", pki.authorities)):
        assert text in configuration
        configuration = configuration.replace(f'"{text}"', f'"{here}"')
    file = tmp_path / "readme.json5"
    file.write_text(configuration)
    with subprocess.Popen([os.environ["TENANTD"], "serve", "--config", str(file)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as daemon:
        try:
            while str(server.socket) not in (line := daemon.stdout.readline()):
                assert line, "tenantd ended"
            shell = Shell(tmp_path / "project", str(server.socket))
            assert "allowed: by the role engineer" in shell.run("", "tenantctl tenant create")
            assert "tenancy.v1.TenantResolver" in shell.run("", "grpcurl -plaintext -unix")
            shell.run("", "grpc_tools.protoc")
            assert shell.run("python", "import grpc", sys.executable, "-c") == "acme\n"
        finally:
            daemon.terminate()
    server.close()
