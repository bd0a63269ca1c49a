"""Keys of other issuers that are fetched from an HTTPS server: when, and for how long they count."""

import json

import grpc
import pytest
from support import api
from support.client import Failure, failure
from support.daemon import ISSUER
from support.issuers import OutsideIssuer, settings, trust
from support.key_server import KeyServer
from support.nodes import settings as node_settings
from support.tokens import denials, exchange, failure_of, introspect, refused, who
from support.waiting import eventually
from test_configuration import refused as not_started
from test_external_issuers import ended, streaming
from tenantctl_process import Ctl
from test_metrics import Probe

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
    return issuer.trusted(name, **{"json_web_key_set": "", "jwks_uri": url or keys.url(), **fields})


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


def test_calls_do_not_wait_for_the_first_fetch(server, admin, acme, corp, keys, gateway, connect, pki):
    keys.close()
    token = corp.token(acme)
    trust(admin, acme.name, published(corp, keys))
    found = failure("UNAVAILABLE", who, gateway, token)
    assert (found.reason, found.retry_seconds) == ("TOKEN_KEYS_NOT_FETCHED", 1)
    assert not introspect(admin, token).active
    # To the workloads of others a tenant says nothing of whom it trusts.
    globex = admin.active("globex", api.SHARED)
    stranger = server.client(pki.python.tenant(globex.slug, "web"))
    with stranger:
        assert failure_of(stranger, token) == "TOKEN_KEY_UNKNOWN"
    eventually(lambda: "keys of a token issuer not fetched" in server.log, "the log tells of it")
    eventually(lambda: ("/tenancy.v1.Identity/WhoAmI", "TOKEN_KEYS_NOT_FETCHED") in denials(admin, acme.name),
               "so does the tenant's audit trail")
    keys.open()
    accepted(gateway, token)
    assert server.log.count("keys of a token issuer not fetched") == 1


def test_new_keys_are_seen(admin, acme, corp, keys, gateway):
    trust(admin, acme.name, published(corp, keys))
    old = corp.token(acme)
    accepted(gateway, old)
    following = OutsideIssuer(URL)
    keys.publish(corp, following)
    accepted(gateway, following.token(acme))
    who(gateway, old)


def test_removed_keys_end_what_they_have_signed(admin, acme, corp, keys, gateway):
    trust(admin, acme.name, published(corp, keys))
    token = corp.token(acme)
    accepted(gateway, token)
    stream = streaming(gateway, token)
    exchanged = exchange(gateway, token).token
    keys.publish(OutsideIssuer(URL))
    assert ended(stream) == "TOKEN_KEY_UNKNOWN"
    assert answer(gateway, token) in ("TOKEN_KEY_UNKNOWN", "TOKEN_KEYS_REFRESHING")
    assert not introspect(admin, exchanged).active
    eventually(lambda: answer(gateway, token) == "TOKEN_KEY_UNKNOWN", "they are fetched once more")


@pytest.mark.quiet
def test_unknown_keys_have_them_fetched_once_a_minute(make_server, keys, corp, pki):
    server = make_server(tokens=fetching(keys, refresh_seconds=3600, stale_seconds=86_400)).start()
    with server.operator() as admin, server.client(pki.python.platform("resolver")) as gateway:
        acme = admin.active("acme", api.SHARED)
        trust(admin, acme.name, published(corp, keys))
        token = corp.token(acme)
        accepted(gateway, token)
        strange = OutsideIssuer(URL)
        found = failure("UNAVAILABLE", who, gateway, strange.token(acme))
        assert (found.reason, found.retry_seconds) == ("TOKEN_KEYS_REFRESHING", 1)
        eventually(lambda: answer(gateway, strange.token(acme)) == "TOKEN_KEY_UNKNOWN", "they were fetched")
        for _ in range(20):
            assert refused(gateway, OutsideIssuer(URL).token(acme)) == "TOKEN_KEY_UNKNOWN"
        assert len(keys.paths) == 2
        who(gateway, token)


def test_down_and_up_again(server, admin, acme, corp, keys, gateway):
    trust(admin, acme.name, published(corp, keys))
    accepted(gateway, corp.token(acme))
    keys.close()
    eventually(lambda: "not fetched: tried again" in server.log, "the log tells of it")
    assert who(gateway, corp.token(acme)).subject == "corp:al"
    following = OutsideIssuer(URL)
    keys.publish(following)
    keys.open()
    accepted(gateway, following.token(acme))
    assert server.log.count("keys of a token issuer not fetched") == 1
    assert server.log.count("keys of a token issuer fetched") == 2


def test_old_keys_end(make_server, keys, corp, pki):
    server = make_server(tokens=fetching(keys, stale_seconds=2)).start()
    with server.operator() as admin, server.client(pki.python.platform("resolver")) as gateway:
        acme = admin.active("acme", api.SHARED)
        trust(admin, acme.name, published(corp, keys))
        token = corp.token(acme)
        accepted(gateway, token)
        stream = streaming(gateway, token)
        exchanged = exchange(gateway, token).token
        keys.close()
        assert ended(stream) == "TOKEN_KEY_UNKNOWN"
        assert refused(gateway, token, "UNAVAILABLE") == "TOKEN_KEYS_STALE"
        assert not introspect(admin, exchanged).active
        eventually(lambda: "are too old" in server.log, "the log tells of it")
        keys.open()
        accepted(gateway, token)


def test_settings_decide_at_once(admin, acme, corp, keys, gateway):
    """What was fetched counts for as long as it is said so, and not for what else has the same URL."""
    trust(admin, acme.name, published(corp, keys))
    token = corp.token(acme)
    accepted(gateway, token)
    stream = streaming(gateway, token)
    trust(admin, acme.name, published(corp, keys, disabled=True))
    assert ended(stream) == "TOKEN_KEY_UNKNOWN"
    trust(admin, acme.name, OutsideIssuer(URL).trusted())
    assert refused(gateway, token) == "TOKEN_KEY_UNKNOWN"
    trust(admin, acme.name, published(corp, keys, algorithms=["ES384"]))
    eventually(lambda: answer(gateway, token) == "TOKEN_KEYS_NOT_FETCHED", "there is no key for it")
    trust(admin, acme.name, published(corp, keys))
    accepted(gateway, token)
    # Another tenant has fetched nothing yet, and trusts by itself.
    globex = admin.active("globex", api.SHARED)
    assert refused(gateway, corp.token(globex)) == "TOKEN_KEY_UNKNOWN"
    trust(admin, globex.name, published(corp, keys))
    accepted(gateway, corp.token(globex))


def test_issuers_for_all_tenants(make_server, keys, pki):
    login = OutsideIssuer("https://login.platform.test")
    keys.publish(login)
    server = make_server(tokens=fetching(keys, hosts=[]))
    place = str(server.socket_directory / "http")
    server.settings["http"] = {"listen": f"unix:{place}"}
    server.settings["tokens"]["issuers"] = [
        {"id": "login", "issuer": login.url, "jwks_uri": keys.url(), "key_pins": [keys.pin()], "tenant": "acme"}]
    server.start()
    with server.operator() as admin, server.client(pki.python.platform("resolver")) as gateway:
        acme = admin.active("acme", api.SHARED)
        token = login.token(None)
        accepted(gateway, token)
        assert who(gateway, token).tenant == f"tenants/{acme.id}"
        stream = streaming(gateway, token)
        following = OutsideIssuer(login.url)
        keys.publish(following)
        assert ended(stream) == "TOKEN_KEY_UNKNOWN"
        accepted(gateway, following.token(None))
        samples = Probe(place).metrics()
        assert samples['tenantd_issuer_key_fetches_total{result="ok"}'] >= 2
        assert samples['tenantd_issuer_key_fetches_total{result="failed"}'] == 0
        assert samples['tenantd_issuer_key_sources{condition="good"}'] == 1
        # That the platform takes its keys from there allows no tenant to.
        assert failure("INVALID_ARGUMENT", trust, admin, acme.name, published(
            OutsideIssuer(URL), keys)).fields == ["settings.issuers[0].jwks_uri"]


@pytest.mark.parametrize("issuer, jwks, said", [
    ({"jwks_uri": "http://localhost/keys"}, {}, "jwks_uri"),
    ({"jwks_uri": "https://localhost/keys", "jwks": {}}, {}, "not two"),
    ({"jwks_uri": "https://localhost/keys", "key_pins": ["x"]}, {}, "key_pins"),
    ({"jwks": {}, "key_pins": ["x"]}, {}, "key_pins: goes with jwks_uri"),
    ({}, {"hosts": ["*"]}, "hosts"), ({}, {"hosts": ["10.0.0.1"]}, "hosts"),
    ({}, {"private_hosts": ["https://x.test"]}, "private_hosts"),
    ({}, {"refresh_seconds": 10, "stale_seconds": 9}, "stale_seconds"),
    ({}, {"stale_seconds": 0}, "stale_seconds"), ({}, {"ca": "x"}, "tokens.jwks.ca: no such setting"),
])
def test_configurations_that_are_wrong(make_server, issuer, jwks, said):
    server = make_server()
    issuers = [{"id": "login", "issuer": "https://x.test", "tenant": "acme", **issuer}] if issuer else []
    server.settings["tokens"] = {"issuer": ISSUER, "issuers": issuers, "jwks": jwks}
    assert said in not_started(server)


@pytest.mark.parametrize("change", [
    lambda file: file.unlink(), lambda file: file.write_text(""), lambda file: file.chmod(0o666)])
def test_without_its_authorities_it_does_not_start(make_server, keys, change):
    server = make_server(tokens=fetching(keys))
    change(keys.ca_file)
    server.launch()
    assert server.wait() == 1
    assert str(keys.ca_file) in server.log and "tokens.jwks.ca_file" in server.log


def test_tenantctl_has_urls_and_pins(server, admin, acme, corp, keys, tmp_path):
    ctl = Ctl({"TENANCY_ADDRESS": f"unix:{server.socket}"})
    file = tmp_path / "auth.json"
    file.write_text(json.dumps({"issuers": [
        {"id": "corp", "issuer": URL, "jwksUri": keys.url(), "keyPins": [keys.pin()]}]}))
    shown = ctl("auth", "set", "acme", "--file", str(file))
    assert f"from {keys.url()}" in shown and keys.pin() in shown
    found = ctl.json("auth", "show", "acme")
    assert (found["issuers"][0]["jwksUri"], found["issuers"][0]["keyPins"]) == (keys.url(), [keys.pin()])
    file.write_text(json.dumps(found))
    assert ctl.json("auth", "set", "acme", "--file", str(file)) == found
    file.write_text(json.dumps({"issuers": [{"id": "corp", "issuer": URL, "jwksUri": "https://evil.test/"}]}))
    assert "settings.issuers[0].jwks_uri" in ctl.error("auth", "set", "acme", "--file", str(file))


def test_two_nodes_fetch_for_themselves(make_server, database, keys, corp, pki):
    one, other = (make_server(**node_settings(database), tokens=fetching(keys)).start() for _ in range(2))
    with one.operator() as admin, one.client(pki.python.platform("resolver")) as here, \
            other.client(pki.python.platform("resolver")) as there:
        acme = admin.active("acme", api.SHARED)
        trust(admin, acme.name, published(corp, keys))
        for gateway in (here, there):
            accepted(gateway, corp.token(acme))
        keys.publish(OutsideIssuer(URL))
        for gateway in (here, there):
            eventually(lambda: answer(gateway, corp.token(acme)) == "TOKEN_KEY_UNKNOWN", "the key has gone")
