"""Keys of other issuers that are fetched from an HTTPS server: when, from where, and for how long they count."""

import time

import grpc
import pytest
from support import api
from support.client import Failure, failure, invalid
from support.daemon import ISSUER, Server
from support.issuers import OutsideIssuer, settings, trust
from support.key_server import KeyServer, pin
from support.pki import Authority
from support.tokens import refused, who
from support.waiting import eventually
from test_external_issuers import ended, streaming

URL = "https://id.acme.test/"


@pytest.fixture
def keys(tmp_path):
    server = KeyServer(tmp_path)
    yield server
    server.close()


def fetching(keys, **more) -> dict:
    """The settings of who takes keys from this server."""
    return {"issuer": ISSUER, "jwks": {
        "hosts": [keys.host], "private_hosts": [keys.host], "ca_file": str(keys.ca_file), "refresh_seconds": 1,
        "stale_seconds": 60, **more}}


@pytest.fixture
def server(make_server, keys):
    return make_server(tokens=fetching(keys)).start()


@pytest.fixture
def admin(server):
    with server.operator() as client:
        yield client


@pytest.fixture
def acme(admin):
    return admin.active("acme", api.SHARED)


@pytest.fixture
def gateway(server, pki):
    with server.client(pki.python.platform("resolver")) as client:
        yield client


@pytest.fixture
def corp(keys):
    issuer = OutsideIssuer(URL)
    keys.publish(issuer)
    return issuer


def published(issuer, keys, url: str | None = None, name: str = "corp", **fields):
    """The issuer as settings have it, its keys with the server."""
    return issuer.trusted(name, json_web_key_set="", jwks_uri=url or keys.url(), **fields)


def answer(client, token: str) -> str:
    """Why it is not accepted; empty: it is."""
    try:
        return "" if who(client, token).subject else "?"
    except grpc.RpcError as error:
        return Failure.of(error).reason


def accepted(client, token: str) -> None:
    eventually(lambda: answer(client, token) == "", "the token is accepted")


def test_keys_are_fetched(server, admin, acme, corp, keys, gateway):
    trust(admin, acme.name, published(corp, keys, key_pins=[keys.pin()]))
    accepted(gateway, corp.token(acme))
    assert who(gateway, corp.token(acme)).subject == "corp:al"
    assert "/keys" in keys.paths
    [issuer] = settings(admin, acme.name).issuers
    assert (issuer.jwks_uri, issuer.key_pins, issuer.json_web_key_set) == (keys.url(), [keys.pin()], "")
    assert "keys of a token issuer fetched" in server.log
