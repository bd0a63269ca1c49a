"""Watches of tenants, and changes for them to tell of."""

from . import api

manager = api.manager


def watch(client, timeout=60, **fields):
    return client.manager.WatchTenants(manager.WatchTenantsRequest(**fields), timeout=timeout)


def rename(client, name, text):
    return client.manager.UpdateTenant(manager.UpdateTenantRequest(
        tenant=api.tenant.Tenant(name=name, display_name=text)), timeout=30)


def label(client, name, **labels):
    return client.manager.UpdateTenant(manager.UpdateTenantRequest(
        tenant=api.tenant.Tenant(name=name, labels=labels), update_mask={"paths": ["labels"]}), timeout=30)


def changes(stream, count):
    """The next changes, without what only says how far the watch has come."""
    found = []
    while len(found) < count:
        message = next(stream)
        assert message.resume_token
        if message.HasField("change"):
            found.append(message.change)
    return found


def snapshot(stream):
    """The tenants that there are, and the token behind them."""
    found = []
    for message in stream:
        found += message.tenants
        if message.snapshot_complete:
            return found, message.resume_token
    raise AssertionError("no snapshot")


def begun(client, **fields):
    """A watch that has begun, and where."""
    stream = watch(client, **fields)
    return stream, next(stream).resume_token
