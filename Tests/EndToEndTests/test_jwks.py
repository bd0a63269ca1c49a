"""The public keys of tenants' tokens over HTTP, for those who verify tokens by themselves."""

import json
import os
import urllib.error
import urllib.request
import uuid

import jwt
import pytest
from spiffe import WorkloadApiClient
from spiffe.errors import PySpiffeError
from test_metrics import Probe

from support import api
from support.daemon import ISSUER
from support.jose import part
from support.tokens import issue
from support.waiting import eventually
from support.workload import with_workload_api

tokens = api.tokens


@pytest.fixture
def server(make_server):
    server = make_server()
    server.settings["http"] = {"listen": f"unix:{server.socket_directory / 'http'}"}
    return server.start()


@pytest.fixture
def probe(server):
    return Probe(str(server.socket_directory / "http"))


@pytest.fixture
def admin(server):
    with server.operator() as client:
        yield client


def verified(token: str, fetched: str) -> dict:
    """As PyJWT's client for JWKS does it."""
    kid = jwt.get_unverified_header(token)["kid"]
    [key] = [key for key in jwt.PyJWKSet.from_json(fetched).keys if key.key_id == kid]
    return jwt.decode(token, key.key, algorithms=["ES256", "EdDSA"], audience=ISSUER)


def rotate(admin, name: str) -> str:
    return admin.tokens.RotateTokenKey(
        tokens.RotateTokenKeyRequest(parent=name, algorithm=tokens.TOKEN_ALGORITHM_EDDSA), timeout=20).key.id


def test_whoever_has_the_keys_can_verify(admin, probe):
    acme = admin.active("acme", api.SHARED)
    path = f"/tenants/{acme.id}/jwks.json"
    none = probe.ask(path)
    assert none[0] == 404
    first = issue(admin, "acme", "user:al", unbound=True).token
    status, text, headers = probe.ask(path)
    assert (status, headers["content-type"]) == (200, "application/jwk-set+json")
    assert headers["cache-control"] == "max-age=60"
    assert verified(first, text)["sub"] == "user:al"
    assert json.loads(text) == json.loads(admin.tokens.GetJsonWebKeySet(
        tokens.GetJsonWebKeySetRequest(parent="acme"), timeout=20).json_web_key_set)
    assert not any("d" in key for key in json.loads(text)["keys"])
    assert acme.slug not in text and acme.id not in text
    head = probe.ask(path, "HEAD")
    assert (head[0], head[1], head[2]["content-length"]) == (200, "", str(len(text)))
    assert probe.ask(path + "?x=1")[:2] == (status, text)
    assert probe.ask(path, "POST")[0] == 405

    # A key that signs no more goes on to verify, and one that is removed does not.
    new = rotate(admin, "acme")
    second = issue(admin, "acme", "user:al", unbound=True).token
    text = probe.ask(path)[1]
    assert [key["kid"] for key in json.loads(text)["keys"]] == [new, part(first, 0)["kid"]]
    assert verified(first, text) and verified(second, text)
    for kid in (part(first, 0)["kid"], new):
        admin.tokens.RemoveTokenKey(
            tokens.RemoveTokenKeyRequest(parent="acme", key_id=kid), timeout=20)
        assert kid not in probe.ask(path)[1]
    assert probe.ask(path)[:2] == none[:2]


def test_what_is_no_tenants_says_nothing(admin, probe):
    acme = admin.active("acme", api.SHARED)
    rotate(admin, "acme")
    nowhere = probe.ask("/nowhere")
    unknown = acme.id[:-4] + ("0000" if acme.id[-4:] != "0000" else "1111")
    for path in (f"/tenants/{unknown}/jwks.json", f"/tenants/{uuid.uuid4()}/jwks.json", "/tenants/acme/jwks.json",
                 f"/tenants/{acme.id.upper()}/jwks.json", f"/tenants/{acme.id}/", f"/tenants/{acme.id}",
                 f"/tenants/{acme.id}/jwks.json/", f"//tenants/{acme.id}/jwks.json", "/tenants/jwks.json",
                 "/tenants//jwks.json", f"/tenants/%20{acme.id}/jwks.json", f"/tenants/{acme.id}%00/jwks.json",
                 f"/tenants/../tenants/{acme.id}/jwks.json", f"/tenants/{'x' * 4000}/jwks.json"):
        status, text, headers = probe.ask(path)
        assert (status, text, headers["cache-control"]) == (404, nowhere[1], "no-store"), path
    assert probe.ask(f"/tenants/{acme.id}/jwks.json")[0] == 200
    admin.delete(acme.name)
    assert probe.ask(f"/tenants/{acme.id}/jwks.json")[:2] == nowhere[:2]


def test_those_of_workloads(make_server):
    """The same as streams are told, and none when there are none any more."""
    server = with_workload_api(make_server())
    server.settings["http"] = {"listen": f"unix:{server.socket_directory / 'http'}"}
    server.start()
    probe = Probe(str(server.socket_directory / "http"))

    def fetched():
        status, text, headers = probe.ask("/workloads/jwks.json")
        assert (status, headers["Content-Type"]) == (200, "application/jwk-set+json")
        assert headers["Cache-Control"] == "max-age=60"
        return json.loads(text)["keys"]
    assert fetched() == []
    with server.operator() as admin:
        admin.register(admin.active("acme", api.SHARED).name, "web", uid=os.getuid())
        made = admin.prepare(kind=api.authorities.CertificateAuthority.KIND_JWT)
        eventually(lambda: fetched() == [json.loads(made.public_key)], "it is told")
        admin.activate(made.name, force=True)
        with WorkloadApiClient(f"unix:{server.workload_socket}") as client:
            token = eventually(lambda: svid(client), "it signs")
        key = jwt.PyJWK(fetched()[0])
        assert jwt.decode(token, key, algorithms=["ES256"], audience="orders")["sub"].endswith("/web")
        admin.retire(made.name, force=True)
        eventually(lambda: fetched() == [], "it is gone")
    for path in ("/workloads/", "/workloads/jwks.json/", "/workloads"):
        assert probe.ask(path)[0] == 404


def svid(client):
    try:
        return client.fetch_jwt_svid(audience={"orders"}, timeout=10).token
    except PySpiffeError:
        return None


def test_over_tcp(make_server):
    server = make_server()
    server.settings["http"] = {"listen": "127.0.0.1:0"}
    server.start()
    address = eventually(lambda: [line for line in server.log.splitlines() if "metrics" in line], "it listens")
    place = address[0].split("address=")[1].split()[0].strip('"')
    with server.operator() as admin:
        acme = admin.active("acme", api.SHARED)
        token = issue(admin, "acme", "user:al", unbound=True).token
        url = f"http://{place.removeprefix('tcp:')}/tenants/{acme.id}/jwks.json"
        with urllib.request.urlopen(url, timeout=20) as answer:
            assert verified(token, answer.read().decode())["tid"] == acme.id
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(url.replace(acme.id, "acme"), timeout=20)
    # Where no tokens are issued, none has keys to tell.
    server.stop()
    del server.settings["tokens"]
    server.settings["http"] = {"listen": f"unix:{server.socket_directory / 'http'}"}
    server.start()
    probe = Probe(str(server.socket_directory / "http"))
    assert probe.ask(f"/tenants/{acme.id}/jwks.json")[0] == 404
    # Nor where no Workload API is served.
    assert probe.ask("/workloads/jwks.json")[0] == 404
