"""tenantctl without a server that answers, and with certificates that fit or don't."""

import contextlib
import json
import os
import re
import socket
import stat
import subprocess
import time

import pytest
from tenantctl_process import Ctl, binary as ctl_binary, daemon, make_active, place
from test_fleet import declared, fleet

__all__ = ["daemon", "place"]  # Fixtures.


@pytest.mark.parametrize("line, code, text", [
    ("whoami", 64, "Give --address, or set TENANCY_ADDRESS"),
    ("whoami --address somewhere", 64, "neither unix:PATH nor HOST:PORT"),
    ("whoami --address ::1:7443", 64, "in brackets: [::1]:7443"),
    ("whoami --address localhost:7443", 64, "give --ca, --cert and --key"),
    ("whoami --address localhost:1 --ca /no/ca --cert /no/cert --key /no/key", 1, "/no/ca"),
    ("whoami --address unix:/no/socket --timeout 1", 2, "hint: is a server listening"),
    ("whoami --address unix:/no/socket", 2, "hint: is a server listening on unix:/no/socket?"),
    ("whoami --address unix:/no/socket", 2,
     "UNAVAILABLE: cannot connect to unix:/no/socket: No such file or directory\n"),
    ("whoami --address unix:/x --timeout 0", 64, "--timeout is more than 0"),
    ("whoami --address unix:/x --timeout -1", 64, "--timeout is more than 0"),
    ("whoami --address unix:/x --timeout soon", 64, "'soon' is invalid for '--timeout"),
    (f"whoami --address unix:/{'x' * 107}", 64, "the path of a Unix socket has at most 107 bytes"),
    ("whoami --address unix:", 64, "neither unix:PATH nor HOST:PORT"),
    ("whoami --address unix:no.socket", 2, "cannot connect to unix:no.socket: No such file"),
    ("whoami --address unix:/tmp", 2, "cannot connect to unix:/tmp: Connection refused"),
    ("whoami --address localhost:70000", 64, "neither unix:PATH nor HOST:PORT"),
    ("whoami --address [::1:7443", 64, "neither unix:PATH nor [IPv6]:PORT"),
    ("whoami --address", 64, "Missing value for '--address"),
    ("tenant list --page-size -1 --address unix:/x", 64, "--page-size must not be negative"),
    ("tenant list --page-size x --address unix:/x", 64, "'x' is invalid for '--page-size"),
    ("tenant list acme --address unix:/x", 64, "Unexpected argument 'acme'"),
    ("tenant create --display-name A --isolation shared --setting =v", 64, "'=v' is not NAME=VALUE"),
    ("tenant create --display-name A --isolation shared --password-file /x --address unix:/x", 64,
     "need --connection-string"),
    ("check acme --batch /no/file --address unix:/x", 64, "cannot read /no/file: "),
    ("resolve --token-file /tmp --address unix:/x", 64, "cannot read /tmp: "),
    ("load --duration -1 --address unix:/x", 64, "--duration"),
    ("load --rate 0 --address unix:/x", 64, "--rate is more than 0"),
    ("load --json /no/place --address unix:/x", 64,
     "cannot write /no/place: No such file or directory"),
    ("whoami --output xml", 64, "xml"),
    ("tenant frobnicate", 64, "frobnicate"),
    ("tenant get", 64, "Missing expected argument '<tenant>'"),
    ("tenant get a/b --address unix:/x", 64, "'a/b' is no tenant's name"),
    ("tenant update acme --address unix:/x", 64, "nothing to change"),
    ("tenant create --display-name A --isolation rows", 64, "rows"),
    ("tenant configure a --flag x=maybe --address unix:/x", 64, "true or false, not 'maybe'"),
    ("role assign a user:b c --expires-in soon --address unix:/x", 64, "no time span"),
    ("check acme user:alice --address unix:/x", 64, "Give a subject and a permission, or --batch"),
])
def test_what_cannot_be_asked(line, code, text):
    said = Ctl().error(*line.split(), code=code)
    assert text in said
    assert len(re.findall("^(tenantctl|Error): ", said, re.M)) == 1 and len(said.splitlines()) <= 4


@pytest.mark.parametrize("line, text", [
    (("tenant", "get", ""), "'' is no tenant's name"),
    (("role", "get", "acme", ""), "'' is no role's name"),
    (("tenant", "create", "--display-name", "", "--isolation", "shared"), "tenant.display_name: 1 to"),
    (("role", "create", "acme", ""), "role_id: 1 to 63"),
    (("role", "assign", "acme", "", "tenant-admin"), "assignment.subject: 1 to"),
    (("check", "acme", "", "a:b"), "subject: 1 to")])
def test_empty_names(daemon, line, text):
    ctl = daemon.over_unix()
    make_active(ctl, "acme")
    said = ctl.run(*line, code=64 if "no " in text else 1)
    assert text in said.stderr and not said.stdout


def test_a_server_that_is_not_there(place):
    Ctl()("pki", "ca", "--trust-domain", "example.org", "--directory", str(place))
    Ctl()("pki", "operator", "--directory", str(place))
    text = Ctl().error("whoami", "--address", "127.0.0.1:1", "--ca", f"{place}/ca.pem", "--cert",
                       f"{place}/operator.pem", "--key", f"{place}/operator.key", code=2)
    assert text == ("tenantctl: UNAVAILABLE: cannot connect to 127.0.0.1:1: Connection refused\n"
                    "hint: is a server listening on 127.0.0.1:1?\n")


def test_a_server_that_does_not_answer(place):
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as mute:
        mute.bind(str(place / "mute"))
        mute.listen()
        text = Ctl().error("whoami", "--address", f"unix:{place}/mute", "--timeout", "0.2", code=2)
    assert "DEADLINE_EXCEEDED" in text and "--timeout allows more" in text


def test_certificates_of_the_development_authority(daemon):
    make_active(daemon.over_unix(), "acme")
    where = ("--directory", str(daemon.pki))
    made = Ctl()("pki", "tenant", "--tenant", "acme", "--workload", "billing", *where)
    assert made == f"wrote {daemon.pki}/acme.billing.pem\nwrote {daemon.pki}/acme.billing.key\n"
    assert stat.S_IMODE((daemon.pki / "acme.billing.key").stat().st_mode) == 0o600
    billing = daemon.over_tls("acme.billing")
    me = billing.json("whoami")
    assert me["subject"] == "spiffe://dev.tenancy.internal/tenant/acme/billing"
    assert me["tenantSlug"] == "acme"
    daemon.over_unix()("role", "assign", "acme", me["subject"], "tenant-admin")
    assert billing.json("role", "create", "acme", "clerk")["name"].endswith("/roles/clerk")

    Ctl()("pki", "operator", "--role", "viewer", *where)
    viewer = daemon.over_tls("viewer")
    assert viewer.json("whoami")["platformRoles"] == ["viewer"]
    assert viewer.json("tenant", "get", "acme")["slug"] == "acme"
    assert "tenancy.tenants:delete" in viewer.error("tenant", "delete", "acme")

    # For a tenant that is not there, a certificate is worth nothing.
    Ctl()("pki", "tenant", "--tenant", "nobody", "--workload", "w", *where)
    nobody = daemon.over_tls("nobody.w").error("whoami")
    assert "IDENTITY_UNKNOWN" in nobody and "hint: there is no tenant" in nobody


def test_an_answer_that_finds_no_room(daemon):
    ctl = daemon.over_unix()
    make_active(ctl, "acme")
    for line in ("tenant list", "tenant list -o json", "whoami"):
        with open("/dev/full", "w") as full:
            ended = subprocess.run(
                [ctl_binary("TENANTCTL"), *line.split()], stdout=full, stderr=subprocess.PIPE,
                text=True, env=os.environ | ctl.environment)
        assert ended.returncode == 1, line
        assert "cannot write the answer: No space left on device" in ended.stderr


def test_a_page_that_is_not_all_is_said_to_be_one(daemon):
    ctl = daemon.over_unix()
    ctl("apply", "-f", "-", "--yes", stdin=fleet(*(declared(f"t{number}") for number in range(51))))
    ended = ctl.run("role", "list", "t0", "--output", "json", "--page-size", "1")
    assert ended.stderr == ""
    assert len(ctl.json("tenant", "list", "--page-size", "50")["tenants"]) == 50
    assert len(ctl.json("tenant", "list")["tenants"]) == 51
    ended = ctl.run("tenant", "list", "--page-size", "50", "--output", "name")
    assert len(ended.stdout.splitlines()) == 50
    assert ended.stderr.startswith("There are more: --all")


def test_the_version():
    assert re.fullmatch(r"tenantctl \d+\.\d+\.\d+", Ctl()("--version").strip())


def test_a_load_that_gets_nowhere_ends_and_says_so(daemon):
    ctl = daemon.over_unix()
    make_active(ctl, "acme")
    start = time.monotonic()
    ctl.run("load", "--tenant", "nobody", "--duration", "60", "--warmup", "0", code=1)
    assert time.monotonic() - start < 30
    ctl.run("load", "--tenant", "acme", "--tenant", "nobody", "--duration", "0.3", "--warmup", "0",
            code=1)
    ctl.run("load", "--tenant", "acme", "--duration", "0.3", "--warmup", "0")


def test_an_authority_of_its_own(daemon, place):
    where = ("--directory", str(place / "own"))
    Ctl()("pki", "ca", "--trust-domain", "dev.tenancy.internal", *where)
    Ctl()("pki", "server", "--dns", "tenantd.internal", "--ip", "127.0.0.1", *where)
    Ctl()("pki", "operator", *where)
    assert {path.name for path in (place / "own").iterdir()} == {
        f"{name}.{kind}" for name in ("ca", "server", "operator") for kind in ("pem", "key")}
    stranger = daemon.over_tls("operator", place / "own").error("whoami", code=2)
    assert "UNAVAILABLE" in stranger and "listening" not in stranger
    wrong = ("--ca", str(place / "own" / "ca.pem"))
    unknown = daemon.over_tls("operator").error("whoami", *wrong, code=2)
    assert "hint: is --ca the CA" in unknown and "listening" not in unknown

    before = (place / "own" / "operator.pem").read_bytes()
    assert "hint: --force replaces it" in Ctl().error("pki", "operator", *where)
    assert (place / "own" / "operator.pem").read_bytes() == before
    Ctl()("pki", "operator", "--force", *where)
    assert (place / "own" / "operator.pem").read_bytes() != before
    for line, code in (("tenant --tenant Not_A_Slug --workload w", 64), ("server", 64),
                       ("operator --days 0", 64), ("operator --name ca", 64),
                       ("operator --name ../x", 64), ("ca --trust-domain Bad/Domain", 64),
                       ("operator --trust-domain other.example --name x", 1)):
        Ctl().error("pki", *line.split(), *where, code=code)
