"""One tenant's credentials against another tenant: refused, and without a hint of what exists."""

import uuid

import pytest

from support import api
from support.client import failure
from support.pki import tenant_id
from support.requests import (ABOUT_A_DOMAIN, ABOUT_A_GROUP, ABOUT_A_MEMBER, ABOUT_A_ROLE, ABOUT_A_TENANT,
                              ABOUT_AN_ASSIGNMENT, ABOUT_NONE, BY_SELECTOR, EVERY, PLATFORM)

manager = api.manager
UNKNOWN_ID = "01890000-0000-7000-8000-000000000000"


class Made:
    """An active tenant with a role, an assignment and a group."""

    def __init__(self, tenant, assignment):
        self.name, self.id, self.slug = tenant.name, tenant.id, tenant.slug
        self.assignment = assignment

    @staticmethod
    def by(admin, slug):
        tenant = admin.active(slug, api.HYBRID)
        admin.role(tenant.name, "clerk", "bill:read")
        admin.group(tenant.name, "eng")
        return Made(tenant, admin.assign(tenant.name, "user:al", "clerk").name.split("/")[-1])


@pytest.fixture(scope="module")
def ours(admin):
    made = Made.by(admin, "ours")
    admin.assign("ours", tenant_id("ours", "chief"), "tenant-admin")
    admin.assign("ours", tenant_id(made.id, "chief"), "tenant-admin")
    return made


@pytest.fixture(scope="module")
def theirs(admin):
    return Made.by(admin, "theirs")


@pytest.fixture(scope="module")
def strangers(admin, theirs):
    """Names that are not ours, of tenants in every state, and of none: (by slug, by id, assignment)."""
    names = {"active": ("theirs", theirs.id, theirs.assignment)}
    for state in ("pending", "suspended", "deleted"):
        made = admin.create(f"their-{state}")
        if state == "suspended":
            admin.provision(made.name)
            admin.suspend(made.name)
        if state == "deleted":
            admin.delete(made.name)
        names[state] = (made.slug, made.id, str(uuid.uuid4()))
    return names


@pytest.fixture(scope="module", params=["web by slug", "web by id", "chief by slug", "chief by id"])
def caller(request, server, pki, ours):
    """Workloads of ours: `web` with no role, `chief` a tenant-admin; from either CA."""
    workload, _, form = request.param.split()
    authority = pki.python if workload == "web" else pki.openssl
    with server.client(authority.tenant("ours" if form == "slug" else ours.id, workload)) as client:
        yield client


@pytest.fixture(scope="module")
def chief(server, pki, ours):
    with server.client(pki.python.tenant("ours", "chief")) as client:
        yield client


@pytest.fixture(scope="module")
def web(server, pki, ours):
    with server.client(pki.python.tenant("ours", "web")) as client:
        yield client


def test_the_table_has_every_method():
    assert set(EVERY) == set(api.methods())


def test_the_table_knows_each_method_s_scope():
    """What a method declares decides which of the tests below covers it."""
    scope = {name: method.GetOptions().Extensions[api.options.authorization]
             for name, method in api.methods().items()}
    assert {name for name, rule in scope.items() if rule.scope == api.options.SCOPE_PLATFORM
            } == set(PLATFORM)
    with_field = {name for name, rule in scope.items()
                  if rule.scope == api.options.SCOPE_TENANT and rule.tenant_field}
    assert with_field <= {*ABOUT_A_TENANT, *ABOUT_A_ROLE, *ABOUT_A_GROUP, *ABOUT_A_MEMBER, *ABOUT_AN_ASSIGNMENT,
                          *ABOUT_A_DOMAIN}
    assert {name for name, rule in scope.items() if rule.scope == api.options.SCOPE_SELF
            } == {"Identity/WhoAmI", "Tokens/ExchangeToken"}
    assert all(rule.scope != api.options.SCOPE_ANONYMOUS for rule in scope.values())


def forms(method, name, assignment):
    """The ways to name a tenant, bare by id or slug, in a request of this method."""
    if method in BY_SELECTOR:
        return [name]
    if method in ABOUT_A_ROLE:
        return [f"tenants/{name}/roles/{role}" for role in ("clerk", "none", "tenant-admin")]
    if method in ABOUT_A_GROUP:
        return [f"tenants/{name}/groups/{group}" for group in ("eng", "none")]
    if method in ABOUT_A_MEMBER:
        return [f"tenants/{name}/groupMembers/{assignment}"]
    if method in ABOUT_AN_ASSIGNMENT:
        return [f"tenants/{name}/assignments/{assignment}", f"tenants/{name}/assignments/x"]
    if method in ABOUT_A_DOMAIN:
        return [f"tenants/{name}/domains/www.{assignment}.net", f"tenants/{name}/domains/x.y"]
    return [name, f"tenants/{name}"]


@pytest.mark.parametrize("method", sorted(set(EVERY) - set(ABOUT_NONE)))
def test_another_tenant_is_refused_like_one_that_does_not_exist(caller, strangers, admin, method):
    before = {slug: admin.get(slug) for slug, _, _ in strangers.values()}
    answers = {
        failure("PERMISSION_DENIED", caller.call, method, EVERY[method](form))
        for slug, identifier, assignment in [*strangers.values(), ("unknown", UNKNOWN_ID, "y")]
        for name in (slug, identifier)
        for form in forms(method, name, assignment)
    }
    assert len(answers) == 1, "the answers tell tenants apart"
    assert answers.pop().reason in ("TENANT_MISMATCH", "PERMISSION_MISSING")
    assert before == {slug: admin.get(slug) for slug, _, _ in strangers.values()}


@pytest.mark.parametrize("method", sorted({
    **ABOUT_A_TENANT, **BY_SELECTOR, **ABOUT_A_ROLE, **ABOUT_A_GROUP, **ABOUT_A_MEMBER, **ABOUT_AN_ASSIGNMENT,
    **ABOUT_A_DOMAIN}))
def test_to_the_chief_another_tenant_is_a_mismatch(chief, theirs, method):
    """So that what refused above was the tenant and not a permission that is missing anyway."""
    form = forms(method, theirs.slug, theirs.assignment)[0]
    error = failure("PERMISSION_DENIED", chief.call, method, EVERY[method](form))
    # To administer is not to read secrets.
    reads = method == "TenantConfigurations/AccessSecretSetting"
    assert error.reason == ("PERMISSION_MISSING" if reads else "TENANT_MISMATCH")


def test_nothing_of_the_other_tenant_was_touched(admin, theirs):
    roles = admin.authz.ListRoles(api.authz.ListRolesRequest(parent="theirs")).roles
    assert [role.name.split("/")[-1] for role in roles] == ["clerk", "tenant-admin", "tenant-viewer"]
    assert roles[0].permissions == ["bill:read"]
    assert len(admin.authz.ListRoleAssignments(
        api.authz.ListRoleAssignmentsRequest(parent="theirs")).assignments) == 1
    [group] = admin.authz.ListGroups(api.authz.ListGroupsRequest(parent="theirs")).groups
    assert group.name.endswith("/groups/eng") and not group.title
    assert not admin.authz.ListGroupMembers(api.authz.ListGroupMembersRequest(parent="theirs")).group_members


WORKLOAD_MAY = {
    "TenantManager/GetTenant", "TenantManager/GetTenantUsage", "TenantResolver/ValidateTenant",
    "Authorization/Check", "Authorization/BatchCheck", "Authorization/Explain",
    "Authorization/ListPermissions", "Authorization/ListSubjects", "Authorization/ListResources",
    "Authorization/ListRoles", "Authorization/ListRoleAssignments",
    "Authorization/GetRole", "Authorization/GetGroup", "Authorization/ListGroups",
    "Authorization/ListGroupMembers", "Tokens/GetJsonWebKeySet", *BY_SELECTOR,
    *(f"TenantConfigurations/{method}" for method in (
        "GetEffectiveConfiguration", "ExplainConfiguration", "EvaluateFeatureFlags"))}


@pytest.mark.parametrize("by", ["slug", "id"])
@pytest.mark.parametrize("method", sorted(set(EVERY) - set(ABOUT_NONE)))
def test_one_s_own_tenant(web, ours, method, by):
    """A workload without a role reads; everything else it may not."""
    for form in forms(method, getattr(ours, by), ours.assignment)[:1]:
        if method in WORKLOAD_MAY:
            web.call(method, EVERY[method](form))
        else:
            error = failure("PERMISSION_DENIED", web.call, method, EVERY[method](form))
            assert error.reason == "PERMISSION_MISSING"


@pytest.mark.parametrize("by", ["slug", "id"])
@pytest.mark.parametrize("method", sorted(set(EVERY) - set(ABOUT_NONE)))
def test_one_s_own_tenant_as_its_admin(admin, server, pki, slug, method, by):
    home = Made.by(admin, slug)
    admin.assign(slug, tenant_id(slug, "chief"), "tenant-admin")
    with server.client(pki.python.tenant(slug, "chief")) as chief:
        form = forms(method, getattr(home, by), home.assignment)[0]
        if method in PLATFORM or method == "TenantConfigurations/AccessSecretSetting":
            error = failure("PERMISSION_DENIED", chief.call, method, EVERY[method](form))
            assert error.reason == "PERMISSION_MISSING"
        elif method == "Tokens/RemoveTokenKey" or method in {*ABOUT_A_DOMAIN, *ABOUT_A_MEMBER}:  # There is none.
            failure("NOT_FOUND", chief.call, method, EVERY[method](form))
        else:
            chief.call(method, EVERY[method](form))


@pytest.mark.parametrize("filter", ["", 'slug = "theirs"', "state = ACTIVE", 'slug != "ours"'])
def test_a_list_shows_only_one_s_own_tenant(caller, ours, strangers, filter):
    for page in (0, 1):
        answer = caller.manager.ListTenants(
            manager.ListTenantsRequest(filter=filter, page_size=page, show_deleted=True))
        expected = [] if "slug" in filter else [ours.id]
        assert [one.id for one in answer.tenants] == expected
        assert not answer.next_page_token


def test_a_page_token_of_the_operator_opens_nothing(admin, caller, ours, strangers):
    token = admin.manager.ListTenants(manager.ListTenantsRequest(page_size=1)).next_page_token
    answer = caller.manager.ListTenants(manager.ListTenantsRequest(page_token=token))
    assert {one.id for one in answer.tenants} <= {ours.id}


@pytest.mark.parametrize("other", ["theirs", "their-deleted", "unknown"])
def test_selectors_that_disagree_tell_nothing(caller, strangers, other):
    """Ours beside another tenant's name: ambiguous, whether the other exists or not."""
    def resolve(name):
        return failure("INVALID_ARGUMENT", caller.call, "TenantResolver/ResolveTenant",
                       api.resolver.ResolveTenantRequest(
                           path="/tenants/ours/x", headers={"x-tenant-id": name}))

    assert resolve(other) == resolve("no-such-tenant")
    # Two foreign names are not told apart either, be they the same tenant's or not.
    foreign = failure("PERMISSION_DENIED", caller.call, "TenantResolver/ResolveTenant",
                      api.resolver.ResolveTenantRequest(
                          path="/tenants/theirs/x", headers={"x-tenant-id": other}))
    assert foreign.reason == "TENANT_MISMATCH"


def test_no_selector_means_one_s_own_tenant(caller, ours):
    answer = caller.resolver.ResolveTenant(api.resolver.ResolveTenantRequest(path="/health"))
    assert answer.tenant.id == ours.id
    assert answer.strategy == api.resolver.RESOLUTION_STRATEGY_CREDENTIAL
