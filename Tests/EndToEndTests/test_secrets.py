"""Tenants' secrets: in no file, log or answer; bound to their rows; under keys that can be replaced."""

import hashlib
import os
import signal
import sqlite3
import stat

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from support import api
from support.client import failure
from support.waiting import eventually

manager, tenant = api.manager, api.tenant
PASSWORD = "correct-horse-battery-staple"


def create(client, slug, password=PASSWORD):
    return client.create(slug, api.DATABASE, configuration=tenant.TenantConfiguration(
        database=tenant.DatabaseConfig(
            connection_string=f"host={slug}", username="u", password=password)))


def set_password(client, name, password):
    return client.manager.UpdateTenantConfiguration(manager.UpdateTenantConfigurationRequest(
        name=name, configuration=tenant.TenantConfiguration(database=tenant.DatabaseConfig(
            connection_string=f"host={name}", username="u", password=password))), timeout=20)


def query(server, sql, *values):
    database = sqlite3.connect(server.data / "tenancy.sqlite")
    try:
        with database:
            return database.execute(sql, values).fetchall()
    finally:
        database.close()


def ids(text):
    return bytes.fromhex(text.replace("-", ""))


def opened(server, slug, master=None):
    """What is sealed for a tenant, by nothing but the formats that are documented."""
    master = bytes.fromhex((master or server.master_key.read_text()).strip())
    [(id, purpose, version, key, sealed)] = query(
        server, "SELECT s.tenant_id, purpose, s.version, key_id, sealed FROM secrets s JOIN tenants t "
        "ON t.id = s.tenant_id WHERE slug = ?", slug)
    [(wrapped, master_id)] = query(
        server, "SELECT wrapped, master_key_id FROM data_keys WHERE id = ?", key)
    assert ids(master_id) == hashlib.sha256(b"tenancy.master-key.id" + master).digest()[:16]
    assert wrapped[0] == sealed[0] == 1
    data_key = AESGCM(master).decrypt(
        wrapped[1:13], wrapped[13:], b"tenancy.data-key\x01" + ids(key) + ids(master_id))
    bound = (b"tenancy.secret\x01" + ids(id) + ids(key) + version.to_bytes(8, "big")
             + purpose.encode())
    with pytest.raises(InvalidTag):
        AESGCM(data_key).decrypt(sealed[1:13], sealed[13:], bound + b"x")
    return AESGCM(data_key).decrypt(sealed[1:13], sealed[13:], bound).decode()


def files(server):
    return b"".join(path.read_bytes() for path in server.data.rglob("*") if path.is_file())


def test_a_password_is_in_no_file_log_or_answer(make_server):
    server = make_server(log_level="trace").start()
    with server.operator() as client:
        made = create(client, "acme")
        changed = set_password(client, "acme", PASSWORD + "-2")
        same = client.get("acme")
        listed = client.manager.ListTenants(manager.ListTenantsRequest()).tenants
        for answer in (made, changed, same, *listed):
            assert answer.configuration.database.password_set
            assert PASSWORD not in str(answer)
        # One that is too long is refused without being quoted.
        error = failure("INVALID_ARGUMENT", set_password, client, "acme", PASSWORD * 50)
        assert PASSWORD not in error.message and PASSWORD.encode() not in error.details
        assert PASSWORD.encode() not in files(server)
    assert opened(server, "acme") == PASSWORD + "-2"
    assert server.stop() == 0
    assert PASSWORD.encode() not in files(server)
    assert PASSWORD not in server.log and server.master_key.read_text().strip() not in server.log
    [(log,)] = query(server, "SELECT group_concat(changes) FROM log")
    assert '"change":"putSecret"' in log and PASSWORD not in log
    [(sealed, wrapped)] = query(server, "SELECT hex(sealed), hex(wrapped) FROM secrets, data_keys")
    assert sealed.lower() not in log.lower() and wrapped.lower() not in log.lower()
    server.start()
    with server.operator() as client:
        assert client.get("acme") == same
    assert server.stop() == 0


def test_with_the_database_its_password_goes(make_server):
    server = make_server().start()
    with server.operator() as client:
        create(client, "acme")
        client.manager.UpdateTenant(manager.UpdateTenantRequest(
            tenant=tenant.Tenant(name="tenants/acme", isolation_model=api.SHARED)))
    assert query(server, "SELECT * FROM secrets") == []
    assert server.stop() == 0
    server.start()
    assert server.stop() == 0


@pytest.mark.parametrize("sql", [
    "UPDATE secrets SET sealed = (SELECT sealed FROM secrets s WHERE s.tenant_id <> secrets.tenant_id)",
    "UPDATE secrets SET sealed = zeroblob(length(sealed))",
    "DELETE FROM secrets",
], ids=["moved", "zeroed", "gone"])
def test_a_secret_that_others_have_changed_is_not_served(make_server, sql):
    server = make_server().start()
    with server.operator() as client:
        first = create(client, "acme").id
        create(client, "globex", PASSWORD)
    assert server.stop() == 0
    query(server, sql)
    server.launch()
    assert server.wait() != 0
    assert f"table secrets, row {first}/database_password" in server.log
    assert "serving" not in server.log and PASSWORD not in server.log


def test_another_master_key_is_refused(make_server):
    server = make_server().start()
    with server.operator() as client:
        create(client, "acme")
    assert server.stop() == 0
    right = server.master_key.read_text()
    server.new_master_key()
    server.launch()
    assert server.wait() != 0
    name = query(server, "SELECT master_key_id FROM data_keys")[0][0]
    assert name in server.log and "secrets.previous_master_keys" in server.log
    assert right.strip() not in server.log

    # With the former one beside it, the data keys are wrapped by the new one.
    former = server.directory / "former.key"
    former.touch(mode=0o600)
    former.write_text(right)
    server.settings["secrets"]["previous_master_keys"] = [{"file": str(former)}]
    server.start()
    assert server.stop() == 0
    assert opened(server, "acme") == PASSWORD
    del server.settings["secrets"]["previous_master_keys"]
    server.start()
    assert server.stop() == 0
    del server.settings["secrets"], server.settings["tokens"]
    server.launch()
    assert server.wait() != 0
    assert "set secrets.master_key" in server.log


def test_a_new_master_key_on_hangup(make_server):
    server = make_server().start()
    with server.operator() as client:
        create(client, "acme")
        # One that is none changes nothing.
        right = server.master_key.read_text()
        server.master_key.write_text("not a key")
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: "master keys not reloaded" in server.log, "it is logged")
        server.master_key.write_text(right)
        server.new_master_key()
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: "wrapped by another master key" in server.log, "it is taken")
        assert opened(server, "acme") == PASSWORD
        set_password(client, "acme", "later")
        create(client, "globex")
    assert server.stop() == 0
    server.start()
    assert (opened(server, "acme"), opened(server, "globex")) == ("later", PASSWORD)
    assert server.stop() == 0


def test_a_new_data_key_seals_everything_anew(make_server):
    server = make_server().start()
    with server.operator() as client:
        for number in range(150):
            create(client, f"t{number}", f"{PASSWORD}-{number}")
        before = {one.id: one for one in client.manager.ListTenants(
            manager.ListTenantsRequest(page_size=1000)).tenants}
        [(old,)] = query(server, "SELECT id FROM data_keys")
        new = client.secrets.RotateDataKey(api.secrets.RotateDataKeyRequest(), timeout=20).data_key
        assert new != old
        create(client, "fresh")

        def sealed_anew():
            return query(server, "SELECT DISTINCT key_id FROM secrets") == [(new,)]

        eventually(sealed_anew, "all secrets are sealed under the new key")
        after = {one.id: one for one in client.manager.ListTenants(
            manager.ListTenantsRequest(page_size=1000)).tenants}
        assert all(after[id] == one for id, one in before.items())
    assert opened(server, "t7") == f"{PASSWORD}-7" and opened(server, "fresh") == PASSWORD
    assert server.stop() == 0
    server.start()
    assert server.stop() == 0


def test_a_rotation_that_is_cut_short_is_finished_by_the_next_start(make_server):
    server = make_server().start()
    with server.operator() as client:
        for number in range(300):
            create(client, f"t{number}")
        new = client.secrets.RotateDataKey(api.secrets.RotateDataKeyRequest(), timeout=20).data_key
        server.kill()
    server.start()
    eventually(lambda: query(server, "SELECT DISTINCT key_id FROM secrets") == [(new,)],
               "all secrets are sealed under the new key")
    assert opened(server, "t299") == PASSWORD
    assert server.stop() == 0


def test_without_a_master_key_only_passwords_are_refused(make_server):
    server = make_server()
    del server.settings["secrets"], server.settings["tokens"]
    server.start()
    with server.operator() as client:
        error = failure("FAILED_PRECONDITION", create, client, "acme")
        assert error.reason == "SECRETS_NOT_CONFIGURED" and "secrets.master_key" in error.message
        assert PASSWORD not in error.message
        error = failure("FAILED_PRECONDITION", client.secrets.RotateDataKey,
                        api.secrets.RotateDataKeyRequest())
        assert error.reason == "SECRETS_NOT_CONFIGURED"
        create(client, "acme", "")
        client.active("globex")
    assert query(server, "SELECT * FROM data_keys") == []
    assert server.stop() == 0


def set_back(server, slug, password):
    """Makes of the store one of the version before, with a password in the clear."""
    query(server, "UPDATE tenants SET configuration = json_set(configuration, "
          "'$.database.password', ?) WHERE slug = ?", password, slug)
    for sql in ("DROP TABLE secrets", "DROP TABLE data_keys", "PRAGMA user_version = 5"):
        query(server, sql)


def test_passwords_of_the_version_before_are_sealed_at_the_start(make_server):
    server = make_server().start()
    with server.operator() as client:
        before = create(client, "acme")
    assert server.stop() == 0
    set_back(server, "acme", PASSWORD)
    assert PASSWORD.encode() in files(server)
    former = server.settings
    server.settings = {name: former[name] for name in former if name not in ("secrets", "tokens")}
    server.launch()
    assert server.wait() != 0
    assert "in the clear" in server.log and "set secrets.master_key" in server.log
    server.settings = former
    server.start()
    assert PASSWORD.encode() not in files(server)
    assert opened(server, "acme") == PASSWORD
    with server.operator() as client:
        assert client.get("acme") == before
    assert server.stop() == 0
    assert PASSWORD.encode() not in files(server) and PASSWORD not in server.log


@pytest.mark.parametrize("source", ["environment", "credential", "raw"])
def test_where_a_master_key_may_be(make_server, tmp_path, source):
    server = make_server()
    key = os.urandom(32)
    environment = dict(os.environ)
    server.master_key.write_text(key.hex())
    if source == "environment":
        environment["TENANCY_MASTER_KEY"] = key.hex()
        server.settings["secrets"] = {"master_key": {"environment": "TENANCY_MASTER_KEY"}}
    elif source == "credential":
        directory = tmp_path / "credentials"
        directory.mkdir(mode=0o700)
        (directory / "master").write_text(key.hex() + "\n")
        (directory / "master").chmod(0o400)
        environment["CREDENTIALS_DIRECTORY"] = str(directory)
        server.settings["secrets"] = {"master_key": {"credential": "master"}}
    else:
        server.master_key.write_bytes(key)
    server.start(environment)
    with server.operator() as client:
        create(client, "acme")
    assert opened(server, "acme", key.hex()) == PASSWORD
    assert server.stop() == 0
    if source != "raw":
        server.launch()
        assert server.wait() != 0
        assert "is not set" in server.log and "master key of the" in server.log


def weak(server):
    server.master_key.write_text("a passphrase that people remember")
    return "64 hexadecimal digits"


def for_all(server):
    server.master_key.chmod(0o644)
    return f"chmod 600 '{server.master_key}'"


def missing(server):
    server.master_key.unlink()
    return f"{server.master_key}: No such file"


@pytest.mark.parametrize("spoil", [weak, for_all, missing])
def test_master_keys_that_are_refused(make_server, spoil):
    server = make_server()
    said = spoil(server)
    server.launch()
    assert server.wait() != 0
    assert said in server.log and "passphrase that people" not in server.log
    assert not server.data.exists(), "nothing was made"


def test_development_makes_a_key_of_its_own(tmp_path):
    from tenantctl_process import Daemon
    directory = tmp_path / "dev"
    with Daemon(directory) as daemon:
        key = directory / "master.key"
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        text = key.read_text()
        assert len(bytes.fromhex(text.strip())) == 32
        assert daemon.stop() == 0
    with Daemon(directory) as daemon:
        assert key.read_text() == text
        assert daemon.stop() == 0
