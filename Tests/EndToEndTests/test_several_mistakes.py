"""Requests with several mistakes: one answer tells them all."""

import re

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from support import api
from support.client import failure
from tenantctl_process import Ctl

authz, manager, tenant = api.authz, api.manager, api.tenant
MOST = 16


def told(fields, call, *arguments, **named):
    """Fails with all of these fields, the first of them in the message."""
    error = failure("INVALID_ARGUMENT", call, *arguments, **named)
    assert error.fields == fields
    assert error.message.startswith(f"{fields[0]}: ")
    assert error.message.endswith(f" (and {len(fields) - 1} more)")
    return error


def create(client, request_id="", **fields):
    return client.manager.CreateTenant(
        manager.CreateTenantRequest(request_id=request_id, tenant=tenant.Tenant(**fields)))


@pytest.mark.parametrize("fields, request_, id_", [
    (["request_id", "tenant.isolation_model", "tenant.display_name", "tenant.slug"],
     dict(slug="No Slug"), "no-uuid"),
    (["tenant.display_name", "tenant.configuration.schema.schema_name",
      "tenant.configuration.shared.tenant_identifier", "tenant.configuration.feature_flags"],
     dict(slug="ok", isolation_model=api.HYBRID, configuration=tenant.TenantConfiguration(
         schema=tenant.SchemaConfig(schema_name="1x"),
         shared=tenant.SharedConfig(tenant_identifier="a b"), feature_flags={"": True})), ""),
    (["tenant.configuration.schema", "tenant.configuration.database",
      "tenant.configuration.database.username"],
     dict(slug="ok", display_name="Ok", isolation_model=api.SHARED,
          configuration=tenant.TenantConfiguration(
              schema=tenant.SchemaConfig(schema_name="x"),
              database=tenant.DatabaseConfig(username="u" * 1025))), ""),
])
def test_creating_a_tenant(operator, fields, request_, id_):
    told(fields, create, operator, id_, **request_)


def test_updating_a_tenant(operator, slug):
    before = operator.create(slug)

    def update(*paths, **fields):
        return operator.manager.UpdateTenant(manager.UpdateTenantRequest(
            tenant=tenant.Tenant(name=slug, **fields), update_mask=FieldMask(paths=paths)))

    told(["update_mask.paths[0]", "update_mask.paths[2]"], update, "state", "slug", "etag")
    told(["tenant.isolation_model", "tenant.display_name", "tenant.slug"], update,
         "display_name", "slug", "isolation_model", display_name="a\nb")
    told(["tenant.slug", "tenant.configuration.shared"], update, "slug", "configuration",
         slug="Not A Slug", configuration=tenant.TenantConfiguration(
             shared=tenant.SharedConfig(tenant_identifier="x")))
    assert operator.get(slug) == before


def test_roles(operator, slug):
    operator.create(slug)

    def make(role_id="fine", **fields):
        return operator.authz.CreateRole(authz.CreateRoleRequest(
            parent=slug, role_id=role_id, role=authz.Role(**fields)))

    told(["role_id", "role.title", "role.description", "role.permissions[1]", "role.permissions[2]"],
         make, "1", title="x" * 201, description="x" * 2001, permissions=["a:b", "a", "a:b:c"])
    told([f"role.permissions[{n}]" for n in range(MOST)], make, permissions=["bad"] * (MOST + 1))
    # What is well formed is judged as before.
    make(permissions=["a:b"])
    failure("ALREADY_EXISTS", make, permissions=["a:b"])

    def change(**fields):
        return operator.authz.UpdateRole(authz.UpdateRoleRequest(
            role=authz.Role(name=f"tenants/{slug}/roles/fine", **fields)))

    told(["role.title", "role.permissions[0]"], change, title="x" * 201, permissions=["*"])
    told(["permissions[0]", "permissions[2]"], operator.authz.AddRolePermissions,
         authz.AddRolePermissionsRequest(
             name=f"tenants/{slug}/roles/fine", permissions=["x", "c:d", "y"]))
    assert operator.authz.GetRole(authz.GetRoleRequest(
        name=f"tenants/{slug}/roles/fine")).permissions == ["a:b"]


def test_assignments(operator, slug):
    operator.create(slug)

    def assign(**fields):
        return operator.authz.CreateRoleAssignment(authz.CreateRoleAssignmentRequest(
            parent=slug, assignment=authz.RoleAssignment(**fields)))

    told(["assignment.role", "assignment.subject"], assign, subject="a b",
         role="tenants/other/roles/x")
    told(["assignment.subject", "assignment.expire_time"], assign, subject="",
         role="tenant-admin", expire_time=Timestamp(seconds=1))
    told(["assignment.role", "assignment.expire_time", "assignment.subject"], assign,
         role="a/b", expire_time=Timestamp(seconds=-1))


def test_one_mistake_is_told_as_one(operator):
    error = failure("INVALID_ARGUMENT", create, operator, slug="No", display_name="x",
                    isolation_model=api.SHARED)
    assert error.fields == ["tenant.slug"] and "more)" not in error.message


def test_tenantctl_prints_each_once(server):
    ctl = Ctl({"TENANCY_ADDRESS": f"unix:{server.socket}"})
    lines = ctl.error("tenant", "create", "--display-name", "", "--slug", "No Slug", "--isolation",
                      "shared", "--schema-name", "x", "--request-id", "1").splitlines()
    assert lines[0] == "tenantctl: INVALID_ARGUMENT (INVALID_FIELD)"
    assert [re.match(r"  (\S+): \S", line)[1] for line in lines[1:]] == [
        "request_id", "tenant.display_name", "tenant.slug", "tenant.configuration.schema"]
