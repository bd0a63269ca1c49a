"""Registration entries of workloads: who may make which, and what is refused."""

import grpc
import pytest
from support import api
from support.client import failure, invalid
from support.pki import tenant_id

workloads = api.workloads


@pytest.fixture(scope="module")
def acme(admin):
    return admin.active("acme", api.SHARED)


def entries(client, owner: str = "") -> list:
    return list(client.workloads.ListWorkloadEntries(
        workloads.ListWorkloadEntriesRequest(owner=owner), timeout=20).entries)


def test_no_role_of_a_tenant_makes_them(connect, admin, pki, acme):
    admin.assign(acme.name, tenant_id("acme", "chief"), "tenant-admin")
    chief = connect(pki.python.tenant("acme", "chief"))
    for call in (lambda: chief.register(acme.name, "web", uid=0), lambda: entries(chief, acme.name),
                 lambda: chief.unregister("workloadEntries/x")):
        assert failure("PERMISSION_DENIED", call).reason == "PERMISSION_MISSING"
    # Nor can it be given by one: the scope is the platform's.
    admin.role(acme.name, "registrar", "tenancy.workload_entries:create")
    admin.assign(acme.name, tenant_id("acme", "clerk"), "registrar")
    clerk = connect(pki.python.tenant("acme", "clerk"))
    error = failure("PERMISSION_DENIED", clerk.register, acme.name, "web", uid=0)
    assert error.reason == "PERMISSION_MISSING"
    assert entries(admin, acme.name) == []


def test_a_viewer_reads_them(connect, admin, pki, acme):
    made = admin.register(acme.name, "seen", uid=41_000)
    viewer = connect(pki.python.platform("viewer"))
    assert made in entries(viewer, "acme")
    failure("PERMISSION_DENIED", viewer.register, acme.name, "web", uid=0)
    failure("PERMISSION_DENIED", viewer.unregister, made.name)
    resolver = connect(pki.python.platform("resolver"))
    failure("PERMISSION_DENIED", entries, resolver)


def test_nobody_gives_more_than_it_has(make_server, pki):
    server = make_server()
    server.settings["identity"]["platform_roles"] = {
        "registrar": ["tenancy.workload_entries:*", "tenancy.tenants:get"],
        "reader": ["tenancy.tenants:get"], "everything": ["tenancy.tenants:*"]}
    server.start()
    with server.client(pki.python.platform("registrar")) as registrar, server.operator() as admin:
        acme = admin.active("acme", api.SHARED)
        assert registrar.register(acme.name, "web", uid=0).tenant == acme.name
        for role in ("registrar", "reader", "reader/web"):
            assert registrar.register("", role, uid=0).tenant == ""
        for role in ("admin", "operator/x", "viewer", "everything"):
            error = failure("PERMISSION_DENIED", registrar.register, "", role, uid=0)
            assert error.reason == "PERMISSION_MISSING"
        for role in ("admin", "operator/x", "viewer"):
            admin.register("", role, uid=0)
        # A role that there is not is a tenant that was forgotten.
        invalid("entry.path", admin.register, "", "web/frontend", uid=0)


@pytest.mark.parametrize(("field", "wrong"), [
    ("entry.selectors", {}), ("entry.selectors", {"gid": 7}),
    ("entry.selectors", {"node": "n"}), ("entry.selectors", {"systemd_unit": "a.service"}),
    ("entry.selectors.uid", {"uid": 2**32 - 1}), ("entry.selectors.uid", {"uid": 65_534}),
    ("entry.selectors.gid", {"uid": 0, "gid": 2**32 - 1}),
    ("entry.selectors.binary_path", {"binary_path": "bin/x"}),
    ("entry.selectors.binary_path", {"binary_path": "/bin/../x"}),
    ("entry.selectors.systemd_unit", {"uid": 0, "systemd_unit": "web.slice"}),
    ("entry.selectors.node", {"uid": 0, "node": "a b"}),
    ("entry.lifetime", {"uid": 0, "lifetime": 59}), ("entry.lifetime", {"uid": 0, "lifetime": 86_401}),
    ("entry.lifetime", {"uid": 0, "lifetime": -1}), ("entry.hint", {"uid": 0, "hint": "a\nb"}),
])
def test_what_is_none_is_refused(admin, acme, field, wrong):
    invalid(field, admin.register, acme.name, "web", **wrong)


@pytest.mark.parametrize("path", ["", "/", "a//b", "..", "a/./b", "a b", "a?b", "x" * 513])
def test_what_is_no_path_is_refused(admin, acme, path):
    invalid("entry.path", admin.register, acme.name, path, uid=0)


def test_zero_is_a_user_and_absent_is_not(admin, acme):
    made = admin.register(acme.name, "root", uid=0)
    assert made.selectors.HasField("uid") and not made.selectors.HasField("gid")
    assert made in entries(admin, acme.name)
    admin.unregister(made.name)


def test_there_are_so_many_and_no_more(admin, slug):
    full = admin.active(slug, api.SHARED)
    made = [admin.register(full.name, f"w{number}", uid=50_000 + number) for number in range(256)]
    error = failure("RESOURCE_EXHAUSTED", admin.register, full.name, "more", uid=0)
    assert (error.reason, error.metadata["quota"]) == ("LIMIT_REACHED", "workload-entries")
    listed, token = [], ""
    while True:
        page = admin.workloads.ListWorkloadEntries(workloads.ListWorkloadEntriesRequest(
            owner=full.name, page_size=100, page_token=token), timeout=20)
        listed += page.entries
        token = page.next_page_token
        if not token:
            break
    assert listed == made
    # They go with their tenant, at once.
    admin.delete(full.name)
    assert not {entry.name for entry in made} & {entry.name for entry in entries(admin)}
    with pytest.raises(grpc.RpcError):
        admin.unregister(made[0].name)


def test_they_survive_a_restart(make_server):
    server = make_server().start()
    with server.operator() as admin:
        acme = admin.active("acme", api.SHARED)
        made = [admin.register(acme.name, "web", uid=7), admin.register("", "viewer", uid=8)]
    server.kill()
    server.start()
    with server.operator() as admin:
        assert entries(admin) == made
        admin.unregister(made[0].name)
    server.stop()
    server.start()
    with server.operator() as admin:
        assert entries(admin) == made[1:]
