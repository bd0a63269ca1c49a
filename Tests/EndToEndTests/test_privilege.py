"""What roles, platform roles and the state of one's tenant allow and forbid."""


import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from support import api
from support.client import failure
from support.pki import tenant_id
from support.requests import EVERY, PLATFORM

authz, manager, tenant = api.authz, api.manager, api.tenant


@pytest.fixture
def home(admin, slug):
    return admin.active(slug, api.HYBRID)


@pytest.fixture
def chief(connect, admin, pki, home):
    """A workload that the operator made tenant-admin."""
    admin.assign(home.name, tenant_id(home.slug, "chief"), "tenant-admin")
    return connect(pki.python.tenant(home.slug, "chief"))


def update(client, name, *mask, **fields):
    return client.manager.UpdateTenant(manager.UpdateTenantRequest(
        tenant=tenant.Tenant(name=name, **fields), update_mask=FieldMask(paths=mask)))


def configure(client, name, *mask, **fields):
    return client.manager.UpdateTenantConfiguration(manager.UpdateTenantConfigurationRequest(
        name=name, configuration=tenant.TenantConfiguration(**fields),
        update_mask=FieldMask(paths=mask)))


def denied(function, *arguments, **named):
    error = failure("PERMISSION_DENIED", function, *arguments, **named)
    assert error.reason == "PERMISSION_MISSING"
    return error


def test_a_role_gives_and_its_end_takes(connect, admin, pki, home):
    web = connect(pki.openssl.tenant(home.id))
    denied(web.role, home.name, "clerk", "a:b")
    given = admin.assign(home.name, tenant_id(home.id), "tenant-admin")
    web.role(home.name, "clerk", "a:b")
    admin.authz.DeleteRoleAssignment(authz.DeleteRoleAssignmentRequest(name=given.name))
    denied(web.role, home.name, "clerk2", "a:b")
    # By the tenant's slug it is the same subject, and of another workload it is not.
    admin.assign(home.name, tenant_id(home.slug, "other"), "tenant-admin")
    denied(web.role, home.name, "clerk2", "a:b")
    admin.assign(home.name, tenant_id(home.slug), "tenant-admin")
    web.role(home.name, "clerk2", "a:b")


def test_a_tenant_s_admin_stays_in_its_place(chief, home):
    assert update(chief, home.name, "display_name", display_name="New").display_name == "New"
    flags = configure(chief, home.name, feature_flags={"x": True}).configuration.feature_flags
    assert flags["x"]
    before = chief.get(home.name)
    for call in (
        lambda: update(chief, home.name, "slug", slug=f"{home.slug}-new"),
        lambda: update(chief, home.name, "isolation_model", isolation_model=api.DATABASE),
        lambda: update(chief, home.name, "labels", labels={"tier": "gold"}),
        lambda: update(chief, home.name, "labels.tier", labels={"tier": "gold"}),
        lambda: update(chief, home.name, "annotations"),
        lambda: update(chief, home.name, "annotations.a"),
        lambda: update(chief, home.name, "*", annotations={"a": "b"}, slug=home.slug, display_name="X"),
        lambda: update(chief, home.name, "configuration", configuration=tenant.TenantConfiguration(
            schema=tenant.SchemaConfig(schema_name="elsewhere"))),
        lambda: configure(chief, home.name, schema=tenant.SchemaConfig(schema_name="elsewhere")),
        lambda: configure(chief, home.name, shared=tenant.SharedConfig(tenant_identifier="x")),
        lambda: configure(chief, home.name, "*", shared=tenant.SharedConfig(tenant_identifier="x")),
        lambda: configure(chief, home.name, placement=tenant.TenantPlacement(cluster="elsewhere")),
    ):
        denied(call)
    assert chief.get(home.name) == before


def test_kinds_of_data_are_not_a_tenant_s_admin_s(connect, admin, pki, slug):
    kinds = [tenant.DataCategory(category="files", isolation_model=api.SCHEMA)]
    made = admin.active(slug, api.HYBRID, configuration=tenant.TenantConfiguration(data_categories=kinds))
    admin.assign(made.name, tenant_id(slug, "chief"), "tenant-admin")
    chief = connect(pki.python.tenant(slug, "chief"))
    moved = [tenant.DataCategory(category="files", isolation_model=api.SCHEMA,
                                 placement=tenant.TenantPlacement(cluster="elsewhere"))]
    for sent in ([], moved, [*kinds, tenant.DataCategory(category="more", isolation_model=api.SHARED)]):
        denied(configure, chief, made.name, "data_categories", data_categories=sent)
        denied(update, chief, made.name, "configuration.data_categories",
               configuration=tenant.TenantConfiguration(data_categories=sent))
    assert list(chief.get(made.name).configuration.data_categories) == kinds


def test_a_tenant_s_admin_sees_labels_and_no_annotations(chief, admin, home):
    noted = update(admin, home.name, "labels", "annotations", labels={"tier": "free"}, annotations={"a": "b"})
    assert noted.labels == {"tier": "free"} and noted.annotations == {"a": "b"}
    mine = chief.get(home.name)
    assert mine.labels == {"tier": "free"} and not mine.annotations
    # What it is shown it may send back, and that takes nothing away.
    assert update(chief, home.name, "*", labels=mine.labels, slug=mine.slug, display_name="Again",
                  isolation_model=mine.isolation_model, configuration=mine.configuration).labels == {"tier": "free"}
    denied(update, chief, home.name, "*", slug=mine.slug, display_name="X", isolation_model=mine.isolation_model,
           configuration=mine.configuration)
    assert admin.get(home.name).annotations == {"a": "b"}


def test_a_tenant_s_admin_keeps_off_the_database(connect, admin, pki, slug):
    admin.active(slug, api.DATABASE, configuration=tenant.TenantConfiguration(
        database=tenant.DatabaseConfig(password="p")))
    admin.assign(slug, tenant_id(slug), "tenant-admin")
    chief = connect(pki.python.tenant(slug))
    configure(chief, slug, feature_flags={"x": True})
    assert chief.get(slug).configuration.database == tenant.DatabaseConfig(password_set=True)
    # Guesses that are right are told from others no more than by whom they come.
    for database in (dict(connection_string="host=mine"), dict(connection_string="host=db"),
                     dict(password="p"), dict(password="q"),
                     dict(connection_string="host=db", password="p")):
        denied(configure, chief, slug, database=tenant.DatabaseConfig(**database))
    denied(configure, chief, slug, "database")
    denied(update, chief, slug, "configuration")


def test_nobody_gives_what_they_lack(connect, admin, pki, home):
    admin.role(home.name, "giver", "tenancy.roles:create", "tenancy.roles:update",
               "tenancy.assignments:create")
    admin.role(home.name, "strong", "tenancy.tenants:update", "bill:read")
    own = admin.assign(home.name, tenant_id(home.slug, "giver"), "giver")
    giver = connect(pki.python.tenant(home.slug, "giver"))

    giver.role(home.name, "plain", "bill:*", "*:*", "tenancy.roles:create")
    for permission in ("tenancy.tenants:update", "tenancy.roles:*", "tenancy.tenants:delete",
                       "tenancy.roles:delete"):
        denied(giver.role, home.name, "bold", permission)
        denied(giver.authz.AddRolePermissions, authz.AddRolePermissionsRequest(
            name=f"{home.name}/roles/giver", permissions=[permission]))
        denied(giver.authz.UpdateRole, authz.UpdateRoleRequest(role=authz.Role(
            name=f"{home.name}/roles/plain", permissions=[permission])))
    for role in ("strong", "tenant-admin"):
        denied(giver.assign, home.name, "user:al", role)
    # What the caller can do by virtue of being a workload it may pass on.
    giver.assign(home.name, "user:al", "tenant-viewer")
    giver.assign(home.name, "user:al", "plain")
    # `*:*` gave nothing of the reserved namespace.
    giver.assign(home.name, tenant_id(home.slug, "friend"), "plain")
    friend = connect(pki.python.tenant(home.slug, "friend"))
    denied(update, friend, home.name, "display_name", display_name="x")
    admin.authz.DeleteRoleAssignment(authz.DeleteRoleAssignmentRequest(name=own.name))
    denied(giver.role, home.name, "late", "a:b")


def test_platform_methods_need_a_platform_identity(connect, admin, pki, home):
    """Not even the operator can give them to a tenant."""
    admin.role(home.name, "everything", "tenancy.tenants:*", "*:*")
    admin.assign(home.name, tenant_id(home.slug), "everything")
    web = connect(pki.python.tenant(home.slug))
    for method, request in PLATFORM.items():
        denied(web.call, method, request(home.name))
    assert admin.get(home.name).state == api.ACTIVE


@pytest.mark.parametrize("maker", ["python", "openssl"])
def test_certificates_name_tenants_by_slug_and_by_id(connect, admin, pki, home, maker):
    authority = getattr(pki, maker)
    by_slug, by_id = connect(authority.tenant(home.slug)), connect(authority.tenant(home.id))
    assert by_slug.who().tenant == by_id.who().tenant == home.name

    renamed = f"{home.slug}-renamed"
    update(admin, home.name, "slug", slug=renamed)
    assert by_slug.who().tenant == by_slug.get(home.id).name == home.name
    admin.manager.RetireTenantSlug(
        manager.RetireTenantSlugRequest(name=home.name, slug=home.slug))
    for call in (by_slug.who, lambda: by_slug.get(home.id)):
        assert failure("PERMISSION_DENIED", call).reason == "IDENTITY_UNKNOWN"
    assert by_id.who().tenant_slug == renamed
    assert connect(authority.tenant(renamed)).who().tenant == home.name


def test_the_slug_of_a_deleted_tenant_is_not_inherited(connect, admin, pki, home, slug):
    old = connect(pki.python.tenant(home.slug))
    admin.delete(home.name)
    failure("ALREADY_EXISTS", admin.create, home.slug)
    other = admin.active(slug("other"))
    failure("ALREADY_EXISTS", update, admin, other.name, "slug", slug=home.slug)
    assert failure("PERMISSION_DENIED", old.who).reason == "IDENTITY_UNKNOWN"


def test_an_unknown_tenant_s_certificate(connect, pki):
    unknown = connect(pki.python.tenant("never-made"))
    error = failure("PERMISSION_DENIED", unknown.who)
    assert error.reason == "IDENTITY_UNKNOWN"
    for method, request in EVERY.items():
        assert failure("PERMISSION_DENIED", unknown.call, method, request("never-made")) == error


HOME_STATES = {
    "pending": ("FAILED_PRECONDITION", "TENANT_NOT_PROVISIONED"),
    "suspended": ("PERMISSION_DENIED", "TENANT_SUSPENDED"),
    "deleted": ("PERMISSION_DENIED", "IDENTITY_UNKNOWN"),
}


@pytest.mark.parametrize("state", HOME_STATES)
def test_a_home_that_is_not_served(connect, admin, pki, slug, state):
    """No method but the question who one is, on open connections too."""
    admin.create(slug) if state == "pending" else admin.active(slug)
    admin.assign(slug, tenant_id(slug), "tenant-admin")
    web = connect(pki.python.tenant(slug))
    web.who()
    if state != "pending":
        (admin.suspend if state == "suspended" else admin.delete)(slug)
    code, reason = HOME_STATES[state]
    for method, request in EVERY.items():
        if method == "Identity/WhoAmI" and state != "deleted":
            assert web.who().tenant_slug == slug
            continue
        for name in (slug, "other"):
            error = failure(code, web.call, method, request(name))
            assert error.reason == reason


def test_a_home_in_maintenance(make_server, pki):
    server = make_server().start()
    with server.operator() as admin:
        admin.active("acme")
        admin.maintain("acme")
    with server.client(pki.python.tenant("acme")) as web, server.operator() as admin:
        for call in (lambda: web.get("acme"),
                     lambda: web.call("TenantResolver/ResolveTenant",
                                      api.resolver.ResolveTenantRequest()),
                     lambda: admin.call("TenantResolver/ResolveFromPath",
                                        api.resolver.ResolveFromPathRequest(path="/tenants/acme"))):
            error = failure("UNAVAILABLE", call)
            assert (error.reason, error.retry_seconds) == ("TENANT_MAINTENANCE", 30)
        assert web.who().tenant_slug == "acme"
        assert not admin.check("acme", "user:al", "a:b").allowed
        activated = admin.manager.ActivateTenant(manager.ActivateTenantRequest(name="acme"))
        assert activated.state == api.ACTIVE and web.get("acme") == activated


READS = {"TenantManager/GetTenant", "TenantManager/BatchGetTenants", "TenantManager/GetTenantUsage",
         "TenantManager/ListBusiestTenants", "TenantManager/ListTenants", "TenantManager/WatchTenants",
         "Authorization/Explain", "Authorization/ListPermissions", "Authorization/ListSubjects",
         "Authorization/ListResources", "Authorization/GetRole", "Authorization/ListRoles",
         "Authorization/ListRoleAssignments", "Authorization/GetGroup", "Authorization/ListGroups",
         "Authorization/ListGroupMembers", "Authorization/ListDecisions", "Authorization/ReplayDecisions",
         "Authorization/Simulate",
         "Audit/ListAuditRecords", "Audit/ExportAuditRecords",
         "Audit/StreamAuditRecords", "WorkloadEntries/GetWorkloadEntry",
         "WorkloadEntries/ListWorkloadEntries", "CertificateAuthorities/GetCertificateAuthority",
         "CertificateAuthorities/ListCertificateAuthorities", "TenantDomains/GetTenantDomain",
         "TenantDomains/ListTenantDomains", "SettingDefinitions/GetSettingDefinition",
         "SettingDefinitions/ListSettingDefinitions", "SettingDefinitions/ListSettingConflicts",
         "Clusters/ListClusters", "Plans/GetPlan", "Plans/ListPlans", "Plans/ListPlanHistory",
         "FeatureFlags/GetFeatureFlag", "FeatureFlags/ListFeatureFlags",
         *(name for name in EVERY if name.startswith(("TenantConfigurations/", "TenantOperations/"))
           and not name.endswith(("/RevertTenantConfiguration", "/AccessSecretSetting")))}
KEYS = {"Tokens/GetJsonWebKeySet"}
SETTINGS = {"Tokens/GetAuthenticationSettings"}
RESOLVES = {name for name in EVERY if name.startswith("TenantResolver/")}
ABOUT_ONESELF = {"Identity/WhoAmI", "Tokens/ExchangeToken"}
CHECKS = {"Authorization/Check", "Authorization/BatchCheck"}
PLATFORM_ROLES = {
    "viewer": READS | RESOLVES | CHECKS | KEYS | SETTINGS,
    "resolver": RESOLVES | CHECKS | KEYS | {"Tokens/IntrospectToken"},
    "stranger": set(),
}


@pytest.mark.parametrize("role", PLATFORM_ROLES)
def test_platform_roles(connect, admin, pki, home, role):
    client = connect(pki.openssl.platform(role))
    assert client.who().platform_roles == [role]
    before = admin.get(home.name)
    for method, request in EVERY.items():
        if method in PLATFORM_ROLES[role] or method in ABOUT_ONESELF:
            continue
        for name in (home.slug, home.name, "unknown"):
            denied(client.call, method, request(name))
    assert admin.get(home.name) == before


def test_a_viewer_sees_every_tenant_and_changes_none(connect, admin, pki, home):
    viewer = connect(pki.python.platform("viewer"))
    assert viewer.get(home.slug) == home
    assert home in viewer.manager.ListTenants(
        manager.ListTenantsRequest(filter=f"slug = {home.slug}")).tenants
    assert not viewer.check(home.name, "user:al", "a:b").allowed


def test_a_resolver_resolves_and_checks(connect, admin, pki, home):
    gateway = connect(pki.python.platform("resolver"))
    answer = gateway.resolver.ResolveFromSubdomain(
        api.resolver.ResolveFromSubdomainRequest(host=f"{home.slug}.tenants.example"))
    assert answer.tenant.id == home.id
    admin.role(home.name, "some", "a:b")
    admin.assign(home.name, "user:al", "some")
    assert gateway.check(home.slug, "user:al", "a:b").allowed


def test_platform_roles_can_be_configured(make_server, pki):
    server = make_server(identity={
        "trust_domain": "e2e.test", "unix_users": [],
        "platform_roles": {"maker": ["tenancy.tenants:create", "tenancy.tenants:provision"]},
        "workload_permissions": []}).start()
    with server.client(pki.python.platform("maker")) as maker:
        maker.create("acme")
        denied(maker.get, "acme")
        maker.provision("acme")
    with server.client(pki.python.tenant("acme")) as web:
        denied(web.get, "acme")
        assert web.who().tenant_slug == "acme"
    with server.operator() as nobody:  # This uid is no longer listed.
        failure("UNAVAILABLE", nobody.who, timeout=3)
