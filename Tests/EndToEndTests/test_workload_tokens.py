"""JWT-SVIDs of the SPIFFE Workload API, by the public `spiffe` library and judged by others."""

import json
import os
import time

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from google.protobuf import json_format
from spiffe import SpiffeId, TrustDomain, WorkloadApiClient
from spiffe._proto import workload_pb2
from spiffe.errors import PySpiffeError
from support import api
from support.daemon import ISSUER, Server
from support.pki import TRUST_DOMAIN, _pem
from support.waiting import eventually
from support.workload import HEADER, Workload, with_workload_api
from test_workload_api import acme, ask, identity, register  # noqa: F401  (fixtures)


def key_file(directory, name: str, key=None):
    file = directory / name
    file.touch(mode=0o600)
    file.write_bytes(_pem(key or ec.generate_private_key(ec.SECP256R1())))
    return str(file)


@pytest.fixture(scope="module")
def server(tmp_path_factory, pki):
    directory = tmp_path_factory.mktemp("server")
    server = with_workload_api(
        Server(directory, pki, audit={"window_seconds": 1}),
        jwt_keys=[key_file(directory, "jwt1.key"), key_file(directory, "jwt2.key")])
    try:
        yield server.start()
        assert server.process.poll() is None, f"tenantd ended:\n{server.log}"
    finally:
        server.close()


@pytest.fixture
def client(server):
    with WorkloadApiClient(f"unix:{server.workload_socket}") as client:
        yield client


@pytest.fixture
def raw(server):
    """Calls a method of one answer; returns that, or the status."""
    # Those of the public library: a process can have but one.
    types = workload_pb2
    with grpc.insecure_channel(f"unix:{server.workload_socket}") as channel:
        def call(method: str, header=HEADER, **fields):
            request, response = (getattr(types, f"{kind}{end}") for kind, end in (
                (method.removeprefix("Fetch"), "Request"), (method.removeprefix("Fetch"), "Response")))
            stub = channel.unary_unary(
                f"/SpiffeWorkloadAPI/{method}", request_serializer=request.SerializeToString,
                response_deserializer=response.FromString)
            try:
                return stub(request(**fields), metadata=header, timeout=10)
            except grpc.RpcError as error:
                return error.code().name
        yield call


def test_the_public_library_gets_and_validates_them(client, acme, register):
    register(acme.name, "web", uid=os.getuid(), lifetime=120)
    svid = client.fetch_jwt_svid(audience={"orders", "billing"})
    assert str(svid.spiffe_id) == identity(acme, "web")
    assert set(svid.audience) == {"orders", "billing"}
    assert 100 < svid.expiry - time.time() <= 120
    found = client.validate_jwt_svid(svid.token, audience="orders")
    assert str(found.spiffe_id) == identity(acme, "web")
    bundles = client.fetch_jwt_bundles()
    bundle = bundles.get_bundle_for_trust_domain(TrustDomain(TRUST_DOMAIN))
    assert len(bundle.jwt_authorities) == 2
    # A library that knows nothing of SPIFFE takes it as well.
    header = jwt.get_unverified_header(svid.token)
    assert (header["alg"], header["typ"]) == ("ES256", "JWT")
    claims = jwt.decode(svid.token, bundle.jwt_authorities[header["kid"]], algorithms=["ES256"],
                        audience="orders")
    assert claims["iss"] == f"spiffe://{TRUST_DOMAIN}"


def test_one_is_had_by_name(client, raw, acme, register):
    for path in ("one", "two"):
        register(acme.name, path, uid=os.getuid(), hint=path)
    wanted = identity(acme, "two")
    svid = client.fetch_jwt_svid(audience={"x"}, subject=SpiffeId(wanted))
    assert str(svid.spiffe_id) == wanted
    both = raw("FetchJWTSVID", audience=["x"]).svids
    assert [(one.spiffe_id, one.hint) for one in both] == [
        (identity(acme, "one"), "one"), (wanted, "two")]
    assert raw("FetchJWTSVID", audience=["x"], spiffe_id=identity(acme, "other")) == "PERMISSION_DENIED"


def test_they_do_not_live_long(raw, acme, register):
    register(acme.name, "web", uid=os.getuid(), lifetime=86_400)
    [svid] = raw("FetchJWTSVID", audience=["x"]).svids
    claims = jwt.decode(svid.svid, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 300


def test_what_is_wrong_is_refused(raw, acme, register):
    for method, fields in (("FetchJWTSVID", {"audience": ["x"]}),
                           ("ValidateJWTSVID", {"audience": "x", "svid": "x"})):
        assert raw(method, **fields) == "PERMISSION_DENIED"
        assert raw(method, header=[], **fields) == "INVALID_ARGUMENT"
    register(acme.name, "web", uid=os.getuid())
    for audience in ([], [""], ["a b"], ["x", "x"], ["x" * 257], [str(n) for n in range(9)], ["\n"]):
        assert raw("FetchJWTSVID", audience=audience) == "INVALID_ARGUMENT"
    for audience in ("", "a b"):
        assert raw("ValidateJWTSVID", audience=audience, svid="x") == "INVALID_ARGUMENT"


def test_only_ours_for_the_audience_are_valid(raw, server, acme, admin, register):
    register(acme.name, "web", uid=os.getuid())
    [svid] = raw("FetchJWTSVID", audience=["orders"]).svids
    token = svid.svid
    answer = raw("ValidateJWTSVID", audience="orders", svid=token)
    assert answer.spiffe_id == identity(acme, "web")
    claims = json_format.MessageToDict(answer.claims)
    assert claims == jwt.decode(token, options={"verify_signature": False})
    head, body, signature = token.split(".")
    other = ec.generate_private_key(ec.SECP256R1())
    header = {"kid": jwt.get_unverified_header(token)["kid"]}
    wrong = {
        "audience": token, "signature": f"{head}.{body}.{signature[:-4]}AAAA",
        "unsigned": f"{head}.{body}.", "none": jwt.encode(claims, None, algorithm="none"),
        "key": jwt.encode(claims, other, algorithm="ES256", headers=header),
        "symmetric": jwt.encode(claims, "x" * 32, algorithm="HS256", headers=header),
        "empty": "", "text": "x.y.z", "large": "x" * 9_000,
        # A tenant's token is none of these, and the other way round.
        "token": admin.tokens.IssueToken(api.tokens.IssueTokenRequest(
            parent=acme.name, subject="user:al", unbound=True, audiences=["orders"])).token,
    }
    for name, bad in wrong.items():
        audience = "billing" if name == "audience" else "orders"
        assert raw("ValidateJWTSVID", audience=audience, svid=bad) == "INVALID_ARGUMENT", name
    [svid] = raw("FetchJWTSVID", audience=[ISSUER]).svids
    with server.client() as gateway, pytest.raises(grpc.RpcError):
        gateway.identity.WhoAmI(api.identity.WhoAmIRequest(), timeout=10,
                                metadata=[("authorization", f"Bearer {svid.svid}")])
    found = admin.tokens.IntrospectToken(api.tokens.IntrospectTokenRequest(token=svid.svid), timeout=10)
    assert not found.active


def test_one_ends_with_its_entry(raw, acme, admin):
    entries = [admin.register(acme.name, path, uid=os.getuid()) for path in ("one", "two")]
    one, two = (svid.svid for svid in raw("FetchJWTSVID", audience=["orders"]).svids)
    claims = jwt.decode(one, options={"verify_signature": False})
    assert claims["tenancy_entry"] == entries[0].name.removeprefix("workloadEntries/")
    assert raw("ValidateJWTSVID", audience="orders", svid=one).spiffe_id == identity(acme, "one")
    admin.unregister(entries[0].name)
    assert raw("ValidateJWTSVID", audience="orders", svid=one) == "INVALID_ARGUMENT"
    assert raw("ValidateJWTSVID", audience="orders", svid=two).spiffe_id == identity(acme, "two")
    admin.unregister(entries[1].name)


def test_a_suspended_tenant_s_workloads_get_none(raw, acme, admin, register):
    register(acme.name, "web", uid=os.getuid())
    assert len(raw("FetchJWTSVID", audience=["x"]).svids) == 1
    admin.suspend(acme.name)
    assert raw("FetchJWTSVID", audience=["x"]) == "PERMISSION_DENIED"


def test_what_is_issued_is_in_the_audit_trail(raw, acme, admin, register):
    register(acme.name, "web", uid=os.getuid())
    raw("FetchJWTSVID", audience=["x"])

    def noted():
        records = admin.audit.ListAuditRecords(
            api.audit.ListAuditRecordsRequest(parent=acme.name, page_size=500), timeout=20).records
        return {record.action for record in records}
    eventually(lambda: "workloads.issueToken" in noted(), "it is in the audit trail")


def test_keys_are_replaced(make_server, tmp_path):
    old, new = key_file(tmp_path, "old.key"), key_file(tmp_path, "new.key")
    server = with_workload_api(make_server(), jwt_keys=[old]).start()
    with server.operator() as admin:
        tenant = admin.active("acme", api.SHARED)
        admin.register(tenant.name, "web", uid=os.getuid())
    with Workload(server.workload_socket, method="FetchJWTBundles") as bundles:
        def kids():
            [bundle] = bundles.raw_bundles().values()
            return {key["kid"] for key in json.loads(bundle)["keys"]}
        before = kids()
        os.rename(new, old)
        after = kids()
        assert len(after) == 1 and after != before


def test_without_keys_there_is_no_such_profile(make_server):
    """Neither in files, nor a master key for those of the store."""
    server = with_workload_api(make_server())
    for section in ("secrets", "tokens"):
        server.settings.pop(section)
    server.start()
    with server.operator() as admin:
        admin.register(admin.active("acme", api.SHARED).name, "web", uid=os.getuid())
    with grpc.insecure_channel(f"unix:{server.workload_socket}") as channel:
        for method in ("FetchJWTSVID", "FetchJWTBundles", "ValidateJWTSVID"):
            call = channel.unary_unary(f"/SpiffeWorkloadAPI/{method}",
                                       request_serializer=bytes, response_deserializer=bytes)
            with pytest.raises(grpc.RpcError) as caught:
                call(b"", metadata=HEADER, timeout=10)
            assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    with WorkloadApiClient(f"unix:{server.workload_socket}") as client:
        with pytest.raises(PySpiffeError):
            client.fetch_jwt_svid(audience={"x"}, timeout=10)


@pytest.mark.parametrize("key", [ed25519.Ed25519PrivateKey.generate(),
                                 ec.generate_private_key(ec.SECP384R1())], ids=["ed25519", "p384"])
def test_other_keys_are_refused(make_server, tmp_path, key):
    server = with_workload_api(make_server(), jwt_keys=[key_file(tmp_path, "x.key", key)])
    server.launch()
    assert server.wait() == 1
    assert "workload_api.jwt_keys" in server.log
