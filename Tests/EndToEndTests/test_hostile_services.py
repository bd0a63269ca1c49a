"""One tenant's own people against all others: valid credentials, valid calls, as nasty as they come.

Its administrator has filled the tenant to its limits. While sixteen connections of that tenant call at
full speed, another tenant's workload is served as before; `support.siege` says what that means.
"""

import ssl
import time

import pytest

from support import hoards, nasty
from support.attacker import Place, assail
from support.attacks import batches
from support.daemon import Server
from support.http2 import LARGEST_WINDOW, PREFACE, message, request, settings, window_update
from support.measured import Measured
from support.pki import tenant_id
from support.siege import Siege
from support.storm import Storm
from support.wire import field

CONNECTIONS = 16
"""Of the hostile tenant."""

STORM = 5
"""Seconds that the clients call that send every call there is."""

RESOLVE = "/tenancy.v1.TenantResolver/ResolveTenant"
"""What the well-behaved client calls: an empty request resolves to its own tenant."""


class Hostage(Server, Measured):
    """A server with a hostile tenant and a well-behaved one."""

    def begin(self) -> None:
        self.start()
        with self.operator() as operator:
            operator.active("honest")
            nasty.prepare(operator)
            operator.assign(nasty.NAME, tenant_id(nasty.SLUG, "admin"), "tenant-admin")
        self.files = self._credential("honest", "web")
        self.workload = self._credential(nasty.SLUG, "web")
        self.administrator = self._credential(nasty.SLUG, "admin")

    def _credential(self, tenant: str, workload: str) -> tuple:
        """Files: authority, certificate, key."""
        directory = self.directory / f"{tenant}-{workload}"
        files = self.pki.python.tenant(tenant, workload).write(directory)
        authority = directory / "authority.pem"
        authority.write_bytes(self.pki.python.pem)
        return authority, *files

    @property
    def target(self) -> str:
        return f"localhost:{self.port}"

    def place(self, files: tuple) -> Place:
        authority, *own = files
        context = ssl.create_default_context(cafile=authority)
        context.load_cert_chain(*own)
        context.set_alpn_protocols(["h2"])
        return Place(("127.0.0.1", self.port), context)


@pytest.fixture(scope="module")
def hostage(request, tmp_path_factory, pki):
    server = Hostage(tmp_path_factory.mktemp("hostage"), pki)
    try:
        server.begin()
        siege = Siege(server, request.config.getoption("--noise"), RESOLVE)
        try:
            yield siege
        finally:
            siege.close()
    finally:
        server.close()


def calls(listed: list):
    """One after the other, without waiting for answers, which may come in any amount."""
    def script():
        yield (PREFACE + settings(initial_window=LARGEST_WINDOW)
               + window_update(0, LARGEST_WINDOW - 65_535))
        yield from batches(lambda stream: request(
            stream, "/tenancy.v1." + listed[stream // 2 % len(listed)][0],
            listed[stream // 2 % len(listed)][1]), size=50)
    return script


@pytest.mark.parametrize("name", ["workload", "administrator"])
def test_small_calls_at_full_speed(hostage, name):
    """Small requests with small answers: what they cost is all in between."""
    place = hostage.server.place(getattr(hostage.server, name))
    with hostage.endured():
        damage = assail(place, calls(nasty.SMALL), 2, CONNECTIONS, reads=True)
    assert damage.sent > 100_000, "the attack was not carried out"


REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
SYMBOL = message(field(4, b"tenancy.v1.TenantManager"))
"""Asks for a file of some ten kilobytes."""


@pytest.mark.parametrize("script", [
    hoards.bombs(RESOLVE), hoards.bombs("/tenancy.v1.Authorization/BatchCheck"),
    hoards.blocked_bombs(REFLECTION, SYMBOL * 20),
], ids=["inline", "off the loop", "nobody reads"])
def test_bombs(hostage, script):
    """What a workload without any role packs, unpacks to a thousand times as much."""
    place = hostage.server.place(hostage.server.workload)
    with hostage.endured_and_forgotten():
        assail(place, script, 4, 64, reads=True)


def test_every_nasty_call(hostage):
    """Of a workload that has no role and of the tenant's administrator, large requests and answers too."""
    server = hostage.server
    storms = []
    try:
        with hostage.endured():
            half = CONNECTIONS // 2
            storms.append(Storm(server.target, server.workload, half,
                                "SMALL", "ANSWERS", "REQUESTS"))
            storms.append(Storm(server.target, server.administrator, half,
                                "SMALL", "ANSWERS", "REQUESTS", "CHANGES"))
            time.sleep(STORM)
            ended = [storm.end() for storm in storms]
    finally:
        for storm in storms:
            storm.kill()
    for codes in ended:
        assert codes["OK"] > 20 and codes["INVALID_ARGUMENT"] > 5, codes
