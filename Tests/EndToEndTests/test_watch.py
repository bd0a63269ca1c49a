"""WatchTenants: a snapshot, every change once, and going on after whatever has ended it."""

import signal

import grpc
import pytest

from support import api
from support.client import failure
from support.nodes import create, token_of
from support.pki import tenant_id
from support.waiting import eventually
from support.watches import begun, changes, label, rename, snapshot, watch

manager = api.manager
CREATED, CHANGED, REMOVED = (manager.TENANT_CHANGE_KIND_CREATED, manager.TENANT_CHANGE_KIND_CHANGED,
                             manager.TENANT_CHANGE_KIND_REMOVED)


def test_a_snapshot_and_what_comes_after(make_server):
    server = make_server().start()
    with server.operator() as operator:
        made = [operator.create(f"t{number}") for number in range(3)]
        stream = watch(operator, snapshot=True)
        found, token = snapshot(stream)
        assert found == made
        new = operator.create("new")
        renamed = rename(operator, new.name, "New")
        operator.provision(new.name)
        operator.suspend(new.name)
        operator.delete(new.name)
        operator.manager.PurgeTenant(manager.PurgeTenantRequest(name=new.name, ignore_retention=True), timeout=30)
        told = changes(stream, 6)
        assert [one.kind for one in told] == [CREATED, CHANGED, CHANGED, CHANGED, CHANGED, REMOVED]
        assert [one.tenant.etag for one in told] == [f'v{number}' for number in range(1, 7)]
        assert told[0].tenant == new and told[1].tenant == renamed
        assert [one.revision for one in told] == sorted({one.revision for one in told})
        # Deleted ones go on to match where they are asked for. What went before the watch is told again by its token.
        deleted = watch(operator, resume_token=token, show_deleted=True)
        again = changes(deleted, 8)
        assert [one.kind for one in again][:7] == [CREATED] + 6 * [CHANGED]
        assert again[7].kind == REMOVED and again[7].tenant.state == api.tenant.TENANT_STATE_PURGED
        for one in (stream, deleted):
            one.cancel()


def test_a_filter(make_server):
    server = make_server().start()
    with server.operator() as operator:
        inside, outside = operator.create("inside", labels={"region": "eu"}), operator.create("outside")
        stream = watch(operator, snapshot=True, filter="labels.region = eu")
        assert snapshot(stream)[0] == [inside]
        rename(operator, outside.name, "Nobody is told")
        label(operator, outside.name, region="eu")
        label(operator, inside.name, region="us")
        rename(operator, inside.name, "Nobody is told, either")
        operator.create("third", labels={"region": "us"})
        operator.create("fourth", labels={"region": "eu"})
        operator.delete(outside.name)
        told = changes(stream, 4)
        assert [(one.kind, one.tenant.slug) for one in told] == [
            (CHANGED, "outside"), (REMOVED, "inside"), (CREATED, "fourth"), (REMOVED, "outside")]
        stream.cancel()
        empty = watch(operator, snapshot=True, filter="labels.region = nowhere")
        assert snapshot(empty)[0] == []
        empty.cancel()
        for wrong in ("labels.region = ", "id = x"):
            assert failure("INVALID_ARGUMENT", next, watch(operator, filter=wrong)).reason == "INVALID_FILTER"


def test_several_in_one_revision(make_server):
    """A watch that ends in the middle of a revision goes on there."""
    server = make_server().start()
    with server.operator() as operator:
        _, token = begun(operator)
        made = operator.manager.BatchCreateTenants(manager.BatchCreateTenantsRequest(requests=[
            manager.CreateTenantRequest(tenant=api.tenant.Tenant(
                slug=f"t{number}", display_name="x", isolation_model=api.SHARED)) for number in range(20)]), timeout=30)
        found = []
        while len(found) < 20:
            stream = watch(operator, resume_token=token)
            for message in stream:
                if message.HasField("change"):
                    found.append(message.change)
                    token = message.resume_token
                    break
            stream.cancel()
        assert [one.tenant for one in found] == list(made.tenants)
        assert len({one.revision for one in found}) == 1


def test_a_snapshot_goes_on_where_it_ended(make_server):
    """Also where tenants before and behind that place are changed meanwhile."""
    server = make_server().start()
    with server.operator() as operator:
        made = [one for start in range(0, 1400, 100) for one in operator.manager.BatchCreateTenants(
            manager.BatchCreateTenantsRequest(requests=[manager.CreateTenantRequest(tenant=api.tenant.Tenant(
                slug=f"t{start + number}", display_name="x", isolation_model=api.SHARED))
                for number in range(100)]), timeout=60).tenants]
        known, token = {}, ""
        while True:
            fields = {"resume_token": token} if token else {"snapshot": True}
            stream = watch(operator, **fields)
            message = next(stream)
            stream.cancel()
            for one in message.tenants:
                assert one.id not in known
                known[one.id] = one.etag
            if message.HasField("change"):
                known[message.change.tenant.id] = message.change.tenant.etag
            token = message.resume_token
            if message.snapshot_complete:
                break
            if message.tenants:
                rename(operator, made[0].name, f"{len(known)}")
                rename(operator, made[-1].name, f"{len(known)}")
        now = {one.id: operator.get(one.name).etag for one in (made[0], made[-1])}
        assert len(known) == 1400 and all(known[id] == etag for id, etag in now.items())
        assert now[made[0].id] != "v1"
        refused = failure("INVALID_ARGUMENT", next, watch(operator, resume_token=_inside(operator), show_deleted=True))
        assert refused.fields == ["resume_token"]


def _inside(client):
    stream = watch(client, snapshot=True)
    token = next(stream).resume_token
    stream.cancel()
    return token


def test_what_another_node_writes(make_nodes):
    one, other = make_nodes(2)
    with one.operator() as writer, other.operator() as reader:
        stream, _ = begun(reader)
        for number in range(10):
            create(writer, f"t{number}")
        assert [change.tenant.slug for change in changes(stream, 10)] == [f"t{number}" for number in range(10)]
        # A token of what was written goes on behind that, on whichever node.
        token = create(writer, "before")
        create(writer, "behind")
        behind = watch(reader, resume_token=token)
        assert changes(behind, 1)[0].tenant.slug == "behind"
        for one in (stream, behind):
            one.cancel()


def test_a_slow_watcher_misses_nothing(make_server):
    """More than the server keeps in memory for those who follow closely."""
    server = make_server().start()
    with server.operator() as operator:
        name = operator.create("acme").name
        stream, _ = begun(operator)
        for start in range(0, 3000, 100):
            calls = [operator.manager.UpdateTenant.future(manager.UpdateTenantRequest(
                tenant=api.tenant.Tenant(name=name, display_name=f"{start + number} " + "x" * 150)), timeout=60)
                for number in range(100)]
            for call in calls:
                call.result()
        told = changes(stream, 3000)
        assert [one.tenant.etag for one in told] == [f"v{number}" for number in range(2, 3002)]
        stream.cancel()


def test_progress_of_what_is_not_told(make_server):
    """A watch of what never changes can be gone on with from where the log is."""
    server = make_server().start()
    with server.operator() as operator:
        name = operator.create("acme").name
        stream, token = begun(operator, filter="slug = nobody")
        for start in range(0, 1100, 100):
            for call in [operator.manager.UpdateTenant.future(manager.UpdateTenantRequest(
                    tenant=api.tenant.Tenant(name=name, display_name=f"{start + number}")), timeout=60)
                    for number in range(100)]:
                call.result()
        message = next(stream)
        assert not message.HasField("change") and message.revision >= 1000
        assert message.resume_token > token
        stream.cancel()


def test_tokens_that_are_none(make_server):
    server = make_server().start()
    with server.operator() as operator:
        token = token_of(operator.manager.CreateTenant.with_call(manager.CreateTenantRequest(
            tenant=api.tenant.Tenant(slug="acme", display_name="x", isolation_model=api.SHARED)), timeout=20)[1])
        for wrong in ("x", token[:-1], token + ".x", token + ".-1", token + ".01", token + ".70000", token + ".0.",
                      token + ".0..0", token + ".0.x.0", token + ".0.1.2.3", "9" * 300,
                      "1" + "0" * 16 + "f" * 16 + ".1", token[:17] + "f" * 16 + ".1"):
            refused = failure("INVALID_ARGUMENT", next, watch(operator, resume_token=wrong))
            assert refused.fields == ["resume_token"], wrong
        refused = failure("INVALID_ARGUMENT", next, watch(operator, resume_token=token, snapshot=True))
        assert refused.fields == ["snapshot"]
        foreign = "1" + "0" * 16 + token[17:]
        assert failure("FAILED_PRECONDITION", next, watch(
            operator, resume_token=foreign)).reason == "TOKEN_OF_ANOTHER_STORE"
        future = token[:17] + f"{int(token[17:], 16) + 1000:016x}"
        assert failure("UNAVAILABLE", next, watch(operator, resume_token=future)).reason == "REVISION_NOT_REACHED"
        assert failure("UNAVAILABLE", next, watch(
            operator, resume_token=token + ".7")).reason == "REVISION_NOT_REACHED"


def test_what_a_tenant_sees(make_server, pki):
    server = make_server().start()
    with server.operator() as operator:
        acme, globex = operator.active("acme"), operator.active("globex")
        operator.assign(acme.name, tenant_id("acme", "chief"), "tenant-admin")
        label(operator, acme.name, tier="gold")
        with server.client(pki.python.tenant("acme", "chief")) as chief:
            stream = watch(chief, snapshot=True)
            found, token = snapshot(stream)
            assert [one.id for one in found] == [acme.id]
            operator.create("other")
            rename(operator, globex.name, "Not for acme")
            operator.manager.UpdateTenant(manager.UpdateTenantRequest(
                tenant=api.tenant.Tenant(name=acme.name, display_name="For acme", annotations={"note": "secret"}),
                update_mask={"paths": ["display_name", "annotations"]}), timeout=20)
            [one] = changes(stream, 1)
            assert (one.tenant.display_name, dict(one.tenant.annotations)) == ("For acme", {})
            # What it could not watch any more it is told of nothing.
            operator.suspend(acme.name)
            error = failure("PERMISSION_DENIED", list, stream)
            assert error.reason == "TENANT_SUSPENDED"
            failure("PERMISSION_DENIED", next, watch(chief, resume_token=token))
            operator.manager.ActivateTenant(manager.ActivateTenantRequest(name=acme.name), timeout=20)
            told = changes(watch(chief, resume_token=token), 3)
            assert {one.tenant.id for one in told} == {acme.id}
            assert told[-1].tenant.state == api.ACTIVE
        with server.client(pki.python.tenant("nobody")) as unknown:
            assert failure("PERMISSION_DENIED", next, watch(unknown)).reason == "IDENTITY_UNKNOWN"


def test_watches_are_counted(make_server, pki):
    server = make_server().start()
    with server.operator() as operator:
        acme = operator.active("acme")
        operator.assign(acme.name, tenant_id("acme", "chief"), "tenant-admin")
        clients = [server.client(pki.python.tenant("acme", "chief")) for _ in range(2)]
        held = [begun(client)[0] for client in clients for _ in range(8)]
        refused = failure("RESOURCE_EXHAUSTED", next, watch(clients[0]))
        assert (refused.reason, refused.metadata["quota"]) == ("LIMIT_REACHED", "watches")
        # The platform's are others.
        begun(operator)[0].cancel()
        held[0].cancel()
        eventually(lambda: _is_let_in(clients[1]), "there is room again")
        for client in clients:
            client.close()


def _is_let_in(client):
    try:
        begun(client)[0].cancel()
        return True
    except grpc.RpcError:
        return False


def test_a_server_that_stops_says_where_to_go_on(make_server):
    server = make_server(drain_seconds=60).start()
    with server.operator() as operator:
        acme = operator.create("acme")
        stream, _ = begun(operator)
        rename(operator, acme.name, "One")
        assert changes(stream, 1)[0].tenant.display_name == "One"
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(grpc.RpcError) as error:
            next(stream)
        told = failure("UNAVAILABLE", lambda: (_ for _ in ()).throw(error.value))
        assert told.reason == "SERVER_STOPPING"
        assert server.wait(60) == 0
        server.start()
    with server.operator() as operator:
        rename(operator, acme.name, "Two")
        stream = watch(operator, resume_token=told.metadata["resume_token"])
        assert changes(stream, 1)[0].tenant.display_name == "Two"
        stream.cancel()
