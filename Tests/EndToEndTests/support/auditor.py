"""Verifies exported audit records with nothing of ours: hashlib, and Ed25519 of `cryptography`.

Written from the comments in Sources/Tenancy/Audit/AuditEncoding.swift alone.
"""

import hashlib
import json
import struct
import uuid
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_public_key

PLATFORM = "platform"
NOBODY = bytes(16)


class Wrong(Exception):
    """What is wrong, with the chain and the number of the first record that is."""


@dataclass
class Record:
    chain: str
    sequence: int
    time: int
    event: dict = field(default_factory=dict)
    heads: list = field(default_factory=list)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise ValueError("too short")
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self):
        return self.take(self.number(">I")).decode()

    def tenant(self):
        raw = self.take(16)
        return "" if raw == NOBODY else str(uuid.UUID(bytes=raw))


def decode(data):
    reader = Reader(data)
    version, kind = reader.take(2)
    if version != 1:
        raise ValueError("another version")
    record = Record(reader.tenant() or PLATFORM, reader.number(">Q"), reader.number(">q"))
    if kind == 1:
        record.event = {
            "home": reader.tenant(), "subject": reader.text(), "credential": reader.take(1)[0],
            "credential_id": reader.text(), "source": reader.text(), "action": reader.text(),
            "tenant": reader.tenant(), "named": reader.text(), "decision": reader.take(1)[0],
            "reason": reader.text(), "revision": reader.number(">Q"), "request_id": reader.text(),
            "count": reader.number(">Q"), "first_time": reader.number(">q")}
    elif kind == 2:
        for _ in range(reader.number(">I")):
            record.heads.append((reader.tenant(), reader.number(">Q"), reader.take(32)))
    else:
        raise ValueError("another kind")
    if reader.at != len(data):
        raise ValueError("too long")
    return record


def chain_bytes(chain):
    return NOBODY if chain == PLATFORM else uuid.UUID(chain).bytes


def signed(sent):
    """What a checkpoint's signature is over."""
    kinds = {"end": b"\x01", "begin": b"\x02"}
    isolated = "incarnation" not in sent
    message = b"tenancy.audit.checkpoint" + (b"\x01" if isolated else b"\x02" + kinds[sent["kind"]])
    message += (chain_bytes(sent["chain"]) + struct.pack(">Q", sent["sequence"])
                + bytes.fromhex(sent["hash"]) + struct.pack(">Qq", sent["count"], sent["time"]))
    if not isolated:
        life = sent["incarnation"].encode()
        message += struct.pack(">I", len(life)) + life
    return message


class Lives:
    """Up to where checkpoints of former lives of the store hold; `records` are the platform's.

    `begin` is the life and the time of the checkpoint behind which they begin: records that tell of restores before
    it may be missing. `newest` is the life of the newest checkpoint, which tells where there are no such records.
    """

    def __init__(self, records, newest, begin=(None, 0)):
        self.records, self.newest, self.begin = records, newest, begin
        self.restores = [(record.sequence, record.event["named"], record.time) for record in records
                         if record.event.get("action") == "store.restore"]

    def end(self, chain, life, time):
        """None: it is the present life, or one of which the records do not tell."""
        lives = [named for _, named, _ in self.restores]
        began, since = self.begin
        if began and life not in (None, began) and not {life, began} & set(lives) and time <= since:
            return 0
        if not lives and self.newest and life not in (None, self.newest):
            return 0
        if not lives or life == lives[-1]:
            return None
        if life not in lives and time // 10**9 > self.restores[-1][2] // 10**9:
            return None
        ending = self.restores[lives.index(life) + 1 if life in lives else 0][0]
        if chain == PLATFORM:
            return ending - 1
        heads = [head for record in self.records if record.sequence < ending
                 for head in record.heads if head[0] == chain]
        return heads[-1][1] if heads else 0


def verify(lines, checkpoints, public_key):
    """Returns the records by chain; raises Wrong."""
    key = load_pem_public_key(public_key)
    checkpoints = [json.loads(line) for line in checkpoints]
    begins = {}
    for sent in checkpoints:
        try:
            key.verify(bytes.fromhex(sent["signature"]), signed(sent))
        except InvalidSignature:
            raise Wrong("a checkpoint's signature") from None
        if sent.get("kind") == "begin":
            begins[sent["chain"], sent["sequence"]] = bytes.fromhex(sent["hash"])
    hashes, records, removed = {}, {}, {}
    for line in lines:
        sent = json.loads(line)
        chain, data = sent["chain"], bytes.fromhex(sent["record"])
        if chain not in hashes:
            begin = begins.get((chain, sent["sequence"] - 1))
            removed[chain] = sent["sequence"] - 1 if begin else 0
            hashes[chain] = [None] * removed[chain] + [begin or bytes(32)]
        before = hashes[chain]
        place = f"chain {chain}: record {len(before)}"
        if sent["sequence"] != len(before):
            raise Wrong(f"{place} is missing")
        digest = hashlib.sha256(b"tenancy.audit\x01" + before[-1] + data).digest()
        if digest != bytes.fromhex(sent["hash"]):
            raise Wrong(f"{place} is another")
        record = decode(data)
        if (record.chain, record.sequence) != (chain, sent["sequence"]):
            raise Wrong(f"{place} is of another place")
        before.append(digest)
        records.setdefault(chain, []).append(record)

    def ends(chain, sequence, digest):
        known = hashes.get(chain, [b""])
        if len(known) <= sequence:
            raise Wrong(f"chain {chain}: record {len(known)} is missing")
        if removed.get(chain, 0) <= sequence and known[sequence] != digest:
            raise Wrong(f"chain {chain}: record {sequence} is another")

    for record in records.get(PLATFORM, []):
        for head in record.heads:
            ends(*head)
    if not checkpoints:
        return records
    newest = max(checkpoints, key=lambda sent: sent["time"])
    signed_begins = [(sent["time"], sent["incarnation"]) for sent in checkpoints
                     if sent.get("kind") == "begin" and sent["chain"] == PLATFORM
                     and sent["sequence"] == removed.get(PLATFORM)]
    since, began = max(signed_begins, default=(0, None))
    lives = Lives(records.get(PLATFORM, []),
                  None if PLATFORM in records else newest.get("incarnation"), (began, since))
    for sent in checkpoints:
        end = lives.end(sent["chain"], sent.get("incarnation"), sent["time"])
        if end is None or sent["sequence"] <= end:
            ends(sent["chain"], sent["sequence"], bytes.fromhex(sent["hash"]))
    return records
