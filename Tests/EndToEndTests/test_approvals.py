"""Transitions that somebody outside has to approve: nothing but their yes is one."""

import contextlib
import socket
import threading
import time
from concurrent import futures

import grpc
import pytest

from support import api
from support.client import failure
from support.waiting import eventually

approvals = api.approvals


class Approver(api.approvals_grpc.TransitionApprovalsServicer):
    """Does what a test says, and remembers what it was asked."""

    def __init__(self, target: str, credentials=None):
        self.asked = []
        self.answer = lambda request, context: approvals.ApproveTransitionResponse(approved=True)
        self.server = grpc.server(futures.ThreadPoolExecutor(32))
        api.approvals_grpc.add_TransitionApprovalsServicer_to_server(self, self.server)
        self.port = (self.server.add_secure_port(target, credentials) if credentials
                     else self.server.add_insecure_port(target))
        self.server.start()

    def ApproveTransition(self, request, context):
        self.asked.append(request)
        return self.answer(request, context)

    def close(self):
        self.server.stop(0).wait()


@pytest.fixture
def approver(tmp_path):
    made = Approver(f"unix:{tmp_path}/approver.sock")
    yield made
    made.close()


@pytest.fixture
def approved(make_server, approver, tmp_path):
    """A server that asks, and an operator of it."""
    server = make_server(audit={"window_seconds": 1}, lifecycle={
        "retention_days": 0,
        "approval": {"address": f"unix:{tmp_path}/approver.sock", "timeout_milliseconds": 1000,
                     "transitions": ["activate", "deactivate", "delete", "purge", "begin_maintenance"]}}).start()
    with server.operator() as client:
        yield server, client


def names(asked) -> list[str]:
    return [approvals.Transition.Name(one.transition).removeprefix("TRANSITION_") for one in asked]


def test_it_is_asked_for_what_is_configured(approved, approver):
    server, client = approved
    made = client.active("acme", display_name="Acme")
    assert approver.asked == []  # To provision is not among it.
    suspended = client.suspend("acme")
    [request] = approver.asked
    assert request.tenant == made and request.transition == approvals.TRANSITION_DEACTIVATE
    assert request.subject == client.who().subject
    client.manager.ActivateTenant(api.manager.ActivateTenantRequest(name="acme"))
    client.maintain("acme")
    client.end_maintenance("acme")
    assert names(approver.asked) == ["DEACTIVATE", "ACTIVATE", "BEGIN_MAINTENANCE"]
    # Nobody is asked for what can't be anyway.
    failure("FAILED_PRECONDITION", client.manager.ActivateTenant, api.manager.ActivateTenantRequest(name="acme"))
    failure("ABORTED", client.manager.DeleteTenant,
            api.manager.DeleteTenantRequest(name="acme", etag=suspended.etag))
    assert len(approver.asked) == 3


def denied(request, context):
    return approvals.ApproveTransitionResponse(reason="not on Fridays\n" + "x" * 600)


def empty(request, context):
    return approvals.ApproveTransitionResponse()


def broken(request, context):
    context.abort(grpc.StatusCode.INTERNAL, "it broke, and says secrets")


def slow(request, context):
    time.sleep(3)
    return approvals.ApproveTransitionResponse(approved=True)


@pytest.mark.parametrize("answer, code, reason", [
    (denied, "PERMISSION_DENIED", "TRANSITION_DENIED"), (empty, "PERMISSION_DENIED", "TRANSITION_DENIED"),
    (broken, "UNAVAILABLE", "APPROVAL_UNAVAILABLE"), (slow, "UNAVAILABLE", "APPROVAL_UNAVAILABLE")])
def test_only_a_yes_is_one(approved, approver, answer, code, reason):
    server, client = approved
    made = client.active("acme")
    approver.answer = answer
    error = failure(code, client.suspend, "acme")
    assert error.reason == reason and "secrets" not in error.message
    if answer is denied:
        assert "not on Fridays x" in error.message and len(error.message) < 600
    assert client.get("acme") == made
    failure(code, client.delete, "acme")
    assert client.get("acme") == made
    if code == "PERMISSION_DENIED":
        eventually(lambda: {"TenantManager/DeactivateTenant", "TenantManager/DeleteTenant"} <= {
            record.action.removeprefix("/tenancy.v1.") for record in client.audit.ListAuditRecords(
                api.audit.ListAuditRecordsRequest(parent=made.name)).records if record.reason == reason}, "it is audited")


def test_nobody_there(approved, approver):
    server, client = approved
    made = client.active("acme")
    approver.close()
    error = failure("UNAVAILABLE", client.suspend, "acme")
    assert error.reason == "APPROVAL_UNAVAILABLE" and error.retry_seconds == 5
    assert client.get("acme") == made


def test_what_is_no_grpc(make_server, tmp_path):
    """Bytes that mean nothing mean no."""
    path = f"{tmp_path}/rubbish.sock"
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(path)
        listener.listen()

        def answer():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connection.sendall(b"\x08\x01" * 50)
                    connection.close()

        threading.Thread(target=answer, daemon=True).start()
        server = make_server(lifecycle={"approval": {
            "address": f"unix:{path}", "timeout_milliseconds": 500}}).start()
        with server.operator() as client:
            client.create("acme")
            assert failure("UNAVAILABLE", client.provision, "acme").reason == "APPROVAL_UNAVAILABLE"
            assert client.get("acme").state == api.PENDING


def test_an_approval_is_for_the_tenant_as_it_was_shown(approved, approver):
    server, client = approved
    client.active("acme")
    asked, go_on = threading.Event(), threading.Event()

    def wait(request, context):
        asked.set()
        go_on.wait(10)
        return approvals.ApproveTransitionResponse(approved=True)

    approver.answer = wait
    call = client.manager.DeactivateTenant.future(
        api.manager.DeactivateTenantRequest(name="acme"), timeout=20)
    assert asked.wait(10)
    client.manager.UpdateTenant(api.manager.UpdateTenantRequest(
        tenant=api.tenant.Tenant(name="tenants/acme", display_name="Another")))
    go_on.set()
    with pytest.raises(grpc.RpcError) as caught:
        call.result()
    assert caught.value.code() == grpc.StatusCode.ABORTED
    assert client.get("acme").state == api.ACTIVE


def test_the_schedule_and_purges_ask_as_well(approved, approver):
    server, client = approved
    acme, other = client.active("acme"), client.active("other")
    approver.answer = lambda request, context: approvals.ApproveTransitionResponse(
        approved=request.tenant.slug == "other")
    client.schedule("acme", suspend=0.5)
    client.schedule("other", suspend=0.6)
    # One that is denied keeps no other from it.
    eventually(lambda: client.get("other").state == api.SUSPENDED, "it is suspended")
    eventually(lambda: "acme" in [one.tenant.slug for one in approver.asked], "it was asked for")
    assert client.get("acme").state == api.ACTIVE
    assert {one.subject for one in approver.asked} == {"system"}
    client.delete("other")
    eventually(lambda: "PURGE" in names(approver.asked), "it was asked for")
    eventually(lambda: other.id not in listed(client), "it is purged")


def listed(client) -> list[str]:
    return [one.id for one in client.manager.ListTenants(
        api.manager.ListTenantsRequest(show_deleted=True)).tenants]


def test_over_mutual_tls(make_server, pki, tmp_path):
    """Who can't prove who they are approves nothing."""
    authority = pki.python
    service = authority.server()
    credentials = grpc.ssl_server_credentials(
        [(service.key, service.certificate)], authority.pem, require_client_auth=True)
    approver = Approver("127.0.0.1:0", credentials)
    files = {}
    client_side = authority.platform("tenantd")
    for name, content in (("certificate", client_side.certificate), ("private_key", client_side.key),
                          ("ca", authority.pem)):
        file = tmp_path / name
        file.write_bytes(content)
        file.chmod(0o600)
        files[name] = str(file)
    try:
        server = make_server(lifecycle={"approval": {
            "address": f"127.0.0.1:{approver.port}", "tls": {**files, "server_name": "localhost"}}}).start()
        with server.operator() as client:
            assert client.active("acme").state == api.ACTIVE
            assert names(approver.asked) == ["PROVISION"]
        other = make_server(lifecycle={"approval": {
            "address": f"127.0.0.1:{approver.port}", "tls": {**files, "server_name": "elsewhere.test"}}}).start()
        with other.operator() as client:
            client.create("acme")
            assert failure("UNAVAILABLE", client.provision, "acme").reason == "APPROVAL_UNAVAILABLE"
        assert len(approver.asked) == 1
    finally:
        approver.close()
