"""Requests that are wrong: each is told what is wrong, and the connection goes on."""

import subprocess
import threading
from pathlib import Path

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from support import api
from support.client import Failure, failure, invalid
from support.requests import (ABOUT_A_DOMAIN, ABOUT_A_GROUP, ABOUT_A_MEMBER, ABOUT_A_ROLE, ABOUT_A_TENANT,
                              ABOUT_AN_ASSIGNMENT, EVERY, PLATFORM)
from support.waiting import eventually
from support.wire import field, number

authz, manager, tenant = api.authz, api.manager, api.tenant
MEBIBYTE = 1024 * 1024

CREATE = "/tenancy.v1.TenantManager/CreateTenant"
GET = "/tenancy.v1.TenantManager/GetTenant"
CHECK = "/tenancy.v1.Authorization/Check"
CREATE_ROLE = "/tenancy.v1.Authorization/CreateRole"
BATCH = "/tenancy.v1.Authorization/BatchCheck"
RESOLVE = "/tenancy.v1.TenantResolver/ResolveTenant"
UPDATE = "/tenancy.v1.TenantManager/UpdateTenant"


@pytest.fixture(scope="module")
def bystander(server):
    """Asks without a pause on a connection of its own; must never notice anything."""
    done, failures = threading.Event(), []

    def ask():
        with server.operator() as client:
            while not done.is_set():
                try:
                    client.who()
                except Exception as error:
                    failures.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    yield failures
    done.set()
    thread.join()
    assert not failures


@pytest.fixture(autouse=True)
def goes_on(operator, bystander):
    """After every test the same connection is served, and others never noticed."""
    yield
    operator.who()
    assert not bystander


@pytest.fixture(scope="module")
def home(admin):
    return admin.active("home", api.HYBRID)


@pytest.mark.parametrize("path", [
    "/tenancy.v1.TenantManager/Nothing", "/tenancy.v1.Nothing/GetTenant",
    "/tenancy.v2.TenantManager/GetTenant",
    "/tenancy.v1.TenantManager/getTenant", "/tenancy.v1.TenantManager/", "/", "//", "/x",
    "/tenancy.v1.TenantManager/GetTenant/", "/tenancy.v1.TenantManager/GetTenant?x"])
def test_unknown_methods(operator, path):
    failure("UNIMPLEMENTED", operator.raw, path, b"")


UNDECODABLE = {
    "a tag alone": b"\x0a", "a length beyond the end": b"\x0a\x05ab",
    "an endless varint": b"\x08" + b"\xff" * 11,
    "wire type 7": b"\x0f", "field 0": b"\x02\x00", "text where a number is due": b"\xff" * 64,
    "a length of 2^63": b"\x0a" + b"\xff" * 9 + b"\x01",
}


@pytest.mark.parametrize("case", UNDECODABLE)
@pytest.mark.parametrize("path", [GET, CREATE, CHECK], ids=lambda path: path.rpartition("/")[2])
def test_undecodable_bytes(operator, path, case):
    invalid("request", operator.raw, path, UNDECODABLE[case])


def test_unknown_fields_are_passed_over(operator, home):
    answer = operator.raw(GET, field(1, home.name) + field(99, b"later") + number(98, 7))
    assert tenant.Tenant.FromString(answer) == home


BAD_TEXT = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"a\xe2\x82", b"a\0b"]


@pytest.mark.parametrize("text", BAD_TEXT, ids=ascii)
def test_text_that_is_not_utf_8_or_has_a_nul(operator, home, text):
    named = number(6, 3)  # Tenant.isolation_model
    cases = {
        "name": (GET, field(1, text)),
        "tenant.slug": (CREATE, field(1, field(3, text) + named)),
        "tenant.display_name": (CREATE, field(1, field(4, text) + named)),
        "tenant.configuration.feature_flags": (CREATE, field(1, named + field(
            7, field(5, field(1, text) + number(2, 1))))),
        "tenant.configuration.database.password": (CREATE, field(1, named + field(
            7, field(1, field(3, text))))),
        "role.permissions[1]": (CREATE_ROLE, field(1, home.name) + field(2, "x") + field(
            3, field(4, "a:b") + field(4, text))),
        "subject": (CHECK, field(1, home.name) + field(2, text) + field(3, "a:b")),
        "permission": (CHECK, field(1, home.name) + field(2, "user:al") + field(3, text)),
        "items[1].subject": (BATCH, field(1, home.name) + field(2, field(1, "s") + field(2, "a:b"))
                             + field(2, field(1, text) + field(2, "a:b"))),
        "path": (RESOLVE, field(1, text)),
        "headers": (RESOLVE, field(3, field(1, "x-tenant-id") + field(2, text))),
        "environment": (RESOLVE, field(5, field(1, text) + field(2, "x"))),
    }
    for place, (path, request) in cases.items():
        invalid(place, operator.raw, path, request)


def test_a_nul_does_not_shorten_a_name(operator, home):
    """`home\\0x` must not read as `home`."""
    for name in (b"home\0x", b"tenants/home\0x", b"tenants/home\0/roles/x"):
        invalid("name", operator.raw, GET, field(1, name))


# Of these the tenant is in no field that the gate looks at.
ELSEWHERE = {"TenantManager/CreateTenant": "tenant.slug",
             "WorkloadEntries/CreateWorkloadEntry": "entry.tenant",
             "TenantManager/BatchCreateTenants": "requests[0].tenant.slug",
             "TenantManager/BatchGetTenants": "names[0]", "WorkloadEntries/ListWorkloadEntries": "owner"}
NAMELESS = {"Secrets/RotateDataKey", "TenantManager/ListBusiestTenants", "WorkloadEntries/GetWorkloadEntry",
            "WorkloadEntries/DeleteWorkloadEntry", *(
                method for method in PLATFORM if method.startswith(
                    ("CertificateAuthorities/", "Clusters/", "FeatureFlags/", "Plans/", "SettingDefinitions/",
                     "TenantOperations/")))}


@pytest.mark.parametrize("method", sorted({*ABOUT_A_TENANT, *PLATFORM} - NAMELESS))
def test_the_name_of_something_in_a_tenant_is_not_the_tenant_s(operator, admin, home, method):
    """DeleteTenant of a role's name must not delete the tenant."""
    options = api.methods()[method].GetOptions().Extensions[api.options.authorization]
    before = admin.get(home.name)
    for name in (f"{home.name}/roles/tenant-admin", f"{home.name}/", "home/x", "tenants/tenants/home"):
        if method == "TenantResolver/ValidateTenant":
            answer = api.resolver.ValidateTenantResponse.FromString(
                operator.call(method, EVERY[method](name)))
            assert not answer.valid
        else:
            field = ELSEWHERE.get(method, options.tenant_field)
            invalid(field, operator.call, method, EVERY[method](name))
    assert admin.get(home.name) == before


@pytest.mark.parametrize("method", sorted(
    {**ABOUT_A_TENANT, **ABOUT_A_ROLE, **ABOUT_A_GROUP, **ABOUT_A_MEMBER, **ABOUT_AN_ASSIGNMENT, **ABOUT_A_DOMAIN,
     **PLATFORM}))
def test_a_request_without_a_tenant(operator, method):
    """The field that is missing is called by its name."""
    options = api.methods()[method].GetOptions().Extensions[api.options.authorization]
    if not options.tenant_field:
        return  # Creation and validation, which have tests of their own.
    for request in (b"", EVERY[method]("").SerializeToString(),
                    EVERY[method]("tenants/Not_A_Name/x/y").SerializeToString()):
        invalid(options.tenant_field, operator.raw, f"/tenancy.v1.{method}", request)


def test_messages_over_the_limit(operator, home):
    fits = field(1, home.name) + field(99, bytes(4 * MEBIBYTE - 100))
    assert tenant.Tenant.FromString(operator.raw(GET, fits)) == home
    for size in (4 * MEBIBYTE, 8 * MEBIBYTE):
        error = failure("RESOURCE_EXHAUSTED", operator.raw, GET, field(99, bytes(size)))
        assert (error.reason, error.fields) == ("LIMIT_REACHED", ["request"])


@pytest.mark.parametrize("path, empty", [
    (BATCH, field(2, b"")),
    (CREATE, field(1, b"")),
    (CREATE, field(1, field(7, field(5, b"")))),
    (CREATE_ROLE, field(3, b"\x22\x00" * 100)),
    (RESOLVE, field(3, b"")),
    (UPDATE, field(2, b"\x0a\x00" * 50)),
], ids=["items", "tenants", "flags", "permissions", "headers", "paths"])
def test_small_messages_that_describe_large_ones(server, operator, path, empty):
    """4 MiB of empty parts: refused in whatever way, but the server does not grow by much more."""
    def peak() -> int:
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) // 1024

    before = peak()
    with pytest.raises(grpc.RpcError) as caught:
        operator.raw(path, empty * (4 * MEBIBYTE // len(empty) - 1))
    assert caught.value.code().name in ("RESOURCE_EXHAUSTED", "INVALID_ARGUMENT")
    assert Failure.of(caught.value).fields
    assert peak() - before < 160, "MiB for 4 MiB"


def nested(depth: int) -> tenant.TenantConfiguration:
    configuration = tenant.TenantConfiguration()
    value = configuration.custom_settings.fields["a"]
    for _ in range(depth - 1):
        value = value.struct_value.fields["a"]
    value.bool_value = True
    return configuration


def configure(operator, name, configuration, *mask):
    return operator.manager.UpdateTenantConfiguration(manager.UpdateTenantConfigurationRequest(
        name=name, configuration=configuration, update_mask=FieldMask(paths=mask)))


def test_the_depth_of_settings(operator, slug):
    operator.create(slug)
    stored = configure(operator, slug, nested(32)).configuration
    assert stored.custom_settings == nested(32).custom_settings
    for depth in (33, 1000):
        raw = nested(1).custom_settings.SerializeToString()
        for _ in range(depth - 1):  # By hand: some implementations refuse to encode it.
            raw = field(1, field(1, "a") + field(2, field(5, raw)))
        error = failure("INVALID_ARGUMENT", operator.raw,
                        "/tenancy.v1.TenantManager/UpdateTenantConfiguration",
                        field(1, slug) + field(2, field(4, raw)))
        assert len(error.fields) == 1
        assert error.fields[0].startswith("configuration.custom_settings")
    assert operator.get(slug).configuration == stored


def test_the_size_of_settings(operator, slug):
    operator.create(slug)
    configuration = tenant.TenantConfiguration()
    configuration.custom_settings["a"] = "x" * (64 * 1024 - 8)  # {"a":"…"} and a colon.
    configure(operator, slug, configuration)
    configuration.custom_settings["a"] += "x"
    invalid("configuration.custom_settings", configure, operator, slug, configuration)


def test_the_number_of_flags(operator, slug):
    operator.create(slug)
    flags = tenant.TenantConfiguration(feature_flags={f"f{n}": True for n in range(1000)})
    configure(operator, slug, flags)
    invalid("configuration.feature_flags", configure, operator, slug,
            tenant.TenantConfiguration(feature_flags={"one-more": True}))
    for name in ("", "x" * 129):
        invalid("configuration.feature_flags", configure, operator, slug,
                tenant.TenantConfiguration(feature_flags={name: True}), "feature_flags")
    assert len(operator.get(slug).configuration.feature_flags) == 1000


def test_of_duplicate_map_keys_the_last_counts(operator, slug):
    """As protobuf has it: the server must not keep both, nor choose the first."""
    operator.create(slug)
    flag = field(1, "f")
    request = field(1, slug) + field(2, field(5, flag + number(2, 1)) + field(5, flag + number(2, 0)))
    answer = operator.raw("/tenancy.v1.TenantManager/UpdateTenantConfiguration", request)
    assert dict(tenant.Tenant.FromString(answer).configuration.feature_flags) == {"f": False}


@pytest.mark.parametrize("value", [5, 99, 2**31 - 1, 2**64 - 1])
def test_enum_values_that_are_not_there(operator, slug, value):
    invalid("tenant.isolation_model", operator.raw, CREATE,
            field(1, field(3, slug) + field(4, "x") + number(6, value)))


def listed(operator, **fields):
    return operator.manager.ListTenants(manager.ListTenantsRequest(**fields))


def test_page_tokens(operator, slug):
    for ending in "abc":
        operator.create(slug(ending))
    token = listed(operator, page_size=1, filter="state = PENDING").next_page_token
    assert token
    for fields in (
        dict(filter="state = ACTIVE"), dict(filter=""), dict(filter="state  = PENDING"),
        dict(filter="state = PENDING", show_deleted=True),
    ):
        invalid("page_token", listed, operator, page_token=token, **fields)
    for bad in ("x", "00", token[:-2], token + "00", token.upper(), "f" * 5000, token[::-1]):
        invalid("page_token", listed, operator, page_token=bad, filter="state = PENDING")


def test_page_tokens_of_other_lists(operator, home, slug):
    for role in "abc":
        operator.role(operator.create(slug(role)).name, "r1")
    token = operator.authz.ListRoles(
        authz.ListRolesRequest(parent=slug("a"), page_size=1)).next_page_token
    assert token
    for call in (
        lambda: operator.authz.ListRoles(
            authz.ListRolesRequest(parent=slug("b"), page_token=token)),
        lambda: operator.authz.ListRoleAssignments(
            authz.ListRoleAssignmentsRequest(parent=slug("a"), page_token=token)),
        lambda: listed(operator, page_token=token),
    ):
        invalid("page_token", call)


@pytest.mark.parametrize("size", [-1, -(2**31)])
def test_negative_page_sizes(operator, home, size):
    invalid("page_size", listed, operator, page_size=size)
    invalid("page_size", operator.authz.ListRoles,
            authz.ListRolesRequest(parent=home.name, page_size=size))
    invalid("page_size", operator.authz.ListRoleAssignments,
            authz.ListRoleAssignmentsRequest(parent=home.name, page_size=size))


@pytest.mark.parametrize("filter", [
    "state", "state =", "= ACTIVE", "state == ACTIVE", "state = active", "state = NOTHING",
    "state = ACTIVE OR", "password = x", 'slug = "unclosed', "state > ACTIVE", "NOT", "(state = ACTIVE",
    "state = ACTIVE AND", "AND", "isolation_model = 1", "slug:a", "x" * 2049, "(" * 2048, "slug=a " * 200, "\n",
    "create_time > 2026", "labels = x"])
def test_filters(operator, filter):
    assert invalid("filter", listed, operator, filter=filter).reason == "INVALID_FILTER"


@pytest.mark.parametrize("order", ["id", "slug DESC", "slug, state", "desc", " " * 65])
def test_orders(operator, order):
    invalid("order_by", listed, operator, order_by=order)


@pytest.mark.parametrize("path", ["state", "etag", "configuration.nothing", "", "Slug", "a.b.c"])
def test_mask_paths(operator, home, path):
    request = manager.UpdateTenantRequest(
        tenant=tenant.Tenant(name=home.name), update_mask=FieldMask(paths=["display_name", path]))
    invalid("update_mask.paths[1]", operator.manager.UpdateTenant, request)
    invalid("update_mask.paths[0]", operator.authz.UpdateRole, authz.UpdateRoleRequest(
        role=authz.Role(name=f"{home.name}/roles/x"), update_mask=FieldMask(paths=[path])))


def curl(server, *arguments, path="/tenancy.v1.Identity/WhoAmI", body="/dev/null") -> str:
    """The status of a plain HTTP/2 request, behind the body if that goes to `-`.

    Requests have no body: curl 7.88 may overlook an answer that comes before the end of the request,
    and is followed by RST_STREAM with NO_ERROR (RFC 9113 §8.1), when it reads both at once.
    """
    return subprocess.run(
        ["curl", "--silent", "--http2-prior-knowledge", "--max-time", "20", "--unix-socket",
         str(server.socket), "-o", body, "-w", "%{http_code}", *arguments,
         f"http://tenantd{path}"], capture_output=True, text=True, check=True).stdout


GRPC = ["-H", "content-type: application/grpc"]


@pytest.mark.parametrize("status, arguments", [
    ("405", []), ("405", ["-I"]), ("405", ["-X", "PUT", *GRPC]), ("405", ["-X", "OPTIONS"]),
    ("415", ["-d", ""]), ("415", ["-d", "", "-H", "content-type: application/json"]),
    ("415", ["-d", "", "-H", "content-type: application/grpc-web"]),
    ("415", ["-d", "", "-H", "content-type: application/grpc+json"]),
    ("415", ["-d", "", "-H", "content-type: text/application/grpc"]),
    ("200", ["-d", "", "-H", "content-type: Application/gRPC"]),
    ("200", ["-d", "", *GRPC]), ("200", ["-d", "", "-H", "content-type: application/grpc+proto"]),
])
def test_http_requests_that_are_not_grpc(server, status, arguments):
    assert curl(server, *arguments) == status
    # A path without a method is not found, but for requests that say they are gRPC or data.
    elsewhere = "404" if status == "405" and GRPC[1] not in arguments else status
    assert curl(server, *arguments, path="/") == elsewhere


@pytest.mark.parametrize("status, path, arguments", [
    ("404", "/healthz", []), ("405", "/tenancy.v1.Identity/WhoAmI", []),
    ("415", "/tenancy.v1.Identity/WhoAmI", ["-d", ""]),
])
def test_http_refusals_say_why(server, status, path, arguments):
    answer = curl(server, *arguments, path=path, body="-")
    assert answer.startswith(f"{status} ") and "gRPC" in answer and answer.endswith(f"\n{status}")
    head = curl(server, "-I", "-D", "/dev/stdout", path=path)
    assert "content-type: text/plain; charset=utf-8" in head


def test_refusals_say_what_would_be_accepted(server):
    assert "allow: POST" in curl(server, "-D", "/dev/stdout")
    packed = curl(server, "-D", "/dev/stdout", "-d", "", *GRPC, "-H", "grpc-encoding: snappy")
    assert "grpc-status: 12" in packed and "grpc-accept-encoding: gzip,identity" in packed


def test_a_header_block_that_cannot_be_decoded(make_server):
    """HPACK's state is lost with it, and so is the connection: others go on, the log says why."""
    server = make_server().start()
    with server.operator() as bystander, server.operator() as client:
        assert bystander.who().subject
        with pytest.raises(grpc.RpcError) as caught:
            client.identity.WhoAmI(
                api.identity.WhoAmIRequest(), metadata=(("x-big", "a" * 70_000),), timeout=20)
        assert caught.value.code().name in ("UNAVAILABLE", "INTERNAL", "RESOURCE_EXHAUSTED")
        assert bystander.who().subject
        assert client.who().subject, "the client connects again"
    # Lines are written by a thread of their own.
    eventually(lambda: "GOAWAY COMPRESSION_ERROR" in server.log, "the log says why")
