"""The daemon as a process: how it starts, stops and restarts."""

import signal
import socket
import threading
import uuid

import grpc
import pytest

from support import api
from support.client import failure
from support.waiting import eventually

manager, tenant = api.manager, api.tenant


def test_sigterm_lets_writes_in_flight_finish(make_server):
    server = make_server().start()
    stopping, answers = threading.Event(), []

    def write(number):
        with server.operator() as client:
            client.who()
            started.release()
            count = 0
            while True:
                try:
                    answers.append(client.create(f"w{number}-{count}").slug)
                except grpc.RpcError as error:
                    # Refused or not even connected; never broken off in the middle of a write.
                    assert stopping.is_set() and error.code().name == "UNAVAILABLE", error
                    return
                count += 1

    started = threading.Semaphore(0)
    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for writer in writers:
        writer.start()
    for _ in writers:
        started.acquire()
    eventually(lambda: len(answers) > 50, "writes are under way")
    stopping.set()
    assert server.stop() == 0
    for writer in writers:
        writer.join()
    assert not server.socket.exists()

    server.start()
    with server.operator() as client:
        kept = {one.slug for one in client.manager.ListTenants(
            manager.ListTenantsRequest(page_size=1000)).tenants}
        assert set(answers) <= kept
        # What was written was answered: a graceful stop leaves no client in doubt.
        assert kept == set(answers)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_at_once_when_idle(make_server, number):
    server = make_server().start()
    with server.operator() as client:
        client.who()
        server.process.send_signal(number)
        assert server.wait(10) == 0
        failure("UNAVAILABLE", client.who, timeout=2)
    assert f"signal={number.name}" in server.log and "stopped" in server.log


def test_a_signal_during_the_start_is_kept(make_server):
    server = make_server()
    server.launch()
    eventually(server.data.exists, "the start has begun")
    server.process.send_signal(signal.SIGTERM)
    assert server.wait() == 0
    assert "signal=SIGTERM" in server.log and "stopped" in server.log
    assert not server.socket.exists()


def test_a_client_that_does_not_listen_does_not_hold_up_the_stop(make_server):
    server = make_server(drain_seconds=1).start()
    with socket.socket(socket.AF_UNIX) as silent, socket.socket(socket.AF_UNIX) as deaf:
        silent.connect(str(server.socket))  # Never says a word.
        deaf.connect(str(server.socket))
        deaf.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\4\0" + bytes(4))
        eventually(lambda: deaf.recv(1), "the server speaks")
        assert server.stop() == 0


def test_a_second_server_on_the_same_data(make_server):
    first, second = make_server().start(), make_server()
    second.settings["data_directory"] = str(first.data)
    second.launch()
    assert second.wait() != 0
    assert "another process uses this store" in second.log
    assert not second.socket.exists()
    with first.operator() as client:
        client.create("still-here")


def test_a_second_server_on_the_same_socket(make_server):
    first, second = make_server().start(), make_server()
    second.settings["listeners"] = first.settings["listeners"]
    second.launch()
    assert second.wait() != 0
    assert "another server is listening" in second.log
    with first.operator() as client:
        client.who()


def test_a_stale_socket_is_replaced(make_server):
    server = make_server().start()
    server.kill()
    assert server.socket.exists()
    server.start()
    with server.operator() as client:
        client.who()


def test_a_file_where_the_socket_should_be_is_left_alone(make_server):
    server = make_server()
    server.socket.write_text("precious")
    server.launch()
    assert server.wait() != 0
    assert "not a socket" in server.log
    assert server.socket.read_text() == "precious"


def test_everything_is_there_after_a_restart(make_server):
    server = make_server().start()
    request = manager.CreateTenantRequest(request_id=str(uuid.uuid4()), tenant=tenant.Tenant(
        slug="acme", display_name="Ä", isolation_model=api.HYBRID))
    # Enough keys for their order to differ from one process to the next, if nobody saw to it.
    request.tenant.configuration.custom_settings.update(
        {f"k{n}": {f"{m}": [n, None, "x"] for m in range(5)} for n in range(30)})
    for n in range(30):
        request.tenant.configuration.feature_flags[f"f{n}"] = n % 2 == 0
    with server.operator() as client:
        client.manager.CreateTenant(request)
        client.provision("acme")
        client.role("acme", "clerk", "bill:read", title="T", description="D")
        client.assign("acme", "user:al", "clerk")
        client.active("gone")
        client.delete("gone")
        before = everything(client)
    for end in (server.stop, server.kill):
        end()
        server.start()
        with server.operator() as client:
            assert everything(client) == before
            assert client.manager.CreateTenant(request).slug == "acme"
            assert everything(client) == before
            failure("ALREADY_EXISTS", client.create, "gone")


def everything(client):
    authz = api.authz
    return (
        list(client.manager.ListTenants(manager.ListTenantsRequest(show_deleted=True)).tenants),
        list(client.authz.ListRoles(authz.ListRolesRequest(parent="acme")).roles),
        list(client.authz.ListRoleAssignments(
            authz.ListRoleAssignmentsRequest(parent="acme")).assignments),
        client.check("acme", "user:al", "bill:read"),
    )


def test_what_is_kept_is_private(make_server):
    server = make_server().start()
    with server.operator() as client:
        client.active("acme", api.HYBRID)
        client.active("other", api.DATABASE)
    for path in [server.data, *server.data.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
