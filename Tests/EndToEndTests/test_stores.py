"""Stores that an earlier version has written, that others have changed, and that fail."""

import resource
import sqlite3
import uuid

import pytest

from support import api
from support.client import failure
from support.pki import platform_id, tenant_id
from support.waiting import eventually


def change(server, sql, *values):
    """Changes the database of a server that does not run."""
    database = sqlite3.connect(server.data / "tenancy.sqlite")
    with database:
        database.execute(sql, values)
    database.close()


def uuid7(number):
    return str(uuid.UUID(int=0x0190_0000_0000 << 80 | 7 << 76 | 0b10 << 62 | number))


def test_roles_that_an_earlier_version_gave_to_others(make_server, pki):
    server = make_server().start()
    with server.operator() as admin:
        acme, globex = (admin.active(slug) for slug in ("acme", "globex"))
        admin.assign("acme", tenant_id("acme", "own"), "tenant-admin")
    assert server.stop() == 0
    subjects = [tenant_id("globex"), tenant_id(globex.id), tenant_id("nobody"),
                "SPIFFE://e2e.test/tenant/acme/x"]
    for number, subject in enumerate(subjects):
        change(server, "INSERT INTO assignments VALUES (?, ?, ?, 'tenant-admin', 1, NULL, NULL)",
               acme.id, uuid7(number), subject)
    server.start()
    with server.operator() as admin, server.client(pki.python.tenant("globex")) as other:
        for subject in subjects:
            assert not admin.check("acme", subject, "tenancy.roles:create").allowed
        assert admin.check("acme", tenant_id("acme", "own"), "tenancy.roles:create").allowed
        listed = admin.authz.ListRoleAssignments(
            api.authz.ListRoleAssignmentsRequest(parent="tenants/acme")).assignments
        assert {one.subject for one in listed} == {*subjects, tenant_id("acme", "own")}
        failure("PERMISSION_DENIED", other.role, "acme", "mine", "a:b")
        admin.authz.DeleteRoleAssignment(
            api.authz.DeleteRoleAssignmentRequest(name=listed[0].name))
    [line] = [line for line in server.log.splitlines() if "of other tenants grant nothing" in line]
    assert " warning " in line and "count=4" in line and subjects[0] in line
    assert server.stop() == 0


@pytest.mark.parametrize("sql, row", [
    ("UPDATE tenants SET slug = 'acme'", "table tenants, row"),
    ("DELETE FROM reserved_names WHERE name = 'acme'", "its slug acme is not reserved"),
    ("UPDATE roles SET version = 1000", "table roles, row"),
    ("UPDATE assignments SET role = 'no-such'", "no role no-such"),
    ("CREATE TRIGGER grant_all AFTER INSERT ON log BEGIN DELETE FROM roles; END", "grant_all"),
])
def test_a_store_that_others_have_changed_is_not_served(make_server, sql, row):
    server = make_server().start()
    with server.operator() as admin:
        admin.create("acme")
        admin.create("globex")
        admin.role("acme", "reader", "a:b")
        admin.assign("acme", "user:al", "reader")
    assert server.stop() == 0
    server.start()
    assert server.stop() == 0
    change(server, sql)
    server.launch()
    assert server.wait() != 0
    assert row in server.log and "serving" not in server.log


def test_a_store_that_fails_says_so_once(make_server):
    server = make_server().start()
    with server.operator() as client:
        client.create("before")
        _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (0, hard))
        for number in range(5):
            failure("UNAVAILABLE", client.create, f"during-{number}")

        def failed():
            return [line for line in server.log.splitlines() if "the store has failed" in line]

        eventually(failed, "it is logged")
        assert client.get("before").slug == "before"
        assert "the store works again" not in server.log
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        eventually(lambda: "the store works again" in server.log, "it is tried again")
        client.create("after")
        [line] = failed()
        assert " error " in line and "disk I/O error" in line
    assert server.stop() == 0


def test_a_role_of_the_platform_in_an_old_assignment(make_server, pki):
    """Platform identities may hold a tenant's roles: they are of no other tenant."""
    server = make_server().start()
    with server.operator() as admin:
        admin.active("acme")
        admin.assign("acme", platform_id("viewer"), "tenant-admin")
        assert admin.check("acme", platform_id("viewer"), "tenancy.roles:create").allowed
