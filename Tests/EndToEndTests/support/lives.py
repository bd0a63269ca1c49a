"""One tenant's life, as the article on it has it: what each command answers, and what comes of it."""

import random

import grpc

from . import api
from .client import Failure, failure

manager = api.manager

# What each command needs and makes, written down by hand.
COMMANDS = {
    "ProvisionTenantResources": {"PENDING": "ACTIVE", "PROVISION_FAILED": "ACTIVE", "ACTIVE": "ACTIVE"},
    "DeactivateTenant": {"ACTIVE": "SUSPENDED", "MAINTENANCE": "SUSPENDED"},
    "ActivateTenant": {"SUSPENDED": "ACTIVE", "MAINTENANCE": "ACTIVE"},
    "BeginTenantMaintenance": {"ACTIVE": "MAINTENANCE"},
    "EndTenantMaintenance": {"MAINTENANCE": "ACTIVE"},
    "DeprovisionTenantResources": {"SUSPENDED": "PENDING"},
    "DeleteTenant": {state: "DELETED" for state in ("PENDING", "ACTIVE", "SUSPENDED", "MAINTENANCE")},
    "UndeleteTenant": {"DELETED": "SUSPENDED"},
    "PurgeTenant": {"DELETED": None},
    "PlaceTenantLegalHold": {},
    "ReleaseTenantLegalHold": {},
}
ANSWERS = {"PENDING": "FAILED_PRECONDITION", "SUSPENDED": "PERMISSION_DENIED", "MAINTENANCE": "UNAVAILABLE",
           "DELETED": "NOT_FOUND", None: "NOT_FOUND"}


class Model:
    """One tenant, as the article has it."""

    def __init__(self):
        self.state, self.made, self.held, self.epoch = "PENDING", False, False, 1

    def expect(self, command: str) -> str | None:
        """Which reason the command is refused with, if any, and what comes of it."""
        if self.state is None:
            return "TENANT_NOT_FOUND"
        if command in ("PlaceTenantLegalHold", "ReleaseTenantLegalHold"):
            if self.held and command.startswith("Place"):
                return "LEGAL_HOLD"
            self.held = command.startswith("Place")
            return None
        after = COMMANDS[command]
        if self.state == "DELETED" and command not in ("UndeleteTenant", "PurgeTenant",
                                                       "DeprovisionTenantResources"):
            return "TENANT_NOT_FOUND"
        if self.state not in after:
            return "ILLEGAL_TRANSITION"
        if self.held and command in ("PurgeTenant", "DeprovisionTenantResources"):
            return "LEGAL_HOLD"
        if command == "ActivateTenant" and not self.made:
            return "TENANT_NOT_PROVISIONED"
        if command == "ProvisionTenantResources":
            if self.state == "ACTIVE":
                return None
            self.made = True
            self.epoch += 1  # By way of PROVISIONING.
        if command == "DeprovisionTenantResources":
            self.made = False
        self.state = after[self.state]
        self.epoch += 1
        return None


def ask(client, command: str, name: str):
    request = getattr(manager, f"{command}Request")(name=name)
    if command == "PurgeTenant":
        request.ignore_retention = True
    if command == "PlaceTenantLegalHold":
        request.reason = "a case"
    return getattr(client.manager, command)(request, timeout=30)


def verify(client, name: str, model: Model) -> None:
    """What the server says of the tenant, and answers for it."""
    resolve = api.resolver.ResolveTenantRequest(path=f"/{name}/x", headers={"x-tenant-id": name.split("/")[-1]})
    if model.state == "ACTIVE":
        assert client.call("TenantResolver/ResolveFromHeaders",
                           api.resolver.ResolveFromHeadersRequest(headers=dict(resolve.headers)))
    else:
        failure(ANSWERS[model.state], client.resolver.ResolveFromHeaders,
                api.resolver.ResolveFromHeadersRequest(headers=dict(resolve.headers)))
    if model.state is None:
        assert failure("NOT_FOUND", client.get, name).reason == "TENANT_NOT_FOUND"
        return
    found = client.get(name)
    assert api.tenant.TenantState.Name(found.state) == f"TENANT_STATE_{model.state}"
    assert found.epoch == model.epoch
    assert found.HasField("legal_hold") == model.held
    assert found.HasField("delete_time") == found.HasField("purge_time") == (model.state == "DELETED")


def follow(clients, name: str, model: Model, source: random.Random, steps: int) -> list[str]:
    """Random commands; the model knows each answer."""
    done = []
    for _ in range(steps):
        command = source.choice(list(COMMANDS))
        if command == "PurgeTenant" and source.random() < 0.7:
            continue
        expected = model.expect(command)
        done.append(command)
        try:
            ask(source.choice(clients), command, name)
            reason = None
        except grpc.RpcError as error:
            reason = Failure.of(error).reason
        assert reason == expected, (done, reason, expected)
        verify(source.choice(clients), name, model)
    return done
