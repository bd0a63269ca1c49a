"""Certificates of CAs that are trusted, with names that try for more than they are granted."""

import os
import uuid

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage

from support import api
from support.client import failure
from support.pki import Authority, platform_id, tenant_id
from support.waiting import eventually
from test_privilege import update

manager = api.manager


def test_a_tenant_by_each_of_its_names(connect, admin, pki, slug):
    home = admin.active(slug)
    update(admin, slug, "slug", slug=slug("new"))
    for name in slug, slug("new"), home.id:
        assert connect(pki.python.tenant(name)).who().tenant == home.name
    admin.manager.RetireTenantSlug(manager.RetireTenantSlugRequest(name=home.id, slug=slug))
    unknown = [slug, str(uuid.UUID(int=7 << 76 | 0b10 << 62)), "never-there"]
    for name in unknown:
        client = connect(pki.python.tenant(name))
        assert failure("PERMISSION_DENIED", client.who).reason == "IDENTITY_UNKNOWN"
        assert failure("PERMISSION_DENIED", client.get, home.id).reason == "IDENTITY_UNKNOWN"
    admin.delete(home.id)
    for name in slug("new"), home.id, slug:
        client = connect(pki.python.tenant(name))
        assert failure("PERMISSION_DENIED", client.who).reason == "IDENTITY_UNKNOWN"


@pytest.mark.parametrize("name", ["b6a3a3d5-6f0e-4c5a-9d3e-0c8b6f8a7f11", str(uuid.UUID(int=7 << 76 | 0b10 << 62)).upper()
                                  .replace("0", "A"), "a" * 64, "-acme", "acme-"])
def test_names_that_no_tenant_can_have(server, pki, name):
    begin = len(server.log)
    with server.client(pki.python.tenant(name)) as client:
        failure("UNAVAILABLE", client.who)
    eventually(lambda: "not in canonical form" in server.log[begin:], "the reason")


def test_other_names_beside_the_one(connect, admin, pki, slug):
    """Hosts and addresses are no identity, nor do they add to one."""
    home = admin.active(slug)
    both = pki.python.issue(tenant_id(slug), hosts=("operator.e2e.test", "127.0.0.1"))
    who = connect(both).who()
    assert (who.tenant, list(who.platform_roles)) == (home.name, [])


@pytest.mark.parametrize("uris, usages", [
    ((tenant_id("acme"), platform_id("admin")), (Usage.CLIENT_AUTH,)),
    ((platform_id("admin"), "https://e2e.test/"), (Usage.CLIENT_AUTH,)),
    ((platform_id("admin"),), (Usage.ANY_EXTENDED_KEY_USAGE,)),
    ((platform_id("admin"),), (Usage.CODE_SIGNING,)),
    ((platform_id("admin"),), (Usage.SERVER_AUTH, Usage.OCSP_SIGNING)),
    ((platform_id("admin"),), ()),
    (("spiffe://E2E.test/platform/admin",), (Usage.CLIENT_AUTH,)),
    (("spiffe://e2e.test./platform/admin",), (Usage.CLIENT_AUTH,)),
    (("spiffe://e2e.test/platform/admin/",), (Usage.CLIENT_AUTH,)),
    (("spiffe://e2e.test/platform//admin",), (Usage.CLIENT_AUTH,)),
    (("spiffe://e2e.test/platform/%61dmin",), (Usage.CLIENT_AUTH,)),
    (("spiffe://e2e.test/./platform/admin",), (Usage.CLIENT_AUTH,)),
    (("spiffe://e2e.test/platform/*",), (Usage.CLIENT_AUTH,)),
    (("spiffe://e2e.test/tenant/*",), (Usage.CLIENT_AUTH,)),
    (("spiffe://e2e.test/platform/admin/a/b",), (Usage.CLIENT_AUTH,)),
    (("spiffe://e2e.test/Platform/admin",), (Usage.CLIENT_AUTH,)),
    (("spiffe://e2e.test/tenant/acme/../../platform/admin",), (Usage.CLIENT_AUTH,)),
])
def test_certificates_that_are_nobody_s(server, pki, uris, usages):
    with server.client(pki.python.issue(*uris, usages=usages)) as client:
        failure("UNAVAILABLE", client.who)


def test_roles_are_spelt_exactly(connect, pki):
    """Whoever may connect may ask who they are, and nothing else."""
    for role in "Admin", "admin.", "admin-", "ADMIN", "everything":
        client = connect(pki.python.platform(role))
        assert client.who().platform_roles == [role]
        failure("PERMISSION_DENIED", client.manager.ListTenants, manager.ListTenantsRequest())
    workload = connect(pki.python.platform("viewer/admin"))
    assert workload.who().platform_roles == ["viewer"]


def test_a_partner_s_tenants(make_server, pki, tmp_path):
    """What it is granted is the text: other names of that tenant, and other tenants, are not."""
    partner = Authority("Partner CA")
    bundle = tmp_path / "partner.pem"
    bundle.write_bytes(partner.pem)
    server = make_server(
        identity={"trust_domain": "e2e.test", "unix_users": [{"uid": os.getuid(), "roles": ["admin"]}]})
    tls = server.settings["tls"]
    tls["trust_bundles"] = [
        {"trust_domain": "e2e.test", "ca": tls.pop("client_ca")},
        {"trust_domain": "partner.test", "ca": str(bundle), "tenants": ["acme"]}]
    server.start()

    def client(name):
        return server.client(partner.issue(f"spiffe://partner.test/{name}"))

    with server.operator() as admin:
        acme, globex = admin.active("acme"), admin.active("globex")
        update(admin, "globex", "slug", slug="globex-new")
        for name in ("tenant/globex", "tenant/globex-new", f"tenant/{globex.id}", f"tenant/{acme.id}",
                     "tenant/acme-new", "platform/viewer", "platform/acme", "tenant/ACME", "acme"):
            with client(name) as refused:
                failure("UNAVAILABLE", refused.who)
        with client("tenant/acme/app") as app:
            assert app.who().tenant == acme.name
            for other in "globex", "globex-new", globex.id:
                assert failure("PERMISSION_DENIED", app.get, other).reason == "TENANT_MISMATCH"
            # A role of acme for its workload of another trust domain is not the partner's.
            admin.assign("acme", tenant_id("acme", "app"), "tenant-admin")
            failure("PERMISSION_DENIED", app.role, "acme", "mine", "a:b")
            # The grant's text goes on to stand for acme, and for no other tenant.
            update(admin, "acme", "slug", slug="acme-new")
            assert app.who().tenant_slug == "acme-new"
            assert failure("ALREADY_EXISTS", admin.create, "acme").reason == "NAME_TAKEN"
            admin.manager.RetireTenantSlug(manager.RetireTenantSlugRequest(name=acme.id, slug="acme"))
            assert failure("PERMISSION_DENIED", app.who).reason == "IDENTITY_UNKNOWN"
