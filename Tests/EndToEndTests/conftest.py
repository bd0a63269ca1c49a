"""Fixtures: certificates, a shared server with its operator, and servers of a test's own.

Run with the binaries' paths in TENANTD, TENANTCTL and RPC_INTEROP_SERVER; needs what `tools/install
--tests` installs.
"""

import itertools

import pytest

from support import conformance
from support.daemon import Server, binary
from support.interop import InteropServer
from support.nodes import settings as node_settings
from support.pki import PKI
from support.postgresql import PostgreSQL
from support.siege import Siege


def pytest_addoption(parser):
    parser.addoption("--attack", type=float, default=0.7, metavar="SECONDS",
                     help="how long each attack of the hostile-peer suites lasts")
    parser.addoption("--noise", type=float, default=0.25, metavar="SECONDS",
                     help="what scheduling alone may cost: attackers, server and clients share the"
                          " machine. Less on one that does nothing else.")


def pytest_configure(config):
    config.addinivalue_line("markers", "quiet: measures time, so that no other test is to run beside it")
    # A run without the binaries is an error, not a run that skips everything.
    try:
        binary()
        conformance.binary()
    except RuntimeError as error:
        raise pytest.UsageError(str(error)) from None


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    return PKI(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def server(tmp_path_factory, pki):
    """Shared by the tests of a module: each makes tenants of its own."""
    server = Server(tmp_path_factory.mktemp("server"), pki)
    try:
        yield server.start()
        assert server.process.poll() is None, f"tenantd ended:\n{server.log}"
    finally:
        server.close()


@pytest.fixture
def database():
    """A PostgreSQL for one test alone."""
    database = PostgreSQL()
    yield database
    database.close()


@pytest.fixture
def make_nodes(make_server, database):
    """Makes and starts nodes on it."""
    def make(count: int, **named):
        return [make_server(**node_settings(database, **named)).start() for _ in range(count)]

    return make


@pytest.fixture
def make_server(tmp_path, pki):
    """Makes servers for one test alone."""
    made = []

    def make(**settings) -> Server:
        made.append(Server(tmp_path / f"server{len(made)}", pki, **settings))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture(scope="module")
def admin(server):
    """The operator who sets the scene, over the Unix socket."""
    with server.operator() as client:
        yield client


@pytest.fixture(scope="module", params=["unix", "mtls"])
def operator(request, server, pki):
    """An operator, over either transport."""
    client = (server.operator() if request.param == "unix"
              else server.client(pki.openssl.platform("operator")))
    with client:
        yield client


@pytest.fixture
def connect(server):
    """Connects with a credential, until the test ends."""
    clients = []

    def connect(credential=None):
        clients.append(server.client(credential))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


_numbers = itertools.count(1)


@pytest.fixture
def slug():
    """A slug that no other test uses; `slug("x")` likewise, with an ending."""

    class Fresh(str):
        def __call__(self, ending: str) -> str:
            return f"{self}-{ending}"

    return Fresh(f"t{next(_numbers)}")


# MARK: The conformance server

@pytest.fixture(scope="session")
def seconds(request):
    """How long an attack lasts."""
    return request.config.getoption("--attack")


@pytest.fixture
def interop_server(pki):
    """Starts conformance servers for one test: `interop_server(transport, *flags)`."""
    started = []

    def start(transport: str, *flags: str, **named) -> InteropServer:
        started.append(InteropServer(transport, pki, *flags, **named))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture(scope="module")
def siege(request, pki):
    """A conformance server on the transport that the parameter names, with a client that it serves."""
    server = InteropServer(request.param, pki)
    try:
        siege = Siege(server, request.config.getoption("--noise"))
        try:
            yield siege
        finally:
            siege.close()
    finally:
        server.close()
