"""What comparisons with other engines share: how many questions, from which seed, and how they are asked."""

import os
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import grpc

from . import api

authz = api.authz
CASES = int(os.environ.get("TENANCY_PEER_CASES", 3_000))
"""How many questions each comparison asks at least."""
SEED = int(os.environ.get("TENANCY_SEED", 1))
MOST_ITEMS = 1_000


class Comparison:
    """Counts questions and answers, and collects differences."""

    def __init__(self, name: str, kinds):
        self.name, self.kinds = name, kinds
        self.asked, self.rounds = 0, 0
        self.answers, self.differences = Counter(), []

    def more(self):
        """A source of random numbers for each round, until enough is asked."""
        while self.asked < CASES and len(self.differences) < 20:
            self.rounds += 1
            yield random.Random(f"{self.name} {SEED} {self.rounds}")

    def compare(self, ours, theirs, question) -> None:
        """- `question`: what tells it, when they differ."""
        self.asked += 1
        self.answers[theirs] += 1
        if ours != theirs:
            self.differences.append(f"round {self.rounds}: {ours!r}, but {theirs!r}: {question()}")

    def end(self) -> None:
        print(f"{self.name}: {self.asked} questions in {self.rounds} rounds, {dict(self.answers)}, "
              f"{len(self.differences)} differences")
        assert not self.differences, "\n".join(self.differences[:20])
        # No kind of answer may be rare, or little was compared.
        for kind in self.kinds:
            assert self.answers[kind] > self.asked / 25, self.answers


def ask(client, tenant: str, items: list, attributes=None) -> list[bool]:
    """Answers in order, from as few calls as the server takes."""
    if len(items) > MOST_ITEMS:
        middle = MOST_ITEMS
    else:
        try:
            answer = client.authz.BatchCheck(authz.BatchCheckRequest(
                tenant=tenant, items=items, attributes=attributes), timeout=60)
            return [one.allowed for one in answer.results]
        except grpc.RpcError as error:
            # Conditions that would take too much together are refused, not answered by some.
            if error.code() != grpc.StatusCode.INVALID_ARGUMENT or len(items) == 1:
                raise
            middle = len(items) // 2
    return ask(client, tenant, items[:middle], attributes) + ask(client, tenant, items[middle:], attributes)


def together(calls) -> list:
    """Results of calls in order, some at once; of those that fail, the errors."""
    def one(call):
        try:
            return call()
        except grpc.RpcError as error:
            return error
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(one, calls))


def made(calls) -> None:
    for result in together(calls):
        if isinstance(result, grpc.RpcError):
            raise result
