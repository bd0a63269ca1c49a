"""Messages as the Swift generator sees them."""

import dataclasses
import enum

from . import naming
from .descriptors import FieldProto
from .errors import GenerationError

NAMESPACES = {
    "tenancy.v1": "V1",
    "tenancy.lifecycle.v1": "LifecycleV1",
    "envoy.config.core.v3": "EnvoyCore",
    "envoy.extensions.common.ratelimit.v3": "EnvoyRateLimitCommon",
    "envoy.service.auth.v3": "EnvoyAuth",
    "envoy.service.ratelimit.v3": "EnvoyRateLimit",
    "envoy.type.v3": "EnvoyType",
    "google.rpc": "GoogleRPC",
    "google.protobuf": "GoogleProtobuf",
    "grpc.health.v1": "GRPCHealth",
    "grpc.reflection.v1": "GRPCReflection",
    "grpc.reflection.v1alpha": "GRPCReflectionAlpha",
    "grpc.testing": "GRPCTesting",
    "ttrpc.integration.streaming": "TTRPCStreaming",
    "bench.v1": "Bench",
    "opentelemetry.proto.common.v1": "OTLPCommon",
    "opentelemetry.proto.resource.v1": "OTLPResource",
    "opentelemetry.proto.trace.v1": "OTLPTrace",
    "opentelemetry.proto.collector.trace.v1": "OTLPCollector",
    # Of no package: the SPIFFE Workload API's.
    "": "SPIFFE",
    "envoy.service.secret.v3": "EnvoySecret",
}
STRUCT_TYPE = ".google.protobuf.Struct"
VALUE_TYPE = ".google.protobuf.Value"

_F = FieldProto
SCALARS = {
    _F.TYPE_DOUBLE: "Double",
    _F.TYPE_FLOAT: "Float",
    _F.TYPE_INT32: "Int32",
    _F.TYPE_SINT32: "Int32",
    _F.TYPE_SFIXED32: "Int32",
    _F.TYPE_UINT32: "UInt32",
    _F.TYPE_FIXED32: "UInt32",
    _F.TYPE_INT64: "Int64",
    _F.TYPE_SINT64: "Int64",
    _F.TYPE_SFIXED64: "Int64",
    _F.TYPE_UINT64: "UInt64",
    _F.TYPE_FIXED64: "UInt64",
}

FIXED = {
    _F.TYPE_DOUBLE, _F.TYPE_FLOAT, _F.TYPE_FIXED32, _F.TYPE_FIXED64, _F.TYPE_SFIXED32,
    _F.TYPE_SFIXED64,
}


class Kind(enum.Enum):
    """How a value travels between C and Swift."""

    SCALAR = 1
    BOOL = 2
    STRING = 3
    BYTES = 4
    ENUM = 5
    MESSAGE = 6
    STRUCT = 7
    VALUE = 8


class Shape(enum.Enum):
    """How many values a field has."""

    SINGLE = 1
    LIST = 2
    MAP = 3
    # One that knows whether it was set: `optional`.
    OPTIONAL = 4


@dataclasses.dataclass(frozen=True)
class Value:
    """A field's value, a list's element or a map's value."""

    kind: Kind
    swift: str
    c: str
    # Of a number that takes the same bytes whatever it is.
    is_fixed: bool = False


@dataclasses.dataclass(frozen=True)
class Field:
    proto_name: str
    json_name: str
    swift_name: str
    c_name: str
    shape: Shape
    value: Value
    comment: list[str]
    number: int
    # Full proto name of a map's entry message.
    entry: str = ""
    # The oneof in C of an `optional`.
    c_oneof: str = ""

    @property
    def swift_type(self) -> str:
        if self.shape is Shape.LIST:
            return f"[{self.value.swift}]"
        if self.shape is Shape.MAP:
            return f"[String: {self.value.swift}]"
        if self.shape is Shape.OPTIONAL:
            return f"{self.value.swift}?"
        if self.value.kind in (Kind.MESSAGE, Kind.STRUCT, Kind.VALUE):
            return f"{self.value.swift}?"
        return self.value.swift

    @property
    def default(self) -> str:
        if self.shape is Shape.LIST:
            return "[]"
        if self.shape is Shape.MAP:
            return "[:]"
        if self.shape is Shape.OPTIONAL:
            return "nil"
        kind = self.value.kind
        return {
            Kind.BOOL: "false",
            Kind.STRING: '""',
            Kind.BYTES: "[]",
            Kind.ENUM: f"{self.value.swift}(rawValue: 0)",
            Kind.MESSAGE: "nil",
            Kind.STRUCT: "nil",
            Kind.VALUE: "nil",
            Kind.SCALAR: "0",
        }[kind]


@dataclasses.dataclass(frozen=True)
class Oneof:
    """At most one of several fields."""

    swift_name: str
    # Its Swift enum, nested in the message.
    simple_type: str
    c_name: str
    fields: list[Field]
    comment: list[str]

    @property
    def swift_type(self) -> str:
        return f"{self.simple_type}?"

    @property
    def default(self) -> str:
        return "nil"


@dataclasses.dataclass(frozen=True)
class Message:
    full_name: str
    swift_name: str
    # In the order of declaration; a oneof where its first field is.
    members: list[Field | Oneof]
    comment: list[str]

    @property
    def fields(self) -> list[Field]:
        """Every field, those of oneofs too."""
        return [
            field
            for member in self.members
            for field in (member.fields if isinstance(member, Oneof) else [member])
        ]

    @property
    def parent(self) -> str:
        return self.swift_name.rpartition(".")[0]

    @property
    def simple_name(self) -> str:
        return self.swift_name.rpartition(".")[2]


def declare(packages: list[str]) -> list[str]:
    """Gives packages of others their Swift enums, `acme.shop.v1` `AcmeShopV1`, instead of ours, and returns these."""
    NAMESPACES.clear()
    for package in packages:
        if not package:
            raise GenerationError("a proto names no package")
        name = "".join(naming.upper_camel(part) for part in package.split("."))
        NAMESPACES[package] = naming.apart(name, naming.USED_TYPES)
    found = set(NAMESPACES.values())
    if len(found) != len(NAMESPACES):
        raise GenerationError(f"{', '.join(packages)}: two packages would be the same in Swift")
    return sorted(found)


def namespace(package: str) -> str:
    """The Swift enum that holds what a package declares."""
    if package not in NAMESPACES:
        raise GenerationError(f"{package}: no Swift namespace for the package (model.py)")
    return NAMESPACES[package]


def type_name(name: str) -> str:
    """What a message, an enum, a service or a oneof's type is called where it is declared."""
    return naming.escaped(naming.apart(name, naming.USED_TYPES.union(NAMESPACES.values())))


def swift_type(proto_name: str) -> str:
    """`.tenancy.v1.Tenant` -> `V1.Tenant`."""
    name = proto_name.lstrip(".")
    # The longest first: a package may be inside of another.
    for package in sorted(NAMESPACES, key=len, reverse=True):
        prefix = naming.qualified(package, "")
        if name.startswith(prefix):
            parts = name[len(prefix) :].split(".")
            return ".".join([NAMESPACES[package], *map(type_name, parts)])
    raise GenerationError(f"{name}: no Swift namespace for its package")


def message(full_name: str, descriptor, path, comments) -> Message:
    """The model of one message, or an error for what the wire layer does not do."""
    entries = {
        f".{full_name}.{nested.name}": nested
        for nested in descriptor.nested_type
        if nested.options.map_entry
    }
    members: list[Field | Oneof] = []
    oneofs: dict[int, Oneof] = {}
    for index, proto in enumerate(descriptor.field):
        field = _field(full_name, proto, entries, comments.get(path + (2, index), []))
        if not proto.HasField("oneof_index"):
            members.append(field)
        elif proto.proto3_optional:
            members.append(_optional(field, descriptor.oneof_decl[proto.oneof_index].name))
        else:
            if proto.oneof_index not in oneofs:
                comment = comments.get(path + (8, proto.oneof_index), [])
                oneof = _oneof(descriptor.oneof_decl[proto.oneof_index].name, comment)
                oneofs[proto.oneof_index] = oneof
                members.append(oneof)
            oneofs[proto.oneof_index].fields.append(field)
    return Message(full_name, swift_type(full_name), members, comments.get(path, []))


def _optional(field: Field, oneof: str) -> Field:
    return dataclasses.replace(field, shape=Shape.OPTIONAL, c_oneof=naming.c_oneof(oneof))


def oneof_type(name: str) -> str:
    """`some_kind` -> `SomeKind`."""
    return type_name(naming.upper_camel(name))


def _oneof(name: str, comment: list[str]) -> Oneof:
    return Oneof(naming.member(name), oneof_type(name), naming.c_oneof(name), [], comment)


def _field(owner: str, proto, entries, comment) -> Field:
    label = f"{owner}.{proto.name}"
    repeated = proto.label == _F.LABEL_REPEATED
    entry = entries.get(proto.type_name)
    shape = Shape.MAP if entry else Shape.LIST if repeated else Shape.SINGLE
    value = _value(label, _map_value(label, entry) if entry else proto)
    plain = shape is Shape.SINGLE and not proto.HasField("oneof_index")
    if value.kind in (Kind.STRUCT, Kind.VALUE) and not plain:
        name = "Struct" if value.kind is Kind.STRUCT else "Value"
        raise GenerationError(f"{label}: {name} is supported as a field of its own only")
    return Field(
        proto_name=proto.name,
        json_name=proto.json_name,
        swift_name=naming.member(proto.name),
        c_name=naming.c_field(proto.name),
        shape=shape,
        value=value,
        comment=comment,
        number=proto.number,
        entry=proto.type_name.lstrip(".") if entry else "",
    )


def _map_value(label: str, entry):
    key, value = sorted(entry.field, key=lambda field: field.number)
    if key.type != _F.TYPE_STRING:
        raise GenerationError(f"{label}: map keys other than string are not supported")
    return value


def _value(label: str, proto) -> Value:
    if proto.type in SCALARS:
        swift = SCALARS[proto.type]
        return Value(Kind.SCALAR, swift, swift, is_fixed=proto.type in FIXED)
    if proto.type == _F.TYPE_BOOL:
        return Value(Kind.BOOL, "Bool", "protobuf_c_boolean")
    if proto.type == _F.TYPE_STRING:
        return Value(Kind.STRING, "String", "ProtobufCBinaryData")
    if proto.type == _F.TYPE_BYTES:
        return Value(Kind.BYTES, "[UInt8]", "ProtobufCBinaryData")
    if proto.type_name == STRUCT_TYPE:
        return Value(Kind.STRUCT, "[String: JSONValue]", "ProtobufCBinaryData")
    if proto.type_name == VALUE_TYPE:
        return Value(Kind.VALUE, "JSONValue", "ProtobufCBinaryData")
    c_type = naming.c_type(proto.type_name.lstrip("."))
    if proto.type == _F.TYPE_ENUM:
        return Value(Kind.ENUM, swift_type(proto.type_name), c_type)
    if proto.type == _F.TYPE_MESSAGE:
        return Value(Kind.MESSAGE, swift_type(proto.type_name), c_type)
    raise GenerationError(f"{label}: groups are not supported")


def refuse_recursion(messages: list[Message]) -> None:
    """libprotobuf-c decodes nested messages without a limit, so nesting must end by type."""
    inside = {
        message.swift_name: [
            field.value.swift for field in message.fields if field.value.kind is Kind.MESSAGE
        ]
        for message in messages
    }
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise GenerationError(f"{name}: recursive messages are not supported")
        if name not in done:
            for nested in inside.get(name, []):
                visit(nested, above + (name,))
            done.add(name)

    for name in inside:
        visit(name, ())
