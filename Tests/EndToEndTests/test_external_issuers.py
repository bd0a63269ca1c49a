"""Tokens of other issuers: which are accepted, as whom, and what ends that."""

import json

import pytest
from support import api
from support.client import failure, invalid
from support.daemon import ISSUER, Server
from support.issuers import MAKERS, OutsideIssuer, audience, seconds, settings, trust
from support.jose import now, part, thumbprint
from support.tokens import (
    bearer, denials, exchange, failure_of, get, introspect, issue, refused, revoke, who)
from support.waiting import eventually

URL = "https://id.acme.test/"


@pytest.fixture(scope="module")
def server(tmp_path_factory, pki):
    server = Server(tmp_path_factory.mktemp("server"), pki, audit={"window_seconds": 1})
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture
def acme(admin, slug):
    return admin.active(slug, api.SHARED)


@pytest.fixture
def globex(admin, slug):
    return admin.active(f"{slug}-globex", api.SHARED)


@pytest.fixture(scope="module")
def gateway(server, pki):
    with server.client(pki.python.platform("resolver")) as client:
        yield client


@pytest.fixture
def corp(admin, acme):
    """An issuer that acme trusts."""
    issuer = OutsideIssuer(URL)
    trust(admin, acme.name, issuer.trusted())
    return issuer


@pytest.mark.parametrize("algorithm", MAKERS)
def test_all_algorithms(algorithm, admin, acme, gateway):
    issuer = OutsideIssuer(URL, algorithm)
    trust(admin, acme.name, issuer.trusted())
    token = issuer.token(acme)
    for _ in range(2):
        me = who(gateway, token)
        assert (me.subject, me.tenant) == ("corp:al", f"tenants/{acme.id}")
    found = introspect(admin, token)
    assert found.active and found.issuer == URL and found.subject == "corp:al"
    assert found.token_id == f"corp/{part(token, 1)['jti']}"


def test_roles_are_those_of_the_subject_behind_its_prefix(admin, acme, corp, gateway):
    token = corp.token(acme)
    assert failure("PERMISSION_DENIED", get, gateway, acme.name, token).reason == "PERMISSION_MISSING"
    # A subject of the same name that is not the issuer's is another.
    admin.assign(acme.name, "al", "tenant-viewer")
    failure("PERMISSION_DENIED", get, gateway, acme.name, token)
    admin.assign(acme.name, "corp:al", "tenant-viewer")
    assert get(gateway, acme.name, token).id == acme.id
