"""Processes that ask the SPIFFE Workload API who they are, as whichever user. Run as a program, it is one of them."""

import base64
import functools
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

PROTO = Path(__file__).resolve().parents[3] / "proto"
HEADER = [("workload.spiffe.io", "true")]


def with_workload_api(server, **settings):
    """Configures a server that is to serve it, with the first of the CAs that it trusts."""
    server.workload_socket = server.socket_directory / "workload"
    certificate, key = server.directory / "workload-ca.pem", server.directory / "workload-ca.key"
    server.workload_ca = certificate, key
    certificate.write_bytes(server.pki.python.pem)
    key.touch(mode=0o600)
    key.write_bytes(server.pki.python.key_pem)
    server.settings["workload_api"] = {
        "socket": str(server.workload_socket), "ca_certificate": str(certificate),
        "ca_key": str(key)} | settings
    return server


def certificates(data: bytes) -> list:
    """Those that lie one behind the other, in DER."""
    from cryptography import x509

    found = []
    while data:
        length = int.from_bytes(data[2:4]) + 4
        found.append(x509.load_der_x509_certificate(data[:length]))
        data = data[length:]
    return found


def credential(chain, key):
    """What a client over TLS takes."""
    from cryptography.hazmat.primitives.serialization import Encoding

    from .pki import Credential, _pem

    return Credential(b"".join(one.public_bytes(Encoding.PEM) for one in chain), _pem(key))


class Workload:
    """A process with one stream. What it is told, or refused, comes from `next`."""

    def __init__(self, socket, method: str = "FetchX509SVID", uid: int = 0, gid: int = 0,
                 program=None, header=HEADER, wait: float = 60):
        """`program` takes the place of the interpreter: a path, or a command that runs it."""
        asked = json.dumps({"socket": str(socket), "method": method, "uid": uid, "gid": gid,
                            "header": header, "wait": wait})
        program = program or sys.executable
        command = [program] if isinstance(program, str) else program
        self.process = subprocess.Popen(
            [*command, __file__, asked], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
        self.told: queue.Queue = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with self.process.stdout as lines:
            for line in lines:
                self.told.put(json.loads(line))

    def next(self, timeout: float = 20) -> dict:
        return self.told.get(timeout=timeout)

    def svids(self, timeout: float = 20) -> list[dict]:
        from cryptography.hazmat.primitives.serialization import load_der_private_key

        told = self.next(timeout)
        assert "svids" in told, told
        return [{"id": svid["id"], "hint": svid["hint"], "chain": base64.b64decode(svid["chain"]),
                 "bundle": base64.b64decode(svid["bundle"]),
                 "key": load_der_private_key(base64.b64decode(svid["key"]), None)}
                for svid in told["svids"]]

    def raw_bundles(self, timeout: float = 20) -> dict[str, bytes]:
        told = self.next(timeout)
        assert "bundles" in told, told
        return {name: base64.b64decode(data) for name, data in told["bundles"].items()}

    def bundles(self, timeout: float = 20) -> dict[str, list]:
        return {name: certificates(data) for name, data in self.raw_bundles(timeout).items()}

    def refusal(self, timeout: float = 20) -> str:
        """The code of what ends it."""
        told = self.next(timeout)
        assert "code" in told, told
        return told["code"]

    def go_on(self) -> None:
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# MARK: The process

@functools.cache
def messages():
    """Generated here, from our proto."""
    from grpc_tools import protoc

    target = tempfile.mkdtemp(prefix="spiffe-stubs-")
    assert protoc.main(["protoc", f"-I{PROTO}/spiffe", f"--python_out={target}", "workload.proto"]) == 0
    sys.path.insert(0, target)
    import workload_pb2

    return workload_pb2


def _tell(what: dict) -> None:
    print(json.dumps(what), flush=True)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _ask(asked: dict) -> None:
    import grpc

    types = messages()
    # Before it is another user, who may not read where all this is.
    grpc.insecure_channel("unix:/nowhere").close()
    os.setgroups([])
    os.setgid(asked["gid"])
    os.setuid(asked["uid"])
    channel = grpc.insecure_channel(f"unix:{asked['socket']}")
    if asked["method"] == "flood":
        return _flood(channel, types, asked["wait"])
    request, response = {
        "FetchX509SVID": (types.X509SVIDRequest, types.X509SVIDResponse),
        "FetchX509Bundles": (types.X509BundlesRequest, types.X509BundlesResponse),
        "FetchJWTBundles": (types.JWTBundlesRequest, types.JWTBundlesResponse),
    }[asked["method"]]
    call = channel.unary_stream(
        f"/SpiffeWorkloadAPI/{asked['method']}", request_serializer=request.SerializeToString,
        response_deserializer=response.FromString)
    try:
        header = [tuple(entry) for entry in asked["header"]]
        for told in call(request(), metadata=header, timeout=asked["wait"]):
            if asked["method"].endswith("Bundles"):
                _tell({"bundles": {name: _text(data) for name, data in told.bundles.items()}})
                continue
            assert not told.crl and not told.federated_bundles
            _tell({"svids": [{
                "id": svid.spiffe_id, "hint": svid.hint, "chain": _text(svid.x509_svid),
                "key": _text(svid.x509_svid_key), "bundle": _text(svid.bundle),
            } for svid in told.svids]})
        _tell({"code": "OK"})
    except grpc.RpcError as error:
        _tell({"code": error.code().name, "details": error.details()})


def _flood(channel, types, seconds: float) -> None:
    """Asks again and again."""
    import time

    import grpc

    call = channel.unary_stream(
        "/SpiffeWorkloadAPI/FetchX509SVID",
        request_serializer=types.X509SVIDRequest.SerializeToString,
        response_deserializer=types.X509SVIDResponse.FromString)
    codes: dict[str, int] = {}
    begin = time.monotonic()
    _tell({"flooding": True})
    while time.monotonic() < begin + seconds or len(codes) < 2:
        try:
            next(call(types.X509SVIDRequest(), metadata=HEADER, timeout=10))
            codes["OK"] = codes.get("OK", 0) + 1
        except grpc.RpcError as error:
            codes[error.code().name] = codes.get(error.code().name, 0) + 1
    _tell({"codes": codes, "seconds": time.monotonic() - begin})


def _leave(asked: dict) -> None:
    """Connects, leaves the connection to a child, and ends. When it is told to, the child asks."""
    import socket

    from support import ttrpc

    connection = socket.socket(socket.AF_UNIX)
    connection.connect(asked["socket"])
    _tell({"pid": os.getpid()})
    if os.fork():
        os._exit(0)
    sys.stdin.readline()
    connection.sendall(ttrpc.request(
        1, "FetchX509SVID", b"", ttrpc.REMOTE_CLOSED, service="SpiffeWorkloadAPI",
        metadata=asked["header"]))
    received = b""
    while not ttrpc.frames(received):
        received += connection.recv(1 << 16)
    [(_, kind, _, content), *_] = ttrpc.frames(received)
    _tell({"data": True} if kind == ttrpc.DATA else {"number": ttrpc.status(content)[0]})


if __name__ == "__main__":
    # This folder's modules are `support`'s, and shadow nobody's.
    sys.path.pop(0)
    _asked = json.loads(sys.argv[1])
    (_leave if _asked["method"] == "leave" else _ask)(_asked)
