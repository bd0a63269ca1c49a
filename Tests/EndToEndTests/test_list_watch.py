"""`tenantctl tenant list --watch`: a table that follows on a terminal, lines without one, and no change is lost."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from support.waiting import eventually
from tenantctl_process import PATIENCE, Daemon, binary, daemon, place

__all__ = ["daemon", "place"]  # Fixtures.

ENTER, LEAVE = "\x1b[?1049h\x1b[?25l\x1b[?7l", "\x1b[?7h\x1b[?25h\x1b[?1049l"


class Terminal:
    """Somebody before a terminal, and what is on it."""

    def __init__(self, ctl, *arguments, lines=10, columns=100):
        self.ours, theirs = pty.openpty()
        self.resize(lines, columns)
        self.before = termios.tcgetattr(theirs)
        # A terminal of its own, so that ^C and ^Z come as they do.
        self.process = subprocess.Popen(
            [binary("TENANTCTL"), *arguments], stdin=theirs, stdout=theirs, stderr=theirs,
            env=ctl.environment, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.theirs, self.text = theirs, ""

    def resize(self, lines, columns):
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self):
        while select.select([self.ours], [], [], 0)[0]:
            self.text += os.read(self.ours, 65_536).decode(errors="replace")
        return self.text

    def shown(self):
        """The lines of the last frame that is there as a whole."""
        frames = re.findall("\x1b\\[H(.*?)\x1b\\[J", self.read(), re.DOTALL)
        return [line.strip("\r") for line in frames[-1].replace("\x1b[2K", "").split("\n")[:-1]] if frames else []

    def has(self, *words):
        eventually(lambda: all(any(word in line for line in self.shown()) for word in words), f"{words}", PATIENCE)
        return self.shown()

    def press(self, key: bytes):
        os.write(self.ours, key)

    def close(self):
        self.process.kill()
        self.process.wait(PATIENCE)
        os.close(self.ours)
        os.close(self.theirs)


def create(ctl, slug, **options):
    ctl("tenant", "create", "--display-name", slug.title(), "--slug", slug, "--isolation", "shared",
        *(word for name, value in options.items() for word in (f"--{name}", value)))


def test_a_table_that_follows(daemon):
    ctl = daemon.over_unix()
    for slug in ("bravo", "alpha"):
        create(ctl, slug, label="region=eu")
    terminal = Terminal(ctl, "tenant", "list", "--watch", "--sort", "slug desc", "--columns", "slug,state,labels.region",
                        "--filter", "labels.region = eu")
    try:
        lines = terminal.has("alpha", "bravo")
        assert terminal.text.startswith(ENTER) and "2 tenants at revision" in lines[0]
        assert [line.split()[0] for line in lines[1:]] == ["SLUG", "bravo", "alpha"]
        create(ctl, "charlie", label="region=eu")
        create(ctl, "elsewhere", label="region=us")
        lines = terminal.has("charlie")
        assert [line.split()[0] for line in lines[1:]] == ["SLUG", "charlie", "bravo", "alpha"]
        ctl("tenant", "provision", "alpha")
        terminal.has("ACTIVE")
        ctl("tenant", "update", "bravo", "--label", "region=us")
        eventually(lambda: not any("bravo" in line for line in terminal.shown()), "it matches no more", PATIENCE)
        # As many as there is room for.
        for number in range(12):
            create(ctl, f"more-{number:02}", label="region=eu")
        lines = terminal.has("14 tenants at revision", "more-11")
        assert len(lines) == 9
        terminal.resize(6, 30)
        eventually(lambda: len(terminal.shown()) == 5, "it is drawn anew", PATIENCE)
        assert all(len(line) <= 30 for line in terminal.shown())
        # Put aside, and taken up again.
        terminal.press(b"\x1a")
        eventually(lambda: terminal.read().endswith(LEAVE), "the screen is given back", PATIENCE)
        create(ctl, "while-away", label="region=eu")
        terminal.process.send_signal(signal.SIGCONT)
        terminal.has("while-away")
        terminal.press(b"\x03")
        assert terminal.process.wait(PATIENCE) == -signal.SIGINT
        assert terminal.read().endswith(LEAVE) and terminal.text.count(ENTER) == terminal.text.count(LEAVE) == 2
        assert termios.tcgetattr(terminal.theirs) == terminal.before
    finally:
        terminal.close()


def test_a_server_that_comes_back(place):
    with Daemon(place / "dev") as running:
        ctl = running.over_unix()
        create(ctl, "first")
        terminal = Terminal(ctl, "tenant", "list", "--watch")
        lines = subprocess.Popen([binary("TENANTCTL"), "tenant", "list", "--watch", "-o", "jsonl"],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ctl.environment)
        try:
            terminal.has("first", "1 tenants")
            told = [json.loads(lines.stdout.readline())]
            while not told[-1].get("snapshotComplete"):
                told.append(json.loads(lines.stdout.readline()))
            running.stop()
            terminal.has("not connected", "first")
            with Daemon(place / "dev") as again:
                create(again.over_unix(), "second")
                shown = terminal.has("second", "2 tenants")
                assert "not connected" not in shown[0]
                while not any(one.get("change", {}).get("tenant", {}).get("slug") == "second" for one in told):
                    told.append(json.loads(lines.stdout.readline()))
            assert [one["change"]["tenant"]["slug"] for one in told if "change" in one] == ["second"]
            assert sum(len(one.get("tenants", [])) for one in told) == 1, "what was told is not told again"
        finally:
            lines.send_signal(signal.SIGINT)
            _, said = lines.communicate(timeout=PATIENCE)
            terminal.close()
        assert "the connection is lost" in said and "connected again" in said


def test_lines_where_there_is_no_terminal(daemon):
    ctl = daemon.over_unix()
    create(ctl, "acme")
    process = subprocess.Popen([binary("TENANTCTL"), "tenant", "list", "--watch", "--columns", "slug,state"],
                               stdout=subprocess.PIPE, text=True, env=ctl.environment)
    try:
        assert process.stdout.readline().split() == ["CHANGE", "SLUG", "STATE"]
        assert process.stdout.readline().split() == ["PRESENT", "acme", "PENDING"]
        ctl("tenant", "delete", "acme", "--yes")
        assert process.stdout.readline().split() == ["REMOVED", "acme", "DELETED"]
        create(ctl, "globex")
        assert process.stdout.readline().split() == ["CREATED", "globex", "PENDING"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
    for wrong in (["--page-size", "1"], ["-o", "json"], ["-o", "yaml"], ["--sort", "colour"], ["--sort", "slug"],
                  ["--limit", "3"], ["--all"]):
        ctl.error("tenant", "list", "--watch", *wrong, code=64)
    assert "INVALID_FILTER" in ctl.error("tenant", "list", "--watch", "--filter", "colour = red")
    began = time.monotonic()
    ctl.error("tenant", "list", "--watch", "--address", "unix:/nowhere.sock", code=2)
    assert time.monotonic() - began < PATIENCE


def test_batches(daemon, place):
    ctl = daemon.over_unix()
    file = place / "batch.yaml"
    file.write_text("".join(
        f"---\napiVersion: tenancy/v1\nkind: Tenant\nslug: t{number:02}\ndisplayName: T\nisolation: shared\n"
        for number in range(20)))
    tried = ctl.run("tenant", "batch-create", "-f", str(file), "--dry-run", "-o", "name")
    assert len(tried.stdout.splitlines()) == 20 and "not yet, it is a dry run" in tried.stderr
    assert ctl.json("tenant", "list") == {}
    made = ctl.json("tenant", "batch-create", "-f", str(file))["tenants"]
    assert [one["slug"] for one in made] == [f"t{number:02}" for number in range(20)]
    assert ctl.json("tenant", "batch-create", "-f", str(file))["tenants"] == made
    got = ctl.json("tenant", "batch-get", "t07", made[3]["name"], "-", stdin="t01\n\n t02 \n")["tenants"]
    assert [one["slug"] for one in got] == ["t07", "t03", "t01", "t02"]
    table = ctl("tenant", "batch-get", "t07", "t01", "--columns", "slug,state").splitlines()
    assert [line.split() for line in table] == [["SLUG", "STATE"], ["t07", "PENDING"], ["t01", "PENDING"]]
    assert "TENANT_NOT_FOUND" in ctl.error("tenant", "batch-get", "t07", "nobody")
    # One that can't be made keeps the others from being made.
    file.write_text("---\n{apiVersion: tenancy/v1, kind: Tenant, slug: new, displayName: N, isolation: shared}\n"
                    "---\n{apiVersion: tenancy/v1, kind: Tenant, slug: t01, displayName: Other, isolation: shared}\n")
    assert "requests[1]" in ctl.error("tenant", "batch-create", "-f", str(file))
    file.write_text("apiVersion: tenancy/v1\nkind: Tenant\nslug: new\ndisplayName: N\nisolation: shared\n"
                    "roles:\n- id: reader\n")
    assert f"{file}:6: roles: is no part of" in ctl.error("tenant", "batch-create", "-f", str(file))
    assert len(ctl.json("tenant", "list")["tenants"]) == 20
