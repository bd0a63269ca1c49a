"""The configuration, commands and programs of the README and the articles, as a newcomer takes them: from top to
bottom, behind `tools/run`."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from support.client import Client
from support.daemon import Server
from support.documents import ROOT, block
from tenantctl_process import PATIENCE, binary


class Newcomer:
    """Where the README's reader is, with what they have installed, and with `tools/run` running."""

    def __init__(self):
        # Short: a Unix socket's path has 107 bytes at most.
        self.home = Path(tempfile.mkdtemp(prefix="readme-"))
        self.project = self.home / "src" / "tenancy"  # Where Go looks for packages, too.
        programs = self.project / ".build-release" / "release"
        programs.mkdir(parents=True)
        for name in ("tenantd", "tenantctl"):
            (programs / name).symlink_to(Path(binary(name.upper())).resolve())
        for name in ("proto", "tools"):
            (self.project / name).symlink_to(ROOT / name)
        # Port 0: 7443 may be in use here.
        assert block("", "tools/run") == "tools/run\n"
        self._run = subprocess.Popen(
            ["tools/run", "--no-build", "--port", "0"], cwd=self.project, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, env=self.environment(), start_new_session=True)
        watchdog = threading.Timer(PATIENCE, self._run.kill)
        watchdog.start()
        self.said = ""
        while "goes on serving" not in self.said:
            line = self._run.stdout.readline()
            assert line, f"tools/run ended:\n{self.said}"
            self.said += line
        watchdog.cancel()

    @property
    def port(self) -> str:
        return re.search(r"--address 127\.0\.0\.1:(\d+)", self.said)[1]

    def environment(self, **more: str) -> dict[str, str]:
        path = [Path(sys.executable).parent, "/usr/bin", "/bin"]
        return os.environ | {"PATH": ":".join(map(str, path))} | more

    def __call__(self, *program, text: str = "", **environment: str) -> str:
        """What a program prints, or the shell with `text`."""
        done = subprocess.run(
            [*program] if program else ["bash", "-euc", text], cwd=self.project, capture_output=True,
            text=True, timeout=500, check=False, env=self.environment(**environment))
        assert done.returncode == 0, f"{program or text}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def close(self):
        os.killpg(self._run.pid, signal.SIGTERM)
        self._run.wait()
        self._run.stdout.close()
        shutil.rmtree(self.home)


@pytest.fixture(scope="module")
def newcomer():
    newcomer = Newcomer()
    yield newcomer
    newcomer.close()


def test_tenantctl(newcomer):
    """`tools/run` has made acme: nothing of what follows may be there already."""
    assert "allowed: by the role engineer" in newcomer.said
    commands = block("", "tenantctl tenant create")
    assert "allowed: by the role engineer" in newcomer(text=commands)
    load = block("", "tenantctl load --rate")
    for long, short in (("--rate 20000", "--rate 1000"), ("--duration 60", "--duration 1"),
                        ("--duration 10", "--duration 1")):
        assert load.count(long) == 1
        load = load.replace(long, f"{short} --warmup 0")
    exports = "".join(line + "\n" for line in commands.splitlines() if line.startswith("export "))
    assert len(re.findall(r"^Target: +unix:", newcomer(text=exports + load), re.M)) == 2
    assert json.loads((newcomer.project / "result.json").read_text())
    assert "Percentile" in (newcomer.project / "latencies.hgrm").read_text()


def test_backup(newcomer):
    """Of the server that runs."""
    exports = "".join(line + "\n" for line in block("", "tenantctl tenant create").splitlines()
                      if line.startswith("export "))
    said = newcomer(text=exports + block("", "tenantctl backup"))
    assert re.search(r"^Written: +tenancy.backup", said, re.M)
    assert len(re.findall(r"tenancy.sqlite: sound$", said, re.M)) == 2


def test_grpcurl(newcomer):
    said = newcomer(text=block("", "grpcurl -plaintext -unix"))
    assert "tenancy.v1.TenantResolver" in said and '"slug": "acme"' in said


def test_python(newcomer):
    """With what the README installs in an environment of its own."""
    assert newcomer(text=block("", "grpc_tools.protoc")) == "acme\n"


def test_go(newcomer):
    """With today's generator, and with Debian's ttrpc, whose codec is made to know what that generates."""
    newcomer(text=block("", "--go_out"))
    program = newcomer.project / "client" / "main.go"
    program.write_text(block("go", "ttrpc.NewClient"))
    codec = "github.com/containerd/ttrpc/codec.go"
    overlay = newcomer.home / "overlay.json"
    overlay.write_text(json.dumps({"Replace": {
        f"/usr/share/gocode/src/{codec}": str(Path(__file__).with_name("ttrpc_go") / "codec" / "codec.go")}}))
    # The module `client`, as it is called where there are no modules.
    (newcomer.home / "src" / "client").symlink_to(newcomer.project / "client")
    newcomer("go", "build", "-overlay", str(overlay), "-o", "client/client", "client",
             GO111MODULE="off", GOPATH=f"{newcomer.home}:/usr/share/gocode",
             GOCACHE=str(newcomer.home / "go"))
    assert newcomer("client/client") == "acme\n"


@pytest.fixture(scope="module")
def package(newcomer):
    """The Swift package that the README makes beside this one, and does not build here."""
    text = block("", "swift run --package-path")
    make, run = text[:text.rindex("swift run ")], text[text.rindex("swift run "):]
    newcomer(text=make)
    assert run == 'swift run --package-path ../tenancy-client client "$PWD/.build-dev/pki"\n'
    return newcomer.project.parent / "tenancy-client"


def test_swift(newcomer, package):
    """Built as a part of this package, for what it depends on is built already."""
    program = (package / "Sources/client/main.swift").read_text()
    assert program.count("port: 7443") == 1
    program = program.replace("port: 7443", f"port: {newcomer.port}")
    directory = ROOT / ".build-readme" / "client"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "main.swift").write_text(program)
    environment = os.environ | {"TENANCY_README": "1"}
    for arguments in (("--product", "readme-client"), ("--show-bin-path",)):
        done = subprocess.run(["swift", "build", *arguments], cwd=ROOT, capture_output=True, text=True,
                              env=environment, timeout=500, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    said = newcomer(f"{done.stdout.strip()}/readme-client", f"{newcomer.project}/.build-dev/pki")
    assert said == "acme\n"


def test_a_swift_package_that_depends_on_this_one(package, newcomer):
    """Its manifest is read, and names a product that there is."""

    def dump(directory):
        said = subprocess.run(["swift", "package", "dump-package"], cwd=directory, capture_output=True,
                              check=True, timeout=120).stdout
        return json.loads(said)

    manifest = dump(package)
    assert f'path: "{newcomer.project}"' in (package / "Package.swift").read_text()
    [target] = manifest["targets"]
    [[product, name, *_]] = [one["product"] for one in target["dependencies"]]
    ours = dump(ROOT)
    assert name == ours["name"]
    [modules] = [one["targets"] for one in ours["products"] if one["name"] == product]
    program = (package / "Sources/client/main.swift").read_text()
    assert set(re.findall(r"^import (\w+)", program, re.M)) <= set(modules)


@pytest.mark.skipif(os.getuid() != 0, reason="the README's operator is root")
def test_the_configuration(tmp_path, pki):
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
            with Client(f"unix:{server.socket}") as client:
                assert client.who().platform_roles == ["admin"]
        finally:
            daemon.terminate()
    server.close()
