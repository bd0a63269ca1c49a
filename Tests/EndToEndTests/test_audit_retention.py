"""What whoever can write to the database, but has no key, can't hide by having audit records removed."""

import hashlib
import json
import sqlite3

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from support.auditor import PLATFORM, decode, signed
from support.waiting import eventually
from test_audit import Exported, begins, check, keys, records
from tenantctl_process import Ctl

__all__ = ["keys"]


@pytest.fixture
def server(make_server, keys):
    return make_server(audit={
        "checkpoint_key": str(keys[0]), "window_seconds": 1, "checkpoint_seconds": 1,
        "maximum_records": 50}).start()


def add_roles(server, tenant, prefix, count):
    with server.operator() as operator:
        for number in range(count):
            operator.role(tenant.name, f"{prefix}{number}", "bill:read")


def rewrite(server, chain, sequence):
    """Makes all records from one on old, each with a hash that fits, as its writer could."""
    with sqlite3.connect(server.data / "tenancy.sqlite") as database:
        [[last]] = database.execute(
            "SELECT hash FROM audit_records WHERE chain = ? AND sequence = ?", [chain, sequence - 1])
        rows = database.execute(
            "SELECT sequence, record FROM audit_records WHERE chain = ? AND sequence >= ? ORDER BY sequence",
            [chain, sequence]).fetchall()
        for number, record in rows:
            forged = record[:26] + bytes(7) + b"\x01" + record[34:]
            last = hashlib.sha256(b"tenancy.audit\x01" + last + forged).digest()
            database.execute(
                "UPDATE audit_records SET record = ?, hash = ? WHERE chain = ? AND sequence = ?",
                [forged, last, chain, number])
    database.close()


def test_forged_records_are_not_signed_over(server):
    with server.operator() as operator:
        acme, globex = operator.active("acme"), operator.active("globex")
    add_roles(server, acme, "clerk", 30)
    assert server.stop() == 0
    rewrite(server, acme.id, 10)
    server.start()
    add_roles(server, acme, "late", 40)
    add_roles(server, globex, "clerk", 70)
    # It looks when it starts, and 10 s later.
    assert server.stop() == 0
    server.start()
    told = f"chain {acme.id}: record "
    eventually(lambda: begins(server).get(globex.id) and told in server.log, "what can go is removed",
               seconds=60)
    assert "is not the one that was signed" in server.log
    # Nor of the platform's, which tells of what was.
    assert set(begins(server)) == {globex.id}
    with server.operator() as operator:
        assert records(operator, "acme")[0].sequence == 1
    assert server.stop() == 0
    assert "audit_records" in check(server)


def test_a_restore_that_is_told_of_no_more_excuses_nothing(server, keys, tmp_path):
    with server.operator() as operator:
        acme = operator.active("acme")
    ctl = Ctl({"TENANCY_ADDRESS": f"unix:{server.socket}"})
    add_roles(server, acme, "clerk", 10)
    ctl("backup", str(tmp_path / "backup"), "--data-directory", str(server.data))
    add_roles(server, acme, "lost", 10)
    assert server.stop() == 0
    ctl("restore", str(tmp_path / "backup"), "--data-directory", str(server.data), "--replace",
        "--accept", "--yes")
    server.start()
    add_roles(server, acme, "new", 150)
    assert server.stop() == 0
    server.start()
    with server.operator() as operator:
        eventually(lambda: all(len(records(operator, one)) <= 65 for one in ("", "acme")),
                   "old records are removed", seconds=60)
        assert not [one for one in records(operator) if one.action == "store.restore"]
    exported = Exported(server, tmp_path, keys[1])
    assert "are of the former life of the store" in exported.verify()

    # Whoever changes the store's life in the database and cuts off its end gets that signed, and no more.
    ends = {PLATFORM: exported.end(PLATFORM) - 20}
    for sent in map(json.loads, exported.lines):
        if sent["chain"] == PLATFORM and sent["sequence"] <= ends[PLATFORM]:
            ends.update({head[0]: head[1] for head in decode(bytes.fromhex(sent["record"])).heads})
    cut = [line for line in exported.lines
           if json.loads(line)["sequence"] <= ends[json.loads(line)["chain"]]]
    key = load_pem_private_key(keys[0].read_bytes(), None)
    forged = []
    for chain in (PLATFORM, acme.id):
        last = [json.loads(line) for line in cut if json.loads(line)["chain"] == chain][-1]
        sent = dict(json.loads(exported.checkpoints[-1]), chain=chain, sequence=last["sequence"],
                    count=last["sequence"], hash=last["hash"], incarnation="other")
        sent["time"] += 10**9
        sent["signature"] = key.sign(signed(sent)).hex()
        forged.append(json.dumps(sent, separators=(",", ":")))
    assert "is missing" in exported.verify(cut, exported.checkpoints + forged)
