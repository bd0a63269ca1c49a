"""Backups of a server that runs and is written to; what is restored; what `tenantd check` finds."""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import threading
import time

import pytest
from support import api
from support.client import failure
from support.daemon import Server
from support.waiting import eventually
from tenantctl_process import PATIENCE, binary

SEED = int(os.environ.get("TENANCY_SEED", 1))
KILLS = int(os.environ.get("TENANCY_BACKUP_KILLS", 12))
WRITERS = 4


def run(program, *arguments, code=0):
    done = subprocess.run([binary(program), *map(str, arguments)], capture_output=True, text=True,
                          timeout=PATIENCE * 2, check=False)
    assert done.returncode == code, f"{arguments}: {done}"
    return done


def ctl(*arguments):
    return json.loads(run("TENANTCTL", *arguments, "--output", "json").stdout)


def refusal(*arguments):
    done = run("TENANTCTL", *arguments, code=1)
    assert not done.stdout
    return done.stderr


def check(server, code=0):
    return json.loads(
        run("TENANTD", "check", "--data-directory", server.data, "--json", code=code).stdout)


def log_of(server, up_to):
    database = sqlite3.connect(server.data / "tenancy.sqlite")
    try:
        return database.execute(
            "SELECT revision, time, action, changes FROM log WHERE revision <= ? ORDER BY revision",
            (up_to,)).fetchall()
    finally:
        database.close()


def with_key_of(server, other):
    """A backup's secrets are sealed: the master key is not in it."""
    shutil.copy(server.master_key, other.master_key)


def slugs(client):
    found, token = set(), ""
    while True:
        page = client.manager.ListTenants(
            api.manager.ListTenantsRequest(page_size=1000, page_token=token), timeout=20)
        found |= {one.slug for one in page.tenants}
        token = page.next_page_token
        if not token:
            return found


class Writer(threading.Thread):
    """Makes tenants, one after the other, until it is told to stop."""

    def __init__(self, server, prefix):
        super().__init__()
        self.client = server.operator()
        self.prefix = prefix
        self.acknowledged = 0
        self.asked = 0
        self.stopped = threading.Event()

    def run(self):
        with self.client:
            while not self.stopped.is_set():
                self.asked += 1
                self.client.create(f"{self.prefix}-{self.acknowledged}", api.SHARED)
                self.acknowledged += 1

    def made(self, count):
        return {f"{self.prefix}-{number}" for number in range(count)}


def test_a_backup_under_load(make_server, tmp_path):
    """It has what was acknowledged before it began, nothing that was asked for after it ended, and of what
    came between a prefix."""
    server = make_server().start()
    begun = check(server)["revision"]
    writers = [Writer(server, f"w{number}") for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    backups = []
    try:
        for number in range(5):
            goal = sum(writer.acknowledged for writer in writers) + 20
            eventually(lambda goal=goal: sum(one.acknowledged for one in writers) > goal, "they write")
            before = [writer.acknowledged for writer in writers]
            made = ctl("backup", "--data-directory", server.data, tmp_path / f"backup{number}")
            backups.append((made, before, [writer.asked for writer in writers]))
    finally:
        for writer in writers:
            writer.stopped.set()
        for writer in writers:
            writer.join()
    assert check(server)["revision"] == begun + sum(writer.acknowledged for writer in writers)
    assert server.stop() == 0
    for made, before, after in backups:
        restored = make_server()
        with_key_of(server, restored)
        ctl("restore", made["path"], "--data-directory", restored.data, "--accept")
        revision = made["manifest"]["revision"]
        assert sum(before) <= revision - begun <= sum(after)
        assert log_of(restored, revision) == log_of(server, revision)
        restored.start()
        with restored.operator() as client:
            found = slugs(client)
        assert len(found) == revision - begun == made["manifest"]["counts"]["tenants"]
        for writer, least, most in zip(writers, before, after):
            own = {slug for slug in found if slug.startswith(writer.prefix + "-")}
            assert own == writer.made(len(own)) and least <= len(own) <= most
        assert restored.stop() == 0


@pytest.fixture(scope="module")
def large(tmp_path_factory, pki):
    """A closed store of some megabytes."""
    server = Server(tmp_path_factory.mktemp("large"), pki).start()
    with server.operator() as client:
        for number in range(40):
            settings = api.tenant.TenantConfiguration()
            settings.custom_settings.update({"padding": "x" * 60_000})
            client.create(f"large-{number}", api.SHARED, configuration=settings)
    assert server.stop() == 0
    yield server
    server.close()


def test_a_killed_backup_leaves_nothing_that_looks_done(large, tmp_path):
    chosen, killed = random.Random(SEED), 0
    began = time.monotonic()
    ctl("backup", "--data-directory", large.data, tmp_path / "whole")
    duration = time.monotonic() - began
    for number in range(KILLS):
        target = tmp_path / f"backup{number}"
        process = subprocess.Popen(
            [binary("TENANTCTL"), "backup", "--data-directory", large.data, target],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        # Not a wait for anything: the moment of the crash is to be any.
        time.sleep(chosen.uniform(0, duration))
        process.kill()
        process.stderr.close()
        killed += process.wait() == -signal.SIGKILL
        if target.exists():
            run("TENANTCTL", "verify-backup", target)
    assert killed > KILLS / 3
    names = {path.name for path in tmp_path.iterdir()}
    assert all(name == "whole" or name.removeprefix("backup").isdigit() or ".partial-" in name
               for name in names), names
    for name in names:
        if ".partial-" in name:
            # It may have been whole, and only not have its name yet.
            whole = subprocess.run([binary("TENANTCTL"), "verify-backup", tmp_path / name],
                                   capture_output=True, timeout=PATIENCE, check=False)
            if whole.returncode != 0:
                refusal("restore", tmp_path / name, "--data-directory", tmp_path / "restored")
    assert check(large)["findings"] == []


def test_a_killed_restore_leaves_the_store_or_nothing(large, make_server, tmp_path):
    """At each moment a server finds the former store, the restored one, or that it must not start."""
    backup = tmp_path / "backup"
    ctl("backup", "--data-directory", large.data, backup)
    chosen, server = random.Random(SEED), make_server()
    with_key_of(large, server)
    server.start()
    with server.operator() as client:
        client.create("former")
    assert server.stop() == 0
    began = time.monotonic()
    ctl("restore", backup, "--data-directory", tmp_path / "elsewhere")
    duration = time.monotonic() - began
    outcomes = set()
    for number in range(KILLS):
        process = subprocess.Popen(
            [binary("TENANTCTL"), "restore", backup, "--data-directory", server.data, "--replace",
             "--accept"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        # Later and later: once it is restored, it stays so.
        time.sleep(chosen.uniform(number, number + 1) * duration / KILLS)
        process.kill()
        process.stderr.close()
        process.wait()
        if (server.data / "tenancy.sqlite.restored").exists():
            server.launch()
            assert server.wait() != 0 and "cut short" in server.log
            outcomes.add("refused")
            ctl("restore", backup, "--data-directory", server.data, "--replace", "--accept")
        server.start()
        with server.operator() as client:
            found = slugs(client)
        assert found == {"former"} or found == {f"large-{number}" for number in range(40)}
        outcomes.add("former" if found == {"former"} else "restored")
        assert server.stop() == 0
    assert "former" in outcomes


def test_a_changed_backup_is_refused(large, tmp_path):
    backup = tmp_path / "backup"
    ctl("backup", "--data-directory", large.data, backup)
    good = backup.read_bytes()
    chosen = random.Random(SEED)
    for place in [chosen.randrange(len(good)) for _ in range(5)] + [len(good) - 1]:
        bad = bytearray(good)
        bad[place] ^= 1 << chosen.randrange(8)
        backup.write_bytes(bad)
        assert "backup" in refusal("verify-backup", backup)
        refusal("restore", backup, "--data-directory", tmp_path / "restored")
        assert not (tmp_path / "restored" / "tenancy.sqlite").exists()


def test_no_file_is_replaced_unasked(large, tmp_path):
    backup = tmp_path / "backup"
    backup.write_text("precious")
    assert "--replace" in refusal("backup", "--data-directory", large.data, backup)
    assert backup.read_text() == "precious"
    ctl("backup", "--data-directory", large.data, backup, "--replace")
    assert "--replace" in refusal("restore", backup, "--data-directory", large.data)
    own = large.data / "tenancy.sqlite"
    assert "the store's own" in refusal("backup", "--data-directory", large.data, own, "--replace")
    assert check(large)["counts"]["tenants"] == 40


@pytest.mark.skipif(os.getuid() != 0, reason="only root mounts")
def test_a_full_disk(large, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=True)
    try:
        said = refusal("backup", "--data-directory", large.data, small / "backup")
        assert "full" in said or "No space left" in said
        assert not list(small.iterdir())
        backup = tmp_path / "backup"
        ctl("backup", "--data-directory", large.data, backup)
        said = refusal("restore", backup, "--data-directory", small / "data")
        assert "full" in said or "No space left" in said
        assert [path.name for path in (small / "data").iterdir()] == ["tenancy.sqlite.lock"]
    finally:
        subprocess.run(["umount", small], check=True)


def test_what_was_restored_is_served_when_the_operator_says_so(make_server, tmp_path):
    server = make_server().start()
    backup = tmp_path / "backup"
    with server.operator() as client:
        client.create("early")
        made = ctl("backup", "--data-directory", server.data, backup)
        late = client.manager.UpdateTenant(api.manager.UpdateTenantRequest(
            tenant=api.tenant.Tenant(name="tenants/early", display_name="Late"),
            update_mask={"paths": ["display_name"]}))
        client.create("late")
    last = check(server)["revision"]
    said = refusal("restore", backup, "--data-directory", server.data, "--replace")
    assert "another process uses this store" in said
    assert server.stop() == 0
    report = ctl("restore", backup, "--data-directory", server.data, "--replace")
    assert report["incarnation"]["replacedRevision"] == last
    assert report["incarnation"]["firstRevision"] == last + 1
    assert report["incarnation"]["id"] != made["manifest"]["incarnation"]["id"]
    server.launch()
    assert server.wait() != 0
    assert "--accept-restored" in server.log and "serving" not in server.log
    assert check(server)["incarnation"]["state"] == "restored"

    file = server.directory / "tenantd.json5"
    accepting = subprocess.Popen([binary("TENANTD"), "serve", "--config", file, "--accept-restored"],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        lines = []
        while "serving" not in (lines or [""])[-1]:
            lines.append(accepting.stderr.readline())
            assert lines[-1], "".join(lines)
        assert f"incarnation={report['incarnation']['id']}" in lines[-1]
    finally:
        accepting.send_signal(signal.SIGTERM)
        accepting.wait(PATIENCE)
        accepting.stderr.close()

    server.start()
    with server.operator() as client:
        early = client.get("early")
        assert slugs(client) == {"early"} and early.display_name == "early"
        assert early.epoch == last + 1 and early.etag != late.etag
        error = failure("ABORTED", client.manager.UpdateTenant, api.manager.UpdateTenantRequest(
            tenant=api.tenant.Tenant(name="tenants/early", display_name="x", etag=late.etag),
            update_mask={"paths": ["display_name"]}))
        assert error.reason == "ETAG_MISMATCH"
        client.create("next")
    assert check(server)["revision"] == last + 2
    assert server.stop() == 0


def test_a_backup_in_the_place_of_a_store_is_not_served(make_server, tmp_path):
    server = make_server().start()
    assert server.stop() == 0
    ctl("backup", "--data-directory", server.data, tmp_path / "backup")
    (tmp_path / "backup").rename(server.data / "tenancy.sqlite")
    server.launch()
    assert server.wait() != 0
    assert "tenantctl restore" in server.log and "serving" not in server.log


def test_check_names_every_row(make_server):
    server = make_server().start()
    with server.operator() as client:
        acme = client.create("acme")
        client.role("acme", "reader", "a:b")
        client.assign("acme", "user:al", "reader")
        assert check(server)["findings"] == []
    assert server.stop() == 0
    names = sorted(path.name for path in server.data.iterdir())
    report = check(server)
    assert report["counts"] == {
        "tenants": 1, "roles": 1, "assignments": 1, "logEntries": report["revision"]}
    assert sorted(path.name for path in server.data.iterdir()) == names
    database = sqlite3.connect(server.data / "tenancy.sqlite")
    with database:
        database.execute("UPDATE tenants SET epoch = 9")
        database.execute("UPDATE roles SET version = 1000")
        database.execute("DELETE FROM log WHERE revision = 2")
    database.close()
    found = {(one.get("table"), one.get("row")) for one in check(server, code=1)["findings"]}
    assert found == {("tenants", acme.id), ("roles", f"{acme.id}/reader"), ("log", "3")}
    file = server.directory / "tenantd.json5"
    said = run("TENANTD", "check", "--config", file, code=1).stdout
    assert "NOT SOUND: 3 findings" in said and f"table tenants, row {acme.id}: " in said
    refused = refusal("backup", "--data-directory", server.data, server.directory / "backup")
    assert "is not sound" in refused and not (server.directory / "backup").exists()
    for arguments in (("check",), ("check", "--config", "a", "--data-directory", "b")):
        run("TENANTD", *arguments, code=64)
    missing = run("TENANTD", "check", "--data-directory", server.directory / "none", code=1)
    assert "there is no store" in missing.stderr
    assert not (server.directory / "none").exists()
