"""One tenant's administrator writes as much as the server takes: what that is to others, to the tenant's
own suspension, and to the server's memory and disk."""

import itertools
import time

import grpc
import pytest

from support import api
from support.client import Failure
from support.daemon import Server
from support.flood import Flood
from support.measured import Measured
from support.pki import tenant_id
from support.siege import LARGEST_P99, MEBIBYTE

CONNECTIONS = 8
IN_FLIGHT = 300
"""Calls of each connection: 2,400 together."""

SECONDS = 5
"""For how long another tenant's writes are measured."""

SUSPENSION = 1.0
"""Seconds that the hostile tenant's suspension may take, on a machine that the flood keeps busy."""

authz, manager, tenant = api.authz, api.manager, api.tenant


class Busy(Server, Measured):
    """A server with two tenants that have administrators."""

    def begin(self) -> "Busy":
        self.start()
        with self.operator() as operator:
            self.homes = {}
            for slug in ("hostile", "honest"):
                self.homes[slug] = operator.active(slug, api.SHARED)
                operator.assign(self.homes[slug].name, tenant_id(slug, "admin"), "tenant-admin")
        return self

    def files(self, slug: str) -> tuple:
        """Of an administrator: authority, certificate, key."""
        directory = self.directory / slug
        certificate = self.pki.python.tenant(slug, "admin").write(directory)
        authority = directory / "authority.pem"
        authority.write_bytes(self.pki.python.pem)
        return authority, *certificate

    def admin(self, slug: str):
        return self.client(self.pki.python.tenant(slug, "admin"))

    def used(self, slug: str) -> dict[str, int]:
        with self.operator() as operator:
            usage = operator.manager.GetTenantUsage(
                manager.GetTenantUsageRequest(name=self.homes[slug].name), timeout=20)
        return {one.quota: one.used for one in usage.quotas}

    @property
    def stored(self) -> int:
        return sum(file.stat().st_size for file in self.data.glob("tenancy.sqlite*"))


@pytest.fixture
def busy(tmp_path, pki):
    server = Busy(tmp_path / "busy", pki)
    try:
        yield server.begin()
        assert server.process.poll() is None, f"tenantd ended:\n{server.log}"
    finally:
        server.close()


#: For subjects that have no role yet.
NUMBERS = itertools.count()


def written(client, home) -> list[float]:
    """How long each of many writes took."""
    took = []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        start = time.monotonic()
        client.assign(home.name, f"user:{next(NUMBERS)}", "tenant-viewer")
        took.append(time.monotonic() - start)
    return took


def test_a_flood_of_writes_delays_nobody_and_ends_with_the_tenant(busy):
    flood = Flood(f"localhost:{busy.port}", busy.files("hostile"), busy.homes["hostile"].name,
                  CONNECTIONS, IN_FLIGHT)
    try:
        with busy.admin("honest") as honest, busy.operator() as operator:
            time.sleep(1)
            took = sorted(written(honest, busy.homes["honest"]))
            start = time.monotonic()
            assert operator.suspend("hostile").state == api.SUSPENDED
            suspended = time.monotonic() - start
            at_once = busy.used("hostile")["assignments"]
            written(honest, busy.homes["honest"])
            codes = flood.end()
    finally:
        flood.kill()
    assert len(took) > 20, "another tenant was hardly served"
    p99 = took[int(0.99 * len(took))]
    assert p99 < LARGEST_P99, f"{p99 * 1e3:.0f} ms"
    assert suspended < SUSPENSION, f"{suspended * 1e3:.0f} ms"
    assert set(codes) <= {"OK", "RESOURCE_EXHAUSTED", "PERMISSION_DENIED"}, codes
    assert codes["OK"] > 500 and codes["PERMISSION_DENIED"], codes
    # One assignment was there before.
    assert busy.used("hostile")["assignments"] == at_once == codes["OK"] + 1


def until_refused(call, most: int) -> tuple[int, Failure]:
    """How many calls succeed, and why one does not."""
    for number in range(most):
        try:
            call(number)
        except grpc.RpcError as error:
            return number, Failure.of(error)
    raise AssertionError(f"{most} calls were not refused")


def test_roles_of_long_permissions_are_bounded(busy):
    home = busy.homes["hostile"]
    before = busy.resident
    permissions = [f"{'r' * 58}{n:06}:{'a' * 64}" for n in range(1000)]
    with busy.admin("hostile") as admin:
        count, error = until_refused(
            lambda number: admin.role(home.name, f"role-{number}", *permissions), 1000)
        assert error.code.name == "RESOURCE_EXHAUSTED" and error.reason == "LIMIT_REACHED"
        assert error.metadata["quota"] in ("resident-bytes", "writes", "log-bytes")
        assert error.metadata["subject"] == home.name
        assert count > 5
        # What frees is done, and all the rest goes on.
        admin.authz.DeleteRole(authz.DeleteRoleRequest(name=f"{home.name}/roles/role-0"))
        assert not admin.check(home.name, "user:al", "a:b").allowed
    assert busy.resident - before < 64 * MEBIBYTE


def test_settings_fill_the_log_so_fast_and_no_faster(busy):
    home = busy.homes["hostile"]
    before = busy.stored

    def configure(client, number: int):
        settings = tenant.TenantConfiguration()
        settings.custom_settings["text"] = f"{number:06}" + "x" * 60_000
        return client.manager.UpdateTenantConfiguration(manager.UpdateTenantConfigurationRequest(
            name=home.name, configuration=settings), timeout=20)

    with busy.admin("hostile") as admin, busy.operator() as operator:
        count, error = until_refused(lambda number: configure(admin, number), 5000)
        assert error.code.name == "RESOURCE_EXHAUSTED"
        assert error.metadata["quota"] in ("log-bytes", "writes")
        assert error.retry_seconds >= 1
        assert count > 20
        # The platform goes on.
        configure(operator, count)
        # The tenant has what came back meanwhile, and no more.
        _, error = until_refused(lambda number: configure(admin, number), 20)
        assert error.metadata["subject"] == home.name
    assert busy.stored - before < 64 * 1024 * 1024
