"""The Workload API's part of the configuration: what the start refuses, and who else reaches the socket."""

import os
import stat

import pytest
from support import api
from support.pki import Authority
from support.workload import Workload, with_workload_api

UID = 33_000


def refused(server) -> str:
    """Why it does not start."""
    server.launch()
    assert server.wait() in (1, 64), server.log
    return server.log


CASES = [
    (lambda s, w: w.pop("socket"), "workload_api.socket is required"),
    (lambda s, w: w.pop("ca_key"), "ca_certificate and ca_key: give both, or none"),
    (lambda s, w: w.pop("ca_certificate"), "ca_certificate and ca_key: give both, or none"),
    (lambda s, w: (w.pop("ca_certificate"), w.pop("ca_key"), s.settings.pop("secrets"),
                   s.settings.pop("tokens", None)),
     "workload_api.ca_certificate: needed where there is no secrets.master_key"),
    (lambda s, w: w.update(socket="workload"), "socket: an absolute path"),
    (lambda s, w: w.update(socket="/" + "x" * 107), "at most 107 bytes"),
    (lambda s, w: w.update(socket=str(s.socket)), "one of the listeners has it"),
    (lambda s, w: w.update(mode="1777"), "mode: octal permission bits"),
    (lambda s, w: w.update(trust_domain="Not One"), "not a SPIFFE trust domain"),
    (lambda s, w: w.update(maximum_life_seconds=59), "60 to 86400"),
    (lambda s, w: w.update(streams_per_user=0), "1 to 4096"),
    (lambda s, w: w.update(node="a b"), "node:"),
    (lambda s, w: w.update(socket_path="/x"), "socket_path: no such setting"),
    (lambda s, w: w.update(ca_key="/nowhere"), "/nowhere"),
    (lambda s, w: s.workload_ca[1].chmod(0o644), "others can read or write the private key"),
    (lambda s, w: s.workload_ca[0].chmod(0o666), "others can write to"),
    (lambda s, w: s.workload_ca[1].write_bytes(Authority().key_pem), "is not the key of"),
    (lambda s, w: s.workload_ca[0].write_bytes(
        s.pki.python.server().certificate), "is not the key of"),
    (lambda s, w: w.update(socket="/proc/workload"), "cannot listen"),
]


@pytest.mark.parametrize(("change", "told"), CASES, ids=[told for _, told in CASES])
def test_what_is_wrong_is_told(make_server, change, told):
    server = with_workload_api(make_server())
    change(server, server.settings["workload_api"])
    assert told in refused(server)


def test_without_it_there_is_no_such_socket(make_server):
    server = make_server().start()
    assert "workload" not in server.log
    assert sorted(os.listdir(server.socket_directory)) == ["socket"]


def test_identities_are_of_its_trust_domain(make_server):
    server = with_workload_api(make_server(), trust_domain="other.test", mode="0777").start()
    assert stat.S_IMODE(server.workload_socket.stat().st_mode) == 0o777
    with server.operator() as admin:
        acme = admin.active("acme", api.SHARED)
        admin.register(acme.name, "web", uid=UID)
    with Workload(server.workload_socket, uid=UID) as process:
        [svid] = process.svids()
        assert svid["id"] == f"spiffe://other.test/tenant/{acme.id}/web"


def test_a_node_without_a_name_has_none_of_those_that_name_one(make_server):
    server = with_workload_api(make_server()).start()
    with server.operator() as admin:
        acme = admin.active("acme", api.SHARED)
        admin.register(acme.name, "web", uid=UID, node="n1")
    with Workload(server.workload_socket, uid=UID) as process:
        assert process.refusal() == "PERMISSION_DENIED"


def test_the_socket_s_mode_keeps_others_out(make_server):
    server = with_workload_api(make_server(), mode="0600").start()
    with server.operator() as admin:
        acme = admin.active("acme", api.SHARED)
        admin.register(acme.name, "web", uid=UID)
        admin.register(acme.name, "root", uid=os.getuid())
    with Workload(server.workload_socket, uid=UID, wait=3) as process:
        assert process.refusal() in ("UNAVAILABLE", "DEADLINE_EXCEEDED")
    with Workload(server.workload_socket) as process:
        assert len(process.svids()) == 1
