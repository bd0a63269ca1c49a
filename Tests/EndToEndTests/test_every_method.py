"""Every method of TenantManager and Identity, as an operator over either transport."""

import uuid

import grpc
import pytest

from support import api, policies
from support.client import failure, invalid
from support.groups import group_story
from support.pki import platform_id

from google.protobuf.field_mask_pb2 import FieldMask

manager, tenant = api.manager, api.tenant


def update(operator, name, mask=(), validate_only=False, **fields):
    return operator.manager.UpdateTenant(manager.UpdateTenantRequest(
        tenant=tenant.Tenant(name=name, **fields), update_mask=FieldMask(paths=mask),
        validate_only=validate_only))


def listed(operator, **fields):
    """All pages of a list."""
    tenants, token = [], ""
    while True:
        page = operator.manager.ListTenants(
            manager.ListTenantsRequest(page_token=token, **fields))
        tenants += page.tenants
        token = page.next_page_token
        if not token:
            return tenants


class Recorder(grpc.UnaryUnaryClientInterceptor):
    """Notes which methods answered."""

    def __init__(self):
        self.answered = set()

    def intercept_unary_unary(self, continuation, details, request):
        call = continuation(details, request)
        if call.code() == grpc.StatusCode.OK:
            self.answered.add(details.method.removeprefix("/tenancy.v1."))
        return call


def test_the_life_of_a_tenant_takes_every_method(operator, slug):
    recorder = Recorder()
    channel = grpc.intercept_channel(operator.channel, recorder)
    tenants = api.manager_grpc.TenantManagerStub(channel)
    roles = api.authz_grpc.AuthorizationStub(channel)
    resolver = api.resolver_grpc.TenantResolverStub(channel)
    authz = api.authz

    api.identity_grpc.IdentityStub(channel).WhoAmI(api.identity.WhoAmIRequest())
    name = tenants.CreateTenant(manager.CreateTenantRequest(tenant=tenant.Tenant(
        slug=slug, display_name="Life", isolation_model=api.HYBRID))).name
    assert tenants.ProvisionTenantResources(
        manager.ProvisionTenantResourcesRequest(name=name)).state == api.ACTIVE
    assert tenants.UpdateTenant(manager.UpdateTenantRequest(
        tenant=tenant.Tenant(name=name, display_name="Changed"))).display_name == "Changed"
    configured = tenants.UpdateTenantConfiguration(manager.UpdateTenantConfigurationRequest(
        name=name, configuration=tenant.TenantConfiguration(feature_flags={"beta": True})))
    assert tenants.GetTenant(manager.GetTenantRequest(name=name)) == configured
    assert list(tenants.ListTenants(
        manager.ListTenantsRequest(filter=f'slug = "{slug}"')).tenants) == [configured]

    role = roles.CreateRole(authz.CreateRoleRequest(
        parent=name, role_id="clerk", role=authz.Role(permissions=["bill:read"])))
    roles.AddRolePermissions(
        authz.AddRolePermissionsRequest(name=role.name, permissions=["bill:write"]))
    roles.RemoveRolePermissions(
        authz.RemoveRolePermissionsRequest(name=role.name, permissions=["bill:read"]))
    roles.UpdateRole(authz.UpdateRoleRequest(role=authz.Role(name=role.name, title="Clerk")))
    found = roles.GetRole(authz.GetRoleRequest(name=role.name))
    assert (found.title, found.permissions) == ("Clerk", ["bill:write"])
    assert found in roles.ListRoles(authz.ListRolesRequest(parent=name)).roles
    given = roles.CreateRoleAssignment(authz.CreateRoleAssignmentRequest(
        parent=name, assignment=authz.RoleAssignment(subject="user:al", role="clerk")))
    assert roles.Check(authz.CheckRequest(
        tenant=name, subject="user:al", permission="bill:write")).allowed
    assert roles.Explain(authz.ExplainRequest(
        tenant=name, subject="user:al", permission="bill:write")).steps[0].assignment == given
    policies.check_lists(roles, name, "user:al", "bill:write")
    assert not roles.BatchCheck(authz.BatchCheckRequest(tenant=name, items=[
        authz.BatchCheckItem(subject="user:al", permission="bill:read")])).results[0].allowed
    assert list(roles.ListRoleAssignments(authz.ListRoleAssignmentsRequest(parent=name)).assignments) == [given]
    assert [one.slug for one in tenants.BatchCreateTenants(manager.BatchCreateTenantsRequest(requests=[
        manager.CreateTenantRequest(tenant=tenant.Tenant(
            slug=f"{slug}-{n}", display_name="x", isolation_model=api.SHARED)) for n in range(2)])).tenants] == [
                f"{slug}-0", f"{slug}-1"]
    assert tenants.BatchGetTenants(manager.BatchGetTenantsRequest(names=[slug])).tenants[0].slug == slug
    clone = tenants.CloneTenant(manager.CloneTenantRequest(
        source=slug, tenant=tenant.Tenant(slug=f"{slug}-clone", display_name="x"), validate_only=True))
    assert clone.slug == f"{slug}-clone"
    usage = tenants.GetTenantUsage(manager.GetTenantUsageRequest(name=slug))
    assert usage.name == f"{name}/usage"
    assert usage.calls.calls > 0 and usage.health.state == api.ACTIVE
    listed = tenants.ListBusiestTenants(manager.ListBusiestTenantsRequest(page_size=1000)).tenants
    assert slug in [one.slug for one in listed]
    used = {one.quota: one.used for one in usage.quotas}
    # The operator's writes are not on the tenant's account.
    assert (used["roles"], used["assignments"], used["writes"]) == (1, 1, 0)
    assert all(0 <= one.used <= one.limit for one in usage.quotas)
    group_story(roles, name)
    roles.DeleteRoleAssignment(authz.DeleteRoleAssignmentRequest(name=given.name))
    roles.DeleteRole(authz.DeleteRoleRequest(name=role.name))

    host = f"{slug}.tenants.example"
    for answer in (
        resolver.ResolveTenant(api.resolver.ResolveTenantRequest(host=host)),
        resolver.ResolveFromPath(api.resolver.ResolveFromPathRequest(path=f"/{name}/x")),
        resolver.ResolveFromSubdomain(api.resolver.ResolveFromSubdomainRequest(host=host)),
        resolver.ResolveFromHeaders(
            api.resolver.ResolveFromHeadersRequest(headers={"X-Tenant-ID": slug})),
        resolver.ResolveFromEnvironment(
            api.resolver.ResolveFromEnvironmentRequest(environment={"TENANT_ID": slug})),
    ):
        assert answer.tenant.name == name
    explained = resolver.ExplainResolution(api.resolver.ResolveTenantRequest(host=host))
    assert explained.verdict.tenant.name == name
    assert resolver.ValidateTenant(api.resolver.ValidateTenantRequest(name=slug)).valid

    renamed = tenants.UpdateTenant(
        manager.UpdateTenantRequest(tenant=tenant.Tenant(name=name, slug=f"{slug}-new")))
    assert [former.slug for former in renamed.former_slugs] == [slug]
    assert not tenants.RetireTenantSlug(
        manager.RetireTenantSlugRequest(name=name, slug=slug)).former_slugs

    assert tenants.DeactivateTenant(
        manager.DeactivateTenantRequest(name=name)).state == api.SUSPENDED
    assert tenants.ActivateTenant(manager.ActivateTenantRequest(name=name)).state == api.ACTIVE
    tenants.DeactivateTenant(manager.DeactivateTenantRequest(name=name))
    assert tenants.DeprovisionTenantResources(
        manager.DeprovisionTenantResourcesRequest(name=name)).state == api.PENDING
    assert tenants.DeleteTenant(manager.DeleteTenantRequest(name=name)).state == api.DELETED
    assert tenants.UndeleteTenant(manager.UndeleteTenantRequest(name=name)).state == api.SUSPENDED
    tenants.DeprovisionTenantResources(manager.DeprovisionTenantResourcesRequest(name=name))
    tenants.ProvisionTenantResources(manager.ProvisionTenantResourcesRequest(name=name))
    assert tenants.BeginTenantMaintenance(
        manager.BeginTenantMaintenanceRequest(name=name)).state == api.MAINTENANCE
    assert tenants.EndTenantMaintenance(manager.EndTenantMaintenanceRequest(name=name)).state == api.ACTIVE
    tenants.SetTenantSchedule(manager.SetTenantScheduleRequest(name=name))
    tenants.DeleteTenant(manager.DeleteTenantRequest(name=name))
    assert tenants.PlaceTenantLegalHold(
        manager.PlaceTenantLegalHoldRequest(name=name, reason="x")).legal_hold.reason == "x"
    assert not tenants.ReleaseTenantLegalHold(
        manager.ReleaseTenantLegalHoldRequest(name=name)).HasField("legal_hold")
    assert tenants.PurgeTenant(
        manager.PurgeTenantRequest(name=name, ignore_retention=True)).state == api.PURGED

    api.secrets_grpc.SecretsStub(channel).RotateDataKey(api.secrets.RotateDataKeyRequest())
    audit = api.audit_grpc.AuditStub(channel)
    records = audit.ListAuditRecords(api.audit.ListAuditRecordsRequest(parent=name)).records
    assert [record.action for record in records][0] == "tenants.create"
    exported = audit.ExportAuditRecords(api.audit.ExportAuditRecordsRequest(parent=name))
    assert f"tenants/{exported.chain}" == name and len(exported.records) == len(records)

    # These have tests of their own: one needs a configuration, one is a stream, the others are of other things.
    apart = {"TenantResolver/GetDefaultTenant", "TenantResolver/ResolveFromToken",
             "Audit/StreamAuditRecords", "TenantManager/WatchTenants"} | {
        name for name in api.methods() if name.startswith(
            ("CertificateAuthorities/", "Clusters/", "FeatureFlags/", "Plans/", "SettingDefinitions/", "TenantConfigurations/",
             "TenantData/", "TenantDomains/", "TenantOperations/", "Tokens/", "WorkloadEntries/"))}
    assert recorder.answered == set(api.methods()) - apart


def test_who_am_i_over_the_unix_socket(server):
    with server.operator() as client:
        answer = client.who()
    assert answer == api.identity.WhoAmIResponse(
        subject=f"uid:{server.settings['identity']['unix_users'][0]['uid']}",
        source=api.identity.IDENTITY_SOURCE_UNIX_PEER, platform_roles=["operator"])


@pytest.mark.parametrize("maker", ["python", "openssl"])
def test_who_am_i_over_mutual_tls(pki, connect, admin, slug, maker):
    authority = getattr(pki, maker)
    credential = authority.platform("viewer")
    answer = connect(credential).who()
    assert answer.subject == platform_id("viewer")
    assert answer.platform_roles == ["viewer"] and not answer.tenant
    assert answer.certificate_fingerprint == credential.fingerprint()
    assert answer.certificate_expire_time.seconds == credential.expires()

    home = admin.active(slug)
    answer = connect(authority.tenant(slug)).who()
    assert (answer.tenant, answer.tenant_slug) == (home.name, slug)
    assert answer.source == api.identity.IDENTITY_SOURCE_CERTIFICATE
    assert not answer.platform_roles


def test_create_fills_in_what_follows(operator, slug):
    made = operator.manager.CreateTenant(manager.CreateTenantRequest(tenant=tenant.Tenant(
        display_name=f"  Ünder {slug} & Söhne! ", isolation_model=api.HYBRID,
        # Output only: not believed.
        id="x", name="tenants/x", state=api.ACTIVE, etag="x", epoch=9)))
    assert made.name == f"tenants/{made.id}" and uuid.UUID(made.id).version == 7
    assert made.slug == f"nder-{slug}-s-hne"
    assert (made.state, made.epoch) == (api.PENDING, 1)
    assert made.configuration.schema.schema_name == made.slug.replace("-", "_")
    assert made.configuration.shared.tenant_identifier == made.id
    assert not made.configuration.HasField("database")
    assert made.create_time == made.update_time and not made.HasField("delete_time")
    for name in (made.name, made.id, made.slug, f"tenants/{made.slug}"):
        assert operator.get(name) == made


@pytest.mark.parametrize("field, fields", [
    ("tenant.display_name", dict(display_name="")),
    ("tenant.display_name", dict(display_name="x" * 201)),
    ("tenant.display_name", dict(display_name="a\nb")),
    ("tenant.slug", dict(slug="Upper")),
    ("tenant.slug", dict(slug="-x")),
    ("tenant.slug", dict(slug="x" * 64)),
    ("tenant.slug", dict(slug="a.b")),
    ("tenant.slug", dict(slug=str(uuid.uuid4()))),
    ("tenant.slug", dict(slug="", display_name="ß")),
    ("tenant.isolation_model", dict(isolation_model=0)),
    ("tenant.isolation_model", dict(isolation_model=77)),
    ("tenant.configuration.schema.schema_name", dict(configuration=tenant.TenantConfiguration(
        schema=tenant.SchemaConfig(schema_name="../x")))),
    ("tenant.configuration.shared", dict(configuration=tenant.TenantConfiguration(
        shared=tenant.SharedConfig(tenant_identifier="x")))),
    ("tenant.configuration.database", dict(configuration=tenant.TenantConfiguration(
        database=tenant.DatabaseConfig(connection_string="x")))),
])
def test_create_refuses(operator, slug, field, fields):
    fields = dict(slug=slug, display_name="x", isolation_model=api.SCHEMA) | fields
    invalid(field, operator.manager.CreateTenant,
            manager.CreateTenantRequest(tenant=tenant.Tenant(**fields)))


def test_names_are_unique(operator, slug):
    operator.create(slug)
    again = failure("ALREADY_EXISTS", operator.create, slug)
    assert again.reason == "NAME_TAKEN" and again.metadata["field"] == "tenant.slug"
    schema = tenant.TenantConfiguration(schema=tenant.SchemaConfig(schema_name=slug))
    taken = failure("ALREADY_EXISTS", operator.create, slug("x"), configuration=schema)
    assert taken.metadata["field"] == "tenant.configuration.schema.schema_name"


def test_create_validate_only(operator, slug):
    request = manager.CreateTenantRequest(validate_only=True, tenant=tenant.Tenant(
        slug=slug, display_name="x", isolation_model=api.SHARED))
    assert operator.manager.CreateTenant(request).slug == slug
    failure("NOT_FOUND", operator.get, slug)
    request.tenant.slug = "Not A Slug"
    invalid("tenant.slug", operator.manager.CreateTenant, request)


def test_a_request_id_makes_creation_idempotent(operator, slug):
    request = manager.CreateTenantRequest(request_id=str(uuid.uuid4()), tenant=tenant.Tenant(
        slug=slug, display_name="x", isolation_model=api.SHARED))
    request.tenant.configuration.custom_settings.update({f"k{n}": n for n in range(30)})
    for n in range(30):
        request.tenant.configuration.feature_flags[f"f{n}"] = n % 2 == 0
    made = operator.manager.CreateTenant(request)
    assert operator.manager.CreateTenant(request) == made

    request.tenant.display_name = "y"
    other = invalid("request_id", operator.manager.CreateTenant, request)
    assert other.reason == "REQUEST_ID_REUSED"
    request.request_id = "no uuid"
    invalid("request_id", operator.manager.CreateTenant, request)


def test_update_changes_what_the_mask_says(operator, slug):
    made = operator.create(slug)
    sent = dict(display_name="New", slug=slug("new"))
    changed = update(operator, made.name, ["display_name"], **sent)
    assert (changed.display_name, changed.slug) == ("New", slug)
    assert changed.etag != made.etag and changed.epoch == made.epoch

    assert update(operator, made.name, [], slug=slug("new")).slug == slug("new")
    assert operator.get(slug).slug == slug("new")
    # A former slug stays this tenant's: nobody else gets it, but it may be taken back.
    failure("ALREADY_EXISTS", operator.create, slug)
    assert update(operator, made.name, ["slug"], slug=slug).slug == slug

    whole = update(operator, made.name, ["*"], display_name="All", slug=slug,
                   isolation_model=api.SHARED)
    assert whole.isolation_model == api.SHARED
    assert not whole.configuration.HasField("schema")
    assert whole.configuration.shared.tenant_identifier == made.id
    invalid("update_mask.paths[1]", update, operator, made.name, ["slug", "state"], slug=slug)
    invalid("tenant.slug", update, operator, made.name, ["slug"])


def test_update_validate_only_changes_nothing(operator, slug):
    made = operator.create(slug)
    would = update(operator, made.name, ["display_name"], True, display_name="New")
    assert would.display_name == "New"
    assert operator.get(made.name) == made


def test_a_stale_etag_aborts(operator, slug):
    made = operator.active(slug)
    old = made.etag
    made = update(operator, made.name, display_name="New", etag=old)
    calls = [
        lambda: update(operator, made.name, display_name="Newer", etag=old),
        lambda: operator.manager.DeactivateTenant(
            manager.DeactivateTenantRequest(name=made.name, etag=old)),
        lambda: operator.manager.DeleteTenant(
            manager.DeleteTenantRequest(name=made.name, etag=old)),
        lambda: operator.manager.UpdateTenantConfiguration(
            manager.UpdateTenantConfigurationRequest(name=made.name, etag=old)),
        lambda: operator.manager.BeginTenantMaintenance(
            manager.BeginTenantMaintenanceRequest(name=made.name, etag=old)),
        lambda: operator.manager.UndeleteTenant(
            manager.UndeleteTenantRequest(name=made.name, etag=old)),
        lambda: operator.manager.PurgeTenant(manager.PurgeTenantRequest(name=made.name, etag=old)),
        lambda: operator.manager.PlaceTenantLegalHold(
            manager.PlaceTenantLegalHoldRequest(name=made.name, etag=old, reason="x")),
        lambda: operator.manager.ReleaseTenantLegalHold(
            manager.ReleaseTenantLegalHoldRequest(name=made.name, etag=old)),
        lambda: operator.manager.SetTenantSchedule(
            manager.SetTenantScheduleRequest(name=made.name, etag=old)),
    ]
    for call in calls:
        error = failure("ABORTED", call)
        assert (error.reason, error.metadata) == ("ETAG_MISMATCH", {"etag": made.etag})
    assert operator.get(made.name) == made


def test_where_data_lives_stays_while_there_is_data(operator, slug):
    made = operator.active(slug)
    moved = failure("FAILED_PRECONDITION", update, operator, made.name, isolation_model=api.SHARED)
    assert moved.reason == "ILLEGAL_TRANSITION" and moved.metadata == {"state": "active"}


@pytest.fixture(scope="module")
def crowd(admin):
    """120 tenants: every third suspended, every tenth of these deleted."""
    made = []
    for n in range(120):
        one = admin.active(f"crowd-{n:03}", display_name=f"Crowd {'even' if n % 2 == 0 else 'odd'}")
        if n % 3 == 0:
            one = admin.suspend(one.name)
        if n % 30 == 0:
            one = admin.delete(one.name)
        made.append(one)
    return made


CROWD = 'slug = "crowd-*"'


@pytest.mark.parametrize("size", [0, 1, 7, 119, 120, 5000])
def test_pages_hold_every_tenant_once(operator, crowd, size):
    tenants = listed(operator, filter=CROWD, page_size=size, show_deleted=True)
    assert tenants == crowd


def test_page_sizes(operator, crowd):
    def page(**fields):
        return operator.manager.ListTenants(manager.ListTenantsRequest(filter=CROWD, **fields))

    assert len(page(show_deleted=True).tenants) == 50
    assert len(page(page_size=3).tenants) == 3
    full = page(page_size=1001, show_deleted=True)
    assert len(full.tenants) == 120 and not full.next_page_token


@pytest.mark.parametrize("extra, matches", [
    ("state = SUSPENDED", lambda t: t.state == api.SUSPENDED),
    ("state = TENANT_STATE_ACTIVE", lambda t: t.state == api.ACTIVE),
    ("state != ACTIVE", lambda t: t.state != api.ACTIVE),
    ('display_name = "Crowd odd"', lambda t: t.display_name == "Crowd odd"),
    ('display_name != "Crowd o*"', lambda t: t.display_name == "Crowd even"),
    ("slug = crowd-007", lambda t: t.slug == "crowd-007"),
    ("isolation_model = SHARED", lambda t: False),
    ('isolation_model = SCHEMA AND state = ACTIVE AND slug = "crowd-1*"',
     lambda t: t.state == api.ACTIVE and t.slug.startswith("crowd-1")),
])
def test_filters(operator, crowd, extra, matches):
    wanted = [one for one in crowd if matches(one) and one.state != api.DELETED]
    assert listed(operator, filter=f"{CROWD} AND {extra}", page_size=9) == wanted


def test_a_batch_is_all_or_nothing(operator, slug):
    one, two = operator.create(slug), operator.create(slug("two"))

    def batch(*names):
        return operator.manager.BatchGetTenants(manager.BatchGetTenantsRequest(names=names))

    assert list(batch(two.id, one.name, slug, two.slug).tenants) == [two, one, one, two]
    assert list(batch(*[slug] * 1000).tenants) == [one] * 1000
    invalid("names", batch)
    invalid("names", batch, *[slug] * 1001)
    invalid("names[1]", batch, slug, "no tenant")
    missing = failure("NOT_FOUND", batch, slug, "nobody-of-this-name")
    assert missing.reason == "TENANT_NOT_FOUND" and "names[1]" in missing.message
    large = operator.create(slug("large"), configuration=tenant.TenantConfiguration(
        custom_settings={"a": "x" * 60_000}))
    assert len(batch(*[large.name] * 17).tenants) == 17
    invalid("names", batch, *[large.name] * 18)
