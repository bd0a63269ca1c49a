"""Peers that make a server hold or unpack more than they pay for. None of them breaks a limit that it was
told of.

Beside them a well-behaved client makes small calls, large ones and packed ones, often as the same user or
with the same certificate. None of its calls fails or is slow, the server grows by little, and within a
minute it is as small as before.
"""

import pytest

from support import hoards
from support.attacker import assail
from support.interop import EMPTY, STREAMING_INPUT, InteropServer
from support.siege import Siege

CONTENTS = "0,130000,130000z"
"""What the well-behaved client sends in turn."""

SECONDS = 4.0
"""Of an attack that is all there soon."""

BOMBING = 10.0
"""Seconds. Bombs are sent at a rate, and so are requests: less would not show how long a server bears them."""


@pytest.fixture
def besiege(request, pki):
    """`besiege(transport)`: a server of the test's own, as memory that others have left is in the way."""
    made = []

    def besiege(transport: str) -> Siege:
        server = InteropServer(transport, pki)
        made.append(server)
        siege = Siege(server, request.config.getoption("--noise"), EMPTY, CONTENTS)
        made.append(siege)
        return siege

    yield besiege
    for one in reversed(made):
        one.close()


def places(server: InteropServer, certificates: int, alpn: str = "h2") -> list:
    """Of one peer (0), or of so many."""
    if not certificates:
        return [server.place(alpn)]
    return [server.place(alpn, role=f"role-{number}") for number in range(certificates)]


# What is unpacked.

@pytest.mark.parametrize("transport, certificates", [("unix", 0), ("tls", 0), ("tls", 64)])
def test_bombs_of_many_connections(besiege, transport, certificates):
    """Eight a second, each of 4 KB for 4 MiB, on each of 64 connections."""
    siege = besiege(transport)
    with siege.endured_and_forgotten():
        damage = assail(places(siege.server, certificates), hoards.bombs(), BOMBING, 64, True)
    assert damage.cuts, "nobody was cut"


@pytest.mark.parametrize("transport, certificates", [("tcp", 0), ("tls", 64)])
def test_bombs_for_streams_that_are_blocked(besiege, transport, certificates):
    siege = besiege(transport)
    with siege.endured_and_forgotten():
        assail(places(siege.server, certificates), hoards.blocked_bombs(), SECONDS, 200, True)


def test_bombs_for_handlers_that_sleep(besiege):
    siege = besiege("unix")
    with siege.endured_and_forgotten():
        assail(siege.server.place(), hoards.sleeping_bombs(), SECONDS, 20, True)


def test_blocks_without_content(besiege):
    """4 MiB of packed nothing: work without output."""
    siege = besiege("unix")
    with siege.endured_and_forgotten():
        damage = assail(siege.server.place(), hoards.empty_blocks(), SECONDS, 4, True)
    assert damage.sent > 10_000_000, "the attack was not carried out"


# What is held of requests.

@pytest.mark.parametrize("transport, path", [
    ("unix", hoards.UNARY), ("tcp", hoards.UNARY), ("tls", hoards.UNARY), ("unix", STREAMING_INPUT)])
def test_requests_never_finished(besiege, transport, path):
    """Two connections hold as much as all together may."""
    siege = besiege(transport)
    with siege.endured_and_forgotten():
        assail(siege.server.place(), hoards.unfinished(240, 48 << 10, path), SECONDS, 2, True)


@pytest.mark.parametrize("count, size, connections", [(1, 129_000, 300), (1, 60_000, 500)])
def test_requests_never_finished_of_many_connections(besiege, count, size, connections):
    siege = besiege("unix")
    with siege.endured_and_forgotten():
        assail(siege.server.place(), hoards.unfinished(count, size), SECONDS, connections, True)


def test_requests_never_finished_of_many_peers(besiege):
    siege = besiege("tls")
    with siege.endured_and_forgotten():
        assail(places(siege.server, 64), hoards.unfinished(4, 129_000), SECONDS, 64, True)


def test_requests_never_finished_again_and_again(besiege):
    siege = besiege("unix")
    with siege.endured_and_forgotten():
        damage = assail(
            siege.server.place(), hoards.hoarding_again(240, 48 << 10), BOMBING, 2, True)
    assert damage.cuts, "nobody was cut"


def test_metadata_held_by_reference(besiege):
    """A byte for each field of kilobytes, which the table has."""
    siege = besiege("unix")
    with siege.endured_and_forgotten():
        assail(siege.server.place(), hoards.large_metadata(), SECONDS, 50, True)


# What is held of responses.

@pytest.mark.parametrize("reads", [True, False], ids=["not-taken", "not-read"])
def test_answers_that_stay(besiege, reads):
    script = hoards.answers_not_taken if reads else hoards.answers_not_read
    siege = besiege("unix")
    with siege.endured_and_forgotten():
        assail(siege.server.place(), script(4, 1_000_000), SECONDS, 200, reads)


# ttrpc

@pytest.mark.parametrize("script, connections", [
    (hoards.frame_never_finished(4_000_000), 40), (hoards.frame_never_finished(129_000), 300),
    (hoards.sleeping_echoes(8, 3_000_000), 4), (hoards.messages_not_taken(20, 900_000), 10),
], ids=["frames", "many-frames", "handlers-that-sleep", "messages-not-taken"])
def test_ttrpc(besiege, script, connections):
    siege = besiege("unix")
    with siege.endured_and_forgotten():
        assail(siege.server.place("ttrpc"), script, SECONDS, connections, True)
