"""A `tenantd serve --dev` of a test's own, and tenantctl to talk to it."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading

import pytest

PATIENCE = 30  # Seconds after which a process that does not answer is killed.


def binary(variable):
    """A binary named by the environment. One that is missing is an error, never a skip."""
    path = os.environ.get(variable)
    if not path or not os.access(path, os.X_OK):
        raise RuntimeError(f"{variable} must name the binary, not {path!r}")
    return path


class Daemon:
    """`tenantd serve --dev`."""

    def __init__(self, directory):
        self.directory = directory
        self.pki = directory / "pki"
        command = [binary("TENANTD"), "serve", "--dev", "--directory", directory, "--port", "0"]
        with open(directory.parent / "log", "ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        watchdog = threading.Timer(PATIENCE, self.process.kill)
        watchdog.daemon = True
        watchdog.start()
        self.guide = ""
        while "operator.key\n" not in self.guide:
            line = self.process.stdout.readline()
            assert line, "tenantd ended before it was ready: " + self.log()
            self.guide += line
        watchdog.cancel()
        self.port = int(re.search(r"127\.0\.0\.1:(\d+)", self.guide)[1])

    def log(self):
        return (self.directory.parent / "log").read_text()

    def stop(self):
        """Asks it to end, and returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()  # Ended already, unless a test failed.
        self.process.wait()
        self.process.stdout.close()

    def over_unix(self):
        return Ctl({"TENANCY_ADDRESS": f"unix:{self.directory}/tenantd.sock"})

    def over_tls(self, name, pki=None):
        pki = pki or self.pki
        return Ctl({
            "TENANCY_ADDRESS": f"127.0.0.1:{self.port}",
            "TENANCY_CA": str(self.pki / "ca.pem"),
            "TENANCY_CERT": str(pki / f"{name}.pem"),
            "TENANCY_KEY": str(pki / f"{name}.key"),
        })


class Ctl:
    """Runs tenantctl and notes which commands it ran."""

    def __init__(self, environment=None):
        self.environment = environment or {}
        self.commands = set()

    def run(self, *arguments, code=0, stdin=""):
        words = 1 if arguments[0] in SINGLE else 3 if {arguments[0], " ".join(arguments[:2])} & NESTED else 2
        self.commands.add(" ".join(arguments[:words]))
        done = subprocess.run([binary("TENANTCTL"), *arguments], env=self.environment, input=stdin,
                              capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == code, f"{arguments}: {done}"
        return done

    def __call__(self, *arguments, code=0, stdin=""):
        """What it prints; what fails says why on stderr only."""
        done = self.run(*arguments, code=code, stdin=stdin)
        assert not done.stderr
        return done.stdout

    def json(self, *arguments, code=0, stdin=""):
        return json.loads(self(*arguments, "--output", "json", code=code, stdin=stdin))

    def error(self, *arguments, code=1, stdin=""):
        done = self.run(*arguments, code=code, stdin=stdin)
        assert not done.stdout
        return done.stderr


# What works on files, and calls no server.
LOCAL = {"backup", "restore", "verify-backup", "policy validate", "policy test", "policy schema",
         "policy import"}
SINGLE = {"apply", "check", "explain", "resolve", "validate", "default-tenant", "whoami", "load", "top"}
NESTED = {"identity", "pki", "group member"}  # Groups of groups.


def all_commands():
    """Every command that calls the server, as tenantctl itself lists them."""
    dump = subprocess.run([binary("TENANTCTL"), "--experimental-dump-help"], capture_output=True,
                          check=True, timeout=PATIENCE).stdout

    def names(command) -> set:
        name, parts = command["commandName"], command.get("subcommands", [])
        return {f"{name} {rest}" for part in parts for rest in names(part)} if parts else {name}
    found = {name for command in json.loads(dump)["command"]["subcommands"] for name in names(command)}
    found -= LOCAL | {"help"}
    return {name for name in found if not name.startswith("pki") or name.startswith("pki authority")}


@pytest.fixture
def place():
    # Short: a Unix socket's path has 107 bytes at most.
    path = tempfile.mkdtemp(prefix="tctl-")
    yield pathlib.Path(path)
    shutil.rmtree(path)


@pytest.fixture
def daemon(place):
    with Daemon(place / "dev") as running:
        yield running
        assert running.stop() == 0


def make_active(ctl, slug):
    ctl("tenant", "create", "--display-name", slug.title(), "--slug", slug, "--isolation", "shared")
    return ctl.json("tenant", "provision", slug)
