"""Measures what tokens cost. Started by tools/bench/run --tokens.

Server CPU of ResolveTenant over mutual TLS, by a tenant's workload: with its certificate alone, and with a token
that is bound to it and was verified before, in turns with the C limit, which judges nothing, and unpacks the token's header where one is sent (HTTP/2 has clients
send it anew with each call). And of WhoAmI with tokens
that were not seen before, beside the same calls with one that was: the difference is what verifying takes.
"""

import argparse
import importlib
import json
import os
import pathlib
import statistics
import struct
import sys
import tempfile
import time

import bench
import grpc

TENANTS = 1000
FRESH = 600  # tokens, fewer than may be issued at once


def requests_of(api, directory, number):
    """Of the tenant of that number, in the file that the load reads."""
    path = directory / "own.data"
    with path.open("wb") as file:
        for order in range(bench.DISTINCT_REQUESTS):
            message = api.ResolveTenantRequest(
                path=f"/tenants/{bench.slug(number)}/orders/{order}").SerializeToString()  # fmt: skip
            file.write(struct.pack(">BI", 0, len(message)) + message)
    return path


def channel(server, directory, name):
    ca, key, certificate = ((directory / f).read_bytes() for f in ("ca.pem", f"{name}.key", f"{name}.pem"))
    return grpc.secure_channel(server.tcp, grpc.ssl_channel_credentials(ca, key, certificate))


def load(server, tools, directory, data, options, name, token=""):
    """Microseconds of server CPU for each call."""
    files = [directory / f for f in (f"{name}.pem", f"{name}.key", "ca.pem")]
    command = [tools / "load", "--tcp", server.tcp, "--tls", *files, "--path", bench.RESOLVE, "--data", data,
               "--connections", 8, "--streams", 32, "--requests", options.count]  # fmt: skip
    if token:
        command += ["--authorization", f"Bearer {token}"]
    result, before, after = bench.generate(server, command)
    if result["failed"]:
        raise RuntimeError(f"{server.name}: failed calls: {result}")
    return bench.cpu_per_rpc(before, after, options.count)


def fresh(server, directory, tokens, identity):
    """Microseconds of server CPU for each call with tokens that were not seen before, and with one that was."""
    with channel(server, directory, "workload") as to:
        stub = importlib.import_module("tenancy.v1.tokens_pb2_grpc").TokensStub(to)
        made = [stub.ExchangeToken(tokens.ExchangeTokenRequest()).token for _ in range(FRESH)]
        who = importlib.import_module("tenancy.v1.identity_pb2_grpc").IdentityStub(to).WhoAmI

        def cost(carried):
            before = server.cpu()
            for token in carried:
                who(identity.WhoAmIRequest(), metadata=[("authorization", f"Bearer {token}")])
            return bench.cpu_per_rpc(before, server.cpu(), len(carried))

        cost(made[:1] * 100)
        return {"first_seen": cost(made[1:]), "seen": cost(made[:1] * (FRESH - 1))}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", type=pathlib.Path, required=True)
    parser.add_argument("--binary", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=200_000, help="calls of each load")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = pathlib.Path(name)
        stubs = directory / "stubs"
        stubs.mkdir()
        api = bench.stubs(stubs)
        tokens = importlib.import_module("tenancy.v1.tokens_pb2")
        identity = importlib.import_module("tenancy.v1.identity_pb2")
        bench.certificates(directory)
        key = directory / "master.key"
        key.touch(mode=0o600)
        key.write_text(os.urandom(32).hex() + "\n")
        server = bench.start_tenantd(
            directory, options.binary, secrets={"master_key": {"file": str(key)}},
            tokens={"issuer": "https://bench.test"})  # fmt: skip
        limit = bench.start_limit(directory, options.tools, TENANTS)
        try:
            bench.asyncio.run(bench.load_tenants(api, server, directory, TENANTS))
            data = requests_of(api, directory, 0)
            with channel(server, directory, "workload") as to:
                stub = importlib.import_module("tenancy.v1.tokens_pb2_grpc").TokensStub(to)
                token = stub.ExchangeToken(tokens.ExchangeTokenRequest()).token
            cases = {"C limit": (limit, "client", ""), "with a token": (limit, "client", token),
                     "certificate": (server, "workload", ""), "token": (server, "workload", token)}  # fmt: skip
            found = {case: [] for case in cases}
            for _ in range(options.rounds):
                for case, (to, who, carried) in cases.items():
                    found[case].append(load(to, options.tools, directory, data, options, who, carried))
            medians = {case: statistics.median(values) for case, values in found.items()}
            print(f"ResolveTenant over mutual TLS, 8x32, server CPU us per call (token of {len(token)} bytes)")
            for case, value in medians.items():
                print(f"  {case:12}{value:8.3f}  {value / medians['C limit']:.2f}x"
                      f"  {value / medians['with a token']:.2f}x of the limit that is sent the token")  # fmt: skip
            verifying = fresh(server, directory, tokens, identity)
            print("WhoAmI one after the other, server CPU us per call")
            for case, value in verifying.items():
                print(f"  {case:12}{value:8.1f}")
            print(f"  verifying   {verifying['first_seen'] - verifying['seen']:8.1f}")
        finally:
            server.stop()
            limit.stop()
    if options.json:
        options.json.write_text(json.dumps({"date": time.strftime("%F"), "resolve": medians, "who": verifying}))


if __name__ == "__main__":
    sys.exit(main())
