"""Messages as the Swift generator sees them."""

import dataclasses
import enum

from . import naming
from .descriptors import FieldProto
from .errors import GenerationError

NAMESPACES = {
    "tenancy.v1": "V1",
    "google.rpc": "GoogleRPC",
    "google.protobuf": "GoogleProtobuf",
}
STRUCT_TYPE = ".google.protobuf.Struct"

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


class Kind(enum.Enum):
    """How a value travels between C and Swift."""

    SCALAR = 1
    BOOL = 2
    STRING = 3
    BYTES = 4
    ENUM = 5
    MESSAGE = 6
    STRUCT = 7


class Shape(enum.Enum):
    """How many values a field has."""

    SINGLE = 1
    LIST = 2
    MAP = 3


@dataclasses.dataclass(frozen=True)
class Value:
    """A field's value, a list's element or a map's value."""

    kind: Kind
    swift: str
    c: str


@dataclasses.dataclass(frozen=True)
class Field:
    proto_name: str
    json_name: str
    swift_name: str
    c_name: str
    shape: Shape
    value: Value
    comment: list[str]
    # Full proto name of a map's entry message.
    entry: str = ""

    @property
    def swift_type(self) -> str:
        if self.shape is Shape.LIST:
            return f"[{self.value.swift}]"
        if self.shape is Shape.MAP:
            return f"[String: {self.value.swift}]"
        if self.value.kind in (Kind.MESSAGE, Kind.STRUCT):
            return f"{self.value.swift}?"
        return self.value.swift

    @property
    def default(self) -> str:
        if self.shape is Shape.LIST:
            return "[]"
        if self.shape is Shape.MAP:
            return "[:]"
        kind = self.value.kind
        return {
            Kind.BOOL: "false",
            Kind.STRING: '""',
            Kind.BYTES: "[]",
            Kind.ENUM: f"{self.value.swift}(rawValue: 0)",
            Kind.MESSAGE: "nil",
            Kind.STRUCT: "nil",
            Kind.SCALAR: "0",
        }[kind]


@dataclasses.dataclass(frozen=True)
class Message:
    full_name: str
    swift_name: str
    fields: list[Field]
    comment: list[str]

    @property
    def parent(self) -> str:
        return self.swift_name.rpartition(".")[0]

    @property
    def simple_name(self) -> str:
        return self.swift_name.rpartition(".")[2]


def swift_type(proto_name: str) -> str:
    """`.tenancy.v1.Tenant` -> `V1.Tenant`."""
    name = proto_name.lstrip(".")
    for package, namespace in NAMESPACES.items():
        if name.startswith(package + "."):
            parts = name[len(package) + 1 :].split(".")
            return ".".join([namespace, *map(naming.escaped, parts)])
    raise GenerationError(f"{name}: no Swift namespace for its package")


def message(full_name: str, descriptor, path, comments) -> Message:
    """The model of one message, or an error for what the wire layer does not do."""
    entries = {
        f".{full_name}.{nested.name}": nested
        for nested in descriptor.nested_type
        if nested.options.map_entry
    }
    fields = [
        _field(full_name, proto, entries, comments.get(path + (2, index), []))
        for index, proto in enumerate(descriptor.field)
    ]
    return Message(full_name, swift_type(full_name), fields, comments.get(path, []))


def _field(owner: str, proto, entries, comment) -> Field:
    label = f"{owner}.{proto.name}"
    if proto.HasField("oneof_index"):
        raise GenerationError(f"{label}: oneof and optional are not supported")
    repeated = proto.label == _F.LABEL_REPEATED
    entry = entries.get(proto.type_name)
    shape = Shape.MAP if entry else Shape.LIST if repeated else Shape.SINGLE
    value = _value(label, _map_value(label, entry) if entry else proto)
    if value.kind is Kind.STRUCT and shape is not Shape.SINGLE:
        raise GenerationError(f"{label}: lists and maps of Struct are not supported")
    return Field(
        proto_name=proto.name,
        json_name=proto.json_name,
        swift_name=naming.escaped(naming.lower_camel(proto.name)),
        c_name=naming.c_field(proto.name),
        shape=shape,
        value=value,
        comment=comment,
        entry=proto.type_name.lstrip(".") if entry else "",
    )


def _map_value(label: str, entry):
    key, value = sorted(entry.field, key=lambda field: field.number)
    if key.type != _F.TYPE_STRING:
        raise GenerationError(f"{label}: map keys other than string are not supported")
    return value


def _value(label: str, proto) -> Value:
    if proto.type in SCALARS:
        return Value(Kind.SCALAR, SCALARS[proto.type], SCALARS[proto.type])
    if proto.type == _F.TYPE_BOOL:
        return Value(Kind.BOOL, "Bool", "protobuf_c_boolean")
    if proto.type == _F.TYPE_STRING:
        return Value(Kind.STRING, "String", "ProtobufCBinaryData")
    if proto.type == _F.TYPE_BYTES:
        return Value(Kind.BYTES, "[UInt8]", "ProtobufCBinaryData")
    if proto.type_name == STRUCT_TYPE:
        return Value(Kind.STRUCT, "[String: JSONValue]", "ProtobufCBinaryData")
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
