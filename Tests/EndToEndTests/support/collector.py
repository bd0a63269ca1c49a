"""A collector of traces: OTLP's TraceService as grpcio serves it.

Its messages are those of the package opentelemetry-proto where that is installed, else made from `proto/`.
"""

import atexit
import shutil
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from grpc_tools import protoc

from .waiting import eventually

PROTO = Path(__file__).resolve().parents[3] / "proto"


def _generate() -> str:
    target = tempfile.mkdtemp(prefix="otlp-stubs-")
    atexit.register(shutil.rmtree, target, ignore_errors=True)
    names = sorted(str(path.relative_to(PROTO)) for path in PROTO.glob("opentelemetry/**/*.proto"))
    if protoc.main(["protoc", f"-I{PROTO}", f"--python_out={target}", *names]) != 0:
        raise RuntimeError("protoc refused the protocol")
    return target


try:
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service
except ImportError:
    sys.path.insert(0, _generate())
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


class Collector:
    """Listens at `place` while it is up, with TLS if it has credentials; keeps what it gets."""

    def __init__(self, place: str, credentials: grpc.ServerCredentials | None = None):
        self.place = place
        self.credentials = credentials
        self.requests: list = []
        self.refusal: grpc.StatusCode | None = None
        self._lock = threading.Lock()
        self._server: grpc.Server | None = None

    def start(self) -> "Collector":
        self._server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        service_name, method = EXPORT[1:].split("/")
        handler = grpc.unary_unary_rpc_method_handler(
            self._export, service.ExportTraceServiceRequest.FromString,
            service.ExportTraceServiceResponse.SerializeToString)
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service_name, {method: handler}),))
        port = (self._server.add_secure_port(self.place, self.credentials) if self.credentials
                else self._server.add_insecure_port(self.place))
        if self.place.endswith(":0"):
            self.place = f"{self.place[:-2]}:{port}"
        self._server.start()
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop(0).wait()
            self._server = None

    def _export(self, request, context):
        with self._lock:
            self.requests.append(request)
        if self.refusal is not None:
            context.abort(self.refusal, "not wanted")
        return service.ExportTraceServiceResponse()

    @property
    def spans(self) -> list:
        with self._lock:
            requests = list(self.requests)
        return [span for request in requests for resource in request.resource_spans
                for scope in resource.scope_spans for span in scope.spans]

    def wait(self, count: int) -> list:
        """The spans, once there are so many."""
        return eventually(lambda: len(self.spans) >= count and self.spans, f"{count} spans", 30)


def attributes(holder) -> dict:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value"))
            for pair in holder.attributes}
