"""The audit trail: what is in it, who may read it, and that nothing in it can be changed unnoticed."""

import json
import os
import sqlite3
import subprocess

import pytest

from support import api
from support.auditor import PLATFORM, Wrong, verify
from support.client import failure
from support.pki import tenant_id
from support.waiting import eventually
from tenantctl_process import Ctl, binary

audit = api.audit


@pytest.fixture
def keys(tmp_path):
    """The files of a signing key, made with openssl."""
    secret, public = tmp_path / "audit.key", tmp_path / "audit.pub"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", secret], check=True)
    subprocess.run(["openssl", "pkey", "-in", secret, "-pubout", "-out", public], check=True)
    secret.chmod(0o600)
    return secret, public


@pytest.fixture
def server(make_server, keys):
    return make_server(audit={"checkpoint_key": str(keys[0]), "window_seconds": 1}).start()


def records(client, parent=""):
    stub = api.audit_grpc.AuditStub(client.channel)
    found, token = [], ""
    while True:
        page = stub.ListAuditRecords(
            audit.ListAuditRecordsRequest(parent=parent, page_size=3, page_token=token), timeout=20)
        found += page.records
        token = page.next_page_token
        if not token:
            return found


def denials(client, parent=""):
    return [record for record in records(client, parent)
            if record.decision == audit.AUDIT_DECISION_DENIED]


def cause_records(server, pki):
    """Two tenants, some changes, and an attempt of one to reach the other. Returns the tenants."""
    with server.operator() as operator, server.client(pki.python.tenant("acme")) as intruder:
        acme, globex = operator.active("acme"), operator.active("globex")
        operator.role(globex.name, "clerk", "bill:read")
        for _ in range(20):
            failure("PERMISSION_DENIED", lambda: intruder.get("globex"))
        for name in ("acme", "globex"):
            eventually(lambda n=name: sum(one.count for one in denials(operator, n)) == 20,
                       "denials are written")
    return acme, globex


def test_changes_and_attempts_stand_in_the_chains_of_all_concerned(server, pki):
    acme, globex = cause_records(server, pki)
    with server.operator() as operator:
        made = records(operator, "globex")[0]
        assert (made.action, made.decision) == ("tenants.create", audit.AUDIT_DECISION_ALLOWED)
        assert made.subject == f"uid:{os.getuid()}" and not made.home
        assert made.credential == audit.AUDIT_CREDENTIAL_UNIX_USER and made.revision > 0
        assert str(server.socket) in made.source
        revisions = [record.revision for record in records(operator, "globex") if record.revision]
        assert revisions == sorted(set(revisions))

        for home, told in ((acme, ""), (globex, globex.id)):
            attempts = denials(operator, home.name)
            assert sum(record.count for record in attempts) == 20 and len(attempts) < 20
            attempt = attempts[0]
            assert attempt.action == "/tenancy.v1.TenantManager/GetTenant"
            assert (attempt.subject, attempt.home) == (tenant_id("acme"), acme.id)
            assert (attempt.reason, attempt.named_tenant) == ("TENANT_MISMATCH", "globex")
            # Whose chain it is not is not told whether there is such a tenant.
            assert attempt.tenant == told
            assert len(attempt.credential_id) == 64 and "127.0.0.1" in attempt.source


def test_each_tenant_sees_its_own_chain(server, pki):
    acme, _ = cause_records(server, pki)
    name = pki.python.tenant("acme")
    with server.operator() as operator, server.client(name) as client:
        for method, request in (("ListAuditRecords", audit.ListAuditRecordsRequest),
                                ("ExportAuditRecords", audit.ExportAuditRecordsRequest)):
            failure("PERMISSION_DENIED", lambda m=method, r=request: client.call(f"Audit/{m}", r()))
        operator.assign(acme.name, tenant_id("acme"), "tenant-admin")
        eventually(lambda: len({one.action for one in denials(operator, acme.name)}) == 3,
                   "both denials are written")
        own = records(client)
        assert own == records(client, "acme") == records(client, acme.name)
        assert {record.chain for record in own} == {acme.id}
        for foreign in ("globex", "unknown", "tenants/globex"):
            error = failure("PERMISSION_DENIED", lambda f=foreign: records(client, f))
            assert error.reason == "TENANT_MISMATCH"
        assert {record.chain for record in records(operator)} == {PLATFORM}
        failure("NOT_FOUND", lambda: records(operator, "unknown"))


class Exported:
    """The files of an export, with what is known of them."""

    def __init__(self, server, directory, public_key):
        self.ctl = Ctl({"TENANCY_ADDRESS": f"unix:{server.socket}"})
        self.directory, self.public_key = directory, public_key
        self.lines = self.ctl("audit", "export", "--all").splitlines()
        assert server.stop() == 0
        # Of the end, which was signed at the stop.
        self.checkpoints = (server.data / "audit-checkpoints.jsonl").read_text().splitlines()

    def verify(self, lines=None, checkpoints=None, partial=False):
        """Both verifiers agree: nil, or what tenantctl says is wrong."""
        lines = self.lines if lines is None else lines
        checkpoints = self.checkpoints if checkpoints is None else checkpoints
        (self.directory / "records").write_text("".join(f"{line}\n" for line in lines))
        (self.directory / "checkpoints").write_text("".join(f"{line}\n" for line in checkpoints))
        done = subprocess.run(
            [binary("TENANTCTL"), "audit", "verify", self.directory / "records", "--checkpoints",
             self.directory / "checkpoints", "--public-key", self.public_key,
             *(["--partial"] if partial else [])],
            capture_output=True, text=True, timeout=30, check=False)
        if partial:
            checkpoints = [line for line in checkpoints
                           if any(json.loads(line)["chain"] in one for one in lines)]
        try:
            verify(lines, checkpoints, self.public_key.read_bytes())
            wrong = None
        except (Wrong, ValueError, KeyError) as error:
            wrong = str(error) or repr(error)
        assert (done.returncode == 0) == (wrong is None), (done, wrong)
        return done.stderr or None

    def index(self, chain, sequence):
        return next(index for index, line in enumerate(self.lines)
                    if (json.loads(line)["chain"], json.loads(line)["sequence"]) == (chain, sequence))

    def end(self, chain):
        return max(json.loads(line)["sequence"] for line in self.lines
                   if json.loads(line)["chain"] == chain)

    def count(self, chain):
        return sum(json.loads(line)["chain"] == chain for line in self.lines)


def test_whatever_is_changed_is_named(server, pki, keys, tmp_path):
    acme, globex = cause_records(server, pki)
    exported = Exported(server, tmp_path, keys[1])
    lines = exported.lines
    assert exported.verify() is None
    found = verify(lines, exported.checkpoints, keys[1].read_bytes())
    assert set(found) == {PLATFORM, acme.id, globex.id}
    assert found[acme.id][0].event["action"] == "tenants.create"

    for chain in (PLATFORM, acme.id, globex.id):
        last = exported.count(chain)
        for sequence in {1, 2, last // 2, last}:
            place = exported.index(chain, sequence)
            name = f"chain {chain}: record {sequence} "
            assert name in exported.verify(lines[:place] + lines[place + 1:])
            changed = json.loads(lines[place])
            data = bytearray.fromhex(changed["record"])
            data[-1] ^= 1
            changed["record"] = data.hex()
            text = json.dumps(changed, separators=(",", ":"))
            assert name in exported.verify(lines[:place] + [text] + lines[place + 1:])
            if sequence < last:
                other = exported.index(chain, sequence + 1)
                swapped = list(lines)
                swapped[place], swapped[other] = swapped[other], swapped[place]
                assert name in exported.verify(swapped)
        rest = [line for line in lines if json.loads(line)["chain"] != chain]
        assert f"chain {chain}: record 1 is missing, and all after it" in exported.verify(rest)

    own = [line for line in lines if json.loads(line)["chain"] == acme.id]
    assert exported.verify(own, partial=True) is None
    assert f"record {len(own)} is missing" in exported.verify(own[:-1], partial=True)
    forged = exported.checkpoints[-1].replace('"time":1', '"time":2')
    assert "checkpoint" in exported.verify(checkpoints=[*exported.checkpoints[:-1], forged])


def test_a_changed_row_of_the_database_is_named(server, pki, keys, tmp_path):
    acme, _ = cause_records(server, pki)
    assert server.stop() == 0
    with sqlite3.connect(server.data / "tenancy.sqlite") as database:
        [[stored]] = database.execute(
            "SELECT record FROM audit_records WHERE chain = ? AND sequence = 2", [acme.id])
        database.execute(
            "UPDATE audit_records SET record = ? WHERE chain = ? AND sequence = 2",
            [stored[:-1] + bytes([stored[-1] ^ 1]), acme.id])
    database.close()
    server.start()
    ctl = Ctl({"TENANCY_ADDRESS": f"unix:{server.socket}"})
    (tmp_path / "records").write_text(ctl("audit", "export", "--all"))
    assert server.stop() == 0
    said = ctl.error("audit", "verify", str(tmp_path / "records"), "--checkpoints",
                     str(server.data / "audit-checkpoints.jsonl"), "--public-key", str(keys[1]))
    assert f"chain {acme.id}: record 2 is not the one that was written" in said


def test_chains_go_on_after_a_crash(server, pki, keys, tmp_path):
    acme, _ = cause_records(server, pki)
    server.kill()
    server.start()
    with server.operator() as operator:
        operator.role(acme.name, "clerk", "bill:read")
    assert Exported(server, tmp_path, keys[1]).verify() is None


def ctl_verify(records, checkpoints, public_key):
    return subprocess.run(
        [binary("TENANTCTL"), "audit", "verify", records, "--checkpoints", checkpoints,
         "--public-key", public_key], capture_output=True, text=True, timeout=30, check=False)


def test_a_line_that_a_crash_cut_off_spoils_no_checkpoints(server, pki, keys, tmp_path):
    acme, _ = cause_records(server, pki)
    assert server.stop() == 0
    file = server.data / "audit-checkpoints.jsonl"
    whole = file.read_text()
    file.write_text(whole + whole.splitlines()[0][:70])
    server.start()
    assert file.read_text().startswith(whole + '{"chain":"platform"')
    assert json.loads(file.read_text().splitlines()[-1])["chain"] == PLATFORM
    with server.operator() as operator:
        operator.role(acme.name, "clerk", "bill:read")
    exported = Exported(server, tmp_path, keys[1])
    assert exported.verify() is None
    for line in exported.checkpoints:
        assert json.loads(line)["kind"] == "end"
    (tmp_path / "cut").write_text("\n".join(exported.checkpoints) + "\n" + exported.checkpoints[0][:70])
    done = ctl_verify(tmp_path / "records", tmp_path / "cut", keys[1])
    assert done.returncode == 0, done
    assert f"cut:{len(exported.checkpoints) + 1}: the line is cut off" in done.stderr
    # Written by a version that went on in the same line.
    merged = [exported.checkpoints[0][:70] + exported.checkpoints[0], *exported.checkpoints[1:]]
    (tmp_path / "cut").write_text("".join(f"{line}\n" for line in merged))
    done = ctl_verify(tmp_path / "records", tmp_path / "cut", keys[1])
    assert done.returncode == 0 and "cut:1: a line is cut off" in done.stderr, done


def test_a_restore_is_audited_and_ends_a_life(server, pki, keys, tmp_path):
    acme, _ = cause_records(server, pki)
    ctl = Ctl({"TENANCY_ADDRESS": f"unix:{server.socket}"})
    ctl("backup", str(tmp_path / "backup"), "--data-directory", str(server.data))
    with server.operator() as operator:
        for number in range(5):
            operator.role(acme.name, f"later{number}", "bill:read")
    assert server.stop() == 0
    ctl("restore", str(tmp_path / "backup"), "--data-directory", str(server.data), "--replace",
        "--accept", "--yes")
    server.start()
    with server.operator() as operator:
        found = [one for one in records(operator) if one.action == "store.restore"]
        assert len(found) == 1 and found[0].subject == f"uid:{os.getuid()}"
        assert "backup of " in found[0].source and " at revision " in found[0].source
        operator.role(acme.name, "clerk", "bill:read")
    exported = Exported(server, tmp_path, keys[1])
    lives = {json.loads(line)["incarnation"] for line in exported.checkpoints}
    assert len(lives) == 2 and found[0].named_tenant in lives
    assert exported.verify() is not None  # A note, and no error.
    done = ctl_verify(tmp_path / "records", tmp_path / "checkpoints", keys[1])
    assert done.returncode == 0 and "of the former life of the store" in done.stderr, done
    # What both lives have is still held to the former's checkpoints, and this life to its own.
    last = exported.count(acme.id)
    place = exported.index(acme.id, last)
    lines = exported.lines
    assert f"chain {acme.id}: record {last} " in exported.verify(lines[:place] + lines[place + 1:])
    # Without the record of the restore, nothing excuses what does not fit.
    place = exported.index(PLATFORM, found[0].sequence)
    assert "record" in exported.verify(lines[:place] + lines[place + 1:])


def begins(server):
    """Of each chain: behind which record it begins, as the newest checkpoint says."""
    lines = (server.data / "audit-checkpoints.jsonl").read_text().splitlines()
    signed = [one for one in map(json.loads, lines) if one["kind"] == "begin"]
    return {one["chain"]: one["sequence"] for one in signed}


def test_old_records_are_removed_and_what_is_left_verifies(make_server, keys, tmp_path):
    server = make_server(audit={
        "checkpoint_key": str(keys[0]), "window_seconds": 1, "maximum_records": 50}).start()
    ctl = Ctl({"TENANCY_ADDRESS": f"unix:{server.socket}"})
    with server.operator() as operator:
        acme, globex = operator.active("acme"), operator.active("globex")
        for number in range(150):
            operator.role(acme.name, f"clerk{number}", "bill:read")
        for parent in ("", "acme"):
            # Over its bound by what it takes to remove records, and no more than 15.
            eventually(lambda p=parent: len(records(operator, p)) <= 65 and begins(server),
                       "old records are removed", seconds=60)
        own, platform = records(operator, "acme"), records(operator)
        assert own[0].sequence == begins(server)[acme.id] + 1 > 80
        assert platform[0].sequence == begins(server)[PLATFORM] + 1 > 80
        assert records(operator, "globex")[0].sequence == 1
        # The platform's chain still tells where that of the idle tenant ends.
        assert globex.id in {head.tenant for record in platform for head in record.heads}
    assert "sound" in check(server)
    exported = Exported(server, tmp_path, keys[1])
    assert exported.verify() is None
    ended = [line for line in exported.checkpoints if json.loads(line)["kind"] == "end"]
    assert "record 1 is missing" in exported.verify(checkpoints=ended)
    for chain in (PLATFORM, acme.id):
        sequences = [json.loads(line)["sequence"] for line in exported.lines
                     if json.loads(line)["chain"] == chain]
        for sequence in (sequences[0], sequences[len(sequences) // 2], sequences[-1]):
            place = exported.index(chain, sequence)
            named = f"chain {chain}: record {sequence} "
            assert named in exported.verify(exported.lines[:place] + exported.lines[place + 1:])
    own = [line for line in exported.lines if json.loads(line)["chain"] == acme.id]
    assert exported.verify(own, partial=True) is None

    with sqlite3.connect(server.data / "tenancy.sqlite") as database:
        database.execute("UPDATE audit_chains SET floor = floor + 1 WHERE chain = ?", [acme.id])
    database.close()
    assert f"{acme.id}/{sequences[0]}" in check(server)
    server.start()
    with server.operator() as operator:
        operator.role(globex.name, "clerk", "bill:read")
    assert ctl("audit", "list", "globex")


def check(server):
    return subprocess.run(
        [binary("TENANTD"), "check", "--data-directory", server.data], capture_output=True,
        text=True, timeout=30, check=False).stdout


def test_without_a_key_nothing_is_removed(make_server):
    server = make_server(audit={"maximum_records": 20}).start()
    with server.operator() as operator:
        acme = operator.active("acme")
        for number in range(50):
            operator.role(acme.name, f"clerk{number}", "bill:read")
    # It looks when it starts, and 10 s later.
    assert server.stop() == 0
    server.start()
    with server.operator() as operator:
        eventually(lambda: "that takes audit.checkpoint_key" in server.log, "it is said", seconds=60)
        assert records(operator, "acme")[0].sequence == 1
    assert server.stop() == 0 and server.log.count("that takes audit.checkpoint_key") == 1


def test_after_a_restore_all_ends_are_signed(server, pki, keys, tmp_path):
    acme, globex = cause_records(server, pki)
    ctl = Ctl({"TENANCY_ADDRESS": f"unix:{server.socket}"})
    ctl("backup", str(tmp_path / "backup"), "--data-directory", str(server.data))
    assert server.stop() == 0
    ctl("restore", str(tmp_path / "backup"), "--data-directory", str(server.data), "--replace",
        "--accept", "--yes")
    file = server.data / "audit-checkpoints.jsonl"
    before = len(file.read_text().splitlines())
    server.start()
    signed = [json.loads(line) for line in file.read_text().splitlines()[before:]]
    assert {acme.id, globex.id, PLATFORM} == {one["chain"] for one in signed}
    (tmp_path / "own").write_text(ctl("audit", "export", "acme"))
    done = subprocess.run(
        [binary("TENANTCTL"), "audit", "verify", tmp_path / "own", "--checkpoints", file,
         "--public-key", keys[1], "--partial"], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done
    assert server.stop() == 0
    count = len(file.read_text().splitlines())
    server.start()
    # Once.
    assert len(file.read_text().splitlines()) == count + 1
