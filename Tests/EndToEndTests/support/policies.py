"""Roles, assignments and questions of the tenant acme."""

from . import api

authz = api.authz
ALLOWED, DENIED, NO_GRANT = (
    authz.DECISION_REASON_ROLE, authz.DECISION_REASON_DENIED, authz.DECISION_REASON_NO_GRANT)


def role(client, role_id, *permissions, parent="tenants/acme", **fields):
    return client.authz.CreateRole(authz.CreateRoleRequest(
        parent=parent, role_id=role_id, role=authz.Role(permissions=permissions, **fields)), timeout=20)


def update(client, role_id, parent="tenants/acme", **fields):
    return client.authz.UpdateRole(authz.UpdateRoleRequest(
        role=authz.Role(name=f"{parent}/roles/{role_id}", **fields),
        update_mask={"paths": list(fields)}), timeout=20)


def delete(client, role_id, force=False):
    client.authz.DeleteRole(authz.DeleteRoleRequest(name=f"tenants/acme/roles/{role_id}", force=force), timeout=20)


def assign(client, subject, role_id, parent="tenants/acme", **fields):
    return client.authz.CreateRoleAssignment(authz.CreateRoleAssignmentRequest(
        parent=parent, assignment=authz.RoleAssignment(subject=subject, role=role_id, **fields)), timeout=20)


def unassign(client, assignment):
    client.authz.DeleteRoleAssignment(authz.DeleteRoleAssignmentRequest(name=assignment.name), timeout=20)


def attributes(**parts):
    made = authz.CheckAttributes()
    for part, values in parts.items():
        getattr(made, part).update(values)
    return made


def check(client, subject, permission, resource="", /, **parts):
    answer = client.authz.Check(authz.CheckRequest(
        tenant="acme", subject=subject, permission=permission, resource=resource,
        attributes=attributes(**parts) if parts else None), timeout=20)
    assert answer.allowed == (answer.reason == ALLOWED)
    return answer


def allowed(client, *question, **parts):
    return check(client, *question, **parts).allowed


def check_lists(authorization, tenant, subject, permission):
    """Where the subject alone may do this alone, to all resources."""
    assert [one.permission for one in authorization.ListPermissions(authz.ListPermissionsRequest(
        tenant=tenant, subject=subject)).permissions] == [permission]
    assert [one.subject for one in authorization.ListSubjects(authz.ListSubjectsRequest(
        tenant=tenant, permission=permission)).subjects] == [subject]
    assert [one.resource for one in authorization.ListResources(authz.ListResourcesRequest(
        tenant=tenant, subject=subject, permission=permission)).resources] == [permission.split(":")[0]]
    check_decisions(authorization, tenant, subject, permission)


def check_decisions(authorization, tenant, subject, permission):
    """What was denied is recorded; and would be allowed, if it were."""
    asked = permission + "-not"
    assert not authorization.Check(authz.CheckRequest(tenant=tenant, subject=subject, permission=asked)).allowed
    about = authz.DecisionFilter(permission=asked)
    [found] = authorization.ListDecisions(authz.ListDecisionsRequest(tenant=tenant, filter=about)).decisions
    assert (found.subject, found.answer.reason) == (subject, NO_GRANT)
    again = authorization.ReplayDecisions(authz.ReplayDecisionsRequest(tenant=tenant, filter=about))
    assert again.replayed == 1 and not again.differences
    [other] = authorization.Simulate(authz.SimulateRequest(tenant=tenant, recorded=about, changes=[
        authz.PolicyChange(put_role=authz.Role(name="fresh", permissions=[asked])),
        authz.PolicyChange(put_assignment=authz.RoleAssignment(subject=subject, role="fresh"))])).differences
    assert other.decision == found and other.after.role == "fresh"
