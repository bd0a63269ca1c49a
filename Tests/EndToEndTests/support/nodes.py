"""Several daemons on one PostgreSQL."""

import os
import signal
import socket
import time
from contextlib import contextmanager
from pathlib import Path

from . import api, ttrpc

TOKEN = "tenancy-consistency-token"


def settings(database, poll: int = 60_000, **nodes) -> dict:
    """A node's, that hears of writes by notifications alone unless `poll` (milliseconds) is short."""
    store = database.settings
    store["postgresql"]["poll_milliseconds"] = poll
    shared = {"store": store, "secrets": {"master_key": {"file": str(_master_key(database))}}}
    return shared | ({"nodes": nodes} if nodes else {})


def _master_key(database) -> Path:
    """All nodes of a store have one."""
    path = database.directory / "master.key"
    if not path.exists():
        path.touch(0o600)
        path.write_text(os.urandom(32).hex())
    return path


def token_of(call) -> str:
    """That a response carries."""
    [value] = [value for name, value in call.initial_metadata() if name == TOKEN]
    return value


def behind(token: str) -> dict:
    """Arguments of a call that is to see what the token stands for."""
    return {"metadata": ((TOKEN, token),)}


def create(client, slug: str) -> str:
    """Returns the token."""
    sent = api.tenant.Tenant(slug=slug, isolation_model=api.SCHEMA, display_name=slug)
    _, call = client.manager.CreateTenant.with_call(
        api.manager.CreateTenantRequest(tenant=sent), timeout=20)
    return token_of(call)


def validate(client, slug: str, token: str | None = None, timeout: float = 20):
    """A method that is answered on the event loop."""
    return client.resolver.ValidateTenant(
        api.resolver.ValidateTenantRequest(name=slug), timeout=timeout,
        **(behind(token) if token else {}))


def known(client, slug: str) -> bool:
    return validate(client, slug).state != 0


@contextmanager
def deaf(database):
    """No notification arrives: the processes that would pass them on stand still."""
    found = database.sql("SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
                         " OR query = 'SELECT 1'").split()
    assert found, "nobody listens"
    for pid in found:
        os.kill(int(pid), signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in found:
            try:
                os.kill(int(pid), signal.SIGCONT)
            except ProcessLookupError:
                pass  # The node has given it up, and the server ended it.


def over_ttrpc(path, method: str, request, token: str | None = None, timeout: float = 10):
    """Calls `Service/Method` over the Unix socket; returns code, message and payload."""
    service, name = method.split("/")
    metadata = ((TOKEN, token),) if token else ()
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(timeout)
        peer.connect(str(path))
        peer.sendall(ttrpc.request(
            1, name, request.SerializeToString(), service=f"tenancy.v1.{service}",
            timeout=int(timeout * 1e9), metadata=metadata))
        received = b""
        while not ttrpc.frames(received):
            part = peer.recv(1 << 16)
            assert part, "it was closed"
            received += part
    [(_, kind, _, content)] = ttrpc.frames(received)
    assert kind == ttrpc.RESPONSE
    return *ttrpc.status(content), ttrpc.payload(content)


def seconds(action) -> float:
    """How long an action takes."""
    start = time.monotonic()
    action()
    return time.monotonic() - start
