"""The tables of the article on performance, from what tools/bench/run --figures has kept."""

import json
from pathlib import Path

from .articles import Problem

FOLDER = Path("tools/bench/figures")
TRANSPORTS = {"unix": "Unix socket", "tls": "mutual TLS"}
PROTOCOLS = {"grpc": "gRPC", "ttrpc": "ttrpc"}
KINDS = {"unary": "unary call", "client": "message of a client's stream", "server": "message of a server's stream",
         "bidi": "message there and back"}  # fmt: skip
MANY = 8  # connections


def daemon(root: Path) -> str:
    run = _load(root, "daemon")
    lines = [_origin(run, f"{run['tenants']:,} tenants, {run['rounds']} rounds"), ""]
    lines += ["| | CPU | × C limit | calls/s | p50 | p99 |", "| --- | --- | --- | --- | --- | --- |"]
    for case in run["cases"]:
        if case["connections"] != MANY:
            continue
        method = case["method"].rpartition("/")[2]
        found = case["servers"]["tenantd"]
        lines.append(f"| `{method}`, {_way(case)} | {_cells(found, found['rpc_per_s'])} |")
    idle = run["rss_bytes"]["tenantd"]
    lines += ["", f"Memory with these tenants: {_mib(idle['idle'])} at first, {_mib(idle['after_load'])} after the load."]
    return "\n".join(lines)


def runtime(root: Path) -> str:
    run = _load(root, "runtime")
    lines = [_origin(run, f"{run['rounds']} rounds"), ""]
    lines += ["| | CPU | × C limit | per second | p50 | p99 |", "| --- | --- | --- | --- | --- | --- |"]
    for case in run["cases"]:
        if case["connections"] != MANY:
            continue
        found = case["servers"]["runtime"]
        lines.append(f"| {KINDS[case['kind']]}, {_way(case)} | {_cells(found, found['per_s'])} |")
    lines += ["", "| a connection takes | idle | after calls |", "| --- | --- | --- |"]
    for one in run["connections"]:
        if one["server"] == "runtime":
            lines.append(f"| {_way(one)} | {_kib(one['idle_bytes_each'])} | {_kib(one['active_bytes_each'])} |")
    lines += ["", "| TLS 1.3 handshake, mutual | server CPU |", "| --- | --- |"]
    for kind, found in run["handshakes"]["runtime"].items():
        lines.append(f"| {kind} | {found['server_cpu_us']:,.0f} µs |")
    return "\n".join(lines)


def _load(root: Path, name: str) -> dict:
    file = root / FOLDER / f"{name}.json"
    if not file.exists():
        raise Problem(f"{file}: is not there; tools/bench/run --figures writes it")
    return json.loads(file.read_text())


def _origin(run: dict, what: str) -> str:
    return f"Commit {run['commit']} on {run['date']}; {what};\n{run['machine']}."


def _way(case: dict) -> str:
    return f"{PROTOCOLS[case['protocol']]}, {TRANSPORTS[case['transport']]}"


def _cells(found: dict, per_second: float) -> str:
    # A message of a stream waits for nobody.
    times = " | ".join(f"{found[key]:,.0f} µs" if key in found else "" for key in ("p50_us", "p99_us"))
    return f"{found['cpu_us']:.2f} µs | {found['cpu_by_limit']:.2f} | {per_second:,.0f} | {times}"


def _mib(size: float) -> str:
    return f"{size / 2**20:.0f} MiB"


def _kib(size: float) -> str:
    return f"{size / 2**10:.0f} KiB"
