"""A tenant that is renamed: its former slug stands for it until that is retired."""

from support import api
from support.client import failure
from support.pki import tenant_id
from test_privilege import update

manager, resolver = api.manager, api.resolver


def resolved(client, name):
    return client.resolver.ResolveTenant(
        resolver.ResolveTenantRequest(path=f"/tenants/{name}/x")).tenant.slug


def test_certificates_roles_and_selectors_survive_a_new_slug(connect, admin, pki, slug):
    home, new = admin.active(slug), f"{slug}-new"
    app = connect(pki.python.tenant(slug, "app"))
    admin.role(slug, "reader", "docs:read")
    admin.assign(slug, tenant_id(slug, "app"), "tenant-admin")
    admin.assign(slug, tenant_id(slug, "app"), "reader")
    app.role(slug, "before", "a:b")
    renamed = update(admin, slug, "slug", slug=new)
    assert [former.slug for former in renamed.former_slugs] == [slug]

    newer = connect(pki.python.tenant(new, "app"))
    for client in (app, newer):
        assert client.who().tenant_slug == new
        for name in (slug, new, home.id):
            assert resolved(client, name) == new
        client.role(slug if client is app else new, f"by-{client is app}".lower(), "a:b")
    for name in (slug, new, home.id):
        assert admin.check(name, tenant_id(name, "app"), "docs:read").allowed
    assert not admin.check(new, tenant_id(new, "other"), "docs:read").allowed
    assert resolved(admin, slug.upper()) == new
    [former] = admin.get(new).former_slugs
    assert former.recent_uses > 5 and former.last_use_time.seconds > home.create_time.seconds - 1

    admin.manager.RetireTenantSlug(manager.RetireTenantSlugRequest(name=new, slug=slug))
    assert not admin.get(new).former_slugs
    assert failure("PERMISSION_DENIED", app.who).reason == "IDENTITY_UNKNOWN"
    assert failure("NOT_FOUND", resolved, admin, slug).reason == "TENANT_NOT_FOUND"
    assert resolved(newer, new) == new
    assert admin.check(new, tenant_id(new, "app"), "docs:read").allowed
    assert not admin.check(new, tenant_id(slug, "app"), "docs:read").allowed
    assert failure("ALREADY_EXISTS", admin.create, slug).reason == "NAME_TAKEN"


def test_another_tenant_s_former_slug_is_no_name_of_ours(connect, admin, pki, slug):
    admin.active(slug)
    other = admin.active(f"{slug}-other")
    update(admin, slug, "slug", slug=f"{slug}-new")
    stranger = connect(pki.python.tenant(other.slug))
    assert failure("PERMISSION_DENIED", resolved, stranger, slug).reason == "TENANT_MISMATCH"
    assert failure("PERMISSION_DENIED", stranger.get, slug).reason == "TENANT_MISMATCH"
    [former] = admin.get(f"{slug}-new").former_slugs
    assert former.recent_uses == 0


def test_the_default_tenant_and_a_restart(make_server):
    server = make_server(resolution={"default_tenant": "first"})
    server.start()
    with server.operator() as operator:
        operator.active("first")
        update(operator, "first", "slug", slug="second")
        operator.active("third")
        update(operator, "third", "slug", slug="fourth")
        operator.manager.RetireTenantSlug(
            manager.RetireTenantSlugRequest(name="fourth", slug="third"))
    server.stop()
    server.start()
    with server.operator() as operator:
        answer = operator.resolver.GetDefaultTenant(resolver.GetDefaultTenantRequest())
        assert answer.tenant.slug == "second"
        assert resolved(operator, "first") == "second"
        failure("NOT_FOUND", resolved, operator, "third")
