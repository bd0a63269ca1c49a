"""The control plane on PostgreSQL instead of a file."""

import json
import os

import grpc
import pytest

from support.client import failure
from support.documents import block
from support.waiting import eventually


def created(admin, slug: str) -> bool:
    try:
        return bool(admin.create(slug))
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        return False


def test_what_was_written_is_there_after_a_crash(make_server, database):
    server = make_server(store=database.settings).start()
    with server.operator() as admin:
        acme = admin.active("acme")
        admin.role("acme", "auditor", "docs:read")
    server.kill()
    server.start()
    with server.operator() as admin:
        assert admin.get("acme").id == acme.id
        admin.suspend("acme")
    assert not (server.data / "tenancy.sqlite").exists()
    assert server.stop() == 0
    assert database.sql("SELECT state FROM tenancy.tenants") == "suspended"
    assert int(database.sql("SELECT count(*) - max(revision) FROM tenancy.log")) == 0


def test_a_database_that_fails_is_unavailable_and_works_again(make_server, database):
    server = make_server(store=database.settings).start()
    with server.operator() as admin:
        admin.create("before")
        accidents = (("stop", "start"), ("kill", "start"), ("pause", "resume"))
        for number, (stop, start) in enumerate(accidents, 1):
            database.tell(stop)
            failure("UNAVAILABLE", admin.create, f"during-{stop}")
            # What is known is still told.
            assert admin.get("before").slug == "before"
            database.tell(start)
            # A write that got no answer may have been made, but never twice.
            eventually(lambda: created(admin, f"after-{stop}"), f"it works after {stop}", 30)
            # The tenant may be there by a write that got no answer: that is known before the store is tried again.
            eventually(lambda: server.log.count("the store works again") == number, f"it is told after {stop}", 30)
    assert server.log.count("the store has failed") == 3
    assert server.log.count("the store works again") == 3
    assert server.stop() == 0


def test_a_newer_schema_is_refused(make_server, database):
    server = make_server(store=database.settings).start()
    assert server.stop() == 0
    database.sql("INSERT INTO tenancy.tenancy_migrations (version, program) VALUES (99, '7.0')")
    server.launch()
    assert server.wait() != 0
    assert "version 99, made by version 7.0 of this program" in server.log


@pytest.mark.parametrize("store, said", [
    ({}, "store.postgresql is required"),
    ({"sqlite": {}}, "store.postgresql is required"),
    ({"postgresql": {}}, "store.postgresql.hosts or connection is required"),
    ({"postgresql": {"hosts": ["a"]}}, "store.postgresql.database is required"),
    ({"postgresql": {"hosts": ["db.example"], "database": "d", "user": "u"}},
     "db.example is not on this machine: TLS is needed"),
    ({"postgresql": {"hosts": ["a:b"], "database": "d", "user": "u"}}, "hosts: HOST:PORT"),
    ({"postgresql": {"hosts": ["[::1"], "database": "d", "user": "u"}}, "hosts: HOST:PORT"),
    ({"postgresql": {"hosts": ["/run"], "connection": "host=/run"}}, "give one of them"),
    ({"postgresql": {"connection": "host=/run dbname=d user=u password=secret"}},
     "the password goes into a file"),
    ({"postgresql": {"connection": "host=a dbname=d user=u"}}, "sslrootcert is required"),
    ({"postgresql": {"connection": "host=a dbname=d user=u sslmode=require"}},
     "sslmode: verify-full or disable"),
    ({"postgresql": {"hosts": ["/run"], "database": "d", "user": "u", "schema": "A"}}, "schema: "),
    ({"postgresql": {"hosts": ["/run"], "database": "d", "user": "u", "pasword_file": "x"}},
     "pasword_file: no such setting"),
    ({"postgresql": {"hosts": ["/run"], "database": "d", "user": "u", "lock_milliseconds": 0}},
     "lock_milliseconds: a number from 10"),
])
def test_settings_that_are_wrong(make_server, store, said):
    server = make_server(store=store)
    server.launch()
    assert server.wait() == os.EX_USAGE, server.log
    assert said in server.log and "secret" not in server.log


def test_a_password_file_that_others_can_read_is_refused(make_server, database, tmp_path):
    password = tmp_path / "password"
    password.write_text("secret")
    password.chmod(0o644)
    server = make_server(store=database.settings)
    server.settings["store"]["postgresql"]["password_file"] = str(password)
    server.launch()
    assert server.wait() != 0
    assert "others can read or write the password file" in server.log


def test_the_section_of_the_article(make_server, database, pki, tmp_path):
    section = block("js", "postgresql: {", without="data_directory")
    password = tmp_path / "password"
    password.write_text("not asked for on the socket")
    password.chmod(0o600)
    for text, here in (
            ('"db1.example:5432", "db2.example:5432"', f'"{database.directory}:{database.port}"'),
            ('database: "tenancy", user: "tenantd"', 'database: "postgres", user: "tenancy"'),
            ("/etc/tenantd/password", str(password)), ("db-ca.pem", str(pki.authorities))):
        assert text in section
        section = section.replace(text, here)
    server = make_server()
    server.file_of = lambda settings: json.dumps(settings)[:-1] + "," + section + "}"
    server.start()
    assert server.stop() == 0
    assert database.sql("SELECT min(version) FROM tenancy.tenancy_migrations") == "1"
