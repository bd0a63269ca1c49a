"""The access log, and the level of the daemon's own log."""

import json
import os
import pty
import re
import signal
import socket
import subprocess

import grpc
import pytest

from support import ttrpc
from support.daemon import binary
from support.waiting import eventually

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
WHO = "/tenancy.v1.Identity/WhoAmI"


@pytest.fixture
def logged(make_server):
    """A server that is not started yet, and the file of its access log."""
    server = make_server()
    path = server.directory / "access.log"
    server.settings["access_log"] = {"file": str(path)}
    return server, path


def lines(path) -> list[dict]:
    text = path.read_text()
    assert text.isascii() and (not text or text.endswith("\n"))
    return [json.loads(line) for line in text.splitlines()]


def find(path, count: int, **wanted) -> list[dict]:
    """Lines with these fields, once there are as many as wanted, or more."""
    def found():
        some = [line for line in lines(path)
                if all(line.get(name) == value for name, value in wanted.items())]
        return some if len(some) >= count else None

    return eventually(found, f"{count} lines with {wanted}")


def call(channel, path: str, message: bytes = b"", metadata=()) -> grpc.StatusCode:
    """The status of a call that is made of bytes."""
    method = channel.unary_unary(path, request_serializer=None, response_deserializer=None)
    try:
        method(message, metadata=metadata, timeout=20)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def test_who_did_what(logged, pki):
    server, path = logged
    server.start()
    with server.operator() as admin, server.client(pki.python.tenant("acme")) as own:
        admin.active("acme")
        acme, other = admin.get("acme").id, admin.active("other").id
        call(own.channel, WHO, metadata=[("x-request-id", "r-1"),
                                         ("traceparent", f"00-{TRACE}-00f067aa0ba902b7-00")])
        [line] = find(path, 1, request_id="r-1")
        assert line["method"] == WHO and line["status"] == "OK" and line["protocol"] == "grpc"
        assert line["peer"] == "certificate" and line["trace_id"] == TRACE
        assert line["subject"].startswith("spiffe://") and line["caller_tenant"] == acme
        assert line["tenant"] == acme and "reason" not in line and "sample" not in line
        assert line["request_messages"] == line["response_messages"] == 1
        assert line["response_bytes"] > 0 and line["duration_us"] >= line["queue_us"] >= 0
        # Denied, on the event loop and off it: of whom, and why.
        resolve = b"\n" + bytes([len(other)]) + other.encode()
        for method in ("TenantResolver/ResolveTenant", "TenantManager/GetTenant"):
            found = call(own.channel, f"/tenancy.v1.{method}", resolve, [("x-request-id", method)])
            [line] = find(path, 1, request_id=method)
            assert line["status"] == found.name != "OK" and line["reason"]
            assert line["caller_tenant"] == acme
            if found == grpc.StatusCode.PERMISSION_DENIED:
                assert line["reason"] == "TENANT_MISMATCH"
        provision = "/tenancy.v1.TenantManager/ProvisionTenantResources"
        [line] = find(path, 1, method=provision, status="OK", tenant=acme)
        assert line["peer"] == "unix"
        assert line["subject"] == f"uid:{os.getuid()}" and "caller_tenant" not in line
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(server.socket))
        connection.sendall(ttrpc.request(1, "WhoAmI", b"", service="tenancy.v1.Identity"))
        assert connection.recv(4096)
        [line] = find(path, 1, protocol="ttrpc")
        assert line["method"] == WHO and line["peer"] == "unix"


def test_nobody_writes_lines_of_their_own(logged, pki):
    server, path = logged
    server.start()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(server.socket))
        forged = 'x"}\n{"status":"OK","forged":true}\n\u001b[2J\u202e' + "y" * 3000
        connection.sendall(ttrpc.request(1, forged, b"", service="no.Such"))
        assert connection.recv(4096)
        [line] = find(path, 1, status="UNIMPLEMENTED")
        assert line["method"].startswith('/no.Such/x"}\n{"status":"OK","forged":true}\n')
        assert line["method"].endswith("...")
        assert len(max(path.read_bytes().splitlines(), key=len)) < 4096
    with server.operator() as admin:
        for bad in ("a" * 65, ""):
            call(admin.channel, WHO, metadata=[("x-request-id", bad)])
        call(admin.channel, WHO, metadata=[("x-request-id", '"},{"\\')])
        assert find(path, 1, request_id='"},{"\\')
        assert not [line for line in lines(path) if line.get("request_id") in ("", "a" * 65)]
        assert not [line for line in lines(path) if "forged" in line]


def test_sampling_and_floods(logged, pki):
    server, path = logged
    server.settings["access_log"] |= {"sample": 10, "errors_per_second": 20}
    server.settings["event_loops"] = 1
    server.start()
    with server.operator() as admin, server.client(pki.python.tenant("ghost")) as ghost:
        for _ in range(100):
            assert call(admin.channel, WHO) == grpc.StatusCode.OK
        assert len(find(path, 10, status="OK", sample=10)) == 10
        for _ in range(300):
            assert call(ghost.channel, WHO) == grpc.StatusCode.PERMISSION_DENIED
        # All are accounted for: in lines, or in what is said of those that have none.
        def accounted():
            all_lines = lines(path)
            told = len([line for line in all_lines if line.get("status") == "PERMISSION_DENIED"])
            notices = [line for line in all_lines if "notice" in line]
            assert all(line["lost"] == 0 for line in notices)
            return told + sum(line["suppressed"] for line in notices) == 300 and notices

        notices = eventually(accounted, "all calls are accounted for")
        assert all(set(line["suppressed_by_status"]) == {"PERMISSION_DENIED"} for line in notices)


def test_rotation_and_log_level(logged, pki):
    server, path = logged
    server.start()
    with server.operator() as admin:
        call(admin.channel, WHO)
        assert find(path, 1, method=WHO)
        old = path.rename(path.with_suffix(".1"))
        config = server.directory / "tenantd.json5"
        changed = server.settings | {"log_level": "debug", "drain_seconds": 7}
        config.write_text(server.file_of(changed))
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: path.exists() and "access log opened anew" in server.log,
                   "a new file")
        assert re.search("from=info to=debug.*log level changed", server.log)
        assert re.search("settings=drain_seconds.*not applied before a restart", server.log)
        call(admin.channel, WHO)
        assert find(path, 1, method=WHO)
        before = len(lines(old))
        with server.client(pki.python.tenant("acme")) as own:
            call(own.channel, WHO)
        eventually(lambda: " debug " in server.log, "lines of the new level")
        assert len(lines(old)) == before
        # A bad file changes nothing.
        config.write_text(server.file_of(changed | {"log_level": "error", "typo": 1}))
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: re.search("typo.*configuration not read again", server.log), "an error")
        count = server.log.count(" debug ")
        with server.client(pki.python.tenant("acme")) as own:
            call(own.channel, WHO)
        eventually(lambda: server.log.count(" debug ") > count, "lines of the old level")
        config.write_text(server.file_of(changed | {"log_level": "critical"}))
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: re.search("to=critical.*log level changed", server.log), "the change")


@pytest.mark.parametrize("settings, place", [
    ({"file": "access.log"}, "access_log.file"),
    ({"file": "/nowhere/access.log"}, "access_log: /nowhere/access.log"),
    ({"file": "/tmp"}, "access_log: /tmp"),
    ({"file": "stderr", "sample": -1}, "access_log.sample"),
    ({"file": "stderr", "samples": 1}, "access_log.samples"),
    ({"sample": 1}, "access_log.file"),
])
def test_what_is_refused(make_server, settings, place):
    server = make_server(access_log=settings)
    process = server.launch()
    assert process.wait(20) != 0
    eventually(lambda: place in server.log, place)


def test_standard_error(make_server):
    server = make_server(access_log={"file": "stderr"})
    server.start()
    with server.operator() as admin:
        call(admin.channel, WHO)
        line = eventually(lambda: next(
            (line for line in server.log.splitlines() if line.startswith("{")), None), "a line")
        assert json.loads(line)["method"] == WHO


def test_a_terminal(make_server):
    server = make_server(access_log={"file": "stderr"})
    file = server.directory / "tenantd.json5"
    file.write_text(server.file_of(server.settings))
    main, terminal = pty.openpty()
    process = subprocess.Popen([binary(), "serve", "--config", str(file)], stderr=terminal,
                               stdout=subprocess.DEVNULL)
    os.close(terminal)
    try:
        eventually(server.socket.exists, "a socket")
        with grpc.insecure_channel(f"unix:{server.socket}") as channel:
            call(channel, WHO, metadata=[("x-request-id", "a b")])
        text = ""
        while f"method={WHO}" not in text:
            text += os.read(main, 4096).decode()
        assert ' request_id="a b"' in text and f"subject=uid:{os.getuid()}" in text
    finally:
        process.terminate()
        process.wait(20)
        os.close(main)
