"""The README's configuration and commands, from the README."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from support.daemon import Server
from tenantctl_process import binary

README = (Path(__file__).parents[2] / "README.md").read_text()


def block(language: str, start: str) -> str:
    """The one fenced block of a language that holds `start`."""
    [found] = [text for kind, text in re.findall(r"^```(\w*)\n(.*?)^```$", README, re.M | re.S)
               if kind == language and start in text]
    return found


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
            commands = block("", "tenantctl tenant create").replace(
                "/run/tenantd.sock", str(server.socket))
            done = subprocess.run(
                ["bash", "-euc", commands], capture_output=True, text=True, timeout=60, check=False,
                env=os.environ | {"PATH": f"{Path(binary('TENANTCTL')).parent}:/usr/bin:/bin"})
            assert done.returncode == 0, done.stderr
            assert "allowed: by the role engineer" in done.stdout
        finally:
            daemon.terminate()
    server.close()
