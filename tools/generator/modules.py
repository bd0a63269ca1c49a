"""Which protos are generated together: into one C target and one Swift folder."""

import dataclasses
import re

from .errors import GenerationError


@dataclasses.dataclass(frozen=True)
class Module:
    """A set of protos that import nothing of another module's."""

    # The C target, and the module that Swift imports.
    c_name: str
    # What its protos are called by name: files, or folders that end in a slash.
    sources: tuple[str, ...]
    # Folder of nothing but generated Swift.
    swift_folder: str
    # Folder of nothing but generated client stubs; empty: they go with the messages.
    client_folder: str
    # The Swift enum that holds the protos as descriptors.
    descriptors: str
    # Whether messages have `json()`, which needs the domain's JSONValue.
    json: bool = False
    # Whether each method has to declare its authorization.
    authorized: bool = False
    # Folder of the C target's own.
    parent: str = "Sources"
    # Whether it is another package's: the Swift enums that hold what a proto package declares are generated too, and
    # the C of google.protobuf may be linked beside ours.
    foreign: bool = False
    # Protos whose services are called by others' clients: there are no stubs for them. Folders that end in a slash.
    foreign_clients: tuple[str, ...] = ()
    # Messages, by full name, that hot methods answer with: their fields can be written one by one.
    hot: tuple[str, ...] = ()
    # Messages that hot methods are asked with: their fields can be read where they lie.
    viewed: tuple[str, ...] = ()

    @property
    def c_folder(self) -> str:
        return f"{self.parent}/{self.c_name}" if self.parent else self.c_name

    @property
    def folders(self) -> tuple[str, ...]:
        """Folders that hold nothing but this module's generated code."""
        found = (self.c_folder, self.swift_folder, self.client_folder)
        return tuple(folder for folder in found if folder)

    def has(self, file_name: str) -> bool:
        return any(
            file_name.startswith(source) if source.endswith("/") else file_name == source
            for source in self.sources
        )


TENANCY = Module(
    c_name="CTenancyProto",
    sources=(
        "tenancy/v1/",
        "tenancy/lifecycle/v1/",
        "envoy/",
        "google/rpc/",
        "google/protobuf/any.proto",
        "google/protobuf/duration.proto",
        "google/protobuf/field_mask.proto",
        "google/protobuf/timestamp.proto",
        "google/protobuf/wrappers.proto",
    ),
    foreign_clients=("envoy/",),
    swift_folder="Sources/TenancyWire/Generated",
    client_folder="Sources/TenancyClient/Generated",
    descriptors="TenancyDescriptors",
    json=True,
    authorized=True,
    hot=tuple(
        f"tenancy.v1.{name}"
        for name in (
            "ResolveTenantResponse",
            "ResolutionFinding",
            "CheckResponse",
            "BatchCheckResponse",
        )
    ),
    viewed=tuple(
        f"tenancy.v1.{name}"
        for name in (
            "ResolveTenantRequest",
            "ResolveFromPathRequest",
            "ResolveFromSubdomainRequest",
            "ResolveFromHeadersRequest",
            "ResolveFromTokenRequest",
            "ResolveFromEnvironmentRequest",
            "CheckRequest",
            "BatchCheckRequest",
            "BatchCheckItem",
        )
    )
    + tuple(
        f"envoy.{name}"
        for name in (
            "config.core.v3.Address",
            "config.core.v3.HeaderMap",
            "config.core.v3.HeaderValue",
            "config.core.v3.SocketAddress",
            "service.auth.v3.AttributeContext",
            "service.auth.v3.AttributeContext.HttpRequest",
            "service.auth.v3.AttributeContext.Peer",
            "service.auth.v3.AttributeContext.Request",
            "service.auth.v3.CheckRequest",
        )
    ),
)
SERVICES = Module(
    c_name="CTenancyRPCProto",
    sources=("grpc/health/", "grpc/reflection/"),
    swift_folder="Sources/TenancyRPCServices/Generated",
    client_folder="",
    descriptors="ServicesDescriptors",
)
INTEROP = Module(
    c_name="CTenancyInteropProto",
    sources=("grpc/testing/", "ttrpc/", "bench/", "google/protobuf/empty.proto"),
    swift_folder="Sources/TenancyRPCInterop/Generated",
    client_folder="",
    descriptors="InteropDescriptors",
)
TELEMETRY = Module(
    c_name="CTenancyOTLPProto",
    sources=("opentelemetry/",),
    swift_folder="Sources/TenancyTelemetry/Generated",
    client_folder="",
    descriptors="OTLPDescriptors",
)
WORKLOAD = Module(
    c_name="CTenancySPIFFEProto",
    sources=("spiffe/",),
    swift_folder="Sources/TenancyWorkload/Generated",
    client_folder="",
    descriptors="SPIFFEDescriptors",
)
# What a program that links the runtime, or our client, has already; the last in part only.
OURS_ALONE = ("grpc/health/", "grpc/reflection/", "google/rpc/")
MODULES = (TENANCY, SERVICES, INTEROP, TELEMETRY, WORKLOAD)
FOLDERS = tuple(folder for module in MODULES for folder in module.folders)


def foreign(name: str) -> Module:
    """The module `name` of another package, with all of its protos."""
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", name):
        raise GenerationError(f"{name}: no name for a module: A-Z, then letters and digits")
    return Module(
        c_name=f"C{name}", sources=(), swift_folder=f"{name}/Generated", client_folder="",
        descriptors=f"{name}Descriptors", parent="", foreign=True,
    )


def split(files: list, dropped: set[str]) -> list[tuple[Module, list]]:
    """The modules that have files, each with its own, in the order given."""
    owners = {}
    for file in files:
        if file.name in dropped:
            continue
        owner = next((module for module in MODULES if module.has(file.name)), None)
        if owner is None:
            raise GenerationError(f"{file.name}: belongs to no module (tools/generator/modules.py)")
        owners[file.name] = owner
    for file in files:
        for name in file.dependency:
            if file.name in owners and owners.get(name, owners[file.name]) != owners[file.name]:
                raise GenerationError(f"{file.name}: imports {name} of another module")
    return [
        (module, [file for file in files if owners.get(file.name) == module])
        for module in MODULES
        if module in owners.values()
    ]
