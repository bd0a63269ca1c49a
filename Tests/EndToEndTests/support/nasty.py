"""What one tenant's own people can do to a server with valid credentials: what its administrator
prepares, and the calls that its workloads and its administrator then make."""

from google.protobuf.field_mask_pb2 import FieldMask

from . import api
from .wire import field

authz, identity, manager, resolver, tenant = (
    api.authz, api.identity, api.manager, api.resolver, api.tenant)

SLUG = "hostile"
EVERYTHING = "user:everything"
"""Holds every role of the tenant."""

ROLES = 998
LARGE_ROLES = 20
ASSIGNMENTS = 4000

LARGE = 4 * 1024 * 1024 - 1024
"""Bytes of the largest request, less what surrounds them."""

DECOMPOSED = "e\u0301"
"""A letter that comparisons of text have to compose first."""


def prepare(operator) -> None:
    """Fills a tenant up to its limits, as its administrator may."""
    made = operator.active(SLUG)
    _wait(operator.authz.CreateRole.future(authz.CreateRoleRequest(
        parent=made.name, role_id=f"role-{n:03}", role=authz.Role(permissions=_permissions(n))))
        for n in range(ROLES))
    _wait(operator.authz.CreateRoleAssignment.future(authz.CreateRoleAssignmentRequest(
        parent=made.name,
        assignment=authz.RoleAssignment(subject=EVERYTHING, role=f"role-{n:03}")))
        for n in range(ROLES))
    _wait(operator.authz.CreateRoleAssignment.future(authz.CreateRoleAssignmentRequest(
        parent=made.name,
        assignment=authz.RoleAssignment(subject=f"user:{n}", role="tenant-viewer")))
        for n in range(ASSIGNMENTS))
    settings = tenant.TenantConfiguration(
        feature_flags={f"{DECOMPOSED * 40}{n:03}": True for n in range(1000)})
    for n in range(4500):
        settings.custom_settings[f"{DECOMPOSED}{n:04}"] = None
    operator.manager.UpdateTenantConfiguration(manager.UpdateTenantConfigurationRequest(
        name=made.name, configuration=settings))


def _permissions(role: int) -> list[str]:
    count = 1000 if role >= ROLES - LARGE_ROLES else 3
    return [f"{'r' * 58}{n:06}:{'a' * 61}{role:03}" for n in range(count)]


def _wait(calls) -> None:
    """A window of calls at a time."""
    waiting = []
    for call in calls:
        waiting.append(call)
        if len(waiting) == 100:
            waiting.pop(0).result(60)
    for call in waiting:
        call.result(60)


def _raw(message) -> bytes:
    return message.SerializeToString()


NAME = f"tenants/{SLUG}"
ROLE = f"{NAME}/roles/role-{ROLES - 1:03}"
"""A large one."""

# Small requests, each of which once looked at everything that its tenant has.
SMALL = [
    ("Authorization/ListRoleAssignments", _raw(authz.ListRoleAssignmentsRequest(
        parent=NAME, page_size=1))),
    ("Authorization/ListRoleAssignments", _raw(authz.ListRoleAssignmentsRequest(
        parent=NAME, role="role-997", page_size=1))),
    ("Authorization/ListRoleAssignments", _raw(authz.ListRoleAssignmentsRequest(
        parent=NAME, subject=EVERYTHING, role="tenant-viewer"))),
    ("Authorization/ListRoles", _raw(authz.ListRolesRequest(parent=NAME, page_size=1))),
    ("Authorization/Check", _raw(authz.CheckRequest(
        tenant=NAME, subject=EVERYTHING, permission="nobody:does"))),
    ("TenantManager/ListTenants", _raw(manager.ListTenantsRequest(
        filter="AND ".join(["slug!=a "] * 170)))),
]

# Large answers.
ANSWERS = [
    ("Authorization/GetRole", _raw(authz.GetRoleRequest(name=ROLE))),
    ("Authorization/ListRoles", _raw(authz.ListRolesRequest(parent=NAME, page_size=1000))),
    ("Authorization/ListRoleAssignments", _raw(authz.ListRoleAssignmentsRequest(
        parent=NAME, page_size=1000))),
    ("TenantManager/GetTenant", _raw(manager.GetTenantRequest(name=NAME))),
    ("Authorization/BatchCheck", _raw(authz.BatchCheckRequest(tenant=NAME, items=[
        authz.BatchCheckItem(subject=EVERYTHING, permission="nobody:does")] * 1000))),
]

# Requests as large as they may be.
REQUESTS = [
    ("Authorization/GetRole", field(1, f"{NAME}/roles/" + "/" * LARGE)),
    ("Authorization/GetRole", field(1, f"{NAME}" + "x" * LARGE)),
    ("Authorization/ListRoleAssignments", field(1, NAME) + field(4, DECOMPOSED * (LARGE // 3))),
    ("Authorization/ListRoleAssignments", field(1, NAME) + field(5, "/" * LARGE)),
    ("Authorization/GetGroup", field(1, f"{NAME}/groups/" + "/" * LARGE)),
    ("Authorization/ListGroupMembers", field(1, NAME) + field(4, "/" * LARGE)),
    ("Authorization/ListGroupMembers", field(1, NAME) + field(5, DECOMPOSED * (LARGE // 3))),
    ("Authorization/BatchCheck", field(1, NAME) + b"\x12\x00" * (LARGE // 2)),
    ("Authorization/Check", field(1, NAME) + b"\x12\x00" * (LARGE // 2)),
    ("TenantManager/ListTenants", field(3, " " * LARGE)),
    ("TenantManager/GetTenant", field(1, "/" * LARGE)),
    ("TenantResolver/ValidateTenant", field(1, "a" * LARGE)),
    ("TenantResolver/ResolveFromPath", field(1, "/tenants/" + "a/" * (LARGE // 2))),
    ("TenantResolver/ResolveFromSubdomain", field(1, "a." * (LARGE // 2))),
    ("TenantResolver/ResolveFromHeaders", b"\x0a\x00" * (LARGE // 2)),
    ("TenantResolver/ResolveTenant", field(5, field(1, "TENANT_ID") + field(2, "x" * LARGE))),
    ("Identity/WhoAmI", b"\x0a\x00" * (LARGE // 2)),
]

# The same for methods that change something.
CHANGES = [
    ("Authorization/UpdateRole", field(1, field(1, ROLE)) + field(2, b"\x0a\x01a" * (LARGE // 3))),
    ("Authorization/CreateRole", field(1, NAME) + field(2, "r") + field(
        3, b"\x22\x03a:b" * (LARGE // 5))),
    ("Authorization/AddRolePermissions", field(1, ROLE) + field(2, ":" * LARGE)),
    ("Authorization/RemoveRolePermissions", field(1, ROLE) + b"\x12\x00" * (LARGE // 2)),
    ("Authorization/DeleteRoleAssignment", field(1, f"{NAME}/assignments/" + "/" * LARGE)),
    ("Authorization/CreateGroup", field(1, NAME) + field(2, "g" * LARGE)),
    ("Authorization/DeleteGroupMember", field(1, f"{NAME}/groupMembers/" + "/" * LARGE)),
    ("Authorization/CreateGroupMember", field(1, NAME) + field(2, field(2, "eng") + field(3, "group:" + "a" * LARGE))),
    ("Authorization/CreateRoleAssignment", field(1, NAME) + field(
        2, field(2, DECOMPOSED * (LARGE // 3)) + field(3, "tenant-viewer"))),
    ("TenantManager/UpdateTenantConfiguration", field(1, NAME) + field(
        2, field(4, field(1, field(1, "a") + field(2, field(6, b"\x0a\x02\x08\x00" * (LARGE // 4))))))),
    ("TenantManager/UpdateTenantConfiguration", field(1, NAME) + field(
        3, field(1, "custom_settings." + DECOMPOSED * (LARGE // 3)))),
    ("TenantManager/UpdateTenant", field(1, field(1, NAME) + field(4, DECOMPOSED * (LARGE // 3)))),
]
