"""What a server that cannot start says: settings, files and options that are wrong."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from support.daemon import binary
from support.waiting import eventually


def refused(server) -> str:
    """What the daemon says of a configuration that it does not start with."""
    server.launch()
    assert server.wait() == os.EX_USAGE, server.log
    assert not server.data.exists(), "nothing was made"
    return server.log


@pytest.mark.parametrize("change, said", [
    (dict(lisseners=[]), "lisseners: no such setting"),
    (dict(quotas={"roles": 5}), "quotas.roles: no such setting"),
    (dict(quotas={"writes": 0}), "quotas.writes: a number from 1"),
    (dict(limits={"streams": 5}), "limits.streams: no such setting"),
    (dict(limits={"message_bytes": 5}), "limits.message_bytes: a number from 1024"),
    (dict(limits={"call_burst": 0}), "limits.call_burst: a number from 1 to 65536"),
    (dict(limits={"header_burst": 2048}), "limits.header_burst: less than header_list_bytes"),
    (dict(limits={"header_list_bytes": 600_000, "continuations": 35}),
     "limits.continuations: header_list_bytes do not fit"),
    (dict(data_directory=""), "data_directory: a text is expected"),
    (dict(listeners=[]), "listeners: at least one is needed"),
    (dict(listeners=[{"tcp": "127.0.0.1"}]), "tcp: HOST:PORT"),
    (dict(listeners=[{"unix": "/x", "mode": "rw"}]), "mode: octal"),
    (dict(listeners=[{"tcp": "10.0.0.1:1", "insecure": True}]), "insecure: only on loopback"),
    (dict(identity={"trust_domain": "x", "unix_users": [{"uid": 0, "roles": ["nobody"]}]}),
     "there is no platform role nobody"),
    (dict(identity={"trust_domain": "x", "platform_roles": {"a": ["everything"]}}),
     '"everything" is not a permission'),
    (dict(identity={"trust_domain": "x", "unix_users": [{"uid": -1, "roles": []}]}), "uid: a number"),
    (dict(resolution={"order": ["path", "path"]}), "each at most once"),
    (dict(resolution={"order": ["token"]}), "order: path, subdomain, header, query and environment"),
    (dict(resolution={"path_prefix": "tenants"}), "must begin and end with a slash"),
    (dict(resolution={"path_prefix": "/a//"}), 'no path that is accepted begins with "/a//"'),
    (dict(resolution={"path_prefix": "/a/", "path_patterns": ["/a/{tenantId}"]}),
     "resolution.path_prefix and path_patterns: give one of them"),
    (dict(resolution={"path_patterns": []}), "resolution.path_patterns: 1 to 64 are expected"),
    (dict(resolution={"path_patterns": ["/x/{tenantId}"] * 65}), "path_patterns: 1 to 64 are expected"),
    (dict(resolution={"path_patterns": ["/tenants"]}), 'path_patterns: "/tenants" is not one such as'),
    (dict(resolution={"path_patterns": ["/{tenantId}/{tenantId}"]}), "is not one such as"),
    (dict(resolution={"path_patterns": ["/a%20b/{tenantId}"]}), "is not one such as"),
    (dict(resolution={"excluded_paths": ["/"]}), 'excluded_paths: "/" is not a path such as /health'),
    (dict(resolution={"excluded_paths": ["health"]}), "is not a path such as"),
    (dict(resolution={"excluded_paths": ["/a/../b"]}), "is not a path such as"),
    (dict(resolution={"excluded_paths": ["/a?b"]}), "is not a path such as"),
    (dict(resolution={"ignored_names": ["www."]}), 'ignored_names: "www." is not a label'),
    (dict(resolution={"header": "x-a", "headers": ["x-b"]}), "header and headers: give one of them"),
    (dict(resolution={"headers": ["X-A", "x-a"]}), "headers: each at most once"),
    (dict(resolution={"headers": ["x-a", ""]}), 'headers: "" is not the name of a header'),
    (dict(resolution={"query_parameter": "tenant[id]"}), 'query_parameter: "tenant[id]" is not'),
    (dict(resolution={"order": ["query"]}), "order: query needs query_parameter"),
    (dict(resolution={"mode": "loose"}), 'resolution.mode: one of ["strict", "priority"]'),
    (dict(drain_seconds=-1), "drain_seconds: a number"),
    (dict(log_level="loud"), "log_level"),
    (dict(log={"retention_days": 0}), "log.retention_days: a number from 1"),
    (dict(log={"retention_entries": 999}), "log.retention_entries: a number from 1000"),
    (dict(log={"retention": 1}), "retention"),
    (dict(secrets={}), "secrets.master_key is required"),
    (dict(secrets={"master_key": {}}), "secrets.master_key.give one of file, environment"),
    (dict(secrets={"master_key": {"file": "/x", "environment": "X"}}), "give one of file"),
    (dict(secrets={"master_key": {"credential": "../x"}}), "a name, not a path"),
    (dict(secrets={"master_key": "/x"}), "secrets.master_key: an object is expected"),
    (dict(secrets={"master_key": {"file": "/x"}, "previous": []}), "secrets.previous: no such"),
    (dict(tls={"certificate": "x"}), "tls.private_key is required"),
    (dict(identity={"trust_domain": "x", "platform_roles": {"a": ["tenancy.tenants:lst"]}}),
     "no method of the API needs the permission tenancy.tenants:lst"),
    (dict(identity={"trust_domain": "x", "platform_roles": {"a": ["*:*"]}}), "no method of the API"),
    (dict(identity={"trust_domain": "x", "workload_permissions": ["docs:read"]}),
     "no method of the API"),
    (dict(identity={"trust_domain": "X"}), '"X" is not a SPIFFE trust domain'),
    (dict(identity={"trust_domain": "x", "trust_domains": ["x"]}), "give one of them"),
    (dict(identity={"trust_domains": ["x", "x"]}), "each at most once"),
    (dict(identity={"trust_domains": ["x", "y"]}), "client_ca vouches for one trust domain"),
    (dict(identity={}), "identity.trust_domain is required"),
    (dict(identity={"trust_domain": "x", "unix_users": [{"uid": 1, "roles": []}] * 2}),
     "uid 1 is there twice"),
    (dict(resolution={"default_tenant": "No Slug"}), "neither a tenant's id nor a slug"),
    (dict(resolution={"default_tenant": "0190b0c0-1234-4abc-9def-0123456789ab"}),
     "neither a tenant's id nor a slug"),
    (dict(resolution={"base_domains": ["https://example.com"]}), "is not a domain"),
    (dict(resolution={"base_domains": [".example.com"]}), "is not a domain"),
    (dict(resolution={"header": "x tenant"}), "is not the name of a header"),
    (dict(audit={"retention_days": -1}), "audit.retention_days: a number from 0 to 36500"),
    (dict(audit={"maximum_records": 0.5}), "audit.maximum_records: a number from 0 to"),
    (dict(resolution={"environment_variable": "A=B"}), "is not the name of a variable"),
    (dict(listeners=[{"unix": "/x", "tcp": "127.0.0.1:1"}]), "give one of them"),
    (dict(listeners=[{"unix": "/" + "x" * 107}]), "longer than 107 bytes"),
    (dict(listeners=[{"unix": "/x"}, {"unix": "/x", "mode": "0600"}]), "the address is there twice"),
    (dict(listeners=[{"tcp": ":7443"}]), "tcp: HOST:PORT"),
    (dict(listeners=[{"tcp": "127.0.0.1:70000"}]), "tcp: HOST:PORT"),
    (dict(listeners=[{"tcp": "127.0.0.1:-1"}]), "tcp: HOST:PORT"),
    (dict(listeners=[{"tcp": "[::1:7443"}]), "tcp: HOST:PORT, or [IPv6]:PORT"),
    (dict(listeners=[{"unix": ""}]), "listeners[0].unix: a text is expected"),
    (dict(listeners=[{"unix": "/x", "mode": "0999"}]), "mode: octal"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_settings_that_are_wrong(make_server, change, said):
    server = make_server(**change)
    log = refused(server)
    assert said in log and "tenantd.json5:" in log


def test_tls_files_that_cannot_be_read(make_server):
    server = make_server()
    server.settings["tls"]["certificate"] = "/nowhere/certificate.pem"
    server.launch()
    assert server.wait() != 0
    assert "cannot use the certificate /nowhere/certificate.pem" in server.log


@pytest.mark.parametrize("content, said", [
    (b"", "not JSON5"), (b"[1]", "an object with settings is expected"), (b"{a: [", "not JSON5"),
    (b"{a: '\xff\xfe'}", "an object with settings"), (None, "No such file"),
    (b"{log_level: 'info', log_level: 'error'}", "log_level: is there twice"),
    (b"{a: {'b': 1, // b\n \"\\u0062\": 2}}", "b: is there twice"),
    (b"{a: {b: 1}, b: [{b: 1}, {b: 1}]}", "data_directory is required"),
    (b"{a: 'b', /* , a: */ b: 'a, a: 1'}", "data_directory is required"),
    (b"{log_level: 'info'}\n\n}", "not JSON5"), (b"{log_level: 'info'} more", "not JSON5"),
    (b"{log_level: 'info', tls: {]}", "not JSON5")])
def test_files_that_are_no_configuration(tmp_path, content, said):
    file = tmp_path / "tenantd.json5"
    if content is not None:
        file.write_bytes(content)
    run = subprocess.run([binary(), "serve", "--config", str(file)], capture_output=True, text=True)
    assert run.returncode == os.EX_USAGE
    assert said in run.stderr


@pytest.mark.parametrize("listener, said", [
    ({"unix": "/no/such/place/socket"}, "cannot listen on unix:/no/such/place/socket: No such file or directory"),
    ({"tcp": "192.0.2.1:1"}, "cannot listen on 192.0.2.1:1: Cannot assign requested address"),
    # No name server is asked for a label that is too long.
    ({"tcp": "x" * 64 + ".invalid:1"}, "x.invalid:1: "),
    ({"tcp": None}, "Address already in use")])
def test_addresses_that_cannot_be_had(make_server, listener, said):
    with socket.create_server(("127.0.0.1", 0)) as other:
        if listener.get("tcp", "") is None:
            listener = {"tcp": f"127.0.0.1:{other.getsockname()[1]}"}
        server = make_server(listeners=[listener])
        server.launch()
        assert server.wait() == 1
    assert said in server.log and "errno" not in server.log and "Error." not in server.log


def test_a_configuration_that_cannot_be_read(tmp_path):
    run = subprocess.run([binary(), "serve", "--config", str(tmp_path)], capture_output=True, text=True)
    assert run.returncode == os.EX_USAGE and f"cannot read {tmp_path}: it is no file" in run.stderr


@pytest.mark.parametrize("arguments, code, said", [
    (("--dev", "--port", "-1"), os.EX_USAGE, "--port: 0 to 65535"),
    (("--dev", "--directory", "{}/" + "x" * 100, "--port", "0"), 1, "the path is longer than 107 bytes"),
    (("--dev", "--config", "x"), os.EX_USAGE, "give either --config FILE or --dev"), ((), os.EX_USAGE, "give")])
def test_arguments_that_are_wrong(tmp_path, arguments, code, said):
    run = subprocess.run([binary(), "serve", *(one.format(tmp_path) for one in arguments)],
                         capture_output=True, text=True, timeout=60)
    assert run.returncode == code and said in run.stderr


def others_can_read(server):
    (server.data / "tenancy.sqlite").chmod(0o666)
    return "chmod 600"


def a_link(server):
    database = server.data / "tenancy.sqlite"
    database.rename(server.directory / "elsewhere")
    database.symlink_to(server.directory / "elsewhere")
    return "not a plain file"


def others_can_write(server):
    server.data.chmod(0o777)
    return "chmod go-w"


def another_owner(server):
    os.chown(server.data, 12345, -1)
    return f"chown {os.getuid()}"


def a_key_for_all(server):
    key = Path(server.settings["tls"]["private_key"])
    copy = server.directory / "copy.key"
    copy.write_bytes(key.read_bytes())
    copy.chmod(0o644)
    server.settings["tls"]["private_key"] = str(copy)
    return "chmod 600"


def a_key_of_another(server):
    a_key_for_all(server)
    copy = server.directory / "copy.key"
    copy.chmod(0o600)
    os.chown(copy, 12345, -1)
    return f"chown {os.getuid()}"


def authorities_for_all(server):
    copy = server.directory / "copy.pem"
    copy.write_bytes(Path(server.settings["tls"]["client_ca"]).read_bytes())
    copy.chmod(0o666)
    server.settings["tls"]["client_ca"] = str(copy)
    return "chmod go-w"


def a_configuration_for_all(server):
    (server.directory / "tenantd.json5").chmod(0o666)
    return "chmod go-w"


def tenants_for_all(server):
    (server.data / "tenants" / "databases").chmod(0o777)
    return "chmod go-w"


def tenants_elsewhere(server):
    tenants = server.data / "tenants"
    tenants.rename(server.directory / "elsewhere")
    tenants.symlink_to(server.directory / "elsewhere")
    return "put the directory itself there"


def a_tenant_s_file_for_all(server):
    file = server.data / "tenants" / "schemas" / "acme.sqlite"
    file.write_bytes(b"")
    file.chmod(0o644)
    return "chmod 600"


def a_tenant_s_file_elsewhere(server):
    (server.data / "tenants" / "shared.sqlite").symlink_to(server.directory / "elsewhere")
    return "not a plain file"


only_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")


@pytest.mark.parametrize("spoil", [
    others_can_read, a_link, others_can_write, pytest.param(another_owner, marks=only_root),
    a_key_for_all, pytest.param(a_key_of_another, marks=only_root), authorities_for_all,
    a_configuration_for_all, tenants_for_all, tenants_elsewhere, a_tenant_s_file_for_all,
    a_tenant_s_file_elsewhere])
def test_files_that_others_control_are_refused(make_server, spoil):
    server = make_server().start()
    assert server.stop() == 0
    said = spoil(server)
    server.launch()
    assert server.wait() != 0
    assert said in server.log and "serving" not in server.log


def test_a_development_directory_of_others_is_refused(tmp_path):
    """Whose CA makes the operators of `--dev`?"""
    pki = tmp_path / "dev" / "pki"
    pki.mkdir(parents=True)
    pki.chmod(0o777)
    run = subprocess.run([binary(), "serve", "--dev", "--directory", str(tmp_path / "dev"), "--port", "0"],
                         capture_output=True, text=True, timeout=60)
    assert run.returncode != 0 and "chmod go-w" in run.stderr


@pytest.mark.parametrize("option", [("--port", "1"), ("--directory", "/x")])
def test_options_of_another_mode(tmp_path, option):
    run = subprocess.run([binary(), "serve", "--config", "x.json5", *option], capture_output=True, text=True)
    assert run.returncode == os.EX_USAGE
    assert f"{option[0]} is for --dev" in run.stderr


def test_json5_as_people_write_it(make_server):
    server = make_server()
    lines = ["// A comment", "{", f"  data_directory: '{server.data}',",
             f"  listeners: [{{unix: '{server.socket}', mode: '0600'}}],", "  identity: {",
             "    trust_domain: 'e2e.test', /* another */",
             f"    unix_users: [{{uid: {os.getuid()}, roles: ['viewer']}}],", "  },", "}"]
    file = server.directory / "people.json5"
    file.write_text("\n".join(lines))
    run = subprocess.Popen([binary(), "serve", "--config", str(file)], stderr=subprocess.DEVNULL)
    try:
        eventually(server.socket.exists, "it listens")
        with server.operator() as client:
            assert client.who().platform_roles == ["viewer"]
    finally:
        run.terminate()
        assert run.wait(20) == 0
