"""Certificates of HTTP clients that were accepted before: each request judges them as they are then."""

import os

import pytest
from support import api
from support.daemon import Server
from support.http_requests import check
from support.pki import revoking, tenant_id
from support.waiting import eventually


@pytest.fixture(scope="module")
def crl(tmp_path_factory, pki):
    file = tmp_path_factory.mktemp("crl") / "ca.crl"
    file.write_bytes(revoking(pki.python))
    return file


@pytest.fixture(scope="module")
def server(tmp_path_factory, pki, crl):
    directory = tmp_path_factory.mktemp("server")
    authority = directory / "ca.pem"
    authority.write_bytes(pki.python.pem)
    server = Server(directory, pki, envoy={"routes": [{"path": "/**", "permission": "orders:read"}]})
    server.settings["tls"] |= {"client_ca": str(authority), "crls": [str(crl)], "reload_seconds": 1}
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture(scope="module")
def acme(admin):
    tenant = admin.active("acme", api.SHARED)
    admin.role("acme", "reader", "orders:read")
    admin.assign("acme", tenant_id("acme"), "reader")
    return tenant


def replace(file, content: bytes) -> None:
    draft = file.with_suffix(".new")
    draft.write_bytes(content)
    os.replace(draft, file)


def test_one_that_is_revoked_and_revoked_no_more(admin, acme, pki, crl):
    good, bad = pki.python.tenant("acme"), pki.python.tenant("acme")
    for credential in (good, bad, good, bad):
        assert check(admin, certificate=credential).allowed
    replace(crl, revoking(pki.python, bad))
    eventually(lambda: not check(admin, certificate=bad).allowed, "the CRL counts")
    assert check(admin, certificate=bad).reason in ("IDENTITY_REVOKED", "CERTIFICATE_REFUSED")
    assert check(admin, certificate=good).allowed
    # Which is not remembered for longer than it is so.
    replace(crl, revoking(pki.python))
    eventually(lambda: check(admin, certificate=bad).allowed, "the next CRL counts")


def test_one_that_ends(admin, acme, pki):
    short = pki.python.issue(tenant_id("acme"), ends=3)
    assert check(admin, certificate=short).allowed
    found = eventually(
        lambda: next((one for one in [check(admin, certificate=short)] if not one.allowed), None), "it ends")
    assert (found.status, found.reason) == (401, "IDENTITY_EXPIRED")


def test_one_whose_tenant_is_renamed(admin, acme, pki):
    """The headers say what is now, and the names that others get are not those of before."""
    admin.active("former", api.SHARED)
    admin.role("former", "reader", "orders:read")
    web = pki.python.tenant("former")
    admin.assign("former", tenant_id("former"), "reader")
    assert check(admin, certificate=web).headers["x-tenant-slug"] == "former"
    admin.manager.UpdateTenant(api.manager.UpdateTenantRequest(
        tenant={"name": "tenants/former", "slug": "latter"}, update_mask={"paths": ["slug"]}), timeout=20)
    assert check(admin, certificate=web).headers["x-tenant-slug"] == "latter"
