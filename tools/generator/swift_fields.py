"""Swift expressions that read one field from C, write it to C, and turn it into JSON."""

from . import naming
from .errors import GenerationError
from .model import Field, Kind, Oneof, Shape, Value

# Qualified: google.rpc has a message of the same name.
VIOLATION = "TenancyRPC.FieldViolation"


def read(member: Field | Oneof) -> list[str]:
    """Statements that set a member of `self` from the C message `c`."""
    target = f"self.{member.swift_name}"
    if isinstance(member, Field):
        return [f"{target} = {_read_field(member)}"]
    lines = [f"switch c.pointee.{member.c_name}_case.rawValue {{"]
    for field in member.fields:
        source = _read_single(field)
        if field.value.kind is Kind.MESSAGE:
            value = f"({source}).map {{ .{field.swift_name}($0) }}"
        else:
            value = f".{field.swift_name}({source})"
        lines.append(f"case {field.number}: {target} = {value}")
    return [*lines, f"default: {target} = nil", "}"]


def _read_field(field: Field) -> str:
    """The field's Swift value, from the C message `c`."""
    source = f"c.pointee.{naming.escaped(field.c_name)}"
    count = f"count: c.pointee.n_{field.c_name}"
    path = f'field: "{field.proto_name}"'
    kind = field.value.kind
    if field.shape is Shape.MAP:
        return (
            f"try WireRead.map({source}, {count}, {path}, key: {{ $0.key }}, "
            f"value: {_read_map_value(field.value)})"
        )
    if kind is Kind.STRUCT:
        return f"try WireRead.structure({source}, {count}, {path})"
    if kind is Kind.VALUE:
        return f"try WireRead.value({source}, {count}, {path})"
    if field.shape is Shape.LIST:
        helper = {Kind.STRING: "strings", Kind.MESSAGE: "messages"}.get(kind)
        if helper:
            return f"try WireRead.{helper}({source}, {count}, {path})"
        return f"WireRead.list({source}, {count}) {{ {_read_plain(field.value, '$0')} }}"
    if field.shape is Shape.OPTIONAL:
        present = f"c.pointee.{field.c_oneof}_case.rawValue == {field.number}"
        return f"{present} ? {_read_single(field)} : nil"
    return _read_single(field)


def _read_single(field: Field) -> str:
    source = f"c.pointee.{naming.escaped(field.c_name)}"
    path = f'field: "{field.proto_name}"'
    kind = field.value.kind
    if kind is Kind.STRING:
        return f"try WireText.string({source}, {path})"
    if kind is Kind.MESSAGE:
        return f"try WireRead.message({source}, {path})"
    return _read_plain(field.value, source)


def _read_map_value(value: Value) -> str:
    """A closure from the map's C entry; the map's key completes the path of what it throws."""
    head = f"entry throws({VIOLATION}) in"
    if value.kind is Kind.STRING:
        return f'{{ {head} try WireText.string(entry.value, field: "") }}'
    if value.kind is Kind.MESSAGE:
        return f'{{ {head} try WireRead.message(entry.value, field: "") ?? {value.swift}() }}'
    return f"{{ {_read_plain(value, '$0.value')} }}"


def _read_plain(value: Value, source: str) -> str:
    if value.kind is Kind.BOOL:
        return f"{source} != 0"
    if value.kind is Kind.BYTES:
        return f"[UInt8]({source}.bytes)"
    if value.kind is Kind.ENUM:
        return f"{value.swift}(rawValue: Int32(truncatingIfNeeded: {source}.rawValue))"
    return source


def view(message: str, field: Field) -> tuple[str, str]:
    """Of a field that is read where it lies: its type, and the expression. Both borrow `self`, a `MessageView`."""
    source = f"c.pointee.{naming.escaped(field.c_name)}"
    count = f"count: c.pointee.n_{field.c_name}"
    name = f'"{field.proto_name}"'
    match field.shape, field.value.kind:
        case Shape.SINGLE, Kind.STRING | Kind.BYTES:
            return "TextView", f"TextView({source}, {name}, within: self)"
        case Shape.SINGLE, Kind.MESSAGE:
            view_type = f"MessageView<{field.value.swift}>"
            return f"{view_type}?", f"{view_type}(present: {source}, within: self)"
        case Shape.LIST, Kind.MESSAGE:
            list_type = f"MessageListView<{field.value.swift}>"
            return list_type, f"{list_type}({source}, {count}, within: self)"
        case Shape.MAP, Kind.STRING:
            return "TextMapView", f"TextMapView({source}, {count}, {name}, within: self)"
    raise GenerationError(f"{message}.{field.proto_name}: has no view")


def write(member: Field | Oneof) -> list[str]:
    """Statements that set a member of the C message `c` from `self`, in `arena`."""
    if isinstance(member, Field):
        return _write_field(member)
    lines = [f"switch self.{member.swift_name} {{"]
    for field in member.fields:
        lines.append(f"case .{field.swift_name}(let value)?:")
        lines += [f"  {line}" for line in _write_choice(member.c_name, field)]
    return [*lines, "case nil: break", "}"]


def _write_choice(c_oneof: str, field: Field) -> list[str]:
    """Statements that make `value` what the oneof in C holds."""
    target = f"c.pointee.{naming.escaped(field.c_name)}"
    return [
        f"c.pointee.{c_oneof}_case = .init(rawValue: {field.number})",
        f"{target} = {_write_value(field.value, 'value')}",
    ]


def _write_field(field: Field) -> list[str]:
    target = f"c.pointee.{naming.escaped(field.c_name)}"
    count = f"c.pointee.n_{field.c_name}"
    source = f"self.{field.swift_name}"
    if field.shape is Shape.MAP:
        initialize = f"{naming.c_function_prefix(field.entry)}__init"
        return [
            f"{count} = {source}.count",
            f"{target} = arena.map({source}, initialize: {initialize}) {{ entry, key, value in",
            "  entry.pointee.key = key",
            f"  entry.pointee.value = {_write_value(field.value, 'value')}",
            "}",
        ]
    if field.shape is Shape.OPTIONAL:
        choice = _write_choice(field.c_oneof, field)
        return [f"if let value = {source} {{", *[f"  {line}" for line in choice], "}"]
    if field.value.kind is Kind.STRUCT:
        return [f"({count}, {target}) = arena.structure({source})"]
    if field.value.kind is Kind.VALUE:
        return [f"({count}, {target}) = arena.value({source})"]
    if field.shape is Shape.LIST:
        element = _write_value(field.value, "$0")
        return [f"{count} = {source}.count", f"{target} = arena.list({source}) {{ {element} }}"]
    if field.value.kind is Kind.MESSAGE:
        return [f"{target} = {source}?.write(into: arena)"]
    return [f"{target} = {_write_value(field.value, source)}"]


def _write_value(value: Value, source: str) -> str:
    return {
        Kind.SCALAR: source,
        Kind.BOOL: f"{source} ? 1 : 0",
        Kind.STRING: f"arena.copy({source})",
        Kind.BYTES: f"arena.copy(bytes: {source})",
        Kind.ENUM: f"{value.c}(rawValue: .init(truncatingIfNeeded: {source}.rawValue))",
        Kind.MESSAGE: f"Optional({source}.write(into: arena))",
    }[value.kind]


def json(member: Field | Oneof) -> list[str]:
    """Statements that put a member into `object`, fields with their default value left out."""
    if isinstance(member, Field):
        return [_field_json(member)]
    lines = [f"switch self.{member.swift_name} {{"]
    for field in member.fields:
        value = _json_value(field.value.kind, "value")
        lines.append(
            f'case .{field.swift_name}(let value)?: object["{field.json_name}"] = {value}'
        )
    return [*lines, "case nil: break", "}"]


def _field_json(field: Field) -> str:
    source = f"self.{field.swift_name}"
    target = f'object["{field.json_name}"]'
    kind = field.value.kind
    if field.shape is Shape.MAP:
        element = _json_value(kind, "$0")
        return f"if !{source}.isEmpty {{ {target} = .object({source}.mapValues {{ {element} }}) }}"
    if field.shape is Shape.LIST:
        element = _json_value(kind, "$0")
        return f"if !{source}.isEmpty {{ {target} = .array({source}.map {{ {element} }}) }}"
    if field.shape is Shape.OPTIONAL or kind in (Kind.MESSAGE, Kind.STRUCT, Kind.VALUE):
        return f"if let value = {source} {{ {target} = {_json_value(kind, 'value')} }}"
    populated = {
        Kind.SCALAR: f"{source} != 0",
        Kind.BOOL: source,
        Kind.STRING: f"!{source}.isEmpty",
        Kind.BYTES: f"!{source}.isEmpty",
        Kind.ENUM: f"{source}.rawValue != 0",
    }[kind]
    return f"if {populated} {{ {target} = {_json_value(kind, source)} }}"


def _json_value(kind: Kind, source: str) -> str:
    return {
        Kind.SCALAR: f"WireJSON.scalar({source})",
        Kind.BOOL: f".bool({source})",
        Kind.STRING: f".string({source})",
        Kind.BYTES: f"WireJSON.bytes({source})",
        Kind.ENUM: f"{source}.json()",
        Kind.MESSAGE: f"{source}.json()",
        Kind.STRUCT: f".object({source})",
        Kind.VALUE: source,
    }[kind]
