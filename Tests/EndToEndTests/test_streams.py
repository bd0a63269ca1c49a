"""Streams: what they tell, who is admitted, and what ends them in the middle."""

import signal
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from support import api
from support.client import Client, failure
from support.pki import platform_id, tenant_id
from support.waiting import eventually
from test_tls_reload import Files

audit = api.audit
# Within which a stream ends when its admission does: a second is promised, the rest is the machine's.
PROMPTLY = 3


def stream(client, parent="", after=0, timeout=60):
    return api.audit_grpc.AuditStub(client.channel).StreamAuditRecords(
        audit.StreamAuditRecordsRequest(parent=parent, after_sequence=after), timeout=timeout)


def exported(client, parent=""):
    stub, found, token = api.audit_grpc.AuditStub(client.channel), [], ""
    while True:
        page = stub.ExportAuditRecords(audit.ExportAuditRecordsRequest(
            parent=parent, page_size=7, page_token=token), timeout=20)
        found += page.records
        token = page.next_page_token
        if not token:
            return found


def watch(client, timeout=60):
    return health_pb2_grpc.HealthStub(client.channel).Watch(
        health_pb2.HealthCheckRequest(), timeout=timeout)


def ending(stream):
    """Reads to the end, which must be an error, and returns that and how long it took."""
    begin = time.monotonic()
    with pytest.raises(grpc.RpcError) as error:
        for _ in stream:
            pass
    return error.value.code().name, time.monotonic() - begin


def test_a_stream_is_the_whole_chain(make_server):
    server = make_server().start()
    with server.operator() as operator:
        name = operator.active("acme").name
        for number in range(40):
            operator.role(name, f"role-{number}", "bill:read")
        for parent in (name, "tenants/acme", ""):
            wanted = exported(operator, parent)
            pages = list(stream(operator, parent))
            assert [record for page in pages for record in page.records] == wanted
            half = wanted[len(wanted) // 2].sequence
            rest = [record.sequence for page in stream(operator, parent, half)
                    for record in page.records]
            assert rest == [record.sequence for record in wanted if record.sequence > half]
            assert not list(stream(operator, parent, wanted[-1].sequence))
        assert {page.chain for page in stream(operator, name)} == {name.removeprefix("tenants/")}


def test_who_is_not_admitted_gets_no_message(make_server, pki):
    server = make_server().start()
    with server.operator() as operator:
        acme, globex = operator.active("acme").name, operator.active("globex").name
        operator.assign(acme, tenant_id("acme", "chief"), "tenant-admin")
    with server.client(pki.python.tenant("acme", "chief")) as chief:
        own = [record for page in stream(chief) for record in page.records]
        assert own and own == exported(chief, acme)
        for name in (globex, "tenants/globex", "tenants/nobody", "not a name"):
            error = failure("PERMISSION_DENIED" if " " not in name else "INVALID_ARGUMENT",
                            list, stream(chief, name))
            assert " " in name or error.reason == "TENANT_MISMATCH"
    with server.client(pki.python.tenant("acme")) as web:
        assert failure("PERMISSION_DENIED", list, stream(web)).reason == "PERMISSION_MISSING"
    with server.client(pki.python.tenant("nobody")) as unknown:
        assert failure("PERMISSION_DENIED", list, stream(unknown)).reason == "IDENTITY_UNKNOWN"


def long_chain(operator, name, count=3000):
    """More records than a connection takes that nobody reads from."""
    calls = []
    for number in range(count):
        calls.append(operator.manager.UpdateTenant.future(api.manager.UpdateTenantRequest(
            tenant=api.tenant.Tenant(name=name, display_name=f"{number} " + "x" * 80)), timeout=60))
        if len(calls) == 100:
            for call in calls:
                call.result()
            calls = []


@pytest.mark.quiet
@pytest.mark.parametrize("change", ["suspend", "delete", "role"])
def test_a_stream_ends_with_its_admission(make_server, pki, change):
    server = make_server().start()
    with server.operator() as operator:
        acme = operator.active("acme").name
        given = operator.assign(acme, tenant_id("acme", "chief"), "tenant-admin")
        long_chain(operator, acme)
        with server.client(pki.python.tenant("acme", "chief")) as chief:
            running = stream(chief)
            first = next(running)
            assert first.records
            match change:
                case "suspend": operator.suspend(acme)
                case "delete": operator.delete(acme)
                case "role": operator.authz.DeleteRoleAssignment(
                    api.authz.DeleteRoleAssignmentRequest(name=given.name), timeout=20)
            code, took = ending(running)
            assert code == "PERMISSION_DENIED" and took < PROMPTLY
            # Nor is it begun again.
            failure("PERMISSION_DENIED", list, stream(chief))


def test_a_server_that_stops_says_where_to_go_on(make_server):
    server = make_server(drain_seconds=60).start()
    with server.operator() as operator:
        acme = operator.active("acme").name
        long_chain(operator, acme)
        running = stream(operator, acme)
        last = next(running).records[-1].sequence
        begin = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: "stopping" in server.log, "it stops")
        with pytest.raises(grpc.RpcError) as error:
            for page in running:
                last = page.records[-1].sequence
        assert error.value.code() is grpc.StatusCode.UNAVAILABLE
        told = failure("UNAVAILABLE", lambda: (_ for _ in ()).throw(error.value))
        assert told.reason == "SERVER_STOPPING"
        # What was under way may have come as well.
        resume = int(told.metadata["resume_token"])
        assert 0 < resume <= last
        assert server.wait(60) == 0 and time.monotonic() - begin < 30
        server.start()
    with server.operator() as operator:
        rest = [record.sequence for page in stream(operator, acme, resume) for record in page.records]
        assert rest[0] == resume + 1 and rest == list(range(resume + 1, rest[-1] + 1))


# MARK: Credentials


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path / "tls")


def connect(server, files, credential):
    return Client(server.address, credential, files.ca.pem)


@pytest.mark.quiet
def test_a_watch_ends_with_its_certificate(make_server, files):
    server = make_server(tls=files.one_bundle(reload_seconds=86400)).start()
    ends = 6
    with connect(server, files, files.ca.issue(platform_id("viewer"), ends=ends)) as client:
        begin = time.monotonic()
        running = watch(client)
        assert next(running).status == health_pb2.HealthCheckResponse.SERVING
        code, _ = ending(running)
        assert code == "UNAUTHENTICATED" and time.monotonic() - begin < ends + PROMPTLY


@pytest.mark.quiet
def test_a_watch_ends_when_its_certificate_is_revoked(make_server, files):
    server = make_server(tls=files.one_bundle(reload_seconds=86400)).start()
    bad, good = (files.ca.issue(platform_id("viewer")) for _ in range(2))
    with connect(server, files, bad) as revoked, connect(server, files, good) as other:
        ended, kept = watch(revoked), watch(other)
        next(ended), next(kept)
        files.revoke(bad)
        server.process.send_signal(signal.SIGHUP)
        code, took = ending(ended)
        assert code == "UNAUTHENTICATED" and took < PROMPTLY
        assert not kept.done()
        server.process.send_signal(signal.SIGTERM)
        assert next(kept).status == health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.mark.quiet
def test_a_watch_ends_when_nobody_knows_who_is_revoked(make_server, files):
    """Its list has ended: no reload tells, only the time."""
    begin = time.monotonic()
    files.revoke(ends=8)
    server = make_server(tls=files.one_bundle(reload_seconds=86400)).start()
    with connect(server, files, files.ca.issue(platform_id("viewer"))) as client:
        running = watch(client)
        assert next(running).status == health_pb2.HealthCheckResponse.SERVING
        code, _ = ending(running)
        assert code == "UNAUTHENTICATED" and time.monotonic() - begin < 8 + PROMPTLY


def test_streams_of_one_tenant_are_bounded(make_server, pki):
    server = make_server().start()
    with server.operator() as operator:
        operator.active("acme")
    clients = [server.client(pki.python.tenant("acme")) for _ in range(4)]
    running = []
    try:
        refused = None
        for number in range(300):
            one = watch(clients[number % len(clients)])
            running.append(one)
            try:
                next(one)
            except grpc.RpcError as error:
                refused = error
                break
        assert refused is not None and refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        with server.operator() as operator:
            assert next(watch(operator)).status == health_pb2.HealthCheckResponse.SERVING
            operator.get("acme")
        running.pop(0).cancel()
    finally:
        for one in running:
            one.cancel()
        for client in clients:
            client.channel.close()
