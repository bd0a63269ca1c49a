"""Plain text on TCP: on loopback only, only where the configuration says so, and only for its roles."""

import os

import pytest

from support import api
from support.client import Client, failure


def insecure(make_server, *roles):
    server = make_server()
    server.settings["listeners"] = [
        {"unix": str(server.socket), "mode": "0600"}, {"tcp": "127.0.0.1:0", "insecure": True}]
    server.settings["identity"]["insecure_roles"] = list(roles)
    return server


def test_a_caller_without_credentials_has_the_roles_of_the_configuration(make_server):
    server = insecure(make_server, "viewer").start()
    client = Client(server.address)
    try:
        who = client.who()
        assert who.source == api.identity.IDENTITY_SOURCE_INSECURE
        assert (who.subject, list(who.platform_roles)) == ("insecure", ["viewer"])
        client.manager.ListTenants(api.manager.ListTenantsRequest())
        failure("PERMISSION_DENIED", client.create, "acme")
    finally:
        client.channel.close()


@pytest.mark.parametrize("roles, said", [
    ([], "an insecure one needs identity.insecure_roles"),
    (["nobody"], "there is no platform role nobody")])
def test_a_configuration_without_a_role_for_them_is_refused(make_server, roles, said):
    server = insecure(make_server, *roles)
    server.launch()
    assert server.wait() == os.EX_USAGE
    assert said in server.log
