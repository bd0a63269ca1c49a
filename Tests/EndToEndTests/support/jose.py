"""Tokens as others make and read them: joserfc, PyJWT, and bytes put together by hand."""

import base64
import hashlib
import json
import time

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc import jws
from joserfc.jwk import KeySet


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def part(token: str, index: int) -> dict:
    return json.loads(decode(token.split(".")[index]))


def thumbprint(credential) -> bytes:
    """Of a credential's certificate, as `cnf.x5t#S256` has it."""
    certificate = x509.load_pem_x509_certificate(credential.certificate)
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()


def accepted_by_pyjwt(token: str, keys: str, audience: str) -> dict:
    kid = jwt.get_unverified_header(token)["kid"]
    [key] = [key for key in jwt.PyJWKSet.from_json(keys).keys if key.key_id == kid]
    return jwt.decode(token, key.key, algorithms=["ES256", "EdDSA"], audience=audience,
                      options={"require": ["exp", "iat", "sub", "iss", "jti"]})


def accepted_by_joserfc(token: str, keys: str) -> dict:
    found = jws.deserialize_compact(
        token, KeySet.import_key_set(json.loads(keys)), algorithms=["ES256", "EdDSA"])
    return json.loads(found.payload)


class Forger:
    """Has a key of its own, and whatever it knows of a good token."""

    def __init__(self, good: str):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.good = good
        self.header, self.claims = part(good, 0), part(good, 1)

    def sign(self, header: bytes, payload: bytes) -> str:
        signed = f"{encode(header)}.{encode(payload)}"
        r, s = utils.decode_dss_signature(
            self.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def token(self, header: dict | None = None, **claims) -> str:
        """Signed with the forger's key, saying what the good one says but for this."""
        header = {**self.header, **(header or {})}
        return self.sign(json.dumps(header).encode(), json.dumps({**self.claims, **claims}).encode())

    def resealed(self, header: dict | None = None, **claims) -> str:
        """The good signature under something else."""
        header = {**self.header, **(header or {})}
        payload = {**self.claims, **claims}
        return ".".join([encode(json.dumps(header).encode()), encode(json.dumps(payload).encode()),
                         self.good.split(".")[2]])

    @property
    def jwk(self) -> dict:
        numbers = self.key.public_key().public_numbers()
        return {"kty": "EC", "crv": "P-256", "x": encode(numbers.x.to_bytes(32, "big")),
                "y": encode(numbers.y.to_bytes(32, "big"))}


def now() -> int:
    return int(time.time())
