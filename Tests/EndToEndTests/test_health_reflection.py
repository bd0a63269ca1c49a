"""The services that every gRPC server is expected to have, by the clients that expect them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase)

from support import api

SERVING = health_pb2.HealthCheckResponse.SERVING
SERVICES = {f"tenancy.v1.{name}" for name in
            ("Audit", "Authorization", "CertificateAuthorities", "Clusters", "FeatureFlags", "Identity", "Plans", "Secrets",
             "SettingDefinitions", "TenantConfigurations", "TenantData", "TenantDomains", "TenantManager", "TenantOperations",
             "TenantResolver",
             "Tokens", "WorkloadEntries")} | {
                 "envoy.service.auth.v3.Authorization", "envoy.service.ratelimit.v3.RateLimitService"}
OWN = {"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
       "grpc.reflection.v1alpha.ServerReflection"}


@pytest.fixture(scope="module", params=["operator on a Unix socket", "tenant over TLS"])
def channel(request, server, pki, admin):
    """Whoever may connect may ask: neither service needs a permission."""
    if request.param == "operator on a Unix socket":
        client = server.operator()
    else:
        admin.active("reflector")
        client = server.client(pki.python.tenant("reflector"))
    with client:
        yield client.channel


# MARK: Health


@pytest.fixture
def health(channel):
    return health_pb2_grpc.HealthStub(channel)


def asked(service: str = ""):
    return health_pb2.HealthCheckRequest(service=service)


def test_check(health):
    for service in ("", *SERVICES):
        assert health.Check(asked(service), timeout=20).status == SERVING


def test_check_of_an_unknown_service(health):
    with pytest.raises(grpc.RpcError) as failure:
        health.Check(asked("tenancy.v1.Nothing"), timeout=20)
    assert failure.value.code() is grpc.StatusCode.NOT_FOUND


def test_list(health):
    statuses = health.List(health_pb2.HealthListRequest(), timeout=20).statuses
    assert {name: status.status for name, status in statuses.items()} == dict.fromkeys(
        SERVICES | {""}, SERVING)


def test_watch(health):
    for service, status in (("", SERVING),
                            ("x.Y", health_pb2.HealthCheckResponse.SERVICE_UNKNOWN)):
        watch = health.Watch(asked(service), timeout=20)
        assert next(watch).status == status
        watch.cancel()


def test_watch_keeps_no_long_names(health):
    watch = health.Watch(asked("x" * 1024), timeout=20)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    watch.cancel()
    assert health.Watch(asked("x" * 1025), timeout=20).code() is grpc.StatusCode.INVALID_ARGUMENT


def test_watchers_hear_of_the_end(make_server):
    server = make_server().start()
    with server.operator() as client:
        stub = health_pb2_grpc.HealthStub(client.channel)
        watches = [stub.Watch(asked(service), timeout=30) for service in ("", *SERVICES)]
        for watch in watches:
            assert next(watch).status == SERVING
        server.process.terminate()
        for watch in watches:
            assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
            assert watch.code() is grpc.StatusCode.UNAVAILABLE
        # It did not wait for the watchers, whose calls would never have ended.
        assert server.wait(10) == 0


# What a disk does that has failed: no more can be made durable, while a file is there.
BROKEN_DISK = """
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
static int is_broken(void) { return access(getenv("BROKEN_DISK"), F_OK) == 0; }
int fdatasync(int file) { if (is_broken()) { errno = EIO; return -1; } return fsync(file); }
ssize_t pwrite64(int file, const void *bytes, size_t count, off_t at) {
  if (is_broken()) { errno = EIO; return -1; }
  return pwrite(file, bytes, count, at);
}
"""


@pytest.fixture
def broken_disk(tmp_path):
    """A file whose presence breaks the disk, and the environment that makes it so."""
    source, library = tmp_path / "disk.c", tmp_path / "disk.so"
    source.write_text(BROKEN_DISK)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    switch = tmp_path / "broken"
    return switch, os.environ | {"LD_PRELOAD": str(library), "BROKEN_DISK": str(switch)}


def test_a_broken_store_is_not_serving(make_server, broken_disk, slug):
    switch, environment = broken_disk
    server = make_server().start(environment)
    with server.operator() as client:
        stub = health_pb2_grpc.HealthStub(client.channel)
        watch = stub.Watch(asked("tenancy.v1.TenantManager"), timeout=60)
        assert next(watch).status == SERVING
        client.create(slug("before"))
        switch.touch()
        with pytest.raises(grpc.RpcError) as failure:
            client.create(slug("lost"))
        assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert stub.Check(asked(), timeout=20).status == health_pb2.HealthCheckResponse.NOT_SERVING
        # It finds out by itself that the disk is back: nobody writes to what is not healthy.
        switch.unlink()
        assert next(watch).status == SERVING
        assert stub.Check(asked(), timeout=20).status == SERVING
        client.create(slug("after"))


# MARK: Reflection


@pytest.fixture
def database(channel):
    return ProtoReflectionDescriptorDatabase(channel)


def test_services_are_listed(database):
    assert set(database.get_services()) == SERVICES | OWN


def test_the_whole_api_can_be_rebuilt(database):
    """Everything that is needed to call every method, and what its options say."""
    pool = DescriptorPool(database)
    for path, known in api.methods().items():
        service, method = path.split("/")
        found = pool.FindServiceByName(f"tenancy.v1.{service}").methods_by_name[method]
        assert shape(found.input_type) == shape(known.input_type)
        assert shape(found.output_type) == shape(known.output_type)
        assert found.GetOptions().SerializeToString() == known.GetOptions().SerializeToString()


def shape(message, above=()) -> tuple:
    """What a message looks like, and the messages in it."""
    if message is None or message.full_name in above:
        return ()
    inside = (*above, message.full_name)
    return message.full_name, {
        field.name: (field.number, field.type, field.is_repeated, shape(field.message_type, inside),
                     field.enum_type and list(field.enum_type.values_by_number))
        for field in message.fields}


def ask(channel, version: str, *requests):
    call = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString)
    asked = [reflection_pb2.ServerReflectionRequest(host="h", **request) for request in requests]
    answers = list(call(iter(asked), timeout=20))
    assert [answer.original_request for answer in answers] == asked
    assert all(answer.valid_host == "h" for answer in answers)
    return answers


@pytest.fixture(params=["v1", "v1alpha"])
def version(request):
    return request.param


def names(answer) -> list[str]:
    return [descriptor_pb2.FileDescriptorProto.FromString(data).name
            for data in answer.file_descriptor_response.file_descriptor_proto]


@pytest.mark.parametrize(("symbol", "file"), [
    ("tenancy.v1.TenantManager", "tenancy/v1/tenant_manager.proto"),
    ("tenancy.v1.TenantManager.CreateTenant", "tenancy/v1/tenant_manager.proto"),
    ("tenancy.v1.Tenant", "tenancy/v1/tenant.proto"),
    ("tenancy.v1.Tenant.slug", "tenancy/v1/tenant.proto"),
    ("tenancy.v1.TENANT_STATE_ACTIVE", "tenancy/v1/tenant.proto"),
    ("tenancy.v1.authorization", "tenancy/v1/options.proto"),
    ("google.protobuf.Struct", "google/protobuf/struct.proto"),
    ("google.protobuf.FieldDescriptorProto.Type", "google/protobuf/descriptor.proto"),
    ("google.rpc.BadRequest.FieldViolation", "google/rpc/error_details.proto"),
    ("grpc.health.v1.HealthCheckResponse.ServingStatus", "grpc/health/v1/health.proto"),
    ("grpc.reflection.v1.ServerReflectionRequest.message_request",
     "grpc/reflection/v1/reflection.proto")])
def test_symbols_are_found(channel, version, symbol, file):
    [answer] = ask(channel, version, {"file_containing_symbol": symbol})
    assert names(answer)[0] == file


def test_imports_come_along_and_only_once(channel, version):
    file = {"file_by_filename": "tenancy/v1/tenant.proto"}
    first, second, other = ask(
        channel, version, file, file, {"file_by_filename": "tenancy/v1/identity.proto"})
    assert names(first)[0] == "tenancy/v1/tenant.proto"
    assert {"google/protobuf/struct.proto", "google/protobuf/timestamp.proto"} <= set(names(first))
    assert names(second) == ["tenancy/v1/tenant.proto"]
    assert "google/protobuf/timestamp.proto" not in names(other)


def test_extensions_are_found(channel, version):
    options = "google.protobuf.MethodOptions"
    [found] = ask(channel, version, {"all_extension_numbers_of_type": options})
    [number] = found.all_extension_numbers_response.extension_number
    assert number == api.options.authorization.number
    assert found.all_extension_numbers_response.base_type_name == options
    [file, none] = ask(
        channel, version,
        {"file_containing_extension": {"containing_type": options, "extension_number": number}},
        {"all_extension_numbers_of_type": "tenancy.v1.Tenant"})
    assert names(file)[0] == "tenancy/v1/options.proto"
    assert none.HasField("all_extension_numbers_response")
    assert not none.all_extension_numbers_response.extension_number


def test_errors_do_not_end_the_stream(channel, version):
    bad = [{"file_by_filename": "tenancy/v1/nothing.proto"},
           {"file_containing_symbol": "tenancy.v1.Nothing"},
           {"file_containing_symbol": ".tenancy.v1.Tenant"},
           {"file_containing_symbol": ""},
           {"all_extension_numbers_of_type": "tenancy.v1.Identity"},
           {"file_containing_extension": {"containing_type": "google.protobuf.MethodOptions",
                                          "extension_number": 1}}]
    *answers, nothing, last = ask(channel, version, *bad, {}, {"list_services": ""})
    assert [answer.error_response.error_code for answer in answers] == [5] * len(bad)
    assert nothing.error_response.error_code == 3
    assert {service.name for service in last.list_services_response.service} == SERVICES | OWN


# MARK: grpcurl


def grpcurl(server, *arguments: str) -> str:
    # Beside this Python. This version sends the socket's path as `:authority`.
    command = [Path(sys.executable).with_name("grpcurl"), "-plaintext", "-unix", *arguments[:-1],
               str(server.socket), *arguments[-1].split(" ")]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=30).stdout


def test_grpcurl_lists_and_describes(server):
    assert set(grpcurl(server, "list").split()) == SERVICES | OWN
    assert "SCOPE_TENANT" in grpcurl(
        server, "describe tenancy.v1.TenantResolver.ResolveTenant")


def test_grpcurl_calls_without_protos(server):
    answer = json.loads(grpcurl(server, "tenancy.v1.Identity/WhoAmI"))
    assert answer["subject"] == f"uid:{os.getuid()}"
    answer = json.loads(
        grpcurl(server, "-d", '{"service": "tenancy.v1.Identity"}', "grpc.health.v1.Health/Check"))
    assert answer == {"status": "SERVING"}
