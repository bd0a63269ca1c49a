"""What tenants use, as a client asks for it."""

from . import api

manager = api.manager
Order = manager.ListBusiestTenantsRequest


def usage(client, name="acme"):
    return client.manager.GetTenantUsage(manager.GetTenantUsageRequest(name=name), timeout=20)


def busiest(client, order=Order.ORDER_CALLS, size=0):
    return client.manager.ListBusiestTenants(
        manager.ListBusiestTenantsRequest(order=order, page_size=size), timeout=20)
