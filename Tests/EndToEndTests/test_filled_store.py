"""Stores that the benchmarks fill with copies are such as a server leaves: sound, and served as others."""

import json
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from support import api
from support.daemon import binary

sys.path.append(str(Path(__file__).resolve().parents[2] / "tools" / "bench"))

import filled  # noqa: E402

COPIES = 500


def test_a_filled_store_is_sound_and_served(make_server):
    server = make_server().start()
    with server.operator() as client:
        sample = client.active("sample-of-many", api.SHARED)
    assert server.stop() == 0
    filled.fill(server.data, sample, [f"copy-{number}" for number in range(COPIES)], step=COPIES // 2 + 1)

    server.start()
    with server.operator() as client:
        tenants = client.manager.ListTenants(
            api.manager.ListTenantsRequest(page_size=1000), timeout=20).tenants
        assert len({tenant.name for tenant in tenants}) == COPIES + 1
        copy = tenants[COPIES // 2]
        assert copy.slug.startswith("copy-") and copy.state == api.ACTIVE
        client.suspend(copy.name)
        assert client.get(copy.name).state == api.SUSPENDED
        client.active("customer-after", api.SHARED)
    assert server.stop() == 0
    report = json.loads(subprocess.run(
        [binary(), "check", "--data-directory", server.data, "--json"],
        capture_output=True, text=True, timeout=60, check=True).stdout)
    assert not report["findings"]
    assert report["counts"]["tenants"] == COPIES + 2


def test_what_can_not_be_copied_is_refused(make_server):
    server = make_server().start()
    with server.operator() as client:
        sample = client.manager.CreateTenant(api.manager.CreateTenantRequest(
            request_id=str(uuid.uuid4()), tenant=api.tenant.Tenant(
                slug="sample-of-many", display_name="One", isolation_model=api.SHARED)), timeout=20)
    assert server.stop() == 0
    with pytest.raises(ValueError, match="rows in requests"):
        filled.fill(server.data, sample, ["copy-1"])
