"""The SPIFFE Workload API, asked by the public `spiffe` library and by stubs of its own."""

import os
import shutil
import signal
import socket
import sys

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage
from spiffe import WorkloadApiClient
from support import api
from support.daemon import Server
from support.pki import TRUST_DOMAIN
from support.waiting import eventually
from support.workload import Workload, certificates, credential, with_workload_api

UID = 31_000


@pytest.fixture(scope="module")
def server(tmp_path_factory, pki):
    server = with_workload_api(Server(tmp_path_factory.mktemp("server"), pki,
                                      audit={"window_seconds": 1}), node="n1")
    try:
        yield server.start()
        assert server.process.poll() is None, f"tenantd ended:\n{server.log}"
    finally:
        server.close()


@pytest.fixture
def acme(admin, slug):
    return admin.active(slug, api.SHARED)


@pytest.fixture
def register(admin):
    """Makes entries, and takes them away again."""
    made = []

    def register(*arguments, **named):
        made.append(admin.register(*arguments, **named))
        return made[-1]

    yield register
    for entry in made:
        try:
            admin.unregister(entry.name)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.NOT_FOUND


@pytest.fixture
def ask(server):
    """Starts processes that ask."""
    started = []

    def ask(**named) -> Workload:
        started.append(Workload(server.workload_socket, **named))
        return started[-1]

    yield ask
    for process in started:
        process.close()


def identity(tenant, path: str) -> str:
    return f"spiffe://{TRUST_DOMAIN}/tenant/{tenant.id}/{path}"


def ids(svids: list[dict]) -> set[str]:
    return {svid["id"] for svid in svids}


# What is given.

def test_the_public_library_gets_the_identity_of_its_process(server, acme, connect, register):
    register(acme.name, "web/frontend", uid=os.getuid())
    with WorkloadApiClient(f"unix:{server.workload_socket}") as client:
        svid = client.fetch_x509_svid(timeout=10)
        bundles = client.fetch_x509_bundles(timeout=10)
        context = client.fetch_x509_context(timeout=10)
    assert str(svid.spiffe_id) == identity(acme, "web/frontend")
    bundle = bundles.get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
    assert list(bundle.x509_authorities) == [server.pki.python.certificate]
    assert context.default_svid.spiffe_id == svid.spiffe_id
    # And is that, to the server itself.
    who = connect(credential(svid.cert_chain, svid.private_key)).who()
    assert (who.tenant, who.subject) == (acme.name, identity(acme, "web/frontend"))


def test_certificates_are_as_the_standard_says(ask, acme, connect, register):
    register(acme.name, "web", uid=UID, lifetime=600, hint="internal")
    [svid] = ask(uid=UID).svids()
    assert svid["hint"] == "internal"
    [leaf] = certificates(svid["chain"])
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.UniformResourceIdentifier(identity(acme, "web"))]
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical and usage.value.digital_signature
    assert not (usage.value.key_cert_sign or usage.value.crl_sign or usage.value.key_encipherment)
    extended = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(extended) == {Usage.SERVER_AUTH, Usage.CLIENT_AUTH}
    basic = leaf.extensions.get_extension_for_class(x509.BasicConstraints)
    assert basic.critical and not basic.value.ca
    assert 120 < leaf.serial_number.bit_length() <= 128
    life = (leaf.not_valid_after_utc - leaf.not_valid_before_utc).total_seconds()
    assert 600 <= life <= 640
    key = svid["key"]
    assert isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp256r1"
    assert key.public_key() == leaf.public_key()
    [root] = certificates(svid["bundle"])
    leaf.verify_directly_issued_by(root)
    workload = connect(credential([leaf], key))
    found = workload.resolver.ResolveTenant(api.resolver.ResolveTenantRequest(), timeout=10)
    assert found.tenant.id == acme.id


def test_each_process_has_its_own_keys_and_keeps_them(ask, acme, register):
    register(acme.name, "web", uid=UID)
    first, second = ask(uid=UID), ask(uid=UID)
    [one], [other] = first.svids(), second.svids()
    assert one["chain"] != other["chain"]
    assert one["key"].private_numbers() != other["key"].private_numbers()


def test_a_process_has_all_identities_that_match(ask, acme, register):
    here = os.path.realpath(sys.executable)
    for path, selectors in {
        "uid": {"uid": UID}, "both": {"uid": UID, "gid": UID + 1}, "node": {"uid": UID, "node": "n1"},
        "binary": {"binary_path": here}, "all": {"uid": UID, "gid": UID + 1, "binary_path": here},
    }.items():
        register(acme.name, path, **selectors)
    for path, selectors in {
        "user": {"uid": UID + 7}, "group": {"uid": UID, "gid": UID}, "elsewhere": {"uid": UID, "node": "n2"},
        "program": {"binary_path": "/usr/bin/true"}, "other": {"uid": UID, "binary_path": "/usr/bin/true"},
        "unit": {"uid": UID, "systemd_unit": "no-such.service"},
    }.items():
        register(acme.name, f"not/{path}", **selectors)
    found = ids(ask(uid=UID, gid=UID + 1).svids())
    assert found == {identity(acme, path) for path in ("uid", "both", "node", "binary", "all")}


def test_the_platform_s_own_processes_have_roles(ask, connect, register):
    register("", "resolver/envoy", uid=UID)
    [svid] = ask(uid=UID).svids()
    assert svid["id"] == f"spiffe://{TRUST_DOMAIN}/platform/resolver/envoy"
    who = connect(credential(certificates(svid["chain"]), svid["key"])).who()
    assert list(who.platform_roles) == ["resolver"]


def test_bundles_are_for_those_who_have_an_identity(ask, acme, server, register):
    assert ask(uid=UID, method="FetchX509Bundles").refusal() == "PERMISSION_DENIED"
    register(acme.name, "web", uid=UID)
    [(domain, bundle)] = ask(uid=UID, method="FetchX509Bundles").bundles().items()
    assert domain == f"spiffe://{TRUST_DOMAIN}"
    assert bundle == [server.pki.python.certificate]


# What is refused.

def test_nobody_else_gets_anything(ask, acme, admin, register):
    register(acme.name, "web", uid=UID)
    assert ask(uid=UID + 1).refusal() == "PERMISSION_DENIED"
    assert ask(uid=0).refusal() == "PERMISSION_DENIED"

    def noted():
        records = admin.audit.ListAuditRecords(
            api.audit.ListAuditRecordsRequest(page_size=500), timeout=20).records
        return {record.subject for record in records if record.reason == "NO_IDENTITY"}
    eventually(lambda: {f"uid:{UID + 1}", "uid:0"} <= noted(), "both are in the audit trail")


def test_what_is_given_is_in_the_tenant_s_audit_trail(ask, acme, admin, register):
    register(acme.name, "web", uid=UID)
    ask(uid=UID).svids()

    def noted():
        records = admin.audit.ListAuditRecords(
            api.audit.ListAuditRecordsRequest(parent=acme.name, page_size=500), timeout=20).records
        return {(record.action, record.subject, record.reason) for record in records}
    wanted = ("workloads.issue", f"uid:{UID}", f"as {identity(acme, 'web')}")
    eventually(lambda: wanted in noted(), "it is in the audit trail")
    assert any(action == "workload_entries.create" for action, _, _ in noted())


@pytest.mark.parametrize("header", [[], [("workload.spiffe.io", "false")],
                                    [("workload.spiffe.io", "True")],
                                    [("workload.spiffe.io", "true"), ("workload.spiffe.io", "true")]])
def test_calls_need_the_header(ask, acme, register, header):
    register(acme.name, "web", uid=UID)
    assert ask(uid=UID, header=header).refusal() == "INVALID_ARGUMENT"


def test_a_program_of_the_same_name_is_another(ask, acme, register, tmp_path):
    """A copy; and one that has the name where nobody else sees it."""
    copy = tmp_path / "python"
    shutil.copy(os.path.realpath(sys.executable), copy)
    register(acme.name, "web", binary_path=os.path.realpath(sys.executable))
    assert ask(program=str(copy)).refusal() == "PERMISSION_DENIED"
    real = os.path.realpath(sys.executable)
    within = ["unshare", "-m", "sh", "-c",
              f'mount --bind "{copy}" "{real}" && exec "{real}" "$@"', "sh"]
    assert ask(program=within).refusal() == "PERMISSION_DENIED"
    assert ids(ask(program=real).svids()) == {identity(acme, "web")}


def test_neither_socket_serves_what_is_the_other_s(server, admin, acme, register):
    register(acme.name, "web", uid=os.getuid())
    raw = dict(request_serializer=bytes, response_deserializer=bytes)
    with grpc.insecure_channel(f"unix:{server.workload_socket}") as channel:
        for method in (*api.methods(), "TenantManager/X"):
            call = channel.unary_unary(f"/tenancy.v1.{method}", **raw)
            with pytest.raises(grpc.RpcError) as caught:
                call(b"", metadata=[("workload.spiffe.io", "true")], timeout=10)
            assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    call = admin.channel.unary_stream("/SpiffeWorkloadAPI/FetchX509SVID", **raw)
    with pytest.raises(grpc.RpcError) as caught:
        next(call(b"", metadata=[("workload.spiffe.io", "true")], timeout=10))
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_streams_of_a_user_are_bounded(make_server):
    server = with_workload_api(make_server(), streams_per_user=2).start()
    with server.operator() as admin:
        acme = admin.active("acme", api.SHARED)
        admin.register(acme.name, "web", uid=UID)
        admin.register(acme.name, "web", uid=UID + 1)
        held = [Workload(server.workload_socket, uid=UID) for _ in range(2)]
        try:
            for process in held:
                process.svids()
            # Its connection is one more than it may have: that is closed.
            with Workload(server.workload_socket, uid=UID, wait=2) as third:
                assert third.refusal() in ("RESOURCE_EXHAUSTED", "UNAVAILABLE", "DEADLINE_EXCEEDED")
            with Workload(server.workload_socket, uid=UID + 1) as other:
                other.svids()
            held.pop().close()
            with Workload(server.workload_socket, uid=UID) as third:
                third.svids()
        finally:
            for process in held:
                process.close()


def test_nothing_is_left_of_connections(make_server):
    """Each takes three descriptors: its socket, the process and its directory in /proc."""
    server = with_workload_api(make_server()).start()
    with server.operator() as admin:
        acme = admin.active("acme", api.SHARED)
        admin.register(acme.name, "web", uid=os.getuid())

    def count() -> int:
        return len(os.listdir(f"/proc/{server.process.pid}/fd"))
    before = count()
    opened = []
    for _ in range(40):
        one = socket.socket(socket.AF_UNIX)
        one.connect(str(server.workload_socket))
        one.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        opened.append(one)
    # Others may let one go meanwhile.
    eventually(lambda: count() >= before + 115, "all are held")
    for one in opened:
        one.close()
    for _ in range(20):
        with WorkloadApiClient(f"unix:{server.workload_socket}") as client:
            client.fetch_x509_svid(timeout=10)
    eventually(lambda: count() <= before + 3, "all are let go")


def test_who_does_not_listen_holds_nobody_up(server, ask, acme, register):
    """A process that is stopped in the middle of its stream."""
    register(acme.name, "one", uid=UID)
    deaf, other = ask(uid=UID), ask(uid=UID)
    deaf.svids()
    other.svids()
    deaf.process.send_signal(signal.SIGSTOP)
    try:
        for number in range(30):
            entry = register(acme.name, f"more{number}", uid=UID)
            assert identity(acme, f"more{number}") in ids(other.svids())
        assert entry.name
    finally:
        deaf.process.send_signal(signal.SIGCONT)


def test_a_flood_of_strangers_costs_them(server, ask, acme, register):
    """Who has no identity asks in vain, and no faster than is allowed; others are served meanwhile."""
    register(acme.name, "web", uid=UID)
    stranger = ask(uid=UID + 5, method="flood", wait=3)
    assert stranger.next()["flooding"]
    for _ in range(5):
        process = ask(uid=UID)
        assert ids(process.svids()) == {identity(acme, "web")}
        process.close()
    told = stranger.next(30)
    assert told["codes"].keys() == {"PERMISSION_DENIED", "RESOURCE_EXHAUSTED"}
    # What is looked at at once, and then for each second.
    assert told["codes"]["PERMISSION_DENIED"] <= 256 + 64 * (told["seconds"] + 1)
