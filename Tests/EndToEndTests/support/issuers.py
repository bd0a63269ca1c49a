"""Issuers that are not this service: their keys, their tokens, and the settings that trust them."""

import json
import uuid

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from google.protobuf.duration_pb2 import Duration

from . import api
from .daemon import ISSUER
from .jose import now

tokens = api.tokens

MAKERS = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    "PS256": lambda: rsa.generate_private_key(65537, 2048),
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
}


class OutsideIssuer:
    """An identity provider with one key."""

    def __init__(self, url: str, algorithm: str = "ES256", kid: str | None = None, key=None):
        self.url, self.algorithm = url, algorithm
        self.key = key or MAKERS[algorithm]()
        self.kid = kid or f"{algorithm}-{uuid.uuid4().hex[:8]}"

    @property
    def jwk(self) -> dict:
        made = jwt.get_algorithm_by_name(self.algorithm).to_jwk(self.key.public_key(), as_dict=True)
        made.pop("key_ops", None)
        return {**made, "kid": self.kid, "alg": self.algorithm, "use": "sig"}

    def jwks(self, *others) -> str:
        return json.dumps({"keys": [issuer.jwk for issuer in (self, *others)]})

    def claims(self, tenant, **claims) -> dict:
        made = {"iss": self.url, "sub": "al", "aud": audience(tenant) if tenant else ISSUER, "iat": now(),
                "exp": now() + 600, "jti": uuid.uuid4().hex, **claims}
        return {name: value for name, value in made.items() if value is not None}

    def token(self, tenant, header: dict | None = None, **claims) -> str:
        """A good one, but for what is said; None leaves a claim out."""
        header = {"kid": self.kid, "typ": "at+jwt", **(header or {})}
        return jwt.encode(self.claims(tenant, **claims), self.key, self.algorithm,
                          {name: value for name, value in header.items() if value is not None})

    def trusted(self, name: str = "corp", *others, **fields):
        """As settings have it."""
        fields = {"json_web_key_set": self.jwks(*others), **fields}
        return tokens.ExternalIssuer(id=name, issuer=self.url, **fields)


def audience(tenant) -> str:
    """What names a tenant in `aud`."""
    return f"{ISSUER}/tenants/{tenant.id}"


def settings(client, parent: str):
    return client.tokens.GetAuthenticationSettings(
        tokens.GetAuthenticationSettingsRequest(parent=parent), timeout=20)


def trust(client, parent: str, *issuers, **fields):
    """Sets that these are trusted, and no others."""
    return client.tokens.SetAuthenticationSettings(tokens.SetAuthenticationSettingsRequest(
        parent=parent,
        settings=tokens.AuthenticationSettings(issuers=issuers, **fields)), timeout=20)


def seconds(number: int) -> Duration:
    return Duration(seconds=number)
