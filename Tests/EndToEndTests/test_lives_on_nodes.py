"""Random lives of tenants on two nodes that are killed between commands and in the middle of them: every answer and
every state is the model's."""

import copy
import os
import random
import threading
import time

import grpc
import pytest
from support import api
from support.client import Failure
from support.clusters import Cluster
from support.lives import COMMANDS, Model, ask, verify
from support.nodes import settings
from support.waiting import eventually

STEPS = int(os.environ.get("TENANCY_LIFE_STEPS", "30"))
SEED = int(os.environ.get("TENANCY_SEED", "20261130"))
# States that no command ends in: some node goes on.
PASSING = ("TENANT_STATE_PROVISIONING", "TENANT_STATE_PURGING")


class Lives:
    """Of several tenants, on nodes that may be killed."""

    def __init__(self, nodes, source):
        self.nodes, self.source = nodes, source
        self.told, self.kills, self.done = [], 0, 0

    def step(self, name: str, model: Model) -> Model:
        """A random command on a random node; returns what the tenant is then."""
        command = self.source.choice(list(COMMANDS))
        if command == "PurgeTenant" and self.source.random() < 0.8:
            return model
        after = copy.copy(model)
        expected = after.expect(command)
        kills = self.source.random() < 0.25
        node = self.source.choice(self.nodes)
        answer = self.killed_in(node, command, name) if kills else self.answer(node, command, name)
        self.told.append((name, command, answer, expected))
        self.done += 1
        self.kills += kills
        if answer == "UNKNOWN":
            after = self.which(node, name, model, after)
        else:
            assert answer == expected, self.told[-12:]
        # Each node says so: the one that did not do it, as soon as it has heard of it.
        for each in self.nodes:
            with each.operator() as client:
                self.settled(client, name, after)
                try:
                    verify(client, name, after)
                except (AssertionError, pytest.fail.Exception) as error:
                    raise AssertionError([told for told in self.told if told[0] == name][-6:]) from error
        return after

    def answer(self, node, command: str, name: str) -> str | None:
        """The reason of a refusal, or None; UNKNOWN if nobody is there to tell. What another node is at work on is
        waited for."""
        end = time.monotonic() + 30
        with node.operator() as client:
            while True:
                try:
                    ask(client, command, name)
                    return None
                except grpc.RpcError as error:
                    failure = Failure.of(error)
                    if failure.code == grpc.StatusCode.ABORTED and time.monotonic() < end:
                        time.sleep(0.05)
                        continue
                    return failure.reason if failure.details else "UNKNOWN"

    def killed_in(self, node, command: str, name: str) -> str | None:
        answers = []
        caller = threading.Thread(target=lambda: answers.append(self.answer(node, command, name)))
        caller.start()
        time.sleep(self.source.choice([0.005, 0.02, 0.1]) * self.source.random())
        node.kill()
        caller.join()
        node.start()
        return answers[0]

    def which(self, node, name: str, before: Model, after: Model) -> Model:
        """Whether a command that was cut off was carried out: there is nothing between. The node that was killed knows,
        for it has read the store since."""
        with node.operator() as client:
            def found():
                try:
                    tenant = client.get(name)
                except grpc.RpcError as error:
                    if error.code() != grpc.StatusCode.NOT_FOUND:
                        return None
                    return after if after.state is None else None
                if api.tenant.TenantState.Name(tenant.state) in PASSING:
                    return None
                for model in (after, before):
                    if tenant.epoch == model.epoch and tenant.HasField("legal_hold") == model.held:
                        return model
                return None
            return eventually(found, f"{name} is as before or after {self.told[-1]}", 60)

    def settled(self, client, name: str, model: Model) -> None:
        def heard():
            try:
                tenant = client.get(name)
            except grpc.RpcError as error:
                return error.code() == grpc.StatusCode.NOT_FOUND and model.state is None
            # What is purged is gone when that is over, not before.
            return model.state is not None and tenant.epoch == model.epoch \
                and tenant.HasField("legal_hold") == model.held
        eventually(heard, f"a node has heard of {self.told[-1]}", 30)


@pytest.mark.parametrize("isolation", [api.SCHEMA, api.SHARED, api.DATABASE, api.HYBRID])
def test_lives_on_two_nodes_that_are_killed(make_server, database, isolation):
    cluster = Cluster(database)
    nodes = [make_server(clusters=[cluster.settings], **settings(database, poll=200, lease_seconds=2)).start()
             for _ in range(2)]
    source = random.Random(f"{SEED} {isolation}")
    lives = Lives(nodes, source)
    kinds = api.tenant.TenantConfiguration(data_categories=[
        api.tenant.DataCategory(category="files", isolation_model=api.DATABASE),
        api.tenant.DataCategory(category="notes", isolation_model=api.SCHEMA)]) if isolation == api.HYBRID else None
    with nodes[0].operator() as client:
        models = {client.create(f"t{number}", isolation, configuration=kinds).name: Model() for number in range(3)}
    for node in nodes:
        with node.operator() as client:
            eventually(lambda: len(client.manager.ListTenants(api.manager.ListTenantsRequest()).tenants) == 3,
                       "each node has heard of them")
    for _ in range(STEPS):
        name = source.choice(list(models))
        models[name] = lives.step(name, models[name])
    assert lives.done > STEPS // 2 and lives.kills > 0, lives.told
    # What was destroyed is gone, and what there is is whole.
    with nodes[0].operator() as client:
        eventually(lambda: not client.audit_cluster("one"), "the cluster has what it should have", 60)
    made = {name.split("/")[1] for name, model in models.items() if model.made and model.state is not None}
    assert set(cluster.sql("SELECT tenant_id FROM tenancy_cluster.tenants").split()) == made
    for node in nodes:
        assert node.stop() == 0
