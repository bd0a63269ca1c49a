"""tenantctl at a terminal: it asks before what can't be taken back."""

import os
import pty
import subprocess

import pytest
from tenantctl_process import PATIENCE, binary, daemon, make_active, place

__all__ = ["daemon", "place"]  # Fixtures.

END = b"\4"  # ^D


def at_a_terminal(ctl, line: str, typed: bytes) -> tuple[int, str]:
    """Runs a command whose input is a terminal; returns its exit code and what it says on stderr."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, typed)
        done = subprocess.run(
            [binary("TENANTCTL"), *line.split()], stdin=theirs, capture_output=True, text=True,
            env=ctl.environment, timeout=PATIENCE, check=False)
    finally:
        os.close(ours)
        os.close(theirs)
    return done.returncode, done.stderr


@pytest.mark.parametrize("command, question, after", [
    ("tenant delete acme", "Delete acme? Its tokens and workloads' entries go at once. [y/N] ", "DELETED"),
    ("tenant deprovision acme", "Destroy the data of acme? [y/N] ", "PENDING"),
    ("tenant retire-slug acme former", "Refuse all that still carries former? [y/N] ", None)])
def test_it_asks(daemon, command, question, after):
    ctl = daemon.over_unix()
    made = make_active(ctl, "former")
    ctl.run("tenant", "update", "former", "--slug", "acme")
    ctl("tenant", "deactivate", "acme")
    before = ctl.json("tenant", "get", "acme")
    for typed in (b"n\n", b"no\n", b"\n", b"yess\n", b"acme\n", b"\xff\n", END):
        code, said = at_a_terminal(ctl, command, typed)
        assert (code, said) == (64, f"{question}tenantctl: nothing was changed\n"), typed
        assert ctl.json("tenant", "get", "acme") == before
    answer = b"y\n" if after == "DELETED" else b"YES\n"
    assert at_a_terminal(ctl, command, answer) == (0, question)
    now = {one["id"]: one for one in ctl.json("tenant", "list", "--show-deleted")["tenants"]}[made["id"]]
    if after:
        assert now["state"] == f"TENANT_STATE_{after}"
    else:
        assert "formerSlugs" not in now


def test_it_does_not_ask_those_who_have_said_yes(daemon):
    ctl = daemon.over_unix()
    for slug, flag in (("one", "--yes"), ("two", "-y")):
        make_active(ctl, slug)
        assert at_a_terminal(ctl, f"tenant delete {slug} {flag}", END) == (0, "")
    make_active(ctl, "three")
    assert "DELETED" in ctl("tenant", "delete", "three")  # No terminal.


def test_a_new_slug_is_told_to_leave_an_alias(daemon):
    ctl = daemon.over_unix()
    make_active(ctl, "vault")
    ended = ctl.run("tenant", "update", "vault", "--slug", "vault-two")
    first, second = ended.stderr.splitlines()
    assert first.startswith("vault goes on to stand for vault-two: in certificates"
                            " (spiffe://.../tenant/vault/...), paths, hosts, headers")
    assert "Used " in first and "`tenantctl tenant retire-slug vault-two vault`" in second
    # Nothing of it where the slug stays, and none of it in the answer.
    assert ctl.run("tenant", "update", "vault-two", "--display-name", "V").stderr == ""
    assert ctl.run("tenant", "update", "vault-two", "--slug", "x", "--validate-only").stderr == ""
    assert "retire-slug" not in ended.stdout
    ctl("tenant", "retire-slug", "vault-two", "vault")


@pytest.mark.parametrize("command, question", [
    ("token revoke acme --all", "End all tokens of acme? [y/N] "),
    ("token revoke acme --subject user:al", "End all tokens of user:al in acme? [y/N] "),
    ("keys remove acme KEY", "Remove KEY, and void all tokens that it has signed? [y/N] ")])
def test_it_asks_before_tokens_end(daemon, command, question):
    ctl = daemon.over_unix()
    make_active(ctl, "acme")
    token = ctl.json("token", "issue", "acme", "user:al", "--unbound")["token"]
    key = ctl.json("keys", "list", "acme")["keys"][0]["id"]
    command, question = command.replace("KEY", key), question.replace("KEY", key)
    assert at_a_terminal(ctl, command, b"n\n") == (64, f"{question}tenantctl: nothing was changed\n")
    assert ctl.json("token", "inspect", "--server", stdin=token)["active"]
    assert at_a_terminal(ctl, command, b"y\n") == (0, question)
    assert "active" not in ctl.json("token", "inspect", "--server", stdin=token, code=3)
