"""Proves the power-cut simulation: it must find what is lost, and lose nothing that was synced.

SQLite is the yardstick. In WAL mode its documentation says that a commit survives power loss with
synchronous=FULL, and may not with synchronous=NORMAL.
"""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from powercut import Machine, build

CUTS = 30

WRITER = """
import os, sqlite3, sys
directory, synchronous, first = sys.argv[1], sys.argv[2], int(sys.argv[3])
db = sqlite3.connect(directory + "/test.db", isolation_level=None)
assert db.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
db.execute("PRAGMA synchronous = " + synchronous)
db.execute("PRAGMA wal_autocheckpoint = 50")
db.execute("CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, filler TEXT NOT NULL)")
# The database file's own name: SQLite leaves it to whoever creates the directory.
fd = os.open(directory, os.O_RDONLY)
os.fsync(fd)
for n in range(first, first + 100_000):
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO t VALUES (?, ?)", (n, "x" * (n * 37 % 9000)))
    db.execute("COMMIT")
    print(n, flush=True)
"""


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    return build(tmp_path_factory.mktemp("powercut"))


@pytest.fixture
def machine(library, tmp_path):
    return Machine(library, tmp_path)


def run_until_cut(machine, synchronous, first, seconds=None, **options) -> int:
    """Returns the last commit that was acknowledged before the power was cut."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, machine.data, synchronous, str(first)],
        env=machine.environment(**options), stdout=subprocess.PIPE, text=True)
    lines = []
    if seconds is not None:
        lines.append(process.stdout.readline())
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
    lines.append(process.stdout.read())
    assert process.wait() == -signal.SIGKILL
    numbers = [int(line) for line in "".join(lines).splitlines(keepends=True) if line[-1] == "\n"]
    machine.cut()
    return numbers[-1] if numbers else first - 1


def surviving(machine) -> int:
    """Checks the database that survived and returns the last commit in it; 0 when there is none."""
    path = machine.data / "test.db"
    if not path.exists():
        return 0
    db = sqlite3.connect(path)
    try:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 't'").fetchone():
            return 0
        numbers = [n for (n,) in db.execute("SELECT n FROM t ORDER BY n")]
        assert numbers == list(range(1, len(numbers) + 1)), "commits survived out of order"
        return len(numbers)
    finally:
        db.close()


@pytest.mark.parametrize("torn", [False, True])
def test_full_loses_nothing(machine, torn):
    chosen = random.Random(1)
    last = 0
    for cut in range(CUTS):
        acknowledged = run_until_cut(
            machine, "FULL", last + 1, chosen.uniform(0, 0.3), torn=cut if torn else None)
        last = surviving(machine)
        assert acknowledged <= last <= acknowledged + 1
    assert last > 5 * CUTS, "too few commits to show anything"


@pytest.mark.parametrize("torn", [False, True])
def test_full_loses_nothing_at_any_operation(library, tmp_path, torn):
    """From an empty directory on, through the creation of all files and several checkpoints."""
    for at in range(1, 600, 7 if torn else 4):
        machine = Machine(library, tmp_path / str(at))
        acknowledged = run_until_cut(machine, "FULL", 1, at=at, torn=at if torn else None)
        assert acknowledged <= surviving(machine) <= acknowledged + 1


def test_normal_loses_commits(machine):
    chosen = random.Random(2)
    last, losses = 0, 0
    for _ in range(CUTS):
        acknowledged = run_until_cut(machine, "NORMAL", last + 1, chosen.uniform(0, 0.3))
        last = surviving(machine)
        assert last <= acknowledged + 1
        losses += last < acknowledged
    assert losses > CUTS // 4


def write(path, content, sync=False, truncate=True):
    return f"""
fd = os.open({path!r}, os.O_WRONLY | os.O_CREAT | {os.O_TRUNC if truncate else 0})
os.write(fd, {content!r}); {"os.fsync(fd); " if sync else ""}os.close(fd)
"""


SYNC_DIRECTORY = "fd = os.open('.', os.O_RDONLY); os.fsync(fd); os.close(fd)\n"
START = write("old", b"old", sync=True) + SYNC_DIRECTORY


@pytest.mark.parametrize("script, survivors", [
    pytest.param(write("a", b"1", sync=True), {"old": b"old"}, id="a name needs a directory sync"),
    pytest.param(write("a", b"1") + SYNC_DIRECTORY, {"old": b"old", "a": b""},
                 id="content needs a file sync"),
    pytest.param(write("a", b"1", sync=True) + SYNC_DIRECTORY, {"old": b"old", "a": b"1"},
                 id="both"),
    pytest.param(SYNC_DIRECTORY + write("old", b"new!"), {"old": b"old"}, id="overwritten"),
    pytest.param(write("old", b"n", sync=True), {"old": b"n"}, id="truncated and synced"),
    pytest.param("os.truncate(os.open('old', os.O_RDWR), 1)", {"old": b"old"}, id="truncated"),
    pytest.param("os.unlink('old')", {"old": b"old"}, id="unlinked"),
    pytest.param("os.unlink('old')\n" + SYNC_DIRECTORY, {}, id="unlinked and synced"),
    pytest.param("os.unlink('old')\n" + write("old", b"2", sync=True), {"old": b"old"},
                 id="made anew under the old name"),
    pytest.param(write("a", b"1", sync=True) + "os.rename('a', 'old')", {"old": b"old"},
                 id="replaced"),
    pytest.param(write("a", b"1", sync=True) + "os.rename('a', 'old')\n" + SYNC_DIRECTORY,
                 {"old": b"1"}, id="replaced and synced"),
    pytest.param(write("a", b"1") + "os.rename('a', 'old')\n" + SYNC_DIRECTORY, {"old": b""},
                 id="replaced by what was never synced"),
    pytest.param("os.mkdir('d')\nos.chdir('d')\n" + write("x", b"1", sync=True) + SYNC_DIRECTORY
                 + "os.chdir('..')\n", {"old": b"old"}, id="a directory needs its parent's sync"),
    pytest.param("os.mkdir('d')\nos.chdir('d')\n" + write("x", b"1", sync=True) + SYNC_DIRECTORY
                 + "os.chdir('..')\n" + SYNC_DIRECTORY, {"old": b"old", "d/x": b"1"},
                 id="a directory and its parent"),
])
def test_what_survives(machine, script, survivors):
    code = "import os, signal\n" + START + script + "\nos.kill(os.getpid(), signal.SIGKILL)"
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=machine.data, env=machine.environment())
    assert process.returncode == -signal.SIGKILL
    machine.cut()
    found = {
        str(path.relative_to(machine.data)): path.read_bytes()
        for path in machine.data.rglob("*") if path.is_file()
    }
    assert found == survivors


def test_content_from_before_survives(machine):
    (machine.data / "d").mkdir()
    (machine.data / "d" / "x").write_bytes(b"1" * 10_000)
    subprocess.run([sys.executable, "-c", ""], env=machine.environment(), check=True)
    machine.cut()
    assert (machine.data / "d" / "x").read_bytes() == b"1" * 10_000


def test_torn_keeps_some_pages(machine):
    """Whole pages survive, some of them, and the same ones for the same seed."""
    pages = 64
    script = f"""
import os, signal
fd = os.open("x", os.O_WRONLY | os.O_CREAT)
d = os.open(".", os.O_RDONLY)
os.fsync(d)
os.write(fd, b"1" * 4096 * {pages})
os.kill(os.getpid(), signal.SIGKILL)
"""
    outcomes = []
    for seed in (1, 1, 2):
        (machine.data / "x").unlink(missing_ok=True)
        subprocess.run(
            [sys.executable, "-c", script], cwd=machine.data, env=machine.environment(torn=seed))
        machine.cut()
        content = (machine.data / "x").read_bytes()
        kept = [content[at:at + 4096] for at in range(0, len(content), 4096)]
        assert set(kept) <= {b"1" * 4096, b"\0" * 4096}
        assert 10 < kept.count(b"1" * 4096) < pages - 10
        outcomes.append(content)
    assert outcomes[0] == outcomes[1] != outcomes[2]
