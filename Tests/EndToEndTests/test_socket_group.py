"""Who may open the Unix socket."""

import grp
import os
import stat

import pytest


@pytest.mark.skipif(os.getuid() != 0, reason="gives files to other groups")
@pytest.mark.parametrize("named", [True, False])
def test_the_socket_has_the_group_and_mode_of_the_configuration(make_server, named):
    group = next(one for one in grp.getgrall() if one.gr_gid not in (0, os.getgid()))
    server = make_server()
    server.settings["listeners"][0] |= {
        "mode": "0620", "group": group.gr_name if named else str(group.gr_gid)}
    server.start()
    found = server.socket.stat()
    assert (found.st_gid, stat.S_IMODE(found.st_mode)) == (group.gr_gid, 0o620)
    with server.operator() as operator:
        operator.who()


def test_a_group_that_is_not_there(make_server):
    server = make_server()
    server.settings["listeners"][0]["group"] = "no-such-group"
    server.launch()
    assert server.wait() != 0
    assert "there is no group no-such-group" in server.log
