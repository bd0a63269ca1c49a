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


def verify(lines, checkpoints, public_key):
    """Returns the records by chain; raises Wrong."""
    key = load_pem_public_key(public_key)
    hashes, records = {}, {}
    for line in lines:
        sent = json.loads(line)
        chain, data = sent["chain"], bytes.fromhex(sent["record"])
        before = hashes.setdefault(chain, [bytes(32)])
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
        if known[sequence] != digest:
            raise Wrong(f"chain {chain}: record {sequence} is another")

    for record in records.get(PLATFORM, []):
        for head in record.heads:
            ends(*head)
    for line in checkpoints:
        sent = json.loads(line)
        digest = bytes.fromhex(sent["hash"])
        message = (b"tenancy.audit.checkpoint\x01" + chain_bytes(sent["chain"])
                   + struct.pack(">Q", sent["sequence"]) + digest
                   + struct.pack(">Qq", sent["count"], sent["time"]))
        try:
            key.verify(bytes.fromhex(sent["signature"]), message)
        except InvalidSignature:
            raise Wrong("a checkpoint's signature") from None
        ends(sent["chain"], sent["sequence"], digest)
    return records
