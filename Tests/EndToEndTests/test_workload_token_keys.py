"""Keys of JWT-SVIDs that the store keeps: prepared, activated and retired, while tokens stay good."""

import json
import os
import shutil
import threading
import time

import grpc
import jwt
import pytest
from spiffe import WorkloadApiClient
from spiffe._proto import workload_pb2
from support import api
from support.authorities import ACTIVE, PREPARED, RETIRING, fetched
from support.client import failure, invalid
from support.nodes import settings as node_settings
from support.pki import TRUST_DOMAIN
from support.waiting import eventually
from support.workload import HEADER, Workload, with_workload_api
from test_workload_tokens import key_file

JWT = api.authorities.CertificateAuthority.KIND_JWT


@pytest.fixture
def server(make_server):
    return with_workload_api(make_server()).start()


@pytest.fixture
def chief(server):
    with server.operator() as chief:
        acme = chief.active("acme", api.SHARED)
        chief.register(acme.name, "web", uid=os.getuid())
        yield chief


def kid(authority) -> str:
    return json.loads(authority.public_key)["kid"]


def keys(chief) -> dict[str, int]:
    return {one.name: one.state for one in chief.certificate_authorities() if one.kind == JWT}


def issue(server) -> str:
    with WorkloadApiClient(f"unix:{server.workload_socket}") as client:
        return client.fetch_jwt_svid(audience={"orders"}, timeout=10).token


def issued(server) -> str:
    return eventually(lambda: fetched(lambda: issue(server)), "tokens are issued")


def key_of(token: str) -> str:
    return jwt.get_unverified_header(token)["kid"]


def validated(server, token: str) -> str:
    """The code of the answer; OK."""
    with grpc.insecure_channel(f"unix:{server.workload_socket}") as channel:
        stub = channel.unary_unary(
            "/SpiffeWorkloadAPI/ValidateJWTSVID",
            request_serializer=workload_pb2.ValidateJWTSVIDRequest.SerializeToString,
            response_deserializer=workload_pb2.ValidateJWTSVIDResponse.FromString)
        try:
            stub(workload_pb2.ValidateJWTSVIDRequest(audience="orders", svid=token),
                 metadata=HEADER, timeout=10)
            return "OK"
        except grpc.RpcError as error:
            return error.code().name


class Bundles:
    """A verifier that has what its stream has told it last."""

    def __init__(self, server):
        self.process = Workload(server.workload_socket, method="FetchJWTBundles", wait=600)
        self.keys: dict[str, dict] = {}
        self.update(20)
        threading.Thread(target=self.follow, daemon=True).start()

    def update(self, timeout):
        [bundle] = self.process.raw_bundles(timeout).values()
        self.keys = {key["kid"]: key for key in json.loads(bundle)["keys"]}

    def follow(self):
        while True:
            try:
                self.update(600)
            except Exception:
                return

    def verify(self, token):
        key = jwt.PyJWK(self.keys[key_of(token)])
        jwt.decode(token, key, algorithms=["ES256"], audience="orders")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.close()


class Traffic:
    """Tokens that are fetched, verified by what a stream has told, and validated by tenantd, all the time."""

    def __init__(self, server, bundles):
        self.server, self.bundles = server, bundles
        self.count, self.failures, self.ends, self.kids = 0, [], False, []
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(2)]
        for thread in self.threads:
            thread.start()

    def run(self):
        kept = []
        with WorkloadApiClient(f"unix:{self.server.workload_socket}") as client:
            while not self.ends:
                try:
                    token = client.fetch_jwt_svid(audience={"orders"}, timeout=20).token
                    # Also those from before: none has ended.
                    kept = [*kept[-20:], token]
                    for one in (token, kept[0]):
                        self.bundles.verify(one)
                        client.validate_jwt_svid(one, audience="orders")
                    self.kids.append(key_of(token))
                    self.count += 1
                except Exception as error:
                    self.failures.append(repr(error))
                # As many as one user is given.
                time.sleep(0.2)

    def some(self, number=10):
        begin = self.count
        eventually(lambda: self.count >= begin + number, "tokens", 60)

    def close(self):
        self.ends = True
        for thread in self.threads:
            thread.join(30)


def test_at_no_moment_a_valid_token_fails(server, chief):
    first = chief.activate(chief.prepare(kind=JWT).name, force=True)
    old = issued(server)
    assert key_of(old) == kid(first)
    with Bundles(server) as bundles:
        traffic = Traffic(server, bundles)
        try:
            for _ in range(3):
                traffic.some()
                former = next(name for name, state in keys(chief).items() if state == ACTIVE)
                new = chief.prepare(kind=JWT, propagation=1)
                eventually(lambda: kid(new) in bundles.keys, "bundles")
                assert new.state == PREPARED
                traffic.some()
                assert kid(new) not in traffic.kids
                eventually(lambda: fetched(lambda: chief.activate(new.name)), "it has been in all bundles")
                eventually(lambda: traffic.kids[-1] == kid(new), "tokens")
                traffic.some()
                assert (keys(chief)[former], keys(chief)[new.name]) == (RETIRING, ACTIVE)
            assert validated(server, old) == "OK"
            assert chief.retire(first.name).authority.state == RETIRING
            until = chief.retire(first.name).authority
            assert until.trust_until.seconds - until.retire_time.seconds == 900
            traffic.some()
        finally:
            traffic.close()
        assert traffic.failures == []
        # Lost: nobody takes it any more.
        assert not chief.retire(first.name, force=True).HasField("authority")
        eventually(lambda: kid(first) not in bundles.keys, "bundles")
        assert validated(server, old) == "INVALID_ARGUMENT"
        failure("NOT_FOUND", chief.retire, first.name)


def test_what_it_is(server, chief):
    made = chief.prepare(kind=JWT)
    assert (made.state, made.kind, made.trust_domain) == (PREPARED, JWT, TRUST_DOMAIN)
    assert not made.certificate_chain and not made.certificate_request and not made.HasField("expire_time")
    key = json.loads(made.public_key)
    assert (key["kty"], key["crv"], key["alg"]) == ("EC", "P-256", "ES256") and "d" not in key
    error = failure("FAILED_PRECONDITION", chief.activate, made.name)
    assert error.reason == "AUTHORITY_NOT_PROPAGATED"
    invalid("common_name", chief.prepare, kind=JWT, common_name="x")
    invalid("external", chief.prepare, kind=JWT, external=True)
    invalid("kind", chief.prepare, kind=7)
    error = failure("FAILED_PRECONDITION", chief.import_chain, made.name, b"x")
    assert error.reason == "ILLEGAL_TRANSITION"
    # Certificates have nothing to do with it.
    assert chief.activate(chief.prepare().name, force=True).state == ACTIVE
    assert chief.activate(made.name, force=True).state == ACTIVE
    assert sorted(one.state for one in chief.certificate_authorities()) == [ACTIVE, ACTIVE]


def test_without_one_that_signs_there_are_none(server, chief):
    def refused():
        with grpc.insecure_channel(f"unix:{server.workload_socket}") as channel:
            stub = channel.unary_unary(
                "/SpiffeWorkloadAPI/FetchJWTSVID",
                request_serializer=workload_pb2.JWTSVIDRequest.SerializeToString,
                response_deserializer=workload_pb2.JWTSVIDResponse.FromString)
            with pytest.raises(grpc.RpcError) as error:
                stub(workload_pb2.JWTSVIDRequest(audience=["x"]), metadata=HEADER, timeout=10)
            return error.value.code().name
    assert refused() == "UNAVAILABLE"
    with Bundles(server) as bundles:
        assert bundles.keys == {}
        made = chief.prepare(kind=JWT)
        eventually(lambda: kid(made) in bundles.keys, "bundles")
        assert refused() == "UNAVAILABLE"
        chief.activate(made.name, force=True)
        token = issued(server)
        bundles.verify(token)
        # By force, whoever follows the bundle is told that there is none, and need not guess why a stream has ended.
        chief.retire(made.name, force=True)
        eventually(lambda: bundles.keys == {}, "bundles")
    assert refused() == "UNAVAILABLE" and validated(server, token) == "INVALID_ARGUMENT"


def test_from_files_to_the_store(make_server, tmp_path):
    server = with_workload_api(make_server(), jwt_keys=[key_file(tmp_path, "old.key")]).start()
    with server.operator() as chief:
        chief.register(chief.active("acme", api.SHARED).name, "web", uid=os.getuid())
        by_file = issued(server)
        with Bundles(server) as bundles:
            assert list(bundles.keys) == [key_of(by_file)]
            made = chief.prepare(kind=JWT)
            eventually(lambda: set(bundles.keys) == {key_of(by_file), kid(made)}, "bundles")
            assert key_of(issued(server)) == key_of(by_file)
            chief.activate(made.name, force=True)
            eventually(lambda: key_of(issued(server)) == kid(made), "tokens")
            bundles.verify(by_file)
            assert validated(server, by_file) == "OK"
            # And back.
            chief.retire(made.name, force=True)
            eventually(lambda: key_of(issued(server)) == key_of(by_file), "tokens")


def test_killed_between_steps_it_goes_on(server, chief):
    made = chief.prepare(kind=JWT)

    def again():
        server.kill()
        server.start()

    again()
    with server.operator() as client:
        assert client.certificate_authorities() == [made]
        client.activate(made.name, force=True)
    again()
    token = issued(server)
    assert key_of(token) == kid(made)
    with server.operator() as client:
        client.secrets.RotateDataKey(api.secrets.RotateDataKeyRequest(), timeout=20)
        second = client.prepare(kind=JWT)
        client.activate(second.name, force=True)
    again()
    assert key_of(issued(server)) == kid(second)
    assert validated(server, token) == "OK"
    for file in server.data.rglob("*"):
        assert not file.is_file() or b"PRIVATE KEY" not in file.read_bytes()


def test_all_nodes_have_the_same(make_server, database):
    nodes = []
    for _ in range(2):
        node = with_workload_api(make_server(**node_settings(database)))
        if nodes:
            shutil.copy(nodes[0].master_key, node.master_key)
        nodes.append(node.start())
    with nodes[0].operator() as chief, nodes[1].operator() as other:
        chief.register(chief.active("acme", api.SHARED).name, "web", uid=os.getuid())
        first = chief.activate(chief.prepare(kind=JWT).name, force=True)
        for node in nodes:
            eventually(lambda node=node: key_of(issued(node)) == kid(first), "all sign by it", 30)
        token = issued(nodes[0])
        assert validated(nodes[1], token) == "OK"
        second = other.prepare(kind=JWT, propagation=1)
        with Bundles(nodes[0]) as bundles:
            eventually(lambda: set(bundles.keys) == {kid(first), kid(second)}, "bundles")
            eventually(lambda: fetched(lambda: other.activate(second.name)), "it has been in all bundles")
            # What either signs the other takes at every moment.
            for _ in range(10):
                for signing, judging in (nodes, nodes[::-1]):
                    assert validated(judging, issued(signing)) == "OK"
            eventually(lambda: key_of(issued(nodes[0])) == kid(second), "all sign by it", 30)
            other.retire(first.name, force=True)
            for node in nodes:
                eventually(lambda node=node: validated(node, token) == "INVALID_ARGUMENT", "none takes it")
            eventually(lambda: set(bundles.keys) == {kid(second)}, "bundles")
