"""A watch that is slow, cut off and gone on with at random, while others write."""

import random
import threading
import time

import grpc

from support.nodes import known
from support.waiting import eventually
from support.watches import begun, changes, rename, watch


class Writers:
    """Changes tenants through several nodes, and knows what it has made of each."""

    def __init__(self, clients, names):
        self.made = {name: [] for name in names}
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(clients, name, number))
                        for number, name in enumerate(names)]
        for thread in self.threads:
            thread.start()

    def _run(self, clients, name, number):
        random_ = random.Random(number)
        while not self.stopped.is_set():
            client = random_.choice(clients)
            try:
                self.made[name].append(rename(client, name, f"{random_.random()}").etag)
            except grpc.RpcError as error:
                # Others were faster each time.
                assert error.code() is grpc.StatusCode.ABORTED, error
            time.sleep(random_.random() / 50)

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()


def follow_at_random(clients, token, seconds, random_):
    """Watches, slowly, and at random goes on by another connection. Yields changes until it is told to end."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        stream = watch(random_.choice(clients), resume_token=token)
        most = random_.choice([1, 3, 40, 200])
        try:
            for message in stream:
                token = message.resume_token
                if message.HasField("change"):
                    yield message.change, token
                if random_.random() < 0.1:
                    time.sleep(random_.random() / 10)
                most -= 1
                if most == 0 or time.monotonic() > end:
                    break
        except grpc.RpcError as error:
            raise AssertionError(str(error)) from error
        finally:
            stream.cancel()


def every_change_once(clients):
    names = [clients[0].create(f"t{number}").name for number in range(6)]
    for client in clients:
        eventually(lambda client=client: known(client, "t5"), "all nodes know them")
    random_ = random.Random(7)
    _, token = begun(clients[0])
    start = token
    writers = Writers(clients, names)
    found = {name: [] for name in names}
    revisions = []

    def note(change):
        found[change.tenant.name].append(change.tenant.etag)
        revisions.append(change.revision)

    try:
        for change, token in follow_at_random(clients, token, 8, random_):
            note(change)
    finally:
        writers.stop()
    wanted = sum(len(made) for made in writers.made.values())
    stream = watch(random_.choice(clients), resume_token=token)
    while len(revisions) < wanted:
        message = next(stream)
        if message.HasField("change"):
            note(message.change)
    stream.cancel()
    assert wanted > 100
    assert found == writers.made
    assert revisions == sorted(set(revisions))
    # The same once more, all at once, from the beginning.
    stream = watch(clients[-1], resume_token=start)
    assert [one.revision for one in changes(stream, wanted)] == revisions
    stream.cancel()


def test_every_change_once(make_server):
    server = make_server().start()
    clients = [server.operator() for _ in range(2)]
    every_change_once(clients)
    for client in clients:
        client.close()


def test_every_change_once_on_two_nodes(make_nodes):
    clients = [node.operator() for node in make_nodes(2)]
    every_change_once(clients)
    for client in clients:
        client.close()
